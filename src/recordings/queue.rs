//! Takes data from the calls to the writer, through one queue in which every call has a limited share.
//!
//! Handing data over never waits. When a call's share is full because the disk hangs, audio is dropped first, then
//! the assistant's audio deltas, and words last. Dropped data is counted and reported with the next data that fits,
//! so that the writer can put silence of the same length in its place. The limit applies to each call, so one call
//! cannot take the room of another, and the number of calls bounds the whole.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use super::share::{Kept, Share};
use crate::call::record::{Ending, Entry, Keep, Opening};
use crate::media::FRAME_BYTES;

/// The audio of one call that may wait, in bytes: 8 s of stereo. A larger value bridges longer stalls of the disk but
/// uses more memory; beyond the value, audio becomes silence.
const SOUND_BYTES: usize = 128 * 1024;
/// The number of waiting bytes of one call from which audio deltas are dropped too: half a minute. Deltas arrive
/// faster than they are heard. A larger value uses more memory; a smaller one loses deltas earlier.
const DELTA_BYTES: usize = 384 * 1024;
/// The number of waiting bytes of one call from which words are dropped too. It is far more than anybody says while a
/// disk hangs. A larger value uses more memory.
const WORD_BYTES: usize = 512 * 1024;
/// The approximate memory that an entry takes in addition to its bytes.
const OVERHEAD_BYTES: usize = 128;

/// Data that was dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Missed {
    /// The number of stereo audio bytes.
    pub(super) sound_bytes: u64,
    /// The number of bytes of the assistant's audio.
    pub(super) delta_bytes: u64,
    /// The number of utterances, events and usage reports.
    pub(super) words: u64,
    /// The number of all dropped entries.
    pub(super) pieces: u64,
}

impl Missed {
    pub(super) fn add(&mut self, other: Self) {
        self.sound_bytes += other.sound_bytes;
        self.delta_bytes += other.delta_bytes;
        self.words += other.words;
        self.pieces += other.pieces;
    }

    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there is sound among it.
    pub(super) fn has_sound(&self) -> bool {
        self.sound_bytes > 0 || self.delta_bytes > 0
    }
}

/// A message to the writer.
#[derive(Debug)]
pub(super) enum Message {
    /// A call begins.
    Open { call: u64, opening: Box<Opening>, share: Arc<Share> },
    /// An entry of a call. `missed` was dropped before this entry.
    Entry { call: u64, missed: Missed, entry: Entry },
    /// A call has ended. Without `ending`, the reason is unknown.
    Close { call: u64, missed: Missed, ending: Option<Ending> },
    /// Finish everything within this time, and end.
    Stop { patience: Duration },
}

/// Hands the data of one call to its recording. If the handle is dropped without [`Self::close`], because the call
/// panicked, the recording ends with an internal error.
#[derive(Debug)]
pub struct Handle {
    call: u64,
    keep: Keep,
    queue: Sender<Message>,
    share: Arc<Share>,
    missed: Missed,
    /// The number of bytes of sound, deltas included, that were handed over.
    sound_bytes: u64,
    ending: Option<Ending>,
}

impl Handle {
    pub(super) fn open(call: u64, opening: Opening, queue: Sender<Message>) -> Self {
        let (keep, share) = (opening.keep, Arc::<Share>::default());
        if keep != Keep::NOTHING {
            let message = Message::Open { call, opening: Box::new(opening), share: Arc::clone(&share) };
            hand_over(&queue, message);
        }
        Self { call, keep, queue, share, missed: Missed::default(), sound_bytes: 0, ending: None }
    }

    /// Hands an entry over or drops it, without waiting. Entries that are not kept for this call are ignored.
    pub fn push(&mut self, entry: Entry) {
        if !is_kept(&entry, self.keep) {
            return;
        }
        let bytes = weight(&entry);
        self.sound_bytes += sound_bytes(&entry);
        if self.share.waiting() + bytes > limit(&entry) {
            let missed = missed(&entry);
            if missed.has_sound() {
                self.share.dropped();
            }
            self.missed.add(missed);
            return;
        }
        self.share.handed_over(bytes);
        let missed = std::mem::take(&mut self.missed);
        hand_over(&self.queue, Message::Entry { call: self.call, missed, entry });
    }

