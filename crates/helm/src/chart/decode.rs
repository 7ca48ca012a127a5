//! From the YAML of `Chart.yaml` and `Chart.lock` to their fields, as Go decodes them.
//!
//! Scalars become text where text is wanted (`appVersion: 1.0` is `"1"`), keys match without regard to case,
//! unknown keys are ignored and a null leaves a field empty.

use std::collections::BTreeMap;

use formats::yaml::typed::{self, json_type};
use formats::{json, yaml};
use gotmpl::{Map, Value};

use super::metadata::{Dependency, Lock, Maintainer, Metadata, ValidationError};
use crate::functions;

/// Why a file has no meaning as what it should be, in Helm's words.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no YAML.
    #[error("{0}")]
    Yaml(yaml::Error),
    /// A value has the wrong type.
    #[error(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go {place} of type {wanted}"
    )]
    Type {
        /// The JSON type found.
        found: &'static str,
        /// `value` or `struct field Metadata.name`.
        place: String,
        /// The Go type wanted.
        wanted: &'static str,
    },
    /// A text is no time.
    #[error("error unmarshaling JSON: while decoding JSON: {0}")]
    Time(String),
    /// A list holds a null where it needs an entry.
    #[error(transparent)]
    Null(#[from] ValidationError),
}

/// The API version in the `Chart.yaml` of a chart that is to be loaded, looked at before anything else.
pub(super) fn api_version(document: &Document) -> Result<String, Error> {
    Fields::of(document, "chartBase", "loader.chartBase")?.string("apiVersion")
}

/// Decodes `Chart.yaml`.
pub(super) fn metadata(document: &Document) -> Result<Metadata, Error> {
    let fields = Fields::of(document, "Metadata", "v2.Metadata")?;
    Ok(Metadata {
        name: fields.string("name")?,
        home: fields.string("home")?,
        sources: fields.strings("sources")?,
        version: fields.string("version")?,
        description: fields.string("description")?,
        keywords: fields.strings("keywords")?,
        maintainers: maintainers(&fields)?,
        icon: fields.string("icon")?,
        api_version: fields.string("apiVersion")?,
        condition: fields.string("condition")?,
        tags: fields.string("tags")?,
        app_version: fields.string("appVersion")?,
        deprecated: fields.bool("deprecated")?,
        annotations: fields.string_map("annotations")?,
        kube_version: fields.string("kubeVersion")?,
        dependencies: dependencies(&fields)?,
        chart_type: fields.string("type")?,
    })
}

/// Decodes the dependencies in `requirements.yaml`.
pub(super) fn requirements(text: &[u8]) -> Result<Vec<Dependency>, Error> {
    dependencies(&Fields::of(&Document::read(text)?, "Metadata", "v2.Metadata")?)
}

/// Decodes `Chart.lock` or `requirements.lock`.
pub(super) fn lock(text: &[u8]) -> Result<Lock, Error> {
    let fields = Fields::of(&Document::read(text)?, "Lock", "v2.Lock")?;
    Ok(Lock {
        generated: fields.time("generated")?,
        digest: fields.string("digest")?,
        dependencies: dependencies(&fields)?,
    })
}

fn maintainers(fields: &Fields) -> Result<Vec<Maintainer>, Error> {
    fields.structs("maintainers", ("Maintainer", "v2.Maintainer"), |fields| {
        Ok(Maintainer { name: fields.string("name")?, email: fields.string("email")?, url: fields.string("url")? })
    })
}

fn dependencies(fields: &Fields) -> Result<Vec<Dependency>, Error> {
    fields.structs("dependencies", ("Dependency", "v2.Dependency"), |fields| {
        Ok(Dependency {
            name: fields.string("name")?,
            version: fields.string("version")?,
            repository: fields.string("repository")?,
            condition: fields.string("condition")?,
            tags: fields.strings("tags")?,
            enabled: fields.bool("enabled")?,
            import_values: fields.values("import-values")?,
            alias: fields.string("alias")?,
        })
    })
}

/// The text of a file, read as YAML but not yet as anything.
pub(super) struct Document(Value);

impl Document {
    /// Reads the first document of a file.
    pub(super) fn read(text: &[u8]) -> Result<Self, Error> {
        typed::parse(text, &|_| true).map(Self).map_err(Error::Yaml)
    }
}

