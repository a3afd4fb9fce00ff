//! Snoop channels and recordings. A snoop channel ends with the channel that it spies on, and goes on when that channel leaves the
//! application. Where RTP passes through the fake, its sound is recorded; where none does, a byte for each sample says which
//! direction it is.

use std::time::{Duration, Instant};

use super::applications::About;
use super::events::{self, Event};
use super::legs::{SnoopLeg, Voice};
use super::objects::{Channel, Leg, State};
use super::resources::{Params, no_such_resource};
use super::{Asterisk, Key, Later, Response};
use crate::sim::rtp::SILENCE;

/// The longest recording without sound whose bytes are given out.
const LONGEST: Duration = Duration::from_secs(60);
/// The number of bytes of sound that are recorded: ten minutes.
const SOUND: usize = 10 * 60 * 8_000;

/// A recording: a file of Asterisk's, which outlives channels and Asterisk itself.
#[derive(Debug, Clone)]
pub(super) struct Recording {
    since: Instant,
    /// When it was complete; None: it is being made.
    ended: Option<Instant>,
    /// The snoop channel that is recorded.
    by: Key,
    /// The channel that is spied on.
    of: Key,
    voice: Voice,
    /// The sound in µ-law. Empty: no RTP has passed.
    sound: Vec<u8>,
    /// The timestamp of the first packet, and its place in the sound.
    first: Option<(u32, usize)>,
}

impl Asterisk {
    pub(super) fn snoop(&mut self, now: Instant, of: Key, params: &Params) -> Response {
        let (Some(app), Some(spy)) = (params.get("app"), params.get("spy")) else {
            return Response::error(400, "app and spy are required");
        };
        let voice = match spy {
            "in" => Voice::Said,
            "out" => Voice::Heard,
            _ => return Response::error(400, "Direction of spying specified is invalid"),
        };
        let id = params.get("snoopId").map_or_else(|| self.new_id(now), str::to_owned);
        if self.by_id.contains_key(&id) {
            return Response::error(500, "Internal server error");
        }
        let app = app.to_owned();
        let key = self.add_channel(Channel {
            id,
            name: format!("Snoop/{}-{:08x}", self.channels[&of].id, self.voip_count),
            state: State::Up,
            protocol_id: String::new(),
            number: String::new(),
            connected: String::new(),
            context: "default".into(),
            extension: "s".into(),
            priority: 1,
            app_name: "Stasis",
            app_data: app.clone(),
            created: self.timestamp(now),
            variables: Vec::new(),
            app,
            args: Vec::new(),
            in_stasis: false,
            bridge: None,
            leg: Leg::Snoop(SnoopLeg { of, voice }),
        });
        self.later(now + self.settings.stasis_latency, Later::SnoopEnters(key));
        Response::ok(events::channel_json(&self.channels[&key]))
    }

    pub(super) fn snoop_enters(&mut self, now: Instant, key: Key) {
        let Some(app) = self.channels.get(&key).map(|channel| channel.app.clone()) else { return };
        if self.is_listening(&app) {
            self.enter_stasis(now, key);
        } else {
            self.remove(now, key, 16);
        }
    }

