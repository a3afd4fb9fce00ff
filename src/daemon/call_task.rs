//! One call's input and output: the only place where the core meets sockets.
//!
//! Waits for whatever comes first, gives it to [`Call::handle`], and performs what comes out. `perform` never
//! waits: what could wait is pushed into something bounded that the loop polls. Decides nothing.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};

use super::sound::{Brought, Fetching};
use super::ticks::Ticks;
use super::tools::{Ended, Jobs};
use crate::ari::ChannelId;
use crate::ari::request::{Reply, Request};
use crate::call::record::{Ending, Entry};
use crate::call::{Call, Fetched, Input, Output, Report, SessionEnd, Standing};
use crate::clock::now;
use crate::exchange::Order;
use crate::live::Seat;
use crate::logging::Operator;
use crate::net::ari_rest::AriRest;
use crate::net::calls_rest::CallsRest;
use crate::net::realtime_link::{Endpoint, RealtimeLink, SessionReport};
use crate::operator::Notice;
use crate::realtime::calls::{CallId, request as calls};
use crate::realtime::server::{self, Event};
use crate::recordings::Handle;
use crate::units::MicroUsd;

/// Larger than any packet Asterisk sends for a telephone (20–60 ms of µ-law and a header).
const DATAGRAM_BYTES: usize = 2_048;

/// How often a call shows itself to whoever watches.
const SHOW_EVERY: Duration = Duration::from_millis(500);

/// What a call tells the daemon while it runs.
pub(super) enum Told {
    /// How the model's server stands.
    Standing(Standing),
    /// What the call of this caller has cost by now.
    Spent(ChannelId, MicroUsd),
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

/// What a call has cost so far, and whether the daemon knows.
pub(super) struct Spent {
    caller: ChannelId,
    cost: MicroUsd,
    is_told: bool,
}

impl Spent {
    /// The call of this caller has cost nothing yet.
    pub(super) fn new(caller: ChannelId) -> Self {
        Self { caller, cost: MicroUsd::ZERO, is_told: true }
    }

    fn is(&mut self, cost: MicroUsd) {
        self.is_told &= self.cost == cost;
        self.cost = cost;
    }

