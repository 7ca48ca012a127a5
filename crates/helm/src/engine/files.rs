//! `.Files`: the files of a chart that are neither templates nor `Chart.yaml` and the like.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use formats::yaml;
use gotmpl::{FuncError, Kind, List, ListType, Map, MapType, Object, Signature, Str, Type, Value};

use super::glob::{BadGlob, Glob};
use crate::chart::{self, path};

/// Go's `engine.files`: a map of names to bytes with methods.
pub(super) struct Files {
    files: BTreeMap<String, Arc<[u8]>>,
}

impl Files {
    /// The files of one chart.
    pub(super) fn new(files: &[chart::File]) -> Self {
        let files = files.iter().map(|file| (file.name.clone(), Arc::clone(&file.data)));
        Self { files: files.collect() }
    }

    fn get(&self, name: &str) -> Arc<[u8]> {
        self.files.get(name).map(Arc::clone).unwrap_or_default()
    }

    fn glob(&self, pattern: &str) -> Result<Self, FuncError> {
        let glob = match Glob::parse(pattern) {
            Ok(glob) => Some(glob),
            Err(BadGlob::Malformed) => None,
            Err(error @ (BadGlob::TooLong | BadGlob::TooDeep)) => return Err(FuncError::new(error.to_string())),
        };
        let matches = |name: &str| glob.as_ref().is_none_or(|glob| glob.matches(name));
        let files = self.files.iter().filter(|(name, _)| matches(name));
        Ok(Self { files: files.map(|(name, data)| (name.clone(), Arc::clone(data))).collect() })
    }

    fn lines(&self, name: &str) -> List {
        let data = self.get(name);
        if data.is_empty() {
            return List::strings::<Str>([]);
        }
        let data = data.strip_suffix(b"\n").unwrap_or(&data);
        List::strings(data.split(|byte| *byte == b'\n').map(Str::from))
    }

    /// A YAML mapping of base names to texts.
    fn as_yaml(&self, text: impl Fn(&[u8]) -> Str) -> Str {
        let entries = self.files.iter().map(|(name, data)| (path::base(name).into(), text(data).into()));
        let map = Map::new(MapType::String, entries.collect());
        let mut yaml = yaml::emit(&map.into());
        if yaml.last() == Some(&b'\n') {
            yaml.pop();
        }
        Str::from(yaml)
    }
}

/// How many pairs of a character of a file's name and one of a pattern are compared for one step.
const GLOB_CHARACTERS: u64 = 16;
/// How many bytes of files are printed for one step; they are copied twice before.
const YAML_BYTES: u64 = 2;
/// What a line costs in steps.
const LINE: u64 = 16;

/// The methods' only parameter.
const NAME: Signature = Signature { params: &[Type::String], variadic: false };
const NOTHING: Signature = Signature { params: &[], variadic: false };

impl Object for Files {
    fn type_name(&self) -> &'static str {
        "engine.files"
    }

    fn kind(&self) -> Kind {
        Kind::Map
    }

    fn underlying(&self) -> Option<Value> {
        let entries =
            self.files.iter().map(|(name, data)| (name.as_str().into(), List::bytes(Arc::clone(data)).into()));
        Some(Map::any(entries.collect()).into())
    }

    fn field(&self, name: &str) -> Option<Value> {
        Some(
            self.files.get(name).map_or_else(|| List::nil(ListType::Byte), |data| List::bytes(Arc::clone(data))).into(),
        )
    }

    fn has_method(&self, name: &str) -> bool {
        matches!(name, "Get" | "GetBytes" | "Glob" | "AsConfig" | "AsSecrets" | "Lines")
    }

    fn signature(&self, name: &str) -> Option<Signature> {
        Some(if matches!(name, "AsConfig" | "AsSecrets") { NOTHING } else { NAME })
    }

    fn size(&self) -> u64 {
        self.files.iter().map(|(name, data)| (name.len() + data.len()) as u64).sum()
    }

    fn work(&self, name: &str, args: &[Value]) -> u64 {
        match (name, args.first()) {
            // Each file's name is compared with each part of the pattern.
            ("Glob", Some(Value::String(pattern))) => {
                let names: usize = self.files.keys().map(String::len).sum();
                let length = pattern.len() as u64;
                length + (names as u64).saturating_mul(1 + length) / GLOB_CHARACTERS
            }
            ("AsConfig" | "AsSecrets", _) => self.size() / YAML_BYTES,
            // A line takes more than its text.
            ("Lines", Some(Value::String(name))) => {
                let data = self.get(&name.to_lossy());
                LINE * memchr::memchr_iter(b'\n', &data).count() as u64 + data.len() as u64 / YAML_BYTES
            }
            _ => 0,
        }
    }

    fn call(&self, name: &str, args: &[Value]) -> Result<Value, FuncError> {
        let argument = match args.first() {
            Some(Value::String(text)) => text.to_lossy(),
            _ => "".into(),
        };
        Ok(match name {
            "Get" => Value::string(self.get(&argument)),
            "GetBytes" => List::bytes(self.get(&argument)).into(),
            "Glob" => Value::Object(std::rc::Rc::new(self.glob(&argument)?)),
            "AsConfig" => self.as_yaml(|data| Str::from(data)).into(),
            "AsSecrets" => self.as_yaml(|data| Str::from(STANDARD.encode(data))).into(),
            "Lines" => self.lines(&argument).into(),
            _ => return Err(FuncError::new(format!("no method {name}"))),
        })
    }

    fn display(&self) -> Str {
        let entries = self.files.iter().map(|(name, data)| {
            let bytes: Vec<_> = data.iter().map(u8::to_string).collect();
            format!("{name}:[{}]", bytes.join(" "))
        });
        Str::from(format!("map[{}]", entries.collect::<Vec<_>>().join(" ")))
    }

    /// JSON has bytes in base64.
    fn to_value(&self) -> Value {
        let entries =
            self.files.iter().map(|(name, data)| (name.as_str().into(), Value::string(STANDARD.encode(data))));
        Map::new(MapType::String, entries.collect()).into()
    }

    fn truthy(&self) -> bool {
        !self.files.is_empty()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
