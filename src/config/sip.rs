//! The section of the calls that OpenAI answers by SIP: its webhook, and what callers and trunks may do.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Secret;
use super::reader::{Reader, is_none};
use super::words::Route;
use crate::operator::{Allowed, Notice};
use crate::webhook::Key;

/// How calls are taken that OpenAI answers by SIP.
#[derive(Clone, Debug, PartialEq)]
pub struct SipConfig {
    /// The secrets of the webhook: more than one while a secret is replaced. Empty: no such calls are taken.
    pub secrets: Vec<Secret>,
    /// The keys that these secrets make.
    pub keys: Vec<Key>,
    /// The address on which the webhook listens.
    pub listen: SocketAddr,
    /// The path of the webhook.
    pub path: String,
    /// The address of the webhook as OpenAI has it. `None`: it is not known. Only the doctor uses it.
    pub public_url: Option<String>,
    /// The host and the port that the trunk calls. Only the doctor uses it.
    pub host: String,
    /// The address of OpenAI's calls, without a slash at its end.
    pub calls_url: String,
    /// How a call proves that it comes from the trunk.
    pub trunk: TrunkProof,
    /// The PJSIP endpoint by which Asterisk calls OpenAI. `None`: it does not.
    pub endpoint: Option<String>,
    /// The host of the extensions to which callers are sent by REFER. `None`: callers cannot be sent anywhere.
    pub refer_host: Option<Arc<str>>,
}

impl SipConfig {
    /// Whether such calls are taken.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.keys.is_empty()
    }
}

/// How a call that a trunk makes to OpenAI proves that it comes from the trunk.
#[derive(Clone, Debug, PartialEq)]
pub enum TrunkProof {
    /// By this header, which only the trunk adds.
    Header(SharedHeader),
    /// It need not: everybody is served who knows the project.
    Needless,
    /// It cannot: no calls of a trunk are taken, only those that our Asterisk makes.
    None,
}

impl TrunkProof {
    /// The header, if one is needed.
    #[must_use]
    pub fn header(&self) -> Option<&SharedHeader> {
        match self {
            Self::Header(header) => Some(header),
            Self::Needless | Self::None => None,
        }
    }
}

/// A header with a value that only the trunk knows.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedHeader {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Secret,
}

/// Reads this section.
pub(super) fn sip(reader: &mut Reader<'_>) -> Option<SipConfig> {
    let secrets = reader.parsed("OPENAI_WEBHOOK_SECRET", Allowed::WebhookSecrets, secrets);
    let listen = reader.parsed("WEBHOOK_LISTEN", Allowed::SocketAddress, |text| text.parse().ok());
    let path = reader.parsed("WEBHOOK_PATH", Allowed::UrlPath, path);
    let public_url = reader.parsed("WEBHOOK_PUBLIC_URL", Allowed::HttpUrl, public_url);
    let host = reader.parsed("OPENAI_SIP_HOST", Allowed::SipHost, host);
    let calls_url = reader.parsed("OPENAI_CALLS_URL", Allowed::HttpUrl, calls_url);
    let header = reader.parsed("SIP_SHARED_HEADER", Allowed::SipHeader, header);
    let refer_host = reader.parsed("SIP_REFER_HOST", Allowed::SipHost, refer_host);
    let endpoint = endpoint(reader);
    let (pairs, header, endpoint) = (secrets?, header?, endpoint?);
    let endpoint = (!endpoint.is_empty()).then_some(endpoint);
    if !pairs.is_empty() && header == Trunk::Unsaid && endpoint.is_none() {
        // Whoever knows the id of the project could make us pay.
        reader.invalid("SIP_SHARED_HEADER", "", Allowed::SipHeader);
        return None;
    }
    if !pairs.is_empty() && header == Trunk::Open {
        reader.remarks.push(Notice::TrunkOpen);
    }
    let (secrets, keys) = pairs.into_iter().unzip();
    let trunk = match header {
        Trunk::Proves(header) => TrunkProof::Header(header),
        Trunk::Open => TrunkProof::Needless,
        Trunk::Unsaid => TrunkProof::None,
    };
    Some(SipConfig {
        secrets,
        keys,
        listen: listen?,
        path: path?,
        public_url: public_url?.url,
        host: host?,
        calls_url: calls_url?,
        trunk,
        endpoint,
        refer_host: refer_host?.host,
    })
}

/// What SIP_SHARED_HEADER says.
#[derive(Debug, PartialEq)]
enum Trunk {
    /// Nothing.
    Unsaid,
    /// `none`: a call needs no header.
    Open,
    /// A call needs this header.
    Proves(SharedHeader),
}

/// Reads the name of the PJSIP endpoint, which is empty if there is none.
fn endpoint(reader: &mut Reader<'_>) -> Option<String> {
    reader.parsed("OPENAI_SIP_ENDPOINT", Allowed::Name, |text| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        text.bytes().all(is_plain).then(|| text.to_owned())
    })
}

