//! Why the certificate of an API server is not accepted, in words. Pure.

use std::error::Error;

use rustls::CertificateError as Wrong;

use crate::chain::find;

/// What is wrong with the certificate, if `error` is about one; `trusted` says whose authorities are trusted.
pub(super) fn trouble(error: &(dyn Error + 'static), trusted: &str) -> Option<String> {
    let rustls::Error::InvalidCertificate(wrong) = find::<rustls::Error>(error)? else { return None };
    Some(match wrong {
        Wrong::UnknownIssuer => format!("its certificate is signed by none of the authorities in {trusted}"),
        Wrong::BadSignature | Wrong::UnhandledCriticalExtension => {
            format!("its certificate does not hold against the authorities in {trusted}: {wrong}")
        }
        Wrong::Expired | Wrong::ExpiredContext { .. } | Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
            format!("its certificate is not valid now: {wrong}")
        }
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
            format!("its certificate is for another name: {wrong}")
        }
        _ => format!("its certificate is not accepted: {wrong}"),
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::CertificateError as Wrong;

    use super::trouble;

    #[test]
    fn what_is_wrong_is_found_below_what_hides_it() {
        let of = |wrong: Wrong| {
            let error = io::Error::other(io::Error::other(rustls::Error::InvalidCertificate(wrong)));
            trouble(&error, "ca.crt").expect("it is about a certificate")
        };
        assert_eq!(of(Wrong::UnknownIssuer), "its certificate is signed by none of the authorities in ca.crt");
        assert!(of(Wrong::BadSignature).contains("ca.crt"));
        assert!(of(Wrong::Expired).starts_with("its certificate is not valid now"));
        assert!(of(Wrong::NotValidForName).starts_with("its certificate is for another name"));
        assert!(of(Wrong::Revoked).starts_with("its certificate is not accepted"));
        assert_eq!(trouble(&io::Error::other(rustls::Error::DecryptError), "ca.crt"), None);
    }
}
