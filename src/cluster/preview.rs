//! What an apply, or a deletion, would make of objects: asked of the server, and carried out by nobody.
//!
//! As for drift an object is compared with what an apply would make of it. What is shown holds no value of a Secret.

use serde_json::{Map, Value};
use similar::TextDiff;

use super::apply::{How, hands_replicas_over, prepared, takes_over};
use super::delete::is_kept;
use super::object::{Object, ObjectRef, Source};
use super::order::{concurrently, uninstall_groups};
use super::ownership::{self, Holder};
use super::request::Metadata;
use super::{ApplyOptions, Cluster, Error, ExistingCrds, Owner, content, fields, pointers};

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreseen {
    /// It is made.
    Created,
    /// It is changed.
    Changed,
    /// It is deleted and made anew.
    Replaced,
    /// It is deleted.
    Deleted,
    /// It stays as it is.
    Unchanged,
}

/// What becomes of an object, and how that shows.
#[derive(Clone)]
pub struct Preview {
    /// The object.
    pub object: ObjectRef,
    /// What becomes of it.
    pub foreseen: Foreseen,
    /// Which fields change, as JSON pointers.
    pub paths: Vec<String>,
    /// How it is now, as far as what is foreseen rests on it. May hold values of Secrets.
    pub stands: Value,
    /// The difference in unified format; empty where there is none.
    pub diff: String,
}

/// Lines around a change that are shown.
const CONTEXT: usize = 3;

/// Where the tools of old keep the whole of what was applied.
const LAST_APPLIED: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

/// Whether an object that is yet to be made is refused for what it is itself. It may be for what is to be made with it: a namespace, a
/// service account, the definition of its kind; or since a webhook cannot be asked without consequences.
fn is_for_itself(object: &ObjectRef, message: &str) -> bool {
    // Below `k8s.io` there are groups of definitions, too, such as gateway.networking.k8s.io.
    let is_own = |group: &str| !group.contains('.') || group == "rbac.authorization";
    let is_built_in = is_own(object.group.strip_suffix(".k8s.io").unwrap_or(&object.group));
    is_built_in && !["does not support dry run", "forbidden"].iter().any(|words| message.contains(words))
}

