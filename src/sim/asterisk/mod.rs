//! A fake Asterisk without sockets and clock: ARI over HTTP, the event sockets, the RTP of media legs, and
//! callers.
//!
//! Its behaviour was measured on Asterisk 16.28 and 22.10, and the tests compare it with recorded
//! transcripts. Time is an argument, and chance is seeded. The fake has no SIP (method calls take its place),
//! no dialplan beyond `Answer(), …, Stasis(), Hangup()`, no mixing (a bridge of three is silent), and no ARI
//! beyond what a media bridge needs.
//!
//! ```text
//!  request, connect ──► resources, channel_routes ─┐            ┌─► poll: Event, SocketClosed
//!  incoming_call, press, hold, hang-up ────────────┼► channels ─┼─► poll: CallerAnswered, CallerReleased
//!  media_datagram, caller_datagram ──► media ──────┤            ├─► poll: Media, ToCaller, OpenPort, ClosePort
//!  far_end_answers, far_end_datagram ► dialled ────┘            └─► poll: Dialled, ToFarEnd, FarEndReleased, …
//! ```
//! The owner drains `poll` after every method call, and calls `advance` at `deadline`.
//!
//! | file | what |
//! |---|---|
//! | `world` | its input and output |
//! | `resources`, `channel_routes`, `events` | the HTTP resources of ARI; the JSON of events |
//! | `applications` | which application receives which events |
//! | `dialled`, `snoops` | channels that the application asks for; snoop channels and recordings |
//! | `channels`, `bridges`, `transfers` | the life of channels; who hears whom; one caller put in place of another |
//! | `objects`, `legs` | channels and bridges as data; the ends of a channel with their RTP state |
//! | `media`, `g711` | RTP through bridges; A-law |

mod applications;
mod bridges;
mod channel_routes;
mod channels;
mod dialled;
mod events;
mod g711;
mod legs;
mod media;
mod objects;
mod resources;
mod snoops;
mod transfers;
mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use self::applications::App;
use self::objects::{Bridge, Channel, Leg};
use self::snoops::Recording;
use super::chance::Chance;

pub use self::world::{
    CallState, CallerId, Codec, Emit, Ending, Fault, IncomingCall, MediaReply, Outcome, Response, Settings,
    SocketId, Stop, Version,
};

/// The number of a channel or a bridge in the order of creation over the whole life of the fake.
type Key = u64;

/// The fake Asterisk. See the documentation of the module.
#[derive(Debug)]
pub struct Asterisk {
    settings: Settings,
    /// The expected value of the Authorization header.
    authorization: String,
    born: Instant,
    /// The time of the last start.
    started: Instant,
    stage: Stage,
    chance: Chance,
    /// The number of channels and bridges ever created.
    keys: Key,
    /// The number of channels created since the last start: the N of `1795180048.N`.
    channel_count: u64,
    /// The number of calls since the last start: the N of `PJSIP/voip-N`.
    voip_count: u32,
    /// The number of Local channels since the last start.
    local_count: u32,
    channels: BTreeMap<Key, Channel>,
    by_id: HashMap<String, Key>,
    bridges: BTreeMap<Key, Bridge>,
    /// The recordings by their names.
    recordings: BTreeMap<String, Recording>,
    /// The media legs by their port.
    ports: HashMap<u16, Key>,
    /// The number of ports that were handed out.
    port_turn: u32,
    apps: BTreeMap<String, App>,
    /// Asterisk 16: the applications that once registered with `subscribeAll`.
    sticky: BTreeSet<String>,
    sockets: BTreeSet<SocketId>,
    socket_count: u64,
    calls: Vec<Line>,
    later: BTreeMap<(Instant, u64), Later>,
    later_count: u64,
    out: VecDeque<Emit>,
    journal: Vec<(Instant, String)>,
    faults: Vec<(String, String, Fault)>,
    /// Whether the ARI user may only read.
    read_only: bool,
    /// A start of paths, and the instant until which requests for such paths are not answered.
    hanging: Option<(String, Instant)>,
    /// The paths of removals that were answered but are not yet carried out.
    removing: BTreeSet<String>,
}

