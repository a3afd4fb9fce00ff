//! The recording of a call whose sound stays in Asterisk. Two snoop channels copy what the caller says and what the caller hears;
//! Asterisk records each into a file, which is fetched and deleted when the call is over.
//!
//! ```text
//!   each voice:   Absent ── joined ──► Asked ── in the application ──► Beginning ── 201 ──► Running ── RecordingFinished ──► Complete
//!                                        └────────── refused ──────────────┴──► Missing
//!   both:         Recorded ── the call is over, both are complete ──► Fetched ──► Deleted
//! ```
//! The name of a recording tells the call that has made it (`ari::sound_name`): what a killed daemon has recorded of the same caller
//! stays in Asterisk beside it. A snoop channel that outlives its call would go on recording what the caller says to a colleague, so it is hung up until it is
//! gone. A recording that could not be fetched is left in Asterisk, and the operator is told its name.

use std::time::{Duration, Instant};

use super::Output;
use super::attempt::Attempt;
use super::input::Fetched;
use super::replies::complaint;
use super::thing::Thing;
use crate::ari::request::{Reply, Request};
use crate::ari::sound_name::{Part, SoundName};
use crate::ari::{ChannelId, Voice};
use crate::operator::Notice;

/// How long after its snoop channel was hung up a recording is taken for complete although Asterisk has not said so. Asterisk says
/// so within milliseconds. A larger value delays the recording of a call whose events are lost; a smaller one could miss its end.
const COMPLETE_WITHIN: Duration = Duration::from_secs(2);
/// How long both recordings may take to be fetched. An hour has 58 MB, which takes 5 s over 100 Mbit/s. A larger value keeps an ended
/// call for longer when Asterisk hangs; a smaller one leaves long recordings in Asterisk.
const FETCHED_WITHIN: Duration = Duration::from_secs(120);

/// How the recording of one voice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sound {
    /// There is none.
    Absent,
    /// Asterisk is asked to record.
    Beginning,
    /// It is made since this instant.
    Running(Instant),
    /// It is complete, and began at this instant.
    Complete(Instant),
    /// There is none, or none any more, because something failed.
    Missing,
}

/// What is copied of one voice.
#[derive(Debug)]
struct Copied {
    voice: Voice,
    snoop: Thing,
    sound: Sound,
    /// The deletion of the file.
    deletion: Thing,
}

/// What is being done with both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// They are made, if anything is to be recorded.
    Record,
    /// The call is over; they are complete at this instant at the latest.
    Complete { until: Instant },
    /// They are being fetched, until this instant at the latest.
    Fetch { until: Instant },
    /// They have been dealt with.
    Done,
}

/// The recordings of one call, as they are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sounds {
    /// What the caller said: the name of the recording, and how long after the beginning of the sound it begins. None: it is missing.
    pub said: Option<(SoundName, Duration)>,
    /// The same for what the caller heard.
    pub heard: Option<(SoundName, Duration)>,
}

/// Both voices of a call.
#[derive(Debug)]
pub(super) struct Snoops {
    app: String,
    caller: ChannelId,
    part: Part,
    both: [Copied; 2],
    aim: Aim,
    /// Whether the operator knows that something is not recorded.
    complained: bool,
}

impl Snoops {
    /// Nothing is recorded yet of this caller; what will be is this part.
    pub(super) fn new(app: String, caller: ChannelId, part: Part) -> Self {
        let copied =
            |voice| Copied { voice, snoop: Thing::Absent, sound: Sound::Absent, deletion: Thing::Absent };
        Self { app, caller, part, both: Voice::BOTH.map(copied), aim: Aim::Record, complained: false }
    }

    /// Begins to record. `channel` is the caller's channel now.
    pub(super) fn begin(&mut self, channel: &ChannelId, out: &mut Vec<Output>) {
        for copied in self.both.iter_mut().filter(|copied| copied.snoop == Thing::Absent) {
            copied.snoop = Thing::Requested;
            let (app, channel, snoop) = (self.app.clone(), channel.clone(), self.caller.snoop(copied.voice));
            out.push(Output::Ari(Request::Snoop { app, channel, snoop, voice: copied.voice }));
        }
    }

    /// A snoop channel is in the application, and can be recorded.
    pub(super) fn entered(&mut self, voice: Voice, out: &mut Vec<Output>) {
        let (aim, sound) = (self.aim, self.sound(voice));
        let copied = self.of(voice);
        if aim == Aim::Record && copied.sound == Sound::Absent {
            copied.sound = Sound::Beginning;
            out.push(Output::Ari(Request::RecordChannel(sound)));
        }
    }

