//! Go's regular expression syntax (RE2 with Perl extensions), read into a tree, with Go's error texts.

/// Levels of nested groups.
const MAX_DEPTH: usize = 200;
/// Go's words for too many of them, of which it allows 1,000.
const TOO_DEEP: &str = "expression nests too deeply";

/// How often a repetition may repeat.
const MAX_REPEAT: u32 = 1_000;

/// Flags in force at some place of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are the four independent flags of the syntax")]
pub(super) struct Flags {
    /// `i`: upper and lower case match each other.
    pub(super) fold: bool,
    /// `m`: `^` and `$` match at line breaks too.
    pub(super) multi_line: bool,
    /// `s`: `.` matches a line break.
    pub(super) dot_all: bool,
    /// `U`: repetitions prefer fewer.
    pub(super) lazy: bool,
}

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// One character.
    Literal(char, Flags),
    /// `.`
    Dot(Flags),
    /// A character class, already in the notation of the `regex` crate.
    Class(String, Flags),
    /// `^`, `$`, `\A`, `\z`, `\b`, `\B`, in the notation of the `regex` crate.
    Assertion(&'static str),
    /// `x*` and its like.
    Repeat { node: Box<Self>, min: u32, max: Option<u32>, lazy: bool },
    /// One after the other.
    Concat(Vec<Self>),
    /// One or the other.
    Alternate(Vec<Self>),
    /// A group; its number is the count of those that open before it.
    Capture(Box<Self>),
}

/// A parsed expression.
pub(super) struct Expression {
    pub(super) root: Node,
    /// Names of the groups, empty for unnamed ones; the first is the whole match.
    pub(super) names: Vec<String>,
}

/// Why Go refuses an expression, in Go's words.
#[derive(Debug, thiserror::Error)]
#[error("error parsing regexp: {reason}: `{excerpt}`")]
pub(super) struct SyntaxError {
    reason: &'static str,
    excerpt: String,
}

impl SyntaxError {
    /// `excerpt` is refused for `reason`.
    pub(super) fn new(reason: &'static str, excerpt: &str) -> Self {
        Self { reason, excerpt: excerpt.to_owned() }
    }

    /// Whether it is only too deep.
    pub(super) fn is_limit(&self) -> bool {
        self.reason == TOO_DEEP
    }
}

type Parsed<T> = Result<T, SyntaxError>;

fn refuse<T>(reason: &'static str, excerpt: &str) -> Parsed<T> {
    Err(SyntaxError::new(reason, excerpt))
}

/// Reads an expression.
pub(super) fn parse(pattern: &[u8]) -> Parsed<Expression> {
    let Ok(pattern) = std::str::from_utf8(pattern) else {
        return refuse("invalid UTF-8", &String::from_utf8_lossy(pattern));
    };
    let mut parser = Parser {
        pattern,
        rest: pattern,
        flags: Flags::default(),
        open: vec![Group::default()],
        names: vec![String::new()],
    };
    let mut last_repeat = None;
    while !parser.rest.is_empty() {
        let before = parser.rest;
        let repeated = parser.parse_item(last_repeat)?;
        last_repeat = repeated.then_some(before);
    }
    let last = parser.open.pop();
    match last {
        Some(group) if parser.open.is_empty() => Ok(Expression { root: group.close(), names: parser.names }),
        _ => refuse("missing closing )", pattern),
    }
}

/// A group that is still open.
#[derive(Default)]
struct Group {
    captures: bool,
    /// The flags to restore behind it.
    outer: Flags,
    alternatives: Vec<Node>,
    sequence: Vec<Node>,
}

impl Group {
    fn close(self) -> Node {
        let Self { captures, alternatives, sequence, .. } = self;
        let last = Node::Concat(sequence);
        let node = if alternatives.is_empty() {
            last
        } else {
            Node::Alternate(alternatives.into_iter().chain([last]).collect())
        };
        if captures { Node::Capture(Box::new(node)) } else { node }
    }
}

pub(super) struct Parser<'p> {
    pattern: &'p str,
    pub(super) rest: &'p str,
    pub(super) flags: Flags,
    open: Vec<Group>,
    names: Vec<String>,
}

