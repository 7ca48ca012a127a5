//! The evaluator: walks a template and writes its output.
//!
//! One small function per kind of node: control flow in [`flow`], pipelines and operands in [`eval`],
//! field access in [`field`], function calls in [`call`]. The node under evaluation is remembered the way
//! Go does it, because it is part of every error message: the last one entered, even if the evaluation
//! has already come back out of it.

mod call;
mod eval;
mod field;
mod flow;
mod work;

use crate::ast::{Command, Expr, Node, Part, Pipe, Printer, Template, Tree, VariableId};
use crate::error::{ExecError, FuncError, Limit, Place};
use crate::interp::Interp;
use crate::printf;
use crate::typed::Cell;
use crate::unicode;
use crate::value::Value;

type Result<T> = std::result::Result<T, ExecError>;

/// Executes `template` on `data`, appending to `out`.
pub(crate) fn run<H>(interp: &mut Interp<'_, H>, template: &Template, data: &Value, out: &mut Vec<u8>) -> Result<()> {
    State::new(interp, template, Cell::plain(data.clone()), out).run()
}

/// A node as the place of an error.
#[derive(Clone, Copy)]
enum At<'t> {
    Start,
    Node(&'t Node),
    Pipe(&'t Pipe),
    Command(&'t Command),
    Expr(&'t Expr),
}

/// How a list of nodes was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// The execution of one template.
struct State<'s, 't, 'a, H> {
    interp: &'s mut Interp<'a, H>,
    template: &'t Template,
    out: &'s mut Vec<u8>,
    at: At<'t>,
    /// The innermost last; the first is `$`.
    variables: Vec<(VariableId, Cell)>,
    /// The variable whose value goes to whom it is given, for it is about to be assigned another.
    moving: Option<VariableId>,
}

impl<'s, 't, 'a, H> State<'s, 't, 'a, H> {
    fn new(interp: &'s mut Interp<'a, H>, template: &'t Template, dot: Cell, out: &'s mut Vec<u8>) -> Self {
        Self { interp, template, out, at: At::Start, variables: vec![(VariableId(0), dot)], moving: None }
    }

    fn tree(&self) -> &'t Tree {
        &self.template.source.tree
    }

    fn run(mut self) -> Result<()> {
        let (_, dot) = self.variables[0].clone();
        self.deeper(|state| state.nodes(&dot, state.template.body)).map(|_| ())
    }

    fn nodes(&mut self, dot: &Cell, nodes: Part<Node>) -> Result<Flow> {
        for node in &self.tree()[nodes] {
            match self.node(dot, node)? {
                Flow::Next => {}
                left => return Ok(left),
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, dot: &Cell, node: &'t Node) -> Result<Flow> {
        self.at = At::Node(node);
        self.step()?;
        match node {
            Node::Text(text) => {
                self.write(text.of(&self.template.source.text))?;
                Ok(Flow::Next)
            }
            Node::Action(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.at = At::Node(node);
                    self.print(&value.value)?;
                }
                Ok(Flow::Next)
            }
            Node::If(branch) => self.deeper(|state| state.conditional(dot, branch, false)),
            Node::With(branch) => self.deeper(|state| state.conditional(dot, branch, true)),
            Node::Range(branch) => self.deeper(|state| state.range(dot, branch)),
            Node::Template(invocation) => self.invoke(dot, invocation).map(|()| Flow::Next),
            Node::Break(_) => Ok(Flow::Break),
            Node::Continue(_) => Ok(Flow::Continue),
        }
    }

    fn print(&mut self, value: &Value) -> Result<()> {
        match value {
            Value::Nil => self.write(b"<no value>"),
            Value::String(text) => self.write(text.as_bytes()),
            Value::Object(object) => match object.pointed_text() {
                Some(text) => self.write(text.as_bytes()),
                None => self.print_formatted(value),
            },
            other => self.print_formatted(other),
        }
    }

    fn print_formatted(&mut self, value: &Value) -> Result<()> {
        let printed = printf::printed(std::slice::from_ref(value)).complete();
        self.write(printed.map_err(|limit| self.limited(limit))?.as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.interp.write(bytes.len()).map_err(|limit| self.limited(limit))?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        self.interp.spend(1).map_err(|limit| self.limited(limit))
    }

    /// Runs `part` one level deeper.
    fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.interp.descend().map_err(|limit| self.limited(limit))?;
        let result = part(self);
        self.interp.ascend();
        result
    }

    fn error(&self, message: impl Into<String>) -> ExecError {
        ExecError::new(Some(self.place()), message.into())
    }

    fn caused(&self, message: String, cause: FuncError) -> ExecError {
        ExecError::caused(self.place(), message, cause)
    }

    fn limited(&self, limit: Limit) -> ExecError {
        ExecError::limited(self.place(), limit)
    }

    fn printer(&self) -> Printer<'t> {
        Printer::new(&self.template.source.text, self.tree())
    }

    fn place(&self) -> Place {
        let source = &self.template.source;
        let mut printer = self.printer();
        let position = match self.at {
            At::Start => 0,
            At::Node(node) => {
                printer.node(node);
                node.position()
            }
            At::Pipe(pipe) => {
                printer.pipe(pipe);
                pipe.position.offset()
            }
            At::Command(command) => {
                printer.command(command);
                command.position.offset()
            }
            At::Expr(expr) => {
                printer.expr(expr);
                expr.position()
            }
        };
        let before = &source.text[..position];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        Place {
            file: source.name.to_string(),
            line: 1 + unicode::lines(before),
            column: position - line_start,
            template: self.template.name.to_string(),
            expression: printer.finish(),
        }
    }
}
