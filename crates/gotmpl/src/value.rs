//! The values templates compute with.
//!
//! They follow Go's reflection model as far as a template can see it: kinds, typed collections,
//! strings that are bytes, and maps shared by reference (a `set` is seen by every holder of the map).
//! Values stay on the thread that renders: they are deliberately neither `Send` nor `Sync`.
//!
//! A template can nest values as deeply as it has steps, and can put a map into itself. Whoever walks a
//! value recursively must bound the depth; dropping one is safe.

use std::cell::{OnceCell, Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::object::Object;

/// A Go string: bytes that are usually, but not always, UTF-8. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str(Arc<[u8]>);

impl Str {
    /// The bytes of the string.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The string as UTF-8, or `None` if it is not.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The string with each invalid byte replaced by U+FFFD, as Go's `range` and JSON encoder see it.
    pub fn to_lossy(&self) -> std::borrow::Cow<'_, str> {
        // Most are valid, which is seen faster than where they are not.
        self.as_str().map_or_else(|| String::from_utf8_lossy(&self.0), std::borrow::Cow::Borrowed)
    }

    /// Length in bytes, as Go's `len`.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody else holds the same bytes.
    pub(crate) fn is_alone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Whether the string has no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Str {
    /// The text, with each invalid byte replaced by U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_lossy())
    }
}

impl std::borrow::Borrow<[u8]> for Str {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<&[u8]> for Str {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Arc<[u8]>> for Str {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Str {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_lossy(), f)
    }
}

/// Go's `reflect.Kind`, for the kinds a template can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No value at all: an untyped nil, or a nil interface.
    Invalid,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `uint8`, the element of a `[]byte`
    Uint8,
    /// `uint64`
    Uint64,
    /// `float64`
    Float64,
    /// `complex128`
    Complex128,
    /// `string`
    String,
    /// Any slice
    Slice,
    /// Any map
    Map,
    /// A struct held by value
    Struct,
    /// A pointer
    Ptr,
    /// A function
    Func,
}

/// One Go value as a template sees it.
#[derive(Clone)]
pub enum Value {
    /// nil: a missing key, a YAML null, an empty interface.
    Nil,
    /// `bool`
    Bool(bool),
    /// `int`: template literals, `len`, `int`.
    Int(i64),
    /// `int64`: what Sprig's arithmetic returns.
    Int64(i64),
    /// `uint8`
    Uint8(u8),
    /// `uint64`
    Uint64(u64),
    /// `float64`: every number that comes from YAML or JSON.
    Float64(f64),
    /// `string`
    String(Str),
    /// A slice
    List(List),
    /// A map
    Map(Map),
    /// A Go type with fields or methods of its own.
    Object(Rc<dyn Object>),
}

/// The static element type of a slice, which `typeOf`, `kindIs` and argument checks can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListType {
    /// `[]interface {}`
    Any,
    /// `[]string`
    String,
    /// `[]int`
    Int,
    /// `[]uint8`
    Byte,
    /// `[][]interface {}`, the result of `chunk`
    List,
    /// `[]map[string]interface {}`
    Map,
}

/// A slice. Immutable once made: Helm's functions copy.
#[derive(Clone)]
pub struct List {
    /// Its element type.
    pub element: ListType,
    items: Rc<Items>,
    nil: bool,
}

/// The items of a slice. Those of a file's bytes are only made if somebody looks at them one by one.
#[derive(Default)]
struct Items {
    bytes: Option<Str>,
    values: OnceCell<Vec<Value>>,
}

impl Items {
    fn values(&self) -> &[Value] {
        self.values.get_or_init(|| {
            let bytes = self.bytes.as_ref().map(Str::as_bytes).unwrap_or_default();
            bytes.iter().map(|byte| Value::Uint8(*byte)).collect()
        })
    }
}

impl List {
    /// A slice of the given element type.
    pub fn new(element: ListType, items: Vec<Value>) -> Self {
        Self { element, items: Rc::new(Items { bytes: None, values: items.into() }), nil: false }
    }

    /// The nil slice of the given element type: empty, prints as `[]`, but JSON and YAML say `null`.
    pub fn nil(element: ListType) -> Self {
        Self { element, items: Rc::default(), nil: true }
    }

    /// Whether this is a nil slice, which only encoders and `deepEqual` tell from an empty one.
    pub fn is_nil(&self) -> bool {
        self.nil
    }

    /// A `[]interface {}`.
    pub fn any(items: Vec<Value>) -> Self {
        Self::new(ListType::Any, items)
    }

    /// A `[]string`.
    pub fn strings<S: Into<Str>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::new(ListType::String, items.into_iter().map(|s| Value::String(s.into())).collect())
    }

    /// A `[]uint8`.
    pub fn bytes(bytes: impl Into<Str>) -> Self {
        let items = Items { bytes: Some(bytes.into()), values: OnceCell::new() };
        Self { element: ListType::Byte, items: Rc::new(items), nil: false }
    }

    /// The bytes it was made of, unless it was made of values.
    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        self.items.bytes.as_ref().map(Str::as_bytes)
    }

    /// The items in order.
    pub fn items(&self) -> &[Value] {
        self.items.values()
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.items.bytes.as_ref().map_or_else(|| self.items().len(), Str::len)
    }

    /// Whether somebody else holds the same items.
    pub(crate) fn is_shared(&self) -> bool {
        Rc::strong_count(&self.items) > 1
    }

    /// The items, which nobody else needs any more; a copy of them if somebody may.
    pub fn take(mut self) -> Vec<Value> {
        match Rc::get_mut(&mut self.items).filter(|items| items.bytes.is_none()) {
            Some(items) => items.values.take().unwrap_or_default(),
            None => self.items().to_vec(),
        }
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a `[]uint8` as a string, Go's conversion; other items are passed over.
    pub fn to_bytes(&self) -> Str {
        let byte = |item: &Value| if let Value::Uint8(byte) = item { Some(*byte) } else { None };
        let spread = || self.items().iter().filter_map(byte).collect::<Vec<u8>>().into();
        self.items.bytes.clone().unwrap_or_else(spread)
    }
}

