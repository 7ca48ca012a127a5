//! Templates that never end, grow, or contain themselves.

use super::Case;
use super::Expected::{self, Refused, Rendered};
use super::archives::Pack;

/// A template, what the error must say, and what it is called.
type Story = (&'static str, &'static str, Expected);

pub(super) fn chart(template: impl AsRef<[u8]>) -> (Vec<u8>, String) {
    (Pack::chart().file("web/templates/a.yaml", template).tgz(), String::new())
}

const STEPS: Expected = Refused("too many evaluation steps");
const OUTPUT: Expected = Refused("too much output");
const DEPTH: Expected = Refused("exceeded maximum template depth");
const NESTED: Expected = Refused("a value is nested deeper than 1000 levels");
const TOO_LONG: Expected = Refused("is longer than 16777216 bytes");
const TOKENS: Expected = Refused("template has more than 500000 tokens");

/// The functions have an answer, which alone is no manifest.
const A_BOOL: Expected = Refused("cannot unmarshal bool into Go value of type util.SimpleHead");
const A_NUMBER: Expected = Refused("cannot unmarshal number into Go value of type util.SimpleHead");
const A_STRING: Expected = Refused("cannot unmarshal string into Go value of type util.SimpleHead");

/// `$d` contains itself; `$t` is a tree of 2^100 leaves, made of 100 lists.
const SHAPES: &str = "{{$d := dict \"a\" 1}}{{$_ := set $d \"self\" $d}}{{$e := dict \"a\" 1}}{{$_ = set $e \"self\" $e}}\
{{$t := list 1}}{{range until 100}}{{$t = list $t $t}}{{end}}{{$u := list 1}}{{range until 100}}{{$u = list $u $u}}{{end}}\
{{$m := dict \"a\" 1}}{{range until 100}}{{$m = dict \"a\" $m \"b\" $m}}{{end}}\
{{$n := dict \"b\" 1}}{{range until 100}}{{$n = dict \"a\" $n \"b\" $n}}{{end}}\
{{$deep := list}}{{range until 50000}}{{$deep = list $deep}}{{end}}\
{{$s := repeat 300000 \"ab \"}}{{$big := until 100000}}";

