//! The fake Asterisk behind sockets: ARI over HTTP, its event WebSockets, one UDP socket per media leg, and
//! phones that call. This module adds only the clock and the sockets to [`Asterisk`].

mod exchange;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::exchange::Told;
use super::connection::{Connections, Door, Switch};
use crate::clock::{chance, now};
use crate::sim::asterisk::{Asterisk, CallerId, Fault, IncomingCall, Outcome, Settings, Stop};
use crate::sim::caller::Caller;

pub(in crate::sim::live) use self::exchange::{Exchange, FarEnd};
pub use self::exchange::{Seen, What};

/// The number of events that may wait for a slow reader. A real Asterisk cuts its socket at about this
/// number.
const EVENTS: usize = 1_200;
/// The number of events of far ends that may wait for whoever plays them: 20 calls at once send one packet per millisecond.
const FAR_ENDS: usize = 4_096;

/// A running fake Asterisk. Dropping the value ends it.
#[derive(Debug)]
pub struct AsteriskServer {
    address: SocketAddr,
    exchange: Arc<Exchange>,
    connections: Connections,
    _tasks: JoinSet<()>,
}

/// The state that the handlers share.
type Shared = State<Arc<Exchange>>;

impl AsteriskServer {
    /// Starts a server on a free port. With [`loopback_address`] as `media_address` its UDP ports are free
    /// too.
    ///
    /// # Errors
    /// Returns an error if no socket can be bound on loopback.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let (door, address, connections) = Door::open(None)?;
        let media_address = settings.media_address;
        let exchange = Exchange::new(Asterisk::new(now(), settings), media_address);
        let router = Router::new()
            .route("/ari/events", get(events))
            .fallback(request)
            .with_state(Arc::clone(&exchange))
            .into_make_service_with_connect_info::<Switch>();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(axum::serve(door, router).await) });
        tasks.spawn(exchange::drive(Arc::clone(&exchange)));
        Ok(Self { address, exchange, connections, _tasks: tasks })
    }

    /// The address of its HTTP server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Places a call. `phone` creates the caller's phone for this instant.
    pub fn call(&self, call: IncomingCall, phone: impl FnOnce(Instant) -> Caller) -> CallerId {
        self.exchange.with(|world, now| world.call(now, call, phone(now)))
    }

    /// From now on the receiver plays the far ends of the channels that the application asks for.
    pub(in crate::sim::live) fn far_ends(&self) -> (Arc<Exchange>, mpsc::Receiver<FarEnd>) {
        let (sender, receiver) = mpsc::channel(FAR_ENDS);
        self.exchange.with(|world, _| world.far_ends = Some(sender));
        (Arc::clone(&self.exchange), receiver)
    }

    /// The names of the recordings that Asterisk keeps.
    pub fn recordings(&self) -> Vec<String> {
        self.exchange.with(|world, _| world.asterisk.recordings().into_iter().map(str::to_owned).collect())
    }

    /// The caller hangs up, whatever their script says.
    pub fn hang_up(&self, call: CallerId) {
        self.exchange.with(|world, now| {
            world.asterisk.caller_hangs_up(now, call);
            world.release(now, call);
        });
    }

    /// The phone of this call transfers a customer with this number to the application. From then on the
    /// phone is the customer's.
    pub fn transfer(&self, call: CallerId, number: &str) {
        self.exchange.with(|world, now| world.asterisk.transfer(now, call, number));
    }

    /// Gives access to a caller's phone.
    pub fn phone<T>(&self, call: CallerId, look: impl FnOnce(&Caller) -> T) -> T {
        self.exchange.with(|world, _| look(&world.phones[call.0]))
    }

    /// Frees the memory of a phone whose call has ended: the audio that was said and heard.
    pub fn forget(&self, call: CallerId) {
        self.exchange.with(|world, now| world.forget(now, call));
    }

    /// What became of a call.
    pub fn outcome(&self, call: CallerId) -> Outcome {
        self.exchange.with(|world, _| world.asterisk.outcome(call).clone())
    }

    /// The ids of the existing channels.
    pub fn channels(&self) -> Vec<String> {
        self.exchange.with(|world, _| world.asterisk.channels())
    }

    /// The ids of the existing bridges.
    pub fn bridges(&self) -> Vec<String> {
        self.exchange.with(|world, _| world.asterisk.bridges())
    }

    /// Every request with its status, such as `POST /bridges 200`.
    pub fn journal(&self) -> Vec<(Instant, String)> {
        self.exchange.with(|world, _| world.asterisk.journal().to_vec())
    }

    /// The number of programs that are connected to the events.
    pub fn listeners(&self) -> usize {
        self.exchange.with(|world, _| world.listeners.len())
    }

    /// Makes the next request with this method and this text in its path fail.
    pub fn fail_next(&self, method: &str, path_contains: &str, fault: Fault) {
        self.exchange.with(|world, _| world.asterisk.fail_next(method, path_contains, fault));
    }

    /// Sets whether the ARI user may only read.
    pub fn set_read_only(&self, read_only: bool) {
        self.exchange.with(|world, _| world.asterisk.set_read_only(read_only));
    }

    /// For this time, requests whose path starts with `path` are neither carried out nor answered.
    pub fn hang(&self, path: &str, lasts: Duration) {
        self.exchange.with(|world, now| world.asterisk.hang(now, path, lasts));
    }

    /// Stops Asterisk. Its port stays in use, but requests are not answered.
    pub fn stop(&self, how: Stop) {
        self.exchange.with(|world, now| world.asterisk.stop(now, how));
        if how == Stop::Kill {
            self.connections.cut_all();
        }
    }

    /// Starts Asterisk again.
    pub fn start_again(&self) {
        self.exchange.with(|world, now| world.asterisk.start(now));
    }

    /// The network breaks: every event socket is cut while Asterisk keeps running.
    pub fn cut_events(&self) {
        self.exchange.with(|world, now| {
            for socket in world.listeners.keys().copied().collect::<Vec<_>>() {
                world.asterisk.cut(now, socket);
            }
        });
    }

    /// Sends this text on every event socket, whatever the text is.
    pub fn say(&self, text: &str) {
        self.exchange.with(|world, now| world.say_to_all(now, text));
    }

    /// Sends this datagram from every media leg to the application, whatever the datagram is.
    pub fn inject(&self, datagram: &[u8]) {
        self.exchange.with(|world, _| world.inject(datagram));
    }

    /// The addresses at which the application receives the audio of calls: the remote ends of the media legs
    /// that have sent.
    pub fn media_hosts(&self) -> Vec<SocketAddr> {
        self.exchange.with(|world, _| world.media_hosts())
    }

    /// The network loses the RTP to the application for which `loses` returns true. The argument of `loses`
    /// is the destination.
    pub fn lose_media(&self, loses: impl FnMut(SocketAddr) -> bool + Send + 'static) {
        self.exchange.with(|world, _| world.network.loses = Some(Box::new(loses)));
    }

    /// From now on RTP to the application comes from another address, as through a router. Returns that
    /// address.
    ///
    /// # Errors
    /// Returns the error of the system if the socket cannot be bound.
    pub fn route_media(&self) -> io::Result<SocketAddr> {
        let router = std::net::UdpSocket::bind((loopback_address(), 0))?;
        let address = router.local_addr()?;
        self.exchange.with(|world, _| world.network.router = Some(router));
        Ok(address)
    }

    /// The names of the applications, registered or remembered.
    pub fn applications(&self) -> Vec<String> {
        self.exchange.with(|world, _| world.asterisk.applications())
    }

    /// How much later than due each frame of the phones was sent since the previous call. The first call
    /// returns nothing. These delays show how late the fakes themselves are.
    pub fn delays(&self) -> Vec<Duration> {
        self.exchange.with(|world, _| world.delays.replace(Vec::new()).unwrap_or_default())
    }

    /// From now on every event is recorded for [`Self::seen`].
    pub fn watch(&self) {
        self.exchange.with(|world, _| world.seen = Some(Vec::new()));
    }

    /// The events since the previous call, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.exchange.with(|world, _| world.seen.as_mut().map(std::mem::take).unwrap_or_default())
    }
}

