//! What a reconcile learns on its way and the report tells, however the reconcile ends.

use std::borrow::Cow;
use std::collections::BTreeMap;

use helm::release::Release;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::act::Doing;
use crate::api::{HelmRelease, Inventory, PlanStatus, Reason, ReleaseState, TakenDefaults, ValuesArtifact};
use crate::cluster::{Applied, Object, ObjectRef, Removal, Removed, SecretValues};
use crate::controller::error::ReconcileError;
use crate::controller::live::Standing;
use crate::controller::matching::{self, Key};
use crate::controller::place::Place;
use crate::controller::target::Target;
use crate::history::{Record, ReleaseKey};
use crate::registry::Resolved;

/// How much of a chart's notes a status shows, in bytes.
const NOTES_LIMIT: usize = 1024;

/// What became known.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact")]
pub(super) struct Trace {
    /// The chart that was chosen.
    pub(super) attempted: Option<Resolved>,
    /// The version that is gone on with, where the registry was not there to choose one.
    pub(super) kept: Option<String>,
    /// The newest record.
    pub(super) state: Option<ReleaseState>,
    /// What the release consists of, where that is not what the status tells.
    pub(super) contents: Option<Contents>,
    /// Whether the newest revision is an upgrade, and no install.
    pub(super) upgraded: bool,
    /// Whether this reconcile made, or tried to make, a revision.
    pub(super) acted: bool,
    /// What a person should know though nothing failed.
    pub(super) warnings: Vec<(Reason, String)>,
    /// What a person should know who asks what would be done.
    pub(super) notices: Vec<String>,
    /// Why the registry's answer could not be had, where what is deployed is as declared without it.
    pub(super) source: Option<ReconcileError>,
    /// What the release took from defaults; none where that is not known.
    pub(super) defaults: Option<Vec<TakenDefaults>>,
    /// The artifacts that values were read from, once all of them are.
    pub(super) artifacts: Option<Vec<ValuesArtifact>>,
    /// Releases that were uninstalled, and what became of their objects.
    pub(super) removed: Vec<String>,
    /// What is left in the cluster, and why.
    pub(super) left: Vec<String>,
    /// The Secrets of the other clusters in which something of the object may be, where that is not what the status tells.
    pub(super) kube_configs: Option<Vec<String>>,
    /// The other namespaces in which its records may be, where that is another list than the status has.
    pub(super) record_namespaces: Option<Vec<String>>,
    /// Objects that somebody changed or deleted, and that are as they were applied again.
    pub(super) corrected: Vec<String>,
    /// How the tests of the newest revision failed, where they did in this reconcile.
    pub(super) tests: Option<String>,
    /// The revision that failed half-way, where nothing is looked after for that.
    pub(super) half_way: Option<u32>,
    /// How the objects of what is deployed are, where they are watched.
    pub(super) drift: Option<Standing>,
    /// The plan that waits for approval.
    pub(super) plan: Option<PlanStatus>,
    /// Where the release's records are, once that is known: elsewhere than declared while they wait to be moved.
    pub(super) records: Option<Target>,
    /// The demand for one more revision that is answered, whatever the revisions tell.
    pub(super) demand: Option<String>,
    /// Whether the objects of what is deployed were looked at.
    pub(super) is_observed: bool,
    /// Whether the release is an object's of another cluster.
    pub(super) is_elsewhere: bool,
    /// Whether the plan that the status tells of waits no more.
    pub(super) withdrawn: bool,
    /// What is done at the moment, where it takes a while.
    pub(super) doing: Doing,
    /// The values that come from Secrets: nothing that is told holds one.
    pub(super) secrets: SecretValues,
}

/// What a release consists of.
pub(super) struct Contents {
    /// Its objects.
    pub(super) inventory: Inventory,
    /// The beginning of its notes.
    pub(super) notes: Option<String>,
}

/// How many bytes of warnings of one reason are told.
const WARNED: usize = 512;

/// Most objects that a status lists: a quarter of a megabyte, of the one and a half that the API server stores. What is
/// beyond is found by the records alone.
const LISTED: usize = 2000;

