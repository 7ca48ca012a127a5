{{ define "h" }}h{{ end }}
