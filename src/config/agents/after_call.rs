//! Where messages about ended calls go: the tables `[[after_call]]`.

use std::ops::Range;
use std::sync::Arc;

use super::file::File;
use super::keys;
use super::secrets::Secrets;
use crate::operator::{AgentFault, Detail, SectionFault};
use crate::tool::{Flaw, Origin, Target, ToolFault};
use crate::webhook::{Address, Key, Url};

/// The most addresses of an agent. Each ended call is a message to each of them.
pub(super) const MOST: usize = 8;
/// The longest name, in characters. The outbox holds 255 bytes.
const NAME_CHARS: usize = 60;
const KEYS: [&str; 4] = ["name", "url", "secret", "words"];
/// What makes a request line of a URL.
const METHOD: &str = "POST ";

/// Reads an address. `taken` are the names of the agent's other addresses. `None`: a fault was recorded.
pub(super) fn address(
    file: &mut File<'_>,
    secrets: &Secrets<'_>,
    taken: &mut Vec<Arc<str>>,
) -> Option<Address> {
    let named = file.text("name");
    let url = url(file);
    let key = key(file, secrets);
    let words = file.flag("words");
    file.unknown_keys(|found| keys::similar(found, KEYS));
    let (place, url, origin) = url?;
    let (place, name) = named.unwrap_or_else(|| (place, origin.to_string()));
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS {
        file.fault(place, SectionFault::TooLong { key: "name", most: NAME_CHARS }.into());
    } else if taken.iter().any(|taken| **taken == *name) {
        file.fault(place, SectionFault::AddressTaken { name: Detail::new(&name) }.into());
    } else {
        taken.push(name.as_str().into());
    }
    if !file.faults.is_empty() {
        return None;
    }
    Some(Address { name: name.into(), url, origin: origin.to_string(), key: key?, words })
}

/// Reads the URL: literal, and encrypted unless the host is in a network of one's own.
fn url(file: &mut File<'_>) -> Option<(Range<usize>, Url, Origin)> {
    let Some((place, text)) = file.text("url") else {
        if file.is_whole() {
            file.missing("url");
        }
        return None;
    };
    let line = format!("{METHOD}{text}");
    let origin = match Target::parse(&line) {
        Ok(target) if target.templates().next().is_some() => {
            file.fault(place, SectionFault::UrlTemplate.into());
            return None;
        }
        Ok(target) => target.origin,
        Err(Flaw { at, what }) => {
            file.flaw(&place, &text, Flaw { at: at.saturating_sub(METHOD.len()), what });
            return None;
        }
    };
    if !origin.keeps_secrets() {
        file.fault(place, SectionFault::WebhookInPlainText { host: origin.host() }.into());
        return None;
    }
    Some((place, Url(text), origin))
}

/// Reads the reference to the key, and the key.
fn key(file: &mut File<'_>, secrets: &Secrets<'_>) -> Option<Key> {
    let Some((place, text)) = file.text("secret") else {
        if file.is_whole() {
            file.missing("secret");
        }
        return None;
    };
    let name = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    let Some(name) = name.and_then(|name| name.trim().strip_prefix("secret.")) else {
        file.fault(place, SectionFault::SecretReference.into());
        return None;
    };
    let fault = match secrets.find(name).map(|secret| Key::parse(secret.expose())) {
        Ok(Ok(key)) => return Some(key),
        Ok(Err(_)) => SectionFault::WebhookKey { name: name.to_owned() }.into(),
        Err(cause) => AgentFault::from(ToolFault::Secret { name: name.to_owned(), cause }),
    };
    file.fault(place, fault);
    None
}
