//! Reads `.env` line by line with dotenvy, so that one malformed line does not hide the others.
//!
//! dotenvy alone stops at the first malformed line and leaves the rest unset, and an unclosed quote makes it take the
//! rest of the file as one value. Here each line is read separately, so a value cannot span lines. Of repeated
//! variables the last one counts, as for systemd and the shell. This module does not check values; the parser does.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::Problem;
use super::variables::{self, VARIABLES};
use crate::operator::{Detail, Notice};

/// The last line that sets a variable.
#[derive(Debug)]
pub(super) struct Line {
    /// The number of the line, counted from 1.
    pub(super) number: usize,
    pub(super) value: String,
}

/// The content of the file.
#[derive(Debug, Default)]
pub(super) struct EnvFile {
    /// The lines that set variables, by name.
    pub(super) lines: BTreeMap<String, Line>,
    pub(super) problems: Vec<Problem>,
    pub(super) remarks: Vec<Notice>,
}

impl EnvFile {
    /// Reads the file at `path`. A missing file is not a problem.
    pub(super) fn read(path: &Path) -> Self {
        let shown = path.display().to_string();
        match std::fs::read(path) {
            Ok(bytes) => {
                let mut file = Self::parse(&shown, &bytes);
                if file.holds_secret() && is_readable_by_all(path) {
                    file.remarks.insert(0, Notice::EnvFileExposed { path: shown.clone() });
                }
                file.remarks.insert(0, Notice::EnvFileRead { path: shown });
                file
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().unwrap_or(path).display().to_string();
                Self { remarks: vec![Notice::EnvFileAbsent { folder }], ..Self::default() }
            }
            Err(error) => {
                let problem = Problem::UnreadableFile { path: shown, cause: Detail::new(error) };
                Self { problems: vec![problem], ..Self::default() }
            }
        }
    }

    /// Whether a key or a password stands in the file.
    fn holds_secret(&self) -> bool {
        let is_set = |name| self.lines.get(name).is_some_and(|line| !line.value.trim().is_empty());
        VARIABLES.iter().any(|row| row.secret && is_set(row.name))
    }

    /// Replaces bytes that are not UTF-8 by U+FFFD, which the parser rejects in the variables that matter.
    fn parse(path: &str, bytes: &[u8]) -> Self {
        // Lines may also end as on Windows and on old Macs. Otherwise the whole file would be one value that contains
        // the passwords.
        let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
        let mut file = Self::default();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            file.parse_line(path, index + 1, line);
        }
        file.remarks.extend(file.lines.keys().filter_map(|name| misspelt(name)));
        file
    }

    fn parse_line(&mut self, path: &str, number: usize, line: &str) {
        let (name, value) = match parse_alone(line) {
            Some(Ok(pair)) => pair,
            Some(Err(_)) => {
                let variable = ours_at_start(line);
                self.problems.push(Problem::MalformedLine { path: path.to_owned(), line: number, variable });
                return;
            }
            None => return,
        };
        if let Some(variable) = variables::find(&name).map(|row| row.name) {
            let path = || path.to_owned();
            if is_expanded(line, &value) {
                self.remarks.push(Notice::EnvValueExpanded { path: path(), line: number, variable });
            }
            if line.split_once('=').is_some_and(|(_, raw)| sheds_quotes(raw.trim())) {
                self.remarks.push(Notice::EnvQuotesShed { path: path(), line: number, variable });
            }
            if self.lines.get(&name).is_some_and(|before| before.value != value) {
                self.remarks.push(Notice::EnvVariableRepeated { path: path(), line: number, variable });
            }
        }
        self.lines.insert(name, Line { number, value });
    }
}

/// Whether every user of this machine may read the file.
fn is_readable_by_all(path: &Path) -> bool {
    const READ_BY_OTHERS: u32 = 0o004;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & READ_BY_OTHERS != 0)
}

fn parse_alone(line: &str) -> Option<dotenvy::Result<(String, String)>> {
    dotenvy::from_read_iter(format!("{line}\n").as_bytes()).next()
}

