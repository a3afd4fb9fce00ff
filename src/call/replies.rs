//! What Asterisk's answers mean, and the operator's line for one that is not what was asked for. Changes nothing.

use std::net::SocketAddr;
use std::time::Duration;

use crate::ari::Place;
use crate::ari::request::{self, Reply, Request};
use crate::end_reason::EndReason;
use crate::operator::{Detail, Notice};

/// Pause before a request that got no answer, or a refusal that may pass, is made again.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Attempts to let a caller go that follow each other so quickly: they hear nothing meanwhile.
const QUICK_TRIES: u32 = 20;
/// Pause between later attempts. Longer leaves the caller in silence after Asterisk has come to itself, shorter disturbs
/// an Asterisk that is in trouble.
const SLOW_RETRY_AFTER: Duration = Duration::from_secs(5);

/// What a reply or an event means for the call as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing new.
    Nothing,
    /// Asterisk's end of the media path is known.
    Media(SocketAddr),
    /// Caller and media channel hear each other.
    Joined,
    /// The caller is gone.
    CallerGone,
    /// The call to OpenAI was not answered, for this cause (Q.850).
    NotAnswered(u32),
    /// It cannot go on.
    Failed(EndReason),
}

/// What became of a caller who was to leave the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// They have left it.
    Done,
    /// Their channel is not there any more.
    Gone,
    /// They are still in it, for all we know: it is tried again.
    Refused,
}

impl Departure {
    /// What the answer to `continue` or to the channel's removal says of it. 409: the channel is not in the application.
    #[must_use]
    pub const fn of(reply: &Reply) -> Self {
        match reply {
            Reply::Done(_) | Reply::Refused { status: 409, .. } => Self::Done,
            Reply::Refused { status: 404, .. } => Self::Gone,
            Reply::Refused { .. } | Reply::Lost(_) => Self::Refused,
        }
    }

    /// The pause after so many attempts, from 1.
    #[must_use]
    pub const fn try_again_after(tries: u32) -> Duration {
        if tries <= QUICK_TRIES { RETRY_AFTER } else { SLOW_RETRY_AFTER }
    }
}

/// The operator's line about a request that was refused or not answered; None: it was done.
#[must_use]
pub fn complaint(request: &Request, reply: &Reply) -> Option<Notice> {
    let endpoint = match request {
        Request::Dial { endpoint, .. } => Some(endpoint.clone()),
        _ => None,
    };
    let request = request.name();
    match reply {
        Reply::Done(_) => None,
        Reply::Refused { status: status @ (401 | 403), message } => {
            Some(Notice::RequestForbidden { request, status: *status, message: Detail::of_asterisk(message) })
        }
        Reply::Refused { status, message } => {
            let (status, message) = (*status, Detail::of_asterisk(message));
            Some(match endpoint {
                Some(endpoint) => Notice::SipNotDialled { endpoint, status, message },
                None => Notice::RequestRefused { request, status, message },
            })
        }
        Reply::Lost(cause) => Some(Notice::RequestUnanswered { request, cause: Detail::new(cause) }),
    }
}

/// The operator's line, if a place is not in the dialplan for all we know.
#[must_use]
pub fn missing(place: &Place, reply: &Reply) -> Option<Notice> {
    let place = place.to_string();
    match reply {
        Reply::Done(body) if request::exists(body) => None,
        Reply::Done(_) => Some(Notice::PlaceMissing { place }),
        Reply::Refused { message, .. } => {
            Some(Notice::PlaceUnknown { place, cause: Detail::of_asterisk(message) })
        }
        Reply::Lost(cause) => Some(Notice::PlaceUnknown { place, cause: Detail::new(cause) }),
    }
}

/// What the answer to a request of the set-up means for the call.
pub(super) fn failure(reply: &Reply) -> Progress {
    match reply {
        Reply::Done(_) => Progress::Nothing,
        Reply::Refused { .. } => Progress::Failed(EndReason::SetupFailed),
        Reply::Lost(_) => Progress::Failed(EndReason::AsteriskLost),
    }
}
