//! Where schemas are had that lie elsewhere: whoever renders is asked for them, and what came is kept for the check.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::Value;

use super::compile;
use crate::warning::Warning;

/// Documents that the schema of one chart may refer to. The most that a public one does is 26 (bjw-s' `app-template`).
pub(super) const MAX_DOCUMENTS: usize = 64;

/// Bytes of these documents together.
const MAX_BYTES: usize = 16 << 20;

/// What they may take in memory, about.
const MAX_MEMORY: usize = 96 << 20;

/// What an object takes in memory even with a single entry.
const OBJECT: usize = 640;

/// What an item of a list, or an entry of an object, adds.
const ITEM: usize = 32;

/// Why a schema is not there, in words for whoever installs the chart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaFetchError {
    message: String,
}

impl SchemaFetchError {
    /// An error that says this.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string() }
    }
}

/// Gives the JSON schemas that a chart's `values.schema.json` refers to by their addresses.
///
/// It is called on the rendering thread and may block. The engine asks for `http` and `https` only, for each document
/// once for each chart that refers to it, and for at most 64 documents of 16 MiB together in a chart.
pub trait SchemaSource: Send + Sync {
    /// The text of the document at `url`, which is absolute and has no fragment.
    ///
    /// # Errors
    /// In words that end Helm's sentence `failing loading "URL": …`. What becomes of the render, [`SchemaCheck`] says.
    ///
    /// [`SchemaCheck`]: crate::engine::SchemaCheck
    fn schema(&self, url: &str) -> Result<Arc<[u8]>, SchemaFetchError>;
}

/// Whether values must keep the rules of the chart's schemas, and what becomes of schemas that these refer to by address.
#[derive(Clone, Copy, Default)]
pub enum SchemaCheck<'a> {
    /// They must; a schema that refers to another by its address cannot be used, and refuses the chart.
    #[default]
    Enforce,
    /// They must, with what `0` gives for an address. What it does not give refuses the chart, as in Helm.
    Fetch(&'a dyn SchemaSource),
    /// As [`Self::Fetch`], but what is not given, or is no JSON, counts as `true`, which any value satisfies, and the
    /// render tells of it by a [`Warning::SchemaLeftOut`].
    FetchOrLeaveOut(&'a dyn SchemaSource),
    /// They need not: `--skip-schema-validation`. No schema is read.
    Skip,
}

impl fmt::Debug for SchemaCheck<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "Enforce",
            Self::Fetch(_) => "Fetch",
            Self::FetchOrLeaveOut(_) => "FetchOrLeaveOut",
            Self::Skip => "Skip",
        })
    }
}

/// What the schema of one chart refers to elsewhere. It only ever grows, so what it holds can be lent.
pub(super) struct Elsewhere<'a> {
    check: SchemaCheck<'a>,
    /// The chart whose schema it is.
    chart: &'a str,
    places: Vec<OnceLock<Value>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is known of an address: its place, that it is left out (`None`), or why it is not there.
    known: BTreeMap<String, Result<Option<usize>, String>>,
    used: usize,
    bytes: usize,
    memory: usize,
    warnings: Vec<Warning>,
}

impl<'a> Elsewhere<'a> {
    pub(super) fn new(check: SchemaCheck<'a>, chart: &'a str) -> Self {
        let places = std::iter::repeat_with(OnceLock::new).take(MAX_DOCUMENTS).collect();
        Self { check, chart, places, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The document at `url`; nothing if it is left out.
    ///
    /// # Errors
    /// In the words that end Helm's sentence.
    pub(super) fn get(&self, url: &str) -> Result<Option<&Value>, String> {
        let known = self.state().known.get(url).cloned();
        let place = known.unwrap_or_else(|| self.ask(url))?;
        Ok(place.and_then(|place| self.places[place].get()))
    }

    fn ask(&self, url: &str) -> Result<Option<usize>, String> {
        let leaves_out = matches!(self.check, SchemaCheck::FetchOrLeaveOut(_));
        let answer = match self.fetch(url) {
            Err(cause) if leaves_out => {
                let (chart, url) = (self.chart.to_owned(), url.to_owned());
                self.state().warnings.push(Warning::SchemaLeftOut { chart, url, cause });
                Ok(None)
            }
            answer => answer.map(Some),
        };
        self.state().known.insert(url.to_owned(), answer.clone());
        answer
    }

    fn fetch(&self, url: &str) -> Result<usize, String> {
        let (SchemaCheck::Fetch(source) | SchemaCheck::FetchOrLeaveOut(source)) = self.check else {
            // A chart must not make the operator ask addresses of its choice.
            return Err("schemas are not fetched from elsewhere".to_owned());
        };
        let place = self.state().used;
        if place >= MAX_DOCUMENTS {
            return Err(format!("a chart may refer to at most {MAX_DOCUMENTS} schemas elsewhere"));
        }
        let text = source.schema(url).map_err(|error| error.to_string())?;
        self.charge(&text)?;
        let value = compile::read(&text)?;
        self.places[place].get_or_init(|| value);
        self.state().used += 1;
        Ok(place)
    }

    fn charge(&self, text: &[u8]) -> Result<(), String> {
        let count = |wanted: fn(&u8) -> bool| text.iter().filter(|byte| wanted(byte)).count();
        let memory =
            text.len() + count(|byte| *byte == b'{') * OBJECT + count(|byte| matches!(byte, b',' | b'[')) * ITEM;
        let mut state = self.state();
        state.bytes += text.len();
        state.memory += memory;
        if state.bytes > MAX_BYTES || state.memory > MAX_MEMORY {
            return Err(format!("the schemas that the chart refers to elsewhere are larger than {MAX_BYTES} bytes"));
        }
        Ok(())
    }

    /// What is to be told of the documents.
    pub(super) fn into_warnings(self) -> Vec<Warning> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).warnings
    }
}
