//! The variables of the environment that an agent's file sets for this agent.

use std::collections::HashMap;
use std::ops::Range;

use super::file::File;
use super::keys::KEYS;

/// The variables that a file sets.
#[derive(Default)]
pub(super) struct Overlay {
    values: HashMap<&'static str, (Range<usize>, String)>,
}

impl Overlay {
    /// Takes the keys that set variables out of the file.
    pub(super) fn take(file: &mut File<'_>) -> Self {
        let mut values = HashMap::new();
        for (key, variable) in KEYS {
            if let Some(value) = file.scalar(key) {
                values.insert(*variable, value);
            }
        }
        Self { values }
    }

    /// The value of a variable, if the file sets it.
    pub(super) fn value(&self, variable: &str) -> Option<&str> {
        self.values.get(variable).map(|(_, text)| &**text)
    }

    /// Where the file sets a variable.
    pub(super) fn place(&self, variable: &str) -> Option<Range<usize>> {
        self.values.get(variable).map(|(span, _)| span.clone())
    }
}
