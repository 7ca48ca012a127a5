//! Shell patterns as Go's `filepath.Match` reads them: `*`, `?`, `[…]` and `\`, none of which crosses a slash.

/// The pattern has an unfinished `[…]` or `\`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

/// Whether the whole of `name` matches `pattern`.
///
/// As in Go, a malformed pattern is only noticed where matching reaches it.
pub fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let mut rest = pattern.as_slice();
    let mut name = name.as_slice();
    while !rest.is_empty() {
        let (star, chunk, after) = next_chunk(rest);
        rest = after;
        if star && chunk.is_empty() {
            return Ok(!name.contains(&'/'));
        }
        let Some(remaining) = chunk_matches_somewhere(chunk, name, star, rest.is_empty())? else { return Ok(false) };
        name = remaining;
    }
    Ok(name.is_empty())
}

/// Splits off leading stars and the literal part up to the next star.
fn next_chunk(pattern: &[char]) -> (bool, &[char], &[char]) {
    let stars = pattern.iter().take_while(|c| **c == '*').count();
    let body = &pattern[stars..];
    let mut in_range = false;
    let mut index = 0;
    while index < body.len() {
        match body[index] {
            '\\' => index += 1,
            '[' => in_range = true,
            ']' => in_range = false,
            '*' if !in_range => break,
            _ => {}
        }
        index += 1;
    }
    let end = index.min(body.len());
    (stars > 0, &body[..end], &body[end..])
}

/// Matches `chunk` at the start of `name`, or with a star before it anywhere up to the next slash.
fn chunk_matches_somewhere<'n>(
    chunk: &[char],
    name: &'n [char],
    star: bool,
    last: bool,
) -> Result<Option<&'n [char]>, BadPattern> {
    let mut start = 0;
    loop {
        if let Some(rest) = match_chunk(chunk, &name[start..])?
            && (!last || rest.is_empty())
        {
            return Ok(Some(rest));
        }
        if !star || start >= name.len() || name[start] == '/' {
            return Ok(None);
        }
        start += 1;
    }
}

/// Matches the star-free `chunk` against the start of `name`; the rest of the name if it matches.
fn match_chunk<'n>(mut chunk: &[char], name: &'n [char]) -> Result<Option<&'n [char]>, BadPattern> {
    let mut rest = Some(name);
    while let Some(&first) = chunk.first() {
        let next = rest.and_then(|rest| rest.first().copied());
        let accepted;
        (accepted, chunk) = match first {
            '[' => match_range(&chunk[1..], next)?,
            '?' => (next.is_some_and(|c| c != '/'), &chunk[1..]),
            '\\' => {
                let literal = chunk.get(1).ok_or(BadPattern)?;
                (next == Some(*literal), &chunk[2..])
            }
            literal => (next == Some(literal), &chunk[1..]),
        };
        // After a mismatch the chunk is still read to its end, to find syntax errors.
        rest = rest.filter(|_| accepted).map(|rest| &rest[1..]);
    }
    Ok(rest)
}

/// Matches one character against the range after `[`; also what follows the closing `]`.
fn match_range(mut range: &[char], c: Option<char>) -> Result<(bool, &[char]), BadPattern> {
    let negated = range.first() == Some(&'^');
    if negated {
        range = &range[1..];
    }
    let mut found = false;
    let mut count = 0;
    loop {
        if range.first() == Some(&']') && count > 0 {
            return Ok((c.is_some() && found != negated, &range[1..]));
        }
        let low;
        (low, range) = range_bound(range)?;
        let mut high = low;
        if range.first() == Some(&'-') {
            (high, range) = range_bound(&range[1..])?;
        }
        found |= c.is_some_and(|c| (low..=high).contains(&c));
        count += 1;
    }
}

fn range_bound(range: &[char]) -> Result<(char, &[char]), BadPattern> {
    let (bound, rest) = match range {
        ['\\', escaped, rest @ ..] => (*escaped, rest),
        [] | ['-' | ']' | '\\', ..] => return Err(BadPattern),
        [plain, rest @ ..] => (*plain, rest),
    };
    if rest.is_empty() { Err(BadPattern) } else { Ok((bound, rest)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, name, expected) in [
            ("abc", "abc", Ok(true)),
            ("*", "abc", Ok(true)),
            ("*c", "abc", Ok(true)),
            ("a*", "ab/c", Ok(false)),
            ("a*/b", "abc/b", Ok(true)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", Ok(true)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Ok(true)),
            ("ab[c]", "abc", Ok(true)),
            ("ab[b-d]", "abc", Ok(true)),
            ("ab[^c]", "abc", Ok(false)),
            ("a\\*b", "a*b", Ok(true)),
            ("a?b", "a/b", Ok(false)),
            ("[a-ζ]*", "α", Ok(true)),
            ("*[a-ζ]", "A", Ok(false)),
            ("[\\]a]", "]", Ok(true)),
            ("[-]", "-", Err(BadPattern)),
            ("[", "a", Err(BadPattern)),
            ("a[", "ab", Err(BadPattern)),
            ("\\", "a", Err(BadPattern)),
            ("*x", "xxx", Ok(true)),
            // What comes behind the part that does not match is not looked at.
            ("x*[", "abc", Ok(false)),
            ("x*y[", "abc", Ok(false)),
            ("a*[", "abc", Err(BadPattern)),
            ("x[", "abc", Err(BadPattern)),
            ("*c*[", "abc", Err(BadPattern)),
            ("templates/.?*", "templates/.dot", Ok(true)),
            ("templates/.?*", "templates/x", Ok(false)),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern:?} on {name:?}");
        }
    }
}
