//! What charts of good will do, at ten times the size at which they do it.

use super::Case;
use super::Expected::Rendered;
use super::templates::chart;

/// `$s` is 110 KB of JSON.
const JSON: &str = "{{$s := repeat 1834 `{\"name\": \"value-1\", \"items\": [10, \"abc\", null], \"z\": true}\n`}}";

/// A template, and what it is called.
const IDIOMS: &[(&str, &str)] = &[
    ("words-replaced", "{{range until 4}}{{$x := regexReplaceAll \"[a-z]+\" $s \"<$0>\"}}{{end}}"),
    ("words-replaced-literally", "{{range until 4}}{{$x := regexReplaceAllLiteral \"[^a-z0-9]+\" $s \"-\"}}{{end}}"),
    ("words-found", "{{range until 4}}{{$x := regexFindAll \"[a-z]+|[0-9]+\" $s -1}}{{end}}"),
    ("words-split", "{{range until 4}}{{$x := regexSplit \"[,:]\\\\s*\" $s -1}}{{end}}"),
    ("list-by-append", "{{$l := list}}{{range until 30000}}{{$l = append $l .}}{{end}}"),
    (
        "list-of-texts-by-append",
        "{{$l := list}}{{range until 30000}}{{$l = append $l (printf \"10.0.0.%d\" .)}}{{end}}",
    ),
    ("list-by-append-in-place", "{{$l := list}}{{range until 30000}}{{$l = . | append $l}}{{end}}"),
    ("list-by-concat", "{{$l := list}}{{range until 30000}}{{$l = concat $l (list .)}}{{end}}"),
    ("dict-by-merge", "{{$d := dict}}{{range $i := until 20000}}{{$d = merge $d (dict (toString $i) $i)}}{{end}}"),
    (
        "dict-by-overwrite",
        "{{$d := dict}}{{range $i := until 20000}}{{$d = mergeOverwrite $d (dict (toString $i) $i)}}{{end}}",
    ),
    ("text-by-printf", "{{$s := \"\"}}{{range $i := until 50000}}{{$s = printf \"%s%d,\" $s $i}}{{end}}"),
    ("text-by-print", "{{$s := \"\"}}{{range $i := until 50000}}{{$s = print $s $i \",\"}}{{end}}"),
];

pub(super) fn cases() -> Vec<Case> {
    IDIOMS
        .iter()
        .map(|(name, template)| Case::new(name, move || chart(format!("{JSON}{template}a: b\n")), Rendered))
        .collect()
}
