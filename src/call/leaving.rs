//! Ending a call on purpose: the goodbye is heard to its last frame, then the caller goes.
//!
//! ```text
//!   part() ──┬──► InAnswer ── the answer ends, and something was said in it ──► Said ◄──► Quiet ── TAIL ──► the caller goes
//!            │        └────── nothing was said in it ──► Owed ── it begins ──────▲ ▲
//!            ├───────────────────────────────────────────▲                         │
//!            └─────────────────────────────────────────────────────────────────────┘
//! ```
//! Bounded by time. A caller who speaks meanwhile calls it off, unless a limit demands the end: then they are answered, and
//! Owed again. Why a call is to end is decided elsewhere (`tools`, `limits`).
//!
//! When the model fails nobody can say goodbye: a clip apologises in its place.

use std::time::{Duration, Instant};

use super::caller::Exit;
use super::floor::Spoken;
use super::record::EventKind;
use super::responses::Purpose;
use super::{Call, Output, Standing, Wish};
use crate::end_reason::EndReason;
use crate::operator::{Level, Notice};
use crate::realtime::ResponseId;

/// Silence behind the last frame, so that it is not cut by the far end's jitter buffer. Longer is dead air.
const TAIL: Duration = Duration::from_millis(400);
/// Most a goodbye may take, what was being said before it included.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same when the daemon stops: systemd does not wait for ever.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(8);

/// The item that the clip is played as. The server's have other ids.
const APOLOGY: &str = "apology";

/// How far the goodbye is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Goodbye {
    /// The end was decided in this answer, which is still being given: what is said in it is the goodbye.
    InAnswer(ResponseId),
    /// The model is still to say it.
    Owed,
    /// It is being said or has been said, and something is still to be heard, or prepared.
    Said,
    /// Since this instant nothing is being said or prepared.
    Quiet { since: Instant },
}

/// What goes on in the call meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    /// The model is asked, answers or waits for a tool, or the caller speaks.
    Busy,
    /// Speech is waiting or being heard.
    Playing,
    /// Nothing.
    Idle,
}

/// A call that is about to end.
#[derive(Debug)]
pub(super) struct Leaving {
    reason: EndReason,
    exit: Exit,
    goodbye: Goodbye,
    until: Instant,
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

    /// Whether the model is to be asked for the goodbye now.
    fn asks(&self, meanwhile: Meanwhile) -> bool {
        self.goodbye == Goodbye::Owed && meanwhile != Meanwhile::Busy
    }

    /// Lets time pass, and says whether the caller goes now.
    fn is_over(&mut self, now: Instant, meanwhile: Meanwhile) -> bool {
        self.goodbye = match std::mem::replace(&mut self.goodbye, Goodbye::Said) {
            Goodbye::Said if meanwhile == Meanwhile::Idle => Goodbye::Quiet { since: now },
            Goodbye::Quiet { .. } if meanwhile != Meanwhile::Idle => Goodbye::Said,
            other => other,
        };
        self.deadline() <= now
    }

    /// When the caller goes if nothing more happens.
    fn deadline(&self) -> Instant {
        match self.goodbye {
            Goodbye::Quiet { since } => (since + TAIL).min(self.until),
            Goodbye::InAnswer(_) | Goodbye::Owed | Goodbye::Said => self.until,
        }
    }

    /// An answer is over.
    fn answer_ended(&mut self, response: &ResponseId, spoken: Spoken) {
        if matches!(&self.goodbye, Goodbye::InAnswer(answer) if answer == response) {
            self.goodbye = match spoken {
                Spoken::Something => Goodbye::Said,
                Spoken::Nothing => Goodbye::Owed,
            };
        }
    }

    /// The model begins to say goodbye, or will not be asked for it again.
    fn goodbye_begins(&mut self) {
        if self.goodbye == Goodbye::Owed {
            self.goodbye = Goodbye::Said;
        }
    }
}

