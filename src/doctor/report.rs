//! Prints the findings: aligned lines for people, JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::findings::Finding;
use super::words::Status;
use crate::operator::Language;
use crate::operator::foreign::{plain, plain_json};

/// The widths of the columns, which fit the longest status and the longest id.
const STATUS_WIDTH: usize = 7;
const ID_WIDTH: usize = 10;

/// The worst status of all findings.
pub(super) fn worst(findings: &[Finding]) -> Status {
    findings.iter().map(Finding::status).max().unwrap_or(Status::Ok)
}

/// One line for each finding, an indented line for its remedy, and a final line with the counts.
pub(super) fn text(findings: &[Finding], language: Language) -> String {
    let mut text = String::new();
    for finding in findings {
        let (mark, status, id) = (finding.status().mark(), finding.status().word(), finding.check().id());
        let (detail, remedy) = finding.words(language);
        let detail = plain(&detail);
        writeln!(text, "{mark} {status:STATUS_WIDTH$}  {id:ID_WIDTH$}  {detail}")
            .expect("writing to a String cannot fail");
        if let Some(remedy) = remedy {
            let indent = " ".repeat(2 + STATUS_WIDTH + 2 + ID_WIDTH + 2);
            writeln!(text, "{indent}-> {}", plain(&remedy)).expect("writing to a String cannot fail");
        }
    }
    let count = |wanted| findings.iter().filter(|finding| finding.status() == wanted).count();
    write!(text, "\nfailure: {}, warning: {}", count(Status::Failure), count(Status::Warning))
        .expect("writing to a String cannot fail");
    text
}

/// The findings as JSON. The ids and statuses are stable between versions; the texts are not.
pub(super) fn json(findings: &[Finding], language: Language) -> String {
    #[derive(Serialize)]
    struct Report {
        status: &'static str,
        checks: Vec<Row>,
    }
    #[derive(Serialize)]
    struct Row {
        id: &'static str,
        status: &'static str,
        detail: String,
        remedy: Option<String>,
    }
    let row = |finding: &Finding| {
        let (detail, remedy) = finding.words(language);
        Row { id: finding.check().id(), status: finding.status().word(), detail, remedy }
    };
    let report = Report { status: worst(findings).word(), checks: findings.iter().map(row).collect() };
    plain_json(&serde_json::to_string_pretty(&report).expect("text is always JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_wrote_makes_no_line() {
        let path = "/srv/r\n✔ ok       all is well\u{1b}[2J\u{202e}".to_owned();
        let text = text(&[Finding::RecordingsWritable { path }], Language::English);
        assert!(text.contains("/srv/r\\n✔ ok") && text.contains("\\u{1b}[2J\\u{202e}"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }

    #[test]
    fn what_strangers_wrote_moves_no_cursor_in_json_either() {
        let path = "/srv/r\u{9b}2J\u{202e}".to_owned();
        let text = json(&[Finding::RecordingsWritable { path: path.clone() }], Language::English);
        assert!(!text.contains(['\u{9b}', '\u{202e}']), "{text}");
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(report["checks"][0]["detail"].as_str().unwrap().contains(&path), "{text}");
    }
}
