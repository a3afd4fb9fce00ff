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

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;
    use crate::webhook::{Key, Url};

    fn row() -> Row {
        let ended = Utc.with_ymd_and_hms(2026, 11, 20, 14, 35, 10).unwrap().timestamp_micros();
        Row { row_id: "r1".into(), offered_us: ended - 60_000_000, ended_us: Some(ended), ..Row::default() }
    }

    /// A document with a tool and with messages of so many bytes.
    fn data(messages: &[usize]) -> Map<String, Value> {
        let said = |bytes: &usize| json!({"role": "user", "text": "x".repeat(*bytes)});
        let conversation: Vec<_> = messages.iter().map(said).collect();
        let tool = json!({"name": "book", "outcome": "ok", "arguments": {"day": "hoy"}, "answer": "a word"});
        let data = json!({"agent": "citas", "conversation": conversation, "tools": [tool]});
        data.as_object().cloned().unwrap()
    }

    fn parsed(body: &str) -> Value {
        serde_json::from_str(body).expect("JSON")
    }

    #[test]
    fn words_are_only_for_those_who_ask_for_them() {
        let with = parsed(&body(&row(), data(&[5]), true));
        assert_eq!(
            (&with["type"], &with["timestamp"]),
            (&json!("call.ended"), &json!("2026-11-20T14:35:10Z"))
        );
        assert_eq!(with["data"], Value::Object(data(&[5])), "a short message is whole");
        let without = parsed(&body(&row(), data(&[5]), false));
        let head = json!({"agent": "citas", "tools": [{"name": "book", "outcome": "ok"}]});
        assert_eq!(without["data"], head);
    }

    #[test]
    fn of_a_long_call_the_first_words_are_sent_and_the_others_counted() {
        let many = vec![500; 300];
        let text = body(&row(), data(&many), true);
        assert!((BODY_BYTES - 1_000..=BODY_BYTES).contains(&text.len()), "{}", text.len());
        let data_of = |text: &str| parsed(text)["data"].clone();
        let cut = data_of(&text);
        let kept = cut["conversation"].as_array().expect("words").len();
        assert_eq!(cut["conversation_left_out"], json!(300 - kept));
        assert_eq!(cut["tools"], json!([{"name": "book", "outcome": "ok"}]), "their words go first");
        // What follows a message that does not fit would be out of its place.
        let cut = data_of(&body(&row(), data(&[10, BODY_BYTES, 10]), true));
        let kept = cut["conversation"].as_array().expect("words").len();
        assert_eq!((kept, &cut["conversation_left_out"]), (1, &json!(2)));
    }

    #[test]
    fn a_message_is_made_when_its_call_ends() {
        let key = Key::parse("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").expect("a key");
        let url = Url("https://crm.example.com/t0ken".into());
        let origin = "https://crm.example.com".into();
        let address = Address { name: "crm".into(), url, origin, key, words: false };
        let offset = FixedOffset::west_opt(5 * 3_600).expect("an offset");
        let [message] = &messages(&row(), None, &[address], offset)[..] else { panic!("one message") };
        assert_eq!((message.made_us, &*message.address), (row().ended_us.unwrap(), "crm"));
        let data = &parsed(&message.body)["data"];
        assert_eq!(
            (&data["row_id"], &data["end_reason"]),
            (&json!("r1"), &json!("internal")),
            "a defect of ours"
        );
    }
}
