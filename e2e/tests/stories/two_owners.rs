//! Two releases want the same object, or two objects the same release: the first has it, the second is told whose it is, and
//! nothing is lost.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::{self, Chart};
use e2e::helm::Helm;
use e2e::status;
use e2e::story::{Story, alone, as_it_is, install_definitions, story};
use helm_operator::api::{ADOPT, REQUESTED_AT, Reason};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt as _};
use serde_json::json;

const SHARED: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: shared
data:
  by: {{ .Release.Name }}
";

#[test]
fn the_second_release_is_refused_and_the_first_keeps_its_object() -> Result<()> {
    story("two-owners", async |story| {
        story.push(&Chart::new("greedy", "1.0.0").file("templates/shared.yaml", SHARED)).await?;
        story.open_repository().await?;
        story.release("first", "greedy", "1.0.0", json!({})).await?;
        story.ready("first").await?;
        story.release("second", "greedy", "1.0.0", json!({})).await?;
        let refused = story.failed("second", Reason::OwnershipConflict).await?;
        status::stalled(&refused, Reason::OwnershipConflict)?;
        let message = status::message(&refused);
        ensure!(message.contains("shared") && message.contains("first"), "message: {message}");

        // The refused one leaves without taking the object along.
        story.delete("second").await?;
        let map = story.objects::<ConfigMap>().get("shared").await?;
        let by = map.data.and_then(|data| data.get("by").cloned());
        ensure!(by.as_deref() == Some("first"), "the object is by {by:?}");
        story.ready("first").await?;
        Ok(())
    })
}

#[test]
fn an_object_that_nobody_owns_is_not_taken() -> Result<()> {
    story("no-owner", async |story| {
        let map = serde_json::from_value(json!({ "metadata": { "name": "shared" }, "data": { "by": "hand" } }))?;
        story.objects::<ConfigMap>().create(&PostParams::default(), &map).await?;
        story.push(&Chart::new("greedy", "1.0.0").file("templates/shared.yaml", SHARED)).await?;
        story.open_repository().await?;
        story.release("late", "greedy", "1.0.0", json!({})).await?;
        let refused = story.failed("late", Reason::OwnershipConflict).await?;
        ensure!(status::message(&refused).contains("shared"), "message: {}", status::message(&refused));
        story.delete("late").await?;
        ensure!(story.objects::<ConfigMap>().get_opt("shared").await?.is_some(), "what was made by hand is gone");
        Ok(())
    })
}

/// The uid of the one object of the release `name` of the chart `memo`: another one says that it was made anew.
async fn object_of(story: &Story<'_>, name: &str) -> Result<String> {
    let map = story.objects::<ConfigMap>().get(&format!("{name}-config")).await?;
    map.metadata.uid.context("an object has a uid")
}

async fn untouched(story: &Story<'_>, name: &str, object: &str, history: &str) -> Result<()> {
    let told = story.history(name).await?;
    ensure!(told == history, "helm history of {name} tells: {told}");
    let now = object_of(story, name).await?;
    ensure!(now == object, "the object of {name} was made anew");
    Ok(())
}

#[test]
fn two_objects_that_name_one_release_do_not_fight_over_it() -> Result<()> {
    story("one-release", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let named = json!({ "release": { "name": "memo" } });
        story.release("older", "memo", "1.0.0", named.clone()).await?;
        story.ready("older").await?;
        let object = object_of(story, "memo").await?;
        story.release("younger", "memo", "1.0.0", named).await?;
        story
            .refused(
                "younger",
                Reason::ReleaseNameConflict,
                &["older", "revision 1", "helm-operator.ketches.cn/adopt=older"],
            )
            .await?;
        untouched(story, "memo", &object, "1 deployed").await?;

        // The one that never had it leaves it where it is.
        story.delete("younger").await?;
        untouched(story, "memo", &object, "1 deployed").await?;
        let older = story.ready("older").await?;
        ensure!(older.metadata.deletion_timestamp.is_none(), "the older one is being deleted");
        Ok(())
    })
}

#[test]
fn an_older_object_renamed_onto_a_release_of_a_younger_one_changes_nothing_of_it() -> Result<()> {
    story("renamed", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("older", "memo", "1.0.0", json!({})).await?;
        story.ready("older").await?;
        // Objects of one second would be told apart by name.
        let prod = json!({ "release": { "name": "prod" }, "values": { "greeting": "production" } });
        story.release("younger", "memo", "1.0.0", prod).await?;
        story.ready("younger").await?;
        let object = object_of(story, "prod").await?;

        story.patch("older", json!({ "spec": { "release": { "name": "prod" } } })).await?;
        story.refused("older", Reason::ReleaseNameConflict, &["younger", "revision 1"]).await?;
        untouched(story, "prod", &object, "1 deployed").await?;
        story.delete("older").await?;
        untouched(story, "prod", &object, "1 deployed").await?;
        story.ready("younger").await?;
        Ok(())
    })
}

