//! ARI's HTTP resources: what each request means, and the answers. Bridges, applications and `/asterisk` are
//! here; channels are in `channel_routes`. `channels` and `applications` carry out the changes.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::applications::About;
use super::events::{self, Event};
use super::objects::{Bridge, Leg};
use super::{Asterisk, Key, Later, Response, Version};

/// The time that Asterisk 16 waits in `addChannel` for a channel on which nothing has been received.
const QUIET_CHANNEL: Duration = Duration::from_millis(200);
/// The time that Asterisk 16 waits in `addChannel` for a channel on which something has been received.
const BUSY_CHANNEL: Duration = Duration::from_millis(20);

/// The parameters of a request: those of the query, then those of a JSON body.
pub(super) struct Params {
    values: Vec<(String, String)>,
    /// The `variables` of the body.
    pub(super) variables: Vec<(String, String)>,
}

impl Params {
    fn new(query: &[(String, String)], body: &[u8]) -> Self {
        let mut values = query.to_vec();
        let mut variables = Vec::new();
        if let Ok(Value::Object(members)) = serde_json::from_slice(body) {
            for (name, value) in members {
                match value {
                    Value::Object(inner) if name == "variables" => {
                        variables = inner.into_iter().map(|(name, value)| (name, plain(&value))).collect();
                    }
                    value => values.push((name, plain(&value))),
                }
            }
        }
        Self { values, variables }
    }

    /// The value of a parameter. None: the parameter is absent or empty.
    pub(super) fn get(&self, wanted: &str) -> Option<&str> {
        let (_, value) = self.values.iter().find(|(name, _)| name == wanted)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }
}

/// A JSON value as a parameter: strings without quotes, lists separated by commas.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

impl Asterisk {
    pub(super) fn route(
        &mut self,
        now: Instant,
        method: &str,
        path: &str,
        query: &[(String, String)],
        body: &[u8],
    ) -> Response {
        let parts: Vec<String> = path.split('/').skip(1).map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let params = Params::new(query, body);
        match (method, parts.as_slice()) {
            ("GET", ["asterisk", "info"]) => {
                Response::ok(events::info_json(self.settings.version, &self.timestamp(self.started)))
            }
            ("GET", ["asterisk", "modules"]) => Response::ok(events::modules_json(&self.settings.unloaded)),
            ("GET", ["endpoints", "PJSIP", name]) => {
                let mut all = self.settings.endpoints.iter();
                all.find(|(known, _)| known == name).map_or_else(
                    || Response::error(404, "Endpoint not found"),
                    |(name, state)| {
                        Response::ok(format!(
                            r#"{{"technology":"PJSIP","resource":"{name}","state":"{state}","channel_ids":[]}}"#
                        ))
                    },
                )
            }
            ("GET", ["asterisk", "ping"]) => Response::ok(format!(
                "{{\"asterisk_id\":\"{}\",\"ping\":\"pong\",\"timestamp\":\"{}\"}}",
                events::ASTERISK_ID,
                self.timestamp(now)
            )),
            ("GET", ["applications"]) => Response::ok(self.applications_json()),
            ("GET", ["applications", app]) => self.application_response(app),
            ("PUT", ["applications", app, "eventFilter"]) => self.filter_events(app, body),
            ("POST" | "DELETE", ["applications", app, "subscription"]) => match params.get("eventSource") {
                Some(sources) => self.subscription(app, sources, method == "POST"),
                None => Response::error(400, "Missing parameter eventSource"),
            },
            ("GET", ["bridges"]) => {
                let all: Vec<String> = self.bridges.values().map(events::bridge_json).collect();
                Response::ok(format!("[{}]", all.join(",")))
            }
            ("POST", ["bridges"]) => self.new_bridge(now, params.get("bridgeId"), &params, false),
            ("POST", ["bridges", id]) => self.new_bridge(now, Some(id), &params, true),
            (_, ["bridges", id, rest @ ..]) => match self.bridge_key(id) {
                Some(key) => self.bridge_request(now, method, key, rest, &params),
                None => Response::error(404, "Bridge not found"),
            },
            (_, ["recordings", rest @ ..]) => self.recording_request(now, method, rest),
            (_, ["channels", rest @ ..]) => self.channel_request(now, method, rest, &params),
            _ => no_such_resource(),
        }
    }

