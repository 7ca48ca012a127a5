//! Tokens to syntax trees.
//!
//! One `parse_…` function per production. Function names are resolved here, so that a template with an
//! unknown function never runs. Nesting is bounded by [`MAX_DEPTH`], because the tree is walked (and
//! dropped) recursively.

mod block;
mod number;
mod pipeline;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ast::{Command, Expr, Node, Part, Source, Template, Tree, VariableId, are_blank};
use crate::error::ParseError;
use crate::func::FunctionNames;
use crate::lex::{Kind, Lexer, Position, Span, Token};
use crate::quote;
use crate::unicode;
use crate::value::Str;

/// How deeply blocks and parentheses may be nested in one another.
pub(crate) const MAX_DEPTH: usize = 1000;

/// How many tokens a source may have: twenty times the largest public chart's. The tree of so many takes 50 MiB.
const MAX_TOKENS: usize = 500_000;

/// How many variables may be in sight at once, those that hide others of the same name included.
const MAX_VARIABLES: usize = 10_000;

/// The templates of one source: itself and those it defines.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) main: Arc<Template>,
    pub(crate) all: Vec<Arc<Template>>,
    /// How many tokens were read: what the trees take is proportional to it.
    pub(crate) tokens: usize,
}

/// Parses `text` under `name`.
pub(crate) fn parse(name: &Str, text: &Arc<[u8]>, names: &FunctionNames) -> std::result::Result<Parsed, ParseError> {
    if u32::try_from(text.len()).is_err() {
        let name = name.to_lossy().into_owned();
        return Err(ParseError { name, line: 1, message: "template of 4 GiB or more".to_owned() });
    }
    let mut parser = Parser {
        lexer: Lexer::new(text),
        name,
        text,
        names,
        pushed_back: None,
        scope: Scope::default(),
        variables: BTreeMap::from([(b"$".to_vec(), VariableId(0))]),
        assigned: Assigned::default(),
        depth: 0,
        tokens: 0,
        templates: Vec::new(),
        places: BTreeMap::new(),
        tree: Tree::with_room_for(text.len()),
        nodes: Vec::new(),
        commands: Vec::new(),
        words: Vec::new(),
    };
    let main = parser.parse_source().map_err(|Failure(error)| *error)?;
    Ok(parser.finish(main, Arc::clone(text)))
}

/// What starts anew in each `define` and `block`.
struct Scope {
    /// The variables that can be seen, innermost last.
    visible: Vec<VariableId>,
    /// Where the action being parsed starts.
    action: Option<Position>,
    /// Where the last token read starts: its line is where Go says an error is.
    last: Option<Position>,
    /// How many `range` blocks are open.
    ranges: usize,
}

impl Default for Scope {
    fn default() -> Self {
        Self { visible: vec![VariableId(0)], action: None, last: None, ranges: 0 }
    }
}

/// An error in a box, so that what is parsed is not moved about in the space of one.
struct Failure(Box<ParseError>);

type Result<T> = std::result::Result<T, Failure>;

/// A template whose source is still being parsed.
struct Draft {
    name: Str,
    body: Part<Node>,
}

/// The variable that the pipeline being read assigns, and how often its commands name it.
#[derive(Debug, Clone, Copy, Default)]
struct Assigned {
    id: Option<VariableId>,
    named: u32,
}

impl Assigned {
    /// Such a variable is read.
    fn name(&mut self, id: VariableId) {
        self.named += u32::from(self.id == Some(id));
    }

    /// The state of this pipeline after one in parentheses that sets variables of its own, or none.
    fn around(self, inner: Self, sets: bool) -> Self {
        // Inside, the same name may be another variable, or hold another value: it is not followed there.
        Self { named: self.named + if sets { 2 } else { inner.named }, ..self }
    }
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    name: &'s Str,
    text: &'s [u8],
    names: &'s FunctionNames,
    /// The token to be read again.
    pushed_back: Option<Token>,
    scope: Scope,
    /// Every variable of the source by its name.
    variables: BTreeMap<Vec<u8>, VariableId>,
    assigned: Assigned,
    depth: usize,
    tokens: usize,
    templates: Vec<Draft>,
    /// Where each template is in `templates`.
    places: BTreeMap<Str, usize>,
    tree: Tree,
    /// The lists that are not complete yet, the innermost last. Each is moved to the tree in one piece.
    nodes: Vec<Node>,
    commands: Vec<Command>,
    words: Vec<Expr>,
}

