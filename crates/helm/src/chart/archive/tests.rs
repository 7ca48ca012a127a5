//! Archives are built in memory, good ones and hostile ones.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::*;
use crate::chart::{Excess, Limits};

const CHART_YAML: &str = "apiVersion: v2\nname: web\nversion: 1.2.3\n";

/// One entry of a hostile or honest archive, written without any check of its path.
fn append(builder: &mut Builder<Vec<u8>>, path: &str, kind: EntryType, data: &[u8]) {
    let mut header = Header::new_gnu();
    let name = &mut header.as_old_mut().name;
    name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(1_700_000_000);
    header.set_cksum();
    builder.append(&header, data).expect("writing to memory");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, data) in files {
        append(&mut builder, path, EntryType::Regular, data);
    }
    gzip(&builder.into_inner().expect("writing to memory"))
}

fn load_default(bytes: &[u8]) -> Result<Chart, Error> {
    load(bytes, &Limits::default())
}

#[test]
fn a_chart_is_loaded_with_packed_and_unpacked_dependencies() {
    let packed = pack(&[("lib/Chart.yaml", b"apiVersion: v2\nname: lib\nversion: 0.1.0\ntype: library\n")]);
    let chart = load_default(&pack(&[
        ("web/templates/a.yaml", b"\xef\xbb\xbfa: 1"),
        ("web/Chart.yaml", CHART_YAML.as_bytes()),
        ("web/values.yaml", b"# comment\nreplicas: 2\n"),
        ("web/crds/crd.yaml", b"kind: CustomResourceDefinition"),
        ("web/crds/README.md", b"words"),
        ("web/charts/lib-0.1.0.tgz", &packed),
        ("web/charts/sub/Chart.yaml", b"apiVersion: v2\nname: sub\nversion: 0.2.0\n"),
        ("web/charts/sub/crds/sub.yml", b"kind: CustomResourceDefinition"),
        ("web/charts/README.md", b"words"),
        ("web/charts/_ignored/x", b"no chart"),
    ]));
    let error = chart.as_ref().err().map(ToString::to_string);
    // As in Helm, a plain file in charts/ is taken for a chart, and is none.
    assert_eq!(error.as_deref(), Some("error unpacking subchart README.md in web: Chart.yaml file is missing"));

    let chart = load_default(&pack(&[
        ("web/templates/a.yaml", b"\xef\xbb\xbfa: 1"),
        ("web/Chart.yaml", CHART_YAML.as_bytes()),
        ("web/values.yaml", b"# comment\nreplicas: 2\n"),
        ("web/crds/crd.yaml", b"kind: CustomResourceDefinition"),
        ("web/crds/README.md", b"words"),
        ("web/charts/lib-0.1.0.tgz", &packed),
        ("web/charts/sub/Chart.yaml", b"apiVersion: v2\nname: sub\nversion: 0.2.0\n"),
        ("web/charts/sub/crds/sub.yml", b"kind: CustomResourceDefinition"),
        ("web/charts/_ignored/x", b"no chart"),
    ]))
    .expect("the chart is good");
    assert_eq!(chart.name(), "web");
    assert_eq!(chart.values, serde_json::json!({"replicas": 2}).as_object().expect("a map").clone());
    assert_eq!(chart.values_size, "# comment\nreplicas: 2\n".len());
    assert_eq!((&*chart.templates[0].name, &*chart.templates[0].data), ("templates/a.yaml", &b"a: 1"[..]));
    assert_eq!(chart.modified.map(jiff::Timestamp::as_second), Some(1_700_000_000));
    let names: Vec<_> = chart.dependencies.iter().map(Chart::name).collect();
    assert_eq!(names, ["lib", "sub"]);
    let crds: Vec<_> = chart.crds().into_iter().map(|crd| crd.filename).collect();
    assert_eq!(crds, ["web/crds/crd.yaml", "web/charts/sub/crds/sub.yml"]);
}

#[test]
fn archives_made_on_windows_are_read() {
    let chart = load_default(&pack(&[("web\\Chart.yaml", CHART_YAML.as_bytes()), ("web\\templates\\a.yaml", b"a: 1")]))
        .expect("the chart is good");
    assert_eq!(chart.templates[0].name, "templates/a.yaml");
}

#[test]
fn paths_out_of_the_chart_are_refused() {
    for (path, reason) in [
        ("/etc/passwd", "it is absolute"),
        ("web//etc/passwd", "it is absolute"),
        ("web/../../etc/passwd", "chart illegally references parent directory"),
        ("../web/x", "chart illegally references parent directory"),
        ("web/a/../../b", "chart illegally references parent directory"),
        ("web\\..\\..\\b", "chart illegally references parent directory"),
        ("web/..\\..\\b", "it mixes slashes and backslashes"),
        ("web/c:/windows", "it names a drive"),
        ("loose.txt", "chart illegally contains content outside the base directory: \"loose.txt\""),
        ("web/.", "chart illegally contains content outside the base directory: \"web/.\""),
    ] {
        let archive = pack(&[("web/Chart.yaml", CHART_YAML.as_bytes()), (path, b"x")]);
        let error = load_default(&archive).expect_err("the path leads out").to_string();
        assert!(error.ends_with(reason), "{path:?} gave {error}");
    }
    let at_top = load_default(&pack(&[("Chart.yaml/x", CHART_YAML.as_bytes())]));
    assert!(matches!(at_top, Err(Error::ChartYamlAtTop)));
}

