//! `addf`, `subf`, `mulf`, `divf`, `add1f`: floats computed as decimals, as shopspring/decimal does,
//! so that `addf 0.1 0.2` is 0.3.

use gotmpl::{FuncError, Function, Type, Value};
use num_bigint::{BigInt, Sign};

use super::arguments::{self, Outcome, any, cast_float};
use super::{pure, variadic};
use crate::host::Host;

/// Decimals a quotient is rounded to.
const QUOTIENT_PLACES: i64 = 16;

/// Decimal places or digits a number may reach: each factor adds at most some hundreds.
const MAX_EXPONENT: i64 = 100_000;

const ONE: &[Type] = &[Type::Any];
const TWO: &[Type] = &[Type::Any, Type::Any];

pub(super) const TABLE: &[Function<Host>] = &[
    pure("add1f", ONE, |args| fold(any(args, 0), &[Value::Int(1)], |a, b| Ok(a.plus(&b)))),
    variadic("addf", ONE, |args| fold(&Value::Float64(0.0), args, |a, b| Ok(a.plus(&b)))),
    variadic("divf", TWO, |args| fold(any(args, 0), arguments::variadic(args, 1), |a, b| a.divided_by(&b))),
    variadic("mulf", TWO, |args| fold(any(args, 0), arguments::variadic(args, 1), |a, b| Ok(a.times(&b)))),
    variadic("subf", TWO, |args| fold(any(args, 0), arguments::variadic(args, 1), |a, b| Ok(a.minus(&b)))),
];

type Operation = fn(Decimal, Decimal) -> Result<Decimal, FuncError>;

fn fold(first: &Value, rest: &[Value], operation: Operation) -> Outcome {
    let mut result = Decimal::new(cast_float(first))?;
    for operand in rest {
        result = operation(result, Decimal::new(cast_float(operand))?)?;
        if result.exponent.abs() > MAX_EXPONENT {
            return Err(FuncError::new(format!("the result has more than {MAX_EXPONENT} digits")));
        }
    }
    result.to_float()
}

/// `coefficient` times ten to the power of `exponent`.
struct Decimal {
    coefficient: BigInt,
    exponent: i64,
}

fn power_of_ten(exponent: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(0))
}

impl Decimal {
    /// The shortest decimal that reads back as `number`.
    fn new(number: f64) -> Result<Self, FuncError> {
        if !number.is_finite() {
            let name = gotmpl::display(&Value::Float64(number));
            return Err(FuncError::new(format!("Cannot create a Decimal from {}", name.to_lossy())));
        }
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(number);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let places = i64::try_from(fraction.len()).unwrap_or(0);
        let coefficient = format!("{whole}{fraction}").parse().unwrap_or_default();
        Ok(Self { coefficient, exponent: exponent.parse::<i64>().unwrap_or(0) - places })
    }

    /// Both coefficients at the smaller exponent of the two.
    fn aligned(&self, other: &Self) -> (BigInt, BigInt, i64) {
        let exponent = self.exponent.min(other.exponent);
        let scaled = |number: &Self| &number.coefficient * power_of_ten(number.exponent - exponent);
        (scaled(self), scaled(other), exponent)
    }

    fn plus(&self, other: &Self) -> Self {
        let (a, b, exponent) = self.aligned(other);
        Self { coefficient: a + b, exponent }
    }

    fn minus(&self, other: &Self) -> Self {
        let (a, b, exponent) = self.aligned(other);
        Self { coefficient: a - b, exponent }
    }

    fn times(&self, other: &Self) -> Self {
        Self { coefficient: &self.coefficient * &other.coefficient, exponent: self.exponent + other.exponent }
    }

    /// The quotient at [`QUOTIENT_PLACES`], halves rounded away from zero.
    fn divided_by(&self, divisor: &Self) -> Result<Self, FuncError> {
        if divisor.coefficient.sign() == Sign::NoSign {
            return Err(FuncError::new("decimal division by 0"));
        }
        let shift = self.exponent - divisor.exponent + QUOTIENT_PLACES;
        let dividend = &self.coefficient * power_of_ten(shift);
        let divisor = &divisor.coefficient * power_of_ten(-shift);
        let quotient = &dividend / &divisor;
        let remainder = &dividend % &divisor;
        let half_or_more = remainder.magnitude() + remainder.magnitude() >= *divisor.magnitude();
        let away = if dividend.sign() == divisor.sign() { 1 } else { -1 };
        let coefficient = if half_or_more { quotient + away } else { quotient };
        Ok(Self { coefficient, exponent: -QUOTIENT_PLACES })
    }

    /// The nearest float.
    fn to_float(&self) -> Outcome {
        let number = format!("{}e{}", self.coefficient, self.exponent).parse();
        number.map(Value::Float64).map_err(|_| FuncError::new("failed to read the decimal as a float"))
    }
}
