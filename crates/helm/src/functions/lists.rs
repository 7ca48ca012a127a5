//! Lists. A result is a new `[]interface {}`, whatever the argument's element type, but for `slice`.

use gotmpl::{FuncError, Function, Interp, List, ListType, Type, Value};

use super::arguments::{
    self, NIL_POINTER, Outcome, any, cast_int, int, is_empty, kind_name, size, string_of, strings_of,
};
use super::equality::deep_equal;
use super::{deep, extending, hosted, pure, variadic};
use crate::host::Host;

/// Items of a list that `concat` makes, which could double it again and again.
const MAX_ITEMS: usize = 1_000_000;

/// Different items `uniq` tells apart; it compares each with each.
const MAX_DISTINCT_ITEMS: usize = 10_000;

const ONE: &[Type] = &[Type::Any];
const TWO: &[Type] = &[Type::Any, Type::Any];
const SIZE_LIST: &[Type] = &[Type::Int, Type::Any];

pub(super) const TABLE: &[Function<Host>] = &[
    extending("append", TWO, append),
    pure("chunk", SIZE_LIST, chunk),
    pure("compact", ONE, compact),
    Function { variadic: true, ..extending("concat", ONE, concat) },
    pure("first", ONE, first),
    deep(pure("has", TWO, has)),
    pure("initial", ONE, initial),
    pure("last", ONE, last),
    variadic("list", ONE, list),
    extending("mustAppend", TWO, append),
    pure("mustChunk", SIZE_LIST, chunk),
    pure("mustCompact", ONE, compact),
    pure("mustFirst", ONE, first),
    deep(pure("mustHas", TWO, has)),
    pure("mustInitial", ONE, initial),
    pure("mustLast", ONE, last),
    pure("mustPrepend", TWO, prepend),
    extending("mustPush", TWO, append),
    pure("mustRest", ONE, rest),
    pure("mustReverse", ONE, reverse),
    variadic("mustSlice", TWO, slice),
    deep(hosted("mustUniq", ONE, uniq)),
    deep(Function { variadic: true, ..hosted("mustWithout", TWO, without) }),
    pure("prepend", TWO, prepend),
    extending("push", TWO, append),
    pure("rest", ONE, rest),
    pure("reverse", ONE, reverse),
    variadic("slice", TWO, slice),
    deep(pure("sortAlpha", ONE, sort_alpha)),
    variadic("tuple", ONE, list),
    deep(hosted("uniq", ONE, uniq)),
    deep(Function { variadic: true, ..hosted("without", TWO, without) }),
];

/// The list at `index`; `refusal` begins Sprig's message about another kind of argument.
fn list_at(args: &[Value], index: usize, refusal: &str) -> Result<List, FuncError> {
    match any(args, index) {
        Value::List(list) => Ok(list.clone()),
        Value::Nil => Err(FuncError::new(NIL_POINTER)),
        Value::Object(object) => match object.underlying() {
            Some(Value::List(list)) => Ok(list),
            _ => Err(FuncError::new(format!("{refusal} {}", kind_name(object.kind())))),
        },
        other => Err(FuncError::new(format!("{refusal} {}", kind_name(other.kind())))),
    }
}

fn list_of(items: Vec<Value>) -> Outcome {
    Ok(List::any(items).into())
}

fn list(args: &[Value]) -> Outcome {
    list_of(args.to_vec())
}

fn append(mut args: Vec<Value>) -> Outcome {
    let list = list_at(&args, 0, "Cannot push on type")?;
    let item = any(&args, 1).clone();
    // Whoever holds the list now is the only one, or keeps what it has.
    args.clear();
    let mut items = list.take();
    items.push(item);
    list_of(items)
}

fn prepend(args: &[Value]) -> Outcome {
    let mut items = vec![any(args, 1).clone()];
    items.extend_from_slice(list_at(args, 0, "Cannot prepend on type")?.items());
    list_of(items)
}

fn first(args: &[Value]) -> Outcome {
    Ok(list_at(args, 0, "Cannot find first on type")?.items().first().cloned().unwrap_or(Value::Nil))
}

fn last(args: &[Value]) -> Outcome {
    Ok(list_at(args, 0, "Cannot find last on type")?.items().last().cloned().unwrap_or(Value::Nil))
}

fn rest(args: &[Value]) -> Outcome {
    let list = list_at(args, 0, "Cannot find rest on type")?;
    Ok(all_but(list.items().split_first().map(|(_, rest)| rest)))
}

fn initial(args: &[Value]) -> Outcome {
    let list = list_at(args, 0, "Cannot find initial on type")?;
    Ok(all_but(list.items().split_last().map(|(_, initial)| initial)))
}

fn all_but(items: Option<&[Value]>) -> Value {
    items.map_or_else(|| List::nil(ListType::Any), |items| List::any(items.to_vec())).into()
}

fn reverse(args: &[Value]) -> Outcome {
    list_of(list_at(args, 0, "Cannot find reverse on type")?.items().iter().rev().cloned().collect())
}

fn compact(args: &[Value]) -> Outcome {
    let list = list_at(args, 0, "Cannot compact on type")?;
    list_of(list.items().iter().filter(|item| !is_empty(item)).cloned().collect())
}

