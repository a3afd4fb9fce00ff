//! Looks at live calls whose events another program gets: whose caller has gone, and whose media channel sends elsewhere,
//! because that program serves the caller now.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Finding, Sending, Step};
use crate::ari::ChannelId;
use crate::ari::event::parse_channel;
use crate::ari::lists::Application;
use crate::ari::request::{Reply, Request};
use crate::call::LegEvent;

/// How often live calls are examined while another program gets their events. With a longer pause, a call stays open for
/// longer after its caller has hung up; a shorter one burdens Asterisk.
const POLL_EVERY: Duration = Duration::from_secs(2);

/// A live call that is looked at.
#[derive(Debug, Clone)]
pub(in crate::exchange) struct Polled {
    pub(in crate::exchange) caller: ChannelId,
    /// The channel of whoever talks.
    pub(in crate::exchange) channel: ChannelId,
    /// Our RTP socket.
    pub(in crate::exchange) ours: SocketAddr,
}

/// What is asked for.
#[derive(Debug)]
enum Stage {
    /// What the application holds: which of these calls' callers are there.
    Application(Vec<Polled>),
    /// The media channel of the first of these calls.
    Media(VecDeque<Polled>),
}

/// One round.
#[derive(Debug)]
pub(in crate::exchange) struct Poll {
    app: String,
    stage: Stage,
    happened: Vec<(ChannelId, LegEvent)>,
    turn: Sending,
}

impl Poll {
    /// Looks at these calls, after a pause.
    pub(in crate::exchange) fn new(now: Instant, app: String, calls: Vec<Polled>) -> Self {
        let turn = Sending::At(now + POLL_EVERY);
        Self { app, stage: Stage::Application(calls), happened: Vec::new(), turn }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.turn.due()
    }

    pub(super) fn request(&mut self, now: Instant) -> Option<Request> {
        if !self.turn.comes(now) {
            return None;
        }
        match &self.stage {
            Stage::Application(_) => Some(Request::Application(self.app.clone())),
            Stage::Media(calls) => Some(Request::Channel(calls.front()?.caller.media())),
        }
    }

    pub(super) fn replied(&mut self, now: Instant, reply: &Reply) -> Step {
        match &mut self.stage {
            Stage::Application(calls) => {
                // Without an answer nothing is known: the next time, perhaps.
                let application = match reply {
                    Reply::Done(body) => Application::parse(body),
                    _ => None,
                };
                let Some(application) = application else { return self.over() };
                let there: BTreeSet<_> = application.channels().collect();
                let calls = std::mem::take(calls);
                let (kept, gone): (Vec<_>, Vec<_>) =
                    calls.into_iter().partition(|call| there.contains(&call.channel));
                self.happened.extend(gone.into_iter().map(|call| (call.caller, LegEvent::CallerLeft)));
                self.stage = Stage::Media(kept.into());
            }
            Stage::Media(calls) => {
                let Some(Polled { caller, ours, .. }) = calls.pop_front() else { return self.over() };
                let host = match reply {
                    Reply::Done(body) => parse_channel(body).ok().and_then(|media| media.external_host()),
                    _ => None,
                };
                if host.is_some_and(|host| host != ours) {
                    self.happened.push((caller, LegEvent::TakenOver));
                }
            }
        }
        self.turn = Sending::At(now);
        match &self.stage {
            Stage::Media(calls) if calls.is_empty() => self.over(),
            _ => Step::GoesOn,
        }
    }

    fn over(&mut self) -> Step {
        Step::Over(Some(Finding::Polled(std::mem::take(&mut self.happened))))
    }
}
