//! What an evaluation costs, and what makes it pay.

use std::cell::RefCell;
use std::collections::BTreeMap;

use cel::ExecutionError;
use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelOptional, CelString};
use cel::common::value::{CowVal, Val};
use helm::functions::Pattern;

/// What one evaluation may cost: about as many elements or steps are looked at. Some ten milliseconds, and some megabytes.
const BUDGET: usize = 300_000;

/// What a state of a regular expression costs, when it is compiled.
const COMPILATION: u64 = 30;

/// So many states are compared with a byte of a text at the cost of one step.
const STATES: u64 = 64;

/// The longest text, in bytes, that `indexOf()` looks for: it compares all of it at each place.
const SOUGHT: usize = 256;

type Called<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// An evaluation that goes on.
struct Evaluation {
    /// What is left of the [`BUDGET`]; `None` once it is used up.
    left: Option<usize>,
    /// The patterns that it has paid for.
    patterns: BTreeMap<String, Pattern>,
}

/// Where none goes on.
const NONE: Evaluation = Evaluation { left: None, patterns: BTreeMap::new() };

thread_local! {
    static EVALUATION: RefCell<Evaluation> = const { RefCell::new(NONE) };
}

/// Begins an evaluation.
pub(super) fn begin() {
    EVALUATION.replace(Evaluation { left: Some(BUDGET), ..NONE });
}

/// Ends the evaluation; whether it has used up what it may cost.
pub(super) fn end() -> bool {
    EVALUATION.replace(NONE).left.is_none()
}

/// Why a text that an expression gives to `matches()` is no pattern.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    Pattern::check(pattern).map_err(|why| format!("matches() gets no regular expression: {why}"))
}

/// Takes what something costs out of the budget. What comes after it was used up costs nothing any more, and fails.
fn pay(cost: impl FnOnce() -> usize) -> Result<(), ExecutionError> {
    let left = EVALUATION.with_borrow(|evaluation| evaluation.left);
    let left = left.and_then(|left| left.checked_sub(cost()));
    EVALUATION.with_borrow_mut(|evaluation| evaluation.left = left);
    left.map(drop).ok_or_else(|| ExecutionError::function_error("@use", "too expensive"))
}

/// Pays for a value that is given on.
pub(super) fn used<'b, 'v>(mut arguments: Vec<CowVal<'b, 'v>>) -> Called<'b, 'v> {
    let value = arguments.pop().ok_or_else(ExecutionError::missing_argument_or_target)?;
    pay(|| size(value.as_ref()))?;
    Ok(value)
}

/// Pays for a loop over a value, whose body is of so many steps.
pub(super) fn looped<'b, 'v>(mut arguments: Vec<CowVal<'b, 'v>>) -> Called<'b, 'v> {
    let steps = arguments.pop().and_then(|steps| steps.downcast_ref::<CelInt>().map(|steps| *steps.inner()));
    let range = arguments.pop().ok_or_else(ExecutionError::missing_argument_or_target)?;
    let runs = range.as_sizer().map_or(0, |sizer| *sizer.size().inner());
    let runs = usize::try_from(runs.saturating_mul(steps.unwrap_or(i64::MAX))).unwrap_or(usize::MAX);
    pay(|| runs.saturating_add(size(range.as_ref())))?;
    Ok(range)
}

/// Lets a text through that another is searched for.
pub(super) fn sought<'b, 'v>(mut arguments: Vec<CowVal<'b, 'v>>) -> Called<'b, 'v> {
    let value = arguments.pop().ok_or_else(ExecutionError::missing_argument_or_target)?;
    match value.downcast_ref::<CelString<'v>>() {
        Some(text) if text.inner().len() > SOUGHT => {
            Err(ExecutionError::function_error("indexOf", "the text that it looks for is too long"))
        }
        _ => Ok(value),
    }
}

/// Whether a text matches a pattern, which is compiled once in an evaluation.
#[expect(clippy::needless_pass_by_value, reason = "so the library calls functions")]
pub(super) fn matched<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Called<'b, 'v> {
    let texts: Option<Vec<&CelString<'v>>> = arguments.iter().map(|it| it.downcast_ref::<CelString<'v>>()).collect();
    let Some([text, pattern]) = texts.as_deref() else { return Err(ExecutionError::missing_argument_or_target()) };
    let (text, pattern) = (text.inner(), pattern.inner());
    let known = EVALUATION.with_borrow(|evaluation| evaluation.patterns.get(pattern).cloned());
    let compiled = match known {
        Some(compiled) => compiled,
        None => compile(pattern)?,
    };
    pay(|| steps((text.len() as u64).saturating_mul(compiled.weight()) / STATES))?;
    Ok(CowVal::owned(CelBool::from(compiled.matches(text))))
}

/// Compiles a pattern: what it is read for and what it is compiled for is paid before.
fn compile(pattern: &str) -> Result<Pattern, ExecutionError> {
    pay(|| pattern.len())?;
    pay(|| steps(Pattern::states(pattern).saturating_mul(COMPILATION)))?;
    let wrong = |_| ExecutionError::function_error("matches", "no regular expression, or one too large");
    let compiled = Pattern::compile(pattern).map_err(wrong)?;
    EVALUATION.with_borrow_mut(|evaluation| evaluation.patterns.insert(pattern.to_owned(), compiled.clone()));
    Ok(compiled)
}

fn steps(steps: u64) -> usize {
    usize::try_from(steps).unwrap_or(usize::MAX)
}

/// About how many words of memory a value takes.
fn size(value: &dyn Val) -> usize {
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list.inner().iter().fold(1, |sum, item| sum + size(item.as_ref()));
    }
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        return map.inner().values().fold(1, |sum, item| sum + 2 + size(item.as_ref()));
    }
    if let Some(optional) = value.downcast_ref::<CelOptional<'_>>() {
        return 1 + optional.inner().map_or(0, size);
    }
    1 + value.as_sizer().map_or(0, |sizer| usize::try_from(*sizer.size().inner()).unwrap_or(usize::MAX >> 8) / 16)
}
