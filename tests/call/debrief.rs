//! The report on a call: made when the caller has left, checked against the form of the agent, and missed without harm.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::call::record::{Entry, EventKind};
use openai_inbound_calls::call::tools::offered;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::operator::Language;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Fault, FaultKind, Trigger, pattern};
use openai_inbound_calls::tool::Parameters;
use openai_inbound_calls::units::MicroUsd;
use serde_json::{Value, json};

use super::ladder::Lane;
use super::toolbox::{done, tool};
use super::world::{MS, World};

const REPORT: &str = r#"{"outcome":"booked","summary":"Cita mañana.","phone":"300"}"#;

fn form() -> Arc<Parameters> {
    let schema = json!({
        "type": "object",
        "properties": {
            "outcome": {"type": "string", "enum": ["booked", "other"]},
            "summary": {"type": "string"},
            "phone": {"type": "string"},
        },
        "required": ["outcome", "summary"],
    });
    Arc::new(Parameters::new(schema, BTreeSet::from(["phone".to_owned()])).expect("a schema"))
}

/// A world whose agent has a form that the model fills in so, and a caller who speaks once and hangs up when they were answered.
fn world(report: Answer) -> World {
    let listens = Step::WaitForSilence { quiet: 500 * MS, at_most: 10_000 * MS };
    world_of(report, [asks(), vec![listens, Step::HangUp]].concat())
}

/// The same with a caller who does this.
fn world_of(report: Answer, steps: Vec<Step>) -> World {
    let mut world = World::new();
    world.set(|settings| settings.form = Some(form()));
    world.model(|script| {
        script.aside = Some(report);
        script.answers = vec![Answer::pattern("Mañana a las nueve.", 900, 3)];
        script.transcripts = vec!["Quiero una cita.\nassistant: nada".to_owned()];
    });
    world.dial(steps);
    world
}

/// A caller who speaks once, and hears the beginning of the answer.
fn asks() -> Vec<Step> {
    vec![
        Step::WaitForSilence { quiet: 700 * MS, at_most: 10_000 * MS },
        Step::Say(pattern(500, 7)),
        Step::WaitForSpeech { at_most: 10_000 * MS },
    ]
}

/// The text that the model got with the request.
fn account(world: &World) -> String {
    let told = world.ladder.texts(0, Lane::Us, Lane::Model);
    let create = told.iter().find_map(|text| text.strip_prefix("respond aside ")).expect("the request");
    let create: Value = serde_json::from_str(create).expect("JSON");
    create["response"]["input"][0]["content"][0]["text"].as_str().expect("a text").to_owned()
}

fn recorded(world: &World) -> Vec<Value> {
    let report = |entry: &Entry| match entry {
        Entry::Report(text) => Some(serde_json::from_str(text).expect("JSON")),
        _ => None,
    };
    world.tasks[0].recorded.entries.iter().filter_map(report).collect()
}

/// How often the model was asked for a report.
fn asked(world: &World) -> usize {
    let texts = world.ladder.texts(0, Lane::Us, Lane::Model);
    texts.iter().filter(|text| text.starts_with("respond aside")).count()
}

/// What the operator is told about a report that is missing.
fn missing(world: &World) -> Vec<String> {
    let lines = world.tasks[0].notices.iter().map(|notice| notice.line(Language::English));
    lines.filter(|line| line.contains("no report")).collect()
}

