//! Lines of one key, in which nothing is escaped and everything behind `=` is the value.

use gotmpl::{Map, Value};

use super::Error;
use super::parser::{Level, Run, Stop, parse_index, quote_runes};
use super::target::{items_at, items_in, list, map_at, map_in, place, set, set_item};

/// Sets what the line says.
pub(super) fn parse(line: &str, into: &Map) -> Result<(), Error> {
    let mut parser = Parser { rest: line };
    loop {
        match parser.key(into, Level::default()) {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::Error(error)) => return Err(error),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn until(&mut self, stops: &[char]) -> Run {
        let rest = std::mem::take(&mut self.rest);
        let Some(at) = rest.find(stops) else {
            return Run { text: rest.to_owned(), end: None };
        };
        let mut after = rest[at..].chars();
        let end = after.next();
        self.rest = after.as_str();
        Run { text: rest[..at].to_owned(), end }
    }

    fn key(&mut self, map: &Map, level: Level) -> Result<(), Stop> {
        let Run { text: name, end } = self.until(&['=', '[', '.']);
        match end {
            None if name.is_empty() => Err(Stop::End),
            None => Err(Error::NoValue(name).into()),
            Some('=') => {
                set(map, &name, self.value());
                Ok(())
            }
            Some('[') => {
                let index = self.index()?;
                let mut items = items_at(map, &name)?;
                let result = self.item(&mut items, index, level);
                set(map, &name, list(items));
                result
            }
            Some(_) => {
                let level = level.name()?;
                let inner = map_at(map, &name)?;
                let result = self.key(&inner, level);
                let empty = inner.borrow().is_empty();
                if empty && result.is_ok() {
                    return Err(Error::EmptyMap(name).into());
                }
                if !empty {
                    set(map, &name, inner.into());
                }
                result
            }
        }
    }

    fn item(&mut self, items: &mut Vec<Value>, index: i64, level: Level) -> Result<(), Stop> {
        let at = place(index)?;
        let level = level.deeper()?;
        let Run { text, end } = self.until(&['[', '.', '=']);
        if !text.is_empty() {
            return Err(Error::AfterIndex(quote_runes(&text)).into());
        }
        match end {
            None => Err(Stop::End),
            Some('=') => Ok(set_item(items, index, self.value())?),
            Some('[') => {
                let next = self.index()?;
                let mut inner = items_in(items, at)?;
                self.item(&mut inner, next, level)?;
                Ok(set_item(items, index, list(inner))?)
            }
            Some(_) => {
                let inner = map_in(items, at);
                self.key(&inner, level)?;
                Ok(set_item(items, index, inner.into())?)
            }
        }
    }

    fn value(&mut self) -> Value {
        Value::string(std::mem::take(&mut self.rest))
    }

    fn index(&mut self) -> Result<i64, Stop> {
        let Run { text, end } = self.until(&[']']);
        if end.is_none() {
            return Err(Stop::End);
        }
        Ok(parse_index(text)?)
    }
}
