//! Archives: bombs, escapes and absurd sizes.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::Case;
use super::Expected::{self, Refused, Rendered};
use super::templates::numbered;

const METADATA: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\n";
const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\n";

/// A tar under construction.
pub(super) struct Pack(Builder<Vec<u8>>);

impl Pack {
    pub(super) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    /// A chart with no files but `Chart.yaml`.
    pub(super) fn chart() -> Self {
        Self::new().file("web/Chart.yaml", METADATA)
    }

    pub(super) fn file(self, name: &str, data: impl AsRef<[u8]>) -> Self {
        self.entry(name, EntryType::Regular, data)
    }

    /// An entry with any name, which the header takes as it is if it fits.
    pub(super) fn entry(mut self, name: &str, kind: EntryType, data: impl AsRef<[u8]>) -> Self {
        let mut header = Header::new_gnu();
        let field = &mut header.as_gnu_mut().expect("it is a GNU header").name;
        if name.len() > field.len() {
            let mut long = Header::new_gnu();
            long.as_gnu_mut().expect("it is a GNU header").name[..13].copy_from_slice(b"././@LongLink");
            long.set_entry_type(EntryType::GNULongName);
            self = self.raw(long, name.as_bytes());
        } else {
            field[..name.len()].copy_from_slice(name.as_bytes());
        }
        header.set_entry_type(kind);
        header.set_mode(0o644);
        self.raw(header, data.as_ref())
    }

    fn raw(mut self, mut header: Header, data: &[u8]) -> Self {
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.append(&header, data).expect("memory can be written");
        self
    }

    pub(super) fn tar(self) -> Vec<u8> {
        self.0.into_inner().expect("memory can be written")
    }

