//! The server's words without what it quotes of the object: a value may be a password, whatever kind holds it. Pure.
//!
//! What helps stays: field paths, expected types, the rule, the values that the server lists as allowed, names.

/// Stands where a value stood.
const LEFT_OUT: &str = "(value left out)";

/// Characters of the server's words that are read.
const LONGEST: usize = 8192;

/// A shorter value is part of too many words to look for it in what the server says after it.
const SHORTEST: usize = 5;

/// A field error goes on with the value that it is about.
const VALUE_FOLLOWS: [&str; 4] = ["Invalid value: ", "Unsupported value: ", "Duplicate value: ", "Not found: "];

/// What is quoted after these words is a field, a version or a manager, no value.
const NAME_FOLLOWS: [&str; 6] =
    ["unknown field ", "duplicate field ", "key field ", "in version ", "conflict with ", "no kind "];

/// What a definition's schema says instead of a value when the type is wrong.
const TYPES: [&str; 7] = ["string", "integer", "number", "boolean", "array", "object", "null"];

/// Keys of lists by which Kubernetes tells elements apart; any other may be a chart's own, and hold anything.
const ELEMENT_KEYS: [&str; 12] = [
    "name",
    "key",
    "kind",
    "namespace",
    "port",
    "containerPort",
    "protocol",
    "type",
    "topologyKey",
    "whenUnsatisfiable",
    "mountPath",
    "devicePath",
];

/// Fields that hold names, which a person needs to find the place, besides those that end in `Name`.
const NAMING_FIELDS: [&str; 12] = [
    "name",
    "namespace",
    "kind",
    "apiVersion",
    "key",
    "port",
    "containerPort",
    "hostPort",
    "nodePort",
    "targetPort",
    "protocol",
    "mountPath",
];

/// What may be quoted of the object at hand.
pub(super) struct Quotable<'a> {
    /// Its kind, name, namespace, version.
    pub(super) names: &'a [&'a str],
    /// Whether values of fields that hold names are repeated, too: not of a Secret.
    pub(super) naming_fields: bool,
}

/// `words` in one line, without values of the object.
pub(super) fn readable(words: &str, quotable: &Quotable<'_>) -> String {
    // What the server lists of a large object would fill every line that repeats it.
    let words = words.char_indices().nth(LONGEST).map_or(words, |(end, _)| &words[..end]);
    let mut lines = words.lines();
    let mut text = line(lines.next().unwrap_or_default().trim_end(), quotable);
    // Several errors stand below one another; else what follows is a listing of the object, old and new.
    if text.ends_with("errors:") {
        let errors: Vec<_> = lines.map(|words| line(words.trim(), quotable)).filter(|line| !line.is_empty()).collect();
        text.push(' ');
        text.push_str(&errors.join("; "));
    }
    text
}

/// A field path, without the values by which it names elements of lists.
pub(super) fn path(path: &str) -> String {
    line(path, &Quotable { names: &[], naming_fields: false })
}

/// One line without its values, and without what repeats them in the words after them.
fn line(words: &str, quotable: &Quotable<'_>) -> String {
    let mut out = Told::default();
    scan(words, &mut out, quotable);
    let Told { mut text, mut left_out } = out;
    let is_told = |value: &String| LEFT_OUT.contains(value.as_str()) || quotable.names.contains(&value.as_str());
    left_out.retain(|value| value.chars().count() >= SHORTEST && !is_told(value));
    left_out.sort_by_key(|value| std::cmp::Reverse(value.len()));
    for value in left_out {
        text = text.replace(&value, LEFT_OUT);
    }
    text
}

/// What is told of a line so far.
#[derive(Default)]
struct Told {
    text: String,
    left_out: Vec<String>,
}

impl Told {
    fn leave_out(&mut self, value: &str) {
        self.text.push_str(LEFT_OUT);
        let mut at = 0;
        while let Some(quote) = value[at..].find('"') {
            let length = quoted_length(&value[at + quote..]).unwrap_or(1);
            let text = &value[at + quote..at + quote + length];
            at += quote + length;
            // A key is a field's name.
            if !value[at..].starts_with(':') {
                self.left_out.push(text.trim_matches('"').to_owned());
            }
        }
        if !value.contains('"') {
            self.left_out.push(value.to_owned());
        }
    }
}

fn scan(text: &str, out: &mut Told, quotable: &Quotable<'_>) {
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let taken = value_after_marker(rest, out, quotable)
            .or_else(|| wrong_type(rest, out))
            .or_else(|| number(rest, out))
            .or_else(|| quoted(rest, out, quotable))
            .or_else(|| ruled(rest, out))
            .or_else(|| element(rest, out))
            .or_else(|| composite(rest, out));
        let taken = taken.unwrap_or_else(|| {
            out.text.push(next);
            next.len_utf8()
        });
        rest = &rest[taken..];
    }
}

/// `spec.x: Invalid value: …`: the value, and where the server lists what it supports, that list.
fn value_after_marker(rest: &str, out: &mut Told, quotable: &Quotable<'_>) -> Option<usize> {
    let marker = VALUE_FOLLOWS.iter().find(|marker| rest.starts_with(**marker))?;
    let keeps = quotable.naming_fields && is_naming(&out.text);
    out.text.push_str(marker);
    let value = &rest[marker.len()..];
    let length = value_length(value);
    let (value, after) = value.split_at(length);
    let is_type =
        TYPES.iter().any(|name| value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(name));
    if keeps || is_type || value.is_empty() || value == "null" {
        out.text.push_str(value);
    } else {
        out.leave_out(value);
    }
    let listed = supported_length(after);
    out.text.push_str(&after[..listed]);
    Some(marker.len() + length + listed)
}