    /// Asterisk has ended a recording.
    pub(super) fn recorded(&mut self, now: Instant, (voice, part): (Voice, Part), out: &mut Vec<Output>) {
        // That of an earlier call of the same caller ends with its snoop channel, which the start of the daemon has hung up.
        if part != self.part {
            return;
        }
        let copied = self.of(voice);
        copied.sound = match copied.sound {
            Sound::Beginning => Sound::Complete(now),
            Sound::Running(since) => Sound::Complete(since),
            other => other,
        };
        self.fetch(now, out);
    }

    /// The call is over: nothing more is recorded.
    pub(super) fn finish(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.aim == Aim::Record {
            self.aim = Aim::Complete { until: now + COMPLETE_WITHIN };
            self.delete(|thing| thing == Thing::Present, out);
            self.fetch(now, out);
        }
    }

    /// Asterisk ended with everything in it but its files, or another program serves the caller.
    pub(super) fn let_go(&mut self, out: &mut Vec<Output>) {
        self.leave(out);
        for copied in &mut self.both {
            (copied.snoop, copied.sound) = (Thing::Gone, Sound::Missing);
        }
        self.aim = Aim::Done;
    }

    /// When the sound of the recording begins; None: nothing is recorded yet.
    pub(super) fn began(&self) -> Option<Instant> {
        self.both.iter().filter_map(Copied::began).min()
    }

    /// Whether the recordings are still to be fetched.
    pub(super) fn are_awaited(&self) -> bool {
        matches!(self.aim, Aim::Complete { .. } | Aim::Fetch { .. })
    }

    /// Whether the snoop channels are gone, and the recordings complete.
    pub(super) fn are_let_go(&self) -> bool {
        let is_complete = matches!(self.aim, Aim::Fetch { .. } | Aim::Done);
        is_complete && self.both.iter().all(|copied| copied.snoop.is_gone())
    }

    /// The snoop channels are another call's from now on, if there are any.
    pub(super) fn forget_channels(&mut self) {
        for copied in &mut self.both {
            copied.snoop = Thing::Gone;
        }
    }

    /// Whether nothing of them is left that has to be dealt with.
    pub(super) fn are_undone(&self) -> bool {
        let is_unused =
            self.aim == Aim::Record && self.both.iter().all(|copied| copied.snoop == Thing::Absent);
        let is_gone = |copied: &Copied| copied.snoop.is_gone() && copied.deletion.is_gone();
        is_unused || self.aim == Aim::Done && self.both.iter().all(is_gone)
    }

