//! The formats of texts, in the words of Go's library. A format that it does not know accepts everything.

use formats::go;

use crate::functions;

type Verdict = Result<(), String>;

fn refuse(words: impl Into<String>) -> Verdict {
    Err(words.into())
}

fn because(start: &'static str) -> impl Fn(String) -> String {
    move |reason| format!("{start}: {reason}")
}

/// Checks a text against a format.
pub(super) fn check(format: &str, text: &str) -> Verdict {
    match format {
        "regex" => functions::pattern_error(text).map_or(Ok(()), Err),
        "json-pointer" => json_pointer(text),
        "relative-json-pointer" => relative_json_pointer(text),
        "uuid" => uuid(text),
        "duration" => duration(text),
        "period" => period(text),
        "ipv4" => ipv4(text),
        "ipv6" => ipv6(text),
        "hostname" => hostname(text),
        "email" => email(text),
        "date" => date(text),
        "time" => time(text),
        "date-time" => date_time(text),
        "uri" | "iri" => uri(text),
        "uri-reference" | "iri-reference" => uri_reference(text),
        "uri-template" => uri_template(text),
        "semver" => semver(text),
        _ => Ok(()),
    }
}

fn json_pointer(text: &str) -> Verdict {
    if text.is_empty() {
        return Ok(());
    }
    let Some(keys) = text.strip_prefix('/') else { return refuse("not starting with /") };
    let escapes_well = |key: &str| key.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if keys.split('/').all(escapes_well) { Ok(()) } else { refuse("~ must be followed by 0 or 1") }
}

fn relative_json_pointer(text: &str) -> Verdict {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    match (digits, text.starts_with('0'), &text[digits..]) {
        (0, _, _) => refuse("must start with non-negative integer"),
        (2.., true, _) => refuse("starts with zero"),
        (_, _, "#") => Ok(()),
        (_, _, rest) => json_pointer(rest),
    }
}

fn uuid(text: &str) -> Verdict {
    const LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];
    let groups: Vec<&str> = text.split('-').collect();
    if groups.len() != LENGTHS.len() {
        return refuse("must have 5 elements");
    }
    for (index, (group, length)) in groups.iter().zip(LENGTHS).enumerate() {
        if group.len() != length {
            return refuse(format!("element {} must be {length} characters long", index + 1));
        }
        if let Some(other) = group.chars().find(|c| !c.is_ascii_hexdigit()) {
            return refuse(format!("non-hex character {}", go::quote_rune(other)));
        }
    }
    Ok(())
}

fn duration(text: &str) -> Verdict {
    let Some(text) = text.strip_prefix('P') else { return refuse("must start with P") };
    if text.is_empty() {
        return refuse("nothing after P");
    }
    if let Some(weeks) = text.strip_suffix('W') {
        return match weeks.bytes().all(|byte| byte.is_ascii_digit()) {
            true if weeks.is_empty() => refuse("no number in week"),
            true => Ok(()),
            false => refuse("invalid week"),
        };
    }
    for (index, part) in text.split('T').enumerate() {
        match index {
            0 => units(part, "YMD")?,
            _ if part.is_empty() => return refuse("no time elements"),
            1 => units(part, "HMS")?,
            _ => return refuse("more than one T"),
        }
    }
    Ok(())
}

/// Numbers with units, each at most once and in order.
fn units(text: &str, all: &str) -> Verdict {
    let (mut rest, mut left) = (text, all);
    while !rest.is_empty() {
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if number.len() == rest.len() {
            return refuse("missing number");
        }
        let mut letters = number.chars();
        let Some(unit) = letters.next() else { return refuse("missing unit") };
        let Some(at) = left.find(unit) else {
            let unit_text = go::quote_rune(unit);
            return refuse(if all.contains(unit) {
                format!("unit {unit_text} out of order")
            } else {
                format!("invalid unit {unit_text}")
            });
        };
        left = &left[at + 1..];
        rest = letters.as_str();
    }
    Ok(())
}

fn period(text: &str) -> Verdict {
    let Some((start, end)) = text.split_once('/') else { return refuse("missing slash") };
    if start.starts_with('P') {
        duration(start).map_err(because("invalid start duration"))?;
        return date_time(end).map_err(because("invalid end date-time"));
    }
    date_time(start).map_err(because("invalid start date-time"))?;
    if end.starts_with('P') {
        return duration(end).map_err(because("invalid end duration"));
    }
    date_time(end).map_err(because("invalid end date-time"))
}

