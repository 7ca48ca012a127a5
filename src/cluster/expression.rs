//! Expressions in CEL over objects, such as `status.phase == 'Ready'`: compiled once, and bounded in what they cost. Pure.
//!
//! The interpreter cannot be interrupted, so what is compiled pays as it goes, out of a budget (`cost`): a loop, before it begins, for
//! its range and for each run of its body; a call, a list and a map for what they are given. What is left without a loop is
//! bounded by the length of the expression. Parsing recurses deeper than a worker's stack allows, and has a thread of its own.

mod cost;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::common::types::{CelInt, DYN_TYPE, STRING_TYPE};
use cel::objects::{Key, Map};
use cel::{Context, Env, ExecutionError, ParseErrors, Value};
use serde_json::Value as Json;

/// The longest text, in bytes.
const LONGEST: usize = 2048;

/// How deep an expression may be nested, a chain of calls or operators included.
const DEEPEST: usize = 32;

/// The stack on which a text is parsed: enough for the deepest that fits into it.
const STACK: usize = 256 << 20;

/// Functions that may be called, in both ways, and how: those of the language, of its optional values and of its strings.
const FUNCTIONS: [&str; 29] = [
    "bool",
    "bytes",
    "charAt",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "hasValue",
    "indexOf",
    "int",
    "join",
    "lastIndexOf",
    "lowerAscii",
    "matches",
    "none",
    "of",
    "ofNonZeroValue",
    "or",
    "orValue",
    "size",
    "split",
    "startsWith",
    "string",
    "substring",
    "trim",
    "type",
    "uint",
    "upperAscii",
    "value",
];

/// Names that are no variables: types, and where the functions of optional values are.
const NAMES: [&str; 11] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "optional", "string", "type", "uint"];

/// An expression that is true or not.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    program: Arc<IdedExpr>,
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

/// What expressions are evaluated on.
pub struct Input(Context<'static, 'static>);

impl Expression {
    /// Reads a text that speaks of `variables`; of any, where none are named.
    pub fn compile(text: &str, variables: &[&str]) -> Result<Self, Malformed> {
        if text.len() > LONGEST {
            return Err(Malformed(format!("it is longer than {LONGEST} bytes")));
        }
        let compile = || {
            let mut program = ENV.parser().parse(text).map_err(|errors| Malformed(first(&errors)))?;
            Meter { variables, scope: Vec::new() }.expression(&mut program, 0).map_err(Malformed)?;
            Ok(program)
        };
        let parsed = std::thread::scope(|scope| {
            let parser = std::thread::Builder::new().stack_size(STACK);
            let thread = parser.spawn_scoped(scope, || catch_unwind(AssertUnwindSafe(compile)));
            thread.ok()?.join().ok()?.ok()
        });
        let program = parsed.unwrap_or_else(|| Err(Malformed("the parser broke off on it".to_owned())))?;
        Ok(Self { text: text.into(), program: Arc::new(program) })
    }

    /// Whether it is true of `input`; or why that cannot be told, in words that quote nothing of the input.
    pub fn is_true(&self, input: &Input) -> Result<bool, String> {
        cost::begin();
        let evaluated = catch_unwind(AssertUnwindSafe(|| Value::resolve(&self.program, &input.0)));
        let is_exhausted = cost::end();
        match evaluated {
            Ok(Ok(Value::Bool(answer))) => Ok(answer),
            Ok(Ok(_)) => Err("it is neither true nor false".to_owned()),
            Ok(Err(_)) if is_exhausted => Err("it takes too many steps on an object of this size".to_owned()),
            Ok(Err(error)) => Err(words(&error, &self.text)),
            Err(_) => Err("its evaluation broke off".to_owned()),
        }
    }
}

impl Input {
    /// Variables, each with what it is.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a Json)>) -> Self {
        let mut context = Context::with_env(Arc::clone(&ENV));
        for (name, content) in variables {
            context.add_variable_from_value(name, value(content));
        }
        Self(context)
    }
}

