//! Sequences of integers: `until`, `untilStep` and `seq`.

use gotmpl::{FuncError, Function, List, ListType, Type, Value};

use super::arguments::int;
use super::{pure, variadic};
use crate::host::Host;

/// Numbers one sequence may have.
const MAX_NUMBERS: usize = 1_000_000;

pub(super) const TABLE: &[Function<Host>] = &[
    variadic("seq", &[Type::Int], |args| {
        let params = args.iter().enumerate().map(|(index, _)| int(args, index)).collect::<Result<Vec<_>, _>>()?;
        let numbers = seq(&params)?;
        Ok(Value::string(numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")))
    }),
    pure("until", &[Type::Int], |args| {
        let count = int(args, 0)?;
        Ok(ints(steps(0, count, if count < 0 { -1 } else { 1 })?))
    }),
    pure("untilStep", &[Type::Int, Type::Int, Type::Int], |args| {
        Ok(ints(steps(int(args, 0)?, int(args, 1)?, int(args, 2)?)?))
    }),
];

fn ints(numbers: Vec<i64>) -> Value {
    List::new(ListType::Int, numbers.into_iter().map(Value::Int).collect()).into()
}

/// The numbers from `start` on that have not reached `stop`; none if `increment` leads away from it.
fn steps(start: i64, stop: i64, increment: i64) -> Result<Vec<i64>, FuncError> {
    let before_stop = |number: &i64| if stop < start { *number > stop } else { *number < stop };
    if increment == 0 || (stop < start) != (increment < 0) {
        return Ok(Vec::new());
    }
    let numbers = std::iter::successors(Some(start), |number| number.checked_add(increment)).take_while(before_stop);
    let numbers: Vec<i64> = numbers.take(MAX_NUMBERS + 1).collect();
    if numbers.len() > MAX_NUMBERS {
        return Err(FuncError::new(format!("a sequence of more than {MAX_NUMBERS} numbers")));
    }
    Ok(numbers)
}

/// `seq LAST`, `seq FIRST LAST` or `seq FIRST STEP LAST`, as the Unix command; both ends are part of it.
fn seq(params: &[i64]) -> Result<Vec<i64>, FuncError> {
    let (start, step, end) = match *params {
        [end] => (1, if end < 1 { -1 } else { 1 }, end),
        [start, end] => (start, if end < start { -1 } else { 1 }, end),
        [start, step, end] => (start, step, end),
        _ => return Ok(Vec::new()),
    };
    if end < start && step > 0 {
        return Ok(Vec::new());
    }
    steps(start, end.wrapping_add(if end < start { -1 } else { 1 }), step)
}
