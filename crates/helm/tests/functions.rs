//! Template functions against the answers of Helm 4.3.1 (recorded by `oracle/functions`), one test per area.
//!
//! `UPDATE=1 cargo test -p helm --test functions` records anew; it needs Go.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use gotmpl::{Functions, Interp, Limits, TemplateSet, Value};
use helm::engine::{Host, NoLookup};
use x509_parser::certificate::X509Certificate;

/// Mismatches shown of one area.
const SHOWN: usize = 40;

/// What one expression gave.
#[derive(PartialEq)]
struct Answer {
    output: Vec<u8>,
    error: Option<Vec<u8>>,
}

struct Vector {
    expression: String,
    answer: Answer,
}

struct Vectors {
    data: Vec<u8>,
    areas: BTreeMap<String, Vec<Vector>>,
}

fn decoded(text: &str) -> Vec<u8> {
    match text.strip_prefix('\0') {
        Some(encoded) => STANDARD.decode(encoded).expect("the oracle writes base64 behind a NUL"),
        None => text.as_bytes().to_vec(),
    }
}

/// Runs the oracle and keeps what it prints.
fn record(path: &Path, oracle: &Path) {
    let output = Command::new("go").args(["run", "."]).current_dir(oracle).output().expect("Go is installed");
    assert!(output.status.success(), "the oracle fails: {}", String::from_utf8_lossy(&output.stderr));
    let file = std::fs::File::create(path).expect("the vectors can be written");
    let mut encoder = GzEncoder::new(file, Compression::best());
    encoder.write_all(&output.stdout).expect("the vectors can be written");
    encoder.finish().expect("the vectors can be written");
}

static VECTORS: LazyLock<Vectors> = LazyLock::new(|| {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let path = tests.join("vectors/functions.jsonl.gz");
    if std::env::var_os("UPDATE").is_some() {
        record(&path, &tests.join("oracle/functions"));
    }
    let file = std::fs::File::open(&path).expect("the vectors are recorded");
    let mut lines = String::new();
    GzDecoder::new(file).read_to_string(&mut lines).expect("the vectors are gzipped UTF-8");
    let mut vectors = Vectors { data: Vec::new(), areas: BTreeMap::new() };
    for line in lines.lines() {
        let columns: Vec<String> = serde_json::from_str(line).expect("a line is an array of strings");
        let mut columns = columns.into_iter();
        let [area, expression] =
            [columns.next(), columns.next()].map(|column| column.expect("a line has an area and a text"));
        match columns.next() {
            None => vectors.data = expression.into_bytes(),
            Some(output) => {
                let error = columns.next().map(|error| decoded(&error));
                let answer = Answer { output: decoded(&output), error };
                vectors.areas.entry(area).or_default().push(Vector { expression, answer });
            }
        }
    }
    vectors
});

fn source(expression: &str) -> String {
    if expression.contains("{{") {
        return expression.to_owned();
    }
    format!("{{{{ $r := {expression} }}}}{{{{ typeOf $r }}}}|{{{{ $r }}}}|{{{{ toJson $r }}}}")
}

fn host() -> Host {
    let now = jiff::Timestamp::UNIX_EPOCH.in_tz("America/New_York").expect("the zone is bundled");
    Host::new(now, [7; helm::engine::SEED_BYTES], Arc::new(NoLookup))
}

fn ours(expression: &str, functions: &Functions<Host>, data: &Value) -> Answer {
    let mut set = TemplateSet::new("t");
    let mut output = Vec::new();
    let error = if let Err(error) = set.parse("t", source(expression).as_bytes(), functions.names()) {
        Some(error.to_string())
    } else {
        let host = host();
        let mut interp = Interp::new(&host, functions, set, Limits::default());
        interp.execute(b"t", data, &mut output).err().map(|error| error.to_string())
    };
    Answer { output, error: error.map(String::into_bytes) }
}

fn show(answer: &Answer) -> String {
    let output = String::from_utf8_lossy(&answer.output);
    match &answer.error {
        Some(error) => format!("{output:?} error {:?}", String::from_utf8_lossy(error)),
        None => format!("{output:?}"),
    }
}

