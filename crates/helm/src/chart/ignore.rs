//! `.helmignore`: which files of a directory do not belong to the chart.
//!
//! The rules look like `.gitignore`'s but are simpler: no `**`, no last-match-wins. Rules are read in order, the
//! first that applies decides, and a negated rule (`!`) ignores everything that it does *not* match.

use super::path;
use super::pattern::{self, BadPattern};

/// The name of the file with the rules, in the chart's top folder.
pub const FILE_NAME: &str = ".helmignore";

/// Why the rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The rule contains `**`.
    #[error("double-star (**) syntax is not supported")]
    DoubleStar,
    /// The rule is not a pattern.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
}

/// The rules of one chart directory.
#[derive(Debug, Clone)]
pub struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: Pattern,
    negated: bool,
    directories_only: bool,
    /// Without a slash in the pattern, only the last element of a path is looked at.
    whole_path: bool,
}

/// Most rules are names, or stars with an ending.
#[derive(Debug, Clone)]
enum Pattern {
    Name(String),
    Ending(String),
    /// What it starts with before the first character that has a meaning, and all of it.
    Other {
        start: usize,
        pattern: String,
    },
}

impl Pattern {
    fn new(pattern: &str) -> Self {
        let special = |text: &str| text.find(['*', '?', '[', '\\']);
        match (pattern.strip_prefix('*'), special(pattern)) {
            (None, None) => Self::Name(pattern.to_owned()),
            (Some(ending), _) if special(ending).is_none() => Self::Ending(ending.to_owned()),
            (_, start) => Self::Other { start: start.unwrap_or_default(), pattern: pattern.to_owned() },
        }
    }

    fn matches(&self, subject: &str) -> bool {
        match self {
            Self::Name(name) => subject == name,
            Self::Ending(ending) => subject.strip_suffix(ending.as_str()).is_some_and(|start| !start.contains('/')),
            Self::Other { start, pattern } => {
                subject.starts_with(&pattern[..*start]) && pattern::matches(pattern, subject).unwrap_or(false)
            }
        }
    }
}

impl Rules {
    /// Reads the text of a `.helmignore`, and adds Helm's own rule: dot files in `templates/` are ignored.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim_start_matches('\u{feff}');
        let rules = text.lines().chain(["templates/.?*"]).filter_map(|line| parse_rule(line).transpose());
        Ok(Self { rules: rules.collect::<Result<_, _>>()? })
    }

    /// Whether the file or directory at `path` (relative to the chart, with slashes) is left out.
    pub fn ignores(&self, path: &str, is_directory: bool) -> bool {
        let base = path::base(path);
        for rule in &self.rules {
            let subject = if rule.whole_path { path } else { base };
            let applies = (is_directory || !rule.directories_only) && rule.pattern.matches(subject);
            if applies != rule.negated {
                return true;
            }
        }
        false
    }
}

fn parse_rule(line: &str) -> Result<Option<Rule>, Error> {
    let rule = line.trim();
    if rule.is_empty() || rule.starts_with('#') {
        return Ok(None);
    }
    if rule.contains("**") {
        return Err(Error::DoubleStar);
    }
    // Helm tries a rule on one name, which tells of a fault only in those parts that are looked at then.
    pattern::matches(rule, "abc")?;
    let (negated, rule) = rule.strip_prefix('!').map_or((false, rule), |rest| (true, rest));
    let (directories_only, rule) = rule.strip_suffix('/').map_or((false, rule), |rest| (true, rest));
    let (pattern, whole_path) = rule.strip_prefix('/').map_or_else(|| (rule, rule.contains('/')), |rest| (rest, true));
    Ok(Some(Rule { pattern: Pattern::new(pattern), negated, directories_only, whole_path }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignores(rule: &str, path: &str, is_directory: bool) -> bool {
        Rules::parse(rule).expect("rule parses").ignores(path, is_directory)
    }

    #[test]
    fn rules_apply_as_in_helm() {
        for (rule, path, is_directory, expected) in [
            ("helm.txt", "helm.txt", false, true),
            ("helm.*", "helm.txt", false, true),
            ("tiller.txt", "helm.txt", false, false),
            ("*.txt", "templates/a.txt", false, true),
            ("/*.txt", "templates/a.txt", false, false),
            ("cargo/*.txt", "cargo/a.txt", false, true),
            ("cargo", "cargo", true, true),
            ("cargo/", "cargo", true, true),
            ("cargo/", "mast/cargo", true, true),
            ("helm.txt/", "helm.txt", false, false),
            ("/cargo", "a/cargo", true, false),
            ("!helm.txt", "helm.txt", false, false),
            ("!helm.txt", "tiller.txt", false, true),
            ("# a comment", "a comment", false, false),
            ("", "templates/.dotfile", false, true),
            ("", "templates/dotfile", false, false),
        ] {
            assert_eq!(ignores(rule, path, is_directory), expected, "{rule:?} on {path:?}");
        }
    }

    #[test]
    fn rules_that_helm_refuses() {
        assert_eq!(Rules::parse("a/**/b").map(|_| ()), Err(Error::DoubleStar));
        assert_eq!(Rules::parse("[a").map(|_| ()), Err(Error::Pattern(BadPattern)));
    }
}
