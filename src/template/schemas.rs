//! Schemas that a chart refers to by address: fetched as the operator fetches them, refused in Helm's words.

use std::sync::{Arc, OnceLock};

use helm::engine::{SchemaFetchError, SchemaSource};
use reqwest::StatusCode;
use tokio::runtime::Runtime;

use super::pull;
use crate::registry::{Registry, SchemaError, Schemas};

/// Starts a client when the first schema is asked for: most charts refer to none.
#[derive(Default)]
pub(super) struct Remote {
    client: OnceLock<Result<(Runtime, Schemas), String>>,
}

impl SchemaSource for Remote {
    fn schema(&self, url: &str) -> Result<Arc<[u8]>, SchemaFetchError> {
        let client = self.client.get_or_init(|| {
            let runtime = pull::runtime().map_err(|error| error.to_string())?;
            Ok((runtime, Registry::new(&pull::no_cache()).schemas(Vec::new())))
        });
        let (runtime, schemas) = client.as_ref().map_err(SchemaFetchError::new)?;
        schemas.fetch_blocking(url, runtime.handle()).map_err(|error| words(url, &error))
    }
}

/// Helm tells a status from a request that got none; that a rule forbids to ask are our own words.
fn words(url: &str, error: &SchemaError) -> SchemaFetchError {
    let (SchemaError::Refused { why, .. } | SchemaError::Unavailable { why, .. }) = error;
    let status = why.strip_prefix("status ").and_then(|code| StatusCode::from_bytes(code.as_bytes()).ok());
    match status {
        Some(status) => {
            let reason = status.canonical_reason().unwrap_or_default();
            let code = status.as_u16();
            SchemaFetchError::new(format_args!("HTTP request to {url} returned status {code} ({reason})"))
        }
        None if error.is_refusal() => SchemaFetchError::new(why),
        None => SchemaFetchError::new(format_args!("HTTP request failed for {url}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_is_not_there_is_told_as_helm_tells_it() {
        let url = "https://example.com/x.json";
        let unavailable = |why: &str| SchemaError::Unavailable { url: url.to_owned(), why: why.to_owned() };
        let refused = SchemaError::Refused { url: url.to_owned(), why: "only https is fetched".to_owned() };
        for (error, expected) in [
            (unavailable("status 404"), "HTTP request to https://example.com/x.json returned status 404 (Not Found)"),
            (unavailable("status 599"), "HTTP request to https://example.com/x.json returned status 599 ()"),
            (unavailable("refused"), "HTTP request failed for https://example.com/x.json: refused"),
            (refused, "only https is fetched"),
        ] {
            assert_eq!(words(url, &error).to_string(), expected);
        }
    }
}
