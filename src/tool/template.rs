//! Templates: texts with values in them, in the language of Jinja.
//!
//! A text that is exactly one `{{ … }}` keeps the type of its value: a number stays a number, a list stays a list. Every other
//! text becomes a text. A value is never read as a template again, so what a caller says, or a server answers, stays data.
//!
//! A template sees only the names that its [`Scope`] holds. What must not reach a place, such as a secret in a URL, is not in
//! the scope there.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use minijinja::value::{Serde, Value as Inner};
use minijinja::{Environment, Error, ErrorKind, Expression, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value;

use super::{code, filters};

/// The steps that one template may take. A larger value would let a loop over a long answer hold a thread; a smaller one would
/// refuse to map lists of some hundred entries.
const FUEL: u64 = 100_000;
/// The longest text that a template may make, in bytes. A larger value would let one template fill the memory; a smaller one
/// would refuse some documents.
const MOST_BYTES: usize = 256 * 1024;

/// The longest piece of code in a template, in bytes. With more, an expression could be nested more deeply than the stack of a
/// thread allows; with less, long mappings would not fit.
const MOST_CODE_BYTES: usize = 1_000;
/// The most pieces of code in a template. More would make a file that takes seconds to read.
const MOST_PIECES: usize = 500;
/// The most entries of lists and tables in a value, those of inner ones included. More would let a list that repeats itself fill the
/// memory; fewer would refuse lists of some thousand entries.
const MOST_ENTRIES: usize = 200_000;
/// The most lists and tables within each other.
const MOST_LEVELS: usize = 100;

/// What all templates know: the filters, and how missing values are treated.
static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    // An unknown value may be asked for (`if lookup.customer`), and is a fault where its text would be used.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_fuel(Some(FUEL));
    // `debug` would print all values.
    environment.remove_global("debug");
    filters::add(&mut environment);
    environment
});

/// A text with templates, checked when it was made.
#[derive(Debug)]
pub struct Template {
    source: String,
    names: BTreeSet<String>,
    kind: Kind,
}

/// What becomes of the text.
enum Kind {
    /// There is no template in it.
    Fixed,
    /// It is one expression, which keeps its type.
    Typed(Expression<'static, 'static>),
    /// It becomes a text.
    Text,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fixed => "Fixed",
            Self::Typed(_) => "Typed",
            Self::Text => "Text",
        })
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// The text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateFault {
    /// Where in the text, in bytes.
    pub at: usize,
    /// What is wrong, in the words of the language.
    pub message: String,
}

/// Why a template has no value for this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A value in it is missing.
    #[error("a value is missing")]
    Missing,
    /// The values do not fit what the template does with them.
    #[error("the values do not fit")]
    Unfit,
    /// The template takes too many steps or makes too long a text.
    #[error("the template does too much")]
    TooMuch,
}

