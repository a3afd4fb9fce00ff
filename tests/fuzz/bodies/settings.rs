//! What may be in the operator's files and variables: it is accepted or refused with a line, and no line
//! shows a secret.

use std::cell::RefCell;
use std::fs;

use openai_inbound_calls::config::{Config, Problem, Survey, VARIABLES};
use openai_inbound_calls::operator::{Language, Notice};
use tempfile::TempDir;

use super::files::folder;

/// The secret that must not be in any line. No other word of the corpus contains it.
const SECRET: &str = "hunter2secret";

thread_local! {
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

/// Calls `act` with a file of these bytes.
fn with_file(bytes: &[u8], act: impl FnOnce(&std::path::Path)) {
    FOLDER.with_borrow_mut(|kept| {
        let path = kept.get_or_insert_with(folder).path().join("file");
        fs::write(&path, bytes).expect("it can be written");
        act(&path);
    });
}

/// The operator's notices, each of which must be one line.
fn lines(notices: &[Notice]) -> Vec<String> {
    let both = [Language::Spanish, Language::English];
    let lines: Vec<_> =
        notices.iter().flat_map(|notice| both.map(|language| notice.line(language))).collect();
    for line in &lines {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    lines
}

/// The configuration of a daemon that starts, with this variable replaced.
fn start(name: &str, value: &str) -> Result<Config, Vec<Problem>> {
    Config::from_variables(&|asked| {
        Some(
            match asked {
                _ if asked == name => value,
                "ASTERISK_USERNAME" => "asterisk",
                "ASTERISK_PASSWORD" | "OPENAI_API_KEY" => "sk-of-nobody",
                "ASTERISK_HOST" | "LOCAL_IP_ADDRESS" => "127.0.0.1",
                "ASTERISK_PORT" => "8088",
                "LOG_FILE_PATH" => "/nowhere/inbound.log",
                _ => return None,
            }
            .to_owned(),
        )
    })
}

/// Any `.env`.
pub(crate) fn env_file(bytes: &[u8]) {
    with_file(bytes, |path| {
        let nothing = |_: &str| None;
        let loaded = Config::load_from(path, &nothing);
        let said = match &loaded {
            Ok(config) => config.remarks.clone(),
            Err(error) => error.notices(),
        };
        let said = lines(&said);
        let survey = Survey::load_from(path, &nothing);
        // A secret in its own variable on its own line is never shown.
        let text = String::from_utf8_lossy(bytes);
        let own = ["ASTERISK_PASSWORD=", "OPENAI_API_KEY=", "API_TOKEN=", "DATABASE_URL=mysql://calls:"];
        let is_at_home = |line: &str| own.iter().any(|name| line.starts_with(name));
        if text.lines().filter(|line| line.contains(SECRET)).all(is_at_home) {
            assert!(!said.iter().any(|line| line.contains(SECRET)), "{said:?}");
        }
        // `config` does not show it either. (Names of tokens and hosts of databases are shown, because they
        // are no secrets.)
        let is_whole = |line: &str| own[..2].iter().any(|name| line.starts_with(name));
        if text.lines().filter(|line| line.contains(SECRET)).all(is_whole) {
            for setting in &survey.settings {
                let shown = format!("{:?}", setting.value);
                assert!(!shown.contains(SECRET), "{}: {shown}", setting.variable.name);
            }
        }
        assert_eq!(survey.settings.len(), VARIABLES.len());
        let all_valid = survey.settings.iter().all(|setting| setting.is_valid);
        assert!(loaded.is_err() || all_valid, "a daemon that starts has no variable that is wrong");
    });
}

/// Any table of prices.
pub(crate) fn prices(bytes: &[u8]) {
    with_file(bytes, |path| {
        let read = start("PRICES_FILE", path.to_str().expect("a path"));
        lines(&read.map_or_else(|problems| Problem::notices(&problems), |config| config.remarks));
    });
}

/// Any `API_TOKEN`: its tokens are accepted as they are written, or refused without being shown.
pub(crate) fn api_token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match start("API_TOKEN", text) {
        Ok(config) => {
            for token in &config.archive.api.tokens {
                let secret = token.secret.expose();
                assert!(!secret.is_empty() && text.contains(secret), "{token:?} of {text:?}");
                assert!(!format!("{token:?}").contains(SECRET));
            }
            untold(&config.remarks, text);
        }
        Err(problems) => untold(&Problem::notices(&problems), text),
    }
}

/// Any `DATABASE_URL`: its password is in no line, and not in the address that is shown.
pub(crate) fn database_url(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match start("DATABASE_URL", text) {
        Ok(config) => {
            // A host or database with the same name as the password is shown.
            let is_password = text.matches(SECRET).count() == 1 && text.contains(&format!(":{SECRET}@"));
            if let Some(server) = config.archive.call_log.server.as_ref().filter(|_| is_password) {
                let shown = format!("{server:?}");
                assert!(!shown.contains(SECRET), "{shown}");
                untold(&config.remarks, text);
            }
        }
        Err(problems) => untold(&Problem::notices(&problems), text),
    }
}

fn untold(notices: &[Notice], text: &str) {
    let said = lines(notices);
    assert!(!text.contains(SECRET) || !said.iter().any(|line| line.contains(SECRET)), "{said:?}");
}
