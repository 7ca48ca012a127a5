//! Where characters go: columns, line breaks, and scalars in each style.

use super::super::class::{break_len, width};
use super::scalar::is_printable;

/// How far a line may go before it is folded at the next space.
const WIDTH: usize = 80;

/// The text so far, and what is known about its end.
pub(super) struct Writer {
    pub(super) out: Vec<u8>,
    column: usize,
    /// The current indentation; -1 before the root.
    pub(super) indent: isize,
    /// The text ends with white space.
    whitespace: bool,
    /// The line so far has nothing but indentation and indicators that count as such.
    pub(super) indention: bool,
    folds: bool,
}

impl Writer {
    pub(super) fn new(folds: bool) -> Self {
        Self { out: Vec::new(), column: 0, indent: -1, whitespace: true, indention: true, folds }
    }

    fn put(&mut self, byte: u8) {
        self.out.push(byte);
        self.column += 1;
    }

    fn put_break(&mut self) {
        self.out.push(b'\n');
        self.column = 0;
        self.indention = true;
    }

    fn put_run(&mut self, run: &[u8]) {
        self.out.extend_from_slice(run);
        self.column += if run.is_ascii() { run.len() } else { run.iter().filter(|b| **b & 0xC0 != 0x80).count() };
    }

    /// Starts a line at the current indentation, unless the text is there already.
    pub(super) fn write_indent(&mut self) {
        let indent = usize::try_from(self.indent).unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break();
        }
        if self.column < indent {
            self.out.extend(std::iter::repeat_n(b' ', indent - self.column));
            self.column = indent;
        }
        self.whitespace = true;
        self.indention = true;
    }

    /// Separates what follows from a word before it.
    fn separate(&mut self) {
        if !self.whitespace {
            self.put(b' ');
        }
    }

    /// Writes an indicator of a block collection, which is part of the indentation of what follows.
    pub(super) fn entry_indicator(&mut self, indicator: u8) {
        self.separate();
        self.put(indicator);
        self.whitespace = false;
    }

    /// Writes the `:` after a simple key.
    pub(super) fn value_indicator(&mut self) {
        self.put(b':');
        self.word_end();
    }

    fn word_end(&mut self) {
        self.whitespace = false;
        self.indention = false;
    }

    /// Writes a text that needs no care.
    pub(super) fn word(&mut self, text: &str) {
        self.separate();
        self.put_run(text.as_bytes());
        self.word_end();
    }

    // --- scalars ---

    pub(super) fn plain(&mut self, text: &str, may_fold: bool) {
        if !text.is_empty() {
            self.separate();
            self.words(text.as_bytes(), may_fold, false);
        }
        self.word_end();
    }

    pub(super) fn single_quoted(&mut self, text: &str, may_fold: bool) {
        self.separate();
        self.put(b'\'');
        self.word_end();
        self.words(text.as_bytes(), may_fold, true);
        self.put(b'\'');
        self.word_end();
    }

    /// Writes a plain or single quoted text: it folds at single spaces, and line breaks double.
    fn words(&mut self, text: &[u8], may_fold: bool, quoted: bool) {
        let may_fold = may_fold && self.folds;
        if !quoted && (!may_fold || self.column + text.len() <= WIDTH) {
            // A plain text has no line breaks, and here nothing to fold.
            return self.put_run(text);
        }
        let (mut spaces, mut breaks) = (false, false);
        let mut at = 0;
        while at < text.len() {
            if text[at] == b' ' {
                let inner = !quoted || (at > 0 && at < text.len() - 1);
                let single = !spaces && text.get(at + 1) != Some(&b' ');
                self.space(may_fold && inner && single);
                at += 1;
                spaces = true;
                continue;
            }
            if break_len(text, at) > 0 {
                if !breaks && text[at] == b'\n' {
                    self.put_break();
                }
                at += self.line_break(text, at);
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
            }
            let end = run_end(text, at);
            self.put_run(&text[at..end]);
            at = end;
            if text.get(at) == Some(&b'\'') {
                self.put_run(if quoted { b"''" } else { b"'" });
                at += 1;
            }
            self.indention = false;
            (spaces, breaks) = (false, false);
        }
    }

    /// Writes a space, or starts a line instead if this one is long. Says whether it did.
    fn space(&mut self, may_fold: bool) -> bool {
        let fold = may_fold && self.column > WIDTH;
        if fold {
            self.write_indent();
        } else {
            self.put(b' ');
        }
        fold
    }

    /// Copies the line break at `at` and gives its length.
    fn line_break(&mut self, text: &[u8], at: usize) -> usize {
        if text[at] == b'\n' {
            self.put_break();
            return 1;
        }
        let length = width(text[at]).max(1);
        self.out.extend_from_slice(&text[at..at + length]);
        self.column = 0;
        self.indention = true;
        length
    }

    pub(super) fn double_quoted(&mut self, text: &str, may_fold: bool) {
        let may_fold = may_fold && self.folds;
        // go-yaml asks for a byte order mark at the start only, and then escapes everything.
        let escape_all = text.starts_with('\u{FEFF}');
        let bytes = text.as_bytes();
        self.separate();
        self.put(b'"');
        self.word_end();
        let mut spaces = false;
        for (at, character) in text.char_indices() {
            let escaped = matches!(character, '"' | '\\') || break_len(bytes, at) > 0 || !is_printable(bytes, at);
            if escaped || escape_all {
                self.escape(character);
                spaces = false;
            } else if character == ' ' {
                let inner = at > 0 && at < bytes.len() - 1;
                if self.space(may_fold && !spaces && inner) && bytes[at + 1] == b' ' {
                    self.put(b'\\');
                }
                spaces = true;
            } else {
                self.put_run(&bytes[at..at + character.len_utf8()]);
                spaces = false;
            }
        }
        self.put(b'"');
        self.word_end();
    }

    fn escape(&mut self, character: char) {
        let code = u32::from(character);
        let escape = match character {
            '\0' => "0",
            '\u{07}' => "a",
            '\u{08}' => "b",
            '\t' => "t",
            '\n' => "n",
            '\u{0B}' => "v",
            '\u{0C}' => "f",
            '\r' => "r",
            '\u{1B}' => "e",
            '"' => "\"",
            '\\' => "\\",
            '\u{85}' => "N",
            '\u{A0}' => "_",
            '\u{2028}' => "L",
            '\u{2029}' => "P",
            '\0'..='\u{FF}' => &format!("x{code:02X}"),
            '\0'..='\u{FFFF}' => &format!("u{code:04X}"),
            _ => &format!("U{code:08X}"),
        };
        self.put(b'\\');
        self.put_run(escape.as_bytes());
    }

    pub(super) fn literal(&mut self, text: &str) {
        let bytes = text.as_bytes();
        self.separate();
        self.put(b'|');
        if bytes.first() == Some(&b' ') || break_len(bytes, 0) > 0 {
            self.put(b'2');
        }
        if let Some(chomping) = chomping(text) {
            self.put(chomping);
        }
        self.put_break();
        self.whitespace = true;
        let mut at = 0;
        let mut breaks = true;
        while at < bytes.len() {
            if break_len(bytes, at) > 0 {
                at += self.line_break(bytes, at);
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                let end = line_end(bytes, at);
                self.put_run(&bytes[at..end]);
                at = end;
                self.indention = false;
                breaks = false;
            }
        }
    }
}

/// What must be said about the line breaks at the end of a literal scalar.
fn chomping(text: &str) -> Option<u8> {
    let is_break = |character: char| matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut from_end = text.chars().rev();
    match (from_end.next(), from_end.next()) {
        (Some(last), _) if !is_break(last) => Some(b'-'),
        (Some(_), None) => Some(b'+'),
        (Some(_), Some(before)) if is_break(before) => Some(b'+'),
        _ => None,
    }
}

fn line_end(text: &[u8], from: usize) -> usize {
    (from..text.len()).find(|at| break_len(text, *at) > 0).unwrap_or(text.len())
}

/// Where a run without spaces, line breaks and single quotes ends.
fn run_end(text: &[u8], from: usize) -> usize {
    let ends = |at: &usize| matches!(text[*at], b' ' | b'\'') || break_len(text, *at) > 0;
    (from..text.len()).find(ends).unwrap_or(text.len())
}
