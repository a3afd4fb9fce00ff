//! Validates a JSON value against a documented form and finds the first error, in the words of the real
//! server.
//!
//! This module knows no event and no field: those are the tables of [`schema`](super::schema). The order of
//! the checks is: the `type` tag, missing fields, unknown fields, then each field in alphabetical order. The
//! order of the real server is not known; like the real server, this module reports one error at a time.

use serde_json::{Map, Value};

/// Why an event was refused: the content of an `error` event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) code: Option<&'static str>,
    pub(super) message: String,
    pub(super) param: Option<String>,
}

impl Rejection {
    pub(super) fn new(code: &'static str, message: impl Into<String>, param: Option<&str>) -> Self {
        Self { code: Some(code), message: message.into(), param: param.map(str::to_owned) }
    }

    pub(super) fn missing(path: &str) -> Self {
        Self::new("missing_required_parameter", format!("Missing required parameter: '{path}'."), Some(path))
    }

    pub(super) fn unknown(path: &str) -> Self {
        Self::new("unknown_parameter", format!("Unknown parameter: '{path}'."), Some(path))
    }

    pub(super) fn value(path: &str, got: &str, allowed: &[&str]) -> Self {
        let message = format!("Invalid value: '{got}'. Supported values are: {}.", list(allowed));
        Self::new("invalid_value", message, Some(path))
    }

    pub(super) fn kind(path: &str, wanted: &str, got: &Value) -> Self {
        let message =
            format!("Invalid type for '{path}': expected {wanted}, but got {} instead.", kind_of(got));
        Self::new("invalid_type", message, Some(path))
    }

    fn range(path: &str, noun: &str, above: bool, bound: &str, got: &str) -> Self {
        let (side, sign) = if above { ("above maximum", "<=") } else { ("below minimum", ">=") };
        let code = match (noun, above) {
            ("integer", false) => "integer_below_min_value",
            ("integer", true) => "integer_above_max_value",
            (_, false) => "decimal_below_min_value",
            (_, true) => "decimal_above_max_value",
        };
        let message = format!(
            "Invalid '{path}': {noun} {side} value. Expected a value {sign} {bound}, but got {got} instead."
        );
        Self::new(code, message, Some(path))
    }
}

/// The form that a value must have.
pub(super) enum Shape {
    /// A string with at most this many characters.
    Text(usize),
    Bool,
    Int(i64, i64),
    Num(f64, f64),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// One of these strings, or a value of another form.
    OneOfOr(&'static [&'static str], &'static Self),
    /// An object with these fields and no others.
    Object(&'static [Field]),
    /// An object whose `type` decides its other fields.
    Tagged(&'static [(&'static str, &'static [Field])]),
    List(&'static Self),
    /// An object of any kind, such as a JSON schema.
    AnyObject,
    /// A value that is validated elsewhere.
    Any,
    /// A value with a rule of its own.
    Rule(fn(&Value, &str) -> Result<(), Rejection>),
}

/// One field of an object.
pub(super) struct Field {
    name: &'static str,
    shape: Shape,
    required: bool,
    nullable: bool,
}

/// A field that may be absent.
pub(super) const fn opt(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false, nullable: false }
}

/// A field that may be absent or null.
pub(super) const fn nul(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false, nullable: true }
}

/// A required field.
pub(super) const fn req(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true, nullable: false }
}

