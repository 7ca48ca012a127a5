package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

var tomlWritten = []string{
	"", "a = 1", "a=1\nb = \"x\" # c\n\n[t]\nc = true\n[t.u]\nd = 1.5\n", "[[p]]\nn = 1\n[[p]]\nn = 2\n[p.q]\nx = 1\n[[p.r]]\ny = 2\n", "a.b.c = 1\na.b.d = 2\n\"x.y\".z = 3\n", "a = [1, 2,\n 3, # c\n]\nb = [[1], [\"x\", {y = 1}]]\nc = []\n", "a = {b = 1, c.d = 2}\ne = {}\nf = { g = {h = 1}, }\n",
	"a = \"\"\"\nx\n  y \\\n   z\"\"\"\nb = '''\nraw \\n\n'''\nc = 'it'\nd = \"\\u00e9\\t\\\"\\\\ \\x41 \\e\"\n", "a = 0x1F\nb = 0o17\nc = 0b11\nd = 1_000\ne = +5\nf = -0\ng = 1e3\nh = -1.5E-2\ni = inf\nk = nan\nl = -inf\n", "a = 1979-05-27T07:32:00Z\nb = 1979-05-27 07:32:00.5+01:00\nc = 1979-05-27\nd = 07:32:00\ne = 1979-05-27T07:32\nf = 1979-05-27t07:32:00z\ng = 07:32\n",
	"a = 1\na = 2\n", "[a]\n[a]\n", "[a.b]\n[a]\nc = 1\n", "a = 1\n[a]\n", "a = 1\na.b = 2\n", "[a]\nb = 1\n[a.b]\n", "a = [1]\n[[a]]\n", "[[a]]\n[a]\n", "[a]\n[[a]]\n", "a = {b = 1}\na.c = 2\n", "a = {b = 1}\n[a.c]\n", "a.b = 1\n[a]\nc = 2\n", "[a]\nb.c = 1\n[a.b]\nd = 2\n", "a = [{b = 1}, {b = 2}]\n[[a]]\n", "a = {b = 1, b = 2}\n",
	"a", "a =", "= 1", "a = ", "a = x", "a = 1 b = 2", "a = 01", "a = 1_", "a = _1", "a = 1__0", "a = 1.", "a = .5", "a = 1.e5", "a = 1e", "a = 1e5_", "a = 0x", "a = 0xg", "a = +0x1", "a = 9223372036854775808", "a = 1e400", "a = \"x", "a = 'x", "a = \"x\ny\"", "a = \"\\q\"", "a = \"\\u12\"", "a = \"\\ud800\"", "a = \"\"\"x", "a = \"\"\"\"\"\"", "a = \"\"\"\"x\"\"\"\"\"", "a = \"\"\"x\"\"\"\"\"\"", "a = ''''''", "a = [1", "a = [1 2]", "a = [,]", "a = [1,,2]", "a = {b = 1", "a = {,}", "a = {b = 1,, c = 2}", "a = {b}", "a = {\nb = 1\n}", "[a", "[a]x", "[]", "[a.]", "[.a]", "[[a]", "[ a . \"b\" . 'c' ]\nx=1", "[[a]]x", ".a = 1", "a. = 1", "a..b = 1", "a b = 1", "\"a\" = 1", "'a' = 1", "\"\" = 1", "é = 1", "a = true\r\nb = false\r\n", "a = 1\rb = 2", "a = \"\x01\"", "a = \"\x7f\"", "a = 1 # \x01", "a = \"\xff\"", "\x00", "\ufeffa = 1", "a = 1979-13-01", "a = 1979-05-27T25:00:00Z", "a = 1979-5-27", "a = 12:3", "a = tru", "a = truex", "a = [[[[[[1]]]]]]", "a = 1979-05-27 # c", "a = \"\"\"a\\  b\"\"\"", "a = \"\"\"a \\\n\n  \\\n b\"\"\"", "a = -", "a = +inf", "a = -nan", "a = infx", "a = 1979-05-27 07:32:00", "1 = 2", "1.2 = 3", "true = 1", "a = [ # c\n 1 # d\n , # e\n 2 ]",
}

// tomlTexts asks how texts are read, and how values are printed.
func tomlTexts(r *recorder) {
	s := newSource(4)
	for _, text := range tomlWritten {
		recordToml(r, text)
		for range 20 {
			recordToml(r, s.damageToml(text))
		}
	}
	for range 2500 {
		value := s.table(4)
		input := string(must(json.Marshal(value)))
		printed, err := encodeToml(value)
		if err != nil {
			r.record("emit", input, "error", err.Error())
			continue
		}
		r.record("emit", input, "ok", printed)
		recordToml(r, printed)
		recordToml(r, s.damageToml(printed))
	}
	for range 2000 {
		recordToml(r, "a = "+s.number())
		recordToml(r, s.soup("ab=[]{}.,\"'1\n\n #-_", 1+s.Intn(16)))
	}
}

// table gives a map, mostly without nulls, which lists cannot have.
func (s source) table(depth int) map[string]any {
	table, _ := s.withoutNull(map[string]any{s.key(): s.value(depth), s.key(): s.value(depth), "list": []any{s.value(1)}}).(map[string]any)
	// What was a float in JSON stays one.
	var same map[string]any
	if err := json.Unmarshal(must(json.Marshal(table)), &same); err != nil {
		panic(err)
	}
	return same
}

func (s source) withoutNull(value any) any {
	switch value := value.(type) {
	case nil:
		if s.chance(5) {
			return nil
		}
		return "x"
	case []any:
		for i := range value {
			value[i] = s.withoutNull(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = s.withoutNull(value[key])
		}
	}
	return value
}

func (s source) damageToml(text string) string {
	at := s.Intn(len(text) + 1)
	switch s.Intn(3) {
	case 0:
		return text[:at] + s.pick([]string{"=", "[", "]", "{", "}", "\"", "'", ".", ",", "\n", " ", "#", "1", "a", "-", "_", "\\", "\"\"\"", "[[", "]]", "= 1\n", "é", "\t", "\r\n"}) + text[at:]
	case 1:
		return text[:at] + text[min(len(text), at+1+s.Intn(3)):]
	}
	lines := strings.Split(text, "\n")
	line := s.Intn(len(lines))
	return strings.Join(append(lines[:line+1], lines[line:]...), "\n")
}

func encodeToml(value any) (string, error) {
	var out bytes.Buffer
	err := toml.NewEncoder(&out).Encode(value)
	return out.String(), err
}

func recordToml(r *recorder, text string) {
	value, err := decodeToml(text)
	if err != nil {
		r.record("parse", text, "error", err.Error())
		return
	}
	printed, err := json.Marshal(value)
	if err != nil { // infinities
		r.record("parse", text, "unprintable", err.Error())
		return
	}
	r.record("parse", text, "ok", string(printed))
}

// decodeToml gives an error for texts at which the library panics, as templates see it.
func decodeToml(text string) (value map[string]any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	value = map[string]any{}
	err = toml.Unmarshal([]byte(text), &value)
	return value, err
}
