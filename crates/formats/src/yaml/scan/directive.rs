//! `%YAML` and `%TAG`.

use super::{Error, Scanner, TokenKind, is_blank};
use crate::yaml::class::is_breakz;

impl<'a> Scanner<'a> {
    pub(super) fn fetch_directive(&mut self) -> Result<(), Error> {
        self.leave_blocks()?;
        let line = self.mark.line;
        self.skip(1);
        let name = self.word();
        if name.is_empty() {
            return self.error("could not find expected directive name");
        }
        if !self.blankz_at(0) {
            return self.error("found unexpected non-alphabetical character");
        }
        let kind = match name {
            "YAML" => self.version()?,
            "TAG" => self.tag_directive()?,
            _ => return self.error("found unknown directive name"),
        };
        self.skip_blanks();
        self.skip_comment();
        if !is_breakz(self.bytes(), self.pos) {
            return self.error("did not find expected comment or line break");
        }
        self.skip_line();
        self.push(kind, line);
        Ok(())
    }

    fn version(&mut self) -> Result<TokenKind<'a>, Error> {
        self.skip_blanks();
        let major = self.version_number()?;
        if self.at(0) != b'.' {
            return self.error("did not find expected digit or '.' character");
        }
        self.skip(1);
        Ok(TokenKind::Version(major, self.version_number()?))
    }

    fn version_number(&mut self) -> Result<u8, Error> {
        let (mut number, mut digits) = (0, 0);
        while self.at(0).is_ascii_digit() {
            digits += 1;
            if digits > 2 {
                return self.error("found extremely long version number");
            }
            number = number * 10 + (self.at(0) - b'0');
            self.skip(1);
        }
        if digits == 0 {
            return self.error("did not find expected version number");
        }
        Ok(number)
    }

    fn tag_directive(&mut self) -> Result<TokenKind<'a>, Error> {
        self.skip_blanks();
        let handle = self.tag_handle(true)?;
        if !is_blank(self.at(0)) {
            return self.error("did not find expected whitespace");
        }
        self.skip_blanks();
        let prefix = self.tag_uri("")?;
        if !self.blankz_at(0) {
            return self.error("did not find expected whitespace or line break");
        }
        Ok(TokenKind::TagDirective(handle.into(), prefix))
    }
}
