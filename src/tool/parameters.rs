//! The parameters of a tool: a JSON Schema, against which the arguments of the model are checked.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::fault::ToolFault;
use super::mask::Masks;
use super::request::MASK;
use super::weight;

/// The longest arguments, in bytes. A larger value would let a model that repeats itself fill requests; a smaller one would
/// refuse long notes.
const MOST_BYTES: usize = 8 * 1024;
/// The most problems that the model is told at once. More would hide those that matter; fewer would cost more attempts.
const MOST_PROBLEMS: usize = 5;
/// The largest compiled pattern, in bytes. A larger value would let one pattern take much memory, and time for long texts.
const PATTERN_BYTES: usize = 64 * 1024;
/// The characters of an idempotency key: 132 bits of the hash, which no two calls of a tool share by chance.
const KEY_CHARS: usize = 22;
/// The longest name of a parameter.
const NAME_CHARS: usize = 64;

/// The parameters of a tool.
#[derive(Debug)]
pub struct Parameters {
    schema: Value,
    validator: Validator,
    private: BTreeSet<String>,
}

impl PartialEq for Parameters {
    fn eq(&self, other: &Self) -> bool {
        self.schema == other.schema && self.private == other.private
    }
}

/// One thing that is wrong with the arguments, in words for the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The argument, as a JSON Pointer (RFC 6901) without the first slash. Empty: all arguments together.
    pub path: String,
    /// What is wrong. It does not quote the value.
    pub reason: String,
    /// The schema that the argument should fit.
    pub right: Value,
}

impl Problem {
    /// The problem as the model reads it.
    #[must_use]
    pub fn json(&self) -> Value {
        let Self { path, reason, right } = self;
        json!({"argument": path, "reason": reason, "right": right})
    }
}

/// Arguments that fit the schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Arguments(Value);

impl Parameters {
    /// Makes parameters of a schema. `private` names the parameters whose values are masked in records.
    ///
    /// # Errors
    /// The schema is not valid, or is not that of an object, or has a parameter that a template could not name.
    pub fn new(schema: Value, private: BTreeSet<String>) -> Result<Self, ToolFault> {
        for name in schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            parameter_name(name)?;
        }
        Self::of_server(schema, private)
    }

    /// Makes parameters of the schema of a server, which may call them what it likes.
    ///
    /// # Errors
    /// The schema is not valid, or is not that of an object.
    pub fn of_server(mut schema: Value, private: BTreeSet<String>) -> Result<Self, ToolFault> {
        let Some(object) = schema.as_object_mut() else { return Err(ToolFault::SchemaNotObject) };
        if object.get("type").and_then(Value::as_str) != Some("object") {
            return Err(ToolFault::SchemaNotObject);
        }
        // The model has no use for the name of the dialect, which costs tokens.
        let dialect = object.remove("$schema");
        object.entry("properties").or_insert_with(|| json!({}));
        // Arguments that nobody asked for would be lost without a word.
        object.entry("additionalProperties").or_insert(Value::Bool(false));
        let validator = validator(&schema, dialect)?;
        Ok(Self { schema, validator, private })
    }

    /// The schema as the model reads it.
    #[must_use]
    pub const fn schema(&self) -> &Value {
        &self.schema
    }

    /// The names of the parameters.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.properties().map(|all| all.keys().cloned().collect()).unwrap_or_default()
    }

    /// The names of the parameters whose values are masked in records.
    #[must_use]
    pub const fn private(&self) -> &BTreeSet<String> {
        &self.private
    }

    fn properties(&self) -> Option<&Map<String, Value>> {
        self.schema.get("properties")?.as_object()
    }

    /// Checks the arguments of the model. No text at all stands for no arguments.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self, text: &str) -> Result<Arguments, Vec<Problem>> {
        let whole =
            |reason: String| vec![Problem { path: String::new(), reason, right: self.schema.clone() }];
        if text.len() > MOST_BYTES {
            return Err(whole(format!("the arguments are longer than {MOST_BYTES} bytes")));
        }
        let text = if text.trim().is_empty() { "{}" } else { text };
        let value: Value = serde_json::from_str(text).map_err(|error| {
            whole(format!("the arguments are not valid JSON (column {})", error.column()))
        })?;
        if !value.is_object() {
            return Err(whole("the arguments must be a JSON object".to_owned()));
        }
        let problems: Vec<_> = self
            .validator
            .iter_errors(&value)
            .take(MOST_PROBLEMS)
            .map(|error| self.problem(&error))
            .collect();
        if problems.is_empty() { Ok(Arguments(value)) } else { Err(problems) }
    }

    fn problem(&self, error: &ValidationError<'_>) -> Problem {
        let pointer = error.instance_path().to_string();
        let path = pointer.trim_start_matches('/').to_owned();
        // The value is not quoted, because it may be private.
        let reason = error.masked_with("this value").to_string();
        let first = path.split('/').next().unwrap_or_default();
        let right = self.properties().and_then(|all| all.get(first)).unwrap_or(&self.schema).clone();
        Problem { path, reason, right }
    }

    /// The problem of an argument that fits the schema and cannot be used where it is needed.
    #[must_use]
    pub fn misfit(&self, name: &str, reason: &str) -> Problem {
        let right = self.properties().and_then(|all| all.get(name)).unwrap_or(&self.schema).clone();
        Problem { path: name.to_owned(), reason: reason.to_owned(), right }
    }

    /// The arguments as records may hold them: private values are masked.
    #[must_use]
    pub fn masked(&self, arguments: &Arguments) -> Value {
        let mut shown = arguments.0.clone();
        for (name, value) in shown.as_object_mut().into_iter().flatten() {
            if self.private.contains(name) {
                *value = Value::from(MASK);
            }
        }
        shown
    }

    /// What takes the private values of these arguments out of a text: their texts and numbers, however deep they lie.
    #[must_use]
    pub fn masks(&self, arguments: &Arguments) -> Masks {
        let members = arguments.0.as_object().into_iter().flatten();
        let private = members.filter(|(name, _)| self.private.contains(*name));
        let mut words = Vec::new();
        let mut left: Vec<&Value> = private.map(|(_, value)| value).collect();
        while let Some(value) = left.pop() {
            match value {
                Value::String(text) => words.push(text.clone()),
                Value::Number(number) => words.push(number.to_string()),
                Value::Array(entries) => left.extend(entries),
                Value::Object(members) => left.extend(members.values()),
                Value::Null | Value::Bool(_) => {}
            }
        }
        Masks::new(words.iter().map(String::as_str))
    }
}

