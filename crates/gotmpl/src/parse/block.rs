//! What stands between and around actions: text, control structures and definitions.

use std::sync::Arc;

use super::Parser;
use crate::ast::{Branch, Invocation, Node, Template};
use crate::error::ParseError;
use crate::lex::{Kind, Position, Token};
use crate::quote;
use crate::value::Str;

/// What ends a list of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terminator {
    End,
    Else,
}

impl Terminator {
    fn text(self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

/// A node, or what ends the list of nodes it would have been part of.
pub(super) enum Item {
    Node(Node),
    Terminator(Terminator),
}

/// The control structures that share one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    If,
    With,
    Range,
}

impl Control {
    fn context(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::With => "with",
            Self::Range => "range",
        }
    }

    /// `{{else if}}` and `{{else with}}` continue a structure of their own kind.
    fn continued_by(self, kind: Kind) -> bool {
        matches!((self, kind), (Self::If, Kind::If) | (Self::With, Kind::With))
    }

    fn node(self, branch: Branch) -> Node {
        let branch = Box::new(branch);
        match self {
            Self::If => Node::If(branch),
            Self::With => Node::With(branch),
            Self::Range => Node::Range(branch),
        }
    }
}

impl Parser<'_> {
    /// The whole source. Only here may templates be defined.
    pub(super) fn parse_source(&mut self, name: &Str) -> Result<Arc<Template>, ParseError> {
        loop {
            let token = self.peek();
            if token.kind == Kind::Eof {
                let body = std::mem::take(&mut self.nodes).into();
                return self.add(name, body);
            }
            if token.kind == Kind::LeftDelim {
                self.next();
                let keyword = self.next_non_space();
                if keyword.kind == Kind::Define {
                    self.parse_definition()?;
                    continue;
                }
                self.push_back(keyword);
                self.push_back(token);
            }
            match self.parse_item()? {
                Item::Node(node) => self.nodes.push(node),
                Item::Terminator(end) => {
                    return Err(self.error(format!("unexpected {}", end.text())));
                }
            }
        }
    }

    /// `{{define "name"}} … {{end}}`, after the keyword.
    fn parse_definition(&mut self) -> Result<(), ParseError> {
        let outer = std::mem::take(&mut self.scope);
        let context = "define clause";
        let token = self.next_non_space();
        let name = self.parse_name(token, context)?;
        self.expect(Kind::RightDelim, context)?;
        let (body, end) = self.nested(Self::parse_list)?;
        if end != Terminator::End {
            return Err(self.error(format!("unexpected {} in {context}", end.text())));
        }
        self.add(&name, body)?;
        self.scope = outer;
        Ok(())
    }

    /// Nodes up to an `{{end}}` or `{{else}}`.
    fn parse_list(&mut self) -> Result<(Box<[Node]>, Terminator), ParseError> {
        let start = self.nodes.len();
        while self.peek_non_space().kind != Kind::Eof {
            match self.parse_item()? {
                Item::Node(node) => self.nodes.push(node),
                Item::Terminator(terminator) => return Ok((self.nodes.drain(start..).collect(), terminator)),
            }
        }
        Err(self.error("unexpected EOF"))
    }

    fn parse_item(&mut self) -> Result<Item, ParseError> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.span))),
            Kind::LeftDelim => {
                self.scope.action_line = token.line;
                let item = self.parse_action()?;
                self.scope.action_line = 0;
                Ok(item)
            }
            _ => Err(self.unexpected(token, "input")),
        }
    }

    fn parse_action(&mut self) -> Result<Item, ParseError> {
        let token = self.next_non_space();
        let node = match token.kind {
            Kind::Block => self.parse_block()?,
            Kind::Break => self.parse_jump(token, "{{break}}", Node::Break)?,
            Kind::Continue => self.parse_jump(token, "{{continue}}", Node::Continue)?,
            Kind::Else => return self.parse_else(),
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Item::Terminator(Terminator::End));
            }
            Kind::If => self.parse_control(Control::If)?,
            Kind::Range => self.parse_control(Control::Range)?,
            Kind::Template => self.parse_invocation()?,
            Kind::With => self.parse_control(Control::With)?,
            _ => {
                self.push_back(token);
                Node::Action(self.parse_pipeline("command", Kind::RightDelim)?)
            }
        };
        Ok(Item::Node(node))
    }

    fn parse_jump(&mut self, token: Token, name: &str, node: fn(Position) -> Node) -> Result<Node, ParseError> {
        self.expect(Kind::RightDelim, name)?;
        if self.scope.ranges == 0 {
            return Err(self.error(format!("{name} outside {{{{range}}}}")));
        }
        Ok(node(token.span.position()))
    }

    /// `{{else}}`, or the start of `{{else if …}}`, whose keyword stays for [`Self::parse_otherwise`].
    fn parse_else(&mut self) -> Result<Item, ParseError> {
        if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
            self.expect(Kind::RightDelim, "else")?;
        }
        Ok(Item::Terminator(Terminator::Else))
    }

    fn parse_control(&mut self, control: Control) -> Result<Node, ParseError> {
        let visible = self.scope.visible.len();
        let branch = self.nested(|parser| parser.parse_branch(control))?;
        self.scope.visible.truncate(visible);
        Ok(control.node(branch))
    }

    fn parse_branch(&mut self, control: Control) -> Result<Branch, ParseError> {
        let ranges = usize::from(control == Control::Range);
        let pipe = self.parse_pipeline(control.context(), Kind::RightDelim)?;
        self.scope.ranges += ranges;
        let (body, terminator) = self.parse_list()?;
        self.scope.ranges -= ranges;
        let otherwise = match terminator {
            Terminator::End => Box::default(),
            Terminator::Else => self.parse_otherwise(control)?,
        };
        Ok(Branch { pipe, body, otherwise })
    }

    fn parse_otherwise(&mut self, control: Control) -> Result<Box<[Node]>, ParseError> {
        if control.continued_by(self.peek().kind) {
            self.next();
            return Ok(Box::new([self.parse_control(control)?]));
        }
        let (otherwise, end) = self.parse_list()?;
        match end {
            Terminator::End => Ok(otherwise),
            Terminator::Else => Err(self.error(format!("expected end; found {}", end.text()))),
        }
    }

    /// `{{block "name" pipeline}} … {{end}}`: a definition that is also called on the spot.
    fn parse_block(&mut self) -> Result<Node, ParseError> {
        let context = "block clause";
        let token = self.next_non_space();
        let name = self.parse_name(token, context)?;
        let pipe = self.parse_pipeline(context, Kind::RightDelim)?;
        let outer = std::mem::take(&mut self.scope);
        let (body, end) = self.nested(Self::parse_list)?;
        let inner = std::mem::replace(&mut self.scope, outer);
        if end != Terminator::End {
            return Err(self.error(format!("unexpected {} in {context}", end.text())));
        }
        let outer = std::mem::replace(&mut self.scope, inner);
        self.add(&name, body)?;
        self.scope = outer;
        Ok(Node::Template(Box::new(Invocation { position: token.span.position(), name, pipe: Some(pipe) })))
    }

    /// `{{template "name"}}` or `{{template "name" pipeline}}`.
    fn parse_invocation(&mut self) -> Result<Node, ParseError> {
        let context = "template clause";
        let token = self.next_non_space();
        let name = self.parse_name(token, context)?;
        let next = self.next_non_space();
        let pipe = if next.kind == Kind::RightDelim {
            None
        } else {
            self.push_back(next);
            Some(self.parse_pipeline(context, Kind::RightDelim)?)
        };
        Ok(Node::Template(Box::new(Invocation { position: token.span.position(), name, pipe })))
    }

    fn parse_name(&mut self, token: Token, context: &str) -> Result<Str, ParseError> {
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return Err(self.unexpected(token, context));
        }
        self.unquote(token)
    }

    /// The text a string token stands for.
    pub(super) fn unquote(&self, token: Token) -> Result<Str, ParseError> {
        match quote::unquote(self.text(token.span)) {
            Some(text) => Ok(text.into()),
            None => Err(self.error("invalid syntax")),
        }
    }
}
