//! Complex numbers: constants such as `1+2i` can be written, printed and compared, and that is all.

use std::any::Any;

use crate::object::Object;
use crate::printf::{FloatFormat, format_float};
use crate::value::{Kind, Str, Value};

/// A `complex128`. It is an object of the language itself, so that the values everybody has stay small.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Complex {
    pub(crate) real: f64,
    pub(crate) imaginary: f64,
}

impl Complex {
    /// The number that `value` is.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let Value::Object(object) = value else { return None };
        object.as_any().downcast_ref().copied()
    }
}

impl Object for Complex {
    fn type_name(&self) -> &'static str {
        "complex128"
    }

    fn kind(&self) -> Kind {
        Kind::Complex128
    }

    fn display(&self) -> Str {
        let [real, imaginary] = [self.real, self.imaginary].map(|part| format_float(part, FloatFormat::General, None));
        let sign = if imaginary.starts_with('-') { "" } else { "+" };
        format!("({real}{sign}{imaginary}i)").into()
    }

    fn truthy(&self) -> bool {
        self.real != 0.0 || self.imaginary != 0.0
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