/// Whether the path that `before` ends with names a field that holds a name.
fn is_naming(before: &str) -> bool {
    let path = before.trim_end_matches(": ");
    let field = path.rsplit([' ', '.', '[']).next().unwrap_or_default();
    NAMING_FIELDS.contains(&field) || field.ends_with("Name")
}

fn value_length(text: &str) -> usize {
    match text.as_bytes().first() {
        Some(b'"') => quoted_length(text).unwrap_or(text.len()),
        Some(b'{' | b'[' | b'&') => composite_length(text).unwrap_or(text.len()),
        // A number, or else the rule at once: of some values nothing is quoted.
        _ => {
            let word = text.split([':', ',', ']']).next().unwrap_or_default();
            let is_value = ["true", "false", "null"].contains(&word) || word.parse::<f64>().is_ok();
            if is_value { word.len() } else { 0 }
        }
    }
}

/// The length of `: supported values: "A", "B"` at the beginning of `text`.
fn supported_length(text: &str) -> usize {
    const LIST: &str = ": supported values: ";
    if !text.starts_with(LIST) {
        return 0;
    }
    let mut length = LIST.len();
    while let Some(item) = quoted_length(&text[length..]) {
        length += item;
        let Some(next) = text[length..].strip_prefix(", ").filter(|next| next.starts_with('"')) else { break };
        length = text.len() - next.len();
    }
    length
}

/// `expected string, got &value.valueUnstructured{Value:…}`: the type of what was got, no more.
fn wrong_type(rest: &str, out: &mut Told) -> Option<usize> {
    let got = rest.strip_prefix(", got ")?;
    let value = got.split_once("Value:").map_or("", |(_, value)| value);
    let what = match value.as_bytes().first() {
        None if TYPES.contains(&got) => got,
        Some(b'"') => "text",
        Some(b'-' | b'0'..=b'9') => "a number",
        Some(b't' | b'f') => "a boolean",
        Some(b'm') => "a map",
        Some(b'[') => "a list",
        _ => "something else",
    };
    out.text.extend([", got ", what]);
    Some(rest.len())
}

/// `cannot unmarshal number 123 into …`
fn number(rest: &str, out: &mut Told) -> Option<usize> {
    const MARKER: &str = "unmarshal number ";
    let value = rest.strip_prefix(MARKER)?;
    let length = value.find(' ').unwrap_or(value.len());
    out.text.push_str(MARKER);
    out.leave_out(&value[..length]);
    Some(MARKER.len() + length)
}

fn quoted(rest: &str, out: &mut Told, quotable: &Quotable<'_>) -> Option<usize> {
    let length = quoted_length(rest)?;
    let content = rest[1..length].trim_end_matches('"');
    let named = NAME_FOLLOWS.iter().any(|words| out.text.ends_with(words));
    if named || TYPES.contains(&content) || quotable.names.contains(&content) {
        out.text.push_str(&rest[..length]);
    } else {
        out.leave_out(&rest[..length]);
    }
    Some(length)
}

/// The length of a text in double quotes, quotes included. One that does not end goes on to the end.
fn quoted_length(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = inside.char_indices().find(|(_, letter)| {
        let ends = *letter == '"' && !escaped;
        escaped = *letter == '\\' && !escaped;
        ends
    });
    Some(end.map_or(text.len(), |(end, _)| end + 2)).filter(|length| *length > 1)
}

/// `'[a-z]{2,}'`: a rule of the server, not a value. An apostrophe inside a word begins none.
fn ruled(rest: &str, out: &mut Told) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let begins = out.text.chars().next_back().is_none_or(|before| !before.is_alphanumeric());
    let end = inside.find('\'').filter(|_| begins)?;
    out.text.push_str(&rest[..end + 2]);
    Some(end + 2)
}

/// `[name="web"]`, `["member"]` of a path: the value stays where the key is one of Kubernetes' own.
fn element(rest: &str, out: &mut Told) -> Option<usize> {
    let inside = rest.strip_prefix('[')?;
    let mut length = 0;
    let mut told = String::new();
    loop {
        let key = inside[length..].split(['=', '"', ']', ' ', ':']).next().unwrap_or_default();
        let value = &inside[length + key.len()..];
        let (separator, value) = value.strip_prefix('=').map_or(("", value), |value| ("=", value));
        let value_length = match quoted_length(value) {
            Some(quoted) => quoted,
            None if separator.is_empty() => return None,
            None => value.find([',', ']'])?,
        };
        let shown = if ELEMENT_KEYS.contains(&key) { &value[..value_length] } else { LEFT_OUT };
        told.extend([key, separator, shown]);
        length += key.len() + separator.len() + value_length;
        match inside[length..].chars().next()? {
            ',' => told.push(','),
            ']' => break,
            _ => return None,
        }
        length += 1;
    }
    out.text.extend(["[", &told, "]"]);
    Some(length + 2)
}

/// `{"a": …}`, `map[a:…]`: an object as JSON or as Go prints it.
fn composite(rest: &str, out: &mut Told) -> Option<usize> {
    let begins = rest.starts_with('{') || (rest.starts_with("map[") && !rest.starts_with("map[string]"));
    let length = composite_length(rest).filter(|_| begins)?;
    out.leave_out(&rest[..length]);
    Some(length)
}

/// The length of `text` up to where its first bracket is closed again.
fn composite_length(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, text.find(['{', '['])?);
    while let Some(next) = text[at..].chars().next() {
        if let Some(quoted) = quoted_length(&text[at..]) {
            at += quoted;
            continue;
        }
        at += next.len_utf8();
        match next {
            '{' | '[' => depth += 1,
            '}' | ']' if depth == 1 => return Some(at),
            '}' | ']' => depth -= 1,
            _ => {}
        }
    }
    None
}
