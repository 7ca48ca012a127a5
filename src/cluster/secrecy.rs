//! Values that must not be published, searched for in what is about to be. Pure.
//!
//! What has more than [`PIECE`] bytes is known by its pieces, and of pieces a hash is kept: a search looks at each place of a text
//! for the few lengths that begin there, so that it takes as long as the text is, whatever it is searched for.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::object::{self, Source};
use super::{Error, Object};
use crate::off_thread::off_thread;

/// A shorter value is found in any text, and is no secret worth the name.
const SHORTEST: usize = 6;

/// Bytes of a piece: of a longer value so many in a row are found by themselves.
const PIECE: usize = 32;

/// Most pieces: about what a Secret of the largest size has, in lines. Beyond, nothing is told at all.
const MOST: usize = 250_000;

/// Values, or a text, from which on the thread of the caller is not held up with them, in bytes.
const LARGE: usize = 64 << 10;

/// Stands where a value stood.
const MASK: &str = "(secret left out)";

/// Stands where a text stood that cannot be searched.
const UNSEARCHED: &str = "(left out: it may quote the Secrets of the release, which hold too much to search it for)";

/// The values of a release that come from Secrets.
///
/// Words of the API server, of webhooks and of Helm quote values: [`SecretValues::mask`] such a text before it becomes
/// a condition, an Event or a log line. Values that a person wrote into the open do not belong in here: a message about
/// `image: "ngnix"` is worth nothing without the word.
#[derive(Clone, Default)]
pub struct SecretValues {
    pieces: Arc<Pieces>,
}

/// What is searched for.
#[derive(Default)]
struct Pieces {
    /// Hashes of the pieces.
    known: HashSet<u64>,
    /// By the first bytes of pieces the lengths of these, a bit for each.
    lengths: HashMap<[u8; SHORTEST], u32>,
    /// Whether there are more than [`MOST`].
    is_too_much: bool,
}

/// By what pieces are hashed: nobody can make two that are the same.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl SecretValues {
    /// The strings and numbers in `values`, at any depth, that have at least six characters. Of a text of several
    /// lines each line counts by itself, too.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut pieces = Pieces::default();
        let mut pending: Vec<&Value> = values.into_iter().collect();
        while let Some(value) = pending.pop() {
            match value {
                Value::Array(items) => pending.extend(items),
                Value::Object(map) => pending.extend(map.values()),
                Value::String(text) => pieces.add_text(text),
                Value::Number(number) => pieces.add_text(&number.to_string()),
                Value::Null | Value::Bool(_) => {}
            }
        }
        Self { pieces: Arc::new(pieces) }
    }

    /// As [`SecretValues::of`]; of many values off the calling thread.
    pub async fn of_all(values: &[Value]) -> Self {
        if values.iter().map(weight).sum::<usize>() < LARGE {
            return Self::of(values);
        }
        let values = values.to_vec();
        off_thread(move || Self::of(&values)).await
    }

    /// What the Secrets among `objects` hold.
    pub async fn in_secrets(objects: &[Object]) -> Self {
        let secrets = objects.iter().filter(|object| object.reference().kind == "Secret");
        let secrets: Vec<_> = secrets.map(|object| object.content().clone()).collect();
        if secrets.is_empty() {
            return Self::default();
        }
        off_thread(move || Self::in_contents(secrets.iter())).await
    }

    /// What the Secrets in rendered texts hold. Asks the cluster nothing.
    pub async fn in_texts(sources: &[Source<'_>]) -> Result<Self, Error> {
        let documents = object::parsed(sources).await?;
        Ok(off_thread(move || Self::in_contents(object::contents_of(&documents, "Secret"))).await)
    }

    fn in_contents<'a>(secrets: impl Iterator<Item = &'a Map<String, Value>>) -> Self {
        let mut values = Vec::new();
        for content in secrets {
            values.extend(content.get("stringData").cloned());
            let data = content.get("data").and_then(Value::as_object).into_iter().flat_map(serde_json::Map::values);
            let decoded = data.filter_map(|encoded| STANDARD.decode(encoded.as_str()?).ok());
            values.extend(decoded.filter_map(|bytes| Some(Value::String(String::from_utf8(bytes).ok()?))));
        }
        Self::of(&values)
    }

    /// `text` without these values: neither as they are, nor quoted, nor in base64.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.pieces.is_too_much {
            return Cow::Owned(UNSEARCHED.to_owned());
        }
        let found = self.pieces.found_in(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut at = 0;
        for range in found {
            masked.extend([&text[at..range.start], MASK]);
            at = range.end;
        }
        masked.push_str(&text[at..]);
        masked.into()
    }

    /// The beginning of a text that may be long, without the values of any of `secrets`: enough to show some of it.
    pub fn masked_start(text: &str, secrets: &[&Self]) -> String {
        let start = &text[..text.floor_char_boundary(LARGE)];
        let mut masked = Cow::Borrowed(start);
        for values in secrets {
            masked = values.mask(&masked).into_owned().into();
        }
        // What the cut left of a piece is not known.
        let is_cut = start.len() < text.len() && !secrets.iter().any(|values| values.pieces.is_too_much);
        let kept = if is_cut { masked.len().saturating_sub(PIECE) } else { masked.len() };
        masked[..masked.floor_char_boundary(kept)].to_owned()
    }

    /// A text that may be long without the values of any of `secrets`.
    pub async fn masked_by_all(mut text: String, secrets: Vec<Self>) -> String {
        let work = move || {
            for values in &secrets {
                if let Cow::Owned(masked) = values.mask(&text) {
                    text = masked;
                }
            }
            text
        };
        off_thread(work).await
    }
}

