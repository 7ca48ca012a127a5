//! Timestamps, as far as go-yaml recognises them: they stay text, but must be quoted when printed.

/// Whether a text reads as a date, or a date and time.
pub(super) fn is_timestamp(text: &str) -> bool {
    // Only texts of a four digit year are tried at all.
    let bytes = text.as_bytes();
    let year = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if year != 4 || bytes.get(4) != Some(&b'-') {
        return false;
    }
    let mut rest = &bytes[5..];
    let Some(month) = number(&mut rest) else {
        return false;
    };
    if !take(&mut rest, b'-') {
        return false;
    }
    let Some(day) = number(&mut rest) else {
        return false;
    };
    let valid = (1..=12).contains(&month) && (1..=days(&bytes[..4], month)).contains(&day);
    match rest {
        [] => valid,
        [b'T' | b't', time @ ..] => valid && clock(time).is_some_and(is_zone),
        [b' ', ..] => {
            let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
            valid && clock(&rest[spaces..]).is_some_and(<[u8]>::is_empty)
        }
        _ => false,
    }
}

/// Reads a number of one or two digits.
fn number(rest: &mut &[u8]) -> Option<u32> {
    let digits = rest.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
    let number = rest[..digits].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    *rest = &rest[digits..];
    (digits > 0).then_some(number)
}

fn take(rest: &mut &[u8], wanted: u8) -> bool {
    match rest.split_first() {
        Some((first, tail)) if *first == wanted => {
            *rest = tail;
            true
        }
        _ => false,
    }
}

fn days(year: &[u8], month: u32) -> u32 {
    let year = year.iter().fold(0, |year, digit| year * 10 + u32::from(digit - b'0'));
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Reads hours, minutes, seconds and a fraction, and gives what follows.
fn clock(mut rest: &[u8]) -> Option<&[u8]> {
    let hour = number(&mut rest)?;
    let minute = take(&mut rest, b':').then(|| number(&mut rest))??;
    let second = take(&mut rest, b':').then(|| number(&mut rest))??;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if let [b'.' | b',', digit, ..] = rest
        && digit.is_ascii_digit()
    {
        let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest = &rest[1 + digits..];
    }
    Some(rest)
}

/// `Z`, or an offset of hours and minutes.
fn is_zone(rest: &[u8]) -> bool {
    match rest {
        b"Z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()) => {
            let two = |tens: u8, ones: u8| u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
            two(*h1, *h2) <= 24 && two(*m1, *m2) <= 60
        }
        _ => false,
    }
}
