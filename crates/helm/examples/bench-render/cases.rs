//! Which charts are rendered with which values.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// A chart with values.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) chart: PathBuf,
    pub(crate) values: Vec<PathBuf>,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.chart.display())?;
        self.values.iter().try_for_each(|file| write!(f, " {}", file.file_name().unwrap_or_default().display()))
    }
}

/// Every chart below some folders, with its defaults and with each values file in its `ci/`.
pub(crate) fn below(folders: &[&str]) -> Result<Vec<Case>, Box<dyn Error>> {
    let mut charts = Vec::new();
    for folder in folders {
        find(Path::new(folder), &mut charts)?;
    }
    if charts.is_empty() {
        return Err(format!("no charts below {folders:?}; {}", super::USAGE).into());
    }
    let mut cases = Vec::new();
    for chart in charts {
        let files = values_files(&chart)?.into_iter().map(|file| vec![file]);
        let all = std::iter::once(Vec::new()).chain(files);
        cases.extend(all.map(|values| Case { chart: chart.clone(), values }));
    }
    Ok(cases)
}

/// Charts within charts are parts of those.
fn find(folder: &Path, charts: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    if folder.join("Chart.yaml").is_file() {
        charts.push(folder.to_owned());
        return Ok(());
    }
    entries(folder)?.iter().filter(|path| path.is_dir()).try_for_each(|path| find(path, charts))
}

fn values_files(chart: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let folder = chart.join("ci");
    let files = if folder.is_dir() { entries(&folder)? } else { Vec::new() };
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml");
    Ok(files.into_iter().filter(is_yaml).collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}
