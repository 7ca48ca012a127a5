//! Source text to tokens, in one pass over the bytes.
//!
//! Tokens are offsets into the source: nothing is copied. White space is trimmed here (`{{-`, `-}}`),
//! comments disappear here, and of the space between words only a mark is left on the token behind it. The parser pulls
//! one token at a time, so a lexical error is only reported when the parser gets there.

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
    /// Whether there was white space before `start`.
    spaced: bool,
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
        let error = String::new();
        Self { source, start: 0, pos: 0, spaced: false, paren_depth: 0, inside_action: false, error }
    }

    /// The next token; [`Kind::Eof`] forever after the last one or after an error.
    #[inline]
    pub(crate) fn next_token(&mut self) -> Token {
        if self.inside_action { self.action_token() } else { self.text_token() }
    }

    fn rest(&self) -> &'s [u8] {
        &self.source[self.pos..]
    }

    #[inline]
    fn emit(&mut self, kind: Kind) -> Token {
        let token = Token { kind, spaced: self.spaced, span: Span::new(self.start, self.pos) };
        self.start = self.pos;
        token
    }

    /// Starts the next token at `pos`.
    fn skip_to(&mut self, pos: usize) {
        self.start = pos;
        self.pos = pos;
    }

    #[cold]
    fn fail(&mut self, message: impl Into<String>) -> Token {
        self.error = message.into();
        self.source = &self.source[..self.start];
        self.pos = self.start;
        self.inside_action = false;
        self.emit(Kind::Error)
    }

    /// Text up to the next action, or the delimiter that opens one.
    fn text_token(&mut self) -> Token {
        self.spaced = false;
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

    /// `}}`, before which `marker` bytes and after which white space may be trimmed.
    fn close_action(&mut self, marker: usize) -> Token {
        if self.paren_depth > 0 {
            return self.fail("unclosed left paren");
        }
        self.skip_to(self.pos + marker);
        self.pos += 2;
        let token = self.emit(Kind::RightDelim);
        if marker > 0 {
            self.skip_to(self.pos + leading_space(self.rest()));
        }
        self.inside_action = false;
        token
    }

    fn action_token(&mut self) -> Token {
        let space = leading_space(self.rest());
        self.spaced = space > 0;
        self.skip_to(self.pos + space);
        let rest = self.rest();
        let Some(&byte) = rest.first() else {
            return self.fail("unclosed action");
        };
        match byte {
            b'}' if rest.get(1) == Some(&b'}') => self.close_action(0),
            b'-' if self.spaced && rest.starts_with(b"-}}") => {
                // The last space belongs to the delimiter.
                self.skip_to(self.pos - 1);
                self.close_action(2)
            }
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
            b'$' => self.variable(),
            b'.' if !matches!(rest.get(1), None | Some(b'0'..=b'9')) => self.fields(),
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

    /// `$` or `$name`
    fn variable(&mut self) -> Token {
        self.pos = self.name_end(self.pos + 1);
        if self.ends_name(self.pos) { self.emit(Kind::Variable) } else { self.bad_character() }
    }

    /// `.a`, `.a.b`, or a lone `.`
    fn fields(&mut self) -> Token {
        let first = self.pos + 1;
        if self.ends_name(first) {
            self.pos = first;
            return self.emit(Kind::Dot);
        }
        self.pos = self.name_end(first);
        if !self.ends_name(self.pos) {
            return self.bad_character();
        }
        // What is wrong with one of the next fields must wait: that of the first may be the error to report.
        while self.source.get(self.pos) == Some(&b'.') {
            let end = self.name_end(self.pos + 1);
            let is_number = self.source.get(self.pos + 1).is_some_and(u8::is_ascii_digit);
            if end == self.pos + 1 || is_number || !self.ends_name(end) {
                break;
            }
            self.pos = end;
        }
        self.emit(Kind::Field)
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
        self.pos = self.name_end(self.pos);
        let word = &self.source[self.start..self.pos];
        if self.ends_name(self.pos) { self.emit(Kind::of_word(word)) } else { self.bad_character() }
    }

    /// Where the name that starts at `at` ends, be it empty.
    #[inline]
    fn name_end(&self, mut at: usize) -> usize {
        loop {
            let rest = &self.source[at..];
            let name = rest.iter().position(|byte| !unicode::is_ascii_name(*byte)).unwrap_or(rest.len());
            at += name;
            if rest.get(name).is_none_or(u8::is_ascii) {
                return at;
            }
            let (next, width) = unicode::decode(&rest[name..]);
            if width == 0 || !unicode::is_name(next) {
                return at;
            }
            at += width;
        }
    }

    #[cold]
    fn bad_character(&mut self) -> Token {
        let (bad, _) = unicode::decode(self.rest());
        self.fail(format!("bad character {}", quote::code_point(bad)))
    }

    /// Whether a name may end at `at`. `$x+2` needs a space, in case arithmetic is added one day.
    #[inline]
    fn ends_name(&self, at: usize) -> bool {
        match self.source.get(at) {
            None | Some(b' ' | b'\t' | b'\r' | b'\n' | b'.' | b',' | b'|' | b':' | b')' | b'(') => true,
            Some(b'}') => self.source.get(at + 1) == Some(&b'}'),
            Some(_) => false,
        }
    }
}
