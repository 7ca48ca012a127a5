//! The result of a render: manifests to apply, hooks to run, notes to show.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use formats::yaml;

use super::{Error, Host, RenderedFiles, Warning};
use crate::chart::Crd;
use crate::manifest::{self, Hook, Manifest, Order, Problem};
use crate::warning::Log;

const NOTES: &str = "NOTES.txt";

/// A rendered chart. Its `Debug` output shows no manifest and no value, for they may hold secrets.
#[derive(Clone)]
pub struct Rendered {
    /// All manifests in one text, as Helm records it.
    pub manifest: String,
    /// The manifests in the order in which they are applied.
    pub manifests: Vec<Manifest>,
    /// The hooks in the order in which Helm records them.
    pub hooks: Vec<Hook>,
    /// What the chart tells its user, and where the request asks for it, what its subcharts do.
    pub notes: String,
    /// The files in `crds/` of the chart and its enabled dependencies, which are never rendered.
    pub crds: Vec<Crd>,
    /// Whether the same request gives the same result: no function asked for time, randomness or the cluster.
    pub repeatable: bool,
    /// Whether a function asked for time or randomness: the same request may give another result.
    pub by_chance: bool,
    /// The templates whose rendering asked the cluster, by their paths from the root chart.
    pub looking_up: BTreeSet<String>,
    /// What was passed over on the way.
    pub warnings: Vec<Warning>,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered")
            .field("manifests", &self.manifests.len())
            .field("hooks", &self.hooks.len())
            .field("crds", &self.crds.len())
            .field("repeatable", &self.repeatable)
            .finish_non_exhaustive()
    }
}

/// The notes among rendered files, and the other files.
///
/// Whatever ends in `NOTES.txt` is a note, but without `all` only the chart's own is shown. Helm joins them in the random
/// order of a map; here they come in that of their paths.
pub(super) fn take_notes(
    chart_name: &str,
    mut files: BTreeMap<String, Vec<u8>>,
    all: bool,
) -> (String, BTreeMap<String, Vec<u8>>) {
    let own = format!("{chart_name}/templates/{NOTES}");
    let mut notes = Vec::new();
    for (_, text) in files.extract_if(.., |name, _| name.ends_with(NOTES)).filter(|(name, _)| all || *name == own) {
        if !notes.is_empty() {
            notes.push(b'\n');
        }
        notes.extend_from_slice(&text);
    }
    (String::from_utf8_lossy(&notes).into_owned(), files)
}

/// Sorts rendered files into hooks and manifests.
pub(super) fn collect(
    notes: String,
    files: BTreeMap<String, Vec<u8>>,
    (crds, host): (Vec<Crd>, Host),
    log: &Log,
) -> Result<Rendered, Error> {
    let (mut texts, mut refused) = (BTreeMap::new(), None);
    for (name, bytes) in files {
        let (text, error) = text_of(&name, bytes);
        refused = refused.or(error);
        texts.insert(name, text);
    }
    let sorted = refused.map_or_else(|| manifest::sort_telling(&texts, Order::Install, log), Err);
    let (hooks, manifests) = match sorted {
        Ok(sorted) => sorted,
        Err(source) => return Err(Error::Manifest { source, files: RenderedFiles(texts) }),
    };
    // The manifests have their own copies by now, and the record is another one.
    drop(texts);
    let manifest = manifest::join(&manifests);
    let (repeatable, by_chance) = (host.repeatable(), host.by_chance());
    let looking_up = host.into_looking_up();
    Ok(Rendered { manifest, manifests, hooks, notes, crds, repeatable, by_chance, looking_up, warnings: Vec::new() })
}

/// A rendered file as text, and why it is no manifest if that is so. YAML has no text but UTF-8.
fn text_of(name: &str, bytes: Vec<u8>) -> (String, Option<manifest::Error>) {
    let error = match String::from_utf8(bytes) {
        Ok(text) => return (text, None),
        Err(error) => error,
    };
    let wrong = error.utf8_error().valid_up_to();
    let bytes = error.into_bytes();
    let document = bytes[..wrong].windows(4).rposition(|window| window == b"\n---").unwrap_or(0);
    let error = yaml::parse(&bytes[document..]).err();
    let error = error.map(|error| manifest::Error { path: name.to_owned(), problem: Problem::Yaml(error) });
    (String::from_utf8_lossy(&bytes).into_owned(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_joined_in_the_order_of_their_paths() {
        let (own, sub, other) =
            ("web/templates/NOTES.txt", "web/charts/s/templates/NOTES.txt", "web/templates/xNOTES.txt");
        let cases = [
            (vec![(own, "own"), (sub, "sub"), (other, "other")], false, "own"),
            (vec![(own, "own"), (sub, "sub"), (other, "other")], true, "sub\nown\nother"),
            (vec![(sub, "sub")], false, ""),
            (vec![(sub, "sub")], true, "sub"),
            (vec![(own, "own\n"), (sub, "")], true, "own\n"),
            (vec![(own, ""), (sub, "sub\n")], true, "sub\n\n"),
        ];
        for (files, all, expected) in cases {
            let manifest = ("web/templates/a.yaml", "kind: A");
            let files = files.iter().chain([&manifest]);
            let files = files.map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
            let (notes, rest) = take_notes("web", files, all);
            assert_eq!(notes, expected);
            assert_eq!(rest.into_keys().collect::<Vec<_>>(), [manifest.0]);
        }
    }
}
