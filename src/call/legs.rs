//! The Asterisk side of a call: what exists there, in which order it is made, and how it is undone.
//!
//! ```text
//!   caller ── bridge ── media channel ══ RTP ══ our socket
//! ```
//! Bridge and media channel are asked for together; joined once both stand and the media channel has entered
//! the application by itself (Asterisk refuses it earlier). Nothing is deleted before the answer to its
//! creation is in, so no DELETE can overtake its POST. The only place that knows how to undo a set-up.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Output;
use super::replies::{RETRY_AFTER, after_delete, complaint, failure};
use crate::ari::request::{Reply, Request, media_address};
use crate::ari::{BridgeId, ChannelId, Place};
use crate::operator::{Detail, EndReason, Notice};

/// A ringing caller is answered after this time even if the session is not ready: longer and callers think
/// the line is dead, shorter and they hear silence instead of ringing.
pub const ANSWER_AFTER: Duration = Duration::from_secs(2);
/// How long bridge and media channel may take. Asterisk needs milliseconds (16: 220); longer is dead air.
pub(super) const SETUP_PATIENCE: Duration = Duration::from_secs(8);
/// The channel variable that tells the dialplan why the call comes back.
pub const END_REASON_VARIABLE: &str = "AI_END_REASON";

/// Something of ours in Asterisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    /// Not asked for.
    Absent,
    /// Asked for; the answer is not in.
    Requested,
    /// There (or possibly there: the answer was lost).
    Present,
    /// Its DELETE is under way.
    Leaving,
    /// Its DELETE got no answer; the next try is at this instant.
    LeavingAgain(Instant),
    /// Deleted, or destroyed by Asterisk.
    Gone,
}

/// The caller's channel, as far as we are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Not answered yet; will be at this instant at the latest.
    Ringing { answer_at: Instant },
    /// Our answer is under way.
    Answering,
    /// Talking.
    Up,
    /// Whether the place it is to go to exists is being asked.
    Checking,
    /// Told the reason in a variable; then it continues in the dialplan.
    Explaining,
    /// On its way back to the dialplan.
    Continuing,
    /// As above, but Asterisk did not do it, for all we know; the next try is at this instant.
    ContinuingAgain(Instant),
    /// Left the application while that was being asked: whether by it, the answer tells.
    LeftMeanwhile,
    /// Being hung up.
    HangingUp,
    /// As above, but Asterisk did not do it, for all we know; the next try is at this instant.
    HangingUpAgain(Instant),
    /// No longer ours.
    Gone,
}

/// What becomes of the caller when the call ends on our side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// His channel is hung up.
    HangUp,
    /// He goes on in the dialplan.
    Dialplan {
        /// Where, if the dialplan has that place; None: with the next step.
        place: Option<Place>,
        /// Channel variables he takes along, beside [`END_REASON_VARIABLE`].
        variables: Vec<(&'static str, String)>,
    },
}

/// Whether caller and media channel hear each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    /// Not asked for.
    No,
    /// Asked for.
    Requested,
    /// The answer was lost; asked again at this instant. Asking twice does no harm.
    Again(Instant),
    /// They do, or are no longer to.
    Done,
}

/// What a reply or an event means for the call as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing new.
    Nothing,
    /// Asterisk's end of the media path is known.
    Media(SocketAddr),
    /// Caller and media channel hear each other.
    Joined,
    /// The caller is gone.
    CallerGone,
    /// It cannot go on.
    Failed(EndReason),
}

