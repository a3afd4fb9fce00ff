//! An answer that is owed and does not come: the caller is not left in silence.
//!
//! ```text
//!             10 s of silence          10 s of silence           10 s of silence
//!   Waiting ───────────────► AskedAgain ────────────► NewSession ─────────────► apology, `session_lost`
//!      ▲      cancel, ask                another session, and
//!      │      once more                  the answer is asked for there
//!      └────────────────────────────── an answer was given
//! ```
//! An answer is owed when the model has been asked for one, when it is giving one, and when the caller has spoken. That
//! the caller has spoken is known from the server (`speech_started`), or from our own ear, because a server that has
//! gone silent tells nothing. Nothing counts while speech is being heard, while the caller holds the call or speaks,
//! while a tool is at work, and while there is no session (`session` has a patience of its own).
//!
//! The clock is the playout's: looked at with every frame, like the limits.

use std::time::{Duration, Instant};

use super::floor::Spoken;
use super::record::EventKind;
use super::report::SessionFault;
use super::responses::{Abandoned, Purpose};
use super::{Call, Output};
use crate::operator::{LinkFault, Notice, Remedy};
use crate::realtime::ResponseId;
use crate::realtime::client::ClientEvent;
use crate::realtime::server::Event;

/// Without any sign of an answer for so long, it is taken for lost. Semantic turn detection waits up to 8 s before it
/// answers, so less would ask for answers that are about to come; more is dead air.
const PATIENCE: Duration = Duration::from_secs(10);
/// A server that has not noticed for so long that the caller speaks is deaf. Our own ear takes noise for speech, so less
/// would interrupt a conversation beside a loud machine; more leaves a caller talking to nobody.
const DEAF_AFTER: Duration = Duration::from_secs(30);
/// A voice that the server has noticed and that lasts longer than this is taken for noise. With a shorter time, the assistant
/// would interrupt a caller who speaks for long.
const ENDLESS_AFTER: Duration = Duration::from_mins(2);
/// The patience with words that only our ear has heard is doubled this often at most: a caller in a noisy room is asked to
/// repeat their words every 160 s.
const DOUBLINGS: u32 = 4;

/// What has been done about an answer that is owed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// It is waited for.
    #[default]
    Waiting,
    /// It has been asked for once more.
    AskedAgain,
    /// The session has been replaced.
    NewSession,
}

/// Something the caller has said to which no answer has begun.
#[derive(Debug, Clone, Copy)]
struct Words {
    since: Instant,
    last: Instant,
    known: Known,
}

/// Who knows of the caller's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Only our own ear.
    ToUs,
    /// The server has noticed a voice, and nothing came of it.
    AsVoice,
    /// The server has them as an item of the conversation.
    AsItem,
}

/// Whether the caller is waiting for an answer at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Nothing counts: speech is being heard, a tool is at work, the call is held, or there is no session.
    Excused,
    /// The model has been asked, or is answering.
    Asked,
    /// The model is to be asked as soon as the caller is quiet.
    Pending,
    /// The model is neither asked nor to be asked.
    Idle,
}

/// The watch over answers that are owed.
#[derive(Debug)]
pub(super) struct Owed {
    stage: Stage,
    /// When there was last a sign of the answer, or none was due.
    moved_at: Instant,
    words: Option<Words>,
    /// When the caller last spoke, as far as we have looked.
    spoke_at: Option<Instant>,
    /// How often the caller was asked to repeat words that the server had not noticed.
    repeats: u32,
}

impl Owed {
    /// Nothing is owed yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { stage: Stage::Waiting, moved_at: now, words: None, spoke_at: None, repeats: 0 }
    }

    /// The caller speaks.
    fn spoken(&mut self, now: Instant, known: Known) {
        let words = self.words.get_or_insert(Words { since: now, last: now, known });
        match (words.known, known) {
            // Once the server has the words as an item, what our ear still hears does not postpone the deadline of the answer.
            (Known::AsItem, Known::ToUs) => {}
            (_, Known::ToUs) => words.last = now,
            (_, known) => (words.last, words.known) = (now, known),
        }
    }

    /// There is a sign of the answer.
    fn moved(&mut self, now: Instant) {
        self.moved_at = now;
    }

    /// The answer has begun.
    fn begun(&mut self, now: Instant) {
        self.words = None;
        self.moved_at = now;
    }

    /// Lets time pass, and says whether the answer is overdue. `spoke_at`: when our ear heard the caller last.
    fn is_overdue(&mut self, now: Instant, moment: Wait, spoke_at: Option<Instant>) -> bool {
        if self.spoke_at != spoke_at {
            self.spoke_at = spoke_at;
            // While the assistant is heard, the voice may be the assistant's own echo.
            if moment != Wait::Excused {
                self.spoken(now, Known::ToUs);
            }
        }
        match moment {
            Wait::Excused => {
                self.moved_at = now;
                if let Some(words) = &mut self.words {
                    (words.since, words.last) = (now, now);
                }
            }
            Wait::Idle | Wait::Pending => self.moved_at = now,
            Wait::Asked => {}
        }
        let words_are_due = moment == Wait::Idle && self.words_due().is_some_and(|at| at <= now);
        words_are_due || self.moved_at + PATIENCE <= now
    }

    /// Something is done about the answer that is overdue. Returns what had been done before, and the caller's words to which
    /// it was owed.
    fn act(&mut self) -> (Stage, Option<Words>) {
        let before = self.stage;
        self.stage = match before {
            Stage::Waiting => Stage::AskedAgain,
            Stage::AskedAgain | Stage::NewSession => Stage::NewSession,
        };
        (before, self.words.take())
    }

    /// When an answer to the caller's words is overdue.
    fn words_due(&self) -> Option<Instant> {
        let Words { since, last, known } = self.words?;
        Some(match known {
            Known::ToUs => {
                let patience = PATIENCE * 2u32.pow(self.repeats.min(DOUBLINGS));
                (last + patience).min(since + patience.max(DEAF_AFTER))
            }
            Known::AsVoice => (last + PATIENCE).min(since + ENDLESS_AFTER),
            Known::AsItem => last + PATIENCE,
        })
    }
}

