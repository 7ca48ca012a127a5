//! Archives that are broken or mean harm: refused by name, written nowhere, and cheap.

use std::io::Write as _;

use anyhow::Result;
use e2e::artifact::{self, CHART, archive, header};
use e2e::status;
use e2e::story::{registry, story};
use flate2::Compression;
use flate2::write::GzEncoder;
use helm_operator::api::Reason;
use serde_json::json;

const METADATA: &str = "apiVersion: v2\nname: chart\nversion: 1.0.0\n";

fn with(entry: &str) -> Result<Vec<u8>> {
    archive(|tar| {
        tar.append(&header("chart/Chart.yaml", METADATA.len() as u64)?, METADATA.as_bytes())?;
        Ok(tar.append(&header(entry, 0)?, &[][..])?)
    })
}

fn with_metadata(metadata: &str) -> Result<Vec<u8>> {
    archive(|tar| Ok(tar.append(&header("chart/Chart.yaml", metadata.len() as u64)?, metadata.as_bytes())?))
}

fn truncated() -> Result<Vec<u8>> {
    let mut whole = with_metadata(&format!("{METADATA}description: {}\n", "x".repeat(10_000)))?;
    whole.truncate(whole.len() / 2);
    Ok(whole)
}

fn with_many_files() -> Result<Vec<u8>> {
    archive(|tar| {
        tar.append(&header("chart/Chart.yaml", METADATA.len() as u64)?, METADATA.as_bytes())?;
        for number in 0..100_000 {
            tar.append(&header(&format!("chart/files/{number}"), 0)?, &[][..])?;
        }
        Ok(())
    })
}

/// Two gigabytes of nothing in a few megabytes: gzip members may follow one another, so one is packed and repeated.
fn bomb() -> Result<Vec<u8>> {
    const MEMBER: usize = 64 << 20;
    const MEMBERS: usize = 32;
    let mut head = GzEncoder::new(Vec::new(), Compression::fast());
    let mut start = tar::Builder::new(Vec::new());
    start.append(&header("chart/Chart.yaml", METADATA.len() as u64)?, METADATA.as_bytes())?;
    head.write_all(start.get_ref())?;
    head.write_all(header("chart/files/zeros", (MEMBER * MEMBERS) as u64)?.as_bytes())?;
    let mut packed = head.finish()?;
    let mut member = GzEncoder::new(Vec::new(), Compression::fast());
    member.write_all(&vec![0; MEMBER])?;
    packed.extend(member.finish()?.repeat(MEMBERS));
    Ok(packed)
}

#[test]
fn broken_and_harmful_archives_are_refused() -> Result<()> {
    let cases = [
        ("no-archive", b"this is no archive".to_vec(), Reason::ChartArchiveInvalid),
        ("truncated", truncated()?, Reason::ChartArchiveInvalid),
        ("climbs-out", with("chart/../../../etc/evil")?, Reason::ChartArchiveInvalid),
        ("absolute", with("/etc/evil")?, Reason::ChartArchiveInvalid),
        ("many-files", with_many_files()?, Reason::ChartTooLarge),
        ("bomb", bomb()?, Reason::ChartTooLarge),
        (
            "no-metadata",
            archive(|tar| Ok(tar.append(&header("chart/values.yaml", 0)?, &[][..])?))?,
            Reason::ChartMetadataInvalid,
        ),
        ("odd-metadata", with_metadata("apiVersion: v2\nname: [chart\n")?, Reason::ChartMetadataInvalid),
        ("no-version", with_metadata("apiVersion: v2\nname: chart\n")?, Reason::ChartMetadataInvalid),
    ];
    story("archives", async |story| {
        let host = registry().await?.host();
        for (name, layer, _) in &cases {
            artifact::push(&host, &format!("{}/{name}", story.namespace), "1.0.0", CHART, layer).await?;
        }
        story.open_repository().await?;
        let before = story.stage.operator().await.usage()?;
        for (name, ..) in &cases {
            story.release(name, name, "1.0.0", json!({})).await?;
        }
        for (name, _, reason) in &cases {
            status::stalled(&story.failed(name, *reason).await?, *reason)?;
        }
        let spent = story.stage.operator().await.usage()?.cpu_seconds - before.cpu_seconds;
        anyhow::ensure!(spent < 30.0, "refusing them took {spent} CPU-seconds");
        Ok(())
    })
}

#[test]
fn what_is_no_chart_is_named_by_its_media_type() -> Result<()> {
    story("no-chart", async |story| {
        let image = ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip");
        let repository = format!("{}/image", story.namespace);
        artifact::push(&registry().await?.host(), &repository, "1.0.0", image, &with_metadata(METADATA)?).await?;
        story.open_repository().await?;
        story.release("image", "image", "1.0.0", json!({})).await?;
        story.refused("image", Reason::NotAHelmChart, &[image.0]).await?;
        Ok(())
    })
}
