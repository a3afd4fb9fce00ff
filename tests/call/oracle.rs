//! Watches one call's packets and messages and holds them to what must always be true. It keeps its own books:
//! what was heard of an item is found by comparing the packets with what the model sent, byte by byte.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use openai_inbound_calls::call::Settings;
use openai_inbound_calls::realtime::client::ClientEvent;
use openai_inbound_calls::realtime::server::Event;

const SILENCE: u8 = 0xFF;
const HEADER: usize = 12;

/// One item's sound as it came from the model.
#[derive(Debug)]
struct Said {
    item: String,
    response: String,
    sound: Vec<u8>,
    /// Bytes of it that have left for the caller.
    played: usize,
    /// No more will come.
    complete: bool,
    /// Truncated or deleted: not a byte of it may leave any more.
    cut: bool,
    /// Its session is over: nobody is told when it is cut off.
    gone: bool,
}

/// The books of one call.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    last: Option<(u16, u32)>,
    /// Frames the timestamp jumped over.
    pub(crate) skipped: u64,
    said: Vec<Said>,
    /// Items before this one are over.
    first: usize,
    active: Option<String>,
    muted: BTreeSet<String>,
    /// What is played when the model fails.
    apology: Option<Arc<[u8]>>,
    /// The words that must not be interrupted, and the requests and responses that say them.
    notice: Option<String>,
    notice_requests: BTreeSet<String>,
    protected: BTreeSet<String>,
    /// Answers that we have cancelled: what has come of them may still be heard, and is not cut off.
    cancelled: BTreeSet<String>,
    /// Nobody may interrupt the assistant.
    is_stubborn: bool,
    /// Since when the caller has been owed an answer and has heard nothing.
    waits_since: Option<Instant>,
    /// Whether the caller holds the call.
    pub(crate) held: bool,
}

/// Longest that a caller may hear nothing while an answer is owed, and neither a new session is opened nor the call ends:
/// twice 10 s, what a caller may add to them by speaking, and slack for set-up and slow networks.
const MOST_SILENCE: Duration = Duration::from_secs(32);

impl Oracle {
    pub(crate) fn new(settings: &Settings) -> Self {
        let (notice, apology) = (settings.recording_notice.clone(), settings.apology.clone());
        Self { apology, notice, is_stubborn: !settings.session.interrupt, ..Self::default() }
    }

    /// Time passes.
    pub(crate) fn hold_silence(&mut self, now: Instant) {
        if self.held {
            self.waits_since = self.waits_since.map(|_| now);
        }
        let waits = self.waits_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        assert!(waits <= MOST_SILENCE, "an answer is owed, and the caller hears nothing");
    }

    /// Something was heard, or is done about what is not.
    fn moved(&mut self, now: Instant) {
        self.waits_since = self.waits_since.map(|_| now);
    }

    /// The call says that it plays the apology, once and to its end.
    pub(crate) fn apologises(&mut self, now: Instant) {
        self.session_over(now);
        self.waits_since = None;
        let sound = self.apology.take().expect("there is one, and it is played once").to_vec();
        let (item, response) = ("apology".to_owned(), String::new());
        let said = Said { item, response, sound, played: 0, complete: true, cut: false, gone: false };
        self.said.push(said);
        // Nobody tells us any more that the caller speaks, or listens to him.
        self.protected.extend(self.said.iter().map(|said| said.response.clone()));
    }

