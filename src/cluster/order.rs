//! In which order kinds are applied and removed, and how many requests run at once.

use std::future::Future;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use helm::manifest::Order;

use super::object::Object;

/// Requests in flight per call. Measured: more at once does not make the API server faster.
pub(super) const CONCURRENCY: usize = 8;

/// Objects grouped by kind, groups in Helm's order for installing.
pub(super) fn install_groups(objects: &[Object]) -> Vec<Vec<&Object>> {
    groups(objects, Order::Install)
}

/// Objects grouped by kind, groups in Helm's order for uninstalling.
pub(super) fn uninstall_groups(objects: &[Object]) -> Vec<Vec<&Object>> {
    groups(objects, Order::Uninstall)
}

fn groups(objects: &[Object], order: Order) -> Vec<Vec<&Object>> {
    let mut sorted: Vec<_> = objects.iter().collect();
    sorted.sort_by(|a, b| order.compare(&a.reference().kind, &b.reference().kind));
    sorted.chunk_by(|a, b| a.reference().kind == b.reference().kind).map(<[_]>::to_vec).collect()
}

/// Runs `act` on each item, some at once; answers in the order of `items`. After the first failure nothing new is
/// begun, but what runs is finished, so that no request is cut off half-way.
pub(super) async fn concurrently<'a, T, R, E, F>(items: &'a [T], act: impl Fn(&'a T) -> F) -> Result<Vec<R>, E>
where
    F: Future<Output = Result<R, E>>,
{
    let numbered = |(position, item)| {
        let outcome = act(item);
        async move { (position, outcome.await) }
    };
    let mut waiting = items.iter().enumerate();
    let mut running: FuturesUnordered<_> = waiting.by_ref().take(CONCURRENCY).map(numbered).collect();
    let (mut done, mut failure) = (Vec::with_capacity(items.len()), None);
    while let Some((position, outcome)) = running.next().await {
        match outcome {
            Ok(result) => done.push((position, result)),
            Err(error) => failure = failure.or(Some(error)),
        }
        if let (None, Some(next)) = (&failure, waiting.next()) {
            running.push(numbered(next));
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    done.sort_by_key(|(position, _)| *position);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::{CONCURRENCY, concurrently};

    #[tokio::test]
    async fn answers_keep_the_order_of_the_items() {
        let items: Vec<u64> = (0..20).collect();
        let halves = concurrently(&items, async |item| {
            // Later items finish first.
            for _ in *item..20 {
                tokio::task::yield_now().await;
            }
            Ok::<_, ()>(*item)
        });
        assert_eq!(halves.await, Ok(items.clone()));
    }

    #[tokio::test]
    async fn after_a_failure_nothing_new_is_begun_and_what_runs_is_finished() {
        let items: Vec<usize> = (0..100).collect();
        let (begun, ended) = (RefCell::new(0), RefCell::new(0));
        let outcome = concurrently(&items, async |item| {
            *begun.borrow_mut() += 1;
            tokio::task::yield_now().await;
            *ended.borrow_mut() += 1;
            if *item < CONCURRENCY { Err("refused") } else { Ok(()) }
        });
        assert_eq!(outcome.await, Err("refused"));
        assert_eq!(*begun.borrow(), CONCURRENCY);
        assert_eq!(begun, ended);
    }
}
