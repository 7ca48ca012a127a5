//! `bcrypt`, `htpasswd` and `derivePassword`.

use bcrypt::Version;
use gotmpl::{FuncError, Function, Interp, Type, Value};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::super::arguments::{Outcome, int, text};
use super::super::{hosted, random};
use crate::host::Host;

/// Go's default cost.
const BCRYPT_COST: u32 = 10;

/// Bytes of a password bcrypt can take.
const BCRYPT_BYTES: usize = 72;

/// What one bcrypt hash counts as.
const BCRYPT_STEPS: u64 = 1_000_000;

/// What one scrypt hash counts as; it takes 32 MiB while it is made.
const SCRYPT_STEPS: u64 = 4_000_000;

pub(super) const TABLE: &[Function<Host>] = &[
    hosted("bcrypt", &[Type::String], |interp, args| Ok(Value::string(hash(interp, text(args, 0)?)?))),
    hosted("derivePassword", &[Type::Uint32, Type::String, Type::String, Type::String, Type::String], derive),
    hosted("htpasswd", &[Type::String, Type::String], |interp, args| {
        let user = text(args, 0)?;
        if user.contains(&b':') {
            return Ok(Value::string([b"invalid username: ", user].concat()));
        }
        let hash = hash(interp, text(args, 1)?)?;
        Ok(Value::string([user, b":", hash.as_bytes()].concat()))
    }),
];

/// The bcrypt hash of a password; a failure is a text in its place.
fn hash(interp: &mut Interp<'_, Host>, password: &[u8]) -> Result<String, FuncError> {
    if password.len() > BCRYPT_BYTES {
        return Ok("failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes".to_owned());
    }
    interp.charge(BCRYPT_STEPS)?;
    let mut salt = [0; 16];
    salt.copy_from_slice(&random::bytes(interp.host, 16));
    let hash = bcrypt::hash_with_salt(password, BCRYPT_COST, salt);
    Ok(hash.map_or_else(
        |error| format!("failed to encrypt string with bcrypt: {error}"),
        |hash| hash.format_for_version(Version::TwoA),
    ))
}

/// What the Master Password algorithm begins each of its messages with.
const SCOPE: &[u8] = b"com.lyndir.masterpassword";

/// The templates of a kind of password; each letter stands for a class of characters.
fn templates(kind: &[u8]) -> Option<&'static [&'static str]> {
    Some(match kind {
        b"maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        b"long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        b"medium" => &["CvcnoCvc", "CvcCvcno"],
        b"short" => &["Cvcn"],
        b"basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        b"pin" => &["nnnn"],
        _ => return None,
    })
}

fn characters(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// The scope followed by a name with its length.
fn message(name: &[u8]) -> Vec<u8> {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX).to_be_bytes();
    [SCOPE, &length, name].concat()
}

/// `derivePassword COUNTER KIND PASSWORD USER SITE`, by the Master Password algorithm.
fn derive(interp: &mut Interp<'_, Host>, args: &[Value]) -> Outcome {
    let kind = text(args, 1)?;
    let Some(templates) = templates(kind) else {
        return Ok(Value::string([b"cannot find password template ", kind].concat()));
    };
    interp.charge(SCRYPT_STEPS)?;
    let unusable = |_| FuncError::new("failed to derive password");
    let params = scrypt::Params::new(15, 8, 2).map_err(|_| FuncError::new("failed to derive password"))?;
    let mut key = [0; 64];
    scrypt::scrypt(text(args, 2)?, &message(text(args, 3)?), &params, &mut key).map_err(unusable)?;
    let counter = u32::try_from(int(args, 0)?).unwrap_or(0).to_be_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| FuncError::new("failed to derive password"))?;
    mac.update(&message(text(args, 4)?));
    mac.update(&counter);
    let seed = mac.finalize().into_bytes();
    let template = templates[usize::from(seed[0]) % templates.len()];
    let letter = |(class, seed): (u8, &u8)| {
        let characters = characters(class);
        characters[usize::from(*seed) % characters.len()]
    };
    Ok(Value::string(template.bytes().zip(&seed[1..]).map(letter).collect::<Vec<u8>>()))
}
