//! Charts in folders and archives, rendered.

use anyhow::{Result, ensure};

use crate::Bench;

#[tokio::test]
async fn charts_are_found_and_named() -> Result<()> {
    Bench::new().await?.same(&[
        "web",
        "shop web",
        "shop ./web/",
        "shop web/../web",
        "shop ' web '",
        "shop web-0.1.0.tgz",
        "plain",
        "nothing",
        "-g web",
        "--generate-name=true web",
        "--name-template shop web",
        "--name-template 'shop-{{ \"ABC\" | lower | trunc 2 }}' web",
        "--name-template '{{ 40 | add 2 }}' plain",
        "--name-template '' web",
        "a.b-c.d0 web",
        "-- shop web",
        "shop web --create-namespace --skip-crds --timeout 5m --dry-run=client --description x --rollback-on-failure=false --wait",
        "shop web --kube-context none --labels a=b,c=d --disable-openapi-validation --take-ownership=true",
        "shop web --enable-dns --dependency-update --burst-limit 7 --qps 1.5 --keyring ring --color never --colour=always",
        "shop web --repository-cache a --content-cache b --post-renderer-args x --post-renderer-args=-y --output-dir=",
        "shop web --kube-as-user a --kube-as-group b,c --kube-token t --kube-ca-file f --kube-apiserver s --kubeconfig k",
        "shop web --timeout 1h2.5m3s4ms --timeout -0 --labels a=b=c -l a=,b= -l a=b,c",
        "shop web -n other",
        "shop web -nother",
        "shop web --namespace=other",
        "shop web --namespace ''",
        "shop web -n 'Not A Name'",
        "HELM_NAMESPACE=fromenv shop web",
        "HELM_NAMESPACE=fromenv shop web -n flag",
        "HELM_NAMESPACE= shop web",
    ])
}

#[tokio::test]
async fn values_take_precedence_as_in_helm() -> Result<()> {
    Bench::new().await?.same(&[
        "web -f a.yaml",
        "web -f a.yaml -f b.yaml",
        "web -f b.yaml -f a.yaml",
        "web -f a.yaml,b.yaml",
        "web --values=a.yaml,b.yaml -f zone.yaml",
        "web -f '\"with,comma.yaml\"',b.yaml",
        "web -f nulls.yaml",
        "web -f zone.yaml",
        "web -f empty.yaml",
        "web -f '' --set replicas=3",
        "web -f - <a.yaml",
        "web -f ' - ' -f b.yaml <a.yaml",
        "web -f - -f - <a.yaml",
        "kinds -f multi.yaml",
        "kinds -f numbers.yaml",
        "kinds -f anchors.yaml --set a.x=9",
        "kinds --set a=1,b=1.5,c=true,d=null,e=,f=0x10,g=007",
        "kinds --set a.b.c=1 --set a.b.d=2",
        "kinds --set 'l={a,b}' --set 'l[1]=c' --set 'n[2]=x'",
        "kinds --set 'a=b\\,c' --set 'd\\.e=1'",
        "kinds --set base=null --set map.x=null",
        "kinds --set-string a=1,b=true,c=null",
        "kinds --set-json 'a=[1,{\"b\":2.5}],c=\"x\"'",
        "kinds --set-json '{\"a\":1,\"map\":{\"z\":[true,null]}}'",
        "kinds --set-json ' {\"map\":null} '",
        "kinds --set-literal 'a=b,c=d{e}' --set-literal 'x.y=[z]'",
        "kinds --set-file a=text.txt,b=a.yaml",
        "kinds --set-file 'map.x=text.txt'",
        "kinds --set-file a=- <text.txt",
        "web -f a.yaml --set image.tag=s --set-string image.tag=t",
        "kinds --set-literal v=literal --set-file v=text.txt --set-string v=string --set v=set --set-json 'v=\"json\"' -f a.yaml",
        "kinds --set-file v=text.txt --set-string v=string --set v=set --set-json 'v=\"json\"'",
        "kinds --set-string v=string --set v=set --set-json 'v=\"json\"'",
        "kinds --set v=set --set-json 'v=\"json\"'",
        "kinds --set-json 'v=\"json\"' -f numbers.yaml",
        "kinds --set '' --set-string '' --set-json '' --set-literal ''",
        "kinds --set -a=-1",
        "first",
        "first --set tags.extra=true",
        "first --set tags.extra=true,second.x=1,global.y=2",
        "web --set cache.enabled=false",
        "web --set cache.enabled=false --include-crds",
        "schema --set port=80",
        "schema --skip-schema-validation",
        "schema --set port=x --skip-schema-validation",
    ])
}

