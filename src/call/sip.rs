//! The conversation of a call that OpenAI answers by SIP. The session is reached by a second WebSocket, which carries no sound: what
//! the caller hears, and that they speak, is known by the server's word alone.
//!
//! ```text
//!   accept ─200─► the WebSocket opens ─► session.update ─► session.updated ─► Talking
//!                     ▲ 404: not yet                          │ lost
//!                     └───────────────────────────────────────┘ 404: the call is over
//! ```
//! What differs from a call through Asterisk: nothing is appended, truncated or played by us; the server interrupts its answers
//! itself; a session that is lost is reached again instead of being replaced; nobody can be played an apology; and no report is made,
//! because the session ends with the call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::caller::Exit;
use super::leg::Leg;
use super::openai_leg::{News, OpenAiLeg};
use super::playout::Heard;
use super::record::EventKind;
use super::report::SessionFault;
use super::responses::Purpose;
use super::seed::SipSeed;
use super::session::Session;
use super::speeches::{Speech, estimated};
use super::{Call, Output, SessionEnd, Settings, Standing};
use crate::end_reason::EndReason;
use crate::number::ChannelName;
use crate::operator::{LinkFault, Notice};
use crate::realtime::calls::CallId;
use crate::realtime::calls::request::{Reply, Request};
use crate::realtime::client::{ClientEvent, NewItem, Role};
use crate::realtime::dialect::TurnDetection;
use crate::realtime::error::Refusal;
use crate::realtime::server::Event;
use crate::realtime::{ItemId, ResponseId};

/// The longest call. OpenAI ends a session after 60 minutes, in the middle of a word; a minute before, the goodbye is still heard.
const LONGEST: Duration = Duration::from_secs(3_540);
/// If the server does not tell the end of the caller's speech for so long, it has forgotten to. A larger value leaves a caller
/// without an answer; with a smaller one the assistant talks over callers who speak for long.
const ENDLESS_AFTER: Duration = Duration::from_mins(1);
/// How much sound before the caller's voice belongs to their turn, in milliseconds, where the settings do not say so: OpenAI's
/// default. With a larger value what the caller says is placed too early in the recording, with a smaller one too late.
const PADDING_MS: u64 = 300;
/// What the model is told when a transfer is refused.
const NOT_TRANSFERRED: &str =
    "The transfer did not succeed, and the caller is still on the line. Say so, and offer another way.";
/// What the model is told when the call is still up so long after a transfer that its result should be there. The SIP peer may have
/// the caller with the colleague already, and hang up later.
const TRANSFER_UNKNOWN: &str = "It is not known yet whether the transfer succeeds: nobody has refused it, but the caller may still be \
     on the line. Do not say that it failed: ask the caller to hold on for a moment. If the caller goes on talking to you, they were \
     not transferred: then offer another way.";

impl Call {
    /// A call that OpenAI offers us. The first [`Self::handle`] gives out the request that accepts it.
    pub fn at_openai(now: Instant, settings: Arc<Settings>, seed: SipSeed) -> Self {
        let channel = ChannelName::from(&*format!("OpenAI/{}", seed.call));
        let outputs = vec![Output::Notice(Notice::CallReceived { channel })];
        let leg = OpenAiLeg::new(now, seed.call.clone(), seed.refer_host.clone());
        let mut call = Self::with(now, settings, Leg::OpenAi(Box::new(leg)), seed.into(), outputs);
        call.accept();
        call
    }

    pub(super) fn accept(&mut self) {
        let Some((leg, call)) = self.leg.openai().and_then(|leg| Some((leg, leg.call()?.clone()))) else {
            return;
        };
        let session = self.settings.session.accept(&self.settings.model, self.may_interrupt(), leg.vad());
        self.outputs.push(Output::Sip(Request::Accept { call, session }));
    }

    /// An announcement that must be heard cannot be interrupted: see `turn`.
    fn may_interrupt(&self) -> bool {
        self.settings.session.interrupt && !self.floor.owes_announcement()
    }

    /// OpenAI answered a request about the call, or did not.
    pub(super) fn sip_replied(&mut self, request: &Request, reply: &Reply) {
        let Some(leg) = self.leg.openai_mut() else { return };
        let news = leg.replied(self.now, request, reply, &mut self.outputs);
        self.openai_news(news);
    }

