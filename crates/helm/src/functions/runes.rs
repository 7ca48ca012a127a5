//! Go's view of a string as runes: UTF-8 decoding of arbitrary bytes, simple case mappings, letter classes.
//!
//! Go decodes each invalid byte as one U+FFFD and maps case rune by rune (`ß` stays `ß`), where Rust's own
//! conversions replace longer runs and may map one letter to several. The classes are those of Unicode's
//! general categories; letters newer than Go's Unicode 15 may differ.

use unicode_general_category::{GeneralCategory as Category, get_general_category};

/// What an invalid byte decodes to (`utf8.RuneError`).
pub(super) const INVALID: char = char::REPLACEMENT_CHARACTER;

/// The first rune of `bytes` and its length: [`INVALID`] and 1 for an invalid byte, length 0 at the end.
pub(super) fn decode(bytes: &[u8]) -> (char, usize) {
    let Some(&first) = bytes.first() else { return (INVALID, 0) };
    if first.is_ascii() {
        return (char::from(first), 1);
    }
    let longest = bytes.len().min(4);
    (2..=longest)
        .find_map(|length| std::str::from_utf8(&bytes[..length]).ok()?.chars().next().map(|rune| (rune, length)))
        .unwrap_or((INVALID, 1))
}

/// The last rune of `bytes` and its length, as [`decode`].
pub(super) fn decode_last(bytes: &[u8]) -> (char, usize) {
    (1..=bytes.len().min(4))
        .find_map(|length| {
            let (rune, decoded) = decode(&bytes[bytes.len() - length..]);
            (decoded == length && (length > 1 || rune != INVALID)).then_some((rune, length))
        })
        .unwrap_or_else(|| (INVALID, usize::from(!bytes.is_empty())))
}

/// The runes of `bytes` in order, each with the bytes it was decoded from.
pub(super) fn runes(bytes: &[u8]) -> impl Iterator<Item = (char, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (rune, length) = decode(rest);
        let (head, tail) = rest.split_at(length);
        rest = tail;
        (length > 0).then_some((rune, head))
    })
}

/// `bytes` with each rune replaced by what `map` makes of it; invalid bytes become U+FFFD.
pub(super) fn map_runes(bytes: &[u8], mut map: impl FnMut(char) -> char) -> String {
    runes(bytes).map(|(rune, _)| map(rune)).collect()
}

fn single(mut mapped: impl Iterator<Item = char>, rune: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        _ => rune,
    }
}

fn offset(rune: char, distance: u32) -> char {
    char::from_u32(u32::from(rune) + distance).unwrap_or(rune)
}

/// `unicode.ToUpper`.
pub(super) fn to_upper(rune: char) -> char {
    match rune {
        // Greek letters with iota subscript: the full mapping spells the iota out, the simple one is a titlecase letter.
        '\u{1f80}'..='\u{1faf}' if u32::from(rune) & 8 == 0 => offset(rune, 8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => offset(rune, 9),
        _ => single(rune.to_uppercase(), rune),
    }
}

/// `unicode.ToLower`.
pub(super) fn to_lower(rune: char) -> char {
    match rune {
        'İ' => 'i',
        _ => single(rune.to_lowercase(), rune),
    }
}

/// `unicode.ToTitle`.
pub(super) fn to_title(rune: char) -> char {
    match rune {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        // Georgian has capitals but no title case.
        '\u{10d0}'..='\u{10ff}' => rune,
        _ => to_upper(rune),
    }
}

/// `unicode.IsUpper`.
pub(super) fn is_upper(rune: char) -> bool {
    get_general_category(rune) == Category::UppercaseLetter
}

/// `unicode.IsLower`.
pub(super) fn is_lower(rune: char) -> bool {
    get_general_category(rune) == Category::LowercaseLetter
}

/// `unicode.IsTitle`.
pub(super) fn is_title(rune: char) -> bool {
    get_general_category(rune) == Category::TitlecaseLetter
}

/// `unicode.IsLetter`.
pub(super) fn is_letter(rune: char) -> bool {
    matches!(
        get_general_category(rune),
        Category::UppercaseLetter
            | Category::LowercaseLetter
            | Category::TitlecaseLetter
            | Category::ModifierLetter
            | Category::OtherLetter
    )
}

/// `unicode.IsDigit`.
pub(super) fn is_digit(rune: char) -> bool {
    get_general_category(rune) == Category::DecimalNumber
}

/// `unicode.IsNumber`.
pub(super) fn is_number(rune: char) -> bool {
    matches!(get_general_category(rune), Category::DecimalNumber | Category::LetterNumber | Category::OtherNumber)
}

/// `unicode.IsPunct`.
pub(super) fn is_punctuation(rune: char) -> bool {
    matches!(
        get_general_category(rune),
        Category::ConnectorPunctuation
            | Category::DashPunctuation
            | Category::OpenPunctuation
            | Category::ClosePunctuation
            | Category::InitialPunctuation
            | Category::FinalPunctuation
            | Category::OtherPunctuation
    )
}

/// `unicode.IsSpace`.
pub(super) fn is_space(rune: char) -> bool {
    rune.is_whitespace()
}
