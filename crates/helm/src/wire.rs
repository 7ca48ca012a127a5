//! How Go's JSON says "nothing": zero times, nulls.

use serde::{Deserialize, Deserializer};

/// Reads `null` as the empty value: Go writes its nil slices and maps so.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Go leaves out fields marked `omitempty` when they are empty.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Times that may be zero: Helm 4 leaves them out, Helm 3 writes `""`, plain Go writes the year 1.
pub(crate) mod time {
    use std::borrow::Cow;

    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    const GO_ZERO: &str = "0001-01-01T00:00:00Z";

    pub(crate) fn deserialize<'de, D>(deserializer: D) -> Result<Option<Timestamp>, D::Error>
    where
        D: Deserializer<'de>,
    {
        match Option::<Cow<'de, str>>::deserialize(deserializer)?.as_deref() {
            None | Some("" | GO_ZERO) => Ok(None),
            Some(text) => text.parse().map(Some).map_err(D::Error::custom),
        }
    }

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(crate) fn serialize<S>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        time.serialize(serializer)
    }
}