    pub(super) fn tgz(self) -> Vec<u8> {
        gzip(&self.tar())
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fn no_values(pack: Pack) -> (Vec<u8>, String) {
    (pack.tgz(), String::new())
}

/// A chart with one more entry that has no contents.
fn with(name: &str, kind: EntryType) -> (Vec<u8>, String) {
    no_values(Pack::chart().entry(name, kind, b""))
}

/// Gigabytes of nothing: gzip members may follow one another, so one is packed and repeated.
fn bomb(members: usize) -> Vec<u8> {
    const MEMBER: usize = 32 << 20;
    let mut header = Header::new_gnu();
    header.set_path("web/zeros").expect("the name fits");
    header.set_size((MEMBER * members) as u64);
    header.set_cksum();
    let mut start = Pack::chart().tar();
    start.truncate(1024);
    start.extend_from_slice(header.as_bytes());
    let mut packed = gzip(&start);
    packed.extend(gzip(&vec![0; MEMBER]).repeat(members));
    packed
}

/// Charts within each other, the innermost with a file.
fn nested(levels: usize) -> Pack {
    let mut pack = Pack::chart().file("web/big", vec![0; 1 << 20]);
    for _ in 0..levels {
        pack = Pack::chart().file("web/charts/web-1.0.0.tgz", pack.tgz());
    }
    pack
}

/// Each chart holds the next ten times: 10^levels in all.
fn nested_bomb(levels: usize) -> Pack {
    let mut pack = Pack::chart().file("web/big", vec![0; 1 << 20]);
    for _ in 0..levels {
        let inner = pack.tgz();
        pack = (0..10).fold(Pack::chart(), |pack, index| pack.file(&format!("web/charts/web{index}.tgz"), &inner));
    }
    pack
}

fn extended_header(records: &[u8]) -> (Vec<u8>, String) {
    no_values(Pack::chart().entry("pax", EntryType::XHeader, records).file("web/a", b"a"))
}

fn dependencies(list: &str, pack: Pack) -> (Vec<u8>, String) {
    let metadata = format!("{METADATA}dependencies:\n{list}");
    let mut rest = pack;
    rest = rest.file("web/Chart.yaml", metadata).file("web/templates/a.yaml", CONFIG_MAP);
    no_values(rest)
}

fn child(pack: Pack, files: &[(&str, &str)]) -> Pack {
    let pack = pack.file("web/charts/child/Chart.yaml", METADATA.replace("web", "child"));
    files.iter().fold(pack, |pack, (name, text)| pack.file(&format!("web/charts/child/{name}"), text))
}

fn thousand_aliases(count: usize, text: usize) -> (Vec<u8>, String) {
    let mut list = String::new();
    for index in 0..count {
        writeln!(list, "- {{name: child, version: 1.0.0, alias: alias{index}}}").expect("text can be written");
    }
    let values = format!("text: {}\n", "x".repeat(text));
    dependencies(&list, child(Pack::new(), &[("values.yaml", &values), ("templates/a.yaml", CONFIG_MAP)]))
}

/// Each chart has the next under twenty names: 20^levels in all.
fn aliases_of_aliases(levels: usize) -> Pack {
    let mut pack = Pack::new().file("web/Chart.yaml", METADATA);
    for _ in 0..levels {
        let mut metadata = format!("{METADATA}dependencies:\n");
        for index in 0..20 {
            writeln!(metadata, "- {{name: web, version: 1.0.0, alias: alias{index}}}").expect("text can be written");
        }
        pack = Pack::new().file("web/Chart.yaml", metadata).file("web/charts/web.tgz", pack.tgz());
    }
    pack
}

fn exponential_imports() -> (Vec<u8>, String) {
    let mut list = "- name: child\n  version: 1.0.0\n  import-values:\n".to_owned();
    for index in 0..60 {
        writeln!(
            list,
            "  - {{child: a{index}, parent: a{}}}\n  - {{child: a{index}, parent: a{}.b}}",
            index + 1,
            index + 1
        )
        .expect("text can be written");
    }
    let values = "a0: {x: {y: {z: 1}}}\n";
    dependencies(&list, child(Pack::new(), &[("values.yaml", values)]))
}

/// Globals are copied into every chart of a chain.
fn large_globals() -> (Vec<u8>, String) {
    let mut globals = "global:\n".to_owned();
    for index in 0..20_000 {
        writeln!(globals, "  k{index}: {{a: {{b: {{c: [1, 2, 3]}}}}}}").expect("text can be written");
    }
    let mut pack = Pack::chart().file("web/values.yaml", &globals);
    for index in 0..200 {
        let folder = format!("web/charts/c{index}");
        pack = pack.file(&format!("{folder}/Chart.yaml"), METADATA.replace("web", &format!("c{index}")));
        pack = pack.file(&format!("{folder}/values.yaml"), &globals);
    }
    no_values(pack)
}

/// Many small tables.
fn entries(indent: &str) -> String {
    numbered(2_000, |index| format!("{indent}k{index}: {{a: [1, 2, 3]}}\n"))
}

const CHARTS: Expected = Refused("more than 1000 charts are enabled, aliases included");
const COPIES: Expected = Refused("values are copied from chart to chart");

/// Globals of one chart, which all its dependencies have, too.
fn shared_globals(globals: &str) -> (Vec<u8>, String) {
    let pack = Pack::chart().file("web/values.yaml", format!("global:\n{globals}"));
    no_values((0..200).fold(pack, |pack, index| {
        pack.file(&format!("web/charts/c{index}/Chart.yaml"), METADATA.replace("web", &format!("c{index}")))
    }))
}

fn many_templates(count: usize) -> (Vec<u8>, String) {
    no_values(
        (0..count).fold(Pack::chart(), |pack, index| pack.file(&format!("web/templates/{index}.yaml"), CONFIG_MAP)),
    )
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "not-gzip",
            || (b"PK\x03\x04 not a chart".repeat(1000), String::new()),
            Refused("not a gzipped tar archive"),
        ),
        Case::new(
            "damaged-gzip",
            || (bomb(1)[..20_000].to_vec(), String::new()),
            Refused("failed to read the chart archive: incomplete deflate stream"),
        ),
        Case::new(
            "gzip-bomb",
            || (bomb(120), String::new()),
            Refused("a file in the chart is larger than the maximum size 33554432"),
        ),
        Case::new(
            "huge-archive",
            || (vec![0x1f; 40 << 20], String::new()),
            Refused("chart archive is larger than the maximum size 33554432"),
        ),
        Case::new(
            "large-file",
            || no_values(Pack::chart().file("web/big", vec![0; 40 << 20])),
            Refused("a file in the chart is larger than the maximum size 33554432"),
        ),
        Case::new(
            "hundred-megabytes",
            || {
                no_values(
                    (0..3).fold(Pack::chart(), |pack, index| pack.file(&format!("web/{index}"), vec![1; 31 << 20])),
                )
            },
            Rendered,
        ),
        Case::new(
            "many-entries",
            || no_values((0..100_000).fold(Pack::chart(), |pack, index| pack.file(&format!("web/f/{index}"), ""))),
            Refused("chart has more than 20000 files"),
        ),
        Case::new("many-templates", || many_templates(19_000), Rendered),
        Case::new("too-many-templates", || many_templates(100_000), Refused("chart has more than 20000 files")),
        Case::new(
            "parent-path",
            || with("web/../../etc/passwd", EntryType::Regular),
            Refused("chart illegally references parent directory"),
        ),
        Case::new("absolute-path", || with("/etc/passwd", EntryType::Regular), Refused("it is absolute")),
        Case::new("drive-path", || with("web/C:/x", EntryType::Regular), Refused("it names a drive")),
        Case::new(
            "backslash-path",
            || with("web\\..\\..\\x", EntryType::Regular),
            Refused("chart illegally references parent directory"),
        ),
        Case::new("nul-path", || with("web/a\nb\u{7f}", EntryType::Regular), Rendered),
        // As in Helm, they are empty files: nothing outside is read.
        Case::new("symbolic-link", || with("web/link", EntryType::Symlink), Rendered),
        Case::new("hard-link", || with("web/link", EntryType::Link), Rendered),
        Case::new("device", || with("web/null", EntryType::Char), Rendered),
        Case::new("pipe", || with("web/pipe", EntryType::Fifo), Rendered),
        Case::new(
            "sparse-file",
            || with("web/sparse", EntryType::GNUSparse),
            Refused("failed to read the chart archive: numeric field was not a number"),
        ),
        Case::new(
            "long-path",
            || with(&format!("web/{}", "x".repeat(100_000)), EntryType::Regular),
            Refused("chart has a path longer than 1024 bytes"),
        ),
        Case::new(
            "deep-path",
            || with(&format!("web/{}", "x/".repeat(400) + "y"), EntryType::Regular),
            Refused("chart has a path deeper than 64 folders"),
        ),
        Case::new(
            "huge-long-name",
            || no_values(Pack::chart().entry(&format!("web/{}", "x".repeat(60 << 20)), EntryType::Regular, b"")),
            Refused("chart has a path longer than 1024 bytes"),
        ),
        Case::new(
            "longest-long-name",
            || no_values(Pack::chart().entry(&format!("web/{}", "x".repeat(170 << 20)), EntryType::Regular, b"")),
            Refused("chart has a path longer than 1024 bytes"),
        ),
        Case::new("huge-pax-header", || extended_header(&vec![b'x'; 60 << 20]), Rendered),
        Case::new("pax-without-end", || extended_header(b"99999999999999999999 path=web/a\n"), Rendered),
        Case::new(
            "pax-size",
            || extended_header(b"28 size=9999999999999999999\n"),
            Refused("a file in the chart is larger than the maximum size 33554432"),
        ),
        Case::new(
            "pax-path",
            || extended_header(b"29 path=web/../../etc/passwd\n"),
            Refused("chart illegally references parent directory"),
        ),
        Case::new(
            "two-chart-yaml",
            || no_values((0..1000).fold(Pack::chart(), |pack, _| pack.file("web/Chart.yaml", METADATA))),
            Rendered,
        ),
        Case::new(
            "no-chart-yaml",
            || no_values(Pack::new().file("web/values.yaml", "a: 1\n")),
            Refused("Chart.yaml file is missing"),
        ),
        Case::new(
            "large-chart-yaml",
            || no_values(Pack::new().file("web/Chart.yaml", METADATA.to_owned() + &"a: [".repeat(1 << 20))),
            Refused("exceeded max depth of 500"),
        ),
        Case::new(
            "absurd-chart-yaml",
            || no_values(Pack::new().file("web/Chart.yaml", "apiVersion: [v2]\nname: {a: b}\nversion: 1e999\n")),
            Refused("cannot unmarshal array into Go struct field chartBase.apiVersion of type string"),
        ),
        Case::new(
            "version-of-a-megabyte",
            || no_values(Pack::new().file("web/Chart.yaml", METADATA.replace("1.0.0", &"9.".repeat(500_000)))),
            Refused("validation: chart.metadata.version"),
        ),
        Case::new("deeply-nested-archives", || no_values(nested(40)), Refused("nested deeper than 16 levels")),
        Case::new(
            "nested-archive-bomb",
            || no_values(nested_bomb(8)),
            Refused("decompressed chart is larger than the maximum size 104857600"),
        ),
        Case::new("thousands-of-aliases", || thousand_aliases(20_000, 10_000), CHARTS),
        Case::new("aliases-of-a-large-text", || thousand_aliases(900, 1 << 20), COPIES),
        Case::new("aliases-of-aliases", || no_values(aliases_of_aliases(8)), CHARTS),
        Case::new("imports-that-double", exponential_imports, Refused("values nest more than 1000 levels")),
        Case::new("many-globals", || shared_globals(&entries("  ")), COPIES),
        Case::new("deep-globals", || shared_globals(&format!("  a:\n    a:\n{}", entries("      "))), COPIES),
        Case::new("long-globals", || shared_globals(&format!("  a: {}\n", "x".repeat(4 << 20))), COPIES),
        Case::new(
            "long-values",
            || no_values(Pack::chart().file("web/values.yaml", "a: ".to_owned() + &"x".repeat(30 << 20))),
            Rendered,
        ),
        Case::new(
            "large-globals",
            large_globals,
            Refused("decompressed chart is larger than the maximum size 104857600"),
        ),
        Case::new(
            "large-template",
            || no_values(Pack::chart().file("web/templates/a.yaml", "{{.}}".repeat(6 << 20))),
            Refused("template has more than 500000 tokens"),
        ),
        Case::new(
            "large-text-template",
            || no_values(Pack::chart().file("web/templates/a.yaml", "# comment\n".repeat(3 << 20))),
            Refused("too much output"),
        ),
        Case::new(
            "large-notes",
            || no_values(Pack::chart().file("web/templates/NOTES.txt", "note\n".repeat(6 << 20))),
            Refused("too much output"),
        ),
        Case::new(
            "large-crds",
            || no_values(Pack::chart().file("web/crds/a.yaml", CONFIG_MAP.repeat(500_000))),
            Rendered,
        ),
        Case::new(
            "invalid-utf8",
            || no_values(Pack::chart().file("web/templates/a.yaml", b"a: \xff\xfe\x00 {{ \"\\xff\" }}\n")),
            Refused("yaml: invalid leading UTF-8 octet"),
        ),
        Case::new(
            "invalid-utf8-values",
            || no_values(Pack::chart().file("web/values.yaml", b"a: \xff\xfe\n")),
            Refused("yaml: invalid leading UTF-8 octet"),
        ),
        Case::new(
            "nul-bytes",
            || no_values(Pack::chart().file("web/templates/a.yaml", vec![0; 10 << 20])),
            Refused("yaml: control characters are not allowed"),
        ),
    ]
}
