//! The recording of one call within the writer. It accepts entries, writes them when it is time, and retries when the
//! disk fails.
//!
//! ```text
//!   entry ──► words: joined while they wait ──► log ───────────┐
//!         └─► audio, deltas ───────────────────► wav, bin ─────┤ write(): every PATIENCE, or when much data waits
//!                                                              ▼
//!                            written ◄──► refused: retried after a second; data without room is dropped and counted
//! ```

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::RecordingId;
use super::live::{BIN, LOG, Live, WAV};
use super::log::{End, Happened, Line, Opened, Said};
use super::queue::{Missed, sound_bytes, weight};
use super::seal::Recipient;
use super::share::Share;
use super::track::Track;
use crate::call::record::{Ending, Entry, EventKind, Opening};
use crate::call::transcript::Utterance;
use crate::end_reason::EndReason;
use crate::media::{FRAME_BYTES, wav};
use crate::realtime::ItemId;

/// How long data waits in memory before it is handed to the kernel. Together with the call's batches and the writer's
/// interval, a SIGKILL loses at most 1.3 s. A longer time loses more; a shorter one makes more system calls.
const PATIENCE: Duration = Duration::from_millis(800);
/// The same for an encrypted recording. Each of its pieces is a file with a header of its own, so a shorter time
/// would make many small files. A SIGKILL loses at most 3.5 s.
const PATIENCE_SEALED: Duration = Duration::from_secs(3);
/// The pause after the disk has refused a write. A longer pause delays the recovery; a shorter one burdens a failing
/// disk.
const RETRY: Duration = Duration::from_secs(1);
/// The number of stereo bytes in a millisecond.
const SOUND_BYTES_PER_MS: u64 = 16;

/// A call that is being recorded.
#[derive(Debug)]
pub(super) struct Recording {
    opening: Box<Opening>,
    /// The folder of the recording. `None` until the disk has permitted its creation.
    live: Option<Live>,
    log: Track,
    wav: Track,
    bin: Track,
    /// Utterances that have changed since the last write, each with the item that it follows.
    said: Vec<(Utterance, Option<ItemId>)>,
    deltas: u64,
    deltas_logged: u64,
    /// The length of the audio so far, in stereo bytes.
    sound_bytes: u64,
    zero_ms: u64,
    /// What was dropped and when the gap began, until the log holds it.
    gap: Option<(u64, Missed)>,
    /// Since when data has been waiting.
    waits_since: Option<Instant>,
    /// The disk refused a write. The next attempt is not made before this time.
    refused_until: Option<Instant>,
    ending: Option<Line>,
    end_logged: bool,
    /// The number of bytes of sound, deltas included, that were accepted or replaced by silence.
    taken_bytes: u64,
    /// What the call is told.
    pub(super) share: Arc<Share>,
}

/// The result of a write.
#[derive(Debug)]
pub(super) struct Written {
    /// The files that need a sync.
    pub(super) files: Vec<Arc<File>>,
    /// Whether this write created the folder.
    pub(super) is_new: bool,
}

impl Recording {
    pub(super) fn new(opening: Box<Opening>, share: Arc<Share>) -> Self {
        let mut recording = Self {
            live: None,
            log: Track::new(LOG),
            wav: Track::new(WAV),
            bin: Track::new(BIN),
            said: Vec::new(),
            deltas: 0,
            deltas_logged: 0,
            sound_bytes: 0,
            zero_ms: 0,
            gap: None,
            waits_since: None,
            refused_until: None,
            ending: None,
            end_logged: false,
            taken_bytes: 0,
            share,
            opening,
        };
        let opened = Line::Open(Opened::from(&*recording.opening));
        recording.line(&opened);
        if recording.opening.keep.audio {
            let has_room = recording.wav.push(&wav::header(2, None));
            debug_assert!(has_room, "an empty track has room for a header");
        }
        recording
    }

