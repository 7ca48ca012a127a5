//! The clusters in which something of an object may be: entered, left, and cleared when the object goes.
//!
//! Before anything is written to another cluster the status lists it, by what `spec.kubeConfig` names; it is taken off the list
//! once nothing of the object is there. So no cluster is forgotten, whatever the object declares meanwhile, and whenever the
//! operator dies.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;
use kube::{Resource as _, ResourceExt as _};

use super::{Task, uninstall};
use crate::api::{HelmRelease, Reason};
use crate::controller::context::Context;
use crate::controller::error::ReconcileError;
use crate::controller::matching::{self, Key};
use crate::controller::place::Place;
use crate::controller::release::removal::{self, Leaving};
use crate::controller::release::trace::Trace;
use crate::controller::release::{dereference, publish};
use crate::controller::target::{self, ClusterKey};
use crate::history::{RecordMeta, ReleaseKey};

/// How long after its deletion an object is held though the kubeconfig is gone by which its release would be uninstalled: what
/// deletes both may put the Secret or the `ConfigMap` back.
const LET_GO: SignedDuration = SignedDuration::from_secs(60);

/// How many of them a message names.
const NAMED: usize = 5;

/// Tells of records that say they are the object's, and are not believed: once, and again when there are others.
fn warn_of_unlisted_records(owner: &str, uid: &str, place: &Place, trace: &mut Trace) {
    let news = place
        .context
        .unlisted_records
        .news((uid, target::mark(place.key.as_ref())), place.unlisted_records(owner, uid));
    if news.is_empty() {
        return;
    }
    let named: Vec<String> = news.iter().take(NAMED).map(ReleaseKey::to_string).collect();
    let more = if news.len() > NAMED { format!(" and {} more", news.len() - NAMED) } else { String::new() };
    let message = format!(
        "the records of {}{more} say that they were made for this object, but neither its spec nor its status names their namespaces: they are not believed, \
         and neither moved nor uninstalled. Operators before status.recordNamespaces may have left them, or somebody wrote or copied them: \
         look at `helm get manifest` before you uninstall or delete them",
        named.join(", ")
    );
    trace.warn(Reason::RecordsNotListed, message);
}

/// Lists the cluster of `place`, and the namespace of the records, in the status, unless they are listed.
pub(in crate::controller::release) async fn enter(
    release: &HelmRelease,
    place: &Place,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    warn_of_unlisted_records(&removal::owner(release.meta()), &release.uid().unwrap_or_default(), place, trace);
    let (clusters, namespaces) = match &release.status {
        Some(status) => (status.kube_configs.clone(), status.record_namespaces.clone()),
        None => Default::default(),
    };
    let cluster = place.key.as_ref().map(|key| key.by.to_string()).filter(|cluster| !clusters.contains(cluster));
    let own = release.namespace().unwrap_or_default();
    let records = [Some(dereference::target(release).release.namespace), matching::told_namespace(release)];
    let records = records.into_iter().flatten().filter(|records| *records != own && !namespaces.contains(records));
    let records: BTreeSet<String> = records.collect();
    if cluster.is_none() && records.is_empty() {
        return Ok(());
    }
    trace.kube_configs = cluster.map(|cluster| clusters.into_iter().chain([cluster]).collect());
    trace.record_namespaces =
        Some(namespaces.into_iter().chain(records).collect()).filter(|all: &Vec<_>| !all.is_empty());
    publish::progress(release, trace, &place.context).await
}

/// Takes namespaces off the list in which no records of the object are any more.
fn forget_namespaces(leaving: &Leaving, task: &Task<'_>, trace: &mut Trace) {
    let status = task.release.status.as_ref().map(|status| status.record_namespaces.as_slice()).unwrap_or_default();
    let listed = trace.record_namespaces.as_deref().unwrap_or(status);
    let home = task.place.context.revisions(None);
    let known = home.iter().chain([&task.place.revisions]);
    let kept = known.flat_map(|known| known.there(&leaving.owner, &leaving.uid));
    let kept: BTreeSet<String> = kept.map(|release| release.namespace).collect();
    // Where they are to move once that is approved, and where they are.
    let declared = [&dereference::target(task.release).release.namespace, &task.desired.identity.release.namespace];
    let own = &leaving.whose.namespace;
    let is_listed = |records: &&String| *records != own && (declared.contains(records) || kept.contains(*records));
    let still: Vec<String> = listed.iter().filter(is_listed).cloned().collect();
    if trace.record_namespaces.is_some() || still != status {
        trace.record_namespaces = Some(still);
    }
}

