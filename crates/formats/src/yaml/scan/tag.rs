//! Tags: `!`, `!suffix`, `!!suffix`, `!handle!suffix`, `!<uri>`.

use std::borrow::Cow;

use super::{Error, Scanner, TokenKind, is_word, width};

impl<'a> Scanner<'a> {
    pub(super) fn fetch_tag(&mut self) -> Result<(), Error> {
        self.save_key()?;
        self.key_allowed = false;
        let line = self.mark.line;
        let (handle, suffix) = if self.at(1) == b'<' { self.verbatim_tag()? } else { self.short_tag()? };
        if !self.blankz_at(0) {
            return self.error("did not find expected whitespace or line break");
        }
        self.push(TokenKind::Tag(handle, suffix), line);
        Ok(())
    }

    fn verbatim_tag(&mut self) -> Result<(Cow<'a, str>, Cow<'a, str>), Error> {
        self.skip(2);
        let uri = self.tag_uri("")?;
        if self.at(0) != b'>' {
            return self.error("did not find the expected '>'");
        }
        self.skip(1);
        Ok(("".into(), uri))
    }

    fn short_tag(&mut self) -> Result<(Cow<'a, str>, Cow<'a, str>), Error> {
        let handle = self.tag_handle(false)?;
        if handle.len() > 1 && handle.ends_with('!') {
            return Ok((handle.into(), self.tag_uri("")?));
        }
        // What looked like a handle is the start of the suffix; a lone `!` is a tag without a handle.
        let suffix = self.tag_uri(handle)?;
        if suffix.is_empty() { Ok(("".into(), "!".into())) } else { Ok(("!".into(), suffix)) }
    }

    pub(super) fn tag_handle(&mut self, directive: bool) -> Result<&'a str, Error> {
        if self.at(0) != b'!' {
            return self.error("did not find expected '!'");
        }
        let start = self.pos;
        self.skip(1);
        self.word();
        if self.at(0) == b'!' {
            self.skip(1);
        } else if directive && self.pos - start > 1 {
            return self.error("did not find expected '!'");
        }
        Ok(&self.text[start..self.pos])
    }

    /// Reads a tag's URI, which goes on from `head` without its `!`.
    pub(super) fn tag_uri(&mut self, head: &'a str) -> Result<Cow<'a, str>, Error> {
        let mut uri = head.as_bytes().get(1..).unwrap_or_default().to_vec();
        let mut empty = head.is_empty();
        loop {
            match self.at(0) {
                b'%' => self.uri_escape(&mut uri)?,
                octet if is_word(octet) || b";/?:@&=+$,.!~*'()[]".contains(&octet) => {
                    uri.push(octet);
                    self.skip(1);
                }
                _ => break,
            }
            empty = false;
        }
        if empty {
            return self.error("did not find expected tag URI");
        }
        Ok(Cow::Owned(String::from_utf8_lossy(&uri).into_owned()))
    }

    /// Reads the `%XX` of one character.
    fn uri_escape(&mut self, uri: &mut Vec<u8>) -> Result<(), Error> {
        let mut left = None;
        while left != Some(0) {
            let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (b'%', Some(high), Some(low)) = (self.at(0), hex(self.at(1)), hex(self.at(2))) else {
                return self.error("did not find URI escaped octet");
            };
            let octet = (high << 4) | low;
            left = match left {
                None if width(octet) == 0 => {
                    return self.error("found an incorrect leading UTF-8 octet");
                }
                None => Some(width(octet) - 1),
                Some(_) if octet & 0xC0 != 0x80 => {
                    return self.error("found an incorrect trailing UTF-8 octet");
                }
                Some(count) => Some(count - 1),
            };
            uri.push(octet);
            self.skip(3);
        }
        Ok(())
    }
}
