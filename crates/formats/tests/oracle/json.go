package main

import (
	"bytes"
	"encoding/json"
	"strings"
)

var jsonWritten = []string{
	"", " ", "x", "{", "}", "[", "]", "{}", "[]", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\" 1}", "{\"a\":1 \"b\"}", "[1 2]", "1 2", "tru", "truex", "trux", "nul", "nulL", "falze", "-", "-a", "01", "1.", "1.a", "1e", "1e+", "1e+x", ".5", "+1", "1e400", "-1e400", "[1e400,{\"a\":1e999}]", "1e-400", "-0", "-0.0", "1E5", "1.5e3", "123456789012345678901234567890",
	"\"", "\"a", "\"\\\"", "\"\\q\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud83d\\ude00\"", "\"\\ud83d\\u0041\"", "\"\\ud83dx\"", "\"\\udc00\"", "\"\\ud83d\\ud83d\\ude00\"", "\"a\nb\"", "\"a\tb\"", "\"\x01\"", "\"\x7f\"", "\"\xff\"", "\"\xe2\x82\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", "\"\\/\\b\\f\\n\\r\\t\\\\\"", "'a'", "\"<>&\u2028\u2029é😀\\u0000\\u001f\"", "{\"b\":1,\"a\":2,\"a\":3}", "{\"<\":\"&\"}", "null", "[null,true,false]", "\ufeff{}", "{}x", "{}\x00", "/* */", "[\x0b]", "\u00e9", "[\"a\",'b']", "NaN", "Infinity", "[[[[]]]]", "{\"a\":{\"b\":{}}}", "[{},[],{\"a\":[]}]",
}

// jsonTexts asks how JSON is read, and how it is printed again: on a line, indented, and unescaped.
func jsonTexts(r *recorder) {
	s := newSource(3)
	for _, text := range jsonWritten {
		recordJSON(r, text)
	}
	for range 1500 {
		text := string(must(json.Marshal(s.value(4))))
		recordJSON(r, text)
		for range 2 {
			recordJSON(r, s.damage(text))
		}
	}
	for range 1000 {
		recordJSON(r, s.soup("{}[]\",:0123-+.eEtrufalsn\\ x", 1+s.Intn(12)))
	}
}

func recordJSON(r *recorder, text string) {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		r.record("json", text, "error", err.Error())
		return
	}
	var raw bytes.Buffer
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err)
	}
	r.record("json", text, "ok", string(must(json.Marshal(value))), string(must(json.MarshalIndent(value, "", "  "))), strings.TrimSuffix(raw.String(), "\n"))
}
