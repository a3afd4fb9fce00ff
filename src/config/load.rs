//! Brings the two places together from which variables come: the process, which wins, and the file.

use std::path::{Path, PathBuf};

use super::env_file::EnvFile;
use super::secrecy;
use super::variables::VARIABLES;
use super::words::Word as _;
use super::{LoadError, Problem, Variables};
use crate::operator::{Language, Notice, Place};

/// Where `.env` is.
pub(super) fn env_path() -> PathBuf {
    std::env::current_dir().unwrap_or_default().join(".env")
}

/// A variable of the process.
pub(super) fn process(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The variables of the process and, behind them, those of the file.
pub(super) struct Sources<'a> {
    process: Variables<'a>,
    pub(super) file: EnvFile,
}

impl<'a> Sources<'a> {
    /// Reads the file at `env_path`; that there is none is no problem.
    pub(super) fn read(env_path: &Path, process: Variables<'a>) -> Self {
        Self { process, file: EnvFile::read(env_path) }
    }

    /// The value of a variable, if anybody sets it.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let of_process =
            (self.process)(name).map(|value| within_quotes(&value).map_or(value.clone(), str::to_owned));
        of_process.or_else(|| self.file.lines.get(name).map(|line| line.value.clone()))
    }

    /// Where the variable is set, if it is. A malformed line that names it counts, as it stops the start.
    pub(super) fn place(&self, name: &str) -> Option<Place> {
        let line = self.malformed_line(name).or_else(|| self.file.lines.get(name).map(|line| line.number));
        match (self.process)(name) {
            Some(_) => Some(Place::Environment { overridden: line }),
            None => line.map(|line| Place::File { line }),
        }
    }

    fn malformed_line(&self, name: &str) -> Option<usize> {
        self.file.problems.iter().find_map(|problem| match problem {
            Problem::MalformedLine { line, variable: Some(variable), .. } if *variable == name => Some(*line),
            _ => None,
        })
    }

    /// What is to be said of the variables that `concerns` picks: remarks on the file, and on quotes in the process.
    fn remarks(&self, concerns: &dyn Fn(&str) -> bool) -> Vec<Notice> {
        let is_quoted =
            |name: &str| (self.process)(name).is_some_and(|value| within_quotes(&value).is_some());
        let names = VARIABLES.iter().map(|row| row.name);
        let quoted = names.filter(|name| concerns(name) && is_quoted(name));
        let quoted = quoted.map(|variable| Notice::QuotesTakenOff { variable });
        self.file.remarks.iter().cloned().chain(quoted).collect()
    }
}

/// What `assemble` makes of the process's variables and the file's, and what is to be said about the file;
/// malformed lines count only if they concern us.
pub(super) fn load_with<T>(
    sources: &Sources<'_>,
    concerns: &dyn Fn(&str) -> bool,
    assemble: &dyn Fn(Variables<'_>) -> Result<T, Vec<Problem>>,
) -> Result<(T, Vec<Notice>), LoadError> {
    let variables = |name: &str| sources.value(name);
    let remarks = sources.remarks(concerns);
    let mut problems = sources.file.problems.clone();
    problems.retain(|problem| {
        problem.malformed().is_none_or(|name| (sources.process)(name).is_none() && concerns(name))
    });
    match assemble(&variables) {
        Ok(config) if problems.is_empty() => Ok((config, remarks)),
        Ok(_) => Err(load_error(&variables, problems, remarks)),
        Err(of_values) => {
            let malformed: Vec<_> = problems.iter().filter_map(Problem::malformed).collect();
            let is_new = |problem: &Problem| {
                // A variable whose line is malformed is there, only not readable.
                !matches!(problem, Problem::Missing { variable } if malformed.contains(variable))
            };
            let of_values: Vec<_> = of_values.into_iter().filter(is_new).collect();
            problems.splice(0..0, of_values);
            Err(load_error(&variables, problems, remarks))
        }
    }
}

/// What stands between quotes that are around all of `value`: `docker --env-file` takes them for a part of it.
fn within_quotes(value: &str) -> Option<&str> {
    let quote = value.chars().next().filter(|first| ['"', '\''].contains(first))?;
    value.strip_prefix(quote)?.strip_suffix(quote).filter(|inner| !inner.contains(quote))
}

fn load_error(variables: Variables<'_>, problems: Vec<Problem>, remarks: Vec<Notice>) -> LoadError {
    LoadError {
        language: variables("LOG_LANGUAGE")
            .and_then(|word| Language::from_word(word.trim()))
            .unwrap_or_default(),
        log_path: variables("LOG_FILE_PATH")
            .map(|path| path.trim().to_owned())
            .filter(|path| !path.is_empty() && !path.starts_with('~') && !secrecy::is_key(path))
            .filter(|path| !path.contains(char::is_control))
            .map(PathBuf::from),
        problems,
        remarks,
    }
}
