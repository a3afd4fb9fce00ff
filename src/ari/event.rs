//! The events of the ARI WebSocket that a call acts on, and the parser that reads them.
//!
//! Every other event becomes [`Event::Other`]. The parser ignores the fields that the program does not use, and bounds the
//! texts of an event: a call keeps what it is told of its channel.

use std::fmt;
use std::net::SocketAddr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::sound_name::SoundName;
use super::{ChannelId, Place};
use crate::number::{CallerName, CallerNumber, ChannelName, mask_numbers};

/// An event of the ARI WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A channel entered the application: a caller's channel or the media channel of a call.
    StasisStart(Channel),
    /// Asterisk has ended a recording, because it was asked to or the channel is gone. None: the program has not given its name.
    Recorded(Option<SoundName>),
    /// A channel took the place of another channel in the application and in its bridge, because the other
    /// end of the call was transferred (SIP REFER). A [`Self::StasisEnd`] for the old channel follows.
    Replaced {
        /// The channel that was replaced.
        old: ChannelId,
        /// The dialplan step at which the old channel would have continued. None: Asterisk did not tell it.
        next_step: Option<Place>,
        /// The channel that takes its place. This is often one end of a Local channel, which has no number.
        new: Channel,
    },
    /// The number of the party at the other end of the channel's bridge changed (`ChannelConnectedLine`).
    Connected {
        /// The channel whose other end changed.
        channel: ChannelId,
        /// The number of the other end. It may be empty.
        number: CallerNumber,
    },
    /// A channel left the application: it was hung up, or it continued in the dialplan.
    StasisEnd(ChannelId),
    /// The far end, or the program itself, asked Asterisk to hang up the channel.
    HangupRequested(ChannelId),
    /// Asterisk is shutting down and hangs up the channel.
    AsteriskStops(ChannelId),
    /// The channel no longer exists. Asterisk sends this event for a caller's channel only to a subscriber of
    /// that channel.
    Destroyed {
        /// The channel.
        channel: ChannelId,
        /// Why it was hung up (Q.850). 0: Asterisk does not say.
        cause: u32,
    },
    /// The state of the channel changed, for example to ringing or to answered.
    StateChanged(Channel),
    /// A key was pressed and released.
    Dtmf {
        /// The channel on which the key was pressed.
        channel: ChannelId,
        /// The key: `0`–`9`, `*`, `#` or `A`–`D`.
        digit: char,
    },
    /// The caller put the call on hold.
    Hold(ChannelId),
    /// The caller took the call off hold.
    Unhold(ChannelId),
    /// Another program registered the same application name. Asterisk sends the events to that program from
    /// now on.
    ApplicationReplaced,
    /// Any other event, with its type.
    Other(String),
}

/// The part of a channel's description that the program uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The unique id of the channel.
    pub id: ChannelId,
    /// The name of the channel, for example `PJSIP/trunk-00000012`.
    pub name: ChannelName,
    /// Whether the channel has been answered.
    pub up: bool,
    /// The caller's number. It may be empty.
    pub caller: CallerNumber,
    /// The caller's name. It may be empty.
    pub caller_name: CallerName,
    /// The number that the caller dialled.
    pub called: String,
    /// The arguments of `Stasis()` that have a name.
    pub arguments: Arguments,
    /// The channel variable `AI_AGENT`, if ari.conf tells Asterisk to send it (`channelvars = AI_AGENT`).
    pub agent: Option<String>,
    /// Whether the dialplan is executing `Stasis()` on the channel, as opposed to any other application.
    pub in_stasis: bool,
}

/// The arguments `NAME=value` of `Stasis()`. They may be private, so that `Debug` shows only how many there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Arguments(Vec<(String, String)>);

impl Arguments {
    /// Reads them from the data of the dialplan's application, which begins with the name of our application.
    fn of(data: &str) -> Self {
        let pairs = data.split(',').skip(1).filter_map(|argument| argument.split_once('='));
        let owned = |(name, value): (&str, &str)| (name.trim().to_owned(), value.trim().to_owned());
        Self(pairs.take(ARGUMENTS).map(owned).collect())
    }

    /// The arguments with other names than these.
    pub fn others(self, names: &[&str]) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter().filter(|(name, _)| !names.contains(&name.as_str()))
    }

    /// The value of an argument.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arguments({})", self.0.len())
    }
}

impl Channel {
    /// The address to which Asterisk sends the audio of an ExternalMedia channel. Asterisk 16 to 22 put the
    /// address into the name of the channel (`UnicastRTP/127.0.0.1:10000-0x7f…`).
    pub fn external_host(&self) -> Option<SocketAddr> {
        let (host, _) = self.name.expose().strip_prefix("UnicastRTP/")?.rsplit_once('-')?;
        host.parse().ok()
    }
}