/// Uninstalls what the object has in clusters that it does not declare any more, now that `revision` is deployed where it does.
pub(super) async fn leave(
    leaving: &Leaving,
    revision: u32,
    task: &Task<'_>,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    let context = &task.place.context;
    if task.place.key.is_some() {
        let home = Place::at(&leaving.whose, None, context).await?;
        leave_place(leaving, revision, &home, (task, trace)).await?;
    }
    for cluster in leaving.whose.former() {
        let still = |why: &str| {
            format!(
                "the release is deployed, but what it was in {cluster} is not uninstalled: {why}. To leave it there, delete {}",
                cluster.named()
            )
        };
        let place = match reach(leaving, cluster, context).await {
            Ok(place) => Some(place),
            Err(error) if is_forgotten(&error, context) => {
                let why = if context.policy.no_remote_clusters { CLOSED } else { error.message.as_str() };
                trace.left(&[leaving.known_in(cluster)], why);
                None
            }
            Err(error) => return Err(ReconcileError { message: still(&error.message), ..error }),
        };
        if let Some(place) = place {
            let left = leave_place(leaving, revision, &place, (task, trace)).await;
            left.map_err(|error| place.told(error)).map_err(|error| {
                let message = still(&error.message);
                ReconcileError { message, ..error }
            })?;
        }
        context.index().left(&Key::of(task.release), cluster);
    }
    context.clusters.retain(|cluster| context.index().in_cluster(cluster).next().is_some());
    let declared: Vec<String> = leaving.whose.declared.iter().map(|cluster| cluster.by.to_string()).collect();
    let listed = task.release.status.as_ref().map(|status| status.kube_configs.as_slice()).unwrap_or_default();
    trace.kube_configs = Some(declared).filter(|declared| trace.kube_configs.is_some() || *declared != listed);
    forget_namespaces(leaving, task, trace);
    Ok(())
}

