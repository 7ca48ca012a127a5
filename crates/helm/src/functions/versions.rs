//! `semver` and `semverCompare`.

use std::borrow::Cow;
use std::rc::Rc;

use gotmpl::{FuncError, Function, Kind, List, Object, Signature, Str, Type, Value};

use super::arguments::text;
use super::pure;
use crate::host::Host;
use crate::semver::{Constraint, Error, Version};

pub(super) const TABLE: &[Function<Host>] = &[
    pure("semver", &[Type::String], |args| {
        let version = Version::parse_loose(&lossy(text(args, 0)?)).map_err(in_words)?;
        Ok(Semver::value(version, false))
    }),
    pure("semverCompare", &[Type::String, Type::String], |args| {
        let constraint = Constraint::parse(&lossy(text(args, 0)?)).map_err(in_words)?;
        let version = Version::parse_loose(&lossy(text(args, 1)?)).map_err(in_words)?;
        Ok(Value::Bool(constraint.check(&version)))
    }),
];

fn lossy(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(text)
}

#[expect(clippy::needless_pass_by_value, reason = "it is used as the argument of map_err")]
fn in_words(error: Error) -> FuncError {
    FuncError::new(error.to_string())
}

/// A `*semver.Version`, or a copy of one.
struct Semver {
    version: Version,
    /// `semver.Version`: what its methods return, which has fewer methods itself.
    is_copy: bool,
}

/// The parameters of a method, if there is one of that name.
fn parameters(method: &str, is_copy: bool) -> Option<&'static [Type]> {
    Some(match method {
        "IncMajor" | "IncMinor" | "IncPatch" | "Major" | "MarshalJSON" | "MarshalText" | "Metadata" | "Minor"
        | "Patch" | "Prerelease" | "String" | "Value" => &[],
        "SetMetadata" | "SetPrerelease" => &[Type::String],
        "Original" if !is_copy => &[],
        "Compare" | "Equal" | "GreaterThan" | "GreaterThanEqual" | "LessThan" | "LessThanEqual" if !is_copy => {
            &[Type::Named("*semver.Version")]
        }
        _ => return None,
    })
}

impl Semver {
    fn value(version: Version, is_copy: bool) -> Value {
        Value::Object(Rc::new(Self { version, is_copy }))
    }

    fn order(&self, args: &[Value]) -> Result<std::cmp::Ordering, FuncError> {
        let other = match args {
            [Value::Object(object)] => object.as_any().downcast_ref::<Self>(),
            _ => None,
        };
        let other = other.ok_or_else(|| FuncError::new("the argument is not a *semver.Version"))?;
        Ok(self.version.cmp(&other.version))
    }

    /// The version with other numbers and suffixes.
    fn with(&self, numbers: [u64; 3], suffixes: [&str; 2]) -> Result<Value, FuncError> {
        let [major, minor, patch] = numbers;
        let mut text = format!("{major}.{minor}.{patch}");
        for (mark, suffix) in ["-", "+"].into_iter().zip(suffixes).filter(|(_, suffix)| !suffix.is_empty()) {
            text.extend([mark, suffix]);
        }
        let prefix = if self.version.original().starts_with('v') { "v" } else { "" };
        Version::parse_loose(&format!("{prefix}{text}")).map(|version| Self::value(version, true)).map_err(in_words)
    }

    fn with_prerelease(&self, prerelease: &str) -> Result<Value, FuncError> {
        let Version { major, minor, patch, .. } = self.version;
        let identifiers = || prerelease.split('.').filter(|_| !prerelease.is_empty());
        if !identifiers().all(is_identifier) {
            return Err(FuncError::new("invalid prerelease string"));
        }
        let starts_with_zero =
            |word: &str| word.len() > 1 && word.starts_with('0') && word.bytes().all(|b| b.is_ascii_digit());
        if identifiers().any(starts_with_zero) {
            return Err(FuncError::new("version segment starts with 0"));
        }
        self.with([major, minor, patch], [prerelease, &self.version.metadata])
    }

    fn with_metadata(&self, metadata: &str) -> Result<Value, FuncError> {
        let Version { major, minor, patch, .. } = self.version;
        if !metadata.is_empty() && !metadata.split('.').all(is_identifier) {
            return Err(FuncError::new("invalid metadata string"));
        }
        self.with([major, minor, patch], [&self.version.prerelease, metadata])
    }
}

fn is_identifier(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl Object for Semver {
    fn type_name(&self) -> &'static str {
        if self.is_copy { "semver.Version" } else { "*semver.Version" }
    }

    fn kind(&self) -> Kind {
        if self.is_copy { Kind::Struct } else { Kind::Ptr }
    }

    fn hides(&self, name: &str) -> bool {
        matches!(name, "major" | "metadata" | "minor" | "original" | "patch" | "pre")
    }

    fn has_method(&self, name: &str) -> bool {
        parameters(name, self.is_copy).is_some()
    }

    fn signature(&self, name: &str) -> Option<Signature> {
        parameters(name, self.is_copy).map(|params| Signature { params, variadic: false })
    }

    fn call(&self, name: &str, args: &[Value]) -> Result<Value, FuncError> {
        let Version { major, minor, patch, .. } = self.version;
        Ok(match name {
            "Major" => Value::Uint64(major),
            "Minor" => Value::Uint64(minor),
            "Patch" => Value::Uint64(patch),
            "Prerelease" => Value::string(self.version.prerelease.as_str()),
            "Metadata" => Value::string(self.version.metadata.as_str()),
            "Original" => Value::string(self.version.original()),
            "Compare" => Value::Int(self.order(args)? as i64),
            "Equal" => Value::Bool(self.order(args)?.is_eq()),
            "GreaterThan" => Value::Bool(self.order(args)?.is_gt()),
            "GreaterThanEqual" => Value::Bool(self.order(args)?.is_ge()),
            "LessThan" => Value::Bool(self.order(args)?.is_lt()),
            "LessThanEqual" => Value::Bool(self.order(args)?.is_le()),
            "IncMajor" => self.with([major.wrapping_add(1), 0, 0], [""; 2])?,
            "IncMinor" => self.with([major, minor.wrapping_add(1), 0], [""; 2])?,
            // The patch of a prerelease is still to come.
            "IncPatch" => {
                let next = patch.wrapping_add(u64::from(!self.version.is_prerelease()));
                self.with([major, minor, next], [""; 2])?
            }
            "MarshalJSON" => List::bytes(format!("\"{}\"", self.version.canonical())).into(),
            "MarshalText" => List::bytes(self.version.canonical()).into(),
            "SetPrerelease" => self.with_prerelease(&lossy(text(args, 0)?))?,
            "SetMetadata" => self.with_metadata(&lossy(text(args, 0)?))?,
            _ => Value::String(self.display()),
        })
    }

    fn display(&self) -> Str {
        self.version.canonical().into()
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
