//! Names of Go types, and values together with the static type that `reflect` would see.

use std::borrow::Cow;

use crate::value::{List, ListType, MapType, Value};

impl ListType {
    /// The slice type as Go prints it.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Any => "[]interface {}",
            Self::String => "[]string",
            Self::Int => "[]int",
            Self::Byte => "[]uint8",
            Self::List => "[][]interface {}",
            Self::Map => "[]map[string]interface {}",
        }
    }
}

impl MapType {
    /// The map type as Go prints it.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Any => "map[string]interface {}",
            Self::String => "map[string]string",
            Self::Named(name) => name,
        }
    }

    /// What a missing key reads as: the zero value of the element type.
    pub(crate) fn zero(self) -> Cell {
        match self {
            Self::Any | Self::Named(_) => Cell::boxed(Value::Nil),
            Self::String => Cell::plain(Value::string("")),
        }
    }

    /// A value stored in such a map, as it is read.
    pub(crate) fn element(self, value: Value) -> Cell {
        Cell { boxed: !matches!(self, Self::String), ..Cell::plain(value) }
    }
}

/// The Go type of a value as `%T` prints it; `<nil>` for nil.
pub fn type_name(value: &Value) -> Cow<'_, str> {
    Cow::Borrowed(match value {
        Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Int64(_) => "int64",
        Value::Uint8(_) => "uint8",
        Value::Uint64(_) => "uint64",
        Value::Float64(_) => "float64",
        Value::String(_) => "string",
        Value::List(list) => list.element.type_name(),
        Value::Map(map) => map.ty.type_name(),
        Value::Object(object) => object.type_name(),
    })
}

impl Value {
    /// What the value is made of: for an object with an underlying value that one, else itself.
    pub(crate) fn underlying(&self) -> Cow<'_, Self> {
        match self {
            Self::Object(object) => object.underlying().map_or(Cow::Borrowed(self), Cow::Owned),
            _ => Cow::Borrowed(self),
        }
    }

    /// Whether it is nil, or a nil of its type.
    pub(crate) fn is_nil(&self) -> bool {
        match self {
            Self::Nil => true,
            Self::List(list) => list.is_nil(),
            Self::Map(map) => map.is_nil(),
            _ => false,
        }
    }
}

/// A value together with whether its static type is `interface {}`, as that of an element of a
/// `map[string]interface {}` is.
///
/// Go's rules depend on it: a nil in an interface is an error where no value at all is fine, and types
/// of arguments are checked against the static type. A pipeline takes its value out of the interface.
#[derive(Clone)]
pub(crate) struct Cell {
    pub(crate) value: Value,
    pub(crate) boxed: bool,
    pub(crate) loan: Loan,
}

/// The steps that a value was charged for the memory it takes, to be given back when it is dropped. A copy of the value
/// has none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Loan(pub(crate) u64);

impl Clone for Loan {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Cell {
    /// A value whose static type is its own; nil is no value at all.
    pub(crate) fn plain(value: Value) -> Self {
        Self { value, boxed: false, loan: Loan::default() }
    }

    /// A value in an interface.
    pub(crate) fn boxed(value: Value) -> Self {
        Self { value, boxed: true, loan: Loan::default() }
    }

    /// The value out of its interface.
    pub(crate) fn unboxed(self) -> Self {
        Self { boxed: false, ..self }
    }

    /// The steps that are free again when this is dropped: those of a text that nobody else holds.
    pub(crate) fn returned(&self) -> u64 {
        match &self.value {
            Value::String(text) if text.is_alone() => self.loan.0,
            _ => 0,
        }
    }

    /// No value at all, Go's zero `reflect.Value`.
    pub(crate) fn is_invalid(&self) -> bool {
        !self.boxed && matches!(self.value, Value::Nil)
    }

    /// A nil in an interface.
    pub(crate) fn is_nil_interface(&self) -> bool {
        self.boxed && matches!(self.value, Value::Nil)
    }

    /// The static type.
    pub(crate) fn type_name(&self) -> Cow<'_, str> {
        if self.boxed { Cow::Borrowed("interface {}") } else { type_name(&self.value) }
    }
}

impl List {
    /// The item at `index` as it is read.
    pub(crate) fn cell(&self, index: usize) -> Option<Cell> {
        let value = self.items().get(index)?.clone();
        Some(Cell { boxed: self.element == ListType::Any, ..Cell::plain(value) })
    }
}
