// The data and functions of the cases; tests/suite/world.rs is the same in Rust.
package main

import (
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"
)

// Values is a named map type with a method, like Helm's common.Values.
type Values map[string]any

func (v Values) AsMap() map[string]any { return v }

func (v Values) Pick(name string) (any, error) {
	if value, ok := v[name]; ok {
		return value, nil
	}
	return nil, fmt.Errorf("no value %q", name)
}

// Thing is a struct with fields and methods.
type Thing struct {
	Name    string
	Size    int
	Nothing any
}

func (t *Thing) Greet(who string) string       { return t.Name + " greets " + who }
func (t *Thing) Fail() (string, error)         { return "", errors.New("thing failed") }
func (t *Thing) Sum(base int, more ...int) int { return base + len(more) }
func (t *Thing) String() string                { return "thing:" + t.Name }

// Names is a slice with a method, like Helm's VersionSet.
type Names []string

func (n Names) Has(name string) bool {
	for _, known := range n {
		if known == name {
			return true
		}
	}
	return false
}

func data() any {
	return map[string]any{
		"nil": nil, "t": true, "f": false,
		"i": 17, "zero": 0, "minus": -3, "i64": int64(-5), "u8": uint8(7), "u64": uint64(9), "huge": uint64(1 << 63),
		"fl": 2.5, "one": 1.0, "mega": 1e6, "giga": 1.5e9, "tiny": 0.00001, "fzero": 0.0,
		"s": "hello", "empty": "", "bad": "a\xffb", "wide": "héé↑", "markup": "<a href=\"x\">'&'=\x00\t</a>",
		"pct": "%d%", "lines": "one\ntwo\n",
		"list": []any{1, "two", nil, 4.5, true}, "strs": []string{"x", "y"}, "ints": []int{3, 1, 2},
		"raw": []byte("hi"), "elist": []any{}, "nillist": []string(nil), "nested": []any{[]any{1, 2}, []any{}},
		"maps": []any{map[string]any{"n": "a", "v": 1}, map[string]any{"n": "b", "v": 2}},
		"map":  map[string]any{"a": 1, "b": map[string]any{"c": "deep"}, "n": nil, "with-dash": "d"},
		"emap": map[string]any{}, "strmap": map[string]string{"k": "v"},
		"values": Values{"x": "ex", "sub": map[string]any{"y": "why"}},
		"thing":  &Thing{Name: "T", Size: 3}, "names": Names{"v1", "apps/v1"},
		"dur": 90 * time.Second,
	}
}

func functions(t *template.Template, missingKey string) template.FuncMap {
	return template.FuncMap{
		"include": include(t), "tpl": tpl(t, missingKey),
		"upper":    strings.ToUpper,
		"not2":     func(b bool) bool { return !b },
		"double":   func(n int) int { return 2 * n },
		"double64": func(n int64) int64 { return 2 * n },
		"half":     func(x float64) float64 { return x / 2 },
		"echo":     func(v any) any { return v },
		"pair":     func(a, b any) string { return fmt.Sprintf("(%v %v)", a, b) },
		"join":     func(sep string, parts []string) string { return strings.Join(parts, sep) },
		"count":    func(list []any) int { return len(list) },
		"size":     func(m map[string]any) int { return len(m) },
		"label":    func(name string, rest ...any) string { return fmt.Sprint(name, len(rest)) },
		"tags":     func(tags ...string) string { return strings.Join(tags, "+") },
		"dict": func(pairs ...any) map[string]any {
			m := map[string]any{}
			for i := 0; i+1 < len(pairs); i += 2 {
				m[fmt.Sprint(pairs[i])] = pairs[i+1]
			}
			return m
		},
		"list":   func(items ...any) []any { return items },
		"set":    func(m map[string]any, key string, v any) map[string]any { m[key] = v; return m },
		"typeOf": func(v any) string { return fmt.Sprintf("%T", v) },
		"answer": func() int { return 42 },
		"null":   func() any { return nil },
		"fail":   func(message string) (string, error) { return "", errors.New(message) },
		"wait":   func(d time.Duration) string { return d.String() },
	}
}
