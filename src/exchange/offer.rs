//! A call that OpenAI answers by SIP and offers us.

use std::time::Duration;

use crate::ari::ChannelId;
use crate::ari::nonce::Nonce;
use crate::number::CallerNumber;
use crate::realtime::calls::CallId;

/// A call that waits at OpenAI for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its id.
    pub call: CallId,
    /// The caller's number. It may be empty.
    pub caller: CallerNumber,
    /// The number that the caller dialled. Empty: it is not known.
    pub called: String,
    /// How long OpenAI has taken to tell of it, by OpenAI's own clock.
    pub age: Duration,
    /// Where it comes from.
    pub trunk: Trunk,
    /// The nonce in its headers. If there are several, an empty one, for which no call waits. None: there is none, and the call
    /// was not made by our Asterisk.
    pub nonce: Option<Nonce>,
}

/// Where a call comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trunk {
    /// It has the header that only the trunk adds.
    Known,
    /// No header is needed (`SIP_SHARED_HEADER=none`): anybody may have made it, and it is taken all the same.
    Open,
    /// It lacks the header: anybody may have made it, and it is not taken.
    Stranger,
}

impl Offer {
    /// The name under which the exchange and the daemon know the call.
    #[must_use]
    pub fn id(&self) -> ChannelId {
        self.call.as_str().into()
    }
}
