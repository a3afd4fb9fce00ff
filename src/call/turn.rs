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
//! interrupt either. Where nobody may interrupt (`OPENAI_VAD_INTERRUPT=false`) the same goes for every answer.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use super::playout::{Heard, Left, Played};
use super::record::{Entry, EventKind};
use super::responses::Purpose;
use super::resume::is_retold;
use super::transcript::{Speaker, Utterance};
use super::{Call, Output, Standing};
use crate::media::base64;
use crate::realtime::client::ClientEvent;
use crate::realtime::server::{Event, Item, ItemKind};
use crate::realtime::{ItemId, ResponseId};

/// What the model is asked to say while a tool is waited for.
const STILL_LOOKING: &str = "In at most eight words, in the language of the call, say that you are still looking. Say nothing about the result.";
/// What the model is asked to say to a caller whom it has not heard.
const SAY_AGAIN: &str = "The caller has said something that did not reach you. Ask in a few words to say it again, and nothing else.";
/// The same for a caller who has been silent.
const STILL_THERE: &str = "The caller has not spoken for a while. Ask in a few words whether they are still there, and nothing else.";

impl Call {
    /// The model's server says something.
    pub(super) fn session(&mut self, event: Event<'_>) {
        if !self.phase.is_serving() || self.session.is_closed() {
            return self.last_words(event);
        }
        self.sign_of_answer(&event);
        if self.leg.openai().is_some() {
            self.heard_at_openai(&event);
        }
        match event {
            Event::SessionCreated => self.session_created(),
            Event::SessionUpdated { session, expires_at } => {
                self.session_updated(&session);
                self.session_expires(expires_at);
            }
            Event::Error(error) => self.session_error(&error),
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
            Event::SpeechStopped { item, audio_end_ms } => self.caller_ended(&item, audio_end_ms),
            Event::Committed { item, previous } => self.caller_committed(&item, previous),
            Event::ItemAdded { item, previous } => self.item_added(&item, previous.as_ref()),
            Event::TranscriptDelta { item, delta } => self.assistant_goes_on(&item, &delta),
            Event::TranscriptDone { item, transcript } => self.assistant_said(&item, &transcript),
            Event::CallerTranscript { item, transcript, usage } => {
                self.caller_text(&item, &transcript);
                self.words_paid(&item, &usage);
            }
            Event::CallerTranscriptFailed { item } => self.caller_text(&item, ""),
            Event::RateLimits(told) => self.sessions.limited(self.now, *told),
            // What OpenAI plays, and the keys that it hears, are `sip`'s.
            Event::SoundStarted { .. }
            | Event::SoundStopped { .. }
            | Event::SoundCleared { .. }
            | Event::ItemTruncated { .. }
            | Event::Key(_)
            | Event::Other(_) => {}
        }
    }

    /// The model's server says something to a call that has nothing more to say to it: only last words matter, and what they
    /// cost.
    fn last_words(&mut self, event: Event<'_>) {
        match event {
            Event::CallerTranscript { item, transcript, usage } => {
                self.caller_text(&item, &transcript);
                self.words_paid(&item, &usage);
            }
            Event::CallerTranscriptFailed { item } => self.caller_text(&item, ""),
            Event::ResponseDone(response) if self.is_report(&response) => self.reported(&response),
            Event::ResponseDone(response) => self.last_response(&response),
            Event::Error(error) => self.report_refused(&error),
            Event::RateLimits(told) => self.sessions.limited(self.now, *told),
            _ => {}
        }
    }

    /// When the caller may be taken to be quiet although the server says that they speak; None: it does not say so.
    pub(super) fn quiet_at(&self) -> Option<Instant> {
        match self.leg.openai() {
            None => self.floor.quiet_at(self.to_model.ear().last_voice()),
            Some(_) => self.quiet_by_the_server(),
        }
    }

