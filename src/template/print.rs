//! The last step: what is rendered, as Helm prints it.

use helm::chart::matches;
use helm::engine::{self, Rendered};
use helm::manifest::{self, Hook, HookEvent};

use super::{Error, Options};

/// Appends what Helm prints to `out`.
pub(super) fn print(
    rendered: Result<(String, Rendered), engine::Error>,
    options: &Options,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let (_, rendered) = rendered.map_err(|source| Error::Render { source, debug: options.debug })?;
    let text = all(&rendered, options);
    if options.show_only.is_empty() {
        out.extend(text);
        return Ok(());
    }
    show_only(&String::from_utf8_lossy(&text), &options.show_only, out)
}

/// Custom resource definitions, manifests, hooks.
fn all(rendered: &Rendered, options: &Options) -> Vec<u8> {
    let mut text = Vec::new();
    if options.include_crds {
        for crd in &rendered.crds {
            document(&crd.filename, &crd.data, &mut text);
        }
    }
    text.extend_from_slice(rendered.manifest.as_bytes());
    let mut text = trim(&text).to_vec();
    text.push(b'\n');
    for hook in shown_hooks(&rendered.hooks, options) {
        document(&hook.path, hook.manifest.as_bytes(), &mut text);
    }
    text
}

fn shown_hooks<'r>(hooks: &'r [Hook], options: &'r Options) -> impl Iterator<Item = &'r Hook> {
    let shown = |hook: &&Hook| !(options.no_hooks || options.skip_tests && hook.runs_at(&HookEvent::Test));
    hooks.iter().filter(shown)
}

fn document(source: &str, content: &[u8], out: &mut Vec<u8>) {
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

/// The documents of each of `templates`, which may hold wildcards, in the order of the flags.
fn show_only(text: &str, templates: &[String], out: &mut Vec<u8>) -> Result<(), Error> {
    let documents = manifest::split(text);
    let mut shown: Vec<&str> = Vec::new();
    for template in templates {
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
