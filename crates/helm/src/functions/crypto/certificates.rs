//! Certificates: authorities, self-signed and signed ones.

use std::net::IpAddr;
use std::rc::Rc;

use gotmpl::{FuncError, Function, Interp, Object, Str, Type, Value};
use rcgen::string::PrintableString;
use rcgen::{Certificate, CertificateParams, DistinguishedName, DnType, DnValue, Issuer, PublicKeyData, SerialNumber};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::x509::X509Name;

use super::super::arguments::{Outcome, any, int, list, text};
use super::super::encoding::decode_base64;
use super::super::{hosted, pure, random};
use super::der;
use super::extensions::{self, AltName};
use super::keys::{self, PrivateKey, certificate_key};
use crate::host::Host;

/// Go's type of a certificate with its key.
const CERTIFICATE: Type = Type::Named("sprig.certificate");

const DAY_NANOS: i64 = 86_400_000_000_000;

const LEAF: &[Type] = &[Type::String, Type::List, Type::List, Type::Int];
const LEAF_KEY: &[Type] = &[Type::String, Type::List, Type::List, Type::Int, Type::String];
const LEAF_CA: &[Type] = &[Type::String, Type::List, Type::List, Type::Int, CERTIFICATE];
const LEAF_CA_KEY: &[Type] = &[Type::String, Type::List, Type::List, Type::Int, CERTIFICATE, Type::String];

pub(super) const TABLE: &[Function<Host>] = &[
    pure("buildCustomCert", &[Type::String, Type::String], build_custom),
    hosted("genCA", &[Type::String, Type::Int], |interp, args| {
        let key = certificate_key(interp)?;
        authority(interp, args, key)
    }),
    hosted("genCAWithKey", &[Type::String, Type::Int, Type::String], |interp, args| {
        let key = given_key(args, 2)?;
        authority(interp, args, key)
    }),
    hosted("genSelfSignedCert", LEAF, |interp, args| {
        let params = Leaf::of(interp, args)?.finish(None);
        let key = certificate_key(interp)?;
        self_signed(&params, key)
    }),
    hosted("genSelfSignedCertWithKey", LEAF_KEY, |interp, args| {
        let key = given_key(args, 4)?;
        let params = Leaf::of(interp, args)?.finish(None);
        self_signed(&params, key)
    }),
    hosted("genSignedCert", LEAF_CA, |interp, args| {
        let key = certificate_key(interp)?;
        signed(interp, args, key)
    }),
    hosted("genSignedCertWithKey", LEAF_CA_KEY, |interp, args| {
        let key = given_key(args, 5)?;
        signed(interp, args, key)
    }),
];

/// A certificate and its key, both as PEM: `sprig.certificate`.
struct Pair {
    cert: Str,
    key: Str,
}

impl Pair {
    fn into_value(self) -> Value {
        Value::Object(Rc::new(self))
    }
}