impl Pieces {
    /// A text, and each of its lines, in all forms.
    fn add_text(&mut self, text: &str) {
        let parts = std::iter::once(text).chain(text.lines()).map(str::trim);
        for part in parts.filter(|part| part.chars().count() >= SHORTEST) {
            if self.is_too_much {
                return;
            }
            let quoted = Value::from(part).to_string();
            let quoted = quoted.trim_matches('"');
            self.add(part.as_bytes());
            if quoted != part {
                self.add(quoted.as_bytes());
            }
            self.add(STANDARD.encode(part).as_bytes());
        }
        if text.chars().count() >= SHORTEST {
            self.add(STANDARD.encode(text).as_bytes());
        }
    }

    fn add(&mut self, value: &[u8]) {
        let last = value.len().saturating_sub(PIECE);
        for start in (0..last).step_by(PIECE).chain([last]) {
            self.is_too_much |= self.known.len() >= MOST;
            let piece = &value[start..value.len().min(start + PIECE)];
            let Some(first) = piece.first_chunk().filter(|_| !self.is_too_much) else { return };
            self.known.insert(HASHER.hash_one(piece));
            *self.lengths.entry(*first).or_default() |= 1 << (piece.len() - SHORTEST);
        }
    }

    /// Where something of it stands in a text, in order, with nothing that overlaps or touches.
    fn found_in(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        if self.known.is_empty() {
            return found;
        }
        let bytes = text.as_bytes();
        for (at, first) in bytes.windows(SHORTEST).enumerate() {
            let Some(length) =
                <[u8; SHORTEST]>::try_from(first).ok().and_then(|first| self.longest(first, &bytes[at..]))
            else {
                continue;
            };
            // A piece may begin or end within a character.
            let start = text.floor_char_boundary(at);
            let end = text.ceil_char_boundary(at + length);
            match found.last_mut() {
                Some(last) if last.end >= start => last.end = last.end.max(end),
                _ => found.push(start..end),
            }
        }
        found
    }

    /// The length of the longest piece that stands at the beginning of `bytes`.
    fn longest(&self, first: [u8; SHORTEST], bytes: &[u8]) -> Option<usize> {
        let mut lengths = *self.lengths.get(&first)?;
        while lengths != 0 {
            let longest = lengths.ilog2();
            lengths ^= 1 << longest;
            let length = longest as usize + SHORTEST;
            if bytes.get(..length).is_some_and(|piece| self.known.contains(&HASHER.hash_one(piece))) {
                return Some(length);
            }
        }
        None
    }
}

