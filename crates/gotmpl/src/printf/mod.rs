//! Go's `fmt`: `Sprintf`, `Sprint` and `Sprintln` over template values.
//!
//! Verbs and flags are read here; [`verb`] prints one value under a verb, [`pad`] fits text into a
//! width, [`float`] and [`integer`] make the digits. A wrong verb or a missing argument is never an error:
//! it shows in the output, as in Go.

mod float;
mod integer;
mod pad;
mod verb;

pub use float::{FloatFormat, format_float};

use crate::error::Limit;
use crate::typed::type_name;
use crate::unicode;
use crate::value::{Kind, Str, Value};
use pad::Flags;
use verb::Printer;

/// What is printed ends here: no manifest is as large, but a few bytes of template can ask for more.
const MAX_OUTPUT: usize = 16 << 20;

/// How deeply nested values are printed; a map may contain itself.
pub(crate) const MAX_DEPTH: usize = 1000;

/// `fmt.Sprintf`, as far as 16 MiB and 1000 levels of nested values go.
pub fn printf(format: &[u8], args: &[Value]) -> Str {
    formatted(format, args).text()
}

/// `fmt.Sprint`: values side by side, with a space between two that are not strings. Bounded like [`printf`].
pub fn print(args: &[Value]) -> Str {
    printed(args).text()
}

/// `fmt.Sprintln`: values with spaces between them and a newline at the end. Bounded like [`printf`].
pub fn println(args: &[Value]) -> Str {
    printed_line(args).text()
}

/// The value as `%v` prints it. Bounded like [`printf`].
pub fn display(value: &Value) -> Str {
    match value {
        Value::String(text) => text.clone(),
        other => print(std::slice::from_ref(other)),
    }
}

/// `fmt.Sprintf`, to be taken as text or, if it is complete, as a result.
pub(crate) fn formatted(format: &[u8], args: &[Value]) -> Printed {
    let mut run = Run { format, at: 0, args, next: 0, reordered: false, good_index: true };
    let mut printer = Printer::default();
    run.format(&mut printer);
    Printed(printer)
}

/// `fmt.Sprint`
pub(crate) fn printed(args: &[Value]) -> Printed {
    let mut printer = Printer::default();
    let mut after_string = true;
    for arg in args {
        let is_string = arg.kind() == Kind::String;
        if !is_string && !after_string {
            printer.out.push(b' ');
        }
        printer.argument(arg, 'v');
        after_string = is_string;
    }
    Printed(printer)
}

/// `fmt.Sprintln`
pub(crate) fn printed_line(args: &[Value]) -> Printed {
    let mut printer = Printer::default();
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            printer.out.push(b' ');
        }
        printer.argument(arg, 'v');
    }
    printer.out.push(b'\n');
    Printed(printer)
}

/// What was printed, perhaps cut at a limit.
pub(crate) struct Printed(Printer);

impl Printed {
    fn text(self) -> Str {
        self.0.out.into()
    }

    /// All of it, or the limit at which it was cut.
    pub(crate) fn complete(self) -> Result<Str, Limit> {
        match self.0.cut {
            None => Ok(self.text()),
            Some(limit) => Err(limit),
        }
    }
}

/// The largest width or precision Go accepts.
const MAX_SIZE: i64 = 1_000_000;

/// One pass over a format.
struct Run<'f> {
    format: &'f [u8],
    at: usize,
    args: &'f [Value],
    /// The next argument.
    next: usize,
    /// Whether an argument was chosen by index, as in `%[2]d`.
    reordered: bool,
    /// Whether the indexes of the verb being read were good.
    good_index: bool,
}

