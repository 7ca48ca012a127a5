{{- define "x" }}{{ include "nope" . }}{{ end }}