/// One YAML mapping that stands for a Go struct.
struct Fields {
    map: Map,
    /// The struct's name, and the path of fields that led to it.
    struct_name: &'static str,
    prefix: String,
}

impl Fields {
    fn of(Document(value): &Document, struct_name: &'static str, go_type: &'static str) -> Result<Self, Error> {
        let map = match value {
            Value::Map(map) => map.clone(),
            Value::Nil => Map::any(BTreeMap::new()),
            other => {
                let place = "value".to_owned();
                return Err(Error::Type { found: json_type(other), place, wanted: go_type });
            }
        };
        Ok(Self { map, struct_name, prefix: String::new() })
    }

    /// The value of a field; of several keys that differ in case, the last in byte order.
    fn get(&self, name: &str) -> Option<Value> {
        let entries = self.map.borrow();
        let mut matching = entries.iter().rev().filter(|(key, value)| {
            key.as_bytes().eq_ignore_ascii_case(name.as_bytes()) && !matches!(value, Value::Nil)
        });
        matching.next().map(|(_, value)| value.clone())
    }

    fn mismatch(&self, name: &str, found: &Value, wanted: &'static str) -> Error {
        let place = format!("struct field {}.{}{name}", self.struct_name, self.prefix);
        Error::Type { found: json_type(found), place, wanted }
    }

    fn string(&self, name: &str) -> Result<String, Error> {
        self.get(name).map_or_else(|| Ok(String::new()), |value| self.text(name, &value))
    }

    /// A time, which is kept as it is written.
    fn time(&self, name: &str) -> Result<String, Error> {
        match self.get(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => {
                functions::check_rfc3339(text.as_bytes()).map_err(Error::Time)?;
                Ok(text.to_string())
            }
            Some(_) => Err(Error::Time("Time.UnmarshalJSON: input is not a JSON string".to_owned())),
        }
    }

    fn bool(&self, name: &str) -> Result<bool, Error> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(value),
            Some(other) => Err(self.mismatch(name, &other, "bool")),
        }
    }

    fn list(&self, name: &str, wanted: &'static str) -> Result<Vec<Value>, Error> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::List(list)) => Ok(list.items().to_vec()),
            Some(other) => Err(self.mismatch(name, &other, wanted)),
        }
    }

    fn strings(&self, name: &str) -> Result<Vec<String>, Error> {
        let items = self.list(name, "[]string")?;
        items.iter().map(|item| self.text(name, item)).collect()
    }

    fn values(&self, name: &str) -> Result<Vec<serde_json::Value>, Error> {
        Ok(self.list(name, "[]interface {}")?.iter().map(json::to_serde).collect())
    }

    fn string_map(&self, name: &str) -> Result<BTreeMap<String, String>, Error> {
        let map = match self.get(name) {
            None => return Ok(BTreeMap::new()),
            Some(Value::Map(map)) => map,
            Some(other) => return Err(self.mismatch(name, &other, "map[string]string")),
        };
        let entries = map.borrow();
        let texts = entries.iter().map(|(key, value)| Ok((key.to_lossy().into_owned(), self.text(name, value)?)));
        texts.collect()
    }

    fn structs<T>(
        &self,
        name: &str,
        (struct_name, go_type): (&'static str, &'static str),
        decode: impl Fn(&Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let wanted = if name == "maintainers" { "[]*v2.Maintainer" } else { "[]*v2.Dependency" };
        let mut decoded = Vec::new();
        for item in self.list(name, wanted)? {
            match item {
                Value::Map(map) => {
                    let prefix = format!("{}{name}.", self.prefix);
                    decoded.push(decode(&Self { map, struct_name, prefix })?);
                }
                Value::Nil => {
                    let message = format!("{name} must not contain empty or null nodes");
                    return Err(ValidationError::new(&message).into());
                }
                other => return Err(self.mismatch(name, &other, go_type)),
            }
        }
        Ok(decoded)
    }

    /// A scalar as text.
    fn text(&self, name: &str, value: &Value) -> Result<String, Error> {
        match typed::text(value) {
            Some(text) => Ok(text),
            None if matches!(value, Value::Nil) => Ok(String::new()),
            None => Err(self.mismatch(name, value, "string")),
        }
    }
}