    /// Whether sound that is handed over now, in pieces of a second, is taken and not dropped. While the disk refuses data there is
    /// no room, so that whoever can wait loses nothing.
    #[must_use]
    pub fn has_room_for_sound(&self) -> bool {
        self.share.waiting() < SOUND_BYTES / 2 && !self.share.is_refused()
    }

    /// What has become of the sound that was handed over so far. While the disk refuses data, some of it is still to be written.
    #[must_use]
    pub fn kept(&self) -> Kept {
        self.share.kept(self.sound_bytes)
    }

    /// Ends the recording.
    pub fn close(mut self, ending: Ending) {
        self.ending = Some(ending);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.keep != Keep::NOTHING {
            let (call, missed, ending) = (self.call, self.missed, self.ending);
            hand_over(&self.queue, Message::Close { call, missed, ending });
        }
    }
}

/// A writer that has ended with the daemon accepts nothing more, which `health` reports.
fn hand_over(queue: &Sender<Message>, message: Message) {
    drop(queue.send(message));
}

fn is_kept(entry: &Entry, keep: Keep) -> bool {
    match entry {
        Entry::Sound(_) | Entry::Silence { .. } | Entry::Delta(_) => keep.audio,
        Entry::Utterance { .. } | Entry::Forgotten(_) | Entry::Report(_) => keep.transcript,
        // The words need this event, because it defines the beginning of the audio.
        Entry::Event { kind, .. } => keep.events || kind.is_needed(),
        Entry::Tool(_) => keep.events || keep.transcript,
        Entry::Usage(_) | Entry::Waited(_) | Entry::Caller(_) | Entry::OpenAiCall(_) => true,
    }
}

/// The approximate memory that an entry takes.
pub(super) fn weight(entry: &Entry) -> usize {
    OVERHEAD_BYTES
        + match entry {
            Entry::Sound(bytes) | Entry::Delta(bytes) => bytes.len(),
            Entry::Utterance { utterance, .. } => utterance.text.len(),
            Entry::Event { detail, .. } => detail.len(),
            Entry::Report(text) => text.len(),
            Entry::Caller(number) => number.expose().len(),
            Entry::OpenAiCall(call) => call.as_str().len(),
            Entry::Tool(tool) => {
                let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
                length(&tool.arguments) + length(&tool.answer)
            }
            Entry::Silence { .. } | Entry::Forgotten(_) | Entry::Usage(_) | Entry::Waited(_) => 0,
        }
}

/// The number of bytes of sound in an entry, deltas included.
pub(super) fn sound_bytes(entry: &Entry) -> u64 {
    let missed = missed(entry);
    missed.sound_bytes + missed.delta_bytes
}

const fn limit(entry: &Entry) -> usize {
    match entry {
        Entry::Sound(_) => SOUND_BYTES,
        Entry::Delta(_) => DELTA_BYTES,
        Entry::Silence { .. }
        | Entry::Utterance { .. }
        | Entry::Forgotten(_)
        | Entry::Event { .. }
        | Entry::Usage(_)
        | Entry::Waited(_)
        | Entry::Report(_)
        | Entry::Tool(_)
        | Entry::Caller(_)
        | Entry::OpenAiCall(_) => WORD_BYTES,
    }
}

