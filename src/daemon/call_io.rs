//! What a call does to the world: the outputs of the core are performed here.
//!
//! Nothing here waits: what could wait is pushed into something bounded that `call_task` polls.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::task::Id;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tracing::Instrument as _;

use super::sound::Fetching;
use super::ticks::Ticks;
use super::tools::Jobs;
use crate::ari::request::{Reply, Request};
use crate::call::ledger::Bill;
use crate::call::record::Entry;
use crate::call::{Output, Standing};
use crate::live::Seat;
use crate::logging::Operator;
use crate::net::ari_rest::AriRest;
use crate::net::calls_rest::CallsRest;
use crate::net::realtime_link::{Endpoint, RealtimeLink};
use crate::net::rtp::RtpSocket;
use crate::operator::Notice;
use crate::realtime::calls::{CallId, request as calls};
use crate::recordings::Handle;

/// What a call tells the daemon while it runs.
pub(super) enum Told {
    /// How the model's server stands.
    Standing(Standing),
    /// What the call of this task has used by now.
    Spent(Id, Box<Bill>),
}

/// What a call shares with whoever admits callers.
#[derive(Clone)]
pub(super) struct Admission {
    /// Messages to the daemon's loop. If the channel is full, a message about the model's server is dropped, because
    /// other calls have reported the same, and a cost is sent again later.
    pub(super) tell: mpsc::Sender<Told>,
    /// Whether the operator knows that the model's server serves nobody.
    pub(super) outage: Arc<AtomicBool>,
}

impl Admission {
    /// Tells the operator. During an outage that the operator knows of, notices of failing sessions go to the debug log only.
    fn say(&self, operator: Operator, notice: &Notice) {
        if notice.tells_of_a_failing_session() && self.outage.load(Ordering::Relaxed) {
            tracing::debug!(?notice, "during an outage of the model's server");
        } else {
            operator.say(notice);
        }
    }
}

/// What a call has used so far, and whether the daemon knows.
#[derive(Default)]
pub(super) struct Spent {
    bill: Bill,
    is_owed: bool,
}

impl Spent {
    fn is(&mut self, bill: &Bill) {
        self.is_owed |= self.bill != *bill;
        self.bill.clone_from(bill);
    }

    /// Tells the daemon what it does not know, if there is room.
    pub(super) fn tell(&mut self, admission: &Admission) {
        if let Some(task) = tokio::task::try_id().filter(|_| self.is_owed) {
            let told = admission.tell.try_send(Told::Spent(task, Box::new(self.bill.clone())));
            self.is_owed = told.is_err();
        }
    }
}

type Replying = Pin<Box<dyn Future<Output = Replied> + Send>>;

/// The end of a request.
pub(super) enum Replied {
    /// Of one to Asterisk.
    Ari(Request, Reply),
    /// Of one about a call that OpenAI answers.
    Sip(calls::Request, calls::Reply),
    /// Of one for the recordings in Asterisk.
    Sound(Result<Box<Fetching>, String>),
}

/// Makes the endpoint of the session of a call at OpenAI.
pub(super) type SessionOf = Arc<dyn Fn(&CallId) -> Arc<Endpoint> + Send + Sync>;

