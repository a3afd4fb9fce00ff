//! Reads single variables and collects their problems, so that the operator learns of all of them at once.
//!
//! Every method returns `None` exactly if it has recorded a problem. The assembly then continues with the next
//! variable.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::secrecy;
use super::variables::{self, Variable};
use super::words::Word;
use super::{Problem, Variables};
use crate::operator::{Allowed, Found, Notice};

/// The variables, and what was found while reading them.
pub(super) struct Reader<'a> {
    variables: Variables<'a>,
    pub(super) problems: Vec<Problem>,
    pub(super) remarks: Vec<Notice>,
    /// The value in force of each variable that has been read: its own value, its default, or the value used instead
    /// of both.
    pub(super) in_force: BTreeMap<&'static str, String>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(variables: Variables<'a>) -> Self {
        Self { variables, problems: Vec::new(), remarks: Vec::new(), in_force: BTreeMap::new() }
    }

    /// Returns the value, or the default if the variable is unset or empty.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let variable = row(name);
        let set = self.one_line(variable)?.filter(|text| !text.trim().is_empty());
        if set.is_none() && variable.required {
            self.problems.push(Problem::Missing { variable: name });
            return None;
        }
        let text = set.unwrap_or_else(|| variable.default.to_owned());
        self.uses(name, &text);
        Some(text)
    }

    /// Returns the value, which may be empty, or the default if the variable is unset.
    pub(super) fn text_or_empty(&mut self, name: &'static str) -> Option<String> {
        let variable = row(name);
        let text = self.one_line(variable)?.unwrap_or_else(|| variable.default.to_owned());
        self.uses(name, &text);
        Some(text)
    }

    /// Records that `text` is the value in force of `name`.
    pub(super) fn uses(&mut self, name: &'static str, text: &str) {
        self.in_force.insert(name, text.to_owned());
    }

    /// Parses the value. If `parse` returns `None`, a problem that states `allowed` is recorded.
    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        allowed: Allowed,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let value = parse(&text);
        if value.is_none() {
            self.invalid(name, &text, allowed);
        }
        value
    }

    pub(super) fn integer<T: TryFrom<u64>>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<T> {
        let (from, to) = (*range.start(), *range.end());
        self.parsed(name, Allowed::Integer { from, to }, |text| {
            let number = text.parse().ok().filter(|number| range.contains(number))?;
            T::try_from(number).ok()
        })
    }

    pub(super) fn decimal(&mut self, name: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        let (from, to) = (*range.start(), *range.end());
        self.parsed(name, Allowed::Decimal { from, to }, |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })
    }

    pub(super) fn word<T: Word>(&mut self, name: &'static str) -> Option<T> {
        self.parsed(name, Allowed::OneOf(T::WORDS), T::from_word)
    }

    /// Reads one of the words, or `none`. The outer option says whether the value is valid, as everywhere in this
    /// module.
    #[expect(
        clippy::option_option,
        reason = "the outer option says whether the value is valid, the inner one whether it is set"
    )]
    pub(super) fn word_or_none<T: Word>(&mut self, name: &'static str) -> Option<Option<T>> {
        self.parsed(name, Allowed::NoneOrOneOf(T::WORDS), |text| {
            if is_none(text) { Some(None) } else { T::from_word(text).map(Some) }
        })
    }

    /// Reads a text that is fit for an HTTP header and a URL: visible ASCII without spaces. The text is empty if the
    /// variable is unset and has no default.
    pub(super) fn token(&mut self, name: &'static str) -> Option<String> {
        self.parsed(name, Allowed::Token, |text| {
            text.bytes().all(|byte| byte.is_ascii_graphic()).then(|| text.to_owned())
        })
    }

    /// Reads the path of a file or folder. A `~` at the beginning is rejected, because nothing expands it and it
    /// would name a folder.
    pub(super) fn path(&mut self, name: &'static str) -> Option<String> {
        self.parsed(name, Allowed::Path, |text| (!text.starts_with('~')).then(|| text.to_owned()))
    }

    /// Whether the operator has not set `name`.
    pub(super) fn is_default(&self, name: &str) -> bool {
        (self.variables)(name).is_none_or(|text| text.trim().is_empty())
    }

    /// Records that the value `text` of `name` is not permitted.
    pub(super) fn invalid(&mut self, name: &'static str, text: &str, allowed: Allowed) {
        let is_hidden = row(name).secret || secrecy::may_hold_secret(text, self.variables);
        let found = if is_hidden { Found::Hidden } else { Found::value(text) };
        self.problems.push(Problem::Invalid { variable: name, found, allowed });
    }

    /// Returns the value if it is set, trimmed except for passwords. A value with several lines or invalid UTF-8 is a
    /// problem, and so is a key in a variable whose value is shown.
    #[expect(
        clippy::option_option,
        reason = "the outer option says whether the value is valid, the inner one whether it is set"
    )]
    fn one_line(&mut self, variable: &'static Variable) -> Option<Option<String>> {
        let Some(text) = (self.variables)(variable.name) else {
            return Some(None);
        };
        let text = if variable.secret { text } else { text.trim().to_owned() };
        if text.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
            self.invalid(variable.name, &text, Allowed::Line);
            return None;
        }
        if !variable.secret && secrecy::is_key(&text) {
            self.invalid(variable.name, &text, Allowed::NoKey);
            return None;
        }
        Some(Some(text))
    }
}

/// Whether the word switches a setting off.
pub(super) fn is_none(text: &str) -> bool {
    text.eq_ignore_ascii_case("none")
}

fn row(name: &str) -> &'static Variable {
    variables::find(name)
        .expect("the parser reads only variables of the table, as a test of the whole configuration proves")
}
