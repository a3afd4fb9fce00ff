//! The fake Asterisk, the phones and the media sockets under one lock, and the task that lets time pass for
//! them.
//!
//! A thousand calls are a thousand phones with a frame due every 20 ms. Their next instants are in one
//! ordered set, and one timer serves them all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep_until;

use crate::clock::now;
use crate::sim::asterisk::{Asterisk, CallerId, Emit, Ending, IncomingCall, SocketId};
use crate::sim::caller::{Caller, Doing};

/// Something that happened, for a watcher.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The instant.
    pub at: Instant,
    /// The event.
    pub what: What,
    /// The status of a request; 0 for everything else.
    pub status: u16,
}

/// What can happen at Asterisk.
#[derive(Debug, Clone)]
pub enum What {
    /// A program connected to the events.
    Listening,
    /// A request to ARI.
    Request {
        /// The HTTP method.
        method: String,
        /// The path below `/ari`.
        path: String,
        /// The parameters.
        query: Vec<(String, String)>,
    },
    /// An event, as JSON.
    Event(String),
    /// A call arrived.
    Calling(CallerId),
    /// A call was answered.
    Answered(CallerId),
    /// The caller hung up.
    HungUp(CallerId),
    /// A call ended for the phone.
    Released(CallerId, Ending),
}

/// An order for the task of a listener.
#[derive(Debug)]
pub(super) enum Told {
    Event(String),
    Close,
    Cut,
}

/// What happens to the far ends of channels that the application has asked for.
#[derive(Debug)]
pub(in crate::sim::live) enum FarEnd {
    /// A far end rings.
    Dialled { channel: String, headers: Vec<(String, String)> },
    /// It gets a packet of the caller's sound.
    Hears { channel: String, datagram: Vec<u8> },
    /// It gets a key that the caller has pressed.
    Key { channel: String, digit: char },
    /// The caller does not hear it any more.
    Alone { channel: String },
    /// Its channel is gone.
    Released { channel: String },
}

/// The world under its lock.
#[derive(Debug)]
pub(in crate::sim::live) struct Exchange {
    world: Mutex<World>,
    /// Wakes the driver before its deadline.
    earlier: Notify,
}

/// Everything that the lock protects.
#[derive(Debug)]
pub(in crate::sim::live) struct World {
    pub(in crate::sim::live) asterisk: Asterisk,
    /// Who plays the far ends. None: nobody does, and they ring.
    pub(super) far_ends: Option<mpsc::Sender<FarEnd>>,
    /// The phones, in the order of their [`CallerId`]s.
    pub(super) phones: Vec<Caller>,
    pub(super) listeners: BTreeMap<SocketId, mpsc::Sender<Told>>,
    pub(super) seen: Option<Vec<Seen>>,
    /// The instants at which phones are due, soonest first.
    due: BTreeSet<(Instant, usize)>,
    /// The instant under which each phone is in `due`.
    due_of: Vec<Option<Instant>>,
    legs: HashMap<u16, Leg>,
    media_address: IpAddr,
    pub(super) network: Network,
    readers: JoinSet<()>,
    /// A weak reference for the readers, which must not keep the exchange alive.
    myself: Weak<Exchange>,
    /// When the driver wakes next.
    wakes: Option<Instant>,
    /// How much later than due each frame of a phone was sent. None: nobody asked.
    pub(super) delays: Option<Vec<Duration>>,
}

