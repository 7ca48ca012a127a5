//! In which cluster a release is carried out. Pure data.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to reach another cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Fields", into = "Fields")]
pub enum KubeConfig {
    /// By a kubeconfig.
    Secret(KubeConfigSecret),
    /// By tokens of a service account.
    ConfigMap(KubeConfigMap),
}

/// [`KubeConfig`] as it is written.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(
    rename = "KubeConfig",
    extend("x-kubernetes-validations" = [
        {"rule": "has(self.secretRef) != has(self.configMapRef)",
         "message": "exactly one of secretRef and configMapRef is needed"}
    ])
)]
struct Fields {
    /// The Secret, in the namespace of this object, that holds a kubeconfig. It is watched: a rotated one is used at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_ref: Option<KubeConfigSecret>,
    /// The `ConfigMap`, in the namespace of this object, that says how to reach a cluster which trusts the service accounts of this
    /// one, without a credential that is kept anywhere. Its keys are Flux's: `provider`, which is `generic`; `address`, the URL of the
    /// API server; `ca.crt`, the authorities of its certificate, in PEM (default: those of the operator's system);
    /// `serviceAccountName`, the service account of this object's namespace in this cluster whose tokens are shown there; `audiences`
    /// of these tokens, one a line (default: the address). It is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config_map_ref: Option<KubeConfigMap>,
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

/// A `ConfigMap` that says how to reach a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubeConfigMap {
    /// The `ConfigMap`'s name.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}

impl TryFrom<Fields> for KubeConfig {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        match (fields.secret_ref, fields.config_map_ref) {
            (Some(secret), None) => Ok(Self::Secret(secret)),
            (None, Some(map)) => Ok(Self::ConfigMap(map)),
            _ => Err("kubeConfig: exactly one of secretRef and configMapRef is needed"),
        }
    }
}

impl From<KubeConfig> for Fields {
    fn from(config: KubeConfig) -> Self {
        match config {
            KubeConfig::Secret(secret) => Self { secret_ref: Some(secret), config_map_ref: None },
            KubeConfig::ConfigMap(map) => Self { secret_ref: None, config_map_ref: Some(map) },
        }
    }
}

/// What a `ConfigMap` is told by in a status and in marks. No name of a Secret has a capital letter.
const CONFIG_MAP: &str = "ConfigMap/";

impl KubeConfig {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Self {
        if let Some(name) = text.strip_prefix(CONFIG_MAP) {
            return Self::ConfigMap(KubeConfigMap { name: name.to_owned() });
        }
        Self::Secret(match text.split_once('/') {
            Some((name, key)) => KubeConfigSecret { name: name.to_owned(), key: Some(key.to_owned()) },
            None => KubeConfigSecret { name: text.to_owned(), key: None },
        })
    }

    /// The kind of the object that is named.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Secret(_) => "Secret",
            Self::ConfigMap(_) => "ConfigMap",
        }
    }

    /// The name of that object.
    pub fn name(&self) -> &str {
        match self {
            Self::Secret(secret) => &secret.name,
            Self::ConfigMap(map) => &map.name,
        }
    }

    /// The key in it, where one is named.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Secret(secret) => secret.key.as_deref(),
            Self::ConfigMap(_) => None,
        }
    }
}

impl fmt::Display for KubeConfig {
    /// `name`, or `name/key`, for a Secret, and `ConfigMap/name`: neither names nor keys hold a slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(secret) => {
                f.write_str(&secret.name)?;
                secret.key.iter().try_for_each(|key| write!(f, "/{key}"))
            }
            Self::ConfigMap(map) => write!(f, "{CONFIG_MAP}{}", map.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::KubeConfig;

    #[test]
    fn one_of_the_two_is_named_and_told_in_words_that_name_no_other() {
        for (declared, told) in [
            (json!({ "secretRef": { "name": "prod", "key": null } }), Some("prod")),
            (
                json!({ "secretRef": { "name": "prod", "key": "value.yaml" }, "configMapRef": null }),
                Some("prod/value.yaml"),
            ),
            (json!({ "configMapRef": { "name": "prod" } }), Some("ConfigMap/prod")),
            (json!({ "configMapRef": { "name": "prod" }, "secretRef": { "name": "prod" } }), None),
            (json!({}), None),
        ] {
            let read = serde_json::from_value::<KubeConfig>(declared.clone()).ok();
            assert_eq!(read.as_ref().map(ToString::to_string).as_deref(), told, "{declared}");
            let Some(read) = read else { continue };
            assert_eq!(KubeConfig::parse(&read.to_string()), read);
            let written = serde_json::to_value(&read).expect("it can be written");
            assert_eq!(serde_json::from_value::<KubeConfig>(written).expect("it can be read"), read);
        }
    }
}
