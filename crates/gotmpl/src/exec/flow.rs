//! Control flow: `if`, `with`, `range` and `template`.

use super::{Flow, Result, State};
use crate::ast::{Branch, Invocation, Variable};
use crate::printf;
use crate::quote;
use crate::typed::Cell;
use crate::value::Value;

impl<'t, H> State<'_, 't, '_, H> {
    /// `if`, or `with` which also moves the dot.
    pub(super) fn conditional(&mut self, dot: &Cell, branch: &'t Branch, moves_dot: bool) -> Result<Flow> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if value.value.truthy() {
            self.nodes(if moves_dot { &value } else { dot }, branch.body)
        } else {
            self.nodes(dot, branch.otherwise)
        }?;
        self.variables.truncate(mark);
        Ok(flow)
    }

    pub(super) fn range(&mut self, dot: &Cell, branch: &'t Branch) -> Result<Flow> {
        let outer = self.variables.len();
        let over = self.pipeline(dot, &branch.pipe)?.value;
        let mark = self.variables.len();
        let mut run = Iteration { branch, mark, iterated: false };
        let flow = match self.iterate(&mut run, &over)? {
            // `break` and `continue` end at their own range.
            _ if run.iterated => Flow::Next,
            _ => self.nodes(dot, branch.otherwise)?,
        };
        self.variables.truncate(outer);
        Ok(flow)
    }

    fn iterate(&mut self, run: &mut Iteration<'t>, over: &Value) -> Result<Flow> {
        match over.underlying().as_ref() {
            Value::Nil => Ok(Flow::Next),
            Value::List(list) => self.each(
                run,
                (0..list.items().len()).map_while(|index| {
                    let position = i64::try_from(index).ok()?;
                    Some((Cell::plain(Value::Int(position)), list.cell(index)?))
                }),
            ),
            Value::Map(map) => {
                // The keys as they are now: the body may change the map.
                let entries: Vec<_> = map.borrow().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
                let cells =
                    entries.into_iter().map(|(key, value)| (Cell::plain(Value::String(key)), map.ty.element(value)));
                self.each(run, cells)
            }
            Value::Int(end) => self.count(run, *end, over, Value::Int),
            Value::Int64(end) => self.count(run, *end, over, Value::Int64),
            Value::Uint8(end) => self.count(run, *end, over, Value::Uint8),
            Value::Uint64(end) => self.count(run, *end, over, Value::Uint64),
            Value::Bool(_) | Value::Float64(_) | Value::String(_) | Value::Object(_) => {
                Err(self.error(format!("range can't iterate over {}", printf::display(over))))
            }
        }
    }

    /// `range` over a number: from zero up to it.
    fn count<N>(&mut self, run: &mut Iteration<'t>, end: N, over: &Value, value: fn(N) -> Value) -> Result<Flow>
    where
        N: Copy + Default + PartialOrd + From<u8>,
        std::ops::Range<N>: Iterator<Item = N>,
    {
        if run.branch.pipe.variables.len() > 1 {
            let shown = printf::display(over);
            return Err(self.error(format!("can't use {shown} to iterate over more than one variable")));
        }
        let numbers = N::default()..end;
        self.each(run, numbers.map(|n| (Cell::plain(Value::Nil), Cell::plain(value(n)))))
    }

    fn each(&mut self, run: &mut Iteration<'t>, items: impl Iterator<Item = (Cell, Cell)>) -> Result<Flow> {
        for (key, element) in items {
            run.iterated = true;
            self.step()?;
            self.bind(run.branch, key, &element)?;
            let flow = self.nodes(&element, run.branch.body)?;
            self.variables.truncate(run.mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    /// Gives the variables of a `range` their values. A single one gets the element.
    fn bind(&mut self, branch: &'t Branch, key: Cell, element: &Cell) -> Result<()> {
        let pipe = &branch.pipe;
        match &self.tree()[pipe.variables] {
            [] => Ok(()),
            [only] => self.bind_one(*only, pipe.assigns, 1, element.clone()),
            [first, second, ..] => {
                self.bind_one(*first, pipe.assigns, 2, key)?;
                self.bind_one(*second, pipe.assigns, 1, element.clone())
            }
        }
    }

    /// Assigns `variable`, or sets the one the pipeline declared `from_top` of the stack.
    fn bind_one(&mut self, variable: Variable, assigns: bool, from_top: usize, value: Cell) -> Result<()> {
        if assigns {
            return self.assign(variable, value);
        }
        let top = self.variables.len();
        if let Some((_, slot)) = self.variables.get_mut(top - from_top) {
            *slot = value;
        }
        Ok(())
    }

    pub(super) fn invoke(&mut self, dot: &Cell, invocation: &'t Invocation) -> Result<()> {
        let name = invocation.name.as_bytes();
        let Some(template) = self.interp.templates.get(name).cloned() else {
            return Err(self.error(format!("template {} not defined", quote::lossy(name))));
        };
        let dot = match &invocation.pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Cell::plain(Value::Nil),
        };
        State::new(&mut *self.interp, &template, dot, &mut *self.out).run()
    }
}

/// The state of one `range`.
struct Iteration<'t> {
    branch: &'t Branch,
    /// How many variables there are before those of the body.
    mark: usize,
    /// Whether there was anything to iterate over.
    iterated: bool,
}
