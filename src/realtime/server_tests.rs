//! Tests with events as real servers send them: both interfaces, escapes and nulls.

use super::*;
use crate::realtime::error::{ErrorClass, Refusal};

#[test]
fn the_names_of_both_dialects_mean_the_same() {
    let pairs = [
        (
            "response.output_audio.delta",
            "response.audio.delta",
            r#""response_id":"r","item_id":"i","delta":"AA==""#,
        ),
        ("response.output_audio.done", "response.audio.done", r#""item_id":"i""#),
        (
            "response.output_audio_transcript.delta",
            "response.audio_transcript.delta",
            r#""item_id":"i","delta":"a""#,
        ),
        (
            "response.output_audio_transcript.done",
            "response.audio_transcript.done",
            r#""item_id":"i","transcript":"a""#,
        ),
        (
            "conversation.item.added",
            "conversation.item.created",
            r#""item":{"id":"i","type":"message","role":"user"}"#,
        ),
    ];
    for (ga, beta, fields) in pairs {
        let text = |kind: &str| format!(r#"{{"type":"{kind}",{fields}}}"#);
        let (ga, beta) = (text(ga), text(beta));
        let read = parse(&ga).expect("an event");
        assert_eq!(parse(&beta), Ok(read.clone()));
        assert!(!matches!(read, Event::Other(_)), "{ga}");
    }
}

#[test]
fn audio_is_borrowed_from_the_frame() {
    let text = r#"{"type":"response.output_audio.delta","response_id":"r","item_id":"i","content_index":2,"delta":"//8="}"#;
    let Ok(Event::AudioDelta { audio: Cow::Borrowed(audio), content_index: 2, .. }) = parse(text) else {
        panic!("not borrowed");
    };
    assert_eq!(audio, "//8=");
    let escaped = text.replace("//8=", r"\/\/8=");
    assert!(matches!(parse(&escaped), Ok(Event::AudioDelta { audio, .. }) if audio == "//8="));
}

#[test]
fn errors_are_sorted_by_what_to_do_about_them() {
    let class = |code: &str, kind: &str, message: &str| {
        let (code, kind, message) = (code.to_owned(), kind.to_owned(), message.to_owned());
        ApiError { kind, code, message, ..ApiError::default() }.class()
    };
    assert_eq!(class("insufficient_quota", "", ""), ErrorClass::Permanent(Refusal::Quota));
    assert_eq!(class("session_expired", "invalid_request_error", ""), ErrorClass::SessionOver);
    assert_eq!(class("", "server_error", ""), ErrorClass::Transient);
    assert_eq!(class("unknown_parameter", "invalid_request_error", ""), ErrorClass::OurFault);
    let late = "Audio content of 9250ms is already shorter than 57340ms";
    assert_eq!(class("invalid_value", "invalid_request_error", late), ErrorClass::Race);
}

#[test]
fn nulls_and_missing_fields_of_errors_and_responses_are_survived() {
    let error =
        r#"{"type":"error","error":{"type":"invalid_request_error","code":null,"message":"m","param":null}}"#;
    let Ok(Event::Error(error)) = parse(error) else { panic!("an error") };
    assert_eq!((error.code.as_str(), error.message.as_str(), error.event_id.as_str()), ("", "m", ""));
    let done = r#"{"type":"response.done","response":{"id":"r","status":"cancelled","status_details":null,"output":null,"metadata":null}}"#;
    let Ok(Event::ResponseDone(response)) = parse(done) else { panic!("a response") };
    assert_eq!((response.status, response.items.len(), response.cid), (ResponseStatus::Cancelled, 0, None));
}

#[test]
fn a_function_call_is_carried_out_only_when_all_of_it_was_said() {
    let done = |status: &str| {
        let text = format!(
            r#"{{"type":"response.output_item.done","response_id":"r","output_index":1,"item":{{"id":"i","type":"function_call","status":"{status}","name":"end_call","call_id":"call_1","arguments":"{{}}"}}}}"#
        );
        let Ok(Event::OutputItemDone { item }) = parse(&text) else { panic!("an item") };
        item.function.map(|call| (call.call_id, call.name, call.arguments, call.complete))
    };
    let called = |complete| Some(("call_1".into(), "end_call".into(), "{}".into(), complete));
    assert_eq!(done("completed"), called(true));
    assert_eq!(done("incomplete"), called(false));
}

#[test]
fn a_response_and_a_transcription_tell_what_they_used_or_nothing() {
    let response = |usage: &str| {
        let text = format!(r#"{{"type":"response.done","response":{{"id":"r","usage":{usage}}}}}"#);
        let Ok(Event::ResponseDone(response)) = parse(&text) else { panic!("a response") };
        response.usage
    };
    assert_eq!(response(r#"{"total_tokens":253,"input_tokens":132}"#).tokens(), 253);
    assert_eq!(
        ["null", "{}", "[1]", r#"{"total_tokens":null}"#].map(|usage| response(usage).tokens()),
        [0; 4]
    );
    let transcription = |usage: &str| {
        let text = format!(
            r#"{{"type":"conversation.item.input_audio_transcription.completed","event_id":"event_26","item_id":"item_u1","content_index":0,"transcript":"Quiero hablar con ventas.","languages":[{{"code":"es"}}]{usage}}}"#
        );
        let Ok(Event::CallerTranscript { usage, .. }) = parse(&text) else { panic!("a transcript") };
        usage
    };
    assert_eq!(
        transcription(r#","usage":{"type":"duration","seconds":2.3}"#)
            .audio
            .map(crate::units::Milliseconds::get),
        Some(2_300)
    );
    assert_eq!(
        ["", r#","usage":null"#, r#","usage":"x""#].map(|usage| transcription(usage).is_untold()),
        [true; 3]
    );
}

#[test]
fn ids_and_arguments_without_end_are_not_kept() {
    let long = "x".repeat(1 << 20);
    let delta = |item: &str| {
        let text = format!(
            r#"{{"type":"response.output_audio.delta","response_id":"r","item_id":"{item}","delta":"ICAg"}}"#
        );
        parse(&text).map(drop).map_err(|malformed| malformed.missing)
    };
    assert_eq!((delta("item_1"), delta(&long)), (Ok(()), Err("item_id")));
    let call = |call_id: &str, name: &str, arguments: &str| {
        let text = format!(
            r#"{{"type":"response.output_item.done","item":{{"id":"i","type":"function_call","status":"completed",
                "call_id":"{call_id}","name":"{name}","arguments":"{arguments}"}}}}"#
        );
        let Ok(Event::OutputItemDone { item }) = parse(&text) else { panic!("an item") };
        item.function.map(|function| (function.name, function.arguments))
    };
    assert_eq!(call("c", "end_call", "[]"), Some(("end_call".into(), "[]".into())));
    assert_eq!(call("c", "end_call", &long), Some(("end_call".into(), "{}".into())));
    assert_eq!(call("c", &long, "{}"), Some((String::new(), "{}".into())));
    assert_eq!(call(&long, "end_call", "{}"), None);
}
