//! Computing where it holds up nobody: off the threads that serve requests and watches, a few at a time.

use tokio::sync::Semaphore;

/// At the same time: more would not be done sooner, and each has its whole input and output in memory.
const AT_ONCE: usize = 4;

/// Expressions that are evaluated at the same time. Each takes a moment, and each change of an object asks for some.
const EVALUATIONS: usize = 2;

static PERMITS: Semaphore = Semaphore::const_new(AT_ONCE);
static EVALUATING: Semaphore = Semaphore::const_new(EVALUATIONS);

/// What `work` returns. It must not wait for anything: a render has a thread of its own. A panic in it goes on here.
pub(crate) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    beside(&PERMITS, work).await
}

/// The same for the evaluation of people's expressions, which holds up nothing but other evaluations.
pub(crate) async fn evaluate<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    beside(&EVALUATING, work).await
}

async fn beside<T: Send + 'static>(permits: &'static Semaphore, work: impl FnOnce() -> T + Send + 'static) -> T {
    // Never closed, so never an error. It goes along: the work goes on though nobody waits for it any more.
    let permit = permits.acquire().await.ok();
    let work = move || {
        let _permit = permit;
        work()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The process ends, and nobody waits for this any more.
            Err(_) => std::future::pending().await,
        },
    }
}
