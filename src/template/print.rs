//! The last step: what is rendered, as Helm prints it, or into files.

use std::collections::BTreeMap;

use helm::chart::matches;
use helm::engine::{self, Rendered};
use helm::manifest::{self, Hook, HookEvent, Order};

use super::write::Folder;
use super::{Error, Options};

/// Appends to `out` what Helm prints: the manifests, or the names of the files they were written to.
pub(super) fn print(
    rendered: Result<(String, Rendered), engine::Error>,
    options: &Options,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    match rendered {
        Ok((name, rendered)) => show(&all(&name, &rendered, options, out)?, options, out),
        Err(source) => {
            let error = Error::Render { debug: options.debug, source };
            if let Some(files) = error.left_over().filter(|_| options.debug) {
                // Beside this error it does not count that `--show-only` finds nothing.
                drop(show(&broken(files, options), options, out));
            }
            Err(error)
        }
    }
}

/// Custom resource definitions, manifests and hooks in one text; of those that are written to files none.
fn all(name: &str, rendered: &Rendered, options: &Options, out: &mut Vec<u8>) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    let hooks = shown_hooks(&rendered.hooks, options);
    if let Some(folder) = options.output_dir.as_deref().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut top = Folder::new(folder.to_owned(), out);
        if options.include_crds {
            rendered
                .crds
                .iter()
                .try_for_each(|crd| top.write(&crd.filename, &crd.data))
                .map_err(Error::WriteManifest)?;
        }
        let mut folder = if options.release_name { top.below(name) } else { top };
        for manifest in &rendered.manifests {
            folder.write(&manifest.name, manifest.content.as_bytes()).map_err(Error::WriteManifest)?;
        }
        text.push(b'\n');
        hooks
            .into_iter()
            .try_for_each(|hook| folder.append(&hook.path, hook.manifest.as_bytes()))
            .map_err(Error::Write)?;
        return Ok(text);
    }
    if options.include_crds {
        rendered.crds.iter().for_each(|crd| document(&crd.filename, &crd.data, &mut text));
    }
    text.extend_from_slice(rendered.manifest.as_bytes());
    Ok(with_hooks(&text, &hooks))
}

/// All files as they were rendered, and the hooks that were found before the first file that is no manifest.
fn broken(files: &BTreeMap<String, String>, options: &Options) -> Vec<u8> {
    let mut text = Vec::new();
    for (path, content) in files.iter().filter(|(_, content)| !content.trim().is_empty()) {
        document(path, content.as_bytes(), &mut text);
    }
    let sorted = files
        .iter()
        .map(|(path, content)| manifest::sort(&BTreeMap::from([(path.clone(), content.clone())]), Order::Install));
    let hooks: Vec<Hook> = sorted.map_while(Result::ok).flat_map(|(hooks, _)| hooks).collect();
    with_hooks(&text, &shown_hooks(&hooks, options))
}

fn shown_hooks<'r>(hooks: &'r [Hook], options: &Options) -> Vec<&'r Hook> {
    let shown = |hook: &&Hook| !(options.no_hooks || options.skip_tests && hook.runs_at(&HookEvent::Test));
    hooks.iter().filter(shown).collect()
}

fn with_hooks(manifests: &[u8], hooks: &[&Hook]) -> Vec<u8> {
    let mut text = trim(manifests).to_vec();
    text.push(b'\n');
    for hook in hooks {
        document(&hook.path, hook.manifest.as_bytes(), &mut text);
    }
    text
}

/// Appends a document under the path that it comes from.
pub(super) fn document(source: &str, content: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"---\n# Source: ");
    out.extend_from_slice(source.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(content);
    out.push(b'\n');
}

/// Without the white space around it; of bytes that are no text only ASCII's counts.
fn trim(bytes: &[u8]) -> &[u8] {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.trim_ascii(), |text| text.trim().as_bytes())
}

/// Appends the text, or of it what `--show-only` names, in the order of the flags.
fn show(text: &[u8], options: &Options, out: &mut Vec<u8>) -> Result<(), Error> {
    if options.show_only.is_empty() {
        out.extend_from_slice(text);
        return Ok(());
    }
    let text = String::from_utf8_lossy(text);
    let documents = manifest::split(&text);
    let mut shown: Vec<&str> = Vec::new();
    for template in &options.show_only {
        let found = documents
            .iter()
            .copied()
            .filter(|document| template_of(document).is_some_and(|path| matches(template, path).unwrap_or_default()));
        let before = shown.len();
        shown.extend(found);
        if shown.len() == before {
            return Err(Error::FindTemplate { template: template.clone() });
        }
    }
    for document in shown {
        out.extend_from_slice(b"---\n");
        out.extend_from_slice(document.as_bytes());
        out.push(b'\n');
    }
    Ok(())
}

/// The path in its chart of the template that a document comes from, as its `# Source:` says.
fn template_of(document: &str) -> Option<&str> {
    const SOURCE: &str = "# Source: ";
    document.match_indices(SOURCE).find_map(|(at, _)| {
        let (chart, path) = document[at + SOURCE.len()..].split_once('/')?;
        let path = path.split('\n').next().unwrap_or_default();
        (!chart.is_empty() && !path.is_empty()).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_names_its_template() {
        let cases = [
            ("# Source: web/templates/a.yaml\nkind: A", Some("templates/a.yaml")),
            ("# Source: web/charts/sub/templates/a.yaml", Some("charts/sub/templates/a.yaml")),
            ("kind: A\n# Source: web/x", Some("x")),
            ("# Source: \n# Source: web/x", Some("x")),
            ("# Source: web\nkind: A\nimage: a/b\n", Some("b")),
            ("# Source: /x", None),
            ("# Source: web/\n", None),
            ("kind: A", None),
        ];
        for (document, expected) in cases {
            assert_eq!(template_of(document), expected, "{document:?}");
        }
    }
}
