//! The WebSocket on which Asterisk tells its events: connects, reconnects, notices when it is dead.
//!
//! Runs as a task of its own, because Asterisk cuts a socket that is not read (about 1 200 events). Asterisk
//! never pings, so we do. Says nothing to the operator: its owner does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::ClientConfig;
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::backoff::Backoff;
use super::websocket::{ConnectError, WebSocket, connect};
use crate::ari::Unreached;
use crate::ari::event::{self, Event};

/// How often we ping, and look whether anything has come since the last time. Callers who come while the socket is dead
/// hear nothing until that is noticed; much shorter would take a short hitch of the network for its death.
const PING_EVERY: Duration = Duration::from_secs(3);
/// A socket on which nothing came in answer to so many pings is dead. With the time before the first of them that makes
/// 6 to 9 s.
const SILENT_PINGS: u32 = 2;

/// Pause before the next try while Asterisk starts (each stage takes up to 0.3 s), or when we only want to be registered
/// again.
const SOON: Duration = Duration::from_millis(300);
/// So many tries in a row may be answered as by an Asterisk that starts; from then on it is something else.
const STARTING_TRIES: u32 = 10;
/// For the log.
const NO_PONG: &str = "no pong";

/// What the link reports, in order.
#[derive(Debug)]
pub enum News {
    /// Events come from now on; none of the time before.
    Connected,
    /// An event.
    Event(Event),
    /// A text frame that is none.
    Malformed(String),
    /// The connection is lost; it will be made again after `retry_in`.
    Lost {
        /// Why; None: we were told to connect again.
        cause: Option<String>,
        /// Wait before the next try.
        retry_in: Duration,
    },
    /// It could not be made; it will be tried again after `retry_in`.
    Unreached {
        /// Why.
        cause: Unreached,
        /// Wait before the next try.
        retry_in: Duration,
    },
}

/// How to connect.
#[derive(Debug, Clone)]
pub struct AriLink {
    /// `ws://host:port/ari/events?app=…`
    pub url: String,
    /// The Basic credentials.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Shared configuration.
    pub tls: Arc<ClientConfig>,
    /// Tells a running link to connect again.
    pub again: Arc<Notify>,
}

/// How a connection ended that stood.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// We were told to connect again.
    Told,
    /// It was lost, for this reason.
    Lost(String),
}

impl Unreached {
    fn of(error: ConnectError) -> Self {
        match error {
            ConnectError::Status { status: 401 | 403, .. } => Self::Credentials,
            ConnectError::Status { status, .. } => Self::NotAri(status),
            ConnectError::Certificate(cause) => Self::Certificate(cause),
            ConnectError::Closed => Self::Closed,
            other => Self::Network(other.to_string()),
        }
    }
}

/// Tries in a row that failed.
#[derive(Debug, Default)]
struct Tries {
    backoff: Backoff,
    /// How many were answered as by an Asterisk that starts.
    starting: u32,
}

impl Tries {
    /// One more has failed: why, and when to try again. `chance` is any number.
    fn failed(&mut self, error: ConnectError, chance: u32) -> (Unreached, Duration) {
        match Unreached::of(error) {
            Unreached::NotAri(status) if self.starting < STARTING_TRIES => {
                self.starting += 1;
                (Unreached::Starting(status), SOON)
            }
            cause => (cause, self.backoff.next(chance)),
        }
    }
}

impl AriLink {
    /// Connects and reports until nobody listens. `chance` gives random numbers.
    pub async fn run(self, news: mpsc::Sender<News>, mut chance: impl FnMut() -> u32) {
        let mut tries = Tries::default();
        loop {
            let report = match connect(&self.url, &self.headers, &self.tls).await {
                Ok(socket) => {
                    tries = Tries::default();
                    if news.send(News::Connected).await.is_err() {
                        return;
                    }
                    match self.read(socket, &news).await {
                        Some(Ended::Told) => News::Lost { cause: None, retry_in: SOON },
                        Some(Ended::Lost(cause)) => {
                            News::Lost { cause: Some(cause), retry_in: tries.backoff.next(chance()) }
                        }
                        None => return,
                    }
                }
                Err(error) => {
                    let (cause, retry_in) = tries.failed(error, chance());
                    News::Unreached { cause, retry_in }
                }
            };
            let (News::Lost { retry_in, .. } | News::Unreached { retry_in, .. }) = report else { return };
            if news.send(report).await.is_err() {
                return;
            }
            tokio::time::sleep(retry_in).await;
        }
    }

