//! Ending a call on purpose: the goodbye is heard to its last frame, then the caller goes.
//!
//! ```text
//!   part() ──► the answer that is being given ends ──► nothing said in it: a goodbye is asked for
//!                     │                                        │
//!                     ▼                                        ▼
//!              everything queued has been heard, and a moment of silence ──► the caller goes (mod)
//! ```
//! Bounded by time. A caller who speaks meanwhile calls it off, unless a limit demands the end. Why a call is to end is
//! decided elsewhere (`tools`, `limits`).
//!
//! When the model fails nobody can say goodbye: a clip apologises in its place.

use std::time::{Duration, Instant};

use super::agent::Agent;
use super::caller::Exit;
use super::record::EventKind;
use super::responses::{Purpose, Responses};
use super::tools::{DESTINATION_VARIABLE, Destination};
use super::{CLOSING_PATIENCE, Call, Output, Phase, Standing, Wish};
use crate::operator::{EndReason, Level, Notice};
use crate::realtime::ResponseId;

/// Silence behind the last frame, so that it is not cut by the far end's jitter buffer. Longer is dead air.
const TAIL: Duration = Duration::from_millis(400);
/// Most a goodbye may take, what was being said before it included.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same when the daemon stops: systemd does not wait for ever.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(8);

/// The item that the clip is played as. The server's have other ids.
const APOLOGY: &str = "apology";

/// A call that is about to end.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) reason: EndReason,
    exit: Exit,
    /// The answer in which this was decided, while it is being given: what is said in it is the goodbye.
    decided_in: Option<ResponseId>,
    /// The goodbye is still to be said.
    owes_goodbye: bool,
    until: Instant,
    /// Since when nothing is being said or prepared.
    quiet_since: Option<Instant>,
}

impl Leaving {
    /// Whether the caller's words change nothing any more.
    fn is_final(&self) -> bool {
        !matches!(self.reason, EndReason::AssistantHungUp | EndReason::Transferred | EndReason::CallerSilent)
    }

    /// What the model is asked to say, if it has not said goodbye by itself.
    fn words(&self) -> &'static str {
        match self.reason {
            EndReason::Transferred => {
                "Tell the caller in one short sentence that you are connecting them now."
            }
            EndReason::CallerSilent => {
                "The caller has not spoken for a long time. Say goodbye in one short sentence."
            }
            EndReason::MaxDuration => {
                "The call has reached its time limit. Say so and say goodbye, in one or two short sentences."
            }
            EndReason::TokenLimit | EndReason::CostLimit | EndReason::Shutdown => {
                "Tell the caller in one short sentence that a colleague takes over the call now."
            }
            _ => "Say goodbye in one short sentence.",
        }
    }
}

impl Call {
    /// The call is to end so, once the goodbye has been heard.
    pub(super) fn part(&mut self, reason: EndReason, exit: Exit) {
        let until = self.now + if reason == EndReason::Shutdown { SHUTDOWN_PATIENCE } else { PATIENCE };
        if let Some(leaving) = self.leaving.as_mut().filter(|leaving| leaving.is_final()) {
            leaving.until = leaving.until.min(until);
            return;
        }
        let decided_in = self.responses.active().cloned();
        let by_the_model = matches!(reason, EndReason::AssistantHungUp | EndReason::Transferred);
        // Of an answer that is still being given it is not known yet whether it says goodbye.
        let owes_goodbye = !by_the_model || decided_in.is_some() || !self.floor.spoke_last;
        // Without a session nobody can say it.
        let owes_goodbye = owes_goodbye && self.agent.is_ready();
        let decided_in = decided_in.filter(|_| by_the_model);
        self.leaving = Some(Leaving { reason, exit, decided_in, owes_goodbye, until, quiet_since: None });
    }

    /// A supervisor takes the call from the assistant: at once, in the middle of a word.
    pub(super) fn supervised(&mut self, wish: &Wish) {
        match wish {
            Wish::HangUp => self.leave(EndReason::SupervisorHungUp, Exit::HangUp),
            Wish::HandOver(Destination { name, place }) => {
                let variables = vec![(DESTINATION_VARIABLE, name.clone())];
                let exit = Exit::Dialplan { place: Some(place.clone()), variables };
                self.leave(EndReason::SupervisorTransferred, exit);
            }
        }
    }