/// Whether dotenvy took a `$` for the beginning of a variable's name. In that case another character in its place
/// changes the value.
fn is_expanded(line: &str, value: &str) -> bool {
    const STAND_IN: char = '\u{e000}';
    let Some(Ok((_, literal))) =
        line.contains('$').then(|| parse_alone(&line.replace('$', &STAND_IN.to_string()))).flatten()
    else {
        return false;
    };
    literal.replace(STAND_IN, "$") != value
}

/// Whether the value loses quotes that do not enclose all of it: `a"b"c` is read as `abc`.
fn sheds_quotes(raw: &str) -> bool {
    let mut within = None;
    let mut is_escaped = false;
    let mut signs = raw.chars().enumerate().peekable();
    while let Some((index, sign)) = signs.next() {
        match within {
            _ if is_escaped => is_escaped = false,
            _ if sign == '\\' => is_escaped = true,
            Some(quote) if sign == quote => {
                within = None;
                if signs.peek().is_some_and(|(_, next)| !next.is_whitespace()) {
                    return true;
                }
            }
            None if sign.is_whitespace() => return false,
            None if sign == '"' || sign == '\'' => {
                if index > 0 {
                    return true;
                }
                within = Some(sign);
            }
            Some(_) | None => {}
        }
    }
    false
}

/// Returns the variable at the beginning of a malformed line if the daemon knows the variable. Any other text might
/// be part of a secret.
fn ours_at_start(line: &str) -> Option<&'static str> {
    let line = line.trim_start();
    let exported = line.strip_prefix("export").filter(|rest| rest.starts_with(char::is_whitespace));
    let line = exported.unwrap_or(line).trim_start();
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
    variables::find(&line[..end]).map(|row| row.name)
}

