//! The messages about a call that has ended: one for each address of its agent, with the head of the conversation document.
//!
//! The words of the call, the arguments of tools and what came back are only for addresses with `words = true`.

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::call::Report;
use crate::call::record::{Ending, Keep, Opening};
use crate::end_reason::EndReason;
use crate::recordings::EndedCall;
use crate::registry::Row;
use crate::registry::outbox::Message;
use crate::webhook::{Address, BODY_BYTES};

/// The keys of the conversation document that belong to the recording.
const OF_RECORDING: [&str; 4] = ["audio_chunks_count", "recovered", "latency", "events"];
/// The keys of a tool that hold words.
const WORDS_OF_TOOL: [&str; 2] = ["arguments", "answer"];

/// Makes the messages. `row` is that of the call log, after the end of the call; `offset` is the time zone of the machine. Without a
/// `report` the call was lost to a defect of ours.
pub(super) fn messages(
    row: &Row,
    report: Option<&Report>,
    addresses: &[Address],
    offset: FixedOffset,
) -> Vec<Message> {
    if addresses.is_empty() {
        return Vec::new();
    }
    let document = document(row, report, offset);
    let message = |address: &Address| Message {
        row_id: row.row_id.clone(),
        call_id: row.call_id.clone(),
        agent: row.agent.clone(),
        address: address.name.to_string(),
        recording_id: row.recording_id.clone(),
        caller: row.caller.clone(),
        made_us: row.ended_us.unwrap_or(row.offered_us),
        body: body(row, document.clone(), address.words),
    };
    addresses.iter().map(message).collect()
}

/// The document of the call, with all words.
fn document(row: &Row, report: Option<&Report>, offset: FixedOffset) -> Map<String, Value> {
    let started = DateTime::from_timestamp_micros(row.offered_us).unwrap_or_default().with_timezone(&offset);
    let opening = Opening {
        channel: row.call_id.as_str().into(),
        caller: row.caller.clone(),
        called: row.called.clone(),
        model: row.model.clone(),
        agent: row.agent.clone(),
        agent_version: row.agent_version.clone(),
        started,
        keep: Keep::NOTHING,
    };
    let micros = row.ended_us.map_or(0, |ended| ended.saturating_sub(row.offered_us));
    let ending = Ending {
        reason: report.map_or(EndReason::Internal, |report| report.reason),
        duration: std::time::Duration::from_micros(micros.max(0) as u64),
        interruptions: row.interruptions,
    };
    let call = EndedCall {
        opening: &opening,
        transcript: report.map_or(&[], |report| &report.transcript),
        tools: report.map_or(&[], |report| &report.tools),
        report: report.and_then(|report| report.filled.as_ref()),
        bill: report.filter(|report| report.session_stood).map(|report| &report.bill),
        ending,
    };
    let mut document = call.document();
    for key in OF_RECORDING {
        document.remove(key);
    }
    document.insert("call_id".into(), row.call_id.clone().into());
    document.insert("row_id".into(), row.row_id.clone().into());
    document.insert("recording_id".into(), row.recording_id.clone().into());
    document
}

/// The body of a message, cut to its bound.
fn body(row: &Row, mut data: Map<String, Value>, words: bool) -> String {
    if !words {
        data.remove("conversation");
        strip_tools(&mut data);
    }
    let ended: DateTime<Utc> =
        DateTime::from_timestamp_micros(row.ended_us.unwrap_or(row.offered_us)).unwrap_or_default();
    let timestamp = ended.to_rfc3339_opts(SecondsFormat::Secs, true);
    let text = |data: &Map<String, Value>| {
        json!({"type": "call.ended", "timestamp": timestamp, "data": data}).to_string()
    };
    let mut whole = text(&data);
    if whole.len() > BODY_BYTES {
        strip_tools(&mut data);
        cut_words(&mut data, text);
        whole = text(&data);
    }
    whole
}

/// Takes the words out of the tools.
fn strip_tools(data: &mut Map<String, Value>) {
    let tools = data.get_mut("tools").and_then(Value::as_array_mut);
    for tool in tools.into_iter().flatten().filter_map(Value::as_object_mut) {
        for key in WORDS_OF_TOOL {
            tool.remove(key);
        }
    }
}

/// Leaves out the last words, and says how many.
fn cut_words(data: &mut Map<String, Value>, text: impl Fn(&Map<String, Value>) -> String) {
    let Some(Value::Array(all)) = data.insert("conversation".into(), Value::Array(Vec::new())) else {
        return;
    };
    // The count, with its name, and a comma before each message.
    let mut room = BODY_BYTES.saturating_sub(text(data).len() + r#""conversation_left_out":4096,"#.len());
    let mut kept = Vec::new();
    let messages = all.len();
    for message in all {
        let bytes = message.to_string().len() + 1;
        if bytes > room {
            break;
        }
        room -= bytes;
        kept.push(message);
    }
    data.insert("conversation_left_out".into(), (messages - kept.len()).into());
    data.insert("conversation".into(), kept.into());
}
