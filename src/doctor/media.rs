//! Sends audio through Asterisk in both directions and counts what arrives. The measurement creates two
//! ExternalMedia channels in one bridge, each with a socket of the doctor at its end, as the channel of a
//! call has one.
//!
//! ```text
//!  socket ══ RTP ══ ExternalMedia ── bridge ── ExternalMedia ══ RTP ══ socket
//! ```
//! The channels belong to a separate application, so that a running daemon keeps its events. The doctor
//! deletes everything that it created, whatever happens.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use ipnet::IpNet;
use rustls::ClientConfig;
use tokio::net::UdpSocket;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

use super::facts::{Media, MediaFault, Step, Tally};
use super::tally::Direction;
use crate::ari::event::{self, Event};
use crate::ari::lists::Application;
use crate::ari::request::{Reply, Request, media_address};
use crate::ari::{BridgeId, ChannelId, OUR_PREFIX};
use crate::clock::{chance, now};
use crate::config::{AsteriskConfig, MediaConfig};
use crate::media::rtp::{Packet, Stream};
use crate::media::{FRAME_BYTES, FRAME_DURATION, Frame};
use crate::net::ari_rest::AriRest;
use crate::net::rtp_socket;
use crate::net::websocket::{WebSocket, connect};
use crate::operator::Detail;
use crate::peers::{ari_headers, events_url, media_networks};

/// The time limit of the measurement without the deletion. A healthy Asterisk needs 0.2 s and the audio needs
/// [`SOUND`]; the rest allows a slow machine to be told from an Asterisk that does not answer.
const LIMIT: Duration = Duration::from_secs(10);
/// The number of packets in each direction. A larger value measures small losses more exactly and takes
/// longer; a smaller value does the opposite.
const PACKETS: usize = 75;
/// The time that sending the packets takes.
const SOUND: Duration = FRAME_DURATION.saturating_mul(PACKETS as u32 + 1);
/// The time to wait for the last packets. A larger value makes the command slower; a smaller value counts
/// slow packets as lost.
const LATE: Duration = Duration::from_millis(300);
/// The time limit of the deletion.
const DELETION: Duration = Duration::from_secs(2);
/// The time limit of closing the WebSocket. With a shorter one, a machine that stands still for a moment leaves an application
/// in Asterisk's list; with a longer one, the command waits longer for an Asterisk that does not answer.
const GOODBYE: Duration = Duration::from_secs(2);
/// The pause between two questions whether the application is empty. With a longer one the command takes longer; with a
/// shorter one, it asks Asterisk more often than its list changes.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The length of the mark at the start of the payload, in bytes: the run, the leg that sent the packet and
/// the number of the packet.
const MARK_BYTES: usize = 11;

/// The objects in Asterisk that must be deleted again.
struct Made {
    /// The application of the events.
    app: String,
    events: Option<WebSocket>,
    channels: Vec<ChannelId>,
    bridge: Option<BridgeId>,
}

/// One of the two channels with its socket.
struct Leg {
    socket: UdpSocket,
    asterisk: SocketAddr,
    stream: Stream,
}

/// Runs the measurement until it is complete or `stop` ends it.
pub(super) async fn measure(
    rest: &AriRest,
    asterisk: &AsteriskConfig,
    media: &MediaConfig,
    tls: &Arc<ClientConfig>,
    stop: impl Future<Output = ()>,
) -> Media {
    let mut facts = Media {
        local_ip: media.local_ip,
        ports: media.ports.clone(),
        asterisk: Vec::new(),
        outcome: Err(MediaFault::NoAri),
        elsewhere: None,
        trust: media.trust,
        left: Vec::new(),
    };
    let sockets = match sockets(media) {
        Ok(sockets) => sockets,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            facts.outcome = Err(MediaFault::NoPort);
            return facts;
        }
        Err(error) => {
            let instead = route_to(asterisk).await;
            facts.outcome = Err(MediaFault::NotOurs { cause: Detail::new(error), instead });
            return facts;
        }
    };
    let app = format!("{}-doctor-{}", asterisk.app, std::process::id());
    let mut made = Made { app, events: None, channels: Vec::new(), bridge: None };
    let mut step = Step::Events;
    let trial = Trial {
        rest,
        asterisk,
        media,
        tls,
        made: &mut made,
        step: &mut step,
        ends: &mut facts.asterisk,
        elsewhere: &mut facts.elsewhere,
    };
    facts.outcome = tokio::select! {
        measured = timeout(LIMIT, trial.run(sockets)) => measured.unwrap_or(Err(MediaFault::Stalled(step))),
        () = stop => Err(MediaFault::Stalled(step)),
    };
    facts.left = made.delete(rest).await;
    facts
}

