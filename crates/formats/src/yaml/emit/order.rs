//! The order of mapping keys: like a person would sort them, numbers by value, letters last.

use std::sync::LazyLock;

use regex::Regex;

use super::Dialect;

static LETTER: LazyLock<Regex> = LazyLock::new(|| class(r"^\p{L}"));
static DIGIT: LazyLock<Regex> = LazyLock::new(|| class(r"^\p{Nd}"));

fn class(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant that compiles")
}

fn is_letter(character: char) -> bool {
    character.is_ascii_alphabetic() || (!character.is_ascii() && in_class(&LETTER, character))
}

fn is_digit(character: char) -> bool {
    character.is_ascii_digit() || (!character.is_ascii() && in_class(&DIGIT, character))
}

fn in_class(class: &Regex, character: char) -> bool {
    class.is_match(character.encode_utf8(&mut [0; 4]))
}

/// Sorts entries by the names that `name` gives of them.
///
/// go-yaml's order is not transitive for some mixtures of digits, so Go's own result varies with the order
/// of a hash map. The standard library's sorts may panic on such an order; merging by hand does not.
pub(super) fn sort<T>(items: Vec<T>, dialect: Dialect, name: &impl Fn(&T) -> &str) -> Vec<T> {
    if items.len() < 2 {
        return items;
    }
    let mut left = items;
    let right = left.split_off(left.len() / 2);
    let mut sorted = Vec::with_capacity(left.len() + right.len());
    let mut left = sort(left, dialect, name).into_iter().peekable();
    let mut right = sort(right, dialect, name).into_iter().peekable();
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        let from = if less(name(second), name(first), dialect) { &mut right } else { &mut left };
        sorted.extend(from.next());
    }
    sorted.extend(left);
    sorted.extend(right);
    sorted
}

/// Whether `a` stands before `b`.
fn less(a: &str, b: &str, dialect: Dialect) -> bool {
    // Equal bytes are skipped at once; only the character that differs needs to be looked at.
    let mut common = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    while !a.is_char_boundary(common) {
        common -= 1;
    }
    let (rest_a, rest_b) = (&a[common..], &b[common..]);
    let (Some(first_a), Some(first_b)) = (rest_a.chars().next(), rest_b.chars().next()) else {
        return rest_a.len() < rest_b.len();
    };
    let before = a[..common].chars().next_back();
    match (is_letter(first_a), is_letter(first_b)) {
        (true, true) => return first_a < first_b,
        (letter_a, letter_b) if letter_a || letter_b => {
            let in_number = dialect == Dialect::Pretty && before.is_some_and(is_digit);
            return if in_number { letter_a } else { letter_b };
        }
        _ => {}
    }
    // A zero continues a number only if the number has begun with another digit.
    let zero = first_a == '0' || first_b == '0';
    let continues = zero && a[..common].chars().rev().take_while(|c| is_digit(*c)).any(|digit| digit != '0');
    let (number_a, digits_a) = number(rest_a, continues);
    let (number_b, digits_b) = number(rest_b, continues);
    (number_a, digits_a, first_a) < (number_b, digits_b, first_b)
}

/// The number at the start of a text, and how many digits it has.
fn number(text: &str, continues: bool) -> (i64, usize) {
    let digits = text.chars().take_while(|character| is_digit(*character));
    digits.fold((i64::from(continues), 0), |(number, count), digit| {
        let value = i64::from(u32::from(digit)) - i64::from(u32::from('0'));
        (number.wrapping_mul(10).wrapping_add(value), count + 1)
    })
}
