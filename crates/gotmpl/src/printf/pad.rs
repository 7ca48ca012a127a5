//! Flags, and fitting text into a width.

use crate::unicode;

/// What stands between `%` and the verb.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag character of its own")]
pub(super) struct Flags {
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%+v`
    pub(super) plus_v: bool,
    /// `%#v`
    pub(super) sharp_v: bool,
}

impl Flags {
    /// Whether nothing is asked for that changes how a number without a sign is printed.
    pub(super) fn are_plain(&self) -> bool {
        let Self { width, precision, minus: _, plus, sharp, space, zero: _, plus_v: _, sharp_v } = self;
        width.is_none() && precision.is_none() && !(*plus || *sharp || *space || *sharp_v)
    }

    /// With `%v`, plus and sharp ask for another format of the whole value.
    pub(super) fn for_values(&mut self) {
        self.sharp_v = std::mem::take(&mut self.sharp);
        self.plus_v = std::mem::take(&mut self.plus);
    }

    /// Appends `count` times what text is padded with: zeros only ever stand to the left.
    pub(super) fn padding(&self, out: &mut Vec<u8>, count: usize) {
        let byte = if self.zero && !self.minus { b'0' } else { b' ' };
        out.resize(out.len() + count, byte);
    }

    /// Appends `text`, padded to the width.
    pub(super) fn pad(&self, out: &mut Vec<u8>, text: &[u8]) {
        let missing = match self.width {
            None | Some(0) => 0,
            Some(width) => width.saturating_sub(unicode::count(text)),
        };
        if self.minus {
            out.extend_from_slice(text);
            self.padding(out, missing);
        } else {
            self.padding(out, missing);
            out.extend_from_slice(text);
        }
    }

    /// Like [`Self::pad`], with spaces whatever the flags say.
    pub(super) fn pad_with_spaces(&self, out: &mut Vec<u8>, text: &[u8]) {
        Self { zero: false, ..*self }.pad(out, text);
    }

    /// `text` cut to the precision, in code points.
    pub(super) fn truncate<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        match self.precision {
            Some(precision) => &text[..unicode::chars(text).take(precision).map(|(_, width)| width).sum()],
            None => text,
        }
    }
}
