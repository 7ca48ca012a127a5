// Formats records what Go's libraries make of random texts and values, one area per run:
//
//	go run . AREA > vectors.jsonl
//
// A line is a JSON array of strings: the kind of question, its input, the answer. A text that is not
// UTF-8 is given in base64, its kind ending in "64". The seed is fixed: equal libraries, equal lines.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"unicode/utf8"
)

var areas = map[string]func(*recorder){
	"yaml-parse": yamlParse,
	"yaml-emit":  yamlEmit,
	"json":       jsonTexts,
	"toml":       tomlTexts,
	"strvals":    strvalsLines,
}

type recorder struct {
	out  *bufio.Writer
	seen map[string]bool
}

// record writes a line, unless the same question has been asked before.
func (r *recorder) record(kind, input string, answers ...string) {
	if r.seen[kind+input] {
		return
	}
	r.seen[kind+input] = true
	if !utf8.ValidString(input) {
		kind, input = kind+"64", base64.StdEncoding.EncodeToString([]byte(input))
	}
	line, err := json.Marshal(append([]string{kind, input}, answers...))
	if err != nil {
		panic(err)
	}
	r.out.Write(append(line, '\n'))
}

func main() {
	if len(os.Args) != 2 || areas[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: formats yaml-parse|yaml-emit|json|toml|strvals")
		os.Exit(2)
	}
	r := &recorder{out: bufio.NewWriter(os.Stdout), seen: map[string]bool{}}
	areas[os.Args[1]](r)
	if err := r.out.Flush(); err != nil {
		panic(err)
	}
}
