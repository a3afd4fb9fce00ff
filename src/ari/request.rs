//! What we ask of Asterisk: the REST requests, as data, and what it answered.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde::Deserialize;

use super::{BridgeId, ChannelId, Place};

/// One REST request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A mixing bridge with the id we chose.
    CreateBridge {
        /// Its id.
        bridge: BridgeId,
    },
    /// An ExternalMedia channel: RTP, µ-law, between Asterisk and `host`.
    ExternalMedia {
        /// The Stasis application it enters.
        app: String,
        /// Its id.
        channel: ChannelId,
        /// Where Asterisk sends the caller's audio: our socket.
        host: SocketAddr,
    },
    /// Joins two channels in a bridge. Only after both are in the application (422 otherwise).
    AddChannels {
        /// The bridge.
        bridge: BridgeId,
        /// The caller and its media channel.
        channels: [ChannelId; 2],
    },
    /// Lets the caller hear ringing (SIP 180).
    Ring(ChannelId),
    /// Takes the call.
    Answer(ChannelId),
    /// Sets a channel variable, for the dialplan to read.
    SetVariable {
        /// The channel.
        channel: ChannelId,
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Whether the dialplan has this place (`DIALPLAN_EXISTS`, asked on a channel); see [`exists`].
    DialplanExists {
        /// A channel.
        channel: ChannelId,
        /// The place.
        place: Place,
    },
    /// Lets the channel go on in the dialplan. A place that does not exist ends the call, with 204 all the same.
    Continue {
        /// The channel.
        channel: ChannelId,
        /// Where; None: with the next step.
        place: Option<Place>,
    },
    /// Hangs up.
    Hangup(ChannelId),
    /// Removes a bridge; its channels stay.
    DeleteBridge(BridgeId),
    /// What our application holds: is it registered, which channels and bridges are in it?
    Application(String),
    /// All bridges, of whatever program; see [`Application::add_bridges`] and [`idle_bridges`].
    Bridges,
    /// One channel's description.
    Channel(ChannelId),
    /// What Asterisk says of itself; answers [`version`].
    Info,
    /// Its modules; answers [`running_modules`].
    Modules,
}

/// HTTP method of a [`Request`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or acts.
    Post,
    /// Removes.
    Delete,
}

/// How a [`Request`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// 2xx, with the body.
    Done(String),
    /// Any other status, with what Asterisk said about it.
    Refused {
        /// HTTP status.
        status: u16,
        /// Asterisk's message.
        message: String,
    },
    /// No answer: whether it was carried out is unknown.
    Lost(String),
}

impl Request {
    /// Whether asking again would change nothing: it was done, or is refused for a reason that stays. Without an answer,
    /// or with a fault of Asterisk's own (5xx), it may not have been done; and a caller who is still there must be
    /// sent on, whatever was said before.
    pub const fn is_settled_by(&self, reply: &Reply) -> bool {
        match (self, reply) {
            (_, Reply::Done(_)) => true,
            (_, Reply::Lost(_)) => false,
            (Self::Continue { .. }, Reply::Refused { status, .. }) => matches!(*status, 404 | 409),
            (Self::Hangup(_) | Self::DeleteBridge(_), Reply::Refused { status, .. }) => *status == 404,
            (_, Reply::Refused { status, .. }) => *status < 500,
        }
    }

    /// Whether what a removal removes is there no more. Asterisk answers 204 before it has done it, and refuses to make
    /// something of the same name until then (409).
    pub const fn is_gone_by(&self, reply: &Reply) -> bool {
        matches!(reply, Reply::Refused { status: 404, .. })
    }

    /// Whether making it twice does no more than making it once. Of what is created under a name the second time is
    /// refused (409; Asterisk 22: 500), and that refusal says nothing about the first.
    pub const fn may_be_repeated(&self) -> bool {
        !matches!(self, Self::CreateBridge { .. } | Self::ExternalMedia { .. })
    }

    /// Whether it is to change or make a channel.
    pub fn changes_a_channel(&self) -> bool {
        self.method() != Method::Get && self.path().starts_with("/channels/")
    }

