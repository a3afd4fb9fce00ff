//! The event `realtime.call.incoming` of a webhook.

use serde::Deserialize;
use serde_json::Value;

use super::CallId;
use super::headers::SipHeaders;

/// The type of the event.
const INCOMING: &str = "realtime.call.incoming";

/// A call that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The id of the call.
    pub call: CallId,
    /// When OpenAI made the event, in Unix seconds by OpenAI's clock. None: it does not say, or says something impossible.
    pub created_at: Option<i64>,
    /// The headers of the INVITE.
    pub headers: SipHeaders,
}

/// What a webhook tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A call has come.
    Incoming(Box<Incoming>),
    /// Something else, which needs nothing done: an event of another type, also of the same call in the Live API.
    Other,
}

/// The body is no event, or the event has no usable id of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an event of a webhook")]
pub struct Malformed;

/// The years from 1970 to 5138, in Unix seconds: a time outside is none.
const TIMES: std::ops::RangeInclusive<f64> = 1.0..=1e11;

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    created_at: Value,
    #[serde(default)]
    data: Value,
}

/// Reads the body of a webhook whose signature is right. Only what is needed must be readable: one odd header, or a time that is
/// missing, does not cost the call.
///
/// # Errors
/// Returns [`Malformed`] if the body is not JSON with a type, or if a call has no id that is safe in a URL and a file name.
pub fn parse(body: &[u8]) -> Result<Message, Malformed> {
    let read = serde_json::from_slice(body).or_else(|_| serde_json::from_slice(&without_halves(body)));
    let Envelope { kind, created_at, data } = read.map_err(|_| Malformed)?;
    if kind != INCOMING {
        return Ok(Message::Other);
    }
    let call = data["call_id"].as_str().and_then(CallId::parse).ok_or(Malformed)?;
    let headers = SipHeaders::from(&data["sip_headers"]);
    let created_at = created_at.as_f64().filter(|at| TIMES.contains(at)).map(|at| at as i64);
    Ok(Message::Incoming(Box::new(Incoming { call, created_at, headers })))
}

/// The JSON with U+FFFD in place of each half of a pair of UTF-16 surrogates that stands alone (RFC 8259 section 8.2). A caller's name
/// that was cut in the middle of a character may have one, and no text can hold it.
fn without_halves(json: &[u8]) -> Vec<u8> {
    let mut mended = json.to_vec();
    let unit = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        at += match (byte, unit(at)) {
            (_, Some(0xD800..=0xDBFF)) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            (_, Some(0xD800..=0xDFFF)) => {
                mended[at + 2..at + 6].copy_from_slice(b"FFFD");
                6
            }
            // The backslash takes the next byte with it, which may be another one.
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    mended
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, data: &str) -> String {
        format!(r#"{{"object":"event","id":"evt_1","type":"{kind}","created_at":1795182600,"data":{data}}}"#)
    }

    #[test]
    fn a_call_has_an_id_and_headers() {
        let data = r#"{"call_id":"rtc_u0_0001","sip_media_security":"new","sip_headers":[{"name":"From","value":"<sip:300@x>"}]}"#;
        let Ok(Message::Incoming(incoming)) = parse(event(INCOMING, data).as_bytes()) else { panic!() };
        let Incoming { call, created_at, headers } = *incoming;
        assert_eq!(
            (call.as_str(), created_at, &*headers.caller()),
            ("rtc_u0_0001", Some(1_795_182_600), "300")
        );
        assert_eq!(format!("{headers:?}"), "SipHeaders(1)", "no number in a log");
    }

    #[test]
    fn what_is_odd_beside_the_id_does_not_cost_the_call() {
        for (created_at, known) in [
            ("null", None),
            ("-1e308", None),
            ("1e308", None),
            ("0", None),
            (r#""now""#, None),
            ("1795182600.7", Some(1_795_182_600)),
        ] {
            for headers in ["null", "7", r#"[{"name":"From","value":null},{"name":7,"value":"x"}]"#] {
                let body = format!(
                    r#"{{"type":"{INCOMING}","created_at":{created_at},"data":{{"call_id":"rtc_a","sip_headers":{headers}}}}}"#
                );
                let Ok(Message::Incoming(incoming)) = parse(body.as_bytes()) else { panic!("{body}") };
                assert_eq!((incoming.created_at, &*incoming.headers.caller()), (known, ""), "{body}");
            }
        }
    }

    #[test]
    fn half_a_pair_of_surrogates_does_not_cost_the_call() {
        for (name, read) in [
            (r"Ana \ud83d", "Ana \u{fffd}"),
            (r"\uDE00 Ana", "\u{fffd} Ana"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r"\\ud83d", r"\ud83d"),
            (r"\\\ud83d", "\\\u{fffd}"),
        ] {
            let data =
                format!(r#"{{"call_id":"rtc_a","sip_headers":[{{"name":"X-Name","value":"{name}"}}]}}"#);
            let Ok(Message::Incoming(incoming)) = parse(event(INCOMING, &data).as_bytes()) else {
                panic!("{name}")
            };
            assert_eq!(incoming.headers.get("X-Name"), Some(read), "{name}");
        }
        for broken in [r"\ud83", r"\u", r"\", r"\ud8zz"] {
            assert_eq!(parse(format!(r#"{{"type":"{broken}"#).as_bytes()), Err(Malformed));
        }
    }

    #[test]
    fn other_events_are_ignored_whatever_they_hold() {
        for kind in ["live.transport.incoming", "live.call.incoming", "response.completed", "x"] {
            for data in ["{}", "null", "[]", r#"{"call_id":7}"#] {
                assert_eq!(parse(event(kind, data).as_bytes()), Ok(Message::Other), "{kind} {data}");
            }
        }
        assert_eq!(parse(br#"{"type":"x"}"#), Ok(Message::Other));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for data in
            ["{}", "null", r#"{"call_id":"../../etc"}"#, r#"{"call_id":7}"#, r#"{"call_id":"rtc_\uD800"}"#]
        {
            assert_eq!(parse(event(INCOMING, data).as_bytes()), Err(Malformed), "{data}");
        }
        for body in [&b""[..], b"{", b"[]", b"\xff\xfe", br#"{"type":7}"#, b"null"] {
            assert_eq!(parse(body), Err(Malformed), "{body:?}");
        }
    }
}
