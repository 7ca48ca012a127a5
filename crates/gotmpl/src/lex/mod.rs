//! Source text to tokens, in one pass over the bytes.
//!
//! Tokens are offsets into the source: nothing is copied. White space is trimmed here (`{{-`, `-}}`),
//! comments disappear here. The parser pulls one token at a time, so a lexical error is only reported
//! when the parser gets there.

mod number;
mod token;

pub(crate) use token::{Kind, Position, Span, Token};

use crate::quote;
use crate::unicode;

/// Reads tokens from a template source.
pub(crate) struct Lexer<'s> {
    source: &'s [u8],
    /// Where the token being read starts.
    start: usize,
    /// What is read up to.
    pos: usize,
    /// The line of `start`, counted from 1.
    line: u32,
    paren_depth: usize,
    inside_action: bool,
    /// The text of the error token, once one was produced.
    pub(crate) error: String,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn leading_space(text: &[u8]) -> usize {
    text.iter().take_while(|byte| is_space(**byte)).count()
}

fn trailing_space(text: &[u8]) -> usize {
    text.iter().rev().take_while(|byte| is_space(**byte)).count()
}

fn find(text: &[u8], pair: [u8; 2]) -> Option<usize> {
    memchr::memchr_iter(pair[0], text).find(|at| text.get(at + 1) == Some(&pair[1]))
}

fn has_left_trim(text: &[u8]) -> bool {
    matches!(text, [b'-', space, ..] if is_space(*space))
}

fn has_right_trim(text: &[u8]) -> bool {
    matches!(text, [space, b'-', b'}', b'}', ..] if is_space(*space))
}

impl<'s> Lexer<'s> {
    /// A lexer at the start of `source`, which must be shorter than 4 GiB.
    pub(crate) fn new(source: &'s [u8]) -> Self {
        Self { source, start: 0, pos: 0, line: 1, paren_depth: 0, inside_action: false, error: String::new() }
    }

    /// The next token; [`Kind::Eof`] forever after the last one or after an error.
    pub(crate) fn next_token(&mut self) -> Token {
        if self.inside_action { self.action_token() } else { self.text_token() }
    }

