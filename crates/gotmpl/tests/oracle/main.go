// The oracle of the gotmpl tests: runs every case of ../cases with Go's own text/template and writes
// what comes out beside it. `UPDATE=1 cargo test -p gotmpl` calls it.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

// A testCase is one template, or several files of which the first is executed.
type testCase struct {
	name       string
	missingKey string
	files      []file
}

type file struct{ name, text string }

// parseCases reads a case file: `=== name` starts a case; `--- file NAME` and `--- missingkey MODE` are
// directives within one; everything else is template text.
func parseCases(text string) []testCase {
	var cases []testCase
	for _, block := range strings.Split("\n"+text, "\n=== ")[1:] {
		name, body, _ := strings.Cut(block, "\n")
		c := testCase{name: name, missingKey: "zero", files: []file{{name: "t"}}}
		for i, line := range strings.Split(strings.TrimSuffix(body, "\n"), "\n") {
			last := &c.files[len(c.files)-1]
			if mode, ok := strings.CutPrefix(line, "--- missingkey "); ok {
				c.missingKey = mode
			} else if name, ok := strings.CutPrefix(line, "--- file "); ok {
				c.files = append(c.files, file{name: name})
			} else if last.text == "" && (i == 0 || strings.HasPrefix(strings.Split(body, "\n")[i-1], "--- ")) {
				last.text = line
			} else {
				last.text += "\n" + line
			}
		}
		cases = append(cases, c)
	}
	return cases
}

// run renders a case the way Helm does: all files are parsed, then the first is executed.
func run(c testCase) (out string, err error) {
	root := template.New("gotpl").Option("missingkey=" + c.missingKey)
	root.Funcs(functions(root, c.missingKey))
	for _, f := range c.files {
		if _, err := root.New(f.name).Parse(f.text); err != nil {
			return "", err
		}
	}
	var buf strings.Builder
	err = root.ExecuteTemplate(&buf, c.files[0].name, data())
	return buf.String(), err
}

func include(t *template.Template) func(string, any) (string, error) {
	return func(name string, data any) (string, error) {
		var buf strings.Builder
		err := t.ExecuteTemplate(&buf, name, data)
		return buf.String(), err
	}
}

func tpl(parent *template.Template, missingKey string) func(string, any) (string, error) {
	return func(text string, data any) (string, error) {
		t := template.Must(parent.Clone()).Option("missingkey=" + missingKey)
		t.Funcs(template.FuncMap{"include": include(t), "tpl": tpl(t, missingKey)})
		t, err := t.New(parent.Name()).Parse(text)
		if err != nil {
			return "", fmt.Errorf("cannot parse template %q: %w", text, err)
		}
		var buf strings.Builder
		if err := t.Execute(&buf, data); err != nil {
			return "", fmt.Errorf("error during tpl function execution for %q: %w", text, err)
		}
		return buf.String(), nil
	}
}

// chain lists the template errors within an error, outermost first.
func chain(err error) (texts []string) {
	for ; err != nil; err = errors.Unwrap(err) {
		if _, ok := err.(template.ExecError); ok {
			texts = append(texts, err.Error())
		}
	}
	return texts
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	paths, err := filepath.Glob("../cases/*/*.txt")
	must(err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		must(err)
		var out strings.Builder
		for _, c := range parseCases(string(text)) {
			rendered, err := run(c)
			fmt.Fprintf(&out, "=== %s\nout %s\n", c.name, strconv.Quote(rendered))
			if err != nil {
				fmt.Fprintf(&out, "err %s\n", strconv.Quote(err.Error()))
				if n := len(chain(err)); n > 1 {
					fmt.Fprintf(&out, "frames %d\n", n)
				}
			}
		}
		must(os.WriteFile(strings.TrimSuffix(path, ".txt")+".expected", []byte(out.String()), 0o644))
	}
	must(os.WriteFile("../cases/printf.vectors", []byte(vectors()), 0o644))
}