/// About how many bytes a value has.
fn weight(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(map) => map.values().map(weight).sum(),
        Value::String(text) => text.len(),
        Value::Number(_) | Value::Null | Value::Bool(_) => size_of::<Value>(),
    }
}

/// Not the values: they are secret.
impl std::fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretValues").field("pieces", &self.pieces.known.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{MASK, SecretValues};

    #[test]
    fn known_values_are_found_in_every_form_and_nothing_else_is_changed() {
        let values = json!({
            "password": "s3cr3t\"word", "pin": 31_337_424, "short": "abc", "on": true,
            "list": [{ "key": "-----BEGIN KEY-----\nMIIEvQ\n" }, "s3cr3t\"word-and-more"],
        });
        let secrets = SecretValues::of([&values]);
        let cases = [
            ("got s3cr3t\"word.", format!("got {MASK}.")),
            (r#"Invalid value: "s3cr3t\"word""#, format!(r#"Invalid value: "{MASK}""#)),
            ("token s3cr3t\"word-and-more", format!("token {MASK}")),
            ("pin 31337424", format!("pin {MASK}")),
            ("the line MIIEvQ", format!("the line {MASK}")),
            ("data: czNjcjN0IndvcmQ=", format!("data: {MASK}")),
            ("abc is true", "abc is true".to_owned()),
        ];
        for (text, expected) in cases {
            assert_eq!(secrets.mask(text), expected, "{text}");
        }
        let debug = format!("{secrets:?}");
        assert!(!debug.contains("s3cr3t"), "{debug}");
    }

    #[test]
    fn a_long_value_is_found_whole_and_in_part_and_what_overlaps_is_left_out_together() {
        let long = (0..40).fold(String::new(), |text, at| text + &format!("ä{at:02}-"));
        let secrets =
            SecretValues::of([&json!({ "long": long, "a": "abcdefgh", "b": "efghijklm", "short": "efghij" })]);
        for (text, expected) in [
            (format!("x {long} y"), format!("x {MASK} y")),
            (format!("x {}", &long[..110]), format!("x {MASK}{}", &long[97..110])),
            ("xabcdefghijklmx".to_owned(), format!("x{MASK}x")),
            ("x efghij x abcdefgx".to_owned(), format!("x {MASK} x abcdefgx")),
            ("ä".to_owned(), "ä".to_owned()),
        ] {
            assert_eq!(secrets.mask(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_search_takes_as_long_as_the_text_is_whatever_it_looks_for() {
        let lines = |number, of: &dyn Fn(usize) -> String| (0..number).map(of).collect::<Vec<_>>().join("\n");
        let many = SecretValues::of([&json!(lines(60_000, &|at| format!("{at:07}")))]);
        let nested = SecretValues::of([&json!(
            (6..1200).map(|length| "a".repeat(length)).chain(["a".repeat(300_000)]).collect::<Vec<_>>()
        )]);
        let text = "a".repeat(512 << 10);
        let started = std::time::Instant::now();
        assert_eq!(many.mask(&text), text);
        assert_eq!(many.mask("line 0059999 of it"), format!("line {MASK} of it"));
        assert_eq!(nested.mask(&text), MASK);
        assert!(started.elapsed() < std::time::Duration::from_secs(8), "{:?}", started.elapsed());
        // More than is searched for: then nothing is told.
        let too_many = SecretValues::of([&json!(lines(130_000, &|at| format!("{at:08}-{at}")))]);
        assert_eq!(too_many.mask("line 1 of it"), super::UNSEARCHED);
    }

    #[test]
    fn the_beginning_of_a_long_text_shows_nothing_that_its_end_cuts() {
        let secrets = SecretValues::of([&json!("0123456789")]);
        for filler in 65_500..65_536 {
            let text = "-".repeat(filler) + "0123456789 and more";
            let start = SecretValues::masked_start(&text, &[&secrets, &SecretValues::default()]);
            assert!(start.len() > 65_400 && !start.contains('0'), "{filler}: {}", &start[65_400..]);
        }
        assert_eq!(SecretValues::masked_start("x 0123456789", &[&secrets]), format!("x {MASK}"));
    }
}