/// By its text, as which it is declared.
impl Ord for Expression {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialOrd for Expression {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

/// The language, and what makes it pay.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    // Each of them fails only where the name is taken already, and then a test does.
    let declared = [
        env.add_extension(cel::extensions::strings),
        env.add_overload("@use", "@use", vec![DYN_TYPE], cost::used),
        env.add_overload("@loop", "@loop", vec![DYN_TYPE, DYN_TYPE], cost::looped),
        env.add_overload("@sought", "@sought", vec![DYN_TYPE], cost::sought),
        env.add_overload("@matches", "@matches", vec![STRING_TYPE, STRING_TYPE], cost::matched),
    ];
    debug_assert!(declared.iter().all(Result::is_ok), "{declared:?}");
    Arc::new(env)
});

/// Makes an expression pay, and refuses what it may not say.
struct Meter<'a> {
    variables: &'a [&'a str],
    /// The variables of the loops around.
    scope: Vec<String>,
}

impl Meter<'_> {
    /// The steps that an expression takes at most, without the bodies of its loops.
    fn expression(&mut self, expression: &mut IdedExpr, depth: usize) -> Result<i64, String> {
        if depth > DEEPEST {
            return Err(format!("it is nested more than {DEEPEST} levels deep"));
        }
        let depth = depth + 1;
        Ok(1 + match &mut expression.expr {
            Expr::Literal(_) => 0,
            Expr::Ident(name) => self.name(name)?,
            Expr::Select(select) => self.expression(&mut select.operand, depth)?,
            Expr::List(list) => self.all_used(&mut list.elements, depth)?,
            Expr::Map(map) => {
                let mut steps = 0;
                for entry in &mut map.entries {
                    let EntryExpr::MapEntry(entry) = &mut entry.expr else { return Err(no_messages()) };
                    steps += self.used(&mut entry.key, depth)? + self.used(&mut entry.value, depth)?;
                }
                steps
            }
            Expr::Call(call) => {
                let (steps, copies) = self.call(call, depth)?;
                if copies {
                    use_it(expression);
                }
                steps
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth)?,
            Expr::Struct(_) | Expr::Unspecified => return Err(no_messages()),
        })
    }

    fn name(&self, name: &str) -> Result<i64, String> {
        let is_known = self.variables.is_empty()
            || self.variables.contains(&name)
            || NAMES.contains(&name)
            || self.scope.iter().any(|bound| bound == name);
        if is_known { Ok(0) } else { Err(format!("{name} is none of {}", self.variables.join(", "))) }
    }

    /// The steps of a call, and whether it makes a copy of what it returns.
    fn call(&mut self, call: &mut CallExpr, depth: usize) -> Result<(i64, bool), String> {
        use operators as op;
        let name = call.func_name.as_str();
        let is_plain =
            [op::LOGICAL_AND, op::LOGICAL_OR, op::CONDITIONAL, op::LOGICAL_NOT, op::NOT_STRICTLY_FALSE, op::INDEX]
                .contains(&name);
        let copies = [op::OPT_INDEX, op::OPT_SELECT].contains(&name);
        let is_accumulated =
            matches!(call.args.first(), Some(IdedExpr { expr: Expr::Ident(name), .. }) if name.starts_with('@'));
        if is_plain || copies || is_accumulated {
            let is_index = [op::INDEX, op::OPT_INDEX].contains(&name);
            let mut steps = 0;
            for (at, argument) in call.args.iter_mut().enumerate() {
                // A key is compared with those that are there, however long it is.
                let is_key = is_index && at == 1;
                steps += if is_key { self.used(argument, depth)? } else { self.expression(argument, depth)? };
            }
            return Ok((steps, copies));
        }
        let is_operator = name.starts_with('_') || name.starts_with('@') || name == op::NEGATE;
        if !is_operator && !FUNCTIONS.contains(&name) {
            return Err(format!("there is no function {name}()"));
        }
        let mut steps = self.all_used(&mut call.args, depth)?;
        match &mut call.target {
            // A name, no value.
            Some(target) if matches!(&target.expr, Expr::Ident(name) if name == "optional") => {}
            Some(target) => steps += self.used(target, depth)?,
            None => {}
        }
        match call.func_name.as_str() {
            "matches" => {
                if let Some(Expr::Literal(LiteralValue::String(pattern))) = call.args.last().map(|last| &last.expr) {
                    cost::check(pattern.inner())?;
                }
                "@matches".clone_into(&mut call.func_name);
                call.args.splice(0..0, call.target.take().map(|target| *target));
            }
            "indexOf" | "lastIndexOf" => call.args.first_mut().into_iter().for_each(|it| wrap(it, "@sought", None)),
            _ => {}
        }
        Ok((steps, false))
    }

    fn comprehension(&mut self, it: &mut ComprehensionExpr, depth: usize) -> Result<i64, String> {
        let range = self.expression(&mut it.iter_range, depth)? + self.expression(&mut it.accu_init, depth)?;
        let bound = self.scope.len();
        self.scope.extend([&it.iter_var, &it.accu_var].into_iter().chain(&it.iter_var2).cloned());
        let body = self.expression(&mut it.loop_cond, depth)? + self.expression(&mut it.loop_step, depth)?;
        let result = self.expression(&mut it.result, depth)?;
        self.scope.truncate(bound);
        let steps = IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::Int(CelInt::from(body))) };
        wrap(&mut it.iter_range, "@loop", Some(steps));
        Ok(range + result)
    }

    fn all_used(&mut self, expressions: &mut [IdedExpr], depth: usize) -> Result<i64, String> {
        expressions.iter_mut().try_fold(0, |sum, it| Ok(sum + self.used(it, depth)?))
    }

    fn used(&mut self, expression: &mut IdedExpr, depth: usize) -> Result<i64, String> {
        let steps = self.expression(expression, depth)?;
        if !matches!(expression.expr, Expr::Literal(_)) {
            use_it(expression);
        }
        Ok(steps)
    }
}