/// Uninstalls what was made for the object in another cluster than it declares.
async fn leave_place(
    leaving: &Leaving,
    revision: u32,
    place: &Place,
    (task, trace): (&Task<'_>, &mut Trace),
) -> Result<(), ReconcileError> {
    let current = &task.desired.identity.release;
    let releases = uninstall::releases_made_here(leaving, place);
    if releases.is_empty() {
        return Ok(());
    }
    // Two of them may lead to one cluster.
    let deployed = task.place.revisions.of(current).into_iter().find(|meta| meta.revision == revision);
    let same = place.history.get(current, revision).await?;
    let uid = |meta: RecordMeta| meta.uid;
    let Some(deployed) = deployed else {
        let message = format!(
            "the record of revision {revision} of {current} is not known any more: what is deployed is looked at again"
        );
        return Err(ReconcileError::new(Reason::PendingRelease, message));
    };
    let is_same = same.and_then(|record| record.meta().ok()).map(uid) == Some(deployed.uid);
    // It may run hooks, and waits until objects are gone.
    task.slot.pause();
    let others = releases.into_iter().filter(|release| !is_same || release != current).collect();
    for release in &Box::pin(uninstall::delete_partial_copies(others, place)).await? {
        Box::pin(uninstall::remove(release, leaving, place, trace)).await?;
    }
    Ok(())
}

/// Uninstalls what a deleted object had installed, wherever that is, as its policy says; or leaves it with the reason in the
/// trace. What cannot be reached keeps nobody from the rest.
pub(in crate::controller::release) async fn uninstall(
    leaving: &Leaving,
    context: &Arc<Context>,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    let stays = uninstall::stays(leaving, context).await?;
    let mut ended = Ok(());
    let others = leaving.whose.declared.iter().chain(leaving.whose.former());
    for cluster in std::iter::once(None).chain(others.map(Some)) {
        let left = leave_for_good(leaving, cluster, stays.as_deref(), (context, trace)).await;
        ended = ended.and(left);
    }
    ended
}

/// The same in one cluster; none for the operator's own.
async fn leave_for_good(
    leaving: &Leaving,
    cluster: Option<&ClusterKey>,
    stays: Option<&str>,
    (context, trace): (&Arc<Context>, &mut Trace),
) -> Result<(), ReconcileError> {
    let place = match cluster {
        None => Place::at(&leaving.whose, None, context).await?,
        Some(cluster) if !leaving.may_be_in(cluster) => return Ok(()),
        Some(cluster) => match reach(leaving, cluster, context).await {
            Ok(place) => place,
            Err(error) => {
                let why = give_up(error, leaving, (cluster, stays), context)?;
                trace.left(&[leaving.known_in(cluster)], &why);
                return Ok(());
            }
        },
    };
    let declared = leaving.target.as_ref().filter(|target| target.cluster == place.key);
    place.revisions.quiet(declared.map(|target| &target.release), &leaving.owner).await;
    warn_of_unlisted_records(&leaving.owner, &leaving.uid, &place, trace);
    tokio::select! {
        ended = Box::pin(uninstall::uninstall(leaving, stays, &place, trace)) => ended,
        error = place.lost() => Err(error),
    }
    .map_err(|error| place.told(error))
}

/// A former cluster, or that of an object which goes. Where its Secret or `ConfigMap` is gone, which is mostly deleted with the object, it is
/// reached as before for as long as it is connected to.
async fn reach(leaving: &Leaving, cluster: &ClusterKey, context: &Arc<Context>) -> Result<Place, ReconcileError> {
    match Place::at(&leaving.whose, Some(cluster), context).await {
        Err(error) if is_forgotten(&error, context) => {
            Place::remembered(&leaving.whose, cluster, context).await.ok_or(error)
        }
        reached => reached,
    }
}

/// Whether nothing says any more how to reach a cluster, or no other cluster is to be reached.
fn is_forgotten(error: &ReconcileError, context: &Context) -> bool {
    matches!(error.reason, Reason::SecretNotFound | Reason::ConfigMapNotFound) || context.policy.no_remote_clusters
}

/// Why no other cluster is reached, whatever is declared.
const CLOSED: &str = "the operator runs with --no-remote-clusters, and reaches no other cluster";

/// Why an object goes though what it has in a cluster cannot be uninstalled.
///
/// # Errors
///
/// It does not go: how it would is in the message.
fn give_up(
    error: ReconcileError,
    leaving: &Leaving,
    (cluster, stays): (&ClusterKey, Option<&str>),
    context: &Context,
) -> Result<String, ReconcileError> {
    if let Some(why) = stays {
        return Ok(why.to_owned());
    }
    let named = cluster.named();
    if !is_forgotten(&error, context) {
        let message = format!(
            "{}. The HelmRelease goes once its release is uninstalled there. If that cluster is gone for good, set \
             spec.uninstall.deletionPolicy: Orphan, or delete {named}: then it goes, and leaves what it has there",
            error.message
        );
        return Err(ReconcileError { message, ..error });
    }
    let Some(until) = leaving.deleted.and_then(|deleted| deleted.checked_add(LET_GO).ok()) else {
        return Ok(error.message);
    };
    let left = Duration::try_from(until.duration_since(context.now())).unwrap_or_default();
    let (why, unless) = if context.policy.no_remote_clusters {
        (CLOSED.to_owned(), "it runs without that")
    } else {
        (format!("there is no {named} any more to reach it by"), "it is put back")
    };
    if left.is_zero() {
        return Ok(why);
    }
    let message = format!(
        "{why}: unless {unless}, the HelmRelease goes at {}, and leaves what it has in that cluster",
        until.strftime("%Y-%m-%d %H:%M:%S UTC")
    );
    Err(ReconcileError { retry_after: Some(left), ..ReconcileError::new(error.reason, message) })
}

/// Uninstalls what was made for an object that is gone already.
pub(in crate::controller::release) async fn uninstall_gone(
    leaving: &Leaving,
    context: &Arc<Context>,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    let declared = leaving.whose.declared.as_ref();
    let place = Place::at(&leaving.whose, declared, context).await?;
    place.revisions.quiet(leaving.target.as_ref().map(|target| &target.release), &leaving.owner).await;
    Box::pin(uninstall::uninstall_gone(leaving, &place, trace)).await
}
