//! One file of an agent: its values with their positions, and what is wrong with it.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys;
use crate::config::fault::Fault;
use crate::operator::{AgentFault, Detail, SectionFault, ValueKind};
use crate::tool::Flaw;

/// The keys of a file that are still to be read, and the faults so far.
pub(super) struct File<'a> {
    path: &'a Path,
    text: &'a str,
    table: DeTable<'a>,
    /// Where the table is: the whole file, or a part of it.
    place: Range<usize>,
    /// The keys that were asked for.
    known: Vec<&'static str>,
    pub(super) faults: Vec<Fault>,
}

impl<'a> File<'a> {
    /// Parses the text. Faults of the syntax are kept, and the rest of the file is read.
    pub(super) fn parse(path: &'a Path, text: &'a str) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let (known, faults) = (Vec::new(), Vec::new());
        let mut file = Self { path, text, table: table.into_inner(), place: 0..0, known, faults };
        for error in errors {
            let message = Detail::new(error.message());
            file.fault(error.span().unwrap_or_default(), AgentFault::Syntax { message });
        }
        file
    }

    /// Whether the text can be read at all. What is missing from a text with wrong syntax may be in the wrong part.
    pub(super) fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }

    /// The value of a key, if the file has it.
    pub(super) fn get(&mut self, key: &'static str) -> Option<(Range<usize>, DeValue<'a>)> {
        self.known.push(key);
        let spanned: &Spanned<DeValue<'a>> = self.table.get(key)?;
        Some((spanned.span(), spanned.get_ref().clone()))
    }

    /// Whether the file has a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The text of a key.
    pub(super) fn text(&mut self, key: &'static str) -> Option<(Range<usize>, String)> {
        match self.get(key)? {
            (span, DeValue::String(text)) => Some((span, text.into_owned())),
            (span, _) => {
                self.fault(span, AgentFault::Kind { key, wanted: ValueKind::Text });
                None
            }
        }
    }

    /// The texts of a list, each with its place. `None`: the file does not have the key, or there is no list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<(Range<usize>, String)>> {
        let (span, value) = self.get(key)?;
        let DeValue::Array(array) = value else {
            self.fault(span, AgentFault::Kind { key, wanted: ValueKind::Texts });
            return None;
        };
        let mut texts = Vec::new();
        for item in array {
            let span = item.span();
            match item.into_inner() {
                DeValue::String(text) => texts.push((span, text.into_owned())),
                _ => self.fault(span, AgentFault::Kind { key, wanted: ValueKind::Texts }),
            }
        }
        Some(texts)
    }

    /// The text that a variable of the environment would have in place of this key.
    pub(super) fn scalar(&mut self, key: &'static str) -> Option<(Range<usize>, String)> {
        let (span, value) = self.get(key)?;
        let text = match value {
            DeValue::String(text) => text.into_owned(),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| number.to_string(), |number| number.to_string()),
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Boolean(word) => word.to_string(),
            // A variable has a list as one text.
            DeValue::Array(list) if list.iter().all(|item| item.get_ref().is_str()) => {
                let texts: Vec<_> = list.iter().filter_map(|item| item.get_ref().as_str()).collect();
                texts.join(",")
            }
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                self.fault(span, AgentFault::Kind { key, wanted: ValueKind::Scalar });
                return None;
            }
        };
        Some((span, text))
    }

    /// The value of a key that is `true` or `false`. Without the key, it is false.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        match self.get(key) {
            None => false,
            Some((_, DeValue::Boolean(word))) => word,
            Some((place, _)) => {
                self.fault(place, AgentFault::Kind { key, wanted: ValueKind::Bool });
                false
            }
        }
    }

    /// The tables below lines with the key in double brackets, each as a file of its own with its own faults.
    pub(super) fn sections(&mut self, key: &'static str, most: usize) -> Vec<Self> {
        let Some((span, value)) = self.get(key) else { return Vec::new() };
        let DeValue::Array(entries) = value else {
            self.fault(span, AgentFault::Kind { key, wanted: ValueKind::Tables });
            return Vec::new();
        };
        let mut sections = Vec::new();
        for entry in entries {
            let place = entry.span();
            match entry.into_inner() {
                _ if sections.len() == most => {
                    self.fault(place, SectionFault::TooMany { key, most }.into());
                    break;
                }
                DeValue::Table(table) => {
                    let (path, text, known, faults) = (self.path, self.text, Vec::new(), Vec::new());
                    sections.push(Self { path, text, table, place, known, faults });
                }
                _ => self.fault(place, AgentFault::Kind { key, wanted: ValueKind::Tables }),
            }
        }
        sections
    }

    /// The tables within the table of a key, each with its name and the place of it, and as a file of its own.
    pub(super) fn named(&mut self, key: &'static str) -> Vec<(String, Range<usize>, Self)> {
        let Some((span, value)) = self.get(key) else { return Vec::new() };
        let DeValue::Table(members) = value else {
            self.fault(span, AgentFault::Kind { key, wanted: ValueKind::Table });
            return Vec::new();
        };
        let mut named = Vec::new();
        for (name, value) in members {
            let (at, place) = (name.span(), value.span());
            match value.into_inner() {
                DeValue::Table(table) => {
                    let (path, text, known, faults) = (self.path, self.text, Vec::new(), Vec::new());
                    let file = Self { path, text, table, place, known, faults };
                    named.push((name.into_inner().into_owned(), at, file));
                }
                _ => self.no_table(key, name.get_ref(), &at, place),
            }
        }
        named
    }

    /// Records that a member of the table of a key is no table. A key of the agent came there by its place in the file.
    pub(super) fn no_table(
        &mut self,
        key: &'static str,
        member: &str,
        name: &Range<usize>,
        value: Range<usize>,
    ) {
        if keys::is_value(member) {
            self.fault(name.clone(), AgentFault::KeyOfAgent { key: Detail::new(member) });
        } else {
            self.fault(value, AgentFault::Kind { key, wanted: ValueKind::Table });
        }
    }

    /// The members of the table, each with its name, the place of it, and its value.
    pub(super) fn into_members(self) -> impl Iterator<Item = (String, Range<usize>, Spanned<DeValue<'a>>)> {
        self.table.into_iter().map(|(name, value)| {
            let place = name.span();
            (name.into_inner().into_owned(), place, value)
        })
    }

    /// Records that a key is missing, at the beginning of the table.
    pub(super) fn missing(&mut self, key: &'static str) {
        self.fault(self.place.clone(), SectionFault::KeyMissing { key }.into());
    }

    /// Records a flaw of a text at this place. Its own place is found if the text stands in the file as it is, without escapes.
    pub(super) fn flaw(&mut self, span: &Range<usize>, text: &str, flaw: Flaw) {
        let written = self.text.get(span.clone()).unwrap_or_default();
        let at = written.find(text).map_or(span.start, |start| span.start + start + flaw.at);
        self.fault(at..at, AgentFault::from(flaw.what));
    }

    /// Records a fault at this place.
    pub(super) fn fault(&mut self, span: Range<usize>, what: AgentFault) {
        self.faults.push(Fault::at(self.path, self.text, &span, what));
    }

    /// Records every key that nobody asked for. `nearest` finds the key that was probably meant.
    pub(super) fn unknown_keys(&mut self, nearest: impl Fn(&str) -> Option<&'static str>) {
        let unknown: Vec<_> = self
            .table
            .keys()
            .filter(|key| !self.known.contains(&&**key.get_ref()))
            .map(|key| (key.span(), key.get_ref().clone().into_owned()))
            .collect();
        for (span, key) in unknown {
            let what = match nearest(&key) {
                // In the table of the agent itself, such a key is known.
                _ if keys::is_value(&key) => AgentFault::KeyOfAgent { key: Detail::new(&key) },
                meant => AgentFault::UnknownKey { key: Detail::new(&key), meant },
            };
            self.fault(span, what);
        }
    }
}
