{{ define "t" }}{{ .Template.Name }}{{ end }}
