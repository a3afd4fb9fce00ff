//! A caller in Asterisk who is joined to a call to OpenAI. Asterisk makes that call for us, and OpenAI answers it as it answers a
//! trunk's; the header that Asterisk adds to it tells which of our calls it is.
//!
//! ```text
//!   us ► Asterisk   dial OpenAI with a nonce            OpenAI ► us   webhook with the nonce
//!                                                       us ► OpenAI   accept
//!   Asterisk ► us   the channel to OpenAI is answered   us ◄► OpenAI  the session stands
//!                   └───────────────── both: join, record, greet ────────────┘
//! ```
//! Transfers, keys, the hang-up and the way back to the dialplan remain Asterisk's. What is said goes by OpenAI's word, as in `sip`.

use std::sync::Arc;
use std::time::Instant;

use super::input::Fetched;
use super::leg::{Dialled, Leg};
use super::legs::{Legs, SETUP_PATIENCE};
use super::openai_leg::OpenAiLeg;
use super::record::{Entry, EventKind};
use super::report::SessionFault;
use super::seed::DialSeed;
use super::snoops::Snoops;
use super::{Call, Output, Settings};
use crate::ari::request::{Reply, Request};
use crate::ari::sound_name::Part;
use crate::end_reason::EndReason;
use crate::operator::{DialFault, Notice};
use crate::realtime::calls::CallId;

impl Call {
    /// A call that begins now: a caller has entered the application, and Asterisk is to call OpenAI for them. The first
    /// [`Self::handle`] gives out the requests that set it up.
    pub fn dialled(now: Instant, settings: Arc<Settings>, seed: DialSeed) -> Self {
        let mut outputs = vec![Output::Notice(Notice::CallReceived { channel: seed.channel_name.clone() })];
        let mut legs = Legs::new(now, settings.app.clone(), &seed.channel, seed.answered);
        legs.begin_dialling(&seed.endpoint, seed.nonce.clone(), &mut outputs);
        let snoops = Snoops::new(settings.app.clone(), seed.channel.clone(), Part::of_call(seed.wall));
        let leg = Leg::Dialled(Box::new(Dialled { legs, openai: OpenAiLeg::dialled(now), snoops }));
        Self::with(now, settings, leg, seed.into(), outputs)
    }

    /// OpenAI tells of the call that Asterisk has made to it.
    pub(super) fn offered(&mut self, call: &CallId) {
        let Some(dialled) = self.leg.dialled() else { return };
        if dialled.openai.offered(call.clone(), &mut self.outputs) {
            self.outputs.push(Output::Record(Entry::OpenAiCall(call.clone())));
            self.accept();
        }
    }

    /// The session has our settings: caller and model may hear each other.
    pub(super) fn session_of_dialled_stands(&mut self) {
        if let Some(dialled) = self.leg.dialled() {
            dialled.legs.session_stands(&mut self.outputs);
        }
    }

    /// Caller and model hear each other: they are recorded from now on, and the model may speak.
    pub(super) fn joined_to_openai(&mut self) {
        let records = self.settings.keep.audio;
        let Some(Dialled { legs, snoops, .. }) = self.leg.dialled() else { return };
        if records {
            snoops.begin(legs.caller_id(), &mut self.outputs);
        }
        self.ask();
    }

    /// Whether the model would speak to nobody, because caller and model do not hear each other yet.
    pub(super) fn speaks_to_nobody(&self) -> bool {
        match &self.leg {
            Leg::Asterisk(_) | Leg::OpenAi(_) => false,
            Leg::Dialled(dialled) => !dialled.legs.is_joined(),
        }
    }

    /// Asterisk answered a request about the recording. Returns whether it was such a request.
    pub(super) fn snoop_replied(&mut self, request: &Request, reply: &Reply) -> bool {
        let Some(dialled) = self.leg.dialled() else { return false };
        let had_begun = dialled.snoops.began().is_some();
        let is_its = dialled.snoops.replied(self.now, request, reply, &mut self.outputs);
        if !had_begun && dialled.snoops.began().is_some() {
            self.note(EventKind::MediaStarted, String::new());
        }
        is_its
    }

    /// The recordings that Asterisk has made were fetched, or could not be.
    pub(super) fn sounds_fetched(&mut self, fetched: Fetched) {
        if let Some(dialled) = self.leg.dialled() {
            dialled.snoops.fetched(fetched, &mut self.outputs);
        }
    }

    /// OpenAI has refused the call, has hung up before it answered, or is not reached. `cause` is Asterisk's (Q.850).
    pub(super) fn not_answered(&mut self, cause: u32) {
        self.session_failed(SessionFault::Unavailable);
        self.outputs.push(Output::Notice(Notice::SipNotAnswered { fault: DialFault(cause) }));
        self.apologise(EndReason::SessionFailed);
    }

    /// The call to OpenAI has not come about in time.
    pub(super) fn dialled_in_vain(&mut self) {
        let seconds = SETUP_PATIENCE.as_secs();
        let is_unheard_of = self.leg.openai().is_some_and(OpenAiLeg::is_unheard_of);
        self.session_failed(SessionFault::Late);
        self.outputs.push(Output::Notice(match self.session.last_fault() {
            _ if is_unheard_of => Notice::SipUnheardOf { seconds },
            Some(cause) => Notice::SipSessionLate { seconds, cause: cause.clone() },
            None => Notice::SipLate { seconds },
        }));
        self.apologise(EndReason::SessionLate);
    }
}
