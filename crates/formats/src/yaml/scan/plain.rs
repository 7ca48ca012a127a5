//! Scalars without quotes.

use super::text::Text;
use super::{Error, KEY_LENGTH, Scanner, TokenKind, column, is_blank, is_blankz, is_document_mark};
use crate::yaml::class::break_len;

impl Scanner<'_> {
    pub(super) fn fetch_plain(&mut self) -> Result<(), Error> {
        if self.flow_level == 0 && self.key_allowed && self.flaw.is_none() {
            let end = self.plain_run_end();
            if self.bytes().get(end) == Some(&b':') && end - self.pos < KEY_LENGTH {
                return self.fetch_plain_key(end);
            }
        }
        self.save_key()?;
        self.key_allowed = false;
        let (line, indent) = (self.mark.line, self.indent + 1);
        let mut value = Text::new(self.text);
        let mut gap = super::Gap::default();
        loop {
            let first = self.at(0);
            let document_mark = self.mark.column == 0 && is_document_mark(self.bytes(), self.pos, first);
            if first == b'#' || (document_mark && matches!(first, b'-' | b'.')) {
                break;
            }
            let end = self.plain_run_end();
            if end > self.pos {
                std::mem::take(&mut gap).write(&mut value);
                value.push_range(self.pos..end);
                self.skip_to(end);
            }
            if !is_blank(self.at(0)) && break_len(self.bytes(), self.pos) == 0 {
                break;
            }
            gap = self.gap(false, Some(indent))?;
            if self.flow_level == 0 && column(self.mark) < indent {
                break;
            }
        }
        if gap.folded {
            self.key_allowed = true;
        }
        self.push(TokenKind::Scalar { value: value.finish(), plain: true }, line);
        Ok(())
    }

    /// Reads a key of a block mapping up to its `:` at `end`: being one word, it can be nothing else, and need not wait
    /// in the queue to become one.
    fn fetch_plain_key(&mut self, end: usize) -> Result<(), Error> {
        self.drop_key()?;
        self.key_allowed = false;
        let (mark, value) = (self.mark, &self.text[self.pos..end]);
        self.skip_to(end);
        self.roll_indent(mark, None, TokenKind::BlockMappingStart)?;
        self.push(TokenKind::Key, mark.line);
        self.push(TokenKind::Scalar { value: value.into(), plain: true }, mark.line);
        self.push(TokenKind::Value, mark.line);
        self.skip(1);
        Ok(())
    }

    /// Where the characters without white space or an indicator end.
    fn plain_run_end(&self) -> usize {
        let bytes = self.bytes();
        let mut at = self.pos;
        while let Some(offset) = bytes[at..].iter().position(|byte| MAY_END[usize::from(*byte)]) {
            at += offset;
            let ends = match bytes[at] {
                b':' => is_blankz(bytes, at + 1),
                b',' | b'?' | b'[' | b']' | b'{' | b'}' => self.flow_level > 0,
                _ => is_blankz(bytes, at),
            };
            if ends {
                return at;
            }
            at += 1;
        }
        bytes.len()
    }
}

/// The bytes at which a run of plain characters may end: white space, indicators, and what leads a line break of Unicode.
const MAY_END: [bool; 256] = {
    let mut ends = [false; 256];
    let bytes = b"\0\t\n\r :,?[]{}\xC2\xE2";
    let mut at = 0;
    while at < bytes.len() {
        ends[bytes[at] as usize] = true;
        at += 1;
    }
    ends
};
