//! `Chart.yaml`: what a chart says about itself, and the rules it must keep.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::path;
use crate::semver;

/// The contents of `Chart.yaml`. Serialized as Helm's release record has it: empty fields are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The chart's name; of an aliased dependency, its alias.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Address of the project.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub home: String,
    /// Addresses of the source code.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The chart's version, a semantic version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// One sentence about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Words to find it by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Who maintains it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maintainers: Vec<Maintainer>,
    /// Address of an icon.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub icon: String,
    /// `v1` or `v2`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Unused by Helm.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Unused by Helm.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tags: String,
    /// The version of the application inside.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_version: String,
    /// Whether its author advises against it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
    /// Free-form notes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The constraint on the version of Kubernetes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kube_version: String,
    /// The charts it depends on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// `application`, `library` or nothing.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub chart_type: String,
}

/// Somebody who maintains a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Maintainer {
    /// Name of a person or organisation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Address for mail.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub email: String,
    /// Address of a page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
}

/// A chart that another one depends on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependency {
    /// Its name; once dependencies are processed, its alias if it has one.
    pub name: String,
    /// The range of versions that will do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Where it comes from.
    pub repository: String,
    /// Paths of values that switch it on or off; the first that is there decides.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Groups it is switched on or off with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whether it is part of the release; known once dependencies are processed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub enabled: bool,
    /// Which of its values the parent takes over: names of exports, or pairs of child and parent paths.
    #[serde(rename = "import-values", skip_serializing_if = "Vec::is_empty")]
    pub import_values: Vec<serde_json::Value>,
    /// Another name to use it under.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alias: String,
}

/// The contents of `Chart.lock`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lock {
    /// When it was written, in RFC 3339.
    pub generated: String,
    /// Hash of the dependencies in `Chart.yaml`.
    pub digest: String,
    /// The exact versions chosen.
    pub dependencies: Vec<Dependency>,
}

/// A rule that `Chart.yaml` breaks, in Helm's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("validation: {0}")]
pub struct ValidationError(String);

impl Metadata {
    /// Whether the chart only offers named templates to others.
    pub fn is_library(&self) -> bool {
        self.chart_type.eq_ignore_ascii_case("library")
    }

    /// Cleans the texts of unprintable characters and checks Helm's rules.
    pub(super) fn validate(&mut self) -> Result<(), ValidationError> {
        self.sanitize();
        self.check_identity()?;
        self.check_dependencies()
    }

    fn sanitize(&mut self) {
        let Self { name, description, home, icon, condition, tags, app_version, .. } = self;
        for text in [name, description, home, icon, condition, tags, app_version] {
            sanitize(text);
        }
        sanitize(&mut self.kube_version);
        self.sources.iter_mut().for_each(sanitize);
        self.keywords.iter_mut().for_each(sanitize);
        for Maintainer { name, email, url } in &mut self.maintainers {
            [name, email, url].into_iter().for_each(sanitize);
        }
        for dependency in &mut self.dependencies {
            let Dependency { name, version, repository, condition, tags, .. } = dependency;
            [name, version, repository, condition].into_iter().for_each(sanitize);
            tags.iter_mut().for_each(sanitize);
        }
    }

    fn check_identity(&self) -> Result<(), ValidationError> {
        let refuse = |message: String| Err(ValidationError(message));
        let name = &self.name;
        if name.is_empty() {
            return refuse("chart.metadata.name is required".to_owned());
        }
        if name == "." || name == ".." {
            return refuse(format!("chart.metadata.name {name:?} is not allowed"));
        }
        if name != path::base(name) {
            return refuse(format!("chart.metadata.name {name:?} is invalid"));
        }
        if self.version.is_empty() {
            return refuse("chart.metadata.version is required".to_owned());
        }
        if semver::Version::parse_loose(&self.version).is_err() {
            return refuse(format!("chart.metadata.version {:?} is invalid", self.version));
        }
        if !matches!(self.chart_type.as_str(), "" | "application" | "library") {
            return refuse("chart.metadata.type must be application or library".to_owned());
        }
        Ok(())
    }

    fn check_dependencies(&self) -> Result<(), ValidationError> {
        let mut names = std::collections::BTreeSet::new();
        for dependency in &self.dependencies {
            let Dependency { name, alias, .. } = dependency;
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if !alias.chars().all(legal) {
                let message = format!("dependency {name:?} has disallowed characters in the alias");
                return Err(ValidationError(message));
            }
            let key = if alias.is_empty() { name } else { alias };
            if !names.insert(key) {
                let message = format!("more than one dependency with name or alias {key:?}");
                return Err(ValidationError(message));
            }
        }
        Ok(())
    }
}

impl ValidationError {
    pub(super) fn new(message: &str) -> Self {
        Self(message.to_owned())
    }
}

/// White space becomes a space, unprintable characters go.
fn sanitize(text: &mut String) {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return;
    }
    *text =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| gotmpl::is_printable(*c)).collect();
}

#[cfg(test)]
mod tests;
