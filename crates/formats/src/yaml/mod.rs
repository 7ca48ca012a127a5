//! YAML as Helm's libraries read and print it.
//!
//! ```text
//! bytes ─source─► characters ─scan─► tokens ─events─► events ─compose─► Value ─emit─► bytes
//! ```
//!
//! Reading is what `sigs.k8s.io/yaml` 1.6.0 does: go-yaml 2.4's YAML 1.1, then a passage through JSON.
//! Nothing recurses over the input, nesting is limited, and time is linear in the input's length.

mod class;
mod compose;
mod emit;
mod error;
mod events;
mod resolve;
mod scan;
mod skim;
mod source;
mod timestamp;
pub mod typed;

pub use emit::{emit, emit_pretty, try_emit, try_emit_pretty};
pub use error::Error;
pub use skim::{Wanted, skim};

use compose::{Composer, Numbers};
use events::Events;
use source::Source;

/// Reads the first document of a stream; further ones are not looked at, as in Helm.
///
/// Every number becomes a `float64`, every key a string, and of equal keys the last one counts.
/// An empty stream is nil.
pub fn parse(bytes: &[u8]) -> Result<gotmpl::Value, Error> {
    let source = Source::new(bytes);
    let document = Composer::new(Events::new(&source), false, Numbers::Json).document()?;
    Ok(document.unwrap_or(gotmpl::Value::Nil))
}

/// Like [`parse`], but equal keys are an error that names all of them.
pub fn parse_strict(bytes: &[u8]) -> Result<gotmpl::Value, Error> {
    let source = Source::new(bytes);
    let document = Composer::new(Events::new(&source), true, Numbers::Json).document()?;
    Ok(document.unwrap_or(gotmpl::Value::Nil))
}

/// Reads each document of a stream, for an API server: integers keep all their digits. A stream without one gives none.
pub fn parse_all(bytes: &[u8]) -> Result<Vec<gotmpl::Value>, Error> {
    let source = Source::new(bytes);
    let mut composer = Composer::new(Events::new(&source), false, Numbers::Exact);
    let mut documents = Vec::new();
    while let Some(document) = composer.document()? {
        documents.push(document);
    }
    Ok(documents)
}
