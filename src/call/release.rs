//! Letting the caller go: told why in variables, then on in the dialplan or hung up; tried again until Asterisk has done it.
//!
//! ```text
//!   release_caller ──► Checking (is the place there?) ──► Explaining (variables) ──► Continuing ──► Gone
//!         │                                                                       │  ▲ refused, not answered
//!         │                                                                       ▼  │
//!         │                                                                ContinuingAgain
//!         └──► HangingUp ◄──► HangingUpAgain ──► Gone
//! ```
//! What is said of it is said when it is done. A refusal is said once.

use std::time::Instant;

use super::Output;
use super::legs::{Caller, END_REASON_VARIABLE, Exit, Legs, Progress};
use super::replies::{Departure, complaint, missing};
use crate::ari::Place;
use crate::ari::request::{Reply, Request};
use crate::operator::{EndReason, Notice};

impl Legs {
    /// Whether Asterisk still holds the caller, for all we know.
    pub fn holds_caller(&self) -> bool {
        self.caller != Caller::Gone
    }

    /// Whether the set-up failed for no other reason, as far as is known, than that the caller had hung up.
    pub fn caller_was_gone(&mut self) -> bool {
        self.doubt.take().is_some()
    }

    /// Whether the caller is there, and has not been let go.
    pub fn has_caller(&self) -> bool {
        matches!(self.caller, Caller::Ringing { .. } | Caller::Answering | Caller::Up)
    }

    /// Lets the caller go, who is there. What is said of it is said when it is done.
    pub fn release_caller(&mut self, reason: EndReason, exit: Exit, out: &mut Vec<Output>) {
        match exit {
            Exit::HangUp => self.hang_up(out),
            Exit::Dialplan { place, variables } => {
                let transferred = matches!(reason, EndReason::Transferred | EndReason::SupervisorTransferred);
                self.farewell = Some(match place.as_ref().filter(|_| transferred) {
                    Some(place) => Notice::CallTransferred { place: place.to_string() },
                    None => Notice::CallHandedBack { reason },
                });
                self.variables.push_back((END_REASON_VARIABLE, reason.code().to_owned()));
                self.variables.extend(variables);
                match &place {
                    None => self.explain(out),
                    Some(place) => {
                        self.caller = Caller::Checking;
                        let (channel, place) = (self.caller_id.clone(), place.clone());
                        out.push(Output::Ari(Request::DialplanExists { channel, place }));
                    }
                }
                self.place = place;
            }
        }
    }

    /// A place that is missing, or of which nothing is known, would end the call: the next step is better.
    pub(super) fn place_checked(&mut self, place: &Place, reply: &Reply, out: &mut Vec<Output>) {
        if self.caller != Caller::Checking || self.place.as_ref() != Some(place) {
            return;
        }
        if let Some(notice) = missing(place, reply) {
            self.place = None;
            out.push(Output::Notice(notice));
        }
        self.explain(out);
    }

    /// Sets the next variable; after the last the caller goes on.
    pub(super) fn explain(&mut self, out: &mut Vec<Output>) {
        let Some((name, value)) = self.variables.pop_front() else { return self.send_on(out) };
        self.caller = Caller::Explaining;
        out.push(Output::Ari(Request::SetVariable { channel: self.caller_id.clone(), name, value }));
    }

    /// Sets what was not set, and lets the caller go on again: without its reason the dialplan would hang up.
    pub(super) fn explain_again(&mut self, out: &mut Vec<Output>) {
        self.variables.extend(self.unsaid.drain(..));
        self.explain(out);
    }

    pub(super) fn continue_replied(
        &mut self,
        now: Instant,
        request: &Request,
        reply: &Reply,
        out: &mut Vec<Output>,
    ) -> Progress {
        match (self.caller, Departure::of(reply)) {
            (Caller::Continuing | Caller::LeftMeanwhile, Departure::Done) => {
                self.caller = Caller::Gone;
                out.extend(
                    [self.doubt.take(), self.farewell.take()].into_iter().flatten().map(Output::Notice),
                );
            }
            (Caller::Continuing, Departure::Refused) => {
                self.caller = Caller::ContinuingAgain(self.refused(now, request, reply, out));
            }
            (Caller::Continuing | Caller::LeftMeanwhile, Departure::Gone | Departure::Refused) => {
                self.caller = Caller::Gone;
                return Progress::CallerGone;
            }
            _ => {}
        }
        Progress::Nothing
    }

    pub(super) fn hangup_replied(
        &mut self,
        now: Instant,
        request: &Request,
        reply: &Reply,
        out: &mut Vec<Output>,
    ) {
        if self.caller == Caller::HangingUp {
            self.caller = match Departure::of(reply) {
                Departure::Done | Departure::Gone => Caller::Gone,
                Departure::Refused => Caller::HangingUpAgain(self.refused(now, request, reply, out)),
            };
        }
    }

    /// Asterisk has not let the caller go; when to ask again.
    fn refused(&mut self, now: Instant, request: &Request, reply: &Reply, out: &mut Vec<Output>) -> Instant {
        self.tries += 1;
        if self.tries == 1 {
            out.extend(complaint(request, reply).map(Output::Notice));
            out.push(Output::Notice(Notice::CallerStuck));
        }
        now + Departure::try_again_after(self.tries)
    }

    pub(super) fn send_on(&mut self, out: &mut Vec<Output>) {
        self.caller = Caller::Continuing;
        let place = self.place.clone().or_else(|| self.next_step.clone());
        out.push(Output::Ari(Request::Continue { channel: self.caller_id.clone(), place }));
    }

    pub(super) fn hang_up(&mut self, out: &mut Vec<Output>) {
        self.caller = Caller::HangingUp;
        out.push(Output::Ari(Request::Hangup(self.caller_id.clone())));
    }
}
