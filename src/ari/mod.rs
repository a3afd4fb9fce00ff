//! Asterisk's language: the REST interface's events and requests, bytes ⇄ types. No sockets, no state.
//!
//! ARI lets the client choose the ids of what it creates. Ours derive from the caller's channel under a
//! fixed prefix, so our own media channel is recognised by its name alone, and after a crash anyone can
//! compute what has to be undone.

pub mod event;
pub mod request;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Begins the id of everything we create in Asterisk.
pub const OUR_PREFIX: &str = "oic-";
const MEDIA: &str = "oic-media-";
const BRIDGE: &str = "oic-bridge-";

/// A channel's unique id, as Asterisk gives it (`1795180048.12`) or as we chose it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(Arc<str>);

/// A bridge's unique id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BridgeId(Arc<str>);

/// A place in the dialplan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Context.
    pub context: String,
    /// Extension.
    pub extension: String,
    /// Priority, from 1.
    pub priority: u32,
}

/// Why the event socket could not be connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// User or password are wrong (401, 403).
    Credentials,
    /// Another status, for a moment: Asterisk says 404, then 503 while it starts.
    Starting(u16),
    /// Another status, for longer than a start takes: ARI is off, or elsewhere (`prefix` in http.conf).
    NotAri(u16),
    /// The certificate is not to be trusted.
    Certificate(String),
    /// It was accepted and closed without an answer: Asterisk is at its `sessionlimit`, or it is something else.
    Closed,
    /// Anything else.
    Network(String),
}

impl FromStr for Place {
    type Err = ();

    /// Reads `context,extension,priority`, or `context,extension` for its first priority.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(',').map(str::trim);
        // As Asterisk's own names; a comma or a parenthesis would end the argument of DIALPLAN_EXISTS().
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

impl ChannelId {
    /// The id of the ExternalMedia channel that serves this caller.
    #[must_use]
    pub fn media(&self) -> Self {
        Self(format!("{MEDIA}{}", self.0).into())
    }

    /// The id of the bridge that joins this caller with its media channel.
    pub fn bridge(&self) -> BridgeId {
        BridgeId(format!("{BRIDGE}{}", self.0).into())
    }

    /// If this is one of our media channels: the caller it serves.
    pub fn caller(&self) -> Option<Self> {
        self.0.strip_prefix(MEDIA).map(Self::from)
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl BridgeId {
    /// If this is one of our bridges: the caller it serves.
    pub fn caller(&self) -> Option<ChannelId> {
        self.0.strip_prefix(BRIDGE).map(ChannelId::from)
    }

    /// The id.
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