    /// Reads one connection to its end. None: nobody listens any more.
    async fn read(&self, mut socket: WebSocket, news: &mpsc::Sender<News>) -> Option<Ended> {
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = 0;
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                _ = ping.tick() => {
                    if silent >= SILENT_PINGS {
                        return Some(Ended::Lost(NO_PONG.to_owned()));
                    }
                    silent += 1;
                    match timeout(PING_EVERY, socket.send(Message::Ping(Bytes::new()))).await {
                        Ok(Ok(())) => continue,
                        Ok(Err(error)) => return Some(Ended::Lost(error.to_string())),
                        Err(_) => return Some(Ended::Lost(NO_PONG.to_owned())),
                    }
                }
                () = self.again.notified() => {
                    drop(timeout(PING_EVERY, socket.close(None)).await);
                    return Some(Ended::Told);
                }
            };
            silent = 0;
            let report = match message {
                Some(Ok(Message::Text(text))) => match event::parse(&text) {
                    Ok(event) => News::Event(event),
                    Err(error) => News::Malformed(error.to_string()),
                },
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Some(Ended::Lost(error.to_string())),
                None => return Some(Ended::Lost("connection closed".to_owned())),
            };
            news.send(report).await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;
    use crate::daemon::clock::now;
    use crate::net::tls;
    use crate::net::websocket::Duplex;

    /// A link that reads, and an Asterisk that answers for so long and is then as good as dead: the connection stands,
    /// and nobody is there. How the link ended, and how long after the death.
    async fn read(asterisk_lives: Duration) -> (Option<Ended>, Duration) {
        let (ours, theirs) = tokio::io::duplex(1_024);
        let ours: Pin<Box<dyn Duplex>> = Box::pin(ours);
        let socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
        let mut asterisk = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        let link = AriLink {
            url: String::new(),
            headers: Vec::new(),
            tls: tls::client_config().expect("a trust store"),
            again: Arc::default(),
        };
        let (news, _reader) = mpsc::channel(1);
        let living = async {
            // Reading answers the pings.
            drop(timeout(asterisk_lives, async { while asterisk.next().await.is_some() {} }).await);
            now()
        };
        let reading = async { (link.read(socket, &news).await, now()) };
        let (died, (lost, noticed)) = tokio::join!(living, reading);
        (lost, noticed - died)
    }

    #[test]
    fn what_is_not_ari_is_waited_for_longer_and_longer() {
        let mut tries = Tries::default();
        let not_found = || ConnectError::Status { status: 404, body: String::new() };
        for _ in 0..STARTING_TRIES {
            assert_eq!(tries.failed(not_found(), u32::MAX), (Unreached::Starting(404), SOON));
        }
        let later: Vec<_> = (0..6).map(|_| tries.failed(not_found(), u32::MAX)).collect();
        assert!(later.iter().all(|(cause, _)| *cause == Unreached::NotAri(404)), "{later:?}");
        assert_eq!(later.last().map(|(_, wait)| *wait), Some(Duration::from_secs(30)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_socket_is_noticed_within_ten_seconds_whenever_it_dies() {
        for lives_ms in (20_000..20_000 + PING_EVERY.as_millis() as u64).step_by(100) {
            let (lost, after) = read(Duration::from_millis(lives_ms)).await;
            assert_eq!(lost, Some(Ended::Lost(NO_PONG.to_owned())), "{lives_ms}");
            assert!(after <= Duration::from_secs(10), "died at {lives_ms} ms, noticed {after:?} later");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_answers_is_left_alone() {
        let hour = Duration::from_hours(1);
        assert!(timeout(hour, read(2 * hour)).await.is_err());
    }
}
