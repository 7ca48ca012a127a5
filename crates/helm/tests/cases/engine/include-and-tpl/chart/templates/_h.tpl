{{- define "h" -}}
{{ .Chart.Name | upper }}
{{- end -}}
{{ define "dot" }}{{ . }}{{ end }}