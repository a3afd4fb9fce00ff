//! Channels and bridges as data: the fields that their JSON shows, and what the fake remembers of them.

use std::fmt;

use super::legs::{MediaLeg, PhoneLeg, SnoopLeg};
use super::{CallerId, Key};

/// The state of a channel, in the words of its JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Down,
    Ring,
    Up,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A channel with all fields that its JSON shows.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) state: State,
    /// The SIP Call-ID. Empty on a media leg.
    pub(super) protocol_id: String,
    /// The caller's number. Empty on a media leg.
    pub(super) number: String,
    /// The number at the other end of the bridge.
    pub(super) connected: String,
    pub(super) context: String,
    pub(super) extension: String,
    pub(super) priority: u32,
    pub(super) app_name: &'static str,
    pub(super) app_data: String,
    pub(super) created: String,
    pub(super) variables: Vec<(String, String)>,
    /// The application that the channel enters.
    pub(super) app: String,
    pub(super) args: Vec<String>,
    /// Whether the channel has had its `StasisStart` but not its `StasisEnd`.
    pub(super) in_stasis: bool,
    pub(super) bridge: Option<Key>,
    pub(super) leg: Leg,
}

/// What is at the other end of the channel.
#[derive(Debug)]
pub(super) enum Leg {
    Phone(PhoneLeg),
    Media(MediaLeg),
    /// What was dialled.
    Far(String),
    Snoop(SnoopLeg),
}

impl Channel {
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn call(&self) -> Option<CallerId> {
        match &self.leg {
            Leg::Phone(phone) => Some(phone.call),
            Leg::Media(_) | Leg::Far(_) | Leg::Snoop(_) => None,
        }
    }
}

/// A bridge.
#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) id: String,
    pub(super) name: String,
    /// The type, for example `mixing` or `holding`.
    pub(super) kind: String,
    pub(super) created: String,
    /// The members in the order of joining, with their ids.
    pub(super) members: Vec<(Key, String)>,
}

impl Bridge {
    pub(super) fn technology(&self) -> &'static str {
        match self.members.len() {
            _ if self.kind.contains("holding") => "holding_bridge",
            0..=2 => "simple_bridge",
            _ => "softmix",
        }
    }
}