    /// Asks the model for the next response, if one is wanted and may be asked for.
    pub(super) fn ask(&mut self) {
        // The answer must take account of what the tool brings.
        if !self.session.is_ready() || self.tools.is_pending() || self.speaks_to_nobody() {
            return;
        }
        // The greeting may have in it what is still being looked up.
        if self.responses.wants(Purpose::Greeting) && self.knowledge.is_awaited(self.now) {
            return;
        }
        self.advance_knowledge();
        let id = self.events_said + 1;
        let next = self.responses.next(self.now, self.quiet_at(), || format!("c_{id}"));
        let Some((event_id, purpose)) = next else { return };
        self.events_said = id;
        let exactly = |words: &String| format!("Say exactly this, and nothing else:\n{words}");
        let words = match purpose {
            Purpose::Notice => self.settings.recording_notice.as_ref().map(exactly),
            Purpose::Greeting => self.greeting().as_ref().map(exactly),
            Purpose::Answer => None,
            Purpose::Prompt => Some(STILL_THERE.to_owned()),
            Purpose::Filler => Some(STILL_LOOKING.to_owned()),
            Purpose::Repeat => Some(SAY_AGAIN.to_owned()),
            Purpose::Goodbye => self.goodbye().map(str::to_owned),
        };
        // Instructions of a response replace those of the session, so both are given.
        let instructions = words.map(|words| format!("{}\n\n{words}", self.settings.session.instructions));
        self.outputs.push(Output::Session(ClientEvent::ResponseCreate { event_id, instructions }));
    }

