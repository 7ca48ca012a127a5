//! `.Capabilities`: what is known of the cluster and of Helm.

use std::any::Any;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use formats::go;
use gotmpl::{FuncError, Kind, List, Map, Object, Signature, Str, Type, Value};

/// What templates may know of the cluster they render for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The version of the API server.
    pub kube_version: KubeVersion,
    /// What the API server serves: each `group/version` and, if known, each `group/version/Kind`.
    pub api_versions: Arc<[String]>,
    /// The version of Helm that this engine stands in for.
    pub helm_version: HelmVersion,
}

/// A version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// In full, such as `v1.33.4-gke.1245000`.
    pub version: String,
    /// Its major number; some servers append a `+`.
    pub major: String,
    /// Its minor number; some servers append a `+`.
    pub minor: String,
    /// The version without suffixes, if it was given by a user: constraints are then checked against it. For a
    /// version that an API server reports, Helm checks the full one.
    pub normalized: Option<String>,
}

/// What a Helm binary knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelmVersion {
    /// Helm's version.
    pub version: String,
    /// The commit it is built from.
    pub git_commit: String,
    /// Whether it is built from exactly that commit.
    pub git_tree_state: String,
    /// The version of Go it is built with.
    pub go_version: String,
    /// The version of Kubernetes it is built for.
    pub kube_client_version: String,
}

impl Default for HelmVersion {
    /// The release of Helm whose behaviour this crate reproduces.
    fn default() -> Self {
        Self {
            version: "v4.3.1".to_owned(),
            git_commit: String::new(),
            git_tree_state: String::new(),
            go_version: "go1.26.8".to_owned(),
            kube_client_version: "v1.37".to_owned(),
        }
    }
}

/// Why a text is no version of Kubernetes, in the words of Kubernetes' parser.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeVersionError {
    /// It does not start with numbers.
    #[error("could not parse {} as version", go::quote(.0))]
    NoNumbers(String),
    /// It has one number only.
    #[error("illegal version string {}", go::quote(.0))]
    OneNumber(String),
    /// Its first number starts with a zero.
    #[error("illegal zero-prefixed version component {} in {}", go::quote(number), go::quote(version))]
    Zero {
        /// The number.
        number: String,
        /// The text.
        version: String,
    },
    /// A number is too great.
    #[error(
        "illegal non-numeric version component {number} in {version}: strconv.ParseUint: parsing {number}: value out of \
         range",
        number = go::quote(number),
        version = go::quote(version)
    )]
    Range {
        /// The number.
        number: String,
        /// The text.
        version: String,
    },
}

impl KubeVersion {
    /// Reads a version given by a user, such as `1.33`, `v1.33.4` or `v1.33.4-gke.1245000`: numbers separated by dots,
    /// of which there are at least two, and anything behind them.
    pub fn parse(text: &str) -> Result<Self, KubeVersionError> {
        let bare = text.trim_start();
        let bare = bare.strip_prefix('v').unwrap_or(bare);
        let words = leading_numbers(bare);
        let [first, second, ..] = words[..] else {
            let text = text.to_owned();
            return Err(if words.is_empty() {
                KubeVersionError::NoNumbers(text)
            } else {
                KubeVersionError::OneNumber(text)
            });
        };
        if first.starts_with('0') && first != "0" {
            return Err(KubeVersionError::Zero { number: first.to_owned(), version: text.to_owned() });
        }
        let number = |word: &str| {
            let range = |_| KubeVersionError::Range { number: word.to_owned(), version: text.to_owned() };
            word.parse::<u64>().map(|number| number.to_string()).map_err(range)
        };
        let numbers = words.iter().map(|word| number(word)).collect::<Result<Vec<_>, _>>()?;
        let version = if text.starts_with('v') { text.to_owned() } else { format!("v{text}") };
        let normalized = Some(format!("v{}", numbers.join(".")));
        Ok(Self { version, major: number(first)?, minor: number(second)?, normalized })
    }

    /// The version that an API server reports at `/version`.
    pub fn from_server(git_version: &str, major: &str, minor: &str) -> Self {
        let [version, major, minor] = [git_version, major, minor].map(str::to_owned);
        Self { version, major, minor, normalized: None }
    }
}

impl fmt::Display for KubeVersion {
    /// The version that constraints are checked against.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.normalized.as_ref().unwrap_or(&self.version))
    }
}

/// The dot-separated numbers that a text starts with.
fn leading_numbers(text: &str) -> Vec<&str> {
    let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].split('.').take_while(|number| !number.is_empty()).collect()
}

/// Values for Go structs: exported fields by name, printed in order.
#[derive(Clone)]
struct Struct {
    type_name: &'static str,
    kind: Kind,
    fields: Vec<Field>,
    /// What `String()` says, of types whose pointer has that method.
    text: Option<String>,
    /// Whether the pointer has a method `Copy`.
    copies: bool,
}

#[derive(Clone)]
struct Field {
    name: &'static str,
    /// Its name in JSON; nothing for an unexported field, which only `fmt` shows.
    json: Option<&'static str>,
    omit_empty: bool,
    value: Value,
}

fn field(name: &'static str, value: impl Into<Value>) -> Field {
    Field { name, json: Some(name), omit_empty: false, value: value.into() }
}

fn named_field(name: &'static str, json: &'static str, text: &str) -> Field {
    let omit_empty = name != "KubeClientVersion";
    Field { name, json: Some(json), omit_empty, value: Value::string(text) }
}

