//! Status conditions: which there are, and how a new one keeps the old one's transition time.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::Reason;

/// The condition types we write. `Reconciling` and `Stalled` are kstatus's, true only while they apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// The object is as declared.
    Ready,
    /// Work on the current generation goes on.
    Reconciling,
    /// Nothing more will happen until somebody changes something.
    Stalled,
    /// The last install or upgrade was carried out.
    Released,
    /// The registry answers, and has the chart. What is deployed as declared stays ready without it.
    SourceReady,
    /// The chart's tests passed, where they are run.
    TestSuccess,
    /// What was deployed before a failed upgrade is deployed again.
    Remediated,
    /// Somebody changed or deleted what the release applied.
    Drifted,
    /// Somebody else made the revision that is deployed, and it stays.
    Held,
    /// The objects of what is deployed do their work.
    Healthy,
}

impl ConditionType {
    /// The type as written in `conditions[].type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Released => "Released",
            Self::SourceReady => "SourceReady",
            Self::TestSuccess => "TestSuccess",
            Self::Remediated => "Remediated",
            Self::Drifted => "Drifted",
            Self::Held => "Held",
            Self::Healthy => "Healthy",
        }
    }

    const ALL: [Self; 10] = [
        Self::Ready,
        Self::Reconciling,
        Self::Stalled,
        Self::Released,
        Self::SourceReady,
        Self::TestSuccess,
        Self::Remediated,
        Self::Drifted,
        Self::Held,
        Self::Healthy,
    ];
}

/// The conditions of one status, built anew at each report: a condition not set is absent.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    set: Vec<(ConditionType, &'static str, Reason, String)>,
    kept: Vec<Condition>,
}

/// The longest message the API server accepts in a condition.
const MESSAGE_LIMIT: usize = 32 * 1024;

/// At most `limit` bytes of a message: both ends of a longer one, for an error of templates within each other says first
/// where it was and last what went wrong.
pub(crate) fn shortened(message: &str, limit: usize) -> String {
    const GAP: &str = "\n...\n";
    if message.len() <= limit {
        return message.to_owned();
    }
    let half = (limit - GAP.len()) / 2;
    let start = &message[..message.floor_char_boundary(half)];
    let end = &message[message.ceil_char_boundary(message.len() - half)..];
    [start, GAP, end].concat()
}

impl Conditions {
    /// Adds a condition, in place of one of its kind.
    #[must_use]
    pub fn with(self, kind: ConditionType, status: bool, reason: Reason, message: impl Into<String>) -> Self {
        self.set(kind, if status { "True" } else { "False" }, reason, &message.into())
    }

    /// Sets a condition of which it is not known whether it holds.
    #[must_use]
    pub fn unknown(self, kind: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        self.set(kind, "Unknown", reason, &message.into())
    }

    fn set(mut self, kind: ConditionType, status: &'static str, reason: Reason, message: &str) -> Self {
        self.set.retain(|(known, ..)| *known != kind);
        self.set.push((kind, status, reason, shortened(message, MESSAGE_LIMIT)));
        self
    }

    /// Adds the condition of this kind as it was, if it was there.
    #[must_use]
    pub fn keeping(mut self, kind: ConditionType, before: &[Condition]) -> Self {
        self.kept.extend(before.iter().find(|old| old.type_ == kind.as_str()).cloned());
        self
    }

    /// The conditions as written: `now` is the transition time of those whose status changed since `before`.
    /// Conditions of other writers in `before` are kept; those an earlier operator left (`Failed`, `Progressing`,
    /// `Syncing`, which it never cleared) are not.
    pub fn build(self, before: &[Condition], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
        let ours = |name: &str| {
            ConditionType::ALL.iter().any(|kind| kind.as_str() == name)
                || ["Failed", "Progressing", "Syncing"].contains(&name)
        };
        let foreign = before.iter().filter(|condition| !ours(&condition.type_)).cloned();
        // What is set now is not kept as it was: the API server takes one of each kind.
        let is_set = |kept: &Condition| self.set.iter().any(|(kind, ..)| kind.as_str() == kept.type_);
        let mut kept: Vec<Condition> = Vec::new();
        for condition in self.kept.into_iter().filter(|kept| !is_set(kept)) {
            if kept.iter().all(|known| known.type_ != condition.type_) {
                kept.push(condition);
            }
        }
        let set = self.set.into_iter().map(|(kind, status, reason, message)| {
            let same = before.iter().find(|old| old.type_ == kind.as_str() && old.status == status);
            Condition {
                type_: kind.as_str().to_owned(),
                status: status.to_owned(),
                reason: reason.to_string(),
                message,
                observed_generation: generation,
                last_transition_time: same.map_or(Time(now), |old| old.last_transition_time.clone()),
            }
        });
        set.chain(kept).chain(foreign).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_condition_of_each_kind() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let before = Conditions::default().with(ConditionType::Released, true, Reason::InstallCompleted, "it was");
        let before = before.build(&[], Some(1), at(1));
        let kept = Conditions::default().keeping(ConditionType::Released, &before);
        let both = kept.clone().keeping(ConditionType::Released, &before).with(
            ConditionType::Released,
            false,
            Reason::UpgradeFailed,
            "it is not",
        );
        let told = |built: Vec<Condition>| built.into_iter().map(|it| (it.type_, it.message)).collect::<Vec<_>>();
        assert_eq!(told(both.build(&before, Some(1), at(2))), [("Released".to_owned(), "it is not".to_owned())]);
        let twice = kept.keeping(ConditionType::Released, &before);
        assert_eq!(told(twice.build(&before, Some(1), at(2))), [("Released".to_owned(), "it was".to_owned())]);
    }

    #[test]
    fn a_long_message_keeps_both_ends() {
        let message = format!("where{}what", "é".repeat(MESSAGE_LIMIT));
        let shortened = shortened(&message, MESSAGE_LIMIT);
        assert!(shortened.len() <= MESSAGE_LIMIT && shortened.len() > MESSAGE_LIMIT - 8);
        assert!(shortened.starts_with("whereé") && shortened.ends_with("éwhat"));
        assert_eq!(super::shortened("short", MESSAGE_LIMIT), "short");
    }
}
