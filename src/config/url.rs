//! The address of the Realtime server: accepts what people write, and returns the address to which the daemon
//! connects.
//!
//! This module only handles text. It resolves no names and connects to nothing. It does not use the crate `url`, which
//! rewrites addresses (it drops the port 443 of `wss`, resolves `..`, and lowers the case of hosts): log lines and the
//! server would see another address than the one that was configured.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but unreserved characters (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Completes a base address: `http(s)` becomes `ws(s)`, and a path that is only a prefix gets `/realtime`. Returns
/// `None` if the text is not such an address. An address with a user is rejected, because log lines would show it; an
/// address with `#` is rejected, because nothing after the `#` would be sent.
pub(super) fn complete(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        _ => return None,
    };
    if !rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'@') {
        return None;
    }
    let (before_query, query) =
        rest.split_once('?').map_or((rest, None), |(before, query)| (before, Some(query)));
    let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
    if !is_authority(authority) {
        return None;
    }
    let path = path.trim_end_matches('/');
    let path = match path {
        "" => "realtime".to_owned(),
        "v1" | "openai" | "openai/v1" => format!("{path}/realtime"),
        _ => path.to_owned(),
    };
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    Some(format!("{scheme}://{authority}/{path}{query}"))
}

fn is_authority(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    !host.is_empty() && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Whether a completed address belongs to OpenAI or one of its regions (`eu.api.openai.com`).
pub(super) fn is_openai(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split([':', '/', '?']).next().unwrap_or("").to_ascii_lowercase();
    host == "api.openai.com" || host.ends_with(".api.openai.com")
}

/// Adds `model=` to `url`, unless its query already names a model or an Azure deployment.
pub(super) fn with_model(url: &str, model: &str) -> String {
    let query = url.split_once('?').map(|(_, query)| query);
    let names_model = |pair: &str| pair.starts_with("model=") || pair.starts_with("deployment=");
    if query.is_some_and(|query| query.split('&').any(names_model)) {
        return url.to_owned();
    }
    let mark = if query.is_some() { '&' } else { '?' };
    format!("{url}{mark}model={}", utf8_percent_encode(model, RESERVED))
}

/// Replaces the query of `url` by `call_id=`. The id of a call needs no encoding.
pub(super) fn with_call(url: &str, call: &str) -> String {
    let before_query = url.split('?').next().unwrap_or(url);
    format!("{before_query}?call_id={call}")
}

/// The address at which the server of a completed address lists its models: next to `realtime`, over HTTP.
pub(super) fn models(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = if scheme == "wss" { "https" } else { "http" };
    let before_query = rest.split('?').next().unwrap_or(rest);
    Some(format!("{scheme}://{}/models", before_query.strip_suffix("/realtime")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_completed_as_far_as_needed() {
        for (written, meant) in [
            ("wss://api.openai.com/v1/realtime", "wss://api.openai.com/v1/realtime"),
            ("https://api.openai.com/v1/", "wss://api.openai.com/v1/realtime"),
            ("http://10.0.0.5:8080", "ws://10.0.0.5:8080/realtime"),
            ("ws://[::1]:9000/openai/v1", "ws://[::1]:9000/openai/v1/realtime"),
            ("WSS://x.example/custom/path/?a=b", "wss://x.example/custom/path?a=b"),
        ] {
            assert_eq!(complete(written).as_deref(), Some(meant), "{written}");
        }
        for wrong in [
            "api.openai.com",
            "ftp://x/",
            "wss://",
            "wss:///v1",
            "ws://me:pw@x/",
            "ws://x y/",
            "ws://x:0/",
            "ws://x/#a",
        ] {
            assert_eq!(complete(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_model_is_appended_once_and_escaped() {
        assert_eq!(
            with_model("wss://x/realtime", "gpt-realtime-2.1"),
            "wss://x/realtime?model=gpt-realtime-2.1"
        );
        assert_eq!(with_model("wss://x/realtime?a=b", "org/m&1"), "wss://x/realtime?a=b&model=org%2Fm%261");
        assert_eq!(
            with_model("wss://x/r?api-version=1&deployment=d", "m"),
            "wss://x/r?api-version=1&deployment=d"
        );
    }

    #[test]
    fn the_models_are_listed_beside_the_sessions() {
        assert_eq!(
            models("wss://api.openai.com/v1/realtime").as_deref(),
            Some("https://api.openai.com/v1/models")
        );
        assert_eq!(models("ws://x:1/realtime?a=b").as_deref(), Some("http://x:1/models"));
        assert_eq!(models("wss://x/custom/path"), None);
    }

    #[test]
    fn only_openai_is_openai() {
        assert!(is_openai("wss://api.openai.com/v1/realtime") && is_openai("wss://eu.api.openai.com:443/v1"));
        assert!(
            !is_openai("wss://api.openai.com.evil.example/v1")
                && !is_openai("wss://x.openai.azure.com/openai")
        );
    }
}
