//! Calling functions and methods: arguments are counted, evaluated, checked against the parameter types
//! and converted before the function sees them.

use std::rc::Rc;

use super::{At, Result, State, work};
use crate::ast::Expr;
use crate::builtin::{self, Body, Builtin};
use crate::error::FuncError;
use crate::exec::eval::Arguments;
use crate::func::{Call, Callee, Extend, Function, Reach, Signature, Type};
use crate::object::Object;
use crate::quote;
use crate::typed::{Cell, Loan, type_name};
use crate::value::{List, ListType, Map, MapType, Value};

impl<'t, 'a, H> State<'_, 't, 'a, H> {
    /// A function; errors of the call itself are those of `at`, its command.
    pub(super) fn function(
        &mut self,
        dot: &Cell,
        expr: &'t Expr,
        at: At<'t>,
        arguments: Arguments<'t>,
    ) -> Result<Cell> {
        let Expr::Function { name, id } = expr else {
            return Err(self.error("not a function"));
        };
        self.at = At::Expr(expr);
        self.step()?;
        let name = name.of(&self.template.source.text);
        let functions = self.interp.functions;
        match functions.get(*id, name) {
            None => Err(self.error(format!("{} is not a defined function", quote::lossy(name)))),
            Some(Callee::Builtin(builtin)) => self.builtin(dot, builtin, at, arguments),
            Some(Callee::Host(function)) => {
                let name = function.name;
                let given = self.arguments(dot, name, function.signature(), arguments)?;
                let given: Vec<Value> = given.into_iter().map(|cell| boxed(cell.value)).collect();
                self.host_call(function, given, (at, name))
            }
        }
    }

    fn host_call(&mut self, function: &Function<H>, given: Vec<Value>, (at, name): (At<'t>, &str)) -> Result<Cell> {
        let result = match function.call {
            Call::Extend(body) => return self.extend(body, given, (at, name)),
            Call::Pure(body) => {
                self.spend_on_reading(&given, function.reach)?;
                body(&given)
            }
            Call::Host(body) => {
                self.spend_on_reading(&given, function.reach)?;
                body(self.interp, &given)
            }
        };
        self.finish_call(result.map(result_cell), (at, name), 0)
    }

    /// A function that adds to a list: to the very one, if it is the only one to hold it.
    fn extend(&mut self, body: Extend, given: Vec<Value>, place: (At<'t>, &str)) -> Result<Cell> {
        let known = given.first().map_or(0, work::extending);
        self.spend_on(|| given.iter().skip(usize::from(known > 0)).map(work::reading).sum())?;
        self.finish_call(body(given).map(result_cell), place, known)
    }

    /// What a function returned, for which it is charged but for what was `known` before.
    fn finish_call(
        &mut self,
        result: std::result::Result<Cell, FuncError>,
        (at, name): (At<'t>, &str),
        known: u64,
    ) -> Result<Cell> {
        let cell = result.map_err(|cause| {
            self.at = at;
            self.caused(format!("error calling {name}: "), cause)
        })?;
        self.spend_on(|| work::making(&cell.value).saturating_sub(known))?;
        Ok(cell)
    }

    fn spend_on_reading(&mut self, given: &[Value], reach: Reach) -> Result<()> {
        self.spend_on(|| given.iter().map(work::reading).sum())?;
        let walked: &[Value] = match reach {
            Reach::Shallow => &[],
            Reach::CopyOthers => given.get(1..).unwrap_or_default(),
            Reach::Deep | Reach::Document | Reach::Copy => given,
        };
        walked.iter().try_for_each(|value| work::walk(self.interp, value, reach)).map_err(|limit| self.limited(limit))
    }

    fn spend_on(&mut self, work: impl FnOnce() -> u64) -> Result<()> {
        self.interp.spend(work()).map_err(|limit| self.limited(limit))
    }

    fn builtin(&mut self, dot: &Cell, builtin: &'static Builtin, at: At<'t>, arguments: Arguments<'t>) -> Result<Cell> {
        let result = match builtin.body {
            Body::And => return self.short_circuit(dot, builtin, false, arguments),
            Body::Or => return self.short_circuit(dot, builtin, true, arguments),
            Body::Plain(body) => {
                let given = self.arguments(dot, builtin.name, builtin.signature, arguments)?;
                return self.plain(builtin.name, body, (given, at));
            }
            Body::Call => {
                let callee = arguments.words.first().map(|word| self.show(word));
                let given = self.arguments(dot, builtin.name, builtin.signature, arguments)?;
                Err(not_callable(callee, &given))
            }
        };
        self.finish_call(result, (at, builtin.name), 0)
    }

    /// A function of the language. What it was given for itself alone is dropped, and takes no memory any more.
    fn plain(&mut self, name: &str, body: builtin::Plain, (given, at): (Vec<Cell>, At<'t>)) -> Result<Cell> {
        let copies = builtin::only_copies(name, &given);
        if !copies {
            self.spend_on(|| given.iter().map(|cell| work::reading(&cell.value)).sum())?;
        }
        let mut cell = self.finish_call(body(&given), (at, name), 0)?;
        if copies {
            self.spend_on(|| work::copying(&cell.value))?;
            cell.loan = Loan(work::making(&cell.value));
        }
        self.interp.give_back(given.iter().map(Cell::returned).sum());
        Ok(cell)
    }

    /// `and` and `or`: the first argument whose truth decides, or the last.
    fn short_circuit(
        &mut self,
        dot: &Cell,
        builtin: &'static Builtin,
        decides: bool,
        arguments: Arguments<'t>,
    ) -> Result<Cell> {
        self.check_count(builtin.name, builtin.signature, &arguments)?;
        let mut value = Cell::plain(Value::Nil);
        for word in arguments.words {
            value = self.argument(dot, Type::Any, word)?;
            if value.value.truthy() == decides {
                return Ok(value);
            }
        }
        Ok(arguments.piped.unwrap_or(value))
    }

    /// A method of one of the host's types.
    pub(super) fn method(
        &mut self,
        dot: &Cell,
        object: &Rc<dyn Object>,
        name: &str,
        (arguments, at): (Arguments<'t>, At<'t>),
    ) -> Result<Cell> {
        let signature = object.signature(name).unwrap_or(Signature { params: &[Type::Any], variadic: true });
        if let Some(reason) = object.uncallable(name) {
            self.check_count(name, signature, &arguments)?;
            return Err(self.error(reason));
        }
        let given = self.arguments(dot, name, signature, arguments)?;
        let given: Vec<Value> = given.into_iter().map(|cell| cell.value).collect();
        self.spend_on(|| given.iter().map(work::reading).sum::<u64>() + object.work(name, &given))?;
        let result = object.call(name, &given);
        self.finish_call(result.map(result_cell), (at, name), 0)
    }

    /// A method of a named map type: a function whose first argument is the map.
    pub(super) fn call_map_method(
        &mut self,
        dot: &Cell,
        map: &Map,
        function: &'a Function<H>,
        (arguments, at): (Arguments<'t>, At<'t>),
    ) -> Result<Cell> {
        let name = function.name.rsplit('.').next().unwrap_or_default();
        let params = function.params.get(1..).unwrap_or_default();
        let signature = Signature { params, variadic: function.variadic };
        let mut given = vec![Value::Map(map.clone())];
        given.extend(self.arguments(dot, name, signature, arguments)?.into_iter().map(|cell| cell.value));
        self.host_call(function, given, (at, name))
    }

    fn check_count(&self, name: &str, signature: Signature, arguments: &Arguments<'t>) -> Result<()> {
        let (fixed, given) = (signature.fixed(), arguments.len());
        if signature.variadic && given < fixed {
            // Go does not count the piped argument here.
            let words = arguments.words.len();
            return Err(self.error(format!("wrong number of args for {name}: want at least {fixed} got {words}")));
        }
        if !signature.variadic && given != fixed {
            return Err(self.error(format!("wrong number of args for {name}: want {fixed} got {given}")));
        }
        Ok(())
    }

    fn arguments(
        &mut self,
        dot: &Cell,
        name: &str,
        signature: Signature,
        arguments: Arguments<'t>,
    ) -> Result<Vec<Cell>> {
        self.check_count(name, signature, &arguments)?;
        let mut given = Vec::with_capacity(arguments.len());
        for (index, word) in arguments.words.iter().enumerate() {
            given.push(self.argument(dot, signature.param(index), word)?);
        }
        if let Some(piped) = arguments.piped {
            given.push(self.convert(piped, signature.param(given.len()))?);
        }
        Ok(given)
    }

    /// Evaluates one word to a value of type `ty`.
    fn argument(&mut self, dot: &Cell, ty: Type, word: &'t Expr) -> Result<Cell> {
        self.at = At::Expr(word);
        self.step()?;
        match word {
            Expr::Nil(_) if ty.can_be_nil() => Ok(nil_of(ty)),
            Expr::Nil(_) => Err(self.error(format!("cannot assign nil to {}", ty.name()))),
            Expr::Bool(..) | Expr::Number(_) | Expr::String { .. } => self.constant(dot, ty, word),
            _ => {
                let value = self.operand(dot, word)?;
                self.convert(value, ty)
            }
        }
    }

    /// The value of a word that is not a constant.
    pub(super) fn operand(&mut self, dot: &Cell, word: &'t Expr) -> Result<Cell> {
        self.at = At::Expr(word);
        match word {
            Expr::Field { path, .. } => self.select(dot, dot.clone(), (*path, self.at), Arguments::NONE),
            Expr::Variable { .. } => self.variable(dot, word, Arguments::NONE),
            Expr::Pipe(pipe) => self.deeper(|state| state.pipeline(dot, pipe)),
            Expr::Function { .. } => self.function(dot, word, At::Expr(word), Arguments::NONE),
            Expr::Chain { .. } => self.chain(dot, word, Arguments::NONE),
            Expr::Dot(_) | Expr::Nil(_) | Expr::Bool(..) | Expr::Number(_) | Expr::String { .. } => {
                self.literal(dot, word)
            }
        }
    }

    /// A constant takes the type that is asked for.
    fn constant(&mut self, dot: &Cell, ty: Type, word: &'t Expr) -> Result<Cell> {
        let expected = match (ty, word) {
            (Type::Any, _) | (Type::Bool, Expr::Bool(..)) | (Type::String, Expr::String { .. }) => {
                return self.literal(dot, word);
            }
            (Type::Int | Type::Int64 | Type::NamedInt64(_), Expr::Number(number)) if number.int.is_some() => {
                let value = number.int.unwrap_or_default();
                let value = if ty == Type::Int { Value::Int(value) } else { Value::Int64(value) };
                return Ok(Cell::plain(value));
            }
            (Type::Uint32, Expr::Number(number)) if number.int.is_some_and(|int| int >= 0) => {
                // Go, too, cuts a constant to the width of its parameter.
                let value = number.int.unwrap_or_default().cast_unsigned() & u64::from(u32::MAX);
                return Ok(Cell::plain(Value::Uint64(value)));
            }
            (Type::Float64, Expr::Number(number)) if number.float.is_some() => {
                return Ok(Cell::plain(Value::Float64(number.float.unwrap_or_default())));
            }
            (Type::Bool, _) => "bool",
            (Type::String, _) => "string",
            (Type::Int | Type::Int64 | Type::NamedInt64(_), _) => "integer",
            (Type::Uint32, _) => "unsigned integer",
            (Type::Float64, _) => "float",
            (Type::Strings | Type::List | Type::Map | Type::Named(_), _) => {
                let shown = self.show(word);
                return Err(self.error(format!("can't handle {shown} for arg of type {}", ty.name())));
            }
        };
        Err(self.error(format!("expected {expected}; found {}", self.show(word))))
    }

    fn show(&self, expr: &Expr) -> String {
        let mut printer = self.printer();
        printer.expr(expr);
        printer.finish()
    }

    /// Checks that a value may be passed as a `ty`.
    fn convert(&self, cell: Cell, ty: Type) -> Result<Cell> {
        if ty == Type::Any {
            return Ok(cell);
        }
        if cell.is_invalid() {
            return if ty.can_be_nil() {
                Ok(nil_of(ty))
            } else {
                Err(self.error(format!("invalid value; expected {}", ty.name())))
            };
        }
        if assignable(&cell.value, ty) {
            return Ok(cell.unboxed());
        }
        // So is a named slice type of the host.
        if let Value::List(list) = cell.value.underlying().as_ref()
            && assignable(&Value::List(list.clone()), ty)
        {
            return Ok(Cell::plain(Value::List(list.clone())));
        }
        let got = if cell.is_nil_interface() { cell.type_name() } else { type_name(&cell.value) };
        Err(self.error(format!("wrong type for value; expected {}; got {got}", ty.name())))
    }
}

/// A value as a function gets it.
fn boxed(value: Value) -> Value {
    match &value {
        Value::Object(object) => object.boxed().unwrap_or(value),
        _ => value,
    }
}

/// What a function returned: a nil is a nil `interface {}`, whatever the function.
fn result_cell(value: Value) -> Cell {
    match value {
        Value::Nil => Cell::boxed(Value::Nil),
        value => Cell::plain(value),
    }
}

fn nil_of(ty: Type) -> Cell {
    Cell::plain(match ty {
        Type::Strings => Value::List(List::nil(ListType::String)),
        Type::List => Value::List(List::nil(ListType::Any)),
        Type::Map => Value::Map(Map::nil(MapType::Any)),
        _ => Value::Nil,
    })
}

fn assignable(value: &Value, ty: Type) -> bool {
    match (ty, value) {
        (Type::Any, _)
        | (Type::Bool, Value::Bool(_))
        | (Type::Int, Value::Int(_))
        | (Type::Int64, Value::Int64(_))
        | (Type::Float64, Value::Float64(_))
        | (Type::String, Value::String(_)) => true,
        (Type::Strings, Value::List(list)) => list.element == ListType::String,
        (Type::List, Value::List(list)) => list.element == ListType::Any,
        // A named map type is assignable to the unnamed type it is made of.
        (Type::Map, Value::Map(map)) => !matches!(map.ty, MapType::String),
        (Type::Named(name) | Type::NamedInt64(name), value) => type_name(value) == name,
        _ => false,
    }
}

/// Templates have no function values, so `call` can only fail.
fn not_callable(callee: Option<String>, given: &[Cell]) -> FuncError {
    match given.first() {
        Some(cell) if !matches!(cell.value, Value::Nil) => {
            // A piped callee has no text of its own; Go shows its `reflect.Value`.
            let name = callee.unwrap_or_else(|| match &cell.value {
                Value::String(text) => text.to_string(),
                other => format!("<{} Value>", type_name(other)),
            });
            FuncError::new(format!("non-function {name} of type {}", type_name(&cell.value)))
        }
        _ => FuncError::new("call of nil"),
    }
}
