package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	yamlv2 "go.yaml.in/yaml/v2"
	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// yamlParse asks how texts are read.
func yamlParse(r *recorder) {
	s := newSource(1)
	for _, document := range handWritten {
		recordParse(r, document)
		for range 60 {
			recordParse(r, s.damage(document))
		}
	}
	for _, scalar := range special {
		for _, form := range []string{"%s", "a: %s", "- %s", "%s: 1", "[%s]", "{%s: 1}", "{a: %s}", "!!int %s", "!!float %s", "!!str %s", "!!bool %s", "!!timestamp %s", "!!binary %s", "? %s", "|\n %s", "- >\n  %s", "'%s'", "\"%s\""} {
			recordParse(r, fmt.Sprintf(form, scalar))
		}
	}
	for range 4000 {
		recordParse(r, "v: "+s.number())
		recordParse(r, s.number()+": v")
	}
	for range 6000 {
		document := s.styled()
		recordParse(r, document)
		recordParse(r, s.damage(document))
	}
	for range 1500 {
		value := s.value(4)
		document := string(must(yamlv2.Marshal(value)))
		recordParse(r, document)
		recordParse(r, s.damage(document))
	}
	for range 3000 {
		recordParse(r, s.soup("ab: -#,[]{}&*!|>'\"%?\n\n  \t\\~<", 1+s.Intn(25)))
	}
	for _, size := range []int{500, 511, 512, 513, 1000, 1024, 1030, 2000} {
		recordParse(r, "a: "+strings.Repeat("x", size)+"\x01")
		recordParse(r, "a: "+strings.Repeat("é", size)+"\xff")
		recordParse(r, "a: b\n---\n"+strings.Repeat("x", size)+"\x01")
		recordParse(r, strings.Repeat("x", size)+": y")
		recordParse(r, "{"+strings.Repeat("x", size)+": y}")
		recordParse(r, "{\""+strings.Repeat("é", size)+"\": y}")
	}
	for _, order := range []string{"\xff\xfe", "\xfe\xff"} {
		for _, text := range []string{"a: é😀\n", "", "a", "a: \x01"} {
			recordParse(r, utf16(order, text))
		}
		recordParse(r, order+"a")
		recordParse(r, order+"\xd8\x00\x00\x00")
		recordParse(r, order+"\xdc\x00\xdc\x00")
	}
}

func recordParse(r *recorder, document string) {
	if strings.HasPrefix(document, "\ufeff\ufeff") {
		return // go-yaml then drops a character of each line, until it refills its buffer
	}
	var value any
	err := yaml.Unmarshal([]byte(document), &value)
	if err != nil {
		r.record("parse", document, "error", err.Error())
		return
	}
	r.record("parse", document, "ok", string(must(json.Marshal(value))))
	if strings.Contains(document, "<<") {
		return // ours looks for equal keys in one mapping only, not in what is merged
	}
	if err := yaml.UnmarshalStrict([]byte(document), &value); err != nil {
		r.record("strict", document, "error", err.Error())
	}
}

func utf16(order, text string) string {
	out := []byte(order)
	for _, unit := range utf16Units(text) {
		if order[0] == 0xff {
			out = append(out, byte(unit), byte(unit>>8))
		} else {
			out = append(out, byte(unit>>8), byte(unit))
		}
	}
	return string(out)
}

func utf16Units(text string) []uint16 {
	var units []uint16
	for _, c := range text {
		if c >= 0x10000 {
			c -= 0x10000
			units = append(units, uint16(0xd800+c>>10), uint16(0xdc00+c&0x3ff))
		} else {
			units = append(units, uint16(c))
		}
	}
	return units
}

// yamlEmit asks how values are printed: by sigs.k8s.io/yaml, and by yaml.v3 with an indentation of two.
func yamlEmit(r *recorder) {
	s := newSource(2)
	for _, scalar := range special {
		recordEmit(r, scalar)
		recordEmit(r, []any{scalar, map[string]any{scalar: scalar}})
		recordEmit(r, map[string]any{"k": map[string]any{scalar: []any{scalar}}, "l": "x" + scalar, "m": scalar + "x"})
	}
	for range 3000 {
		recordEmit(r, s.scalar())
		recordEmit(r, map[string]any{s.key(): s.scalar(), s.key(): s.float(), s.soup("ab01", 4): nil, s.soup("ab01", 4): nil})
	}
	for range 7500 {
		recordEmit(r, s.value(4))
	}
	for range 200 {
		recordEmitString(r, s.soup("ab \n", 10)+"\xff\xc3"+s.sentence(s.Intn(9)))
	}
}

func recordEmit(r *recorder, value any) {
	input := must(json.Marshal(value))
	var same any
	if err := json.Unmarshal(input, &same); err != nil {
		panic(err)
	}
	plain, pretty := emitPlain(same), emitPretty(same)
	for range 40 {
		// The order of keys is not transitive: some mixtures of digits come out as the hash map has them.
		if emitPlain(same) != plain || emitPretty(same) != pretty {
			return
		}
	}
	r.record("emit", string(input), plain, pretty)
}

// recordEmitString asks about a string that is not UTF-8, once alone and once as key and value.
func recordEmitString(r *recorder, text string) {
	input := base64.StdEncoding.EncodeToString([]byte(text))
	r.record("string", input, emitPlain(text), emitPretty(text))
	pair := map[string]any{text: text}
	r.record("pair", input, emitPlain(pair), emitPretty(pair))
}

func emitPlain(value any) string {
	out, err := yaml.Marshal(value)
	if err != nil {
		return "ERROR " + err.Error()
	}
	return string(out)
}

func emitPretty(value any) string {
	var out bytes.Buffer
	encoder := yamlv3.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(value); err != nil {
		return "ERROR " + err.Error()
	}
	return out.String()
}
