//! Approval of installs and upgrades: what is declared of it, and whether a plan has it. Pure.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use serde_json::json;

use super::inputs;
use super::validate::Action;
use crate::api::{APPROVE, GoDuration, HelmRelease, PlanMode};
use crate::history::{Planned, RecordMeta};

/// For how long a plan can be approved where nothing else is said.
const EXPIRE_AFTER: Duration = Duration::from_hours(72);

/// That installs and upgrades wait for approval.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Gate {
    /// The digests of plans that may be carried out.
    pub(crate) approved: Vec<String>,
    /// For how long a plan can be approved.
    pub(crate) expire_after: Duration,
    /// What is declared of how a plan is carried out, beside what it is rendered from.
    pub(crate) ways: String,
}

/// What a plan is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may be carried out.
    Approved,
    /// It waits.
    Waiting,
    /// It was made for something else than what is declared now.
    Outdated,
    /// It is approved, and too late.
    Late,
}

impl Gate {
    /// What `release` declares; none where nothing has to be approved.
    pub(crate) fn of(release: &HelmRelease, install: &Action, upgrade: &Action) -> Option<Self> {
        let policy = release.spec.plan.as_ref().filter(|policy| policy.mode == Some(PlanMode::Manual))?;
        let approvals = release.annotations().get(APPROVE).into_iter().chain(&policy.approved);
        Some(Self {
            approved: approvals.map(|digest| named(digest)).collect(),
            expire_after: policy.expire_after.map_or(EXPIRE_AFTER, GoDuration::at_least_a_second),
            ways: ways(release, install, upgrade),
        })
    }

    /// What a plan rests on: another one does not fit what is declared.
    pub(crate) fn basis(&self, inputs: &str) -> String {
        inputs::digest(&[inputs, &self.ways])
    }

    /// What `planned` is worth for these inputs.
    pub(super) fn judge(&self, planned: &Planned, inputs: &str, now: Timestamp) -> Standing {
        let is_approved = self.approved.contains(&planned.digest);
        match self.expires(planned) {
            // One of which it is not known what was shown is made anew, too.
            _ if planned.basis != self.basis(inputs) || planned.shown.is_empty() => Standing::Outdated,
            expires if is_approved && expires <= now => Standing::Late,
            _ if is_approved => Standing::Approved,
            _ => Standing::Waiting,
        }
    }

    /// What to say of approvals that are not of the plan `digest`, where they are of no other that was carried out.
    pub(super) fn unfit(&self, digest: &str, revisions: &[RecordMeta]) -> Option<String> {
        let was_carried_out = |approved: &str| {
            let planned = revisions.iter().filter_map(|meta| meta.marks.as_ref()?.planned.as_deref());
            planned.into_iter().any(|planned| planned == approved)
        };
        let other = self.approved.iter().find(|approved| *approved != digest && !was_carried_out(approved))?;
        Some(if is_digest(other) {
            format!("{other} is approved, which is not this plan: this one is {digest}")
        } else {
            format!(
                "{other:?} approves nothing: a plan is approved by its whole digest, sha256: and 64 digits; that of this one is {digest}"
            )
        })
    }

    /// Until when `planned` can be approved.
    pub(super) fn expires(&self, planned: &Planned) -> Timestamp {
        let after = SignedDuration::try_from(self.expire_after).unwrap_or_default();
        planned.made.checked_add(after).unwrap_or(Timestamp::MAX)
    }
}

/// The digest that a person names, who may leave out how it was made, or write it in capitals.
fn named(text: &str) -> String {
    let digest = text.trim().to_ascii_lowercase();
    let bare = format!("sha256:{digest}");
    if is_digest(&bare) { bare } else { digest }
}

fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// What changes what becomes of the cluster, or may.
fn ways(release: &HelmRelease, install: &Action, upgrade: &Action) -> String {
    let of = |action: &Action| {
        let Action { hooks, take_ownership, force, crds, recreate, .. } = action;
        json!([hooks, take_ownership, force, format!("{crds:?}"), recreate])
    };
    let spec = &release.spec;
    let (account, target) = (&spec.service_account_name, &spec.release);
    let place = json!([account, target, spec.storage_namespace, spec.kube_config]);
    json!([of(install), of(upgrade), spec.on_immutable, spec.conflicts, place]).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_digest_may_be_named_without_how_it_was_made() {
        let digits = "0a".repeat(32);
        for text in [format!("sha256:{digits}"), format!(" {digits}\n"), digits.to_uppercase()] {
            assert_eq!(super::named(&text), format!("sha256:{digits}"));
        }
        assert_eq!(super::named("yes"), "yes");
    }
}