/// The longest id of a channel, in bytes. Asterisk's own ids have at most 149 bytes (`AST_MAX_UNIQUEID`, channel.h); the ids of our
/// media channels are longer by a prefix. A smaller bound would refuse real callers. A larger one would only cost memory.
const ID_BYTES: usize = 256;
/// The longest other text of a channel, in bytes. Asterisk's names of channels and numbers have about 80 (`AST_CHANNEL_NAME`,
/// `AST_MAX_EXTENSION`, channel.h), and the names of Local channels twice as many. A smaller bound would cut names. A larger one
/// would let each call hold more memory and write more to the disk.
const TEXT_BYTES: usize = 256;

/// Most arguments of `Stasis()` that are kept. The dialplan of a call needs two. More would let a call hold more memory.
const ARGUMENTS: usize = 16;

/// The text is not a valid ARI event. The value says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an ARI event: {0}")]
pub struct Malformed(String);

impl From<serde_json::Error> for Malformed {
    /// Takes the message without the text that it quotes, because any text of an event may be the number or the name of a
    /// caller.
    fn from(error: serde_json::Error) -> Self {
        let message = mask_numbers(&error.to_string());
        let quoted = message.find('"').zip(message.rfind('"'));
        Self(match quoted {
            Some((from, to)) => {
                format!("{}\"…\"{}", &message[..from], message.get(to + 1..).unwrap_or_default())
            }
            None => message,
        })
    }
}

/// Reads one text frame of the event WebSocket.
///
/// # Errors
/// Returns [`Malformed`] if the text is not a JSON object with a `type`, or if a known event lacks its
/// channel.
pub fn parse(text: &str) -> Result<Event, Malformed> {
    let kind: Kind = serde_json::from_str(text).map_err(Malformed::from)?;
    let event = match kind.kind.as_str() {
        "StasisStart" => entered(text)?,
        "ChannelConnectedLine" => connected(text)?,
        "StasisEnd" => Event::StasisEnd(channel(text)?.id),
        "ChannelHangupRequest" => hangup_requested(text)?,
        "ChannelDestroyed" => destroyed(text)?,
        "ChannelStateChange" => Event::StateChanged(channel(text)?),
        "ChannelDtmfReceived" => dtmf(text)?,
        "ChannelHold" => Event::Hold(channel(text)?.id),
        "ChannelUnhold" => Event::Unhold(channel(text)?.id),
        "RecordingFinished" | "RecordingFailed" => recorded(text)?,
        "ApplicationReplaced" => Event::ApplicationReplaced,
        _ => Event::Other(cut(kind.kind)),
    };
    Ok(event)
}

/// Reads a channel object that stands alone, such as the body of `GET /channels/{id}`.
///
/// # Errors
/// Returns [`Malformed`] if the text is not a channel object.
pub fn parse_channel(text: &str) -> Result<Channel, Malformed> {
    serde_json::from_str::<WireChannel>(text).map(Channel::from).map_err(Malformed::from)
}

/// The cause in a `ChannelHangupRequest` when Asterisk shuts down and hangs up softly
/// (`AST_SOFTHANGUP_SHUTDOWN`). Asterisk 16 and 22 use the same value. A hang-up that is not soft carries a
/// Q.850 cause, in which 4 has another meaning.
const SHUTDOWN: u32 = 4;

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct WithChannel {
    channel: WireChannel,
    #[serde(default)]
    digit: String,
    #[serde(default)]
    cause: u32,
    #[serde(default)]
    soft: bool,
    replace_channel: Option<WireChannel>,
}

#[derive(Deserialize)]
struct WireChannel {
    #[serde(deserialize_with = "id")]
    id: String,
    #[serde(default, deserialize_with = "cut_text")]
    name: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    caller: Party,
    #[serde(default)]
    connected: Party,
    #[serde(default)]
    dialplan: Dialplan,
    #[serde(default)]
    channelvars: Variables,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Party {
    #[serde(deserialize_with = "cut_text")]
    name: String,
    #[serde(deserialize_with = "cut_text")]
    number: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Dialplan {
    #[serde(deserialize_with = "place_name")]
    context: String,
    #[serde(deserialize_with = "place_name")]
    exten: String,
    priority: u32,
    app_name: String,
    #[serde(deserialize_with = "cut_text")]
    app_data: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Variables {
    #[serde(rename = "AI_AGENT", deserialize_with = "cut_some")]
    agent: Option<String>,
}

/// An id; one that is too long names no channel of an Asterisk.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if id.len() > ID_BYTES { Err(D::Error::custom("the id of a channel is too long")) } else { Ok(id) }
}

/// A text of which the beginning tells enough.
fn cut_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(cut)
}

/// The same of a text that may be missing.
fn cut_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer).map(|text| text.map(cut))
}