fn ipv4(text: &str) -> Verdict {
    let groups: Vec<&str> = text.split('.').collect();
    if groups.len() != 4 {
        return refuse("expected four decimals");
    }
    for group in groups {
        if group.len() > 1 && group.starts_with('0') {
            return refuse("leading zeros");
        }
        let digits = group.strip_prefix(['+', '-']).unwrap_or(group);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return refuse(format!("strconv.Atoi: parsing {}: invalid syntax", go::quote(group)));
        }
        let Ok(number) = group.parse::<i64>() else {
            return refuse(format!("strconv.Atoi: parsing {}: value out of range", go::quote(group)));
        };
        if !(0..=255).contains(&number) {
            return refuse("decimal must be between 0 and 255");
        }
    }
    Ok(())
}

fn ipv6(text: &str) -> Verdict {
    if !text.contains(':') {
        return refuse("missing colon");
    }
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
    match zone {
        Some(zone) if is_address && !zone.is_empty() => refuse("zone id is not a part of ipv6 address"),
        None if is_address => Ok(()),
        _ => refuse(format!("ParseAddr({}): unable to parse IP", go::quote(text))),
    }
}

fn hostname(text: &str) -> Verdict {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > 253 {
        return refuse("more than 253 characters long");
    }
    for label in name.split('.') {
        if !(1..=63).contains(&label.len()) {
            return refuse("label must be 1 to 63 characters long");
        }
        if label.starts_with('-') {
            return refuse("label starts with hyphen");
        }
        if label.ends_with('-') {
            return refuse("label ends with hyphen");
        }
        letters_only(label, |c| c.is_ascii_alphanumeric() || c == '-')?;
    }
    Ok(())
}

fn letters_only(text: &str, allowed: impl Fn(char) -> bool) -> Verdict {
    match text.chars().find(|c| !allowed(*c)) {
        Some(other) => refuse(format!("invalid character {}", go::quote_rune(other))),
        None => Ok(()),
    }
}

fn email(text: &str) -> Verdict {
    if text.len() > 254 {
        return refuse("more than 255 characters long");
    }
    let Some((local, domain)) = text.rsplit_once('@') else { return refuse("missing @") };
    if local.len() > 64 {
        return refuse("local part more than 64 characters long");
    }
    match local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) if quoted.contains(['\\', '"']) => {
            return refuse("backslash and quote are not allowed within quoted local part");
        }
        Some(_) => {}
        None if local.starts_with('.') => return refuse("starts with dot"),
        None if local.ends_with('.') => return refuse("ends with dot"),
        None if local.contains("..") => return refuse("consecutive dots"),
        None => letters_only(local, |c| c.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c))?,
    }
    match domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => match address.strip_prefix("IPv6:") {
            Some(address) => ipv6(address).map_err(because("invalid ipv6 address")),
            None => ipv4(address).map_err(because("invalid ipv4 address")),
        },
        None => hostname(domain).map_err(because("invalid domain")),
    }
}

fn date(text: &str) -> Verdict {
    functions::check_date(text.as_bytes())
}

fn time(text: &str) -> Verdict {
    let bytes = text.as_bytes();
    if bytes.len() < 9 {
        return refuse("less than 9 characters long");
    }
    if bytes[2] != b':' || bytes[5] != b':' {
        return refuse("missing colon in correct place");
    }
    let number = |at: usize| text.get(at..at + 2).and_then(|digits| digits.parse::<i32>().ok());
    let (Some(hour), Some(minute), Some(second)) = (number(0), number(3), number(6)) else {
        return refuse("invalid hour/min/sec");
    };
    if hour > 23 || minute > 59 || second > 60 {
        return refuse("hour/min/sec out of range");
    }
    let mut rest = text.get(8..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == fraction.len() {
            return refuse("no digits in second fraction");
        }
    }
    let offset = offset(rest)?;
    let utc = (hour * 60 + minute - offset).rem_euclid(24 * 60);
    if second == 60 && utc != 24 * 60 - 1 { refuse("invalid leap second") } else { Ok(()) }
}

