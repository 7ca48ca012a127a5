//! The thread a render needs.
//!
//! Templates call each other recursively, a thousand deep in charts that are still good to Helm. A thread of its own has
//! a stack that suffices; the memory is only touched if it is needed. It also contains a panic.

use std::any::Any;
use std::thread;

use super::{Error, Rendered, Request, render};

/// Bytes of stack that a render at its limits needs, functions included: 320 MiB of address space, not of memory.
pub const STACK_BYTES: usize = 320 << 20;

/// As [`render`], on a thread with [`STACK_BYTES`] of stack. Blocks until it is done.
///
/// A panic in the engine becomes [`Error::Panic`].
pub fn render_on_stack(request: &Request<'_>) -> Result<Rendered, Error> {
    on_stack(|| render(request))?
}

/// Runs `work`, which renders, on a thread with [`STACK_BYTES`] of stack. Blocks until it is done.
///
/// A panic in it becomes [`Error::Panic`].
pub fn on_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("render".to_owned()).stack_size(STACK_BYTES);
        let thread = builder.spawn_scoped(scope, work).map_err(Error::Spawn)?;
        thread.join().map_err(|panic| Error::Panic { message: panic_message(&*panic) })
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown panic").to_owned()
}