/// Work on the values of [`SHAPES`].
const SHAPED: &[Story] = &[
    ("yaml-of-itself", "{{toYaml $d}}", Rendered),
    ("json-of-itself", "{{mustToJson $d}}", Refused("encountered a cycle via map[string]interface {}")),
    ("toml-of-itself", "{{mustToToml $d}}", Refused("toml: a value is nested deeper than 500 levels")),
    ("print-of-itself", "{{print $d}}", NESTED),
    ("copy-of-itself", "{{deepCopy $d}}", Refused("the value is nested deeper than 1000 levels")),
    ("merge-of-itself", "{{merge $d $e}}", Refused("the maps are nested deeper than 1000 levels")),
    ("equality-of-itself", "{{deepEqual $d $e}}", NESTED),
    ("text-of-itself", "{{toString $d}}", NESTED),
    ("yaml-of-a-tree", "{{toYaml $t}}", STEPS),
    ("pretty-yaml-of-a-tree", "{{toYamlPretty $t}}", STEPS),
    ("json-of-a-tree", "{{toJson $t}}", STEPS),
    ("toml-of-a-tree", "{{toToml $m}}", STEPS),
    ("print-of-a-tree", "{{print $t}}", OUTPUT),
    ("join-of-a-tree", "{{join \",\" (list $t $t $t)}}", STEPS),
    ("sort-of-a-tree", "{{sortAlpha (list $t $t $t)}}", STEPS),
    ("copy-of-a-tree", "{{deepCopy $t}}", STEPS),
    ("copy-of-a-tree-of-maps", "{{mustDeepCopy $m}}", STEPS),
    ("merge-of-trees", "{{merge $m $n}}", STEPS),
    ("overwrite-of-trees", "{{mergeOverwrite $m $n}}", STEPS),
    ("equality-of-trees", "{{deepEqual $t $u}}", STEPS),
    ("equality-of-trees-of-maps", "{{deepEqual $m $n}}", STEPS),
    ("has-a-tree", "{{has $t (list $u)}}", STEPS),
    ("without-a-tree", "{{without (list $t) $u}}", STEPS),
    ("distinct-trees", "{{uniq (list $t $u)}}", STEPS),
    ("yaml-of-deep-values", "{{toYaml $deep}}", Refused("a value is nested deeper than 500 levels")),
    ("json-of-deep-values", "{{mustToJson $deep}}", Refused("json: a value is nested deeper than 500 levels")),
    ("copy-of-deep-values", "{{deepCopy $deep}}", Refused("the value is nested deeper than 1000 levels")),
    ("equality-of-deep-values", "{{deepEqual $deep (list $deep)}}", NESTED),
    ("print-of-deep-values", "{{printf \"%v\" $deep}}", NESTED),
    ("upper-in-a-loop", "{{range $big}}{{$x := upper $s}}{{end}}", STEPS),
    ("title-in-a-loop", "{{range $big}}{{$x := title $s}}{{end}}", STEPS),
    ("snakecase-in-a-loop", "{{range $big}}{{$x := snakecase $s}}{{end}}", STEPS),
    ("camelcase-of-large-text", "{{$x := camelcase $s}}{{len $x}}", A_NUMBER),
    ("contains-in-a-loop", "{{range $big}}{{$x := contains \"zz\" $s}}{{end}}", STEPS),
    ("contains-half-of-a-text", "{{contains (print (repeat 100000 \"a\") \"b\") (repeat 3000000 \"a\")}}", A_BOOL),
    ("equality-in-a-loop", "{{range $big}}{{$x := eq $s (print $s)}}{{end}}", STEPS),
    ("length-in-a-loop", "{{range $big}}{{$x := len (trim $s)}}{{end}}", STEPS),
    ("trim-many-letters", "{{trimAll $s (repeat 900000 \"x\")}}", A_STRING),
    ("hash-in-a-loop", "{{range $big}}{{$x := sha256sum $s}}{{end}}", STEPS),
    ("adler-in-a-loop", "{{range $big}}{{$x := adler32sum $s}}{{end}}", STEPS),
    ("base64-in-a-loop", "{{range $big}}{{$s = b64enc $s}}{{end}}", STEPS),
    ("base32-in-a-loop", "{{range $big}}{{$s = b32enc $s}}{{end}}", STEPS),
    ("decode-in-a-loop", "{{$b := b64enc $s}}{{range $big}}{{$x := b64dec $b}}{{end}}", STEPS),
    ("split-large-text", "{{range $big}}{{$x := splitList \"\" $s}}{{end}}", STEPS),
    ("split-to-a-map", "{{range $big}}{{$x := split \"\" $s}}{{end}}", STEPS),
    ("replace-everything", "{{replace \"\" (repeat 1000 \"x\") $s}}", TOO_LONG),
    ("replace-in-a-loop", "{{range $big}}{{$s = replace \"a\" \"aa\" $s}}{{end}}", TOO_LONG),
    ("wrap-every-letter", "{{wrapWith 1 (repeat 100000 \"x\") $s}}", TOO_LONG),
    ("cat-of-texts", "{{range $big}}{{$s = cat $s $s}}{{end}}", STEPS),
    ("quote-in-a-loop", "{{range $big}}{{$s = quote $s}}{{end}}", STEPS),
    ("json-text-in-a-loop", "{{range $big}}{{$s = toJson $s}}{{end}}", STEPS),
    ("yaml-text-in-a-loop", "{{range $big}}{{$s = toYaml $s}}{{end}}", STEPS),
    ("html-in-a-loop", "{{range $big}}{{$s = html $s}}{{end}}", STEPS),
    ("urlquery-in-a-loop", "{{range $big}}{{$s = urlquery $s}}{{end}}", STEPS),
    ("append-without-end", "{{$l := list}}{{range $big}}{{range $big}}{{$l = append $l .}}{{end}}{{end}}", STEPS),
    (
        "append-and-keep",
        "{{$l := list}}{{$k := list}}{{range $big}}{{$l = append $l .}}{{$k = append $k $l}}{{end}}",
        STEPS,
    ),
    ("append-to-a-shared-list", "{{range $big}}{{$x := append $big .}}{{end}}", STEPS),
    ("concat-without-end", "{{$l := list}}{{range $big}}{{$l = concat $l (list . .)}}{{$l = rest $l}}{{end}}", STEPS),
    ("text-that-grows", "{{$x := $s}}{{range $big}}{{$x = printf \"%s%d,\" $x .}}{{end}}", STEPS),
    ("text-copied-in-a-loop", "{{range $big}}{{$s = print $s}}{{end}}", STEPS),
    ("long-text-copied-in-a-loop", "{{$s = repeat 16 $s}}{{range $big}}{{$s = printf \"%s\" $s}}{{end}}", STEPS),
    ("texts-made-and-kept", "{{$l := list}}{{range $big}}{{$l = append $l (print $s .)}}{{end}}", STEPS),
    ("texts-made-and-dropped", "{{range $big}}{{$x := print $s .}}{{end}}", STEPS),
    ("texts-that-shrink", "{{range $big}}{{$x := print $s .}}{{$x = trunc 5 $x}}{{end}}", STEPS),
    (
        "concat-doubles",
        "{{$l := list 1}}{{range until 60}}{{$l = concat $l $l}}{{end}}",
        Refused("a list of more than 1000000 items"),
    ),
    ("has-in-a-loop", "{{range $big}}{{$x := has -1 $big}}{{end}}", STEPS),
    ("without-in-a-loop", "{{range $big}}{{$x := without $big -1}}{{end}}", STEPS),
    ("uniq-of-a-long-list", "{{$x := uniq $big}}", Refused("more than 10000 distinct items")),
    ("uniq-in-a-loop", "{{$l := until 9000}}{{range $big}}{{$x := uniq $l}}{{end}}", STEPS),
    ("sort-in-a-loop", "{{range $big}}{{$x := sortAlpha $big}}{{end}}", STEPS),
    ("reverse-in-a-loop", "{{range $big}}{{$x := reverse $big}}{{end}}", STEPS),
    ("chunks-in-a-loop", "{{range $big}}{{$x := chunk 1 $big}}{{end}}", STEPS),
    (
        "keys-in-a-loop",
        "{{$m := dict}}{{range until 10000}}{{$_ := set $m (toString .) .}}{{end}}{{range $big}}{{$x := keys $m}}{{end}}",
        STEPS,
    ),
    (
        "pick-in-a-loop",
        "{{$m := dict}}{{range until 10000}}{{$_ := set $m (toString .) .}}{{end}}{{range $big}}{{$x := omit $m \"a\"}}{{end}}",
        STEPS,
    ),
    (
        "merge-in-a-loop",
        "{{$m := dict}}{{range until 10000}}{{$_ := set $m (toString .) .}}{{end}}{{range $big}}{{$x := merge (dict) $m}}{{end}}",
        STEPS,
    ),
    ("large-map", "{{$m := dict}}{{range $i := $big}}{{$_ := set $m (printf \"%01000d\" $i) $i}}{{end}}", Rendered),
    ("join-in-a-loop", "{{range $big}}{{$x := join \",\" $big}}{{end}}", STEPS),
    ("maximum-of-many", "{{range $big}}{{$x := toStrings $big}}{{end}}", STEPS),
    ("repeat-everything", "{{repeat 4000000000 $s}}", TOO_LONG),
    ("indent-every-line", "{{indent 1000000 (repeat 1000000 \"\\n\")}}", TOO_LONG),
    ("substr-of-large-text", "{{range $big}}{{$x := substr 1 -1 $s}}{{end}}", STEPS),
    ("regex-in-a-loop", "{{range $big}}{{$x := regexMatch \"(a|b|ab)*c\" $s}}{{end}}", STEPS),
    ("regex-finds-quadratically", "{{regexFindAll \"[^z]*z|a\" (repeat 1000000 \"ab\") -1 | len}}", STEPS),
    (
        "regex-of-large-text",
        "{{regexReplaceAll \"(a)(b)?\" (repeat 1000000 \"ab\") \"$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2\" | len}}",
        TOO_LONG,
    ),
    ("regex-with-many-states", "{{regexMatch \"(a?){1000}a{1000}b\" (repeat 1000000 \"a\")}}", STEPS),
    (
        "regexes-by-thousands",
        "{{range $big}}{{$x := regexMatch (printf \"(\\\\pL{1,100}|%d){1,10}\" .) \"b\"}}{{end}}",
        Refused("error parsing regexp: expression too large"),
    ),
    ("regex-of-many-classes", "{{regexMatch (repeat 80000 \"\\\\pL\") \"b\"}}", Refused("expression too large")),
    (
        "small-regexes-by-thousands",
        "{{range $big}}{{$x := regexMatch (printf \"(\\\\pL{1,10}|%d){1,4}\" .) \"b\"}}{{end}}",
        STEPS,
    ),
    ("template-of-large-text", "{{range $big}}{{$x := tpl (repeat 400000 \"{{1}}\") $}}{{end}}", TOKENS),
    ("template-without-actions", "{{range $big}}{{$x := tpl $s $}}{{end}}", STEPS),
    (
        "yaml-of-large-text",
        "{{$x := fromYaml (printf \"a: [%s]\" (repeat 5000000 \"[],\"))}}{{get $x \"Error\"}}",
        Refused("document has more than 500000 nodes"),
    ),
    (
        "json-of-large-text",
        "{{$x := fromJson (printf \"{\\\"a\\\": [%s 1]}\" (repeat 5000000 \"[],\"))}}{{get $x \"Error\"}}",
        Refused("JSON text has more than 500000 values"),
    ),
    (
        "toml-of-large-text",
        "{{$x := fromToml (printf \"a = [%s]\" (repeat 5000000 \"[],\"))}}{{get $x \"Error\"}}",
        Refused("document has more than 500000 values"),
    ),
    ("documents-in-a-loop", "{{$y := toYaml (until 10000)}}{{range $big}}{{$x := fromYamlArray $y}}{{end}}", STEPS),
    ("dates-in-a-loop", "{{range $big}}{{$x := date $s now}}{{end}}", STEPS),
    ("shuffle-in-a-loop", "{{range $big}}{{$x := shuffle $s}}{{end}}", STEPS),
    ("levenshtein-abbreviations", "{{range $big}}{{$x := abbrevboth 5000 100000 $s}}{{end}}", STEPS),
    ("error-of-a-large-text", "{{fail $s}}", Refused("ab ab")),
    ("required-with-a-large-text", "{{required $s nil}}", Refused("ab ab")),
];

