//! How a host offers functions to templates.
//!
//! A function declares Go parameter types; the evaluator checks and converts arguments as Go's
//! reflection does (with Go's error texts) before the call, so a function may rely on them.
//! Names are resolved once, while parsing, to a [`FunctionId`]: an unknown name is a parse error, as in Go.

use std::sync::Arc;

use crate::builtin::{self, Builtin};
use crate::error::FuncError;
use crate::interp::Interp;
use crate::value::Value;

/// A Go parameter type, as far as Helm's functions use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`
    Any,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `uint32`: no value has this type, so only constants can be given; they arrive as [`Value::Uint64`].
    Uint32,
    /// `float64`
    Float64,
    /// `string`
    String,
    /// `[]string`
    Strings,
    /// `[]interface {}`
    List,
    /// `map[string]interface {}`
    Map,
    /// Any other Go type, named as `%T` prints it: `time.Time`, `*semver.Version`.
    Named(&'static str),
    /// A named Go type made of an `int64`: constants can be given too, and arrive as [`Value::Int64`].
    NamedInt64(&'static str),
}

impl Type {
    /// The type as Go prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Uint32 => "uint32",
            Self::Float64 => "float64",
            Self::String => "string",
            Self::Strings => "[]string",
            Self::List => "[]interface {}",
            Self::Map => "map[string]interface {}",
            Self::Named(name) | Self::NamedInt64(name) => name,
        }
    }

    /// Whether `nil` is a value of this type.
    pub(crate) fn can_be_nil(self) -> bool {
        match self {
            Self::Any | Self::Strings | Self::List | Self::Map => true,
            Self::Named(name) => name.starts_with(['*', '[']) || name.starts_with("map["),
            Self::Bool
            | Self::Int
            | Self::Int64
            | Self::NamedInt64(_)
            | Self::Uint32
            | Self::Float64
            | Self::String => false,
        }
    }
}

/// The parameters of a function or method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The parameter types in order.
    pub params: &'static [Type],
    /// Whether the last parameter is Go's `...T`: it takes zero or more arguments.
    pub variadic: bool,
}

impl Signature {
    /// How many arguments must at least be given.
    pub(crate) fn fixed(&self) -> usize {
        self.params.len() - usize::from(self.variadic)
    }

    /// The type the argument at `index` must have.
    pub(crate) fn param(&self, index: usize) -> Type {
        let last = self.params.last().copied().unwrap_or(Type::Any);
        self.params.get(index).copied().unwrap_or(last)
    }
}

/// How much of its arguments a function looks at, for which it is charged before it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The arguments, and the items of a list.
    Shallow,
    /// All that they contain: to print it, or to compare it. What nests too deeply for that is not given to it.
    Deep,
    /// All that they contain, as deeply as it looks itself.
    Document,
    /// All that they contain, and makes as much of its own.
    Copy,
    /// As [`Reach::Copy`], but for the first, of which it only looks at what the others have too.
    CopyOthers,
}

/// The body of a function that adds to a list.
pub type Extend = fn(Vec<Value>) -> Result<Value, FuncError>;

/// What a function's body looks like.
pub enum Call<H> {
    /// It depends on its arguments alone.
    Pure(fn(&[Value]) -> Result<Value, FuncError>),
    /// As [`Call::Pure`], and its first argument is a list to whose end it adds: it takes that apart if nobody else
    /// holds it, and is charged for what it adds.
    Extend(Extend),
    /// It uses the host or runs templates (`include`, `tpl`, `lookup`, `now`, `randAlpha`).
    Host(fn(&mut Interp<'_, H>, &[Value]) -> Result<Value, FuncError>),
}

impl<H> Clone for Call<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Call<H> {}

/// One function of a template, in a static table of the host.
///
/// A name of the form `TYPE.METHOD`, such as `common.Values.AsMap`, makes it a method of the named map
/// type TYPE ([`crate::MapType::Named`]): its first parameter is then the receiver.
pub struct Function<H> {
    /// Its name in templates.
    pub name: &'static str,
    /// Its parameters; if `variadic`, the last one repeats (zero or more times).
    pub params: &'static [Type],
    /// Whether the last parameter is Go's `...T`.
    pub variadic: bool,
    /// How much of its arguments it looks at.
    pub reach: Reach,
    /// Its body.
    pub call: Call<H>,
}

impl<H> Function<H> {
    /// Its parameters.
    pub fn signature(&self) -> Signature {
        Signature { params: self.params, variadic: self.variadic }
    }
}

impl<H> Clone for Function<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Function<H> {}

/// A function as parsed templates refer to it: its place among the [`FunctionNames`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FunctionId(u32);

/// The names a template may call: the host's and the language's own. All that parsing needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionNames {
    sorted: Vec<&'static str>,
    /// Where in `sorted` the names start whose first byte is not below the index.
    starts: Vec<usize>,
}

impl FunctionNames {
    fn new(sorted: Vec<&'static str>) -> Self {
        let mut starts = vec![0; 257];
        for first in sorted.iter().filter_map(|name| name.bytes().next()) {
            starts[usize::from(first) + 1] += 1;
        }
        for byte in 1..starts.len() {
            starts[byte] += starts[byte - 1];
        }
        Self { sorted, starts }
    }

