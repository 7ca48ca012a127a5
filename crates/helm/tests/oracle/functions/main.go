// Records what Helm 4.3.1's template functions answer, for tests/functions.rs to compare.
//
// Each line is a JSON array: [area, expression, output] or [area, expression, output, error]. The first one is
// the data the expressions see as dot. An output that is no UTF-8 is base64 behind "\u0000".
// An expression EXPR runs as the template
//
//	{{ $r := EXPR }}{{ typeOf $r }}|{{ $r }}|{{ toJson $r }}
//
// or, if it contains "{{", as it is. Time zone: America/New_York. keys and values are sorted (Go's order is random).
//
// Record anew: UPDATE=1 cargo test -p helm --test functions
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"sort"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"
	_ "unsafe"

	_ "helm.sh/helm/v4/pkg/engine"
)

//go:linkname funcMap helm.sh/helm/v4/pkg/engine.funcMap
func funcMap() template.FuncMap

const data = `{"nil":null,"str":"abc","empty":"","num":1.5,"int":3,"big":1234567,"yes":true,"no":false,` +
	`"list":[1,"a",null,"a",[1],{"k":"v"}],"strs":["b","a","c","a"],"none":[],` +
	`"map":{"a":1,"b":{"c":"d","e":[1,2]},"n":null,"z":"","l":[]},"void":{}}`

func functions() template.FuncMap {
	functions := funcMap()
	functions["keys"] = func(dicts ...map[string]any) []string {
		all := []string{}
		for _, dict := range dicts {
			own := []string{}
			for key := range dict {
				own = append(own, key)
			}
			sort.Strings(own)
			all = append(all, own...)
		}
		return all
	}
	functions["values"] = func(dict map[string]any) []any {
		own, all := []string{}, []any{}
		for key := range dict {
			own = append(own, key)
		}
		sort.Strings(own)
		for _, key := range own {
			all = append(all, dict[key])
		}
		return all
	}
	return functions
}

func source(expression string) string {
	if strings.Contains(expression, "{{") {
		return expression
	}
	return "{{ $r := " + expression + " }}{{ typeOf $r }}|{{ $r }}|{{ toJson $r }}"
}

func encode(text string) string {
	if utf8.ValidString(text) && !strings.HasPrefix(text, "\x00") {
		return text
	}
	return "\x00" + base64.StdEncoding.EncodeToString([]byte(text))
}

func main() {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		panic(err)
	}
	time.Local = zone
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	lines.Encode([]string{"data", data})
	functions := functions()
	seen := map[string]bool{}
	for _, c := range cases() {
		if seen[c.expression] {
			continue
		}
		seen[c.expression] = true
		var dot any
		json.Unmarshal([]byte(data), &dot)
		var result bytes.Buffer
		line := []string{c.area, c.expression, ""}
		parsed, err := template.New("t").Option("missingkey=zero").Funcs(functions).Parse(source(c.expression))
		if err == nil {
			err = parsed.Execute(&result, dot)
		}
		line[2] = encode(result.String())
		if err != nil {
			line = append(line, encode(err.Error()))
		}
		lines.Encode(line)
	}
}
