{{ define "h" }}{{ .Values.nope }}{{ end }}
