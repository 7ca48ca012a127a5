//! Which objects a rule is about, in Flux's terms. Pure.

use std::collections::BTreeMap;

use regex::Regex;

/// A choice of objects; what is not set chooses all.
///
/// The expressions are matched against the whole of a name, as in Flux.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    namespace: Option<Regex>,
    name: Option<Regex>,
    labels: Vec<Requirement>,
    annotations: Vec<Requirement>,
}

/// The texts of a selector, as declared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Texts<'a> {
    /// An expression for the API group.
    pub group: Option<&'a str>,
    /// An expression for the version in the group.
    pub version: Option<&'a str>,
    /// An expression for the kind.
    pub kind: Option<&'a str>,
    /// An expression for the namespace.
    pub namespace: Option<&'a str>,
    /// An expression for the name.
    pub name: Option<&'a str>,
    /// A selector of labels, as `kubectl -l` takes it.
    pub labels: Option<&'a str>,
    /// The same of annotations.
    pub annotations: Option<&'a str>,
}

/// What of an object a selector looks at.
#[derive(Debug, Clone, Default)]
pub struct Chosen<'a> {
    /// Its API group; empty for the core group.
    pub group: &'a str,
    /// The version in the group.
    pub version: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its namespace; empty where it has none.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// The labels or annotations of an object, as its `metadata` has them; what is no text is none.
pub fn texts(metadata: &serde_json::Value, field: &str) -> BTreeMap<String, String> {
    let map = metadata[field].as_object().into_iter().flatten();
    map.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Why a selector means nothing.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
    /// An expression does not parse.
    #[error("{field} is no regular expression")]
    Expression {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<regex::Error>,
    },
    /// A part of a selector of labels or annotations does not parse.
    #[error("{part:?} is not `key`, `!key`, `key=value`, `key!=value`, `key in (a,b)` or `key notin (a,b)`")]
    Requirement {
        /// The part.
        part: String,
    },
}

/// One part of a selector of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selector {
    /// Parses a selector. Fails where one of its texts means nothing.
    pub fn parse(texts: &Texts<'_>) -> Result<Self, SelectorError> {
        let Texts { group, version, kind, namespace, name, labels, annotations } = *texts;
        Ok(Self {
            group: whole("group", group)?,
            version: whole("version", version)?,
            kind: whole("kind", kind)?,
            namespace: whole("namespace", namespace)?,
            name: whole("name", name)?,
            labels: requirements(labels)?,
            annotations: requirements(annotations)?,
        })
    }

    /// Whether an object is one that is chosen.
    pub fn matches(&self, object: &Chosen<'_>) -> bool {
        let is = |expression: &Option<Regex>, text: &str| expression.as_ref().is_none_or(|it| it.is_match(text));
        is(&self.group, object.group)
            && is(&self.version, object.version)
            && is(&self.kind, object.kind)
            && is(&self.namespace, object.namespace)
            && is(&self.name, object.name)
            && self.labels.iter().all(|requirement| requirement.is_met(&object.labels))
            && self.annotations.iter().all(|requirement| requirement.is_met(&object.annotations))
    }
}

fn whole(field: &'static str, text: Option<&str>) -> Result<Option<Regex>, SelectorError> {
    let parsed = text.filter(|text| !text.is_empty()).map(|text| Regex::new(&format!("^(?:{text})$"))).transpose();
    parsed.map_err(|source| SelectorError::Expression { field, source: Box::new(source) })
}

impl Requirement {
    fn is_met(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Exists(key) => labels.contains_key(key),
            Self::Absent(key) => !labels.contains_key(key),
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
        }
    }

    fn parse(part: &str) -> Option<Self> {
        let part = part.trim();
        let one = |text: &str| vec![text.trim().to_owned()];
        let key = |text: &str| {
            let text = text.trim();
            let is_key = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "=!(),".contains(c));
            is_key.then(|| text.to_owned())
        };
        let listed = |text: &str| -> Option<Vec<String>> {
            let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
            Some(inner.split(',').map(|value| value.trim().to_owned()).collect())
        };
        if let Some((name, values)) = part.split_once(" notin ") {
            return Some(Self::NotIn(key(name)?, listed(values)?));
        }
        if let Some((name, values)) = part.split_once(" in ") {
            return Some(Self::In(key(name)?, listed(values)?));
        }
        if let Some((name, value)) = part.split_once("!=") {
            return Some(Self::NotIn(key(name)?, one(value)));
        }
        if let Some((name, value)) = part.split_once('=') {
            return Some(Self::In(key(name)?, one(value.strip_prefix('=').unwrap_or(value))));
        }
        match part.strip_prefix('!') {
            Some(name) => key(name).map(Self::Absent),
            None => key(part).map(Self::Exists),
        }
    }
}

/// The parts of a selector: at its commas, but for those in parentheses.
fn requirements(text: Option<&str>) -> Result<Vec<Requirement>, SelectorError> {
    let mut is_inside = false;
    let at_comma = |c: char| {
        is_inside = (is_inside || c == '(') && c != ')';
        c == ',' && !is_inside
    };
    let parts = text.unwrap_or_default().split(at_comma).filter(|part| !part.trim().is_empty());
    parts
        .map(|part| Requirement::parse(part).ok_or_else(|| SelectorError::Requirement { part: part.trim().to_owned() }))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Chosen, Selector, Texts};

    fn matches(texts: &Texts<'_>) -> bool {
        let text = str::to_owned;
        let labels = BTreeMap::from([(text("tier"), text("front")), (text("app"), text("web"))]);
        let (group, version, kind) = ("apps", "v1", "Deployment");
        let (namespace, name, annotations) = ("shop", "web-1", BTreeMap::new());
        let object = Chosen { group, version, kind, namespace, name, labels, annotations };
        Selector::parse(texts).expect("a selector").matches(&object)
    }

    #[test]
    fn an_expression_is_for_the_whole_of_a_name() {
        let kind = |kind| Texts { kind: Some(kind), ..Texts::default() };
        let name = |name| Texts { name: Some(name), ..Texts::default() };
        assert!(matches(&Texts::default()) && matches(&kind("Deployment")) && matches(&kind("Deploy.*|Service")));
        assert!(!matches(&kind("Deploy")) && !matches(&name("web")) && matches(&name("web-[0-9]")));
        assert!(matches(&Texts { namespace: Some("shop"), group: Some("apps"), version: Some("v1"), ..kind("") }));
        assert!(Selector::parse(&name("(")).is_err());
    }

    #[test]
    fn labels_are_chosen_as_kubectl_does() {
        for (labels, expected) in [
            ("tier=front", true),
            ("tier==front, app", true),
            ("tier!=front", false),
            ("tier in (back, front),!stage", true),
            ("tier notin (back)", true),
            ("stage", false),
            ("stage!=x", true),
        ] {
            assert_eq!(matches(&Texts { labels: Some(labels), ..Texts::default() }), expected, "{labels}");
        }
        assert!(!matches(&Texts { annotations: Some("tier"), ..Texts::default() }));
        for wrong in ["a b", "a in b", "=", "!"] {
            assert!(Selector::parse(&Texts { labels: Some(wrong), ..Texts::default() }).is_err(), "{wrong}");
        }
    }
}
