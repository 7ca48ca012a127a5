//! Printing: in each table first what fits on a line, then the tables below it, two spaces further in.

use gotmpl::{Kind, List, Map, Object, Str, Value};

use super::{Error, join, quote, quote_key};
use crate::{go, json};

/// How deeply a value may nest.
pub(super) const DEPTH: usize = 500;

/// Prints a map as a TOML document. Nulls are left out, except in lists, where they are an error.
pub fn emit(value: &Value) -> Result<Vec<u8>, Error> {
    let value = plain(value);
    let Value::Map(map) = &value else {
        return match &value {
            Value::Nil => Ok(Vec::new()),
            Value::List(list) if is_tables(list)? => Err(Error::NoMap),
            Value::Object(object) if object.kind() == Kind::Complex128 => {
                Err(Error::UnsupportedDocument(object.type_name().to_owned()))
            }
            other => {
                let mut writer = Writer { out: String::new() };
                writer.element(other, 0)?;
                Ok(writer.out.into_bytes())
            }
        };
    };
    let mut writer = Writer { out: String::new() };
    writer.table(&[], map)?;
    Ok(writer.out.into_bytes())
}

/// What encoders see of a value.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(object) if object.kind() == Kind::Complex128 || moment(object.as_ref()).is_some() => {
            value.clone()
        }
        // A duration, which JSON shows as a number.
        Value::Object(object) if object.kind() == Kind::Int64 => Value::String(object.display()),
        Value::Object(object) => object.to_value(),
        other => other.clone(),
    }
}

/// A time: as much of it as its text said, if it was read from TOML.
fn moment(object: &dyn Object) -> Option<Str> {
    if object.type_name() != "time.Time" {
        return None;
    }
    let zone = gotmpl::display(&object.call("Location", &[]).ok()?);
    let layout = match zone.as_bytes() {
        b"datetime-local" => "2006-01-02T15:04:05.999999999",
        b"date-local" => "2006-01-02",
        b"time-local" => "15:04:05.999999999",
        _ => "2006-01-02T15:04:05.999999999Z07:00",
    };
    let text = object.call("Format", &[Value::string(layout)]).ok()?;
    Some(gotmpl::display(&text))
}

/// Whether a list is written as tables: it has items, and all of them are maps.
fn is_tables(list: &List) -> Result<bool, Error> {
    check_items(list, 0)?;
    Ok(!list.items().is_empty() && list.items().iter().all(|item| matches!(plain(item), Value::Map(_))))
}

/// Fails for nulls in a list, or in a list in it.
fn check_items(list: &List, depth: usize) -> Result<(), Error> {
    if depth > DEPTH {
        return Err(Error::Depth);
    }
    list.items().iter().try_for_each(|item| match plain(item) {
        Value::Nil => Err(Error::NullElement),
        Value::List(inner) => check_items(&inner, depth + 1),
        _ => Ok(()),
    })
}

struct Writer {
    out: String,
}

/// The entries of a map that fit on a line, and those that are tables.
type Split = (Vec<(Str, Value)>, Vec<(Str, Value)>);

fn split(map: &Map) -> Result<Split, Error> {
    let (mut lines, mut tables) = (Vec::new(), Vec::new());
    for (key, value) in map.borrow().iter() {
        let value = plain(value);
        let table = match &value {
            Value::Map(_) => true,
            Value::List(list) => is_tables(list)?,
            _ => false,
        };
        if table { &mut tables } else { &mut lines }.push((key.clone(), value));
    }
    Ok((lines, tables))
}

impl Writer {
    fn new_line(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn indent(&mut self, key: &[String]) {
        self.out.extend(std::iter::repeat_n(' ', 2 * (key.len() - 1)));
    }

    /// Writes the entries of a table.
    fn table(&mut self, key: &[String], map: &Map) -> Result<(), Error> {
        if key.len() > DEPTH {
            return Err(Error::Depth);
        }
        if self.out.len() > json::BYTES {
            return Err(Error::TooLong);
        }
        let (lines, tables) = split(map)?;
        for (name, value) in lines.into_iter().chain(tables) {
            let mut key = key.to_vec();
            key.push(go::utf8(name.as_bytes()).into_owned());
            match &value {
                Value::Nil => {}
                Value::Map(map) => self.header(&key, map)?,
                Value::List(list) if is_tables(list)? => self.tables(&key, list)?,
                other => {
                    self.indent(&key);
                    self.key_value(&key[key.len() - 1], other, key.len())?;
                    self.new_line();
                }
            }
        }
        Ok(())
    }

    fn header(&mut self, key: &[String], map: &Map) -> Result<(), Error> {
        if key.len() == 1 {
            self.new_line();
        }
        self.indent(key);
        self.out.extend(["[", &join(key), "]"]);
        self.new_line();
        self.table(key, map)
    }

    fn tables(&mut self, key: &[String], list: &List) -> Result<(), Error> {
        for item in list.items() {
            let Value::Map(map) = plain(item) else { continue };
            self.new_line();
            self.indent(key);
            self.out.extend(["[[", &join(key), "]]"]);
            self.new_line();
            self.table(key, &map)?;
        }
        Ok(())
    }

    fn key_value(&mut self, name: &str, value: &Value, depth: usize) -> Result<(), Error> {
        self.out.push_str(&quote_key(name));
        self.out.push_str(" = ");
        self.element(value, depth)
    }

    /// Writes a value on the current line.
    fn element(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH {
            return Err(Error::Depth);
        }
        if self.out.len() > json::BYTES {
            return Err(Error::TooLong);
        }
        match value {
            Value::Nil => {}
            Value::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Int(value) | Value::Int64(value) => self.out.push_str(&value.to_string()),
            Value::Uint8(value) => self.out.push_str(&value.to_string()),
            Value::Uint64(value) => self.out.push_str(&value.to_string()),
            Value::Float64(value) => self.out.push_str(&float(*value)),
            Value::String(text) => self.out.push_str(&quote(&go::utf8(text.as_bytes()))),
            Value::List(list) => {
                self.out.push('[');
                for (index, item) in list.items().iter().enumerate() {
                    self.out.push_str(if index == 0 { "" } else { ", " });
                    self.element(&plain(item), depth + 1)?;
                }
                self.out.push(']');
            }
            Value::Map(map) => self.inline_table(map, depth)?,
            Value::Object(object) => match moment(object.as_ref()) {
                Some(text) => self.out.push_str(&text.to_lossy()),
                None => return Err(Error::UnsupportedType(object.type_name().to_owned())),
            },
        }
        Ok(())
    }

    fn inline_table(&mut self, map: &Map, depth: usize) -> Result<(), Error> {
        let (lines, tables) = split(map)?;
        let (count, more) = (lines.len(), !tables.is_empty());
        let last = count + tables.len() - usize::from(count + tables.len() > 0);
        self.out.push('{');
        for (index, (name, value)) in lines.iter().chain(&tables).enumerate() {
            if matches!(value, Value::Nil) {
                continue;
            }
            self.key_value(&go::utf8(name.as_bytes()), value, depth + 1)?;
            if (index < count && more) || index != last {
                self.out.push_str(", ");
            }
        }
        self.out.push('}');
        Ok(())
    }
}

fn float(value: f64) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    match value {
        f64::INFINITY => "inf".to_owned(),
        f64::NEG_INFINITY => "-inf".to_owned(),
        _ => {
            let text = go::general(value);
            if text.contains(['.', 'e']) { text } else { text + ".0" }
        }
    }
}
