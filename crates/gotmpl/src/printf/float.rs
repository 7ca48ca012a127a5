//! Floating-point numbers: `strconv.FormatFloat` and what `fmt` makes of it.

use super::pad::Flags;

/// The verbs of `strconv.FormatFloat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatFormat {
    /// `%b`: a binary exponent, `4503599627370496p-52`.
    Binary,
    /// `%e`: `1.5e+06`.
    Exponent,
    /// `%f`: `1500000`.
    Decimal,
    /// `%g`: `%e` for large exponents, else `%f`.
    General,
    /// `%x`: `0x1.8p+01`.
    Hex,
}

/// `strconv.FormatFloat(value, format, precision, 64)`; without a precision, the fewest digits that
/// stand for exactly this value.
pub fn format_float(value: f64, format: FloatFormat, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let magnitude = value.abs();
    let text = match format {
        FloatFormat::Binary => binary(magnitude),
        FloatFormat::Hex => hex(magnitude, precision),
        FloatFormat::Exponent => {
            let digits = Digits::rounded(magnitude, precision.map(|p| p + 1));
            digits.exponent(precision.unwrap_or_else(|| digits.len().saturating_sub(1)))
        }
        FloatFormat::Decimal => {
            let precision = precision.unwrap_or_else(|| Digits::shortest(magnitude).fraction());
            decimal(magnitude, precision)
        }
        FloatFormat::General => general(magnitude, precision),
    };
    format!("{sign}{text}")
}

/// No `f64` has more significant digits, nor more digits after the point; the rest are zeros.
const MOST_DIGITS: usize = 1100;

/// Decimal digits without trailing zeros, and where the point is: `0.d₁d₂d₃… × 10^point`.
struct Digits {
    digits: Vec<u8>,
    point: i32,
}

impl Digits {
    fn rounded(value: f64, count: Option<usize>) -> Self {
        match count {
            Some(count) => {
                let precision = count.clamp(1, MOST_DIGITS) - 1;
                Self::parse(&format!("{value:.precision$e}"))
            }
            None => Self::shortest(value),
        }
    }

    /// The fewest digits that read back as `value`; of those, the ones closest to it.
    fn shortest(value: f64) -> Self {
        let shortest = Self::parse(&format!("{value:e}"));
        let precision = shortest.len().saturating_sub(1);
        let closest = format!("{value:.precision$e}");
        if closest.parse() == Ok(value) { Self::parse(&closest) } else { shortest }
    }

    /// From Rust's `1.25e3`.
    fn parse(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let point = if digits.is_empty() { 0 } else { exponent.parse::<i32>().unwrap_or(0) + 1 };
        Self { digits, point }
    }

    fn len(&self) -> usize {
        self.digits.len()
    }

    /// How many digits stand after the point.
    fn fraction(&self) -> usize {
        let len = i32::try_from(self.len()).unwrap_or(i32::MAX);
        usize::try_from(len - self.point).unwrap_or(0)
    }

    fn digit(&self, index: i32) -> char {
        usize::try_from(index).ok().and_then(|index| self.digits.get(index)).map_or('0', |d| char::from(*d))
    }

    fn exponent(&self, precision: usize) -> String {
        let mut text = String::from(self.digit(0));
        if precision > 0 {
            text.push('.');
            text.extend((1..).take(precision).map(|index| self.digit(index)));
        }
        let exponent = if self.digits.is_empty() { 0 } else { self.point - 1 };
        let sign = if exponent < 0 { '-' } else { '+' };
        text + &format!("e{sign}{:02}", exponent.abs())
    }

    fn decimal(&self, precision: usize) -> String {
        let mut text = String::new();
        if self.point <= 0 {
            text.push('0');
        }
        text.extend((0..self.point).map(|index| self.digit(index)));
        if precision > 0 {
            text.push('.');
            text.extend((self.point..).take(precision).map(|index| self.digit(index)));
        }
        text
    }
}

fn decimal(value: f64, precision: usize) -> String {
    let exact = precision.min(MOST_DIGITS);
    let mut text = format!("{value:.exact$}");
    text.extend(std::iter::repeat_n('0', precision - exact));
    text
}

fn general(value: f64, precision: Option<usize>) -> String {
    let count = precision.map(|precision| precision.max(1));
    let digits = Digits::rounded(value, count);
    let len = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let limit = match count.map(|count| i32::try_from(count).unwrap_or(i32::MAX)) {
        None => 6,
        Some(count) if count > len && len >= digits.point => len,
        Some(count) => count,
    };
    let exponent = digits.point - 1;
    if exponent < -4 || exponent >= limit {
        digits.exponent(digits.len().saturating_sub(1))
    } else {
        digits.decimal(digits.fraction())
    }
}

