//! Questions to Asterisk: several at once, after a connect or to find orphans; and one about a caller who may be waiting.

use std::time::Instant;

use super::{Finding, PROBED, Sending, Step};
use crate::ari::ChannelId;
use crate::ari::lists::{Application, Bridges, Recordings};
use crate::ari::request::{Reply, Request};
use crate::call::replies::complaint;
use crate::operator::Notice;

/// Why Asterisk is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::exchange) enum Purpose {
    /// The connection to Asterisk stands. These callers were being served at that moment.
    Connect { before: Vec<ChannelId> },
    /// Calls are over: something of them may have been left.
    Sweep,
    /// The daemon is about to end: somebody may have come in the last moment.
    Leave,
    /// Another program has our application: it may have ended since.
    Return,
}

/// Several questions that are asked at once.
#[derive(Debug)]
pub(in crate::exchange) struct Inquiry {
    pub(in crate::exchange) purpose: Purpose,
    questions: Vec<(Request, Option<Answer>)>,
    turn: Sending,
}

/// What Asterisk has answered. Of long answers only what is used is kept.
#[derive(Debug)]
enum Answer {
    Application(Application),
    Bridges(Bridges),
    Recordings(Recordings),
    Other(Reply),
}

impl Answer {
    fn new(request: &Request, reply: &Reply) -> Self {
        match (request, reply) {
            (Request::Application(_), Reply::Done(body)) => {
                Self::Application(Application::parse(body).unwrap_or_default())
            }
            (Request::Bridges, Reply::Done(body)) => Self::Bridges(Bridges::parse(body)),
            (Request::Recordings, Reply::Done(body)) => Self::Recordings(Recordings::parse(body)),
            _ => Self::Other(reply.clone()),
        }
    }
}

impl Inquiry {
    /// Asks what the application holds, for all bridges, since when Asterisk runs, and whether we may change a channel; and for the
    /// recordings, if Asterisk `records` calls for us.
    pub(in crate::exchange) fn after_connect(
        now: Instant,
        app: String,
        before: Vec<ChannelId>,
        records: bool,
    ) -> Self {
        let requests =
            [Request::Application(app), Request::Bridges, Request::Info, Request::Hangup(PROBED.into())];
        let recordings = records.then_some(Request::Recordings);
        Self::new(now, Purpose::Connect { before }, requests.into_iter().chain(recordings))
    }

    /// Asks what the application holds, and for all bridges.
    pub(in crate::exchange) fn for_orphans(now: Instant, app: String) -> Self {
        Self::new(now, Purpose::Sweep, [Request::Application(app), Request::Bridges])
    }

    /// Asks what the application holds.
    pub(in crate::exchange) fn before_the_end(now: Instant, app: String) -> Self {
        Self::new(now, Purpose::Leave, [Request::Application(app)])
    }

    /// Asks at this instant whether anybody has the application.
    pub(in crate::exchange) fn for_return(at: Instant, app: String) -> Self {
        Self::new(at, Purpose::Return, [Request::Application(app)])
    }

    fn new(now: Instant, purpose: Purpose, requests: impl IntoIterator<Item = Request>) -> Self {
        let questions = requests.into_iter().map(|request| (request, None)).collect();
        Self { purpose, questions, turn: Sending::At(now) }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.turn.due()
    }

    pub(super) fn requests(&mut self, now: Instant) -> Vec<Request> {
        let comes = self.turn.comes(now);
        self.questions.iter().filter(|_| comes).map(|(request, _)| request.clone()).collect()
    }

    pub(super) fn replied(&mut self, request: &Request, reply: &Reply) -> Step {
        for (_, answer) in self.questions.iter_mut().filter(|(asked, _)| asked == request) {
            *answer = Some(Answer::new(request, reply));
        }
        if self.questions.iter().any(|(_, answer)| answer.is_none()) {
            return Step::GoesOn;
        }
        let questions = std::mem::take(&mut self.questions);
        Step::Over(Some(Finding::Answered(Self {
            purpose: self.purpose.clone(),
            questions,
            turn: self.turn,
        })))
    }

    /// Whether this inquiry may find callers who are waiting. The daemon then does not stop before it has ended.
    pub(super) fn is_owed(&self) -> bool {
        matches!(self.purpose, Purpose::Connect { .. } | Purpose::Leave)
    }

    /// What the application holds; None: there was no answer.
    pub(in crate::exchange) fn application(&self) -> Option<&Application> {
        self.answers().find_map(|(_, answer)| match answer {
            Answer::Application(application) => Some(application),
            Answer::Bridges(_) | Answer::Recordings(_) | Answer::Other(_) => None,
        })
    }

    /// Whether Asterisk knows no such application: no program is connected for it, and no channel is in it.
    pub(in crate::exchange) fn application_is_gone(&self) -> bool {
        self.answers().any(|answer| {
            matches!(answer, (Request::Application(_), Answer::Other(Reply::Refused { status: 404, .. })))
        })
    }

    /// The bridges, if there was an answer.
    pub(in crate::exchange) fn bridges(&self) -> Option<&Bridges> {
        self.answers().find_map(|(_, answer)| match answer {
            Answer::Bridges(bridges) => Some(bridges),
            Answer::Application(_) | Answer::Recordings(_) | Answer::Other(_) => None,
        })
    }

    /// The recordings, if there was an answer.
    pub(in crate::exchange) fn recordings(&self) -> Option<&Recordings> {
        self.answers().find_map(|(_, answer)| match answer {
            Answer::Recordings(recordings) => Some(recordings),
            Answer::Application(_) | Answer::Bridges(_) | Answer::Other(_) => None,
        })
    }

    /// What Asterisk says of itself, if there was an answer.
    pub(in crate::exchange) fn info(&self) -> Option<&str> {
        self.answers().find_map(|answer| match answer {
            (Request::Info, Answer::Other(Reply::Done(body))) => Some(&**body),
            _ => None,
        })
    }

    /// The operator's line, if we may not change a channel.
    pub(in crate::exchange) fn forbidden(&self) -> Option<Notice> {
        self.answers().find_map(|answer| match answer {
            (
                request @ Request::Hangup(_),
                Answer::Other(reply @ Reply::Refused { status: 401 | 403, .. }),
            ) => complaint(request, reply),
            _ => None,
        })
    }

    fn answers(&self) -> impl Iterator<Item = (&Request, &Answer)> {
        self.questions.iter().filter_map(|(request, answer)| Some((request, answer.as_ref()?)))
    }
}

/// A question about a caller who may be waiting.
#[derive(Debug)]
pub(in crate::exchange) struct Look {
    pub(super) caller: ChannelId,
    turn: Sending,
}

impl Look {
    /// Asks for this caller's channel at this instant.
    pub(super) fn new(caller: ChannelId, at: Instant) -> Self {
        Self { caller, turn: Sending::At(at) }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.turn.due()
    }

    pub(super) fn request(&mut self, now: Instant) -> Option<Request> {
        self.turn.comes(now).then(|| Request::Channel(self.caller.clone()))
    }

    pub(super) fn replied(&self, reply: &Reply) -> Step {
        Step::Over(Some(Finding::Looked { caller: self.caller.clone(), reply: reply.clone() }))
    }
}
