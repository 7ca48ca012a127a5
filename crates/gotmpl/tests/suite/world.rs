//! The data and functions of the cases: `oracle/world.go` in Rust.

use std::any::Any;
use std::collections::BTreeMap;
use std::rc::Rc;

use gotmpl::{
    Call, FuncError, Function, Interp, Kind, List, ListType, Map, MapType, Object, Reach, Signature, SourceError, Str,
    Type, Value,
};

/// A map of Go values.
pub(crate) fn map(ty: MapType, entries: &[(&str, Value)]) -> Value {
    let entries: BTreeMap<Str, Value> = entries.iter().map(|(k, v)| (Str::from(*k), v.clone())).collect();
    Value::Map(Map::new(ty, entries))
}

fn any(entries: &[(&str, Value)]) -> Value {
    map(MapType::Any, entries)
}

fn list(items: Vec<Value>) -> Value {
    Value::List(List::any(items))
}

fn text(text: &str) -> Value {
    Value::string(text)
}

fn bytes(text: &str) -> Value {
    Value::List(List::bytes(text))
}

/// A struct with fields and methods.
struct Thing {
    name: &'static str,
}

impl Object for Thing {
    fn type_name(&self) -> &'static str {
        "*main.Thing"
    }
    fn kind(&self) -> Kind {
        Kind::Ptr
    }
    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Name" => Some(text(self.name)),
            "Size" => Some(Value::Int(3)),
            "Nothing" => Some(Value::Nil),
            _ => None,
        }
    }
    fn has_method(&self, name: &str) -> bool {
        matches!(name, "Greet" | "Fail" | "Sum" | "String")
    }
    fn signature(&self, name: &str) -> Option<Signature> {
        match name {
            "Greet" => Some(Signature { params: &[Type::String], variadic: false }),
            "Sum" => Some(Signature { params: &[Type::Int, Type::Int], variadic: true }),
            _ => Some(Signature { params: &[], variadic: false }),
        }
    }
    fn call(&self, name: &str, args: &[Value]) -> Result<Value, FuncError> {
        match (name, args) {
            ("Greet", [Value::String(who)]) => Ok(Value::string(format!("{} greets {who}", self.name))),
            ("Sum", [Value::Int(base), more @ ..]) => Ok(Value::Int(base + int(&length(more)))),
            ("String", []) => Ok(Value::String(self.display())),
            _ => Err(FuncError::new("thing failed")),
        }
    }
    fn display(&self) -> Str {
        format!("thing:{}", self.name).into()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A slice with a method.
struct Names;

impl Object for Names {
    fn type_name(&self) -> &'static str {
        "main.Names"
    }
    fn kind(&self) -> Kind {
        Kind::Slice
    }
    fn has_method(&self, name: &str) -> bool {
        name == "Has"
    }
    fn signature(&self, _name: &str) -> Option<Signature> {
        Some(Signature { params: &[Type::String], variadic: false })
    }
    fn call(&self, _name: &str, args: &[Value]) -> Result<Value, FuncError> {
        Ok(Value::Bool(matches!(args, [Value::String(name)] if matches!(name.as_bytes(), b"v1" | b"apps/v1"))))
    }
    fn underlying(&self) -> Option<Value> {
        Some(Value::List(List::strings(["v1", "apps/v1"])))
    }
    fn display(&self) -> Str {
        "[v1 apps/v1]".into()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A number with text: 90 seconds.
struct Duration;

impl Object for Duration {
    fn type_name(&self) -> &'static str {
        "time.Duration"
    }
    fn kind(&self) -> Kind {
        Kind::Int64
    }
    fn underlying(&self) -> Option<Value> {
        Some(Value::Int64(90_000_000_000))
    }
    fn display(&self) -> Str {
        "1m30s".into()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn values() -> Value {
    map(MapType::Named("main.Values"), &[("x", text("ex")), ("sub", any(&[("y", text("why"))]))])
}

/// The dot of every case.
pub(crate) fn data() -> Value {
    let data = any(&[
        ("nil", Value::Nil),
        ("t", Value::Bool(true)),
        ("f", Value::Bool(false)),
        ("i", Value::Int(17)),
        ("zero", Value::Int(0)),
        ("minus", Value::Int(-3)),
        ("i64", Value::Int64(-5)),
        ("u8", Value::Uint8(7)),
        ("u64", Value::Uint64(9)),
        ("huge", Value::Uint64(1 << 63)),
        ("fl", Value::Float64(2.5)),
        ("one", Value::Float64(1.0)),
        ("mega", Value::Float64(1e6)),
        ("giga", Value::Float64(1.5e9)),
        ("tiny", Value::Float64(0.00001)),
        ("fzero", Value::Float64(0.0)),
        ("s", text("hello")),
        ("empty", text("")),
        ("bad", Value::string(&b"a\xffb"[..])),
        ("wide", text("héé↑")),
        ("markup", text("<a href=\"x\">'&'=\0\t</a>")),
        ("pct", text("%d%")),
        ("lines", text("one\ntwo\n")),
        ("dur", Value::Object(Rc::new(Duration))),
        ("thing", Value::Object(Rc::new(Thing { name: "T" }))),
        ("names", Value::Object(Rc::new(Names))),
        ("values", values()),
    ]);
    if let Value::Map(map) = &data {
        collections(map);
    }
    data
}

fn collections(data: &Map) {
    let mixed = vec![Value::Int(1), text("two"), Value::Nil, Value::Float64(4.5), Value::Bool(true)];
    let numbers = [3, 1, 2].map(Value::Int).to_vec();
    let nested = vec![list(vec![Value::Int(1), Value::Int(2)]), list(vec![])];
    let pair = |name: &str, v| any(&[("n", text(name)), ("v", Value::Int(v))]);
    data.insert("list", list(mixed));
    data.insert("strs", Value::List(List::strings(["x", "y"])));
    data.insert("ints", Value::List(List::new(ListType::Int, numbers)));
    data.insert("raw", bytes("hi"));
    data.insert("elist", list(vec![]));
    data.insert("nillist", Value::List(List::nil(ListType::String)));
    data.insert("nested", list(nested));
    data.insert("maps", list(vec![pair("a", 1), pair("b", 2)]));
    let deep = any(&[("c", text("deep"))]);
    data.insert("map", any(&[("a", Value::Int(1)), ("b", deep), ("n", Value::Nil), ("with-dash", text("d"))]));
    data.insert("emap", any(&[]));
    data.insert("strmap", map(MapType::String, &[("k", text("v"))]));
}

/// The arguments that printf vectors refer to by number.
pub(crate) fn constants() -> Vec<Value> {
    let floats = [
        0.0,
        -0.0,
        1.0,
        -2.5,
        1e6,
        1e20,
        1e21,
        123_456_789.0,
        1e-5,
        0.0001,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        f64::MAX,
        5e-324,
        100_000.0,
        0.1,
        1.0 / 3.0,
    ];
    let mut all = vec![Value::Nil, Value::Bool(true), Value::Bool(false)];
    all.extend([0, 1, -1, 42, -1_234_567, i64::MAX, i64::MIN].map(Value::Int));
    all.extend([Value::Int64(77), Value::Uint8(200), Value::Uint64(u64::MAX), text(""), text("hello")]);
    all.push(Value::string(&b"a\xffb"[..]));
    all.push(text("héé↑\u{a0}\u{200b}"));
    all.push(text("tab\there \"quoted\" `back`"));
    all.push(text("日本語\u{1F600}\x7f"));
    all.extend(floats.map(Value::Float64));
    all.push(list(vec![Value::Int(1), text("two"), Value::Nil, Value::Float64(4.5), Value::Bool(true)]));
    all.push(Value::List(List::strings(["x", "y z"])));
    all.push(Value::List(List::new(ListType::Int, vec![Value::Int(3), Value::Int(-1)])));
    all.push(bytes("hi\0"));
    all.push(list(vec![]));
    all.push(Value::List(List::nil(ListType::String)));
    all.push(any(&[("a", Value::Int(1)), ("b", any(&[("c", text("deep"))])), ("n", Value::Nil)]));
    all.push(map(MapType::String, &[("k", text("v"))]));
    all.extend([any(&[]), values(), Value::Object(Rc::new(Duration))]);
    all.extend([8364, 0x1F600, 0xD800, 0x11_0000].map(Value::Int));
    all.push(Value::Int(i64::from(b'x')));
    all
}

const fn pure(
    name: &'static str,
    params: &'static [Type],
    body: fn(&[Value]) -> Result<Value, FuncError>,
) -> Function<()> {
    Function { name, params, variadic: false, reach: Reach::Shallow, call: Call::Pure(body) }
}

const fn variadic(
    name: &'static str,
    params: &'static [Type],
    body: fn(&[Value]) -> Result<Value, FuncError>,
) -> Function<()> {
    Function { name, params, variadic: true, reach: Reach::Shallow, call: Call::Pure(body) }
}

const fn host(
    name: &'static str,
    params: &'static [Type],
    body: fn(&mut Interp<'_, ()>, &[Value]) -> Result<Value, FuncError>,
) -> Function<()> {
    Function { name, params, variadic: false, reach: Reach::Shallow, call: Call::Host(body) }
}

/// The functions of the cases.
pub(crate) static FUNCTIONS: &[Function<()>] = &[
    host("include", &[Type::String, Type::Any], include),
    host("tpl", &[Type::String, Type::Any], tpl),
    pure("upper", &[Type::String], |args| Ok(text(&string(&args[0]).to_uppercase()))),
    pure("not2", &[Type::Bool], |args| Ok(Value::Bool(!args[0].truthy()))),
    pure("double", &[Type::Int], |args| Ok(Value::Int(2 * int(&args[0])))),
    pure("double64", &[Type::Int64], |args| Ok(Value::Int64(2 * int(&args[0])))),
    pure("half", &[Type::Float64], |args| match args[0] {
        Value::Float64(x) => Ok(Value::Float64(x / 2.0)),
        _ => Err(FuncError::new("not a float")),
    }),
    pure("echo", &[Type::Any], |args| Ok(args[0].clone())),
    pure("pair", &[Type::Any, Type::Any], |args| Ok(Value::String(gotmpl::printf(b"(%v %v)", args)))),
    pure("join", &[Type::String, Type::Strings], |args| Ok(text(&strings(&args[1]).join(&string(&args[0]))))),
    pure("count", &[Type::List], |args| Ok(length(items(&args[0])))),
    pure("size", &[Type::Map], |args| match &args[0] {
        Value::Map(map) => Ok(Value::Int(i64::try_from(map.borrow().len()).expect("small"))),
        _ => Err(FuncError::new("not a map")),
    }),
    variadic("label", &[Type::String, Type::Any], |args| {
        Ok(Value::String(gotmpl::print(&[args[0].clone(), length(&args[1..])])))
    }),
    variadic("tags", &[Type::String], |args| Ok(text(&args.iter().map(string).collect::<Vec<_>>().join("+")))),
    variadic("dict", &[Type::Any], |args| {
        let pairs = args.chunks_exact(2).map(|pair| (gotmpl::display(&pair[0]), pair[1].clone()));
        Ok(Value::Map(Map::any(pairs.collect())))
    }),
    variadic("list", &[Type::Any], |args| Ok(list(args.to_vec()))),
    pure("set", &[Type::Map, Type::String, Type::Any], |args| match args {
        [Value::Map(map), ..] if map.is_nil() => Err(FuncError::new("assignment to entry in nil map")),
        [Value::Map(map), Value::String(key), value] => {
            map.insert(key.clone(), value.clone());
            Ok(args[0].clone())
        }
        _ => Err(FuncError::new("not a map")),
    }),
    pure("typeOf", &[Type::Any], |args| Ok(text(&gotmpl::type_name(&args[0])))),
    pure("answer", &[], |_| Ok(Value::Int(42))),
    pure("null", &[], |_| Ok(Value::Nil)),
    pure("fail", &[Type::String], |args| Err(FuncError::failure(string(&args[0])))),
    pure("wait", &[Type::Named("time.Duration")], |args| Ok(Value::String(gotmpl::display(&args[0])))),
    pure("main.Values.AsMap", &[Type::Map], |args| match &args[0] {
        Value::Map(map) => Ok(Value::Map(map.retyped(MapType::Any))),
        _ => Err(FuncError::new("not a map")),
    }),
    pure("main.Values.Pick", &[Type::Map, Type::String], |args| match args {
        [Value::Map(map), Value::String(name)] => map
            .get(name.as_bytes())
            .ok_or_else(|| FuncError::new(format!("no value {}", gotmpl::quote(name.as_bytes())))),
        _ => Err(FuncError::new("not a map")),
    }),
];

fn include(interp: &mut Interp<'_, ()>, args: &[Value]) -> Result<Value, FuncError> {
    let mut out = Vec::new();
    interp.execute(string(&args[0]).as_bytes(), &args[1], &mut out)?;
    Ok(Value::String(out.into()))
}

fn tpl(interp: &mut Interp<'_, ()>, args: &[Value]) -> Result<Value, FuncError> {
    let source = string(&args[0]);
    let quoted = gotmpl::quote(source.as_bytes());
    let mut out = Vec::new();
    match interp.execute_source(source.as_bytes(), &args[1], &mut out) {
        Ok(()) => Ok(Value::String(out.into())),
        Err(SourceError::Parse(error)) => Err(FuncError::new(format!("cannot parse template {quoted}: {error}"))),
        Err(SourceError::Exec(error)) => {
            Err(FuncError::wrap(format!("error during tpl function execution for {quoted}: "), error))
        }
    }
}

fn string(value: &Value) -> String {
    gotmpl::display(value).to_string()
}

fn strings(value: &Value) -> Vec<String> {
    items(value).iter().map(string).collect()
}

fn items(value: &Value) -> &[Value] {
    if let Value::List(list) = value { list.items() } else { &[] }
}

fn int(value: &Value) -> i64 {
    if let Value::Int(n) | Value::Int64(n) = value { *n } else { 0 }
}

fn length(items: &[Value]) -> Value {
    Value::Int(i64::try_from(items.len()).expect("small"))
}