/// The mantissa as an integer and the power of two it is multiplied with.
fn mantissa_and_exponent(value: f64) -> (u64, i64) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match i64::try_from((bits >> 52) & 0x7ff).unwrap_or_default() {
        0 => (fraction, -1074),
        exponent => (fraction | 1 << 52, exponent - 1075),
    }
}

fn binary(value: f64) -> String {
    let (mantissa, exponent) = mantissa_and_exponent(value);
    format!("{mantissa}p{exponent:+}")
}

fn hex(value: f64, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = mantissa_and_exponent(value);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // One hexadecimal digit before the point, always 1; 13 after it, rounded in 60 bits.
        while mantissa & 1 << 60 == 0 {
            mantissa <<= 1;
            exponent -= 1;
        }
        exponent += 60;
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let shift = precision * 4;
        let extra = (mantissa << shift) & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if extra | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & 1 << 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let figures = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let fraction = match precision {
        None => figures.trim_end_matches('0').to_owned(),
        Some(precision) => {
            let kept = &figures[..precision.min(15)];
            format!("{kept}{}", "0".repeat(precision - kept.len()))
        }
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x{}{point}{fraction}p{sign}{:02}", mantissa >> 60 & 1, exponent.abs())
}

/// Appends `value` under a verb of `fmt`: `verb` is one of `bgGxXfFeEv`.
pub(super) fn append(out: &mut Vec<u8>, value: f64, verb: char, flags: &Flags) {
    let format = match verb {
        'b' => FloatFormat::Binary,
        'x' | 'X' => FloatFormat::Hex,
        'f' | 'F' => FloatFormat::Decimal,
        'e' | 'E' => FloatFormat::Exponent,
        _ => FloatFormat::General,
    };
    let default = matches!(verb, 'f' | 'F' | 'e' | 'E').then_some(6);
    let precision = flags.precision.or(default);
    let mut text = format_float(value, format, precision);
    if verb.is_ascii_uppercase() && value.is_finite() {
        text.make_ascii_uppercase();
    }
    let negative = text.starts_with('-');
    let body = text.trim_start_matches(['+', '-']);
    let sign = match (negative, flags.plus, flags.space) {
        (true, _, _) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        (false, false, false) => "",
    };
    if !value.is_finite() {
        // An infinity always has a sign, unless a space is to stand for it.
        let sign = if value > 0.0 && !flags.space { "+" } else { sign };
        return flags.pad_with_spaces(out, format!("{sign}{body}").as_bytes());
    }
    let body = if flags.sharp && verb != 'b' { with_point(body, verb, precision) } else { body.to_owned() };
    if sign.is_empty() {
        return flags.pad(out, body.as_bytes());
    }
    pad_signed(out, sign, &body, flags);
}

/// Zeros go between the sign and the number.
fn pad_signed(out: &mut Vec<u8>, sign: &str, body: &str, flags: &Flags) {
    match flags.width {
        Some(width) if flags.zero && !flags.minus && width > body.len() + 1 => {
            out.extend_from_slice(sign.as_bytes());
            flags.padding(out, width - body.len() - 1);
            out.extend_from_slice(body.as_bytes());
        }
        _ => flags.pad(out, format!("{sign}{body}").as_bytes()),
    }
}

/// `%#g`: always a decimal point, and the trailing zeros that `%g` leaves out.
fn with_point(body: &str, verb: char, precision: Option<usize>) -> String {
    let is_hex = matches!(verb, 'x' | 'X');
    let mut missing = match verb {
        'v' | 'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    let tail_start =
        body.find(|c: char| matches!(c, 'p' | 'P') || !is_hex && matches!(c, 'e' | 'E')).unwrap_or(body.len());
    let (number, tail) = body.split_at(tail_start);
    let mut seen = false;
    for c in number.chars().filter(|c| *c != '.') {
        seen |= c != '0';
        missing = missing.saturating_sub(usize::from(seen));
    }
    let mut text = number.to_owned();
    if !number.contains('.') {
        if number == "0" {
            missing = missing.saturating_sub(1);
        }
        text.push('.');
    }
    text.extend(std::iter::repeat_n('0', missing));
    text + tail
}
