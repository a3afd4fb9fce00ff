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
use crate::ari::event::{self, Event};

/// How often we ping, and look whether anything has come since the last time. Callers who come while the socket is dead
/// hear nothing until that is noticed; much shorter would take a short hitch of the network for its death.
const PING_EVERY: Duration = Duration::from_secs(3);
/// A socket on which nothing came in answer to so many pings is dead. With the time before the first of them that makes
/// 6 to 9 s.
const SILENT_PINGS: u32 = 2;

/// What the link reports, in order.
#[derive(Debug)]
pub enum News {
    /// Events come from now on; none of the time before.
    Connected,
    /// An event.
    Event(Event),
    /// A text frame that is none.
    Malformed(String),
    /// The connection is lost, or could not be made; it will be tried again after `retry_in`.
    Lost {
        /// Why.
        cause: Lost,
        /// Wait before the next try.
        retry_in: Duration,
    },
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// User or password are wrong (401).
    Credentials,
    /// Asterisk answers, but is not ready (404, 503 while it starts).
    NotReady(u16),
    /// No pong came.
    Silent,
    /// Anything else.
    Network(String),
    /// We were told to connect again.
    Told,
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

impl AriLink {
    /// Connects and reports until nobody listens. `chance` gives random numbers.
    pub async fn run(self, news: mpsc::Sender<News>, mut chance: impl FnMut() -> u32) {
        let mut backoff = Backoff::default();
        loop {
            let cause = match connect(&self.url, &self.headers, &self.tls).await {
                Ok(socket) => {
                    backoff.reset();
                    if news.send(News::Connected).await.is_err() {
                        return;
                    }
                    match self.read(socket, &news).await {
                        Some(cause) => cause,
                        None => return,
                    }
                }
                Err(ConnectError::Status { status: 401 | 403, .. }) => Lost::Credentials,
                Err(ConnectError::Status { status, .. }) => Lost::NotReady(status),
                Err(error) => Lost::Network(error.to_string()),
            };
            let retry_in = match cause {
                // Asterisk is about to be there, or we only want another registration.
                Lost::NotReady(_) | Lost::Told => Duration::from_millis(300),
                _ => backoff.next(chance()),
            };
            if news.send(News::Lost { cause, retry_in }).await.is_err() {
                return;
            }
            tokio::time::sleep(retry_in).await;
        }
    }

    /// Reads one connection to its end. None: nobody listens any more.
    async fn read(&self, mut socket: WebSocket, news: &mpsc::Sender<News>) -> Option<Lost> {
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = 0;
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                _ = ping.tick() => {
                    if silent >= SILENT_PINGS {
                        return Some(Lost::Silent);
                    }
                    silent += 1;
                    match timeout(PING_EVERY, socket.send(Message::Ping(Bytes::new()))).await {
                        Ok(Ok(())) => continue,
                        Ok(Err(error)) => return Some(Lost::Network(error.to_string())),
                        Err(_) => return Some(Lost::Silent),
                    }
                }
                () = self.again.notified() => {
                    drop(timeout(PING_EVERY, socket.close(None)).await);
                    return Some(Lost::Told);
                }
            };
            silent = 0;
            let report = match message {
                Some(Ok(Message::Text(text))) => match event::parse(&text) {
                    Ok(event) => News::Event(event),
                    Err(error) => News::Malformed(error.to_string()),
                },
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Some(Lost::Network(error.to_string())),
                None => return Some(Lost::Network("connection closed".into())),
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
    async fn read(asterisk_lives: Duration) -> (Option<Lost>, Duration) {
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

    #[tokio::test(start_paused = true)]
    async fn a_dead_socket_is_noticed_within_ten_seconds_whenever_it_dies() {
        for lives_ms in (20_000..20_000 + PING_EVERY.as_millis() as u64).step_by(100) {
            let (lost, after) = read(Duration::from_millis(lives_ms)).await;
            assert_eq!(lost, Some(Lost::Silent), "{lives_ms}");
            assert!(after <= Duration::from_secs(10), "died at {lives_ms} ms, noticed {after:?} later");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_answers_is_left_alone() {
        let hour = Duration::from_hours(1);
        assert!(timeout(hour, read(2 * hour)).await.is_err());
    }
}