/// The values that a template may use.
#[derive(Clone, Debug, Default)]
pub struct Scope(Vec<(&'static str, Inner)>);

impl Scope {
    /// The same scope with one more name.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &impl Serialize) -> Self {
        self.0.push((name, Inner::from(Serde(value))));
        self
    }

    fn context(&self) -> Inner {
        Inner::from_pairs(self.0.iter().map(|(name, value)| (*name, value.clone())))
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// The syntax is wrong, or a filter does not exist.
    pub fn new(source: &str) -> Result<Self, TemplateFault> {
        if !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark)) {
            return Ok(Self { source: source.to_owned(), names: BTreeSet::new(), kind: Kind::Fixed });
        }
        let mut pieces = code::pieces(source).into_iter().filter_map(|(at, piece)| match piece {
            code::Piece::Value(code) | code::Piece::Other(code) if !code.starts_with("{#") => {
                Some((at, code))
            }
            _ => None,
        });
        if let Some((at, _)) = pieces.clone().nth(MOST_PIECES) {
            let message = format!("there are more than {MOST_PIECES} templates in one text");
            return Err(TemplateFault { at, message });
        }
        if let Some((at, _)) = pieces.find(|(_, code)| code.len() > MOST_CODE_BYTES) {
            let message = format!("a template has more than {MOST_CODE_BYTES} characters");
            return Err(TemplateFault { at, message });
        }
        let fault = |error: &Error| TemplateFault {
            at: error.range().map_or(0, |range| range.start).min(source.len()),
            message: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
        };
        let names = {
            let template = LANGUAGE.template_from_named_str("text", source).map_err(|error| fault(&error))?;
            template.undeclared_variables(true)
        };
        let is_own = |name: &String| {
            let root = name.split('.').next().unwrap_or(name);
            !LANGUAGE.globals().any(|(global, _)| global == root)
        };
        let expression =
            lone(source).and_then(|inner| LANGUAGE.compile_expression_owned(inner.to_owned()).ok());
        let template = Self {
            source: source.to_owned(),
            names: names.into_iter().filter(is_own).collect(),
            kind: expression.map_or(Kind::Text, Kind::Typed),
        };
        template.check_filters()?;
        Ok(template)
    }

    /// Finds a filter or test that does not exist: the language itself notices it only when it is used.
    fn check_filters(&self) -> Result<(), TemplateFault> {
        let mut state = LANGUAGE.empty_state();
        for (at, use_of) in code::uses(&self.source) {
            let (kind, name, found) = match use_of {
                code::Use::Filter(name) => ("filter", name, state.apply_filter(name, &[]).err()),
                code::Use::Test(name) => ("test", name, state.perform_test(name, &[]).err()),
            };
            let unknown = [ErrorKind::UnknownFilter, ErrorKind::UnknownTest];
            if found.is_some_and(|error| unknown.contains(&error.kind())) {
                return Err(TemplateFault { at, message: format!("there is no {kind} {name}") });
            }
        }
        Ok(())
    }

    /// The text as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The values that it uses, as paths: `lookup.customer.name`.
    #[must_use]
    pub const fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// The names of the secrets that it uses.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(|name| name.strip_prefix("secret.")?.split('.').next())
    }

    /// Whether the text is always the same.
    #[must_use]
    pub const fn is_fixed(&self) -> bool {
        matches!(self.kind, Kind::Fixed)
    }

    /// The value. `None`: the template is one expression whose value is missing, as that of an argument that was left out.
    ///
    /// # Errors
    /// See [`ValueError`].
    pub fn value(&self, scope: &Scope) -> Result<Option<Value>, ValueError> {
        let value = match &self.kind {
            Kind::Fixed => return Ok(Some(Value::String(self.source.clone()))),
            Kind::Text => return self.rendered(scope).map(|text| Some(Value::String(text))),
            Kind::Typed(expression) => expression.eval(scope.context()).map_err(|error| reason(&error))?,
        };
        if value.is_undefined() {
            return Ok(None);
        }
        let mut entries = MOST_ENTRIES;
        if !is_within(&value, &mut entries, MOST_LEVELS) {
            return Err(ValueError::TooMuch);
        }
        let value = serde_json::to_value(&value).map_err(|_| ValueError::Unfit)?;
        match &value {
            Value::String(text) if text.len() > MOST_BYTES => Err(ValueError::TooMuch),
            _ => Ok(Some(value)),
        }
    }

    /// The text. `None`: the value is missing, or it is `none`.
    ///
    /// # Errors
    /// See [`ValueError`]; also, the value is a list or a table.
    pub fn text(&self, scope: &Scope) -> Result<Option<String>, ValueError> {
        match self.value(scope)? {
            None | Some(Value::Null) => Ok(None),
            Some(value) => plain(&value).map(Some).ok_or(ValueError::Unfit),
        }
    }

    fn rendered(&self, scope: &Scope) -> Result<String, ValueError> {
        let template =
            LANGUAGE.template_from_named_str("text", &self.source).map_err(|error| reason(&error))?;
        let mut text = Bounded(Vec::new());
        match template.render_captured_to(scope.context(), &mut text) {
            Ok(_) => String::from_utf8(text.0).map_err(|_| ValueError::Unfit),
            Err(error) if error.kind() == ErrorKind::WriteFailure => Err(ValueError::TooMuch),
            Err(error) => Err(reason(&error)),
        }
    }
}

/// A text that takes no more than [`MOST_BYTES`].
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether a value has no more entries than these, and no more levels. A list may be one that repeats another without end.
fn is_within(value: &Inner, entries: &mut usize, levels: usize) -> bool {
    use minijinja::value::ValueKind;

    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
        return true;
    }
    let Some(levels) = levels.checked_sub(1) else { return false };
    let Ok(inner) = value.try_iter() else { return true };
    for entry in inner {
        let Some(left) = entries.checked_sub(1) else { return false };
        *entries = left;
        let of_key = (value.kind() == ValueKind::Map).then(|| value.get_item(&entry).ok()).flatten();
        if !is_within(of_key.as_ref().unwrap_or(&entry), entries, levels) {
            return false;
        }
    }
    true
}

/// The text of a value that is neither a list nor a table.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(word) => Some(word.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The expression of a text that is exactly one `{{ … }}`.
fn lone(source: &str) -> Option<&str> {
    let inner = source.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(inner.strip_suffix(['-', '+']).unwrap_or(inner))
}

/// The reason without the words of the language, which may quote values.
fn reason(error: &Error) -> ValueError {
    match error.kind() {
        ErrorKind::UndefinedError => ValueError::Missing,
        ErrorKind::OutOfFuel => ValueError::TooMuch,
        _ => ValueError::Unfit,
    }
}