    /// Repeats what OpenAI has not done, and notes the end of what was heard.
    pub(super) fn advance_openai(&mut self) {
        let Some(leg) = self.leg.openai_mut() else { return };
        let news = leg.advance(self.now, &mut self.outputs);
        let overdue = leg.speeches.overdue(self.now);
        self.openai_news(news);
        if let Some(speech) = overdue {
            self.heard_to_its_end(&speech);
        }
    }

    fn openai_news(&mut self, news: News) {
        match news {
            News::Nothing => {}
            News::Accept => self.accept(),
            News::Accepted => {
                self.stopwatch.accepted(self.now - self.born);
                if let Leg::OpenAi(_) = self.leg {
                    self.stopwatch.answered(self.now - self.born);
                }
                let call =
                    self.leg.openai().and_then(OpenAiLeg::call).map_or_else(String::new, CallId::to_string);
                self.outputs.push(Output::Notice(Notice::SipAccepted { call }));
                self.outputs.push(Output::OpenSession);
            }
            News::Doubtful(cause) => {
                self.outputs.push(Output::Notice(Notice::SipDoubtful { cause }));
                self.outputs.push(Output::OpenSession);
            }
            News::Gone if matches!(self.leg, Leg::Dialled(_)) => {
                self.session_failed(SessionFault::Unavailable);
                self.outputs.push(Output::Notice(Notice::SipUnknown));
                self.apologise(EndReason::SessionFailed);
            }
            News::Gone => self.gone_at_openai(),
            News::Taken => {
                self.outputs.push(Output::Notice(Notice::SipTaken));
                self.end(EndReason::TakenOver);
            }
            News::Refused(Some(refusal), cause) => self.refused(refusal, cause),
            News::Misasked(complaint) => {
                self.session_failed(SessionFault::Settings);
                self.outputs.push(Output::Notice(Notice::SipSettingsRefused { complaint }));
                self.apologise(EndReason::SessionFailed);
            }
            News::Refused(None, cause) => {
                self.session_failed(SessionFault::Refused(Refusal::Other));
                self.outputs.push(Output::Notice(match self.leg {
                    Leg::Dialled(_) => Notice::DialledNotAccepted { cause },
                    Leg::Asterisk(_) | Leg::OpenAi(_) => Notice::SipNotAccepted { cause },
                }));
                self.apologise(EndReason::SessionFailed);
            }
            News::NotReferred(cause) => {
                self.still_here("failed", NOT_TRANSFERRED, Notice::SipNotReferred { cause });
            }
            News::ReferralLate(cause) => {
                let line =
                    cause.map_or(Notice::SipReferUnheeded, |cause| Notice::SipReferUnanswered { cause });
                self.still_here("result not known", TRANSFER_UNKNOWN, line);
            }
        }
    }

    /// A transfer stands so, and the call goes on: the model is told, and speaks.
    fn still_here(&mut self, result: &str, told: &str, line: Notice) {
        self.note(EventKind::Tool, format!("transfer_call {result}"));
        self.outputs.push(Output::Notice(line));
        self.tell_model(NewItem::Message { id: None, role: Role::System, text: told.to_owned() });
        self.responses.want(Purpose::Answer);
    }

    /// The WebSocket stands. The session is older than it, so that `session.created` is not waited for.
    pub(super) fn attached(&mut self) {
        let Some(leg) = self.leg.openai() else { return };
        let mut asked = self.settings.session.accept(&self.settings.model, self.may_interrupt(), leg.vad());
        // The server may name a version of the model.
        asked.as_object_mut().map(|asked| asked.remove("model"));
        let event_id = self.event_id();
        let session = json!({"type": "realtime", "output_modalities": ["audio"]});
        self.outputs.push(Output::Session(ClientEvent::SessionUpdate { event_id, session }));
        self.session.configure(asked);
    }

    /// The WebSocket could not be opened, or is gone: mostly because the caller has hung up, of which OpenAI tells nothing else.
    pub(super) fn sideband_ended(&mut self, end: &SessionEnd) {
        let is_unknown = matches!(end.cause, LinkFault::Http { status: 404, .. });
        let is_closed = self.session.is_closed();
        match (&self.session, end.refusal) {
            _ if is_closed => {}
            (Session::Ready, _) => self.session_lost(end.cause.clone()),
            _ if is_unknown && self.sessions.has_stood() => self.gone_at_openai(),
            // The session is still being made.
            _ if is_unknown => {
                self.session.failed(self.now, end.cause.clone());
            }
            (_, None) => self.reopen(&end.cause),
            (_, Some(refusal)) => self.refused(refusal, end.cause.clone()),
        }
    }

