//! The WebSocket on which Asterisk sends its events. The link connects, reconnects and detects a dead
//! connection.
//!
//! The link runs as a task of its own, because Asterisk closes a socket that is not read (after about 1 200
//! events). Asterisk never sends pings, so the link sends them. The link logs nothing for the operator; the
//! owner of the link does.

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

/// The interval at which the link sends a ping and checks whether anything arrived since the previous ping.
/// While the connection is dead, new callers hear nothing. A larger value detects a dead connection later; a
/// much smaller value takes a short interruption of the network for a dead connection.
const PING_EVERY: Duration = Duration::from_secs(3);
/// The connection counts as dead after this many unanswered pings. Together with the time before the first
/// unanswered ping, a dead connection is detected after 6 to 9 s. A larger value detects a dead connection
/// later; a smaller value tolerates shorter interruptions only.
const SILENT_PINGS: u32 = 2;

/// The pause before the next attempt while Asterisk starts, or after the link was told to register again.
/// Each stage of Asterisk's start takes up to 0.3 s. A larger value lets callers wait longer after a restart;
/// a smaller value makes more attempts in vain.
const SOON: Duration = Duration::from_millis(300);
/// After this many consecutive answers that a starting Asterisk gives, the server no longer counts as
/// starting. A larger value reports a wrong address later; a smaller value takes a slow start for a wrong
/// address.
const STARTING_TRIES: u32 = 10;
/// The cause in the log of a connection on which no pong arrived.
const NO_PONG: &str = "no pong";

/// A report of the link. Reports arrive in order.
#[derive(Debug)]
pub enum AriReport {
    /// The link is connected, and events arrive from now on. Events from before are lost.
    Connected,
    /// An ARI event.
    Event(Event),
    /// A text frame that is not a valid ARI event. The value says why.
    Malformed(String),
    /// The connection is lost. The link connects again after `retry_in`.
    Lost {
        /// The reason. None: the link was told to connect again.
        cause: Option<String>,
        /// The pause before the next attempt.
        retry_in: Duration,
    },
    /// The connection could not be opened. The link tries again after `retry_in`.
    Unreached {
        /// The reason.
        cause: Unreached,
        /// The pause before the next attempt.
        retry_in: Duration,
    },
}

/// The settings of the link.
#[derive(Debug, Clone)]
pub struct AriLink {
    /// The address: `ws://host:port/ari/events?app=…`.
    pub url: String,
    /// The headers, which hold the Basic credentials.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The TLS configuration, which all connections share.
    pub tls: Arc<ClientConfig>,
    /// Tells a running link to connect again.
    pub again: Arc<Notify>,
}

/// Why an open connection ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// The link was told to connect again.
    Told,
    /// The connection was lost. The value says why.
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

/// The consecutive attempts that failed.
#[derive(Debug, Default)]
struct Tries {
    backoff: Backoff,
    /// The number of attempts that the server answered as a starting Asterisk does.
    starting: u32,
}

impl Tries {
    /// Records a failed attempt and returns its reason and the pause before the next attempt. `chance` is any
    /// number.
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
    /// Connects and reports until the receiver of `news` is gone. `chance` returns random numbers.
    pub async fn run(self, news: mpsc::Sender<AriReport>, mut chance: impl FnMut() -> u32) {
        let mut tries = Tries::default();
        loop {
            let report = match connect(&self.url, &self.headers, &self.tls).await {
                Ok(socket) => {
                    tries = Tries::default();
                    if news.send(AriReport::Connected).await.is_err() {
                        return;
                    }
                    match self.read(socket, &news).await {
                        Some(Ended::Told) => AriReport::Lost { cause: None, retry_in: SOON },
                        Some(Ended::Lost(cause)) => {
                            AriReport::Lost { cause: Some(cause), retry_in: tries.backoff.next(chance()) }
                        }
                        None => return,
                    }
                }
                Err(error) => {
                    let (cause, retry_in) = tries.failed(error, chance());
                    AriReport::Unreached { cause, retry_in }
                }
            };
            let (AriReport::Lost { retry_in, .. } | AriReport::Unreached { retry_in, .. }) = report else {
                return;
            };
            if news.send(report).await.is_err() {
                return;
            }
            tokio::time::sleep(retry_in).await;
        }
    }

    /// Reads one connection to its end. None: the receiver of `news` is gone.
    async fn read(&self, mut socket: WebSocket, news: &mpsc::Sender<AriReport>) -> Option<Ended> {
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
                    Ok(event) => AriReport::Event(event),
                    Err(error) => AriReport::Malformed(error.to_string()),
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
    use crate::clock::now;
    use crate::net::tls;
    use crate::net::websocket::Duplex;

    /// Runs a link against an Asterisk that answers for `asterisk_lives` and then falls silent without
    /// closing the connection. Returns how the link ended, and how long after the silence began.
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
            // Reading the socket also answers the pings.
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