#[tokio::test]
async fn what_helm_logs_is_told() -> Result<()> {
    Bench::new().await?.same(&[
        "telling",
        "telling --set b.y=1",
        "telling --set sub.d.e=text",
        "telling --set a.z.q=1",
        "telling --set a=1,sub.d=2",
        "telling --set global.g.h=1,sub.global.g=text",
        "telling --set global.g=text,sub.global.g.h=1",
        "telling --set global.g=1,sub.global=3",
        "telling --set global=3",
        "telling --set tags.extra=maybe,b=true",
        "telling --set event=never",
        "telling --set 'event=never\\,post-install'",
        "telling --set event=",
        "telling --no-hooks --set event=never",
        "telling --set b.y=1,fail=yes",
        "telling --set b.y=1 --debug",
        "telling --set b.y=1 -s templates/nope.yaml",
    ])
}

#[tokio::test]
async fn the_contents_of_files_may_be_any_bytes() -> Result<()> {
    let bench = Bench::new().await?;
    let template = "len: {{ len .Values.file }}\nb64: {{ b64enc .Values.file }}\nsum: {{ sha256sum .Values.file }}\n";
    std::fs::write(bench.path("plain/templates/a.yaml"), template)?;
    bench.same(&["plain --set-file file=binary.bin", "plain --set-file file=web-0.1.0.tgz"])
}

#[tokio::test]
async fn what_is_known_of_the_cluster_comes_from_flags() -> Result<()> {
    Bench::new().await?.same(&[
        "web --kube-version 1.30",
        "web --kube-version v1.30.2",
        "web --kube-version v1.33.4-gke.1245000",
        "web --kube-version 1.30.1+k3s1 --kube-version 1.31",
        "web --kube-version ''",
        "web -a foo/v1",
        "web -a foo/v1,bar/v1/Bar",
        "web --api-versions foo/v1 --api-versions=bar/v1/Bar",
        "web -a ''",
        "web --is-upgrade",
        "web --is-upgrade=false",
        "newer --kube-version 9.1 --set x=1 --debug",
    ])
}

#[tokio::test]
async fn what_is_shown_is_chosen_by_flags() -> Result<()> {
    Bench::new().await?.same(&[
        "web --include-crds",
        "web --include-crds --no-hooks",
        "web --skip-tests",
        "web --no-hooks",
        "web --no-hooks=0 --skip-tests=T",
        "plain --include-crds",
        "web -s templates/config.yaml",
        "web --show-only templates/apps/a.yaml",
        "web -s 'templates/apps/*.yaml'",
        "web -s 'templates/apps/?.yaml'",
        "web -s 'templates/apps/[!a].yaml'",
        "web -s 'templates/*/*.yaml'",
        "web -s templates/apps/b.yaml -s templates/apps/a.yaml",
        "web -s templates/apps/a.yaml -s templates/apps/a.yaml",
        "web -s templates/hooks/migrate.yaml",
        "web -s templates/hooks/mixed.yaml",
        "web -s templates/tests/ping.yaml",
        "web -s charts/cache/templates/cache.yaml",
        "web -s templates/comment.yaml",
        "web --include-crds -s crds/a.yaml -s crds/nested/b.yml",
        "web --include-crds -s 'crds/*.yaml' --no-hooks",
    ])
}

#[tokio::test]
async fn times_are_those_of_the_local_zone() -> Result<()> {
    let bench = Bench::new().await?;
    bench.same(&["times", "TZ=America/New_York times", "TZ=Asia/Kolkata times", "TZ= times", "TZ=No/Where times"])
}

#[tokio::test]
async fn manifests_go_into_files() -> Result<()> {
    let bench = Bench::new().await?;
    let lines = [
        "web --output-dir out",
        "web --output-dir out --include-crds --skip-tests",
        "shop web --output-dir out/deeper --release-name",
        "web --output-dir out --no-hooks",
        "web --output-dir out -s templates/config.yaml",
        "broken --output-dir out",
        "web --output-dir a.yaml",
        "web --output-dir a.yaml/below",
    ];
    for line in lines {
        // Hooks are added to what is there, so both begin with nothing and run twice.
        let mut told = Vec::new();
        for program in [&bench.helm, &bench.ours] {
            drop(std::fs::remove_dir_all(bench.path("out")));
            for _ in 0..2 {
                told.push((bench.run(bench.command(program), line)?, tree(&bench.path("out"))?));
            }
        }
        for (run, (ours, helms)) in told[2..].iter().zip(&told[..2]).enumerate() {
            assert_eq!(ours.1, helms.1, "files of {line}, run {run}");
            ensure!(ours.0 == helms.0, "{line}, run {run}:\n{}", ours.0.difference(&helms.0));
        }
    }
    Ok(())
}

/// Every file below a folder, with its content.
fn tree(folder: &std::path::Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                pending.push(entry?.path());
            }
        } else if path.exists() {
            files.push((path.display().to_string(), std::fs::read_to_string(&path)?));
        }
    }
    files.sort();
    Ok(files)
}