    fn rest(&self) -> &'s [u8] {
        &self.source[self.pos..]
    }

    fn emit(&mut self, kind: Kind) -> Token {
        let token = Token { kind, span: Span::new(self.start, self.pos), line: self.line };
        // No other token can hold the end of a line.
        if matches!(kind, Kind::Text | Kind::Space | Kind::RawString) && !self.is_blank() {
            self.skip_to(self.pos);
        } else {
            self.start = self.pos;
        }
        token
    }

    /// Whether the token being read is one blank, as between most words.
    fn is_blank(&self) -> bool {
        self.source[self.start..self.pos] == *b" "
    }

    /// Starts the next token at `pos`, counting the lines passed.
    fn skip_to(&mut self, pos: usize) {
        let lines = unicode::lines(&self.source[self.start..pos]);
        self.line += u32::try_from(lines).expect("sources are shorter than 4 GiB");
        self.start = pos;
        self.pos = pos;
    }

    fn fail(&mut self, message: impl Into<String>) -> Token {
        self.error = message.into();
        let token = Token { kind: Kind::Error, span: Span::new(self.start, self.start), line: self.line };
        self.source = &[];
        self.start = 0;
        self.pos = 0;
        self.inside_action = false;
        token
    }

    /// Text up to the next action, or the delimiter that opens one.
    fn text_token(&mut self) -> Token {
        loop {
            let Some(offset) = find(self.rest(), *b"{{") else {
                self.pos = self.source.len();
                let kind = if self.pos > self.start { Kind::Text } else { Kind::Eof };
                return self.emit(kind);
            };
            let delimiter = self.pos + offset;
            let trims = has_left_trim(&self.source[delimiter + 2..]);
            if offset > 0 {
                let text = &self.source[self.start..delimiter];
                let trimmed = if trims { trailing_space(text) } else { 0 };
                self.pos = delimiter - trimmed;
                let token = self.emit(Kind::Text);
                self.skip_to(delimiter);
                if token.span.len() > 0 {
                    return token;
                }
            }
            let marker = if trims { 2 } else { 0 };
            if self.source[delimiter + 2 + marker..].starts_with(b"/*") {
                self.skip_to(delimiter + 2 + marker);
                if let Err(message) = self.skip_comment() {
                    return self.fail(message);
                }
                continue;
            }
            return self.open_action(marker);
        }
    }

    fn open_action(&mut self, marker: usize) -> Token {
        self.pos += 2;
        let token = self.emit(Kind::LeftDelim);
        self.inside_action = true;
        self.paren_depth = 0;
        self.skip_to(self.pos + marker);
        token
    }

    fn skip_comment(&mut self) -> Result<(), &'static str> {
        let body = &self.source[self.start + 2..];
        let end = self.start + 2 + find(body, *b"*/").ok_or("unclosed comment")? + 2;
        let after = &self.source[end..];
        if has_right_trim(after) {
            let next = end + 4;
            self.skip_to(next + leading_space(&self.source[next..]));
        } else if after.starts_with(b"}}") {
            self.skip_to(end + 2);
        } else {
            return Err("comment ends before closing delimiter");
        }
        Ok(())
    }

    fn close_action(&mut self) -> Token {
        let trims = has_right_trim(self.rest());
        if trims {
            self.skip_to(self.pos + 2);
        }
        self.pos += 2;
        let token = self.emit(Kind::RightDelim);
        if trims {
            self.skip_to(self.pos + leading_space(self.rest()));
        }
        self.inside_action = false;
        token
    }

    fn action_token(&mut self) -> Token {
        let rest = self.rest();
        if rest.starts_with(b"}}") || has_right_trim(rest) {
            return if self.paren_depth == 0 { self.close_action() } else { self.fail("unclosed left paren") };
        }
        let Some(&byte) = rest.first() else {
            return self.fail("unclosed action");
        };
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => self.space(),
            b'=' => self.single(Kind::Assign),
            b'|' => self.single(Kind::Pipe),
            b':' if rest.get(1) == Some(&b'=') => {
                self.pos += 2;
                self.emit(Kind::Declare)
            }
            b':' => self.fail("expected :="),
            b'"' => self.quoted(b'"', Kind::String, "unterminated quoted string"),
            b'\'' => self.quoted(b'\'', Kind::CharConstant, "unterminated character constant"),
            b'`' => self.raw_quoted(),
            b'$' => self.name_after_sigil(Kind::Variable, Kind::Variable),
            b'.' if !matches!(rest.get(1), None | Some(b'0'..=b'9')) => self.name_after_sigil(Kind::Field, Kind::Dot),
            b'.' | b'+' | b'-' | b'0'..=b'9' => self.number(),
            b'(' => {
                self.paren_depth += 1;
                self.single(Kind::LeftParen)
            }
            b')' if self.paren_depth == 0 => self.fail("unexpected right paren"),
            b')' => {
                self.paren_depth -= 1;
                self.single(Kind::RightParen)
            }
            _ => self.word_or_char(),
        }
    }

    fn single(&mut self, kind: Kind) -> Token {
        self.pos += 1;
        self.emit(kind)
    }

    fn space(&mut self) -> Token {
        self.pos += leading_space(self.rest());
        // The last space may belong to a trimming delimiter: " -}}".
        if has_right_trim(&self.source[self.pos - 1..]) {
            self.pos -= 1;
            if self.pos == self.start {
                return self.close_action();
            }
        }
        self.emit(Kind::Space)
    }

    /// A string or character constant; the parser checks what is inside.
    fn quoted(&mut self, quote: u8, kind: Kind, unterminated: &str) -> Token {
        let mut at = self.pos + 1;
        loop {
            match self.source.get(at) {
                Some(b'\\') if !matches!(self.source.get(at + 1), None | Some(b'\n')) => at += 2,
                None | Some(b'\n' | b'\\') => return self.fail(unterminated),
                Some(byte) if *byte == quote => {
                    self.pos = at + 1;
                    return self.emit(kind);
                }
                Some(_) => at += 1,
            }
        }
    }

    fn raw_quoted(&mut self) -> Token {
        match memchr::memchr(b'`', &self.source[self.pos + 1..]) {
            Some(length) => {
                self.pos += length + 2;
                self.emit(Kind::RawString)
            }
            None => self.fail("unterminated raw quoted string"),
        }
    }

    /// `.Field` or `$variable`; `bare` if nothing follows the sigil.
    fn name_after_sigil(&mut self, kind: Kind, bare: Kind) -> Token {
        self.pos += 1;
        if self.at_terminator() {
            return self.emit(bare);
        }
        self.skip_name();
        if self.at_terminator() { self.emit(kind) } else { self.bad_character() }
    }

    fn word_or_char(&mut self) -> Token {
        let (first, width) = unicode::decode(self.rest());
        if !unicode::is_name(first) {
            if (' '..='~').contains(&first) {
                self.pos += width;
                return self.emit(Kind::Char);
            }
            return self.fail(format!("unrecognized character in action: {}", quote::code_point(first)));
        }
        self.skip_name();
        let word = &self.source[self.start..self.pos];
        if self.at_terminator() { self.emit(Kind::of_word(word)) } else { self.bad_character() }
    }

    fn skip_name(&mut self) {
        loop {
            let rest = self.rest();
            let name = rest.iter().position(|byte| !unicode::is_ascii_name(*byte)).unwrap_or(rest.len());
            self.pos += name;
            if rest.get(name).is_none_or(u8::is_ascii) {
                return;
            }
            let (next, width) = unicode::decode(self.rest());
            if width == 0 || !unicode::is_name(next) {
                return;
            }
            self.pos += width;
        }
    }

    fn bad_character(&mut self) -> Token {
        let (bad, _) = unicode::decode(self.rest());
        self.fail(format!("bad character {}", quote::code_point(bad)))
    }

    /// Whether a name may end here. `$x+2` needs a space, in case arithmetic is added one day.
    fn at_terminator(&self) -> bool {
        match self.rest() {
            [] | [b' ' | b'\t' | b'\r' | b'\n' | b'.' | b',' | b'|' | b':' | b')' | b'(', ..] => true,
            rest => rest.starts_with(b"}}"),
        }
    }
}
