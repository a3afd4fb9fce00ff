//! Sends sound through Asterisk both ways and counts what arrives: two ExternalMedia channels of ours in one bridge,
//! each with a socket of ours at its end, as a call has one.
//!
//! ```text
//!  socket ══ RTP ══ ExternalMedia ── bridge ── ExternalMedia ══ RTP ══ socket
//! ```
//! Under an application of its own, so that a running daemon does not lose its events. Whatever happens, all of it is
//! deleted again.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use rustls::ClientConfig;
use tokio::net::UdpSocket;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

use super::facts::{Media, MediaFault, Step, Tally};
use super::tally::Direction;
use crate::ari::event::{self, Event};
use crate::ari::request::{Reply, Request, media_address};
use crate::ari::{BridgeId, ChannelId, OUR_PREFIX};
use crate::config::{AsteriskConfig, MediaConfig};
use crate::daemon::clock::{chance, now};
use crate::daemon::media_networks;
use crate::daemon::peers::{ari_headers, events_url};
use crate::media::rtp::{Packet, Stream};
use crate::media::{FRAME_BYTES, FRAME_DURATION, Frame};
use crate::net::ari_rest::AriRest;
use crate::net::rtp_socket;
use crate::net::websocket::{WebSocket, connect};
use crate::operator::Detail;

/// All of it but the deletion. A healthy Asterisk takes 0.2 s, and the sound [`SOUND`]; one on a machine that stalls is
/// to be told from one that does not answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Packets each way. More measure small losses better.
const PACKETS: usize = 75;
/// What they take.
const SOUND: Duration = FRAME_DURATION.saturating_mul(PACKETS as u32 + 1);
/// How long the last packets are waited for.
const LATE: Duration = Duration::from_millis(300);
/// What the deletion may take.
const DELETION: Duration = Duration::from_secs(2);
/// What the goodbye on the WebSocket may take.
const GOODBYE: Duration = Duration::from_millis(500);
/// The first bytes of our packets' payload: which run, which leg sent it, which packet it is.
const MARK_BYTES: usize = 11;

/// What was asked of Asterisk, and has to go again.
#[derive(Default)]
struct Made {
    events: Option<WebSocket>,
    channels: Vec<ChannelId>,
    bridge: Option<BridgeId>,
}

/// One of the two channels with our socket.
struct Leg {
    socket: UdpSocket,
    asterisk: SocketAddr,
    stream: Stream,
}

/// Measures, until `stop` at the latest.
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
    let mut made = Made::default();
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

/// Two even ports from the end of the range: the daemon begins at the other.
fn sockets(media: &MediaConfig) -> io::Result<[UdpSocket; 2]> {
    let mut free = Vec::new();
    for port in media.ports.clone().rev().filter(|port| port % 2 == 0) {
        match rtp_socket::bind(SocketAddr::new(media.local_ip, port)) {
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

/// Our own address on the way to Asterisk. Nothing is sent.
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
        let app = format!("{}-doctor-{pid}", self.asterisk.app);
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
        let mut legs = Vec::new();
        let own = media_networks::own(self.asterisk, self.media).await;
        let networks = media_networks::all(own.as_deref(), self.media);
        let answers = join_all(asked).await;
        for (socket, end) in sockets.into_iter().zip(answers) {
            let (end, random) = (end?, chance());
            self.ends.push(end);
            if let Some(all) = &networks
                && !all.iter().any(|network| network.contains(&end.ip()))
            {
                return Err(MediaFault::ForeignAddress(end.ip()));
            }
            let stream = Stream::new(random as u32, (random >> 32) as u16, (random >> 16) as u32);
            legs.push(Leg { socket, asterisk: end, stream });
        }
        let mut bench = Bench::new(legs);

        *self.step = Step::Stasis;
        bench.until(entered(events, &channels)).await?;
        *self.step = Step::Bridge;
        let bridge = BridgeId::from(&*id("bridge"));
        self.made.bridge = Some(bridge.clone());
        done(
            bench.until(self.rest.perform(&Request::CreateBridge { bridge: bridge.clone() })).await,
            Step::Bridge,
        )?;
        let join = Request::AddChannels { bridge, channels };
        done(bench.until(self.rest.perform(&join)).await, Step::Bridge)?;

        *self.step = Step::Sound;
        bench.probes_left = PACKETS;
        bench.until(sleep(SOUND)).await;
        bench.probes_left = 0;
        bench.until(sleep(LATE)).await;
        *self.elsewhere = bench.elsewhere;
        Ok([bench.directions[0].tally(), bench.directions[1].tally()])
    }
}

/// The reply's body, or the refusal.
fn done(reply: Reply, step: Step) -> Result<String, MediaFault> {
    match reply {
        Reply::Done(body) => Ok(body),
        Reply::Refused { status, message } => {
            Err(MediaFault::Refused { step, status, message: Detail::new(message) })
        }
        Reply::Lost(_) => Err(MediaFault::Stalled(step)),
    }
}

/// Waits until all of these channels are in the application. Before that they cannot be put into a bridge.
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

/// Both legs: sends on each every 20 ms, and notes what comes.
struct Bench {
    legs: Vec<Leg>,
    /// By the leg that sends.
    directions: [Direction; 2],
    /// Beyond these, silence is sent: Asterisk 16 waits in `addChannel` for a channel without traffic.
    probes_left: usize,
    run: [u8; 8],
    clock: Interval,
    /// Where a packet should have come from, and where it came from instead.
    elsewhere: Option<(SocketAddr, SocketAddr)>,
}

impl Bench {
    fn new(legs: Vec<Leg>) -> Self {
        let mut clock = interval(FRAME_DURATION);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let directions = [Direction::default(), Direction::default()];
        Self { legs, directions, probes_left: 0, run: chance().to_le_bytes(), clock, elsewhere: None }
    }

    /// Goes on until `task` is done.
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
            // What cannot be sent is lost, and counted so.
            drop(leg.socket.try_send_to(&packet, leg.asterisk));
        }
    }

    /// Something came at the other end of the leg `from`, out of `source`.
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
    /// Deletes everything; what remains all the same is named.
    async fn delete(self, rest: &AriRest) -> Vec<String> {
        let Self { events, channels, bridge } = self;
        let bridge = bridge.map(|bridge| (bridge.as_str().to_owned(), Request::DeleteBridge(bridge)));
        let of_channels = channels.iter().map(|id| (id.as_str().to_owned(), Request::Hangup(id.clone())));
        let deleted = of_channels.chain(bridge).map(async |(name, request)| {
            match timeout(DELETION, rest.perform(&request)).await {
                Ok(Reply::Done(_) | Reply::Refused { status: 404, .. }) => None,
                Ok(Reply::Refused { .. } | Reply::Lost(_)) | Err(_) => Some(name),
            }
        });
        let left = join_all(deleted).await.into_iter().flatten().collect();
        // A channel that Asterisk makes only now finds no application, and goes by itself.
        if let Some(mut events) = events {
            drop(timeout(GOODBYE, say_goodbye(&mut events, channels)).await);
        }
        left
    }
}

/// Waits until the channels are gone, then closes. An application that is closed while it has channels stays listed
/// until Asterisk registers another one.
async fn say_goodbye(events: &mut WebSocket, mut channels: Vec<ChannelId>) {
    while !channels.is_empty() {
        let Some(Ok(message)) = events.next().await else { return };
        let event = message.to_text().ok().and_then(|text| event::parse(text).ok());
        if let Some(Event::Destroyed(gone)) = event {
            channels.retain(|id| *id != gone);
        }
    }
    drop(events.close(None).await);
    while let Some(Ok(_)) = events.next().await {}
}
