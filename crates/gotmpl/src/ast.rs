//! The syntax tree, and how Go prints it in error messages.
//!
//! Nodes hold offsets into the source they came from, which the [`Template`] keeps; a tree is immutable
//! and can be shared between threads. Its depth is bounded by the parser. A chart has many of these nodes, and most are
//! visited once: they are kept small, and all nodes of a source lie in a few lists, of which each node has its [`Part`].

use std::marker::PhantomData;
use std::ops::Index;
use std::sync::Arc;

use crate::complex::Complex;
use crate::func::FunctionId;
use crate::lex::{Position, Span};
use crate::quote;
use crate::unicode;
use crate::value::Str;

/// A text that was parsed under a name; it may define several templates.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: Str,
    pub(crate) text: Arc<[u8]>,
    pub(crate) tree: Tree,
}

/// The nodes of a source, each list of them in one piece.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    commands: Vec<Command>,
    words: Vec<Expr>,
    variables: Vec<Variable>,
}

/// Some items of a list in a [`Tree`] that stand together.
#[derive(Debug)]
pub(crate) struct Part<T> {
    start: u32,
    length: u32,
    item: PhantomData<fn() -> T>,
}

impl<T> Part<T> {
    pub(crate) const EMPTY: Self = Self { start: 0, length: 0, item: PhantomData };

    pub(crate) fn is_empty(self) -> bool {
        self.length == 0
    }

    pub(crate) fn len(self) -> usize {
        self.length as usize
    }

    fn of(self, list: &[T]) -> &[T] {
        &list[self.start as usize..(self.start + self.length) as usize]
    }
}

impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Part<T> {}

/// What a [`Tree`] has lists of.
pub(crate) trait Listed: Sized {
    fn list(tree: &Tree) -> &[Self];
    fn list_mut(tree: &mut Tree) -> &mut Vec<Self>;
}

macro_rules! listed {
    ($($item:ident in $list:ident,)*) => {
        $(impl Listed for $item {
            fn list(tree: &Tree) -> &[Self] {
                &tree.$list
            }

            fn list_mut(tree: &mut Tree) -> &mut Vec<Self> {
                &mut tree.$list
            }
        })*
    };
}

listed! {
    Node in nodes,
    Command in commands,
    Expr in words,
    Variable in variables,
}

impl Tree {
    /// An empty tree with room for what is usual in a source of so many bytes.
    pub(crate) fn with_room_for(source_bytes: usize) -> Self {
        Self {
            nodes: Vec::with_capacity(source_bytes / 24),
            commands: Vec::with_capacity(source_bytes / 32),
            words: Vec::with_capacity(source_bytes / 16),
            variables: Vec::new(),
        }
    }

    /// Keeps the items that are `pending` from `from` on, which stand together from then on.
    pub(crate) fn keep<T: Listed>(&mut self, pending: &mut Vec<T>, from: usize) -> Part<T> {
        let start = self.count::<T>();
        let list = T::list_mut(self);
        // Most lists have one item, and emptying a range costs more than that.
        if pending.len() == from + 1 {
            list.extend(pending.pop());
        } else {
            list.extend(pending.drain(from..));
        }
        self.since(start)
    }

    /// Keeps one item.
    pub(crate) fn keep_one<T: Listed>(&mut self, item: T) -> Part<T> {
        let start = self.count::<T>();
        T::list_mut(self).push(item);
        Part { start, length: 1, item: PhantomData }
    }

    /// How many items are kept.
    pub(crate) fn count<T: Listed>(&self) -> u32 {
        let count = T::list(self).len();
        u32::try_from(count).expect("there are fewer nodes than bytes of the source, which is shorter than 4 GiB")
    }

    /// The items kept since there were `start` of them.
    pub(crate) fn since<T: Listed>(&self, start: u32) -> Part<T> {
        Part { start, length: self.count::<T>() - start, item: PhantomData }
    }