/// Binds two even ports from the end of the range, because the daemon starts at its beginning.
fn sockets(media: &MediaConfig) -> io::Result<[UdpSocket; 2]> {
    let mut free = Vec::new();
    for port in media.ports.clone().rev().filter(|port| port % 2 == 0) {
        match rtp_socket::bind(SocketAddr::new(media.local_ip, port)).and_then(UdpSocket::from_std) {
            Ok(socket) => free.push(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
        free = match <[UdpSocket; 2]>::try_from(free) {
            Ok(both) => return Ok(both),
            Err(fewer) => fewer,
        };
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// The local address of the route to Asterisk. No packet is sent.
async fn route_to(asterisk: &AsteriskConfig) -> Option<IpAddr> {
    let resolved = tokio::net::lookup_host((asterisk.host.as_str(), asterisk.port));
    let address = timeout(DELETION, resolved).await.ok()?.ok()?.next()?;
    let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(address).await.ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// One measurement.
struct Trial<'a> {
    rest: &'a AriRest,
    asterisk: &'a AsteriskConfig,
    media: &'a MediaConfig,
    tls: &'a Arc<ClientConfig>,
    made: &'a mut Made,
    step: &'a mut Step,
    ends: &'a mut Vec<SocketAddr>,
    elsewhere: &'a mut Option<(SocketAddr, SocketAddr)>,
}

impl Trial<'_> {
    async fn run(self, sockets: [UdpSocket; 2]) -> Result<[Tally; 2], MediaFault> {
        let pid = std::process::id();
        let app = self.made.app.clone();
        let id = |name: &str| format!("{OUR_PREFIX}doctor-{pid}-{name}");
        let headers = ari_headers(self.asterisk).map_err(|error| MediaFault::Events(Detail::new(error)))?;
        let events = connect(&events_url(self.asterisk, &app), &headers, self.tls).await;
        let events = self.made.events.insert(events.map_err(|error| MediaFault::Events(Detail::new(error)))?);
        match self.rest.perform(&Request::Application(app.clone())).await {
            Reply::Refused { status: 404, .. } => return Err(MediaFault::Unregistered),
            other => done(other, Step::Events)?,
        };

        *self.step = Step::Channels;
        let channels = [ChannelId::from(&*id("a")), ChannelId::from(&*id("b"))];
        self.made.channels = channels.to_vec();
        let asked = sockets.iter().zip(&channels).map(async |(socket, channel)| {
            let local = socket
                .local_addr()
                .map_err(|error| MediaFault::NotOurs { cause: Detail::new(error), instead: None })?;
            let host = SocketAddr::new(self.media.advertised_ip(), local.port());
            let request = Request::ExternalMedia { app: app.clone(), channel: channel.clone(), host };
            let body = done(self.rest.perform(&request).await, Step::Channels)?;
            media_address(&body).ok_or(MediaFault::Refused {
                step: Step::Channels,
                status: 200,
                message: Detail::new("no UNICASTRTP_LOCAL_PORT"),
            })
        });
        let answers = join_all(asked).await;
        let made = channels.iter().zip(&answers).filter(|(_, answer)| may_exist(answer));
        self.made.channels = made.map(|(channel, _)| channel.clone()).collect();
        let own = media_networks::own(self.asterisk, self.media).await;
        let networks = media_networks::all(own.as_deref(), self.media);
        let mut bench = Bench::new(legs(sockets, answers, networks.as_deref(), self.ends)?);

        *self.step = Step::Stasis;
        bench.until(entered(events, &channels)).await?;
        *self.step = Step::Bridge;
        let bridge = BridgeId::from(&*id("bridge"));
        self.made.bridge = Some(bridge.clone());
        let request = Request::CreateBridge { bridge: bridge.clone() };
        let created = done(bench.until(self.rest.perform(&request)).await, Step::Bridge);
        if !may_exist(&created) {
            self.made.bridge = None;
        }
        created?;
        let join = Request::AddChannels { bridge, channels };
        done(bench.until(self.rest.perform(&join)).await, Step::Bridge)?;

        *self.step = Step::Sound;
        bench.measure().await;
        *self.elsewhere = bench.elsewhere;
        bench.outcome(networks.as_deref())
    }
}

/// Whether calls neither send sound to this address nor take sound from it.
fn is_foreign(networks: Option<&[IpNet]>, address: IpAddr) -> bool {
    networks.is_some_and(|all| !all.iter().any(|network| network.contains(&address)))
}

/// Pairs each socket with the media address that Asterisk has named for its channel, if calls may send there. The addresses
/// go into `ends` also when one of them is refused.
fn legs(
    sockets: [UdpSocket; 2],
    answers: Vec<Result<SocketAddr, MediaFault>>,
    networks: Option<&[IpNet]>,
    ends: &mut Vec<SocketAddr>,
) -> Result<Vec<Leg>, MediaFault> {
    let mut legs = Vec::new();
    for (socket, end) in sockets.into_iter().zip(answers) {
        let (end, random) = (end?, chance());
        ends.push(end);
        if is_foreign(networks, end.ip()) {
            return Err(MediaFault::ForeignAddress(end.ip()));
        }
        let stream = Stream::new(random as u32, (random >> 32) as u16, (random >> 16) as u32);
        legs.push(Leg { socket, asterisk: end, stream });
    }
    Ok(legs)
}

/// The body of the reply, or the fault.
fn done(reply: Reply, step: Step) -> Result<String, MediaFault> {
    match reply {
        Reply::Done(body) => Ok(body),
        Reply::Refused { status, message } => {
            Err(MediaFault::Refused { step, status, message: Detail::of_asterisk(&message) })
        }
        Reply::Lost(_) => Err(MediaFault::Stalled(step)),
    }
}

/// Whether the object may exist after this answer to the request for its creation. With a status 4xx Asterisk has
/// created nothing; with another failure it may have.
const fn may_exist<T>(answer: &Result<T, MediaFault>) -> bool {
    !matches!(answer, Err(MediaFault::Refused { status: 400..500, .. }))
}

/// Waits until all of these channels are in the application. Before that, Asterisk refuses to put them into a
/// bridge.
async fn entered(events: &mut WebSocket, channels: &[ChannelId]) -> Result<(), MediaFault> {
    let mut missing = channels.to_vec();
    while !missing.is_empty() {
        let message = match events.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(MediaFault::Events(Detail::new(error))),
            None => return Err(MediaFault::Events(Detail::new("connection closed"))),
        };
        let event = message.to_text().ok().and_then(|text| event::parse(text).ok());
        if let Some(Event::StasisStart(channel)) = event {
            missing.retain(|id| *id != channel.id);
        }
    }
    Ok(())
}

/// Both legs. Each leg sends a packet every 20 ms and records what arrives.
struct Bench {
    legs: Vec<Leg>,
    /// The directions, indexed by the sending leg.
    directions: [Direction; 2],
    /// The number of marked packets that are left. After them each leg sends silence, because Asterisk 16
    /// waits in `addChannel` for a channel without traffic.
    probes_left: usize,
    run: [u8; 8],
    clock: Interval,
    /// The address from which a packet should have come, and the address from which it came instead.
    elsewhere: Option<(SocketAddr, SocketAddr)>,
}

impl Bench {
    fn new(legs: Vec<Leg>) -> Self {
        let mut clock = interval(FRAME_DURATION);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let directions = [Direction::default(), Direction::default()];
        Self { legs, directions, probes_left: 0, run: chance().to_le_bytes(), clock, elsewhere: None }
    }

    /// Sends the marked packets, and waits for the late ones.
    async fn measure(&mut self) {
        self.probes_left = PACKETS;
        self.until(sleep(SOUND)).await;
        self.probes_left = 0;
        self.until(sleep(LATE)).await;
    }

    /// What has arrived of both directions, unless calls would not take it.
    fn outcome(&self, networks: Option<&[IpNet]>) -> Result<[Tally; 2], MediaFault> {
        match self.elsewhere {
            Some((named, source)) if is_foreign(networks, source.ip()) => {
                Err(MediaFault::ForeignSource { named, source })
            }
            _ => Ok([self.directions[0].tally(), self.directions[1].tally()]),
        }
    }

    /// Sends and records until `task` is done.
    async fn until<T>(&mut self, task: impl Future<Output = T>) -> T {
        tokio::pin!(task);
        let (mut one, mut other) = ([0; 2_048], [0; 2_048]);
        loop {
            tokio::select! {
                result = &mut task => return result,
                _ = self.clock.tick() => self.send(),
                Ok((bytes, source)) = self.legs[0].socket.recv_from(&mut one) => {
                    self.note(1, &one[..bytes], source);
                }
                Ok((bytes, source)) = self.legs[1].socket.recv_from(&mut other) => {
                    self.note(0, &other[..bytes], source);
                }
            }
        }
    }

    fn send(&mut self) {
        let probe = self.probes_left > 0;
        self.probes_left = self.probes_left.saturating_sub(1);
        for (number, (leg, direction)) in self.legs.iter_mut().zip(&mut self.directions).enumerate() {
            let mut payload = [0xFF; FRAME_BYTES];
            if probe {
                let index = direction.send(now());
                payload[..8].copy_from_slice(&self.run);
                payload[8] = number as u8;
                payload[9..MARK_BYTES].copy_from_slice(&index.to_be_bytes());
            }
            let packet = leg.stream.packet(&Frame(payload));
            // A packet that cannot be sent counts as lost.
            drop(leg.socket.try_send_to(&packet, leg.asterisk));
        }
    }

    /// Records a packet that leg `from` sent and that arrived at the other leg from address `source`.
    fn note(&mut self, from: usize, datagram: &[u8], source: SocketAddr) {
        let Ok(packet) = Packet::parse(datagram) else { return };
        let Some(mark) = packet.payload.get(..MARK_BYTES) else { return };
        if mark[..8] == self.run && usize::from(mark[8]) == from {
            let named = self.legs[1 - from].asterisk;
            if source != named {
                self.elsewhere.get_or_insert((named, source));
            }
            self.directions[from].arrive(now(), u16::from_be_bytes([mark[9], mark[10]]));
        }
    }
}

impl Made {
    /// Deletes all objects and returns the names of those that remain.
    async fn delete(self, rest: &AriRest) -> Vec<String> {
        let Self { app, events, channels, bridge } = self;
        let bridge = bridge.map(|bridge| (bridge.as_str().to_owned(), Request::DeleteBridge(bridge)));
        let of_channels = channels.iter().map(|id| (id.as_str().to_owned(), Request::Hangup(id.clone())));
        let deleted = of_channels.chain(bridge).map(async |(name, request)| {
            match timeout(DELETION, rest.perform(&request)).await {
                Ok(Reply::Done(_) | Reply::Refused { status: 404, .. }) => None,
                Ok(Reply::Refused { .. } | Reply::Lost(_)) | Err(_) => Some(name),
            }
        });
        let left = join_all(deleted).await.into_iter().flatten().collect();
        // If Asterisk creates a channel only after this, the channel finds no application and ends by itself.
        if let Some(mut events) = events {
            timeout(GOODBYE, say_goodbye(rest, &mut events, &app)).await.ok();
        }
        left
    }
}

/// Waits until the application holds nothing, then closes the WebSocket. If an application is closed while it holds
/// channels or bridges, Asterisk lists it until another application registers. The events of their ends come too early: Asterisk
/// sends them before it takes the channel or the bridge from the application.
async fn say_goodbye(rest: &AriRest, events: &mut WebSocket, app: &str) {
    let request = Request::Application(app.to_owned());
    while let Reply::Done(body) = rest.perform(&request).await {
        let holds = Application::parse(&body).unwrap_or_default();
        if holds.channels().next().is_none() && holds.bridges().next().is_none() {
            break;
        }
        sleep(LOOK_AGAIN).await;
    }
    events.close(None).await.ok();
    while let Some(Ok(_)) = events.next().await {}
}
