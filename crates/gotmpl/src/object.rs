//! Types beyond those that every template has: the host's, and complex numbers.

use crate::value::{Kind, Str, Value};

/// A Go type of the host with fields or methods: `.Files`, `.Capabilities`, a semver, a time.
pub trait Object {
    /// The Go type as `%T` prints it, such as `*semver.Version`.
    fn type_name(&self) -> &str;
    /// Its kind. Default: a struct.
    fn kind(&self) -> Kind {
        Kind::Struct
    }
    /// The exported field of this name.
    fn field(&self, _name: &str) -> Option<Value> {
        None
    }
    /// Whether there is a field of this name that is not exported: templates are told so. Default: there is none.
    fn hides(&self, _name: &str) -> bool {
        false
    }
    /// Whether a method of this name exists.
    fn has_method(&self, _name: &str) -> bool {
        false
    }
    /// The parameters of the method `name`, checked before the call as Go does. Default: unknown,
    /// every argument is passed as evaluated.
    fn signature(&self, _name: &str) -> Option<crate::Signature> {
        None
    }
    /// Why templates cannot call the method `name`, in Go's words: it returns more than a value and an error. Default:
    /// they can.
    fn uncallable(&self, _name: &str) -> Option<String> {
        None
    }
    /// Whether this, being a pointer, points to what `other` does, which is another object. Default: no.
    fn same(&self, _other: &dyn Object) -> bool {
        false
    }
    /// What the type is made of, for a Go type whose underlying type is a map, a slice or a basic
    /// type: what `range`, `index`, `len`, field access and comparison see. Default: nothing.
    fn underlying(&self) -> Option<Value> {
        None
    }
    /// About how many bytes it prints as. Default: next to nothing.
    fn size(&self) -> u64 {
        1
    }
    /// What a call of the method `name` costs in steps, beyond what it returns. Default: nothing.
    fn work(&self, _name: &str, _args: &[Value]) -> u64 {
        0
    }
    /// Calls the method `name`; only names for which [`Object::has_method`] holds are asked for.
    fn call(&self, name: &str, _args: &[Value]) -> Result<Value, crate::FuncError> {
        Err(crate::FuncError::new(format!("no method {name}")))
    }
    /// What `%v` prints of a type that is text or is not taken apart.
    fn display(&self) -> Str;
    /// The fields by which `fmt` prints a struct that is no text, unexported ones included. Default: none, it prints
    /// [`Object::display`].
    fn fields(&self) -> Option<Vec<(&'static str, Value)>> {
        None
    }
    /// What an action prints instead of the fields: for a struct whose pointer has a `String` method, because a
    /// template holds the struct where it can be pointed to, and `fmt`'s functions get a copy of it.
    fn pointed_text(&self) -> Option<Str> {
        None
    }
    /// The copy that a function gets, where it differs from what a template holds: it cannot be pointed to, so methods
    /// of the pointer are gone. Default: nothing, it does not differ.
    fn boxed(&self) -> Option<Value> {
        None
    }
    /// What JSON and YAML encoders see.
    fn to_value(&self) -> Value {
        Value::String(self.display())
    }
    /// The fields that JSON shows of a struct, by their names there, in order. Default: none, it shows
    /// [`Object::to_value`].
    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        None
    }
    /// Go template truth. Default: true, as for any struct.
    fn truthy(&self) -> bool {
        true
    }
    /// For downcasts to the concrete type.
    fn as_any(&self) -> &dyn std::any::Any;
}