/// One caller, seen from outside.
#[derive(Debug)]
struct Line {
    channel: Option<Key>,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Up,
    /// SIGTERM arrived; the sockets are still open.
    Stopping,
    Down,
    Starting {
        since: Instant,
    },
}

/// Something that will happen at a later time.
#[derive(Debug, Clone)]
enum Later {
    /// The dialplan reaches `Stasis()` with a caller.
    CallerEnters(Key),
    /// A media leg reaches `Stasis()`.
    MediaEnters(Key),
    /// A snoop channel reaches the application.
    SnoopEnters(Key),
    /// A far end has rung for long enough.
    GivesUp(Key),
    /// Asterisk 16 has waited long enough for traffic on a channel.
    Joins { bridge: Key, channel: Key },
    /// A key pressed with `press` is released.
    KeyEnds { channel: Key, digit: char },
    /// A removal that was answered before is carried out.
    Removes { path: String },
    /// Asterisk has finished stopping.
    Stopped,
}

impl Asterisk {
    /// An Asterisk that is running, without calls.
    pub fn new(now: Instant, settings: Settings) -> Self {
        let authorization =
            format!("Basic {}", base64(format!("{}:{}", settings.user, settings.password).as_bytes()));
        Self {
            authorization,
            born: now,
            started: now,
            stage: Stage::Up,
            chance: Chance::new(settings.seed),
            keys: 0,
            channel_count: 0,
            voip_count: 0,
            local_count: 0,
            channels: BTreeMap::new(),
            by_id: HashMap::new(),
            bridges: BTreeMap::new(),
            recordings: BTreeMap::new(),
            ports: HashMap::new(),
            port_turn: 0,
            apps: BTreeMap::new(),
            sticky: BTreeSet::new(),
            sockets: BTreeSet::new(),
            socket_count: 0,
            calls: Vec::new(),
            later: BTreeMap::new(),
            later_count: 0,
            out: VecDeque::new(),
            journal: Vec::new(),
            faults: Vec::new(),
            read_only: false,
            hanging: None,
            removing: BTreeSet::new(),
            settings,
        }
    }

    /// Answers one ARI request. `path` is without `/ari`, `query` is decoded, `auth` is the Authorization
    /// header.
    pub fn request(
        &mut self,
        now: Instant,
        auth: Option<&str>,
        method: &str,
        path: &str,
        query: &[(String, String)],
        body: &[u8],
    ) -> Response {
        self.advance(now);
        let not_ready = self.not_ready(now);
        let fault = if not_ready.is_none() { self.take_fault(method, path) } else { None };
        let mut response = match (fault, not_ready) {
            (_, Some(response)) => response,
            (Some(Fault::Status(status)), None) => Response::error(status, &self.fault_message()),
            (Some(Fault::ConnectionLost), None) => Response::lost(),
            (None, None) if method == "DELETE" && self.removing.contains(path) => Response::done(),
            (Some(Fault::DoneLater(delay)), None) => {
                self.removing.insert(path.to_owned());
                self.later(now + delay, Later::Removes { path: path.to_owned() });
                Response::done()
            }
            _ if !self.authorized(auth, query) => Response::error(401, "Authentication required"),
            _ if self.read_only && method != "GET" => Response::error(403, "Write access denied"),
            _ if self.hangs(now, path).is_some() => Response {
                delay: self.hangs(now, path).unwrap_or_default(),
                ..Response::error(503, "Scripted fault")
            },
            _ => self.route(now, method, path, query, body),
        };
        match fault {
            Some(Fault::Delay(delay)) => response.delay += delay,
            Some(Fault::OkButReplyLost) => response = Response::lost(),
            Some(Fault::Unreadable) => response.body = "<html>proxy</html>".into(),
            _ => {}
        }
        self.note(now, method, path, &response);
        response
    }

    /// The message of a scripted fault. Like some messages of Asterisk, it quotes a channel and an extension.
    fn fault_message(&self) -> String {
        let caller = self.channels.values().find(|channel| !channel.number.is_empty());
        let quoted = caller.map(|caller| format!(": {} from {}", caller.name, caller.number));
        format!("Scripted fault{}", quoted.unwrap_or_default())
    }