impl<'p> Parser<'p> {
    /// What was read since `before`.
    pub(super) fn since(&self, before: &'p str) -> &'p str {
        &before[..before.len() - self.rest.len()]
    }

    pub(super) fn eat(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let next = letters.next();
        self.rest = letters.as_str();
        next
    }

    fn push(&mut self, node: Node) {
        if let Some(group) = self.open.last_mut() {
            group.sequence.push(node);
        }
    }

    /// Reads one item; true if it was a repetition. `last_repeat` is where one began that ended right here.
    fn parse_item(&mut self, last_repeat: Option<&'p str>) -> Parsed<bool> {
        let before = self.rest;
        match self.next() {
            Some('(') => self.parse_group(before)?,
            Some('|') => self.alternate(),
            Some(')') => self.close_group()?,
            Some('^') => self.push(Node::Assertion(if self.flags.multi_line { "(?m:^)" } else { r"\A" })),
            Some('$') => self.push(Node::Assertion(if self.flags.multi_line { "(?m:$)" } else { r"\z" })),
            Some('.') => self.push(Node::Dot(self.flags)),
            Some('[') => {
                self.rest = before;
                let class = self.parse_class()?;
                self.push(Node::Class(class, self.flags));
            }
            Some('*') => return self.repeat(before, last_repeat, (0, None)),
            Some('+') => return self.repeat(before, last_repeat, (1, None)),
            Some('?') => return self.repeat(before, last_repeat, (0, Some(1))),
            Some('{') => match self.parse_counts() {
                Some((min, max)) if min <= MAX_REPEAT && max.is_none_or(|max| (min..=MAX_REPEAT).contains(&max)) => {
                    return self.repeat(before, last_repeat, (min, max));
                }
                Some(_) => return refuse("invalid repeat count", self.since(before)),
                None => self.push(Node::Literal('{', self.flags)),
            },
            Some('\\') => {
                self.rest = before;
                self.parse_backslash()?;
            }
            Some(letter) => self.push(Node::Literal(letter, self.flags)),
            None => {}
        }
        Ok(false)
    }

    fn alternate(&mut self) {
        if let Some(group) = self.open.last_mut() {
            let sequence = std::mem::take(&mut group.sequence);
            group.alternatives.push(Node::Concat(sequence));
        }
    }

    fn open_group(&mut self, captures: bool, outer: Flags) -> Parsed<()> {
        if self.open.len() > MAX_DEPTH {
            return refuse(TOO_DEEP, self.pattern);
        }
        self.open.push(Group { captures, outer, ..Group::default() });
        Ok(())
    }

    fn close_group(&mut self) -> Parsed<()> {
        match self.open.pop() {
            Some(group) if !self.open.is_empty() => {
                self.flags = group.outer;
                let node = group.close();
                // A group stays one item for a repetition behind it.
                self.push(node);
                Ok(())
            }
            _ => refuse("unexpected )", self.pattern),
        }
    }

    /// Reads what follows an opening parenthesis.
    fn parse_group(&mut self, before: &'p str) -> Parsed<()> {
        if !self.eat("?") {
            self.names.push(String::new());
            return self.open_group(true, self.flags);
        }
        let long = before.len() > 4 && self.rest.starts_with("P<");
        if long || (before.len() > 3 && self.rest.starts_with('<')) {
            return self.parse_named_group(before);
        }
        self.parse_flags(before)
    }

    fn parse_named_group(&mut self, before: &'p str) -> Parsed<()> {
        let Some((head, rest)) = self.rest.split_once('>') else {
            return refuse("invalid named capture", before);
        };
        self.rest = rest;
        let name = head.split_once('<').map_or(head, |(_, name)| name);
        if name.is_empty() || !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
            return refuse("invalid named capture", self.since(before));
        }
        self.names.push(name.to_owned());
        self.open_group(true, self.flags)
    }

