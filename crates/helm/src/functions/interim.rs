//! Printing values until `gotmpl` does.

use gotmpl::{Str, Value};

pub(super) fn display(value: &Value) -> Str {
    match value {
        Value::Nil => "<nil>".into(),
        Value::Bool(b) => b.to_string().into(),
        Value::Int(n) | Value::Int64(n) => n.to_string().into(),
        Value::Uint8(n) => n.to_string().into(),
        Value::Uint64(n) => n.to_string().into(),
        Value::Float64(n) => n.to_string().into(),
        Value::String(s) => s.clone(),
        Value::List(l) => {
            let parts: Vec<String> = l.items().iter().map(|i| display(i).to_lossy().into_owned()).collect();
            format!("[{}]", parts.join(" ")).into()
        }
        Value::Map(m) => {
            let parts: Vec<String> =
                m.borrow().iter().map(|(k, v)| format!("{}:{}", k.to_lossy(), display(v).to_lossy())).collect();
            format!("map[{}]", parts.join(" ")).into()
        }
        Value::Object(o) => o.display(),
    }
}

pub(super) fn type_name(value: &Value) -> String {
    match value {
        Value::Object(object) => object.type_name().to_owned(),
        Value::Map(_) => "map[string]interface {}".to_owned(),
        Value::List(_) => "[]interface {}".to_owned(),
        other => super::arguments::kind_name(other.kind()).to_owned(),
    }
}

pub(super) fn printf(_format: &str, args: &[Value]) -> Str {
    format!("{:?}", args.first().map(|value| display(value).to_lossy().into_owned()).unwrap_or_default()).into()
}
