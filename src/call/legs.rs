//! The Asterisk side of a call: what exists there, in which order it is made, and how it is undone.
//!
//! ```text
//!   caller ── bridge ── media channel ══ RTP ══ our socket
//! ```
//! The media channel is an ExternalMedia channel, or the call to OpenAI where OpenAI carries the sound (`Other`).
//! Bridge and media channel (`Thing`) are asked for together, and joined (`Join`) once both stand and the media channel has
//! entered the application by itself (Asterisk refuses it earlier):
//!
//! ```text
//!   Thing:  Absent ──► Requested ──► Present ──► Leaving ──► Gone       Join:  NotAsked ──► Asking ──► Joined
//!                                                                                 └────────────┴────► GivenUp
//! ```
//! Nothing is deleted before the answer to its creation is in, so no DELETE can overtake its POST. The only place that knows
//! how to undo a set-up. What becomes of the caller's channel is decided in `caller`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Output;
use super::attempt::Attempt;
pub use super::caller::END_REASON_VARIABLE;
use super::caller::{Caller, Exit};
use super::replies::{Progress, RETRY_AFTER, complaint, failure};
use super::thing::Thing;
use crate::ari::nonce::{NONCE_HEADER, Nonce};
use crate::ari::request::{Reply, Request, media_address};
use crate::ari::{BridgeId, ChannelId, Place};
use crate::end_reason::EndReason;
use crate::operator::{Detail, Notice};

/// How long bridge and media channel may take. Asterisk needs milliseconds (16: 220); longer is dead air.
pub(super) const SETUP_PATIENCE: Duration = Duration::from_secs(8);

/// Whether caller and media channel hear each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    /// Not asked for.
    NotAsked,
    /// Asked for. If the answer is lost this is repeated: asking twice does no harm.
    Asking(Attempt),
    /// They do, or did when the call ended.
    Joined,
    /// They never did, and are no longer to.
    GivenUp,
}

/// What is being done in Asterisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// The call is set up and kept.
    SetUp,
    /// The caller is let go; bridge and media channel are still needed.
    Release,
    /// What was set up is deleted, and so is what is still being created.
    Undo,
}

/// What the caller is joined to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    /// An ExternalMedia channel, which sends the sound to us. The address is that of Asterisk's end, once it is known.
    Media(Option<SocketAddr>),
    /// A call to OpenAI.
    OpenAi(OfSession),
}

/// Whether the session of a call to OpenAI may be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfSession {
    /// It does not stand yet.
    Awaited,
    /// It has our settings.
    Stands,
}

/// The three things of one call in Asterisk.
#[derive(Debug)]
pub(super) struct Legs {
    app: String,
    caller: Caller,
    media_id: ChannelId,
    bridge_id: BridgeId,
    media: Thing,
    bridge: Thing,
    media_entered: bool,
    other: Other,
    join: Join,
    aim: Aim,
    give_up_at: Instant,
}

impl Legs {
    /// Nothing exists but the caller; `is_up`: the dialplan has answered them.
    pub(super) fn new(now: Instant, app: String, caller: &ChannelId, is_up: bool) -> Self {
        Self {
            app,
            caller: Caller::new(now, caller, is_up),
            media_id: caller.media(),
            bridge_id: caller.bridge(),
            media: Thing::Absent,
            bridge: Thing::Absent,
            media_entered: false,
            other: Other::Media(None),
            join: Join::NotAsked,
            aim: Aim::SetUp,
            give_up_at: now + SETUP_PATIENCE,
        }
    }

    /// The caller's channel.
    pub(super) fn caller_id(&self) -> &ChannelId {
        self.caller.id()
    }

    /// Asks for everything that can be asked for at once. `host` is our socket.
    pub(super) fn begin(&mut self, host: SocketAddr, out: &mut Vec<Output>) {
        let (app, channel) = (self.app.clone(), self.media_id.clone());
        self.begin_with(Request::ExternalMedia { app, channel, host }, out);
    }

