//! What a release waits for that it depends on. Pure.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::controller::matching::Key;

/// What is known of a release that others depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// What it depends on itself.
    pub(crate) depends_on: Vec<Key>,
    /// Why it is not ready, in the words of its status; none where it is.
    pub(crate) unready: Option<String>,
}

/// Why a release that depends on `wanted` has to wait, in words; `of` finds a release. A circle is told before anything else:
/// nothing in it would ever be ready.
///
/// One that need not say that it is ready has to be there all the same.
pub(crate) fn blocked(own: &Key, wanted: &[(Key, bool)], of: impl Fn(&Key) -> Option<Dependency>) -> Option<String> {
    let keys: Vec<Key> = wanted.iter().map(|(key, _)| key.clone()).collect();
    if let Some(circle) = circle(own, &keys, &of) {
        let circle: Vec<String> = circle.iter().map(ToString::to_string).collect();
        return Some(format!("spec.dependsOn forms a cycle: {}; remove one of these dependencies", circle.join(" → ")));
    }
    let waiting = wanted.iter().filter_map(|(key, is_judged)| match of(key) {
        None => Some(format!("there is no HelmRelease {key}")),
        Some(Dependency { unready, .. }) => {
            unready.filter(|_| *is_judged).map(|why| format!("HelmRelease {key} is not ready: {why}"))
        }
    });
    let waiting: Vec<String> = waiting.collect();
    (!waiting.is_empty()).then(|| waiting_for(&waiting))
}

/// What a release waits for, in words.
pub(super) fn waiting_for(waiting: &[String]) -> String {
    format!("waiting for dependencies: {}. It goes on as soon as they are ready", waiting.join("; "))
}

/// Whether one of `wanted`, or something that it depends on, is `other`.
pub(crate) fn reaches(wanted: &[Key], other: &Key, of: impl Fn(&Key) -> Vec<Key>) -> bool {
    let (mut open, mut seen) = (wanted.to_vec(), BTreeSet::new());
    while let Some(key) = open.pop() {
        if key == *other {
            return true;
        }
        if seen.insert(key.clone()) {
            open.extend(of(&key));
        }
    }
    false
}

/// The way from `own` back to itself.
fn circle(own: &Key, wanted: &[Key], of: &impl Fn(&Key) -> Option<Dependency>) -> Option<Vec<Key>> {
    // From where each was come to first.
    let mut before: BTreeMap<Key, Key> = BTreeMap::new();
    let mut open: Vec<(Key, Key)> = wanted.iter().map(|key| (own.clone(), key.clone())).collect();
    while let Some((from, key)) = open.pop() {
        if key == *own {
            let mut way = vec![key, from];
            while let Some(earlier) = way.last().filter(|last| *last != own).and_then(|last| before.get(last)) {
                way.push(earlier.clone());
            }
            way.reverse();
            return Some(way);
        }
        if let Entry::Vacant(entry) = before.entry(key) {
            let next = of(entry.key()).map(|it| it.depends_on).unwrap_or_default();
            open.extend(next.into_iter().map(|next| (entry.key().clone(), next)));
            entry.insert(from);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Dependency, blocked};
    use crate::controller::matching::Key;

    fn key(name: &str) -> Key {
        Key { namespace: "apps".to_owned(), name: name.to_owned() }
    }

    fn keys(names: &str) -> Vec<Key> {
        names.split_whitespace().map(key).collect()
    }

    /// Releases from words `name:needs,needs`, those with a `!` not ready.
    fn blocked_among(releases: &str, wanted: &str) -> Option<String> {
        let of = |wanted: &Key| {
            releases.split_whitespace().find_map(|word| {
                let (name, needs) = word.split_once(':').unwrap_or((word, ""));
                let unready = name.ends_with('!').then(|| "it fails".to_owned());
                let found = key(name.trim_end_matches('!')) == *wanted;
                found.then(|| Dependency { depends_on: keys(&needs.replace(',', " ")), unready })
            })
        };
        let wanted: Vec<_> = keys(wanted).into_iter().map(|key| (key, true)).collect();
        blocked(&key("own"), &wanted, of)
    }

    #[test]
    fn a_release_waits_for_what_it_depends_on_and_says_for_what() {
        for (releases, wanted, words) in [
            ("", "", None),
            ("a b:a", "a b", None),
            ("a! b", "a b", Some("HelmRelease apps/a is not ready: it fails")),
            ("a", "a b", Some("there is no HelmRelease apps/b")),
            ("", "own", Some("forms a cycle: apps/own → apps/own")),
            ("a:b b:own own:a", "a", Some("forms a cycle: apps/own → apps/a → apps/b → apps/own")),
            // A circle of others is theirs to mend.
            ("a!:b b!:a", "a", Some("HelmRelease apps/a is not ready")),
        ] {
            let told = blocked_among(releases, wanted);
            assert_eq!(told.is_some(), words.is_some(), "{releases}: {told:?}");
            assert!(told.as_deref().unwrap_or_default().contains(words.unwrap_or_default()), "{releases}: {told:?}");
        }
    }
}