    pub(super) fn record(&mut self, now: Instant, key: Key, params: &Params) -> Response {
        let channel = &self.channels[&key];
        if !channel.in_stasis {
            return Response::error(409, "Channel not in Stasis application");
        }
        let (Some(name), Some(format)) = (params.get("name"), params.get("format")) else {
            return Response::error(400, "name and format are required");
        };
        let may_exist = params.get("ifExists") == Some("overwrite");
        if format != "ulaw" {
            return Response::error(422, "specified format is unknown on this system");
        }
        if self.recordings.contains_key(name) && !may_exist {
            return Response::error(409, "Recording already exists");
        }
        let Leg::Snoop(leg) = channel.leg else { return no_such_resource() };
        let SnoopLeg { of, voice } = leg;
        let id = channel.id.clone();
        let recording =
            Recording { since: now, ended: None, by: key, of, voice, sound: Vec::new(), first: None };
        self.recordings.insert(name.to_owned(), recording);
        let body =
            format!(r#"{{"name":"{name}","format":"ulaw","state":"queued","target_uri":"channel:{id}"}}"#);
        Response { status: 201, ..Response::ok(body) }
    }

    /// A packet of this voice of a channel passes, with this timestamp.
    pub(super) fn record_sound(&mut self, now: Instant, key: Key, voice: Voice, packet: (u32, &[u8])) {
        let is_it = |recording: &&mut Recording| {
            recording.of == key && recording.voice == voice && recording.ended.is_none()
        };
        for recording in self.recordings.values_mut().filter(is_it) {
            recording.add(now, packet);
        }
    }

    /// What must end before a channel is gone: its recording, and the channels that spy on it.
    pub(super) fn end_spying(&mut self, now: Instant, key: Key) {
        let is_its =
            |(_, recording): &(&String, &mut Recording)| recording.by == key && recording.ended.is_none();
        let ending = self.recordings.iter_mut().filter(is_its).map(|(name, recording)| {
            recording.ended = Some(now);
            name.clone()
        });
        for name in ending.collect::<Vec<_>>() {
            self.publish(now, About::Channel(key), &Event::recording_finished(&name));
        }
        let spies = |(spy, channel): (&Key, &Channel)| match channel.leg {
            Leg::Snoop(leg) if leg.of == key => Some(*spy),
            _ => None,
        };
        let all: Vec<_> = self.channels.iter().filter_map(spies).collect();
        for spy in all {
            self.end_stasis_of_spy(now, spy);
        }
    }

    fn end_stasis_of_spy(&mut self, now: Instant, spy: Key) {
        self.end_spying(now, spy);
        self.end_stasis(now, spy);
        self.remove(now, spy, 16);
    }

    pub(super) fn recording_request(&mut self, now: Instant, method: &str, rest: &[&str]) -> Response {
        match (method, rest) {
            ("GET", ["stored"]) => {
                let all =
                    self.recordings.keys().map(|name| format!(r#"{{"name":"{name}","format":"ulaw"}}"#));
                Response::ok(format!("[{}]", all.collect::<Vec<_>>().join(",")))
            }
            ("GET", ["stored", name, "file"]) => match self.recordings.get(*name) {
                Some(recording) => recording.file(now),
                None => Response::error(404, "Recording not found"),
            },
            ("DELETE", ["stored", name]) => match self.recordings.remove(*name) {
                Some(_) => Response::done(),
                None => Response::error(404, "Recording not found"),
            },
            _ => no_such_resource(),
        }
    }

    /// The names of the recordings that Asterisk keeps.
    pub fn recordings(&self) -> Vec<&str> {
        self.recordings.keys().map(String::as_str).collect()
    }
}

impl Recording {
    /// Asterisk ends while the recording is being made. What is in the file by then the fake does not know.
    pub(super) fn is_cut_off(&mut self) {
        self.ended.get_or_insert(self.since);
    }

    /// Puts a packet at its place, which is that of the first one plus the time between both by their timestamps.
    fn add(&mut self, now: Instant, (timestamp, payload): (u32, &[u8])) {
        let arrived = samples(now.saturating_duration_since(self.since));
        let (first, begin) = *self.first.get_or_insert((timestamp, arrived));
        let place = begin + timestamp.wrapping_sub(first) as usize;
        if place >= self.sound.len() && place + payload.len() <= SOUND {
            self.sound.resize(place, SILENCE);
            self.sound.extend_from_slice(payload);
        }
    }

    fn file(&self, now: Instant) -> Response {
        let length = self.ended.unwrap_or(now).saturating_duration_since(self.since);
        if self.sound.is_empty() {
            let sample = if self.voice == Voice::Said { 's' } else { 'h' };
            return Response::ok(std::iter::repeat_n(sample, samples(length.min(LONGEST))).collect());
        }
        let mut sound = self.sound.clone();
        sound.resize(samples(length).clamp(sound.len(), SOUND), SILENCE);
        Response { sound: Some(sound), ..Response::ok(String::new()) }
    }
}

/// The number of samples at 8 kHz in this time.
fn samples(time: Duration) -> usize {
    usize::try_from(time.as_millis() * 8).unwrap_or_default()
}
