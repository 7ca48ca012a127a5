package main

import (
	"fmt"
	"strconv"
	"strings"
)

// styled writes a random document in a mixture of YAML's styles. It need not be right.
func (s source) styled() string {
	w := styledWriter{source: s}
	if s.chance(10) {
		w.text.WriteString(s.pick([]string{"---\n", "--- ", "%YAML 1.1\n---\n", "%TAG !e! tag:e,2000:\n---\n", "# c\n", "\n", "\ufeff", "--- # c\n", "%YAML 1.2\n---\n", "...\n"}))
	}
	w.node(0, 4)
	if s.chance(10) {
		w.text.WriteString(s.pick([]string{"\n---\nb: 1\n", "\n...\n", "\n...\n---\nx", "\n---\n", "# end", "\n--- [", "\n...\nx: y"}))
	}
	return w.text.String()
}

type styledWriter struct {
	source
	text    strings.Builder
	anchors int
}

func (w *styledWriter) properties() {
	if w.chance(6) {
		w.anchors++
		fmt.Fprintf(&w.text, "&a%d ", w.anchors%3)
	}
	if w.chance(5) {
		w.text.WriteString(w.pick([]string{"!!str ", "!!int ", "!!map ", "!!seq ", "! ", "!x ", "!!float ", "!!null ", "!!bool ", "!<tag:yaml.org,2002:str> ", "!e!x ", "!!binary ", "!!timestamp ", "!!merge ", "!%41 "}))
	}
}

// node writes a node; the text is at the place where it starts, block collections begin a new line.
func (w *styledWriter) node(indent, depth int) {
	if w.anchors > 0 && w.chance(6) {
		fmt.Fprintf(&w.text, "*a%d", 1+w.Intn(3)%3)
		return
	}
	w.properties()
	kind := w.Intn(10)
	if depth == 0 {
		kind = 9
	}
	switch kind {
	case 0, 1, 2, 3:
		w.mapping(indent, depth)
	case 4, 5:
		w.sequence(indent, depth)
	case 6:
		w.flow(depth)
	default:
		w.scalarNode(indent)
	}
}

func (w *styledWriter) line(indent int) {
	if w.chance(4) {
		w.text.WriteString(w.pick([]string{" # comment", "  #", " #a: b", "#x"}))
	}
	w.text.WriteString("\n")
	if w.chance(3) {
		w.text.WriteString(w.pick([]string{"\n", "  \n", "# c\n", "   # c\n", "\t\n"}))
	}
	w.text.WriteString(strings.Repeat(" ", indent))
}

func (w *styledWriter) mapping(indent, depth int) {
	for range 1 + w.Intn(4) {
		w.line(indent)
		switch w.Intn(12) {
		case 0:
			w.text.WriteString("? ")
			w.node(indent+2, depth-1)
			w.line(indent)
			w.text.WriteString(": ")
		case 1:
			w.text.WriteString("<<: ")
		case 2:
			w.quoted(w.key())
			w.text.WriteString(w.pick([]string{": ", " : ", ":  "}))
		default:
			w.text.WriteString(w.pick(words))
			w.text.WriteString(w.pick([]string{": ", ": ", ": ", " : ", ":\t"}))
		}
		w.node(indent+w.pick2(2, 4, 0), depth-1)
	}
}

func (w *styledWriter) pick2(usual, rare, rarest int) int {
	switch w.Intn(20) {
	case 0:
		return rarest
	case 1, 2:
		return rare
	}
	return usual
}

func (w *styledWriter) sequence(indent, depth int) {
	for range 1 + w.Intn(3) {
		w.line(indent)
		w.text.WriteString(w.pick([]string{"- ", "- ", "-   ", "-\t", "-"}))
		if w.chance(40) {
			// A mapping that begins on the line of its dash.
			w.text.WriteString("a: ")
			w.node(indent+2, 0)
			w.line(indent + 2)
			w.text.WriteString("b: ")
		}
		w.node(indent+2, depth-1)
	}
}

