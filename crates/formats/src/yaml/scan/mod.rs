//! Second step of reading: characters to tokens.
//!
//! A mapping key is known as one only when its `:` is met. Until then its first token waits in a queue,
//! into which `Key` and `BlockMappingStart` are then inserted before it. A key without `?` is therefore
//! limited to one line and [`KEY_LENGTH`] characters, which also bounds the queue.

mod block;
mod directive;
mod indicator;
mod plain;
mod quoted;
mod tag;
mod text;
mod token;

use std::collections::VecDeque;

pub(super) use token::{Token, TokenKind};

use super::class::{break_len, byte, is_blank, is_blankz, is_document_mark, is_word, width};
use super::error::Error;
use super::source::Source;
use text::Gap;
use token::Mark;

/// How many characters a key without `?` may have.
const KEY_LENGTH: usize = 1024;
/// How deeply collections may nest in the token stream, as in go-yaml.
const DEPTH: usize = 10_000;

/// A token that could turn out to start a mapping key.
#[derive(Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    /// Nothing but a key can stand there.
    required: bool,
    /// Its token waits in the queue for the `:`.
    awaited: bool,
    token: usize,
    mark: Mark,
}

/// Turns characters into tokens, as far as they are asked for.
pub(super) struct Scanner<'a> {
    text: &'a str,
    /// There are no characters of several bytes in the text.
    ascii: bool,
    flaw: Option<&'static str>,
    pos: usize,
    mark: Mark,
    queue: VecDeque<Token<'a>>,
    /// How many tokens have left the queue.
    taken: usize,
    /// Whether the token at the front of the queue is final.
    ready: bool,
    flow_level: usize,
    indent: isize,
    indents: Vec<isize>,
    /// One candidate per flow level, in order of their tokens.
    keys: Vec<SimpleKey>,
    key_allowed: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(source: &'a Source<'_>) -> Self {
        Self {
            text: &source.text,
            ascii: source.text.is_ascii(),
            flaw: source.flaw,
            pos: 0,
            mark: Mark::default(),
            queue: VecDeque::new(),
            taken: 0,
            ready: false,
            flow_level: 0,
            indent: -1,
            indents: Vec::new(),
            keys: vec![SimpleKey::default()],
            key_allowed: true,
        }
    }

    /// The next token. There is always one until `StreamEnd` has been taken.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<&Token<'a>, Error> {
        if !self.ready {
            self.prepare()?;
        }
        Ok(&self.queue[0])
    }

    /// Reads on until the token at the front of the queue is final.
    fn prepare(&mut self) -> Result<(), Error> {
        while self.queue.is_empty() || self.front_may_become_key()? {
            self.fetch()?;
        }
        self.ready = true;
        Ok(())
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> Result<Token<'a>, Error> {
        self.peek()?;
        self.ready = false;
        self.taken += 1;
        Ok(self.queue.pop_front().expect("peek leaves a token in the queue"))
    }

    fn front_may_become_key(&mut self) -> Result<bool, Error> {
        let mut level = self.keys.partition_point(|key| key.token < self.taken);
        while self.keys.get(level).is_some_and(|key| key.token == self.taken) {
            if self.keys[level].awaited {
                return self.key_is_valid(level);
            }
            level += 1;
        }
        Ok(false)
    }

    fn push(&mut self, kind: TokenKind<'a>, line: usize) {
        self.queue.push_back(Token { kind, line });
    }

    /// An error at the current place: go-yaml counts lines from one here, but does not name the first.
    fn error<T>(&self, problem: impl Into<String>) -> Result<T, Error> {
        self.check_flaw(2)?;
        let line = if self.mark.line == 0 { 0 } else { self.mark.line + 1 };
        Err(Error::syntax(problem, line))
    }

    /// Fails if one of the next `needed` bytes belongs to a piece of the input that cannot be read.
    fn check_flaw(&self, needed: usize) -> Result<(), Error> {
        match self.flaw {
            Some(flaw) if self.pos + needed > self.text.len() => Err(Error::syntax(flaw, 0)),
            _ => Ok(()),
        }
    }

    // --- moving ---

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn at(&self, offset: usize) -> u8 {
        byte(self.bytes(), self.pos + offset)
    }

    fn blankz_at(&self, offset: usize) -> bool {
        is_blankz(self.bytes(), self.pos + offset)
    }

    /// Moves over characters of one byte.
    fn skip(&mut self, count: usize) {
        self.pos += count;
        self.mark.index += count;
        self.mark.column += count;
    }

    /// Moves to a later place of the same line.
    fn skip_to(&mut self, end: usize) {
        let run = &self.bytes()[self.pos..end];
        let continuations =
            if self.ascii || run.is_ascii() { 0 } else { run.iter().filter(|b| **b & 0xC0 == 0x80).count() };
        self.mark.index += run.len() - continuations;
        self.mark.column += run.len() - continuations;
        self.pos = end;
    }

    /// Moves over a line break and gives it as scalars keep it, or `""` if there is none.
    fn skip_line(&mut self) -> &'static str {
        let length = break_len(self.bytes(), self.pos);
        if length == 0 {
            return "";
        }
        let kept = match self.at(2) {
            0xA8 if length == 3 => "\u{2028}",
            0xA9 if length == 3 => "\u{2029}",
            _ => "\n",
        };
        self.mark.index += if self.at(0) == b'\r' { length } else { 1 };
        self.mark.line += 1;
        self.mark.column = 0;
        self.pos += length;
        kept
    }

    fn skip_blanks(&mut self) {
        while is_blank(self.at(0)) {
            self.skip(1);
        }
    }

    /// Moves over a comment, up to its line break.
    fn skip_comment(&mut self) {
        if self.at(0) == b'#' {
            self.skip_to(self.line_end());
        }
    }

    /// Where the current line ends.
    fn line_end(&self) -> usize {
        let bytes = self.bytes();
        if self.ascii {
            let end = memchr::memchr2(b'\n', b'\r', &bytes[self.pos..]);
            return end.map_or(bytes.len(), |offset| self.pos + offset);
        }
        let mut at = self.pos;
        while let Some(offset) = bytes[at..].iter().position(|b| matches!(b, b'\n' | b'\r' | 0xC2 | 0xE2)) {
            at += offset;
            if break_len(bytes, at) > 0 {
                return at;
            }
            at += 1;
        }
        bytes.len()
    }

    /// Reads the white space inside a flow scalar. `folded` if a line break came before it;
    /// in a plain scalar, `indent` is the column that tabs after a line break may not stand before.
    fn gap(&mut self, folded: bool, indent: Option<isize>) -> Result<Gap, Error> {
        let mut gap = Gap { folded, blanks: self.pos..self.pos, ..Gap::default() };
        loop {
            let spaces = self.bytes()[self.pos..].iter().take_while(|byte| **byte == b' ').count();
            self.skip(spaces);
            let tab = self.at(0) == b'\t';
            if tab {
                let violates = indent.is_some_and(|indent| column(self.mark) < indent);
                if gap.folded && violates {
                    return self.error("found a tab character that violates indentation");
                }
                self.skip(1);
            }
            if !gap.folded {
                gap.blanks.end = self.pos;
            }
            if tab {
                continue;
            }
            match self.skip_line() {
                "" => return Ok(gap),
                kept if gap.folded => gap.more.push_str(kept),
                kept => {
                    gap.first = kept;
                    gap.folded = true;
                }
            }
        }
    }

    /// Moves over white space, comments and line breaks between tokens.
    fn skip_to_next_token(&mut self) {
        loop {
            if self.pos == 0 && self.text.starts_with('\u{FEFF}') {
                self.skip_to('\u{FEFF}'.len_utf8());
            }
            let tabs = self.flow_level > 0 || !self.key_allowed;
            let rest = &self.bytes()[self.pos..];
            let blank = |byte: &u8| *byte == b' ' || (tabs && *byte == b'\t');
            self.skip(rest.iter().position(|byte| !blank(byte)).unwrap_or(rest.len()));
            self.skip_comment();
            if self.skip_line().is_empty() {
                return;
            }
            if self.flow_level == 0 {
                self.key_allowed = true;
            }
        }
    }

    /// Reads one token, or more where indentation ends, into the queue.
    fn fetch(&mut self) -> Result<(), Error> {
        self.skip_to_next_token();
        self.unroll_indent(column(self.mark));
        self.check_flaw(4)?;
        let line_start = self.mark.column == 0;
        let first = self.at(0);
        if first == 0 {
            return self.fetch_stream_end();
        }
        if line_start && first == b'%' {
            return self.fetch_directive();
        }
        if line_start && matches!(first, b'-' | b'.') && is_document_mark(self.bytes(), self.pos, first) {
            let kind = if first == b'-' { TokenKind::DocumentStart } else { TokenKind::DocumentEnd };
            return self.fetch_document_mark(kind);
        }
        let indicator = self.flow_level > 0 || self.blankz_at(1);
        match first {
            b'[' => self.fetch_flow_start(TokenKind::FlowSequenceStart),
            b'{' => self.fetch_flow_start(TokenKind::FlowMappingStart),
            b']' => self.fetch_flow_end(TokenKind::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(TokenKind::FlowMappingEnd),
            b',' => self.fetch_flow_entry(),
            b'-' if self.blankz_at(1) => self.fetch_block_entry(),
            b'?' if indicator => self.fetch_key(),
            b':' if indicator => self.fetch_value(),
            b'*' | b'&' => self.fetch_anchor(),
            b'!' => self.fetch_tag(),
            b'|' | b'>' if self.flow_level == 0 => self.fetch_block_scalar(),
            b'\'' | b'"' => self.fetch_quoted(),
            b'#' | b'|' | b'>' | b'%' | b'@' | b'`' | b'\t' => {
                self.error("found character that cannot start any token")
            }
            _ => self.fetch_plain(),
        }
    }
}

/// A column, comparable with an indentation, which may be -1.
fn column(mark: Mark) -> isize {
    mark.column.cast_signed()
}
