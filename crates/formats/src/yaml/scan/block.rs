//! Block scalars: `|` keeps lines, `>` folds them.

use super::text::Text;
use super::{Error, Scanner, TokenKind, break_len, column, is_blank};
use crate::yaml::class::is_breakz;

/// What becomes of the line breaks at the end.
#[derive(PartialEq, Eq)]
enum Chomping {
    Strip,
    Clip,
    Keep,
}

impl Scanner<'_> {
    pub(super) fn fetch_block_scalar(&mut self) -> Result<(), Error> {
        self.drop_key()?;
        self.key_allowed = true;
        let (line, literal) = (self.mark.line, self.at(0) == b'|');
        self.skip(1);
        let (chomping, increment) = self.block_header()?;
        let mut indent = increment.map(|increment| self.indent.max(0) + increment);

        let mut value = Text::new(self.text);
        let mut breaks = String::new();
        let mut first_break = "";
        let mut after_indented = false;
        let mut column_of_text = self.block_breaks(&mut indent, &mut breaks)?;
        while column(self.mark) == column_of_text && self.at(0) != 0 {
            let indented = is_blank(self.at(0));
            let folds = !literal && !after_indented && !indented && first_break == "\n";
            if !folds {
                value.push_str(first_break);
            } else if breaks.is_empty() {
                value.push(' ');
            }
            value.push_str(&breaks);
            breaks.clear();
            after_indented = indented;
            let end = self.line_end();
            value.push_range(self.pos..end);
            self.skip_to(end);
            first_break = self.skip_line();
            column_of_text = self.block_breaks(&mut indent, &mut breaks)?;
        }
        if chomping != Chomping::Strip {
            value.push_str(first_break);
        }
        if chomping == Chomping::Keep {
            value.push_str(&breaks);
        }
        self.push(TokenKind::Scalar { value: value.finish(), plain: false }, line);
        Ok(())
    }

    /// Reads what may follow `|` or `>`: chomping and indentation in either order, and a comment.
    fn block_header(&mut self) -> Result<(Chomping, Option<isize>), Error> {
        let mut chomping = self.chomping();
        let mut increment = None;
        if self.at(0).is_ascii_digit() {
            if self.at(0) == b'0' {
                return self.error("found an indentation indicator equal to 0");
            }
            increment = Some(isize::from(self.at(0) - b'0'));
            self.skip(1);
            if chomping.is_none() {
                chomping = self.chomping();
            }
        }
        self.skip_blanks();
        self.skip_comment();
        if !is_breakz(self.bytes(), self.pos) {
            return self.error("did not find expected comment or line break");
        }
        self.skip_line();
        Ok((chomping.unwrap_or(Chomping::Clip), increment))
    }

    fn chomping(&mut self) -> Option<Chomping> {
        let chomping = match self.at(0) {
            b'+' => Chomping::Keep,
            b'-' => Chomping::Strip,
            _ => return None,
        };
        self.skip(1);
        Some(chomping)
    }

    /// Reads empty lines and the indentation of the line after them. The first such line decides about
    /// the indentation, unless the header did; it is given back.
    fn block_breaks(&mut self, indent: &mut Option<isize>, breaks: &mut String) -> Result<isize, Error> {
        let mut widest = 0;
        loop {
            let limit = indent.unwrap_or(isize::MAX);
            while column(self.mark) < limit && self.at(0) == b' ' {
                self.skip(1);
            }
            widest = widest.max(column(self.mark));
            if column(self.mark) < limit && self.at(0) == b'\t' {
                return self.error("found a tab character where an indentation space is expected");
            }
            if break_len(self.bytes(), self.pos) == 0 {
                break;
            }
            breaks.push_str(self.skip_line());
        }
        Ok(*indent.get_or_insert_with(|| widest.max(self.indent + 1).max(1)))
    }
}
