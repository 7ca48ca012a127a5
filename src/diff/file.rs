//! The objects in a file, as a person would apply it. Pure but for the reading.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Error;

/// The API of what is looked at, whatever its version.
const GROUP: &str = "helm-operator.ketches.cn/";

/// What the file holds that is looked at.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Documents {
    /// Its releases.
    pub(super) releases: Vec<Value>,
    /// Its repositories.
    pub(super) repositories: Vec<Value>,
    /// What else is in it, by kind and name.
    pub(super) others: Vec<String>,
}

/// Reads files, each with its name; `-` is the standard input. One at least has a release.
pub(super) fn read_all(files: &[PathBuf]) -> Result<Vec<(&Path, Documents)>, Error> {
    let read: Result<Vec<_>, Error> = files.iter().map(|file| Ok((file.as_path(), read(file)?))).collect();
    with_release(read?)
}

fn with_release(read: Vec<(&Path, Documents)>) -> Result<Vec<(&Path, Documents)>, Error> {
    if read.iter().any(|(_, documents)| !documents.releases.is_empty()) {
        return Ok(read);
    }
    let file = read.iter().map(|(file, _)| named(file)).collect::<Vec<_>>().join(", ");
    let problem = "there is no HelmRelease of helm-operator.ketches.cn in it".to_owned();
    Err(Error::Malformed { file, problem })
}

fn named(file: &Path) -> String {
    if file.as_os_str() == "-" { "the standard input".to_owned() } else { file.display().to_string() }
}

fn read(file: &Path) -> Result<Documents, Error> {
    let (is_input, name) = (file.as_os_str() == "-", named(file));
    let mut bytes = Vec::new();
    let read = if is_input {
        std::io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(file).map(|read| bytes = read)
    };
    read.map_err(|source| Error::ReadFile { file: name.clone(), source })?;
    parse(&name, &bytes)
}

fn parse(file: &str, bytes: &[u8]) -> Result<Documents, Error> {
    let documents = formats::yaml::parse_all(bytes);
    let documents = documents.map_err(|source| Error::NoYaml { file: file.to_owned(), source })?;
    let mut found = Documents::default();
    for document in documents.iter().map(formats::json::to_serde) {
        sort(file, document, &mut found)?;
    }
    Ok(found)
}

fn sort(file: &str, mut document: Value, found: &mut Documents) -> Result<(), Error> {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    match (version.starts_with(GROUP), kind.as_str()) {
        _ if document.is_null() => {}
        (_, "List") if document["items"].is_array() => {
            let Value::Array(items) = document["items"].take() else { return Ok(()) };
            items.into_iter().try_for_each(|item| sort(file, item, found))?;
        }
        _ if version.is_empty() || kind.is_empty() => {
            let problem = "a document of it has no apiVersion and kind".to_owned();
            return Err(Error::Malformed { file: file.to_owned(), problem });
        }
        (true, "HelmRelease" | "HelmRepository") if name.is_empty() => {
            let problem = format!("a {kind} in it has no metadata.name");
            return Err(Error::Malformed { file: file.to_owned(), problem });
        }
        (true, "HelmRelease") => found.releases.push(document),
        (true, "HelmRepository") => found.repositories.push(document),
        _ => found.others.push(format!("{kind} {name:?}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Documents, parse, with_release};
    use crate::chain::chain;

    const RELEASE: &str = "apiVersion: helm-operator.ketches.cn/v1alpha1\nkind: HelmRelease\nmetadata: {name: web}\n";

    fn found(text: &str) -> Documents {
        parse("web.yaml", text.as_bytes()).unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    #[test]
    fn releases_and_repositories_are_found_among_others() {
        let repository = RELEASE.replace("HelmRelease", "HelmRepository");
        let flux = RELEASE.replace("helm-operator.ketches.cn/v1alpha1", "helm.toolkit.fluxcd.io/v2");
        let all = found(&format!(
            "---\n{RELEASE}---\n{repository}---\n{flux}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: x}}\n"
        ));
        assert_eq!((all.releases.len(), all.repositories.len()), (1, 1));
        assert_eq!(all.others, ["HelmRelease \"web\"", "Secret \"x\""]);
        let item = "{apiVersion: helm-operator.ketches.cn/v1alpha1, kind: HelmRelease, metadata: {name: web}}";
        assert_eq!(found(&format!("apiVersion: v1\nkind: List\nitems: [{item}, {item}]\n")).releases.len(), 2);
    }

    #[test]
    fn what_cannot_be_applied_is_told() {
        for (text, told) in [
            ("", "there is no HelmRelease"),
            ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n", "there is no HelmRelease"),
            ("a: [", "web.yaml is no YAML: "),
            ("kind: HelmRelease\n", "no apiVersion and kind"),
            (&RELEASE.replace("name: web", ""), "a HelmRelease in it has no metadata.name"),
        ] {
            let read =
                parse("web.yaml", text.as_bytes()).and_then(|it| with_release(vec![(Path::new("web.yaml"), it)]));
            let error = read.err().map(|error| chain(&error)).unwrap_or_default();
            assert!(error.contains(told), "{told:?} is not in {error:?}");
        }
    }
}
