//! Where the caller is: in a channel of Asterisk, which hands us the sound, or at OpenAI, which has answered the call by SIP and
//! carries the sound itself. What a call asks of both is asked here.

use std::time::Instant;

use super::Output;
use super::caller::Exit;
use super::legs::Legs;
use super::openai_leg::OpenAiLeg;
use crate::end_reason::EndReason;

/// The caller's side of a call.
#[derive(Debug)]
pub(super) enum Leg {
    /// The caller's channel, the media channel and their bridge in Asterisk.
    Asterisk(Box<Legs>),
    /// A call that OpenAI answers.
    OpenAi(Box<OpenAiLeg>),
}

impl Leg {
    /// What exists in Asterisk; None: the call is at OpenAI.
    pub(super) fn asterisk(&mut self) -> Option<&mut Legs> {
        match self {
            Self::Asterisk(legs) => Some(legs),
            Self::OpenAi(_) => None,
        }
    }

    /// The call at OpenAI; None: it is in Asterisk.
    pub(super) fn openai(&self) -> Option<&OpenAiLeg> {
        match self {
            Self::Asterisk(_) => None,
            Self::OpenAi(leg) => Some(leg),
        }
    }

    /// As [`Self::openai`].
    pub(super) fn openai_mut(&mut self) -> Option<&mut OpenAiLeg> {
        match self {
            Self::Asterisk(_) => None,
            Self::OpenAi(leg) => Some(leg),
        }
    }

    /// The id of the caller's channel, or of the call at OpenAI.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Asterisk(legs) => legs.caller_id().as_str(),
            Self::OpenAi(leg) => leg.call().as_str(),
        }
    }

    /// Takes the call if it still rings.
    pub(super) fn answer(&mut self, out: &mut Vec<Output>) {
        if let Self::Asterisk(legs) = self {
            legs.answer(out);
        }
    }

    /// Whether caller and model can hear each other, or could when the call ended.
    pub(super) fn is_joined(&self) -> bool {
        match self {
            Self::Asterisk(legs) => legs.is_joined(),
            Self::OpenAi(leg) => leg.was_ours(),
        }
    }

    /// Whether the caller is there for all we know, so that the end of the call waits for them.
    pub(super) fn holds_caller(&self) -> bool {
        match self {
            Self::Asterisk(legs) => legs.holds_caller(),
            Self::OpenAi(leg) => !leg.is_gone(),
        }
    }

    /// Whether the set-up failed for no other reason, as far as is known, than that the caller had hung up.
    pub(super) fn caller_was_gone(&mut self) -> bool {
        self.asterisk().is_some_and(Legs::caller_was_gone)
    }

    /// When it has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Asterisk(legs) => legs.deadline(),
            Self::OpenAi(leg) => leg.deadline(),
        }
    }

    /// The call is over: lets the caller go in this way.
    pub(super) fn undo(&mut self, reason: EndReason, exit: Exit, out: &mut Vec<Output>) {
        match self {
            Self::Asterisk(legs) => legs.undo(reason, exit, out),
            Self::OpenAi(leg) => leg.undo(reason, &exit, out),
        }
    }

    /// Whether nothing of this call is left that has to be undone.
    pub(super) fn is_undone(&self) -> bool {
        match self {
            Self::Asterisk(legs) => legs.is_undone(),
            Self::OpenAi(leg) => leg.is_gone(),
        }
    }
}
