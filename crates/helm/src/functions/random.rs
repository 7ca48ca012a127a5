//! Random text and numbers, from the host's source of random bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gotmpl::{FuncError, Function, Interp, Type, Value};

use super::arguments::{int, size, text};
use super::{hosted, runes};
use crate::host::Host;

/// Characters or bytes one call may ask for.
const MAX_LENGTH: i64 = 1 << 20;

const COUNT: &[Type] = &[Type::Int];

pub(super) const TABLE: &[Function<Host>] = &[
    hosted("randAlpha", COUNT, |interp, args| {
        Ok(Value::string(characters(interp, int(args, 0)?, u8::is_ascii_alphabetic)?))
    }),
    hosted("randAlphaNum", COUNT, |interp, args| {
        Ok(Value::string(characters(interp, int(args, 0)?, u8::is_ascii_alphanumeric)?))
    }),
    hosted("randAscii", COUNT, |interp, args| {
        Ok(Value::string(characters(interp, int(args, 0)?, |byte| (32..=126).contains(byte))?))
    }),
    hosted("randBytes", COUNT, |interp, args| {
        let count = checked(int(args, 0)?)?;
        charge(interp, count)?;
        if count < 0 {
            return Err(FuncError::new("runtime error: makeslice: len out of range"));
        }
        Ok(Value::string(STANDARD.encode(bytes(interp.host, size(count)))))
    }),
    hosted("randInt", &[Type::Int, Type::Int], |interp, args| {
        let (low, high) = (int(args, 0)?, int(args, 1)?);
        let span = u64::try_from(high.wrapping_sub(low)).ok().filter(|span| *span > 0);
        let span = span.ok_or_else(|| FuncError::new("invalid argument to Intn"))?;
        Ok(Value::Int(low.wrapping_add(below(interp.host, span).cast_signed())))
    }),
    hosted("randNumeric", COUNT, |interp, args| {
        Ok(Value::string(characters(interp, int(args, 0)?, u8::is_ascii_digit)?))
    }),
    hosted("shuffle", &[Type::String], |interp, args| {
        let mut letters: Vec<char> = runes::runes(text(args, 0)?).map(|(rune, _)| rune).collect();
        interp.charge(STEPS * letters.len() as u64)?;
        for last in (1..letters.len()).rev() {
            let other = below(interp.host, u64::try_from(last).unwrap_or(0) + 1);
            letters.swap(last, usize::try_from(other).unwrap_or(last));
        }
        Ok(Value::string(letters.into_iter().collect::<String>()))
    }),
    hosted("uuidv4", &[], |interp, _| Ok(Value::string(uuid(bytes(interp.host, 16))))),
];

/// What a random character costs in steps.
const STEPS: u64 = 4;

fn charge(interp: &mut Interp<'_, Host>, count: i64) -> Result<(), FuncError> {
    interp.charge(STEPS * size(checked(count)?) as u64)
}

fn checked(count: i64) -> Result<i64, FuncError> {
    if count > MAX_LENGTH {
        return Err(FuncError::new(format!("a random text of more than {MAX_LENGTH} bytes")));
    }
    Ok(count)
}

/// `count` random bytes.
pub(super) fn bytes(host: &Host, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    host.random(&mut bytes);
    bytes
}

/// A number below `bound`, all equally likely.
fn below(host: &Host, bound: u64) -> u64 {
    // What lies above the last whole multiple of the bound would favour small numbers.
    let whole = u64::MAX - u64::MAX % bound;
    loop {
        let mut draw = [0; 8];
        host.random(&mut draw);
        let number = u64::from_le_bytes(draw);
        if number < whole {
            return number % bound;
        }
    }
}

/// `count` ASCII characters that `wanted` accepts; none for a negative count.
fn characters(interp: &mut Interp<'_, Host>, count: i64, wanted: impl Fn(&u8) -> bool) -> Result<Vec<u8>, FuncError> {
    charge(interp, count)?;
    let host = interp.host;
    let count = size(checked(count)?);
    let alphabet: Vec<u8> = (0..=127).filter(wanted).collect();
    let bound = u64::try_from(alphabet.len()).unwrap_or(1);
    let draw = |_| usize::try_from(below(host, bound)).map_or(b' ', |index| alphabet[index]);
    Ok((0..count).map(draw).collect())
}

/// The text of a version 4 UUID made of 16 random bytes.
fn uuid(mut bytes: Vec<u8>) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = super::digests::hexadecimal(&bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}