/// The three things of one call in Asterisk.
#[derive(Debug)]
pub struct Legs {
    app: String,
    pub(super) caller_id: ChannelId,
    media_id: ChannelId,
    bridge_id: BridgeId,
    pub(super) caller: Caller,
    media: Thing,
    bridge: Thing,
    media_entered: bool,
    media_address: Option<SocketAddr>,
    join: Join,
    give_up_at: Instant,
    /// Where a caller who stands in another's place goes on without a place of ours; None: with the next step.
    pub(super) next_step: Option<Place>,
    /// Where the caller goes on, once he does, and the variables that are still to be set.
    pub(super) place: Option<Place>,
    pub(super) variables: VecDeque<(&'static str, String)>,
    /// Variables that Asterisk has not set, for all we know.
    pub(super) unsaid: Vec<(&'static str, String)>,
    /// What is said once Asterisk has let the caller go on.
    pub(super) farewell: Option<Notice>,
    /// How often Asterisk has not let the caller go.
    pub(super) tries: u32,
    /// A refusal which may mean no more than that the caller has hung up: said if that turns out not to be so.
    pub(super) doubt: Option<Notice>,
}

impl Legs {
    /// Nothing exists but the caller.
    pub fn new(now: Instant, app: String, caller: &ChannelId, up: bool) -> Self {
        Self {
            app,
            caller_id: caller.clone(),
            media_id: caller.media(),
            bridge_id: caller.bridge(),
            caller: if up { Caller::Up } else { Caller::Ringing { answer_at: now + ANSWER_AFTER } },
            media: Thing::Absent,
            bridge: Thing::Absent,
            media_entered: false,
            media_address: None,
            join: Join::No,
            give_up_at: now + SETUP_PATIENCE,
            next_step: None,
            place: None,
            variables: VecDeque::new(),
            unsaid: Vec::new(),
            farewell: None,
            tries: 0,
            doubt: None,
        }
    }

    /// The caller's channel.
    pub fn caller_id(&self) -> &ChannelId {
        &self.caller_id
    }

    /// Asks for everything that can be asked for at once. `host` is our socket.
    pub fn begin(&mut self, host: SocketAddr, out: &mut Vec<Output>) {
        self.bridge = Thing::Requested;
        self.media = Thing::Requested;
        out.push(Output::Ari(Request::CreateBridge { bridge: self.bridge_id.clone() }));
        out.push(Output::Ari(Request::ExternalMedia {
            app: self.app.clone(),
            channel: self.media_id.clone(),
            host,
        }));
        if matches!(self.caller, Caller::Ringing { .. }) {
            out.push(Output::Ari(Request::Ring(self.caller_id.clone())));
        }
    }

    /// Takes the call if it still rings.
    pub fn answer(&mut self, out: &mut Vec<Output>) {
        if matches!(self.caller, Caller::Ringing { .. }) {
            self.caller = Caller::Answering;
            out.push(Output::Ari(Request::Answer(self.caller_id.clone())));
        }
    }

    /// Whether the caller's channel has been answered.
    pub fn is_up(&self) -> bool {
        self.caller == Caller::Up
    }

    /// When [`Self::advance`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let caller = match self.caller {
            Caller::Ringing { answer_at: at } | Caller::ContinuingAgain(at) | Caller::HangingUpAgain(at) => {
                Some(at)
            }
            _ => None,
        };
        let things = [self.media, self.bridge].map(|thing| match thing {
            Thing::LeavingAgain(at) => Some(at),
            _ => None,
        });
        let join = match self.join {
            Join::Again(at) => Some(at),
            Join::No | Join::Requested | Join::Done => None,
        };
        let give_up = (self.join != Join::Done).then_some(self.give_up_at);
        [caller, things[0], things[1], join, give_up].into_iter().flatten().min()
    }

    /// Lets time pass: answers a caller who has waited enough, repeats what got no answer.
    pub fn advance(&mut self, now: Instant, out: &mut Vec<Output>) {
        match self.caller {
            Caller::Ringing { answer_at } if answer_at <= now => self.answer(out),
            Caller::ContinuingAgain(at) if at <= now => self.explain_again(out),
            Caller::HangingUpAgain(at) if at <= now => self.hang_up(out),
            _ => {}
        }
        if matches!(self.join, Join::Again(at) if at <= now) {
            self.join = Join::No;
            self.join(out);
        }
        if matches!(self.media, Thing::LeavingAgain(at) if at <= now) {
            self.media = Thing::Leaving;
            out.push(Output::Ari(Request::Hangup(self.media_id.clone())));
        }
        if matches!(self.bridge, Thing::LeavingAgain(at) if at <= now) {
            self.bridge = Thing::Leaving;
            out.push(Output::Ari(Request::DeleteBridge(self.bridge_id.clone())));
        }
    }

