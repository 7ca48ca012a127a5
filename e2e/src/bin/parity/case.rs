//! What is compared: each chart below a folder with its default values and with each of its values files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A chart with values.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The path below the folder it was found in, and what the values are.
    pub(crate) name: String,
    /// The chart's folder or archive.
    pub(crate) chart: PathBuf,
    /// The values files, later ones win.
    pub(crate) values: Vec<PathBuf>,
}

impl Case {
    /// The row of the table it counts for: the folder at the top.
    pub(crate) fn group(&self) -> &str {
        self.name.split(['/', ' ']).next().unwrap_or_default()
    }
}

/// All cases below `folder`, in the order of their names.
pub(crate) fn below(folder: &Path) -> Result<Vec<Case>> {
    let mut charts = Vec::new();
    // A chart itself is called by its own folder's name.
    let is_chart = folder.join("Chart.yaml").is_file() || folder.is_file();
    let base = if is_chart { folder.parent().unwrap_or(folder) } else { folder };
    collect(folder, &mut charts).with_context(|| format!("failed to look for charts in {}", folder.display()))?;
    let mut cases = Vec::new();
    for chart in charts {
        let name = chart.strip_prefix(base).unwrap_or(&chart).display().to_string();
        let values = values_files(&chart)?;
        cases.push(Case { name: name.clone(), chart: chart.clone(), values: Vec::new() });
        cases.extend(values.into_iter().map(|file| {
            let values = file.strip_prefix(&chart).unwrap_or(&file).display();
            Case { name: format!("{name} -f {values}"), chart: chart.clone(), values: vec![file.clone()] }
        }));
    }
    Ok(cases)
}

/// Charts are folders with a `Chart.yaml`, and archives; what lies in a chart's `charts/` is a part of that chart.
fn collect(path: &Path, charts: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        charts.extend(path.extension().is_some_and(|end| end == "tgz").then(|| path.to_owned()));
        return Ok(());
    }
    let is_chart = path.join("Chart.yaml").is_file();
    if is_chart {
        charts.push(path.to_owned());
    }
    for entry in entries(path)? {
        let parts = is_chart && entry.file_name().is_some_and(|name| name == "charts" || name == "templates");
        if !parts && !entry.is_symlink() {
            collect(&entry, charts)?;
        }
    }
    Ok(())
}

fn values_files(chart: &Path) -> Result<Vec<PathBuf>> {
    let ci = chart.join("ci");
    let mut files = if ci.is_dir() { entries(&ci)? } else { Vec::new() };
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml" || end == "yml"));
    if chart.is_dir() {
        files.extend(entries(chart)?.into_iter().filter(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with("-values.yaml") || (name.starts_with("values-") && name.ends_with(".yaml"))
        }));
    }
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}