    pub(crate) fn resolve(&self, name: &[u8]) -> Option<FunctionId> {
        let first = usize::from(*name.first()?);
        let start = self.starts[first];
        let alike = &self.sorted[start..self.starts[first + 1]];
        // There are few, and most have another length.
        let index = alike.iter().position(|known| known.as_bytes() == name)?;
        u32::try_from(start + index).ok().map(FunctionId)
    }
}

/// Something a template can call by name.
pub(crate) enum Callee<'a, H> {
    Builtin(&'static Builtin),
    Host(&'a Function<H>),
}

impl<H> Clone for Callee<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Callee<'_, H> {}

enum Entry<H> {
    Builtin(&'static Builtin),
    Host(Function<H>),
}

impl<H> Clone for Entry<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Entry<H> {}

/// All functions of a host, together with the language's own.
pub struct Functions<H> {
    names: Arc<FunctionNames>,
    /// In the order of `names`.
    entries: Vec<Entry<H>>,
    methods: Vec<Method<H>>,
}

/// A function whose name has two parts.
struct Method<H> {
    owner: &'static str,
    name: &'static str,
    function: Function<H>,
}

/// The first bytes of a name as a number that is ordered like them.
fn leading(name: &str) -> u64 {
    let mut bytes = [0; 8];
    for (byte, of_name) in bytes.iter_mut().zip(name.bytes()) {
        *byte = of_name;
    }
    u64::from_be_bytes(bytes)
}

impl<H> Functions<H> {
    /// The builtins of the language, overridden and extended by `tables`; a later function of the same
    /// name wins.
    pub fn new(tables: &[&[Function<H>]]) -> Self {
        let mut given: Vec<_> = builtin::TABLE.iter().map(|builtin| (builtin.name, Entry::Builtin(builtin))).collect();
        let mut methods = Vec::new();
        for function in tables.iter().copied().flatten() {
            match function.name.rsplit_once('.') {
                Some((owner, name)) => methods.push(Method { owner, name, function: *function }),
                None => given.push((function.name, Entry::Host(*function))),
            }
        }
        // A process that renders once feels how long this takes.
        let mut order: Vec<_> =
            given.iter().enumerate().map(|(place, (name, _))| (leading(name), *name, place)).collect();
        order.sort_unstable();
        let is_last = |index: &usize| order.get(index + 1).is_none_or(|(_, next, _)| *next != order[*index].1);
        let (names, entries) = (0..order.len()).filter(is_last).map(|index| given[order[index].2]).unzip();
        Self { names: Arc::new(FunctionNames::new(names)), entries, methods }
    }

    /// The names templates must be parsed with to run with these functions.
    pub fn names(&self) -> &Arc<FunctionNames> {
        &self.names
    }

    /// The function `id` stands for, provided that it is the one called `name`: templates parsed with
    /// another host's names never reach a wrong function.
    pub(crate) fn get(&self, id: FunctionId, name: &[u8]) -> Option<Callee<'_, H>> {
        let callee = match self.entries.get(id.0 as usize)? {
            Entry::Builtin(builtin) => Callee::Builtin(builtin),
            Entry::Host(function) => Callee::Host(function),
        };
        (self.names.sorted.get(id.0 as usize)?.as_bytes() == name).then_some(callee)
    }

    /// The method `name` of the named map type `ty`.
    pub(crate) fn method(&self, ty: &str, name: &[u8]) -> Option<&Function<H>> {
        let named = self.methods.iter().filter(|method| method.name.as_bytes() == name);
        named.into_iter().find(|method| method.owner == ty).map(|method| &method.function)
    }
}