    /// The caller's channel has left the application or is gone.
    pub fn caller_left(&mut self) -> Progress {
        match self.caller {
            Caller::Gone => Progress::Nothing,
            // Whether by that, its answer tells.
            Caller::Continuing | Caller::LeftMeanwhile => {
                self.caller = Caller::LeftMeanwhile;
                Progress::Nothing
            }
            _ => {
                self.caller = Caller::Gone;
                Progress::CallerGone
            }
        }
    }

    /// The caller's channel is up, whoever answered it.
    pub fn caller_up(&mut self) {
        if matches!(self.caller, Caller::Ringing { .. } | Caller::Answering) {
            self.caller = Caller::Up;
        }
    }

    /// Another channel stands in the caller's place. Asterisk has put it into the bridge if the one before was there.
    pub fn caller_replaced(&mut self, by: &ChannelId, next_step: Option<&Place>, out: &mut Vec<Output>) {
        self.caller_id = by.clone();
        // Of the second who is transferred the first's next step is still the dialplan's.
        if self.next_step.is_none() {
            self.next_step = next_step.cloned();
        }
        match self.caller {
            // Whoever was transferred to us has been answered.
            Caller::Ringing { .. } | Caller::Answering => self.caller = Caller::Up,
            // What was asked for the one before is refused by now, or goes for nothing.
            Caller::Checking | Caller::Explaining | Caller::Continuing | Caller::ContinuingAgain(_) => {
                self.send_on(out);
            }
            Caller::HangingUp | Caller::HangingUpAgain(_) => self.hang_up(out),
            Caller::Up | Caller::LeftMeanwhile | Caller::Gone => {}
        }
        if self.join != Join::Done {
            self.join = Join::No;
            self.join(out);
        }
    }

    /// Our media channel has entered the application.
    pub fn media_entered(&mut self, out: &mut Vec<Output>) {
        self.media_entered = true;
        self.join(out);
    }

    /// Another program serves the caller now, with a bridge and a media channel of the same names; or Asterisk is gone with
    /// all three. None of it is ours any more.
    pub fn let_go(&mut self) {
        (self.caller, self.media, self.bridge) = (Caller::Gone, Thing::Gone, Thing::Gone);
    }