    /// Whether its answer grows with what Asterisk does for others.
    pub const fn answers_a_list(&self) -> bool {
        matches!(self, Self::Application(_) | Self::Bridges | Self::Modules)
    }

    /// Its HTTP method.
    pub const fn method(&self) -> Method {
        match self {
            Self::CreateBridge { .. }
            | Self::ExternalMedia { .. }
            | Self::AddChannels { .. }
            | Self::Ring(_)
            | Self::Answer(_)
            | Self::SetVariable { .. }
            | Self::Continue { .. } => Method::Post,
            Self::Hangup(_) | Self::DeleteBridge(_) => Method::Delete,
            Self::Application(_)
            | Self::Bridges
            | Self::Channel(_)
            | Self::DialplanExists { .. }
            | Self::Info
            | Self::Modules => Method::Get,
        }
    }

    /// Method and path without the query, in which a caller's words may be: `POST /channels/1.2/continue`.
    pub fn name(&self) -> String {
        let path = self.path();
        let path = path.split('?').next().unwrap_or_default();
        let method = match self.method() {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        };
        format!("{method} {path}")
    }

    /// Path and query below `/ari`, percent-encoded.
    pub fn path(&self) -> String {
        match self {
            Self::CreateBridge { bridge } => {
                path(&["bridges"], &[("type", "mixing"), ("bridgeId", bridge.as_str())])
            }
            Self::ExternalMedia { app, channel, host } => path(
                &["channels", "externalMedia"],
                &[
                    ("app", app),
                    ("channelId", channel.as_str()),
                    ("external_host", &host.to_string()),
                    ("format", "ulaw"),
                ],
            ),
            Self::AddChannels { bridge, channels: [one, other] } => {
                path(&["bridges", bridge.as_str(), "addChannel"], &[("channel", &format!("{one},{other}"))])
            }
            Self::Ring(channel) => path(&["channels", channel.as_str(), "ring"], &[]),
            Self::Answer(channel) => path(&["channels", channel.as_str(), "answer"], &[]),
            Self::SetVariable { channel, name, value } => {
                path(&["channels", channel.as_str(), "variable"], &[("variable", name), ("value", value)])
            }
            Self::DialplanExists { channel, place } => path(
                &["channels", channel.as_str(), "variable"],
                &[("variable", &format!("DIALPLAN_EXISTS({place})"))],
            ),
            Self::Continue { channel, place: None } => path(&["channels", channel.as_str(), "continue"], &[]),
            Self::Continue { channel, place: Some(place) } => path(
                &["channels", channel.as_str(), "continue"],
                &[
                    ("context", &place.context),
                    ("extension", &place.extension),
                    ("priority", &place.priority.to_string()),
                ],
            ),
            Self::Hangup(channel) | Self::Channel(channel) => path(&["channels", channel.as_str()], &[]),
            Self::DeleteBridge(bridge) => path(&["bridges", bridge.as_str()], &[]),
            Self::Application(app) => path(&["applications", app], &[]),
            Self::Bridges => path(&["bridges"], &[]),
            Self::Info => path(&["asterisk", "info"], &[]),
            Self::Modules => path(&["asterisk", "modules"], &[]),
        }
    }
}

fn path(segments: &[&str], query: &[(&str, &str)]) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        encode(&mut path, segment);
    }
    for (index, (name, value)) in query.iter().enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        encode(&mut path, name);
        path.push('=');
        encode(&mut path, value);
    }
    path
}

/// Percent-encodes all but unreserved characters (RFC 3986 §2.3).
fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            write!(out, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
}

/// Where Asterisk's end of an ExternalMedia channel is, from the reply to its creation: the channel with its variables, or
/// (Asterisk 16.6.0 to 16.6.2) an object around the channel that has the address beside it.
///
/// None: the reply does not say (or says nonsense), and the media path cannot be used.
pub fn media_address(body: &str) -> Option<SocketAddr> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Body {
        Channel { channelvars: Variables },
        Around { local_address: String, local_port: u16 },
    }
    #[derive(Deserialize)]
    struct Variables {
        #[serde(rename = "UNICASTRTP_LOCAL_ADDRESS")]
        address: String,
        #[serde(rename = "UNICASTRTP_LOCAL_PORT")]
        port: String,
    }
    let (address, port) = match serde_json::from_str(body).ok()? {
        Body::Channel { channelvars: Variables { address, port } } => (address, port.parse().ok()?),
        Body::Around { local_address, local_port } => (local_address, local_port),
    };
    (port != 0).then_some(SocketAddr::new(address.parse().ok()?, port))
}

