//! A server that writes its events otherwise than OpenAI documents them: other types of numbers, other base64, sound
//! that nobody can decode. The caller notices none of it.

use openai_inbound_calls::call::record::EventKind;
use openai_inbound_calls::call::tools::offered;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::operator::{Detail, Notice};
use openai_inbound_calls::sim::asterisk::Ending;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, pattern};
use serde_json::{Value, json};

use super::task::Happened;
use super::world::{MS, World};

/// Writes what is at `path` in every event of this type in another way.
fn with(
    kind: &'static str,
    path: &str,
    change: impl Fn(&Value) -> Value + 'static,
) -> impl Fn(String) -> String + 'static {
    let path = path.to_owned();
    move |text| {
        let mut event: Value = serde_json::from_str(&text).expect("the fake speaks JSON");
        if event["type"] == kind
            && let Some(place) = event.pointer_mut(&path)
        {
            *place = change(place);
            return event.to_string();
        }
        text
    }
}

/// A caller who asks, and interrupts the answer.
fn interrupting() -> Vec<Step> {
    vec![
        Step::Pause(1_000 * MS),
        Step::Say(pattern(600, 101)),
        Step::AfterHearing(1_500 * MS),
        Step::Say(pattern(800, 102)),
    ]
}

fn unreadable(world: &World) -> Vec<&Notice> {
    let is_it = |notice: &&Notice| matches!(notice, Notice::EventUnreadable { .. });
    world.tasks[0].notices.iter().filter(is_it).collect()
}

#[test]
fn a_caller_interrupts_however_the_server_writes_its_numbers() {
    let ways: [fn(&Value) -> Value; 5] = [
        |ms| json!(ms.as_u64().expect("ms") as f64),
        |ms| json!(ms.to_string()),
        |_| json!(-20),
        |_| json!({"ms": 1}),
        |_| Value::Null,
    ];
    for (which, way) in ways.into_iter().enumerate() {
        let mut world = World::new();
        world.set(|settings| settings.greeting = None);
        world.model(|script| {
            script.answers =
                vec![Answer::pattern("Una respuesta larga.", 6_000, 2), Answer::pattern("Sí.", 500, 9)];
        });
        let started = with("input_audio_buffer.speech_started", "/audio_start_ms", way);
        let stopped = with("input_audio_buffer.speech_stopped", "/audio_end_ms", way);
        let index = with("response.output_audio.delta", "/content_index", |_| json!("0"));
        world.server_writes(move |text| index(stopped(started(text))));
        world.dial(interrupting());
        world.run_to(9_000);
        let report = world.tasks[0].call.report();
        assert_eq!(report.counters.barge_ins, 1, "way {which}");
        assert!(world.heard(0).ends_with(&pattern(500, 9)), "way {which}: the second answer, whole");
        if which < 2 {
            let caller = &report.transcript[0];
            assert!(caller.began.expect("it began") > 200 * MS && caller.ended > caller.began, "{caller:?}");
        }
        assert!(unreadable(&world).is_empty());
        assert!(world.violations().is_empty(), "{:?}", world.violations());
    }
}

#[test]
fn a_function_is_called_though_its_item_tells_no_status_or_has_an_object_for_arguments() {
    for (path, value) in
        [("/item/status", Value::Null), ("/item/arguments", json!({})), ("/item/id", Value::Null)]
    {
        let mut world = World::new();
        world.set(|settings| {
            settings.may_hang_up = true;
            settings.session.tools = offered(true, &[], &[]);
        });
        let answer = Answer::pattern("Adiós.", 1_500, 2).and(Answer::call("end_call", "{}"));
        world.model(|script| script.answers = vec![answer]);
        let again = value.clone();
        let item = with("response.output_item.done", path, move |_| value.clone());
        let listed = path.replace("/item", "/response/output/1");
        let list = with("response.done", &listed, move |_| again.clone());
        world.server_writes(move |text| item(list(text)));
        world.dial(vec![
            Step::WaitForSilence { quiet: 700 * MS, at_most: 10_000 * MS },
            Step::Say(pattern(500, 101)),
        ]);
        world.run_to(12_000);
        assert_eq!(world.report(0).reason, EndReason::AssistantHungUp, "{path}");
        assert_eq!(world.outcome(0).ended, Some(Ending::HungUp { cause: 16, sip_status: None }), "{path}");
        assert!(world.heard(0).ends_with(&pattern(1_500, 2)), "{path}: all of the goodbye");
        assert!(world.violations().is_empty(), "{:?}", world.violations());
    }
}

#[test]
fn sound_is_heard_whole_with_and_without_padding_and_in_the_alphabet_of_urls() {
    let ways: [fn(&str) -> String; 3] = [
        |audio| audio.trim_end_matches('=').to_owned(),
        |audio| audio.replace('+', "-").replace('/', "_"),
        |audio| audio.trim_end_matches('=').replace('+', "-").replace('/', "_"),
    ];
    for way in ways {
        let mut world = World::new();
        world.model(|script| script.delta_extra_bytes = 1);
        world.server_writes(with("response.output_audio.delta", "/delta", move |delta| {
            json!(way(delta.as_str().expect("a text")))
        }));
        world.dial(vec![]);
        world.run_to(4_000);
        assert_eq!(world.heard(0), *pattern(1_500, 1));
        assert_eq!(world.tasks[0].recorded.chunks(), *pattern(1_500, 1), "the recording too");
    }
}