    /// Reads the flags of `(?i-s)` or `(?i-s:`.
    fn parse_flags(&mut self, before: &'p str) -> Parsed<()> {
        let mut flags = self.flags;
        let mut on = true;
        let mut seen = false;
        loop {
            match self.next() {
                Some('i') => flags.fold = on,
                Some('m') => flags.multi_line = on,
                Some('s') => flags.dot_all = on,
                Some('U') => flags.lazy = on,
                Some('-') if on => {
                    on = false;
                    seen = false;
                    continue;
                }
                Some(end @ (':' | ')')) if on || seen => {
                    if end == ':' {
                        self.open_group(false, self.flags)?;
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => return refuse("invalid or unsupported Perl syntax", self.since(before)),
            }
            seen = true;
        }
    }

    /// Applies a repetition to the last item.
    fn repeat(&mut self, before: &'p str, last_repeat: Option<&'p str>, counts: (u32, Option<u32>)) -> Parsed<bool> {
        let lazy = self.eat("?") != self.flags.lazy;
        if let Some(start) = last_repeat {
            return refuse("invalid nested repetition operator", self.since(start));
        }
        let excerpt = self.since(before);
        let Some(node) = self.open.last_mut().and_then(|group| group.sequence.pop()) else {
            return refuse("missing argument to repetition operator", excerpt);
        };
        let (min, max) = counts;
        let repeat = Node::Repeat { node: Box::new(node), min, max, lazy };
        if excerpt.starts_with('{') && max.unwrap_or(min).max(min) >= 2 && !repeats_within(&repeat, MAX_REPEAT) {
            return refuse("invalid repeat count", excerpt);
        }
        self.push(repeat);
        Ok(true)
    }

    /// Reads `2}`, `2,}` or `2,3}` behind a brace; nothing if it is not that, and the brace is meant literally.
    fn parse_counts(&mut self) -> Option<(u32, Option<u32>)> {
        let (counts, rest) = self.rest.split_once('}')?;
        let counts = match counts.split_once(',') {
            None => (parse_count(counts)?, Some(parse_count(counts)?)),
            Some((min, "")) => (parse_count(min)?, None),
            Some((min, max)) => (parse_count(min)?, Some(parse_count(max)?)),
        };
        self.rest = rest;
        Some(counts)
    }

    /// Reads an escape outside a class.
    fn parse_backslash(&mut self) -> Parsed<()> {
        let assertion = match self.rest.as_bytes().get(1) {
            Some(b'A') => r"\A",
            Some(b'b') => r"(?-u:\b)",
            Some(b'B') => r"(?-u:\B)",
            Some(b'z') => r"\z",
            Some(b'C') => return refuse("invalid escape sequence", &self.rest[..2]),
            Some(b'Q') => {
                self.parse_quoted();
                return Ok(());
            }
            _ => {
                let node = match self.parse_escaped_class()? {
                    Some(class) => Node::Class(class, self.flags),
                    None => Node::Literal(self.parse_escape()?, self.flags),
                };
                self.push(node);
                return Ok(());
            }
        };
        self.rest = &self.rest[2..];
        self.push(Node::Assertion(assertion));
        Ok(())
    }

    fn parse_quoted(&mut self) {
        let quoted = &self.rest[2..];
        let (literal, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
        for letter in literal.chars() {
            self.push(Node::Literal(letter, self.flags));
        }
        self.rest = rest;
    }

    /// Reads an escape that stands for one character.
    pub(super) fn parse_escape(&mut self) -> Parsed<char> {
        let before = self.rest;
        self.eat("\\");
        let code = match self.next() {
            None => return refuse("trailing backslash at end of expression", ""),
            Some('1'..='7') if !self.rest.starts_with(|next| matches!(next, '0'..='7')) => None,
            Some(first @ '0'..='7') => Some(self.parse_octal(first)),
            Some('x') => self.parse_hexadecimal(),
            Some('a') => Some(7),
            Some('f') => Some(12),
            Some('n') => Some(10),
            Some('r') => Some(13),
            Some('t') => Some(9),
            Some('v') => Some(11),
            Some(other) if other.is_ascii() && !other.is_ascii_alphanumeric() => Some(u32::from(other)),
            Some(_) => None,
        };
        match code {
            // Surrogates are no characters: nothing can match them, like the last private one.
            Some(code) => Ok(char::from_u32(code).unwrap_or(char::MAX)),
            None => refuse("invalid escape sequence", self.since(before)),
        }
    }

    fn parse_octal(&mut self, first: char) -> u32 {
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|next| next.to_digit(8)) else { break };
            self.next();
            code = code * 8 + digit;
        }
        code
    }

    fn parse_hexadecimal(&mut self) -> Option<u32> {
        let first = self.next()?;
        if first != '{' {
            let second = self.next()?;
            return Some(first.to_digit(16)? * 16 + second.to_digit(16)?);
        }
        let mut code = None;
        loop {
            match self.next()? {
                '}' => return code,
                digit => {
                    let next = code.unwrap_or(0) * 16 + digit.to_digit(16)?;
                    code = Some(next).filter(|code| *code <= u32::from(char::MAX));
                    code?;
                }
            }
        }
    }
}

/// A decimal number without leading zeros; one that is too large for any use is [`u32::MAX`].
fn parse_count(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text.len() == 1 || !text.starts_with('0'));
    plain.then(|| text.parse().unwrap_or(u32::MAX))
}

/// Whether nested counts multiply to no more than `limit`.
fn repeats_within(node: &Node, limit: u32) -> bool {
    match node {
        Node::Repeat { node, min, max, .. } => {
            // `*`, `+` and `?` do not count.
            let counted = !matches!((min, max), (0 | 1, None) | (0, Some(1)));
            let most = max.unwrap_or(*min);
            match most {
                _ if !counted => repeats_within(node, limit),
                0 => true,
                most if most > limit => false,
                most => repeats_within(node, limit / most),
            }
        }
        Node::Concat(nodes) | Node::Alternate(nodes) => nodes.iter().all(|node| repeats_within(node, limit)),
        Node::Capture(node) => repeats_within(node, limit),
        Node::Literal(..) | Node::Dot(_) | Node::Class(..) | Node::Assertion(_) => true,
    }
}
