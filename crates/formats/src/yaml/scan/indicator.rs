//! Indicators and indentation: where collections, entries, keys and values begin and end.

use super::{DEPTH, Error, KEY_LENGTH, Mark, Scanner, SimpleKey, Token, TokenKind, column};

impl<'a> Scanner<'a> {
    // --- simple keys ---

    /// Whether a candidate can still become a key: its `:` must come soon and on the same line.
    pub(super) fn key_is_valid(&mut self, level: usize) -> Result<bool, Error> {
        let key = self.keys[level];
        if !key.possible {
            return Ok(false);
        }
        if key.mark.line < self.mark.line || key.mark.index + KEY_LENGTH < self.mark.index {
            if key.required {
                return self.error("could not find expected ':'");
            }
            self.keys[level].possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    /// Notes that the token to come could be a key.
    pub(super) fn save_key(&mut self) -> Result<(), Error> {
        if !self.key_allowed {
            return Ok(());
        }
        let required = self.flow_level == 0 && self.indent == column(self.mark);
        let token = self.taken + self.queue.len();
        self.drop_key()?;
        *self.level_key() = SimpleKey { possible: true, required, awaited: true, token, mark: self.mark };
        Ok(())
    }

    /// Gives up the candidate of the current flow level.
    pub(super) fn drop_key(&mut self) -> Result<(), Error> {
        let key = *self.level_key();
        if key.possible && key.required {
            return self.error("could not find expected ':'");
        }
        if key.possible {
            self.level_key().possible = false;
            self.level_key().awaited = false;
        }
        Ok(())
    }

    fn level_key(&mut self) -> &mut SimpleKey {
        self.keys.last_mut().expect("the block level always has a key slot")
    }

    // --- indentation ---

    /// Starts a block collection if the column is further in, its token going to `place` in the queue.
    pub(super) fn roll_indent(&mut self, mark: Mark, place: Option<usize>, kind: TokenKind<'a>) -> Result<(), Error> {
        if self.flow_level > 0 || self.indent >= column(mark) {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column(mark);
        if self.indents.len() > DEPTH {
            return self.error(format!("exceeded max depth of {DEPTH}"));
        }
        let place = place.unwrap_or(self.queue.len());
        self.queue.insert(place, Token { kind, line: mark.line });
        Ok(())
    }

    /// Ends the block collections that are further in than the column.
    pub(super) fn unroll_indent(&mut self, column: isize) {
        if self.flow_level > 0 {
            return;
        }
        while self.indent > column {
            self.push(TokenKind::BlockEnd, self.mark.line);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    // --- tokens ---

    pub(super) fn fetch_stream_end(&mut self) -> Result<(), Error> {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
        self.leave_blocks()?;
        self.push(TokenKind::StreamEnd, self.mark.line);
        Ok(())
    }

    pub(super) fn fetch_document_mark(&mut self, kind: TokenKind<'a>) -> Result<(), Error> {
        self.leave_blocks()?;
        self.indicator(kind, 3);
        Ok(())
    }

    /// Ends all block collections, before what cannot be inside one.
    pub(super) fn leave_blocks(&mut self) -> Result<(), Error> {
        self.unroll_indent(-1);
        self.drop_key()?;
        self.key_allowed = false;
        Ok(())
    }

    fn indicator(&mut self, kind: TokenKind<'a>, length: usize) {
        self.push(kind, self.mark.line);
        self.skip(length);
    }

    pub(super) fn fetch_flow_start(&mut self, kind: TokenKind<'a>) -> Result<(), Error> {
        self.save_key()?;
        let token = self.taken + self.queue.len();
        self.keys.push(SimpleKey { token, mark: self.mark, ..SimpleKey::default() });
        self.flow_level += 1;
        if self.flow_level > DEPTH {
            return self.error(format!("exceeded max depth of {DEPTH}"));
        }
        self.key_allowed = true;
        self.indicator(kind, 1);
        Ok(())
    }

    pub(super) fn fetch_flow_end(&mut self, kind: TokenKind<'a>) -> Result<(), Error> {
        self.drop_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            let inner = self.keys.pop().map(|key| key.token);
            // A level in which nothing could have been a key still has the token of its bracket. go-yaml
            // then forgets that the bracket may start a key, so that `{[]: a}` is an error.
            if inner == Some(self.level_key().token) {
                self.level_key().awaited = false;
            }
        }
        self.key_allowed = false;
        self.indicator(kind, 1);
        Ok(())
    }

    pub(super) fn fetch_flow_entry(&mut self) -> Result<(), Error> {
        self.drop_key()?;
        self.key_allowed = true;
        self.indicator(TokenKind::FlowEntry, 1);
        Ok(())
    }

    pub(super) fn fetch_block_entry(&mut self) -> Result<(), Error> {
        if self.flow_level == 0 {
            if !self.key_allowed {
                return self.error("block sequence entries are not allowed in this context");
            }
            self.roll_indent(self.mark, None, TokenKind::BlockSequenceStart)?;
        }
        self.drop_key()?;
        self.key_allowed = true;
        self.indicator(TokenKind::BlockEntry, 1);
        Ok(())
    }

    pub(super) fn fetch_key(&mut self) -> Result<(), Error> {
        if self.flow_level == 0 {
            if !self.key_allowed {
                return self.error("mapping keys are not allowed in this context");
            }
            self.roll_indent(self.mark, None, TokenKind::BlockMappingStart)?;
        }
        self.drop_key()?;
        self.key_allowed = self.flow_level == 0;
        self.indicator(TokenKind::Key, 1);
        Ok(())
    }

    pub(super) fn fetch_value(&mut self) -> Result<(), Error> {
        let level = self.keys.len() - 1;
        if self.key_is_valid(level)? {
            let SimpleKey { token, mark, .. } = self.keys[level];
            let place = token.checked_sub(self.taken);
            self.queue.insert(place.unwrap_or(self.queue.len()), Token { kind: TokenKind::Key, line: mark.line });
            self.roll_indent(mark, place, TokenKind::BlockMappingStart)?;
            self.keys[level].possible = false;
            self.keys[level].awaited = false;
            self.key_allowed = false;
        } else {
            if self.flow_level == 0 {
                if !self.key_allowed {
                    return self.error("mapping values are not allowed in this context");
                }
                self.roll_indent(self.mark, None, TokenKind::BlockMappingStart)?;
            }
            self.key_allowed = self.flow_level == 0;
        }
        self.indicator(TokenKind::Value, 1);
        Ok(())
    }

    pub(super) fn fetch_anchor(&mut self) -> Result<(), Error> {
        self.save_key()?;
        self.key_allowed = false;
        let (line, alias) = (self.mark.line, self.at(0) == b'*');
        self.skip(1);
        let name = self.word();
        let ends = self.blankz_at(0) || matches!(self.at(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if name.is_empty() || !ends {
            return self.error("did not find expected alphabetic or numeric character");
        }
        self.push(if alias { TokenKind::Alias(name) } else { TokenKind::Anchor(name) }, line);
        Ok(())
    }

    /// Reads letters, digits, `_` and `-`.
    pub(super) fn word(&mut self) -> &'a str {
        let start = self.pos;
        while super::is_word(self.at(0)) {
            self.skip(1);
        }
        &self.text[start..self.pos]
    }
}
