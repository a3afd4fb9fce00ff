//! `openai-inbound-calls config`: prints every variable with its value in force, the origin of the value and
//! its meaning.
//!
//! The command opens only `.env` and the files that variables name, and connects to nothing: `doctor` does
//! that. The configuration decides which parts of a value may be shown.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;

use crate::config::{Setting, Shown, Survey};
use crate::operator::foreign::{plain, plain_json};
use crate::operator::{Language, Notice, Origin, Place, Remark};
use crate::output::print;

/// Prints the configuration from the environment and from `.env` in the working directory. Returns whether a
/// daemon could start with this configuration.
///
/// # Errors
/// Returns an error if stdout cannot be written; see [`crate::output::is_unread`].
pub fn show(form: Form) -> io::Result<bool> {
    let survey = Survey::load();
    print(&match form {
        Form::Text => text(&survey),
        Form::Json => json(&survey),
    })?;
    Ok(survey.problems.is_empty())
}

/// The format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text for people.
    Text,
    /// JSON for programs. The names of the fields and the words in `origin` do not change between versions.
    Json,
}

/// Which `.env` was read, the variables, the problems and the warnings.
fn text(survey: &Survey) -> String {
    let language = survey.language;
    let mut text = String::new();
    let mut line = |line: &str| writeln!(text, "{}", plain(line)).expect("writing to a String cannot fail");
    for notice in survey.remarks.iter().filter(|notice| names_file(notice)) {
        line(&notice.line(language));
    }
    line("");
    for setting in &survey.settings {
        let mark = if setting.is_valid { ' ' } else { '✗' };
        let (name, meaning) = (setting.variable.name, setting.variable.meaning(language));
        let value = value(&setting.value, language);
        line(&format!("{mark} {name} = {value}{}", origin(setting, language)));
        line(&format!("      {meaning}"));
    }
    line("");
    for notice in &survey.problems {
        line(&format!("✗ {}", notice.line(language)));
    }
    for notice in warnings(survey) {
        line(&format!("! {}", notice.line(language)));
    }
    let verdict = if survey.problems.is_empty() { Remark::Valid } else { Remark::Invalid };
    text.push_str(verdict.words(language));
    text
}

/// Whether the notice only says which `.env` was read, or that there is none.
const fn names_file(notice: &Notice) -> bool {
    matches!(notice, Notice::EnvFileRead { .. } | Notice::EnvFileAbsent { .. })
}

/// The warnings: about the file first, then about the values.
fn warnings(survey: &Survey) -> impl Iterator<Item = &Notice> {
    survey.remarks.iter().filter(|notice| !names_file(notice)).chain(&survey.parts.remarks)
}

fn value(shown: &Shown, language: Language) -> &str {
    match shown {
        Shown::Whole(text) if text.is_empty() => Remark::Empty.words(language),
        Shown::Whole(text) | Shown::Masked(text) => text,
        Shown::Hidden => Remark::Hidden.words(language),
        Shown::Missing => Remark::Missing.words(language),
        Shown::Unreadable => Remark::Unreadable.words(language),
    }
}

/// The origin of the value in brackets. The text is empty if a required variable is not set.
fn origin(setting: &Setting, language: Language) -> String {
    if setting.value == Shown::Missing && setting.origin == Origin::Default {
        return String::new();
    }
    format!("  [{}]", setting.origin.words(language))
}

/// The configuration as JSON.
fn json(survey: &Survey) -> String {
    #[derive(Serialize)]
    struct Report {
        valid: bool,
        /// The path of the `.env` that was read.
        file: Option<String>,
        variables: Vec<Row>,
        problems: Vec<String>,
        warnings: Vec<String>,
    }
    let language = survey.language;
    let file = survey.remarks.iter().find_map(|notice| match notice {
        Notice::EnvFileRead { path } => Some(path.clone()),
        _ => None,
    });
    let line = |notice: &Notice| notice.line(language);
    let report = Report {
        valid: survey.problems.is_empty(),
        file,
        variables: survey.settings.iter().map(|setting| row(setting, language)).collect(),
        problems: survey.problems.iter().map(line).collect(),
        warnings: warnings(survey).map(line).collect(),
    };
    plain_json(&serde_json::to_string_pretty(&report).expect("text is always JSON"))
}

/// One variable.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    /// Null if the value is hidden or absent.
    value: Option<String>,
    /// Whether a part of the value is hidden.
    masked: bool,
    required: bool,
    valid: bool,
    /// `environment`, `file` or `default`; null if a required variable is not set.
    origin: Option<&'static str>,
    /// The line of the file that sets the variable, even if the environment overrides that line.
    line: Option<usize>,
    meaning: &'static str,
}

fn row(setting: &Setting, language: Language) -> Row {
    let (value, masked) = match &setting.value {
        Shown::Whole(text) => (Some(text.clone()), false),
        Shown::Masked(text) => (Some(text.clone()), true),
        Shown::Hidden => (None, true),
        Shown::Missing | Shown::Unreadable => (None, false),
    };
    let place = match setting.origin {
        Origin::Set(place) | Origin::Emptied(place) => Some(place),
        Origin::Default => None,
    };
    let line = place.and_then(|place| match place {
        Place::Environment { overridden } => overridden,
        Place::File { line } => Some(line),
    });
    let origin = match setting.origin {
        Origin::Set(Place::Environment { .. }) => Some("environment"),
        Origin::Set(Place::File { .. }) => Some("file"),
        Origin::Default if setting.value == Shown::Missing => None,
        Origin::Emptied(_) | Origin::Default => Some("default"),
    };
    Row {
        name: setting.variable.name,
        value,
        masked,
        required: setting.variable.required,
        valid: setting.is_valid,
        origin,
        line,
        meaning: setting.variable.meaning(language),
    }
}
