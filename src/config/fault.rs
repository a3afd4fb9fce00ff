//! A fault in a file of an agent, with its place.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::operator::{AgentFault, Notice};

/// A place in a file, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
    /// The text of the line. It may hold whatever the operator has written, so it is for the operator's terminal only.
    pub text: String,
}

impl Position {
    /// The position of a byte of the text.
    fn of(text: &str, at: usize) -> Self {
        let at = text.floor_char_boundary(at);
        let before = &text[..at];
        let begin = before.rfind('\n').map_or(0, |end| end + 1);
        let line = before.matches('\n').count() + 1;
        let column = text[begin..at].chars().count() + 1;
        Self { line, column, text: text[begin..].lines().next().unwrap_or_default().to_owned() }
    }
}

/// Something wrong in a file of an agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The path of the file.
    pub path: PathBuf,
    /// Where in the file. `None`: the fault concerns the whole file.
    pub position: Option<Position>,
    /// What is wrong.
    pub what: AgentFault,
}

/// How a place in a file is written: the path, with line and column if there are any.
fn place(path: &Path, position: Option<&Position>) -> String {
    let path = path.display();
    match position {
        Some(Position { line, column, .. }) => format!("{path}:{line}:{column}"),
        None => path.to_string(),
    }
}

/// How a place of the text of a file is written.
pub(in crate::config) fn place_of(path: &Path, text: &str, span: &Range<usize>) -> String {
    place(path, Some(&Position::of(text, span.start)))
}

impl Fault {
    /// A fault that concerns a whole file.
    pub(in crate::config) fn of_file(path: &Path, what: AgentFault) -> Self {
        Self { path: path.to_owned(), position: None, what }
    }

    /// A fault at a place of the text of a file.
    pub(in crate::config) fn at(path: &Path, text: &str, place: &Range<usize>, what: AgentFault) -> Self {
        Self { path: path.to_owned(), position: Some(Position::of(text, place.start)), what }
    }

    /// The order in which faults are reported: by file and position.
    pub(in crate::config) fn order(&self) -> (&Path, Option<&Position>) {
        (&self.path, self.position.as_ref())
    }

    /// The line for the operator.
    #[must_use]
    pub fn notice(&self) -> Notice {
        let place = place(&self.path, self.position.as_ref());
        Notice::AgentFileWrong { place, fault: self.what.clone() }
    }
}