    /// Accepts an entry. `missed` was dropped before it.
    pub(super) fn take(&mut self, now: Instant, missed: Missed, entry: Entry) {
        self.share.taken(weight(&entry));
        self.taken_bytes += sound_bytes(&entry);
        self.miss(missed);
        self.waits_since.get_or_insert(now);
        match entry {
            Entry::Sound(bytes) => {
                if !self.wav.push_sound(&bytes) {
                    self.note(Missed { sound_bytes: bytes.len() as u64, ..Missed::default() });
                }
                self.sound_bytes += bytes.len() as u64;
            }
            Entry::Silence { frames } => self.silence(frames * 2 * FRAME_BYTES as u64),
            Entry::Delta(bytes) => {
                if !self.bin.push_sound(&bytes) {
                    self.note(Missed { delta_bytes: bytes.len() as u64, ..Missed::default() });
                }
                self.deltas += 1;
            }
            Entry::Utterance { utterance, after } => self.say(utterance, after),
            Entry::Forgotten(item) => {
                // Another utterance may have its position because it follows this one, so its position is logged
                // first.
                if self.said.iter().any(|(_, after)| after.as_ref() == Some(&item)) {
                    self.log_said();
                }
                self.said.retain(|(utterance, _)| utterance.item != item);
                self.line(&Line::Forgotten { item: item.to_string() });
            }
            Entry::Event { at, kind, detail } => {
                let at_ms = super::log::ms(at);
                if kind == EventKind::MediaStarted {
                    self.zero_ms = at_ms;
                }
                self.line(&Line::Event(Happened { at_ms, kind: kind.code().to_owned(), detail }));
            }
            Entry::Usage(bill) => self.line(&Line::Usage(bill.into())),
            Entry::Waited(waited) => self.line(&Line::Waited(waited.into())),
            Entry::Caller(number) => self.line(&Line::Caller { number }),
            Entry::OpenAiCall(call) => self.line(&Line::OpenAiCall { id: call.to_string() }),
            Entry::Tool(tool) => self.line(&Line::Tool((*tool).into())),
            Entry::Report(text) => self.line(&Line::Report(super::log::json(text))),
        }
    }

    /// Ends the recording with the call. Without `ending`, the reason is an internal error.
    pub(super) fn close(&mut self, missed: Missed, ending: Option<Ending>) {
        self.miss(missed);
        let reason = ending.map_or(EndReason::Internal, |ending| ending.reason);
        self.end(
            reason,
            ending.map(|ending| super::log::ms(ending.duration)),
            ending.map(|e| e.interruptions),
        );
    }

    /// Ends the recording because the daemon stops before the call has ended.
    pub(super) fn cut_short(&mut self) {
        self.end(EndReason::Shutdown, None, None);
    }

    fn end(&mut self, reason: EndReason, duration_ms: Option<u64>, interruptions: Option<u64>) {
        let reason = reason.code().to_owned();
        self.ending.get_or_insert(Line::End(End { reason, duration_ms, interruptions }));
    }

    /// Whether the recording should be written now: its data has waited long enough or is large, and the pause after
    /// a refusal is over.
    pub(super) fn is_due(&self, now: Instant, sealed: bool) -> bool {
        let patience = if sealed { PATIENCE_SEALED } else { PATIENCE };
        let waited = self.waits_since.is_some_and(|since| now.saturating_duration_since(since) >= patience);
        let eager = self.live.is_none() || self.is_over() || self.is_heavy();
        self.refused_until.is_none_or(|until| until <= now) && (waited || eager)
    }

    fn is_heavy(&self) -> bool {
        [&self.log, &self.wav, &self.bin].into_iter().any(Track::is_heavy)
    }

