//! Templates that never end, grow, or contain themselves.

use super::Case;
use super::Expected::{self, Refused, Rendered, Somehow};
use super::archives::Pack;

/// A template, what the error must say, and what it is called.
type Story = (&'static str, &'static str, Expected);

fn chart(template: impl AsRef<[u8]>) -> (Vec<u8>, String) {
    (Pack::chart().file("web/templates/a.yaml", template).tgz(), String::new())
}

const STEPS: Expected = Refused("too many evaluation steps");
const DEPTH: Expected = Refused("exceeded maximum template depth");

/// `$d` contains itself; `$t` is a tree of 2^100 leaves, made of 100 lists.
const SHAPES: &str = "{{$d := dict \"a\" 1}}{{$_ := set $d \"self\" $d}}{{$e := dict \"a\" 1}}{{$_ = set $e \"self\" $e}}\
{{$t := list 1}}{{range until 100}}{{$t = list $t $t}}{{end}}{{$u := list 1}}{{range until 100}}{{$u = list $u $u}}{{end}}\
{{$m := dict \"a\" 1}}{{range until 100}}{{$m = dict \"a\" $m \"b\" $m}}{{end}}\
{{$n := dict \"b\" 1}}{{range until 100}}{{$n = dict \"a\" $n \"b\" $n}}{{end}}\
{{$deep := list}}{{range until 50000}}{{$deep = list $deep}}{{end}}\
{{$s := repeat 300000 \"ab \"}}{{$big := until 100000}}";

