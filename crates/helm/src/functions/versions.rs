//! `semver` and `semverCompare`.

use std::borrow::Cow;
use std::rc::Rc;

use gotmpl::{FuncError, Function, Kind, Object, Str, Type, Value};

use super::arguments::text;
use super::pure;
use crate::engine::Host;
use crate::semver::{Constraint, Error, Version};

pub(super) const TABLE: &[Function<Host>] = &[
    pure("semver", &[Type::String], |args| {
        let version = Version::parse_loose(&lossy(text(args, 0)?)).map_err(in_words)?;
        Ok(Value::Object(Rc::new(Semver(version))))
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

/// A `*semver.Version`.
struct Semver(Version);

const METHODS: &[&str] = &[
    "Compare",
    "Equal",
    "GreaterThan",
    "GreaterThanEqual",
    "IncMajor",
    "IncMinor",
    "IncPatch",
    "LessThan",
    "LessThanEqual",
    "Major",
    "Metadata",
    "Minor",
    "Original",
    "Patch",
    "Prerelease",
    "String",
];

impl Semver {
    fn order(&self, args: &[Value]) -> Result<std::cmp::Ordering, FuncError> {
        let other = match args {
            [Value::Object(object)] => object.as_any().downcast_ref::<Self>(),
            _ => None,
        };
        let other = other.ok_or_else(|| FuncError::new("the argument is not a *semver.Version"))?;
        Ok(self.0.cmp(&other.0))
    }

    /// The version with other numbers and neither prerelease nor metadata.
    fn with_numbers(&self, major: u64, minor: u64, patch: u64) -> Result<Value, FuncError> {
        let prefix = if self.0.original().starts_with('v') { "v" } else { "" };
        let version = Version::parse_loose(&format!("{prefix}{major}.{minor}.{patch}")).map_err(in_words)?;
        Ok(Value::Object(Rc::new(Self(version))))
    }
}

impl Object for Semver {
    fn type_name(&self) -> &'static str {
        "*semver.Version"
    }

    fn kind(&self) -> Kind {
        Kind::Ptr
    }

    fn has_method(&self, name: &str) -> bool {
        METHODS.contains(&name)
    }

    fn call(&self, name: &str, args: &[Value]) -> Result<Value, FuncError> {
        let Version { major, minor, patch, .. } = self.0;
        Ok(match name {
            "Major" => Value::Uint64(major),
            "Minor" => Value::Uint64(minor),
            "Patch" => Value::Uint64(patch),
            "Prerelease" => Value::string(self.0.prerelease.as_str()),
            "Metadata" => Value::string(self.0.metadata.as_str()),
            "Original" => Value::string(self.0.original()),
            "Compare" => Value::Int(self.order(args)? as i64),
            "Equal" => Value::Bool(self.order(args)?.is_eq()),
            "GreaterThan" => Value::Bool(self.order(args)?.is_gt()),
            "GreaterThanEqual" => Value::Bool(self.order(args)?.is_ge()),
            "LessThan" => Value::Bool(self.order(args)?.is_lt()),
            "LessThanEqual" => Value::Bool(self.order(args)?.is_le()),
            "IncMajor" => self.with_numbers(major.wrapping_add(1), 0, 0)?,
            "IncMinor" => self.with_numbers(major, minor.wrapping_add(1), 0)?,
            // The patch of a prerelease is still to come.
            "IncPatch" => self.with_numbers(major, minor, patch.wrapping_add(u64::from(!self.0.is_prerelease())))?,
            _ => Value::String(self.display()),
        })
    }

    fn display(&self) -> Str {
        self.0.canonical().into()
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
