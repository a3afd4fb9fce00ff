//! What a call may not exceed: its length, the caller's silence, silence on the wire, its tokens, its cost.
//!
//! | limit | first | then | the caller |
//! |---|---|---|---|
//! | duration | a word to the model, a minute before | goodbye | is hung up |
//! | nobody speaks | "are you there?" | the same again: goodbye | is hung up |
//! | no packet at all | – | – | is hung up; goes on in the dialplan if none ever came |
//! | tokens | – | "a colleague takes over" | goes on in the dialplan |
//! | cost | a word to the model, at four fifths | "a colleague takes over" | goes on in the dialplan |
//!
//! Whether the caller speaks is our own ear's opinion: comfort noise and what the server takes for speech do not count.
//! While he holds the call nothing of this does. The clock is the playout's: looked at with every frame.

use std::time::{Duration, Instant};

use super::caller::Exit;
use super::responses::Purpose;
use super::{Call, Output, Phase};
use crate::operator::{EndReason, Notice};
use crate::realtime::client::{ClientEvent, NewItem, Role};
use crate::realtime::server::Response;

/// So long before the end of its time the model is told. Shorter, and it cannot finish what it explains.
const WARNING: Duration = Duration::from_mins(1);
/// Without a single packet for so long, the operator is told where to look.
const NO_PACKET: Duration = Duration::from_secs(10);

/// What a call may not exceed; None: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Its length.
    pub duration: Option<Duration>,
    /// How long nobody speaks, until the caller is asked, and then until he is hung up on.
    pub silence: Option<Duration>,
    /// How long no packet comes from the caller.
    pub no_audio: Option<Duration>,
    /// Tokens of all kinds, as the server counts them.
    pub tokens: Option<u64>,
    /// What it costs, micro-USD, as far as that is known.
    pub cost: Option<u64>,
}

/// How far a call is from its limits.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The caller holds the call.
    held: bool,
    /// How long nobody has spoken, without the stretch that `quiet_since` began.
    quiet: Duration,
    quiet_since: Option<Instant>,
    /// When the caller last spoke, as far as we have seen.
    spoke_at: Option<Instant>,
    /// He has been asked whether he is there.
    asked: bool,
    /// The last packet from the caller.
    packet_at: Option<Instant>,
    has_sent: bool,
    warned_of_no_packet: bool,
    warned_of_end: bool,
    tokens: u64,
    warned_of_cost: bool,
}

impl Watch {
    /// A packet of the caller has come.
    pub(super) fn packet(&mut self, now: Instant) {
        self.packet_at = Some(now);
        self.has_sent = true;
    }

    /// Whether the caller holds the call.
    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// The caller holds the call, or takes it back.
    pub(super) fn hold(&mut self, now: Instant, held: bool) {
        self.held = held;
        self.packet_at = Some(now);
    }

    /// The caller has given a sign of life.
    pub(super) fn stir(&mut self) {
        (self.quiet, self.quiet_since, self.asked) = (Duration::ZERO, None, false);
    }

    /// Counts on; how long nobody has spoken. `counts`: nobody does, now.
    fn quiet_for(&mut self, now: Instant, counts: bool) -> Duration {
        if counts {
            let since = *self.quiet_since.get_or_insert(now);
            self.quiet + (now - since)
        } else {
            if let Some(since) = self.quiet_since.take() {
                self.quiet += now - since;
            }
            self.quiet
        }
    }
}

impl Call {
    /// Ends the call, or warns, if a limit is reached.
    pub(super) fn advance_limits(&mut self) {
        if !self.legs.is_joined() {
            return;
        }
        self.watch_audio();
        if self.leaving.is_none() {
            self.watch_duration();
            self.watch_silence();
        }
    }

    /// A response has to be paid for.
    pub(super) fn spent(&mut self, response: &Response) {
        self.watch.tokens = self.watch.tokens.saturating_add(response.usage.tokens());
        if self.settings.limits.tokens.is_some_and(|most| self.watch.tokens >= most) {
            let place = self.settings.fallback.clone();
            self.part(EndReason::TokenLimit, Exit::Dialplan { place, variables: Vec::new() });
        }
        self.response_paid(response);
    }

    /// The call has cost so much by now, micro-USD.
    pub(super) fn watch_cost(&mut self, spent: u64) {
        let Some(most) = self.settings.limits.cost.filter(|_| self.phase == Phase::Serving) else { return };
        if spent >= most {
            let place = self.settings.fallback.clone();
            self.part(EndReason::CostLimit, Exit::Dialplan { place, variables: Vec::new() });
        } else if spent >= most / 5 * 4 && self.leaving.is_none() && !self.watch.warned_of_cost {
            self.watch.warned_of_cost = true;
            let text = "The call has nearly used up what it may cost. Bring it to a close with your next answers, and do \
                not speak of costs."
                .to_owned();
            self.tell_model(NewItem::Message { id: None, role: Role::System, text });
        }
    }

    fn watch_audio(&mut self) {
        let now = self.now;
        let since = *self.watch.packet_at.get_or_insert(now);
        let missing = if self.watch.held { Duration::ZERO } else { now - since };
        if missing >= NO_PACKET && !self.watch.has_sent && !self.watch.warned_of_no_packet {
            self.watch.warned_of_no_packet = true;
            self.outputs.push(Output::Notice(Notice::CallerSilent { seconds: NO_PACKET.as_secs() }));
        }
        if self.settings.limits.no_audio.is_some_and(|most| missing >= most) {
            if self.watch.has_sent {
                self.leave(EndReason::NoAudio, Exit::HangUp);
            } else {
                self.end(EndReason::NoAudio);
            }
        }
    }

    fn watch_duration(&mut self) {
        let Some(most) = self.settings.limits.duration else { return };
        let lasted = self.now - self.born;
        if lasted >= most {
            self.part(EndReason::MaxDuration, Exit::HangUp);
        } else if lasted + WARNING >= most && most > 2 * WARNING && !self.watch.warned_of_end {
            self.watch.warned_of_end = true;
            let text = "The call must end in one minute. Bring it to a close in time.".to_owned();
            self.tell_model(NewItem::Message { id: None, role: Role::System, text });
        }
    }

    fn watch_silence(&mut self) {
        let Some(most) = self.settings.limits.silence else { return };
        let spoke_at = self.to_model.ear.last_speech();
        if self.watch.spoke_at != spoke_at {
            self.watch.spoke_at = spoke_at;
            self.watch.stir();
        }
        let busy = self.playout.is_speaking() || self.responses.is_pending() || self.tools.is_pending();
        let counts = self.agent.is_ready() && !busy && !self.watch.held;
        if self.watch.quiet_for(self.now, counts) < most {
            return;
        }
        if self.watch.asked {
            self.part(EndReason::CallerSilent, Exit::HangUp);
        } else {
            self.watch.stir();
            self.watch.asked = true;
            self.responses.want(Purpose::Prompt);
        }
    }

    /// Adds something to the conversation, if there is one.
    pub(super) fn tell_model(&mut self, item: NewItem) {
        if self.agent.is_ready() {
            let (event_id, dialect) = (self.event_id(), self.settings.session.dialect);
            self.outputs.push(Output::Session(ClientEvent::ItemCreate { event_id, item, dialect }));
        }
    }
}
