//! Snoop channels and recordings. A snoop channel ends with the channel that it spies on, and goes on when that channel leaves the
//! application. What is recorded is not sound: a byte for each sample says which direction it is.

use std::time::{Duration, Instant};

use super::applications::About;
use super::events::{self, Event};
use super::legs::SnoopLeg;
use super::objects::{Channel, Leg, State};
use super::resources::{Params, no_such_resource};
use super::{Asterisk, Key, Later, Response};

/// The longest recording whose bytes are given out.
const LONGEST: Duration = Duration::from_secs(60);

/// A recording: a file of Asterisk's, which outlives channels and Asterisk itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recording {
    since: Instant,
    /// When it was complete; None: it is being made.
    ended: Option<Instant>,
    /// What a sample of it is.
    sample: char,
}

impl Asterisk {
    pub(super) fn snoop(&mut self, now: Instant, of: Key, params: &Params) -> Response {
        let (Some(app), Some(spy)) = (params.get("app"), params.get("spy")) else {
            return Response::error(400, "app and spy are required");
        };
        let sample = match spy {
            "in" => 's',
            "out" => 'h',
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
            leg: Leg::Snoop(SnoopLeg { of, sample }),
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
        self.recordings.insert(name.to_owned(), Recording { since: now, ended: None, sample: leg.sample });
        let body =
            format!(r#"{{"name":"{name}","format":"ulaw","state":"queued","target_uri":"channel:{name}"}}"#);
        Response { status: 201, ..Response::ok(body) }
    }

    /// What must end before a channel is gone: its recording, and the channels that spy on it.
    pub(super) fn end_spying(&mut self, now: Instant, key: Key) {
        let Some(channel) = self.channels.get(&key) else { return };
        let id = channel.id.clone();
        let is_recorded = matches!(channel.leg, Leg::Snoop(_));
        if let Some(recording) =
            self.recordings.get_mut(&id).filter(|recording| is_recorded && recording.ended.is_none())
        {
            recording.ended = Some(now);
            let event = Event::recording_finished(&id);
            self.publish(now, About::Channel(key), &event);
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
                Some(recording) => Response::ok(recording.bytes(now)),
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

    /// A byte for each sample.
    fn bytes(&self, now: Instant) -> String {
        let length = self.ended.unwrap_or(now).saturating_duration_since(self.since).min(LONGEST);
        let samples = usize::try_from(length.as_millis() * 8).unwrap_or_default();
        std::iter::repeat_n(self.sample, samples).collect()
    }
}
