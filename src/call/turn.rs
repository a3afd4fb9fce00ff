//! Whose turn it is: what the model's events do to the conversation, and barge-in.
//!
//! When the caller speaks while the assistant is heard (`speech_started`):
//! 1. nothing more of the answer is played, from the next frame on;
//! 2. the item being heard is truncated at what was heard of it, items behind it are deleted, items heard to the
//!    end are left alone – so the model knows exactly what the caller knows;
//! 3. the answer is *muted*: deltas of it that are still on their way are dropped, and items of it that nobody
//!    heard are deleted when it is done. The server cancels it by itself (`interrupt_response`).
//!
//! The recording notice is the exception: it is said to its end. Until it has been generated the server may not
//! interrupt either.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use super::agent::Agent;
use super::playout::{Heard, Left, Played};
use super::record::{Entry, EventKind};
use super::responses::{Ended, Purpose};
use super::resume::is_retold;
use super::transcript::Speaker;
use super::{Call, Output, Phase, Standing};
use crate::media::base64;
use crate::operator::{Detail, EndReason, Notice};
use crate::realtime::client::ClientEvent;
use crate::realtime::server::{Event, Item, ItemKind, Response, ResponseStatus};
use crate::realtime::{ItemId, ResponseId};

/// Without a voice for so long, a turn that the server has begun was none. Longer than any pause within a turn that
/// the server would wait for (semantic turn detection: up to 8 s); shorter leaves a greeting talking over a caller.
const FALSE_START_AFTER: Duration = Duration::from_secs(8);

/// What the model is asked to say to a caller who has been silent.
const STILL_THERE: &str = "The caller has not spoken for a while. Ask in a few words whether they are still there, and nothing else.";

/// What the turns of a call hang on.
#[derive(Debug, Default)]
pub(super) struct Floor {
    /// Caller and media channel hear each other.
    pub(super) joined: bool,
    /// Since when the caller speaks: between `speech_started` and `speech_stopped`.
    pub(super) caller_speaks: Option<Instant>,
    /// The caller has taken a turn: no greeting any more.
    pub(super) caller_has_spoken: bool,
    /// When, since the birth of the call, the audio appended to the session began.
    pub(super) uplink_began: Duration,
    /// The response that must not be interrupted.
    notice: Option<ResponseId>,
    /// The recording notice has been generated, all of it.
    pub(super) notice_given: bool,
    /// The active response, if nobody wants to hear it any more.
    muted: Option<ResponseId>,
    /// How often the session had to be opened again.
    pub(super) reopened: u32,
    /// Why it could not be opened the last time.
    pub(super) unopened_for: Option<Detail>,
    /// Items of the active response of which audio was queued.
    queued: Vec<ItemId>,
    /// Whether something was said in the last response that ended.
    pub(super) spoke_last: bool,
}

impl Floor {
    /// The session is gone, and with it what it was doing.
    pub(super) fn forget_session(&mut self) {
        (self.caller_speaks, self.muted, self.spoke_last) = (None, None, false);
        self.queued.clear();
        (self.reopened, self.unopened_for) = (0, None);
    }
}