/// How OpenAI is asked about a call that it answers.
#[derive(Clone)]
pub(super) struct AtOpenAi {
    pub(super) rest: CallsRest,
    /// How the session of a call is reached whose id is known only later. None: it is known from the beginning.
    pub(super) session_of: Option<SessionOf>,
    /// The headers, among them the authorization.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// The call's sockets and requests.
pub(super) struct Io {
    /// Where its sound comes in and goes out; None: OpenAI carries the sound.
    pub(super) rtp: Option<Arc<RtpSocket>>,
    pub(super) session: RealtimeLink,
    pub(super) ari: AriRest,
    /// How OpenAI is asked about the call, if OpenAI answers it.
    pub(super) at_openai: Option<AtOpenAi>,
    pub(super) operator: Operator,
    /// The span of the call's lines in the log. What a packet does writes no line, so that it does not enter the span.
    pub(super) lines: tracing::Span,
    pub(super) media: Option<SocketAddr>,
    pub(super) requests: FuturesUnordered<Replying>,
    /// The tools that it asks for.
    pub(super) jobs: Jobs,
    /// The sound that is being fetched from Asterisk.
    pub(super) fetching: Option<Box<Fetching>>,
    /// Where the call is recorded, if it is. Never waits.
    pub(super) recording: Option<Handle>,
    /// Where it shows itself. None: it is in its aftermath.
    pub(super) seat: Option<Seat>,
    /// What the call has used so far.
    pub(super) spent: Spent,
    /// Who admits callers.
    pub(super) admission: Admission,
    /// Where it is counted how often its clock is later than it may be.
    pub(super) ticks: Option<(Arc<Ticks>, Duration)>,
}

impl Io {
    /// Counts a tick of the call's clock, if what was due at `deadline` has been done. That may be a little before `deadline`, together
    /// with a packet. A tick counts as late if it was done later than it may be.
    pub(super) fn note_tick(
        &self,
        now: std::time::Instant,
        deadline: std::time::Instant,
        next: Option<std::time::Instant>,
    ) {
        if let Some((ticks, most)) = &self.ticks
            && next.is_none_or(|next| next > deadline)
        {
            ticks.note(now.saturating_duration_since(deadline) >= *most);
        }
    }

    /// Does what the call wants done.
    pub(super) fn perform_all(&mut self, outputs: impl Iterator<Item = Output>) {
        for output in outputs {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Rtp(packet) => {
                if let Some((rtp, media)) = self.rtp.as_ref().zip(self.media) {
                    // A full socket buffer loses one frame, as the network would.
                    drop(rtp.send(&packet, media));
                }
            }
            Output::Append { frame, complete } => self.session.append(&frame, complete),
            Output::Record(entry) => {
                if let Entry::Usage(bill) = &entry {
                    self.spent.is(bill);
                    self.spent.tell(&self.admission);
                }
                if let Some(recording) = &mut self.recording {
                    recording.push(entry);
                }
            }
            other => self.lines.clone().in_scope(|| self.perform_aside(other)),
        }
    }

    /// Does what is not done with each frame.
    fn perform_aside(&mut self, output: Output) {
        match output {
            Output::Rtp(_) | Output::Append { .. } | Output::Record(_) => {}
            Output::MediaAddress(address) => self.media = Some(address),
            Output::MediaSource(source) => {
                // The kernel drops what comes from elsewhere. Where it cannot, the call does.
                if let Some(rtp) = &self.rtp {
                    drop(rtp.hear_only(source));
                }
            }
            Output::Session(event) => {
                tracing::debug!(?event, "to the model");
                self.session.push(event.to_json());
            }
            Output::OpenSession => self.session.open(),
            Output::CloseSession => self.session.close(),
            Output::Tool(job) => self.jobs.begin(job),
            Output::LetGo(number) => self.jobs.let_go(number),
            Output::Ari(request) => {
                let ari = self.ari.clone();
                self.ask(async move {
                    let reply = ari.perform(&request).await;
                    tracing::debug!(?request, ?reply, "ARI");
                    Replied::Ari(request, reply)
                });
            }
            Output::Sip(request) => {
                let Some(AtOpenAi { rest, headers, .. }) = self.at_openai.clone() else { return };
                self.ask(async move {
                    let reply = rest.perform(&headers, &request).await;
                    tracing::debug!(verb = request.verb(), reply = %reply.word(), "OpenAI");
                    Replied::Sip(request, reply)
                });
            }
            Output::FetchSounds(sounds) => {
                let ari = self.ari.clone();
                self.ask(async move { Replied::Sound(Fetching::begin(&ari, sounds).await.map(Box::new)) });
            }
            Output::Notice(notice) => self.admission.say(self.operator, &notice),
            Output::Standing(standing) => drop(self.admission.tell.try_send(Told::Standing(standing))),
        }
    }

    /// Sends a request, whose end is one of [`Io::requests`].
    fn ask(&self, request: impl Future<Output = Replied> + Send + 'static) {
        self.requests.push(Box::pin(request.in_current_span()));
    }
}