/// Templates alone.
const PLAIN: &[Story] = &[
    (
        "include-of-itself",
        "{{define \"x\"}}{{include \"x\" .}}{{end}}{{include \"x\" .}}",
        Refused("rendering template has a nested reference name"),
    ),
    ("template-of-itself", "{{define \"x\"}}{{template \"x\" .}}{{end}}{{template \"x\" .}}", DEPTH),
    (
        "includes-of-each-other",
        "{{define \"x\"}}{{include \"y\" .}}{{end}}{{define \"y\"}}{{include \"x\" .}}{{end}}{{include \"x\" .}}",
        Refused("rendering template has a nested reference name"),
    ),
    ("tpl-of-itself", "{{$_ := set .Values \"t\" \"{{tpl .Values.t .}}\"}}{{tpl .Values.t .}}", DEPTH),
    (
        "tpl-that-defines",
        "{{$_ := set .Values \"t\" \"{{define \\\"x\\\"}}{{tpl .Values.t .}}{{end}}{{include \\\"x\\\" .}}\"}}{{tpl .Values.t .}}",
        Refused("rendering template has a nested reference name"),
    ),
    (
        "ranges-within-each-other",
        "{{range until 900000}}{{range until 900000}}{{range until 900000}}{{end}}{{end}}{{end}}",
        STEPS,
    ),
    ("range-over-a-number", "{{range 9223372036854775807}}{{end}}", STEPS),
    (
        "branching-recursion",
        "{{define \"x\"}}{{if gt . 0}}{{template \"x\" (sub . 1)}}{{template \"x\" (sub . 1)}}{{end}}{{end}}{{template \"x\" 200}}",
        STEPS,
    ),
    ("until-too-many", "{{until 99999999999}}", Refused("a sequence of more than 1000000 numbers")),
    (
        "until-step-too-many",
        "{{untilStep 0 9223372036854775807 1}}",
        Refused("a sequence of more than 1000000 numbers"),
    ),
    ("seq-too-many", "{{seq 0 9223372036854775807}}", Rendered),
    ("sequences-kept", "{{$l := list}}{{range until 1000}}{{$l = append $l (until 1000000)}}{{end}}", STEPS),
    ("repeat-too-often", "{{repeat 9223372036854775807 \"ab\"}}", TOO_LONG),
    ("indent-too-far", "{{indent 9223372036854775807 \"ab\"}}", TOO_LONG),
    ("nindent-too-far", "{{nindent 99999999999 \"ab\"}}", TOO_LONG),
    ("printf-too-wide", "{{printf \"%999999999d\" 1}}", Refused("could not find expected directive name")),
    ("printf-of-width", "{{printf \"%*d\" 99999999 1}}", Refused("could not find expected directive name")),
    ("printf-in-a-loop", "{{range until 900000}}{{printf \"%999999d\" 1}}{{end}}", OUTPUT),
    ("doubled-text", "{{$x := \"x\"}}{{range until 100}}{{$x = print $x $x}}{{end}}", OUTPUT),
    (
        "output-in-a-loop",
        "{{range until 900000}}0123456789012345678901234567890123456789{{end}}{{range until 900000}}0123456789012345678901234567890123456789{{end}}",
        OUTPUT,
    ),
    (
        "included-output",
        "{{define \"x\"}}{{repeat 1000000 \"x\"}}{{end}}{{range until 900000}}{{$_ := include \"x\" .}}{{end}}",
        OUTPUT,
    ),
    ("texts-kept", "{{$l := list}}{{range until 900000}}{{$l = append $l (repeat 100000 \"x\")}}{{end}}", STEPS),
    ("rsa-keys", "{{range until 1000}}{{genPrivateKey \"rsa\"}}{{end}}", STEPS),
    ("dsa-keys", "{{range until 1000}}{{genPrivateKey \"dsa\"}}{{end}}", STEPS),
    ("ecdsa-keys", "{{range until 900000}}{{$x := genPrivateKey \"ecdsa\"}}{{end}}", STEPS),
    ("ed25519-keys", "{{range until 900000}}{{$x := genPrivateKey \"ed25519\"}}{{end}}", STEPS),
    ("certificates", "{{range until 1000}}{{$x := genCA \"ca\" 365}}{{end}}", STEPS),
    (
        "certificates-with-many-names",
        "{{$x := genSelfSignedCert \"a\" (list) (splitList \",\" (repeat 1000000 \"a,\")) 365}}",
        Refused("wrong type for value; expected []interface {}; got []string"),
    ),
    (
        "certificates-of-a-thousand-names",
        "{{$l := concat (list) (splitList \",\" (repeat 1000 \"a,\"))}}{{range until 900000}}{{$x := genSelfSignedCert \"a\" (list) $l 365}}{{end}}",
        STEPS,
    ),
    ("bcrypt", "{{range until 1000}}{{$x := bcrypt \"a\"}}{{end}}", STEPS),
    ("htpasswd", "{{range until 1000}}{{$x := htpasswd \"a\" \"b\"}}{{end}}", STEPS),
    ("derived-passwords", "{{range until 1000}}{{$x := derivePassword 1 \"long\" \"a\" \"b\" \"c\"}}{{end}}", STEPS),
    ("encryption", "{{$s := repeat 1000000 \"x\"}}{{range until 900000}}{{$x := encryptAES \"k\" $s}}{{end}}", STEPS),
    ("random-text", "{{range until 900000}}{{$x := randAlphaNum 1000000}}{{end}}", STEPS),
    ("random-text-too-long", "{{randAscii 99999999999}}", Refused("a random text of more than 1048576 bytes")),
    (
        "lookups",
        "{{range until 900000}}{{$x := lookup \"v1\" \"Secret\" \"\" \"\"}}{{end}}{{fail \"done\"}}",
        Refused("execution error at (web/templates/a.yaml:1:67): done"),
    ),
    (
        "host-names",
        "{{range until 900000}}{{$x := getHostByName \"example.com\"}}{{end}}{{fail \"done\"}}",
        Refused("execution error at (web/templates/a.yaml:1:68): done"),
    ),
    ("environment", "{{env \"PATH\"}}", Refused("function \"env\" not defined")),
    ("expanded-environment", "{{expandenv \"$PATH\"}}", Refused("function \"expandenv\" not defined")),
    ("files-outside", "{{.Files.Get \"../../../etc/passwd\"}}{{.Files.Get \"/etc/passwd\"}}a: b", Rendered),
    (
        "glob-with-many-stars",
        "{{range until 900000}}{{$x := $.Files.Glob \"**/*{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}\"}}{{end}}",
        STEPS,
    ),
    (
        "glob-of-many-braces",
        "{{.Files.Glob (repeat 100000 \"{a,b}\")}}",
        Refused("the pattern is longer than 4096 bytes"),
    ),
    ("glob-of-nested-braces", "{{.Files.Glob (repeat 1000 \"{a,\")}}", Refused("braces nested deeper than 32 levels")),
    (
        "glob-of-deep-braces",
        "{{.Files.Glob (print (repeat 100000 \"{a,\") \"b\" (repeat 100000 \"}\"))}}",
        Refused("the pattern is longer than 4096 bytes"),
    ),
    ("regex-too-large", "{{regexMatch \"((a{1,100}){1,100}){1,100}\" \"b\"}}", A_BOOL),
    (
        "regex-of-large-classes",
        "{{regexMatch \"(\\\\pL{1,1000}\\\\pN{1,1000}){1}\" \"b\"}}",
        Refused("error parsing regexp: expression too large"),
    ),
    (
        "regex-of-a-megabyte",
        "{{regexMatch (repeat 1000000 \"a\") \"b\"}}",
        Refused("error parsing regexp: expression too large"),
    ),
    (
        "deep-regex",
        "{{regexMatch (print (repeat 100000 \"(\") (repeat 100000 \")\")) \"b\"}}",
        Refused("error parsing regexp: expression nests too deeply"),
    ),
    ("regex-of-itself", "{{regexMatch \"^(([a-z])+.)+[A-Z]([a-z])+$\" (repeat 1000000 \"a\")}}", A_BOOL),
    (
        "constraints",
        "{{semverCompare (repeat 100000 \">1.0.0 \") \"1.2.3\"}}",
        Refused("constraint string is too long (max 512 bytes)"),
    ),
    ("versions", "{{semver (repeat 1000000 \"1.\")}}", Refused("version string is too long (max 256 bytes)")),
    (
        "nan-and-infinity",
        "{{int64 (div 1.0 0.5)}}{{int (mulf 1e308 1e308)}}{{floor (divf 0.0 0.0)}}{{round 1e308 400}}",
        Refused("runtime error: integer divide by zero"),
    ),
    ("infinities", "{{int (mulf 1e308 1e308)}}{{floor 1e308}}{{round 1e308 400}}", A_STRING),
    ("division-by-zero", "{{div 1 0}}", Refused("runtime error: integer divide by zero")),
    ("smallest-by-minus-one", "{{div -9223372036854775808 -1}}{{mod -9223372036854775808 -1}}", A_NUMBER),
    (
        "sums-that-overflow",
        "{{add 9223372036854775807 1}}{{mul 9223372036854775807 9223372036854775807}}{{sub -9223372036854775808 1}}",
        A_NUMBER,
    ),
    (
        "durations",
        "{{duration \"9223372036854775807\"}}{{durationRound \"99999999999999h\"}}{{ago (toDate \"2006\" \"0001\")}}",
        A_STRING,
    ),
    (
        "dates",
        "{{dateInZone \"2006\" (toDate \"2006-01-02\" \"9999-12-31\") \"Nowhere/Else\"}}{{dateModify \"9223372036854775807h\" now}}",
        A_STRING,
    ),
    ("date-layouts", "{{date (repeat 500000 \"Monday January .000000000 \") now | len}}", STEPS),
    ("numbers-of-json", "{{fromJson \"{\\\"a\\\": 1e999999999999}\"}}", Rendered),
    ("decimals", "{{addf (repeat 1000000 \"9\") 1e300 1e-300}}{{round 1e300 1000000}}", A_STRING),
    (
        "index-out-of-range",
        "{{index (list 1) 9223372036854775807}}",
        Refused("index out of range: 9223372036854775807"),
    ),
    ("slice-out-of-range", "{{slice (list 1 2) 9223372036854775807 -1}}", Refused("slice index out of bounds")),
    (
        "substr-out-of-range",
        "{{substr 9223372036854775807 9223372036854775807 \"abc\"}}",
        Refused("runtime error: slice bounds out of range"),
    ),
    (
        "abbreviations",
        "{{abbrev 9223372036854775807 \"abc\"}}{{abbrevboth 9223372036854775807 9223372036854775807 \"abc\"}}{{trunc -9223372036854775808 \"abc\"}}",
        A_STRING,
    ),
    ("wrap-too-wide", "{{wrap 9223372036854775807 \"a b c\"}}{{wrapWith -1 \"x\" \"a b c\"}}", A_STRING),
    ("splits", "{{splitn \",\" 9223372036854775807 \"a,b\"}}{{splitn \"\" -9223372036854775808 \"a\"}}", A_STRING),
    (
        "chunks",
        "{{chunk 9223372036854775807 (list 1 2)}}{{chunk 0 (list 1 2)}}",
        Refused("runtime error: makeslice: len out of range"),
    ),
    ("urls", "{{urlJoin (urlParse (repeat 1000000 \"http://a/\"))}}", A_STRING),
    (
        "manifest-of-an-alias-bomb",
        "apiVersion: v1\nkind: List\na0: &a0 [x, x, x, x, x, x, x, x, x]\n{{range $i := untilStep 1 60 1}}a{{$i}}: &a{{$i}} [{{range until 9}}*a{{sub $i 1}}, {{end}}]\n{{end}}",
        Refused("document contains excessive aliasing"),
    ),
    ("manifest-of-deep-lists", "a: {{repeat 1000000 \"[\"}}", Refused("exceeded max depth of 500")),
    ("manifest-of-a-long-line", "a: {{repeat 5000000 \"x \"}}", Rendered),
    ("many-manifests", "{{range until 900000}}---\na: b\n{{end}}", Rendered),
    ("many-items", "a:\n{{range until 900000}}- []\n{{end}}", Refused("document has more than 500000 nodes")),
    (
        "many-hooks",
        "{{range until 20000}}---\nkind: Job\nmetadata:\n  name: a\n  annotations:\n    helm.sh/hook: pre-install\n{{end}}",
        Rendered,
    ),
];