func (w *styledWriter) flow(depth int) {
	if w.chance(50) {
		w.text.WriteString("[")
		for range w.Intn(4) {
			w.flowNode(depth - 1)
			if w.chance(15) {
				w.text.WriteString(": ")
				w.flowNode(depth - 1)
			}
			w.text.WriteString(w.pick([]string{", ", ",", " , ", ",\n  "}))
		}
		w.text.WriteString("]")
		return
	}
	w.text.WriteString("{")
	for range w.Intn(4) {
		w.text.WriteString(w.pick([]string{"", "", "", "? "}))
		w.flowNode(0)
		w.text.WriteString(w.pick([]string{": ", ": ", ":", " : ", ""}))
		w.flowNode(depth - 1)
		w.text.WriteString(w.pick([]string{", ", ",", "\n, "}))
	}
	w.text.WriteString("}")
}

func (w *styledWriter) flowNode(depth int) {
	w.properties()
	switch {
	case depth > 0 && w.chance(40):
		w.flow(depth)
	case w.chance(30):
		w.quoted(w.scalar())
	case w.chance(10):
	default:
		w.text.WriteString(w.pick(append(words, "1", "true", "~", "a b", "a\n  b")))
	}
}

func (w *styledWriter) scalarNode(indent int) {
	switch w.Intn(8) {
	case 0, 1:
		w.quoted(w.scalar())
	case 2:
		w.block(indent)
	case 3:
		// A plain scalar over several lines.
		w.text.WriteString(w.pick(words))
		for range w.Intn(4) {
			w.text.WriteString(w.pick([]string{"\n", "\n\n", " \n", "\r\n"}) + strings.Repeat(" ", indent+w.pick2(1, 3, 0)) + w.pick(words))
		}
	case 4:
		w.text.WriteString(w.pick(special))
	default:
		w.text.WriteString(w.pick(words))
	}
}

func (w *styledWriter) quoted(text string) {
	switch w.Intn(3) {
	case 0:
		w.text.WriteString("'" + strings.ReplaceAll(text, "'", "''") + "'")
	case 1:
		w.text.WriteString(strconv.Quote(text))
	default:
		text = strings.NewReplacer("\\", "\\\\", "\"", "\\\"").Replace(text)
		if w.chance(30) {
			text = strings.ReplaceAll(text, " ", w.pick([]string{"\n  ", "\\\n   ", " \\\n  \\ ", "\n\n ", "\t\n\t"}))
		}
		w.text.WriteString("\"" + text + w.pick([]string{"", "", "\\e\\N\\_\\L\\P\\/", "\\u00e9", "\\U0001F600", "\\x41", "\\ud83d"}) + "\"")
	}
}

func (w *styledWriter) block(indent int) {
	header := w.pick([]string{"|", ">"}) + w.pick([]string{"", "", "", "-", "+", "2", "1-", "+3", "0", "-+", " # c", "x"})
	w.text.WriteString(header + "\n")
	inner := strings.Repeat(" ", indent+w.pick2(1, 3, 0))
	for range w.Intn(5) {
		w.text.WriteString(w.pick([]string{inner, inner, inner, inner + "  ", "", inner + "\t"}) + w.pick([]string{"", w.sentence(w.Intn(4)), "# no comment", "- x: y"}) + w.pick([]string{"\n", "\n", "\n\n", "\r\n"}))
	}
}

