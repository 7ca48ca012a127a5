{{- define "x" }}{{ tpl "{{ fail \"deep\" }}" . }}{{ end }}