#[test]
fn who_lost_a_release_gets_it_as_soon_as_its_rival_goes_or_moves() -> Result<()> {
    story("handover", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let prod = json!({ "release": { "name": "prod" }, "uninstall": { "deletionPolicy": "Orphan" } });
        for name in ["first", "second", "third"] {
            story.release(name, "memo", "1.0.0", prod.clone()).await?;
            if name == "first" {
                story.ready(name).await?;
            } else {
                story.refused(name, Reason::ReleaseNameConflict, &["first"]).await?;
            }
        }
        let object = object_of(story, "prod").await?;
        // Handed over as it is: no interval, no back-off and no change of the second is waited for.
        story.delete("first").await?;
        let heir = story.eventually("one of the two has it", async || {
            for name in ["second", "third"] {
                if status::ready(&story.releases().get(name).await?).is_ok() {
                    return Ok(name);
                }
            }
            anyhow::bail!("neither is ready")
        });
        let heir = heir.await?;
        // The chart prints the revision, so that the heir makes one of its own.
        untouched(story, "prod", &object, "1 superseded, 2 deployed").await?;
        let other = if heir == "second" { "third" } else { "second" };
        story.refused(other, Reason::ReleaseNameConflict, &[heir]).await?;

        story.patch(heir, json!({ "spec": { "release": { "name": "elsewhere" } } })).await?;
        story.ready(heir).await?;
        story.ready(other).await?;
        Ok(())
    })
}

#[test]
fn who_made_an_old_revision_uninstalls_nothing_of_its_successor() -> Result<()> {
    story("successor", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let prod = json!({ "release": { "name": "prod" } });
        let orphan = json!({ "uninstall": { "deletionPolicy": "Orphan" } });
        story.release("before", "memo", "1.0.0", prod.clone()).await?;
        story.patch("before", json!({ "spec": orphan })).await?;
        story.ready("before").await?;
        story.delete("before").await?;
        let values = json!({ "release": { "name": "prod" }, "values": { "greeting": "from its successor" } });
        story.release("successor", "memo", "1.0.0", values).await?;
        story.ready("successor").await?;
        let object = object_of(story, "prod").await?;
        untouched(story, "prod", &object, "1 superseded, 2 deployed").await?;

        story.release("before", "memo", "1.0.0", prod).await?;
        story.refused("before", Reason::ReleaseNameConflict, &["successor", "revision 2"]).await?;
        story.delete("before").await?;
        untouched(story, "prod", &object, "1 superseded, 2 deployed").await?;
        story.ready("successor").await?;
        Ok(())
    })
}

#[test]
fn an_object_that_can_no_longer_be_read_keeps_what_it_installed() -> Result<()> {
    alone("unreadable", as_it_is, async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let prod = json!({ "release": { "name": "prod" } });
        story.release("older", "memo", "1.0.0", prod.clone()).await?;
        story.ready("older").await?;
        let object = object_of(story, "prod").await?;
        break_object(story, "older").await?;

        story.release("younger", "memo", "1.0.0", prod).await?;
        story.refused("younger", Reason::ReleaseNameConflict, &["older", "revision 1"]).await?;
        // A new process has never known what the broken one declares.
        story.stage.operator().await.kill().await?;
        story.stage.operator().await.start().await?;
        story.patch("younger", json!({ "spec": { "values": { "greeting": "mine" } } })).await?;
        story.refused("younger", Reason::ReleaseNameConflict, &["older", "revision 1"]).await?;
        untouched(story, "prod", &object, "1 deployed").await
    })
}

/// Makes an object one that the schema would refuse, while the schema is away.
async fn break_object(story: &Story<'_>, name: &str) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(story.client.clone());
    let anything = json!([{
        "op": "replace",
        "path": "/spec/versions/0/schema/openAPIV3Schema",
        "value": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    }]);
    let loosen: Patch<CustomResourceDefinition> = Patch::Json(serde_json::from_value(anything)?);
    definitions.patch("helmreleases.helm-operator.ketches.cn", &PatchParams::default(), &loosen).await?;
    let kind = GroupVersionKind::gvk("helm-operator.ketches.cn", "v1alpha1", "HelmRelease");
    let resource = ApiResource::from_gvk(&kind);
    let releases: Api<DynamicObject> = Api::namespaced_with(story.client.clone(), &story.namespace, &resource);
    // The API server takes the loosened schema over a moment after it has accepted it.
    story
        .eventually("the loosened schema is in force", async || {
            let broken = Patch::Merge(json!({ "spec": { "suspend": "perhaps" } }));
            releases.patch(name, &PatchParams::default(), &broken).await?;
            Ok(())
        })
        .await?;
    install_definitions(story.client.clone()).await
}

