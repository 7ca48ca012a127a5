//! Hyphen ranges: `1.2 - 2.3` becomes `>= 1.2, <= 2.3` before anything else is read.

use super::partial::Partial;

/// Spells out every hyphen range of a constraint.
///
/// Ranges are found anywhere in the text, even behind an operator; the result is then improper, and
/// the error shows it spelled out, as with Masterminds.
pub(super) fn spelled_out(constraint: &str) -> String {
    let mut out = constraint.to_owned();
    let mut rest = constraint;
    while let Some(first) = rest.chars().next() {
        let Some((range, after)) = Range::cut(rest) else {
            rest = &rest[first.len_utf8()..];
            continue;
        };
        let matched = &rest[..rest.len() - after.len()];
        out = out.replacen(matched, &format!(">= {}, <= {} ", range.from.text, range.to.text), 1);
        rest = after;
    }
    out
}

struct Range<'a> {
    from: Partial<'a>,
    to: Partial<'a>,
}

impl<'a> Range<'a> {
    fn cut(text: &'a str) -> Option<(Self, &'a str)> {
        let (from, rest) = Partial::cut(skip_spaces(text))?;
        let rest = some_spaces(rest)?.strip_prefix('-')?;
        let (to, rest) = Partial::cut(some_spaces(rest)?)?;
        Some((Self { from, to }, skip_spaces(rest)))
    }
}

/// `text` without its leading spaces, as Go's `\s` knows them.
pub(super) fn skip_spaces(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\u{c}', '\r'])
}

fn some_spaces(text: &str) -> Option<&str> {
    let rest = skip_spaces(text);
    (rest.len() < text.len()).then_some(rest)
}