#[test]
fn a_strangers_sound_holds_up_no_answer_and_is_not_deleted_at_the_server() {
    // Nothing that can be decoded, and something that can.
    for delta in ["%%%%", "AAAA%%%%", "AAAA", ""] {
        for at_ms in [400, 900] {
            let mut world = World::new();
            let sound = &pattern(1_000, 1)[..7_274];
            world.model(|script| script.greeting = Some(Answer::speech("Hola.", sound.into())));
            world.dial(vec![]);
            world.run_to(at_ms);
            let stranger = json!({
                "type": "response.output_audio.delta", "response_id": "resp_x", "item_id": "item_x",
                "output_index": 0, "content_index": 0, "delta": delta,
            });
            world.happen(0, Happened::Text(stranger.to_string()));
            world.run_to(3_000);
            let heard = world.heard(0);
            assert!(heard.starts_with(sound), "{delta} at {at_ms}: the last 74 bytes too: {}", heard.len());
            assert!(heard.len() <= sound.len() + 3, "{delta} at {at_ms}");
            // The caller's first words would delete whatever of the stranger still waited.
            world.run_to(3_010);
            assert_eq!(world.tasks[0].call.turn(), openai_inbound_calls::call::Turn::Listening);
            assert!(world.violations().is_empty(), "{:?}", world.violations());
        }
    }
}

#[test]
fn an_undecodable_item_of_an_answer_leaves_no_trace_when_the_caller_interrupts() {
    let mut world = World::new();
    world.model(|script| script.greeting = Some(Answer::pattern("Un saludo largo.", 6_000, 1)));
    world.dial(vec![Step::AfterHearing(1_000 * MS), Step::Say(pattern(800, 102))]);
    world.run_to(900);
    let bogus = json!({
        "type": "response.output_audio.delta", "response_id": "resp_x", "item_id": "item_x", "delta": "%%%%",
    });
    world.happen(0, Happened::Text(bogus.to_string()));
    world.run_to(5_000);
    assert_eq!(world.tasks[0].call.report().counters.barge_ins, 1);
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn what_cannot_be_read_is_said_once_and_hurts_nothing_else() {
    let mut world = World::new();
    world.dial(vec![]);
    for (at_ms, text) in [
        (300, r#"{"type":"input_audio_buffer.speech_started","item_id":7}"#),
        (400, r#"{"type":"response.done","response":"resp_1"}"#),
        (500, "no JSON at all"),
        (600, r#"{"type":"x.unheard_of","delta":[1],"item":7,"response":null,"error":2}"#),
    ] {
        world.run_to(at_ms);
        world.happen(0, Happened::Text(text.to_owned()));
    }
    world.run_to(3_000);
    let event = Detail::new("input_audio_buffer.speech_started");
    assert_eq!(unreadable(&world), [&Notice::EventUnreadable { event, missing: "item_id" }]);
    assert_eq!(world.tasks[0].call.report().counters.unreadable_events, 3);
    assert_eq!(world.heard(0), *pattern(1_500, 1));
}

#[test]
fn a_flood_of_errors_is_told_and_recorded_in_part_and_counted_whole() {
    let mut world = World::new();
    world.dial(vec![]);
    world.run_to(2_000);
    let error = json!({
        "type": "error", "event_id": "event_1",
        "error": {"type": "invalid_request_error", "code": "invalid_value", "message": "no", "param": null},
    });
    for _ in 0..1_000 {
        world.happen(0, Happened::Text(error.to_string()));
    }
    world.run_to(4_000);
    let told = world.tasks[0].notices.iter().filter(|told| matches!(told, Notice::SessionComplains { .. }));
    assert_eq!(told.count(), 20);
    let recorded = world.tasks[0].recorded.events().into_iter().filter(|kind| *kind == EventKind::Error);
    assert_eq!(recorded.count(), 20);
    assert_eq!(world.tasks[0].call.report().counters.session_errors, 1_000);
}

#[test]
fn a_model_that_calls_functions_without_end_is_answered_in_part() {
    let mut world = World::new();
    world.dial(vec![]);
    world.run_to(2_000);
    for n in 0..1_000 {
        let item = json!({
            "type": "function_call", "id": format!("item_f{n}"), "status": "completed",
            "call_id": format!("call_f{n}"), "name": "no_such_function", "arguments": "{}",
        });
        let done =
            json!({"type": "response.output_item.done", "event_id": "e", "response_id": "r", "item": item});
        world.happen(0, Happened::Text(done.to_string()));
    }
    world.run_to(4_000);
    // The strict server knows nothing of these calls, and complains of each answer.
    let answers = world.violations().iter().filter(|told| told.contains("call_f")).count();
    assert_eq!(answers, 256);
}