/// What happens to RTP on its way to the application.
#[derive(Default)]
pub(super) struct Network {
    pub(super) loses: Option<Box<dyn FnMut(SocketAddr) -> bool + Send>>,
    /// The socket through which the packets of the media legs are sent, as through a router. None: they are
    /// sent from the legs' own sockets.
    pub(super) router: Option<std::net::UdpSocket>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

/// The socket of a media leg.
#[derive(Debug)]
struct Leg {
    socket: Arc<UdpSocket>,
    reader: AbortHandle,
    host: Option<SocketAddr>,
}

/// Lets time pass until the server is gone.
pub(super) async fn drive(exchange: Arc<Exchange>) {
    loop {
        let deadline = {
            let mut world = exchange.lock();
            let now = now();
            world.advance(now);
            world.settle(now);
            world.wakes = world.deadline();
            world.wakes
        };
        match deadline {
            Some(deadline) => tokio::select! {
                () = sleep_until(deadline.into()) => {}
                () = exchange.earlier.notified() => {}
            },
            None => exchange.earlier.notified().await,
        }
    }
}

/// Reads the socket of one media leg.
async fn read(socket: Arc<UdpSocket>, port: u16, exchange: Weak<Exchange>) {
    let mut datagram = [0; 2_048];
    loop {
        // An error is an ICMP answer to a packet that was sent, and is ignored.
        let Ok((length, from)) = socket.recv_from(&mut datagram).await else { continue };
        let Some(exchange) = exchange.upgrade() else { return };
        exchange.with(|world, now| world.asterisk.media_datagram(now, port, from, &datagram[..length]));
    }
}

impl Exchange {
    pub(super) fn new(asterisk: Asterisk, media_address: IpAddr) -> Arc<Self> {
        Arc::new_cyclic(|myself| Self {
            world: Mutex::new(World {
                asterisk,
                far_ends: None,
                phones: Vec::new(),
                listeners: BTreeMap::new(),
                seen: None,
                due: BTreeSet::new(),
                due_of: Vec::new(),
                legs: HashMap::new(),
                media_address,
                network: Network::default(),
                readers: JoinSet::new(),
                myself: myself.clone(),
                wakes: None,
                delays: None,
            }),
            earlier: Notify::new(),
        })
    }

    /// Changes the world and carries out everything that follows.
    pub(in crate::sim::live) fn with<T>(&self, act: impl FnOnce(&mut World, Instant) -> T) -> T {
        let mut world = self.lock();
        let now = now();
        let result = act(&mut world, now);
        world.settle(now);
        let earlier = match (world.deadline(), world.wakes) {
            (Some(deadline), Some(wakes)) => deadline < wakes,
            (deadline, _) => deadline.is_some(),
        };
        drop(world);
        if earlier {
            self.earlier.notify_one();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // The lock stays usable after a panic, so that the panic of a test's closure is not hidden by another
        // one.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    pub(super) fn call(&mut self, now: Instant, call: IncomingCall, phone: Caller) -> CallerId {
        let id = self.asterisk.incoming_call(now, call);
        debug_assert_eq!(id.0, self.phones.len(), "callers are numbered in order");
        self.phones.push(phone);
        self.due_of.push(None);
        self.note(now, || What::Calling(id));
        id
    }

    /// Ends the call for the phone.
    pub(super) fn release(&mut self, now: Instant, call: CallerId) {
        self.note(now, || What::HungUp(call));
        self.phones[call.0].released(now);
        self.phone_acts(now, call);
    }

    pub(super) fn forget(&mut self, now: Instant, call: CallerId) {
        let mut nobody = Caller::new(now, Vec::new(), 0).statistics_only();
        nobody.released(now);
        self.phones[call.0] = nobody;
        self.phone_acts(now, call);
    }

    pub(super) fn note(&mut self, at: Instant, what: impl FnOnce() -> What) {
        self.note_with(at, || (what(), 0));
    }

    pub(super) fn note_with(&mut self, at: Instant, what: impl FnOnce() -> (What, u16)) {
        if let Some(seen) = &mut self.seen {
            let (what, status) = what();
            seen.push(Seen { at, what, status });
        }
    }

    /// A listener closed the connection.
    pub(super) fn hang_up_listener(&mut self, now: Instant, socket: SocketId) {
        self.listeners.remove(&socket);
        self.asterisk.disconnect(now, socket);
    }

    pub(super) fn say_to_all(&mut self, now: Instant, text: &str) {
        for socket in self.listeners.keys().copied().collect::<Vec<_>>() {
            self.tell(now, socket, Told::Event(text.to_owned()));
        }
    }

    pub(super) fn inject(&self, datagram: &[u8]) {
        for leg in self.legs.values() {
            if let Some(host) = leg.host {
                drop(leg.socket.try_send_to(datagram, host));
            }
        }
    }

    pub(super) fn media_hosts(&self) -> Vec<SocketAddr> {
        self.legs.values().filter_map(|leg| leg.host).collect()
    }

    /// Lets time pass for the phones that are due, and for Asterisk.
    fn advance(&mut self, now: Instant) {
        self.asterisk.advance(now);
        while let Some(&(due, phone)) = self.due.first().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, phone));
            self.due_of[phone] = None;
            if let Some(delays) = &mut self.delays {
                delays.push(now - due);
            }
            self.phones[phone].advance(now);
            self.phone_acts(now, CallerId(phone));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let phones = self.due.first().map(|(due, _)| *due);
        [phones, self.asterisk.deadline()].into_iter().flatten().min()
    }

