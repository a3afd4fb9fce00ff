//! Folds the lines of a log into the story of one call, from its beginning to its end.
//!
//! The same fold serves the ordinary end of a call, the recovery after a crash, and the view of a running call, so
//! all of them show the same. Lines that cannot be read, such as the incomplete last line after a crash or a line of
//! a later version, are counted and skipped.

use std::time::Duration;

use serde_json::Value;

use super::log::{End, Happened, Line, Opened, Said, ToolUse, Used, Wait};
use crate::call::record::EventKind;
use crate::call::transcript::{Flaw, Transcript, Utterance};
use crate::end_reason::EndReason;

/// A call as its log describes it.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) opened: Opened,
    transcript: Transcript,
    pub(super) events: Vec<Happened>,
    /// The number of audio deltas in the assistant's file.
    pub(super) deltas: u64,
    /// What the call had used according to the last report.
    pub(super) used: Option<Used>,
    /// How long the caller waited, each time.
    pub(super) waits: Vec<Wait>,
    /// The tools that were carried out.
    pub(super) tools: Vec<ToolUse>,
    /// The report that the model made.
    pub(super) report: Option<Value>,
    /// The id at OpenAI, of a call whose sound OpenAI carries for a caller in Asterisk.
    pub(super) openai_call: Option<String>,
    end: Option<End>,
    /// The number of lines that could not be read.
    pub(super) unreadable: u64,
}

impl Story {
    /// Folds a log. `unknown` replaces the opening line if a power cut has destroyed it.
    pub(super) fn read(log: &[u8], unknown: Opened) -> Self {
        let mut story = Self::new(unknown);
        for line in log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(line) => story.apply(line),
                Err(_) => story.unreadable += 1,
            }
        }
        story
    }

    /// Folds lines that are in memory.
    pub(super) fn of(opened: Opened, lines: impl IntoIterator<Item = Line>) -> Self {
        let mut story = Self::new(opened);
        lines.into_iter().for_each(|line| story.apply(line));
        story
    }

    fn new(opened: Opened) -> Self {
        Self {
            opened,
            transcript: Transcript::default(),
            events: Vec::new(),
            deltas: 0,
            used: None,
            waits: Vec::new(),
            tools: Vec::new(),
            report: None,
            openai_call: None,
            end: None,
            unreadable: 0,
        }
    }

    fn apply(&mut self, line: Line) {
        match line {
            Line::Open(opened) => self.opened = opened,
            Line::Said(said) => self.said(&said),
            Line::Forgotten { item } => self.transcript.forget(&item.as_str().into()),
            Line::Event(event) => self.events.push(event),
            Line::Deltas { count } => self.deltas = count,
            Line::Usage(used) => self.used = Some(used),
            Line::Waited(wait) => self.waits.push(wait),
            Line::Caller { number } => self.opened.caller = number,
            Line::OpenAiCall { id } => self.openai_call = Some(id),
            Line::Tool(tool) => self.tools.push(tool),
            Line::Report(report) => self.report = Some(report),
            Line::End(end) => self.end = Some(end),
        }
    }

    fn said(&mut self, said: &Said) {
        let after = said.after.as_deref().map(Into::into);
        let speaker = said.speaker();
        let item = said.item.as_str().into();
        let Some(utterance) = self.transcript.after(&item, speaker, after.as_ref()) else { return };
        utterance.began = said.began_ms.map(Duration::from_millis);
        utterance.ended = said.ended_ms.map(Duration::from_millis);
        utterance.heard = said.heard_ms;
        utterance.said = said.of_ms;
        utterance.flaw = said.flaw.as_deref().and_then(Flaw::from_code);
        self.transcript.write(&item, &said.text);
    }

    /// All utterances that have words, in the order of the conversation.
    pub(super) fn utterances(&self) -> impl Iterator<Item = &Utterance> {
        self.transcript.utterances().iter().filter(|utterance| !utterance.text.is_empty())
    }

    /// Whether the log contains the end of the call.
    pub(super) fn is_whole(&self) -> bool {
        self.end.is_some()
    }

    /// Why the call ended. [`EndReason::Recovered`] if the log was cut off.
    pub(super) fn reason(&self) -> &str {
        self.end.as_ref().map_or(EndReason::Recovered.code(), |end| &end.reason)
    }

    /// How long the call lasted, in milliseconds, according to its end line or, without one, to the last data that is
    /// known. `sound_ms` is the length of the audio.
    pub(super) fn duration_ms(&self, sound_ms: u64) -> u64 {
        if let Some(duration) = self.end.as_ref().and_then(|end| end.duration_ms) {
            return duration;
        }
        let words = self.transcript.utterances().iter().filter_map(|said| said.ended.or(said.began));
        let words = words.map(super::log::ms).max().unwrap_or_default();
        let events = self.events.iter().map(|event| event.at_ms).max().unwrap_or_default();
        words.max(events).max(self.sound_began_ms().unwrap_or_default().saturating_add(sound_ms))
    }

    /// How many times the caller interrupted the assistant.
    pub(super) fn interruptions(&self) -> u64 {
        let counted = || self.transcript.utterances().iter().filter(|said| said.heard.is_some()).count();
        self.end.as_ref().and_then(|end| end.interruptions).unwrap_or_else(|| counted() as u64)
    }

    /// The time from the beginning of the call to the first frame of the audio, in milliseconds.
    pub(super) fn sound_began_ms(&self) -> Option<u64> {
        let kind = EventKind::MediaStarted.code();
        self.events.iter().find(|event| event.kind == kind).map(|event| event.at_ms)
    }
}
