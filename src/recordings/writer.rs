//! The recorder has three threads: one writes the recordings of all calls, one finishes them, and one syncs files.
//!
//! ```text
//!   Handle ─┐                      ┌─ Recording ── {id}.live/ ─┬─ call ended ──► clerk: finishes
//!   Handle ─┼─ queue ─► writer ────┼─ Recording ── {id}.live/  │
//!   Handle ─┘                      └─ Recording ── {id}.live/ ─┴─ written files ─► syncer
//! ```
//! No call ever waits for these threads. This module does not know the format of a recording (see `recording` and
//! `finish`).
//!
//! **What can be lost.** After SIGKILL: what a call handed over in the last 1.3 s (encrypted: 3.5 s). After a power
//! cut: the same, and in addition 0.25 s and the duration of a sync, because every write is followed by a sync. With
//! so many calls that the disk cannot sync all of them each second, what the kernel has not written yet (30 s by
//! default). With a disk that is full or hangs: what finds no room in memory; silence replaces it.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::clerk::Clerk;
use super::live::Live;
use super::queue::{Handle, Message, Missed};
use super::recording::Recording;
use super::shared::{RecorderReport, Shared};
use super::{Facts, RecordingSettings, State, Told, live, recover, syncer};
use crate::call::record::Opening;
use crate::operator::{Detail, Notice};
use crate::units::{ByteCount, Milliseconds};

/// The interval at which the writer examines all recordings. A longer one writes data later; a shorter one costs CPU
/// time.
const TURN: Duration = Duration::from_millis(250);
/// How long the writer gathers messages after each wake-up. A shorter time would wake the thread for each message,
/// which costs a call more than the message itself; a longer one writes data later.
const GATHER: Duration = Duration::from_millis(20);
/// The `nice` values of the writer, the clerk and the syncer. On a busy core, 5 leaves the writer a quarter and 10
/// leaves the others a tenth of the time, so that the clocks of the calls come first. Larger values make the threads
/// slower under load.
const NICE: [i32; 3] = [5, 10, 10];
/// The number of ended recordings, and of files to sync, that may wait. Each keeps a file open. A sync that finds no
/// room is skipped. A larger value keeps more files open; a smaller one skips syncs earlier.
const JOBS: usize = 1_024;
/// The number of ended recordings that a failing disk may keep in memory, 600 kB each at worst. Older ones beyond
/// this number are lost. A larger value uses more memory.
const STUCK: usize = 128;

/// The state of the recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether the disk accepts data. False if the disk is full, read-only or gone, or if the recorder has ended.
    pub writing: bool,
    /// The number of calls that are being recorded.
    pub live: usize,
    /// The number of recordings whose completion failed and is retried.
    pub unfinished: usize,
    /// The number of pieces (200 ms of audio, deltas, words) dropped since the start because there was no room.
    pub missed: u64,
}

