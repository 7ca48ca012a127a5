{{ define "x" }}{{ nope 1 }}{{ end }}
