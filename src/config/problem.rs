//! What can be wrong with a configuration, and the lines that say so.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::variables::VARIABLES;
use crate::operator::{Allowed, Detail, Found, Language, Notice};

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// A required variable is unset or empty.
    Missing {
        /// Its name.
        variable: &'static str,
    },
    /// A value we cannot use.
    Invalid {
        /// Its variable.
        variable: &'static str,
        /// What stands there; hidden if secret.
        found: Found,
        /// What may stand there.
        allowed: Allowed,
    },
    /// A line of `.env` that is not `NAME=value`.
    MalformedLine {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// The variable at its start, if it is one of ours.
        variable: Option<&'static str>,
    },
    /// The API would be open to other machines without a token.
    ApiOpenToAll {
        /// Where it would listen.
        address: SocketAddr,
    },
    /// A token for other machines can be guessed.
    TokenTooShort {
        /// Which, from 1.
        position: usize,
        /// How many characters it needs.
        characters: usize,
    },
    /// `.env` is there but cannot be read.
    UnreadableFile {
        /// The file.
        path: String,
        /// The system's words.
        cause: Detail,
    },
}

impl Problem {
    /// The variable that a malformed line would have set, if this is such a line.
    pub(super) const fn malformed(&self) -> Option<&'static str> {
        match self {
            Self::MalformedLine { variable, .. } => *variable,
            Self::Missing { .. }
            | Self::Invalid { .. }
            | Self::ApiOpenToAll { .. }
            | Self::TokenTooShort { .. }
            | Self::UnreadableFile { .. } => None,
        }
    }

    /// The variable whose value is wrong or missing, if it is one of ours.
    pub(super) const fn variable(&self) -> Option<&'static str> {
        match self {
            Self::Missing { variable } | Self::Invalid { variable, .. } => Some(variable),
            Self::MalformedLine { variable, .. } => *variable,
            Self::ApiOpenToAll { .. } => Some("API_LISTEN"),
            Self::TokenTooShort { .. } => Some("API_TOKEN"),
            Self::UnreadableFile { .. } => None,
        }
    }

    /// The lines for the operator: one for all missing variables, then one for each other problem.
    #[must_use]
    pub fn notices(problems: &[Self]) -> Vec<Notice> {
        let mut missing = Vec::new();
        let mut others = Vec::new();
        for problem in problems.iter().cloned() {
            match problem {
                Self::Missing { variable } => missing.push(variable),
                Self::Invalid { variable, found, allowed } => {
                    others.push(Notice::SettingInvalid { variable, found, allowed });
                }
                Self::MalformedLine { path, line, variable } => {
                    others.push(Notice::EnvLineMalformed { path, line, variable });
                }
                Self::ApiOpenToAll { address } => others.push(Notice::ApiOpenToAll { address }),
                Self::TokenTooShort { position, characters } => {
                    others.push(Notice::TokenTooShort { position, characters });
                }
                Self::UnreadableFile { path, cause } => {
                    others.push(Notice::EnvFileUnreadable { path, cause });
                }
            }
        }
        if !missing.is_empty() {
            missing.sort_by_key(|name| VARIABLES.iter().position(|row| row.name == *name));
            others.insert(0, Notice::EnvironmentIncomplete { missing });
        }
        others
    }
}

/// Why the daemon cannot start, with what is needed to say so before the log is open.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the configuration has {} problem(s)", problems.len())]
pub struct LoadError {
    /// The language asked for, as far as it could be read.
    pub language: Language,
    /// The log file asked for, if any.
    pub log_path: Option<PathBuf>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What may explain it: typos, replaced `$` signs, the file that was or was not read.
    pub remarks: Vec<Notice>,
}

impl LoadError {
    /// Everything to be said, the problems first.
    #[must_use]
    pub fn notices(&self) -> Vec<Notice> {
        let mut notices = Problem::notices(&self.problems);
        notices.extend(self.remarks.iter().cloned());
        notices
    }
}
