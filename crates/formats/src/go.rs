//! How Go's standard library spells numbers and strings. The formats agree byte for byte because of it.

use std::borrow::Cow;

/// The shortest digits that read back as a finite number: it is `0.DIGITS` times ten to the `point`.
struct Decimal {
    negative: bool,
    digits: String,
    point: i32,
}

impl Decimal {
    /// Takes a text like `-12.5e-3` apart.
    fn new(text: &str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = format!("{whole}{fraction}");
        let mut point = exponent.parse::<i32>().unwrap_or(0) + i32::try_from(whole.len()).unwrap_or(0);
        let zeros = digits.len() - digits.trim_start_matches('0').len();
        digits.drain(..zeros);
        point -= i32::try_from(zeros).unwrap_or(0);
        digits.truncate(digits.trim_end_matches('0').len());
        if digits.is_empty() {
            digits.push('0');
            point = 1;
        }
        Self { negative, digits, point }
    }

    /// Go's `%e` with the fewest digits.
    fn scientific(&self) -> String {
        let (first, rest) = self.digits.split_at(1);
        let mut out = String::from(if self.negative { "-" } else { "" });
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        let exponent = self.point - 1;
        let sign = if exponent < 0 { '-' } else { '+' };
        out + &format!("e{sign}{:02}", exponent.abs())
    }

    /// Go's `%f` with the fewest digits.
    fn fixed(&self) -> String {
        let mut out = String::from(if self.negative { "-" } else { "" });
        let count = self.digits.len();
        match usize::try_from(self.point) {
            Ok(point) if point >= count => {
                out.push_str(&self.digits);
                out.extend(std::iter::repeat_n('0', point - count));
            }
            Ok(point) if point > 0 => {
                out.push_str(&self.digits[..point]);
                out.push('.');
                out.push_str(&self.digits[point..]);
            }
            _ => {
                out.push_str("0.");
                out.extend((self.point..0).map(|_| '0'));
                out.push_str(&self.digits);
            }
        }
        out
    }

    fn general(&self) -> String {
        if (-4..6).contains(&(self.point - 1)) { self.fixed() } else { self.scientific() }
    }
}

/// `strconv.FormatFloat(value, 'g', -1, 64)`
pub fn general(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value if value.is_nan() => "NaN".to_owned(),
        value => Decimal::new(ryu::Buffer::new().format_finite(value)).general(),
    }
}

/// `strconv.FormatFloat(value, 'g', -1, 32)` of a finite number
pub fn general32(value: f32) -> String {
    Decimal::new(ryu::Buffer::new().format_finite(value)).general()
}

/// A finite number as `encoding/json` writes it.
pub fn json_number(value: f64) -> String {
    let decimal = Decimal::new(ryu::Buffer::new().format_finite(value));
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return decimal.fixed();
    }
    // JSON drops the zero that pads a small negative exponent.
    let text = decimal.scientific();
    match text.rsplit_once("e-0") {
        Some((mantissa, digit)) => format!("{mantissa}e-{digit}"),
        None => text,
    }
}

/// Bytes as text, each byte that is not UTF-8 as U+FFFD.
pub fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\u{FFFD}'));
    }
    Cow::Owned(text)
}

/// A string as Go's `strconv.Quote` writes it.
pub fn quote(text: &str) -> String {
    gotmpl::quote(text.as_bytes()).to_lossy().into_owned()
}

/// A character as Go's `strconv.QuoteRune` writes it.
pub fn quote_rune(character: char) -> String {
    match character {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        _ => {
            let quoted = quote(character.encode_utf8(&mut [0; 4]));
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}
