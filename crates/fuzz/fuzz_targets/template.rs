//! The lexer and the parser: any bytes parse or are refused, and an error lies within the text.

#![no_main]

use std::sync::LazyLock;

use gotmpl::{Functions, TemplateSet};
use helm::engine::Host;
use libfuzzer_sys::fuzz_target;

static FUNCTIONS: LazyLock<Functions<Host>> = LazyLock::new(|| Functions::new(&[helm::functions::table()]));

fuzz_target!(|source: &[u8]| {
    let mut set = TemplateSet::new("gotpl");
    match set.parse("a.yaml", source, FUNCTIONS.names()) {
        Ok(template) => assert_eq!(template.name().as_bytes(), b"a.yaml"),
        Err(error) => {
            assert!(!error.message.is_empty());
            assert!(!error.to_string().is_empty());
        }
    }
    let literal = !source.windows(2).any(|pair| pair == b"{{");
    assert!(!literal || TemplateSet::new("t").parse("t", source, FUNCTIONS.names()).is_ok());
});
