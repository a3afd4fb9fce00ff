//! Where the caller is, and who carries the sound: a channel of Asterisk whose sound we carry, a call that OpenAI has answered by
//! SIP, or a channel of Asterisk that is joined to a call to OpenAI. What a call asks of all three is asked here.

use std::time::Instant;

use super::Output;
use super::caller::Exit;
use super::legs::Legs;
use super::openai_leg::OpenAiLeg;
use super::snoops::Snoops;
use crate::end_reason::EndReason;

/// The caller's side of a call.
#[derive(Debug)]
pub(super) enum Leg {
    /// The caller's channel, the media channel and their bridge in Asterisk.
    Asterisk(Box<Legs>),
    /// A call that OpenAI answers.
    OpenAi(Box<OpenAiLeg>),
    /// The caller's channel in Asterisk, joined to a call to OpenAI that we have asked Asterisk to make.
    Dialled(Box<Dialled>),
}

/// A caller in Asterisk who is joined to a call to OpenAI.
#[derive(Debug)]
pub(super) struct Dialled {
    /// The caller's channel, the channel to OpenAI and their bridge.
    pub(super) legs: Legs,
    /// The same call as OpenAI sees it.
    pub(super) openai: OpenAiLeg,
    /// The recording.
    pub(super) snoops: Snoops,
}

impl Leg {
    /// What exists in Asterisk; None: the caller is at OpenAI.
    pub(super) fn asterisk(&mut self) -> Option<&mut Legs> {
        match self {
            Self::Asterisk(legs) => Some(legs),
            Self::OpenAi(_) => None,
            Self::Dialled(dialled) => Some(&mut dialled.legs),
        }
    }

    /// The call at OpenAI; None: we carry the sound.
    pub(super) fn openai(&self) -> Option<&OpenAiLeg> {
        match self {
            Self::Asterisk(_) => None,
            Self::OpenAi(leg) => Some(leg),
            Self::Dialled(dialled) => Some(&dialled.openai),
        }
    }

    /// As [`Self::openai`].
    pub(super) fn openai_mut(&mut self) -> Option<&mut OpenAiLeg> {
        match self {
            Self::Asterisk(_) => None,
            Self::OpenAi(leg) => Some(leg),
            Self::Dialled(dialled) => Some(&mut dialled.openai),
        }
    }

    /// A call to OpenAI that we have asked Asterisk to make.
    pub(super) fn dialled(&mut self) -> Option<&mut Dialled> {
        match self {
            Self::Asterisk(_) | Self::OpenAi(_) => None,
            Self::Dialled(dialled) => Some(dialled),
        }
    }

    /// The id of the caller's channel, or of the call at OpenAI.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Asterisk(legs) => legs.caller_id().as_str(),
            Self::OpenAi(leg) => leg.call().map_or("", |call| call.as_str()),
            Self::Dialled(dialled) => dialled.legs.caller_id().as_str(),
        }
    }

    /// Takes the call if it still rings.
    pub(super) fn answer(&mut self, out: &mut Vec<Output>) {
        if let Some(legs) = self.asterisk() {
            legs.answer(out);
        }
    }

    /// Whether caller and model can hear each other, or could when the call ended.
    pub(super) fn is_joined(&self) -> bool {
        match self {
            Self::Asterisk(legs) => legs.is_joined(),
            Self::OpenAi(leg) => leg.was_ours(),
            Self::Dialled(dialled) => dialled.legs.is_joined(),
        }
    }

    /// Whether the end of the call waits for something, however long it takes: the caller who is there for all we know, or the
    /// recording.
    pub(super) fn is_awaited(&self) -> bool {
        match self {
            Self::Asterisk(legs) => legs.holds_caller(),
            Self::OpenAi(leg) => !leg.is_gone(),
            Self::Dialled(dialled) => {
                let Dialled { legs, openai, snoops } = &**dialled;
                legs.holds_caller() || !openai.is_gone() || snoops.are_awaited()
            }
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
            Self::Dialled(dialled) => {
                let Dialled { legs, openai, snoops } = &**dialled;
                [legs.deadline(), openai.deadline(), snoops.deadline()].into_iter().flatten().min()
            }
        }
    }

    /// The call is over: lets the caller go in this way.
    pub(super) fn release(&mut self, now: Instant, reason: EndReason, exit: Exit, out: &mut Vec<Output>) {
        match self {
            Self::Asterisk(legs) => {
                legs.release(reason, exit, out);
                legs.undo(out);
            }
            Self::OpenAi(leg) => leg.undo(reason, &exit, out),
            Self::Dialled(dialled) => {
                dialled.legs.release(reason, exit, out);
                dialled.snoops.finish(now, out);
            }
        }
    }

    /// The session is not needed any more: ends the call to OpenAI that carries it.
    pub(super) fn hang_up_on_openai(&mut self, reason: EndReason, out: &mut Vec<Output>) {
        if let Self::Dialled(dialled) = self {
            dialled.openai.undo(reason, &Exit::HangUp, out);
            dialled.legs.undo(out);
        }
    }

    /// Whether the caller is gone, and nothing is left in Asterisk that bears their name, of a call that has something left to do all the
    /// same. `is_late`: that has taken too long, so that only the caller counts.
    pub(super) fn is_let_go(&self, is_late: bool) -> bool {
        match self {
            // There is nothing left to do then but to wait for the session.
            Self::Asterisk(_) => false,
            Self::OpenAi(leg) => is_late || leg.is_hung_up_in_vain(),
            Self::Dialled(dialled) => {
                let Dialled { legs, snoops, .. } = &**dialled;
                !legs.holds_caller() && (is_late || legs.is_undone() && snoops.are_let_go())
            }
        }
    }

    /// Another call of the same caller may use their name in Asterisk from now on: this one touches nothing that bears it.
    pub(super) fn forget_caller(&mut self) {
        if let Self::Dialled(dialled) = self {
            dialled.legs.let_go();
            dialled.snoops.forget_channels();
        }
    }

    /// Whether nothing of this call is left that has to be undone.
    pub(super) fn is_undone(&self) -> bool {
        match self {
            Self::Asterisk(legs) => legs.is_undone(),
            Self::OpenAi(leg) => leg.is_gone(),
            Self::Dialled(dialled) => {
                let Dialled { legs, openai, snoops } = &**dialled;
                legs.is_undone() && openai.is_gone() && snoops.are_undone()
            }
        }
    }
}