    /// The daemon stops: whoever can be told is told, then goes on in the dialplan.
    pub(super) fn shut_down(&mut self) {
        if let Phase::Closing { stops_at, .. } = &mut self.phase {
            stops_at.get_or_insert(self.now + CLOSING_PATIENCE);
        }
        let place = self.settings.fallback.clone();
        if self.legs.is_joined() && self.agent.is_ready() || self.leaving.is_some() {
            self.part(EndReason::Shutdown, Exit::Dialplan { place, variables: Vec::new() });
        } else {
            self.end(EndReason::Shutdown);
        }
    }

    /// The model serves this caller no more: he hears the apology after what there is still to hear, then goes on in
    /// the dialplan. One whom the dialplan has not answered pays for no apology, and goes on at once.
    pub(super) fn apologise(&mut self, reason: EndReason) {
        if self.depart_now() {
            return;
        }
        self.outputs
            .push(Output::Standing(Standing::Fails { reason, cause: Box::new(self.last_notice(reason)) }));
        let Some(clip) = self.settings.apology.clone().filter(|_| self.legs.is_up()) else {
            return self.end(reason);
        };
        self.agent = Agent::Closed;
        self.to_model.close();
        self.responses = Responses::default();
        self.floor.forget_session();
        if self.playout.say(&APOLOGY.into(), &APOLOGY.into(), &clip).is_err() {
            self.counters.refused_deltas += 1;
        }
        self.note(EventKind::Apology, reason.code().to_owned());
        let place = self.settings.fallback.clone();
        self.part(reason, Exit::Dialplan { place, variables: Vec::new() });
    }

    /// What the operator has just been told about the failure; that the caller goes on, if it was nothing.
    fn last_notice(&self, reason: EndReason) -> Notice {
        let told = self.outputs.iter().rev().find_map(|output| match output {
            Output::Notice(notice) if notice.level() > Level::Info => Some(notice.clone()),
            _ => None,
        });
        told.unwrap_or(Notice::CallHandedBack { reason })
    }

    /// What the model is to say for goodbye.
    pub(super) fn goodbye(&self) -> Option<&'static str> {
        self.leaving.as_ref().map(Leaving::words)
    }

    /// An answer is over; `spoke`: something of it is or was to be heard.
    pub(super) fn answer_ended(&mut self, response: &ResponseId, spoke: bool) {
        if let Some(leaving) = &mut self.leaving
            && leaving.decided_in.as_ref() == Some(response)
        {
            leaving.decided_in = None;
            leaving.owes_goodbye = !spoke;
        }
    }

    /// The model begins to say goodbye.
    pub(super) fn goodbye_begins(&mut self) {
        if let Some(leaving) = &mut self.leaving {
            leaving.owes_goodbye = false;
        }
    }

    /// The caller speaks: he has something left to say. If the end is final he is answered, and told goodbye again.
    pub(super) fn call_off(&mut self) {
        if self.leaving.take_if(|leaving| !leaving.is_final()).is_some() {
            self.responses.want_no(Purpose::Goodbye);
        }
        if let Some(leaving) = &mut self.leaving {
            leaving.owes_goodbye = true;
        }
    }

    /// Lets the caller go at once if he was about to go: nothing more can be said. Whether he was.
    pub(super) fn depart_now(&mut self) -> bool {
        match self.leaving.take() {
            Some(Leaving { reason, exit, .. }) => {
                self.leave(reason, exit);
                true
            }
            None => false,
        }
    }

    /// When [`Self::advance_leaving`] has something to do.
    pub(super) fn leaving_deadline(&self) -> Option<Instant> {
        let Leaving { until, quiet_since, .. } = self.leaving.as_ref()?;
        Some(quiet_since.map_or(*until, |since| (since + TAIL).min(*until)))
    }

    /// Lets the caller go when all has been said, or it takes too long.
    pub(super) fn advance_leaving(&mut self) {
        let now = self.now;
        let caller_speaks = self.quiet_at().is_some_and(|at| at > now);
        let busy = self.responses.is_pending() || self.tools.is_pending() || caller_speaks;
        let asks = |leaving: &Leaving| leaving.owes_goodbye && leaving.decided_in.is_none() && !busy;
        if self.leaving.as_ref().is_some_and(asks) {
            self.responses.want(Purpose::Goodbye);
            self.ask();
        }
        let busy = busy || self.playout.is_speaking();
        let over = |leaving: &mut Leaving| {
            if busy || leaving.owes_goodbye || leaving.decided_in.is_some() {
                leaving.quiet_since = None;
            } else {
                leaving.quiet_since.get_or_insert(now);
            }
            leaving.until <= now || leaving.quiet_since.is_some_and(|since| since + TAIL <= now)
        };
        if let Some(Leaving { reason, exit, .. }) = self.leaving.take_if(over) {
            self.leave(reason, exit);
        }
    }
}