impl<'s> Parser<'s> {
    #[inline]
    fn next(&mut self) -> Token {
        if let Some(token) = self.pushed_back.take() {
            return token;
        }
        let token = self.lexer.next_token();
        self.scope.last = Some(token.span.position());
        self.tokens += 1;
        if self.tokens > MAX_TOKENS { self.too_large(token) } else { token }
    }

    /// What is read instead of a token that is one too many; Go has no limit.
    #[cold]
    fn too_large(&mut self, token: Token) -> Token {
        self.lexer.error = format!("template has more than {MAX_TOKENS} tokens");
        Token { kind: Kind::Error, ..token }
    }

    #[inline]
    fn push_back(&mut self, token: Token) {
        self.pushed_back = Some(token);
    }

    fn peek(&mut self) -> Token {
        let token = self.next();
        self.push_back(token);
        token
    }

    fn text(&self, span: Span) -> &'s [u8] {
        span.of(self.text)
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token> {
        let token = self.next();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(token, context)) }
    }

    #[cold]
    fn error(&self, message: impl Into<String>) -> Failure {
        let name = self.name.to_lossy().into_owned();
        Failure(Box::new(ParseError { name, line: self.line(self.scope.last), message: message.into() }))
    }

    /// The line of a place, counted from 1; 0 if nothing was read yet.
    fn line(&self, place: Option<Position>) -> usize {
        place.map_or(0, |place| 1 + unicode::lines(&self.text[..place.offset()]))
    }

    #[cold]
    fn unexpected(&self, token: Token, context: &str) -> Failure {
        if token.kind != Kind::Error {
            return self.error(format!("unexpected {} in {context}", self.describe(token)));
        }
        let message = &self.lexer.error;
        let started = self.line(self.scope.action);
        if started == 0 || started == self.line(Some(token.span.position())) {
            return self.error(message.as_str());
        }
        let action = if message.ends_with(" action") { "" } else { " in action" };
        self.error(format!("{message}{action} started at {}:{started}", self.name))
    }

    /// The token as error messages show it.
    fn describe(&self, token: Token) -> String {
        let text = self.text(token.span);
        // To Go, several fields in a row are a token each.
        let text = if token.kind == Kind::Field { &text[..second_field(text).unwrap_or(text.len())] } else { text };
        match token.kind {
            Kind::Eof => "EOF".to_owned(),
            kind if kind.is_keyword() => format!("<{}>", String::from_utf8_lossy(text)),
            _ if text.len() > 10 => {
                let length = unicode::chars(text).take(10).map(|(_, width)| width).sum();
                format!("{}...", quote::lossy(&text[..length]))
            }
            _ => quote::lossy(text),
        }
    }

    /// Runs `parse` one level deeper.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error("max expression depth exceeded"));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Adds a template; one source may define a name only once, unless one of the bodies is empty.
    fn add(&mut self, name: &Str, body: Part<Node>) -> Result<()> {
        let is_empty = |body| are_blank(&self.tree[body], self.text);
        match self.places.get(name).copied() {
            None => {
                self.places.insert(name.clone(), self.templates.len());
                self.templates.push(Draft { name: name.clone(), body });
            }
            Some(place) if is_empty(self.templates[place].body) => self.templates[place].body = body,
            Some(_) if is_empty(body) => {}
            Some(_) => {
                let name = quote::lossy(name.as_bytes());
                return Err(self.error(format!("template: multiple definition of template {name}")));
            }
        }
        Ok(())
    }

    /// The templates, once all of the source, which is `text`, is read. `main` is its own body, be it added or not.
    fn finish(mut self, main: Part<Node>, text: Arc<[u8]>) -> Parsed {
        self.tree.shrink();
        let source = Arc::new(Source { name: self.name.clone(), text, tree: self.tree });
        let template = |Draft { name, body }| Arc::new(Template { name, source: Arc::clone(&source), body });
        let all = self.templates.into_iter().map(template).collect();
        Parsed { main: template(Draft { name: self.name.clone(), body: main }), all, tokens: self.tokens }
    }
}

/// Where the second of several fields in a row starts.
fn second_field(fields: &[u8]) -> Option<usize> {
    fields.iter().skip(1).position(|byte| *byte == b'.').map(|at| at + 1)
}