    /// Writes everything that waits, and creates the folder first if there is none.
    ///
    /// # Errors
    /// The error of the disk. No data is lost.
    pub(super) fn write(
        &mut self,
        now: Instant,
        root: &Path,
        recipient: Option<&Recipient>,
    ) -> io::Result<Written> {
        let written = self.try_to_write(root, recipient);
        self.share.refused(written.is_err());
        if self.wav.is_clean() && self.bin.is_clean() {
            self.share.written(self.taken_bytes);
        }
        if written.is_ok() {
            self.refused_until = None;
            self.waits_since = if self.is_written() { None } else { Some(now) };
        } else {
            // The write is retried even if no more data arrives.
            self.waits_since.get_or_insert(now);
            self.refused_until = Some(now + RETRY);
        }
        written
    }

    fn try_to_write(&mut self, root: &Path, recipient: Option<&Recipient>) -> io::Result<Written> {
        let is_new = self.live.is_none();
        if is_new {
            let wanted = RecordingId::new(self.opening.started, self.opening.channel.as_str());
            self.live = Some(Live::create(root, &wanted, recipient)?);
        }
        self.log_words();
        let mut files = Vec::new();
        if let Some(live) = &self.live {
            let (folder, recipients) = (&live.folder.0, &live.recipients);
            for track in [&mut self.wav, &mut self.bin] {
                files.extend(track.write(folder, recipients)?);
            }
            // The end line states that the recording is complete, so it follows all other data.
            let complete = self.wav.is_clean() && self.bin.is_clean() && self.gap.is_none();
            if let Some(ending) = self.ending.as_ref().filter(|_| complete && !self.end_logged) {
                self.end_logged = self.log.push(&ending.to_json());
            }
            files.extend(self.log.write(folder, recipients)?);
            if is_new {
                files.push(Arc::new(File::open(&live.folder.0)?));
            }
        }
        Ok(Written { files, is_new })
    }

    /// Whether no data waits any more.
    pub(super) fn is_written(&self) -> bool {
        let tracks = [&self.log, &self.wav, &self.bin];
        tracks.into_iter().all(Track::is_clean) && self.said.is_empty() && self.gap.is_none()
    }

    /// Whether the disk refused the last write.
    pub(super) const fn is_refused(&self) -> bool {
        self.refused_until.is_some()
    }

    /// Whether the call has ended.
    pub(super) const fn is_over(&self) -> bool {
        self.ending.is_some()
    }

    /// Whether everything has been written, including the end line.
    pub(super) fn is_finished(&self) -> bool {
        self.end_logged && self.live.is_some() && self.is_written()
    }

    /// The folder, if the disk has ever permitted its creation.
    pub(super) fn into_live(self) -> Option<Live> {
        self.live
    }

    pub(super) fn opening(&self) -> &Opening {
        &self.opening
    }

    /// The recording's id. Before the folder exists, the id that it would get.
    pub(super) fn id(&self) -> RecordingId {
        let wanted = || RecordingId::new(self.opening.started, self.opening.channel.as_str());
        self.live.as_ref().map_or_else(wanted, |live| live.id.clone())
    }

    pub(super) fn live(&self) -> Option<&Live> {
        self.live.as_ref()
    }

    /// Adds the present state of an utterance. It replaces a waiting state of the same utterance.
    fn say(&mut self, utterance: Utterance, after: Option<ItemId>) {
        let waiting = self.said.iter_mut().rev().find(|(waiting, _)| waiting.item == utterance.item);
        match waiting {
            Some((waiting, _)) if after.is_none() => *waiting = utterance,
            _ => self.said.push((utterance, after)),
        }
    }

    /// Writes waiting utterances, the count of deltas, and finished gaps to the log.
    fn log_words(&mut self) {
        self.log_said();
        if self.deltas != self.deltas_logged {
            self.deltas_logged = self.deltas;
            self.line(&Line::Deltas { count: self.deltas });
        }
        // A gap is logged when it is over, that is, when there is room again.
        if let Some((at_ms, missed)) = self.gap.filter(|_| !self.is_refused()) {
            let detail = format!(
                "sound_ms={} delta_bytes={} words={}",
                missed.sound_bytes / SOUND_BYTES_PER_MS,
                missed.delta_bytes,
                missed.words
            );
            let kind = EventKind::RecordingGap.code().to_owned();
            if self.log.push(&Line::Event(Happened { at_ms, kind, detail }).to_json()) {
                self.gap = None;
            }
        }
    }

