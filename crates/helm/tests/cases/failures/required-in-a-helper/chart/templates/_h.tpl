{{- define "x.y" -}}
{{ required "give a name" .Values.name }}
{{- end -}}
