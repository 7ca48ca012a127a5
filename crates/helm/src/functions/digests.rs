//! Checksums, as lower-case hexadecimal (adler32 as a decimal number).

use gotmpl::{Function, Type, Value};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::arguments::{Outcome, text};
use super::pure;
use crate::host::Host;

const TEXT: &[Type] = &[Type::String];

pub(super) const TABLE: &[Function<Host>] = &[
    pure("adler32sum", TEXT, |args| Ok(Value::string(adler32(text(args, 0)?).to_string()))),
    pure("sha1sum", TEXT, digest::<Sha1>),
    pure("sha256sum", TEXT, digest::<Sha256>),
    pure("sha512sum", TEXT, digest::<Sha512>),
];

fn digest<D: Digest>(args: &[Value]) -> Outcome {
    Ok(Value::string(hexadecimal(&D::digest(text(args, 0)?))))
}

/// Two lower-case digits for each byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (low, high) = bytes.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % MODULUS;
        (low, (high + low) % MODULUS)
    });
    high << 16 | low
}