/// Minutes east of UTC.
fn offset(text: &str) -> Result<i32, String> {
    if matches!(text, "z" | "Z") {
        return Ok(0);
    }
    let words = match text.as_bytes() {
        bytes if bytes.len() != 6 => "offset must be 6 characters long",
        [b'+' | b'-', _, _, b':', ..] => {
            let number = |at: usize| text.get(at..at + 2).and_then(|digits| digits.parse::<i32>().ok());
            match (number(1), number(4)) {
                (Some(hours), Some(minutes)) if hours <= 23 && minutes <= 59 => {
                    let east = hours * 60 + minutes;
                    return Ok(if text.starts_with('-') { -east } else { east });
                }
                (Some(_), Some(_)) => "hour/min in offset out of range",
                _ => "invalid hour/min in offset",
            }
        }
        [b'+' | b'-', ..] => "missing colon in offset in correct place",
        _ => "offset must begin with plus/minus",
    };
    Err(words.to_owned())
}

fn date_time(text: &str) -> Verdict {
    if text.len() < 20 {
        return refuse("less than 20 characters long");
    }
    let (Some(day), Some(clock)) = (text.get(..10), text.get(11..)) else {
        return refuse("11th character must be t or T");
    };
    if !matches!(text.as_bytes()[10], b't' | b'T') {
        return refuse("11th character must be t or T");
    }
    date(day).map_err(because("invalid date element"))?;
    time(clock).map_err(because("invalid time element"))
}

fn uri(text: &str) -> Verdict {
    let has_scheme = functions::check_url(text)?;
    if has_scheme { Ok(()) } else { refuse("relative url") }
}

fn uri_reference(text: &str) -> Verdict {
    if text.contains('\\') {
        return refuse("contains \\");
    }
    functions::check_url(text).map(drop)
}

/// Braces must come in pairs within each part of the path.
fn uri_template(text: &str) -> Verdict {
    let has_scheme = functions::check_url(text)?;
    let body = text.split(['?', '#']).next().unwrap_or_default();
    let hierarchy = if has_scheme { body.split_once(':').map_or(body, |(_, rest)| rest) } else { body };
    let path = match hierarchy.strip_prefix("//") {
        Some(authority) => authority.split_once('/').map_or("", |(_, path)| path),
        None if has_scheme && !hierarchy.starts_with('/') => "",
        None => hierarchy,
    };
    for part in path.split('/') {
        let mut open = false;
        for brace in part.chars().filter(|c| matches!(c, '{' | '}')) {
            if open == (brace == '{') {
                return refuse("nested curly braces");
            }
            open = !open;
        }
        if open {
            return refuse("no matching closing brace");
        }
    }
    Ok(())
}

fn semver(text: &str) -> Verdict {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    if build == Some("") {
        return refuse("build is empty");
    }
    build.into_iter().flat_map(|build| build.split('.')).try_for_each(|word| identifier(word, "build"))?;
    let (core, release) = rest.split_once('-').map_or((rest, None), |(core, release)| (core, Some(release)));
    for word in release.into_iter().flat_map(|release| release.split('.')) {
        identifier(word, "pre-release")?;
        if word.len() > 1 && word.starts_with('0') && word.bytes().all(|byte| byte.is_ascii_digit()) {
            return refuse("pre-release numeric identifier starts with zero");
        }
    }
    let numbers: Vec<&str> = core.split('.').collect();
    if numbers.len() != 3 {
        return refuse("versionCore must have 3 numbers separated by dot");
    }
    for (number, name) in numbers.into_iter().zip(["major", "minor", "patch"]) {
        if number.is_empty() {
            return refuse(format!("{name} is empty"));
        }
        if number.len() > 1 && number.starts_with('0') {
            return refuse(format!("{name} starts with zero"));
        }
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return refuse(format!("{name} contains non-digit"));
        }
    }
    Ok(())
}

fn identifier(word: &str, kind: &str) -> Verdict {
    if word.is_empty() {
        return refuse(format!("{kind} identifier is empty"));
    }
    match word.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
        Some(other) => refuse(format!("invalid character {} in {kind} identifier", go::quote_rune(other))),
        None => Ok(()),
    }
}