    /// A packet leaves for the caller. The item in it, if it is not silent.
    pub(crate) fn packet(&mut self, now: Instant, packet: &[u8]) -> Option<&str> {
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        if let Some((last_sequence, last_timestamp)) = self.last.replace((sequence, timestamp)) {
            assert_eq!(sequence, last_sequence.wrapping_add(1), "the sequence number has a gap");
            let step = timestamp.wrapping_sub(last_timestamp);
            assert!(
                step != 0 && step.is_multiple_of(160) && step < 1 << 31,
                "two frames in one slot: {step}"
            );
            self.skipped += u64::from(step / 160 - 1);
        }
        assert_eq!(packet.len(), HEADER + 160);
        let mut rest = &packet[HEADER..];
        let mut item = None;
        while let [byte, tail @ ..] = rest {
            if *byte == SILENCE {
                rest = tail;
                continue;
            }
            let run = rest.iter().position(|byte| *byte == SILENCE).unwrap_or(rest.len());
            let (index, length) = self.find(&rest[..run]);
            let said = &mut self.said[index];
            said.played += length;
            self.first = index;
            assert!(!said.cut, "{} is heard after it was cut off", said.item);
            assert!(!self.muted.contains(&said.response), "{} is heard after it was muted", said.response);
            item.get_or_insert(index);
            rest = &rest[length..];
        }
        if let Some(index) = item {
            let said = &self.said[index];
            // The server may owe the word that it is over, but not the caller's answer.
            let is_whole = said.complete && said.played == said.sound.len();
            self.waits_since = self.active.as_ref().filter(|_| !is_whole).map(|_| now);
        }
        item.map(|index| self.said[index].item.as_str())
    }

    /// The item these bytes continue, and how many of them are its.
    fn find(&mut self, bytes: &[u8]) -> (usize, usize) {
        if self.continued(bytes).is_none() {
            self.prefer_a_twin(bytes);
        }
        let books = |said: &Said| format!("{}: {} of {} bytes", said.item, said.played, said.sound.len());
        self.continued(bytes).unwrap_or_else(|| {
            panic!(
                "the caller hears something the model did not say, or not next: {:?}, from item {} of {:?}",
                &bytes[..bytes.len().min(8)],
                self.first,
                self.said.iter().map(books).collect::<Vec<_>>()
            )
        })
    }

    fn continued(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        let continues = |said: &Said| {
            let next = &said.sound[said.played..];
            let length = next.len().min(bytes.len());
            (length > 0 && next[..length] == bytes[..length]).then_some(length)
        };
        // Sessions of the same script say the same: what may be heard is preferred to what may not.
        let is_over = |said: &Said| said.cut || self.muted.contains(&said.response);
        for over in [false, true] {
            for (index, said) in self.said.iter().enumerate().skip(if over { 0 } else { self.first }) {
                if is_over(said) == over
                    && let Some(length) = continues(said)
                {
                    return Some((index, length));
                }
            }
        }
        None
    }

    /// Two sessions of the same script begin with the same sound. What was taken for the words of a session that was lost were
    /// those of the next one, if only these go on with `bytes`.
    fn prefer_a_twin(&mut self, bytes: &[u8]) {
        let Some((heard, later)) = self.said.get_mut(self.first..).and_then(<[Said]>::split_first_mut) else {
            return;
        };
        let begin = &heard.sound[..heard.played];
        let goes_on = |said: &&mut Said| {
            said.played == 0 && said.sound.strip_prefix(begin).is_some_and(|rest| rest.starts_with(bytes))
        };
        if let Some(twin) = later.iter_mut().find(goes_on).filter(|_| heard.gone) {
            (twin.played, heard.played) = (heard.played, 0);
        }
    }

