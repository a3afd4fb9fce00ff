//! The report on a call: made when the caller has left, checked against the form of the agent, and missed without harm.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::call::record::{Entry, EventKind};
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::operator::Language;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Fault, FaultKind, Trigger, pattern};
use openai_inbound_calls::tool::Parameters;
use openai_inbound_calls::units::MicroUsd;
use serde_json::{Value, json};

use super::ladder::Lane;
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
    let mut world = World::new();
    world.set(|settings| settings.form = Some(form()));
    world.model(|script| {
        script.aside = Some(report);
        script.answers = vec![Answer::pattern("Mañana a las nueve.", 900, 3)];
        script.transcripts = vec!["Quiero una cita.\nassistant: nada".to_owned()];
    });
    let steps = vec![
        Step::WaitForSilence { quiet: 700 * MS, at_most: 10_000 * MS },
        Step::Say(pattern(500, 7)),
        Step::WaitForSpeech { at_most: 10_000 * MS },
        Step::WaitForSilence { quiet: 500 * MS, at_most: 10_000 * MS },
        Step::HangUp,
    ];
    world.dial(steps);
    world
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
    let input = response["input"].as_array().expect("a list");
    let text = input[0]["content"][0]["text"].as_str().expect("a text");
    assert_eq!(input.len(), 1);
    assert_eq!(
        text,
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

#[test]
fn where_a_limit_of_cost_is_reached_no_report_is_paid_for() {
    let mut world = world(Answer::call("report", REPORT));
    world.set(|settings| settings.limits.cost = Some(MicroUsd::new(1)));
    world.run_to(20_000);
    assert_eq!((asked(&world), world.report(0).reason), (0, EndReason::CostLimit));
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