    /// Carries out what the fake Asterisk requests until nothing is left.
    fn settle(&mut self, now: Instant) {
        while let Some(emit) = self.asterisk.poll() {
            match emit {
                Emit::Event { socket, text } => {
                    self.note(now, || What::Event(text.clone()));
                    self.tell(now, socket, Told::Event(text));
                }
                Emit::SocketClosed { socket, close_frame } => {
                    let told = if close_frame { Told::Close } else { Told::Cut };
                    self.tell(now, socket, told);
                    self.listeners.remove(&socket);
                }
                Emit::Media { from_port, to, datagram } => {
                    if let Some(leg) = self.legs.get_mut(&from_port) {
                        leg.host = Some(to);
                        if self.network.loses.as_mut().is_some_and(|loses| loses(to)) {
                            continue;
                        }
                        // A full buffer loses a packet, as a network does.
                        drop(match &self.network.router {
                            Some(router) => router.send_to(&datagram, to),
                            None => leg.socket.try_send_to(&datagram, to),
                        });
                    }
                }
                Emit::ToCaller { call, datagram } => {
                    self.phones[call.0].hear(now, &datagram);
                    self.phone_acts(now, call);
                }
                Emit::CallerAnswered { call } => {
                    self.note(now, || What::Answered(call));
                    self.phones[call.0].answered(now);
                    self.phone_acts(now, call);
                }
                Emit::CallerReleased { call, how } => {
                    self.note(now, || What::Released(call, how));
                    self.phones[call.0].released(now);
                    self.phone_acts(now, call);
                }
                Emit::Dialled { channel, headers } => self.far_end(FarEnd::Dialled { channel, headers }),
                Emit::ToFarEnd { channel, datagram } => self.far_end(FarEnd::Hears { channel, datagram }),
                Emit::KeyToFarEnd { channel, digit } => self.far_end(FarEnd::Key { channel, digit }),
                Emit::FarEndAlone { channel } => self.far_end(FarEnd::Alone { channel }),
                Emit::FarEndReleased { channel } => self.far_end(FarEnd::Released { channel }),
                Emit::OpenPort(port) => self.open(port),
                Emit::ClosePort(port) => {
                    if let Some(leg) = self.legs.remove(&port) {
                        leg.reader.abort();
                    }
                }
            }
        }
    }

    /// Carries out what a phone requests, and records when the phone is due next.
    fn phone_acts(&mut self, now: Instant, call: CallerId) {
        while let Some(doing) = self.phones[call.0].poll() {
            match doing {
                Doing::Send(datagram) => self.asterisk.caller_datagram(now, call, &datagram),
                Doing::Hold(on) => self.asterisk.hold(now, call, on),
                Doing::HangUp => {
                    self.note(now, || What::HungUp(call));
                    self.asterisk.caller_hangs_up(now, call);
                }
            }
        }
        let due = self.phones[call.0].deadline();
        let stands = &mut self.due_of[call.0];
        if *stands != due {
            if let Some(before) = *stands {
                self.due.remove(&(before, call.0));
            }
            self.due.extend(due.map(|due| (due, call.0)));
            *stands = due;
        }
    }

    /// Tells whoever plays the far ends. A full channel loses what is told, as a network does.
    fn far_end(&self, what: FarEnd) {
        if let Some(far_ends) = &self.far_ends {
            drop(far_ends.try_send(what));
        }
    }

    fn tell(&mut self, now: Instant, socket: SocketId, told: Told) {
        if self.listeners.get(&socket).is_some_and(|listener| listener.try_send(told).is_err()) {
            // Asterisk cuts a listener that does not keep up. The task of the listener does so when its
            // sender is dropped.
            self.listeners.remove(&socket);
            self.asterisk.disconnect(now, socket);
        }
    }

    fn open(&mut self, port: u16) {
        while self.readers.try_join_next().is_some() {}
        let bound = std::net::UdpSocket::bind((self.media_address, port))
            .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
            .and_then(UdpSocket::from_std);
        match bound {
            Ok(socket) => {
                let socket = Arc::new(socket);
                let reader = self.readers.spawn(read(Arc::clone(&socket), port, self.myself.clone()));
                self.legs.insert(port, Leg { socket, reader, host: None });
            }
            Err(error) => {
                tracing::error!(address = %self.media_address, port, %error, "a media leg without a socket");
            }
        }
    }
}
