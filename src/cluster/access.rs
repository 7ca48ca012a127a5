//! What the identity of a handle may do, by the API server's own answer.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::core::Request;
use serde_json::json;

use super::object::ObjectRef;
use super::{Cluster, Error, Resource};

impl Cluster {
    /// Whether the identity may do `verb` to the core `resource` (plural) in `namespace`.
    pub async fn may(&self, verb: &str, resource: &str, namespace: &str) -> Result<bool, Error> {
        let attributes = ResourceAttributes {
            verb: Some(verb.to_owned()),
            resource: Some(resource.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        let reviews = reviews();
        let body = json!({ "apiVersion": reviews.api_version(), "kind": reviews.kind, "spec": spec }).to_string();
        let review = ObjectRef {
            group: reviews.group.clone(),
            kind: reviews.kind.clone(),
            namespace: None,
            name: String::new(),
        };
        let build = || Request::new(reviews.path(None)).create(&PostParams::default(), body.clone().into_bytes());
        let answer: SelfSubjectAccessReview = self.requests.send("create", &reviews, &review, build).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}

fn reviews() -> Resource {
    Resource {
        group: "authorization.k8s.io".to_owned(),
        version: "v1".to_owned(),
        kind: "SelfSubjectAccessReview".to_owned(),
        plural: "selfsubjectaccessreviews".to_owned(),
        namespaced: false,
    }
}