fn missed(entry: &Entry) -> Missed {
    let mut missed = Missed { pieces: 1, ..Missed::default() };
    match entry {
        Entry::Sound(bytes) => missed.sound_bytes = bytes.len() as u64,
        Entry::Silence { frames } => missed.sound_bytes = frames * 2 * FRAME_BYTES as u64,
        Entry::Delta(bytes) => missed.delta_bytes = bytes.len() as u64,
        Entry::Utterance { .. }
        | Entry::Forgotten(_)
        | Entry::Event { .. }
        | Entry::Usage(_)
        | Entry::Waited(_)
        | Entry::Report(_)
        | Entry::Tool(_)
        | Entry::Caller(_)
        | Entry::OpenAiCall(_) => {
            missed.words = 1;
        }
    }
    missed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::record::EventKind;
    use crate::number::CallerNumber;
    use std::sync::mpsc::{self, Receiver};

    fn handle(keep: Keep) -> (Handle, Receiver<Message>) {
        let (queue, messages) = mpsc::channel();
        let opening = Opening {
            channel: "17.3".into(),
            caller: CallerNumber::default(),
            called: String::new(),
            model: String::new(),
            agent: String::new(),
            agent_version: String::new(),
            started: chrono::DateTime::UNIX_EPOCH.fixed_offset(),
            keep,
        };
        (Handle::open(1, opening, queue), messages)
    }

    fn event(kind: EventKind) -> Entry {
        Entry::Event { at: Duration::ZERO, kind, detail: String::new() }
    }

    #[test]
    fn a_full_share_gives_up_sound_then_deltas_and_words_last_and_tells_how_much() {
        let (mut handle, messages) = handle(Keep::ALL);
        for _ in 0..1_000 {
            handle.push(Entry::Sound(vec![1; 3_200].into()));
        }
        let sound = messages.try_iter().skip(1).count();
        assert_eq!(sound, SOUND_BYTES / (3_200 + OVERHEAD_BYTES));
        handle.push(Entry::Delta(vec![1; 1_600].into()));
        let Ok(Message::Entry { missed, entry: Entry::Delta(_), .. }) = messages.try_recv() else { panic!() };
        let pieces = 1_000 - sound as u64;
        let expected = Missed { sound_bytes: pieces * 3_200, pieces, ..Missed::default() };
        assert_eq!(missed, expected);
        for _ in 0..1_000 {
            handle.push(Entry::Delta(vec![1; 1_600].into()));
        }
        let _ = messages.try_iter().count();
        handle.push(event(EventKind::Key));
        let Ok(Message::Entry { missed, .. }) = messages.try_recv() else { panic!() };
        assert!(missed.delta_bytes > 0 && missed.sound_bytes == 0);
        for _ in 0..100_000 {
            handle.push(event(EventKind::Key));
        }
        let words = messages.try_iter().count() as u64;
        drop(handle);
        let Ok(Message::Close { missed, ending: None, .. }) = messages.try_recv() else { panic!() };
        let words = 100_000 - words;
        assert_eq!(missed, Missed { words, pieces: words, ..Missed::default() });
    }

    #[test]
    fn what_has_become_of_the_sound_is_known_of_all_that_was_handed_over() {
        let (mut handle, messages) = handle(Keep::ALL);
        assert_eq!(handle.kept(), Kept::All, "nothing was handed over");
        let sound = || Entry::Sound(vec![1; 3_200].into());
        handle.push(sound());
        handle.push(Entry::Delta(vec![1; 1_600].into()));
        assert_eq!(handle.kept(), Kept::NotYet);
        let Ok(Message::Open { share, .. }) = messages.try_recv() else { panic!() };
        share.written(3_200);
        assert_eq!(handle.kept(), Kept::NotYet);
        share.written(4_800);
        assert_eq!(handle.kept(), Kept::All);
        share.refused(true);
        assert!(!handle.has_room_for_sound(), "whoever can wait for the disk loses nothing");
        share.refused(false);
        assert!(handle.has_room_for_sound());
        for _ in 0..1_000 {
            handle.push(sound());
        }
        share.written(u64::MAX);
        assert_eq!(handle.kept(), Kept::InPart);
    }

    #[test]
    fn only_what_is_kept_goes_further_and_of_nothing_not_even_the_call() {
        let (mut none, messages) = handle(Keep::NOTHING);
        none.push(event(EventKind::Key));
        drop(none);
        assert_eq!(messages.try_iter().count(), 0);
        let (mut words, messages) = handle(Keep { transcript: true, ..Keep::NOTHING });
        words.push(Entry::Sound(Box::new([1; 320])));
        words.push(Entry::Delta(Box::new([1; 320])));
        words.push(event(EventKind::Key));
        words.push(event(EventKind::MediaStarted));
        words.push(Entry::Forgotten("item".into()));
        assert_eq!(messages.try_iter().count(), 3, "the opening, the zero, the item");
    }
}
