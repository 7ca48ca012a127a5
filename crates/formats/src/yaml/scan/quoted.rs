//! Scalars in single or double quotes.

use super::text::Text;
use super::{Error, Scanner, TokenKind, break_len, byte, is_blankz, is_document_mark};

impl<'a> Scanner<'a> {
    pub(super) fn fetch_quoted(&mut self) -> Result<(), Error> {
        self.save_key()?;
        self.key_allowed = false;
        let (line, quote) = (self.mark.line, self.at(0));
        self.skip(1);
        let mut value = Text::new(self.text);
        loop {
            let first = self.at(0);
            let document_mark = self.mark.column == 0 && is_document_mark(self.bytes(), self.pos, first);
            if document_mark && matches!(first, b'-' | b'.') {
                return self.error("found unexpected document indicator");
            }
            if first == 0 {
                return self.error("found unexpected end of stream");
            }
            let joined =
                if quote == b'\'' { self.single_quoted_run(&mut value) } else { self.double_quoted_run(&mut value)? };
            if self.at(0) == quote {
                break;
            }
            self.gap(joined, None)?.write(&mut value);
        }
        self.skip(1);
        self.push(TokenKind::Scalar { value: value.finish(), plain: false }, line);
        Ok(())
    }

    /// Reads up to white space or the closing quote.
    fn single_quoted_run(&mut self, value: &mut Text<'a>) -> bool {
        loop {
            let end = self.run_end(b'\'', b'\'');
            value.push_range(self.pos..end);
            self.skip_to(end);
            if self.at(0) != b'\'' || self.at(1) != b'\'' {
                return false;
            }
            value.push('\'');
            self.skip(2);
        }
    }

    /// Reads up to white space or the closing quote; true if it ended with an escaped line break.
    fn double_quoted_run(&mut self, value: &mut Text<'a>) -> Result<bool, Error> {
        loop {
            let end = self.run_end(b'"', b'\\');
            value.push_range(self.pos..end);
            self.skip_to(end);
            if self.at(0) != b'\\' {
                return Ok(false);
            }
            if break_len(self.bytes(), self.pos + 1) > 0 {
                self.skip(1);
                self.skip_line();
                return Ok(true);
            }
            let character = self.escape()?;
            value.push(character);
        }
    }

    fn run_end(&self, quote: u8, escape: u8) -> usize {
        let bytes = self.bytes();
        let mut at = self.pos;
        while byte(bytes, at) != quote && byte(bytes, at) != escape && !is_blankz(bytes, at) {
            at += 1;
        }
        at
    }

    fn escape(&mut self) -> Result<char, Error> {
        let digits = match self.at(1) {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            letter => {
                let Some(character) = named_escape(letter) else {
                    return self.error("found unknown escape character");
                };
                self.skip(2);
                return Ok(character);
            }
        };
        self.skip(2);
        let mut code = 0_u32;
        for offset in 0..digits {
            let Some(digit) = char::from(self.at(offset)).to_digit(16) else {
                return self.error("did not find expected hexdecimal number");
            };
            code = (code << 4) | digit;
        }
        let Some(character) = char::from_u32(code) else {
            return self.error("found invalid Unicode character escape code");
        };
        self.skip(digits);
        Ok(character)
    }
}

fn named_escape(letter: u8) -> Option<char> {
    Some(match letter {
        b'0' => '\0',
        b'a' => '\u{07}',
        b'b' => '\u{08}',
        b't' | b'\t' => '\t',
        b'n' => '\n',
        b'v' => '\u{0B}',
        b'f' => '\u{0C}',
        b'r' => '\r',
        b'e' => '\u{1B}',
        b' ' => ' ',
        b'"' => '"',
        b'\'' => '\'',
        b'\\' => '\\',
        b'N' => '\u{85}',
        b'_' => '\u{A0}',
        b'L' => '\u{2028}',
        b'P' => '\u{2029}',
        _ => return None,
    })
}
