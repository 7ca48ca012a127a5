//! The drafts of JSON Schema: which keywords they have, and where schemas lie within a schema.

use serde_json::Value;

use super::step::Step;

/// A version of the specification, in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Draft {
    Four,
    Six,
    Seven,
    Y2019,
    Y2020,
}

/// Where a keyword has schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Its value is one.
    Itself,
    /// Each item of its list is one.
    Items,
    /// Each entry of its object is one.
    Entries,
    /// Its value is one, or a list of them.
    ItselfOrItems,
}

/// Keywords with schemas, since which draft.
const POSITIONS: [(&str, Position, Draft); 22] = [
    ("definitions", Position::Entries, Draft::Four),
    ("not", Position::Itself, Draft::Four),
    ("allOf", Position::Items, Draft::Four),
    ("anyOf", Position::Items, Draft::Four),
    ("oneOf", Position::Items, Draft::Four),
    ("properties", Position::Entries, Draft::Four),
    ("additionalProperties", Position::Itself, Draft::Four),
    ("patternProperties", Position::Entries, Draft::Four),
    ("items", Position::ItselfOrItems, Draft::Four),
    ("additionalItems", Position::Itself, Draft::Four),
    ("dependencies", Position::Entries, Draft::Four),
    ("propertyNames", Position::Itself, Draft::Six),
    ("contains", Position::Itself, Draft::Six),
    ("if", Position::Itself, Draft::Seven),
    ("then", Position::Itself, Draft::Seven),
    ("else", Position::Itself, Draft::Seven),
    ("$defs", Position::Entries, Draft::Y2019),
    ("dependentSchemas", Position::Entries, Draft::Y2019),
    ("unevaluatedProperties", Position::Itself, Draft::Y2019),
    ("unevaluatedItems", Position::Itself, Draft::Y2019),
    ("contentSchema", Position::Itself, Draft::Y2019),
    ("prefixItems", Position::Items, Draft::Y2020),
];

impl Draft {
    /// All of them.
    pub(super) const ALL: [Self; 5] = [Self::Four, Self::Six, Self::Seven, Self::Y2019, Self::Y2020];

    /// The draft that a `$schema` names.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        let url = url.strip_suffix('#').unwrap_or(url);
        let place = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
        match place.strip_prefix("json-schema.org/")? {
            "draft-04/schema" => Some(Self::Four),
            "draft-06/schema" => Some(Self::Six),
            "draft-07/schema" => Some(Self::Seven),
            "draft/2019-09/schema" => Some(Self::Y2019),
            "draft/2020-12/schema" | "schema" => Some(Self::Y2020),
            _ => None,
        }
    }

    /// The address of its schema of schemas.
    pub(super) fn url(self) -> &'static str {
        match self {
            Self::Four => "http://json-schema.org/draft-04/schema",
            Self::Six => "http://json-schema.org/draft-06/schema",
            Self::Seven => "http://json-schema.org/draft-07/schema",
            Self::Y2019 => "https://json-schema.org/draft/2019-09/schema",
            Self::Y2020 => "https://json-schema.org/draft/2020-12/schema",
        }
    }

    /// Whether `$ref` hides all keywords beside it.
    pub(super) fn has_lone_references(self) -> bool {
        self < Self::Y2019
    }

    /// Whether `format` is checked. Later drafts only take it for a note.
    pub(super) fn checks_formats(self) -> bool {
        self < Self::Y2019
    }

    /// The identifier that a schema gives itself, with its fragment.
    pub(super) fn id(self, schema: &Value) -> Option<&str> {
        let keyword = if self == Self::Four { "id" } else { "$id" };
        if self.has_lone_references() && schema.get("$ref").is_some() {
            return None;
        }
        schema.get(keyword)?.as_str()
    }

    /// Visits the schemas within a schema, in the order of [`POSITIONS`].
    pub(super) fn visit_subschemas<'s>(self, schema: &'s Value, mut visit: impl FnMut(Step<'s>, &'s Value)) {
        let Value::Object(keywords) = schema else { return };
        // A schema has few keywords of all those that there are.
        let mut found = [None; POSITIONS.len()];
        for (keyword, value) in keywords {
            if let Some(at) = POSITIONS.iter().position(|(known, ..)| known == keyword) {
                found[at] = Some(value);
            }
        }
        for ((keyword, position, since), value) in POSITIONS.into_iter().zip(found) {
            let Some(value) = value.filter(|_| since <= self) else { continue };
            match (position, value) {
                (Position::Entries, Value::Object(entries)) => {
                    entries.iter().for_each(|(name, value)| visit(Step::entry(keyword, name), value));
                }
                (Position::Items | Position::ItselfOrItems, Value::Array(items)) => {
                    items.iter().enumerate().for_each(|(index, value)| visit(Step::item(keyword, index), value));
                }
                (Position::Itself | Position::ItselfOrItems, value) => visit(Step::to(keyword), value),
                (Position::Entries | Position::Items, _) => {}
            }
        }
    }
}
