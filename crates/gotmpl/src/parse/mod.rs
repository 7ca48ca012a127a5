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

use crate::ast::{Command, Expr, Node, Source, Template, VariableId};
use crate::error::ParseError;
use crate::func::FunctionNames;
use crate::lex::{Kind, Lexer, Span, Token};
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
pub(crate) fn parse(name: &Str, text: &[u8], names: &FunctionNames) -> Result<Parsed, ParseError> {
    if u32::try_from(text.len()).is_err() {
        let name = name.to_lossy().into_owned();
        return Err(ParseError { name, line: 1, message: "template of 4 GiB or more".to_owned() });
    }
    let source = Arc::new(Source { name: name.clone(), text: text.into() });
    let mut parser = Parser {
        lexer: Lexer::new(text),
        source,
        names,
        pushed_back: Vec::new(),
        scope: Scope::default(),
        variables: BTreeMap::from([(b"$".to_vec(), VariableId(0))]),
        depth: 0,
        tokens: 0,
        templates: Vec::new(),
        places: BTreeMap::new(),
        nodes: Vec::new(),
        commands: Vec::new(),
        words: Vec::new(),
    };
    let main = parser.parse_source(name)?;
    Ok(Parsed { main, all: parser.templates, tokens: parser.tokens })
}

/// What starts anew in each `define` and `block`.
struct Scope {
    /// The variables that can be seen, innermost last.
    visible: Vec<VariableId>,
    /// The line of the action being parsed, 0 outside of one.
    action_line: u32,
    /// The line of the last token read: where Go says an error is.
    last_line: u32,
    /// How many `range` blocks are open.
    ranges: usize,
}

impl Default for Scope {
    fn default() -> Self {
        Self { visible: vec![VariableId(0)], action_line: 0, last_line: 0, ranges: 0 }
    }
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    source: Arc<Source>,
    names: &'s FunctionNames,
    /// Tokens to be read again, the next one last.
    pushed_back: Vec<Token>,
    scope: Scope,
    /// Every variable of the source by its name.
    variables: BTreeMap<Vec<u8>, VariableId>,
    depth: usize,
    tokens: usize,
    templates: Vec<Arc<Template>>,
    /// Where each template is in `templates`.
    places: BTreeMap<Str, usize>,
    /// The lists that are not complete yet, the innermost last. Each gets memory of its own once its length is known.
    nodes: Vec<Node>,
    commands: Vec<Command>,
    words: Vec<Expr>,
}

impl Parser<'_> {
    fn next(&mut self) -> Token {
        self.pushed_back.pop().unwrap_or_else(|| {
            let token = self.lexer.next_token();
            self.scope.last_line = token.line;
            self.tokens += 1;
            if self.tokens > MAX_TOKENS { self.too_large(token) } else { token }
        })
    }

    /// What is read instead of a token that is one too many; Go has no limit.
    #[cold]
    fn too_large(&mut self, token: Token) -> Token {
        self.lexer.error = format!("template has more than {MAX_TOKENS} tokens");
        Token { kind: Kind::Error, ..token }
    }

    fn push_back(&mut self, token: Token) {
        self.pushed_back.push(token);
    }

    fn peek(&mut self) -> Token {
        let token = self.next();
        self.push_back(token);
        token
    }

    fn next_non_space(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    /// The next token other than space, which stays; the space is gone.
    fn peek_non_space(&mut self) -> Token {
        let token = self.next_non_space();
        self.push_back(token);
        token
    }

    fn text(&self, span: Span) -> &[u8] {
        span.of(&self.source.text)
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token, ParseError> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(token, context)) }
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        let name = self.source.name.to_lossy().into_owned();
        ParseError { name, line: self.scope.last_line as usize, message: message.into() }
    }

    fn unexpected(&self, token: Token, context: &str) -> ParseError {
        if token.kind != Kind::Error {
            return self.error(format!("unexpected {} in {context}", self.describe(token)));
        }
        let message = &self.lexer.error;
        let started = self.scope.action_line;
        if started == 0 || started == token.line {
            return self.error(message.as_str());
        }
        let action = if message.ends_with(" action") { "" } else { " in action" };
        self.error(format!("{message}{action} started at {}:{started}", self.source.name))
    }

    /// The token as error messages show it.
    fn describe(&self, token: Token) -> String {
        let text = self.text(token.span);
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
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error("max expression depth exceeded"));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Adds a template; one source may define a name only once, unless one of the bodies is empty.
    fn add(&mut self, name: &Str, body: Box<[Node]>) -> Result<Arc<Template>, ParseError> {
        let template = Arc::new(Template { name: name.clone(), source: Arc::clone(&self.source), body });
        let place = self.places.get(name).copied();
        match place.and_then(|place| self.templates.get_mut(place)) {
            None => {
                self.places.insert(name.clone(), self.templates.len());
                self.templates.push(Arc::clone(&template));
            }
            Some(known) if known.is_empty() => *known = Arc::clone(&template),
            Some(_) if template.is_empty() => {}
            Some(_) => {
                let name = quote::lossy(name.as_bytes());
                return Err(self.error(format!("template: multiple definition of template {name}")));
            }
        }
        Ok(template)
    }
}