/// The texts of so many numbers.
pub(super) fn numbered(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect::<Vec<_>>().concat()
}

/// Sources that nest.
fn nested() -> Vec<Case> {
    let too_deep = Refused("max expression depth exceeded");
    vec![
        Case::new("deep-parentheses", || chart(format!("{{{{{}", "(".repeat(1 << 20))), too_deep),
        Case::new("deep-blocks-of-source", || chart("{{if true}}".repeat(200_000)), too_deep),
        Case::new("deep-else", || chart("{{if true}}{{else if true}}".repeat(100_000)), too_deep),
        Case::new("long-pipeline", || chart(format!("{{{{1{}}}}}", " | print".repeat(1 << 20))), TOKENS),
        Case::new("many-arguments", || chart(format!("{{{{list{}}}}}", " 1".repeat(1 << 20))), TOKENS),
        Case::new(
            "long-field",
            || chart(format!("{{{{.a{}}}}}", ".a".repeat(1 << 20))),
            Refused("nil pointer evaluating interface {}.a"),
        ),
        Case::new("long-comment", || chart(format!("{{{{/*{}", "x".repeat(10 << 20))), Refused("unclosed comment")),
        Case::new("long-string", || chart(format!("a: {{{{\"{}\"}}}}", "x".repeat(10 << 20))), Rendered),
        Case::new(
            "many-definitions",
            || chart("{{define \"x\"}}x{{end}}".repeat(200_000)),
            Refused("multiple definition of template \"x\""),
        ),
        Case::new(
            "many-variables",
            || chart("{{$x := 1}}".repeat(400_000)),
            Refused("template has more than 10000 variables in sight"),
        ),
        Case::new(
            "many-definitions-of-their-own",
            || chart(numbered(80_000, |index| format!("{{{{define \"x{index}\"}}}}x{{{{end}}}}"))),
            TOKENS,
        ),
        Case::new(
            "many-variables-of-their-own",
            || chart(numbered(90_000, |index| format!("{{{{$x{index} := 1}}}}"))),
            Refused("template has more than 10000 variables in sight"),
        ),
        Case::new(
            "far-variables",
            || {
                let declared = numbered(9_000, |index| format!("{{{{$x{index} := 1}}}}"));
                chart(declared + "{{range until 900000}}{{if $x0}}{{end}}{{end}}")
            },
            STEPS,
        ),
        Case::new("many-braces", || chart("{{".repeat(1 << 20)), Refused("unexpected \"{\" in command")),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let plain = PLAIN.iter().map(|(name, template, expected)| Case::new(name, move || chart(template), *expected));
    let shaped = SHAPED
        .iter()
        .map(|(name, template, expected)| Case::new(name, move || chart(format!("{SHAPES}{template}")), *expected));
    nested().into_iter().chain(plain).chain(shaped).collect()
}
