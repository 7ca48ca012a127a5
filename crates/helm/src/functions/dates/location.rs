//! Go's `*time.Location`: the zone of a time as templates see it.

use std::rc::Rc;

use gotmpl::{FuncError, Kind, Map, MapType, Object, Signature, Str, Value};
use jiff::tz::TimeZone;

use super::instant::Zone;

/// A zone that a template holds.
pub(super) struct Location(Zone);

impl Location {
    pub(super) fn value(zone: &Zone) -> Value {
        Value::Object(Rc::new(Self(zone.clone())))
    }

    /// The zone in a method's argument.
    pub(super) fn zone_of(value: &Value) -> Option<&Zone> {
        let Value::Object(object) = value else { return None };
        object.as_any().downcast_ref().map(|Self(zone)| zone)
    }
}

impl Object for Location {
    fn type_name(&self) -> &'static str {
        "*time.Location"
    }

    fn kind(&self) -> Kind {
        Kind::Ptr
    }

    fn has_method(&self, name: &str) -> bool {
        name == "String"
    }

    fn signature(&self, _name: &str) -> Option<Signature> {
        Some(Signature { params: &[], variadic: false })
    }

    fn call(&self, _name: &str, _args: &[Value]) -> Result<Value, FuncError> {
        Ok(Value::String(self.display()))
    }

    fn hides(&self, name: &str) -> bool {
        matches!(name, "cacheEnd" | "cacheStart" | "cacheZone" | "extend" | "name" | "tx" | "zone")
    }

    fn same(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref().is_some_and(|Self(zone)| *zone == self.0)
    }

    /// Go calls the zone of the machine `Local` unless the environment names it; here it has its name if that is known.
    fn display(&self) -> Str {
        match &self.0 {
            Zone::Fixed(name, _) => name.clone(),
            Zone::Rules(zone) if *zone == TimeZone::UTC => "UTC".into(),
            Zone::Rules(zone) => zone.iana_name().unwrap_or("Local").into(),
        }
    }

    /// Nothing of it is exported.
    fn to_value(&self) -> Value {
        Map::new(MapType::Any, std::collections::BTreeMap::new()).into()
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