    /// Whether Asterisk has had time enough to let the two hear each other.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.join != Join::Done && self.give_up_at <= now
    }

    /// Our media channel is gone without our doing, or by it. Before it has entered the application this can only be
    /// the one of an earlier daemon's call, which has the same name.
    pub fn media_left(&mut self) -> Progress {
        if !self.media_entered {
            return Progress::Nothing;
        }
        let was = std::mem::replace(&mut self.media, Thing::Gone);
        match was {
            Thing::Requested | Thing::Present => Progress::Failed(EndReason::MediaLost),
            _ => Progress::Nothing,
        }
    }

    /// Asterisk answered a request, or did not. While `closing`, whatever it created is deleted again.
    pub fn replied(
        &mut self,
        now: Instant,
        request: &Request,
        reply: &Reply,
        closing: bool,
        out: &mut Vec<Output>,
    ) -> Progress {
        let created = match reply {
            // A request without an answer may have been carried out all the same.
            Reply::Done(_) | Reply::Lost(_) => Some(Thing::Present),
            Reply::Refused { .. } => Some(Thing::Absent),
        };
        if !closing {
            self.complain(request, reply, out);
        }
        let mut progress = Progress::Nothing;
        match request {
            Request::CreateBridge { .. } => {
                self.bridge = created.filter(|_| self.bridge == Thing::Requested).unwrap_or(self.bridge);
                progress = failure(reply);
            }
            Request::ExternalMedia { .. } => {
                self.media = created.filter(|_| self.media == Thing::Requested).unwrap_or(self.media);
                progress = self.media_replied(request, reply, out);
            }
            // It was asked for another channel than the caller's is by now.
            Request::AddChannels { channels: [caller, _], .. } if *caller != self.caller_id => {}
            Request::AddChannels { .. } => {
                progress = match reply {
                    Reply::Done(_) => {
                        self.join = Join::Done;
                        Progress::Joined
                    }
                    Reply::Refused { .. } => failure(reply),
                    Reply::Lost(_) => Progress::Nothing,
                };
                if matches!(reply, Reply::Lost(_)) {
                    self.join = Join::Again(now + RETRY_AFTER);
                }
            }
            Request::Answer(_) => match reply {
                Reply::Done(_) => self.caller_up(),
                Reply::Refused { .. } => progress = failure(reply),
                Reply::Lost(_) if self.caller == Caller::Answering => {
                    self.caller = Caller::Ringing { answer_at: now + RETRY_AFTER };
                }
                Reply::Lost(_) => {}
            },
            Request::DialplanExists { place, .. } => self.place_checked(place, reply, out),
            Request::SetVariable { name, value, .. } if self.caller == Caller::Explaining => {
                if !matches!(reply, Reply::Done(_)) {
                    self.unsaid.push((name, value.clone()));
                }
                self.explain(out);
            }
            Request::Continue { .. } => progress = self.continue_replied(now, request, reply, out),
            Request::Hangup(id) if *id == self.caller_id => self.hangup_replied(now, request, reply, out),
            Request::Hangup(_) => self.media = after_delete(now, self.media, reply),
            Request::DeleteBridge(_) => self.bridge = after_delete(now, self.bridge, reply),
            _ => {}
        }
        if closing {
            self.undo(out);
            return if progress == Progress::CallerGone { progress } else { Progress::Nothing };
        }
        self.join(out);
        progress
    }

    /// Tells of a request of the set-up that was refused, or not answered where that ends the call.
    fn complain(&mut self, request: &Request, reply: &Reply, out: &mut Vec<Output>) {
        let about_callers = matches!(request, Request::AddChannels { .. } | Request::Answer(_));
        match (request, reply) {
            (_, Reply::Refused { status: 404 | 409, .. }) if about_callers => {
                self.doubt = complaint(request, reply);
            }
            (_, Reply::Refused { .. }) if about_callers => {
                out.extend(complaint(request, reply).map(Output::Notice));
            }
            (Request::CreateBridge { .. } | Request::ExternalMedia { .. }, _) => {
                out.extend(complaint(request, reply).map(Output::Notice));
            }
            _ => {}
        }
    }

    /// Deletes what is there. What is still being created is deleted when its answer comes.
    pub fn undo(&mut self, out: &mut Vec<Output>) {
        self.join = Join::Done;
        if self.media == Thing::Present {
            self.media = Thing::Leaving;
            out.push(Output::Ari(Request::Hangup(self.media_id.clone())));
        }
        if self.bridge == Thing::Present {
            self.bridge = Thing::Leaving;
            out.push(Output::Ari(Request::DeleteBridge(self.bridge_id.clone())));
        }
    }

    /// Whether nothing of this call is left in Asterisk.
    pub fn is_undone(&self) -> bool {
        let gone = |thing| matches!(thing, Thing::Absent | Thing::Gone);
        self.caller == Caller::Gone && gone(self.media) && gone(self.bridge)
    }

    fn media_replied(&mut self, request: &Request, reply: &Reply, out: &mut Vec<Output>) -> Progress {
        let Reply::Done(body) = reply else { return failure(reply) };
        self.media_address = media_address(body);
        if self.media_address.is_none() {
            let (request, answer) = (request.name(), Detail::new(body));
            out.push(Output::Notice(Notice::AnswerUnreadable { request, answer }));
        }
        self.media_address.map_or(Progress::Failed(EndReason::SetupFailed), Progress::Media)
    }

    fn join(&mut self, out: &mut Vec<Output>) {
        let ready = self.bridge == Thing::Present && self.media == Thing::Present && self.media_entered;
        if ready && self.media_address.is_some() && self.join == Join::No && self.caller != Caller::Gone {
            self.join = Join::Requested;
            out.push(Output::Ari(Request::AddChannels {
                bridge: self.bridge_id.clone(),
                channels: [self.caller_id.clone(), self.media_id.clone()],
            }));
        }
    }
}
