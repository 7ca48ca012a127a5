//! The tags of one repository, all pages.

use std::sync::Arc;

use reqwest::header::LINK;
use serde::Deserialize;

use super::error::{Detail, Error};
use super::transport::{Answer, Session};

/// Tags asked for per page. Registries that allow fewer answer with fewer.
const PAGE: usize = 1000;

/// Most tags of one repository. Beyond that a constraint is no way to name a version.
const MAX_TAGS: usize = 250_000;

/// Most bytes of one page: registries without pagination send everything at once.
const MAX_PAGE_BYTES: u64 = 32 * 1024 * 1024;

/// Most pages, against a registry whose pages never end.
const MAX_PAGES: usize = 5_000;

/// One page. Registries send `null`, or nothing, for a repository whose tags were all deleted.
#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

/// Lists the tags of `repository`, in the registry's order.
pub(super) async fn list(session: &Session<'_>, repository: &str) -> Result<Arc<[String]>, Error> {
    session.stats().tag_lists.add(1);
    let mut tags = Vec::new();
    let mut next = Some(format!("{repository}/tags/list?n={PAGE}"));
    for _ in 0..MAX_PAGES {
        let Some(path) = next else {
            return Ok(tags.into());
        };
        let answer = session.get(&path, "application/json").await?;
        next = match answer.header(&LINK) {
            Some(link) => next_page(link),
            None => None,
        };
        tags.extend(page(session, answer).await?);
        if tags.len() > MAX_TAGS {
            break;
        }
    }
    Err(Error::TooLarge {
        attempt: session.attempt().clone(),
        what: "the list of tags",
        limit: MAX_TAGS as u64,
        unit: "tags",
    })
}

async fn page(session: &Session<'_>, answer: Answer<'_>) -> Result<Vec<String>, Error> {
    let host = answer.host();
    let answer = answer.success().await?;
    let body = answer.body(MAX_PAGE_BYTES, "a page of the list of tags").await?;
    let page: TagPage = serde_json::from_slice(&body).map_err(|_| Error::Unexpected {
        attempt: session.attempt().clone(),
        host,
        what: "no list of tags; is it an OCI registry?".to_owned(),
        detail: Detail::default(),
    })?;
    Ok(page.tags.unwrap_or_default())
}

/// The target of a `Link` header's `rel="next"`.
fn next_page(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (target, parameters) = part.trim().strip_prefix('<')?.split_once('>')?;
        let next = parameters.split(';').any(|parameter| {
            let parameter = parameter.trim();
            parameter.eq_ignore_ascii_case("rel=\"next\"") || parameter.eq_ignore_ascii_case("rel=next")
        });
        next.then(|| target.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_target_of_the_link_with_rel_next() {
        let cases = [
            ("</v2/a/tags/list?last=x&n=2>; rel=\"next\"", Some("/v2/a/tags/list?last=x&n=2")),
            ("<https://h/v2/a/tags/list?n=2>; rel=next", Some("https://h/v2/a/tags/list?n=2")),
            ("</first>; rel=\"first\", </next>; rel=\"next\"", Some("/next")),
            ("</first>; rel=\"first\"", None),
            ("nonsense", None),
        ];
        for (link, expected) in cases {
            assert_eq!(next_page(link).as_deref(), expected, "{link}");
        }
    }
}
