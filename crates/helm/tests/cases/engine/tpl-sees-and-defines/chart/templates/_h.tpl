{{ define "h" }}h{{ .Release.Name }}{{ end }}