/// Most objects that an Event names.
const NAMED: usize = 10;

impl Trace {
    /// Something a person should know.
    pub(super) fn warn(&mut self, reason: Reason, message: String) {
        let message = self.without_secrets(message);
        match self.warnings.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, known)) if known.len() < WARNED && !known.contains(&message) => {
                known.extend(["; ", message.as_str()]);
            }
            Some(_) => {}
            None => self.warnings.push((reason, message)),
        }
    }

    /// Whether somebody looked how what is deployed is.
    pub(super) fn knows_how_it_is(&self) -> bool {
        self.is_observed || self.state.is_some()
    }

    /// What a person should know who asks what would be done.
    pub(super) fn notice(&mut self, message: String) {
        let message = self.without_secrets(message);
        self.notices.push(message);
    }

    /// `error` without the values that come from Secrets.
    pub(super) fn masked(&self, error: ReconcileError) -> ReconcileError {
        ReconcileError { message: self.without_secrets(error.message), ..error }
    }

    /// `text` without the values that come from Secrets.
    pub(super) fn without_secrets(&self, text: String) -> String {
        let masked = match self.secrets.mask(&text) {
            Cow::Owned(masked) => Some(masked),
            Cow::Borrowed(_) => None,
        };
        masked.unwrap_or(text)
    }

    /// A revision is to be carried out.
    pub(super) async fn begun(&mut self, record: &Record, objects: &[Object]) {
        self.acted = true;
        self.stands(record, objects).await;
    }

    /// A revision that was begun is gone on with. What it consists of stands in the status, unless that was lost.
    pub(super) async fn resumed(
        &mut self,
        release: &HelmRelease,
        record: &Record,
        place: &Place,
    ) -> Result<(), ReconcileError> {
        self.acted = true;
        let known = release.status.as_ref().and_then(|status| status.helm_release.as_ref());
        let (namespace, here) = (Key::of(release).namespace, place.target(&record.key()));
        let is_this = |state: &ReleaseState| {
            state.revision == i64::from(record.revision()) && matching::told(state, &namespace) == here
        };
        if known.is_some_and(is_this) {
            self.record(record);
        } else {
            self.stands(record, &place.objects_of(record).await?).await;
        }
        Ok(())
    }

    /// What a revision consists of.
    async fn stands(&mut self, record: &Record, objects: &[Object]) {
        let mut kinds = BTreeMap::<String, i64>::new();
        for object in objects {
            *kinds.entry(object.reference().kind.clone()).or_default() += 1;
        }
        let entries = objects.iter().take(LISTED).map(|object| object.reference().clone().into()).collect();
        let inventory = Inventory { objects: kinds.values().sum(), kinds, entries };
        let own = SecretValues::in_secrets(objects).await;
        let notes = excerpt(&SecretValues::masked_start(&record.release.info.notes, &[&own, &self.secrets]));
        self.contents = Some(Contents { inventory, notes });
        self.record(record);
    }

    /// Objects were applied: their uids are known.
    pub(super) fn applied(&mut self, applied: &[Applied]) {
        let uids: BTreeMap<_, _> = applied.iter().map(|applied| (&applied.object, &applied.uid)).collect();
        for listed in self.contents.iter_mut().flat_map(|contents| &mut contents.inventory.entries) {
            if let Some(uid) = uids.get(&ObjectRef::from(listed.clone())) {
                listed.uid = Some((*uid).clone());
            }
        }
    }

    /// Releases are left in their cluster though the object goes.
    pub(super) fn left(&mut self, releases: &[String], why: &str) {
        if !releases.is_empty() {
            let releases = releases.join(", ");
            let told = format!("release {releases} is left in the cluster: {why}; `helm uninstall` removes it");
            self.left.push(told);
        }
    }

    /// Records are left as they are, since they are no history of a release of the object's, though they say so.
    pub(super) fn spared(&mut self, release: &Target, why: &str) {
        self.left.push(format!(
            "records of release {release} are left as they are, and nothing is uninstalled by them: {why}. Delete those that are of no release; what is \
             left in the cluster by the others is removed by `helm uninstall`"
        ));
    }

    /// A release was uninstalled; but for what was `kept`, in words.
    pub(super) fn removed(&mut self, release: &Target, removals: &[Removal], kept: &[String]) {
        let what = |wanted: fn(&Removed) -> bool| -> Vec<String> {
            removals.iter().filter(|it| wanted(&it.removed)).map(|removal| removal.object.to_string()).collect()
        };
        let deleted = what(|removed| matches!(removed, Removed::Deleted | Removed::Absent)).len();
        let mut told = format!("uninstalled release {release}: {deleted} objects are deleted");
        for (objects, why) in [
            (what(|removed| *removed == Removed::Kept), "kept, as helm.sh/resource-policy says"),
            (what(|removed| matches!(removed, Removed::NotOurs(_))), "left, since they are not this release's"),
        ] {
            if !objects.is_empty() {
                let more = objects.len().saturating_sub(NAMED);
                let named = objects.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                told.extend([&format!("; {why}: "), named.as_str(), &more]);
            }
        }
        if !kept.is_empty() {
            told.extend(["; ", &*kept.join("; ")]);
        }
        self.removed.push(told);
    }

    /// A record was written.
    pub(super) fn record(&mut self, record: &Record) {
        let release = &record.release;
        // An upgrade carries the time of the first deployment on; the status has it to the second only.
        self.upgraded = release.info.first_deployed != release.info.last_deployed;
        let digest = record.marks.as_ref().map(|marks| marks.digest.clone()).filter(|digest| !digest.is_empty());
        let cluster = record.marks.as_ref().map(|marks| marks.cluster.clone()).filter(|cluster| !cluster.is_empty());
        let storage = record.key().namespace;
        let storage_namespace = (storage != release.namespace).then_some(storage);
        self.state = Some(ReleaseState { kube_config: cluster, storage_namespace, ..state(release, digest) });
    }

    /// Nothing is to be done: the status has the revision already, or it is read.
    pub(super) async fn keep(
        &mut self,
        release: &HelmRelease,
        target: &ReleaseKey,
        revision: u32,
        place: &Place,
    ) -> Result<(), ReconcileError> {
        if self.state.as_ref().is_some_and(|state| state.revision == i64::from(revision)) {
            return Ok(());
        }
        let status = release.status.as_ref();
        let known = status.and_then(|status| status.helm_release.as_ref());
        let (namespace, here) = (Key::of(release).namespace, place.target(target));
        let is_known = |state: &&ReleaseState| {
            state.revision == i64::from(revision)
                && state.status == "deployed"
                && matching::told(state, &namespace) == here
        };
        if let (Some(status), Some(state)) = (status, known.filter(is_known)) {
            self.state = Some(state.clone());
            let upgraded = Reason::UpgradeCompleted.to_string();
            self.upgraded = status.conditions.iter().any(|condition| condition.reason == upgraded);
            return Ok(());
        }
        if let Some(record) = place.history.get(target, revision).await? {
            self.stands(&record, &place.objects_of(&record).await?).await;
        }
        Ok(())
    }
}

fn state(release: &Release, digest: Option<String>) -> ReleaseState {
    let info = &release.info;
    let present = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ReleaseState {
        name: release.name.clone(),
        namespace: release.namespace.clone(),
        revision: i64::from(release.version),
        status: info.status.as_str().to_owned(),
        first_deployed: info.first_deployed.map(Time),
        last_deployed: info.last_deployed.map(Time),
        description: present(&info.description),
        chart: Some(format!("{}-{}", release.chart.name(), release.chart.version())),
        app_version: present(release.chart.app_version()),
        digest,
        ..ReleaseState::default()
    }
}

fn excerpt(notes: &str) -> Option<String> {
    let notes = notes.trim();
    let end = notes.floor_char_boundary(NOTES_LIMIT);
    let more = if end < notes.len() { "…" } else { "" };
    (!notes.is_empty()).then(|| format!("{}{more}", &notes[..end]))
}