    /// The call is not there any more at OpenAI: its caller was sent elsewhere if that was asked for, and else has hung up, unless the
    /// caller is in Asterisk.
    fn gone_at_openai(&mut self) {
        if let Some(leg) = self.leg.openai_mut() {
            let is_referred = leg.is_referring();
            leg.ended();
            if is_referred {
                return self.referred();
            }
        }
        if let Leg::Dialled(_) = self.leg {
            self.outputs.push(Output::Notice(Notice::SipGone));
            return self.apologise(EndReason::SessionLost);
        }
        self.end(EndReason::CallerHungUp);
    }

    /// Asks the SIP peer to send the caller elsewhere, if that is how the caller is to leave. The call goes on until it is known what
    /// has come of it.
    pub(super) fn refers(&mut self, reason: EndReason, exit: &Exit) -> bool {
        let (EndReason::Transferred, Exit::Dialplan { place: Some(place), .. }) = (reason, exit) else {
            return false;
        };
        let Leg::OpenAi(leg) = &mut self.leg else { return false };
        let target = leg.target(place);
        let refers = target.is_some();
        if let Some(target) = target {
            leg.refer(target, place, &mut self.outputs);
        }
        refers
    }

    /// The call is over at OpenAI after the caller was sent elsewhere.
    fn referred(&mut self) {
        if let Some(place) = self.leg.openai().and_then(OpenAiLeg::referred_to) {
            let place = place.to_string();
            self.outputs.push(Output::Notice(Notice::CallTransferred { place }));
        }
        self.leave(EndReason::Transferred, Exit::HangUp);
    }

    /// Follows what is said of the sound that OpenAI carries.
    pub(super) fn heard_at_openai(&mut self, event: &Event<'_>) {
        let now = self.now;
        let Some(leg) = self.leg.openai_mut() else { return };
        match event {
            Event::ResponseCreated(response) => leg.speeches.prepare(&response.id),
            Event::TranscriptDelta { item, delta } => {
                leg.speeches.say(now, item, delta);
                self.floor.queued(item);
            }
            Event::TranscriptDone { item, transcript } if !self.floor.has_queued_of(item) => {
                leg.speeches.say(now, item, transcript);
                self.floor.queued(item);
            }
            Event::AudioDone { item } => {
                leg.speeches.say(now, item, "");
                self.floor.queued(item);
            }
            Event::SpeechStarted { audio_start_ms, .. } => {
                leg.spoke_at = Some(now);
                self.sound_at_openai_began(*audio_start_ms);
            }
            Event::SpeechStopped { .. } | Event::Committed { .. } => {
                leg.spoke_at = Some(now);
            }
            Event::SoundStarted { response } => self.speech_begins(response),
            Event::SoundStopped { response } => {
                if let Some(speech) = leg.speeches.end(response) {
                    self.heard_to_its_end(&speech);
                }
            }
            Event::SoundCleared { response } => {
                if let Some(speech) = leg.speeches.end(response) {
                    self.cut_at_openai(&speech);
                }
            }
            Event::ItemTruncated { item, audio_end_ms } => self.truncated(item, *audio_end_ms),
            // A caller in Asterisk presses the same key there.
            Event::Key(key) if matches!(self.leg, Leg::OpenAi(_)) => self.key(*key),
            _ => {}
        }
    }

    /// The server hears the caller's voice, which began at this position in the caller's sound. When that sound began nobody tells, but
    /// it cannot be later than so long before this moment.
    fn sound_at_openai_began(&mut self, audio_start_ms: u64) {
        let padding = match self.settings.session.turn_detection {
            TurnDetection::Server { prefix_padding_ms, .. } => u64::from(prefix_padding_ms),
            TurnDetection::Semantic { .. } => PADDING_MS,
        };
        let since = Duration::from_millis(audio_start_ms.saturating_add(padding));
        let began = (self.now - self.born).saturating_sub(since);
        let Some(leg) = self.leg.openai_mut() else { return };
        if leg.sound_began.is_none_or(|known| began < known) {
            leg.sound_began = Some(began);
            self.floor.session_hears_since(began);
        }
    }

    /// The caller begins to hear a response.
    fn speech_begins(&mut self, response: &ResponseId) {
        let answers = self.responses.purpose() != Some(Purpose::Prompt);
        let Some(leg) = self.leg.openai_mut() else { return };
        if leg.speeches.start(self.now, response) && self.speech_heard(answers) {
            self.outputs.push(Output::Standing(Standing::Serves));
        }
    }

