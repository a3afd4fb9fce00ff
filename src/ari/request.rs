//! The ARI requests that the program makes, as data, and the answers of Asterisk.

use std::fmt;
use std::net::SocketAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::nonce::Nonce;
use super::sound_name::SoundName;
use super::{BridgeId, ChannelId, Place, Voice};
use crate::number::mask_numbers;

/// One ARI request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Creates a mixing bridge with an id that the program chooses.
    CreateBridge {
        /// The id of the new bridge.
        bridge: BridgeId,
    },
    /// Creates an ExternalMedia channel, which exchanges µ-law RTP between Asterisk and `host`.
    ExternalMedia {
        /// The Stasis application that the channel enters.
        app: String,
        /// The id of the new channel.
        channel: ChannelId,
        /// The address to which Asterisk sends the caller's audio: the RTP socket of the call.
        host: SocketAddr,
    },
    /// Calls an address. The new channel enters the application when the call is answered.
    Dial {
        /// The Stasis application that the channel enters.
        app: String,
        /// The id of the new channel.
        channel: ChannelId,
        /// What is called: `PJSIP/{user}@{endpoint}`.
        endpoint: String,
        /// A header that the INVITE gets: its name and its value.
        header: (&'static str, Nonce),
        /// After so many seconds without an answer Asterisk gives up.
        seconds: u32,
    },
    /// Makes a snoop channel, which gets a copy of one direction of the sound of a caller's channel and enters the application.
    Snoop {
        /// The Stasis application that the snoop channel enters.
        app: String,
        /// The channel whose sound is copied.
        channel: ChannelId,
        /// The id of the new channel.
        snoop: ChannelId,
        /// The direction.
        voice: Voice,
    },
    /// Records the sound of a snoop channel as µ-law in a file of Asterisk's, which has this name.
    RecordChannel(SoundName),
    /// Deletes the recording of this name.
    DeleteRecording(SoundName),
    /// Joins two channels in a bridge. Asterisk answers 422 until both channels are in the application.
    AddChannels {
        /// The bridge that the channels join.
        bridge: BridgeId,
        /// The caller's channel and its media channel.
        channels: [ChannelId; 2],
    },
    /// Indicates ringing to the caller (SIP 180).
    Ring(ChannelId),
    /// Answers the call.
    Answer(ChannelId),
    /// Sets a channel variable, which the dialplan can read.
    SetVariable {
        /// The channel that gets the variable.
        channel: ChannelId,
        /// The name of the variable.
        name: &'static str,
        /// The value of the variable.
        value: String,
    },
    /// Asks whether the dialplan has this place (`DIALPLAN_EXISTS`, evaluated on a channel); see [`exists`].
    DialplanExists {
        /// Any channel that exists.
        channel: ChannelId,
        /// The place that is looked up.
        place: Place,
    },
    /// Lets the channel continue in the dialplan. If the place does not exist, the call ends, although
    /// Asterisk answers 204.
    Continue {
        /// The channel that continues.
        channel: ChannelId,
        /// The place at which the channel continues. None: the step after `Stasis()`.
        place: Option<Place>,
    },
    /// Hangs up a channel.
    Hangup(ChannelId),
    /// Removes a bridge. The channels in the bridge remain.
    DeleteBridge(BridgeId),
    /// Asks whether an application is registered, and which channels and bridges belong to that application.
    Application(String),
    /// Lists all bridges of all programs; see [`Bridges`](super::lists::Bridges).
    Bridges,
    /// Lists the recordings that Asterisk keeps; see [`Recordings`](super::lists::Recordings).
    Recordings,
    /// Asks for the description of one channel.
    Channel(ChannelId),
    /// Asks for the description of Asterisk itself; see [`info`](super::info).
    Info,
    /// Lists the modules of Asterisk; see [`running_modules`](super::lists::running_modules).
    Modules,
}

/// The HTTP method of a [`Request`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET: reads.
    Get,
    /// POST: creates an object or starts an action.
    Post,
    /// DELETE: removes an object.
    Delete,
}

/// The outcome of a [`Request`].
///
/// Its `Debug` form holds no number: it tells only how long a body is, and masks the numbers in a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// Asterisk answered 2xx. The value is the body.
    Done(String),
    /// Asterisk answered any other status.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The message in Asterisk's answer.
        message: String,
    },
    /// No answer arrived, so it is unknown whether Asterisk carried out the request. The value says why.
    Lost(String),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(body) => write!(f, "Done({} bytes)", body.len()),
            Self::Refused { status, message } => write!(f, "Refused({status}, {:?})", mask_numbers(message)),
            Self::Lost(cause) => f.debug_tuple("Lost").field(cause).finish(),
        }
    }
}