// handWritten documents are what Helm reads every day, and corners that random texts seldom reach.
var handWritten = []string{
	"apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  labels:\n    app.kubernetes.io/name: web\n    helm.sh/chart: \"web-1.0.0\"\nspec:\n  type: ClusterIP\n  ports:\n  - port: 80\n    targetPort: http\n    protocol: TCP\n  selector:\n    app: web\n",
	"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 3\n  template:\n    spec:\n      containers:\n        - name: web\n          image: \"nginx:1.25\"\n          args: [\"--a\", '--b=c', --d]\n          env:\n            - {name: A, value: \"1\"}\n            - name: B\n              valueFrom: {fieldRef: {fieldPath: metadata.name}}\n          resources: {}\n",
	"# Default values.\nreplicaCount: 1\nimage:\n  repository: nginx\n  pullPolicy: IfNotPresent\n  # Overrides the tag.\n  tag: \"\"\n\nimagePullSecrets: []\nserviceAccount:\n  create: true\n  annotations: {}\nresources: {}\n  # limits:\n  #   cpu: 100m\n\nnodeSelector: {}\ntolerations: []\n",
	"data:\n  script.sh: |\n    #!/bin/sh\n    set -e\n      indented\n\n    echo \"done\"\n  folded: >-\n    one\n    two\n\n    three\n      four\n    five\n  keep: |+\n    x\n\n\n  last: 'it''s'\n",
	"base: &base\n  a: 1\n  b: {c: d}\nderived:\n  <<: *base\n  a: 2\nother:\n  a: 3\n  <<: [*base, {z: 1, a: 9}]\nlist: [*base, *base]\nname: &n foo\n*n : bar\n",
	"a: {{ .Values.x }}\n", "{{ .Values.x }}: b\n", "a: {{ .Values.x | quote }}\nb: c\n", "{a: b}: c\n", "[a]: b\n", "? [a, 1, 1.5, true, null, {x: y}]\n: z\n", "? {a: \"q\\\"\\n\"}\n: b\n",
	"a: b\n c: d\n", "a: b: c\n", "a:\n- b\n c: d\n", "a:\n  - b\n  c: d\n", "\ta: b\n", "a:\n\tb: c\n", "a: 'x\n", "a: \"x\n", "a: [b\nc: d\n", "a: {b\nc: d\n", "a: *x\n", "&x a: *x\n", "a: &x [*x]\n", "a: &x {b: *x}\n",
	"a: 1\na: 2\n", "a: 1\nb: {c: 1, c: 2}\na: 3\n", "1: a\n1.5: b\ntrue: c\nnull: d\n", "? \n: a\n", "~: a\n", "18446744073709551615: a\n", "9223372036854775807: a\n", "12345678.5: a\n1e10: b\n.inf: c\n.nan: d\n0x10: e\n010: f\n",
	"a: .inf\n", "a: {b: -.inf}\n", "a: .nan\na: 1\n", "a: {~: 1}\na: 1\n", "<<: {a: 1}\n", "<<: 1\n", "<<: [1]\n", "<<: null\n", "\"<<\": {a: 1}\n", "!!merge <<: {a: 1}\n", "<<: &a {b: 1}\nc: *a\n", "x: &x [1]\ny:\n  <<: *x\n",
	"a: !!binary aGVsbG8=\n", "a: !!binary |\n  aGVs\n  bG8=\n", "a: !!binary x\n", "a: !!binary /w==\n", "!!binary aGVsbG8=: a\n", "a: !!int x\n", "a: !!float 1\n", "a: !!float 18446744073709551615\n", "a: !!bool yes\n", "a: !!null x\n", "a: !!timestamp x\n", "a: !foo bar\n", "a: !<tag:yaml.org,2002:int> 1\n", "a: !e!x 1\n", "%TAG !e! tag:yaml.org,2002:\n---\na: !e!int 1\n",
	"%YAML 1.1\n---\na: b\n", "%YAML 1.1\n%YAML 1.1\n---\na\n", "%YAML 2.0\n---\na\n", "%FOO\n---\na\n", "%YAML 1.1 x\n---\na\n", "%\n", "%TAG ! tag:x,1:\n%TAG ! tag:y,1:\n---\na\n", "%TAG x\n---\n", "%YAML\n---\n", "%YAML 1\n", "%YAML 111.1\n",
	"", "\n", "# only\n", "---\n", "---\n---\n", "...\n", "--- a\n--- b\n", "a\nb\n", "a\nb: c\n", "- a\n- b\nc\n", "a: b\n---\nc: [\n", "a: b\n...\nc: [\n", "a: b\n... x\n", "--- |\n a\n--- b\n", "--- \"a\n--- b\"\n", "'a\n...\nb'\n",
	"? a\n? b\n: c\n", "? - a\n  - b\n: - c\n", "- - - a\n    - b\n  - c\n- d\n", "-\n-\n- \n", "a:\nb:\n", "a:\n- b\n-\n- c: d\n  e: f\ng: h\n", "- ? a\n  : b\n- : c\n", ": a\n", "a: |\n", "a: |\n\n", "a: >\n\n\n b\n", "a: |2\n   b\n  c\n", "a: |\n   b\n  c\n", "a: |\n\tb\n", "a: |\n  b\n \tc\n", "a: |-\n  b\n\n\n", "a: >+\n  b\n\n", "|\n a\n", ">1\n  a\n", "- |\n a\n- >\n  b\n   c\n  d\n",
	"a: x # c\nb: x#c\nc: 'x' # c\nd: [x # c\n]\n", "a: 'b' c\n", "a: \"b\"c\n", "a: [b] c\n", "[a, b]: c\n", "{a: b, c}\n", "{a, b: }\n", "[a: b, c: d]\n", "[? a : b, ? c]\n", "[? : a]\n", "{? a, ? : b}\n", "{a: b,, c}\n", "[a,,b]\n", "[,]\n", "{,}\n", "[a b: c]\n", "[a\nb: c]\n", "{a: [b, {c: d}]}\n", "{\"a\":b}\n", "{\"a\":1,\"b\":[true,null]}", "[\"a\",\n \"b\"\n]", "{a:b}\n", "{a:b: c}\n", "{a?b}\n", "- a: b\n -c\n", "a: -b\nc: -\n", "a: ?b\nc: ?\n", "a: @b\n", "a: `b`\n", "a: %b\n", "a: |b\n", "a: !\n", "a: &\n", "a: *\n", "a: &b\n", "a: &b !c\n", "a: !c &b d\n", "a: &b &c d\n", "a: !b !c d\n", "a: &b *b\n",
	"a: \"\\x\"\n", "a: \"\\q\"\n", "a: \"\\ud800\"\n", "a: \"\\U00110000\"\n", "a: \"x\\\n  y\"\n", "a: \"x\n\n  y \"\n", "a: 'x\n\n  y '\n", "a: x\n\n  y\nb: z\n", "a: x\n y\n  # c\n z\n", "a:\n  x\n  y: z\n", "a: \"b\": c\n", "\"a\n b\": c\n", "a\n b: c\n", "a: b\n\n\n\n c\n", "a: b\r\nc: d\r\n", "a: b\rc: d\r", "a: b\u0085c: d\n", "a: b\u2028c: d\n", "\ufeffa: b\n", "\ufeff\ufeffa: b\n", "a: \ufeffb\n", "---\n\ufeffa: b\n",
	"a: !!str\nb: !!int\n", "- !!str\n- !!null\n- !!map\n- ! \n", "a: !!map {b: c}\n", "a: !!seq [b]\n", "a: !!str {b: c}\n", "a: !!int 1.5\n", "a: !!int \"1\"\n", "a: ! \"1\"\n", "a: ! 1\n", "a: !!float \"0x10\"\n", "a: !!bool \"y\"\n",
	"a: &x 1\nb: *x\n*x : c\n", "a: &x 12345678\n*x : c\n", "a: &x ~\n*x : c\n", "a: &x {b: 1}\n*x : c\n", "a: &x 1\nb: &x 2\nc: *x\n", "&a [&a b, *a]\n", "[&x <<, *x]\n", "{&x <<: {a: b}, c: *x}\n",
	"a: [&x {k: [1,2,3,4,5,6,7,8,9,10]}, *x, *x, *x, *x, *x, *x]\n",
	"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
}