    /// The caller has heard all of an answer.
    fn heard_to_its_end(&mut self, speech: &Speech) {
        let born = self.born;
        for (item, began, end) in speech.items(self.now) {
            let ms = end.saturating_duration_since(began).as_millis() as u64;
            if let Some(utterance) = self.transcript.find(item) {
                utterance.was_heard(began.saturating_duration_since(born), ms);
            }
            self.tell(item, None);
        }
    }

    /// The caller hears no more of an answer: mostly because they have interrupted it.
    fn cut_at_openai(&mut self, speech: &Speech) {
        let items: Vec<_> =
            speech.items(self.now).map(|(item, began, end)| (item.clone(), began, end)).collect();
        if let Some((item, began, end)) = items.first().filter(|_| self.floor.caller_speaks()) {
            self.counters.barge_ins += 1;
            let ms = end.saturating_duration_since(*began).as_millis();
            self.note(EventKind::Interrupted, format!("{item} heard_ms={ms}"));
        }
        for (item, began, end) in items {
            let is_known = self.transcript.find(&item).is_none_or(|utterance| utterance.heard.is_some());
            if !is_known {
                self.heard_so_much(&item, began, end.saturating_duration_since(began));
            }
        }
    }

    /// The server says how much of an item the caller has heard.
    fn truncated(&mut self, item: &ItemId, audio_end_ms: u64) {
        let heard = Duration::from_millis(audio_end_ms.min(LONGEST.as_millis() as u64));
        let began = self.transcript.find(item).and_then(|utterance| utterance.began);
        let began =
            began.map_or_else(|| self.now.checked_sub(heard).unwrap_or(self.born), |at| self.born + at);
        self.heard_so_much(item, began, heard);
    }

    /// The caller has heard the beginning of an item. How long all of it is nobody tells, so that this is estimated.
    fn heard_so_much(&mut self, item: &ItemId, began: Instant, heard: Duration) {
        let Some(utterance) = self.transcript.find(item) else { return };
        let said = estimated(&utterance.text).max(heard);
        let (response, item) = (ResponseId::from(""), item.clone());
        let (ms, received_ms) = (heard.as_millis() as u64, said.as_millis() as u64);
        self.heard_in_part(&Heard { response, item, content_index: 0, ms, received_ms, begun: Some(began) });
    }

    /// The call is over for its caller, perhaps in the middle of a word.
    pub(super) fn stop_at_openai(&mut self) {
        let cut = self.leg.openai_mut().and_then(|leg| leg.speeches.cut());
        if let Some(speech) = cut {
            self.cut_at_openai(&speech);
        }
    }

    /// When the caller may be taken to be quiet, where there is no ear of ours.
    pub(super) fn quiet_by_the_server(&self) -> Option<Instant> {
        self.floor.caller_speaks_since().map(|since| since + ENDLESS_AFTER)
    }

    /// Whether the caller hears the assistant, or is about to.
    pub(super) fn is_speaking(&self) -> bool {
        self.playout.is_speaking() || self.leg.openai().is_some_and(|leg| leg.speeches.are_heard())
    }

    /// Whether the caller hears the assistant at this moment.
    pub(super) fn is_heard(&self) -> bool {
        self.playout.is_heard() || self.leg.openai().is_some_and(|leg| leg.speeches.are_heard())
    }

    /// When the caller last spoke: by our own ear, or by the server's word where we hear nothing.
    pub(super) fn last_speech(&self) -> Option<Instant> {
        match self.leg.openai() {
            None => self.to_model.ear().last_speech(),
            Some(leg) => leg.spoke_at,
        }
    }

    /// Whether the caller can be played something by us.
    pub(super) fn can_be_played_to(&self) -> bool {
        match &self.leg {
            Leg::Asterisk(legs) => legs.is_up(),
            Leg::OpenAi(_) | Leg::Dialled(_) => false,
        }
    }

    /// How long the call may last.
    pub(super) fn longest(&self) -> Option<Duration> {
        let most = self.settings.limits.duration;
        match &self.leg {
            Leg::Asterisk(_) => most,
            Leg::OpenAi(_) | Leg::Dialled(_) => Some(most.map_or(LONGEST, |most| most.min(LONGEST))),
        }
    }
}