    /// The same where OpenAI is called at this address, with a header that proves that the call is ours.
    pub(super) fn begin_dialling(&mut self, endpoint: &str, nonce: Nonce, out: &mut Vec<Output>) {
        self.other = Other::OpenAi(OfSession::Awaited);
        // They ring until the session stands: the call is given up before this.
        self.caller.ring_until(self.give_up_at + RETRY_AFTER);
        let (app, channel) = (self.app.clone(), self.media_id.clone());
        let (endpoint, header) = (endpoint.to_owned(), (NONCE_HEADER, nonce));
        let seconds = SETUP_PATIENCE.as_secs() as u32;
        self.begin_with(Request::Dial { app, channel, endpoint, header, seconds }, out);
    }

    fn begin_with(&mut self, media: Request, out: &mut Vec<Output>) {
        self.bridge = Thing::Requested;
        self.media = Thing::Requested;
        out.push(Output::Ari(Request::CreateBridge { bridge: self.bridge_id.clone() }));
        out.push(Output::Ari(media));
        if self.caller.rings() {
            out.push(Output::Ari(Request::Ring(self.caller.id().clone())));
        }
    }

    /// Takes the call if it still rings.
    pub(super) fn answer(&mut self, out: &mut Vec<Output>) {
        self.caller.answer(out);
    }

    /// Whether the caller's channel has been answered.
    pub(super) fn is_up(&self) -> bool {
        self.caller.is_up()
    }

    /// Whether Asterisk still holds the caller, for all we know.
    pub(super) fn holds_caller(&self) -> bool {
        !self.caller.is_gone()
    }

    /// Whether the set-up failed for no other reason, as far as is known, than that the caller had hung up.
    pub(super) fn caller_was_gone(&mut self) -> bool {
        self.caller.was_gone()
    }

    /// Whether caller and media channel hear each other, or did when the call ended.
    pub(super) fn is_joined(&self) -> bool {
        self.join == Join::Joined
    }