impl Call {
    /// The model's server says something.
    pub(super) fn session(&mut self, event: Event<'_>) {
        if self.phase != Phase::Serving || matches!(self.agent, Agent::Closed) {
            // Nothing but last words, and what they cost.
            match event {
                Event::CallerTranscript { item, transcript, usage } => {
                    self.caller_text(&item, &transcript);
                    self.words_paid(&item, &usage);
                }
                Event::CallerTranscriptFailed { item } => self.caller_text(&item, ""),
                Event::ResponseDone(response) => self.last_response(&response),
                Event::RateLimits(told) => self.sessions.limited(self.now, *told),
                _ => {}
            }
            return;
        }
        match event {
            Event::SessionCreated => self.session_created(),
            Event::SessionUpdated { session, expires_at } => {
                self.session_updated(&session);
                self.session_expires(expires_at);
            }
            Event::Error(error) => {
                self.session_error(&error);
            }
            Event::AudioDelta { response, item, content_index, audio } => {
                self.audio(&response, &item, content_index, &audio);
            }
            Event::AudioDone { item } => self.playout.complete(&item),
            Event::OutputItemDone { item } => {
                self.playout.complete(&item.id);
                if let Some(call) = &item.function {
                    self.function_called(call);
                }
            }
            Event::ResponseCreated(response) => self.response_created(&response),
            Event::ResponseDone(response) => self.response_done(&response),
            Event::SpeechStarted { item, audio_start_ms } => self.caller_began(&item, audio_start_ms),
            Event::SpeechStopped { item, audio_end_ms } => {
                self.floor.caller_speaks = None;
                self.stopwatch.caller_ended(self.now, &self.to_model.ear);
                self.responses.give_way(self.now);
                let at = self.floor.uplink_began + Duration::from_millis(audio_end_ms);
                self.transcript.utterance(&item, Speaker::Caller).ended = Some(at);
                self.tell(&item, None);
            }
            Event::Committed { item, previous } => {
                self.floor.caller_speaks = None;
                self.floor.caller_has_spoken = true;
                self.transcript.after(&item, Speaker::Caller, previous.as_ref()).awaits_words = true;
                self.tell(&item, previous);
            }
            Event::ItemAdded { item, previous } => self.item_added(&item, previous.as_ref()),
            Event::TranscriptDelta { item, delta } => self.assistant_text(&item, &delta, true),
            Event::TranscriptDone { item, transcript } => self.assistant_text(&item, &transcript, false),
            Event::CallerTranscript { item, transcript, usage } => {
                self.caller_text(&item, &transcript);
                self.words_paid(&item, &usage);
            }
            Event::CallerTranscriptFailed { item } => self.caller_text(&item, ""),
            Event::RateLimits(told) => self.sessions.limited(self.now, *told),
            Event::Other(_) => {}
        }
    }

    /// When the caller may be taken to be quiet, if the server says that he speaks: it may have been a false start
    /// of which no end is told, and our own ear knows better.
    pub(super) fn quiet_at(&self) -> Option<Instant> {
        let since = self.floor.caller_speaks?;
        Some(self.to_model.ear.last_voice().map_or(since, |voice| voice.max(since)) + FALSE_START_AFTER)
    }

    /// Asks for the next response, if one is wanted and may be asked for.
    pub(super) fn ask(&mut self) {
        // What comes of a tool belongs into the answer.
        if !self.agent.is_ready() || self.tools.is_pending() {
            return;
        }
        let quiet = self.quiet_at().is_none_or(|at| at <= self.now);
        let id = self.events_said + 1;
        let Some((event_id, purpose)) = self.responses.next(self.now, quiet, || format!("c_{id}")) else {
            return;
        };
        self.events_said = id;
        let exactly = |words: &String| format!("Say exactly this, and nothing else:\n{words}");
        let words = match purpose {
            Purpose::Notice => self.settings.recording_notice.as_ref().map(exactly),
            Purpose::Greeting => self.settings.greeting.as_ref().map(exactly),
            Purpose::Answer => None,
            Purpose::Prompt => Some(STILL_THERE.to_owned()),
            Purpose::Goodbye => self.goodbye().map(str::to_owned),
        };
        // Instructions of a response replace those of the session, so both are given.
        let instructions = words.map(|words| format!("{}\n\n{words}", self.settings.session.instructions));
        self.outputs.push(Output::Session(ClientEvent::ResponseCreate { event_id, instructions }));
    }

