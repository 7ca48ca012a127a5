//! What can be wrong with a YAML text, in the words of Helm's YAML libraries.

/// Why a text could not be read as YAML, or a value not be printed as YAML.
///
/// `Display` gives what `sigs.k8s.io/yaml` says, so that Helm's own sentences can wrap it unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text breaks YAML's grammar.
    #[error("error converting YAML to JSON: yaml: {}{problem}", place(*line))]
    Syntax {
        /// What go-yaml says about it.
        problem: String,
        /// The line go-yaml names, if it names one. For grammar (not token) errors that is one too low.
        line: Option<usize>,
    },
    /// The text is YAML, but its nodes make no value: a bad tag, alias or merge.
    #[error("error converting YAML to JSON: yaml: {problem}")]
    Compose {
        /// What go-yaml says about it.
        problem: String,
    },
    /// Keys given twice, each with its line; strict reading only.
    #[error("error converting YAML to JSON: yaml: unmarshal errors:\n  {}", lines.join("\n  "))]
    Duplicate {
        /// One sentence per key.
        lines: Vec<String>,
    },
    /// The value has no JSON form: a NaN, or a key that is no scalar.
    #[error("error converting YAML to JSON: {problem}")]
    Json {
        /// What the JSON encoder says about it.
        problem: String,
    },
    /// The value to print has no JSON form.
    #[error("error marshaling into JSON: {0}")]
    Marshal(#[source] crate::json::Error),
    /// YAML has no word for any value of the type: a complex number.
    #[error("cannot marshal type: {0}")]
    UnsupportedType(String),
    /// The text nests more deeply than is safe; go-yaml allows 10,000 levels.
    #[error("error converting YAML to JSON: yaml: line {line}: exceeded max depth of {depth}")]
    TooDeep {
        /// The line, counted from one.
        line: usize,
        /// How deeply it may nest.
        depth: usize,
    },
    /// The text has more nodes than anything a chart reads; go-yaml has no limit.
    #[error("error converting YAML to JSON: yaml: document has more than {nodes} nodes")]
    TooLarge {
        /// How many it may have.
        nodes: u64,
    },
    /// The text would be larger than any manifest; Helm has no limit.
    #[error("YAML text is longer than {} bytes", crate::json::BYTES)]
    TooLong,
    /// The value's JSON form is not a YAML text: a control character, a key that is too long.
    #[error("yaml: {problem}")]
    Unprintable {
        /// What go-yaml says about it.
        problem: String,
    },
}

impl Error {
    /// The line the error names, counted as go-yaml counts.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Syntax { line, .. } => *line,
            Self::TooDeep { line, .. } => Some(*line),
            Self::Compose { .. }
            | Self::Duplicate { .. }
            | Self::Json { .. }
            | Self::Marshal(_)
            | Self::UnsupportedType(_)
            | Self::TooLarge { .. }
            | Self::TooLong
            | Self::Unprintable { .. } => None,
        }
    }

    /// Whether Helm has no such limit.
    pub fn is_limit(&self) -> bool {
        match self {
            Self::TooDeep { .. } | Self::TooLarge { .. } | Self::TooLong => true,
            Self::Marshal(error) => error.is_limit(),
            Self::Syntax { .. }
            | Self::Compose { .. }
            | Self::Duplicate { .. }
            | Self::Json { .. }
            | Self::UnsupportedType(_)
            | Self::Unprintable { .. } => false,
        }
    }

    pub(super) fn syntax(problem: impl Into<String>, line: usize) -> Self {
        Self::Syntax { problem: problem.into(), line: (line != 0).then_some(line) }
    }

    pub(super) fn compose(problem: impl Into<String>) -> Self {
        Self::Compose { problem: problem.into() }
    }
}

fn place(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!("line {line}: "))
}