    /// When [`Self::advance`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = match self.aim {
            // The answer to the request to record is waited for: it tells whether there is a recording.
            Aim::Complete { .. } if self.both.iter().any(|copied| copied.sound == Sound::Beginning) => None,
            Aim::Complete { until } | Aim::Fetch { until } => Some(until),
            Aim::Record | Aim::Done => None,
        };
        let things =
            self.both.iter().flat_map(|copied| [copied.snoop.deadline(), copied.deletion.deadline()]);
        things.chain([due]).flatten().min()
    }

    /// Lets time pass: repeats what Asterisk has not done, and gives up what takes too long.
    pub(super) fn advance(&mut self, now: Instant, out: &mut Vec<Output>) {
        match self.aim {
            Aim::Complete { until } if until <= now => {
                for copied in &mut self.both {
                    if let Sound::Running(since) = copied.sound {
                        copied.sound = Sound::Complete(since);
                    }
                }
                self.fetch(now, out);
            }
            Aim::Fetch { until } if until <= now => self.fetched(Fetched::InPart, out),
            _ => {}
        }
        self.delete(|thing| thing.deadline().is_some_and(|at| at <= now), out);
    }

    /// Asterisk answered a request, or did not. Returns whether the request was about a snoop channel or its recording.
    pub(super) fn replied(
        &mut self,
        now: Instant,
        request: &Request,
        reply: &Reply,
        out: &mut Vec<Output>,
    ) -> bool {
        let voice = match request {
            Request::Snoop { voice, .. } => Some(*voice),
            Request::RecordChannel(sound) | Request::DeleteRecording(sound) => Some(sound.voice()),
            Request::Hangup(channel) => channel.snooped().map(|(_, voice)| voice),
            _ => None,
        };
        let Some(voice) = voice else { return false };
        let refused = complaint(request, reply);
        let copied = self.of(voice);
        match request {
            Request::Snoop { .. } => {
                copied.snoop.created(reply);
                if copied.snoop == Thing::Absent {
                    (copied.snoop, copied.sound) = (Thing::Gone, Sound::Missing);
                }
                // Without an answer the channel may have been made all the same, and then it has entered the application by now.
                if refused.is_some() && matches!(copied.sound, Sound::Absent | Sound::Missing) {
                    self.complain(refused, out);
                }
            }
            Request::RecordChannel(_) => {
                copied.sound = match (copied.sound, reply) {
                    (Sound::Beginning, Reply::Refused { .. }) => Sound::Missing,
                    // Without an answer it may run all the same.
                    (Sound::Beginning, Reply::Done(_) | Reply::Lost(_)) => Sound::Running(now),
                    (other, _) => other,
                };
                if !matches!(reply, Reply::Done(_)) {
                    self.complain(refused, out);
                }
            }
            Request::DeleteRecording(_) => copied.deletion.deleted(now, reply),
            _ => copied.snoop.deleted(now, reply),
        }
        if self.aim != Aim::Record {
            self.delete(|thing| thing == Thing::Present, out);
        }
        self.fetch(now, out);
        true
    }

    /// The recordings were fetched, or could not be.
    pub(super) fn fetched(&mut self, fetched: Fetched, out: &mut Vec<Output>) {
        if !matches!(self.aim, Aim::Fetch { .. }) {
            return;
        }
        self.aim = Aim::Done;
        if fetched == Fetched::InPart {
            return self.leave(out);
        }
        for copied in self.both.iter_mut().filter(|copied| copied.began().is_some()) {
            copied.deletion = Thing::Present;
        }
        self.delete(|thing| thing == Thing::Present, out);
    }

    /// The recordings will not be fetched any more: the operator is told where they are.
    pub(super) fn leave(&mut self, out: &mut Vec<Output>) {
        let there = self.both.iter().filter(|copied| copied.began().is_some());
        let names: Vec<_> = there.map(|copied| self.sound(copied.voice).to_string()).collect();
        self.aim = Aim::Done;
        if !names.is_empty() {
            out.push(Output::Notice(Notice::SoundLeft { names: names.join(", ") }));
        }
    }

    /// Asks for the recordings, if both are complete or missing.
    fn fetch(&mut self, now: Instant, out: &mut Vec<Output>) {
        let is_settled = |copied: &Copied| !matches!(copied.sound, Sound::Beginning | Sound::Running(_));
        if !matches!(self.aim, Aim::Complete { .. }) || !self.both.iter().all(is_settled) {
            return;
        }
        let Some(zero) = self.began() else {
            self.aim = Aim::Done;
            return;
        };
        let of = |copied: &Copied| Some((self.sound(copied.voice), copied.began()? - zero));
        let [said, heard] = &self.both;
        let sounds = Sounds { said: of(said), heard: of(heard) };
        self.aim = Aim::Fetch { until: now + FETCHED_WITHIN };
        out.push(Output::FetchSounds(sounds));
    }

    /// Asks for the deletion of snoop channels and files, as far as that is due.
    fn delete(&mut self, is_due: impl Fn(Thing) -> bool, out: &mut Vec<Output>) {
        for copied in &mut self.both {
            let channel = self.caller.snoop(copied.voice);
            if is_due(copied.snoop) {
                copied.snoop = Thing::Leaving(Attempt::InFlight);
                out.push(Output::Ari(Request::Hangup(channel)));
            }
            if is_due(copied.deletion) {
                copied.deletion = Thing::Leaving(Attempt::InFlight);
                let sound = SoundName::new(self.caller.clone(), copied.voice, self.part);
                out.push(Output::Ari(Request::DeleteRecording(sound)));
            }
        }
    }

    /// Tells the operator once why something is not recorded.
    fn complain(&mut self, refused: Option<Notice>, out: &mut Vec<Output>) {
        if !std::mem::replace(&mut self.complained, true) {
            out.extend(refused.map(Output::Notice));
            out.push(Output::Notice(Notice::SoundNotRecorded));
        }
    }

    /// The name of the recording of this voice.
    fn sound(&self, voice: Voice) -> SoundName {
        SoundName::new(self.caller.clone(), voice, self.part)
    }

    fn of(&mut self, voice: Voice) -> &mut Copied {
        let [said, heard] = &mut self.both;
        match voice {
            Voice::Said => said,
            Voice::Heard => heard,
        }
    }
}

impl Copied {
    /// When the recording began, if there is one.
    fn began(&self) -> Option<Instant> {
        match self.sound {
            Sound::Running(since) | Sound::Complete(since) => Some(since),
            Sound::Absent | Sound::Beginning | Sound::Missing => None,
        }
    }
}
