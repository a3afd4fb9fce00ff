//! Calls in their aftermath: the caller is gone, perhaps into another call already, and the call only hangs up at OpenAI or fetches its
//! sound (`call::closing`). They take no place of `MAX_CALLS`, as long as there are not too many of them.

use std::collections::BTreeMap;

use super::switchboard::{AtOpenAi, Side};
use super::{Exchange, Output};
use crate::ari::ChannelId;
use crate::call::Report;
use crate::operator::{Detail, Notice};
use crate::realtime::calls::CallId;

/// How many calls in their aftermath take no place of `MAX_CALLS`; each more takes one. Each holds a task, a recording, and a session
/// that may still cost money. A larger value lets more of them run on while OpenAI or Asterisk does not do what it is asked; with a
/// smaller one callers are refused earlier because of calls that are over.
const WITHOUT_PLACE: usize = 64;

/// A call in its aftermath.
#[derive(Debug)]
struct Aftermath {
    /// The caller's channel, or the call at OpenAI.
    caller: ChannelId,
    /// The call at OpenAI, if it is known.
    call: Option<CallId>,
}

/// All calls in their aftermath, by number.
#[derive(Debug, Default)]
pub(super) struct Aftermaths(BTreeMap<u64, Aftermath>);

impl Aftermaths {
    /// How many places of `MAX_CALLS` they take.
    pub(super) fn places(&self) -> usize {
        self.0.len().saturating_sub(WITHOUT_PLACE)
    }

    /// Whether there are none.
    pub(super) fn are_over(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this call at OpenAI is one of them.
    pub(super) fn have(&self, call: &CallId) -> bool {
        self.0.values().any(|aftermath| aftermath.call.as_ref() == Some(call))
    }

    /// Whether a call of this caller is one of them.
    pub(super) fn are_of(&self, caller: &ChannelId) -> bool {
        self.0.values().any(|aftermath| aftermath.caller == *caller)
    }

    /// Their numbers.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0.keys().copied()
    }
}

impl Exchange {
    /// The call of this caller is in its aftermath, and has this number from now on. The caller may be in another call.
    pub(super) fn let_go(&mut self, caller: &ChannelId, number: u64, report: &Report) {
        let is_at_openai = self.switchboard.side(caller) == Some(Side::OpenAi);
        let call = match self.switchboard.served(caller).map(|served| &served.openai) {
            Some(AtOpenAi::Known(call)) => Some(call.clone()),
            _ if is_at_openai => CallId::parse(caller.as_str()),
            _ => None,
        };
        self.aftermaths.0.insert(number, Aftermath { caller: caller.clone(), call });
        self.ended(caller, report);
    }

    /// The aftermath with this number is over.
    pub(super) fn over(&mut self, number: u64) {
        self.aftermaths.0.remove(&number);
    }

    /// The call with this number was lost to a defect of ours in its aftermath.
    pub(super) fn aftermath_panicked(&mut self, number: u64, detail: Detail) {
        let Some(Aftermath { caller, call }) = self.aftermaths.0.remove(&number) else { return };
        self.say(Some(&caller), Notice::CallPanicked { detail });
        self.outputs.extend(call.map(Output::HangUp));
    }
}