    /// The model's server said something; the call has not seen it yet.
    pub(crate) fn before(&mut self, now: Instant, event: &Event<'_>) {
        match event {
            Event::AudioDelta { response, item, audio, .. } => {
                // Padded or not, in either alphabet.
                let audio = audio.trim_end_matches('=').replace('-', "+").replace('_', "/");
                let Ok(sound) = STANDARD_NO_PAD.decode(audio) else { return };
                let (item, response) = (item.as_str().to_owned(), response.as_str().to_owned());
                if let Some(last) = self.said.last_mut().filter(|said| said.item == item) {
                    last.sound.extend(sound);
                } else {
                    let (complete, cut, gone) = (false, false, false);
                    self.said.push(Said { item, response, sound, played: 0, complete, cut, gone });
                }
            }
            Event::AudioDone { item } => {
                for said in self.said.iter_mut().filter(|said| said.item == item.as_str()) {
                    said.complete = true;
                }
            }
            Event::ResponseCreated(response) => {
                self.active = Some(response.id.as_str().to_owned());
                if response.cid.as_ref().is_some_and(|cid| self.notice_requests.contains(cid)) {
                    self.protected.insert(response.id.as_str().to_owned());
                }
            }
            Event::ResponseDone(response) => {
                let is_spoken = self.said.iter().any(|said| said.response == response.id.as_str());
                if is_spoken || response.items.iter().any(|item| item.function.is_some()) {
                    self.waits_since = None;
                }
                self.active = self.active.take().filter(|active| active != response.id.as_str());
                for said in self.said.iter_mut().filter(|said| said.response == response.id.as_str()) {
                    said.complete = true;
                }
            }
            Event::SpeechStarted { .. } => {
                self.waits_since = None;
                let active = self.active.clone().filter(|active| !self.protected.contains(active));
                self.muted.extend(active.filter(|_| !self.is_stubborn));
            }
            Event::SpeechStopped { .. } => {
                self.waits_since.get_or_insert(now);
            }
            _ => {}
        }
    }

    /// The call has acted on the event.
    pub(crate) fn after(&mut self, event: &Event<'_>) {
        if !matches!(event, Event::SpeechStarted { .. }) || self.is_stubborn {
            return;
        }
        for said in self.said.iter_mut().skip(self.first) {
            let over = said.played == said.sound.len() && said.complete;
            said.cut |= said.gone && !over && !self.protected.contains(&said.response);
            let excused = [&self.protected, &self.muted, &self.cancelled];
            let excused = excused.into_iter().any(|responses| responses.contains(&said.response));
            assert!(said.cut || over || excused, "{} goes on though the caller speaks", said.item);
        }
    }

    /// We say something to the model.
    pub(crate) fn says(&mut self, now: Instant, event: &ClientEvent) {
        if matches!(event, ClientEvent::ResponseCreate { .. }) {
            self.waits_since.get_or_insert(now);
        }
        match event {
            ClientEvent::ResponseCancel { response, .. } => {
                self.cancelled.insert(response.as_str().to_owned());
            }
            ClientEvent::ResponseCreate { event_id, instructions: Some(words) }
                if self.notice.as_ref().is_some_and(|notice| words.ends_with(notice.as_str())) =>
            {
                self.notice_requests.insert(event_id.clone());
            }
            ClientEvent::Truncate { item, audio_end_ms, .. } => {
                let said = self.item(item.as_str()).expect("an item that was heard");
                let bytes = *audio_end_ms as usize * 8;
                assert!(bytes <= said.sound.len(), "{item} is cut behind its end");
                assert_eq!(bytes / 8, said.played / 8, "{item} was heard so far, ms");
                assert!(said.played > 0, "{item} was not heard");
                assert!(!said.complete || said.played < said.sound.len(), "{item} was heard to its end");
                said.cut = true;
            }
            ClientEvent::Delete { item, .. } => {
                if let Some(said) = self.item(item.as_str()) {
                    assert!(said.played < 8, "{item} is deleted, but was heard");
                    said.cut = true;
                }
            }
            _ => {}
        }
    }

    fn item(&mut self, id: &str) -> Option<&mut Said> {
        self.said.iter_mut().find(|said| said.item == id)
    }

    /// How many milliseconds of each item have left.
    pub(crate) fn played(&self) -> impl Iterator<Item = (&str, u64)> {
        self.said.iter().map(|said| (said.item.as_str(), said.played as u64 / 8))
    }

    /// The session is over, and with it what it was saying.
    pub(crate) fn session_over(&mut self, now: Instant) {
        self.moved(now);
        self.active = None;
        for said in &mut self.said {
            (said.complete, said.gone) = (true, true);
        }
    }
}