/// Work on the values of [`SHAPES`].
const SHAPED: &[Story] = &[
    ("yaml-of-itself", "{{toYaml $d}}", Somehow),
    ("json-of-itself", "{{mustToJson $d}}", Refused("cycle")),
    ("toml-of-itself", "{{mustToToml $d}}", Refused("")),
    ("print-of-itself", "{{print $d}}", Refused("")),
    ("copy-of-itself", "{{deepCopy $d}}", Refused("")),
    ("merge-of-itself", "{{merge $d $e}}", Refused("")),
    ("equality-of-itself", "{{deepEqual $d $e}}", Somehow),
    ("text-of-itself", "{{toString $d}}", Refused("")),
    ("yaml-of-a-tree", "{{toYaml $t}}", Refused("")),
    ("pretty-yaml-of-a-tree", "{{toYamlPretty $t}}", Refused("")),
    ("json-of-a-tree", "{{toJson $t}}", Refused("")),
    ("toml-of-a-tree", "{{toToml $m}}", Refused("")),
    ("print-of-a-tree", "{{print $t}}", Refused("")),
    ("join-of-a-tree", "{{join \",\" (list $t $t $t)}}", Refused("")),
    ("sort-of-a-tree", "{{sortAlpha (list $t $t $t)}}", Refused("")),
    ("copy-of-a-tree", "{{deepCopy $t}}", Refused("")),
    ("copy-of-a-tree-of-maps", "{{mustDeepCopy $m}}", Refused("")),
    ("merge-of-trees", "{{merge $m $n}}", Refused("")),
    ("overwrite-of-trees", "{{mergeOverwrite $m $n}}", Refused("")),
    ("equality-of-trees", "{{deepEqual $t $u}}", Refused("")),
    ("equality-of-trees-of-maps", "{{deepEqual $m $n}}", Refused("")),
    ("has-a-tree", "{{has $t (list $u)}}", Refused("")),
    ("without-a-tree", "{{without (list $t) $u}}", Refused("")),
    ("distinct-trees", "{{uniq (list $t $u)}}", Refused("")),
    ("yaml-of-deep-values", "{{toYaml $deep}}", Somehow),
    ("json-of-deep-values", "{{mustToJson $deep}}", Refused("")),
    ("copy-of-deep-values", "{{deepCopy $deep}}", Refused("deeper than")),
    ("equality-of-deep-values", "{{deepEqual $deep (list $deep)}}", Somehow),
    ("print-of-deep-values", "{{printf \"%v\" $deep}}", Refused("")),
    ("upper-in-a-loop", "{{range $big}}{{$x := upper $s}}{{end}}", STEPS),
    ("title-in-a-loop", "{{range $big}}{{$x := title $s}}{{end}}", STEPS),
    ("snakecase-in-a-loop", "{{range $big}}{{$x := snakecase $s}}{{end}}", STEPS),
    ("camelcase-of-large-text", "{{$x := camelcase $s}}{{len $x}}", Somehow),
    ("contains-in-a-loop", "{{range $big}}{{$x := contains \"zz\" $s}}{{end}}", STEPS),
    ("contains-half-of-a-text", "{{contains (print (repeat 100000 \"a\") \"b\") (repeat 3000000 \"a\")}}", Somehow),
    ("equality-in-a-loop", "{{range $big}}{{$x := eq $s (print $s)}}{{end}}", STEPS),
    ("length-in-a-loop", "{{range $big}}{{$x := len (trim $s)}}{{end}}", STEPS),
    ("trim-many-letters", "{{trimAll $s (repeat 900000 \"x\")}}", Refused("")),
    ("hash-in-a-loop", "{{range $big}}{{$x := sha256sum $s}}{{end}}", STEPS),
    ("adler-in-a-loop", "{{range $big}}{{$x := adler32sum $s}}{{end}}", STEPS),
    ("base64-in-a-loop", "{{range $big}}{{$s = b64enc $s}}{{end}}", Refused("")),
    ("base32-in-a-loop", "{{range $big}}{{$s = b32enc $s}}{{end}}", Refused("")),
    ("decode-in-a-loop", "{{$b := b64enc $s}}{{range $big}}{{$x := b64dec $b}}{{end}}", STEPS),
    ("split-large-text", "{{range $big}}{{$x := splitList \"\" $s}}{{end}}", Refused("")),
    ("split-to-a-map", "{{range $big}}{{$x := split \"\" $s}}{{end}}", Refused("")),
    ("replace-everything", "{{replace \"\" (repeat 1000 \"x\") $s}}", Refused("longer than")),
    ("replace-in-a-loop", "{{range $big}}{{$s = replace \"a\" \"aa\" $s}}{{end}}", Somehow),
    ("wrap-every-letter", "{{wrapWith 1 (repeat 100000 \"x\") $s}}", Refused("longer than")),
    ("cat-of-texts", "{{range $big}}{{$s = cat $s $s}}{{end}}", Refused("")),
    ("quote-in-a-loop", "{{range $big}}{{$s = quote $s}}{{end}}", Refused("")),
    ("json-text-in-a-loop", "{{range $big}}{{$s = toJson $s}}{{end}}", Refused("")),
    ("yaml-text-in-a-loop", "{{range $big}}{{$s = toYaml $s}}{{end}}", Refused("")),
    ("html-in-a-loop", "{{range $big}}{{$s = html $s}}{{end}}", Refused("")),
    ("urlquery-in-a-loop", "{{range $big}}{{$s = urlquery $s}}{{end}}", Refused("")),
    ("append-in-a-loop", "{{$l := list}}{{range $big}}{{$l = append $l .}}{{end}}", STEPS),
    (
        "concat-doubles",
        "{{$l := list 1}}{{range until 60}}{{$l = concat $l $l}}{{end}}",
        Refused("a list of more than"),
    ),
    ("has-in-a-loop", "{{range $big}}{{$x := has -1 $big}}{{end}}", STEPS),
    ("without-in-a-loop", "{{range $big}}{{$x := without $big -1}}{{end}}", STEPS),
    ("uniq-of-a-long-list", "{{$x := uniq $big}}", Refused("distinct")),
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
    ("large-map", "{{$m := dict}}{{range $i := $big}}{{$_ := set $m (printf \"%01000d\" $i) $i}}{{end}}", Somehow),
    ("join-in-a-loop", "{{range $big}}{{$x := join \",\" $big}}{{end}}", STEPS),
    ("maximum-of-many", "{{range $big}}{{$x := toStrings $big}}{{end}}", STEPS),
    ("repeat-everything", "{{repeat 4000000000 $s}}", Refused("longer than")),
    ("indent-every-line", "{{indent 1000000 (repeat 1000000 \"\\n\")}}", Refused("longer than")),
    ("substr-of-large-text", "{{range $big}}{{$x := substr 1 -1 $s}}{{end}}", STEPS),
    ("regex-in-a-loop", "{{range $big}}{{$x := regexMatch \"(a|b|ab)*c\" $s}}{{end}}", STEPS),
    ("regex-finds-quadratically", "{{regexFindAll \"[^z]*z|a\" (repeat 1000000 \"ab\") -1 | len}}", Refused("")),
    (
        "regex-of-large-text",
        "{{regexReplaceAll \"(a)(b)?\" (repeat 1000000 \"ab\") \"$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2$1$2\" | len}}",
        Refused(""),
    ),
    ("regex-with-many-states", "{{regexMatch \"(a?){1000}a{1000}b\" (repeat 1000000 \"a\")}}", Refused("")),
    (
        "regexes-by-thousands",
        "{{range $big}}{{$x := regexMatch (printf \"(\\\\pL{1,100}|%d){1,10}\" .) \"b\"}}{{end}}",
        Refused(""),
    ),
    ("template-of-large-text", "{{range $big}}{{$x := tpl (repeat 400000 \"{{1}}\") $}}{{end}}", Refused("")),
    ("template-without-actions", "{{range $big}}{{$x := tpl $s $}}{{end}}", Refused("")),
    (
        "yaml-of-large-text",
        "{{$x := fromYaml (printf \"a: [%s]\" (repeat 5000000 \"[],\"))}}{{get $x \"Error\"}}",
        Refused(""),
    ),
    (
        "json-of-large-text",
        "{{$x := fromJson (printf \"{\\\"a\\\": [%s 1]}\" (repeat 5000000 \"[],\"))}}{{get $x \"Error\"}}",
        Refused(""),
    ),
    (
        "toml-of-large-text",
        "{{$x := fromToml (printf \"a = [%s]\" (repeat 5000000 \"[],\"))}}{{get $x \"Error\"}}",
        Refused(""),
    ),
    ("documents-in-a-loop", "{{$y := toYaml (until 10000)}}{{range $big}}{{$x := fromYamlArray $y}}{{end}}", STEPS),
    ("dates-in-a-loop", "{{range $big}}{{$x := date $s now}}{{end}}", Refused("")),
    ("shuffle-in-a-loop", "{{range $big}}{{$x := shuffle $s}}{{end}}", Refused("")),
    ("levenshtein-abbreviations", "{{range $big}}{{$x := abbrevboth 5000 100000 $s}}{{end}}", STEPS),
    ("error-of-a-large-text", "{{fail $s}}", Refused("ab ab")),
    ("required-with-a-large-text", "{{required $s nil}}", Refused("ab ab")),
];

