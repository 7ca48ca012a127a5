//! What a chart is rendered with: the declared values, or those laid over what is deployed, as by Helm's `--reuse-values`. Pure.

use std::borrow::Cow;
use std::sync::Arc;

use helm::chart::Chart;
use helm::release::{Release, Status};
use serde_json::{Map, Value};

use crate::history::Record;

/// What a chart is rendered with.
pub(super) struct Given {
    /// The values of the release: what its record holds.
    pub(super) values: Arc<Map<String, Value>>,
    /// What counts as the chart's default values, where that is not its `values.yaml`.
    defaults: Option<Map<String, Value>>,
}

impl Given {
    /// Just what is declared.
    pub(super) fn declared(values: &Arc<Map<String, Value>>) -> Self {
        Self { values: Arc::clone(values), defaults: None }
    }

    /// What is declared over the values of what is deployed, of which the default values are those of its own chart (Helm's
    /// `pkg/action/upgrade.go`, `reuseValues`). Without a revision to go on from: what is declared.
    pub(super) fn reusing(values: &Arc<Map<String, Value>>, replaced: &[Record]) -> Self {
        let deployed = replaced.iter().rfind(|record| record.release.info.status == Status::Deployed);
        let Some(Release { chart, config, .. }) = deployed.or_else(|| replaced.first()).map(|record| &record.release)
        else {
            return Self::declared(values);
        };
        let mut defaults = config.clone();
        lay_over(&mut defaults, &chart.values);
        let mut merged = (**values).clone();
        lay_over(&mut merged, config);
        Self { values: Arc::new(merged), defaults: Some(defaults) }
    }

    /// `chart` with the default values that count.
    pub(super) fn chart<'c>(&self, chart: &'c Chart) -> Cow<'c, Chart> {
        match &self.defaults {
            Some(defaults) => Cow::Owned(Chart { values: defaults.clone(), ..chart.clone() }),
            None => Cow::Borrowed(chart),
        }
    }
}

/// Lays `above` over `below`: tables are merged, and a null above takes away what is below.
fn lay_over(above: &mut Map<String, Value>, below: &Map<String, Value>) {
    for (key, value) in below {
        match above.get_mut(key) {
            None => {
                above.insert(key.clone(), value.clone());
            }
            Some(Value::Null) => {
                above.remove(key);
            }
            Some(Value::Object(above)) => {
                if let Value::Object(below) = value {
                    lay_over(above, below);
                }
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::lay_over;

    #[test]
    fn what_is_above_wins_and_a_null_takes_away() {
        for (above, below, expected) in [
            (json!({}), json!({ "a": 1 }), json!({ "a": 1 })),
            (json!({ "a": 2 }), json!({ "a": 1, "b": null }), json!({ "a": 2, "b": null })),
            (json!({ "a": { "b": 1 } }), json!({ "a": { "c": 2 } }), json!({ "a": { "b": 1, "c": 2 } })),
            (json!({ "a": null, "n": null }), json!({ "a": { "c": 2 } }), json!({ "n": null })),
            (json!({ "a": 1 }), json!({ "a": { "c": 2 } }), json!({ "a": 1 })),
            (json!({ "a": [1] }), json!({ "a": [2, 3] }), json!({ "a": [1] })),
        ] {
            let mut merged = above.as_object().expect("a table").clone();
            lay_over(&mut merged, below.as_object().expect("a table"));
            assert_eq!(json!(merged), expected, "{above} over {below}");
        }
    }
}