impl Cluster {
    /// The same as [`Cluster::objects`], of a release whose chart has `definitions` beside its manifest that are yet to be
    /// installed.
    pub async fn objects_beside(
        &self,
        sources: &[Source<'_>],
        definitions: &[Source<'_>],
        namespace: &str,
    ) -> Result<Vec<Object>, Error> {
        let all: Vec<Source<'_>> = definitions.iter().chain(sources).copied().collect();
        let beside = self.objects(definitions, namespace).await?;
        let is_beside = |object: &Object| {
            beside.iter().any(|it| it.reference() == object.reference() && it.origin() == object.origin())
        };
        let mut objects = self.objects(&all, namespace).await?;
        objects.retain(|object| !is_beside(object));
        Ok(objects)
    }

    /// What an apply of `objects` would make of each.
    pub async fn preview(&self, objects: &[Object], options: &ApplyOptions) -> Result<Vec<Preview>, Error> {
        concurrently(objects, |object| self.preview_one(object, options.how(), Some(options))).await
    }

    /// What the deletion of those of `objects` would do that are `owner`'s, and not to be kept.
    pub async fn preview_deletion(&self, objects: &[Object], owner: &Owner) -> Result<Vec<Preview>, Error> {
        let mut previews = Vec::new();
        for group in uninstall_groups(objects) {
            let found = concurrently(&group, |object| self.preview_end(object, owner)).await?;
            previews.extend(found.into_iter().flatten());
        }
        Ok(previews)
    }

    /// What becomes of a namespace that is to be there, and of a chart's definitions.
    pub async fn preview_before(
        &self,
        namespace: Option<&str>,
        definitions: &[Source<'_>],
        existing: ExistingCrds,
        owner: &Owner,
    ) -> Result<Vec<Preview>, Error> {
        let mut objects = Vec::new();
        if let Some(name) = namespace {
            objects.extend(self.namespace_objects(name).await?);
        }
        let is_kept = |object: &Object| !object.reference().defines_kinds() || existing == ExistingCrds::Keep;
        objects.extend(self.objects(definitions, &owner.namespace).await?);
        let found = concurrently(&objects, |object| async move {
            let there = self.requests.metadata(object.resource(), object.reference()).await?;
            if is_kept(object) && there.is_some() {
                return Ok(None);
            }
            // One that was a part of the release keeps its marks.
            let owner = there.is_some_and(|there| ownership::is_of(&there, owner)).then_some(owner);
            let how = How { owner, force: true, ..How::default() };
            self.preview_one(object, how, None).await.map(Some)
        });
        Ok(found.await?.into_iter().flatten().collect())
    }

    async fn preview_one(
        &self,
        object: &Object,
        how: How<'_>,
        options: Option<&ApplyOptions>,
    ) -> Result<Preview, Error> {
        let target = (object.resource(), object.reference());
        let live = match self.requests.get(target.0, target.1).await {
            // Its definition is yet to be applied.
            Err(Error::UnknownKind { .. }) if object.awaits_definition() => None,
            live => live?,
        };
        let metadata = live.as_ref().map(|live| metadata(object, live)).transpose()?;
        let (live, metadata) = match (live, metadata) {
            (Some(live), Some(metadata)) if metadata.deletion_timestamp.is_none() => (live, metadata),
            // What is being deleted is waited for, and made anew.
            (live, _) => {
                let (applied, ..) = prepared(object, None, how);
                if live.is_none() && !object.awaits_definition() {
                    match self.requests.dry_apply(target, &applied, how.force).await {
                        Err(Error::Invalid { object, message }) if is_for_itself(&object, &message) => {
                            return Err(Error::Invalid { object, message });
                        }
                        _ => {}
                    }
                }
                return Ok(Preview::new(object, Foreseen::Created, (None, Some(applied)), Value::Null));
            }
        };
        let (mut applied, rules, _) = prepared(object, Some(&metadata), how);
        let entries = metadata.managed_fields.as_deref().unwrap_or_default();
        if hands_replicas_over(object, entries).is_some() {
            applied["spec"]["replicas"] = live["spec"]["replicas"].clone();
        }
        let force = how.force || takes_over(object, &metadata, how);
        let wanted = match self.requests.dry_apply(target, &applied, force).await {
            Err(refused) if rules.force(&refused, &applied) => self.requests.dry_apply(target, &applied, true).await,
            wanted => wanted,
        };
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(refused @ Error::Immutable { .. }) => {
                let Some(options) = options else { return Err(refused) };
                if !self.is_replaced(object, options).await? {
                    return Err(refused);
                }
                let uid = Value::from(metadata.uid.unwrap_or_default());
                return Ok(Preview::new(object, Foreseen::Replaced, (Some(live), Some(applied)), uid));
            }
            // What the server filled in is taken away first.
            Err(refused) if content::leftover_strategy(target.1, &applied, &refused).is_some() => {
                let mut wanted = live.clone();
                overlay(&mut wanted, &applied);
                wanted
            }
            Err(refused) => return Err(refused),
        };
        let paths = pointers::differences(&live, &wanted);
        if paths.is_empty() {
            return Ok(Preview::new(object, Foreseen::Unchanged, (None, None), Value::Null));
        }
        let stands = paths.iter().map(|path| live.pointer(path).cloned().unwrap_or_default()).collect();
        let preview = Preview::new(object, Foreseen::Changed, (Some(live), Some(wanted)), stands);
        Ok(Preview { paths, ..preview })
    }

    async fn preview_end(&self, object: &Object, owner: &Owner) -> Result<Option<Preview>, Error> {
        let live = match self.requests.get(object.resource(), object.reference()).await {
            Err(Error::UnknownKind { .. }) => None,
            live => live?,
        };
        let Some(live) = live else { return Ok(None) };
        let metadata = metadata(object, &live)?;
        if is_kept(object, &metadata) || ownership::claim(&metadata, owner) != Holder::Ours {
            return Ok(None);
        }
        let fields = fields::fingerprint(&metadata).map(fields::Fingerprint::number);
        let stands = serde_json::json!([metadata.uid, fields]);
        Ok(Some(Preview::new(object, Foreseen::Deleted, (Some(live), None), stands)))
    }
}

fn metadata(object: &Object, live: &Value) -> Result<Metadata, Error> {
    let read = |source| Error::ReadAnswer { verb: "get", target: object.reference().to_string(), source };
    serde_json::from_value(live["metadata"].clone()).map_err(read)
}

impl Preview {
    fn new(
        object: &Object,
        foreseen: Foreseen,
        (before, after): (Option<Value>, Option<Value>),
        stands: Value,
    ) -> Self {
        let is_secret = object.reference().group.is_empty() && object.reference().kind == "Secret";
        let diff = diff(&object.reference().to_string(), before, after, is_secret);
        Self { object: object.reference().clone(), foreseen, paths: Vec::new(), stands, diff }
    }
}

/// The difference between an object and what it becomes.
fn diff(name: &str, before: Option<Value>, after: Option<Value>, is_secret: bool) -> String {
    let bare = |object: Option<Value>| {
        let mut object = object.unwrap_or_default();
        pointers::remove(&mut object, "/status");
        for field in pointers::OF_SERVER {
            pointers::remove(&mut object, &format!("/metadata/{field}"));
        }
        object
    };
    let (mut before, mut after) = (bare(before), bare(after));
    if is_secret {
        mask(&mut before, &mut after);
    }
    let (before, after) = (text(&before), text(&after));
    let names = [("the cluster", &before), ("the plan", &after)]
        .map(|(of, text)| if text.is_empty() { "/dev/null".to_owned() } else { format!("{name}, {of}") });
    let diff = TextDiff::from_lines(&before, &after);
    diff.unified_diff().context_radius(CONTEXT).header(&names[0], &names[1]).to_string()
}

/// As YAML; nothing for what is not there.
fn text(object: &Value) -> String {
    match object {
        Value::Null => String::new(),
        object => String::from_utf8_lossy(&formats::yaml::emit(&formats::json::from_serde(object))).into_owned(),
    }
}

/// Takes the values out of both states of a Secret; that one differs from the other still shows.
fn mask(before: &mut Value, after: &mut Value) {
    for field in ["data", "stringData"] {
        let of = |object: &Value| object.get(field).cloned().unwrap_or_default();
        let (own, other) = (of(before), of(after));
        hide(before, field, (&own, &other), "before");
        hide(after, field, (&other, &own), "after");
    }
    for object in [before, after] {
        pointers::remove(object, LAST_APPLIED);
    }
}

fn hide(object: &mut Value, field: &str, (own, other): (&Value, &Value), word: &str) {
    let hidden = |key: &String, value: &Value| match other.get(key) {
        Some(other) if other == value => "***".to_owned(),
        _ => format!("*** ({word})"),
    };
    let Some(object) = object.as_object_mut() else { return };
    match own {
        Value::Null => drop(object.remove(field)),
        Value::Object(values) => {
            let values: Map<String, Value> =
                values.iter().map(|(key, value)| (key.clone(), hidden(key, value).into())).collect();
            object.insert(field.to_owned(), values.into());
        }
        _ => drop(object.insert(field.to_owned(), "***".into())),
    }
}

/// Puts what is applied over what is there.
fn overlay(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                overlay(below.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (below, above) => below.clone_from(above),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{diff, overlay};

    fn secret(data: &Value) -> Value {
        let annotations =
            json!({ "kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"a\":\"c2VjcmV0\"}}" });
        json!({ "kind": "Secret", "metadata": { "name": "x", "uid": "1", "annotations": annotations }, "data": data })
    }

    #[test]
    fn of_secrets_it_shows_which_values_differ_and_none_of_them() {
        let (before, after) =
            (json!({ "a": "b25l", "b": "dHdv", "c": "dGhyZWU=" }), json!({ "a": "b25l", "b": "Mg==", "d": "NA==" }));
        let shown = diff("x", Some(secret(&before)), Some(secret(&after)), true);
        for value in ["b25l", "dHdv", "dGhyZWU=", "Mg==", "NA==", "c2VjcmV0"] {
            assert!(!shown.contains(value), "{shown}");
        }
        for line in [" ", "-  b: '*** (before)'", "+  b: '*** (after)'", "-  c: '*** (before)'", "+  d: '*** (after)'"]
        {
            assert!(shown.lines().any(|is| is.starts_with(line)), "{line:?} is not in {shown}");
        }
        let odd = diff("x", Some(secret(&json!("cGxhaW4="))), None, true);
        assert!(!odd.contains("cGxhaW4="), "{odd}");
    }

    #[test]
    fn what_is_made_and_what_goes_is_shown_whole() {
        let object =
            || Some(json!({ "kind": "ConfigMap", "data": { "a": "b" }, "status": {}, "metadata": { "uid": "1" } }));
        let made = diff("x", None, object(), false);
        assert!(made.starts_with("--- /dev/null\n+++ x, the plan\n@@"), "{made}");
        assert!(made.contains("+data:\n+  a: b\n") && !made.contains("uid") && !made.contains("status"), "{made}");
        assert!(diff("x", object(), None, false).contains("-data:\n-  a: b\n"));
        assert_eq!(diff("x", object(), object(), false), "");
    }

    #[test]
    fn what_is_applied_lies_over_what_is_there() {
        let mut object = json!({ "a": { "b": 1, "c": [1, 2] } });
        overlay(&mut object, &json!({ "a": { "c": [3] }, "d": 4 }));
        assert_eq!(object, json!({ "a": { "b": 1, "c": [3] }, "d": 4 }));
    }
}
