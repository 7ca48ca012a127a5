//! Pipelines, commands, operands and variables.

use std::rc::Rc;

use super::{At, Result, State};
use crate::ast::{Command, Expr, Ideal, Number, Pipe, Variable, VariableId};
use crate::typed::Cell;
use crate::value::Value;

/// How many variables are passed over for one step.
const VARIABLES_PER_STEP: u64 = 32;

/// What a function, method or field is given: the words after it, and the value piped into it.
pub(super) struct Arguments<'t> {
    pub(super) words: &'t [Expr],
    pub(super) piped: Option<Cell>,
}

impl Arguments<'_> {
    pub(super) const NONE: Self = Arguments { words: &[], piped: None };

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.piped.is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.words.len() + usize::from(self.piped.is_some())
    }
}

impl<'t, H> State<'_, 't, '_, H> {
    /// The value of a pipeline, which also goes to its variables. It is never in an interface.
    pub(super) fn pipeline(&mut self, dot: &Cell, pipe: &'t Pipe) -> Result<Cell> {
        self.at = At::Pipe(pipe);
        if pipe.moves {
            self.moving = self.tree()[pipe.variables].first().map(|variable| variable.id);
        }
        let mut value = None;
        for command in &self.tree()[pipe.commands] {
            value = Some(self.command(dot, command, value)?.unboxed());
        }
        if pipe.moves {
            self.moving = None;
        }
        let mut value = value.unwrap_or(Cell::plain(Value::Nil));
        for variable in &self.tree()[pipe.variables] {
            // The variable is who holds it.
            let copy = value.clone();
            let held = std::mem::replace(&mut value, copy);
            if pipe.assigns {
                self.assign(*variable, held)?;
            } else {
                self.variables.push((variable.id, held));
            }
        }
        Ok(value)
    }

    fn command(&mut self, dot: &Cell, command: &'t Command, piped: Option<Cell>) -> Result<Cell> {
        let Some((first, words)) = self.tree()[command.words].split_first() else {
            return Err(self.error("empty command"));
        };
        let arguments = Arguments { words, piped };
        match first {
            Expr::Field { path, .. } => {
                self.at = At::Expr(first);
                self.select(dot, dot.clone(), (*path, self.at), arguments)
            }
            Expr::Chain { .. } => self.chain(dot, first, arguments),
            Expr::Function { .. } => self.function(dot, first, At::Command(command), arguments),
            Expr::Pipe(pipe) => {
                self.refuse_arguments(first, &arguments)?;
                self.deeper(|state| state.pipeline(dot, pipe))
            }
            Expr::Variable { .. } => self.variable(dot, first, arguments),
            Expr::Bool(..) | Expr::Dot(_) | Expr::Nil(_) | Expr::Number(_) | Expr::String { .. } => {
                self.at = At::Expr(first);
                self.refuse_arguments(first, &arguments)?;
                self.literal(dot, first)
            }
        }
    }

    fn refuse_arguments(&self, expr: &'t Expr, arguments: &Arguments<'t>) -> Result<()> {
        if arguments.is_empty() {
            return Ok(());
        }
        let mut printer = self.printer();
        printer.expr(expr);
        Err(self.error(format!("can't give argument to non-function {}", printer.finish())))
    }

    /// A constant or the dot, where no type is asked for.
    pub(super) fn literal(&mut self, dot: &Cell, expr: &'t Expr) -> Result<Cell> {
        self.at = At::Expr(expr);
        match expr {
            Expr::Bool(_, value) => Ok(Cell::plain(Value::Bool(*value))),
            Expr::String { value, .. } => Ok(Cell::plain(Value::String(value.clone()))),
            Expr::Number(number) => self.ideal(number),
            Expr::Dot(_) => Ok(dot.clone()),
            _ => Err(self.error("nil is not a command")),
        }
    }

    fn ideal(&self, number: &Number) -> Result<Cell> {
        match number.ideal {
            Ideal::Int(value) => Ok(Cell::plain(Value::Int(value))),
            Ideal::Float(value) => Ok(Cell::plain(Value::Float64(value))),
            Ideal::Complex(value) => Ok(Cell::plain(Value::Object(Rc::new(value)))),
            Ideal::Overflow => Err(self.error(format!("{} overflows int", self.show_number(number)))),
        }
    }

    fn show_number(&self, number: &Number) -> String {
        String::from_utf8_lossy(number.literal.of(&self.template.source.text)).into_owned()
    }

    /// `$x`, or `$x.field` with arguments if it is a method.
    pub(super) fn variable(&mut self, dot: &Cell, expr: &'t Expr, arguments: Arguments<'t>) -> Result<Cell> {
        let Expr::Variable { name, id, path, .. } = expr else {
            return Err(self.error("not a variable"));
        };
        self.at = At::Expr(expr);
        self.spend_on_lookup()?;
        let moves = path.len() == 0 && self.moving == Some(*id);
        let read = |slot: &mut Cell| {
            if moves { std::mem::replace(slot, Cell::plain(Value::Nil)) } else { slot.clone() }
        };
        let Some(value) = self.lookup(*id).map(read) else {
            return Err(self.undefined(Variable { id: *id, name: *name }));
        };
        if path.len() == 0 {
            self.refuse_arguments(expr, &arguments)?;
            return Ok(value);
        }
        self.select(dot, value, (*path, self.at), arguments)
    }

    /// A variable is searched for among all that there are.
    fn spend_on_lookup(&mut self) -> Result<()> {
        let work = self.variables.len() as u64 / VARIABLES_PER_STEP;
        self.interp.spend(work).map_err(|limit| self.limited(limit))
    }

    fn lookup(&mut self, id: VariableId) -> Option<&mut Cell> {
        self.variables.iter_mut().rev().find(|(known, _)| *known == id).map(|(_, value)| value)
    }

    /// Overwrites the innermost variable of that name.
    pub(super) fn assign(&mut self, variable: Variable, value: Cell) -> Result<()> {
        self.spend_on_lookup()?;
        match self.lookup(variable.id) {
            Some(slot) => {
                *slot = value;
                Ok(())
            }
            None => Err(self.undefined(variable)),
        }
    }

    fn undefined(&self, variable: Variable) -> crate::ExecError {
        let name = String::from_utf8_lossy(variable.name.of(&self.template.source.text));
        self.error(format!("undefined variable: {name}"))
    }
}
