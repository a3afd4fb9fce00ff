//! One WebSocket connection to OpenAI's Realtime server.
//!
//! `push` and `append` never wait: they write what the socket accepts and queue the rest within a bound.
//! Beyond the bound the link fails. `next` sends the queued data and then reads; dropping its future loses no
//! data. The link does not interpret the text frames.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{Sink as _, Stream as _};
use rustls::ClientConfig;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Utf8Bytes};
use tracing::{Instrument as _, Span};

use super::websocket::{CONNECT_TIMEOUT, ConnectError, WebSocket, connect};
use crate::media::Frame;
use crate::operator::{Code, Detail, LinkFault};
use crate::realtime::client;
use crate::realtime::error::{ApiError, Refusal};

/// The link fails after this many frames of caller audio while the socket does not accept all data: 100
/// frames are 2 s. A larger value keeps a call waiting for a stalled server; a smaller value ends the session
/// after a short interruption. The queued bytes are no measure, because TLS has a buffer of its own.
const BLOCKED_FRAMES: u32 = 100;

/// The address of the Realtime server and the credentials.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The address: `wss://…/v1/realtime?model=…`.
    pub url: String,
    /// The headers, among them the authorization. Sensitive headers are marked as such, so that `Debug` hides
    /// them.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The TLS configuration, which all links share.
    pub tls: Arc<ClientConfig>,
}

/// A report of the link.
#[derive(Debug)]
pub enum SessionReport {
    /// The WebSocket is open.
    Opened,
    /// A text frame.
    Text(Utf8Bytes),
    /// The connection ended or could not be opened.
    Ended {
        /// Why a new attempt would fail in the same way. None: a new attempt may succeed.
        refusal: Option<Refusal>,
        /// The cause for the log.
        cause: LinkFault,
    },
}

type Connecting = Pin<Box<dyn Future<Output = Result<WebSocket, ConnectError>> + Send>>;

enum State {
    Closed,
    Connecting(Connecting),
    Open(Box<WebSocket>),
    /// The failure that the next call of `next` reports.
    Failed {
        refusal: Option<Refusal>,
        cause: LinkFault,
    },
}

/// The link, which is closed at first.
pub struct RealtimeLink {
    endpoint: Arc<Endpoint>,
    /// The span of the link's lines in the log.
    span: Span,
    state: State,
    /// The bytes of an append that is not yet complete.
    pending: Vec<u8>,
    /// Whether data may be waiting in the queue of the socket.
    unflushed: bool,
    /// The number of frames appended since the socket stopped accepting all data. None: the socket accepts
    /// all data.
    blocked_frames: Option<u32>,
}

impl RealtimeLink {
    /// Creates a link that is closed.
    pub fn new(endpoint: Arc<Endpoint>) -> Self {
        Self {
            endpoint,
            span: Span::none(),
            state: State::Closed,
            pending: Vec::new(),
            unflushed: false,
            blocked_frames: None,
        }
    }

    /// Starts to open the connection. [`SessionReport::Opened`] or [`SessionReport::Ended`] follows. The link's lines in the log
    /// are within the current span.
    pub fn open(&mut self) {
        self.span = Span::current();
        let endpoint = Arc::clone(&self.endpoint);
        self.pending.clear();
        self.blocked_frames = None;
        let connecting = async move { connect(&endpoint.url, &endpoint.headers, &endpoint.tls).await };
        self.state = State::Connecting(Box::pin(connecting.in_current_span()));
    }

    /// Sends a close frame and closes the link without waiting for an answer.
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

    /// Adds caller audio to the current append. `complete` sends the append.
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

    /// Waits for the next report. A closed link reports nothing.
    pub async fn next(&mut self) -> SessionReport {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn send(&mut self, message: Message) {
        let State::Open(socket) = &mut self.state else { return };
        // The library queues what the socket does not accept, up to the bound of the queue.
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

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<SessionReport> {
        loop {
            match &mut self.state {
                State::Closed => return Poll::Pending,
                State::Failed { refusal, cause } => {
                    let news = SessionReport::Ended { refusal: *refusal, cause: cause.clone() };
                    self.state = State::Closed;
                    return Poll::Ready(news);
                }
                State::Connecting(connecting) => match std::task::ready!(connecting.as_mut().poll(cx)) {
                    Ok(socket) => {
                        self.state = State::Open(Box::new(socket));
                        return Poll::Ready(SessionReport::Opened);
                    }
                    Err(error) => self.state = self.span.in_scope(|| unopened(&error)),
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
                        Some(Ok(Message::Text(text))) => return Poll::Ready(SessionReport::Text(text)),
                        Some(Ok(Message::Close(frame))) => {
                            self.state = self.span.in_scope(|| closed(frame.as_ref()));
                        }
                        // The protocol has no binary frames, and the library answers pings.
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
