//! Secrets and keys: passwords, AES, private keys, certificates.
//!
//! All randomness comes from the host but for the blinding and nonces inside signatures. What takes long is charged
//! to the render's steps, so that a chart cannot keep a processor busy with keys.

mod certificates;
mod der;
mod extensions;
mod keys;
mod passwords;

use std::convert::Infallible;

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::{NoPadding, Pkcs7};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use gotmpl::{FuncError, Function, Type, Value};

use super::arguments::{Outcome, text};
use super::encoding::decode_base64;
use super::{hosted, pure, random};
use crate::host::Host;

/// Bytes of an AES block.
const BLOCK: usize = 16;

const TWO_TEXTS: &[Type] = &[Type::String, Type::String];

/// The tables of the area.
pub(super) const TABLES: &[&[Function<Host>]] = &[TABLE, certificates::TABLE, keys::TABLE, passwords::TABLE];

const TABLE: &[Function<Host>] = &[
    pure("decryptAES", TWO_TEXTS, decrypt_aes),
    hosted("encryptAES", TWO_TEXTS, |interp, args| encrypt_aes(interp.host, args)),
];

/// The host's random bytes for crates that ask a generator.
struct HostRng<'a>(&'a Host);

impl rand_core::TryRng for HostRng<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.random(bytes);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for HostRng<'_> {}

/// The password itself, cut or filled up with zeros, is the key.
fn aes_key(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let length = password.len().min(key.len());
    key[..length].copy_from_slice(&password[..length]);
    key
}

/// `encryptAES PASSWORD TEXT`: AES-256-CBC behind a random initialization vector, in base64.
fn encrypt_aes(host: &Host, args: &[Value]) -> Outcome {
    let plain = text(args, 1)?;
    if plain.is_empty() {
        return Ok(Value::string(""));
    }
    let mut vector = [0; BLOCK];
    vector.copy_from_slice(&random::bytes(host, BLOCK));
    let cipher = cbc::Encryptor::<Aes256>::new(&aes_key(text(args, 0)?).into(), &vector.into());
    let encrypted = cipher.encrypt_padded_vec::<Pkcs7>(plain);
    Ok(Value::string(STANDARD.encode([&vector[..], &encrypted].concat())))
}

/// `decryptAES PASSWORD TEXT`, with Go's panics on a text that is no such encryption.
fn decrypt_aes(args: &[Value]) -> Outcome {
    let encoded = text(args, 1)?;
    if encoded.is_empty() {
        return Ok(Value::string(""));
    }
    let bytes = decode_base64(encoded).map_err(|error| FuncError::new(error.message()))?;
    let Some((vector, encrypted)) = bytes.split_first_chunk::<BLOCK>() else {
        let capacity = bytes.len();
        return Err(FuncError::new(format!("runtime error: slice bounds out of range [:16] with capacity {capacity}")));
    };
    let cipher = cbc::Decryptor::<Aes256>::new(&aes_key(text(args, 0)?).into(), vector.into());
    let not_whole = || FuncError::new("crypto/cipher: input not full blocks");
    let decrypted = cipher.decrypt_padded_vec::<NoPadding>(encrypted).map_err(|_| not_whole())?;
    let Some(&padding) = decrypted.last() else {
        return Err(FuncError::new("runtime error: index out of range [-1]"));
    };
    let end = decrypted.len().checked_sub(usize::from(padding)).ok_or_else(|| {
        let missing = usize::from(padding) - decrypted.len();
        FuncError::new(format!("runtime error: slice bounds out of range [:-{missing}]"))
    })?;
    Ok(Value::string(&decrypted[..end]))
}