fn use_it(expression: &mut IdedExpr) {
    wrap(expression, "@use", None);
}

/// Makes an expression the first argument of a call.
fn wrap(expression: &mut IdedExpr, function: &str, second: Option<IdedExpr>) {
    let inner = std::mem::take(expression);
    let args = std::iter::once(inner).chain(second).collect();
    expression.expr = Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args });
}

fn no_messages() -> String {
    "messages cannot be made".to_owned()
}

/// The first thing that is wrong with a text, and where.
fn first(errors: &ParseErrors) -> String {
    let syntax = errors.errors.iter().find(|error| error.msg.starts_with("Syntax error"));
    let Some(error) = syntax.or_else(|| errors.errors.first()) else { return "it is no expression".to_owned() };
    let what = error.msg.strip_prefix("Syntax error: ").unwrap_or(&error.msg);
    // Of what could stand there instead there are too many to be told.
    let what = what.split(" expecting {").next().unwrap_or(what);
    if what.contains("Recursion limit") {
        return "it is nested too deeply".to_owned();
    }
    format!("line {}, column {}: {what}", error.pos.0, error.pos.1)
}

/// Why an expression cannot be evaluated. What it quotes of its input is left out: that may be a Secret.
fn words(error: &ExecutionError, expression: &str) -> String {
    match error {
        ExecutionError::NoSuchKey(name) if expression.contains(name.as_str()) => format!("there is no field {name:?}"),
        // Its name is a value of the object.
        ExecutionError::NoSuchKey(_) => "there is no field of a name that it computes".to_owned(),
        ExecutionError::UndeclaredReference(name) => format!("there is no {name:?}"),
        ExecutionError::NoSuchOverload(types) => types.to_string(),
        ExecutionError::UnexpectedType { want, .. } => format!("something in it is no {want}"),
        ExecutionError::FunctionError { function, .. } => format!("{function}() fails"),
        ExecutionError::UnsupportedBinaryOperator(operator, ..) => format!("two values of it have no {operator:?}"),
        ExecutionError::IndexOutOfBounds(_) => "an index is out of bounds".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "something is divided by zero".to_owned()
        }
        ExecutionError::ValuesNotComparable(..) => "it compares values that cannot be compared".to_owned(),
        _ => "it cannot be evaluated".to_owned(),
    }
}

fn value(content: &Json) -> Value {
    match content {
        Json::Null => Value::Null,
        Json::Bool(it) => Value::Bool(*it),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::UInt(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(value).collect())),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, content)| (Key::String(Arc::new(name.clone())), value(content)));
            Value::Map(Map { map: Arc::new(fields.collect::<HashMap<_, _>>()) })
        }
    }
}

#[cfg(test)]
mod tests;