    /// Gives back the memory that no node needs.
    pub(crate) fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
        self.commands.shrink_to_fit();
        self.words.shrink_to_fit();
        self.variables.shrink_to_fit();
    }
}

impl<T: Listed> Index<Part<T>> for Tree {
    type Output = [T];

    fn index(&self, part: Part<T>) -> &[T] {
        part.of(T::list(self))
    }
}

/// One parsed template: a whole source, or the body of a `define` or `block` in it.
#[derive(Debug)]
pub struct Template {
    pub(crate) name: Str,
    pub(crate) source: Arc<Source>,
    pub(crate) body: Part<Node>,
}

impl Template {
    /// The name it is called by.
    pub fn name(&self) -> &Str {
        &self.name
    }

    /// Whether there is nothing in it but white space: such a template does not replace another.
    pub fn is_empty(&self) -> bool {
        are_blank(&self.source.tree[self.body], &self.source.text)
    }
}

/// Whether nodes of a source are nothing but white space.
pub(crate) fn are_blank(nodes: &[Node], source: &[u8]) -> bool {
    nodes.iter().all(|node| match node {
        Node::Text(text) => unicode::chars(text.of(source)).all(|(c, _)| c.is_whitespace()),
        _ => false,
    })
}

/// Something a template does.
#[derive(Debug)]
pub(crate) enum Node {
    Text(Span),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Box<Invocation>),
    Break(Position),
    Continue(Position),
}

impl Node {
    /// Where it starts in the source.
    pub(crate) fn position(&self) -> usize {
        match self {
            Self::Text(text) => text.start(),
            Self::Action(pipe) => pipe.position.offset(),
            Self::If(branch) | Self::With(branch) | Self::Range(branch) => branch.pipe.position.offset(),
            Self::Template(invocation) => invocation.position.offset(),
            Self::Break(position) | Self::Continue(position) => position.offset(),
        }
    }
}

/// `if`, `with` or `range`.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) body: Part<Node>,
    pub(crate) otherwise: Part<Node>,
}

/// `{{template "name" pipe}}`, also what a `block` leaves behind.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) position: Position,
    pub(crate) name: Str,
    pub(crate) pipe: Option<Pipe>,
}

/// Commands joined by `|`, whose value may go to variables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pipe {
    pub(crate) position: Position,
    /// The variables are assigned (`=`), not declared (`:=`).
    pub(crate) assigns: bool,
    /// The variable that is assigned is named once in the commands: nobody sees what it held after that.
    pub(crate) moves: bool,
    pub(crate) variables: Part<Variable>,
    /// Never empty.
    pub(crate) commands: Part<Command>,
}

/// A variable by its place among the variables of its source; `$` has the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VariableId(pub(crate) u32);

/// A variable being declared or assigned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variable {
    pub(crate) id: VariableId,
    pub(crate) name: Span,
}

/// A value, or a function or method with its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) position: Position,
    /// Never empty.
    pub(crate) words: Part<Expr>,
}

/// `.a.b.c`: the names are found by splitting at the dots. May be empty.
pub(crate) type Path = Span;

/// An operand.
#[derive(Debug)]
pub(crate) enum Expr {
    Dot(Position),
    Nil(Position),
    Bool(Position, bool),
    Number(Box<Number>),
    String { literal: Span, value: Str },
    Function { name: Span, id: FunctionId },
    Field { position: Position, path: Path },
    Variable { position: Position, name: Span, id: VariableId, path: Path },
    Chain { position: Position, base: Box<Self>, path: Path },
    Pipe(Pipe),
}

impl Expr {
    /// The position Go reports for it: for several fields in a row, that of the second.
    pub(crate) fn position(&self) -> usize {
        match self {
            Self::Dot(position)
            | Self::Nil(position)
            | Self::Bool(position, _)
            | Self::Field { position, .. }
            | Self::Variable { position, .. }
            | Self::Chain { position, .. } => position.offset(),
            Self::Number(number) => number.literal.start(),
            Self::String { literal, .. } => literal.start(),
            Self::Function { name, .. } => name.start(),
            Self::Pipe(pipe) => pipe.position.offset(),
        }
    }
}