    /// Tells the daemon what it does not know, if there is room.
    fn tell(&mut self, admission: &Admission) {
        if !self.is_told {
            let told = admission.tell.try_send(Told::Spent(self.caller.clone(), self.cost));
            self.is_told = told.is_ok();
        }
    }
}

/// Something happened; owned, so that all of them can be waited for at once.
enum Happened {
    Time,
    Told(Order),
    Packet(usize, SocketAddr),
    Session(SessionReport),
    Replied(Replied),
    Tools(Ended),
    Sound(Result<Brought, String>),
    Nothing,
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
    /// The headers, among them the authorization.
    /// How the session of a call is reached whose id is known only later. None: it is known from the beginning.
    pub(super) session_of: Option<SessionOf>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// The call's sockets and requests.
pub(super) struct Io {
    /// Where its sound comes in and goes out; None: OpenAI carries the sound.
    pub(super) rtp: Option<UdpSocket>,
    pub(super) session: RealtimeLink,
    pub(super) ari: AriRest,
    /// How OpenAI is asked about the call, if OpenAI answers it.
    pub(super) at_openai: Option<AtOpenAi>,
    pub(super) operator: Operator,
    pub(super) media: Option<SocketAddr>,
    pub(super) requests: FuturesUnordered<Replying>,
    /// The tools that it asks for.
    pub(super) jobs: Jobs,
    /// The sound that is being fetched from Asterisk.
    pub(super) fetching: Option<Box<Fetching>>,
    /// Where the call is recorded, if it is. Never waits.
    pub(super) recording: Option<Handle>,
    /// Where it shows itself.
    pub(super) seat: Seat,
    /// What the call has cost so far.
    pub(super) spent: Spent,
    /// Who admits callers.
    pub(super) admission: Admission,
    /// Where it is counted how often its clock is later than it may be.
    pub(super) ticks: Option<(Arc<Ticks>, Duration)>,
}

/// Runs a call to its end. What its tools are still writing is returned, too.
pub(super) async fn run(
    mut call: Call,
    mut orders: mpsc::Receiver<Order>,
    mut io: Io,
) -> (Report, JoinSet<()>) {
    let mut datagram = Box::new([0; DATAGRAM_BYTES]);
    let timer = sleep_until(Instant::from_std(now()));
    tokio::pin!(timer);
    io.perform_all(call.handle(now(), Input::Tick));
    let mut show_at = now();
    while let Some(deadline) = call.deadline() {
        timer.as_mut().reset(Instant::from_std(deadline));
        let happened = tokio::select! {
            () = &mut timer => Happened::Time,
            order = orders.recv() => order.map_or(Happened::Told(Order::Shutdown), Happened::Told),
            // An error here is an ICMP answer to something we sent: the call goes on.
            packet = receive(io.rtp.as_ref(), &mut datagram) => {
                packet.map_or(Happened::Nothing, |(length, from)| Happened::Packet(length, from))
            }
            news = io.session.next() => Happened::Session(news),
            Some(replied) = io.requests.next() => Happened::Replied(replied),
            ended = io.jobs.next() => Happened::Tools(ended),
            brought = fetch(io.fetching.as_deref_mut(), io.recording.as_ref()) => Happened::Sound(brought),
        };
        let now = now();
        // Every input does what is due by now, so a tick is counted here even if the timer has not fired.
        if let Some((ticks, most)) = &io.ticks
            && now >= deadline
        {
            ticks.note(now - deadline >= *most);
        }
        let happened = io.take(happened);
        io.perform_all(handle(&mut call, now, &happened, &*datagram));
        if now >= show_at {
            show_at = now + SHOW_EVERY;
            io.seat.show(call.glance());
            io.spent.tell(&io.admission);
        }
    }
    let report = call.report();
    io.seat.end(call.glance(), report.reason);
    if let Some(recording) = io.recording {
        let interruptions = report.counters.barge_ins;
        recording.close(Ending { reason: report.reason, duration: report.duration, interruptions });
    }
    (report, io.jobs.left())
}

/// Waits for a packet. A call without a socket gets none.
async fn receive(
    rtp: Option<&UdpSocket>,
    datagram: &mut [u8; DATAGRAM_BYTES],
) -> std::io::Result<(usize, SocketAddr)> {
    match rtp {
        Some(rtp) => rtp.recv_from(datagram).await,
        None => std::future::pending().await,
    }
}

/// How long sound that is fetched waits for the disk before it is looked at again. A larger value fetches more slowly, a smaller one
/// wakes the call for nothing.
const ROOM_PAUSE: Duration = Duration::from_millis(20);

/// Waits for the next piece of the sound that is being fetched, once the recording has room for it.
async fn fetch(fetching: Option<&mut Fetching>, recording: Option<&Handle>) -> Result<Brought, String> {
    let Some(fetching) = fetching else { return std::future::pending().await };
    while recording.is_some_and(|recording| !recording.has_room_for_sound()) {
        tokio::time::sleep(ROOM_PAUSE).await;
    }
    fetching.next().await
}

/// Hands to the call what has happened, and returns what the call wants done.
fn handle<'call>(
    call: &'call mut Call,
    now: std::time::Instant,
    happened: &Happened,
    datagram: &[u8],
) -> std::vec::Drain<'call, Output> {
    match happened {
        // A piece of the sound has been taken by `Io::take`.
        Happened::Time
        | Happened::Nothing
        | Happened::Sound(Ok(Brought::Piece(_)))
        | Happened::Replied(Replied::Sound(Ok(_))) => call.handle(now, Input::Tick),
        Happened::Told(Order::Leg(event)) => call.handle(now, Input::Leg(*event)),
        Happened::Told(Order::Replaced(by, next_step)) => {
            call.handle(now, Input::CallerReplaced { by, next_step: next_step.as_ref() })
        }
        Happened::Told(Order::Renumbered(number)) => call.handle(now, Input::CallerRenumbered(number)),
        Happened::Told(Order::Offered(id)) => call.handle(now, Input::Offered(id)),
        Happened::Sound(Ok(Brought::End)) => call.handle(now, Input::SoundsFetched(Fetched::Whole)),
        Happened::Sound(Err(error)) | Happened::Replied(Replied::Sound(Err(error))) => {
            tracing::debug!(%error, "the sound in Asterisk");
            call.handle(now, Input::SoundsFetched(Fetched::InPart))
        }
        Happened::Told(Order::Supervisor(wish)) => call.handle(now, Input::Supervisor(wish)),
        Happened::Told(Order::Shutdown) => call.handle(now, Input::Shutdown),
        Happened::Packet(length, from) => {
            call.handle(now, Input::Rtp { from: *from, datagram: &datagram[..*length] })
        }
        Happened::Tools(Ended::Job(result)) => call.handle(now, Input::Tool(result.clone())),
        Happened::Tools(Ended::Lookup(name, value)) => {
            call.handle(now, Input::LookedUp { name, value: value.clone() })
        }
        Happened::Replied(Replied::Ari(request, reply)) => call.handle(now, Input::Ari { request, reply }),
        Happened::Replied(Replied::Sip(request, reply)) => call.handle(now, Input::Sip { request, reply }),
        Happened::Session(SessionReport::Opened) => call.handle(now, Input::SessionOpened),
        Happened::Session(SessionReport::Ended { refusal, cause }) => {
            let end = SessionEnd { refusal: *refusal, cause: cause.clone() };
            call.handle(now, Input::SessionEnded(end))
        }
        Happened::Session(SessionReport::Text(text)) => match server::parse(text) {
            Ok(event) => {
                if let Event::Error(error) = &event {
                    tracing::debug!(%error, param = error.param, "error of the model's server");
                }
                call.handle(now, Input::Session(event))
            }
            Err(error) => {
                tracing::debug!(%error, "unreadable event from the model's server");
                call.handle(now, Input::Unreadable(&error))
            }
        },
    }
}

