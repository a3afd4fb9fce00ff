//! The language of Asterisk's REST interface (ARI): events and requests, converted between bytes and types.
//! No sockets, no state.
//!
//! ARI lets the client choose the ids of the objects it creates. The program derives these ids from the id of
//! the caller's channel and starts them with a fixed prefix. A media channel is therefore recognised by its
//! id alone, and after a crash the ids show which objects must be removed.
//!
//! | file | holds |
//! |---|---|
//! | `event` | what Asterisk tells |
//! | `request` | what is asked of it, and its answers |
//! | `endpoint`, `info`, `lists` | answers that are read: an endpoint; what Asterisk says of itself; what an application holds, bridges, recordings, modules |
//! | `nonce` | what tells that a call at OpenAI is ours |
//! | `sound_name` | the names of recordings of a caller's sound |

pub mod endpoint;
pub mod event;
pub mod info;
pub mod lists;
pub mod nonce;
pub mod request;
pub mod sound_name;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::number::mask_numbers;

/// The prefix of the id of every object that the program creates in Asterisk.
pub const OUR_PREFIX: &str = "oic-";
const MEDIA: &str = "oic-media-";
const BRIDGE: &str = "oic-bridge-";
const SAID: &str = "oic-said-";
const HEARD: &str = "oic-heard-";

/// A direction of the sound of a caller's channel, of which a snoop channel gets a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Voice {
    /// What the caller says.
    Said,
    /// What the caller hears.
    Heard,
}

impl Voice {
    /// Both directions.
    pub const BOTH: [Self; 2] = [Self::Said, Self::Heard];
}

/// The unique id of a channel, assigned by Asterisk (`1795180048.12`) or chosen by the program.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(Arc<str>);

/// The unique id of a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BridgeId(Arc<str>);

/// A place in the dialplan, at which a channel can continue.
///
/// The extension may be a phone number, and its `Debug` form masks one.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    /// The name of the context.
    pub context: String,
    /// The extension in the context.
    pub extension: String,
    /// The priority of the step, counted from 1.
    pub priority: u32,
}

/// Why the event WebSocket could not be connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// Asterisk rejects the user or the password (status 401 or 403).
    Credentials,
    /// The server answers another status for a short time. Asterisk answers 404 and then 503 while it starts.
    Starting(u16),
    /// The server answers another status for longer than a start takes: ARI is disabled, or it has another
    /// path (`prefix` in http.conf).
    NotAri(u16),
    /// The TLS certificate of the server is not trusted. The value says why.
    Certificate(String),
    /// The server accepted the connection and closed it without an answer: Asterisk has reached its
    /// `sessionlimit`, or the server is not Asterisk.
    Closed,
    /// Any other network error. The value says which.
    Network(String),
}

impl FromStr for Place {
    type Err = ();

    /// Reads `context,extension,priority`. Without a priority, the place is the first priority of the
    /// extension.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(',').map(str::trim);
        // These are the characters of Asterisk's own names. A comma or a parenthesis would end the argument
        // of DIALPLAN_EXISTS().
        let is_name = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+*#".contains(&byte))
        };
        let context = parts.next().filter(is_name).ok_or(())?.to_owned();
        let extension = parts.next().filter(is_name).ok_or(())?.to_owned();
        let priority = match parts.next() {
            None => 1,
            Some(priority) => priority.parse().ok().filter(|priority| *priority > 0).ok_or(())?,
        };
        if parts.next().is_some() { Err(()) } else { Ok(Self { context, extension, priority }) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.context, self.extension, self.priority)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({},{},{})", self.context, mask_numbers(&self.extension), self.priority)
    }
}

impl ChannelId {
    /// The id of the channel to which this caller's channel is joined: the ExternalMedia channel, or the call to OpenAI.
    #[must_use]
    pub fn media(&self) -> Self {
        Self(format!("{MEDIA}{}", self.0).into())
    }

    /// The id of the bridge that joins this caller's channel with its media channel.
    pub fn bridge(&self) -> BridgeId {
        BridgeId(format!("{BRIDGE}{}", self.0).into())
    }

    /// The id of the snoop channel that gets a copy of this caller's sound.
    #[must_use]
    pub fn snoop(&self, voice: Voice) -> Self {
        let prefix = match voice {
            Voice::Said => SAID,
            Voice::Heard => HEARD,
        };
        Self(format!("{prefix}{}", self.0).into())
    }

    /// The caller whose sound this snoop channel copies, and in which direction. None: this is not a snoop channel of the program.
    #[must_use]
    pub fn snooped(&self) -> Option<(Self, Voice)> {
        let of = |prefix, voice| Some((Self::from(self.0.strip_prefix(prefix)?), voice));
        of(SAID, Voice::Said).or_else(|| of(HEARD, Voice::Heard))
    }

    /// The caller whose audio this channel carries. None: this is not a media channel of the program.
    pub fn caller(&self) -> Option<Self> {
        self.0.strip_prefix(MEDIA).map(Self::from)
    }

    /// The caller to whose call this channel of the program belongs. None: this is not a channel of the program.
    #[must_use]
    pub fn owner(&self) -> Option<Self> {
        self.caller().or_else(|| Some(self.snooped()?.0))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl BridgeId {
    /// The caller for whom the program created this bridge. None: this is not a bridge of the program.
    pub fn caller(&self) -> Option<ChannelId> {
        self.0.strip_prefix(BRIDGE).map(ChannelId::from)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ChannelId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<&str> for BridgeId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BridgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_ids_lead_back_to_the_caller() {
        let caller = ChannelId::from("1795180048.12");
        assert_eq!(caller.media().caller(), Some(caller.clone()));
        assert_eq!(caller.bridge().caller(), Some(caller.clone()));
        assert_eq!(caller.caller(), None);
        for voice in Voice::BOTH {
            assert_eq!(caller.snoop(voice).snooped(), Some((caller.clone(), voice)));
            assert!(caller.snoop(voice).as_str().starts_with(OUR_PREFIX));
            assert_eq!((caller.snoop(voice).caller(), caller.media().snooped()), (None, None));
        }
        assert!(
            caller.media().as_str().starts_with(OUR_PREFIX)
                && caller.bridge().as_str().starts_with(OUR_PREFIX)
        );
    }

    #[test]
    fn a_place_is_context_extension_and_priority() {
        let place = |text: &str| text.parse().map(|place: Place| place.to_string());
        assert_eq!(place("from-internal, 200"), Ok("from-internal,200,1".to_owned()));
        assert_eq!(place("from-internal,*97,3"), Ok("from-internal,*97,3".to_owned()));
        for wrong in ["", "a", "a,", ",b", "a,b,0", "a,b,x", "a,b,1,2", "a,b c", "a,b)", "a,${x}"] {
            assert_eq!(place(wrong), Err(()), "{wrong}");
        }
    }
}
