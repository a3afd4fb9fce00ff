//! Asterisk's language: the REST interface's events and requests, bytes ⇄ types. No sockets, no state.
//!
//! ARI lets the client choose the ids of what it creates. Ours derive from the caller's channel under a
//! fixed prefix, so our own media channel is recognised by its name alone, and after a crash anyone can
//! compute what has to be undone.

pub mod event;
pub mod request;

use std::fmt;
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
}
