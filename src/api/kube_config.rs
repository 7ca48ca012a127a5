//! In which cluster a release is carried out. Pure data.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to reach another cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubeConfig {
    /// The Secret, in the namespace of this object, that holds a kubeconfig. It is watched: a rotated one is used at once.
    pub secret_ref: KubeConfigSecret,
}

/// A key of a Secret that holds a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubeConfigSecret {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// The key in its data. Default: `value`, else `value.yaml`.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: Option<String>,
}

impl KubeConfigSecret {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Self {
        match text.split_once('/') {
            Some((name, key)) => Self { name: name.to_owned(), key: Some(key.to_owned()) },
            None => Self { name: text.to_owned(), key: None },
        }
    }
}

impl fmt::Display for KubeConfigSecret {
    /// `name`, or `name/key`: neither holds a slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.key.iter().try_for_each(|key| write!(f, "/{key}"))
    }
}