/// Reads which way the sound of calls goes whose callers are in Asterisk: what Asterisk calls so that OpenAI carries it. The inner
/// value is `None` if the daemon carries it.
#[expect(
    clippy::option_option,
    reason = "the outer option says whether the values are valid, the inner one whether OpenAI carries the sound"
)]
pub(super) fn dial(reader: &mut Reader<'_>, project: &str) -> Option<Option<Arc<str>>> {
    if reader.word::<Route>("CALL_ROUTE")? == Route::Media {
        return Some(None);
    }
    let endpoint = reader.text_or_empty("OPENAI_SIP_ENDPOINT")?;
    let has_webhook = !reader.text_or_empty("OPENAI_WEBHOOK_SECRET")?.is_empty();
    let needed = [
        ("OPENAI_SIP_ENDPOINT", !endpoint.is_empty()),
        ("OPENAI_PROJECT", !project.is_empty()),
        ("OPENAI_WEBHOOK_SECRET", has_webhook),
    ];
    let missing: Vec<_> =
        needed.into_iter().filter(|(_, is_there)| !is_there).map(|(name, _)| name).collect();
    if missing.is_empty() {
        return Some(Some(format!("PJSIP/{project}@{endpoint}").into()));
    }
    reader.invalid("CALL_ROUTE", "sip", Allowed::SipRoute { missing: missing.join(", ") });
    None
}

fn secrets(text: &str) -> Option<Vec<(Secret, Key)>> {
    let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    let secret = |text: &str| Some((Secret::new(text.to_owned()), Key::of_openai(text).ok()?));
    texts.map(secret).collect()
}

fn path(text: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let fits = text.starts_with('/') && text.len() > 1 && text.bytes().all(is_plain) && !text.contains("..");
    fits.then(|| text.to_owned())
}

fn calls_url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"#@?".contains(&byte);
    let fits = !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(is_plain);
    fits.then(|| text.trim_end_matches('/').to_owned())
}

fn header(text: &str) -> Option<Trunk> {
    if text.is_empty() {
        return Some(Trunk::Unsaid);
    }
    if is_none(text) {
        return Some(Trunk::Open);
    }
    let (name, value) = text.split_once(':')?;
    let (name, value) = (name.trim(), value.trim());
    // A token of RFC 3261, without the signs that nobody uses in names.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = !name.is_empty()
        && name.bytes().all(is_name)
        && (8..=256).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| Trunk::Proves(SharedHeader { name: name.to_owned(), value: Secret::new(value.to_owned()) }))
}

/// What WEBHOOK_PUBLIC_URL says.
struct PublicUrl {
    url: Option<String>,
}

fn public_url(text: &str) -> Option<PublicUrl> {
    if text.is_empty() {
        return Some(PublicUrl { url: None });
    }
    calls_url(text)?;
    Some(PublicUrl { url: Some(text.to_owned()) })
}

/// A host with its port, which is 5061 if there is none.
fn host(text: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port > 0)?),
        _ => (text, 5_061_u16),
    };
    (!host.is_empty() && host.bytes().all(is_plain)).then(|| format!("{host}:{port}"))
}

/// What SIP_REFER_HOST says.
struct ReferHost {
    host: Option<Arc<str>>,
}

fn refer_host(text: &str) -> Option<ReferHost> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    let fits = text.bytes().all(is_plain);
    fits.then(|| ReferHost { host: (!text.is_empty()).then(|| text.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_secrets_may_be_in_force_at_once() {
        let two = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=, 0123456789abcdef01234567";
        assert_eq!(secrets(two).map(|all| all.len()), Some(2));
        assert_eq!(secrets("").map(|all| all.len()), Some(0));
        for wrong in ["short", "whsec_%", "whsec_AAEC,0123456789abcdef01234567"] {
            assert!(secrets(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn values_that_could_not_work_are_refused() {
        for wrong in ["webhook", "/", "/a b", "/../x", "/a?b"] {
            assert_eq!(path(wrong), None, "{wrong}");
        }
        assert_eq!(path("/openai/webhook").as_deref(), Some("/openai/webhook"));
        for wrong in
            ["api.openai.com", "wss://x/y", "https://", "https:///x", "https://u:p@x/y", "https://x/y?a=b"]
        {
            assert_eq!(calls_url(wrong), None, "{wrong}");
        }
        assert_eq!(calls_url("https://x/v1/realtime/calls/").as_deref(), Some("https://x/v1/realtime/calls"));
        for wrong in
            ["X-Trunk-Key", "X-Trunk-Key: short", "X Key: 0123456789", ": 0123456789", "X-Key: two words"]
        {
            assert!(header(wrong).is_none(), "{wrong}");
        }
        assert_eq!((header(""), header("none")), (Some(Trunk::Unsaid), Some(Trunk::Open)));
        assert!(matches!(header("X-Trunk-Key: 0123456789"), Some(Trunk::Proves(_))));
        assert!(
            refer_host("a@b").is_none() && refer_host("pbx:5070").is_some_and(|found| found.host.is_some())
        );
    }
}