impl Call {
    /// The model's server says something: is it a sign of the answer?
    pub(super) fn sign_of_answer(&mut self, event: &Event<'_>) {
        let now = self.now;
        match event {
            Event::SpeechStarted { .. } => {
                self.owed.repeats = 0;
                self.owed.spoken(now, Known::AsVoice);
            }
            Event::SpeechStopped { .. } => self.owed.spoken(now, Known::AsVoice),
            Event::Committed { .. } => self.owed.spoken(now, Known::AsItem),
            Event::ResponseCreated(_) => self.owed.begun(now),
            Event::AudioDelta { .. }
            | Event::AudioDone { .. }
            | Event::TranscriptDelta { .. }
            | Event::TranscriptDone { .. }
            | Event::OutputItemDone { .. } => self.owed.moved(now),
            // Functions and what else a model does before it speaks.
            Event::Other(kind) if kind.starts_with("response.") => self.owed.moved(now),
            _ => {}
        }
    }

    /// The model has given an answer.
    pub(super) fn answer_given(&mut self) {
        self.owed.stage = Stage::Waiting;
    }

    /// Does something about an answer that does not come.
    pub(super) fn advance_owed(&mut self) {
        let (moment, spoke_at) = (self.moment(), self.to_model.ear().last_speech());
        if self.owed.is_overdue(self.now, moment, spoke_at) {
            self.answer_overdue();
        }
    }

    fn moment(&self) -> Wait {
        let is_quiet = || self.quiet_at().is_none_or(|at| at <= self.now);
        if self.is_heard() || !self.session.is_ready() || self.tools.is_pending() || self.watch.is_held() {
            Wait::Excused
        } else if !self.responses.is_pending() {
            Wait::Idle
        } else if self.responses.is_answering() || is_quiet() {
            Wait::Asked
        } else {
            Wait::Pending
        }
    }

    fn answer_overdue(&mut self) {
        self.owed.moved(self.now);
        self.drop_muted();
        if self.answer_is_complete() {
            return;
        }
        self.counters.overdue_answers += 1;
        let seconds = PATIENCE.as_secs();
        if self.leaving.is_some() {
            self.note(EventKind::Overdue, "left".to_owned());
            self.outputs.push(Output::Notice(Notice::AnswerOverdue { seconds, remedy: Remedy::EndCall }));
            self.depart_now();
            return;
        }
        let (stage, words) = self.owed.act();
        match stage {
            Stage::Waiting => {
                self.note(EventKind::Overdue, "asked_again".to_owned());
                self.outputs
                    .push(Output::Notice(Notice::AnswerOverdue { seconds, remedy: Remedy::AskAgain }));
                self.ask_again(words);
            }
            Stage::AskedAgain => {
                self.note(EventKind::Overdue, "new_session".to_owned());
                self.session_silent();
            }
            Stage::NewSession => {
                self.note(EventKind::Overdue, "given_up".to_owned());
                self.session_failed(SessionFault::Silent);
                self.give_session_up(LinkFault::Unanswered);
            }
        }
    }

    /// An answer that the caller has cut off, and of whose end the server tells nothing, is not the one that is owed.
    fn drop_muted(&mut self) {
        if let Some(active) = self.responses.active().filter(|active| self.floor.is_muted(active)) {
            let active = active.clone();
            self.cancel(&active);
            self.responses.release();
        }
    }

    /// Whether all of the answer has been heard and only the server's word that it is over is missing. Then the caller
    /// has got what was owed, and the model is free again.
    fn answer_is_complete(&mut self) -> bool {
        let Some(active) = self.responses.active().cloned() else { return false };
        let is_complete = self.floor.has_queued() && self.playout.is_complete(&active);
        if is_complete {
            let purpose = self.responses.purpose();
            self.cancel(&active);
            self.responses.release();
            self.answer_ended(&active, Spoken::Something);
            self.answer_given();
            if purpose == Some(Purpose::Notice) {
                self.notice_generated();
            }
        }
        is_complete
    }

    /// Cancels what the model may be doing, and asks it once more.
    fn ask_again(&mut self, words: Option<Words>) {
        match self.responses.abandon() {
            Abandoned::Answer(response) => {
                // What has come of it is heard to its end; what still comes of it is not.
                self.playout.complete_response(&response);
                self.floor.mute(&response);
                self.cancel(&response);
            }
            Abandoned::Request => {}
            Abandoned::Nothing => {
                let purpose = match words.map(|words| words.known) {
                    Some(Known::ToUs) => {
                        self.owed.repeats += 1;
                        Purpose::Repeat
                    }
                    Some(Known::AsVoice) => Purpose::Repeat,
                    Some(Known::AsItem) | None => Purpose::Answer,
                };
                // The server does not report the end of the caller's speech any more.
                self.floor.caller_stops();
                self.responses.want(purpose);
            }
        }
        self.ask();
    }

    /// Tells the server to stop this response.
    pub(super) fn cancel(&mut self, response: &ResponseId) {
        let event_id = self.event_id();
        let response = response.clone();
        self.outputs.push(Output::Session(ClientEvent::ResponseCancel { event_id, response }));
        if self.leg.openai().is_some() {
            let event_id = self.event_id();
            self.outputs.push(Output::Session(ClientEvent::ClearSound { event_id }));
        }
    }
}