impl Drop for AsteriskServer {
    fn drop(&mut self) {
        self.connections.cut_all();
    }
}

/// An address of this machine on which very probably no other program has a socket: a random one of
/// 127.0.0.0/8, or 127.0.0.1 if the system knows no other.
pub fn loopback_address() -> IpAddr {
    let [a, b, c, ..] = chance().to_le_bytes();
    let address = IpAddr::V4(Ipv4Addr::new(127, a, b, c.clamp(1, 254)));
    match std::net::UdpSocket::bind((address, 0)) {
        Ok(_) => address,
        Err(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

/// Answers any request except the one for the events.
async fn request(
    State(exchange): Shared,
    ConnectInfo(switch): ConnectInfo<Switch>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let Some(path) = uri.path().strip_prefix("/ari") else { return StatusCode::NOT_FOUND.into_response() };
    let query = query(&uri);
    let response = exchange.with(|world, now| {
        let auth = authorization(&headers);
        let response = world.asterisk.request(now, auth, method.as_str(), path, &query, &body);
        let what =
            || What::Request { method: method.to_string(), path: path.to_owned(), query: query.clone() };
        world.note_with(now, || (what(), response.status));
        response
    });
    answer(response, &switch).await
}

/// Opens the event socket.
async fn events(
    State(exchange): Shared,
    ConnectInfo(switch): ConnectInfo<Switch>,
    upgrade: WebSocketUpgrade,
    uri: Uri,
    headers: HeaderMap,
) -> axum::response::Response {
    let (sender, orders) = mpsc::channel(EVENTS);
    let connected = exchange.with(|world, now| {
        let socket = world.asterisk.connect(now, authorization(&headers), &query(&uri))?;
        world.listeners.insert(socket, sender);
        world.note_with(now, || (What::Listening, 101));
        Ok(socket)
    });
    match connected {
        Ok(socket) => upgrade.write_buffer_size(0).on_upgrade(move |stream| async move {
            tell(stream, orders, &switch).await;
            exchange.with(|world, now| world.hang_up_listener(now, socket));
        }),
        Err(refused) => answer(refused, &switch).await,
    }
}

/// Sends events to one listener until either side ends the connection.
async fn tell(mut stream: WebSocket, mut orders: mpsc::Receiver<Told>, switch: &Switch) {
    loop {
        tokio::select! {
            told = orders.recv() => match told {
                Some(Told::Event(text)) => {
                    if stream.send(Message::Text(text.into())).await.is_err() {
                        return;
                    }
                }
                Some(Told::Close) => {
                    drop(stream.send(Message::Close(None)).await);
                    return;
                }
                Some(Told::Cut) | None => return switch.cut(),
            },
            // Asterisk ignores what it receives here; the library answers pings.
            message = stream.recv() => if !matches!(message, Some(Ok(_))) {
                return;
            },
        }
    }
}

async fn answer(response: crate::sim::asterisk::Response, switch: &Switch) -> axum::response::Response {
    if !response.delay.is_zero() {
        tokio::time::sleep(response.delay).await;
    }
    if response.lost {
        // The connection is cut, so the returned answer is never sent.
        switch.cut();
    }
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (kind, body) = match response.sound {
        Some(sound) => ("audio/basic", sound.into()),
        None => ("application/json", response.body.into()),
    };
    let built = Response::builder().status(status).header(header::CONTENT_TYPE, kind).body(body);
    built.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn query(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default()
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()
}
