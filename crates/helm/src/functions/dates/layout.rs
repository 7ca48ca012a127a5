//! Go's date layouts: the reference time `Mon Jan 2 15:04:05 MST 2006` written the way a date should look.

/// How a number is filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pad {
    None,
    Zero,
    Space,
}

/// How an offset from UTC looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffsetStyle {
    /// `Z` stands for UTC.
    pub(super) zulu: bool,
    pub(super) colons: bool,
    /// 1 for hours, 2 with minutes, 3 with seconds.
    pub(super) parts: usize,
}

/// A part of a layout that stands for a part of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Year,
    ShortYear,
    Month(Pad),
    MonthName,
    ShortMonthName,
    Day(Pad),
    YearDay(Pad),
    Weekday,
    ShortWeekday,
    Hour,
    Hour12(Pad),
    Minute(Pad),
    Second(Pad),
    /// `PM`
    Half,
    /// `pm`
    SmallHalf,
    ZoneName,
    Offset(OffsetStyle),
    /// Digits of a second behind `separator`; `trim` cuts zeros at the end.
    Fraction {
        separator: u8,
        digits: usize,
        trim: bool,
    },
}

const fn offset(zulu: bool, colons: bool, parts: usize) -> Element {
    Element::Offset(OffsetStyle { zulu, colons, parts })
}

/// The elements by their text; of those with a common beginning the one to prefer comes first.
const ELEMENTS: &[(&str, Element)] = &[
    ("January", Element::MonthName),
    ("Jan", Element::ShortMonthName),
    ("Monday", Element::Weekday),
    ("Mon", Element::ShortWeekday),
    ("MST", Element::ZoneName),
    ("002", Element::YearDay(Pad::Zero)),
    ("01", Element::Month(Pad::Zero)),
    ("02", Element::Day(Pad::Zero)),
    ("03", Element::Hour12(Pad::Zero)),
    ("04", Element::Minute(Pad::Zero)),
    ("05", Element::Second(Pad::Zero)),
    ("06", Element::ShortYear),
    ("15", Element::Hour),
    ("1", Element::Month(Pad::None)),
    ("2006", Element::Year),
    ("2", Element::Day(Pad::None)),
    ("__2", Element::YearDay(Pad::Space)),
    ("_2", Element::Day(Pad::Space)),
    ("3", Element::Hour12(Pad::None)),
    ("4", Element::Minute(Pad::None)),
    ("5", Element::Second(Pad::None)),
    ("PM", Element::Half),
    ("pm", Element::SmallHalf),
    ("-070000", offset(false, false, 3)),
    ("-07:00:00", offset(false, true, 3)),
    ("-0700", offset(false, false, 2)),
    ("-07:00", offset(false, true, 2)),
    ("-07", offset(false, false, 1)),
    ("Z070000", offset(true, false, 3)),
    ("Z07:00:00", offset(true, true, 3)),
    ("Z0700", offset(true, false, 2)),
    ("Z07:00", offset(true, true, 2)),
    ("Z07", offset(true, false, 1)),
];

/// A layout up to and with its first element.
pub(super) struct Piece<'a> {
    /// The literal text before the element.
    pub(super) literal: &'a [u8],
    pub(super) element: Element,
    /// The element's own text.
    pub(super) text: &'a [u8],
    pub(super) rest: &'a [u8],
}

/// The first piece of `layout`; none if all of it is literal.
pub(super) fn next_piece(layout: &[u8]) -> Option<Piece<'_>> {
    (0..layout.len()).find_map(|start| {
        let (literal, tail) = layout.split_at(start);
        let (element, length) = element_at(tail)?;
        let (text, rest) = tail.split_at(length);
        Some(Piece { literal, element, text, rest })
    })
}

fn element_at(text: &[u8]) -> Option<(Element, usize)> {
    if let [separator @ (b'.' | b','), digit @ (b'0' | b'9'), ..] = text {
        let digits = text[1..].iter().take_while(|byte| *byte == digit).count();
        let ends = !text.get(1 + digits).is_some_and(u8::is_ascii_digit);
        let fraction = Element::Fraction { separator: *separator, digits, trim: *digit == b'9' };
        return ends.then_some((fraction, 1 + digits));
    }
    // In `_2006` the underscore is literal.
    if text.starts_with(b"_2006") {
        return None;
    }
    let (name, element) = ELEMENTS.iter().find(|(name, _)| text.starts_with(name.as_bytes()))?;
    // `Jan` and `Mon` are not elements at the start of another word.
    let word_goes_on = matches!(element, Element::ShortMonthName | Element::ShortWeekday)
        && text.get(name.len()).is_some_and(u8::is_ascii_lowercase);
    (!word_goes_on).then_some((*element, name.len()))
}
