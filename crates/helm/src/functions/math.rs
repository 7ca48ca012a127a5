//! Integer and floating-point arithmetic, with Go's wrapping, rounding and panics.

use gotmpl::{FuncError, Function, Type, Value};

use super::arguments::{Outcome, any, cast_float, cast_int, int};
use super::{arguments, numbers, pure, variadic};
use crate::host::Host;

const ONE: &[Type] = &[Type::Any];
const TWO: &[Type] = &[Type::Any, Type::Any];

pub(super) const TABLE: &[Function<Host>] = &[
    variadic("add", ONE, |args| Ok(Value::Int64(args.iter().map(cast_int).fold(0, i64::wrapping_add)))),
    pure("add1", ONE, |args| Ok(Value::Int64(cast_int(any(args, 0)).wrapping_add(1)))),
    variadic("biggest", TWO, |args| Ok(best(args, i64::max))),
    pure("ceil", ONE, |args| Ok(Value::Float64(cast_float(any(args, 0)).ceil()))),
    pure("div", TWO, |args| divide(args, i64::wrapping_div)),
    pure("float64", ONE, |args| Ok(Value::Float64(cast_float(any(args, 0))))),
    pure("floor", ONE, |args| Ok(Value::Float64(cast_float(any(args, 0)).floor()))),
    pure("int", ONE, |args| Ok(Value::Int(cast_int(any(args, 0))))),
    pure("int64", ONE, |args| Ok(Value::Int64(cast_int(any(args, 0))))),
    variadic("max", TWO, |args| Ok(best(args, i64::max))),
    variadic("maxf", TWO, |args| Ok(best_float(args, maximum))),
    variadic("min", TWO, |args| Ok(best(args, i64::min))),
    variadic("minf", TWO, |args| Ok(best_float(args, |a, b| -maximum(-a, -b)))),
    pure("mod", TWO, |args| divide(args, i64::wrapping_rem)),
    variadic("mul", TWO, |args| Ok(Value::Int64(args.iter().map(cast_int).fold(1, i64::wrapping_mul)))),
    variadic("round", &[Type::Any, Type::Int, Type::Float64], |args| {
        let threshold = arguments::variadic(args, 2).first().map_or(0.5, cast_float);
        Ok(Value::Float64(round(cast_float(any(args, 0)), int(args, 1)?, threshold)))
    }),
    pure("sub", TWO, |args| Ok(Value::Int64(cast_int(any(args, 0)).wrapping_sub(cast_int(any(args, 1)))))),
    pure("toDecimal", ONE, |args| {
        Ok(Value::Int64(numbers::parse_int(gotmpl::display(any(args, 0)).as_bytes(), 8).unwrap_or(0)))
    }),
];

fn divide(args: &[Value], operation: fn(i64, i64) -> i64) -> Outcome {
    match cast_int(any(args, 1)) {
        0 => Err(FuncError::new("runtime error: integer divide by zero")),
        divisor => Ok(Value::Int64(operation(cast_int(any(args, 0)), divisor))),
    }
}

fn best(args: &[Value], choose: fn(i64, i64) -> i64) -> Value {
    Value::Int64(args.iter().map(cast_int).reduce(choose).unwrap_or(0))
}

fn best_float(args: &[Value], choose: fn(f64, f64) -> f64) -> Value {
    Value::Float64(args.iter().map(cast_float).reduce(choose).unwrap_or(0.0))
}

/// `math.Max`: infinity wins over NaN, NaN over numbers, and 0 over -0.
fn maximum(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        // The total order puts 0 above -0, as Go does.
        if a.total_cmp(&b).is_lt() { b } else { a }
    }
}

/// `number` rounded to `places` decimals; the part that is cut rounds up from `threshold` on.
fn round(number: f64, places: i64, threshold: f64) -> f64 {
    let scale = power_of_ten(places);
    let digits = scale * number;
    let fraction = if digits.is_infinite() { f64::NAN } else { digits.fract() };
    let rounded = if fraction >= threshold { digits.ceil() } else { digits.floor() };
    rounded / scale
}

/// 10 to the power of `exponent`, with the rounding errors of Go's `math.Pow`: it squares a mantissa between
/// ½ and 1 and keeps the binary exponent aside.
fn power_of_ten(exponent: i64) -> f64 {
    if !(-400..=400).contains(&exponent) {
        return if exponent < 0 { 0.0 } else { f64::INFINITY };
    }
    let (mut base, mut base_exponent) = (0.625_f64, 4_i32);
    let (mut mantissa, mut binary) = (1.0_f64, 0_i32);
    let mut rest = exponent.unsigned_abs();
    while rest != 0 {
        if rest & 1 == 1 {
            mantissa *= base;
            binary += base_exponent;
        }
        base *= base;
        base_exponent *= 2;
        if base < 0.5 {
            base += base;
            base_exponent -= 1;
        }
        rest >>= 1;
    }
    if exponent < 0 {
        mantissa = 1.0 / mantissa;
        binary = -binary;
    }
    scale_by_two(mantissa, binary)
}

/// `mantissa` times two to the power of `exponent`, in steps that neither overflow nor lose bits early.
fn scale_by_two(mantissa: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    mantissa * 2_f64.powi(half) * 2_f64.powi(exponent - half)
}