#[test]
fn an_object_that_is_renamed_hands_its_release_over_without_an_uninstall() -> Result<()> {
    story("handed-over", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let target = json!({ "release": { "name": "prod" } });
        story.release("old", "memo", "1.0.0", target.clone()).await?;
        story.ready("old").await?;
        let object = object_of(story, "prod").await?;
        // As a GitOps tool does with a rename: the new one is applied, then the old one is pruned.
        story.release("new", "memo", "1.0.0", target).await?;
        let refused = story.failed("new", Reason::ReleaseNameConflict).await?;
        ensure!(status::message(&refused).contains(&format!("{ADOPT}=old")), "{}", status::message(&refused));
        story.patch("new", json!({ "metadata": { "annotations": { ADOPT: "old" } } })).await?;
        story.ready("new").await?;
        story.delete("old").await?;
        untouched(story, "prod", &object, "1 deployed").await?;
        story.ready("new").await?;

        // And back, with the annotation left where it is: the old name is taken by a new object.
        let back = json!({
            "release": { "name": "prod" },
            "chart": { "name": "memo", "version": "1.0.0", "repository": { "name": "charts" } },
        });
        let back = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": "old", "annotations": { ADOPT: "new" } },
            "spec": back,
        });
        // Which of two that name each other is the younger, the API server tells by whole seconds.
        let made = story.releases().get("new").await?.creation_timestamp().context("it was created")?.0;
        story
            .eventually("the next second has begun", async || {
                ensure!(Timestamp::now().as_second() > made.as_second());
                Ok(())
            })
            .await?;
        story.releases().create(&PostParams::default(), &serde_json::from_value(back)?).await?;
        story.ready("old").await?;
        story.delete("new").await?;
        ensure!(object_of(story, "prod").await? == object, "the object was made anew");
        story.ready("old").await?;
        story.delete("old").await?;
        ensure!(story.objects::<ConfigMap>().get_opt("prod-config").await?.is_none(), "the object is still there");
        Ok(())
    })
}

#[test]
fn of_two_objects_that_name_each_other_the_one_that_stays_has_the_release() -> Result<()> {
    story("adopt-each-other", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let target = json!({ "release": { "name": "prod" } });
        story.release("first", "memo", "1.0.0", target.clone()).await?;
        story.ready("first").await?;
        let object = object_of(story, "prod").await?;
        story.release("second", "memo", "1.0.0", target).await?;
        story.patch("second", json!({ "metadata": { "annotations": { ADOPT: "first" } } })).await?;
        story.ready("second").await?;
        story.patch("first", json!({ "metadata": { "annotations": { ADOPT: "second" } } })).await?;
        story.refused("first", Reason::ReleaseNameConflict, &["second"]).await?;
        story.delete("second").await?;
        story.ready("first").await?;
        untouched(story, "prod", &object, "1 deployed").await
    })
}

#[test]
fn a_suspended_object_that_takes_anothers_place_is_told_of_when_it_goes() -> Result<()> {
    story("adopt-suspended", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let target = json!({ "release": { "name": "prod" } });
        story.release("first", "memo", "1.0.0", target).await?;
        story.ready("first").await?;
        let object = object_of(story, "prod").await?;
        let second = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": "second", "annotations": { ADOPT: "first" } },
            "spec": {
                "release": { "name": "prod" },
                "suspend": true,
                "chart": { "name": "memo", "version": "1.0.0", "repository": { "name": "charts" } },
            },
        });
        story.releases().create(&PostParams::default(), &serde_json::from_value(second)?).await?;
        story.failed("second", Reason::Suspended).await?;
        story.delete("first").await?;
        story.delete("second").await?;
        story.event("second", Reason::UninstallSkipped, "/prod").await?;
        untouched(story, "prod", &object, "1 deployed").await
    })
}

#[test]
fn a_release_whose_history_is_kept_in_config_maps_is_not_begun_anew() -> Result<()> {
    story("other-driver", async |story| {
        let chart = charts::note("memo", "1.0.0");
        story.push(&chart).await?;
        story.open_repository().await?;
        let folder = tempfile::tempdir()?;
        let folder = chart.write(folder.path())?;
        let helm = Helm::new(Some(story.stage.plane.kubeconfig())).await?.driver("configmap");
        let folder = folder.to_str().context("a path in UTF-8")?;
        helm.run(&["install", "memo", folder, "--namespace", &story.namespace]).await?;
        let object = object_of(story, "memo").await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.refused("memo", Reason::HistoryInvalid, &["HELM_DRIVER=configmap", "sh.helm.release.v1.memo.vN"]).await?;
        ensure!(object_of(story, "memo").await? == object, "the object was made anew");
        // The second way out of the two.
        let records = ListParams::default().labels("owner=helm");
        story.objects::<ConfigMap>().delete_collection(&DeleteParams::default(), &records).await?;
        story.patch("memo", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        story.ready("memo").await?;
        untouched(story, "memo", &object, "1 deployed").await
    })
}
