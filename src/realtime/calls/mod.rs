//! Calls that OpenAI answers itself by SIP: the event that offers such a call, and the requests that decide about it
//! (`POST …/v1/realtime/calls/{call_id}/…`).
//!
//! ```text
//!   INVITE ─► OpenAI ─► webhook realtime.call.incoming ─► Incoming ─► accept · reject
//!                                                                       └─► refer · hangup
//! ```
//!
//! | file | what |
//! |---|---|
//! | `incoming` | the event of the webhook |
//! | `headers` | what the headers of the INVITE tell |
//! | `request` | the requests and their answers |
//! | `session` | the settings with which a call is accepted |
//!
//! Source: OpenAI's guide "Realtime API with SIP" and the reference of calls and webhooks.

pub mod headers;
pub mod incoming;
pub mod request;
pub mod session;

use std::fmt;
use std::sync::Arc;

/// What the id of a call begins with.
const PREFIX: &str = "rtc_";
/// The longest id behind its prefix, in bytes. Ids that have been seen have about 40. The id is part of file names, which may have
/// 255 bytes; a smaller value could refuse calls.
const ID_BYTES: usize = 96;

/// The id of a call (`rtc_…`). It is safe in a URL and in a file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(Arc<str>);

impl CallId {
    /// The id, if the text is one: `^rtc_[A-Za-z0-9_-]{1,96}$`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        ((1..=ID_BYTES).contains(&rest.len()) && rest.bytes().all(is_plain)).then(|| Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_leave_its_folder_or_its_url() {
        for good in ["rtc_abc123", "rtc_u0_9-Z", &format!("rtc_{}", "x".repeat(96))] {
            assert_eq!(CallId::parse(good).as_ref().map(CallId::as_str), Some(good));
        }
        let long = format!("rtc_{}", "x".repeat(97));
        for bad in [
            "", "rtc_", "abc", "RTC_a", "rtc_../a", "rtc_a/b", "rtc_a?b", "rtc_a b", "rtc_é", "rtc_a\n",
            &long,
        ] {
            assert_eq!(CallId::parse(bad), None, "{bad}");
        }
    }
}
