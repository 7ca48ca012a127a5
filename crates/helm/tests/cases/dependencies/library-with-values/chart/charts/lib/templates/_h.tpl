{{ define "lib.h" }}{{ .Chart.Name }} {{ .Values | toJson }}{{ end }}
