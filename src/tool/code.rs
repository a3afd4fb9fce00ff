//! Finds the pieces of code in a text with templates, and the filters and tests in them.

/// A piece of a text with templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Outside of templates.
    Literal(&'a str),
    /// `{{ … }}`, with its braces.
    Value(&'a str),
    /// `{% … %}` or `{# … #}`, or a template that does not end.
    Other(&'a str),
}

/// Something that the code names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use<'a> {
    /// The name after `|`.
    Filter(&'a str),
    /// The name after `is` or `is not`.
    Test(&'a str),
}

/// The pieces of a text, each with its place in bytes. Together they are the whole text.
pub(super) fn pieces(text: &str) -> Vec<(usize, Piece<'_>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let marks = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];
        let next = marks.iter().filter_map(|(open, close)| Some((rest.find(open)?, *open, *close))).min();
        let Some((start, open, close)) = next else {
            found.push((at, Piece::Literal(rest)));
            break;
        };
        if start > 0 {
            found.push((at, Piece::Literal(&rest[..start])));
        }
        let code = &rest[start..];
        let end = end(code, close, open != "{#");
        let whole = &code[..end.unwrap_or(code.len())];
        let piece = if open == "{{" && end.is_some() { Piece::Value(whole) } else { Piece::Other(whole) };
        found.push((at + start, piece));
        at += start + whole.len();
    }
    found
}

/// Where the code ends, after its closing mark. A mark in a text in quotes or within braces does not count.
fn end(code: &str, close: &str, has_texts: bool) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0_usize;
    let mut characters = code.char_indices().skip(2);
    while let Some((at, c)) = characters.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(characters.next()),
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if has_texts => quote = Some(c),
            (None, '{') if has_texts => depth += 1,
            (None, '}') if has_texts && depth > 0 => depth -= 1,
            _ if code[at..].starts_with(close) => return Some(at + close.len()),
            _ => {}
        }
    }
    None
}

/// The filters and tests in the code of a text, each with the place of its name.
pub(super) fn uses(text: &str) -> Vec<(usize, Use<'_>)> {
    let mut found = Vec::new();
    for (start, piece) in pieces(text) {
        let (Piece::Value(code) | Piece::Other(code)) = piece else { continue };
        if code.starts_with("{#") {
            continue;
        }
        let words = words(code);
        for (index, (_, word)) in words.iter().enumerate() {
            let next = |skip: usize| words.get(index + skip).filter(|(_, word)| is_name(word));
            let used = match *word {
                "|" => next(1).map(|(at, name)| (start + at, Use::Filter(name))),
                "is" => {
                    let skip = if next(1).is_some_and(|(_, word)| *word == "not") { 2 } else { 1 };
                    next(skip).map(|(at, name)| (start + at, Use::Test(name)))
                }
                _ => None,
            };
            found.extend(used);
        }
    }
    found
}

/// The names and signs of a piece of code, without its texts in quotes.
fn words(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut characters = code.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if c == '"' || c == '\'' {
            while let Some((_, inner)) = characters.next() {
                match inner {
                    '\\' => drop(characters.next()),
                    inner if inner == c => break,
                    _ => {}
                }
            }
            found.push((at, "''"));
        } else if is_of_name(c) {
            let mut end = at + c.len_utf8();
            while let Some((_, next)) = characters.next_if(|(_, next)| is_of_name(*next)) {
                end += next.len_utf8();
            }
            found.push((at, &code[at..end]));
        } else if !c.is_whitespace() {
            found.push((at, &code[at..at + c.len_utf8()]));
        }
    }
    found
}

const fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}