/// Validates `value`, found at `path`, against `shape`.
pub(super) fn check(shape: &Shape, value: &Value, path: &str) -> Result<(), Rejection> {
    match shape {
        Shape::Any => Ok(()),
        Shape::Rule(rule) => rule(value, path),
        Shape::AnyObject => {
            value.as_object().map(|_| ()).ok_or_else(|| Rejection::kind(path, "an object", value))
        }
        Shape::Bool => value.as_bool().map(|_| ()).ok_or_else(|| Rejection::kind(path, "a boolean", value)),
        Shape::Text(longest) => check_text(value, path, *longest),
        Shape::Int(min, max) => check_int(value, path, *min, *max),
        Shape::Num(min, max) => check_num(value, path, *min, *max),
        Shape::OneOf(words) => check_word(value, path, words),
        Shape::OneOfOr(words, _) if value.is_string() => check_word(value, path, words),
        Shape::OneOfOr(_, other) => check(other, value, path),
        Shape::Object(fields) => check_fields(object(value, path)?, fields, path, false),
        Shape::Tagged(variants) => {
            let map = object(value, path)?;
            let tag_path = join(path, "type");
            let tag = map.get("type").ok_or_else(|| Rejection::missing(&tag_path))?;
            let tag = tag.as_str().ok_or_else(|| Rejection::kind(&tag_path, "a string", tag))?;
            let names: Vec<&str> = variants.iter().map(|(name, _)| *name).collect();
            let (_, fields) = variants
                .iter()
                .find(|(name, _)| *name == tag)
                .ok_or_else(|| Rejection::value(&tag_path, tag, &names))?;
            check_fields(map, fields, path, true)
        }
        Shape::List(each) => {
            let values = value.as_array().ok_or_else(|| Rejection::kind(path, "an array", value))?;
            values.iter().enumerate().try_for_each(|(n, value)| check(each, value, &format!("{path}[{n}]")))
        }
    }
}

fn check_fields(
    map: &Map<String, Value>,
    fields: &[Field],
    path: &str,
    tagged: bool,
) -> Result<(), Rejection> {
    if let Some(field) = fields.iter().find(|field| field.required && !map.contains_key(field.name)) {
        return Err(Rejection::missing(&join(path, field.name)));
    }
    let known = |key: &str| (tagged && key == "type") || fields.iter().any(|field| field.name == key);
    if let Some(key) = map.keys().find(|key| !known(key)) {
        return Err(Rejection::unknown(&join(path, key)));
    }
    for (key, value) in map {
        let Some(field) = fields.iter().find(|field| field.name == key) else { continue };
        if !(value.is_null() && field.nullable) {
            check(&field.shape, value, &join(path, key))?;
        }
    }
    Ok(())
}

fn check_text(value: &Value, path: &str, longest: usize) -> Result<(), Rejection> {
    let text = value.as_str().ok_or_else(|| Rejection::kind(path, "a string", value))?;
    let length = text.chars().count();
    if length > longest {
        let message = format!(
            "Invalid '{path}': string too long. Expected a string with maximum length {longest}, but got a string with length {length} instead."
        );
        return Err(Rejection::new("string_above_max_length", message, Some(path)));
    }
    Ok(())
}

fn check_word(value: &Value, path: &str, words: &[&str]) -> Result<(), Rejection> {
    let word = value.as_str().ok_or_else(|| Rejection::kind(path, "a string", value))?;
    if words.contains(&word) { Ok(()) } else { Err(Rejection::value(path, word, words)) }
}

fn check_int(value: &Value, path: &str, min: i64, max: i64) -> Result<(), Rejection> {
    let n = value.as_i64().ok_or_else(|| Rejection::kind(path, "an integer", value))?;
    if n < min {
        return Err(Rejection::range(path, "integer", false, &min.to_string(), &n.to_string()));
    }
    if n > max {
        return Err(Rejection::range(path, "integer", true, &max.to_string(), &n.to_string()));
    }
    Ok(())
}

fn check_num(value: &Value, path: &str, min: f64, max: f64) -> Result<(), Rejection> {
    let n = value.as_f64().ok_or_else(|| Rejection::kind(path, "a decimal", value))?;
    if n < min {
        return Err(Rejection::range(path, "decimal", false, &min.to_string(), &n.to_string()));
    }
    if n > max {
        return Err(Rejection::range(path, "decimal", true, &max.to_string(), &n.to_string()));
    }
    Ok(())
}

fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Map<String, Value>, Rejection> {
    value.as_object().ok_or_else(|| Rejection::kind(path, "an object", value))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("'{only}'"),
        [first, second] => format!("'{first}' and '{second}'"),
        [rest @ .., last] => {
            let rest: Vec<String> = rest.iter().map(|word| format!("'{word}'")).collect();
            format!("{}, and '{last}'", rest.join(", "))
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(n) if n.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
