//! The fields of server events as the text holds them, before they get a meaning.
//!
//! Servers write the same value in different ways: a number as `1000`, `1000.0` or `"1000"`, the arguments of
//! a function as a text or as an object, and a field without a value as null or not at all. A field that
//! cannot be read therefore counts as absent, and only an event that needs the field fails. Values are
//! borrowed from the frame where possible. Module `server` decides which event needs which field.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A text that borrows from the frame if the text has no escapes. None: the field is absent or not a text.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(pub(super) Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

/// Accepts any JSON value and returns it if it is a text.
struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Reads a number that may be written in different ways, and rounds it to a whole number. A negative number
/// becomes 0. None: the field is absent or not a number.
pub(super) fn count(raw: Option<&RawValue>) -> Option<u64> {
    let number: f64 = raw?.get().trim_matches('"').trim().parse().ok()?;
    number.is_finite().then(|| number.round() as u64)
}

/// The fields of all events that `server` knows.
#[derive(Deserialize)]
pub(super) struct Wire<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) response_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) item_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) previous_item_id: Text<'a>,
    #[serde(borrow)]
    pub(super) content_index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) delta: Text<'a>,
    #[serde(borrow, default)]
    pub(super) transcript: Text<'a>,
    #[serde(borrow, default)]
    pub(super) text: Text<'a>,
    #[serde(borrow, default)]
    pub(super) event: Text<'a>,
    #[serde(borrow)]
    pub(super) audio_start_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) audio_end_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) session: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) item: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) response: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) rate_limits: Option<&'a RawValue>,
}

impl<'a> Wire<'a> {
    /// Reads the fields of a frame. None: the frame is not a JSON object with a `type`.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// A conversation item.
#[derive(Deserialize)]
pub(super) struct WireItem<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(rename = "type", borrow, default)]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) role: Text<'a>,
    #[serde(borrow, default)]
    pub(super) status: Text<'a>,
    #[serde(borrow, default)]
    pub(super) call_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl<'a> WireItem<'a> {
    pub(super) fn read(raw: Option<&'a RawValue>) -> Option<Self> {
        serde_json::from_str(raw?.get()).ok()
    }

    /// The arguments of a function call as JSON text. The API sends them as a text, some servers as an
    /// object; absent arguments become `{}`.
    pub(super) fn arguments(&self) -> String {
        let Some(raw) = self.arguments else { return "{}".to_owned() };
        serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
    }
}

/// A `response` object.
#[derive(Deserialize)]
pub(super) struct WireResponse<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) status: Text<'a>,
    #[serde(borrow)]
    status_details: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

impl<'a> WireResponse<'a> {
    pub(super) fn read(raw: Option<&'a RawValue>) -> Option<Self> {
        serde_json::from_str(raw?.get()).ok()
    }

    pub(super) fn details(&self) -> Option<WireStatus<'a>> {
        serde_json::from_str(self.status_details?.get()).ok()
    }

    /// The id that the program put into `metadata.cid`.
    pub(super) fn cid(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Metadata<'a> {
            #[serde(borrow, default)]
            cid: Text<'a>,
        }
        let metadata: Metadata<'_> = serde_json::from_str(self.metadata?.get()).ok()?;
        metadata.cid.0.map(Cow::into_owned)
    }

    /// The items that can be read. The others are ignored.
    pub(super) fn items(&self) -> Vec<WireItem<'a>> {
        let list =
            self.output.and_then(|output| serde_json::from_str::<Vec<&'a RawValue>>(output.get()).ok());
        list.unwrap_or_default().into_iter().filter_map(|item| WireItem::read(Some(item))).collect()
    }
}

/// The `response.status_details` object.
#[derive(Deserialize)]
pub(super) struct WireStatus<'a> {
    #[serde(borrow, default)]
    pub(super) reason: Text<'a>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// The `session` object.
#[derive(Deserialize)]
pub(super) struct WireSession<'a> {
    #[serde(borrow)]
    pub(super) expires_at: Option<&'a RawValue>,
}