    /// Lets the frames leave that are due, and notes which items were heard to their end.
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
                utterance.was_heard(begun.saturating_duration_since(born), ms);
                self.tell(&item, None);
            }
        }
    }

    fn audio(&mut self, response: &ResponseId, item: &ItemId, content_index: u32, audio: &str) {
        if self.leg.openai().is_some() {
            // OpenAI sends the sound to the caller. A copy of it is of no use here, and nobody says in which format it is.
            self.counters.dropped_deltas += 1;
            return;
        }
        let is_of_another = self.responses.active().is_some_and(|active| active != response);
        if is_of_another || self.floor.is_muted(response) {
            self.counters.dropped_deltas += 1;
            self.record_unqueued(audio);
            return;
        }
        let Ok(bytes) = self.playout.push(response, item, content_index, audio) else {
            self.counters.refused_deltas += 1;
            self.record_unqueued(audio);
            return;
        };
        if self.settings.keep.audio {
            self.outputs.push(Output::Record(Entry::Delta(self.playout.newest(bytes).into())));
        }
        if self.responses.active().is_none() {
            // The response is over already, so no event of the server will complete this item.
            self.playout.complete(item);
        }
        self.floor.queued(item);
        if self.stopwatch.delta(self.now, item, self.responses.purpose()) {
            self.outputs.push(Output::Standing(Standing::Serves));
        }
    }

    /// The recording keeps all the sound that was generated, so it gets this too, though the caller will not hear it.
    #[cold]
    fn record_unqueued(&mut self, audio: &str) {
        let mut bytes = Vec::new();
        let take = |piece: &[u8]| -> Result<(), Infallible> {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        if self.settings.keep.audio && base64::decode(audio, take).is_ok() {
            self.outputs.push(Output::Record(Entry::Delta(bytes.into())));
        }
    }

    fn caller_began(&mut self, item: &ItemId, audio_start_ms: u64) {
        self.call_off();
        self.stopwatch.caller_began();
        self.floor.caller_begins(self.now);
        let at = self.floor.at(audio_start_ms);
        if let Some(utterance) = self.utterance(item, Speaker::Caller, None) {
            utterance.begins(at);
        }
        if self.settings.session.interrupt && self.leg.openai().is_none() {
            self.interrupted();
        }
    }

    fn caller_ended(&mut self, item: &ItemId, audio_end_ms: u64) {
        self.floor.caller_stops();
        match self.leg.openai() {
            None => self.stopwatch.caller_ended(self.now, self.to_model.ear()),
            Some(_) => self.stopwatch.caller_stopped(self.now),
        }
        self.responses.give_way(self.now);
        let at = self.floor.at(audio_end_ms);
        if let Some(utterance) = self.utterance(item, Speaker::Caller, None) {
            utterance.ends(at);
        }
        self.tell(item, None);
    }

    /// What the caller said is a turn, and is put into words.
    fn caller_committed(&mut self, item: &ItemId, previous: Option<ItemId>) {
        self.floor.caller_took_turn();
        self.tools.caller_spoke();
        if let Some(utterance) = self.utterance(item, Speaker::Caller, previous.as_ref()) {
            utterance.await_words();
        }
        self.tell(item, previous);
    }

    /// The caller cuts the assistant off.
    fn interrupted(&mut self) {
        let cut = self.playout.interrupt(self.floor.announcement());
        if let Some(heard) = cut.iter().find(|heard| heard.ms > 0) {
            self.counters.barge_ins += 1;
            self.silenced();
            let detail = format!("{} heard_ms={} received_ms={}", heard.item, heard.ms, heard.received_ms);
            self.note(EventKind::Interrupted, detail);
        }
        if let Some(active) =
            self.responses.active().filter(|active| Some(*active) != self.floor.announcement())
        {
            self.floor.mute(active);
        }
        for heard in cut {
            self.cut_off(heard);
        }
    }

    fn cut_off(&mut self, heard: Heard) {
        if heard.ms == 0 {
            self.delete(&heard.item);
            return;
        }
        self.utterance(&heard.item, Speaker::Assistant, None);
        self.heard_in_part(&heard);
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

    /// The call is over for its caller: what the caller has heard of the answer that is being played is noted, and what
    /// nobody has heard is forgotten. The session is not told, because it ends.
    pub(super) fn stop_playing(&mut self) {
        self.playout.stop();
        self.stop_at_openai();
        for heard in self.playout.interrupt(None) {
            if heard.ms > 0 {
                self.heard_in_part(&heard);
            } else {
                self.forget(&heard.item);
            }
        }
    }

    pub(super) fn heard_in_part(&mut self, heard: &Heard) {
        let born = self.born;
        let began = heard.begun.map_or(Duration::ZERO, |begun| begun.saturating_duration_since(born));
        if let Some(utterance) = self.transcript.find(&heard.item) {
            utterance.was_cut_off(began, heard.ms, heard.received_ms);
            self.tell(&heard.item, None);
        }
    }

    fn forget(&mut self, item: &ItemId) {
        self.transcript.forget(item);
        if self.settings.keep.transcript {
            self.outputs.push(Output::Record(Entry::Forgotten(item.clone())));
        }
    }

    pub(super) fn delete(&mut self, item: &ItemId) {
        self.forget(item);
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
        self.utterance(&item.id, speaker, previous);
        self.tell(&item.id, previous.cloned());
    }

    /// The assistant says more in this item.
    fn assistant_goes_on(&mut self, item: &ItemId, text: &str) {
        self.transcript.append(item, text);
        self.count_words();
    }

    /// All that the assistant says in this item.
    fn assistant_said(&mut self, item: &ItemId, text: &str) {
        if self.transcript.find(item).is_some() {
            self.transcript.write(item, text);
            self.tell(item, None);
        }
        self.count_words();
    }

    /// What the caller said, as the server understood it; may be empty.
    fn caller_text(&mut self, item: &ItemId, text: &str) {
        if let Some(utterance) = self.utterance(item, Speaker::Caller, None) {
            utterance.await_no_words();
        }
        self.transcript.write(item, text.trim());
        self.tell(item, None);
        self.count_words();
    }

    /// The utterance of an item, directly behind `previous` if that is known. None: there is no room for another one.
    fn utterance(
        &mut self,
        item: &ItemId,
        speaker: Speaker,
        previous: Option<&ItemId>,
    ) -> Option<&mut Utterance> {
        self.transcript.after(item, speaker, previous);
        self.count_words();
        self.transcript.find(item)
    }

    /// Says once that there are more words than there is room for.
    fn count_words(&mut self) {
        if self.transcript.is_newly_cut() {
            self.note(EventKind::WordsLost, String::new());
        }
    }
}
