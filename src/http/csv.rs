//! Writes the JSON of an answer as CSV (RFC 4180) for spreadsheets, if the client asks for it with `?format=csv` or
//! `Accept: text/csv`.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and a caller can send any text as
//! their number. Every text is therefore quoted and gets an apostrophe before each of these characters that could
//! begin a cell; this includes the `+` of genuine numbers. Where the decimal separator is a comma, spreadsheets split
//! a line at semicolons instead of commas, so a cell can begin in the middle of a text.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::problem::Problem;

/// The format of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// JSON.
    Json,
    /// A CSV table whose first line holds the names of the columns.
    Csv,
}

impl Format {
    /// Determines the format of the answer. The parameter takes precedence over the `Accept` header.
    pub(super) fn of(asked: Option<Self>, headers: &HeaderMap) -> Self {
        let accepts = |kind: &str| {
            let mut accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
            accept.any(|value| value.split([',', ';']).any(|part| part.trim().eq_ignore_ascii_case(kind)))
        };
        let by_header =
            if accepts("text/csv") && !accepts("application/json") { Self::Csv } else { Self::Json };
        asked.unwrap_or(by_header)
    }
}

/// Writes the rows as a table. A column is a key of the row's JSON, or two keys with a slash between them for a
/// nested value.
pub(super) fn table(columns: &[&str], rows: &[impl Serialize]) -> Result<Response, Problem> {
    let mut text = columns.iter().map(|column| column.replace('/', "_")).collect::<Vec<_>>().join(",");
    text.push_str("\r\n");
    for row in rows {
        let row = serde_json::to_value(row).map_err(Problem::internal)?;
        let cells = columns.iter().map(|column| cell(row.pointer(&format!("/{column}"))));
        text.push_str(&cells.collect::<Vec<_>>().join(","));
        text.push_str("\r\n");
    }
    let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text_cell(text),
        Some(Value::Array(list)) if list.is_empty() => String::new(),
        Some(list @ (Value::Array(_) | Value::Object(_))) => text_cell(&list.to_string()),
        Some(other) => other.to_string(),
    }
}

/// The characters that end a cell in some spreadsheet.
const SEPARATORS: [char; 6] = [',', ';', '|', '\t', '\r', '\n'];
/// The characters that begin a formula. East Asian spreadsheets treat the full-width forms like the ASCII ones.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Quotes a text as a cell that no spreadsheet takes for a formula.
#[must_use]
pub fn text_cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len() + 3);
    cell.push('"');
    let mut may_begin = true;
    for c in text.chars() {
        if may_begin && FORMULA.contains(&c) {
            cell.push('\'');
        }
        // Spreadsheets skip whitespace and quotes at the beginning of a cell.
        may_begin = SEPARATORS.contains(&c) || (may_begin && (c.is_whitespace() || c == '"'));
        if c == '"' {
            cell.push(c);
        }
        cell.push(c);
    }
    cell.push('"');
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_no_two_cells() {
        for (text, cell) in [
            ("", ""),
            ("900", "900"),
            ("+34600111222", "'+34600111222"),
            ("=HYPERLINK(\"http://x\",\"y\")", "'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")"),
            ("-1+1", "'-1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\t'=1"),
            ("1;=HYPERLINK(0)", "1;'=HYPERLINK(0)"),
            ("1; =a,+b|-c\t@d\r\n=e\n+f", "1; '=a,'+b|'-c\t'@d\r\n'=e\n'+f"),
            ("1;\"\"=a", "1;\"\"\"\"'=a"),
            ("==1;＝1", "'==1;'＝1"),
            ("a,b", "a,b"),
            ("a\r\nb", "a\r\nb"),
            ("seis-siete = 13, ana@pbx", "seis-siete = 13, ana@pbx"),
            ("señal", "señal"),
        ] {
            assert_eq!(text_cell(text), format!("\"{cell}\""));
        }
        assert_eq!(cell(Some(&Value::from(-4))), "-4", "numbers are numbers");
        let list = serde_json::json!([{"name": "find", "arguments": {"a": "=1+1"}}]);
        assert_eq!(
            cell(Some(&list)),
            r#""[{""arguments"":{""a"":""=1+1""},""name"":""find""}]""#,
            "a list is one text"
        );
        assert_eq!(cell(Some(&serde_json::json!([]))), "");
    }

    #[test]
    fn the_parameter_counts_before_the_header_and_json_before_csv() {
        let of = |asked, accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            Format::of(asked, &headers)
        };
        assert_eq!(of(None, "*/*"), Format::Json);
        assert_eq!(of(None, "text/csv"), Format::Csv);
        assert_eq!(of(None, "Text/CSV;q=0.9, */*;q=0.1"), Format::Csv);
        assert_eq!(of(None, "text/csv, application/json"), Format::Json);
        assert_eq!(of(Some(Format::Csv), "application/json"), Format::Csv);
        assert_eq!(of(Some(Format::Json), "text/csv"), Format::Json);
    }
}
