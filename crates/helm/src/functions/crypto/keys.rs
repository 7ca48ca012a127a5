//! Private keys: making them and reading them from PEM.

use dsa::{Components, KeySize};
use gotmpl::{FuncError, Function, Interp, Type, Value};
use num_bigint::BigUint;
use rcgen::KeyPair;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use rsa::pkcs8::EncodePrivateKey;

use super::super::arguments::{Outcome, text};
use super::super::{hosted, random};
use super::{HostRng, der};
use crate::host::Host;

/// Bits of `genPrivateKey "rsa"`.
const LARGE_RSA_BITS: usize = 4096;

/// Bits of the keys of generated certificates.
pub(super) const RSA_BITS: usize = 2048;

/// The public exponent that all the world uses.
const RSA_EXPONENT: u64 = 65537;

/// What making a key of so many bits counts as: the time grows with the fourth power.
const RSA_2048_STEPS: u64 = 1_000_000;
/// Public charts make up to three.
const RSA_4096_STEPS: u64 = 11_000_000;
const DSA_STEPS: u64 = 40_000_000;
const ECDSA_STEPS: u64 = 200_000;
const ED25519_STEPS: u64 = 1_000;

/// `ecPublicKey` over P-256, as an `AlgorithmIdentifier` names it, and the curve alone.
const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

pub(super) const TABLE: &[Function<Host>] = &[hosted("genPrivateKey", &[Type::String], generate)];

/// A private key that can sign certificates.
pub(super) struct PrivateKey {
    pub(super) pair: KeyPair,
    /// The key in the form it was made or given.
    pub(super) pem: String,
}

/// Why a text is no private key, in Sprig's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("no PEM data in input")]
    FindPem,
    #[error("no private key data in PEM block of type {0}")]
    FindKey(String),
    #[error("invalid private key type {0}")]
    KnowType(String),
    #[error("decoding PEM as PKCS#8: x509: failed to parse private key")]
    ParsePkcs8,
    #[error("parsing {0} private key from PEM: x509: failed to parse private key")]
    ParseKey(&'static str),
    #[error("error generating rsa key: {0}")]
    GenerateRsa(rsa::Error),
}

fn generate(interp: &mut Interp<'_, Host>, args: &[Value]) -> Outcome {
    let pem = match text(args, 0)? {
        b"" | b"rsa" => rsa_pem(&generate_rsa(interp, LARGE_RSA_BITS)?),
        b"dsa" => generate_dsa(interp)?,
        b"ecdsa" => {
            interp.charge(ECDSA_STEPS)?;
            generate_ecdsa(interp.host)
        }
        b"ed25519" => {
            interp.charge(ED25519_STEPS)?;
            let seed = der::tagged(4, &random::bytes(interp.host, 32));
            der::pem("PRIVATE KEY", &pkcs8(ED25519, &seed))
        }
        other => return Ok(Value::string([b"Unknown type ", other].concat())),
    };
    Ok(Value::string(pem))
}

fn in_words(error: &Error) -> FuncError {
    FuncError::new(error.to_string())
}

fn generate_rsa(interp: &mut Interp<'_, Host>, bits: usize) -> Result<rsa::PrivateKey, FuncError> {
    let steps = if bits > RSA_BITS { RSA_4096_STEPS } else { RSA_2048_STEPS };
    interp.charge(steps)?;
    let mut rng = HostRng(interp.host);
    let bits = u32::try_from(bits / 2).unwrap_or(u32::MAX);
    let mut prime = || primes::random_prime(&mut rng, bits).ok_or(rsa::Error::Internal);
    loop {
        let key = prime().and_then(|first| rsa::PrivateKey::from_primes(vec![first, prime()?], RSA_EXPONENT.into()));
        match key {
            // Once in many thousand times the exponent has no inverse, or the primes are the same.
            Err(rsa::Error::InvalidPrime) => interp.charge(steps)?,
            made => return made.map_err(|error| in_words(&Error::GenerateRsa(error))),
        }
    }
}

