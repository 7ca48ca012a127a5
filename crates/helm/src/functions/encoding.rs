//! Base64 and base32, with Go's decoding errors as text: Sprig returns them instead of failing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gotmpl::{Function, Type, Value};

use super::arguments::text;
use super::pure;
use crate::host::Host;

const TEXT: &[Type] = &[Type::String];

pub(super) const TABLE: &[Function<Host>] = &[
    pure("b32dec", TEXT, |args| Ok(Value::string(decode_base32(text(args, 0)?).unwrap_or_else(BadByte::into_text)))),
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

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn digit(alphabet: &[u8], letter: u8) -> Option<u64> {
    u64::try_from(alphabet.iter().position(|known| *known == letter)?).ok()
}

/// Padded standard base64; line breaks within are skipped.
pub(super) fn decode_base64(text: &[u8]) -> Result<Vec<u8>, BadByte> {
    let mut reader = Reader { text, next: 0 };
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    while decode_base64_group(&mut reader, &mut out)? {}
    Ok(out)
}

/// Decodes four letters; false at the end of the text.
fn decode_base64_group(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<bool, BadByte> {
    let bad = |offset| BadByte { encoding: "base64", offset };
    let mut bits = 0_u64;
    let mut letters = 0;
    let mut last = false;
    while letters < 4 && !last {
        match reader.read() {
            None if letters == 0 => return Ok(false),
            None => return Err(bad(reader.next - letters)),
            Some((offset, b'=')) if letters < 2 => return Err(bad(offset)),
            Some((_, b'=')) => {
                if letters == 2 {
                    match reader.read() {
                        Some((_, b'=')) => {}
                        Some((offset, _)) => return Err(bad(offset - 1)),
                        None => return Err(bad(reader.next)),
                    }
                }
                if let Some((offset, _)) = reader.read() {
                    return Err(bad(offset));
                }
                last = true;
            }
            Some((offset, letter)) => {
                bits = bits << 6 | digit(BASE64, letter).ok_or_else(|| bad(offset))?;
                letters += 1;
            }
        }
    }
    let group = (bits << (6 * (4 - letters))).to_be_bytes();
    out.extend_from_slice(&group[5..][..letters * 6 / 8]);
    Ok(!last)
}

/// Padded standard base32; line breaks within are skipped, and so is whatever follows the padding of the last group.
fn decode_base32(text: &[u8]) -> Result<Vec<u8>, BadByte> {
    let bad = |offset| BadByte { encoding: "base32", offset };
    let text: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let mut out = Vec::with_capacity(text.len());
    let mut start = 0;
    while start < text.len() {
        let mut bits = 0_u64;
        let mut letters = 0;
        while letters < 8 {
            let offset = start + letters;
            let Some(&letter) = text.get(offset) else { return Err(bad(start)) };
            let after = text.len() - offset - 1;
            if letter == b'=' && letters >= 2 && after < 8 {
                check_base32_padding(&text, offset, letters).map_err(bad)?;
                break;
            }
            bits = bits << 5 | digit(BASE32, letter).ok_or_else(|| bad(offset))?;
            letters += 1;
        }
        let group = (bits << (5 * (8 - letters))).to_be_bytes();
        out.extend_from_slice(&group[3..][..letters * 5 / 8]);
        if letters < 8 {
            break;
        }
        start += 8;
    }
    Ok(out)
}

/// Checks the padding that begins at `offset` behind `letters` letters of a group; gives the offset Go complains about.
fn check_base32_padding(text: &[u8], offset: usize, letters: usize) -> Result<(), usize> {
    let rest = &text[offset + 1..];
    if rest.len() + letters < 7 {
        return Err(text.len());
    }
    if let Some(wrong) = rest.iter().take(7 - letters).position(|byte| *byte != b'=') {
        return Err(offset + wrong);
    }
    if matches!(letters, 3 | 6) { Err(offset) } else { Ok(()) }
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
}

fn encode_base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let bits = (0..5).fold(0_u64, |bits, index| bits << 8 | u64::from(group.get(index).copied().unwrap_or(0)));
        let letters = (group.len() * 8).div_ceil(5);
        for index in 0..8 {
            let value = usize::try_from(bits >> (35 - 5 * index) & 31).unwrap_or(0);
            out.push(if index < letters { char::from(BASE32[value]) } else { '=' });
        }
    }
    out
}
