//! The configuration as far as it is valid, for commands that look for faults and do not stop at the first one.

use std::cell::RefCell;
use std::path::Path;

use super::env_file::EnvFile;
use super::parts::Parts;
use super::{
    Fault, LoadError, Problem, Setting, Sources, Variables, assemble, env_path, load_with, process, settings,
};
use crate::operator::{Language, Notice};

/// The configuration that the variables make, and everything that is wrong with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// The configured language, as far as it could be read.
    pub language: Language,
    /// The sections that can be used. Their remarks concern the values.
    pub parts: Parts,
    /// The problems, in the words of [`Problem::notices`].
    pub problems: Vec<Notice>,
    /// Those of the problems that are faults in files of agents, in the order of the files.
    pub faults: Vec<Fault>,
    /// Remarks about the file, and which file was read.
    pub remarks: Vec<Notice>,
    /// Every variable, in the order of the table.
    pub settings: Vec<Setting>,
}

impl Survey {
    /// Reads the environment of the process and `.env` in the working directory.
    #[must_use]
    pub fn load() -> Self {
        Self::load_from(&env_path(), &process)
    }

    /// Does the same with these values for variables that are set nowhere.
    #[must_use]
    pub fn load_with(defaults: &[(&str, &str)]) -> Self {
        let path = env_path();
        let lines = EnvFile::read(&path).lines;
        let default = |name: &str| {
            let value =
                defaults.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            value.filter(|_| !lines.contains_key(name))
        };
        Self::load_from(&path, &|name| process(name).or_else(|| default(name)))
    }

    /// Reads the variables of `process` and, for those that it does not set, the file at `env_path`.
    #[must_use]
    pub fn load_from(env_path: &Path, process: Variables<'_>) -> Self {
        let sources = Sources::read(env_path, process);
        let kept = RefCell::new((Parts::default(), Vec::new()));
        let loaded = load_with(&sources, &|_| true, &|variables| {
            let assembled = assemble::parts(variables);
            let settings = settings::settings(&sources, &assembled);
            kept.replace((assembled.parts, settings));
            if assembled.problems.is_empty() { Ok(()) } else { Err(assembled.problems) }
        });
        let (parts, settings) = kept.into_inner();
        let language = parts.log.as_ref().map(|log| log.language);
        match loaded {
            Ok(((), remarks)) => {
                let (language, problems, faults) = (language.unwrap_or_default(), Vec::new(), Vec::new());
                Self { language, parts, problems, faults, remarks, settings }
            }
            Err(error) => {
                let problems = Problem::notices(&error.problems);
                let LoadError { language, remarks, problems: found, .. } = error;
                let fault = |problem| if let Problem::Agent(fault) = problem { Some(fault) } else { None };
                let faults = found.into_iter().filter_map(fault).collect();
                Self { language, parts, problems, faults, remarks, settings }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_right_is_there_although_the_rest_is_wrong() {
        let variables = |name: &str| {
            let value = match name {
                "ASTERISK_USERNAME" | "ASTERISK_PASSWORD" | "ASTERISK_HOST" => "pbx",
                "ASTERISK_PORT" => "8088",
                "LOCAL_IP_ADDRESS" => "0.0.0.0",
                "LOG_LANGUAGE" => "en",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let survey = Survey::load_from(Path::new("/nowhere/.env"), &variables);
        assert_eq!(survey.language, Language::English);
        assert!(survey.parts.asterisk.is_some() && survey.parts.recordings.is_some());
        assert!(survey.parts.realtime.is_none() && survey.parts.media.is_none());
        let said: Vec<_> = survey.problems.iter().map(|notice| notice.line(Language::English)).collect();
        assert_eq!(said[0], "Required environment variables not found: OPENAI_API_KEY, LOG_FILE_PATH");
        assert!(said[1].starts_with("Invalid value in LOCAL_IP_ADDRESS"), "{said:?}");
        assert_eq!(said.len(), 2);
    }
}
