//! What stands between and around actions: text, control structures and definitions.

use super::{Parser, Result};
use crate::ast::{Branch, Invocation, Node, Part};
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
        match self {
            Self::If => Node::If(branch),
            Self::With => Node::With(branch),
            Self::Range => Node::Range(branch),
        }
    }
}

impl Parser<'_> {
    /// The whole source. Only here may templates be defined.
    pub(super) fn parse_source(&mut self) -> Result<Part<Node>> {
        loop {
            let token = self.next();
            if token.kind == Kind::Eof {
                let body = self.tree.keep(&mut self.nodes, 0);
                self.add(self.name, body)?;
                return Ok(body);
            }
            if token.kind == Kind::LeftDelim {
                let keyword = self.next();
                if keyword.kind == Kind::Define {
                    self.parse_definition()?;
                    continue;
                }
                self.push_back(keyword);
            }
            match self.parse_item(token)? {
                Item::Node(node) => self.nodes.push(node),
                Item::Terminator(end) => {
                    return Err(self.error(format!("unexpected {}", end.text())));
                }
            }
        }
    }

    /// `{{define "name"}} … {{end}}`, after the keyword.
    fn parse_definition(&mut self) -> Result<()> {
        let outer = std::mem::take(&mut self.scope);
        let context = "define clause";
        let token = self.next();
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
    fn parse_list(&mut self) -> Result<(Part<Node>, Terminator)> {
        let start = self.nodes.len();
        loop {
            let token = self.next();
            if token.kind == Kind::Eof {
                return Err(self.error("unexpected EOF"));
            }
            match self.parse_item(token)? {
                Item::Node(node) => self.nodes.push(node),
                Item::Terminator(terminator) => return Ok((self.tree.keep(&mut self.nodes, start), terminator)),
            }
        }
    }

    fn parse_item(&mut self, token: Token) -> Result<Item> {
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.span))),
            Kind::LeftDelim => {
                self.scope.action = Some(token.span.position());
                let item = self.parse_action()?;
                self.scope.action = None;
                Ok(item)
            }
            _ => Err(self.unexpected(token, "input")),
        }
    }

    fn parse_action(&mut self) -> Result<Item> {
        let token = self.next();
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
            _ => Node::Action(self.parse_pipeline(token, "command", Kind::RightDelim)?),
        };
        Ok(Item::Node(node))
    }

    fn parse_jump(&mut self, token: Token, name: &str, node: fn(Position) -> Node) -> Result<Node> {
        self.expect(Kind::RightDelim, name)?;
        if self.scope.ranges == 0 {
            return Err(self.error(format!("{name} outside {{{{range}}}}")));
        }
        Ok(node(token.span.position()))
    }

    /// `{{else}}`, or the start of `{{else if …}}`, whose keyword stays for [`Self::parse_otherwise`].
    fn parse_else(&mut self) -> Result<Item> {
        if !matches!(self.peek().kind, Kind::If | Kind::With) {
            self.expect(Kind::RightDelim, "else")?;
        }
        Ok(Item::Terminator(Terminator::Else))
    }

    fn parse_control(&mut self, control: Control) -> Result<Node> {
        let visible = self.scope.visible.len();
        let branch = self.nested(|parser| parser.parse_branch(control))?;
        self.scope.visible.truncate(visible);
        Ok(control.node(branch))
    }

    fn parse_branch(&mut self, control: Control) -> Result<Branch> {
        let ranges = usize::from(control == Control::Range);
        let first = self.next();
        let pipe = self.parse_pipeline(first, control.context(), Kind::RightDelim)?;
        self.scope.ranges += ranges;
        let (body, terminator) = self.parse_list()?;
        self.scope.ranges -= ranges;
        let otherwise = match terminator {
            Terminator::End => Part::EMPTY,
            Terminator::Else => self.parse_otherwise(control)?,
        };
        Ok(Branch { pipe, body, otherwise })
    }

    fn parse_otherwise(&mut self, control: Control) -> Result<Part<Node>> {
        if control.continued_by(self.peek().kind) {
            self.next();
            let node = self.parse_control(control)?;
            return Ok(self.tree.keep_one(node));
        }
        let (otherwise, end) = self.parse_list()?;
        match end {
            Terminator::End => Ok(otherwise),
            Terminator::Else => Err(self.error(format!("expected end; found {}", end.text()))),
        }
    }

    /// `{{block "name" pipeline}} … {{end}}`: a definition that is also called on the spot.
    fn parse_block(&mut self) -> Result<Node> {
        let context = "block clause";
        let token = self.next();
        let name = self.parse_name(token, context)?;
        let first = self.next();
        let pipe = self.parse_pipeline(first, context, Kind::RightDelim)?;
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
    fn parse_invocation(&mut self) -> Result<Node> {
        let context = "template clause";
        let token = self.next();
        let name = self.parse_name(token, context)?;
        let next = self.next();
        let pipe = match next.kind {
            Kind::RightDelim => None,
            _ => Some(self.parse_pipeline(next, context, Kind::RightDelim)?),
        };
        Ok(Node::Template(Box::new(Invocation { position: token.span.position(), name, pipe })))
    }

    fn parse_name(&mut self, token: Token, context: &str) -> Result<Str> {
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return Err(self.unexpected(token, context));
        }
        self.unquote(token)
    }

    /// The text a string token stands for.
    pub(super) fn unquote(&self, token: Token) -> Result<Str> {
        quote::unquote(self.text(token.span)).ok_or_else(|| self.error("invalid syntax"))
    }
}
