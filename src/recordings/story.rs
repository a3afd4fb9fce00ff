//! What the lines of a log tell when they are folded: one call, from its beginning to its end.
//!
//! The same fold serves the ordinary end, a crash, and a look at a running call, so what one of them shows the
//! others show too. It is generous: a line it cannot read (the last one of a crash, one of a later version) is
//! counted and passed over.

use std::time::Duration;

use super::log::{End, Happened, Line, Opened, Said, Used, Wait};
use crate::call::record::EventKind;
use crate::call::transcript::{Flaw, Transcript, Utterance};
use crate::operator::EndReason;

/// A call, as its log tells it.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) opened: Opened,
    transcript: Transcript,
    pub(super) events: Vec<Happened>,
    /// Audio deltas in the assistant's file.
    pub(super) deltas: u64,
    /// What the call had used when it was last told.
    pub(super) used: Option<Used>,
    /// What the caller waited for.
    pub(super) waits: Vec<Wait>,
    end: Option<End>,
    /// Lines that could not be read.
    pub(super) unreadable: u64,
}

impl Story {
    /// Folds a log. `unknown` stands for its opening if that is missing: a power cut may have taken it.
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

    fn new(opened: Opened) -> Self {
        Self {
            opened,
            transcript: Transcript::default(),
            events: Vec::new(),
            deltas: 0,
            used: None,
            waits: Vec::new(),
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
        utterance.heard_ms = said.heard_ms;
        utterance.said_ms = said.of_ms;
        utterance.flaw = said.flaw.as_deref().and_then(Flaw::from_code);
        self.transcript.write(&item, &said.text);
    }

    /// Everything said that has words, in the order of the talk.
    pub(super) fn utterances(&self) -> impl Iterator<Item = &Utterance> {
        self.transcript.utterances().iter().filter(|utterance| !utterance.text.is_empty())
    }

    /// Whether the call's end is in the log.
    pub(super) fn is_whole(&self) -> bool {
        self.end.is_some()
    }

    /// Why the call ended; of one that was cut off, [`EndReason::Recovered`].
    pub(super) fn reason(&self) -> &str {
        self.end.as_ref().map_or(EndReason::Recovered.code(), |end| &end.reason)
    }

    /// How long the call lasted, milliseconds: as its end says, or as long as anything is known of it.
    /// `sound_ms`: what there is of sound.
    pub(super) fn duration_ms(&self, sound_ms: u64) -> u64 {
        if let Some(duration) = self.end.as_ref().and_then(|end| end.duration_ms) {
            return duration;
        }
        let words = self.transcript.utterances().iter().filter_map(|said| said.ended.or(said.began));
        let words = words.map(super::log::ms).max().unwrap_or_default();
        let events = self.events.iter().map(|event| event.at_ms).max().unwrap_or_default();
        words.max(events).max(self.sound_began_ms().unwrap_or_default().saturating_add(sound_ms))
    }

    /// How often the caller cut the assistant off.
    pub(super) fn interruptions(&self) -> u64 {
        let counted = || self.transcript.utterances().iter().filter(|said| said.heard_ms.is_some()).count();
        self.end.as_ref().and_then(|end| end.interruptions).unwrap_or_else(|| counted() as u64)
    }

    /// When the sound's first frame left, since the call began.
    pub(super) fn sound_began_ms(&self) -> Option<u64> {
        let kind = EventKind::MediaStarted.code();
        self.events.iter().find(|event| event.kind == kind).map(|event| event.at_ms)
    }
}
