//! One answer at a time: asks the model for responses and knows which one is active.
//!
//! ```text
//!   Idle ──ask──► Requested ──created──► Active ──done──► Idle
//!     └───────────── created (the server's own VAD) ──────►┘
//! ```
//! Our own requests are recognised by the correlation id in the response's metadata. A request that the server refused is made
//! again when the model is free. An answer that failed is asked for again after a growing pause, one in which nothing was said at
//! once, [`TRIES`] times in all. This file does not know what is being heard (`playout`, `turn`), nor when an answer is overdue
//! (`owed`).

use std::time::{Duration, Instant};

use crate::realtime::ResponseId;
use crate::realtime::server::Response;

/// A request that crossed with a response of the server's own, and is neither refused nor carried out in this time, is
/// taken for lost. The server answers within tens of milliseconds; much longer would hold up what is asked next.
const CROSSED_LOST_AFTER: Duration = Duration::from_secs(10);
/// How often an answer is asked for that fails or in which nothing is said, the first time included. More keeps the caller
/// waiting for a model that does not work; fewer gives up on a passing fault.
pub const TRIES: u8 = 3;
/// Pause before the second try; doubled for each further one.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What a response is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The legal announcement: must be heard, before anything else.
    Notice,
    /// The first words.
    Greeting,
    /// Whatever the conversation calls for.
    Answer,
    /// Asking whether the caller is still there.
    Prompt,
    /// Saying that a tool is still being waited for.
    Filler,
    /// Asking the caller to say again what the model has not heard.
    Repeat,
    /// The last words.
    Goodbye,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Requested(Request),
    Active {
        id: ResponseId,
        purpose: Purpose,
    },
}

/// A request that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    cid: String,
    purpose: Purpose,
    asked_at: Instant,
}

/// A response that is to be asked for later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    purpose: Purpose,
    not_before: Option<Instant>,
}

/// What came of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The caller got what there was.
    Given,
    /// There was nothing to hear in it, and no function was called.
    Unheard,
    /// The model failed.
    Failed,
}

/// What was given up, because no sign of it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Abandoned {
    /// A response that had begun.
    Answer(ResponseId),
    /// A request.
    Request,
    /// Neither: the model was idle.
    Nothing,
}

/// How the active response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing more to do: it was not the active response, or it ended normally. The value is the purpose, if there was one.
    Over(Option<Purpose>),
    /// It failed, or nothing was said in it, and it will be tried again.
    Retrying(Purpose),
    /// The same, too often.
    GivenUp(Purpose),
}

/// The sequencer; at first no response is active and none wanted.
#[derive(Debug, Default)]
pub struct Responses {
    state: State,
    /// A request of ours that was on its way when the server began a response by itself. The server refuses it, or carries it out
    /// afterwards.
    crossed: Option<Request>,
    wanted: Option<Wanted>,
    /// The server is about to answer the caller: until then nothing is asked for.
    gives_way_until: Option<Instant>,
    failures: u8,
}

impl Responses {
    /// The session is gone, and with it what it was doing and what was wanted of it.
    pub fn forget_session(&mut self) {
        *self = Self::default();
    }

    /// Asks for a response as soon as the model is free. A later wish replaces an earlier one.
    pub fn want(&mut self, purpose: Purpose) {
        self.wanted = Some(Wanted { purpose, not_before: None });
    }

    /// Whether a response for this purpose is still to be asked for.
    pub fn wants(&self, purpose: Purpose) -> bool {
        self.wanted.is_some_and(|wanted| wanted.purpose == purpose)
    }

    /// Withdraws a wish for this purpose, unless the model has been asked already.
    pub fn want_no(&mut self, purpose: Purpose) {
        self.wanted.take_if(|wanted| wanted.purpose == purpose);
    }

    /// The server itself could not answer the caller, because a response was still active: they are owed an answer.
    pub fn owe(&mut self) {
        if self.wanted.is_none_or(|wanted| wanted.purpose != Purpose::Notice) {
            self.want(Purpose::Answer);
        }
    }

    /// The caller's turn is over and the server is about to answer it: what we want waits a little, and is dropped
    /// when the server does.
    pub fn give_way(&mut self, now: Instant) {
        self.gives_way_until = Some(now + RETRY_AFTER);
    }

    /// The active response, if any.
    pub fn active(&self) -> Option<&ResponseId> {
        match &self.state {
            State::Active { id, .. } => Some(id),
            State::Idle | State::Requested(_) => None,
        }
    }

    /// Whether this response is the active one, or the one we have asked for.
    pub fn is_ours(&self, response: &Response) -> bool {
        match &self.state {
            State::Active { id, .. } => *id == response.id,
            State::Requested(Request { cid, .. }) => response.cid.as_ref() == Some(cid),
            State::Idle => false,
        }
    }

