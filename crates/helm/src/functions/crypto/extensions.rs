//! What a certificate says beyond names and dates: the extensions that Go writes, in its order and its form.
//!
//! They are written by hand because the order is what makes a certificate as long, and its text as alike, as Go's.

use std::net::IpAddr;

use rcgen::{CustomExtension, PublicKeyData};
use sha2::{Digest as _, Sha256};

use super::der::{sequence, tagged};

const SUBJECT_KEY_ID: [u64; 4] = [2, 5, 29, 14];
const KEY_USAGE: [u64; 4] = [2, 5, 29, 15];
const SUBJECT_ALT_NAME: [u64; 4] = [2, 5, 29, 17];
const BASIC_CONSTRAINTS: [u64; 4] = [2, 5, 29, 19];
const AUTHORITY_KEY_ID: [u64; 4] = [2, 5, 29, 35];
const EXT_KEY_USAGE: [u64; 4] = [2, 5, 29, 37];

/// `serverAuth` and `clientAuth`, 1.3.6.1.5.5.7.3.1 and 2.
const PURPOSES: [&[u8]; 2] = [b"\x2b\x06\x01\x05\x05\x07\x03\x01", b"\x2b\x06\x01\x05\x05\x07\x03\x02"];

/// Bytes of a key's identifier.
const KEY_ID: usize = 20;

/// Another name of what is certified.
pub(super) enum AltName {
    /// A DNS name, in ASCII.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

/// The extensions of an authority with this public key.
pub(super) fn of_authority(key: &impl PublicKeyData) -> Vec<CustomExtension> {
    let id = &Sha256::digest(key.der_bytes())[..KEY_ID];
    let mut all = common(true);
    all.push(extension(&SUBJECT_KEY_ID, false, tagged(4, id)));
    all
}

/// The extensions of a certificate that is no authority: `names`, DNS names first, are all it has if it is `nameless`.
pub(super) fn of_leaf(names: &[AltName], nameless: bool, authority_key_id: Option<&[u8]>) -> Vec<CustomExtension> {
    let mut all = common(false);
    all.extend(authority_key_id.map(|id| extension(&AUTHORITY_KEY_ID, false, sequence(&[tagged(0x80, id)]))));
    if !names.is_empty() {
        let names: Vec<_> = names.iter().map(alt_name).collect();
        all.push(extension(&SUBJECT_ALT_NAME, nameless, sequence(&names)));
    }
    all
}

fn common(is_authority: bool) -> Vec<CustomExtension> {
    // Bits from the left: digital signature, key encipherment, and an authority's signature of certificates.
    let usage: [u8; 2] = if is_authority { [2, 0b1010_0100] } else { [5, 0b1010_0000] };
    let constraints = if is_authority { vec![tagged(1, &[0xff])] } else { Vec::new() };
    let purposes = PURPOSES.map(|purpose| tagged(6, purpose));
    vec![
        extension(&KEY_USAGE, true, tagged(3, &usage)),
        extension(&EXT_KEY_USAGE, false, sequence(&purposes)),
        extension(&BASIC_CONSTRAINTS, true, sequence(&constraints)),
    ]
}

fn alt_name(name: &AltName) -> Vec<u8> {
    match name {
        AltName::Dns(name) => tagged(0x82, name.as_bytes()),
        AltName::Ip(IpAddr::V4(address)) => tagged(0x87, &address.octets()),
        AltName::Ip(IpAddr::V6(address)) => tagged(0x87, &address.octets()),
    }
}

fn extension(oid: &[u64], critical: bool, content: Vec<u8>) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, content);
    extension.set_criticality(critical);
    extension
}