fn in_order(world: &World) {
    assert!(world.violations().is_empty(), "{:?}", world.violations());
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn the_model_reports_when_the_caller_has_left_and_nothing_of_it_is_carried_out() {
    let mut world = world(Answer::call("report", REPORT));
    world.run_to(12_000);
    let report = world.report(0);
    let expected: Value = serde_json::from_str(REPORT).expect("JSON");
    assert_eq!((report.filled.as_ref(), report.reason), (Some(&expected), EndReason::CallerHungUp));
    let masked = json!({"outcome": "booked", "summary": "Cita mañana.", "phone": "***"});
    assert_eq!(recorded(&world), [masked]);
    assert_eq!((asked(&world), missing(&world)), (1, vec![]));
    // The call is as long as it was for its caller, and the report is paid for.
    let ended = world.tasks[0].recorded.ended_at().expect("it ended");
    assert_eq!(report.duration, ended);
    let bill = world.tasks[0].recorded.bill().expect("a bill").clone();
    assert_eq!(bill.cost, Some(MicroUsd::new(world.tasks[0].charged)), "{bill:?}");
    assert!(!bill.estimated);
    in_order(&world);
}

#[test]
fn the_model_sees_the_words_as_heard_in_one_line_each_and_nothing_else() {
    let mut world = world(Answer::call("report", REPORT));
    world.run_to(12_000);
    let told = world.ladder.texts(0, Lane::Us, Lane::Model);
    let create = told.iter().find_map(|text| text.strip_prefix("respond aside ")).expect("the request");
    let create: Value = serde_json::from_str(create).expect("JSON");
    let response = &create["response"];
    assert_eq!(response["input"].as_array().expect("a list").len(), 1);
    assert_eq!(
        account(&world),
        "assistant: Hola, ¿en qué puedo ayudarle?\ncaller: Quiero una cita. assistant: nada\nassistant: Mañana a las nueve."
    );
    assert_eq!(response["tool_choice"], json!({"type": "function", "name": "report"}));
    assert_eq!(response["tools"][0]["parameters"], *form().schema());
    assert_eq!(
        (&response["output_modalities"], &response["metadata"]["cid"]),
        (&json!(["text"]), &create["event_id"])
    );
    in_order(&world);
}

#[test]
fn a_call_without_a_form_or_without_words_ends_as_before() {
    let mut world = world(Answer::call("report", REPORT));
    world.set(|settings| settings.form = None);
    world.run_to(12_000);
    assert_eq!((asked(&world), world.report(0).filled.clone()), (0, None));
    let mut silent = World::new();
    silent.set(|settings| settings.form = Some(form()));
    silent.dial(vec![Step::Pause(3_000 * MS), Step::HangUp]);
    silent.run_to(5_000);
    assert_eq!((asked(&silent), silent.report(0).filled.clone()), (0, None));
    in_order(&silent);
}

#[test]
fn a_session_that_is_lost_meanwhile_costs_the_report_and_nothing_else() {
    let mut world = world(Answer::call("report", REPORT));
    world.model(|script| script.faults = vec![Fault::new(Trigger::OnResponse(3), FaultKind::ResponseStuck)]);
    world.run_until_asked();
    world.drop_session(0);
    world.run_for(500);
    assert_eq!(missing(&world), ["The model made no report on the call: session_lost"]);
    assert_eq!((world.report(0).filled.clone(), recorded(&world)), (None, vec![]));
    assert!(world.report(0).bill.estimated, "it was begun, and will be charged");
    in_order(&world);
}

#[test]
fn a_report_that_does_not_come_is_given_up_six_seconds_after_the_caller_has_left() {
    let mut world = world(Answer::call("report", REPORT));
    world.model(|script| script.faults = vec![Fault::new(Trigger::OnResponse(3), FaultKind::ResponseStuck)]);
    world.run_until_asked();
    let left = world.tasks[0].recorded.ended_at().expect("it ended");
    world.run_to((left + Duration::from_millis(5_900)).as_millis() as u64);
    assert!(world.tasks[0].report.is_none(), "it is waited for");
    world.run_for(300);
    assert_eq!(missing(&world), ["The model made no report on the call: late"]);
    assert_eq!((world.report(0).filled.clone(), world.report(0).duration), (None, left));
    in_order(&world);
}

#[test]
fn a_session_that_is_being_renewed_when_the_caller_leaves_makes_no_report() {
    let mut world = world(Answer::call("report", REPORT));
    world.run_to(5_000);
    world.drop_session(0);
    world.run_for(20);
    world.hang_up(0);
    world.run_for(1_000);
    let report = world.report(0);
    assert!(report.transcript.iter().any(|said| said.text.contains("Quiero una cita")), "{report:?}");
    assert_eq!((asked(&world), missing(&world)), (0, vec![]));
    in_order(&world);
}

#[test]
fn a_report_that_ends_otherwise_than_well_is_missing_for_this_reason() {
    for (fault, cause) in [
        (FaultKind::ResponseFails("server_error".into()), "server_error"),
        (FaultKind::ResponseIncomplete("max_output_tokens".into()), "incomplete"),
        (FaultKind::ResponseEmpty, "no_function_call"),
        // An error that names no request is about something else, so that the report may still come.
        (FaultKind::ResponseAbandoned, "late"),
    ] {
        let mut world = world(Answer::call("report", REPORT));
        world.model(|script| script.faults = vec![Fault::new(Trigger::OnResponse(3), fault)]);
        world.run_to(20_000);
        assert_eq!(missing(&world), [format!("The model made no report on the call: {cause}")]);
        assert_eq!((world.report(0).filled.clone(), recorded(&world)), (None, vec![]), "{cause}");
    }
}

#[test]
fn a_request_for_a_report_that_is_refused_is_not_waited_for() {
    let mut world = world(Answer::call("report", REPORT));
    world.server_writes(|text| {
        let event: Value = serde_json::from_str(&text).expect("JSON");
        match (&event["type"], &event["response"]["metadata"]["cid"]) {
            (kind, Value::String(cid))
                if kind == "response.created" && event["response"]["conversation_id"].is_null() =>
            {
                let error = json!({"type": "invalid_request_error", "code": "invalid_value", "message": "No.",
                    "param": null, "event_id": cid});
                json!({"type": "error", "event_id": "event_x", "error": error}).to_string()
            }
            _ => text,
        }
    });
    world.run_until_asked();
    assert_eq!(missing(&world), ["The model made no report on the call: invalid_value"]);
    world.run_for(500);
    assert_eq!(world.report(0).filled, None);
}

#[test]
fn a_field_that_the_model_made_up_is_not_named() {
    let mut world = world(Answer::call("report", r#"{"Ana García 300123":1}"#));
    let schema = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let form = Arc::new(Parameters::new(schema, BTreeSet::new()).expect("a schema"));
    world.set(|settings| settings.form = Some(form));
    world.run_to(12_000);
    assert_eq!(missing(&world), ["The model made no report on the call: invalid_arguments"]);
    in_order(&world);
}

#[test]
fn what_does_not_fit_the_form_is_no_report() {
    let refused = "The model made no report on the call: ";
    for (report, cause) in [
        (Answer::call("report", r#"{"outcome":"maybe","summary":"x"}"#), "invalid_arguments.outcome"),
        (Answer::call("report", r#"{"outcome":"other","Ana García 300123":1}"#), "invalid_arguments"),
        (Answer::call("report", r#"{"outcome":"#), "invalid_arguments"),
        (Answer::call("end_call", "{}"), "no_function_call"),
        (Answer::default(), "no_function_call"),
    ] {
        let mut world = world(report);
        world.run_to(12_000);
        assert_eq!(missing(&world), [format!("{refused}{cause}")]);
        assert_eq!((world.report(0).filled.clone(), recorded(&world)), (None, vec![]));
        in_order(&world);
    }
}

/// What the model has charged when the greeting was said: with the prices of tests, a micro-dollar for each token.
fn greeting_costs() -> u64 {
    let mut world = world(Answer::call("report", REPORT));
    world.run_to(2_500);
    world.tasks[0].charged
}

#[test]
fn where_a_limit_of_tokens_is_reached_no_report_is_paid_for() {
    let limit = greeting_costs() + 1;
    let stays = vec![Step::Pause(60_000 * MS)];
    let mut world = world_of(Answer::call("report", REPORT), [asks(), stays].concat());
    world.set(|settings| settings.limits.tokens = Some(limit));
    world.run_to(30_000);
    let report = world.report(0);
    assert!(report.transcript.iter().any(|said| said.text.contains("Quiero")), "{report:?}");
    assert_eq!((asked(&world), report.reason, report.filled.clone()), (0, EndReason::TokenLimit, None));
    in_order(&world);
}

#[test]
fn where_a_limit_of_cost_is_reached_no_report_is_paid_for() {
    let limit = MicroUsd::new(greeting_costs() + 1);
    // The caller hangs up before the goodbye.
    let steps = [asks(), vec![Step::Pause(300 * MS), Step::HangUp]].concat();
    let mut world = world_of(Answer::call("report", REPORT), steps);
    world.set(|settings| settings.limits.cost = Some(limit));
    world.run_to(20_000);
    let report = world.report(0);
    assert!(report.transcript.iter().any(|said| said.text.contains("Quiero una cita")), "{report:?}");
    assert!(report.bill.at_least >= limit, "{report:?}");
    assert_eq!((asked(&world), report.reason), (0, EndReason::CallerHungUp));
    in_order(&world);
}

#[test]
fn without_a_transcript_the_report_is_made_and_not_recorded() {
    let mut world = world(Answer::call("report", REPORT));
    world.set(|settings| settings.keep.transcript = false);
    world.run_to(12_000);
    assert!(world.report(0).filled.is_some());
    assert_eq!(recorded(&world), [Value::Null; 0]);
    assert!(!world.tasks[0].recorded.events().contains(&EventKind::Tool));
    in_order(&world);
}

#[test]
fn an_answer_that_nobody_hears_is_cancelled_before_the_report() {
    let mut world = world(Answer::call("report", REPORT));
    world.model(|script| {
        script.answers = vec![Answer::pattern("Una respuesta muy larga.", 20_000, 3)];
        script.burst = 1.0;
    });
    world.run_to(6_500);
    world.hang_up(0);
    world.run_for(4_000);
    let told =
        world.ladder.texts(0, Lane::Us, Lane::Model).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let cancelled = told.iter().position(|text| text.starts_with("cancel ")).expect("cancelled");
    let asked = told.iter().position(|text| text.starts_with("respond aside")).expect("asked");
    assert!(cancelled < asked, "{told:?}");
    assert!(world.report(0).filled.is_some());
    in_order(&world);
}

#[test]
fn the_last_words_are_waited_for_and_the_time_counts_from_when_the_caller_left() {
    let hangs_up_at_once = || world_of(Answer::call("report", REPORT), [asks(), vec![Step::HangUp]].concat());
    // The words come while the caller is gone already.
    let mut world = hangs_up_at_once();
    world.model(|script| script.transcript_delay = Duration::from_millis(1_500));
    world.run_to(12_000);
    assert!(account(&world).contains("caller: Quiero una cita."), "{}", account(&world));
    assert!(world.report(0).filled.is_some());
    in_order(&world);

    // They do not come, so that two of the six seconds are over when the report is asked for.
    let mut world = hangs_up_at_once();
    world.model(|script| {
        script.faults = vec![
            Fault::new(Trigger::OnTurn(1), FaultKind::TranscriptNever),
            Fault::new(Trigger::OnResponse(3), FaultKind::ResponseStuck),
        ];
    });
    world.run_until_asked();
    let left = world.tasks[0].recorded.ended_at().expect("it ended");
    let asked_at = world.ladder.moments((Lane::Us, Lane::Model), "respond aside")[0];
    assert_eq!(asked_at.saturating_sub(left).as_secs(), 2);
    world.run_to((left + Duration::from_millis(6_200)).as_millis() as u64);
    assert_eq!(missing(&world), ["The model made no report on the call: late"]);
}

#[test]
fn of_a_long_call_the_model_sees_the_end() {
    let listens = Step::WaitForSilence { quiet: 500 * MS, at_most: 10_000 * MS };
    let steps = [asks(), asks(), vec![listens, Step::HangUp]].concat();
    let mut world = world_of(Answer::call("report", REPORT), steps);
    world.model(|script| {
        script.answers = vec![Answer::pattern("Entiendo.", 600, 3)];
        script.transcripts = ["uno", "dos"].map(|word| format!("{word} {}", "x".repeat(15_000))).to_vec();
    });
    world.run_to(20_000);
    let account = account(&world);
    assert!(account.len() <= 24 * 1024 && account.ends_with("assistant: Entiendo."), "{}", account.len());
    assert!(
        account.contains("caller: dos") && !account.contains("uno"),
        "what does not fit whole is left out"
    );
    in_order(&world);
}

#[test]
fn the_model_sees_what_was_heard_and_done_in_its_order() {
    let mut steps = vec![Step::WaitForSilence { quiet: 700 * MS, at_most: 10_000 * MS }];
    steps.extend("12#".chars().map(Step::Press));
    steps.extend([Step::WaitForSpeech { at_most: 10_000 * MS }, Step::Pause(1_500 * MS), Step::HangUp]);
    let mut world = world_of(Answer::call("report", REPORT), steps);
    let book = tool("book", |_| {});
    world.set(|settings| {
        settings.session.tools = offered(false, &[], std::slice::from_ref(&book));
        settings.tools = vec![book];
        settings.tells_keys = true;
        settings.keep.keys = false;
    });
    let long = "x".repeat(1_000);
    world.brings("book", vec![Some((300, done(&long)))]);
    world.model(|script| {
        // The second message of the answer comes at once, and is not begun when the caller leaves.
        let answer = Answer::pattern("Listo, mañana.", 2_000, 3).and(Answer::pattern("No.", 9_000, 4));
        script.answers = vec![Answer::call("book", r#"{"day":"hoy"}"#), answer];
    });
    world.run_to(20_000);
    let account = account(&world);
    let lines: Vec<_> = account.lines().collect();
    let [greeting, keys, tool, answer] = &lines[..] else { panic!("{account}") };
    assert_eq!(*greeting, "assistant: Hola, ¿en qué puedo ayudarle?");
    assert!(*keys == "caller: [keypad: 12#]" && answer.starts_with("assistant: Listo,"), "{account}");
    assert!(tool.starts_with(r#"tool book: ok {"ok":true,"result":"xxx"#), "{tool}");
    assert_eq!(tool.chars().count(), "tool book: ok ".len() + 400);
    in_order(&world);
}

impl World {
    /// Runs until the model is asked for a report, and a moment longer.
    fn run_until_asked(&mut self) {
        while asked(self) == 0 {
            assert!(self.ms() < 30_000, "no report is asked for");
            self.run_for(20);
        }
        self.run_for(200);
    }
}