    /// What the active response is for.
    pub fn purpose(&self) -> Option<Purpose> {
        match &self.state {
            State::Active { purpose, .. } => Some(*purpose),
            State::Idle | State::Requested(_) => None,
        }
    }

    /// Whether the model has been asked or is answering.
    pub fn is_busy(&self) -> bool {
        self.state != State::Idle || self.crossed.is_some()
    }

    /// Whether the model has been asked, is answering, or is still to be asked.
    pub fn is_pending(&self) -> bool {
        self.is_busy() || self.wanted.is_some()
    }

    /// Whether a request of ours is on its way, or a response is being given.
    pub fn is_answering(&self) -> bool {
        self.state != State::Idle
    }

    /// Gives up the request or the response that is waited for, and wants it once more.
    pub fn abandon(&mut self) -> Abandoned {
        let (abandoned, purpose) = match std::mem::take(&mut self.state) {
            State::Active { id, purpose } => (Abandoned::Answer(id), purpose),
            State::Requested(Request { purpose, .. }) => (Abandoned::Request, purpose),
            State::Idle => return Abandoned::Nothing,
        };
        self.wanted.get_or_insert(Wanted { purpose, not_before: None });
        abandoned
    }

    /// The active response is over, although the server has not said so.
    pub fn release(&mut self) {
        if matches!(self.state, State::Active { .. }) {
            self.state = State::Idle;
        }
    }

    /// When [`Self::next`] has something to do. `quiet_at`: when the caller may be taken to be quiet; None: they are quiet now.
    pub fn deadline(&self, quiet_at: Option<Instant>, now: Instant) -> Option<Instant> {
        let due = match (&self.state, &self.crossed) {
            (State::Idle, Some(request)) => Some(request.asked_at + CROSSED_LOST_AFTER),
            (State::Idle, None) => {
                let earliest = |wanted: Wanted| wanted.not_before.max(quiet_at).max(self.gives_way_until);
                self.wanted.and_then(earliest)
            }
            (State::Requested(_) | State::Active { .. }, _) => None,
        };
        // What was due earlier waits for something else: a session, the end of a tool.
        due.filter(|at| *at > now)
    }

    /// The response to ask for now, if any; it must be asked for with this `cid`. `quiet_at`: as in [`Self::deadline`].
    pub fn next(
        &mut self,
        now: Instant,
        quiet_at: Option<Instant>,
        cid: impl FnOnce() -> String,
    ) -> Option<(String, Purpose)> {
        if let Some(lost) = self.crossed.take_if(|crossed| crossed.asked_at + CROSSED_LOST_AFTER <= now) {
            self.came_to_nothing(lost.purpose);
        }
        let wanted = self.wanted.filter(|wanted| {
            let earliest = wanted.not_before.max(quiet_at).max(self.gives_way_until);
            !self.is_busy() && earliest.is_none_or(|earliest| earliest <= now)
        })?;
        self.wanted = None;
        let (cid, purpose) = (cid(), wanted.purpose);
        self.request(Request { cid: cid.clone(), purpose, asked_at: now });
        Some((cid, purpose))
    }

    /// This request leaves.
    ///
    /// # Panics
    /// Another one is on its way, or a response is being given.
    fn request(&mut self, request: Request) {
        assert!(
            matches!((&self.state, &self.crossed), (State::Idle, None)),
            "a response is asked for while another is active"
        );
        self.state = State::Requested(request);
    }

    /// A response began. True if it is the one we asked for.
    ///
    /// If the model began by itself (the caller spoke first), a greeting that is still waiting is dropped: the
    /// answer takes its place.
    pub fn created(&mut self, response: &Response) -> bool {
        self.gives_way_until = None;
        let is_it = |request: &Request| response.cid.as_ref() == Some(&request.cid);
        let ours = match std::mem::take(&mut self.state) {
            State::Requested(request) if is_it(&request) => Some(request.purpose),
            before => {
                if let State::Requested(request) = before {
                    self.crossed = Some(request);
                }
                self.crossed.take_if(|crossed| is_it(crossed)).map(|request| request.purpose)
            }
        };
        if ours.is_none() {
            self.wanted = self.wanted.filter(|wanted| wanted.purpose == Purpose::Notice);
        }
        let purpose = ours.unwrap_or(Purpose::Answer);
        self.state = State::Active { id: response.id.clone(), purpose };
        ours.is_some()
    }