/// What checks arguments. `dialect` is what the schema says of its version (JSON Schema core, section 8.1.1); without it, the
/// version is 2020-12.
fn validator(schema: &Value, dialect: Option<Value>) -> Result<Validator, ToolFault> {
    let wrong = |message: String| ToolFault::Schema { message };
    if !weight::is_light(schema) {
        return Err(wrong(
            "its $ref lead to too many schemas, or back to themselves in several places".to_owned(),
        ));
    }
    let is_known = |uri: &Value| uri.as_str().is_some_and(|uri| uri.contains("json-schema.org/"));
    let mut schema = schema.clone();
    if let Some(dialect) = dialect.filter(is_known) {
        schema["$schema"] = dialect;
    }
    if let Err(error) = jsonschema::meta::validate(&schema) {
        let place = error.instance_path().to_string();
        return Err(wrong(format!("{}: {}", place.trim_start_matches('/'), innermost(&error))));
    }
    jsonschema::options()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES))
        .build(&schema)
        .map_err(|error| wrong(error.to_string()))
}

/// The first of the alternatives that a value does not fit, if there are several: it says more than that none fits.
fn innermost<'e>(error: &'e ValidationError<'e>) -> &'e ValidationError<'e> {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } => {
            context.first().and_then(|one| one.first()).unwrap_or(error)
        }
        _ => error,
    }
}

/// Checks the name of a parameter.
///
/// # Errors
/// A template could not name it as `args.NAME`.
pub fn parameter_name(name: &str) -> Result<(), ToolFault> {
    let is_name = name.len() <= NAME_CHARS
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name { Ok(()) } else { Err(ToolFault::ParameterName { name: name.to_owned() }) }
}

impl Arguments {
    /// The arguments as an object.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.0
    }

    /// The arguments as JSON without white space and with sorted names: equal arguments are equal texts.
    #[must_use]
    pub fn canonical(&self) -> String {
        sorted(&self.0).to_string()
    }

    /// The key that tells a server that two requests are one: the same for each attempt, and for the same arguments in the same
    /// call (draft-ietf-httpapi-idempotency-key-header).
    #[must_use]
    pub fn key(&self, call_id: &str, tool: &str) -> String {
        let mut hash = Sha256::new();
        for part in [call_id, tool, &self.canonical()] {
            hash.update(part);
            // No name of a tool and no call's id has this byte, so the parts cannot be shifted.
            hash.update([0]);
        }
        let mut key = URL_SAFE_NO_PAD.encode(hash.finalize());
        key.truncate(KEY_CHARS);
        key
    }
}

/// The value with sorted names, whatever order the map of serde_json keeps. Whole numbers are written without a decimal point.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(entries) => entries.iter().map(sorted).collect(),
        Value::Object(members) => {
            let mut names: Vec<_> = members.keys().collect();
            names.sort_unstable();
            names.into_iter().map(|name| (name.clone(), sorted(&members[name]))).collect::<Map<_, _>>().into()
        }
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            // 2^53: every whole number below is exact.
            Some(float) if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 => {
                Value::from(float as i64)
            }
            _ => value.clone(),
        },
        other => other.clone(),
    }
}
