//! Selecting fields: of maps, of the host's types, and calling methods.

use super::{At, Result, State};
use crate::ast::{Expr, Path};
use crate::exec::eval::Arguments;
use crate::func::Function;
use crate::interp::MissingKey;
use crate::quote;
use crate::typed::Cell;
use crate::value::{Kind, Map, MapType, Value};

impl<'t, 'a, H> State<'_, 't, 'a, H> {
    /// `(pipeline).a.b` or `function.a.b`.
    pub(super) fn chain(&mut self, dot: &Cell, expr: &'t Expr, arguments: Arguments<'t>) -> Result<Cell> {
        let Expr::Chain { base, path, .. } = expr else {
            return Err(self.error("not a chain"));
        };
        self.at = At::Expr(expr);
        let receiver = self.operand(dot, base)?;
        self.select(dot, receiver, (*path, At::Expr(expr)), arguments)
    }

    /// `.a.b.c` of `receiver`; the last name gets the arguments, if it is a method, whose own errors are those of `at`.
    pub(super) fn select(
        &mut self,
        dot: &Cell,
        receiver: Cell,
        (path, at): (Path, At<'t>),
        arguments: Arguments<'t>,
    ) -> Result<Cell> {
        let template = self.template;
        let mut names = path.skip_first().of(&template.source.text).split(|byte| *byte == b'.').peekable();
        let mut receiver = receiver;
        let mut arguments = Some(arguments);
        while let Some(name) = names.next() {
            let given = match names.peek() {
                Some(_) => Arguments::NONE,
                None => arguments.take().unwrap_or(Arguments::NONE),
            };
            receiver = match &receiver.value {
                // Most fields are entries of maps.
                Value::Map(map) if given.is_empty() && self.map_method(map, name).is_none() => self.entry(map, name)?,
                _ => {
                    let name = std::str::from_utf8(name).unwrap_or_default();
                    self.field(dot, &receiver, name, (given, at))?
                }
            };
        }
        Ok(receiver)
    }

    fn field(
        &mut self,
        dot: &Cell,
        receiver: &Cell,
        name: &str,
        (arguments, at): (Arguments<'t>, At<'t>),
    ) -> Result<Cell> {
        if receiver.is_invalid() {
            return match self.interp.missing_key {
                MissingKey::Error => {
                    Err(self.error(format!("nil data; no entry for key {}", quote::lossy(name.as_bytes()))))
                }
                MissingKey::Invalid | MissingKey::Zero => Ok(Cell::plain(Value::Nil)),
            };
        }
        if receiver.is_nil_interface() {
            return Err(self.error(format!("nil pointer evaluating interface {{}}.{name}")));
        }
        if let Value::Object(object) = &receiver.value
            && object.has_method(name)
        {
            return self.method(dot, object, name, (arguments, at));
        }
        if let Value::Map(map) = &receiver.value
            && let Some(method) = self.map_method(map, name.as_bytes())
        {
            return self.call_map_method(dot, map, method, (arguments, at));
        }
        self.plain_field(receiver, name, &arguments)
    }

    fn map_method(&self, map: &Map, name: &[u8]) -> Option<&'a Function<H>> {
        match map.ty {
            MapType::Named(ty) => self.interp.functions.method(ty, name),
            MapType::Any | MapType::String => None,
        }
    }

    fn plain_field(&self, receiver: &Cell, name: &str, arguments: &Arguments<'t>) -> Result<Cell> {
        if let Value::Object(object) = &receiver.value
            && object.kind() == Kind::Map
            && arguments.is_empty()
            && let Some(value) = object.field(name)
        {
            // A map of the host with its own idea of a missing entry.
            return Ok(Cell::plain(value));
        }
        match receiver.value.underlying().as_ref() {
            Value::Map(map) if arguments.is_empty() => self.entry(map, name.as_bytes()),
            Value::Map(_) => Err(self.error(format!("{name} is not a method but has arguments"))),
            Value::Object(object) if matches!(object.kind(), Kind::Struct | Kind::Ptr) => match object.field(name) {
                Some(_) if !arguments.is_empty() => {
                    Err(self.error(format!("{name} has arguments but cannot be invoked as function")))
                }
                Some(Value::Nil) => Ok(Cell::boxed(Value::Nil)),
                Some(value) => Ok(Cell::plain(value)),
                None if object.hides(name) => {
                    let ty = receiver.type_name();
                    Err(self.error(format!("{name} is an unexported field of struct type {ty}")))
                }
                None => Err(self.no_field(receiver, name)),
            },
            _ => Err(self.no_field(receiver, name)),
        }
    }

    fn no_field(&self, receiver: &Cell, name: &str) -> crate::ExecError {
        self.error(format!("can't evaluate field {name} in type {}", receiver.type_name()))
    }

    fn entry(&self, map: &Map, key: &[u8]) -> Result<Cell> {
        match (map.get(key), self.interp.missing_key) {
            (Some(value), _) => Ok(map.ty.element(value)),
            (None, MissingKey::Zero) => Ok(map.ty.zero()),
            (None, MissingKey::Invalid) => Ok(Cell::plain(Value::Nil)),
            (None, MissingKey::Error) => {
                let key = quote::lossy(key);
                Err(self.error(format!("map has no entry for key {key}")))
            }
        }
    }
}
