//! A running evaluation: what functions of the host see of it, and its limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ast::Template;
use crate::error::{ExecError, FuncError, Limit, ParseError};
use crate::exec;
use crate::func::Functions;
use crate::set::TemplateSet;
use crate::value::Value;

/// How far an evaluation may go before it fails with [`ExecError::limit`].
///
/// The evaluator is recursive. With the default depth it needs less than 64 MiB of stack, functions of
/// the host not counted: run it where there is so much.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Evaluation steps: about one for each action, operand and function call, and for every four bytes
    /// of text that a function returns.
    pub steps: u64,
    /// Bytes written, those of included templates counted wherever they are written.
    pub output: u64,
    /// Templates, blocks and parentheses within one another.
    pub depth: usize,
    /// Set by the host to stop the evaluation, for a deadline or a shutdown; looked at every 1024 steps.
    pub cancelled: Option<Arc<AtomicBool>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 50_000_000, output: 256 << 20, depth: 10_000, cancelled: None }
    }
}

/// What reading a key that a map does not have yields (Go's option `missingkey`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// No value.
    Invalid,
    /// The zero value of the map's element type, as Helm has it.
    #[default]
    Zero,
    /// An error.
    Error,
}

/// A source given at run time that does not parse, or fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceError {
    /// It does not parse.
    Parse(ParseError),
    /// It fails.
    Exec(ExecError),
}

/// A running evaluation: what a [`crate::Call::Host`] function may use.
pub struct Interp<'a, H> {
    /// The host.
    pub host: &'a H,
    pub(crate) functions: &'a Functions<H>,
    pub(crate) templates: TemplateSet,
    pub(crate) missing_key: MissingKey,
    steps: u64,
    output: u64,
    depth: usize,
    cancelled: Option<Arc<AtomicBool>>,
}

impl<'a, H> Interp<'a, H> {
    /// An evaluation of `templates`, which must have been parsed with the names of `functions`.
    pub fn new(host: &'a H, functions: &'a Functions<H>, templates: TemplateSet, limits: Limits) -> Self {
        let Limits { steps, output, depth, cancelled } = limits;
        let missing_key = MissingKey::default();
        Self { host, functions, templates, missing_key, steps, output, depth, cancelled }
    }

    /// The same with another treatment of missing keys.
    #[must_use]
    pub fn with_missing_key(mut self, missing_key: MissingKey) -> Self {
        self.missing_key = missing_key;
        self
    }

    /// Executes the template called `name` on `data` and appends its output to `out`. What was written
    /// before an error stays there.
    ///
    /// Functions of the host may call this again (`include`): limits count for all of it together.
    pub fn execute(&mut self, name: &[u8], data: &Value, out: &mut Vec<u8>) -> Result<(), ExecError> {
        match self.templates.get(name).cloned() {
            Some(template) => self.run(&template, data, out),
            None => Err(ExecError::no_template(name, self.templates.root().as_bytes())),
        }
    }

    /// Parses `source` on top of the current templates, under the name of the set, and executes it
    /// (`tpl`). What it defines can be called until it returns, and is gone then.
    pub fn execute_source(&mut self, source: &[u8], data: &Value, out: &mut Vec<u8>) -> Result<(), SourceError> {
        let mut templates = self.templates.clone();
        let root = templates.root().clone();
        let template = templates.parse(root, source, self.functions.names()).map_err(SourceError::Parse)?;
        let outer = std::mem::replace(&mut self.templates, templates);
        let result = self.run(&template, data, out);
        self.templates = outer;
        result.map_err(SourceError::Exec)
    }

    fn run(&mut self, template: &Template, data: &Value, out: &mut Vec<u8>) -> Result<(), ExecError> {
        exec::run(self, template, data, out)
    }

    /// Counts `steps` of work. Functions whose work is out of proportion to their arguments say so here.
    pub fn charge(&mut self, steps: u64) -> Result<(), FuncError> {
        self.spend(steps).map_err(FuncError::from)
    }

    pub(crate) fn spend(&mut self, steps: u64) -> Result<(), Limit> {
        let left = self.steps.checked_sub(steps).ok_or(Limit::Steps)?;
        let looks = left / 1024 != self.steps / 1024;
        self.steps = left;
        if looks && self.cancelled.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(Limit::Cancelled);
        }
        Ok(())
    }

    /// Takes back steps that were spent on memory which is free again.
    pub(crate) fn give_back(&mut self, steps: u64) {
        self.steps = self.steps.saturating_add(steps);
    }

    /// Counts output about to be written.
    pub(crate) fn write(&mut self, bytes: usize) -> Result<(), Limit> {
        self.output = self.output.checked_sub(bytes as u64).ok_or(Limit::Output)?;
        Ok(())
    }

    /// Goes one level deeper; each successful call is paired with a [`Self::ascend`].
    pub(crate) fn descend(&mut self) -> Result<(), Limit> {
        self.depth = self.depth.checked_sub(1).ok_or(Limit::Depth)?;
        Ok(())
    }

    pub(crate) fn ascend(&mut self) {
        self.depth += 1;
    }
}

impl std::fmt::Display for SourceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parse(error) => error.fmt(f),
            Self::Exec(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SourceError {}