/// Templates alone.
const PLAIN: &[Story] = &[
    (
        "include-of-itself",
        "{{define \"x\"}}{{include \"x\" .}}{{end}}{{include \"x\" .}}",
        Refused("nested reference name"),
    ),
    ("template-of-itself", "{{define \"x\"}}{{template \"x\" .}}{{end}}{{template \"x\" .}}", DEPTH),
    (
        "includes-of-each-other",
        "{{define \"x\"}}{{include \"y\" .}}{{end}}{{define \"y\"}}{{include \"x\" .}}{{end}}{{include \"x\" .}}",
        Refused("nested reference name"),
    ),
    ("tpl-of-itself", "{{$_ := set .Values \"t\" \"{{tpl .Values.t .}}\"}}{{tpl .Values.t .}}", DEPTH),
    (
        "tpl-that-defines",
        "{{$_ := set .Values \"t\" \"{{define \\\"x\\\"}}{{tpl .Values.t .}}{{end}}{{include \\\"x\\\" .}}\"}}{{tpl .Values.t .}}",
        Refused(""),
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
    ("until-too-many", "{{until 99999999999}}", Refused("sequence of more than")),
    ("until-step-too-many", "{{untilStep 0 9223372036854775807 1}}", Refused("sequence of more than")),
    ("seq-too-many", "{{seq 0 9223372036854775807}}", Somehow),
    ("sequences-kept", "{{$l := list}}{{range until 1000}}{{$l = append $l (until 1000000)}}{{end}}", STEPS),
    ("repeat-too-often", "{{repeat 9223372036854775807 \"ab\"}}", Refused("longer than")),
    ("indent-too-far", "{{indent 9223372036854775807 \"ab\"}}", Refused("longer than")),
    ("nindent-too-far", "{{nindent 99999999999 \"ab\"}}", Refused("longer than")),
    ("printf-too-wide", "{{printf \"%999999999d\" 1}}", Somehow),
    ("printf-of-width", "{{printf \"%*d\" 99999999 1}}", Somehow),
    ("printf-in-a-loop", "{{range until 900000}}{{printf \"%999999d\" 1}}{{end}}", Refused("too much")),
    ("doubled-text", "{{$x := \"x\"}}{{range until 100}}{{$x = print $x $x}}{{end}}", Refused("too")),
    (
        "output-in-a-loop",
        "{{range until 900000}}0123456789012345678901234567890123456789{{end}}{{range until 900000}}0123456789012345678901234567890123456789{{end}}",
        Refused("too much output"),
    ),
    (
        "included-output",
        "{{define \"x\"}}{{repeat 1000000 \"x\"}}{{end}}{{range until 900000}}{{$_ := include \"x\" .}}{{end}}",
        Refused("too"),
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
        Refused(""),
    ),
    ("bcrypt", "{{range until 1000}}{{$x := bcrypt \"a\"}}{{end}}", STEPS),
    ("htpasswd", "{{range until 1000}}{{$x := htpasswd \"a\" \"b\"}}{{end}}", STEPS),
    ("derived-passwords", "{{range until 1000}}{{$x := derivePassword 1 \"long\" \"a\" \"b\" \"c\"}}{{end}}", STEPS),
    ("encryption", "{{$s := repeat 1000000 \"x\"}}{{range until 900000}}{{$x := encryptAES \"k\" $s}}{{end}}", STEPS),
    ("random-text", "{{range until 900000}}{{$x := randAlphaNum 1000000}}{{end}}", STEPS),
    ("random-text-too-long", "{{randAscii 99999999999}}", Refused("random text of more than")),
    (
        "lookups",
        "{{range until 900000}}{{$x := lookup \"v1\" \"Secret\" \"\" \"\"}}{{end}}{{fail \"done\"}}",
        Refused(""),
    ),
    (
        "host-names",
        "{{range until 900000}}{{$x := getHostByName \"example.com\"}}{{end}}{{fail \"done\"}}",
        Refused(""),
    ),
    ("environment", "{{env \"PATH\"}}", Refused("function \"env\" not defined")),
    ("expanded-environment", "{{expandenv \"$PATH\"}}", Refused("function \"expandenv\" not defined")),
    ("files-outside", "{{.Files.Get \"../../../etc/passwd\"}}{{.Files.Get \"/etc/passwd\"}}a: b", Rendered),
    (
        "glob-with-many-stars",
        "{{range until 900000}}{{$x := $.Files.Glob \"**/*{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}\"}}{{end}}",
        Somehow,
    ),
    ("glob-of-many-braces", "{{.Files.Glob (repeat 100000 \"{a,b}\")}}", Refused("")),
    ("glob-of-deep-braces", "{{.Files.Glob (print (repeat 100000 \"{a,\") \"b\" (repeat 100000 \"}\"))}}", Refused("")),
    ("regex-too-large", "{{regexMatch \"((a{1,100}){1,100}){1,100}\" \"b\"}}", Somehow),
    ("regex-of-large-classes", "{{regexMatch \"(\\\\pL{1,1000}\\\\pN{1,1000}){1}\" \"b\"}}", Somehow),
    ("regex-of-a-megabyte", "{{regexMatch (repeat 1000000 \"a\") \"b\"}}", Somehow),
    ("deep-regex", "{{regexMatch (print (repeat 100000 \"(\") (repeat 100000 \")\")) \"b\"}}", Somehow),
    ("regex-of-itself", "{{regexMatch \"^(([a-z])+.)+[A-Z]([a-z])+$\" (repeat 1000000 \"a\")}}", Somehow),
    ("constraints", "{{semverCompare (repeat 100000 \">1.0.0 \") \"1.2.3\"}}", Refused("")),
    ("versions", "{{semver (repeat 1000000 \"1.\")}}", Refused("")),
    (
        "nan-and-infinity",
        "{{int64 (div 1.0 0.5)}}{{int (mulf 1e308 1e308)}}{{floor (divf 0.0 0.0)}}{{round 1e308 400}}",
        Refused(""),
    ),
    ("division-by-zero", "{{div 1 0}}", Refused("")),
    ("smallest-by-minus-one", "{{div -9223372036854775808 -1}}{{mod -9223372036854775808 -1}}", Somehow),
    (
        "sums-that-overflow",
        "{{add 9223372036854775807 1}}{{mul 9223372036854775807 9223372036854775807}}{{sub -9223372036854775808 1}}",
        Somehow,
    ),
    (
        "durations",
        "{{duration \"9223372036854775807\"}}{{durationRound \"99999999999999h\"}}{{ago (toDate \"2006\" \"0001\")}}",
        Refused(""),
    ),
    (
        "dates",
        "{{dateInZone \"2006\" (toDate \"2006-01-02\" \"9999-12-31\") \"Nowhere/Else\"}}{{dateModify \"9223372036854775807h\" now}}",
        Refused(""),
    ),
    ("date-layouts", "{{date (repeat 1000000 \"Monday January .000000000 \") now | len}}", Refused("")),
    ("numbers-of-json", "{{fromJson \"{\\\"a\\\": 1e999999999999}\"}}", Rendered),
    ("decimals", "{{addf (repeat 1000000 \"9\") 1e300 1e-300}}{{round 1e300 1000000}}", Refused("")),
    ("index-out-of-range", "{{index (list 1) 9223372036854775807}}", Refused("out of range")),
    ("slice-out-of-range", "{{slice (list 1 2) 9223372036854775807 -1}}", Refused("out of bounds")),
    ("substr-out-of-range", "{{substr 9223372036854775807 9223372036854775807 \"abc\"}}", Refused("")),
    (
        "abbreviations",
        "{{abbrev 9223372036854775807 \"abc\"}}{{abbrevboth 9223372036854775807 9223372036854775807 \"abc\"}}{{trunc -9223372036854775808 \"abc\"}}",
        Somehow,
    ),
    ("wrap-too-wide", "{{wrap 9223372036854775807 \"a b c\"}}{{wrapWith -1 \"x\" \"a b c\"}}", Somehow),
    ("splits", "{{splitn \",\" 9223372036854775807 \"a,b\"}}{{splitn \"\" -9223372036854775808 \"a\"}}", Somehow),
    ("chunks", "{{chunk 9223372036854775807 (list 1 2)}}{{chunk 0 (list 1 2)}}", Refused("")),
    ("urls", "{{urlJoin (urlParse (repeat 1000000 \"http://a/\"))}}", Refused("")),
    (
        "manifest-of-an-alias-bomb",
        "apiVersion: v1\nkind: List\na0: &a0 [x, x, x, x, x, x, x, x, x]\n{{range untilStep 1 60 1}}a{{.}}: &a{{.}} [{{range until 9}}*a{{sub . 0}}, {{end}}]\n{{end}}",
        Refused(""),
    ),
    ("manifest-of-deep-lists", "a: {{repeat 1000000 \"[\"}}", Refused("max depth")),
    ("manifest-of-a-long-line", "a: {{repeat 10000000 \"x \"}}", Somehow),
    ("many-manifests", "{{range until 900000}}---\na: b\n{{end}}", Somehow),
    ("many-items", "a:\n{{range until 900000}}- []\n{{end}}", Somehow),
    (
        "many-hooks",
        "{{range until 20000}}---\nkind: Job\nmetadata:\n  name: a\n  annotations:\n    helm.sh/hook: pre-install\n{{end}}",
        Rendered,
    ),
];

/// The texts of so many numbers.
fn numbered(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect::<Vec<_>>().concat()
}

/// Sources that nest.
fn nested() -> Vec<Case> {
    let too_deep = Refused("max expression depth exceeded");
    vec![
        Case::new("deep-parentheses", || chart(format!("{{{{{}", "(".repeat(1 << 20))), too_deep),
        Case::new("deep-blocks-of-source", || chart("{{if true}}".repeat(200_000)), too_deep),
        Case::new("deep-else", || chart("{{if true}}{{else if true}}".repeat(100_000)), too_deep),
        Case::new("long-pipeline", || chart(format!("{{{{1{}}}}}", " | print".repeat(1 << 20))), Refused("")),
        Case::new("many-arguments", || chart(format!("{{{{list{}}}}}", " 1".repeat(1 << 20))), Refused("")),
        Case::new("long-field", || chart(format!("{{{{.a{}}}}}", ".a".repeat(1 << 20))), Refused("")),
        Case::new("long-comment", || chart(format!("{{{{/*{}", "x".repeat(10 << 20))), Refused("unclosed comment")),
        Case::new("long-string", || chart(format!("a: {{{{\"{}\"}}}}", "x".repeat(10 << 20))), Somehow),
        Case::new("many-definitions", || chart("{{define \"x\"}}x{{end}}".repeat(200_000)), Refused("")),
        Case::new("many-variables", || chart("{{$x := 1}}".repeat(400_000)), Refused("")),
        Case::new(
            "many-definitions-of-their-own",
            || chart(numbered(80_000, |index| format!("{{{{define \"x{index}\"}}}}x{{{{end}}}}"))),
            Somehow,
        ),
        Case::new(
            "many-variables-of-their-own",
            || chart(numbered(90_000, |index| format!("{{{{$x{index} := 1}}}}"))),
            Refused("variables in sight"),
        ),
        Case::new(
            "far-variables",
            || {
                let declared = numbered(9_000, |index| format!("{{{{$x{index} := 1}}}}"));
                chart(declared + "{{range until 900000}}{{if $x0}}{{end}}{{end}}")
            },
            STEPS,
        ),
        Case::new("many-braces", || chart("{{".repeat(1 << 20)), Refused("")),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let plain = PLAIN.iter().map(|(name, template, expected)| Case::new(name, move || chart(template), *expected));
    let shaped = SHAPED
        .iter()
        .map(|(name, template, expected)| Case::new(name, move || chart(format!("{SHAPES}{template}")), *expected));
    nested().into_iter().chain(plain).chain(shaped).collect()
}
