//! Asterisk's part in a rehearsal: it grants what a call asks for. There is no telephone behind it.

use crate::ari::request::{Reply, Request};
use crate::call::LegEvent;

/// The address to which the call sends its sound. Nobody listens there, and nothing is sent.
const MEDIA: &str = r#"{"local_address":"127.0.0.1","local_port":40000}"#;

/// The answer to a request.
pub(super) fn reply(request: &Request) -> Reply {
    Reply::Done(match request {
        Request::ExternalMedia { .. } => MEDIA.to_owned(),
        // Every place of the dialplan exists.
        Request::DialplanExists { .. } => r#"{"value":"1"}"#.to_owned(),
        _ => String::new(),
    })
}

/// What happens in Asterisk because of a request.
pub(super) fn news(request: &Request) -> Option<LegEvent> {
    matches!(request, Request::ExternalMedia { .. }).then_some(LegEvent::MediaEntered)
}

/// Where the dialplan goes on with the caller, if the call has let them go there.
pub(super) fn goes_on(request: &Request) -> Option<String> {
    match request {
        Request::Continue { place, .. } => {
            Some(place.as_ref().map_or_else(|| "dialplan".to_owned(), ToString::to_string))
        }
        _ => None,
    }
}