/// Returns a remark if the daemon does not know `name` but knows a similar name.
fn misspelt(name: &str) -> Option<Notice> {
    /// The number of edits between similar names. Two cover transposed, missing and wrong letters. A larger value
    /// would find names similar that are both right; a smaller one would miss typos.
    const MAX_EDITS: usize = 2;
    let (known, edits) = VARIABLES
        .iter()
        .map(|row| (row.name, strsim::levenshtein(name, row.name)))
        .min_by_key(|(_, edits)| *edits)?;
    (1..=MAX_EDITS).contains(&edits).then(|| Notice::SettingMisspelt { found: name.to_owned(), known })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> EnvFile {
        EnvFile::parse(".env", text.as_bytes())
    }

    fn malformed(line: usize, variable: Option<&'static str>) -> Problem {
        Problem::MalformedLine { path: ".env".into(), line, variable }
    }

    #[test]
    fn a_malformed_line_is_reported_and_the_rest_is_read() {
        let file = parse(
            "ASTERISK_HOST=pbx\nASSISTANT_GREETING=Hola, buenas tardes\nhunter2\nLOG_LEVEL='open\nexport ASTERISK_PORT=8088 # sí\n",
        );
        assert_eq!(
            file.problems,
            [malformed(2, Some("ASSISTANT_GREETING")), malformed(3, None), malformed(4, Some("LOG_LEVEL"))]
        );
        assert_eq!(file.lines["ASTERISK_HOST"].value, "pbx");
        assert_eq!(file.lines["ASTERISK_PORT"].value, "8088");
    }

    #[test]
    fn windows_line_ends_a_byte_order_mark_comments_and_quotes_are_understood() {
        let file =
            parse("\u{feff}ASTERISK_HOST=pbx \r\n\r\n# don't\r\nASSISTANT_GREETING='¿Qué \"tal\"? #1 $5'");
        assert_eq!((file.problems, file.remarks), (vec![], vec![]));
        assert_eq!(file.lines["ASTERISK_HOST"].value, "pbx");
        assert_eq!(file.lines["ASSISTANT_GREETING"].value, "¿Qué \"tal\"? #1 $5");
    }

    #[test]
    fn a_dollar_sign_that_was_taken_for_a_variable_is_pointed_out() {
        let file = parse("ASTERISK_PASSWORD=pa$word\nOPENAI_API_KEY='k$y'\nLOG_FILE_PATH=a\\$b\n");
        assert_eq!(
            file.remarks,
            [Notice::EnvValueExpanded { path: ".env".into(), line: 1, variable: "ASTERISK_PASSWORD" }]
        );
        assert_eq!(file.lines["LOG_FILE_PATH"].value, "a$b");
    }

    #[test]
    fn line_ends_of_old_macs_are_understood() {
        let file = parse("ASTERISK_HOST=pbx\rASTERISK_PASSWORD=hunter2\r\rLOG_LEVEL='x\r");
        assert_eq!(
            (&*file.lines["ASTERISK_HOST"].value, &*file.lines["ASTERISK_PASSWORD"].value),
            ("pbx", "hunter2")
        );
        assert_eq!(file.problems, [malformed(4, Some("LOG_LEVEL"))]);
    }

    #[test]
    fn quotes_that_are_lost_within_a_value_are_pointed_out() {
        let shed = |line: &str| {
            let file = parse(&format!("ASTERISK_PASSWORD={line}\n"));
            assert_eq!(file.problems, [], "{line}");
            let notice =
                Notice::EnvQuotesShed { path: ".env".into(), line: 1, variable: "ASTERISK_PASSWORD" };
            file.remarks == [notice]
        };
        for line in ["a\"b\"c", "a'b'c", "'a'b", "\"a\"'b'", "''x", "a\"b c\"", "\"a\\\"b\"c"] {
            assert!(shed(line), "{line}");
        }
        for line in
            ["abc", "'a\"b\"c'", "\"a'b'c\"", "'abc' # \"x\"", "abc # don't", "a\\\"b", "\"a\\\"b\"", ""]
        {
            assert!(!shed(line), "{line}");
        }
    }

    #[test]
    fn a_range_with_spaces_is_refused_under_its_name() {
        for line in ["RTP_PORTS=10000 - 20000", "  RTP_PORTS = 10000 - 20000", "export\tRTP_PORTS=a - b"] {
            assert_eq!(parse(line).problems, [malformed(1, Some("RTP_PORTS"))], "{line}");
        }
    }

    #[test]
    fn the_last_of_repeated_variables_counts_and_is_said() {
        let file = parse("LOG_LEVEL=info\nLOG_LEVEL=info\nLOG_LEVEL=debug\n");
        assert_eq!(file.lines["LOG_LEVEL"].value, "debug");
        assert_eq!(
            file.remarks,
            [Notice::EnvVariableRepeated { path: ".env".into(), line: 3, variable: "LOG_LEVEL" }]
        );
    }

    #[test]
    fn a_misspelt_variable_is_recognised_and_a_foreign_one_left_alone() {
        let file = parse("OPENIA_API_KEY=x\nASTERISK_PASWORD=y\nTWILIO_SID=z\nRECORDINGS_DIR=r\n");
        let misspelt = |found: &str, known| Notice::SettingMisspelt { found: found.into(), known };
        assert_eq!(
            file.remarks,
            [misspelt("ASTERISK_PASWORD", "ASTERISK_PASSWORD"), misspelt("OPENIA_API_KEY", "OPENAI_API_KEY")]
        );
    }

    #[test]
    fn a_file_with_a_key_that_everybody_may_read_is_pointed_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let exposed = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let remarks = EnvFile::read(&path).remarks;
            remarks.contains(&Notice::EnvFileExposed { path: path.display().to_string() })
        };
        let key = "OPENAI_API_KEY=sk-1\n";
        assert!(exposed(key, 0o644) && exposed("ASTERISK_PASSWORD=x\n", 0o604));
        assert!(!exposed(key, 0o640) && !exposed(key, 0o600));
        assert!(!exposed("OPENAI_API_KEY=\nLOG_LEVEL=info\n", 0o644), "nothing secret is in it");
    }

    #[test]
    fn a_folder_in_place_of_the_file_is_a_problem_and_no_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(EnvFile::read(folder.path()).problems[..], [Problem::UnreadableFile { .. }]));
        let absent = EnvFile::read(&folder.path().join(".env"));
        assert_eq!(absent.problems, []);
        assert!(matches!(absent.remarks[..], [Notice::EnvFileAbsent { .. }]));
    }
}