impl Io {
    /// Takes out of what has happened what concerns the sockets alone.
    fn take(&mut self, happened: Happened) -> Happened {
        match happened {
            Happened::Told(Order::Offered(id)) => {
                if let Some(of) = self.at_openai.as_ref().and_then(|at_openai| at_openai.session_of.as_ref())
                {
                    self.session = RealtimeLink::new(of(&id));
                }
                Happened::Told(Order::Offered(id))
            }
            Happened::Replied(Replied::Sound(Ok(fetching))) => {
                self.fetching = Some(fetching);
                Happened::Nothing
            }
            Happened::Sound(Ok(Brought::Piece(entries))) => {
                if let Some(recording) = &mut self.recording {
                    for entry in *entries {
                        recording.push(entry);
                    }
                }
                Happened::Nothing
            }
            Happened::Sound(end) => {
                self.fetching = None;
                Happened::Sound(end)
            }
            other => other,
        }
    }

    fn perform_all(&mut self, outputs: impl Iterator<Item = Output>) {
        for output in outputs {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Rtp(packet) => {
                if let Some((rtp, media)) = self.rtp.as_ref().zip(self.media) {
                    // A full socket buffer loses one frame, as the network would.
                    drop(rtp.try_send_to(&packet, media));
                }
            }
            Output::MediaAddress(address) => self.media = Some(address),
            Output::MediaSource(source) => {
                // The kernel drops what comes from elsewhere. Where it cannot, the call does.
                if let Some(rtp) = &self.rtp {
                    drop(socket2::SockRef::from(rtp).connect(&source.into()));
                }
            }
            Output::Append { frame, complete } => self.session.append(&frame, complete),
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
                self.requests.push(Box::pin(async move {
                    let reply = ari.perform(&request).await;
                    tracing::debug!(?request, ?reply, "ARI");
                    Replied::Ari(request, reply)
                }));
            }
            Output::Sip(request) => {
                let Some(AtOpenAi { rest, headers, .. }) = self.at_openai.clone() else { return };
                self.requests.push(Box::pin(async move {
                    let reply = rest.perform(&headers, &request).await;
                    tracing::debug!(verb = request.verb(), reply = %reply.word(), "OpenAI");
                    Replied::Sip(request, reply)
                }));
            }
            Output::FetchSounds(sounds) => {
                let ari = self.ari.clone();
                self.requests.push(Box::pin(async move {
                    Replied::Sound(Fetching::begin(&ari, sounds).await.map(Box::new))
                }));
            }
            Output::Notice(notice) => self.admission.say(self.operator, &notice),
            Output::Standing(standing) => drop(self.admission.tell.try_send(Told::Standing(standing))),
            Output::Record(entry) => {
                if let Entry::Usage(bill) = &entry {
                    self.spent.is(bill.at_least);
                    self.spent.tell(&self.admission);
                }
                if let Some(recording) = &mut self.recording {
                    recording.push(entry);
                }
            }
        }
    }
}
