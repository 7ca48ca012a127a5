//! The evaluator with all functions: any template renders or fails, within its limits.
//!
//! What was rendered goes through the manifests' splitting, sorting and hooks as well.

#![no_main]

use std::sync::LazyLock;

use helm::values::ValuesMap;
use helm_operator_fuzz::{chart, render};
use libfuzzer_sys::fuzz_target;

/// One value of each kind, and a few texts that functions read.
static VALUES: LazyLock<ValuesMap> = LazyLock::new(|| {
    let text = include_str!("../values.yaml");
    helm::values::parse(text).expect("the values are YAML")
});

fuzz_target!(|template: &[u8]| {
    let chart = chart(template);
    if let Err(error) = render(&chart, &VALUES) {
        assert!(!error.to_string().is_empty());
    }
});