    /// Lets time pass: everything that was due by now happens, each at its own time.
    pub fn advance(&mut self, now: Instant) {
        while let Some(entry) = self.later.first_entry() {
            let at = entry.key().0;
            if at > now {
                break;
            }
            match entry.remove() {
                Later::CallerEnters(channel) => self.caller_enters(at, channel),
                Later::MediaEnters(channel) => self.media_enters(at, channel),
                Later::SnoopEnters(channel) => self.snoop_enters(at, channel),
                Later::GivesUp(channel) => self.gives_up(at, channel),
                Later::Joins { bridge, channel } => self.joins(at, bridge, channel),
                Later::KeyEnds { channel, digit } => self.key_ends(at, channel, digit),
                Later::Removes { path } => {
                    self.removing.remove(&path);
                    drop(self.route(at, "DELETE", &path, &[], b""));
                }
                Later::Stopped => self.fall(),
            }
        }
    }

    /// The time at which to call `advance` if nothing else happens first.
    pub fn deadline(&self) -> Option<Instant> {
        self.later.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next action that the owner must take.
    pub fn poll(&mut self) -> Option<Emit> {
        self.out.pop_front()
    }

    /// Stops Asterisk. Calls end as `Stop` says; everything except `journal` and `outcome` is forgotten.
    pub fn stop(&mut self, now: Instant, how: Stop) {
        self.advance(now);
        if self.stage == Stage::Down || (self.stage, how) == (Stage::Stopping, Stop::Terminate) {
            return;
        }
        match how {
            Stop::Terminate => {
                self.stage = Stage::Stopping;
                self.all_end_with_asterisk(now);
                self.later(now + self.settings.stopping, Later::Stopped);
            }
            Stop::Kill => {
                for line in self.calls.iter_mut().filter(|line| line.channel.is_some()) {
                    line.channel = None;
                    line.outcome.state = CallState::Gone;
                    line.outcome.ended = Some(Ending::Killed);
                    line.outcome.ended_at = Some(now);
                }
                self.fall();
            }
        }
    }

    /// Starts Asterisk again after `stop`: it refuses connections, then answers 404, then 503, then works.
    pub fn start(&mut self, now: Instant) {
        self.advance(now);
        if self.stage == Stage::Stopping {
            self.fall();
        }
        if self.stage == Stage::Down {
            self.stage = Stage::Starting { since: now };
            self.started = now;
        }
    }

    /// Makes the next request with this method and this text in its path fail. Several faults wait in a
    /// queue. The upgrade of the event socket is a GET of `/events`.
    pub fn fail_next(&mut self, method: &str, path_contains: &str, fault: Fault) {
        self.faults.push((method.to_owned(), path_contains.to_owned(), fault));
    }

    /// Forgets the failures that still wait for requests.
    pub fn fail_no_more(&mut self) {
        self.faults.clear();
    }

    /// Never carries out the removals that were answered, as after a race inside Asterisk.
    pub fn forget_removals(&mut self) {
        self.removing.clear();
        self.later.retain(|_, later| !matches!(later, Later::Removes { .. }));
    }

    /// Sets whether the ARI user may only read (`read_only = yes`).
    pub fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    /// For this time, requests whose path starts with `path` are neither carried out nor answered.
    pub fn hang(&mut self, now: Instant, path: &str, lasts: Duration) {
        self.hanging = Some((path.to_owned(), now + lasts));
    }

    /// The time for which this path will still hang.
    fn hangs(&self, now: Instant, path: &str) -> Option<Duration> {
        let (begins, until) = self.hanging.as_ref()?;
        (path.starts_with(begins.as_str()) && now < *until).then(|| *until - now)
    }

    /// The ids of the existing channels, in order of creation.
    pub fn channels(&self) -> Vec<String> {
        self.channels.values().map(|channel| channel.id.clone()).collect()
    }

    /// The ids of the callers who are in this application.
    pub fn waiting(&self, app: &str) -> Vec<String> {
        let is_caller = |channel: &&Channel| {
            channel.in_stasis && channel.app == app && matches!(channel.leg, Leg::Phone(_))
        };
        self.channels.values().filter(is_caller).map(|channel| channel.id.clone()).collect()
    }

    /// The ids of the existing bridges, in order of creation.
    pub fn bridges(&self) -> Vec<String> {
        self.bridges.values().map(|bridge| bridge.id.clone()).collect()
    }

    /// Every request with its status, such as `POST /bridges 200`; `lost` stands for a request without an
    /// answer.
    pub fn journal(&self) -> &[(Instant, String)] {
        &self.journal
    }

    /// What became of a call.
    pub fn outcome(&self, call: CallerId) -> &Outcome {
        &self.calls[call.0].outcome
    }

    /// The answer while Asterisk is not running.
    fn not_ready(&mut self, now: Instant) -> Option<Response> {
        let since = match self.stage {
            Stage::Up | Stage::Stopping => return None,
            Stage::Down => return Some(Response::lost()),
            Stage::Starting { since } => now - since,
        };
        let [refusing, unknown, unavailable] = self.settings.starting;
        if since < refusing {
            Some(Response::lost())
        } else if since < refusing + unknown {
            Some(Response { body: String::new(), ..Response::error(404, "") })
        } else if since < refusing + unknown + unavailable {
            Some(Response { body: String::new(), ..Response::error(503, "") })
        } else {
            self.stage = Stage::Up;
            None
        }
    }

    /// Ends the process: sockets close without a close frame, and nothing is remembered.
    fn fall(&mut self) {
        self.stage = Stage::Down;
        for socket in std::mem::take(&mut self.sockets) {
            self.out.push_back(Emit::SocketClosed { socket, close_frame: false });
        }
        let mut ports: Vec<u16> = self.ports.drain().map(|(port, _)| port).collect();
        ports.sort_unstable();
        self.out.extend(ports.into_iter().map(Emit::ClosePort));
        let far = self.channels.values().filter(|channel| matches!(channel.leg, Leg::Far(_)));
        self.out.extend(far.map(|channel| Emit::FarEndReleased { channel: channel.id.clone() }));
        self.channels.clear();
        self.by_id.clear();
        self.bridges.clear();
        self.apps.clear();
        self.sticky.clear();
        self.later.clear();
        self.recordings.values_mut().for_each(Recording::is_cut_off);
        (self.channel_count, self.voip_count, self.local_count) = (0, 0, 0);
    }

    fn later(&mut self, at: Instant, what: Later) {
        self.later_count += 1;
        self.later.insert((at, self.later_count), what);
    }

    fn take_fault(&mut self, method: &str, path: &str) -> Option<Fault> {
        let hit = self.faults.iter().position(|(m, p, _)| m == method && path.contains(p.as_str()))?;
        Some(self.faults.remove(hit).2)
    }

    fn note(&mut self, now: Instant, method: &str, path: &str, response: &Response) {
        if self.settings.keep_journal {
            let how = if response.lost { "lost".to_owned() } else { response.status.to_string() };
            self.journal.push((now, format!("{method} {path} {how}")));
        }
    }

    fn authorized(&self, auth: Option<&str>, query: &[(String, String)]) -> bool {
        let key = format!("{}:{}", self.settings.user, self.settings.password);
        auth == Some(&self.authorization)
            || query.iter().any(|(name, value)| name == "api_key" && *value == key)
    }

    /// The wall-clock time of an instant.
    fn timestamp(&self, now: Instant) -> String {
        events::timestamp(self.wall(now))
    }

    fn wall(&self, now: Instant) -> Duration {
        Duration::from_secs(self.settings.start_wall) + now.saturating_duration_since(self.born)
    }

    fn key(&mut self) -> Key {
        self.keys += 1;
        self.keys
    }
}

impl Response {
    fn ok(body: String) -> Self {
        Self { status: 200, body, sound: None, delay: Duration::ZERO, lost: false }
    }

    fn done() -> Self {
        Self { status: 204, ..Self::ok(String::new()) }
    }

    fn error(status: u16, message: &str) -> Self {
        Self { status, ..Self::ok(events::message(message)) }
    }

    fn lost() -> Self {
        Self { status: 0, lost: true, ..Self::ok(String::new()) }
    }
}

/// Base64 with padding (RFC 4648), for the credentials.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests;
