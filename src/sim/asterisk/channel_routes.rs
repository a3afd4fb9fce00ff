//! ARI's `/channels`: the requests about one channel, and `externalMedia`, which creates a channel. The steps
//! themselves are in `channels`, those of channels that are asked for in `dialled`, and those of recordings in `snoops`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use super::applications::About;
use super::channels::HangUp;
use super::events::{self, Event};
use super::legs::MediaLeg;
use super::objects::{Channel, Leg, State};
use super::resources::{Params, no_such_resource};
use super::{Asterisk, Emit, Ending, Key, Later, MediaReply, Response, Version};

/// The formats that `externalMedia` accepts. The fake relays audio for `ulaw` only.
const FORMATS: [&str; 9] = ["ulaw", "alaw", "g722", "slin", "slin16", "slin24", "slin48", "opus", "gsm"];

impl Asterisk {
    pub(super) fn channel_request(
        &mut self,
        now: Instant,
        method: &str,
        rest: &[&str],
        params: &Params,
    ) -> Response {
        match (method, rest) {
            ("GET", []) => {
                let all: Vec<String> = self.channels.values().map(events::channel_json).collect();
                Response::ok(format!("[{}]", all.join(",")))
            }
            ("POST", []) => self.dial(now, params),
            ("POST", ["externalMedia"]) => self.external_media(now, params),
            (_, [id, rest @ ..]) => match self.by_id.get(*id) {
                Some(key) => self.one_channel(now, method, *key, rest, params),
                None => Response::error(404, "Channel not found"),
            },
            _ => no_such_resource(),
        }
    }

    fn one_channel(
        &mut self,
        now: Instant,
        method: &str,
        key: Key,
        rest: &[&str],
        params: &Params,
    ) -> Response {
        match (method, rest) {
            ("GET", []) => Response::ok(events::channel_json(&self.channels[&key])),
            ("DELETE", []) => self.delete_channel(now, key, params),
            ("GET", ["variable"]) => match params.get("variable") {
                Some(name) => self.get_variable(key, name),
                None => Response::error(400, "Variable name is required"),
            },
            ("POST", ["variable"]) => match params.get("variable") {
                Some(name) => self.post_variable(now, key, name, params.get("value").unwrap_or_default()),
                None => Response::error(400, "Variable name is required"),
            },
            ("POST", ["answer" | "ring" | "continue"]) if !self.channels[&key].in_stasis => {
                Response::error(409, "Channel not in Stasis application")
            }
            ("POST", ["answer"]) => {
                self.answer(now, key);
                Response::done()
            }
            ("POST", ["ring"]) => {
                if let Leg::Phone(phone) = &self.channels[&key].leg {
                    self.calls[phone.call.0].outcome.rang = true;
                }
                Response::done()
            }
            ("POST", ["snoop"]) => self.snoop(now, key, params),
            ("POST", ["record"]) => self.record(now, key, params),
            ("POST", ["continue"]) => self.continue_channel(now, key, params),
            _ => no_such_resource(),
        }
    }

    fn delete_channel(&mut self, now: Instant, key: Key, params: &Params) -> Response {
        let cause = match params.get("reason") {
            None | Some("normal") => 16,
            Some("busy") => 17,
            Some("no_answer") => 19,
            Some("rejected") => 21,
            Some("answered_elsewhere") => 26,
            Some("congestion") => 34,
            Some(_) => return Response::error(400, "Invalid Reason for Hangup Provided"),
        };
        let code = params.get("reason_code").filter(|_| self.settings.version == Version::V22);
        let cause = match code.map(str::parse) {
            None => cause,
            Some(Ok(code)) => code,
            Some(Err(_)) => return Response::error(400, "Invalid Reason for Hangup Provided"),
        };
        let refused = self.channels[&key].state == State::Ring;
        let sip_status = refused.then_some(if cause == 17 { 486 } else { 603 });
        let how = HangUp { destroyed: cause, ..HangUp::by_application() };
        self.hang_up(now, key, how, Ending::HungUp { cause, sip_status });
        Response::done()
    }

    fn get_variable(&self, key: Key, name: &str) -> Response {
        if let Some(place) = name.strip_prefix("DIALPLAN_EXISTS(").and_then(|rest| rest.strip_suffix(')')) {
            if self.settings.unloaded.iter().any(|module| module == "func_dialplan.so") {
                // Asterisk 16 and 22 give the same message.
                return Response::error(500, "Unable to read provided function");
            }
            let mut parts = place.split(',');
            let (context, extension) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let value = if self.settings.has_extension(context, extension) { "1" } else { "0" };
            return Response::ok(format!("{{\"value\":\"{value}\"}}"));
        }
        match self.channels[&key].variable(name) {
            Some(value) => Response::ok(format!("{{\"value\":{}}}", events::quote(value))),
            None => Response::error(404, "Provided variable was not found"),
        }
    }

    fn post_variable(&mut self, now: Instant, key: Key, name: &str, value: &str) -> Response {
        self.set_variable(now, key, name, value);
        if let Leg::Phone(phone) = &self.channels[&key].leg {
            self.calls[phone.call.0].outcome.variables.push((name.to_owned(), value.to_owned()));
        }
        Response::done()
    }

