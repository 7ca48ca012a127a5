//! Strings: basic with escapes, literal without, both also over several lines.

use super::Error;
use super::read::Reader;

/// Reads a basic string behind its opening quote.
pub(super) fn basic(reader: &mut Reader<'_>) -> Result<String, Error> {
    let start = reader.at;
    let mut text = String::new();
    loop {
        match reader.next()? {
            None => return reader.error_at_end("unexpected EOF; expected '\"'"),
            Some('\r' | '\n') => return new_line(reader),
            Some('"') => return Ok(text),
            Some('\\') => text.push(escape(reader, start)?),
            Some(character) => text.push(character),
        }
    }
}

/// Reads a literal string behind its opening quote.
pub(super) fn literal(reader: &mut Reader<'_>) -> Result<String, Error> {
    let mut text = String::new();
    loop {
        match reader.next()? {
            None => return reader.error_at_end("unexpected EOF; expected \"'\""),
            Some('\r' | '\n') => return new_line(reader),
            Some('\'') => return Ok(text),
            Some(character) => text.push(character),
        }
    }
}

fn new_line<T>(reader: &mut Reader<'_>) -> Result<T, Error> {
    reader.at -= 1;
    reader.error("strings cannot contain newlines")
}

/// Reads a basic string over several lines behind its opening quotes.
pub(super) fn basic_lines(reader: &mut Reader<'_>) -> Result<String, Error> {
    let start = reader.at;
    let mut text = String::new();
    skip_first_break(reader)?;
    loop {
        if closes(reader, '"', &mut text)? {
            return Ok(text);
        }
        match reader.next()? {
            None => return reader.error_at_end("unexpected EOF; expected '\"\"\"'"),
            Some('\\') if breaks_line(reader)? => {}
            Some('\\') => text.push(escape(reader, start)?),
            Some(character) => text.push(character),
        }
    }
}

/// Reads a literal string over several lines behind its opening quotes.
pub(super) fn literal_lines(reader: &mut Reader<'_>) -> Result<String, Error> {
    let mut text = String::new();
    skip_first_break(reader)?;
    loop {
        if closes(reader, '\'', &mut text)? {
            return Ok(text);
        }
        match reader.next()? {
            None => return reader.error_at_end("unexpected EOF; expected \"'''\""),
            Some(character) => text.push(character),
        }
    }
}

fn skip_first_break(reader: &mut Reader<'_>) -> Result<(), Error> {
    if matches!(reader.peek()?, Some('\r' | '\n')) && !reader.take("\r\n") {
        reader.take("\n");
    }
    Ok(())
}

/// Takes three quotes that end a string; up to two more before them belong to it.
fn closes(reader: &mut Reader<'_>, quote: char, text: &mut String) -> Result<bool, Error> {
    let count = reader.rest().chars().take_while(|character| *character == quote).count();
    if count < 3 {
        return Ok(false);
    }
    if count > 5 {
        let outer = if quote == '"' { '\'' } else { '"' };
        return reader.error(format!("unexpected {outer}{}{outer}", quote.to_string().repeat(6)));
    }
    text.extend(std::iter::repeat_n(quote, count - 3));
    reader.at += count;
    Ok(true)
}

/// Takes the white space behind a `\` if a line ends in it.
fn breaks_line(reader: &mut Reader<'_>) -> Result<bool, Error> {
    let rest = reader.rest();
    let space = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    let breaks = rest[..space].contains('\n');
    for _ in 0..if breaks { space } else { 0 } {
        reader.next()?;
    }
    Ok(breaks)
}

/// Reads the escape behind a `\`. Error texts show the string from its start.
fn escape(reader: &mut Reader<'_>, string: usize) -> Result<char, Error> {
    let (digits, count) = match reader.next()?.unwrap_or('\0') {
        'b' => return Ok('\u{08}'),
        't' => return Ok('\t'),
        'n' => return Ok('\n'),
        'f' => return Ok('\u{0C}'),
        'r' => return Ok('\r'),
        'e' => return Ok('\u{1B}'),
        quoted @ ('"' | '\\') => return Ok(quoted),
        'x' => (2, "two hexadecimal digits after '\\x'"),
        'u' => (4, "four hexadecimal digits after '\\u'"),
        'U' => (8, "eight hexadecimal digits after '\\U'"),
        blank @ (' ' | '\t') => return reader.error(format!("invalid escape: '\\{blank}'")),
        other => return reader.error(format!("invalid escape in string '\\{other}'")),
    };
    let start = reader.at;
    for _ in 0..digits {
        if !reader.next()?.is_some_and(|digit| digit.is_ascii_hexdigit()) {
            let found = crate::go::quote(&reader.text[string..reader.at]);
            return reader.error(format!("expected {count}, but got {found} instead"));
        }
    }
    let code = &reader.text[start..reader.at];
    let character = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
    match character {
        Some(character) => Ok(character),
        None => reader.error(format!("Escaped character '\\u{code}' is not valid UTF-8.")),
    }
}
