//! What failed releases wait for: when an object that stood in the way goes, or one that was missing comes, the release is
//! tried at once, whatever its back-off says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use tokio::task::{AbortHandle, spawn_local};

use super::context::Context;
use super::error::{ReconcileError, chain};
use super::place::Place;
use crate::api::HelmRelease;
use crate::cluster::Awaited;

/// The most objects that are watched for releases, each by a connection; beyond, releases are tried again by their back-off
/// alone, and say nothing else.
const MOST: usize = 256;

/// So many of them are for namespaces alone for which none is watched yet: nobody takes all.
const RESERVED: usize = MOST / 4;

/// The watches of failed releases, by uid.
#[derive(Default)]
pub(crate) struct Awaits {
    watches: Mutex<BTreeMap<String, Watch>>,
    cleared: Mutex<BTreeSet<String>>,
}

/// What is watched for one release.
struct Watch {
    namespace: String,
    /// How many objects.
    objects: usize,
    task: AbortHandle,
}

impl Awaits {
    /// Whether what the release failed for has changed since it was last asked.
    pub(crate) fn take_cleared(&self, release: &HelmRelease) -> bool {
        lock(&self.cleared).remove(&release.uid().unwrap_or_default())
    }

    /// Ends the watch for a release that no longer waits.
    pub(crate) fn end(&self, release: &HelmRelease) {
        self.end_of(&release.uid().unwrap_or_default());
    }

    /// Ends the watch for the release of the object with this uid.
    pub(crate) fn end_of(&self, uid: &str) {
        lock(&self.cleared).remove(uid);
        if let Some(watch) = lock(&self.watches).remove(uid) {
            watch.task.abort();
        }
    }
}

/// Whether so many objects may be watched for a release of `namespace`, beside what is watched.
fn has_room<'w>(watches: impl Iterator<Item = (&'w str, usize)>, namespace: &str, wanted: usize) -> bool {
    let (mut all, mut own) = (0, 0);
    for (other, objects) in watches {
        all += objects;
        own += if other == namespace { objects } else { 0 };
    }
    let most = if own == 0 { MOST } else { MOST - RESERVED };
    all + wanted <= most
}

/// Watches what `error` names for `release`, in place of what was watched for it before. Where it cannot, the error names it no
/// more: it says what is noticed.
pub(crate) fn watch(release: &HelmRelease, error: &mut ReconcileError, context: &Arc<Context>) {
    // An error that repeats what a record tells names no objects: what it told of first is still watched.
    if error.awaits.is_empty() {
        return;
    }
    context.awaits.end(release);
    let uid = release.uid().unwrap_or_default();
    let mut watches = lock(&context.awaits.watches);
    let (namespace, objects) = (release.namespace().unwrap_or_default(), error.awaits.len());
    if !has_room(watches.values().map(|watch| (watch.namespace.as_str(), watch.objects)), &namespace, objects) {
        error.awaits.clear();
        return;
    }
    let (awaited, object) = (error.awaits.clone(), release.clone());
    let (release, context) = (ObjectRef::from_obj(release).erase(), Arc::clone(context));
    let key = uid.clone();
    let task = spawn_local(async move {
        let (at_home, there): (Vec<Awaited>, Vec<Awaited>) = awaited.into_iter().partition(|awaited| awaited.home);
        let home = context.home.cluster.on_behalf_of(&object.namespace().unwrap_or_default());
        let ended = tokio::select! {
            ended = home.changed(at_home), if !at_home.is_empty() => ended.map_err(|error| chain(&error)),
            ended = async {
                match Place::of(&object, &context).await {
                    Ok(place) => place.cluster.changed(there).await.map_err(|error| chain(&error)),
                    Err(error) => Err(error.message),
                }
            }, if !there.is_empty() => ended,
            else => return,
        };
        match ended {
            Ok(()) => {
                lock(&context.awaits.cleared).insert(key.clone());
                lock(&context.awaits.watches).remove(&key);
                let (name, namespace) = (release.name, release.namespace.unwrap_or_default());
                context.wake.release(ObjectRef::new(&name).within(&namespace));
            }
            Err(error) => {
                lock(&context.awaits.watches).remove(&key);
                tracing::warn!(%release, %error, "failed to watch what a release waits for; it is tried again by its back-off");
            }
        }
    });
    watches.insert(uid, Watch { namespace, objects, task: task.abort_handle() });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{MOST, RESERVED, has_room};

    #[test]
    fn no_namespace_takes_all_watches() {
        for (watches, namespace, wanted, expected) in [
            (vec![], "a", MOST, true),
            (vec![], "a", MOST + 1, false),
            (vec![("a", MOST - RESERVED)], "a", 1, false),
            (vec![("a", MOST - RESERVED)], "b", 2, true),
            (vec![("a", MOST - RESERVED), ("b", 2)], "b", 1, false),
            (vec![("a", 10), ("b", 2)], "b", 64, true),
            (vec![("a", MOST - 3), ("b", 2)], "c", 2, false),
        ] {
            assert_eq!(
                has_room(watches.iter().copied(), namespace, wanted),
                expected,
                "{watches:?} {namespace} {wanted}"
            );
        }
    }
}