    fn new_bridge(&mut self, now: Instant, id: Option<&str>, params: &Params, may_exist: bool) -> Response {
        if let Some(key) = id.and_then(|id| self.bridge_key(id)) {
            if !may_exist {
                return Response::error(409, "Bridge with given unique ID already exists");
            }
            if let (Some(bridge), Some(name)) = (self.bridges.get_mut(&key), params.get("name")) {
                name.clone_into(&mut bridge.name);
            }
            return Response::ok(events::bridge_json(&self.bridges[&key]));
        }
        let bridge = Bridge {
            id: id.map_or_else(|| self.uuid(), str::to_owned),
            name: params.get("name").unwrap_or_default().to_owned(),
            kind: params.get("type").unwrap_or("mixing").to_owned(),
            created: self.timestamp(now),
            members: Vec::new(),
        };
        let (json, event) = (events::bridge_json(&bridge), Event::bridge("BridgeCreated", &bridge));
        let key = self.key();
        self.bridges.insert(key, bridge);
        self.publish(now, About::Everything, &event);
        Response::ok(json)
    }

    fn bridge_request(
        &mut self,
        now: Instant,
        method: &str,
        key: Key,
        rest: &[&str],
        params: &Params,
    ) -> Response {
        match (method, rest) {
            ("GET", []) => Response::ok(events::bridge_json(&self.bridges[&key])),
            ("DELETE", []) => {
                self.destroy_bridge(now, key);
                Response::done()
            }
            ("POST", [change @ ("addChannel" | "removeChannel")]) => {
                let Some(ids) = params.get("channel") else {
                    return Response::error(400, "Missing parameter channel");
                };
                let channels = match self.channels_in_stasis(ids) {
                    Ok(channels) => channels,
                    Err(response) => return response,
                };
                if *change == "addChannel" {
                    return self.add_to_bridge(now, key, &channels);
                }
                if channels.iter().any(|channel| self.channels[channel].bridge != Some(key)) {
                    return Response::error(422, "Channel not in this bridge");
                }
                for channel in channels {
                    self.leave_bridge(now, channel);
                }
                Response::done()
            }
            _ => no_such_resource(),
        }
    }

    /// All of these channels, or the error for the first one that does not exist or is not in an application.
    fn channels_in_stasis(&self, ids: &str) -> Result<Vec<Key>, Response> {
        let mut channels = Vec::new();
        for id in ids.split(',') {
            match self.by_id.get(id) {
                None => return Err(Response::error(400, "Channel not found")),
                Some(key) if !self.channels[key].in_stasis => {
                    return Err(Response::error(422, "Channel not in Stasis application"));
                }
                Some(key) => channels.push(*key),
            }
        }
        Ok(channels)
    }

    fn add_to_bridge(&mut self, now: Instant, bridge: Key, channels: &[Key]) -> Response {
        let mut response = Response::done();
        for &channel in channels {
            let wait = match &self.channels[&channel].leg {
                Leg::Media(leg) if self.settings.version == Version::V16 => {
                    if leg.heard_anything {
                        BUSY_CHANNEL
                    } else {
                        QUIET_CHANNEL
                    }
                }
                _ => Duration::ZERO,
            };
            response.delay = response.delay.max(wait);
            if wait.is_zero() {
                self.joins(now, bridge, channel);
            } else {
                self.later(now + wait, Later::Joins { bridge, channel });
            }
        }
        response
    }

    /// Removes a bridge. Its channels leave the bridge but are not hung up.
    fn destroy_bridge(&mut self, now: Instant, key: Key) {
        while let Some((channel, _)) = self.bridges[&key].members.last().cloned() {
            self.leave_bridge(now, channel);
        }
        if let Some(bridge) = self.bridges.remove(&key) {
            self.publish(now, About::Bridge(key), &Event::bridge("BridgeDestroyed", &bridge));
            self.forget(key);
        }
    }

    pub(super) fn bridge_key(&self, id: &str) -> Option<Key> {
        self.bridges.iter().find(|(_, bridge)| bridge.id == id).map(|(key, _)| *key)
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.chance.number(), self.chance.number());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 48 & 0xfff,
            b & 0xffff_ffff_ffff
        )
    }
}

pub(super) fn no_such_resource() -> Response {
    Response::error(404, "Resource not found")
}

/// A part of a path with its percent-encoding decoded.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex =
            (*first == b'%').then(|| tail.get(..2)).flatten().and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