impl Request {
    /// Whether a repetition of the request would change nothing, because Asterisk carried out the request or
    /// refuses it for a lasting reason. Without an answer, or after a fault of Asterisk (5xx), the request
    /// may not have been carried out. A `Continue` is settled only when the channel no longer exists or has
    /// left the application (404 or 409), because a caller who is still in the application must be sent on.
    pub const fn is_settled_by(&self, reply: &Reply) -> bool {
        match (self, reply) {
            (_, Reply::Done(_)) => true,
            (_, Reply::Lost(_)) => false,
            (Self::Continue { .. }, Reply::Refused { status, .. }) => matches!(*status, 404 | 409),
            (
                Self::Hangup(_) | Self::DeleteBridge(_) | Self::DeleteRecording(_),
                Reply::Refused { status, .. },
            ) => *status == 404,
            (_, Reply::Refused { status, .. }) => *status < 500,
        }
    }

    /// Whether the reply shows that the object to be removed no longer exists. Asterisk answers 204 before
    /// the object is gone, and until then it refuses to create an object with the same id (409).
    pub const fn is_gone_by(&self, reply: &Reply) -> bool {
        matches!(reply, Reply::Refused { status: 404, .. })
    }

    /// Whether making the request twice has the same effect as making it once. Asterisk refuses to create an
    /// object whose id exists (409; Asterisk 22: 500), and that refusal does not tell whether the first
    /// request succeeded.
    pub const fn may_be_repeated(&self) -> bool {
        !matches!(
            self,
            Self::CreateBridge { .. }
                | Self::ExternalMedia { .. }
                | Self::Dial { .. }
                | Self::Snoop { .. }
                | Self::RecordChannel(_)
        )
    }

    /// Whether the request creates, changes or removes a channel.
    pub fn changes_a_channel(&self) -> bool {
        self.method() != Method::Get && self.path().starts_with("/channels/")
    }

    /// Whether the length of the answer depends on what else Asterisk does.
    pub const fn answers_a_list(&self) -> bool {
        matches!(self, Self::Application(_) | Self::Bridges | Self::Recordings | Self::Modules)
    }

    /// The HTTP method of the request.
    pub const fn method(&self) -> Method {
        match self {
            Self::CreateBridge { .. }
            | Self::ExternalMedia { .. }
            | Self::Dial { .. }
            | Self::Snoop { .. }
            | Self::RecordChannel(_)
            | Self::AddChannels { .. }
            | Self::Ring(_)
            | Self::Answer(_)
            | Self::SetVariable { .. }
            | Self::Continue { .. } => Method::Post,
            Self::Hangup(_) | Self::DeleteBridge(_) | Self::DeleteRecording(_) => Method::Delete,
            Self::Application(_)
            | Self::Bridges
            | Self::Recordings
            | Self::Channel(_)
            | Self::DialplanExists { .. }
            | Self::Info
            | Self::Modules => Method::Get,
        }
    }

    /// The body, as JSON. None: everything is in the path and the query.
    pub fn body(&self) -> Option<String> {
        let Self::Dial { header: (name, value), .. } = self else { return None };
        let name = format!("PJSIP_HEADER(add,{name})");
        Some(serde_json::json!({"variables": {name: value.expose()}}).to_string())
    }

    /// The method and the path, for example `POST /channels/1.2/continue`. The query is left out, because it
    /// may hold words of the caller.
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

    /// The path below `/ari` and the query, both percent-encoded.
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
            Self::Dial { app, channel, endpoint, seconds, .. } => path(
                &["channels"],
                &[
                    ("endpoint", endpoint),
                    ("app", app),
                    ("channelId", channel.as_str()),
                    ("callerId", CALLER_ID),
                    ("timeout", &seconds.to_string()),
                ],
            ),
            Self::Snoop { .. } | Self::RecordChannel(_) | Self::DeleteRecording(_) | Self::Recordings => {
                self.path_of_sound()
            }
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

    /// The same for the requests about recordings.
    fn path_of_sound(&self) -> String {
        match self {
            Self::Snoop { app, channel, snoop, voice } => path(
                &["channels", channel.as_str(), "snoop"],
                &[("app", app), ("snoopId", snoop.as_str()), ("spy", spy(*voice))],
            ),
            // A repeated request overwrites what it has begun itself: another call's recording has another name.
            Self::RecordChannel(sound) => path(
                &["channels", sound.snoop().as_str(), "record"],
                &[("name", &sound.to_string()), ("format", "ulaw"), ("ifExists", "overwrite")],
            ),
            Self::DeleteRecording(sound) => path(&["recordings", "stored", &sound.to_string()], &[]),
            _ => path(&["recordings", "stored"], &[]),
        }
    }
}

/// The number that calls OpenAI, as OpenAI sees it. The caller's number is none of OpenAI's business; a call without any number goes
/// out as an anonymous one, and some of those have been refused. Asterisk takes a text that is no number for a name.
const CALLER_ID: &str = "1000";