    /// Continues at the requested place, whose missing parts stay as they are. Without any part, continues at
    /// the next priority.
    fn continue_channel(&mut self, now: Instant, key: Key, params: &Params) -> Response {
        let channel = &self.channels[&key];
        let named = ["context", "extension", "priority"].iter().any(|name| params.get(name).is_some());
        let priority = match params.get("priority").map(str::parse) {
            Some(Ok(priority)) => priority,
            Some(Err(_)) => return Response::error(400, "Invalid priority"),
            None if named => 1,
            None => channel.priority + 1,
        };
        let context = params.get("context").unwrap_or(&channel.context).to_owned();
        let extension = params.get("extension").unwrap_or(&channel.extension).to_owned();
        self.continue_in_dialplan(now, key, (context, extension, priority));
        Response::done()
    }

    /// Creates a media leg: its socket at once, its channel in the application some milliseconds later.
    fn external_media(&mut self, now: Instant, params: &Params) -> Response {
        let v22 = self.settings.version == Version::V22;
        let (Some(app), Some(host), Some(format)) =
            (params.get("app"), params.get("external_host"), params.get("format"))
        else {
            return Response::error(400, "app, external_host and format are required");
        };
        if !FORMATS.contains(&format) {
            return by_version(v22, 400, "Provided format was not found");
        }
        let id = params.get("channelId").map_or_else(|| self.new_id(now), str::to_owned);
        if self.by_id.contains_key(&id) {
            return by_version(v22, 409, "Channel with given unique ID already exists");
        }
        if self.settings.unloaded.iter().any(|module| module == "chan_rtp.so") {
            let message = "An internal error prevented this request from being handled";
            return Response::error(500, if v22 { message } else { "Allocation failed" });
        }
        let (Some(host), Some(port)) = (resolved(host), self.free_port()) else {
            return Response::error(500, "Allocation failed");
        };
        let json_name = format!("UnicastRTP/{host}-0x7f{:010x}", self.chance.number() >> 24);
        let leg = MediaLeg::new(now, host, port, &mut self.chance);
        let app = app.to_owned();
        let named = self.named_end(port);
        let mut variables = params.variables.clone();
        variables.push(("UNICASTRTP_LOCAL_ADDRESS".to_owned(), named.ip().to_string()));
        variables.push(("UNICASTRTP_LOCAL_PORT".to_owned(), named.port().to_string()));
        let key = self.add_channel(Channel {
            id,
            name: json_name,
            state: State::Down,
            protocol_id: String::new(),
            number: String::new(),
            connected: String::new(),
            context: "default".into(),
            extension: "s".into(),
            priority: 1,
            app_name: "AppDial2",
            app_data: "(Outgoing Line)".into(),
            created: self.timestamp(now),
            variables,
            app: app.clone(),
            args: Vec::new(),
            in_stasis: false,
            bridge: None,
            leg: Leg::Media(leg),
        });
        self.ports.insert(port, key);
        self.out.push_back(Emit::OpenPort(port));
        self.follow(&app, key);
        let event = Event::channel("ChannelCreated", &self.channels[&key]);
        self.publish(now, About::Everything, &event);
        self.later(now + self.settings.stasis_latency, Later::MediaEnters(key));
        self.media_reply(&self.channels[&key], named.ip(), named.port())
    }

    /// The end of a media leg with this port, as ARI reports it.
    fn named_end(&self, port: u16) -> SocketAddr {
        let address = self.settings.named_address.unwrap_or(self.settings.media_address);
        SocketAddr::new(address, self.settings.named_port.unwrap_or(port))
    }

    /// The answer to the request for a media channel, in the form that this Asterisk uses.
    fn media_reply(&self, channel: &Channel, address: IpAddr, port: u16) -> Response {
        Response::ok(match self.settings.media_reply {
            MediaReply::Channel => events::external_media_json(channel, address, port),
            MediaReply::Around => format!(
                "{{\"channel\":{},\"local_address\":\"{address}\",\"local_port\":{port}}}",
                events::channel_json(channel)
            ),
        })
    }

    /// The next even port in turn that no leg uses. A port that was just freed comes last.
    fn free_port(&mut self) -> Option<u16> {
        let range = &self.settings.media_ports;
        let first = range.start + range.start % 2;
        let count = u32::from(range.end.saturating_sub(first).div_ceil(2));
        for _ in 0..count {
            let port = first + 2 * (self.port_turn % count) as u16;
            self.port_turn += 1;
            if !self.ports.contains_key(&port) {
                return Some(port);
            }
        }
        None
    }
}

/// Chooses the error of this version. Asterisk 22 has one status for all internal failures; Asterisk 16 names
/// the cause.
fn by_version(v22: bool, status: u16, message: &str) -> Response {
    if v22 { Response::error(500, "Allocation failed") } else { Response::error(status, message) }
}

/// Resolves `external_host`. The fake knows only the name `localhost`.
fn resolved(host: &str) -> Option<SocketAddr> {
    match host.strip_prefix("localhost:") {
        Some(port) => Some((Ipv4Addr::LOCALHOST, port.parse().ok()?).into()),
        None => host.parse().ok(),
    }
}
