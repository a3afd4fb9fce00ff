//! The lists that Asterisk answers with: what an application holds, all bridges, all modules.
//!
//! A list is read entry by entry, and of each entry only what the program uses is kept. The memory that an answer costs is
//! therefore bounded by its length, whatever it contains.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, de};

use super::sound_name::SoundName;
use super::{BridgeId, ChannelId};

/// The largest number of entries of a list that are kept; the rest are ignored. Ten thousand calls have as many callers' channels and
/// as many media channels, which is many times more than a machine carries. A larger value lets a faulty server use more memory; a
/// smaller one could ignore channels that exist.
const MOST_LISTED: usize = 20_000;
/// The longest id that is kept, in bytes. Asterisk's own ids have at most 149 bytes (`AST_MAX_UNIQUEID`, channel.h), and ours are longer by
/// a prefix. A larger value would only cost memory; a smaller one could ignore channels that exist.
const ID_BYTES: usize = 256;

/// The channels and bridges of an application, from the reply to
/// [`Request::Application`](super::request::Request::Application).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Application {
    /// The ids of the channels that are in the application, or to which the application is subscribed.
    #[serde(default, rename = "channel_ids")]
    channels: Listed<ChannelId>,
    /// The ids of the bridges to which the application is subscribed.
    #[serde(default, rename = "bridge_ids")]
    bridges: Listed<BridgeId>,
}

impl Application {
    /// Reads the body of the reply. None: the body does not describe an application.
    pub fn parse(body: &str) -> Option<Self> {
        serde_json::from_str(body).ok()
    }

    /// Adds the bridges that are named after channels of this application. Asterisk lists a bridge with the application only
    /// once a channel of the application has joined that bridge.
    pub fn add_bridges(&mut self, all: &Bridges) {
        let here: BTreeSet<&ChannelId> = self.channels.0.iter().collect();
        let known: BTreeSet<&BridgeId> = self.bridges.0.iter().collect();
        let is_ours = |bridge: &&BridgeId| {
            !known.contains(bridge) && bridge.caller().is_some_and(|caller| here.contains(&caller))
        };
        let ours: Vec<_> = all.0.0.iter().map(|bridge| &bridge.id).filter(is_ours).cloned().collect();
        self.bridges.0.extend(ours);
    }

    /// The channels that belong to the application.
    pub fn channels(&self) -> impl Iterator<Item = ChannelId> {
        self.channels.0.iter().cloned()
    }

    /// The bridges that belong to the application.
    pub fn bridges(&self) -> impl Iterator<Item = BridgeId> {
        self.bridges.0.iter().cloned()
    }
}

/// The recordings that the program has made, from the reply to
/// [`Request::Recordings`](super::request::Request::Recordings).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recordings(Listed<Recording>);

/// A recording that the program has named.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Recording(SoundName);

impl Recordings {
    /// Reads the body of the reply. A body that is no list of recordings counts as an empty list.
    pub fn parse(body: &str) -> Self {
        Self(serde_json::from_str(body).unwrap_or_default())
    }

    /// The names of the recordings that the program has named.
    pub fn of_snoops(&self) -> impl Iterator<Item = &SoundName> {
        self.0.0.iter().map(|Recording(name)| name)
    }
}

/// The bridges that the program has made, from the reply to [`Request::Bridges`](super::request::Request::Bridges).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Bridges(Listed<Bridge>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bridge {
    id: BridgeId,
    occupancy: Occupancy,
}

/// Whether channels are in a bridge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Occupancy {
    Idle,
    /// There are channels in it, or Asterisk does not say.
    #[default]
    Occupied,
}

impl Bridges {
    /// Reads the body of the reply. A body that is no list of bridges counts as an empty one.
    pub fn parse(body: &str) -> Self {
        serde_json::from_str(body).unwrap_or_default()
    }

    /// The bridges that have no channels.
    pub fn idle(&self) -> impl Iterator<Item = BridgeId> {
        let idle = self.0.0.iter().filter(|bridge| bridge.occupancy == Occupancy::Idle);
        idle.map(|bridge| bridge.id.clone())
    }
}

/// The names of the modules that are running, from the reply to
/// [`Request::Modules`](super::request::Request::Modules).
pub fn running_modules(body: &str) -> Option<Vec<String>> {
    serde_json::from_str::<Listed<Running>>(body)
        .ok()
        .map(|all| all.0.into_iter().map(|Running(name)| name).collect())
}

/// The name of a module that is running.
struct Running(String);

/// The entries of a list that are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed<E>(Vec<E>);

impl<E> Default for Listed<E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// An entry of a list; None: the program does not use it.
struct Entry<E>(Option<E>);

impl<'de, E> Deserialize<'de> for Listed<E>
where
    Entry<E>: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<E>(PhantomData<E>);

        impl<'de, E> Visitor<'de> for List<E>
        where
            Entry<E>: Deserialize<'de>,
        {
            type Value = Listed<E>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Listed<E>, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < MOST_LISTED {
                    let Some(Entry(entry)) = list.next_element()? else { return Ok(Listed(kept)) };
                    kept.extend(entry);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Listed(kept))
            }
        }

        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// Reads a text without a copy of its own; None: the text is longer than an id.