impl Object for Pair {
    fn type_name(&self) -> &'static str {
        "sprig.certificate"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(self.cert.clone().into()),
            "Key" => Some(self.key.clone().into()),
            _ => None,
        }
    }

    fn display(&self) -> Str {
        [b"{", self.cert.as_bytes(), b" ", self.key.as_bytes(), b"}"].concat().into()
    }

    fn to_value(&self) -> Value {
        let fields = [("Cert", &self.cert), ("Key", &self.key)];
        gotmpl::Map::any(fields.into_iter().map(|(name, text)| (name.into(), text.clone().into())).collect()).into()
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn given_key(args: &[Value], index: usize) -> Result<PrivateKey, FuncError> {
    keys::parse(text(args, index)?).map_err(|error| FuncError::new(format!("parsing private key: {error}")))
}

#[expect(clippy::needless_pass_by_value, reason = "it is used as the argument of map_err")]
fn not_created(error: rcgen::Error) -> FuncError {
    FuncError::new(format!("error creating certificate: x509: {error}"))
}

/// What every certificate has in common.
fn base(interp: &Interp<'_, Host>, name: &[u8], days: i64) -> CertificateParams {
    let now = interp.host.now().timestamp().as_nanosecond();
    // The lifetime is a time.Duration: beyond 292 years it wraps around, as in Helm.
    let until = now + i128::from(days.wrapping_mul(DAY_NANOS));
    let instant = |nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut params = CertificateParams::default();
    params.not_before = instant(now);
    params.not_after = instant(until);
    params.serial_number = Some(serial(interp.host));
    params.distinguished_name = DistinguishedName::new();
    if !name.is_empty() {
        let name = String::from_utf8_lossy(name).into_owned();
        let name = PrintableString::try_from(name.as_str()).map_or(DnValue::Utf8String(name), DnValue::PrintableString);
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params
}

/// A random positive number of up to 128 bits.
fn serial(host: &Host) -> SerialNumber {
    let bytes = random::bytes(host, 16);
    let digits: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    SerialNumber::from_slice(if digits.is_empty() { &[1] } else { &digits })
}

fn authority(interp: &Interp<'_, Host>, args: &[Value], key: PrivateKey) -> Outcome {
    let mut params = base(interp, text(args, 0)?, int(args, 1)?);
    params.custom_extensions = extensions::of_authority(&key.pair);
    self_signed(&params, key)
}

/// A certificate that is no authority: `NAME IPS DNS-NAMES DAYS`.
struct Leaf<'v> {
    params: CertificateParams,
    name: &'v [u8],
    alt_names: Vec<AltName>,
}

impl<'v> Leaf<'v> {
    fn of(interp: &Interp<'_, Host>, args: &'v [Value]) -> Result<Self, FuncError> {
        let addresses = list(args, 1)?.items().iter().map(address).collect::<Result<Vec<_>, _>>()?;
        let names = list(args, 2)?.items().iter().map(dns_name).collect::<Result<Vec<_>, _>>()?;
        let name = text(args, 0)?;
        let params = base(interp, name, int(args, 3)?);
        Ok(Self { params, name, alt_names: names.into_iter().chain(addresses).collect() })
    }

    /// What is certified, by `authority` or by itself.
    fn finish(self, authority: Option<&X509Certificate<'_>>) -> CertificateParams {
        let Self { mut params, name, alt_names } = self;
        // One of its authority's own name is taken for signed by itself.
        let id = authority.filter(|authority| !is_named(authority.subject(), name)).and_then(key_id);
        params.custom_extensions = extensions::of_leaf(&alt_names, name.is_empty(), id);
        params
    }
}

/// Whether a subject says nothing but this common name.
fn is_named(subject: &X509Name<'_>, name: &[u8]) -> bool {
    let mut attributes = subject.iter_attributes();
    match (attributes.next(), attributes.next()) {
        (None, _) => name.is_empty(),
        (Some(only), None) => subject.iter_common_name().next().is_some() && only.as_slice() == name,
        (Some(_), Some(_)) => false,
    }
}

/// The identifier of a certificate's key, if it has one.
fn key_id<'c>(certificate: &'c X509Certificate<'_>) -> Option<&'c [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

fn address(value: &Value) -> Result<AltName, FuncError> {
    let shown = gotmpl::display(value);
    let Value::String(text) = value else {
        return Err(FuncError::new(format!("error parsing ip: {} is not a string", shown.to_lossy())));
    };
    let parsed = text.as_str().and_then(|text| text.parse::<IpAddr>().ok());
    let address = parsed.ok_or_else(|| FuncError::new(format!("error parsing ip: {}", shown.to_lossy())))?;
    Ok(AltName::Ip(address.to_canonical()))
}

fn dns_name(value: &Value) -> Result<AltName, FuncError> {
    let shown = gotmpl::display(value);
    let Value::String(text) = value else {
        let message = format!("error processing alternate dns name: {} is not a string", shown.to_lossy());
        return Err(FuncError::new(message));
    };
    let name = text.as_str().filter(|text| text.is_ascii()).map(str::to_owned).ok_or_else(|| {
        let quoted = gotmpl::quote(text.as_bytes());
        let message = format!("error creating certificate: x509: {quoted} cannot be encoded as an IA5String");
        FuncError::new(message)
    })?;
    Ok(AltName::Dns(name))
}

fn finished(certificate: &Certificate, key: PrivateKey) -> Value {
    Pair { cert: der::pem("CERTIFICATE", certificate.der()).into(), key: key.pem.into() }.into_value()
}

fn self_signed(params: &CertificateParams, key: PrivateKey) -> Outcome {
    let certificate = params.self_signed(&key.pair).map_err(not_created)?;
    Ok(finished(&certificate, key))
}

fn signed(interp: &Interp<'_, Host>, args: &[Value], key: PrivateKey) -> Outcome {
    let authority = match any(args, 4) {
        Value::Object(object) => object.as_any().downcast_ref::<Pair>(),
        _ => None,
    };
    let authority = authority.ok_or_else(|| FuncError::new("the argument is not a sprig.certificate"))?;
    let block = pem::parse(authority.cert.as_bytes()).map_err(|_| FuncError::new("unable to decode certificate"))?;
    let signer_key = keys::parse(authority.key.as_bytes())
        .map_err(|error| FuncError::new(format!("error parsing private key: {error}")))?;
    let parent = certificate_of(block.contents())?;
    if *parent.public_key().subject_public_key.data != *signer_key.pair.der_bytes() {
        let message = "error creating certificate: x509: provided PrivateKey doesn't match parent's PublicKey";
        return Err(FuncError::new(message));
    }
    let params = Leaf::of(interp, args)?.finish(Some(&parent));
    let issuer = Issuer::from_ca_cert_der(&block.contents().into(), signer_key.pair).map_err(not_created)?;
    let certificate = params.signed_by(&key.pair, &issuer).map_err(not_created)?;
    Ok(finished(&certificate, key))
}

/// A certificate, or Sprig's complaint about its bytes.
fn certificate_of(bytes: &[u8]) -> Result<X509Certificate<'_>, FuncError> {
    let parsed = x509_parser::parse_x509_certificate(bytes).map(|(_, certificate)| certificate);
    parsed.map_err(|_| FuncError::new("error parsing certificate: decodedCert.Bytes: x509: malformed certificate"))
}

/// `buildCustomCert CERTIFICATE KEY`, both base64 of PEM.
fn build_custom(args: &[Value]) -> Outcome {
    let unreadable = |what: &str| FuncError::new(format!("unable to decode base64 {what}"));
    let cert = decode_base64(text(args, 0)?).map_err(|_| unreadable("certificate"))?;
    let key = decode_base64(text(args, 1)?).map_err(|_| unreadable("private key"))?;
    let block = pem::parse(&cert).map_err(|_| FuncError::new("unable to decode certificate"))?;
    certificate_of(block.contents())?;
    keys::parse(&key).map_err(|error| FuncError::new(format!("error parsing private key: {error}")))?;
    Ok(Pair { cert: cert.into(), key: key.into() }.into_value())
}
