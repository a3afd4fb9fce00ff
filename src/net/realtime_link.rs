//! One WebSocket to the model's server.
//!
//! `push` and `append` never wait: they write what the socket takes and queue the rest within a bound; beyond it
//! the link is lost. `next` sends what is queued, then reads; dropping its future loses nothing. Text passes
//! through uninterpreted.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{Sink as _, Stream as _};
use rustls::ClientConfig;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Utf8Bytes};

use super::websocket::{CONNECT_TIMEOUT, ConnectError, WebSocket, connect};
use crate::media::Frame;
use crate::operator::{Code, Detail, LinkFault};
use crate::realtime::client;
use crate::realtime::error::{ApiError, Refusal};

/// Frames of the caller's audio that may follow while the socket does not take all it is given: 2 s. A server that
/// is slower than that is lost; waiting longer helps nobody. Bytes cannot tell: TLS has a buffer of its own.
const BLOCKED_FRAMES: u32 = 100;

/// Where the model's server is, and how to be let in.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `wss://…/v1/realtime?model=…`
    pub url: String,
    /// Authorization and others; sensitive ones marked so, and then hidden from `Debug`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Shared by all links.
    pub tls: Arc<ClientConfig>,
}

/// What a link reports.
#[derive(Debug)]
pub enum News {
    /// The WebSocket stands.
    Opened,
    /// A text frame.
    Text(Utf8Bytes),
    /// It is gone, or never was.
    Ended {
        /// Why trying again would end the same way, if it would.
        refusal: Option<Refusal>,
        /// For the log.
        cause: LinkFault,
    },
}

type Connecting = Pin<Box<dyn Future<Output = Result<WebSocket, ConnectError>> + Send>>;

enum State {
    Closed,
    Connecting(Connecting),
    Open(Box<WebSocket>),
    /// To be reported by the next `next`.
    Failed {
        refusal: Option<Refusal>,
        cause: LinkFault,
    },
}

/// The link; closed at first.
pub struct RealtimeLink {
    endpoint: Arc<Endpoint>,
    state: State,
    /// Bytes of an append that is not complete.
    pending: Vec<u8>,
    /// Something may be waiting in the socket's queue.
    unflushed: bool,
    /// Frames appended since the socket stopped taking all of it. None: it does.
    blocked_frames: Option<u32>,
}

impl RealtimeLink {
    /// A link that is not open.
    pub fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, state: State::Closed, pending: Vec::new(), unflushed: false, blocked_frames: None }
    }

    /// Begins to open it; [`News::Opened`] or [`News::Ended`] follows.
    pub fn open(&mut self) {
        let endpoint = Arc::clone(&self.endpoint);
        self.pending.clear();
        self.blocked_frames = None;
        self.state = State::Connecting(Box::pin(async move {
            connect(&endpoint.url, &endpoint.headers, &endpoint.tls).await
        }));
    }

    /// Says goodbye, without waiting for an answer.
    pub fn close(&mut self) {
        if let State::Open(_) = self.state {
            self.send(Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })));
        }
        self.state = State::Closed;
    }

    /// Sends a text frame.
    pub fn push(&mut self, text: String) {
        self.send(Message::text(text));
    }

    /// Sends caller audio; a `complete` frame ends the append.
    pub fn append(&mut self, frame: &Frame, complete: bool) {
        if let (State::Open(_), Some(frames)) = (&self.state, &mut self.blocked_frames) {
            *frames += 1;
            if *frames > BLOCKED_FRAMES {
                self.lose(LinkFault::TooSlow);
            }
        }
        if complete && self.pending.is_empty() {
            self.push(client::append(frame.bytes()));
            return;
        }
        self.pending.extend_from_slice(frame.bytes());
        if complete {
            self.push(client::append(&self.pending));
            self.pending.clear();
            self.pending.shrink_to(1_024);
        }
    }

    /// The next thing that happens. While the link is closed, nothing does.
    pub async fn next(&mut self) -> News {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn send(&mut self, message: Message) {
        let State::Open(socket) = &mut self.state else { return };
        // `write` in the library queues what the socket does not take, up to its bound.
        match Pin::new(&mut **socket).start_send(message) {
            Ok(()) => self.unflushed = true,
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &Error) {
        self.lose(match error {
            Error::WriteBufferFull(_) => LinkFault::TooSlow,
            other => LinkFault::System(Detail::new(other)),
        });
    }

    fn lose(&mut self, cause: LinkFault) {
        self.state = State::Failed { refusal: None, cause };
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<News> {
        loop {
            match &mut self.state {
                State::Closed => return Poll::Pending,
                State::Failed { refusal, cause } => {
                    let news = News::Ended { refusal: *refusal, cause: cause.clone() };
                    self.state = State::Closed;
                    return Poll::Ready(news);
                }
                State::Connecting(connecting) => match std::task::ready!(connecting.as_mut().poll(cx)) {
                    Ok(socket) => {
                        self.state = State::Open(Box::new(socket));
                        return Poll::Ready(News::Opened);
                    }
                    Err(error) => self.state = unopened(&error),
                },
                State::Open(socket) => {
                    if self.unflushed {
                        match Pin::new(&mut **socket).poll_flush(cx) {
                            Poll::Ready(Ok(())) => (self.unflushed, self.blocked_frames) = (false, None),
                            Poll::Ready(Err(error)) => {
                                self.fail(&error);
                                continue;
                            }
                            Poll::Pending => {
                                self.blocked_frames.get_or_insert(0);
                            }
                        }
                    }
                    match std::task::ready!(Pin::new(&mut **socket).poll_next(cx)) {
                        Some(Ok(Message::Text(text))) => return Poll::Ready(News::Text(text)),
                        Some(Ok(Message::Close(frame))) => self.state = closed(frame.as_ref()),
                        // Binary frames are not part of the protocol; pings the library answers.
                        Some(Ok(_)) => self.unflushed = true,
                        Some(Err(error)) => self.fail(&error),
                        None => self.state = closed(None),
                    }
                }
            }
        }
    }
}

fn closed(frame: Option<&CloseFrame>) -> State {
    let Some(frame) = frame else {
        return State::Failed { refusal: None, cause: LinkFault::Broken };
    };
    let code = u16::from(frame.code);
    tracing::debug!(code, reason = %frame.reason, "closed by the model's server");
    State::Failed {
        refusal: Refusal::of_close(code, &frame.reason),
        cause: LinkFault::Closed { code, word: Code::new(&frame.reason) },
    }
}

fn unopened(error: &ConnectError) -> State {
    match error {
        ConnectError::Status { status, body } => {
            tracing::debug!(status, body, "the model's server refuses");
            let code = ApiError::of_body(body).complaint().code;
            let cause = LinkFault::Http { status: *status, code };
            State::Failed { refusal: Refusal::of_answer(*status, body), cause }
        }
        ConnectError::Timeout => {
            let seconds = CONNECT_TIMEOUT.as_secs();
            State::Failed { refusal: None, cause: LinkFault::Late { seconds } }
        }
        ConnectError::Address(_) => {
            State::Failed { refusal: Some(Refusal::Other), cause: LinkFault::System(Detail::new(error)) }
        }
        ConnectError::Certificate(_) => State::Failed {
            refusal: Some(Refusal::Certificate),
            cause: LinkFault::System(Detail::new(error)),
        },
        ConnectError::Network(_) | ConnectError::Closed | ConnectError::Protocol(_) => {
            State::Failed { refusal: None, cause: LinkFault::System(Detail::new(error)) }
        }
    }
}