/// Records calls until it is stopped.
pub struct Recorder {
    shared: Arc<Shared>,
    queue: Sender<Message>,
    calls: AtomicU64,
    threads: [JoinHandle<()>; 3],
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("health", &self.health()).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Starts the threads. Recordings that a crash left unfinished are locked at once, so that no other process takes
    /// them; the second thread completes them first. `clock` is the daemon's clock, and `news` must not wait.
    ///
    /// A folder that cannot be read or created is no error: the operator is told, and every call tries again.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(
        settings: RecordingSettings,
        clock: fn() -> Instant,
        news: impl Fn(RecorderReport) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let usable = live::probe(&settings.folder);
        let unfinished = usable.and_then(|()| recover::unfinished(&settings.folder));
        let (unfinished, refused) = unfinished.map_or_else(
            |error| {
                news(RecorderReport::Notice(failing(&settings, &error)));
                (Vec::new(), true)
            },
            |unfinished| (unfinished, false),
        );
        let shared = Arc::new(Shared {
            settings,
            clock,
            news: Box::new(news),
            unfinished: AtomicUsize::new(unfinished.len()),
            refused: AtomicBool::new(refused),
            live: AtomicUsize::default(),
            missed: AtomicU64::default(),
        });
        let (queue, messages) = mpsc::channel();
        let (over, ended) = mpsc::sync_channel(JOBS);
        let (files, written) = mpsc::sync_channel(JOBS);
        let clerk = Clerk::new(Arc::clone(&shared), ended);
        let writer = Writer {
            shared: Arc::clone(&shared),
            over,
            files,
            recordings: HashMap::new(),
            stop_at: None,
            without_room: Vec::new(),
            unsaid: 0,
            unsaid_before: 0,
        };
        let threads = [
            thread::Builder::new().name("rec-writer".into()).spawn(move || {
                be_gentle(NICE[0]);
                writer.run(&messages);
            })?,
            thread::Builder::new().name("rec-clerk".into()).spawn(move || {
                be_gentle(NICE[1]);
                clerk.run(unfinished);
            })?,
            thread::Builder::new().name("rec-syncer".into()).spawn(move || {
                be_gentle(NICE[2]);
                syncer::run(&written);
            })?,
        ];
        Ok(Self { shared, queue, calls: AtomicU64::default(), threads })
    }

    /// Begins a recording without waiting. If nothing of the call is kept, no recording is made.
    #[must_use = "dropped at once, the recording ends at once"]
    pub fn open(&self, opening: Opening) -> Handle {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        Handle::open(call, opening, self.queue.clone())
    }

    /// The state of the recorder.
    #[must_use]
    pub fn health(&self) -> Health {
        let works = self.threads.iter().all(|thread| !thread.is_finished());
        Health {
            writing: works && !self.shared.refused.load(Ordering::Relaxed),
            live: self.shared.live.load(Ordering::Relaxed),
            unfinished: self.shared.unfinished.load(Ordering::Relaxed),
            missed: self.shared.missed.load(Ordering::Relaxed),
        }
    }

    /// Finishes all recordings within `patience`, and ends. Recordings of calls that are still running end with
    /// [`EndReason::Shutdown`](crate::end_reason::EndReason::Shutdown). Blocks. Returns false if work is left for the
    /// next start.
    #[must_use]
    pub fn stop(self, patience: Duration) -> bool {
        /// How often the function looks whether the threads have ended.
        const LOOK: Duration = Duration::from_millis(10);
        drop(self.queue.send(Message::Stop { patience }));
        let until = (self.shared.clock)() + patience;
        while !self.threads.iter().all(JoinHandle::is_finished) {
            if (self.shared.clock)() >= until {
                return false;
            }
            thread::sleep(LOOK);
        }
        self.shared.unfinished.load(Ordering::Relaxed) == 0
    }
}

/// Lowers the priority of the calling thread only, which is how Linux treats this call.
fn be_gentle(nice: i32) {
    // Without the lower priority everything works, but calls share the processor equally with this thread.
    rustix::process::setpriority_process(None, nice).ok();
}

