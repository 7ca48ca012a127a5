{{ define "h" }}
  {{ fail (printf "no %s" "way") }}
{{ end }}