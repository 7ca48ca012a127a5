//! What comes before a release's objects: namespaces, CRDs, and looking things up while rendering.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use e2e::certificates::Authority;
use e2e::eventually;
use helm::engine::Lookup;
use helm_operator::cluster::{Change, Error, ExistingCrds, Reach, Source};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::{Ground, LONG, config_map};

fn crd(group: &str, description: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("gadgets.{group}") },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": { "kind": "Gadget", "plural": "gadgets", "singular": "gadget" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": {
                    "type": "object", "description": description,
                    "properties": { "spec": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
                } },
            }],
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_new_crd_can_be_applied_at_once_and_an_existing_crd_is_left() -> Result<()> {
    let ground = Ground::new("crds").await?;
    let text = crd("crds.example.com", "first").to_string();
    let created = ground
        .cluster
        .install_crds(&[Source { origin: "crds/gadget.yaml", text: &text }], ExistingCrds::Keep, LONG, None)
        .await?;
    ensure!(created == 1, "{created}");
    let gadget = json!({
        "apiVersion": "crds.example.com/v1", "kind": "Gadget", "metadata": { "name": "g" }, "spec": { "size": 1 },
    });
    let objects = ground.objects(&[gadget]).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let capabilities = ground.cluster.capabilities().await?;
    ensure!(capabilities.api_versions.iter().any(|known| known == "crds.example.com/v1/Gadget"), "not seen");

    let text = crd("crds.example.com", "second").to_string();
    let created = ground
        .cluster
        .install_crds(&[Source { origin: "crds/gadget.yaml", text: &text }], ExistingCrds::Keep, LONG, None)
        .await?;
    ensure!(created == 0, "{created}");
    let live = serde_json::to_value(definitions(&ground).get("gadgets.crds.example.com").await?)?;
    let description = &live["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"];
    ensure!(description == "first", "{description}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_replaced_where_no_object_loses_anything_by_it() -> Result<()> {
    let ground = Ground::new("crds-replace").await?;
    let with = |fields: Value, version: &str| {
        let mut text = crd("replace.example.com", "a gadget");
        let only = &mut text["spec"]["versions"][0];
        only["name"] = json!(version);
        only["schema"]["openAPIV3Schema"]["properties"]["spec"] = json!({ "type": "object", "properties": fields });
        text
    };
    let install = async |definition: &Value, existing| {
        let text = definition.to_string();
        ground.cluster.install_crds(&[Source { origin: "crds/gadget.yaml", text: &text }], existing, LONG, None).await
    };
    let number = json!({ "type": "integer" });
    let (one, two) = (with(json!({ "size": number }), "v1"), with(json!({ "size": number, "weight": number }), "v1"));
    ensure!(install(&one, ExistingCrds::Replace).await? == 1);
    ensure!(install(&one, ExistingCrds::Replace).await? == 0, "nothing changed");
    // What others set stays.
    let note = Patch::Merge(json!({ "metadata": { "annotations": { "example.com/note": "kept" } } }));
    definitions(&ground).patch("gadgets.replace.example.com", &PatchParams::default(), &note).await?;
    ensure!(install(&two, ExistingCrds::Replace).await? == 1);
    let live = definitions(&ground).get("gadgets.replace.example.com").await?;
    ensure!(live.annotations().contains_key("example.com/note"), "the annotation is gone");

    // Nobody has an object: fields may go. Then somebody has.
    ensure!(install(&one, ExistingCrds::Replace).await? == 1);
    ensure!(install(&two, ExistingCrds::Replace).await? == 1);
    let gadget = json!({
        "apiVersion": "replace.example.com/v1", "kind": "Gadget", "metadata": { "name": "g" }, "spec": { "weight": 1 },
    });
    let objects = ground.objects(&[gadget]).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let refused = |outcome: Result<usize, Error>, words: &str| match outcome {
        Err(error @ Error::CrdNotReplaced { .. }) if error.to_string().contains(words) => Ok(()),
        other => bail!("{words}: {other:?}"),
    };
    refused(install(&one, ExistingCrds::Replace).await, "v1.spec.weight")?;
    refused(install(&with(json!({}), "v2"), ExistingCrds::ReplaceWithLoss).await, "no version v1")?;
    ensure!(install(&one, ExistingCrds::ReplaceWithLoss).await? == 1);
    let owned = json!({ "metadata": { "annotations": {
        "meta.helm.sh/release-name": "other", "meta.helm.sh/release-namespace": "elsewhere",
    } } });
    definitions(&ground).patch("gadgets.replace.example.com", &PatchParams::default(), &Patch::Merge(owned)).await?;
    refused(install(&two, ExistingCrds::Replace).await, "elsewhere/other")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_appears_later_is_found_without_being_told() -> Result<()> {
    let ground = Ground::new("crds-later").await?;
    ground.cluster.capabilities().await?;
    let other = Ground::new("crds-later-by-another").await?;
    let text = crd("later.example.com", "").to_string();
    other
        .cluster
        .install_crds(&[Source { origin: "crds/gadget.yaml", text: &text }], ExistingCrds::Keep, LONG, None)
        .await?;
    let gadget = json!({ "apiVersion": "later.example.com/v1", "kind": "Gadget", "metadata": { "name": "g" } });
    e2e::eventually::eventually("the kind is found", LONG, || ground.objects(std::slice::from_ref(&gadget))).await?;
    Ok(())
}

/// What exists is left as Helm leaves it, and what the chart would have defined beyond it is not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_chart_whose_definition_is_newer_than_the_clusters_is_not_held_up() -> Result<()> {
    let ground = Ground::new("crds-newer").await?;
    let old = crd("newer.example.com", "old");
    let mut new = old.clone();
    let mut second = new["spec"]["versions"][0].clone();
    (second["name"], second["storage"]) = ("v2".into(), false.into());
    new["spec"]["versions"].as_array_mut().context("versions")?.push(second);
    let install = async |crd: &Value| {
        let text = crd.to_string();
        ground
            .cluster
            .install_crds(&[Source { origin: "crds/gadget.yaml", text: &text }], ExistingCrds::Keep, LONG, None)
            .await
    };
    ensure!(install(&old).await? == 1, "not created");
    let begun = Instant::now();
    ensure!(install(&new).await? == 0, "created");
    ensure!(begun.elapsed() < LONG / 4, "after {:?}", begun.elapsed());
    Ok(())
}

/// With its kind an object is gone, whatever we believe that the cluster serves.
#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_kind_that_is_gone_are_gone() -> Result<()> {
    let ground = Ground::new("crds-gone").await?;
    let text = crd("gone.example.com", "").to_string();
    ground
        .cluster
        .install_crds(&[Source { origin: "crds/gadget.yaml", text: &text }], ExistingCrds::Keep, LONG, None)
        .await?;
    let gadget = json!({ "apiVersion": "gone.example.com/v1", "kind": "Gadget", "metadata": { "name": "g" } });
    let objects = ground.objects(&[gadget.clone(), config_map("a", json!({}))]).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    definitions(&ground).delete("gadgets.gone.example.com", &DeleteParams::default()).await?;
    e2e::eventually::gone(&definitions(&ground), "gadgets.gone.example.com", LONG).await?;

    let removals = ground.cluster.delete(&objects, &ground.delete_options("shop")).await?;
    ensure!(removals.len() == 2, "{removals:?}");
    ensure!(ground.api("v1", "ConfigMap").get_opt("a").await?.is_none(), "the rest was not deleted");
    let text = gadget.to_string();
    let recorded = [Source { origin: "g.yaml", text: &text }];
    e2e::eventually::eventually("the kind is forgotten", LONG, || async {
        let left = ground.cluster.recorded_objects(&recorded, &ground.namespace).await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await
}

/// People keep a definition and objects of it among the templates, and expect an operator to cope.
#[tokio::test(flavor = "multi_thread")]
async fn a_definition_and_objects_of_it_are_applied_together() -> Result<()> {
    let ground = Ground::new("crds-together").await?;
    let gadget = json!({
        "apiVersion": "together.example.com/v1", "kind": "Gadget", "metadata": { "name": "g" }, "spec": { "size": 1 },
    });
    let documents = [gadget.clone(), crd("together.example.com", "")];
    let objects = ground.objects(&documents).await?;
    let applied = ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    ensure!(applied.len() == 2 && applied[0].change == Change::Created, "{applied:?}");
    ensure!(ground.live("together.example.com/v1", "Gadget", "g").await?["spec"]["size"] == 1, "not applied");
    let again = ground.objects(&documents).await?;
    let again = ground.cluster.apply(&again, &ground.apply_options("shop")).await?;
    ensure!(again.iter().all(|applied| applied.change == Change::Unchanged), "{again:?}");

    // A new version in the same upgrade as the first object that uses it.
    let mut newer = documents.clone();
    newer[0]["apiVersion"] = "together.example.com/v2".into();
    let mut second = newer[1]["spec"]["versions"][0].clone();
    (second["name"], second["storage"]) = ("v2".into(), false.into());
    newer[1]["spec"]["versions"].as_array_mut().context("versions")?.push(second);
    let newer = ground.objects(&newer).await?;
    let theirs = ground.cluster.claim(&newer, &ground.apply_options("other")).await;
    ensure!(matches!(theirs, Err(Error::Owned { .. })), "{theirs:?}");
    let newer = ground.cluster.apply(&newer, &ground.apply_options("shop")).await?;
    ensure!(newer[0].change != Change::Created, "{newer:?}");
    Ok(())
}

/// The webhook leaves the chart, and what somebody else wrote of it goes along.
#[tokio::test(flavor = "multi_thread")]
async fn a_definition_loses_its_conversion_webhook_though_another_wrote_its_certificates() -> Result<()> {
    let ground = Ground::new("crds-converted").await?;
    let mut definition = crd("converted.example.com", "one");
    let webhook = json!({
        "conversionReviewVersions": ["v1"],
        "clientConfig": { "service": { "name": "convert", "namespace": "default" } },
    });
    definition["spec"]["conversion"] = json!({ "strategy": "Webhook", "webhook": webhook });
    let options = ground.apply_options("shop");
    ground.cluster.apply(&ground.objects(std::slice::from_ref(&definition)).await?, &options).await?;
    // Once the definition is established the API server takes certificates alone.
    let bundle = BASE64.encode(Authority::new("injected")?.certificate());
    let injected = json!({ "spec": { "conversion": { "webhook": { "clientConfig": { "caBundle": bundle } } } } });
    let injector = PatchParams { field_manager: Some("cainjector".to_owned()), ..PatchParams::default() };
    let name = "gadgets.converted.example.com";
    definitions(&ground).patch(name, &injector, &Patch::Merge(injected)).await?;
    if let Some(spec) = definition["spec"].as_object_mut() {
        spec.remove("conversion");
    }
    // Not where the rest is refused: it would be converted by nobody.
    let mut without_stored = definition.clone();
    without_stored["spec"]["versions"][0]["name"] = json!("v2");
    let refused = ground.cluster.apply(&ground.objects(&[without_stored]).await?, &options).await;
    ensure!(
        matches!(&refused, Err(Error::Invalid { message, .. }) if message.contains("storedVersions")),
        "{refused:?}"
    );
    let live =
        async || anyhow::Ok(serde_json::to_value(definitions(&ground).get(name).await?)?["spec"]["conversion"].take());
    ensure!(live().await?["strategy"] == "Webhook", "{}", live().await?);

    ground.cluster.apply(&ground.objects(std::slice::from_ref(&definition)).await?, &options).await?;
    ensure!(live().await? == json!({ "strategy": "None" }), "{}", live().await?);
    let crd = &ground.objects(std::slice::from_ref(&definition)).await?[0];
    ensure!(!ground.cluster.is_in_use(crd).await?, "there is an object of it");
    // What is stored of a version that is served no more is not seen.
    let mut versions = definition["spec"]["versions"].clone();
    versions[0]["served"] = json!(false);
    definitions(&ground)
        .patch(name, &PatchParams::default(), &Patch::Merge(json!({ "spec": { "versions": versions } })))
        .await?;
    ensure!(ground.cluster.is_in_use(crd).await?, "it counts as not in use");
    definitions(&ground).delete(name, &DeleteParams::default()).await?;
    Ok(())
}

fn definitions(ground: &Ground) -> kube::Api<CustomResourceDefinition> {
    kube::Api::all(ground.client.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_made_once() -> Result<()> {
    let ground = Ground::new("namespaces").await?;
    ensure!(ground.cluster.ensure_namespace("namespaces-made").await? == Change::Created, "not created");
    ensure!(ground.cluster.ensure_namespace("namespaces-made").await? == Change::Unchanged, "touched");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lookup_finds_one_all_or_nothing() -> Result<()> {
    let ground = Ground::new("lookup").await?;
    let objects = ground.objects(&[config_map("a", json!({ "k": "v" })), config_map("b", json!({}))]).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let lookup = ground.cluster.lookup(tokio::runtime::Handle::current(), Reach::Cluster);
    tokio::task::spawn_blocking(move || {
        let one = lookup.lookup("v1", "ConfigMap", "lookup", "a")?;
        ensure!(one["data"]["k"] == "v" && one["kind"] == "ConfigMap", "{one}");
        let nothing = lookup.lookup("v1", "ConfigMap", "lookup", "none")?;
        ensure!(nothing == json!({}), "{nothing}");
        let all = lookup.lookup("v1", "ConfigMap", "lookup", "")?;
        let items = all["items"].as_array().context("items")?;
        ensure!(all["kind"] == "ConfigMapList" && items.len() >= 2, "{all}");
        ensure!(lookup.lookup("v1", "Namespace", "", "lookup")?["kind"] == "Namespace", "cluster-scoped");
        ensure!(lookup.lookup("example.com/v9", "Gadget", "", "").is_err(), "an unknown kind");
        Ok(())
    })
    .await?
}

#[tokio::test(flavor = "multi_thread")]
async fn lookup_is_bounded_and_asks_each_question_once() -> Result<()> {
    let ground = Ground::new("lookup-bounds").await?;
    let objects = ground.objects(&[config_map("a", json!({ "k": "before" }))]).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let lookup = ground.cluster.lookup(tokio::runtime::Handle::current(), Reach::Cluster);
    let (lookup, first) = tokio::task::spawn_blocking(move || {
        let first = lookup.lookup("v1", "ConfigMap", "lookup-bounds", "a").map_err(|error| error.to_string());
        (lookup, first)
    })
    .await?;
    let changed = ground.objects(&[config_map("a", json!({ "k": "after" }))]).await?;
    ground.cluster.apply(&changed, &ground.apply_options("shop")).await?;
    tokio::task::spawn_blocking(move || {
        let again = lookup.lookup("v1", "ConfigMap", "lookup-bounds", "a")?;
        ensure!(first == Ok(again), "asked again");
        let beyond =
            (0..1000).map(|number| lookup.lookup("v1", "ConfigMap", "lookup-bounds", &format!("none-{number}")));
        let errors: Vec<_> = beyond.filter_map(Result::err).map(|error| error.to_string()).collect();
        ensure!(errors.len() == 1 && errors[0].contains("1000 different objects or lists"), "{errors:?}");
        Ok(())
    })
    .await?
}

/// More than one page of objects is one list, and more than fits is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_looked_up_whole_unless_it_is_too_much() -> Result<()> {
    let ground = Ground::new("lookup-long").await?;
    let maps: Vec<_> = (0..300).map(|number| config_map(&format!("m-{number:03}"), json!({}))).collect();
    let objects = ground.objects(&maps).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let lookup = ground.cluster.lookup(tokio::runtime::Handle::current(), Reach::Cluster);
    let list = move || lookup.lookup("v1", "ConfigMap", "lookup-long", "").map_err(|error| error.to_string());
    let all = tokio::task::spawn_blocking(list).await?.map_err(anyhow::Error::msg)?;
    let names = all["items"].as_array().context("items")?.iter().filter_map(|item| item["metadata"]["name"].as_str());
    ensure!(names.filter(|name| name.starts_with("m-")).count() == 300, "not all");
    ensure!(all["metadata"]["continue"].is_null() && all["kind"] == "ConfigMapList", "{}", all["metadata"]);

    let large: Vec<_> =
        (0..40).map(|number| config_map(&format!("l-{number}"), json!({ "text": "x".repeat(900_000) }))).collect();
    let objects = ground.objects(&large).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let lookup = ground.cluster.lookup(tokio::runtime::Handle::current(), Reach::Cluster);
    let list = move || lookup.lookup("v1", "ConfigMap", "lookup-long", "").map_err(|error| error.to_string());
    let Err(error) = tokio::task::spawn_blocking(list).await? else { bail!("it was not refused") };
    ensure!(error.contains("32 MiB"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confined_release_reaches_its_own_namespace_only() -> Result<()> {
    let ground = Ground::new("reach").await?;
    let reach = Reach::Namespace("reach".to_owned());
    let mut elsewhere = config_map("b", json!({}));
    elsewhere["metadata"]["namespace"] = "default".into();
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "r" }, "rules": [],
    });
    reach.admit(&ground.objects(&[config_map("a", json!({}))]).await?)?;
    for stranger in [elsewhere, role] {
        let objects = ground.objects(&[config_map("a", json!({})), stranger]).await?;
        let Err(error @ Error::OutOfReach { .. }) = reach.admit(&objects) else { bail!("admitted") };
        ensure!(error.to_string().contains("--no-cross-namespace-refs"), "{error}");
        Reach::Cluster.admit(&objects)?;
    }
    let lookup = ground.cluster.lookup(tokio::runtime::Handle::current(), reach.clone());
    tokio::task::spawn_blocking(move || {
        ensure!(lookup.lookup("v1", "ConfigMap", "reach", "none")? == json!({}), "its own");
        for (kind, namespace, name) in [("Secret", "default", "s"), ("Secret", "", ""), ("Node", "", "n")] {
            let refused = lookup.lookup("v1", kind, namespace, name);
            ensure!(
                refused.is_err_and(|error| error.to_string().contains("out of reach")),
                "{kind} {namespace} {name}"
            );
        }
        Ok(())
    })
    .await??;

    // A definition that exists is shared; one that does not is not made.
    let text = crd("reach.example.com", "").to_string();
    let source = [Source { origin: "crds/gadget.yaml", text: &text }];
    ensure!(ground.cluster.admit_crds(&source, "default", &reach).await.is_err(), "admitted");
    ground.cluster.install_crds(&source, ExistingCrds::Keep, LONG, None).await?;
    ground.cluster.admit_crds(&source, "default", &reach).await?;
    Ok(())
}

/// What converts it comes up with the very apply that asks whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_conversion_webhook_is_away_is_looked_up_as_it_is_stored() -> Result<()> {
    let ground = Ground::new("crds-unconverted").await?;
    let mut definition = crd("unconverted.example.com", "one");
    let mut newer = definition["spec"]["versions"][0].clone();
    (newer["name"], newer["storage"]) = (json!("v2"), json!(false));
    definition["spec"]["versions"].as_array_mut().context("versions")?.push(newer);
    let options = ground.apply_options("shop");
    let gadget = |version: &str| json!({ "apiVersion": format!("unconverted.example.com/{version}"), "kind": "Gadget", "metadata": { "name": "one" } });
    ground.cluster.apply(&ground.objects(&[definition, gadget("v1")]).await?, &options).await?;
    let webhook = json!({
        "conversionReviewVersions": ["v1"],
        "clientConfig": { "service": { "name": "away", "namespace": "crds-unconverted" } },
    });
    let conversion = json!({ "spec": { "conversion": { "strategy": "Webhook", "webhook": webhook } } });
    let name = "gadgets.unconverted.example.com";
    definitions(&ground).patch(name, &PatchParams::default(), &Patch::Merge(conversion)).await?;
    let newer = ground.objects(&[gadget("v2")]).await?;
    // It takes the API server a moment.
    let applied = eventually::eventually("the webhook is asked", LONG, async || {
        let applied = ground.cluster.apply(&newer, &options).await;
        ensure!(matches!(applied, Err(Error::WebhookUnreachable { .. })), "{applied:?}");
        Ok(())
    });
    applied.await?;
    let claims = ground.cluster.claim(&newer, &options).await?;
    ensure!(claims.contains(newer[0].reference()), "it counts as absent");
    let theirs = ground.cluster.claim(&newer, &ground.apply_options("other")).await;
    ensure!(matches!(theirs, Err(Error::Owned { .. })), "{:?}", theirs.err());
    // Nor is it needed to take the object away, when what converts it went first.
    ground.cluster.delete(&newer, &ground.delete_options("shop")).await?;
    let stored = ground.objects(&[gadget("v1")]).await?;
    ensure!(!ground.cluster.claim(&stored, &options).await?.contains(stored[0].reference()), "it is left");
    definitions(&ground).delete(name, &DeleteParams::default()).await?;
    Ok(())
}

/// Helm takes whatever a chart has in `crds/`, into the release's namespace; what is there is nobody's to replace.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_definition_in_crds_is_made_where_the_release_is_and_never_replaced() -> Result<()> {
    let ground = Ground::new("crds-others").await?;
    let owner = ground.owner("shop");
    let install = async |greeting: &str| {
        let text = config_map("beside", json!({ "greeting": greeting })).to_string();
        let source = [Source { origin: "crds/beside.yaml", text: &text }];
        ground.cluster.install_crds(&source, ExistingCrds::Replace, LONG, Some(&owner)).await
    };
    install("hello").await?;
    install("other").await?;
    let live = ground.live("v1", "ConfigMap", "beside").await?;
    ensure!(live["data"]["greeting"] == "hello", "{live}");
    Ok(())
}