fn rsa_pem(key: &rsa::PrivateKey) -> String {
    let bytes = key.to_pkcs1_der().map(|document| document.as_bytes().to_vec());
    der::pem("RSA PRIVATE KEY", &bytes.unwrap_or_default())
}

/// An RSA key for a certificate.
pub(super) fn certificate_key(interp: &mut Interp<'_, Host>) -> Result<PrivateKey, FuncError> {
    let key = generate_rsa(interp, RSA_BITS)?;
    let pem = rsa_pem(&key);
    parse(pem.as_bytes()).map_err(|error| in_words(&error))
}

/// A PKCS #8 document of an algorithm and a key.
fn pkcs8(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    der::sequence(&[der::integer(&[0]), der::tagged(0x30, algorithm), der::tagged(4, key)])
}

fn generate_ecdsa(host: &Host) -> String {
    let (secret, point) = loop {
        let secret = random::bytes(host, 32);
        // Hardly ever is the number outside of the group.
        if let Ok(key) = p256::SecretKey::from_slice(&secret) {
            break (secret, key.public_key().to_sec1_bytes());
        }
    };
    let public = der::tagged(3, &[&[0], point.as_ref()].concat());
    let key = der::sequence(&[
        der::integer(&[1]),
        der::tagged(4, &secret),
        der::tagged(0xa0, P256),
        der::tagged(0xa1, &public),
    ]);
    der::pem("EC PRIVATE KEY", &key)
}

fn generate_dsa(interp: &mut Interp<'_, Host>) -> Result<String, FuncError> {
    interp.charge(DSA_STEPS)?;
    let made = Components::try_generate_from_rng_with_key_size(&mut HostRng(interp.host), KeySize::DSA_2048_256);
    let Ok(parameters) = made;
    let numbers = [parameters.p().to_be_bytes(), parameters.q().to_be_bytes(), parameters.g().to_be_bytes()];
    let [prime, order, generator] = numbers.map(|number| BigUint::from_bytes_be(&number));
    // Eight bytes more than the group has make all residues equally likely.
    let secret = BigUint::from_bytes_be(&random::bytes(interp.host, 40)) % (&order - 1_u32) + 1_u32;
    let public = generator.modpow(&secret, &prime);
    let numbers = [prime, order, generator, public, secret].map(|number| der::integer(&number.to_bytes_be()));
    Ok(der::pem("DSA PRIVATE KEY", &der::sequence(&[&[der::integer(&[0])], numbers.as_slice()].concat())))
}

/// Reads the first PEM block of `text` as a private key.
pub(super) fn parse(text: &[u8]) -> Result<PrivateKey, Error> {
    let block = pem::parse(text).map_err(|_| Error::FindPem)?;
    let from_pkcs8 = |document: &[u8], error: Error| KeyPair::try_from(document).map_err(|_| error);
    let pair = match block.tag() {
        "PRIVATE KEY" => from_pkcs8(block.contents(), Error::ParsePkcs8)?,
        "RSA PRIVATE KEY" => {
            let key = rsa::PrivateKey::from_pkcs1_der(block.contents()).map_err(|_| Error::ParseKey("RSA"))?;
            let document = key.to_pkcs8_der().map_err(|_| Error::ParseKey("RSA"))?;
            from_pkcs8(document.as_bytes(), Error::ParseKey("RSA"))?
        }
        "EC PRIVATE KEY" => {
            let curve = [P256, P384].into_iter().find(|curve| contains(block.contents(), curve));
            let algorithm = [EC_PUBLIC_KEY, curve.ok_or(Error::ParseKey("EC"))?].concat();
            from_pkcs8(&pkcs8(&algorithm, block.contents()), Error::ParseKey("EC"))?
        }
        // Go reads such keys but cannot sign certificates with them.
        "DSA PRIVATE KEY" => return Err(Error::ParseKey("DSA")),
        other if other.ends_with(" PRIVATE KEY") => return Err(Error::KnowType(other.to_owned())),
        other => return Err(Error::FindKey(other.to_owned())),
    };
    Ok(PrivateKey { pair, pem: der::pem(block.tag(), block.contents()) })
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    super::super::strings::find(haystack, needle).is_some()
}
