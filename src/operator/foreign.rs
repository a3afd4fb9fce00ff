//! Text that strangers wrote – names of channels, callers' numbers, words of a model, paths of requests – made fit to be
//! shown to a person: in a log, on a terminal, in a summary.
//!
//! It does not make text fit for HTML, SQL, a shell or a spreadsheet, and data that programs read stays as it is.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` as one line that shows everything in it: each sign that ends a line, moves a cursor, turns the direction of
/// writing or is not seen becomes its escape, such as `\n` or `\u{202e}`. Applying it twice changes nothing.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    let Some((first, _)) = text.char_indices().find(|(_, c)| is_hidden(*c)) else {
        return Cow::Borrowed(text);
    };
    let (before, rest) = text.split_at(first);
    let mut line = String::with_capacity(text.len() + 16);
    line.push_str(before);
    for c in rest.chars() {
        if is_hidden(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    Cow::Owned(line)
}

/// `json`, text of JSON, with each sign in its strings that [`plain`] would not show as itself written as `\uXXXX`: the
/// same values, and nothing that a terminal obeys.
#[must_use]
pub fn plain_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        // Line feeds stand between values only: in strings they are escaped already.
        if c != '\n' && is_hidden(c) {
            for unit in c.encode_utf16(&mut units) {
                write!(text, "\\u{unit:04x}").expect("writing to a String cannot fail");
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// Whether a sign is not seen as itself: the control characters, and of Unicode's format characters (category Cf) and line
/// ends (Zl, Zp) all that a text of the languages of telephony can do without. The zero-width joiner is among them: it
/// holds the parts of some emoji together, and hides differences between names.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_that_is_not_seen_is_shown() {
        let hidden = "\n\r\t\0\u{1b}\u{7f}\u{85}\u{9b}\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\
                      \u{2060}\u{2066}\u{2069}\u{feff}\u{fffb}\u{e0001}\u{e0041}\u{e007f}";
        for c in hidden.chars() {
            let shown = plain(&format!("a{c}b")).into_owned();
            assert_eq!(shown, format!("a{}b", c.escape_default()));
            assert_eq!(plain(&shown), shown, "twice is as once");
        }
    }

    #[test]
    fn json_shows_what_is_not_seen_and_keeps_its_values() {
        let hostile = "a\u{1b}[2J\r\n\u{9b}\u{202e}\u{e0041}\u{85}ñ🙂\"";
        let json = serde_json::to_string_pretty(&[hostile]).unwrap();
        let text = plain_json(&json);
        assert!(text.chars().all(|c| c == '\n' || !is_hidden(c)), "{text}");
        assert!(text.contains("\\u009b\\u202e\\udb40\\udc41") && text.contains("ñ🙂"), "{text}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&text).unwrap(), [hostile]);
    }

    #[test]
    fn what_people_write_stays() {
        for text in ["", "Íñigo Muñoz «ñ» – 東京 🙂 العربية", "C:\\n \\u{202e}"] {
            assert!(matches!(plain(text), Cow::Borrowed(same) if same == text));
        }
    }
}
