//! The patterns of `.Files.Glob`: `*` and `?` stay within a path element, `**` does not, `[!a-z]`, `{a,b}`, `\`.

use std::collections::BTreeSet;

/// Why a pattern cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadGlob {
    /// It has no meaning. Helm then matches every file.
    #[error("the pattern is malformed")]
    Malformed,
    /// Helm has no limit.
    #[error("the pattern is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Helm has no limit.
    #[error("the pattern has braces nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Literal(char),
    /// `?`
    OneInElement,
    /// `*`
    ManyInElement,
    /// `**`
    Many,
    /// `[abc]`, `[!a-z]`
    Class {
        negated: bool,
        chars: Vec<char>,
        range: Option<(char, char)>,
    },
    /// `{a,b}`
    Alternatives(Vec<Vec<Self>>),
}

impl Glob {
    /// Reads a pattern.
    pub(super) fn parse(pattern: &str) -> Result<Self, BadGlob> {
        if pattern.len() > MAX_BYTES {
            return Err(BadGlob::TooLong);
        }
        let mut parser = Parser { rest: pattern.chars().collect(), depth: 0 };
        parser.rest.reverse();
        parser.terms().map(Self)
    }

    /// Whether the whole of `path` matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        ends(&self.0, &path, BTreeSet::from([0])).contains(&path.len())
    }
}

/// Where in `path` the terms can end if they begin at one of `starts`.
fn ends(terms: &[Term], path: &[char], starts: BTreeSet<usize>) -> BTreeSet<usize> {
    terms.iter().fold(starts, |starts, term| match term {
        Term::Many => starts.first().map(|first| (*first..=path.len()).collect()).unwrap_or_default(),
        Term::ManyInElement => starts.into_iter().flat_map(|start| start..=end_of_element(path, start)).collect(),
        Term::Alternatives(alternatives) => {
            alternatives.iter().flat_map(|terms| ends(terms, path, starts.clone())).collect()
        }
        single => {
            let accepted = starts.into_iter().filter(|at| path.get(*at).is_some_and(|c| single.accepts(*c)));
            accepted.map(|at| at + 1).collect()
        }
    })
}

fn end_of_element(path: &[char], start: usize) -> usize {
    path[start..].iter().position(|c| *c == '/').map_or(path.len(), |length| start + length)
}

impl Term {
    /// Whether a term that stands for one character stands for this one.
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Literal(literal) => c == *literal,
            Self::OneInElement => c != '/',
            Self::Class { negated, chars, range } => {
                let listed = chars.contains(&c) || range.is_some_and(|(low, high)| (low..=high).contains(&c));
                listed != *negated
            }
            Self::ManyInElement | Self::Many | Self::Alternatives(_) => false,
        }
    }
}

/// Nested braces beyond this are refused.
const MAX_DEPTH: usize = 32;

/// Patterns longer than this are refused.
const MAX_BYTES: usize = 4096;

struct Parser {
    /// What is left of the pattern, last character first.
    rest: Vec<char>,
    /// How many braces are open.
    depth: usize,
}

impl Parser {
    /// Reads terms up to the end, or within braces up to a `,` or `}`, which stays.
    fn terms(&mut self) -> Result<Vec<Term>, BadGlob> {
        let mut terms = Vec::new();
        while let Some(&next) = self.rest.last() {
            if self.depth > 0 && matches!(next, ',' | '}') {
                break;
            }
            self.rest.pop();
            match next {
                '*' if self.rest.last() == Some(&'*') => {
                    self.rest.pop();
                    terms.push(Term::Many);
                }
                '*' => terms.push(Term::ManyInElement),
                '?' => terms.push(Term::OneInElement),
                '[' => terms.push(self.class()?),
                '{' => terms.push(self.alternatives()?),
                '\\' => terms.extend(self.rest.pop().map(Term::Literal)),
                literal => terms.push(Term::Literal(literal)),
            }
        }
        Ok(terms)
    }

    /// Reads what follows a `{`. A missing `}` is forgiven.
    fn alternatives(&mut self) -> Result<Term, BadGlob> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(BadGlob::TooDeep);
        }
        let mut alternatives = vec![self.terms()?];
        while self.rest.pop() == Some(',') {
            alternatives.push(self.terms()?);
        }
        self.depth -= 1;
        Ok(Term::Alternatives(alternatives))
    }

    /// Reads what follows a `[`: either one range or a list.
    fn class(&mut self) -> Result<Term, BadGlob> {
        let negated = self.rest.last() == Some(&'!');
        if negated {
            self.rest.pop();
        }
        if let [.., high, '-', low] = self.rest[..] {
            self.rest.truncate(self.rest.len() - 3);
            let closed = self.rest.pop() == Some(']');
            let range = Some((low, high));
            return if closed && low <= high {
                Ok(Term::Class { negated, chars: Vec::new(), range })
            } else {
                Err(BadGlob::Malformed)
            };
        }
        let mut chars = Vec::new();
        loop {
            match self.rest.pop().ok_or(BadGlob::Malformed)? {
                ']' if chars.is_empty() => return Err(BadGlob::Malformed),
                ']' => return Ok(Term::Class { negated, chars, range: None }),
                '\\' => chars.push(self.rest.pop().ok_or(BadGlob::Malformed)?),
                c => chars.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_helm() {
        for (pattern, path, expected) in [
            ("*", "a.txt", true),
            ("*", "d/a.txt", false),
            ("**", "d/a.txt", true),
            ("d/*", "d/a.txt", true),
            ("d/**", "d/e/a.txt", true),
            ("**.txt", "d/e/a.txt", true),
            ("*/a.txt", "d/a.txt", true),
            ("?.txt", "a.txt", true),
            ("?", "/", false),
            ("{a,b}.txt", "b.txt", true),
            ("{a,b/*}.txt", "b/c.txt", true),
            ("{a,{b,c}}", "c", true),
            ("[abc].txt", "b.txt", true),
            ("[!abc].txt", "b.txt", false),
            ("[a-c]", "b", true),
            ("[!a-c]", "d", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("", "", true),
            ("a,b", "a,b", true),
        ] {
            assert_eq!(Glob::parse(pattern).map(|g| g.matches(path)), Ok(expected), "{pattern:?} on {path:?}");
        }
        for pattern in ["[", "[]", "[a", "[a-", "[c-a]", "[a-c"] {
            assert_eq!(Glob::parse(pattern), Err(BadGlob::Malformed), "{pattern:?}");
        }
        assert_eq!(Glob::parse(&"a".repeat(MAX_BYTES + 1)), Err(BadGlob::TooLong));
        assert_eq!(Glob::parse(&"{a,".repeat(MAX_DEPTH + 1)), Err(BadGlob::TooDeep));
    }
}
