//! An error and its causes: in one line, for people, and one by one.

use std::error::Error;
use std::io;

use kube::core::Status;

/// An error and its sources in one line, each once; what the API server answered in its own words.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = words(error);
    let mut source = error.source();
    while let Some(cause) = source {
        let (raw, plain) = (cause.to_string(), words(cause));
        if let Some(before) = text.strip_suffix(&raw) {
            text.truncate(before.len());
            text.push_str(&plain);
        } else if !text.ends_with(&plain) {
            text.push_str(": ");
            text.push_str(&plain);
        }
        source = cause.source();
    }
    text
}

/// An error without what it comes from. That of a client's prints what the API server answered as a structure of Rust's.
fn words(error: &(dyn Error + 'static)) -> String {
    let boxed = error.downcast_ref::<Box<kube::Error>>().map(|boxed| &**boxed);
    let answer = error.downcast_ref::<Status>().or_else(|| error.downcast_ref::<Box<Status>>().map(|boxed| &**boxed));
    match (error.downcast_ref::<kube::Error>().or(boxed), answer) {
        (Some(kube::Error::Api(status)), _) => answered(status),
        (_, Some(status)) => answered(status),
        (Some(kube::Error::Service(source)), _) => source.to_string(),
        _ => error.to_string(),
    }
}

fn answered(status: &Status) -> String {
    match status.message.as_str() {
        "" => format!("the API server answered {} {}", status.code, status.reason),
        message => message.to_owned(),
    }
}

/// The causes of `error`, itself first. An `io::Error` hides what it wraps from `source`, so it is opened here.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn Error + 'static)| {
        let cause: &'a (dyn Error + 'static) = *cause;
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => cause.source(),
        }
    })
}

/// The first cause of this type.
pub(crate) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::{Status, chain};

    #[derive(Debug, thiserror::Error)]
    #[error("failed to read it")]
    struct Read(#[source] kube::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("failed to read it")]
    struct ReadBoxed(#[source] Box<kube::Error>);

    /// One whose text ends with that of its cause.
    #[derive(Debug, thiserror::Error)]
    #[error("failed to list: {0}")]
    struct Quotes(#[source] kube::Error);

    fn forbidden() -> kube::Error {
        kube::Error::Api(
            Status::failure("secrets is forbidden: User \"eve\" cannot list", "Forbidden").with_code(403).boxed(),
        )
    }

    #[test]
    fn what_the_api_server_answered_is_told_in_its_words() {
        let told = "secrets is forbidden: User \"eve\" cannot list";
        assert_eq!(chain(&forbidden()), told);
        assert_eq!(chain(&Read(forbidden())), format!("failed to read it: {told}"));
        assert_eq!(chain(&ReadBoxed(Box::new(forbidden()))), format!("failed to read it: {told}"));
        assert_eq!(chain(&Quotes(forbidden())), format!("failed to list: {told}"));
        let silent = kube::Error::Api(Status::failure("", "Conflict").with_code(409).boxed());
        assert_eq!(chain(&silent), "the API server answered 409 Conflict");
    }

    #[test]
    fn no_answer_is_told_by_its_causes() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "nobody listens");
        assert_eq!(chain(&Read(kube::Error::Service(Box::new(refused)))), "failed to read it: nobody listens");
    }
}