/// Compares an area; expressions for which `differs` is true are known to have another answer, for its reason.
fn check(area: &str, differs: impl Fn(&Vector, &Answer) -> bool) {
    let functions = Functions::new(&[helm::functions::table()]);
    let vectors = VECTORS.areas.get(area).expect("the area is recorded");
    let mut wrong = Vec::new();
    for vector in vectors {
        let data = formats::json::parse(&VECTORS.data).expect("the data is JSON");
        let ours = ours(&vector.expression, &functions, &data);
        if ours != vector.answer && !differs(vector, &ours) {
            wrong.push(format!("{}\n  ours   {}\n  theirs {}", vector.expression, show(&ours), show(&vector.answer)));
        }
    }
    let shown = wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{area}: {} of {} differ\n{shown}", wrong.len(), vectors.len());
}

/// Runs a template of its own.
fn rendered(template: &str) -> String {
    let functions = Functions::new(&[helm::functions::table()]);
    let answer = ours(template, &functions, &Value::Nil);
    assert!(answer.error.is_none(), "{template}: {}", show(&answer));
    String::from_utf8(answer.output).expect("the output is text")
}

/// The certificates in the output of a template.
fn certificates(output: &str) -> Vec<Vec<u8>> {
    pem::parse_many(output).expect("the output is PEM").into_iter().map(pem::Pem::into_contents).collect()
}

#[test]
fn a_signed_certificate_is_verified_by_its_authority() {
    let output = rendered(
        r#"{{ $ca := genCA "the-ca" 365 }}{{ $cert := genSignedCert "svc" (list "10.0.0.1" "::1") (list "a.b" "*.c") 30 $ca }}
        {{- $ca.Cert }}{{ $cert.Cert }}"#,
    );
    let [ca, cert] = certificates(&output).try_into().expect("there are two certificates");
    let (_, ca) = x509_parser::parse_x509_certificate(&ca).expect("the authority is a certificate");
    let (_, cert) = x509_parser::parse_x509_certificate(&cert).expect("the certificate is one");
    assert!(ca.is_ca());
    assert!(!cert.is_ca());
    ca.verify_signature(None).expect("the authority signed itself");
    cert.verify_signature(Some(ca.public_key())).expect("the authority signed the certificate");
    assert_eq!(cert.issuer().to_string(), "CN=the-ca");
    assert_eq!(cert.subject().to_string(), "CN=svc");
    assert_eq!(cert.validity().not_after.timestamp(), 30 * 86_400);
    let extensions = |cert: &X509Certificate<'_>| -> Vec<String> {
        cert.extensions().iter().map(|extension| extension.oid.to_id_string()).collect()
    };
    // As Go writes them: key usage, its extension, constraints, then the key's identifier or the authority's and names.
    assert_eq!(extensions(&ca), ["2.5.29.15", "2.5.29.37", "2.5.29.19", "2.5.29.14"]);
    assert_eq!(extensions(&cert), ["2.5.29.15", "2.5.29.37", "2.5.29.19", "2.5.29.35", "2.5.29.17"]);
    let names = cert.subject_alternative_name().expect("it is well-formed").expect("it is there");
    let names: Vec<String> = names.value.general_names.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "DNSName(a.b)",
            "DNSName(*.c)",
            "IPAddress(0a:00:00:01)",
            "IPAddress(00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:01)"
        ]
    );
}

#[test]
fn keys_of_every_kind_are_made_and_can_sign_certificates() {
    for kind in ["ecdsa", "ed25519", "rsa"] {
        let output = rendered(&format!(
            r#"{{{{ $key := genPrivateKey "{kind}" }}}}{{{{ $ca := genCAWithKey "ca" 1 $key }}}}{{{{ eq $ca.Key $key }}}}
            {{{{- $cert := genSelfSignedCertWithKey "x" nil nil 1 $key }}}} {{{{ (buildCustomCert (b64enc $cert.Cert) (b64enc $key)).Key | eq $key }}}}"#,
        ));
        assert_eq!(output, "true true", "{kind}");
    }
}

