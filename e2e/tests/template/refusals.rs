//! What cannot be rendered: the same end, the same words.

use anyhow::{Result, ensure};

use crate::Bench;

#[tokio::test]
async fn charts_and_names_that_do_not_exist() -> Result<()> {
    Bench::new().await?.same(&[
        "nope",
        "shop nope",
        "./nope",
        "shop ../nope",
        "/nope/chart",
        "repo/chart",
        "one two three",
        "one two three four",
        "'' web",
        "Upper web",
        "under_score web",
        "-- -dash web",
        "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd web",
        "shop web -g",
        "shop web --name-template x",
        "--name-template 'x{{' web",
        "--name-template '{{ nosuchfunction }}' web",
        "--name-template Upper web",
        "shop nochart",
        "a.yaml",
        "text.tgz",
        "page.tgz",
        "archive.zip",
        "zero.tgz",
        "garbage.tgz",
        "cut.tgz",
        "long.txt",
        "unversioned",
        "old",
        "library",
        "missing",
        "Upper missing",
        "web -s templates/nope.yaml",
        "web -s templates",
        "web -s templates/config.yaml -s nope",
        "web -s templates/_names.tpl",
        "web -s templates/NOTES.txt",
        "web -s templates/empty.yaml",
        "web -s crds/a.yaml",
        "web -s '[' ",
        "web --no-hooks -s templates/hooks/migrate.yaml",
        "web --skip-tests -s templates/tests/ping.yaml",
    ])
}

#[tokio::test]
async fn values_that_are_none() -> Result<()> {
    Bench::new().await?.same(&[
        "web -f nope.yaml",
        "web -f web",
        "web -f a.yaml/b",
        "web -f list.yaml",
        "web -f word.yaml",
        "web -f broken.yaml",
        "web -f tab.yaml",
        "web -f latin1.yaml",
        "web -f binary.bin",
        "web -f - <binary.bin",
        "web -f a.yaml,nope.yaml",
        "web --set a",
        "web --set a.b",
        "web --set 'a[x]=1'",
        "web --set 'a[99999999]=1'",
        "web --set 'a={1,2'",
        "web --set-string a",
        "web --set-json a",
        "web --set-json 'a={'",
        "web --set-json 'a=b'",
        "web --set-json '{\"a\":'",
        "web --set-json '{\"a\":1} x'",
        "web --set-file a",
        "web --set-file a=nope.txt",
        "web --set-file a=web",
        "web --set-literal a",
        "web --set-file a=nope.txt --set b",
        "nope -f nope.yaml",
        "nochart -f nope.yaml",
        "missing -f nope.yaml",
        "notables --set sub=1",
        "schema",
        "schema --set port=text",
        "schema --set port=null",
        "Upper schema",
    ])
}

#[tokio::test]
async fn templates_that_fail() -> Result<()> {
    Bench::new().await?.same(&[
        "broken",
        "broken-1.0.0.tgz",
        "broken -s templates/a.yaml",
        "broken --debug",
        "broken --debug -s templates/a.yaml",
        "broken --debug -s templates/b.yaml",
        "scalar",
        "failing",
        "failing --debug",
        "failing -s templates/a.yaml",
        "required",
        "required --set x=",
        "nil",
        "unparsed",
        "unknown",
        "newer",
        "newer --debug",
        "newer --kube-version 9.1",
        "newer --kube-version v9.0.0-rc.1",
        "web --kube-version one",
        "web --kube-version 1",
        "web --kube-version 01.2",
        "nope --kube-version one",
        "web --ca-file nope.crt",
        "web --ca-file a.yaml",
        "nope --ca-file nope.crt",
    ])
}

/// What both refuse in words of their own: the end is the same.
#[tokio::test]
async fn flags_that_do_not_exist_end_as_in_helm() -> Result<()> {
    let bench = Bench::new().await?;
    for line in [
        "",
        "web --nope",
        "web -f",
        "web --include-crds=maybe",
        "web -f 'a\"b'",
        "web --kube-version",
        "web --timeout 5x",
        "web --timeout 5",
        "web --timeout ''",
        "web --timeout 1.2.3s",
        "web --labels a",
        "web --qps many",
        "web --burst-limit 1.5",
        "web --color maybe",
        "web --enable-dns=perhaps",
    ] {
        let (ours, helms) = (bench.we_say(line)?, bench.helm_says(line)?);
        ensure!((&ours.stdout, ours.code) == (&helms.stdout, helms.code), "{line}\n  {helms:?}\n  {ours:?}");
        ensure!(!ours.stderr.is_empty(), "{line}: nothing is said");
    }
    Ok(())
}
