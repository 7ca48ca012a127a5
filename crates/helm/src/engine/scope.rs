//! What each template sees as `.`, and which templates there are.
//!
//! All templates of one chart share one `.`, and a dependency's values are part of its parent's: what a template
//! sets there is seen by those that are executed after it, as in Helm.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use formats::json;
use gotmpl::{List, ListType, Map, MapType, Str, Value};

use super::files::Files;
use super::{Capabilities, ReleaseInfo};
use crate::chart::{Dependency, Maintainer, Metadata, path};
use crate::values::{ActiveChart, table};

/// Go's name of the type of `.`, `.Values` and `.Template`.
pub(super) const VALUES_TYPE: MapType = MapType::Named("common.Values");

/// A template with what it is executed on.
pub(super) struct ScopedTemplate {
    /// Its text.
    pub(super) source: Arc<[u8]>,
    /// Its `.`.
    pub(super) data: Map,
    /// The folder of its chart's templates, from the root chart.
    pub(super) base_path: String,
}

/// All templates by their paths from the root chart.
pub(super) type ScopedTemplates = BTreeMap<String, ScopedTemplate>;

/// What is the same for all charts of a release.
pub(super) struct Shared {
    release: Value,
    capabilities: Value,
}

impl Shared {
    pub(super) fn new(release: &ReleaseInfo, capabilities: &Capabilities) -> Self {
        let ReleaseInfo { name, namespace, revision, is_upgrade } = release;
        let release = BTreeMap::from([
            ("Name".into(), Value::string(name.as_str())),
            ("Namespace".into(), Value::string(namespace.as_str())),
            ("IsUpgrade".into(), Value::Bool(*is_upgrade)),
            ("IsInstall".into(), Value::Bool(!is_upgrade)),
            ("Revision".into(), Value::Int(i64::from(*revision))),
            ("Service".into(), Value::string("Helm")),
        ]);
        Self { release: Map::any(release).into(), capabilities: capabilities.to_value() }
    }
}

/// Collects the templates of `root` and its dependencies.
pub(super) fn templates(root: &ActiveChart<'_>, values: &Map, shared: &Shared) -> ScopedTemplates {
    let mut templates = BTreeMap::new();
    let place = Place { path: root.name().to_owned(), values: values.retyped(VALUES_TYPE), is_root: true };
    add_chart(root, &place, shared, &mut templates);
    templates
}

/// Where a chart stands in a release.
struct Place {
    /// Its path from the root chart.
    path: String,
    values: Map,
    is_root: bool,
}

fn add_chart(chart: &ActiveChart<'_>, place: &Place, shared: &Shared, into: &mut ScopedTemplates) -> Value {
    let subcharts = Map::any(BTreeMap::new());
    let data = Map::any(BTreeMap::from([
        ("Chart".into(), chart_value(&chart.metadata, place.is_root)),
        ("Files".into(), Value::Object(Rc::new(Files::new(&chart.chart.files)))),
        ("Release".into(), shared.release.clone()),
        ("Capabilities".into(), shared.capabilities.clone()),
        ("Values".into(), place.values.clone().into()),
        ("Subcharts".into(), subcharts.clone().into()),
    ]));
    for dependency in &chart.dependencies {
        let name = dependency.name();
        // A name with dots is a path for Helm, so such a chart sees no values.
        let values = table(&place.values, name).unwrap_or_else(|| Map::any(BTreeMap::new()));
        let path = chart.path_of(dependency, &place.path);
        let place = Place { path, values: values.retyped(VALUES_TYPE), is_root: false };
        subcharts.insert(name, add_chart(dependency, &place, shared, into));
    }
    let base_path = path::join(&place.path, "templates");
    for file in &chart.chart.templates {
        if chart.metadata.is_library() && !is_partial(&file.name) {
            continue;
        }
        let (source, data) = (Arc::clone(&file.data), data.retyped(VALUES_TYPE));
        let template = ScopedTemplate { source, data, base_path: base_path.clone() };
        into.insert(path::join(&place.path, &file.name), template);
    }
    data.into()
}

/// Whether a file only holds templates for others.
pub(super) fn is_partial(path: &str) -> bool {
    path::base(path).starts_with('_')
}

/// `.Chart`: a map with the field names of Go's struct.
fn chart_value(metadata: &Metadata, is_root: bool) -> Value {
    let text = |text: &str| Value::string(text);
    let list = |texts: &[String]| List::any(texts.iter().map(|t| text(t)).collect()).into();
    let annotations = metadata.annotations.iter().map(|(key, value)| (Str::from(key.as_str()), text(value)));
    let annotations = if metadata.annotations.is_empty() {
        Map::nil(MapType::String)
    } else {
        Map::new(MapType::String, annotations.collect())
    };
    let entries: [(&str, Value); 18] = [
        ("Name", text(&metadata.name)),
        ("Home", text(&metadata.home)),
        ("Sources", list(&metadata.sources)),
        ("Version", text(&metadata.version)),
        ("Description", text(&metadata.description)),
        ("Keywords", list(&metadata.keywords)),
        ("Maintainers", List::any(metadata.maintainers.iter().map(maintainer_value).collect()).into()),
        ("Icon", text(&metadata.icon)),
        ("APIVersion", text(&metadata.api_version)),
        ("Condition", text(&metadata.condition)),
        ("Tags", text(&metadata.tags)),
        ("AppVersion", text(&metadata.app_version)),
        ("Deprecated", metadata.deprecated.into()),
        ("Annotations", annotations.into()),
        ("KubeVersion", text(&metadata.kube_version)),
        ("Dependencies", List::any(metadata.dependencies.iter().map(dependency_value).collect()).into()),
        ("Type", text(&metadata.chart_type)),
        ("IsRoot", is_root.into()),
    ];
    struct_map(entries)
}

fn maintainer_value(maintainer: &Maintainer) -> Value {
    let Maintainer { name, email, url } = maintainer;
    struct_map([("Name", name), ("Email", email), ("URL", url)].map(|(k, v)| (k, Value::string(v.as_str()))))
}

fn dependency_value(dependency: &Dependency) -> Value {
    let Dependency { name, version, repository, condition, tags, enabled, import_values, alias } = dependency;
    let tags = List::any(tags.iter().map(|tag| Value::string(tag.as_str())).collect());
    let imports = List::new(ListType::Any, import_values.iter().map(import_value).collect());
    struct_map([
        ("Name", Value::string(name.as_str())),
        ("Version", Value::string(version.as_str())),
        ("Repository", Value::string(repository.as_str())),
        ("Condition", Value::string(condition.as_str())),
        ("Tags", tags.into()),
        ("Enabled", Value::Bool(*enabled)),
        ("ImportValues", imports.into()),
        ("Alias", Value::string(alias.as_str())),
    ])
}

/// Once processed, an import is a `map[string]string`.
fn import_value(import: &serde_json::Value) -> Value {
    match json::from_serde(import) {
        Value::Map(map) => map.retyped(MapType::String).into(),
        other => other,
    }
}

fn struct_map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Map::any(fields.into_iter().map(|(name, value)| (name.into(), value)).collect()).into()
}

/// The order in which templates are parsed and executed: deepest first, then by name, both backwards.
pub(super) fn execution_order(templates: &ScopedTemplates) -> Vec<&str> {
    let mut names: Vec<_> = templates.keys().map(String::as_str).collect();
    names.sort_by_cached_key(|name| Reverse((name.matches('/').count(), *name)));
    names
}
