//! The event `realtime.call.incoming` of a webhook.

use serde::Deserialize;

use super::CallId;
use super::headers::{SipHeaders, WireHeader};

/// The type of the event.
const INCOMING: &str = "realtime.call.incoming";

/// A call that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The id of the call.
    pub call: CallId,
    /// When OpenAI made the event, in Unix seconds by OpenAI's clock.
    pub created_at: i64,
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

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    created_at: f64,
    #[serde(default)]
    data: serde_json::Value,
}

#[derive(Deserialize)]
struct Data {
    call_id: String,
    #[serde(default)]
    sip_headers: Vec<WireHeader>,
}

/// Reads the body of a webhook whose signature is right.
///
/// # Errors
/// Returns [`Malformed`] if the body is not JSON with a type, or if a call has no id that is safe in a URL and a file name.
pub fn parse(body: &[u8]) -> Result<Message, Malformed> {
    let Envelope { kind, created_at, data } = serde_json::from_slice(body).map_err(|_| Malformed)?;
    if kind != INCOMING {
        return Ok(Message::Other);
    }
    let data = Data::deserialize(data).map_err(|_| Malformed)?;
    let call = CallId::parse(&data.call_id).ok_or(Malformed)?;
    let headers = data.sip_headers.into_iter().collect();
    Ok(Message::Incoming(Box::new(Incoming { call, created_at: created_at as i64, headers })))
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
        assert_eq!((call.as_str(), created_at, &*headers.caller()), ("rtc_u0_0001", 1_795_182_600, "300"));
        assert_eq!(format!("{headers:?}"), "SipHeaders(1)", "no number in a log");
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
        for data in [
            "{}",
            "null",
            r#"{"call_id":"../../etc"}"#,
            r#"{"call_id":7}"#,
            r#"{"call_id":"rtc_a","sip_headers":7}"#,
        ] {
            assert_eq!(parse(event(INCOMING, data).as_bytes()), Err(Malformed), "{data}");
        }
        for body in [&b""[..], b"{", b"[]", b"\xff\xfe", br#"{"type":7}"#, b"null"] {
            assert_eq!(parse(body), Err(Malformed), "{body:?}");
        }
    }
}
