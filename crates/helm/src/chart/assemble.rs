//! From the files of a chart, wherever they come from, to a [`Chart`].

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::limits::{Budget, Excess};
use super::metadata::{Lock, Metadata};
use super::{Chart, Error, File, archive, decode, path};
use crate::given;

/// Makes a chart of its files, packed and unpacked dependencies included.
pub(super) fn assemble(files: Vec<File>, budget: &mut Budget) -> Result<Chart, Error> {
    let chart_yaml = ChartYaml::read(&files)?;
    chart_yaml.check_api_version()?;
    let levels = budget.limits().chart_depth;
    assemble_at(chart_yaml, files, (budget, levels))
}

const CHART_YAML: &str = "Chart.yaml";

/// The file that decides how the others are read.
struct ChartYaml {
    document: decode::Document,
    modified: Option<Timestamp>,
}

impl ChartYaml {
    fn read(files: &[File]) -> Result<Self, Error> {
        let file = files.iter().rfind(|raw| raw.name == CHART_YAML).ok_or(Error::ChartYamlMissing)?;
        let document = decode::Document::read(&file.data).map_err(|reason| in_file(CHART_YAML, reason))?;
        Ok(Self { document, modified: file.modified })
    }

    /// Refuses a chart of another API version; those of its dependencies do not matter to Helm.
    fn check_api_version(&self) -> Result<(), Error> {
        let api_version = decode::api_version(&self.document);
        match api_version.map_err(|reason| in_file(CHART_YAML, reason))?.as_str() {
            "" | "v1" | "v2" => Ok(()),
            found => Err(Error::ApiVersion { found: found.to_owned() }),
        }
    }
}

/// What is wrong with a file. A null where an entry must be only shows when the chart is validated.
fn in_file(file: &'static str, reason: decode::Error) -> Error {
    match reason {
        decode::Error::Null(error) => Error::Validation(error),
        reason => Error::Decode { file, reason },
    }
}

fn assemble_at(
    chart_yaml: ChartYaml,
    files: Vec<File>,
    (budget, levels): (&mut Budget, usize),
) -> Result<Chart, Error> {
    let mut parts = Parts::new(chart_yaml)?;
    for file in files {
        parts.add(file)?;
    }
    let Parts { mut chart, dependencies } = parts;
    chart.metadata.validate()?;
    budget.take_values(given::nodes(&chart.values))?;
    for (name, files) in dependencies {
        if let Some(dependency) = load_dependency(&chart, &name, files, (budget, levels))? {
            chart.dependencies.push(dependency);
        }
    }
    Ok(chart)
}

/// A chart in the making.
struct Parts {
    chart: Chart,
    /// Files below `charts/`, by the first element of their path there.
    dependencies: BTreeMap<String, Vec<File>>,
}

impl Parts {
    fn new(ChartYaml { document, modified }: ChartYaml) -> Result<Self, Error> {
        let mut metadata: Metadata = decode::metadata(&document).map_err(|reason| in_file(CHART_YAML, reason))?;
        if metadata.api_version.is_empty() {
            // Charts of Helm 2 may lack it.
            "v1".clone_into(&mut metadata.api_version);
        }
        let chart = Chart { metadata, modified, ..Chart::default() };
        Ok(Self { chart, dependencies: BTreeMap::new() })
    }

    fn add(&mut self, raw: File) -> Result<(), Error> {
        let chart = &mut self.chart;
        match raw.name.as_str() {
            CHART_YAML => {}
            "Chart.lock" => chart.lock = Some(read_lock(&raw, "Chart.lock")?),
            "values.yaml" => {
                chart.values_size = raw.data.len();
                chart.values = given::parse_bytes(&raw.data).map_err(Error::Values)?;
            }
            "values.schema.json" => {
                chart.schema_modified = raw.modified;
                chart.schema = Some(raw.data);
            }
            "requirements.yaml" => {
                let file = "requirements.yaml";
                let dependencies = decode::requirements(&raw.data).map_err(|reason| in_file(file, reason))?;
                if !dependencies.is_empty() {
                    chart.metadata.dependencies = dependencies;
                }
                self.keep_if_v1(raw);
            }
            "requirements.lock" => {
                chart.lock = Some(read_lock(&raw, "requirements.lock")?);
                self.keep_if_v1(raw);
            }
            name if name.starts_with("templates/") => chart.templates.push(raw),
            name if name.starts_with("charts/") && path::ext(name) != ".prov" => {
                self.add_to_dependency(raw);
            }
            _ => chart.files.push(raw),
        }
        Ok(())
    }

    /// Charts of API version v1 see these files in `.Files`.
    fn keep_if_v1(&mut self, raw: File) {
        if self.chart.metadata.api_version == "v1" {
            self.chart.files.push(raw);
        }
    }

    fn add_to_dependency(&mut self, raw: File) {
        let name = raw.name.strip_prefix("charts/").unwrap_or(&raw.name).to_owned();
        let first = name.split('/').next().unwrap_or_default().to_owned();
        self.dependencies.entry(first).or_default().push(File { name, ..raw });
    }
}

fn read_lock(raw: &File, file: &'static str) -> Result<Lock, Error> {
    decode::lock(&raw.data).map_err(|reason| in_file(file, reason))
}

/// Loads what lies under one name in `charts/`; nothing if it is not meant to be a chart.
fn load_dependency(
    parent: &Chart,
    name: &str,
    files: Vec<File>,
    (budget, levels): (&mut Budget, usize),
) -> Result<Option<Chart>, Error> {
    if name.starts_with(['_', '.']) {
        return Ok(None);
    }
    let parent = parent.metadata.name.clone();
    let levels_below = levels.checked_sub(1).ok_or_else(|| Excess::ChartDepth(budget.limits().chart_depth))?;
    let loaded = if path::ext(name) == ".tgz" {
        let packed = &files[0];
        if packed.name != name {
            let (expected, found) = (name.to_owned(), packed.name.clone());
            return Err(Error::SubchartName { parent, expected, found });
        }
        let unpacked = archive::unpack(&packed.data, budget).map_err(|error| match error {
            Error::NotGzip => Error::DamagedSubchart(gzip_trouble(&packed.data)),
            Error::ReadArchive(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Error::DamagedSubchart("unexpected EOF")
            }
            other => other,
        });
        unpacked.and_then(|files| assemble_at(ChartYaml::read(&files)?, files, (budget, levels_below)))
    } else {
        let files: Vec<_> = files.into_iter().filter_map(below_first_element).collect();
        ChartYaml::read(&files).and_then(|chart_yaml| assemble_at(chart_yaml, files, (budget, levels_below)))
    };
    loaded.map(Some).map_err(|reason| {
        let (name, reason) = (name.to_owned(), Box::new(reason));
        Error::Subchart { name, parent, reason }
    })
}

/// What Go says of bytes that are not a gzip stream.
fn gzip_trouble(bytes: &[u8]) -> &'static str {
    const HEADER_BYTES: usize = 10;
    match bytes.len() {
        0 => "EOF",
        1..HEADER_BYTES => "unexpected EOF",
        _ => "gzip: invalid header",
    }
}

/// Strips the dependency's folder; nothing for a file that lies in `charts/` itself.
fn below_first_element(raw: File) -> Option<File> {
    let (_, name) = raw.name.split_once('/')?;
    Some(File { name: name.to_owned(), ..raw })
}
