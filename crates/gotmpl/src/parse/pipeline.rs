//! What stands inside an action: pipelines, commands and operands.

use super::{Failure, MAX_VARIABLES, Parser, Result};
use crate::ast::{Command, Expr, Pipe, Variable, VariableId};
use crate::lex::{Kind, Span, Token};
use crate::quote;

impl Parser<'_> {
    /// `declarations? command ('|' command)*` up to a token of kind `end`, which is consumed.
    pub(super) fn parse_pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe> {
        let first = self.peek_non_space();
        let (variables, assigns) =
            if first.kind == Kind::Variable { self.parse_declarations(context)? } else { (Vec::new(), false) };
        let start = self.commands.len();
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    let command = self.parse_command(token)?;
                    self.commands.push(command);
                }
                _ => return Err(self.unexpected(token, context)),
            }
        }
        self.check_pipeline(&self.commands[start..], context)?;
        let commands = self.tree.keep(self.commands.drain(start..));
        let variables = self.tree.keep(variables.into_iter());
        Ok(Pipe { position: first.span.position(), assigns, variables, commands })
    }

    /// `$x :=`, `$x =` or, in a `range`, `$x, $y :=`. A variable that turns out to be an argument is
    /// pushed back.
    fn parse_declarations(&mut self, context: &str) -> Result<(Vec<Variable>, bool)> {
        let mut variables = Vec::new();
        loop {
            let token = self.peek_non_space();
            if token.kind != Kind::Variable {
                return Ok((variables, false));
            }
            self.next();
            let after = self.peek();
            let next = self.peek_non_space();
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    self.next();
                    let variable = self.declare(token)?;
                    variables.push(variable);
                    return Ok((variables, next.kind == Kind::Assign));
                }
                Kind::Char if self.text(next.span) == b"," => {
                    self.next();
                    let variable = self.declare(token)?;
                    variables.push(variable);
                    self.check_second_variable(&variables, context)?;
                }
                _ => {
                    if after.kind == Kind::Space {
                        self.push_back(after);
                    }
                    self.push_back(token);
                    return Ok((variables, false));
                }
            }
        }
    }

    fn check_second_variable(&mut self, variables: &[Variable], context: &str) -> Result<()> {
        if context != "range" || variables.len() >= 2 {
            return Err(self.error(format!("too many declarations in {context}")));
        }
        match self.peek_non_space().kind {
            Kind::Variable | Kind::RightDelim | Kind::RightParen => Ok(()),
            _ => Err(self.error("range can only initialize variables")),
        }
    }

    fn declare(&mut self, token: Token) -> Result<Variable> {
        let id = self.intern(token.span);
        self.scope.visible.push(id);
        if self.scope.visible.len() > MAX_VARIABLES {
            return Err(self.error(format!("template has more than {MAX_VARIABLES} variables in sight")));
        }
        Ok(Variable { id, name: token.span })
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

    /// Operands from `token` up to a `|`, which is consumed (even if nothing follows it), or the end of the pipeline.
    fn parse_command(&mut self, mut token: Token) -> Result<Command> {
        let position = token.span.position();
        let start = self.words.len();
        loop {
            let word = self.parse_operand(token)?;
            self.words.extend(word);
            token = self.next();
            match token.kind {
                Kind::Space => token = self.next_non_space(),
                Kind::RightDelim | Kind::RightParen => {
                    self.push_back(token);
                    break;
                }
                Kind::Pipe => break,
                _ => return Err(self.unexpected(token, "operand")),
            }
        }
        if self.words.len() == start {
            return Err(self.error("empty command"));
        }
        Ok(Command { position, words: self.tree.keep(self.words.drain(start..)) })
    }

    /// The term at `token` with the fields selected from it; `None` if there is no term.
    fn parse_operand(&mut self, token: Token) -> Result<Option<Expr>> {
        let Some(term) = self.parse_term(token)? else {
            return Ok(None);
        };
        let first = self.next();
        if first.kind != Kind::Field {
            self.push_back(first);
            return Ok(Some(term));
        }
        let position = first.span.position();
        let mut selected = first.span;
        while self.peek().kind == Kind::Field {
            selected = selected.to(self.next().span);
        }
        Ok(Some(match term {
            Expr::Field { path, .. } => Expr::Field { position, path: path.to(selected) },
            Expr::Variable { name, id, .. } => Expr::Variable { position, name, id, path: selected },
            Expr::Function { .. } | Expr::Pipe(_) | Expr::Chain { .. } => {
                Expr::Chain { position, base: Box::new(term), path: selected }
            }
            Expr::Bool(..) | Expr::String { .. } | Expr::Number(_) | Expr::Nil(_) | Expr::Dot(_) => {
                return Err(self.field_of_literal(&term));
            }
        }))
    }

    fn field_of_literal(&self, term: &Expr) -> Failure {
        let mut printer = crate::ast::Printer::new(self.text, &self.tree);
        printer.expr(term);
        self.error(format!("unexpected . after term {}", quote::lossy(printer.finish().as_bytes())))
    }

    fn parse_term(&mut self, token: Token) -> Result<Option<Expr>> {
        let span = token.span;
        let position = span.position();
        Ok(Some(match token.kind {
            Kind::Identifier => self.function(span)?,
            Kind::Dot => Expr::Dot(position),
            Kind::Nil => Expr::Nil(position),
            Kind::Variable => self.variable(span)?,
            Kind::Field => Expr::Field { position, path: span },
            Kind::Bool => Expr::Bool(position, self.text(span) == b"true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => Expr::Number(Box::new(self.parse_number(token)?)),
            Kind::LeftParen => self.nested(|parser| {
                let pipe = parser.parse_pipeline("parenthesized pipeline", Kind::RightParen)?;
                Ok(Expr::Pipe(pipe))
            })?,
            Kind::String | Kind::RawString => Expr::String { literal: span, value: self.unquote(token)? },
            _ => {
                self.push_back(token);
                return Ok(None);
            }
        }))
    }

    fn function(&self, name: Span) -> Result<Expr> {
        let text = self.text(name);
        match self.names.resolve(text) {
            Some(id) => Ok(Expr::Function { name, id }),
            None => Err(self.error(format!("function {} not defined", quote::lossy(text)))),
        }
    }

    fn variable(&self, name: Span) -> Result<Expr> {
        let text = self.text(name);
        let id = self.variables.get(text).copied().filter(|id| self.scope.visible.contains(id));
        match id {
            Some(id) => {
                let end = name.start() + name.len();
                Ok(Expr::Variable { position: name.position(), name, id, path: Span::new(end, end) })
            }
            None => Err(self.error(format!("undefined variable {}", quote::lossy(text)))),
        }
    }
}