/// What [`Request::DialplanExists`] answers.
pub fn exists(body: &str) -> bool {
    #[derive(Deserialize)]
    struct Body {
        value: String,
    }
    serde_json::from_str::<Body>(body).is_ok_and(|body| body.value == "1")
}

/// The bridges without channels, from the reply to [`Request::Bridges`].
pub fn idle_bridges(body: &str) -> Vec<BridgeId> {
    #[derive(Deserialize)]
    struct Bridge {
        id: String,
        channels: Vec<String>,
    }
    let all: Vec<Bridge> = serde_json::from_str(body).unwrap_or_default();
    all.iter().filter(|bridge| bridge.channels.is_empty()).map(|bridge| BridgeId::from(&*bridge.id)).collect()
}

/// Asterisk's version, from the reply to [`Request::Info`].
pub fn version(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        system: System,
    }
    #[derive(Deserialize)]
    struct System {
        version: String,
    }
    serde_json::from_str(body).ok().map(|Body { system: System { version } }| version)
}

/// When Asterisk was started, from the reply to [`Request::Info`]: another time is another Asterisk, with none of the
/// channels of the one before.
pub fn started_at(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        status: Status,
    }
    #[derive(Deserialize)]
    struct Status {
        startup_time: String,
    }
    serde_json::from_str(body).ok().map(|Body { status: Status { startup_time } }| startup_time)
}

/// The modules that run, from the reply to [`Request::Modules`].
pub fn running_modules(body: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Module {
        name: String,
        status: String,
    }
    let all: Vec<Module> = serde_json::from_str(body).ok()?;
    Some(all.into_iter().filter(|module| module.status == "Running").map(|module| module.name).collect())
}

/// What [`Request::Application`] answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Application {
    /// Channels in (or subscribed by) the application.
    #[serde(default)]
    channel_ids: Vec<String>,
    /// Bridges subscribed by the application.
    #[serde(default)]
    bridge_ids: Vec<String>,
}

impl Application {
    /// Reads the reply's body; None when it is not an application.
    pub fn parse(body: &str) -> Option<Self> {
        serde_json::from_str(body).ok()
    }

    /// Adds the bridges that are named after its channels, from the reply to [`Request::Bridges`]: Asterisk itself lists
    /// with an application only those that one of its channels has joined.
    pub fn add_bridges(&mut self, body: &str) {
        #[derive(Deserialize)]
        struct Bridge {
            id: String,
        }
        let all: Vec<Bridge> = serde_json::from_str(body).unwrap_or_default();
        let ours = all.into_iter().map(|bridge| bridge.id).filter(|id| {
            let caller = BridgeId::from(&**id).caller();
            let is_here =
                caller.is_some_and(|caller| self.channel_ids.iter().any(|id| *id == caller.as_str()));
            is_here && !self.bridge_ids.contains(id)
        });
        let ours: Vec<_> = ours.collect();
        self.bridge_ids.extend(ours);
    }

    /// The channels in it.
    pub fn channels(&self) -> impl Iterator<Item = ChannelId> {
        self.channel_ids.iter().map(|id| ChannelId::from(&**id))
    }

