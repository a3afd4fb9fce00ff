//! One call's input and output: the only place where the core meets sockets.
//!
//! Waits for whatever comes first, gives it to [`Call::handle`], and performs what comes out (`call_io`). Decides nothing.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::call_io::{Io, Replied};
use super::sound::{Brought, Fetching};
use super::tools::Ended;
use crate::call::record::Ending;
use crate::call::{Call, Fetched, Input, Output, Report, SessionEnd};
use crate::clock::now;
use crate::end_reason::EndReason;
use crate::exchange::Order;
use crate::net::realtime_link::{RealtimeLink, SessionReport};
use crate::net::rtp::RtpSocket;
use crate::realtime::server::{self, Event};
use crate::recordings::{Handle, Kept};

/// How often a call shows itself to whoever watches.
const SHOW_EVERY: Duration = Duration::from_millis(500);

/// Something happened; owned, so that all of them can be waited for at once.
enum Happened {
    Time,
    Told(Order),
    Packets,
    Session(SessionReport),
    Replied(Replied),
    Tools(Ended),
    Sound(Result<Brought, String>),
    Nothing,
}

/// What a task leaves.
pub(super) enum Left {
    /// The call is over. What its tools are still writing is left.
    Over(Box<Report>, JoinSet<()>),
    /// The call is in its aftermath, for which the rest of it is needed. The report is the one of this moment.
    Aftermath(Box<Report>, Box<Rest>),
}

/// A call, and what its task waits for.
pub(super) struct Rest {
    call: Call,
    orders: mpsc::Receiver<Order>,
    io: Io,
}

/// Runs a call to its end, or to its aftermath.
pub(super) async fn run(call: Call, orders: mpsc::Receiver<Order>, io: Io) -> Left {
    let mut rest = Box::new(Rest { call, orders, io });
    rest.io.perform_all(rest.call.handle(now(), Input::Tick));
    rest.go_on(Call::is_in_aftermath).await;
    if rest.call.deadline().is_none() {
        return rest.end();
    }
    let report = Box::new(rest.call.report());
    rest.leave_seat(report.reason);
    Left::Aftermath(report, rest)
}

/// Runs a call from its aftermath to its end.
pub(super) async fn tidy_up(mut rest: Box<Rest>) -> Left {
    rest.go_on(|_| false).await;
    rest.end()
}

impl Rest {
    /// Goes on until the call is over, or as far as this.
    async fn go_on(&mut self, until: impl Fn(&Call) -> bool) {
        let Self { call, orders, io } = self;
        let rtp = io.rtp.clone();
        let timer = sleep_until(Instant::from_std(now()));
        tokio::pin!(timer);
        let mut show_at = now();
        while let Some(deadline) = call.deadline().filter(|_| !until(call)) {
            timer.as_mut().reset(Instant::from_std(deadline));
            let happened = tokio::select! {
                () = &mut timer => Happened::Time,
                order = orders.recv() => order.map_or(Happened::Told(Order::Shutdown), Happened::Told),
                () = arrival(rtp.as_deref()) => Happened::Packets,
                news = io.session.next() => Happened::Session(news),
                Some(replied) = io.requests.next(), if !io.requests.is_empty() => Happened::Replied(replied),
                ended = io.jobs.next(), if io.jobs.may_end() => Happened::Tools(ended),
                brought = fetch(io.fetching.as_deref_mut(), io.recording.as_ref()), if io.fetching.is_some() => {
                    Happened::Sound(brought)
                }
            };
            let now = now();
            let happened = take(io, happened);
            if let (Happened::Packets, Some(rtp)) = (&happened, &rtp) {
                rtp.receive(|from, datagram| io.perform_all(call.handle(now, Input::Rtp { from, datagram })));
            } else {
                let lines = io.lines.clone();
                io.perform_all(lines.in_scope(|| handle(call, now, &happened)));
            }
            io.note_tick(now, deadline, call.deadline());
            if let Some(seat) = io.seat.as_ref().filter(|_| now >= show_at) {
                show_at = now + SHOW_EVERY;
                seat.show(call.glance());
                io.spent.tell(&io.admission);
            }
        }
    }

    /// The call is not shown any more.
    fn leave_seat(&mut self, reason: EndReason) {
        if let Some(seat) = self.io.seat.take() {
            seat.end(self.call.glance(), reason);
        }
    }

    fn end(mut self: Box<Self>) -> Left {
        let report = self.call.report();
        self.leave_seat(report.reason);
        if let Some(recording) = self.io.recording {
            let interruptions = report.counters.barge_ins;
            recording.close(Ending { reason: report.reason, duration: report.duration, interruptions });
        }
        Left::Over(Box::new(report), self.io.jobs.left())
    }
}

/// Waits for a packet. A call without a socket gets none.
async fn arrival(rtp: Option<&RtpSocket>) {
    match rtp {
        Some(rtp) => rtp.readable().await,
        None => std::future::pending().await,
    }
}

/// How long sound that is fetched waits for the disk before it is looked at again. A larger value fetches more slowly, a smaller one
/// wakes the call for nothing.
const ROOM_PAUSE: Duration = Duration::from_millis(20);

/// Waits for the next piece of the sound that is being fetched, once the recording has room for it. Its end comes when all of it is in
/// the files of our recording. How long that may take is bounded by the call, which gives the fetching up.
///
/// # Errors
/// Asterisk does not send all of it, or the recording does not take all of it.
async fn fetch(fetching: Option<&mut Fetching>, recording: Option<&Handle>) -> Result<Brought, String> {
    let Some(fetching) = fetching else { return std::future::pending().await };
    let Some(recording) = recording else { return Err("the call is not recorded".to_owned()) };
    while !recording.has_room_for_sound() {
        tokio::time::sleep(ROOM_PAUSE).await;
    }
    let brought = fetching.next().await?;
    if let Brought::End = brought {
        while recording.kept() == Kept::NotYet {
            tokio::time::sleep(ROOM_PAUSE).await;
        }
    }
    match recording.kept() {
        Kept::InPart => Err("the recording has dropped some of it".to_owned()),
        Kept::All | Kept::NotYet => Ok(brought),
    }
}

/// Takes out of what has happened what concerns the sockets alone.
fn take(io: &mut Io, happened: Happened) -> Happened {
    match happened {
        Happened::Told(Order::Offered(id)) => {
            if let Some(of) = io.at_openai.as_ref().and_then(|at_openai| at_openai.session_of.as_ref()) {
                io.session = RealtimeLink::new(of(&id));
            }
            Happened::Told(Order::Offered(id))
        }
        Happened::Replied(Replied::Sound(Ok(fetching))) => {
            io.fetching = Some(fetching);
            Happened::Nothing
        }
        Happened::Sound(Ok(Brought::Piece(entries))) => {
            if let Some(recording) = &mut io.recording {
                for entry in *entries {
                    recording.push(entry);
                }
            }
            Happened::Nothing
        }
        Happened::Sound(end) => {
            io.fetching = None;
            Happened::Sound(end)
        }
        other => other,
    }
}

/// Hands to the call what has happened, and returns what the call wants done.
fn handle<'call>(
    call: &'call mut Call,
    now: std::time::Instant,
    happened: &Happened,
) -> std::vec::Drain<'call, Output> {
    match happened {
        // A piece of the sound has been taken by `take`.
        Happened::Time
        | Happened::Packets
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
