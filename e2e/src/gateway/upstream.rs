//! Towards the API server: as the administrator whom the kubeconfig names.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use secrecy::ExposeSecret as _;

/// A client with the identity and the authorities of `config`.
pub(super) fn client(config: &kube::Config) -> Result<Client> {
    // A connection for each watch: in one of HTTP/2 a client that does not read its watch would hold up all others.
    let mut builder = Client::builder().no_proxy().http1_only();
    for root in config.root_cert.iter().flatten() {
        builder = builder.add_root_certificate(reqwest::Certificate::from_der(root)?);
    }
    let decode = |data: Option<&String>| -> Result<Vec<u8>> {
        let text = data.context("the gateway needs a client certificate in the kubeconfig")?;
        Ok(STANDARD.decode(text)?)
    };
    let mut identity = decode(config.auth_info.client_certificate_data.as_ref())?;
    let key = config.auth_info.client_key_data.as_ref().map(|key| key.expose_secret().to_owned());
    identity.extend(decode(key.as_ref())?);
    Ok(builder.identity(reqwest::Identity::from_pem(&identity)?).build()?)
}
