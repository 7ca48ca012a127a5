//! A token that changes while the connection stays: each request gets the one of the moment.

use std::sync::{Arc, PoisonError, RwLock};

use http::header::{AUTHORIZATION, InvalidHeaderValue};
use http::{HeaderValue, Request};

/// The token that requests are signed with. Clones are handles to the same.
#[derive(Clone, Default)]
pub(crate) struct Bearer(Arc<RwLock<Option<HeaderValue>>>);

impl Bearer {
    /// From now on `token` is used.
    pub(crate) fn set(&self, token: &str) -> Result<(), InvalidHeaderValue> {
        let mut header = HeaderValue::try_from(format!("Bearer {token}"))?;
        header.set_sensitive(true);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(header);
        Ok(())
    }

    /// Puts the token into a request.
    pub(super) fn sign<B>(&self, mut request: Request<B>) -> Request<B> {
        let token = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        request.headers_mut().extend(token.map(|token| (AUTHORIZATION, token)));
        request
    }
}