/// A name in the dialplan; one that is too long is none, because its beginning would name another place.
fn place_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    Ok(if name.len() > TEXT_BYTES { String::new() } else { name })
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES {
        text.truncate(text.floor_char_boundary(TEXT_BYTES));
        text.shrink_to_fit();
    }
    text
}

impl From<WireChannel> for Channel {
    fn from(channel: WireChannel) -> Self {
        let in_stasis = channel.dialplan.app_name == "Stasis";
        // The event has the arguments as a list, too. A channel that is asked for has them only here.
        let arguments =
            if in_stasis { Arguments::of(&channel.dialplan.app_data) } else { Arguments::default() };
        Self {
            id: ChannelId::from(&*channel.id),
            name: channel.name.into(),
            up: channel.state == "Up",
            caller: channel.caller.number.into(),
            caller_name: channel.caller.name.into(),
            called: channel.dialplan.exten,
            arguments,
            agent: channel.channelvars.agent.filter(|name| !name.is_empty()),
            in_stasis,
        }
    }
}

fn channel(text: &str) -> Result<Channel, Malformed> {
    serde_json::from_str::<WithChannel>(text).map(|event| event.channel.into()).map_err(Malformed::from)
}

fn entered(text: &str) -> Result<Event, Malformed> {
    let event: WithChannel = serde_json::from_str(text).map_err(Malformed::from)?;
    let new = Channel::from(event.channel);
    let Some(old) = event.replace_channel else { return Ok(Event::StasisStart(new)) };
    let Dialplan { context, exten: extension, priority, .. } = old.dialplan;
    // Asterisk reports priority 0 for an extension that does not exist; such a place cannot be used.
    let is_known = !context.is_empty() && !extension.is_empty() && priority > 0;
    let next_step = is_known.then(|| Place { context, extension, priority: priority.saturating_add(1) });
    Ok(Event::Replaced { old: ChannelId::from(&*old.id), next_step, new })
}

fn connected(text: &str) -> Result<Event, Malformed> {
    let event: WithChannel = serde_json::from_str(text).map_err(Malformed::from)?;
    let WireChannel { id, connected, .. } = event.channel;
    Ok(Event::Connected { channel: ChannelId::from(&*id), number: connected.number.into() })
}

fn hangup_requested(text: &str) -> Result<Event, Malformed> {
    let event: WithChannel = serde_json::from_str(text).map_err(Malformed::from)?;
    let id = ChannelId::from(&*event.channel.id);
    Ok(if event.soft && event.cause == SHUTDOWN {
        Event::AsteriskStops(id)
    } else {
        Event::HangupRequested(id)
    })
}

fn destroyed(text: &str) -> Result<Event, Malformed> {
    let event: WithChannel = serde_json::from_str(text).map_err(Malformed::from)?;
    Ok(Event::Destroyed { channel: ChannelId::from(&*event.channel.id), cause: event.cause })
}

fn recorded(text: &str) -> Result<Event, Malformed> {
    #[derive(Deserialize)]
    struct WithRecording {
        recording: WireRecording,
    }
    #[derive(Deserialize)]
    struct WireRecording {
        #[serde(deserialize_with = "id")]
        name: String,
    }
    let event: WithRecording = serde_json::from_str(text).map_err(Malformed::from)?;
    Ok(Event::Recorded(SoundName::parse(&event.recording.name)))
}