impl Call {
    /// The call is to end in this way, once the goodbye has been heard.
    pub(super) fn part(&mut self, reason: EndReason, exit: Exit) {
        let until = self.now + if reason == EndReason::Shutdown { SHUTDOWN_PATIENCE } else { PATIENCE };
        if let Some(leaving) = self.leaving.as_mut().filter(|leaving| leaving.is_final()) {
            leaving.until = leaving.until.min(until);
            return;
        }
        let by_the_model = matches!(reason, EndReason::AssistantHungUp | EndReason::Transferred);
        let goodbye = match self.responses.active() {
            // Without a session nobody can say it.
            _ if !self.session.is_ready() => Goodbye::Said,
            // Of an answer that is still being given it is not known yet whether it says goodbye.
            Some(answer) if by_the_model => Goodbye::InAnswer(answer.clone()),
            None if by_the_model && self.floor.last_answer() == Spoken::Something => Goodbye::Said,
            _ => Goodbye::Owed,
        };
        self.leaving = Some(Leaving { reason, exit, goodbye, until });
    }

    /// A supervisor takes the call from the assistant: at once, in the middle of a word.
    pub(super) fn supervised(&mut self, wish: &Wish) {
        match wish {
            Wish::HangUp => self.leave(EndReason::SupervisorHungUp, Exit::HangUp),
            Wish::HandOver(destination) => self.supervisor_transfers(destination.clone()),
        }
    }

    /// The daemon stops: whoever can be told is told, then goes on in the dialplan.
    pub(super) fn shut_down(&mut self) {
        self.hurry();
        if self.leg.is_joined() && self.session.is_ready() || self.leaving.is_some() {
            self.part(EndReason::Shutdown, self.fallback());
        } else {
            self.end(EndReason::Shutdown);
        }
    }

    /// The model cannot serve this caller any longer. The caller hears the rest of the queued speech and then the apology,
    /// and continues in the dialplan. A call that was never answered continues at once: answering would cost the caller money.
    pub(super) fn apologise(&mut self, reason: EndReason) {
        if self.depart_now() {
            return;
        }
        self.outputs
            .push(Output::Standing(Standing::Fails { reason, cause: Box::new(self.last_notice(reason)) }));
        let Some(clip) = self.settings.apology.clone().filter(|_| self.can_be_played_to()) else {
            return self.end(reason);
        };
        self.session.close();
        self.to_model.close();
        self.responses.forget_session();
        self.floor.forget_session();
        if self.playout.say(&APOLOGY.into(), &APOLOGY.into(), &clip).is_err() {
            self.counters.refused_deltas += 1;
        }
        self.note(EventKind::Apology, reason.code().to_owned());
        self.part(reason, self.fallback());
    }

    /// The last warning or error among the outputs, which explains the failure. If there is none, the notice that the
    /// caller was handed back.
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

    /// An answer is over.
    pub(super) fn answer_ended(&mut self, response: &ResponseId, spoken: Spoken) {
        if let Some(leaving) = &mut self.leaving {
            leaving.answer_ended(response, spoken);
        }
    }

    /// The model begins to say goodbye, or will not be asked for it again.
    pub(super) fn goodbye_begins(&mut self) {
        if let Some(leaving) = &mut self.leaving {
            leaving.goodbye_begins();
        }
    }

    /// The caller speaks: they have something left to say. If the end is final they are answered, and told goodbye again.
    pub(super) fn call_off(&mut self) {
        if self.leaving.take_if(|leaving| !leaving.is_final()).is_some() {
            self.responses.want_no(Purpose::Goodbye);
        }
        if let Some(leaving) = &mut self.leaving {
            leaving.goodbye = Goodbye::Owed;
        }
    }

    /// Lets the caller go at once if they were about to go: nothing more can be said. Returns whether they were.
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
        self.leaving.as_ref().map(Leaving::deadline)
    }

    /// Lets the caller go when all has been said, or it takes too long.
    pub(super) fn advance_leaving(&mut self) {
        if self.leaving.is_none() {
            return;
        }
        let (now, meanwhile) = (self.now, self.meanwhile());
        if self.leaving.as_ref().is_some_and(|leaving| leaving.asks(meanwhile)) {
            self.responses.want(Purpose::Goodbye);
            self.ask();
        }
        if let Some(Leaving { reason, exit, .. }) =
            self.leaving.take_if(|leaving| leaving.is_over(now, meanwhile))
            && !self.refers(reason, &exit)
        {
            self.leave(reason, exit);
        }
    }

    fn meanwhile(&self) -> Meanwhile {
        let caller_speaks = self.quiet_at().is_some_and(|at| at > self.now);
        if self.responses.is_pending() || self.tools.is_pending() || caller_speaks {
            Meanwhile::Busy
        } else if self.is_speaking() {
            Meanwhile::Playing
        } else {
            Meanwhile::Idle
        }
    }
}