#[test]
fn a_render_with_random_text_is_not_repeatable() {
    let functions = Functions::new(&[helm::functions::table()]);
    for (template, repeatable) in [
        ("{{ upper `a` }}", true),
        ("{{ toDate `2006` `2024` }}", true),
        ("{{ randAlpha 3 }}", false),
        ("{{ now }}", false),
        ("{{ uuidv4 }}", false),
        ("{{ htpasswd `a` `b` }}", false),
        ("{{ genPrivateKey `ecdsa` }}", false),
    ] {
        let host = host();
        let mut set = TemplateSet::new("t");
        set.parse("t", template.as_bytes(), functions.names()).expect("the template parses");
        let mut interp = Interp::new(&host, &functions, set, Limits::default());
        interp.execute(b"t", &Value::Nil, &mut Vec::new()).expect("the template runs");
        assert_eq!(host.repeatable(), repeatable, "{template}");
    }
}

#[test]
fn encrypted_texts_and_hashed_passwords_look_as_in_helm() {
    assert_eq!(rendered(r#"{{ encryptAES "key" "text" | decryptAES "key" }}"#), "text");
    let hash = rendered(r#"{{ htpasswd "user" "password" }}"#);
    assert!(hash.starts_with("user:$2a$10$") && hash.len() == "user:".len() + 60, "{hash}");
    assert!(bcrypt::verify("password", &hash["user:".len()..]).expect("it is a hash"), "{hash}");
}

#[test]
fn whatever_grows_without_bound_is_stopped() {
    let functions = Functions::new(&[helm::functions::table()]);
    for template in [
        "{{ repeat 1000000000 `ab` }}",
        "{{ indent 1000000000 `a` }}",
        "{{ until 1000000000 }}",
        "{{ untilStep 0 1000000000 1 }}",
        "{{ seq 1000000000 }}",
        "{{ randAlpha 1000000000 }}",
        "{{ randBytes 1000000000 }}",
        "{{ uniq (until 20000) }}",
        "{{ regexMatch (repeat 20 `(a{0,1000}){0,1}`) `a` | ternary 1 (mustRegexFind (repeat 300 `\\pL{1000}`) ``) }}",
        "{{ $m := dict }}{{ $_ := set $m `m` $m }}{{ deepCopy $m }}",
        "{{ $m := dict }}{{ $_ := set $m `m` $m }}{{ $n := dict }}{{ $_ := set $n `m` $n }}{{ merge $m $n }}",
        "{{ range until 1000 }}{{ bcrypt `x` }}{{ end }}",
    ] {
        let mut set = TemplateSet::new("t");
        set.parse("t", template.as_bytes(), functions.names()).expect("the template parses");
        let host = host();
        let limits = Limits { steps: 2_000_000, ..Limits::default() };
        let mut interp = Interp::new(&host, &functions, set, limits);
        assert!(interp.execute(b"t", &Value::Nil, &mut Vec::new()).is_err(), "{template}");
    }
}

/// A deep copy of a version is 0.0.0 in Go, because its fields are private; ours is the version.
fn copies_a_version(vector: &Vector, _: &Answer) -> bool {
    vector.expression.contains("eepCopy (semver")
}

fn never(_: &Vector, _: &Answer) -> bool {
    false
}

macro_rules! areas {
    ($($name:ident: $area:literal, $differs:expr;)*) => {
        $(#[test]
        fn $name() {
            check($area, $differs);
        })*
    };
}

areas! {
    strings_are_cut_and_cased_as_in_helm: "strings", never;
    values_are_quoted_and_joined_as_in_helm: "quoting", never;
    numbers_are_converted_and_computed_as_in_helm: "numbers", never;
    lists_are_handled_as_in_helm: "lists", never;
    dicts_are_handled_as_in_helm: "dicts", copies_a_version;
    defaults_and_types_are_seen_as_in_helm: "defaults", never;
    paths_are_taken_apart_as_in_helm: "paths", never;
    texts_are_encoded_as_in_helm: "encoding", never;
    regular_expressions_match_as_in_helm: "regex", never;
    dates_are_read_and_written_as_in_helm: "dates", never;
    durations_are_read_and_written_as_in_helm: "durations", never;
    versions_are_compared_as_in_helm: "versions", never;
    urls_are_taken_apart_as_in_helm: "urls", never;
    documents_are_read_and_written_as_in_helm: "documents", never;
    toml_is_read_and_written_as_in_helm: "toml", never;
    functions_work_together_as_in_helm: "handmade", never;
}
