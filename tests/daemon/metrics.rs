//! Tests that the figures of a call are the same everywhere: metrics, call log, conversation and operator's
//! lines.

use std::collections::BTreeMap;

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};
use serde_json::Value;

use super::api::Api;
use super::world::{PATIENCE, World, listen, ms};

/// The transcription model without other configuration.
const TRANSCRIPTION: &str = "gpt-transcribe";

/// The samples by their name and labels, as the metrics write them.
type Samples = BTreeMap<String, Value>;

/// The samples of this program.
async fn samples(api: &Api) -> Samples {
    let answer = api.get("/metrics").await;
    let ours = answer.text().lines().filter_map(|line| line.strip_prefix("openai_inbound_calls_"));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), serde_json::from_str(value).expect("a number"))
    };
    ours.map(sample).collect()
}

/// The samples once `are_so` holds for them. No counter may decrease meanwhile.
async fn until(api: &Api, what: &str, are_so: impl Fn(&Samples) -> bool) -> Samples {
    let until_they_are = async {
        let mut before = Samples::new();
        loop {
            let now = samples(api).await;
            for (name, was) in before.iter().filter(|(name, _)| name.contains("_total")) {
                assert!(number(&now[name]) >= number(was), "{name} has shrunk from {was} to {}", now[name]);
            }
            if are_so(&now) {
                return now;
            }
            before = now;
            tokio::time::sleep(ms(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_they_are).await.unwrap_or_else(|_| panic!("never {what}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number, not {value}"))
}

/// The answers take six seconds and one second. The caller interrupts the first one, listens to the second
/// one, and hangs up.
async fn call(world: &World, api: &Api) -> Samples {
    let script = [
        &listen()[..],
        &[Step::Say(pattern(1_000, 7)), Step::AfterHearing(ms(900)), Step::Say(pattern(1_000, 8))],
        &listen()[..],
        &[Step::HangUp],
    ];
    let call = world.call(script.concat());
    let live = until(api, "a call that runs", |now| number(&now["frames_sent_total"]) > 0.0).await;
    for name in ["calls_live", "calls_started_total", "ari_connected"] {
        assert_eq!(live[name], 1, "{name}");
    }
    let told = until(api, "over", |now| now[r#"calls_ended_total{reason="caller_hung_up"}"#] == 1).await;
    world.over(call).await;
    for (name, value) in [("calls_live", 0), ("calls_started_total", 1), ("barge_ins_total", 1)] {
        assert_eq!(told[name], value, "{name}");
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_of_a_call_are_the_same_wherever_they_are_told() {
    let answers = vec![Answer::pattern("Un momento.", 6_000, 2), Answer::pattern("De acuerdo.", 1_000, 3)];
    let world = World::new(Script { answers, ..Script::default() });
    let program = world.program(&[]).await;
    let api = Api::of(&program).await;
    let told = call(&world, &api).await;
    let recording = api.only("finished").await;
    let id = recording["id"].as_str().expect("an id");
    let document = api.get(&format!("/recordings/{id}/conversation")).await.json();
    let row = api.get(&format!("/calls/{}", recording["call_id"].as_str().expect("an id"))).await.json();

    let usage = &document["usage"];
    for kind in ["text_in", "audio_in", "cached_text_in", "cached_audio_in", "text_out", "audio_out"] {
        let of = |model: &Value, by| {
            let model = model.as_str().expect("a name");
            &told[&format!("tokens_total{{model=\"{model}\",use=\"{by}\",kind=\"{kind}\"}}")]
        };
        let talk = of(&row["model"], "conversation");
        let words = of(&TRANSCRIPTION.into(), "transcription");
        assert_eq!(
            (talk, words),
            (&usage["tokens"][kind], &usage["transcription"]["tokens"][kind]),
            "{kind}"
        );
        assert_eq!(
            talk.as_u64().zip(words.as_u64()).map(|(talk, words)| talk + words),
            row["tokens"][kind].as_u64()
        );
    }
    let tokens = |name| &told[&format!("{name}{{model={},of=\"tokens\"}}", row["model"])];
    assert_eq!(tokens("rate_limit"), 15_000_000, "as the fake server tells");
    assert!(number(tokens("rate_limit_remaining")) < number(tokens("rate_limit")));
    let cost = &told["cost_usd_total"];
    assert!(number(cost) > 0.0);
    assert_eq!((cost, cost), (&usage["cost_usd"], &row["cost_usd"]));
    assert_eq!(told["turns_total"], row["turns"]);
    assert_eq!(told["barge_ins_total"], row["interruptions"]);
    assert_eq!(told["barge_ins_total"], document["interruptions"]);

    let latency = &document["latency"];
    let all = |list: &str, time: &str| -> Vec<f64> {
        latency[list].as_array().expect("a list").iter().map(|one| number(&one[time])).collect()
    };
    for (family, waited) in [
        ("greeting", vec![number(&latency["greeting_ms"])]),
        ("answer", all("turns", "first_frame_ms")),
        ("answer_speech_stopped", all("turns", "speech_stopped_ms")),
        ("answer_first_delta", all("turns", "first_delta_ms")),
        ("own_share", all("turns", "own_ms")),
        ("barge_in", all("barge_ins", "ms")),
    ] {
        assert_eq!(told[&format!("{family}_seconds_count")], waited.len(), "{family}");
        // The document holds whole milliseconds.
        let sum = number(&told[&format!("{family}_seconds_sum")]) * 1_000.0;
        let ms: f64 = waited.iter().sum();
        assert!((ms - 0.001..ms + waited.len() as f64).contains(&sum), "{family}: {sum} is not {waited:?}");
    }

    assert_eq!(told["sessions_opened_total"], program.count("INFO", "Conexión WebSocket con OpenAI"));
    assert_eq!(program.count("INFO", &format!("{:.4} USD", number(cost))), 1, "{cost}");
}