    /// Plays what is due, and notes what was heard to its end.
    pub(super) fn play(&mut self) {
        let mut played = Vec::new();
        let Self { playout, tape, outputs, .. } = self;
        let leave = |left: Left<'_>| match left {
            Left::Frame(frame, packet) => {
                outputs.push(Output::Rtp(*packet));
                if let Some(tape) = tape {
                    tape.assistant(frame, &mut |entry| outputs.push(Output::Record(entry)));
                }
            }
            Left::Skipped(frames) => {
                if let Some(tape) = tape {
                    tape.skipped(frames, &mut |entry| outputs.push(Output::Record(entry)));
                }
            }
        };
        playout.due(self.now, leave, &mut played);
        self.frames_left(&played);
        for Played { item, begun, ms } in played {
            let born = self.born;
            if let Some(utterance) = self.transcript.find(&item) {
                let began = *utterance.began.get_or_insert(begun.saturating_duration_since(born));
                utterance.ended = Some(began + Duration::from_millis(ms));
                self.tell(&item, None);
            }
        }
    }

    fn audio(&mut self, response: &ResponseId, item: &ItemId, content_index: u32, audio: &str) {
        if self.settings.keep.audio {
            let mut bytes = Vec::with_capacity(audio.len() / 4 * 3);
            let take = |piece: &[u8]| -> Result<(), Infallible> {
                bytes.extend_from_slice(piece);
                Ok(())
            };
            if base64::decode(audio, take).is_ok() {
                self.outputs.push(Output::Record(Entry::Delta(bytes.into())));
            }
        }
        let is_of_another = self.responses.active().is_some_and(|active| active != response);
        if is_of_another || self.floor.muted.as_ref() == Some(response) {
            self.counters.dropped_deltas += 1;
            return;
        }
        if self.playout.push(response, item, content_index, audio).is_err() {
            self.counters.refused_deltas += 1;
            return;
        }
        if self.responses.active().is_none() {
            // Nobody will say that it is over.
            self.playout.complete(item);
        }
        if !self.floor.queued.contains(item) {
            self.floor.queued.push(item.clone());
        }
        if self.stopwatch.delta(self.now, item, self.responses.purpose()) {
            self.outputs.push(Output::Standing(Standing::Serves));
        }
    }

    fn response_created(&mut self, response: &Response) {
        self.floor.queued.clear();
        self.floor.muted = None;
        let ours = self.responses.created(response);
        if ours && self.responses.purpose() == Some(Purpose::Goodbye) {
            self.goodbye_begins();
        }
        if ours && self.responses.purpose() == Some(Purpose::Notice) {
            self.floor.notice = Some(response.id.clone());
        } else if !ours {
            // The server took the caller's turn for finished.
            self.floor.caller_speaks = None;
            self.floor.caller_has_spoken = true;
        } else if self.floor.caller_speaks.is_some() {
            // Asked for in the very moment the caller began to speak, and the server did not see it as an
            // interruption: it would talk over him.
            self.mute(&response.id.clone(), true);
        }
    }

    fn response_done(&mut self, response: &Response) {
        self.playout.complete_response(&response.id);
        self.floor.spoke_last = !self.floor.queued.is_empty();
        for call in response.items.iter().filter_map(|item| item.function.as_ref()) {
            self.function_called(call);
        }
        self.answer_ended(&response.id, self.floor.spoke_last);
        self.spent(response);
        if self.floor.muted.as_ref() == Some(&response.id) {
            self.floor.muted = None;
            let queued = std::mem::take(&mut self.floor.queued);
            for item in &response.items {
                if item.kind == ItemKind::AssistantMessage && !queued.contains(&item.id) {
                    self.delete(&item.id);
                }
            }
        }
        if let ResponseStatus::Failed(error) = &response.status {
            if self.session_error(error) {
                return;
            }
            self.outputs.push(Output::Notice(Notice::ResponseFailed { code: Detail::new(&error.code) }));
        }
        match self.responses.done(self.now, response) {
            Ended::Over(Some(Purpose::Notice)) => self.notice_generated(),
            // However it ended, it is not asked for again and again.
            Ended::Over(Some(Purpose::Goodbye)) | Ended::GivenUp(Purpose::Goodbye) => self.goodbye_begins(),
            Ended::GivenUp(_) => self.apologise(EndReason::ModelFailed),
            Ended::Over(_) | Ended::Retrying(_) => {}
        }
    }

    /// A response is over that nobody can hear any more.
    fn last_response(&mut self, response: &Response) {
        let _over = self.responses.done(self.now, response);
        self.response_paid(response);
    }

    /// The recording notice is complete: from the next answer on the caller may interrupt.
    fn notice_generated(&mut self) {
        self.floor.notice_given = true;
        if self.settings.session.interrupt {
            let event_id = self.event_id();
            let session = self.settings.session.interruption(true);
            self.outputs.push(Output::Session(ClientEvent::SessionUpdate { event_id, session }));
        }
        if self.settings.greeting.is_some() && !self.floor.caller_has_spoken {
            self.responses.want(Purpose::Greeting);
        }
    }

    fn caller_began(&mut self, item: &ItemId, audio_start_ms: u64) {
        self.call_off();
        self.stopwatch.caller_began();
        self.floor.caller_speaks = Some(self.now);
        let at = self.floor.uplink_began + Duration::from_millis(audio_start_ms);
        self.transcript.utterance(item, Speaker::Caller).began = Some(at);

        let cut = self.playout.interrupt(self.floor.notice.as_ref());
        if let Some(heard) = cut.iter().find(|heard| heard.ms > 0) {
            self.counters.barge_ins += 1;
            self.silenced();
            let detail = format!("{} heard_ms={} received_ms={}", heard.item, heard.ms, heard.received_ms);
            self.note(EventKind::Interrupted, detail);
        }
        if let Some(active) =
            self.responses.active().filter(|active| Some(*active) != self.floor.notice.as_ref())
        {
            let active = active.clone();
            self.mute(&active, !self.settings.session.interrupt);
        }
        for heard in cut {
            self.cut_off(heard);
        }
    }

    /// Nothing more of this response is wanted.
    fn mute(&mut self, response: &ResponseId, cancel: bool) {
        self.floor.muted = Some(response.clone());
        if cancel {
            let event_id = self.event_id();
            self.outputs
                .push(Output::Session(ClientEvent::ResponseCancel { event_id, response: response.clone() }));
        }
    }

    fn cut_off(&mut self, heard: Heard) {
        if heard.ms == 0 {
            self.delete(&heard.item);
            return;
        }
        let born = self.born;
        let utterance = self.transcript.utterance(&heard.item, Speaker::Assistant);
        let began = heard.begun.map_or(Duration::ZERO, |begun| begun.saturating_duration_since(born));
        utterance.began = Some(began);
        utterance.ended = Some(began + Duration::from_millis(heard.ms));
        utterance.heard_ms = Some(heard.ms);
        utterance.said_ms = Some(heard.received_ms);
        self.tell(&heard.item, None);
        if !self.sessions.knows(&heard.item) {
            return;
        }
        let event_id = self.event_id();
        self.outputs.push(Output::Session(ClientEvent::Truncate {
            event_id,
            item: heard.item,
            content_index: heard.content_index,
            audio_end_ms: heard.ms,
        }));
    }

    fn delete(&mut self, item: &ItemId) {
        self.transcript.forget(item);
        if self.settings.keep.transcript {
            self.outputs.push(Output::Record(Entry::Forgotten(item.clone())));
        }
        if !self.sessions.knows(item) {
            return;
        }
        let event_id = self.event_id();
        self.outputs.push(Output::Session(ClientEvent::Delete { event_id, item: item.clone() }));
    }

    fn item_added(&mut self, item: &Item, previous: Option<&ItemId>) {
        if is_retold(&item.id) {
            return;
        }
        let speaker = match item.kind {
            ItemKind::AssistantMessage => Speaker::Assistant,
            ItemKind::UserMessage => Speaker::Caller,
            ItemKind::Other => return,
        };
        self.transcript.after(&item.id, speaker, previous);
        self.tell(&item.id, previous.cloned());
    }

    fn assistant_text(&mut self, item: &ItemId, text: &str, more: bool) {
        let Some(utterance) = self.transcript.find(item) else { return };
        if !more {
            utterance.text.clear();
        }
        utterance.text.push_str(text);
        if !more {
            self.tell(item, None);
        }
    }

    /// What the caller said, as the server understood it; may be empty.
    fn caller_text(&mut self, item: &ItemId, text: &str) {
        let utterance = self.transcript.utterance(item, Speaker::Caller);
        text.trim().clone_into(&mut utterance.text);
        utterance.awaits_words = false;
        self.tell(item, None);
    }
}
