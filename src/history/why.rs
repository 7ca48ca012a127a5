//! Why revisions were made: for the message when there are too many of them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Made;

/// Most parts of which it is known.
const PARTS: usize = 70;

/// What the revisions depend on that were made for one generation of an object, and how often each of it led to one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why(BTreeMap<String, Part>);

/// One thing that a revision depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Part {
    /// A few digits of its digest; none for what has none.
    digest: String,
    /// How many revisions were made since it changed.
    revisions: u32,
}

impl Why {
    /// Why a revision is made for these `parts`, which are named with a digest each, after what `before` says. What names none
    /// of the parts that changed is counted as `otherwise`. Without anything before, nothing is counted.
    pub fn next(before: Option<&Self>, parts: &[(String, String)], otherwise: &str) -> Self {
        let mut next = Self::default();
        for (name, digest) in parts.iter().take(PARTS) {
            next.0.insert(name.clone(), Part { digest: digest.clone(), revisions: 0 });
        }
        let Some(before) = before else { return next };
        let mut has_changed = false;
        for (name, part) in &before.0 {
            next.0.entry(name.clone()).or_default().revisions = part.revisions;
        }
        for (name, part) in &mut next.0 {
            let was = before.0.get(name).map(|part| part.digest.as_str()).unwrap_or_default();
            if was != part.digest {
                part.revisions += 1;
                has_changed = true;
            }
        }
        if !has_changed {
            next.0.entry(otherwise.to_owned()).or_default().revisions += 1;
        }
        next
    }

    /// What led to revisions, and to how many, the most first.
    pub fn causes(&self) -> Vec<(&str, u32)> {
        let parts = self.0.iter().map(|(name, part)| (name.as_str(), part.revisions));
        let mut causes: Vec<_> = parts.filter(|(_, revisions)| *revisions > 0).collect();
        causes.sort_by_key(|(_, revisions)| std::cmp::Reverse(*revisions));
        causes
    }

    /// Lines of `digest/revisions/name`, as written.
    pub(super) fn parse(text: &str) -> Self {
        let part = |line: &str| {
            let mut words = line.splitn(3, '/');
            let (digest, revisions) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
            Some((words.next()?.to_owned(), Part { digest, revisions }))
        };
        Self(text.lines().filter_map(part).collect())
    }

    /// As it is written; none where there is nothing to write.
    pub(super) fn text(&self) -> Option<String> {
        let line = |(name, part): (&String, &Part)| format!("{}/{}/{name}", part.digest, part.revisions);
        let lines: Vec<String> = self.0.iter().map(line).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// How many revisions were made for a generation of an object, and why, as it stands on a revision of somebody else's that
/// one of ours replaced: Helm takes the marks away from those of ours that it replaces, and the count would begin anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// The object, as `namespace/name`.
    pub owner: String,
    /// The generation.
    pub generation: i64,
    /// How many, since when.
    pub made: Made,
    /// Why.
    pub why: Why,
}

impl Counted {
    /// `generation/seconds/count/owner`, as written.
    pub(super) fn parse(text: &str, why: Why) -> Option<Self> {
        let mut words = text.splitn(4, '/');
        let generation = words.next()?.parse().ok()?;
        let since = Timestamp::from_second(words.next()?.parse().ok()?).ok()?;
        let made = Made { since, revisions: words.next()?.parse().ok()? };
        Some(Self { owner: words.next()?.to_owned(), generation, made, why })
    }

    /// As it is written.
    pub(super) fn text(&self) -> String {
        let Self { owner, generation, made, .. } = self;
        format!("{generation}/{}/{}/{owner}", made.since.as_second(), made.revisions)
    }
}

#[cfg(test)]
mod tests {
    use super::Why;

    #[test]
    fn revisions_are_counted_by_what_changed() {
        let parts = |secret: &str, chart: &str| {
            [("Secret a", secret), ("the chart", chart)].map(|(name, digest)| (name.to_owned(), digest.to_owned()))
        };
        let mut why = Why::next(None, &parts("1", "1"), "else");
        assert!(why.causes().is_empty(), "the first one");
        for (secret, chart) in [("2", "1"), ("3", "1"), ("3", "1"), ("4", "2")] {
            why = Why::next(Some(&why), &parts(secret, chart), "else");
            assert_eq!(Why::parse(&why.text().expect("a text")), why);
        }
        assert_eq!(why.causes(), [("Secret a", 3), ("else", 1), ("the chart", 1)]);
        // A reference that is no longer there led to one.
        let why = Why::next(Some(&why), &parts("4", "2")[1..], "else");
        assert_eq!(why.causes()[0], ("Secret a", 4));
    }
}
