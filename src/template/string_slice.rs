//! Flags that take lists: items separated by commas, quoted where they hold one, as a line of a CSV file.

use std::str::FromStr;

/// One use of a flag that takes a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StringSlice(Vec<String>);

/// Why a text is no list. The words are those of Go's CSV reader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse error on line 1, column {column}: {problem}")]
pub struct StringSliceError {
    /// Where, counted in bytes from 1.
    column: usize,
    problem: &'static str,
}

const BARE_QUOTE: &str = "bare \" in non-quoted-field";
const QUOTE: &str = "extraneous or missing \" in quoted-field";

impl StringSlice {
    /// A list of one item, whatever is in it.
    pub fn of(item: impl Into<String>) -> Self {
        Self(vec![item.into()])
    }

    /// The items of all uses of a flag.
    pub fn joined(uses: &[Self]) -> impl Iterator<Item = &str> {
        uses.iter().flat_map(|Self(items)| items.iter().map(String::as_str))
    }
}

impl FromStr for StringSlice {
    type Err = StringSliceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut items = Vec::new();
        let mut rest = text;
        while !text.is_empty() {
            let column = text.len() - rest.len() + 1;
            let (item, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted_item(quoted, column + 1)?,
                None => plain_item(rest, column)?,
            };
            items.push(item);
            match after {
                Some(after) => rest = after,
                None => break,
            }
        }
        Ok(Self(items))
    }
}

/// An item and what follows the comma behind it.
type Item<'a> = (String, Option<&'a str>);

fn plain_item(text: &str, column: usize) -> Result<Item<'_>, StringSliceError> {
    let (item, after) = text.split_once(',').map_or((text, None), |(item, after)| (item, Some(after)));
    match item.find('"') {
        Some(at) => Err(StringSliceError { column: column + at, problem: BARE_QUOTE }),
        None => Ok((item.to_owned(), after)),
    }
}

/// An item whose opening quote is gone. A doubled quote in it stands for one.
fn quoted_item(text: &str, column: usize) -> Result<Item<'_>, StringSliceError> {
    let mut item = String::new();
    let mut rest = text;
    loop {
        let column = column + text.len() - rest.len();
        let Some((before, after)) = rest.split_once('"') else {
            return Err(StringSliceError { column: column + rest.len(), problem: QUOTE });
        };
        item.push_str(before);
        match (after.strip_prefix('"'), after.strip_prefix(',')) {
            (Some(doubled), _) => {
                item.push('"');
                rest = doubled;
            }
            (None, Some(next)) => return Ok((item, Some(next))),
            (None, None) if after.is_empty() => return Ok((item, None)),
            (None, None) => return Err(StringSliceError { column: column + before.len(), problem: QUOTE }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_lines_of_csv() {
        let cases: [(&str, Result<&[&str], usize>); 10] = [
            ("", Ok(&[])),
            ("a.yaml", Ok(&["a.yaml"])),
            ("a,b", Ok(&["a", "b"])),
            ("a,", Ok(&["a", ""])),
            (",", Ok(&["", ""])),
            (" a , b ", Ok(&[" a ", " b "])),
            ("\"a,b\",c", Ok(&["a,b", "c"])),
            ("\"say \"\"hi\"\"\"", Ok(&["say \"hi\""])),
            ("a,b\"c", Err(4)),
            ("\"a\"\"b\"x", Err(6)),
        ];
        for (text, expected) in cases {
            let items = text.parse::<StringSlice>().map_err(|error| error.column);
            let expected = expected.map(|items| StringSlice(items.iter().map(ToString::to_string).collect()));
            assert_eq!(items, expected, "{text:?}");
        }
    }
}
