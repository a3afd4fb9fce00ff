//! Combines the two sources of variables: the process, which has precedence, and the file.

use std::path::{Path, PathBuf};

use super::env_file::EnvFile;
use super::secrecy;
use super::variables::VARIABLES;
use super::words::Word as _;
use super::{LoadError, Problem, Variables};
use crate::operator::{Language, Notice, Place};

/// The path of `.env`, in the working directory.
pub(super) fn env_path() -> PathBuf {
    std::env::current_dir().unwrap_or_default().join(".env")
}

/// Returns an environment variable of the process.
pub(super) fn process(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The variables of the process and those of the file.
pub(super) struct Sources<'a> {
    process: Variables<'a>,
    pub(super) file: EnvFile,
}

impl<'a> Sources<'a> {
    /// Reads the file at `env_path`. A missing file is not a problem.
    pub(super) fn read(env_path: &Path, process: Variables<'a>) -> Self {
        Self { process, file: EnvFile::read(env_path) }
    }

    /// The value of a variable, if it is set.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let of_process =
            (self.process)(name).map(|value| within_quotes(&value).map_or(value.clone(), str::to_owned));
        of_process.or_else(|| self.file.lines.get(name).map(|line| line.value.clone()))
    }

    /// Where the variable is set, if it is. A malformed line that names the variable counts too, because it prevents
    /// the start.
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

    /// The remarks about the variables that `concerns` selects: remarks about the file, and about quotes in values of
    /// the process.
    fn remarks(&self, concerns: &dyn Fn(&str) -> bool) -> Vec<Notice> {
        let is_quoted =
            |name: &str| (self.process)(name).is_some_and(|value| within_quotes(&value).is_some());
        let names = VARIABLES.iter().map(|row| row.name);
        let quoted = names.filter(|name| concerns(name) && is_quoted(name));
        let quoted = quoted.map(|variable| Notice::QuotesTakenOff { variable });
        self.file.remarks.iter().cloned().chain(quoted).collect()
    }
}

/// Applies `assemble` to the variables of the process and the file. Malformed lines count only if they set a variable
/// that concerns `assemble`.
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
                // A variable on a malformed line is not missing; its line merely cannot be read.
                !matches!(problem, Problem::Missing { variable } if malformed.contains(variable))
            };
            let of_values: Vec<_> = of_values.into_iter().filter(is_new).collect();
            problems.splice(0..0, of_values);
            Err(load_error(&variables, problems, remarks))
        }
    }
}

/// Returns the text between quotes that enclose all of `value`. `docker --env-file` takes such quotes for a part of
/// the value.
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
