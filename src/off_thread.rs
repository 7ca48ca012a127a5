//! Computing where it holds up nobody: off the threads that serve requests and watches, a few at a time.

use tokio::sync::Semaphore;

/// At the same time: more would not be done sooner, and each has its whole input and output in memory.
const AT_ONCE: usize = 4;

static PERMITS: Semaphore = Semaphore::const_new(AT_ONCE);

/// What `work` returns. It must not wait for anything: a render has a thread of its own. A panic in it goes on here.
pub(crate) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // Never closed, so never an error. It goes along: the work goes on though nobody waits for it any more.
    let permit = PERMITS.acquire().await.ok();
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