    /// When [`Self::advance`] has something to do, or [`Self::is_overdue`] becomes true.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let join = match self.join {
            Join::Asking(attempt) => attempt.deadline(),
            Join::NotAsked | Join::Joined | Join::GivenUp => None,
        };
        let give_up = self.awaits_join().then_some(self.give_up_at);
        let things = [self.media.deadline(), self.bridge.deadline()];
        [self.caller.deadline(), things[0], things[1], join, give_up].into_iter().flatten().min()
    }

    /// Lets time pass: answers a caller who has waited enough, repeats what got no answer.
    pub(super) fn advance(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.caller.advance(now, out);
        if matches!(self.join, Join::Asking(attempt) if attempt.is_due(now)) {
            self.join = Join::NotAsked;
            self.join(out);
        }
        self.delete(|thing| thing.deadline().is_some_and(|at| at <= now), out);
    }

    /// The caller's channel has left the application or is gone.
    pub(super) fn caller_left(&mut self) -> Progress {
        self.caller.left()
    }

    /// The caller's channel is up, whoever answered it.
    pub(super) fn caller_up(&mut self) {
        self.caller.came_up();
    }

    /// Another channel stands in the caller's place. Asterisk has put it into the bridge if the one before was there.
    pub(super) fn caller_replaced(
        &mut self,
        by: &ChannelId,
        next_step: Option<&Place>,
        out: &mut Vec<Output>,
    ) {
        self.caller.replaced(by, next_step, out);
        if self.awaits_join() {
            self.join = Join::NotAsked;
            self.join(out);
        }
    }

    /// The session of the call to OpenAI has our settings: the two may hear each other.
    pub(super) fn session_stands(&mut self, out: &mut Vec<Output>) {
        if let Other::OpenAi(session) = &mut self.other {
            *session = OfSession::Stands;
            self.join(out);
        }
    }

    /// Our media channel has entered the application.
    pub(super) fn media_entered(&mut self, out: &mut Vec<Output>) {
        self.media_entered = true;
        self.join(out);
    }

    /// The call is out of our hands: another program serves the caller, with a bridge and a media channel of the same names, or
    /// Asterisk has ended together with the caller's channel, the bridge and the media channel.
    pub(super) fn let_go(&mut self) {
        self.caller.forget();
        (self.media, self.bridge) = (Thing::Gone, Thing::Gone);
    }

    /// Whether Asterisk has had time enough to let the two hear each other.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.awaits_join() && self.give_up_at <= now
    }

    /// Our media channel is gone, whether we have deleted it or not. Before an ExternalMedia channel has entered the application
    /// this can only be the one of an earlier daemon's call, which has the same name. `cause` is Asterisk's (Q.850).
    pub(super) fn media_left(&mut self, cause: u32) -> Progress {
        let is_new = !self.media_entered;
        if is_new && matches!(self.other, Other::Media(_)) {
            return Progress::Nothing;
        }
        match std::mem::replace(&mut self.media, Thing::Gone) {
            Thing::Requested | Thing::Present if is_new => Progress::NotAnswered(cause),
            Thing::Requested | Thing::Present => Progress::Failed(EndReason::MediaLost),
            Thing::Absent | Thing::Leaving(_) | Thing::Gone => Progress::Nothing,
        }
    }

    /// Asterisk answered a request, or did not.
    pub(super) fn replied(
        &mut self,
        now: Instant,
        request: &Request,
        reply: &Reply,
        out: &mut Vec<Output>,
    ) -> Progress {
        if self.aim == Aim::SetUp {
            self.complain(request, reply, out);
        }
        let progress = self.learn(now, request, reply, out);
        match self.aim {
            Aim::SetUp => {
                self.join(out);
                progress
            }
            Aim::Release | Aim::Undo => {
                if self.aim == Aim::Undo {
                    self.delete(|thing| thing == Thing::Present, out);
                }
                if progress == Progress::CallerGone { progress } else { Progress::Nothing }
            }
        }
    }

    fn learn(&mut self, now: Instant, request: &Request, reply: &Reply, out: &mut Vec<Output>) -> Progress {
        match request {
            Request::CreateBridge { .. } => {
                self.bridge.created(reply);
                failure(reply)
            }
            Request::ExternalMedia { .. } => {
                self.media.created(reply);
                self.media_replied(request, reply, out)
            }
            Request::Dial { .. } => {
                self.media.created(reply);
                failure(reply)
            }
            Request::AddChannels { channels: [caller, _], .. } if caller == self.caller.id() => {
                self.join_replied(now, reply)
            }
            Request::Hangup(id) if *id == self.media_id => {
                self.media.deleted(now, reply);
                Progress::Nothing
            }
            Request::DeleteBridge(_) => {
                self.bridge.deleted(now, reply);
                Progress::Nothing
            }
            // All other requests are the caller's. A request to join that comes here names a channel that was replaced meanwhile.
            _ => self.caller.replied(now, request, reply, out),
        }
    }

    /// Tells the operator of a request of the set-up that was refused, or whose missing answer ends the call.
    fn complain(&mut self, request: &Request, reply: &Reply, out: &mut Vec<Output>) {
        let about_callers = matches!(request, Request::AddChannels { .. } | Request::Answer(_));
        match (request, reply) {
            (_, Reply::Refused { status: 404 | 409, .. }) if about_callers => {
                self.caller.doubt(complaint(request, reply));
            }
            (_, Reply::Refused { .. }) if about_callers => {
                out.extend(complaint(request, reply).map(Output::Notice));
            }
            (Request::CreateBridge { .. } | Request::ExternalMedia { .. } | Request::Dial { .. }, _) => {
                out.extend(complaint(request, reply).map(Output::Notice));
            }
            _ => {}
        }
    }

    /// The call is over: lets the caller go in this way.
    pub(super) fn release(&mut self, reason: EndReason, exit: Exit, out: &mut Vec<Output>) {
        self.aim = Aim::Release;
        if self.awaits_join() {
            self.join = Join::GivenUp;
        }
        self.caller.release(reason, exit, out);
    }

    /// Deletes what is there. What is still being created is deleted when the answer to its creation comes.
    pub(super) fn undo(&mut self, out: &mut Vec<Output>) {
        self.aim = Aim::Undo;
        self.delete(|thing| thing == Thing::Present, out);
    }

    /// Asks for the deletion of bridge and media channel, as far as that is due.
    fn delete(&mut self, is_due: impl Fn(Thing) -> bool, out: &mut Vec<Output>) {
        if is_due(self.media) {
            self.media = Thing::Leaving(Attempt::InFlight);
            out.push(Output::Ari(Request::Hangup(self.media_id.clone())));
        }
        if is_due(self.bridge) {
            self.bridge = Thing::Leaving(Attempt::InFlight);
            out.push(Output::Ari(Request::DeleteBridge(self.bridge_id.clone())));
        }
    }

    /// Whether nothing of this call is left in Asterisk.
    pub(super) fn is_undone(&self) -> bool {
        self.caller.is_gone() && self.media.is_gone() && self.bridge.is_gone()
    }

    fn media_replied(&mut self, request: &Request, reply: &Reply, out: &mut Vec<Output>) -> Progress {
        let Reply::Done(body) = reply else { return failure(reply) };
        let address = media_address(body);
        self.other = Other::Media(address);
        if address.is_none() {
            let (request, answer) = (request.name(), Detail::of_asterisk(body));
            out.push(Output::Notice(Notice::AnswerUnreadable { request, answer }));
        }
        address.map_or(Progress::Failed(EndReason::SetupFailed), Progress::Media)
    }

    fn awaits_join(&self) -> bool {
        matches!(self.join, Join::NotAsked | Join::Asking(_))
    }

    fn join(&mut self, out: &mut Vec<Output>) {
        let is_reached = matches!(self.other, Other::Media(Some(_)) | Other::OpenAi(OfSession::Stands));
        let ready = self.bridge == Thing::Present && self.media == Thing::Present && self.media_entered;
        if ready && is_reached && self.join == Join::NotAsked && !self.caller.is_gone() {
            self.join = Join::Asking(Attempt::InFlight);
            out.push(Output::Ari(Request::AddChannels {
                bridge: self.bridge_id.clone(),
                channels: [self.caller.id().clone(), self.media_id.clone()],
            }));
        }
    }

    fn join_replied(&mut self, now: Instant, reply: &Reply) -> Progress {
        match reply {
            Reply::Refused { .. } => failure(reply),
            Reply::Done(_) if self.awaits_join() => {
                self.join = Join::Joined;
                Progress::Joined
            }
            Reply::Lost(_) if self.awaits_join() => {
                self.join = Join::Asking(Attempt::RetryAt(now + RETRY_AFTER));
                Progress::Nothing
            }
            Reply::Done(_) | Reply::Lost(_) => Progress::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_channel_is_not_gone_because_a_replaced_caller_is() {
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
        let now = Instant::now();
        let (mut legs, mut out) = (Legs::new(now, "app".into(), &"colleague".into(), true), Vec::new());
        legs.begin(SocketAddr::from(([127, 0, 0, 1], 10_000)), &mut out);
        legs.release(EndReason::AssistantHungUp, Exit::HangUp, &mut out);
        legs.undo(&mut out);
        legs.caller_replaced(&"customer".into(), None, &mut out);
        let done = Reply::Done(String::new());
        for request in [Request::Hangup("colleague".into()), Request::Hangup("customer".into())] {
            let _ = legs.replied(now, &request, &done, &mut out);
        }
        let bridge = BridgeId::from("b");
        let _ = legs.replied(
            now,
            &Request::CreateBridge { bridge },
            &Reply::Refused { status: 500, message: String::new() },
            &mut out,
        );
        assert!(!legs.holds_caller() && !legs.is_undone(), "the media channel is still being made");
    }
}
