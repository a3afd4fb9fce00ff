//! Decides which values must not appear in a log line because they may contain a secret.
//!
//! Whoever wrote a value knows it, and the line names its variable, so a doubtful value is hidden. This module does
//! not decide what a variable may hold, with one exception: only secret variables may hold a key.

use super::Variables;
use super::variables::VARIABLES;

/// The length of a word of letters and digits from which it may be a password. A smaller value would hide `gpt4o`; a
/// larger one would show `hunter2`.
const MIXED_WORD_CHARS: usize = 7;

/// The length of a word of letters and digits in an address from which it may be a key. A smaller value would hide
/// the names of deployments; a larger one would show keys of 128 bits.
const RANDOM_WORD_CHARS: usize = 20;

/// The shortest secret that is looked for in other values. A smaller value would hide unrelated values; a larger one
/// would show short secrets.
const SECRET_CHARS: usize = 4;

/// The shortest word that begins like a key of OpenAI and is regarded as one. A smaller value would hide ordinary
/// words.
const KEY_CHARS: usize = 20;

/// Whether `text`, the value of a variable that is not secret, may contain a secret. `variables` supplies the known
/// secrets.
pub(super) fn may_hold_secret(text: &str, variables: Variables<'_>) -> bool {
    is_several_lines(text)
        || names_user(text)
        || is_key(text)
        || repeats_a_secret(text, variables)
        || (!is_path(text) && has_mixed_word(text))
}

/// Whether `text` contains a key of OpenAI or a secret key of age.
pub(super) fn is_key(text: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || "\"'=:,".contains(c)).any(|word| {
        let begins =
            |start: &str| word.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
        (begins("sk-") && word.len() >= KEY_CHARS) || begins("AGE-SECRET-KEY-")
    })
}

/// Whether any word in `text` begins like a key, no matter which characters surround it. This is stricter than
/// [`is_key`], which decides what a variable may hold.
pub(super) fn holds_key(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').any(is_key)
}

/// Whether the text has several lines. The lines of other variables may then be part of it.
fn is_several_lines(text: &str) -> bool {
    text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// Whether the text contains `user:password` or `user:password@host`, in contrast to `host:port` or an IPv6 address.
fn names_user(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let ends_in_port = |(_, port): (&str, &str)| is_number(port.split(['/', '?']).next().unwrap_or_default());
    let is_address = rest.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.[]%/".contains(&byte));
    rest.contains('@') || !(is_address || rest.rsplit_once(':').is_none_or(ends_in_port))
}

/// Whether `text` contains the value of a secret variable, or a part of it that is a secret by itself.
pub(super) fn repeats_a_secret(text: &str, variables: Variables<'_>) -> bool {
    let secrets = VARIABLES.iter().filter(|row| row.secret).filter_map(|row| variables(row.name));
    secrets
        .flat_map(|secret| parts_of(&secret))
        .any(|part| part.len() >= SECRET_CHARS && text.contains(&part))
}

/// A secret and its parts that may be secrets by themselves: each of several tokens, the token after a role, and the
/// password of an address, both as written and unescaped.
fn parts_of(secret: &str) -> Vec<String> {
    let mut parts = vec![secret.trim().to_owned()];
    if let Some(password) = password_of(secret) {
        parts.extend([password.to_owned(), unescaped(password)]);
    } else {
        let tokens = secret.split(',').map(str::trim);
        parts.extend(tokens.map(|token| token.rsplit(':').next().unwrap_or(token).to_owned()));
    }
    parts
}

/// The password of an address with a user: `scheme://user:password@host`.
fn password_of(address: &str) -> Option<&str> {
    let (user, _) = address.split_once("://")?.1.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// Decodes percent-encoded bytes, such as `%40`.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let escaped = match (first, others) {
            (b'%', [high, low, ..]) => {
                let digits = [*high, *low];
                std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok())
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &others[2..] } else { others };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn is_path(text: &str) -> bool {
    ["/", "./", "../"].iter().any(|start| text.starts_with(start))
}

fn has_mixed_word(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| is_mixed(word, MIXED_WORD_CHARS))
}

/// Whether a part of an address may be a key.
pub(super) fn looks_random(part: &str) -> bool {
    holds_key(part)
        || part.split(|c: char| !c.is_alphanumeric()).any(|word| is_mixed(word, RANDOM_WORD_CHARS))
}

/// Whether `word` has at least `least` characters and contains both letters and digits.
fn is_mixed(word: &str, least: usize) -> bool {
    word.chars().count() >= least
        && word.contains(|c: char| c.is_ascii_digit())
        && word.contains(|c: char| c.is_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_hidden(text: &str) -> bool {
        may_hold_secret(text, &|name| match name {
            "ASTERISK_PASSWORD" => Some("geheim".to_owned()),
            "API_TOKEN" => Some("reader/ana:wort,abc".to_owned()),
            "DATABASE_URL" => Some("mysql://calls:k%6Fe%2Fnig@db/phone".to_owned()),
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
            "/srv/k%6Fe%2Fnig",
            "/srv/koe/nig",
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
            "db/phone",
        ] {
            assert!(!is_hidden(text), "{text}");
        }
    }
}
