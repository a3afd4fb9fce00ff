//! The problems that a configuration can have, and the notices that report them.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::fault::Fault;
use super::variables::VARIABLES;
use crate::operator::{Allowed, Detail, Found, Language, Notice};

/// One problem of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// A required variable is not set, or is empty.
    Missing {
        /// The name of the variable.
        variable: &'static str,
    },
    /// A value cannot be used.
    Invalid {
        /// The name of the variable.
        variable: &'static str,
        /// The present value, hidden if it is secret.
        found: Found,
        /// The permitted values.
        allowed: Allowed,
    },
    /// A line of `.env` does not have the form `NAME=value`.
    MalformedLine {
        /// The path of the file.
        path: String,
        /// The number of the line, counted from 1.
        line: usize,
        /// The variable at the beginning of the line, if the daemon knows it.
        variable: Option<&'static str>,
    },
    /// Other machines could use the API without a token.
    ApiOpenToAll {
        /// The address on which the API would listen.
        address: SocketAddr,
    },
    /// A token that other machines may use is easy to guess.
    TokenTooShort {
        /// The position of the token in the list, counted from 1.
        position: usize,
        /// The number of characters that a token needs.
        characters: usize,
    },
    /// Something is wrong in a file of `AGENTS_DIR`.
    Agent(Fault),
    /// `.env` exists but cannot be read.
    UnreadableFile {
        /// The path of the file.
        path: String,
        /// The error of the system.
        cause: Detail,
    },
}

impl Problem {
    /// The variable that a malformed line would have set, if this is such a problem.
    pub(super) const fn malformed(&self) -> Option<&'static str> {
        match self {
            Self::MalformedLine { variable, .. } => *variable,
            Self::Missing { .. }
            | Self::Invalid { .. }
            | Self::ApiOpenToAll { .. }
            | Self::TokenTooShort { .. }
            | Self::Agent(_)
            | Self::UnreadableFile { .. } => None,
        }
    }

    /// The variable whose value is wrong or missing, if the daemon knows it.
    pub(super) const fn variable(&self) -> Option<&'static str> {
        match self {
            Self::Missing { variable } | Self::Invalid { variable, .. } => Some(variable),
            Self::MalformedLine { variable, .. } => *variable,
            Self::ApiOpenToAll { .. } => Some("API_LISTEN"),
            Self::TokenTooShort { .. } => Some("API_TOKEN"),
            Self::Agent(_) => Some("AGENTS_DIR"),
            Self::UnreadableFile { .. } => None,
        }
    }

    /// The notices for the operator: one for all missing variables, and one for each other problem.
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
                Self::Agent(fault) => others.push(fault.notice()),
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

/// Why the daemon cannot start, with everything that is needed to report it before the log is open.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the configuration has {} problem(s)", problems.len())]
pub struct LoadError {
    /// The configured language, as far as it could be read.
    pub language: Language,
    /// The configured log file, if there is one.
    pub log_path: Option<PathBuf>,
    /// The problems.
    pub problems: Vec<Problem>,
    /// Remarks that may explain the problems: typos, replaced `$` signs, the file that was or was not read.
    pub remarks: Vec<Notice>,
}

impl LoadError {
    /// All notices, those of the problems first.
    #[must_use]
    pub fn notices(&self) -> Vec<Notice> {
        let mut notices = Problem::notices(&self.problems);
        notices.extend(self.remarks.iter().cloned());
        notices
    }
}
