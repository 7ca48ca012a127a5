//! The stack a render needs.
//!
//! Templates call each other recursively, a thousand deep in charts that are still good to Helm: more than a thread has.
//! The memory of the stack made here is only touched if it is needed, and a thread of its own would cost a small chart a
//! tenth of its time. A panic is contained, too.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Error, Rendered, Request, render};

/// Bytes of stack that a render at its limits needs, functions included: 320 MiB of address space, not of memory.
pub const STACK_BYTES: usize = 320 << 20;

/// As [`render`], with [`STACK_BYTES`] of stack. Blocks until it is done.
///
/// A panic in the engine becomes [`Error::Panic`].
pub fn render_on_stack(request: &Request<'_>) -> Result<Rendered, Error> {
    on_stack(|| render(request))?
}

/// Runs `work`, which renders, on this thread with [`STACK_BYTES`] of stack.
///
/// A panic in it becomes [`Error::Panic`], and so does a lack of address space.
pub fn on_stack<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    // What `work` was changing is gone with it: nobody sees it half done.
    let outcome = catch_unwind(AssertUnwindSafe(|| stacker::grow(STACK_BYTES, work)));
    outcome.map_err(|panic| Error::Panic { message: panic_message(&*panic) })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown panic").to_owned()
}