/// The static type of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapType {
    /// `map[string]interface {}`
    Any,
    /// `map[string]string`: a missing key reads as `""`.
    String,
    /// A named `map[string]interface {}`, such as Helm's `common.Values`; the name as `%T` prints it.
    Named(&'static str),
}

/// A map with string keys, shared by reference like a Go map, iterated in byte order of its keys.
#[derive(Clone)]
pub struct Map {
    /// Its static type.
    pub ty: MapType,
    entries: Rc<RefCell<BTreeMap<Str, Value>>>,
    nil: bool,
}

impl Map {
    /// A new map of the given type.
    pub fn new(ty: MapType, entries: BTreeMap<Str, Value>) -> Self {
        Self { ty, entries: Rc::new(RefCell::new(entries)), nil: false }
    }

    /// The nil map of the given type: reads as empty, JSON and YAML say `null`. Writing to it is an error in Go,
    /// so whoever writes asks [`Map::is_nil`] first.
    pub fn nil(ty: MapType) -> Self {
        Self { ty, entries: Rc::default(), nil: true }
    }

    /// Whether this is a nil map.
    pub fn is_nil(&self) -> bool {
        self.nil
    }

    /// A new `map[string]interface {}`.
    pub fn any(entries: BTreeMap<Str, Value>) -> Self {
        Self::new(MapType::Any, entries)
    }

    /// The entries, for reading. Do not hold the guard while other template code runs.
    pub fn borrow(&self) -> Ref<'_, BTreeMap<Str, Value>> {
        self.entries.borrow()
    }

    /// The entries, for writing. Do not hold the guard while other template code runs.
    pub fn borrow_mut(&self) -> RefMut<'_, BTreeMap<Str, Value>> {
        self.entries.borrow_mut()
    }

    /// The entries, which nobody else needs any more; a copy of them if somebody may.
    pub fn take(mut self) -> BTreeMap<Str, Value> {
        match Rc::get_mut(&mut self.entries) {
            Some(entries) => entries.take(),
            None => self.entries.borrow().clone(),
        }
    }

    /// A copy of the value under `key`, if present.
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        self.entries.borrow().get(key).cloned()
    }

    /// Sets `key` for every holder of this map.
    pub fn insert(&self, key: impl Into<Str>, value: Value) {
        self.entries.borrow_mut().insert(key.into(), value);
    }

    /// Whether somebody else holds the same entries.
    pub(crate) fn is_shared(&self) -> bool {
        Rc::strong_count(&self.entries) > 1
    }

    /// Whether both are the same map, not merely equal ones.
    pub fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.entries, &other.entries)
    }

    /// The same shared entries seen under another static type (a Go conversion).
    #[must_use]
    pub fn retyped(&self, ty: MapType) -> Self {
        Self { ty, entries: Rc::clone(&self.entries), nil: self.nil }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        if let Some(items) = Rc::get_mut(&mut self.items) {
            drop_in_turn(items.values.take().unwrap_or_default());
        }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if let Some(entries) = Rc::get_mut(&mut self.entries) {
            drop_in_turn(std::mem::take(entries.get_mut()).into_values());
        }
    }
}

/// Drops values one after the other instead of each within its collection, where the stack might not do.
fn drop_in_turn(values: impl IntoIterator<Item = Value>) {
    let is_collection = |value: &Value| matches!(value, Value::List(_) | Value::Map(_));
    let mut pending: Vec<Value> = values.into_iter().filter(is_collection).collect();
    while let Some(value) = pending.pop() {
        match value {
            Value::List(mut list) => {
                let items = Rc::get_mut(&mut list.items).and_then(|items| items.values.take()).unwrap_or_default();
                pending.extend(items.into_iter().filter(is_collection));
            }
            Value::Map(mut map) => {
                let entries = Rc::get_mut(&mut map.entries).map(|entries| entries.take()).unwrap_or_default();
                pending.extend(entries.into_values().filter(is_collection));
            }
            _ => {}
        }
    }
}

impl Value {
    /// A string value.
    pub fn string(text: impl Into<Str>) -> Self {
        Self::String(text.into())
    }

    /// The Go kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Nil => Kind::Invalid,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Int64(_) => Kind::Int64,
            Self::Uint8(_) => Kind::Uint8,
            Self::Uint64(_) => Kind::Uint64,
            Self::Float64(_) => Kind::Float64,
            Self::String(_) => Kind::String,
            Self::List(_) => Kind::Slice,
            Self::Map(_) => Kind::Map,
            Self::Object(object) => object.kind(),
        }
    }

    /// Go template truth (`template.IsTrue`): the zero value and empty collections are false.
    pub fn truthy(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(b) => *b,
            Self::Int(n) | Self::Int64(n) => *n != 0,
            Self::Uint8(n) => *n != 0,
            Self::Uint64(n) => *n != 0,
            Self::Float64(n) => *n != 0.0,
            Self::String(s) => !s.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.borrow().is_empty(),
            Self::Object(object) => object.truthy(),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Str> for Value {
    fn from(value: Str) -> Self {
        Self::String(value)
    }
}

impl From<List> for Value {
    fn from(value: List) -> Self {
        Self::List(value)
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Self::Map(value)
    }
}