/// What one comparison of two items costs in steps, beyond what they contain.
const COMPARISONS_PER_STEP: u64 = 8;

/// Charges for comparing an item with `count` others: as often as there are, all that it contains is looked at.
fn charge_comparisons(interp: &mut Interp<'_, Host>, item: &Value, count: usize) -> Result<(), FuncError> {
    let contents = match item {
        Value::String(text) => text.len() as u64 / 64,
        Value::List(list) => 2 * list.len() as u64,
        Value::Map(map) => 4 * map.borrow().len() as u64,
        _ => 0,
    };
    interp.charge((count as u64).saturating_mul(1 + contents) / COMPARISONS_PER_STEP)
}

fn uniq(interp: &mut Interp<'_, Host>, args: &[Value]) -> Outcome {
    let mut distinct: Vec<Value> = Vec::new();
    for item in list_at(args, 0, "Cannot find uniq on type")?.items() {
        charge_comparisons(interp, item, distinct.len())?;
        if !distinct.iter().any(|known| deep_equal(item, known)) {
            distinct.push(item.clone());
        }
        if distinct.len() > MAX_DISTINCT_ITEMS {
            return Err(FuncError::new(format!("more than {MAX_DISTINCT_ITEMS} distinct items")));
        }
    }
    list_of(distinct)
}

fn without(interp: &mut Interp<'_, Host>, args: &[Value]) -> Outcome {
    let unwanted = arguments::variadic(args, 1);
    let list = list_at(args, 0, "Cannot find without on type")?;
    for other in unwanted {
        charge_comparisons(interp, other, list.len())?;
    }
    let kept = list.items().iter().filter(|item| !unwanted.iter().any(|other| deep_equal(item, other)));
    list_of(kept.cloned().collect())
}

fn has(args: &[Value]) -> Outcome {
    if matches!(any(args, 1), Value::Nil) {
        return Ok(Value::Bool(false));
    }
    let haystack = list_at(args, 1, "Cannot find has on type")?;
    Ok(Value::Bool(haystack.items().iter().any(|item| deep_equal(any(args, 0), item))))
}

/// `slice LIST [FROM [TO]]`; the slice of an empty list is nil.
fn slice(args: &[Value]) -> Outcome {
    let list = list_at(args, 0, "list should be type of slice or array but")?;
    let items = list.items();
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let start = args.get(1).map_or(Some(0), |start| usize::try_from(cast_int(start)).ok());
    let end = args.get(2).map_or(Some(items.len()), |end| usize::try_from(cast_int(end)).ok());
    let part = start.zip(end).and_then(|(start, end)| items.get(start..end));
    let part = part.ok_or_else(|| FuncError::new("reflect.Value.Slice: slice index out of bounds"))?;
    Ok(List::new(list.element, part.to_vec()).into())
}

fn concat(mut args: Vec<Value>) -> Outcome {
    let lengths = args.iter().map(|list| if let Value::List(list) = list { list.len() } else { 0 });
    let length: usize = lengths.sum();
    if length > MAX_ITEMS {
        return Err(FuncError::new(format!("a list of more than {MAX_ITEMS} items")));
    }
    let mut items = match args.first_mut() {
        Some(Value::List(first)) => std::mem::replace(first, List::any(Vec::new())).take(),
        _ => Vec::new(),
    };
    for (index, other) in args.iter().enumerate() {
        match other {
            Value::List(list) => items.extend_from_slice(list.items()),
            Value::Nil => return Err(FuncError::new(NIL_POINTER)),
            Value::Bool(_)
            | Value::Int(_)
            | Value::Int64(_)
            | Value::Uint8(_)
            | Value::Uint64(_)
            | Value::Float64(_)
            | Value::String(_)
            | Value::Map(_)
            | Value::Object(_) => {
                let kind = kind_name(any(&args, index).kind());
                return Err(FuncError::new(format!("Cannot concat type {kind} as list")));
            }
        }
    }
    Ok(if items.is_empty() { List::nil(ListType::Any) } else { List::any(items) }.into())
}

/// `chunk SIZE LIST`: a `[][]interface {}`.
fn chunk(args: &[Value]) -> Outcome {
    let width = int(args, 0)?;
    let list = list_at(args, 1, "Cannot chunk type")?;
    let items = list.items();
    // Go computes the number of chunks in floating point, and accepts the negative widths that make none or one.
    let chunks = match (width, i64::try_from(items.len()).unwrap_or(i64::MAX)) {
        (1.., _) => items.chunks(size(width)),
        (..=-2, 1) => items.chunks(1),
        (..=-1, 2..) if items.len() as u64 - 1 <= width.unsigned_abs() => [].chunks(1),
        _ => return Err(FuncError::new("runtime error: makeslice: len out of range")),
    };
    let chunks = chunks.map(|chunk| List::any(chunk.to_vec()).into());
    Ok(List::new(ListType::List, chunks.collect()).into())
}

fn sort_alpha(args: &[Value]) -> Outcome {
    let mut texts = match any(args, 0) {
        list @ Value::List(_) => strings_of(list),
        scalar => vec![string_of(scalar)],
    };
    texts.sort();
    Ok(List::strings(texts).into())
}
