//! Channels that the application has asked for (`POST /channels`), and their far ends, which have no SIP: the owner says what they
//! do, and carries their sound (in `media`). Measured on Asterisk 16.28 and 22.10: a far end that refuses leaves `Dial` and `ChannelDestroyed` and no `StasisStart`.

use std::time::{Duration, Instant};

use super::applications::About;
use super::channels::HangUp;
use super::events::{self, Event};
use super::objects::{Channel, Leg, State};
use super::resources::Params;
use super::{Asterisk, Emit, Ending, Key, Later, Response, Version};

/// How long a far end may ring if the request does not say.
const RINGS_FOR: Duration = Duration::from_secs(30);

impl Asterisk {
    /// Calls an address. The channel enters the application when the far end answers.
    pub(super) fn dial(&mut self, now: Instant, params: &Params) -> Response {
        let (Some(endpoint), Some(app)) = (params.get("endpoint"), params.get("app")) else {
            return Response::error(400, "endpoint and app are required");
        };
        let v22 = self.settings.version == Version::V22;
        let id = params.get("channelId").map_or_else(|| self.new_id(now), str::to_owned);
        if self.by_id.contains_key(&id) {
            let status = if v22 { 500 } else { 409 };
            return Response::error(status, "Channel with given unique ID already exists");
        }
        let known = endpoint.strip_prefix("PJSIP/").and_then(|rest| rest.split_once('@'));
        let is_known = known
            .is_some_and(|(_, name)| self.settings.endpoints.iter().any(|(endpoint, _)| endpoint == name));
        if !is_known {
            return Response::error(500, "Allocation failed");
        }
        let dialled = endpoint.trim_start_matches("PJSIP/").to_owned();
        let (app, number) = (app.to_owned(), params.get("callerId").unwrap_or_default().to_owned());
        let seconds = params.get("timeout").and_then(|seconds| seconds.parse().ok());
        let key = self.add_channel(Channel {
            id: id.clone(),
            name: format!("PJSIP/{}-{:08x}", known.map_or("", |(_, name)| name), self.voip_count),
            state: State::Down,
            protocol_id: String::new(),
            number,
            connected: String::new(),
            context: "default".into(),
            extension: "s".into(),
            priority: 1,
            app_name: "AppDial2",
            app_data: "(Outgoing Line)".into(),
            created: self.timestamp(now),
            variables: params.variables.clone(),
            app: app.clone(),
            args: Vec::new(),
            in_stasis: false,
            bridge: None,
            leg: Leg::Far(dialled.clone()),
        });
        self.voip_count += 1;
        self.follow(&app, key);
        let event = Event::dial("", &dialled, &self.channels[&key]);
        self.publish(now, About::Channel(key), &event);
        self.out.push_back(Emit::Dialled { channel: id, headers: headers(&params.variables) });
        self.later(now + seconds.map_or(RINGS_FOR, Duration::from_secs), Later::GivesUp(key));
        Response::ok(events::channel_json(&self.channels[&key]))
    }

    /// The far end of a channel that was asked for answers.
    pub fn far_end_answers(&mut self, now: Instant, channel: &str) {
        self.advance(now);
        let Some(key) = self.far(channel).filter(|key| self.channels[key].state == State::Down) else {
            return;
        };
        let Some(channel) = self.channels.get_mut(&key) else { return };
        channel.state = State::Up;
        let app = channel.app.clone();
        let up = Event::channel("ChannelStateChange", channel);
        let answer = Event::dial("ANSWER", dialled(channel), channel);
        for event in [up, answer] {
            self.publish(now, About::Channel(key), &event);
        }
        if !self.is_listening(&app) {
            return self.remove(now, key, 16);
        }
        if let Some(channel) = self.channels.get_mut(&key) {
            (channel.app_name, channel.app_data) = ("Stasis", app);
        }
        self.enter_stasis(now, key);
    }

    /// The far end hangs up, or refuses the call if it has not answered.
    pub fn far_end_hangs_up(&mut self, now: Instant, channel: &str) {
        self.advance(now);
        let Some(key) = self.far(channel) else { return };
        if self.channels[&key].state == State::Down {
            return self.not_answered(now, key, "BUSY", 17);
        }
        self.hang_up(now, key, HangUp { destroyed: 16, ..HangUp::default() }, Ending::CallerHungUp);
    }

    /// Asterisk has let the far end ring for long enough.
    pub(super) fn gives_up(&mut self, now: Instant, key: Key) {
        let is_ringing = self.channels.get(&key).is_some_and(|channel| channel.state == State::Down);
        if is_ringing {
            let cause = if self.settings.version == Version::V22 { 19 } else { 0 };
            self.not_answered(now, key, "NOANSWER", cause);
        }
    }

    fn not_answered(&mut self, now: Instant, key: Key, status: &str, cause: u16) {
        let channel = &self.channels[&key];
        let event = Event::dial(status, dialled(channel), channel);
        self.publish(now, About::Channel(key), &event);
        self.remove(now, key, cause);
    }

    /// A channel that was asked for.
    pub(super) fn far(&self, channel: &str) -> Option<Key> {
        let key = *self.by_id.get(channel)?;
        matches!(self.channels[&key].leg, Leg::Far(_)).then_some(key)
    }
}

fn dialled(channel: &Channel) -> &str {
    match &channel.leg {
        Leg::Far(dialled) => dialled,
        Leg::Phone(_) | Leg::Media(_) | Leg::Snoop(_) => "",
    }
}

/// The headers that `PJSIP_HEADER(add,NAME)` adds to the INVITE.
fn headers(variables: &[(String, String)]) -> Vec<(String, String)> {
    let of = |name: &str| Some(name.strip_prefix("PJSIP_HEADER(add,")?.strip_suffix(')')?.to_owned());
    variables.iter().filter_map(|(name, value)| Some((of(name)?, value.clone()))).collect()
}
