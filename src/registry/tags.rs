//! The tags of one repository, all pages.

use std::sync::Arc;

use reqwest::header::LINK;
use serde::Deserialize;

use super::error::{Detail, Error};
use super::resolve;
use super::transport::{Answer, Session};

/// Tags asked for per page. Registries that allow fewer answer with fewer.
const PAGE: usize = 1000;

/// Most tags of one repository. Beyond that a constraint is no way to name a version.
const MAX_TAGS: usize = 250_000;

/// Most bytes of one page: registries without pagination send everything at once.
const MAX_PAGE_BYTES: u64 = 32 * 1024 * 1024;

/// Most bytes of all pages together.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Most pages, against a registry whose pages never end.
const MAX_PAGES: usize = 500;

/// One page. Registries send `null`, or nothing, for a repository whose tags were all deleted.
#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

/// Lists the tags of `repository` that can be versions, in the registry's order. Others, such as `latest` and the tags
/// of signatures, answer no question about versions.
pub(super) async fn list(session: &Session<'_>, repository: &str) -> Result<Arc<[String]>, Error> {
    session.stats().tag_lists.add(1);
    let mut tags = Vec::new();
    let mut room = MAX_BYTES;
    let mut next = Some(session.url(&format!("{repository}/tags/list?n={PAGE}"))?);
    for _ in 0..MAX_PAGES {
        let Some(url) = next else {
            return Ok(tags.into());
        };
        let answer = session.get_at(url.clone(), "application/json").await?;
        let link = answer.header(&LINK).and_then(next_page);
        next = link.map(|link| session.link(answer.url(), &link)).transpose()?;
        if next.as_ref() == Some(&url) {
            return Err(unexpected(session, answer.host(), "a page of tags that is followed by itself"));
        }
        let (page, size) = page(session, answer, room.min(MAX_PAGE_BYTES)).await?;
        room -= size.min(room);
        tags.extend(page.into_iter().filter(|tag| resolve::can_be_version(tag)));
        if tags.len() > MAX_TAGS {
            return Err(too_large(session, MAX_TAGS, "tags"));
        }
    }
    Err(too_large(session, MAX_PAGES, "pages"))
}

async fn page(session: &Session<'_>, answer: Answer<'_>, limit: u64) -> Result<(Vec<String>, u64), Error> {
    let host = answer.host();
    let answer = answer.success().await?;
    let body = answer.body(limit, LIST).await?;
    let page: TagPage = serde_json::from_slice(&body)
        .map_err(|_| unexpected(session, host, "no list of tags; is it an OCI registry?"))?;
    Ok((page.tags.unwrap_or_default(), body.len() as u64))
}

/// The list in errors, and the way around it.
const LIST: &str = "the list of tags, which an exact version would not need,";

fn too_large(session: &Session<'_>, limit: usize, unit: &'static str) -> Error {
    Error::TooLarge { attempt: session.attempt().clone(), what: LIST, limit: limit as u64, unit }
}

fn unexpected(session: &Session<'_>, host: String, what: &str) -> Error {
    Error::Unexpected { attempt: session.attempt().clone(), host, what: what.to_owned(), detail: Detail::default() }
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