    /// The bridges in it.
    pub fn bridges(&self) -> impl Iterator<Item = BridgeId> {
        self.bridge_ids.iter().map(|id| BridgeId::from(&**id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_encoded() {
        let request = Request::SetVariable { channel: "1.2/..".into(), name: "AI", value: "a b&c".into() };
        assert_eq!(request.path(), "/channels/1.2%2F../variable?variable=AI&value=a%20b%26c");
        let media = Request::ExternalMedia {
            app: "openai-app".into(),
            channel: ChannelId::from("1.2").media(),
            host: ([127, 0, 0, 1], 10_000).into(),
        };
        let expected = "/channels/externalMedia?app=openai-app&channelId=oic-media-1.2\
                        &external_host=127.0.0.1%3A10000&format=ulaw";
        assert_eq!(media.path(), expected);
        let place: Option<Place> = "from-internal,*97,2".parse().ok();
        let on = Request::Continue { channel: "1.2".into(), place: place.clone() };
        assert_eq!(on.path(), "/channels/1.2/continue?context=from-internal&extension=%2A97&priority=2");
        let asked = Request::DialplanExists { channel: "1.2".into(), place: place.expect("a place") };
        let expected = "/channels/1.2/variable?variable=DIALPLAN_EXISTS%28from-internal%2C%2A97%2C2%29";
        assert_eq!(asked.path(), expected);
        assert!(exists(r#"{"value":"1"}"#) && !exists(r#"{"value":"0"}"#) && !exists(""));
    }

    #[test]
    fn bridges_named_after_an_applications_channels_are_its_too() {
        let mut application = Application::parse(
            r#"{"name":"openai-app","channel_ids":["1.1","1.2"],"bridge_ids":["oic-bridge-1.1"]}"#,
        )
        .expect("an application");
        application.add_bridges(
            r#"[{"id":"oic-bridge-1.1","channels":["1.1"]},{"id":"oic-bridge-1.2","channels":[]},
                {"id":"oic-bridge-9.9","channels":[]},{"id":"a conference"}]"#,
        );
        let bridges: Vec<_> = application.bridges().collect();
        assert_eq!(bridges, ["oic-bridge-1.1", "oic-bridge-1.2"].map(BridgeId::from));
        application.add_bridges("[]");
        application.add_bridges("");
        assert_eq!(application.bridges().count(), 2);
    }

    #[test]
    fn asterisk_is_asked_about_itself() {
        let info =
            r#"{"build":{"os":"Linux"},"system":{"version":"16.28.0~dfsg-0+deb11u4","entity_id":"0"}}"#;
        assert_eq!(version(info).as_deref(), Some("16.28.0~dfsg-0+deb11u4"));
        assert_eq!(version("{}"), None);
        let bridges = r#"[{"id":"oic-bridge-1.0","technology":"simple_bridge","channels":[]},
            {"id":"oic-bridge-2.0","technology":"simple_bridge","channels":["2.0","oic-media-2.0"]}]"#;
        assert_eq!((idle_bridges(bridges), idle_bridges("{}")), (vec!["oic-bridge-1.0".into()], vec![]));
        let modules = r#"[{"name":"acl","description":"","use_count":2,"status":"Running","support_level":"core"},
            {"name":"chan_rtp.so","description":"","use_count":0,"status":"Not Running","support_level":"core"}]"#;
        assert_eq!(running_modules(modules), Some(vec!["acl".to_owned()]));
        assert_eq!(
            (Request::Info.path(), Request::Modules.path()),
            ("/asterisk/info".into(), "/asterisk/modules".into())
        );
    }

    #[test]
    fn the_media_address_is_believed_only_when_it_is_one() {
        let reply = |address: &str, port: &str| {
            format!(
                r#"{{"id":"x","channelvars":{{"UNICASTRTP_LOCAL_PORT":"{port}","UNICASTRTP_LOCAL_ADDRESS":"{address}"}}}}"#
            )
        };
        assert_eq!(media_address(&reply("127.0.0.1", "30000")), Some(([127, 0, 0, 1], 30_000).into()));
        assert_eq!(media_address(&reply("127.0.0.1", "0")), None);
        assert_eq!(media_address(&reply("host", "1")), None);
        assert_eq!(media_address("{}"), None);
        let around = |port: &str| {
            format!(
                r#"{{"channel":{{"id":"x","state":"Down"}},"local_address":"127.0.0.1","local_port":{port}}}"#
            )
        };
        assert_eq!(media_address(&around("30000")), Some(([127, 0, 0, 1], 30_000).into()));
        assert_eq!(media_address(&around("0")), None);
        assert_eq!(media_address(&around("-1")), None);
    }
}