fn dtmf(text: &str) -> Result<Event, Malformed> {
    let event: WithChannel = serde_json::from_str(text).map_err(Malformed::from)?;
    let digit = event.digit.chars().next().ok_or_else(|| Malformed("no digit".into()))?;
    Ok(Event::Dtmf { channel: ChannelId::from(&*event.channel.id), digit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_read_with_both_numbers() {
        let event = parse(
            r#"{"type":"StasisStart","args":[],"channel":{"id":"1.0","name":"PJSIP/voip-0","state":"Up",
                "caller":{"name":"Ana","number":"300"},"dialplan":{"exten":"324","app_name":"Stasis","app_data":"openai-app, agent=citas,300,did=60123"},
                "channelvars":{"AI_AGENT":"ventas"}},"application":"openai-app"}"#,
        );
        let channel = Channel {
            id: "1.0".into(),
            name: "PJSIP/voip-0".into(),
            up: true,
            caller: "300".into(),
            caller_name: "Ana".to_owned().into(),
            called: "324".into(),
            arguments: Arguments(vec![("agent".into(), "citas".into()), ("did".into(), "60123".into())]),
            agent: Some("ventas".into()),
            in_stasis: true,
        };
        assert_eq!((channel.arguments.get("did"), channel.arguments.get("di")), (Some("60123"), None));
        assert!(!format!("{channel:?}").contains("60123"), "an argument may be private");
        assert_eq!(event, Ok(Event::StasisStart(channel)));
    }

    #[test]
    fn what_an_asterisk_writes_without_end_is_bounded() {
        let long = "ñ".repeat(1 << 20);
        let entered = |id: &str| {
            parse(&format!(
                r#"{{"type":"StasisStart","channel":{{"id":"{id}","name":"PJSIP/{long}","caller":{{"number":"{long}"}},
                    "dialplan":{{"context":"{long}","exten":"{long}","priority":1,"app_name":"Stasis"}}}}}}"#
            ))
        };
        let Ok(Event::StasisStart(channel)) = entered("1.0") else { panic!("a caller all the same") };
        assert!(channel.name.expose().starts_with("PJSIP/ñ") && channel.name.expose().len() <= TEXT_BYTES);
        assert!(channel.caller.expose().starts_with('ñ') && channel.caller.expose().len() <= TEXT_BYTES);
        assert_eq!(channel.called, "", "its beginning would be another place");
        let system_name = "pbx-".repeat(34);
        assert!(entered(&format!("{system_name}1795180048.12")).is_ok());
        assert!(entered(&long).is_err(), "no Asterisk has a channel of such a name");
        assert!(
            matches!(parse(&format!(r#"{{"type":"{long}"}}"#)), Ok(Event::Other(kind)) if kind.len() <= TEXT_BYTES)
        );
    }

    #[test]
    fn a_channel_in_anothers_place_is_told_from_a_new_caller() {
        let event = parse(
            r#"{"type":"StasisStart","args":[],"channel":{"id":"1.5","name":"Local/_attended@transfer-0;2","state":"Up",
                "caller":{"number":""},"dialplan":{"context":"transfer","exten":"_attended","priority":1,"app_name":"Stasis"}},
                "replace_channel":{"id":"1.2","name":"PJSIP/voip-2","state":"Up","caller":{"number":"200"},
                "dialplan":{"context":"from-voip","exten":"324","priority":4,"app_name":"Stasis"}}}"#,
        );
        let Ok(Event::Replaced { old, next_step, new }) = event else { panic!("{event:?}") };
        assert_eq!((old.as_str(), new.id.as_str(), new.caller.expose()), ("1.2", "1.5", ""));
        assert_eq!(next_step.map(|place| place.to_string()), Some("from-voip,324,5".to_owned()));
        assert_eq!(
            parse(r#"{"type":"ChannelConnectedLine","channel":{"id":"1","connected":{"number":"300"}}}"#),
            Ok(Event::Connected { channel: "1".into(), number: "300".into() })
        );
    }

    #[test]
    fn an_asterisk_that_is_stopped_is_told_from_a_caller_who_hangs_up() {
        let request = |members: &str| {
            parse(&format!(r#"{{{members}"type":"ChannelHangupRequest","channel":{{"id":"1.0"}}}}"#))
        };
        assert_eq!(request(r#""cause":4,"soft":true,"#), Ok(Event::AsteriskStops("1.0".into())));
        for of_a_caller in ["", r#""cause":16,"#, r#""cause":4,"#, r#""cause":32,"soft":true,"#] {
            assert_eq!(request(of_a_caller), Ok(Event::HangupRequested("1.0".into())), "{of_a_caller}");
        }
    }

    #[test]
    fn the_unknown_is_survived_and_the_malformed_told() {
        assert_eq!(parse(r#"{"type":"Dial","peer":7}"#), Ok(Event::Other("Dial".into())));
        assert!(parse(r#"{"type":"StasisStart"}"#).is_err());
        assert!(parse("[1]").is_err());
        assert!(parse(r#"{"type":"ChannelDtmfReceived","channel":{"id":"1"},"digit":""}"#).is_err());
    }

    #[test]
    fn what_is_wrong_with_an_event_is_told_without_a_number_or_a_name() {
        for caller in [r#""3001234567""#, r#""Ana \" López""#, "3001234567", r#"{"number":3001234567}"#] {
            let event = format!(r#"{{"type":"StasisStart","channel":{{"id":"1.0","caller":{caller}}}}}"#);
            let told = parse(&event).unwrap_err().to_string();
            assert!(told.contains("invalid type") && told.contains("column"), "{told}");
            assert!(!told.contains("300123") && !told.contains("Ana") && !told.contains("López"), "{told}");
        }
    }
}
