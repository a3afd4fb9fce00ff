//! What Asterisk tells us: the events of the ARI WebSocket that a call acts on.
//!
//! Every other event is [`Event::Other`]; fields we do not use are ignored.

use std::net::SocketAddr;

use serde::Deserialize;

use super::ChannelId;

/// An event of the ARI WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A channel entered our application: a caller, or our own media channel.
    StasisStart(Channel),
    /// A channel left our application: hung up, or sent on in the dialplan.
    StasisEnd(ChannelId),
    /// The far end (or we ourselves) asked for the channel's end.
    HangupRequested(ChannelId),
    /// The channel is gone. For a caller only delivered when subscribed to it.
    Destroyed(ChannelId),
    /// The channel rings, is up, …
    StateChanged(Channel),
    /// A key was pressed and released.
    Dtmf {
        /// Who pressed it.
        channel: ChannelId,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
    },
    /// The caller put us on hold.
    Hold(ChannelId),
    /// The caller took us back.
    Unhold(ChannelId),
    /// Another program registered our application's name: events go there from now on.
    ApplicationReplaced,
    /// Asterisk is being stopped and hangs the channel up.
    AsteriskStops(ChannelId),
    /// Any other event, by its type.
    Other(String),
}

/// A channel, as much of it as we use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Unique id.
    pub id: ChannelId,
    /// `PJSIP/trunk-00000012`.
    pub name: String,
    /// Whether it has been answered.
    pub up: bool,
    /// The caller's number; may be empty. Private.
    pub caller: String,
    /// The number dialled.
    pub called: String,
    /// Whether the dialplan has it in `Stasis()`, rather than somewhere else by now.
    pub in_stasis: bool,
}

impl Channel {
    /// Of an ExternalMedia channel: the socket its audio goes to, which is in its name (`UnicastRTP/127.0.0.1:10000-0x7f…`;
    /// Asterisk 16 to 22).
    pub fn external_host(&self) -> Option<SocketAddr> {
        let (host, _) = self.name.strip_prefix("UnicastRTP/")?.rsplit_once('-')?;
        host.parse().ok()
    }
}

/// The text is not an ARI event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an ARI event: {0}")]
pub struct Malformed(String);

/// Reads one text frame.
///
/// # Errors
/// [`Malformed`] when it is not JSON with a `type`, or a known event without its channel.
pub fn parse(text: &str) -> Result<Event, Malformed> {
    let kind: Kind = serde_json::from_str(text).map_err(|error| Malformed(error.to_string()))?;
    let event = match kind.kind.as_str() {
        "StasisStart" => Event::StasisStart(channel(text)?),
        "StasisEnd" => Event::StasisEnd(channel(text)?.id),
        "ChannelHangupRequest" => hangup_requested(text)?,
        "ChannelDestroyed" => Event::Destroyed(channel(text)?.id),
        "ChannelStateChange" => Event::StateChanged(channel(text)?),
        "ChannelDtmfReceived" => dtmf(text)?,
        "ChannelHold" => Event::Hold(channel(text)?.id),
        "ChannelUnhold" => Event::Unhold(channel(text)?.id),
        "ApplicationReplaced" => Event::ApplicationReplaced,
        _ => Event::Other(kind.kind),
    };
    Ok(event)
}

/// Reads a channel object by itself, as `GET /channels/{id}` answers it.
///
/// # Errors
/// [`Malformed`] when it is not one.
pub fn parse_channel(text: &str) -> Result<Channel, Malformed> {
    serde_json::from_str::<WireChannel>(text).map(Channel::from).map_err(|error| Malformed(error.to_string()))
}

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
}

#[derive(Deserialize)]
struct WireChannel {
    id: String,
    #[serde(default)]
    name: String,
/// The cause of a soft hang-up by an Asterisk that is being stopped (`AST_SOFTHANGUP_SHUTDOWN`): 16 and 22 alike. A hang-up
/// that is not soft has a cause of Q.850, in which 4 is another thing.
const SHUTDOWN: u32 = 4;

    #[serde(default)]
    state: String,
    #[serde(default)]
    caller: Party,
    #[serde(default)]
    dialplan: Dialplan,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Party {
    #[serde(default)]
    cause: u32,
    #[serde(default)]
    soft: bool,
    replace_channel: Option<WireChannel>,
    number: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Dialplan {
    exten: String,
    app_name: String,
}

impl From<WireChannel> for Channel {
    fn from(channel: WireChannel) -> Self {
        Self {
            id: ChannelId::from(&*channel.id),
            name: channel.name,
            up: channel.state == "Up",
            caller: channel.caller.number,
            called: channel.dialplan.exten,
            in_stasis: channel.dialplan.app_name == "Stasis",
        }
    }
}

fn channel(text: &str) -> Result<Channel, Malformed> {
    serde_json::from_str::<WithChannel>(text)
        .map(|event| event.channel.into())
        .map_err(|error| Malformed(error.to_string()))
}

fn dtmf(text: &str) -> Result<Event, Malformed> {
    let event: WithChannel = serde_json::from_str(text).map_err(|error| Malformed(error.to_string()))?;
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
                "caller":{"name":"","number":"300"},"dialplan":{"exten":"324","app_name":"Stasis"}},"application":"openai-app"}"#,
        );
        let channel = Channel {
            id: "1.0".into(),
            name: "PJSIP/voip-0".into(),
            up: true,
            caller: "300".into(),
            called: "324".into(),
            in_stasis: true,
        };
        assert_eq!(event, Ok(Event::StasisStart(channel)));
    }

    #[test]
    fn the_unknown_is_survived_and_the_malformed_told() {
        assert_eq!(parse(r#"{"type":"Dial","peer":7}"#), Ok(Event::Other("Dial".into())));
        assert!(parse(r#"{"type":"StasisStart"}"#).is_err());
        assert!(parse("[1]").is_err());
        assert!(parse(r#"{"type":"ChannelDtmfReceived","channel":{"id":"1"},"digit":""}"#).is_err());
    }
}