    /// A request that crossed with a response of the server's own is not carried out. Only the announcement must be said
    /// all the same: the server's answer takes the place of anything else.
    fn came_to_nothing(&mut self, purpose: Purpose) {
        if purpose == Purpose::Notice {
            self.wanted.get_or_insert(Wanted { purpose, not_before: None });
        }
    }

    /// The server refused the request with this id, because it is answering already: asked again later.
    pub fn refused(&mut self, now: Instant, event_id: &str) {
        if let Some(crossed) = self.crossed.take_if(|crossed| crossed.cid == event_id) {
            self.came_to_nothing(crossed.purpose);
        } else if let State::Requested(Request { cid, purpose, .. }) = &self.state
            && cid == event_id
        {
            let purpose = *purpose;
            self.state = State::Idle;
            if purpose != Purpose::Greeting {
                self.wanted.get_or_insert(Wanted { purpose, not_before: Some(now + RETRY_AFTER) });
            }
        }
    }

    /// A response ended. One that failed is wanted again after a pause, one in which nothing was said at once.
    pub fn done(&mut self, now: Instant, response: &Response, outcome: Outcome) -> Ended {
        let purpose = match &self.state {
            State::Active { id, purpose } if *id == response.id => *purpose,
            State::Requested(Request { cid, purpose, .. }) if response.cid.as_ref() == Some(cid) => *purpose,
            _ => return Ended::Over(None),
        };
        self.state = State::Idle;
        if outcome == Outcome::Given {
            self.failures = 0;
            return Ended::Over(Some(purpose));
        }
        self.failures += 1;
        if self.failures >= TRIES {
            return Ended::GivenUp(purpose);
        }
        let pause = RETRY_AFTER * 2u32.pow(u32::from(self.failures) - 1);
        let not_before = (outcome == Outcome::Failed).then(|| now + pause);
        self.wanted = Some(Wanted { purpose, not_before });
        Ended::Retrying(purpose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realtime::server::ResponseStatus;

    fn response(id: &str, cid: Option<&str>) -> Response {
        let status = ResponseStatus::InProgress;
        Response {
            id: id.into(),
            status,
            cid: cid.map(str::to_owned),
            items: Vec::new(),
            usage: Box::default(),
        }
    }

    /// A request that is on its way while the server begins to answer the caller.
    fn crossed(purpose: Purpose) -> (Responses, Instant) {
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
        let now = Instant::now();
        let mut responses = Responses::default();
        responses.want(purpose);
        assert_eq!(responses.next(now, None, || "c_1".into()), Some(("c_1".into(), purpose)));
        assert!(!responses.created(&response("r1", None)), "the server's own");
        let done = Response { status: ResponseStatus::Completed, ..response("r1", None) };
        assert_eq!(responses.done(now, &done, Outcome::Given), Ended::Over(Some(Purpose::Answer)));
        (responses, now)
    }

    #[test]
    fn a_request_that_crossed_with_the_servers_own_answer_is_known_when_it_is_carried_out() {
        let (mut responses, now) = crossed(Purpose::Goodbye);
        responses.want(Purpose::Goodbye);
        assert_eq!(responses.next(now, None, || "c_2".into()), None, "not asked twice");
        assert!(responses.created(&response("r2", Some("c_1"))));
        assert_eq!(responses.purpose(), Some(Purpose::Goodbye));
    }

    #[test]
    fn a_request_that_is_overdue_and_waits_for_something_else_wakes_nobody() {
        let (responses, now) = crossed(Purpose::Answer);
        let later = responses.deadline(None, now).expect("the crossed request is given up then");
        assert_eq!(responses.deadline(None, later), None, "a tool is still at work, say");
    }

    #[test]
    #[should_panic(expected = "a response is asked for while another is active")]
    fn a_second_response_ends_the_call() {
        let (mut responses, now) = crossed(Purpose::Answer);
        responses.created(&response("r2", None));
        responses.crossed = None;
        responses.request(Request { cid: "c_2".into(), purpose: Purpose::Answer, asked_at: now });
    }

    #[test]
    fn of_what_crossed_and_was_refused_or_lost_only_the_announcement_is_asked_again() {
        for (purpose, again) in [(Purpose::Notice, true), (Purpose::Answer, false)] {
            let asked = again.then(|| ("c_2".to_owned(), purpose));
            let (mut responses, now) = crossed(purpose);
            responses.refused(now, "c_1");
            assert_eq!(responses.next(now + RETRY_AFTER, None, || "c_2".into()), asked);
            let (mut responses, now) = crossed(purpose);
            let later = responses.deadline(None, now).expect("it is not waited for for ever");
            assert_eq!(later, now + CROSSED_LOST_AFTER);
            assert_eq!(responses.next(later, None, || "c_2".into()), asked);
        }
    }
}