/// A numeric constant under every Go type that can represent it.
#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) literal: Span,
    pub(crate) int: Option<i64>,
    pub(crate) float: Option<f64>,
    pub(crate) ideal: Ideal,
}

/// The type a constant has by its syntax, where none is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ideal {
    Int(i64),
    Float(f64),
    Complex(Complex),
    /// An integer too large for `int`: only an error when it is used.
    Overflow,
}

/// Prints nodes the way Go's `Node.String` does.
pub(crate) struct Printer<'s> {
    source: &'s [u8],
    tree: &'s Tree,
    out: Vec<u8>,
}

impl<'s> Printer<'s> {
    /// A printer for nodes of a source.
    pub(crate) fn new(source: &'s [u8], tree: &'s Tree) -> Self {
        Self { source, tree, out: Vec::new() }
    }

    /// What was printed.
    pub(crate) fn finish(self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn span(&mut self, span: Span) {
        self.out.extend_from_slice(span.of(self.source));
    }

    /// An action; only the head of a block.
    pub(crate) fn node(&mut self, node: &Node) {
        match node {
            Node::Text(text) => self.span(*text),
            Node::Action(pipe) => self.braced("", Some(pipe)),
            Node::If(branch) => self.braced("if ", Some(&branch.pipe)),
            Node::With(branch) => self.braced("with ", Some(&branch.pipe)),
            Node::Range(branch) => self.braced("range ", Some(&branch.pipe)),
            Node::Template(invocation) => {
                let space = if invocation.pipe.is_some() { " " } else { "" };
                let head = format!("template {}{space}", quote::lossy(invocation.name.as_bytes()));
                self.braced(&head, invocation.pipe.as_ref());
            }
            Node::Break(_) => self.braced("break", None),
            Node::Continue(_) => self.braced("continue", None),
        }
    }

    fn braced(&mut self, head: &str, pipe: Option<&Pipe>) {
        self.text("{{");
        self.text(head);
        if let Some(pipe) = pipe {
            self.pipe(pipe);
        }
        self.text("}}");
    }

    /// A pipeline, without parentheses.
    pub(crate) fn pipe(&mut self, pipe: &Pipe) {
        for (index, variable) in self.tree[pipe.variables].iter().enumerate() {
            if index > 0 {
                self.text(", ");
            }
            self.span(variable.name);
        }
        if !pipe.variables.is_empty() {
            self.text(if pipe.assigns { " = " } else { " := " });
        }
        for (index, command) in self.tree[pipe.commands].iter().enumerate() {
            if index > 0 {
                self.text(" | ");
            }
            self.command(command);
        }
    }

    /// A command with its arguments.
    pub(crate) fn command(&mut self, command: &Command) {
        for (index, word) in self.tree[command.words].iter().enumerate() {
            if index > 0 {
                self.text(" ");
            }
            self.operand(word);
        }
    }

    fn operand(&mut self, expr: &Expr) {
        if let Expr::Pipe(pipe) = expr {
            self.text("(");
            self.pipe(pipe);
            self.text(")");
        } else {
            self.expr(expr);
        }
    }

    /// An operand as a node of its own: a pipeline has no parentheses here.
    pub(crate) fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Dot(_) => self.text("."),
            Expr::Nil(_) => self.text("nil"),
            Expr::Bool(_, value) => self.text(if *value { "true" } else { "false" }),
            Expr::Number(number) => self.span(number.literal),
            Expr::String { literal, .. } => self.span(*literal),
            Expr::Function { name, .. } => self.span(*name),
            Expr::Field { path, .. } => self.span(*path),
            Expr::Variable { name, path, .. } => {
                self.span(*name);
                self.span(*path);
            }
            Expr::Chain { base, path, .. } => {
                self.operand(base);
                self.span(*path);
            }
            Expr::Pipe(pipe) => self.pipe(pipe),
        }
    }
}
