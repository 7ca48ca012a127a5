//! What stands inside an action: pipelines, commands and operands.

use super::{Assigned, Failure, MAX_VARIABLES, Parser, Result, second_field};
use crate::ast::{Command, Expr, Part, Pipe, Variable, VariableId};
use crate::lex::{Kind, Span, Token};
use crate::quote;

/// The variables that a pipeline sets.
struct Declared {
    variables: Part<Variable>,
    /// They are there already.
    assigns: bool,
}

impl Parser<'_> {
    /// `declarations? command ('|' command)*` from the token `first` up to one of kind `end`, which is consumed.
    pub(super) fn parse_pipeline(&mut self, first: Token, context: &str, end: Kind) -> Result<Pipe> {
        let position = first.span.position();
        let (Declared { variables, assigns }, mut token) = self.parse_declarations(first, context)?;
        let id = self.tree[variables].first().filter(|_| assigns).map(|variable| variable.id);
        let outer = self.assigned;
        let watched = if variables.is_empty() { outer.id } else { id };
        self.assigned = Assigned { id: watched, named: 0 };
        let start = self.commands.len();
        while token.kind != end {
            if !token.kind.is_term() {
                return Err(self.unexpected(token, context));
            }
            let command = self.parse_command(token)?;
            self.commands.push(command);
            token = self.next();
            if token.kind == Kind::Pipe {
                token = self.next();
            }
        }
        self.check_pipeline(&self.commands[start..], context)?;
        let commands = self.tree.keep(&mut self.commands, start);
        let moves = assigns && self.assigned.named == 1;
        self.assigned = outer.around(self.assigned, !variables.is_empty());
        Ok(Pipe { position, assigns, moves, variables, commands })
    }

    /// `$x :=`, `$x =` or, in a `range`, `$x, $y :=`, and the token that follows; `token` itself if nothing is declared.
    fn parse_declarations(&mut self, mut token: Token, context: &str) -> Result<(Declared, Token)> {
        let start = self.tree.count::<Variable>();
        let mut assigns = false;
        while token.kind == Kind::Variable {
            let next = self.next();
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    self.declare(token)?;
                    assigns = next.kind == Kind::Assign;
                    token = self.next();
                    break;
                }
                Kind::Char if self.text(next.span) == b"," => {
                    self.declare(token)?;
                    let declared = self.tree.since::<Variable>(start);
                    token = self.second_variable(declared.len(), context)?;
                }
                _ => {
                    self.push_back(next);
                    break;
                }
            }
        }
        Ok((Declared { variables: self.tree.since(start), assigns }, token))
    }

    /// The token after the comma behind so many variables.
    fn second_variable(&mut self, variables: usize, context: &str) -> Result<Token> {
        if context != "range" || variables >= 2 {
            return Err(self.error(format!("too many declarations in {context}")));
        }
        let token = self.next();
        match token.kind {
            Kind::Variable | Kind::RightDelim | Kind::RightParen => Ok(token),
            _ => Err(self.error("range can only initialize variables")),
        }
    }

    fn declare(&mut self, token: Token) -> Result<()> {
        let id = self.intern(token.span);
        self.scope.visible.push(id);
        if self.scope.visible.len() > MAX_VARIABLES {
            return Err(self.error(format!("template has more than {MAX_VARIABLES} variables in sight")));
        }
        self.tree.keep_one(Variable { id, name: token.span });
        Ok(())
    }

    fn intern(&mut self, name: Span) -> VariableId {
        if let Some(known) = self.variables.get(self.text(name)) {
            return *known;
        }
        let new = u32::try_from(self.variables.len()).expect("there are fewer variables than bytes of the source");
        self.variables.insert(self.text(name).to_vec(), VariableId(new));
        VariableId(new)
    }

    fn check_pipeline(&self, commands: &[Command], context: &str) -> Result<()> {
        if commands.is_empty() {
            return Err(self.error(format!("missing value for {context}")));
        }
        let stage = commands.iter().skip(1).position(|command| {
            matches!(
                self.tree[command.words].first(),
                Some(Expr::Bool(..) | Expr::Dot(_) | Expr::Nil(_) | Expr::Number(_) | Expr::String { .. })
            )
        });
        match stage {
            Some(index) => Err(self.error(format!("non executable command in pipeline stage {}", index + 2))),
            None => Ok(()),
        }
    }

    /// Operands from `token`, which begins one, up to what is none: a `|` or the end of the pipeline, which stays.
    fn parse_command(&mut self, mut token: Token) -> Result<Command> {
        let position = token.span.position();
        let start = self.words.len();
        loop {
            let word = self.parse_operand(token)?;
            self.words.push(word);
            token = self.next();
            match token.kind {
                Kind::RightDelim | Kind::RightParen | Kind::Pipe => {
                    self.push_back(token);
                    return Ok(Command { position, words: self.tree.keep(&mut self.words, start) });
                }
                kind if token.spaced && kind.is_term() => {}
                _ => return Err(self.unexpected(token, "operand")),
            }
        }
    }

    /// The term at `token`, which begins one, with the fields selected from it.
    fn parse_operand(&mut self, token: Token) -> Result<Expr> {
        let term = self.parse_term(token)?;
        if token.kind == Kind::Field {
            return Ok(term);
        }
        let fields = self.next();
        if fields.kind != Kind::Field || fields.spaced {
            self.push_back(fields);
            return Ok(term);
        }
        let (position, path) = (fields.span.position(), fields.span);
        Ok(match term {
            Expr::Variable { name, id, .. } => Expr::Variable { position, name, id, path },
            Expr::Function { .. } | Expr::Pipe(_) | Expr::Chain { .. } => {
                Expr::Chain { position, base: Box::new(term), path }
            }
            _ => return Err(self.field_of_literal(&term)),
        })
    }

    fn field_of_literal(&self, term: &Expr) -> Failure {
        let mut printer = crate::ast::Printer::new(self.text, &self.tree);
        printer.expr(term);
        self.error(format!("unexpected . after term {}", quote::lossy(printer.finish().as_bytes())))
    }

    fn parse_term(&mut self, token: Token) -> Result<Expr> {
        let span = token.span;
        let position = span.position();
        Ok(match token.kind {
            Kind::Identifier => self.function(span)?,
            Kind::Dot => Expr::Dot(position),
            Kind::Nil => Expr::Nil(position),
            Kind::Variable => self.variable(span)?,
            Kind::Field => self.fields(span),
            Kind::Bool => Expr::Bool(position, self.text(span) == b"true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => Expr::Number(Box::new(self.parse_number(token)?)),
            Kind::LeftParen => self.nested(|parser| {
                let first = parser.next();
                let pipe = parser.parse_pipeline(first, "parenthesized pipeline", Kind::RightParen)?;
                Ok(Expr::Pipe(pipe))
            })?,
            Kind::String | Kind::RawString => Expr::String { literal: span, value: self.unquote(token)? },
            _ => return Err(self.unexpected(token, "operand")),
        })
    }

    /// Go says that several fields in a row are where the second is.
    fn fields(&self, path: Span) -> Expr {
        let start = path.start() + second_field(self.text(path)).unwrap_or_default();
        Expr::Field { position: Span::new(start, start).position(), path }
    }

    fn function(&self, name: Span) -> Result<Expr> {
        let text = self.text(name);
        match self.names.resolve(text) {
            Some(id) => Ok(Expr::Function { name, id }),
            None => Err(self.error(format!("function {} not defined", quote::lossy(text)))),
        }
    }

    fn variable(&mut self, name: Span) -> Result<Expr> {
        let text = self.text(name);
        let id = self.variables.get(text).copied().filter(|id| self.scope.visible.contains(id));
        match id {
            Some(id) => {
                self.assigned.name(id);
                let end = name.start() + name.len();
                Ok(Expr::Variable { position: name.position(), name, id, path: Span::new(end, end) })
            }
            None => Err(self.error(format!("undefined variable {}", quote::lossy(text)))),
        }
    }
}
