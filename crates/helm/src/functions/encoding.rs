//! Base64 and base32, with Go's decoding errors as text: Sprig returns them instead of failing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gotmpl::{Function, Type, Value};

use super::arguments::text;
use super::pure;
use crate::engine::Host;

const TEXT: &[Type] = &[Type::String];

pub(super) const TABLE: &[Function<Host>] = &[
    pure("b32dec", TEXT, |args| Ok(Value::string(BASE32.decode(text(args, 0)?).unwrap_or_else(BadByte::into_text)))),
    pure("b32enc", TEXT, |args| Ok(Value::string(encode_base32(text(args, 0)?)))),
    pure("b64dec", TEXT, |args| Ok(Value::string(decode_base64(text(args, 0)?).unwrap_or_else(BadByte::into_text)))),
    pure("b64enc", TEXT, |args| Ok(Value::string(STANDARD.encode(text(args, 0)?)))),
];

/// Where a text stops being an encoding.
pub(super) struct BadByte {
    encoding: &'static str,
    offset: usize,
}

impl BadByte {
    /// Go's message.
    pub(super) fn message(&self) -> String {
        format!("illegal {} data at input byte {}", self.encoding, self.offset)
    }

    fn into_text(self) -> Vec<u8> {
        self.message().into_bytes()
    }
}

/// The letters of an encoding and how many of them make a group of whole bytes.
struct Alphabet {
    name: &'static str,
    letters: &'static [u8],
    bits: u32,
    group: usize,
}

const BASE64: Alphabet = Alphabet {
    name: "base64",
    letters: b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    bits: 6,
    group: 4,
};

const BASE32: Alphabet = Alphabet { name: "base32", letters: b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", bits: 5, group: 8 };

/// Padded standard base64; line breaks within are skipped.
pub(super) fn decode_base64(text: &[u8]) -> Result<Vec<u8>, BadByte> {
    BASE64.decode(text)
}

impl Alphabet {
    fn bad(&self, offset: usize) -> BadByte {
        BadByte { encoding: self.name, offset }
    }

    fn decode(&self, text: &[u8]) -> Result<Vec<u8>, BadByte> {
        let mut reader = Reader { text, next: 0 };
        let mut out = Vec::with_capacity(text.len());
        while self.decode_group(&mut reader, &mut out)? {}
        Ok(out)
    }

    /// Decodes one group of letters; false at the end of the text.
    fn decode_group(&self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<bool, BadByte> {
        let mut bits = 0_u64;
        let mut letters = 0;
        let mut last = false;
        while letters < self.group && !last {
            match reader.read() {
                None if letters == 0 => return Ok(false),
                None => return Err(self.bad(self.truncated(reader, letters))),
                Some((offset, b'=')) => {
                    self.check_padding(reader, offset, letters)?;
                    last = true;
                }
                Some((offset, letter)) => {
                    let value =
                        self.letters.iter().position(|known| *known == letter).ok_or_else(|| self.bad(offset))?;
                    bits = bits << self.bits | u64::try_from(value).unwrap_or(0);
                    letters += 1;
                }
            }
        }
        let missing = u32::try_from(self.group - letters).unwrap_or(0);
        let group = (bits << (self.bits * missing)).to_be_bytes();
        let bytes = self.group * self.bits as usize / 8;
        out.extend_from_slice(&group[8 - bytes..][..letters * self.bits as usize / 8]);
        Ok(!last)
    }

    /// Where Go says a text is cut short in the middle of a group.
    fn truncated(&self, reader: &Reader<'_>, letters: usize) -> usize {
        match self.bits {
            6 => reader.next - letters,
            _ => reader.without_breaks() - letters,
        }
    }

    /// Checks the padding that begins at `offset`, behind `letters` letters, and that nothing follows it.
    fn check_padding(&self, reader: &mut Reader<'_>, offset: usize, letters: usize) -> Result<(), BadByte> {
        let whole = match self.bits {
            6 => letters >= 2,
            _ => matches!(letters, 2 | 4 | 5 | 7),
        };
        if !whole {
            return Err(self.bad(offset));
        }
        for _ in letters + 1..self.group {
            match reader.read() {
                Some((_, b'=')) => {}
                Some((offset, _)) => return Err(self.bad(offset)),
                None => return Err(self.bad(reader.next)),
            }
        }
        reader.read().map_or(Ok(()), |(offset, _)| Err(self.bad(offset)))
    }
}

/// The bytes of a text without its line breaks, which Go's decoders skip.
struct Reader<'a> {
    text: &'a [u8],
    next: usize,
}

impl Reader<'_> {
    fn read(&mut self) -> Option<(usize, u8)> {
        loop {
            let byte = *self.text.get(self.next)?;
            self.next += 1;
            if !matches!(byte, b'\r' | b'\n') {
                return Some((self.next - 1, byte));
            }
        }
    }

    fn without_breaks(&self) -> usize {
        self.text.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')).count()
    }
}

fn encode_base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let bits = (0..5).fold(0_u64, |bits, index| bits << 8 | u64::from(group.get(index).copied().unwrap_or(0)));
        let letters = (group.len() * 8).div_ceil(5);
        for index in 0..8 {
            let value = usize::try_from(bits >> (35 - 5 * index) & 31).unwrap_or(0);
            out.push(if index < letters { char::from(BASE32.letters[value]) } else { '=' });
        }
    }
    out
}