/// All but unreserved characters (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn path(segments: &[&str], query: &[(&str, &str)]) -> String {
    let encoded = |text| utf8_percent_encode(text, RESERVED).to_string();
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        path += &encoded(segment);
    }
    for (index, (name, value)) in query.iter().enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.extend([encoded(name), "=".to_owned(), encoded(value)]);
    }
    path
}

/// How Asterisk calls the direction of a voice.
const fn spy(voice: Voice) -> &'static str {
    match voice {
        Voice::Said => "in",
        Voice::Heard => "out",
    }
}

/// The path and the query of the sound of the recording of this name, below `/ari`.
#[must_use]
pub fn recording_path(sound: &SoundName) -> String {
    path(&["recordings", "stored", &sound.to_string(), "file"], &[])
}

/// The address at which Asterisk receives the RTP of an ExternalMedia channel, from the reply to the creation
/// of that channel. The reply is the channel with its variables. Asterisk 16.6.0 to 16.6.2 reply with an
/// object that holds the channel and, beside the channel, the address.
///
/// None: the reply holds no usable address, so no audio can be sent to Asterisk.
pub fn media_address(body: &str) -> Option<SocketAddr> {
    #[derive(Deserialize)]
    struct Body {
        channelvars: Option<Variables>,
        local_address: Option<String>,
        local_port: Option<u16>,
    }
    #[derive(Deserialize)]
    struct Variables {
        #[serde(rename = "UNICASTRTP_LOCAL_ADDRESS")]
        address: String,
        #[serde(rename = "UNICASTRTP_LOCAL_PORT")]
        port: String,
    }
    let (address, port) = match serde_json::from_str(body).ok()? {
        Body { channelvars: Some(Variables { address, port }), .. } => (address, port.parse().ok()?),
        Body { local_address, local_port, .. } => (local_address?, local_port?),
    };
    (port != 0).then_some(SocketAddr::new(address.parse().ok()?, port))
}

/// Whether the place exists, from the reply to [`Request::DialplanExists`].
pub fn exists(body: &str) -> bool {
    #[derive(Deserialize)]
    struct Body {
        value: String,
    }
    serde_json::from_str::<Body>(body).is_ok_and(|body| body.value == "1")
}

#[cfg(test)]
mod tests {
    use super::super::sound_name::Part;
    use super::*;
    use crate::ari::info::version;

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
    fn openai_is_called_with_a_header_of_which_the_log_knows_nothing() {
        let request = Request::Dial {
            app: "openai-app".into(),
            channel: ChannelId::from("1.2").media(),
            endpoint: "PJSIP/proj_1@openai".into(),
            header: ("X-Call-Nonce", "b3f1".into()),
            seconds: 8,
        };
        let expected = "/channels?endpoint=PJSIP%2Fproj_1%40openai&app=openai-app&channelId=oic-media-1.2&callerId=1000&timeout=8";
        assert_eq!(request.path(), expected);
        assert_eq!(
            request.body().as_deref(),
            Some(r#"{"variables":{"PJSIP_HEADER(add,X-Call-Nonce)":"b3f1"}}"#)
        );
        assert_eq!(request.name(), "POST /channels");
        assert!(!format!("{request:?}").contains("b3f1"), "{request:?}");
    }

    #[test]
    fn the_sound_of_a_caller_is_copied_and_recorded() {
        let caller = ChannelId::from("1.2");
        let snoop = |voice| Request::Snoop {
            app: "openai-app".into(),
            channel: caller.clone(),
            snoop: caller.snoop(voice),
            voice,
        };
        assert_eq!(
            snoop(Voice::Said).path(),
            "/channels/1.2/snoop?app=openai-app&snoopId=oic-said-1.2&spy=in"
        );
        assert_eq!(
            snoop(Voice::Heard).path(),
            "/channels/1.2/snoop?app=openai-app&snoopId=oic-heard-1.2&spy=out"
        );
        let sound = SoundName::new(caller.clone(), Voice::Said, Part::of_call(1_795_180_050));
        let record = Request::RecordChannel(sound.clone());
        assert_eq!(
            record.path(),
            "/channels/oic-said-1.2/record?name=oic-said-1.2_1795180050&format=ulaw&ifExists=overwrite"
        );
        let delete = Request::DeleteRecording(sound);
        assert_eq!(delete.name(), "DELETE /recordings/stored/oic-said-1.2_1795180050");
    }

    #[test]
    fn asterisk_is_asked_about_itself() {
        let info =
            r#"{"build":{"os":"Linux"},"system":{"version":"16.28.0~dfsg-0+deb11u4","entity_id":"0"}}"#;
        assert_eq!(version(info).as_deref(), Some("16.28.0~dfsg-0+deb11u4"));
        assert_eq!(version("{}"), None);
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
