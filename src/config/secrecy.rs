//! Which values must not stand in a line: those into which a secret may have got.
//!
//! Whoever wrote a value knows it, and the line names its variable: where there is doubt the value is hidden. What a
//! variable may hold is not decided here, except that no variable but the secret ones may hold a key.

use super::Variables;
use super::variables::VARIABLES;

/// A word of so many characters that mixes letters and digits may be a password. A smaller number would hide `gpt4o`, a
/// larger one would show `hunter2`.
const MIXED_WORD_CHARS: usize = 7;

/// Shorter secrets are not looked for in other values: they would hide what has nothing to do with them.
const SECRET_CHARS: usize = 4;

/// Shorter words that begin like a key of OpenAI are none.
const KEY_CHARS: usize = 20;

/// Whether `text`, found in a variable that is no secret, may hold one. `variables` tell the secrets there are.
pub(super) fn may_hold_secret(text: &str, variables: Variables<'_>) -> bool {
    is_several_lines(text)
        || names_user(text)
        || is_key(text)
        || repeats_a_secret(text, variables)
        || (!is_path(text) && has_mixed_word(text))
}

/// Whether a key of OpenAI or a secret key of age stands in `text`.
pub(super) fn is_key(text: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || "\"'=:,".contains(c)).any(|word| {
        let begins =
            |start: &str| word.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
        (begins("sk-") && word.len() >= KEY_CHARS) || begins("AGE-SECRET-KEY-")
    })
}

/// The lines of other variables may be in it.
fn is_several_lines(text: &str) -> bool {
    text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// `user:password` or `user:password@host`, and not `host:port` or an address of IPv6.
fn names_user(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let ends_in_port = |(_, port): (&str, &str)| is_number(port.split(['/', '?']).next().unwrap_or_default());
    let is_address = rest.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.[]%/".contains(&byte));
    rest.contains('@') || !(is_address || rest.rsplit_once(':').is_none_or(ends_in_port))
}

fn repeats_a_secret(text: &str, variables: Variables<'_>) -> bool {
    let secrets = VARIABLES.iter().filter(|row| row.secret).filter_map(|row| variables(row.name));
    secrets.flat_map(|secret| secret.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>()).any(
        |secret| {
            // Of a token with a role: what is behind it.
            let secret = secret.rsplit(':').next().unwrap_or_default();
            secret.len() >= SECRET_CHARS && text.contains(secret)
        },
    )
}

fn is_path(text: &str) -> bool {
    ["/", "./", "../"].iter().any(|start| text.starts_with(start))
}

fn has_mixed_word(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| {
        word.chars().count() >= MIXED_WORD_CHARS
            && word.contains(|c: char| c.is_ascii_digit())
            && word.contains(|c: char| c.is_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_hidden(text: &str) -> bool {
        may_hold_secret(text, &|name| match name {
            "ASTERISK_PASSWORD" => Some("geheim".to_owned()),
            "API_TOKEN" => Some("reader/ana:wort,abc".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn what_may_hold_a_secret_is_hidden() {
        for text in [
            "user:secret@127.0.0.1",
            "secret@pbx",
            "http://user:secret@pbx:8088/",
            "asterisk:secret",
            "hunter2",
            "8088 sk-proj-abcdefghijklmnop",
            "age-secret-key-1abc",
            "localhost\rASTERISK_PASSWORD=secret",
            "localhost\u{2028}x",
            "xgeheimx",
            "wort",
            "Bearer 0a1b2c3d4e",
        ] {
            assert!(is_hidden(text), "{text}");
        }
    }

    #[test]
    fn what_helps_to_find_the_mistake_is_shown() {
        for text in [
            "80880",
            "0,9",
            "silencio",
            "http://pbx",
            "pbx:5001",
            "http://pbx:8088/ari",
            "[::1]:5001",
            "fe80::ffff",
            "10000 - 20000",
            "gpt realtime",
            "gpt-4o-realtime-preview-2024-12-17",
            "/srv/prompt2026.txt",
            "es_CO",
            "abc",
        ] {
            assert!(!is_hidden(text), "{text}");
        }
    }
}