impl Run<'_> {
    fn format(&mut self, printer: &mut Printer) {
        while self.at < self.format.len() {
            let rest = &self.format[self.at..];
            let text = rest.iter().position(|byte| *byte == b'%').unwrap_or(rest.len());
            printer.out.extend_from_slice(&rest[..text]);
            self.at += text;
            if self.at < self.format.len() {
                self.at += 1;
                self.directive(printer);
            }
            if printer.cut.is_some() {
                return;
            }
        }
        if !self.reordered && self.next < self.args.len() {
            self.extra(printer);
        }
    }

    /// What follows a `%`.
    fn directive(&mut self, printer: &mut Printer) {
        self.good_index = true;
        printer.flags = Flags::default();
        self.flags(&mut printer.flags);
        let indexed = self.index();
        let indexed = self.width(printer, indexed);
        let indexed = self.precision(printer, indexed);
        if !indexed {
            self.index();
        }
        let (verb, width) = unicode::decode(&self.format[self.at..]);
        if width == 0 {
            printer.text("%!(NOVERB)");
            return;
        }
        self.at += width;
        match verb {
            '%' => printer.out.push(b'%'),
            _ if !self.good_index => printer.text(&format!("%!{verb}(BADINDEX)")),
            _ => match self.args.get(self.next) {
                None => printer.text(&format!("%!{verb}(MISSING)")),
                Some(arg) => {
                    self.next += 1;
                    if matches!(verb, 'v' | 'w') {
                        printer.flags.for_values();
                    }
                    printer.argument(arg, verb);
                }
            },
        }
    }

    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn flags(&mut self, flags: &mut Flags) {
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => return,
            }
            self.at += 1;
        }
    }

    /// `[n]`, which makes argument `n` the next one; returns whether there was a usable number.
    fn index(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let Some(end) = rest.iter().position(|byte| *byte == b']').filter(|_| rest.len() >= 3) else {
            self.good_index = false;
            self.at += 1;
            return false;
        };
        let (number, digits) = parse_number(&rest[1..end]);
        self.at += end + 1;
        let well_formed = number.is_some() && digits == end - 1;
        match number.filter(|_| well_formed).and_then(|number| usize::try_from(number - 1).ok()) {
            Some(index) if index < self.args.len() => self.next = index,
            _ => self.good_index = false,
        }
        well_formed
    }

    /// The width, in figures or from an argument; returns whether an index still waits for its verb.
    fn width(&mut self, printer: &mut Printer, indexed: bool) -> bool {
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.size_argument() {
                None => printer.text("%!(BADWIDTH)"),
                Some(width) => {
                    if width < 0 {
                        printer.flags.minus = true;
                        // Zeros are not padded to the right.
                        printer.flags.zero = false;
                    }
                    printer.flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
            }
            return false;
        }
        printer.flags.width = self.number();
        if indexed && printer.flags.width.is_some() {
            self.good_index = false;
        }
        indexed
    }

    fn precision(&mut self, printer: &mut Printer, indexed: bool) -> bool {
        // A point at the very end is taken for the verb.
        if self.peek() != Some(b'.') || self.at + 1 >= self.format.len() {
            return indexed;
        }
        self.at += 1;
        if indexed {
            self.good_index = false;
        }
        let indexed = self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            let size = self.size_argument().and_then(|size| usize::try_from(size).ok());
            printer.flags.precision = size;
            if size.is_none() {
                printer.text("%!(BADPREC)");
            }
            return false;
        }
        printer.flags.precision = Some(self.number().unwrap_or(0));
        indexed
    }

    /// A number in figures at this place of the format.
    fn number(&mut self) -> Option<usize> {
        let rest = &self.format[self.at..];
        let (number, read) = parse_number(rest);
        self.at += read;
        number.and_then(|number| usize::try_from(number).ok())
    }

    /// The next argument as a width or precision.
    fn size_argument(&mut self) -> Option<i64> {
        let arg = self.args.get(self.next)?;
        self.next += 1;
        let size = match arg.underlying().as_ref() {
            Value::Int(n) | Value::Int64(n) => *n,
            Value::Uint8(n) => i64::from(*n),
            Value::Uint64(n) => i64::try_from(*n).ok()?,
            _ => return None,
        };
        (-MAX_SIZE..=MAX_SIZE).contains(&size).then_some(size)
    }

    fn extra(&self, printer: &mut Printer) {
        printer.flags = Flags::default();
        printer.text("%!(EXTRA ");
        for (index, arg) in self.args[self.next..].iter().enumerate() {
            if index > 0 {
                printer.text(", ");
            }
            if !matches!(arg, Value::Nil) {
                printer.text(&format!("{}=", type_name(arg)));
            }
            printer.argument(arg, 'v');
        }
        printer.text(")");
    }
}

/// The decimal number `text` starts with and how many bytes were read: all of them if it is too large.
fn parse_number(text: &[u8]) -> (Option<i64>, usize) {
    let mut number = None;
    for (read, byte) in text.iter().enumerate() {
        if !byte.is_ascii_digit() {
            return (number, read);
        }
        let so_far = number.unwrap_or(0);
        if so_far > MAX_SIZE {
            return (None, text.len());
        }
        number = Some(so_far * 10 + i64::from(byte - b'0'));
    }
    (number, text.len())
}
