//! The functions that belong to the engine: they run templates, give up, or ask the cluster.

use std::sync::LazyLock;

use formats::yaml;
use gotmpl::{Call, FuncError, Function, Functions, Interp, List, Map, Reach, SourceError, Str, Type, Value};

use super::Host;
use super::scope::VALUES_TYPE;
use crate::functions;
use crate::values::{scalar, table as table_at};

/// How often a template may include itself, directly or not, before Helm calls it an endless recursion.
const MAX_INCLUDES: u32 = 1000;

/// How much text `tpl` parses for one step.
const BYTES_PARSED: u64 = 2;

/// What Go prints for a missing value, and Helm removes.
const NO_VALUE: &[u8] = b"<no value>";

static TABLE: [Function<Host>; 9] = [
    host("include", &[Type::String, Type::Any], include),
    host("tpl", &[Type::String, Type::Any], tpl),
    host("lookup", &[Type::String, Type::String, Type::String, Type::String], lookup),
    pure("required", &[Type::String, Type::Any], required),
    pure("fail", &[Type::String], fail),
    pure("common.Values.AsMap", &[Type::Any], |args| Ok(as_map(args))),
    pure("common.Values.YAML", &[Type::Any], |args| Ok(to_yaml(args))),
    pure("common.Values.Table", &[Type::Any, Type::String], table),
    pure("common.Values.PathValue", &[Type::Any, Type::String], path_value),
];

const fn pure(
    name: &'static str,
    params: &'static [Type],
    body: fn(&[Value]) -> Result<Value, FuncError>,
) -> Function<Host> {
    Function { name, params, variadic: false, reach: Reach::Shallow, call: Call::Pure(body) }
}

const fn host(
    name: &'static str,
    params: &'static [Type],
    body: fn(&mut Interp<'_, Host>, &[Value]) -> Result<Value, FuncError>,
) -> Function<Host> {
    Function { name, params, variadic: false, reach: Reach::Shallow, call: Call::Host(body) }
}

/// All functions of Helm's templates.
pub(super) fn all() -> &'static Functions<Host> {
    static ALL: LazyLock<Functions<Host>> = LazyLock::new(|| Functions::new(&[functions::table(), &TABLE]));
    &ALL
}

/// Removes what Go prints for missing values.
pub(super) fn drop_no_value(text: Vec<u8>) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut rest = 0;
    for at in memchr::memmem::find_iter(&text, NO_VALUE) {
        kept.extend_from_slice(&text[rest..at]);
        rest = at + NO_VALUE.len();
    }
    if rest == 0 {
        return text;
    }
    kept.extend_from_slice(&text[rest..]);
    kept
}

/// The text argument at `index`; the evaluator has checked its type.
fn text(args: &[Value], index: usize) -> Str {
    match args.get(index) {
        Some(Value::String(text)) => text.clone(),
        _ => Str::from(""),
    }
}

/// The receiver of a method of `common.Values`.
fn receiver(args: &[Value]) -> Map {
    match args.first() {
        Some(Value::Map(map)) => map.clone(),
        _ => Map::nil(VALUES_TYPE),
    }
}

fn include(interp: &mut Interp<'_, Host>, args: &[Value]) -> Result<Value, FuncError> {
    let name = text(args, 0);
    if !interp.host.enter(&name, MAX_INCLUDES) {
        let message = format!("rendering template has a nested reference name: {name}: unable to execute template");
        return Err(FuncError::new(message));
    }
    let mut out = Vec::new();
    let executed = interp.execute(name.as_bytes(), &args[1], &mut out);
    interp.host.leave(&name);
    executed?;
    Ok(Value::string(out))
}

fn tpl(interp: &mut Interp<'_, Host>, args: &[Value]) -> Result<Value, FuncError> {
    let source = text(args, 0);
    if memchr::memmem::find(source.as_bytes(), b"{{").is_none() {
        return Ok(Value::string(drop_no_value(source.as_bytes().to_vec())));
    }
    interp.charge(source.len() as u64 / BYTES_PARSED)?;
    let mut out = Vec::new();
    match interp.execute_source(source.as_bytes(), &args[1], &mut out) {
        Ok(()) => Ok(Value::string(drop_no_value(out))),
        Err(SourceError::Parse(error)) => {
            let source = gotmpl::quote(source.as_bytes());
            Err(FuncError::new(format!("cannot parse template {source}: {error}")))
        }
        Err(SourceError::Exec(error)) => {
            let source = gotmpl::quote(source.as_bytes());
            Err(FuncError::wrap(format!("error during tpl function execution for {source}: "), error))
        }
    }
}

fn required(args: &[Value]) -> Result<Value, FuncError> {
    match &args[1] {
        Value::Nil => Err(give_up(args)),
        Value::String(text) if text.is_empty() => Err(give_up(args)),
        value => Ok(value.clone()),
    }
}

fn fail(args: &[Value]) -> Result<Value, FuncError> {
    Err(give_up(args))
}

fn give_up(args: &[Value]) -> FuncError {
    FuncError::failure(text(args, 0).to_lossy())
}

fn lookup(interp: &mut Interp<'_, Host>, args: &[Value]) -> Result<Value, FuncError> {
    let [api_version, kind, namespace, name] = [0, 1, 2, 3].map(|index| text(args, index));
    let found = interp.host.lookup(&api_version.to_lossy(), &kind.to_lossy(), &namespace.to_lossy(), &name.to_lossy());
    found.map(|object| object_value(&object)).map_err(|error| FuncError::new(error.to_string()))
}

/// An object of the cluster, whose whole numbers are int64 as in Kubernetes' own decoding.
fn object_value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => {
            number.as_i64().map_or_else(|| Value::Float64(number.as_f64().unwrap_or_default()), Value::Int64)
        }
        serde_json::Value::String(text) => Value::string(text.as_str()),
        serde_json::Value::Array(items) => List::any(items.iter().map(object_value).collect()).into(),
        serde_json::Value::Object(fields) => {
            let entries = fields.iter().map(|(name, value)| (name.as_str().into(), object_value(value)));
            Map::any(entries.collect()).into()
        }
    }
}

fn as_map(args: &[Value]) -> Value {
    receiver(args).retyped(gotmpl::MapType::Any).into()
}

fn to_yaml(args: &[Value]) -> Value {
    Value::string(yaml::emit(&receiver(args).into()))
}

fn table(args: &[Value]) -> Result<Value, FuncError> {
    let path = text(args, 1);
    let path = path.to_lossy();
    match table_at(&receiver(args), &path) {
        Some(table) => Ok(table.retyped(VALUES_TYPE).into()),
        None => Err(FuncError::new(format!("{:?} is not a table", first_missing(&receiver(args), &path)))),
    }
}

/// The first element of a path that is no table.
fn first_missing<'p>(values: &Map, path: &'p str) -> &'p str {
    let ends = path.match_indices('.').map(|(dot, _)| dot).chain([path.len()]);
    let missing = ends.into_iter().find(|end| table_at(values, &path[..*end]).is_none());
    let upto = &path[..missing.unwrap_or(path.len())];
    upto.rsplit('.').next().unwrap_or(upto)
}

fn path_value(args: &[Value]) -> Result<Value, FuncError> {
    let path = text(args, 1);
    let path = path.to_lossy();
    if path.is_empty() {
        return Err(FuncError::new("YAML path cannot be empty"));
    }
    let key = path.rsplit('.').next().unwrap_or(&path);
    scalar(&receiver(args), &path).ok_or_else(|| FuncError::new(format!("{key:?} is not a value")))
}
