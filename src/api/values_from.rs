//! Where values are read from besides the object itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Values in a key of a `ConfigMap` or a Secret, or in a file of an OCI artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.kind == 'OCIArtifact' ? has(self.url) && !has(self.name) : has(self.name) && !has(self.url)",
     "message": "a ConfigMap or a Secret needs name and has no url; an OCIArtifact needs url and has no name"}
]))]
pub struct ValuesReference {
    /// `ConfigMap`, `Secret` or `OCIArtifact`.
    pub kind: ValuesKind,
    /// The name of the `ConfigMap` or the Secret.
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The OCI artifact, such as `oras push` makes: `oci://host/path:tag`, `oci://host/path@sha256:…`, or both, where the tag must
    /// have the digest. A tag is resolved again at each interval. The registry is asked as for a chart: with the credentials of the
    /// `HelmRepository` that `spec.chart.repository` names if its URL is above the artifact, else of the most specific one that is
    /// above it and that this namespace may use.
    #[schemars(
        with = "String",
        length(max = 1024),
        regex(pattern = r"^oci://[^/]+/.+(:[^/:@]+|@sha256:[0-9a-f]{64})$")
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The key in its data; of an artifact the file, by the title of its layer (`org.opencontainers.image.title`). Default:
    /// `values.yaml`; of an artifact with one layer that one, whatever its title.
    #[schemars(length(min = 1, max = 253))]
    pub values_key: Option<String>,
    /// Where the key's whole content is set as one value, in the words of `--set`: `a.b`, `list[0].c`. Without it the content
    /// is YAML, and merged. A content in quotes is set as the text between them.
    #[schemars(length(min = 1, max = 250))]
    pub target_path: Option<String>,
    /// With `targetPath`: set the content as the text that it is, as `--set-literal` does.
    #[serde(default)]
    pub literal: bool,
    /// Go on without it where the object, the artifact or the key is missing. A registry that does not answer is waited for
    /// all the same.
    #[serde(default)]
    pub optional: bool,
}

/// What values are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ValuesKind {
    /// A `ConfigMap`.
    ConfigMap,
    /// A Secret. What it holds is in no status, Event or log line.
    Secret,
    /// An OCI artifact in a registry. What it holds counts as no secret.
    #[serde(rename = "OCIArtifact")]
    OciArtifact,
}

impl ValuesKind {
    /// The kind, as it is declared.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::OciArtifact => "OCIArtifact",
        }
    }
}

/// An OCI artifact that values were read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValuesArtifact {
    /// Its reference, as declared.
    pub url: String,
    /// The digest of its manifest.
    pub digest: String,
}
