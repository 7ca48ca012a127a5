//! What a render tells besides its result: something the chart or its values ask for was passed over.

/// What was passed over. The text is what Helm logs of it, where Helm does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// A schema that the chart's schema refers to could not be had: the part of the values that it is for is not checked.
    #[error("the values of {chart} are checked without the schema {url}: {cause}")]
    SchemaLeftOut {
        /// The chart, or the dependency, whose schema refers to it.
        chart: String,
        /// Its address.
        url: String,
        /// Why it is not there.
        cause: String,
    },
}