fn id<'de, E: for<'a> From<&'a str>, D: Deserializer<'de>>(deserializer: D) -> Result<Entry<E>, D::Error> {
    struct Id<E>(PhantomData<E>);

    impl<E: for<'a> From<&'a str>> Visitor<'_> for Id<E> {
        type Value = Entry<E>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an id")
        }

        fn visit_str<R: de::Error>(self, id: &str) -> Result<Entry<E>, R> {
            Ok(Entry((id.len() <= ID_BYTES).then(|| E::from(id))))
        }
    }

    deserializer.deserialize_str(Id(PhantomData))
}

impl<'de> Deserialize<'de> for Entry<ChannelId> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        id(deserializer)
    }
}

impl<'de> Deserialize<'de> for Entry<BridgeId> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        id(deserializer)
    }
}

impl<'de> Deserialize<'de> for Entry<Bridge> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            id: Entry<BridgeId>,
            #[serde(default)]
            channels: Occupancy,
        }
        let Wire { id: Entry(id), channels: occupancy } = Wire::deserialize(deserializer)?;
        let ours = id.filter(|id| id.caller().is_some());
        Ok(Self(ours.map(|id| Bridge { id, occupancy })))
    }
}

impl<'de> Deserialize<'de> for Entry<Recording> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            name: Entry<ChannelId>,
        }
        let Wire { name: Entry(name) } = Wire::deserialize(deserializer)?;
        Ok(Self(name.and_then(|name| SoundName::parse(name.as_str())).map(Recording)))
    }
}

impl<'de> Deserialize<'de> for Entry<Running> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            name: String,
            status: String,
        }
        let Wire { name, status } = Wire::deserialize(deserializer)?;
        Ok(Self((status == "Running").then_some(Running(name))))
    }
}

impl<'de> Deserialize<'de> for Occupancy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Channels;

        impl<'de> Visitor<'de> for Channels {
            type Value = Occupancy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of channels")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Occupancy, A::Error> {
                let mut occupancy = Occupancy::Idle;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    occupancy = Occupancy::Occupied;
                }
                Ok(occupancy)
            }
        }

        deserializer.deserialize_seq(Channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridges_named_after_an_applications_channels_are_its_too() {
        let mut application = Application::parse(
            r#"{"name":"openai-app","channel_ids":["1.1","1.2"],"bridge_ids":["oic-bridge-1.1"]}"#,
        )
        .expect("an application");
        application.add_bridges(&Bridges::parse(
            r#"[{"id":"oic-bridge-1.1","channels":["1.1"]},{"id":"oic-bridge-1.2","channels":[]},
                {"id":"oic-bridge-9.9","channels":[]},{"id":"a conference"}]"#,
        ));
        let bridges: Vec<_> = application.bridges().collect();
        assert_eq!(bridges, ["oic-bridge-1.1", "oic-bridge-1.2"].map(BridgeId::from));
        application.add_bridges(&Bridges::parse("[]"));
        application.add_bridges(&Bridges::parse(""));
        assert_eq!(application.bridges().count(), 2);
    }

    #[test]
    fn bridges_without_channels_and_modules_that_run_are_told_from_others() {
        let bridges = Bridges::parse(
            r#"[{"id":"oic-bridge-1.0","technology":"simple_bridge","channels":[]},
            {"id":"oic-bridge-2.0","technology":"simple_bridge","channels":["2.0","oic-media-2.0"]},
            {"id":"oic-bridge-3.0"},{"id":"a conference","channels":[]}]"#,
        );
        assert_eq!(bridges.idle().collect::<Vec<_>>(), ["oic-bridge-1.0".into()]);
        assert_eq!(Bridges::parse("{}").idle().count(), 0);
        let modules = r#"[{"name":"acl","description":"","use_count":2,"status":"Running","support_level":"core"},
            {"name":"chan_rtp.so","description":"","use_count":0,"status":"Not Running","support_level":"core"}]"#;
        assert_eq!(running_modules(modules), Some(vec!["acl".to_owned()]));
    }

    #[test]
    fn of_a_list_without_end_a_bounded_number_is_kept() {
        let endless = vec![r#""1.1""#; 2 * MOST_LISTED].join(",");
        let body = format!(r#"{{"channel_ids":["1.0",{endless}],"bridge_ids":[{endless}]}}"#);
        let application = Application::parse(&body).expect("an application");
        assert_eq!(
            (application.channels().count(), application.bridges().count()),
            (MOST_LISTED, MOST_LISTED)
        );
        let long = "1".repeat(ID_BYTES + 1);
        let body = format!(r#"{{"channel_ids":["{long}","1.\u0030"]}}"#);
        let application = Application::parse(&body).expect("an application");
        assert_eq!(application.channels().collect::<Vec<_>>(), ["1.0".into()]);
    }
}
