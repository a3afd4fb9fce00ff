//! Opens a client WebSocket: name resolution, TCP, TLS if required, and the upgrade, all within one time
//! limit.
//!
//! The buffers are small, because the library's default of 128 KiB per socket would need 128 MB for a
//! thousand calls. Compression is never offered. Redirects are not followed, because they could carry a key
//! to another host.

use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri, header::HeaderName};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, http};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// The time limit for opening a WebSocket. A larger value keeps a caller waiting for a dead server; a smaller
/// value gives up on a slow network.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The size of the read buffer in bytes. Most messages fit, and a larger message enlarges the buffer. A
/// larger value needs more memory per call; a smaller value enlarges the buffer more often.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// The largest number of unsent bytes that the library queues. The queue holds the caller's audio from before
/// the session was ready (2 s, 21 kB) and the audio that follows meanwhile. A larger value needs more memory
/// per call; a smaller value ends the session when that audio is sent. A stalled server is detected earlier,
/// by counting audio frames (`realtime_link`).
const WRITE_BACKLOG_BYTES: usize = 32 * 1024;
/// The size of the kernel's send buffer in bytes. The kernel's larger default would hide a stalled peer for a
/// minute; a smaller value blocks the socket sooner.
const SEND_BUFFER_BYTES: usize = 16 * 1024;
/// The largest message that is accepted, in bytes. The largest audio deltas have about 100 kB, the events of Asterisk a few
/// kB. A larger value allows a faulty server to use more memory; a smaller value may end the session at a long message, such as a
/// `session.updated` that repeats very long instructions.
const MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// A byte stream: TCP or TLS.
pub trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// An open WebSocket.
pub type WebSocket = WebSocketStream<Pin<Box<dyn Duplex>>>;

/// Why a WebSocket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is invalid.
    #[error("bad address: {0}")]
    Address(String),
    /// The TCP or TLS connection failed: the host is unknown, refuses the connection or cannot be reached.
    #[error("{0}")]
    Network(#[from] std::io::Error),
    /// The server answered the upgrade with another HTTP status.
    #[error("HTTP {status}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The part of the body that arrived together with the status, often all of it.
        body: String,
    },
    /// The certificate of the server is not trusted.
    #[error("invalid peer certificate: {0}")]
    Certificate(String),
    /// The server accepted the connection and closed it without an answer.
    #[error("connection closed without an answer")]
    Closed,
    /// The upgrade failed for another reason.
    #[error("{0}")]
    Protocol(String),
    /// The WebSocket was not open within the time limit.
    #[error("no answer within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout,
}

/// Opens a WebSocket to `url` (`ws://` or `wss://`) with these additional headers.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(
    url: &str,
    headers: &[(HeaderName, HeaderValue)],
    tls: &Arc<ClientConfig>,
) -> Result<WebSocket, ConnectError> {
    tokio::time::timeout(CONNECT_TIMEOUT, open(url, headers, tls)).await.unwrap_or(Err(ConnectError::Timeout))
}

async fn open(
    url: &str,
    headers: &[(HeaderName, HeaderValue)],
    tls: &Arc<ClientConfig>,
) -> Result<WebSocket, ConnectError> {
    let uri: Uri =
        url.parse().map_err(|error: http::uri::InvalidUri| ConnectError::Address(error.to_string()))?;
    let secure = uri.scheme_str() == Some("wss");
    let host = uri.host().ok_or_else(|| ConnectError::Address("no host".into()))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let mut request = uri.into_client_request().map_err(|error| ConnectError::Address(error.to_string()))?;
    for (name, value) in headers {
        request.headers_mut().insert(name, value.clone());
    }
    let tcp = TcpStream::connect((host.as_str(), port)).await?;
    tcp.set_nodelay(true)?;
    socket2::SockRef::from(&tcp).set_send_buffer_size(SEND_BUFFER_BYTES)?;
    let stream: Pin<Box<dyn Duplex>> = if secure {
        let name = ServerName::try_from(host).map_err(|error| ConnectError::Address(error.to_string()))?;
        Box::pin(TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await.map_err(untrusted)?)
    } else {
        Box::pin(tcp)
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BACKLOG_BYTES)
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            Err(ConnectError::Status { status: response.status().as_u16(), body: body.into_owned() })
        }
        Err(Error::Protocol(ProtocolError::HandshakeIncomplete)) => Err(ConnectError::Closed),
        Err(Error::Io(error)) if matches!(error.kind(), ConnectionReset | UnexpectedEof | BrokenPipe) => {
            Err(ConnectError::Closed)
        }
        Err(Error::Io(error)) => Err(ConnectError::Network(error)),
        Err(error) => Err(ConnectError::Protocol(error.to_string())),
    }
}

/// Classifies an error of the TLS handshake.
fn untrusted(error: std::io::Error) -> ConnectError {
    match error.get_ref().and_then(|cause| cause.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(cause)) => ConnectError::Certificate(cause.to_string()),
        _ => ConnectError::Network(error),
    }
}
