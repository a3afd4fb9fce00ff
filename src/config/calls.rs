//! The section of what becomes of callers: where they go on whom the assistant cannot serve.

use super::CallsConfig;
use super::reader::Reader;
use crate::ari::Place;
use crate::operator::Allowed;

/// Reads all of it.
pub(super) fn calls(reader: &mut Reader<'_>) -> Option<CallsConfig> {
    let context = reader.parsed("FALLBACK_CONTEXT", Allowed::DialplanName, dialplan_name);
    let extension = reader.parsed("FALLBACK_EXTEN", Allowed::DialplanName, dialplan_name);
    let (context, extension) = (context?, extension?);
    let fallback = (!context.is_empty()).then_some(Place { context, extension, priority: 1 });
    Some(CallsConfig { fallback })
}

/// A context's or an extension's name, or nothing.
fn dialplan_name(text: &str) -> Option<String> {
    (text.is_empty() || format!("{text},s").parse::<Place>().is_ok()).then(|| text.to_owned())
}