fn unexported_field(name: &'static str, text: &str) -> Field {
    Field { name, json: None, omit_empty: false, value: Value::string(text) }
}

impl Object for Struct {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn field(&self, name: &str) -> Option<Value> {
        let exported = self.fields.iter().find(|field| field.name == name && field.json.is_some());
        exported.map(|field| field.value.clone())
    }

    fn hides(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name && field.json.is_none())
    }

    fn has_method(&self, name: &str) -> bool {
        match name {
            "String" | "GitVersion" => self.text.is_some(),
            "Copy" => self.copies,
            _ => false,
        }
    }

    fn signature(&self, _name: &str) -> Option<Signature> {
        Some(Signature { params: &[], variadic: false })
    }

    fn call(&self, name: &str, _args: &[Value]) -> Result<Value, FuncError> {
        match (name, &self.text) {
            ("String", Some(text)) => Ok(Value::string(text.as_str())),
            ("Copy", _) => Ok(Value::Object(Rc::new(self.clone()))),
            ("GitVersion", Some(_)) => Ok(self.field("Version").unwrap_or(Value::Nil)),
            _ => Err(FuncError::new(format!("no method {name}"))),
        }
    }

    fn display(&self) -> Str {
        gotmpl::display(&Value::Object(Rc::new(self.clone())))
    }

    fn fields(&self) -> Option<Vec<(&'static str, Value)>> {
        Some(self.fields.iter().map(|field| (field.name, field.value.clone())).collect())
    }

    fn pointed_text(&self) -> Option<Str> {
        self.text.as_deref().map(Str::from)
    }

    fn boxed(&self) -> Option<Value> {
        self.text.as_ref()?;
        Some(Value::Object(Rc::new(Self { text: None, ..self.clone() })))
    }

    fn to_value(&self) -> Value {
        let plain = |value: Value| match &value {
            Value::Object(object) => object.to_value(),
            _ => value,
        };
        let fields = self.json_fields().unwrap_or_default();
        Map::any(fields.into_iter().map(|(name, value)| (name.into(), plain(value))).collect()).into()
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        let shown = self.fields.iter().filter(|field| !field.omit_empty || field.value.truthy());
        Some(shown.filter_map(|field| Some((field.json?, field.value.clone()))).collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Go's `common.VersionSet`: a slice with the method `Has`.
struct VersionSet {
    versions: Arc<[String]>,
}

impl VersionSet {
    fn list(&self) -> List {
        List::strings(self.versions.iter().map(String::as_str))
    }
}

impl Object for VersionSet {
    fn type_name(&self) -> &'static str {
        "common.VersionSet"
    }

    fn kind(&self) -> Kind {
        Kind::Slice
    }

    fn underlying(&self) -> Option<Value> {
        Some(self.list().into())
    }

    fn has_method(&self, name: &str) -> bool {
        name == "Has"
    }

    fn signature(&self, _name: &str) -> Option<Signature> {
        Some(Signature { params: &[Type::String], variadic: false })
    }

    fn call(&self, _name: &str, args: &[Value]) -> Result<Value, FuncError> {
        let wanted = match args.first() {
            Some(Value::String(text)) => text.clone(),
            _ => Str::from(""),
        };
        Ok(self.versions.iter().any(|version| version.as_bytes() == wanted.as_bytes()).into())
    }

    fn display(&self) -> Str {
        Str::from(format!("[{}]", self.versions.join(" ")))
    }

    fn to_value(&self) -> Value {
        self.list().into()
    }

    fn truthy(&self) -> bool {
        !self.versions.is_empty()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Capabilities {
    /// What templates see: Go's `*common.Capabilities`.
    pub(super) fn to_value(&self) -> Value {
        let kube = &self.kube_version;
        let kube_version = Struct {
            type_name: "common.KubeVersion",
            kind: Kind::Struct,
            fields: vec![
                field("Version", Value::string(kube.version.as_str())),
                unexported_field("normalizedVersion", kube.normalized.as_deref().unwrap_or_default()),
                field("Major", Value::string(kube.major.as_str())),
                field("Minor", Value::string(kube.minor.as_str())),
            ],
            text: Some(kube.to_string()),
            copies: false,
        };
        let capabilities = Struct {
            type_name: "*common.Capabilities",
            kind: Kind::Ptr,
            fields: vec![
                field("KubeVersion", Value::Object(Rc::new(kube_version))),
                field("APIVersions", Value::Object(Rc::new(VersionSet { versions: Arc::clone(&self.api_versions) }))),
                field("HelmVersion", Value::Object(Rc::new(self.helm_version.to_struct()))),
            ],
            text: None,
            copies: true,
        };
        Value::Object(Rc::new(capabilities))
    }
}

impl HelmVersion {
    fn to_struct(&self) -> Struct {
        let Self { version, git_commit, git_tree_state, go_version, kube_client_version } = self;
        Struct {
            type_name: "version.BuildInfo",
            kind: Kind::Struct,
            fields: vec![
                named_field("Version", "version", version),
                named_field("GitCommit", "git_commit", git_commit),
                named_field("GitTreeState", "git_tree_state", git_tree_state),
                named_field("GoVersion", "go_version", go_version),
                named_field("KubeClientVersion", "kube_client_version", kube_client_version),
            ],
            text: None,
            copies: false,
        }
    }
}