    fn log_said(&mut self) {
        for (utterance, after) in std::mem::take(&mut self.said) {
            let after = after.map(|item| item.to_string());
            self.line(&Line::Said(Said::new(&utterance, after)));
        }
    }

    fn line(&mut self, line: &Line) {
        if !self.log.push(&line.to_json()) {
            self.note(Missed { words: 1, ..Missed::default() });
        }
    }

    /// Replaces dropped audio by silence.
    fn miss(&mut self, missed: Missed) {
        if missed.is_nothing() {
            return;
        }
        self.note(missed);
        self.silence(missed.sound_bytes);
        self.bin.silence(missed.delta_bytes);
    }

    fn silence(&mut self, bytes: u64) {
        self.wav.silence(bytes);
        self.sound_bytes += bytes;
    }

    /// Remembers what was dropped and where the gap begins.
    fn note(&mut self, missed: Missed) {
        if missed.has_sound() {
            self.share.dropped();
        }
        let at_ms = self.zero_ms + self.sound_bytes / SOUND_BYTES_PER_MS;
        let (_, sum) = self.gap.get_or_insert((at_ms, Missed::default()));
        sum.add(missed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::record::Keep;
    use crate::call::transcript::Speaker;
    use crate::recordings::queue::{Handle, Message};
    use crate::recordings::share::Kept;
    use crate::recordings::story::Story;

    fn recording() -> (Recording, Instant) {
        let opening = Opening {
            channel: "17.3".into(),
            caller: "600".into(),
            called: String::new(),
            model: String::new(),
            agent: String::new(),
            agent_version: String::new(),
            started: chrono::DateTime::UNIX_EPOCH.fixed_offset(),
            keep: Keep::ALL,
        };
        (Recording::new(Box::new(opening), Arc::default()), crate::clock::now())
    }

    fn said(item: &str, text: &str, after: Option<&str>) -> Entry {
        let utterance = Utterance {
            item: item.into(),
            speaker: Speaker::Assistant,
            text: text.into(),
            began: None,
            ended: None,
            heard: None,
            awaits_words: false,
            said: None,
            flaw: None,
        };
        Entry::Utterance { utterance, after: after.map(Into::into) }
    }

    fn log(recording: &Recording) -> String {
        let log = std::fs::read(recording.live().unwrap().folder.plain(LOG)).unwrap();
        String::from_utf8(log).unwrap()
    }

    #[test]
    fn a_sentence_that_grows_is_written_once_per_writing_and_not_once_per_word() {
        let folder = tempfile::tempdir().unwrap();
        let (mut recording, now) = recording();
        for words in ["Hola", "Hola, buenos", "Hola, buenos días"] {
            recording.take(now, Missed::default(), said("a", words, None));
            recording.take(now, Missed::default(), said("b", words, Some("a")));
        }
        recording.take(now, Missed::default(), Entry::Forgotten("b".into()));
        recording.write(now, folder.path(), None).unwrap();
        let log = log(&recording);
        assert_eq!(log.matches("Hola").count(), 1, "{log}");
        let story = Story::read(log.as_bytes(), Opened::unknown(&recording.id()));
        assert_eq!(story.utterances().map(|said| &*said.text).collect::<Vec<_>>(), ["Hola, buenos días"]);
    }

    #[test]
    fn what_the_queue_gave_up_is_silence_in_its_place_and_an_event() {
        let folder = tempfile::tempdir().unwrap();
        let (mut recording, now) = recording();
        let sound = |byte| Entry::Sound(vec![byte; 320].into());
        recording.take(now, Missed::default(), sound(1));
        let missed = Missed { sound_bytes: 640, delta_bytes: 5, words: 1, pieces: 4 };
        recording.take(now, missed, sound(2));
        recording.take(now, Missed::default(), Entry::Delta([7; 3].into()));
        recording.write(now, folder.path(), None).unwrap();
        let read = |name| std::fs::read(recording.live().unwrap().folder.plain(name)).unwrap();
        assert_eq!(read(WAV)[58..], [vec![1; 320], vec![0xFF; 640], vec![2; 320]].concat());
        assert_eq!(read(BIN), [255, 255, 255, 255, 255, 7, 7, 7]);
        let log = log(&recording);
        assert!(
            log.contains(
                r#"{"at_ms":20,"kind":"recording_gap","detail":"sound_ms=40 delta_bytes=5 words=1"}"#
            ),
            "{log}"
        );
    }

    #[test]
    fn sound_counts_as_written_when_the_disk_has_all_of_it_and_not_when_silence_is_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let (queue, messages) = std::sync::mpsc::channel();
        let mut handle = Handle::open(1, *recording().0.opening, queue);
        let Ok(Message::Open { opening, share, .. }) = messages.try_recv() else { panic!() };
        let (mut recording, now) = (Recording::new(opening, share), crate::clock::now());
        let hand_over = |handle: &mut Handle, recording: &mut Recording, entry| {
            handle.push(entry);
            let Ok(Message::Entry { missed, entry, .. }) = messages.try_recv() else { panic!() };
            recording.take(now, missed, entry);
        };
        hand_over(&mut handle, &mut recording, Entry::Sound(vec![1; 320].into()));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(recording.write(now, file.path(), None).is_err(), "a file is no folder");
        assert_eq!((handle.kept(), handle.has_room_for_sound()), (Kept::NotYet, false));
        recording.write(now, folder.path(), None).unwrap();
        assert_eq!((handle.kept(), handle.has_room_for_sound()), (Kept::All, true));
        // More comes than the memory holds before the disk is tried again.
        (0..10).for_each(|_| hand_over(&mut handle, &mut recording, Entry::Sound(vec![1; 32_000].into())));
        recording.write(now, folder.path(), None).unwrap();
        assert_eq!(handle.kept(), Kept::InPart);
    }

    #[test]
    fn it_is_written_when_its_time_has_come_or_much_waits_and_not_while_the_disk_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (mut recording, now) = recording();
        assert!(recording.is_due(now, false), "the folder is made at once");
        recording.write(now, folder.path(), None).unwrap();
        let later = now + PATIENCE * 2;
        assert!(!recording.is_due(later, false), "nothing waits");
        recording.take(now, Missed::default(), said("a", "hola", None));
        assert!(!recording.is_due(now, false) && recording.is_due(now + PATIENCE, false));
        assert!(!recording.is_due(now + PATIENCE, true) && recording.is_due(now + PATIENCE_SEALED, true));
        recording.take(now, Missed::default(), Entry::Delta(vec![1; 70_000].into()));
        assert!(recording.is_due(now, true));
        std::fs::remove_dir_all(&recording.live().unwrap().folder.0).unwrap();
        assert!(recording.write(now, folder.path(), None).is_err() && recording.is_refused());
        assert!(!recording.is_due(now, false) && recording.is_due(now + RETRY, false));
    }

    #[test]
    fn the_end_is_in_the_log_only_when_all_of_the_sound_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let (mut recording, now) = recording();
        // Five minutes of silence are more than one write may contain.
        recording.take(now, Missed::default(), Entry::Silence { frames: 15_000 });
        recording.close(Missed::default(), None);
        let mut writings = 0;
        while !recording.is_finished() {
            assert!(writings == 0 || !log(&recording).contains("\"end\""));
            recording.write(now, folder.path(), None).unwrap();
            writings += 1;
        }
        assert!(
            writings > 3
                && log(&recording)
                    .trim_end()
                    .ends_with(r#"{"end":{"reason":"internal","duration_ms":null,"interruptions":null}}"#)
        );
    }
}