/// What Helm 4.3.1 makes of an entry `web/f` of each kind: with or without content.
#[test]
fn what_is_no_file_is_an_empty_one() {
    let load_entry = |path: &str, kind: EntryType, data: &[u8]| {
        let mut builder = Builder::new(Vec::new());
        append(&mut builder, "web/Chart.yaml", EntryType::Regular, CHART_YAML.as_bytes());
        append(&mut builder, path, kind, data);
        let chart = load_default(&gzip(&builder.into_inner().expect("writing to memory")))?;
        Ok::<_, Error>(chart.files.into_iter().map(|file| (file.name, file.data.to_vec())).collect::<Vec<_>>())
    };
    let file = |data: &[u8]| vec![("f".to_owned(), data.to_vec())];
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo] {
        assert_eq!(load_entry("web/f", kind, b"").expect("it is a file"), file(b""), "{kind:?}");
        assert!(matches!(load_entry("web/f", kind, b"x"), Err(Error::ReadArchive(_))), "{kind:?}");
        assert!(matches!(load_entry("web/../../f", kind, b""), Err(Error::ParentPath { .. })), "{kind:?}");
        assert!(matches!(load_entry("f", kind, b""), Err(Error::OutsidePath { .. })), "{kind:?}");
    }
    for kind in [b'0', b'7', b'M', b'Z', b'a'].map(EntryType::new) {
        assert_eq!(load_entry("web/f", kind, b"x").expect("it is a file"), file(b"x"), "{kind:?}");
    }
    assert_eq!(load_entry("web/f", EntryType::Directory, b"").expect("folders are nothing"), []);
    // With a slash behind it, it was a folder before tar had a type for them.
    assert_eq!(load_entry("web/f/", EntryType::new(b'0'), b"x").expect("it is a file"), file(b"x"));
}

#[test]
fn damaged_archives_are_told_apart() {
    let archive = pack(&[("web/Chart.yaml", CHART_YAML.as_bytes()), ("web/x", &[7; 4000])]);
    assert!(matches!(load_default(b"apiVersion: v2"), Err(Error::NotGzip)));
    assert!(matches!(load_default(b""), Err(Error::NotGzip)));
    assert!(matches!(load_default(&archive[..archive.len() / 2]), Err(Error::ReadArchive(_))));
    assert!(matches!(load_default(&gzip(&[b'x'; 2000])), Err(Error::ReadArchive(_))));
    assert!(matches!(load_default(&gzip(&[])), Err(Error::EmptyArchive)));
    assert!(matches!(load_default(&pack(&[("web/x", b"")])), Err(Error::ChartYamlMissing)));
}

#[test]
fn limits_are_kept() {
    let limits = Limits { archive_bytes: 10_000, ..Limits::default() };
    let check = |limits: Limits, files: &[(&str, &[u8])]| match load(&pack(files), &limits) {
        Err(Error::TooLarge(excess)) => excess,
        other => panic!("gave {:?}", other.map(|chart| chart.metadata.name)),
    };
    let noise: Vec<u8> = (0u32..20_000).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_be_bytes()).collect();
    assert_eq!(check(limits, &[("web/x", &noise)]), Excess::Archive(10_000));
    let limits = Limits { unpacked_bytes: 50_000, ..Limits::default() };
    let zeros = vec![0; 30_000];
    assert_eq!(check(limits, &[("web/x", &zeros), ("web/y", &zeros)]), Excess::Unpacked(50_000));
    let limits = Limits { file_bytes: 1000, ..Limits::default() };
    assert_eq!(check(limits, &[("web/x", &[0; 1001])]), Excess::File(1000));
    let limits = Limits { files: 2, ..Limits::default() };
    assert_eq!(check(limits, &[("web/x", b""), ("web/y", b""), ("web/z", b"")]), Excess::Files(2));
    let limits = Limits { path_bytes: 8, ..Limits::default() };
    assert_eq!(check(limits, &[("web/long-name", b"")]), Excess::PathLength(8));
    let limits = Limits { path_depth: 3, ..Limits::default() };
    assert_eq!(check(limits, &[("web/a/b/c", b"")]), Excess::PathDepth(3));
}

#[test]
fn a_bomb_in_the_tar_stream_itself_is_stopped() {
    // A long-name entry is read into memory by the tar reader before any file is seen.
    let mut builder = Builder::new(Vec::new());
    append(&mut builder, "././@LongLink", EntryType::GNULongName, &vec![b'a'; 300_000]);
    append(&mut builder, "web/x", EntryType::Regular, b"");
    let archive = gzip(&builder.into_inner().expect("writing to memory"));
    let limits = Limits { unpacked_bytes: 50_000, files: 10, ..Limits::default() };
    assert!(matches!(load(&archive, &limits), Err(Error::TooLarge(Excess::Unpacked(50_000)))));
}

#[test]
fn dependencies_are_nested_to_a_limit() {
    let mut archive = pack(&[("c/Chart.yaml", b"apiVersion: v2\nname: c0\nversion: 1.0.0\n")]);
    for level in 1..=4 {
        let chart_yaml = format!("apiVersion: v2\nname: c{level}\nversion: 1.0.0\n");
        archive = pack(&[("c/Chart.yaml", chart_yaml.as_bytes()), ("c/charts/c.tgz", &archive)]);
    }
    assert!(load(&archive, &Limits { chart_depth: 4, ..Limits::default() }).is_ok());
    let error = load(&archive, &Limits { chart_depth: 3, ..Limits::default() }).expect_err("too deep");
    assert!(error.to_string().ends_with("chart has dependencies nested deeper than 3 levels"), "{error}");
}