/// The state of the first thread.
struct Writer {
    shared: Arc<Shared>,
    /// Sends ended recordings to the clerk.
    over: SyncSender<Live>,
    /// Sends files to the syncer.
    files: SyncSender<Arc<File>>,
    recordings: HashMap<u64, Recording>,
    /// When the thread ends, even if work is left. `None` while calls may begin.
    stop_at: Option<Instant>,
    /// The folders of ended recordings for which the clerk's queue had no room.
    without_room: Vec<Live>,
    /// The number of dropped pieces that the operator has not been told of, now and at the previous turn.
    unsaid: u64,
    unsaid_before: u64,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        let mut next_turn = (self.shared.clock)();
        loop {
            let now = (self.shared.clock)();
            if next_turn <= now {
                self.turn(now);
                next_turn = now + TURN;
            }
            if self
                .stop_at
                .is_some_and(|at| at <= now || self.recordings.is_empty() && self.without_room.is_empty())
            {
                return;
            }
            match messages.recv_timeout(next_turn.saturating_duration_since(now)) {
                Ok(message) => {
                    for message in std::iter::once(message).chain(messages.try_iter()) {
                        self.take(now, message);
                    }
                    thread::sleep(GATHER);
                }
                Err(RecvTimeoutError::Timeout) => {}
                // All calls and the recorder are gone. The writer writes what it can and ends.
                Err(RecvTimeoutError::Disconnected) => {
                    self.stop(now, Duration::ZERO);
                    next_turn = now;
                }
            }
        }
    }

    fn take(&mut self, now: Instant, message: Message) {
        let call = match message {
            Message::Open { call, opening, share } => {
                self.recordings.insert(call, Recording::new(opening, share));
                call
            }
            Message::Entry { call, missed, entry } => {
                self.count(missed);
                if let Some(recording) = self.recordings.get_mut(&call) {
                    recording.take(now, missed, entry);
                }
                call
            }
            Message::Close { call, missed, ending } => {
                self.count(missed);
                if let Some(recording) = self.recordings.get_mut(&call) {
                    recording.close(missed, ending);
                }
                call
            }
            Message::Stop { patience } => return self.stop(now, patience),
        };
        self.write_if_due(now, call);
    }

    fn stop(&mut self, now: Instant, patience: Duration) {
        self.stop_at.get_or_insert(now + patience);
        for recording in self.recordings.values_mut().filter(|recording| !recording.is_over()) {
            recording.cut_short();
        }
        self.turn(now);
    }

    /// The work that is repeated at each interval.
    fn turn(&mut self, now: Instant) {
        for live in std::mem::take(&mut self.without_room) {
            self.hand_over(live);
        }
        let calls: Vec<u64> = self.recordings.keys().copied().collect();
        for call in calls {
            self.write_if_due(now, call);
        }
        self.give_up_stuck();
        self.say_missed();
        let is_refused = self.recordings.values().any(Recording::is_refused);
        // If no recording tries the disk, a probe does.
        let works = || !self.recordings.is_empty() || live::probe(&self.shared.settings.folder).is_ok();
        if self.shared.refused.load(Ordering::Relaxed) && !is_refused && works() {
            self.shared.refused.store(false, Ordering::Relaxed);
            let folder = self.shared.settings.folder.display().to_string();
            self.shared.tell(RecorderReport::Notice(Notice::RecordingResumed { folder }));
        }
        self.shared.live.store(self.recordings.len(), Ordering::Relaxed);
    }

    fn write_if_due(&mut self, now: Instant, call: u64) {
        let shared = Arc::clone(&self.shared);
        let settings = &shared.settings;
        let Some(recording) = self.recordings.get_mut(&call) else { return };
        if !recording.is_due(now, settings.recipient.is_some()) {
            return;
        }
        match recording.write(now, &settings.folder, settings.recipient.as_ref()) {
            Ok(written) => {
                if written.is_new {
                    shared.tell(RecorderReport::Opened(facts(recording)));
                }
                for file in written.files {
                    // If the queue is full, the disk cannot keep up with the syncs. The kernel writes the data by
                    // itself a little later.
                    drop(self.files.try_send(file));
                }
            }
            Err(error) if recording.live().is_some_and(|live| live.folder.is_gone()) => {
                let (id, cause) = (recording.id().to_string(), Detail::new(error));
                recording.share.dropped();
                self.recordings.remove(&call);
                return shared.tell(RecorderReport::Notice(Notice::RecordingLost { id, cause }));
            }
            Err(error) => {
                if !shared.refused.swap(true, Ordering::Relaxed) {
                    shared.tell(RecorderReport::Notice(failing(settings, &error)));
                }
            }
        }
        if recording.is_finished()
            && let Some(live) = self.recordings.remove(&call).and_then(Recording::into_live)
        {
            self.hand_over(live);
        }
    }

    /// Gives an ended recording to the clerk.
    fn hand_over(&mut self, live: Live) {
        if let Err(mpsc::TrySendError::Full(live)) = self.over.try_send(live) {
            self.without_room.push(live);
        }
    }

    /// Drops the oldest ended recordings if there are too many, because a disk that fails for hours would fill the
    /// memory.
    fn give_up_stuck(&mut self) {
        let mut stuck: Vec<u64> = self
            .recordings
            .iter()
            .filter(|(_, recording)| recording.is_over())
            .map(|(call, _)| *call)
            .collect();
        if stuck.len() <= STUCK {
            return;
        }
        stuck.sort_unstable();
        stuck.truncate(stuck.len() - STUCK);
        for recording in stuck.into_iter().filter_map(|call| self.recordings.remove(&call)) {
            let id = recording.id().to_string();
            let cause = Detail::new("the disk takes nothing");
            self.shared.tell(RecorderReport::Notice(Notice::RecordingLost { id, cause }));
        }
    }

    /// Tells the operator of dropped pieces, once for each stall and after its end.
    fn say_missed(&mut self) {
        if self.unsaid > 0 && self.unsaid == self.unsaid_before {
            self.shared.tell(RecorderReport::Notice(Notice::RecordingOverflowed { pieces: self.unsaid }));
            self.unsaid = 0;
        }
        self.unsaid_before = self.unsaid;
    }

    fn count(&mut self, missed: Missed) {
        self.shared.missed.fetch_add(missed.pieces, Ordering::Relaxed);
        self.unsaid += missed.pieces;
    }
}

fn failing(settings: &RecordingSettings, error: &io::Error) -> Notice {
    let folder = settings.folder.display().to_string();
    Notice::RecordingFailing { folder, cause: Detail::new(error) }
}

/// What an index holds of a recording that begins.
fn facts(recording: &Recording) -> Facts {
    let opening = recording.opening();
    Facts {
        id: recording.id(),
        state: State::Live,
        sealed: recording.live().is_some_and(|live| !live.recipients.is_empty()),
        bytes: ByteCount::ZERO,
        told: Some(Told {
            started: opening.started.naive_local(),
            utc_offset: Some(*opening.started.offset()),
            duration: Milliseconds::ZERO,
            caller: opening.caller.clone(),
            called: opening.called.clone(),
            model: opening.model.clone(),
            agent: opening.agent.clone(),
            end_reason: String::new(),
            interruptions: 0,
            messages: 0,
        }),
    }
}
