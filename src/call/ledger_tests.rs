//! Bills worked out by hand, from what servers tell and from what they leave out.

use super::*;
use crate::realtime::server::{Event, parse};

/// Prices of `gpt-realtime-2.1` and `gpt-transcribe`, as the ledger has them.
fn prices() -> Prices {
    let rates = Rates {
        text_in: MicroUsd::new(4_000_000),
        audio_in: MicroUsd::new(32_000_000),
        cached_text_in: MicroUsd::new(400_000),
        cached_audio_in: MicroUsd::new(400_000),
        text_out: MicroUsd::new(24_000_000),
        audio_out: MicroUsd::new(64_000_000),
    };
    Prices {
        conversation: Some(Price::Tokens(rates)),
        transcription: Some(Price::Minute(MicroUsd::new(4_500))),
        dated: "2026-11-20".into(),
    }
}

/// A ledger with these responses in it.
fn ledger(usages: &[&str]) -> Ledger {
    let mut ledger = Ledger::default();
    for usage in usages {
        let text = format!(r#"{{"type":"response.done","response":{{"id":"r","usage":{usage}}}}}"#);
        let Ok(Event::ResponseDone(response)) = parse(&text) else { panic!("a response") };
        ledger.response(&response.usage);
    }
    ledger
}

/// What these responses come to, micro-USD, and whether that is estimated.
fn cost(usages: &[&str]) -> (Option<u64>, bool) {
    let bill = ledger(usages).bill(&prices());
    (bill.cost.map(MicroUsd::get), bill.estimated)
}

const CACHED: &str = r#"{"total_tokens":253,"input_tokens":132,"output_tokens":121,
    "input_token_details":{"text_tokens":119,"audio_tokens":13,"image_tokens":0,"cached_tokens":64,
    "cached_tokens_details":{"text_tokens":64,"audio_tokens":0,"image_tokens":0}},
    "output_token_details":{"text_tokens":30,"audio_tokens":91}}"#;
const GREETING: &str = r#"{"total_tokens":60,"input_tokens":40,"output_tokens":20,"input_token_details":
    {"text_tokens":40,"audio_tokens":0,"image_tokens":0,"cached_tokens":0,"cached_tokens_details":
    {"text_tokens":0,"audio_tokens":0,"image_tokens":0}},"output_token_details":{"text_tokens":6,"audio_tokens":14}}"#;

#[test]
fn what_is_told_whole_is_worked_out_to_the_micro_dollar_and_the_cached_counted_once() {
    // 40 × 4 + 6 × 24 + 14 × 64.
    assert_eq!(cost(&[GREETING]), (Some(1_200), false));
    // 55 × 4 + 64 × 0.4 + 13 × 32 + 30 × 24 + 91 × 64 = 7205.6.
    assert_eq!(cost(&[CACHED]), (Some(7_206), false));
    assert_eq!(cost(&[GREETING, CACHED]), (Some(8_406), false), "rounded once, at the end");
    let tokens = ledger(&[GREETING, CACHED]).bill(&prices()).conversation;
    let expected = Tokens {
        text_in: 159,
        audio_in: 13,
        cached_text_in: 64,
        cached_audio_in: 0,
        text_out: 36,
        audio_out: 105,
    };
    assert_eq!(tokens, expected);
    assert_eq!((tokens.read(), tokens.cached(), tokens.written()), (172, 64, 141));
}

#[test]
fn what_is_not_told_counts_in_the_dearer_way_and_is_estimated() {
    // Sound, not cached: 60 × 32 + 20 × 64.
    assert_eq!(cost(&[r#"{"total_tokens":80,"input_tokens":60,"output_tokens":20}"#]), (Some(3_200), true));
    assert_eq!(cost(&[r#"{"total_tokens":80,"output_tokens":20}"#]), (Some(3_200), true));
    assert_eq!(cost(&[r#"{"total_tokens":80,"input_tokens":60}"#]), (Some(3_200), true));
    assert_eq!(cost(&[r#"{"total_tokens":80}"#]), (Some(5_120), true), "all of it spoken");
    // The details leave 10 read and 4 written unexplained: 50 × 4 + 10 × 32 + 16 × 24 + 4 × 64.
    let partly = r#"{"input_tokens":60,"output_tokens":20,"input_token_details":{"text_tokens":50,"cached_tokens":0},
        "output_token_details":{"text_tokens":16,"audio_tokens":null}}"#;
    assert_eq!(cost(&[partly]), (Some(1_160), true));
    // Of 50 cached ones nobody says of what kind: the 40 of text, then 10 of sound. 50 × 0.4 + 10 × 32.
    let cached = r#"{"input_tokens":60,"output_tokens":0,
        "input_token_details":{"text_tokens":40,"audio_tokens":20,"cached_tokens":50}}"#;
    assert_eq!(cost(&[cached]), (Some(340), true));
    // More cached than there is of the kind does not make it cheaper than free. 40 × 0.4.
    let absurd = r#"{"input_tokens":40,"output_tokens":0,"input_token_details":{"text_tokens":40,"audio_tokens":0,
        "cached_tokens":400,"cached_tokens_details":{"text_tokens":300,"audio_tokens":100}}}"#;
    assert_eq!(cost(&[absurd]), (Some(16), true));
}

#[test]
fn a_response_of_which_nothing_is_told_makes_the_cost_an_estimate_and_nothing_else_makes_it_unknown() {
    assert_eq!(cost(&[GREETING, "null"]), (Some(1_200), true));
    assert_eq!(cost(&["null", "{}"]), (None, true));
    let nothing = r#"{"total_tokens":0,"input_tokens":0,"output_tokens":0}"#;
    assert_eq!(cost(&[GREETING, nothing]), (Some(1_200), false), "that it was nothing is told");
    assert_eq!(cost(&[]), (Some(0), false));
}

#[test]
fn a_transcription_is_priced_apart_by_the_time_told_or_the_time_spoken() {
    let told = |seconds: u64| Usage { audio: Some(Milliseconds::new(seconds * 1_000)), ..Usage::default() };
    let mut ledger = ledger(&[GREETING]);
    ledger.transcription(&told(20), Some(Duration::from_secs(99)));
    ledger.transcription(&told(20), None);
    let bill = ledger.bill(&prices());
    assert_eq!(
        (bill.cost.map(MicroUsd::get), bill.estimated, bill.transcribed.get()),
        (Some(1_200 + 3_000), false, 40_000)
    );
    ledger.transcription(&Usage::default(), Some(Duration::from_secs(20)));
    let bill = ledger.bill(&prices());
    assert_eq!((bill.cost.map(MicroUsd::get), bill.estimated), (Some(1_200 + 4_500), true));
    ledger.transcription(&Usage::default(), None);
    assert_eq!(
        ledger.bill(&prices()).cost.map(MicroUsd::get),
        Some(1_200 + 4_500),
        "of this one nobody knows"
    );
}

#[test]
fn a_transcription_that_is_counted_in_tokens_reads_sound_and_writes_text() {
    let usage = Usage {
        total: Some(26),
        input: Some(20),
        text_in: Some(3),
        audio_in: Some(17),
        output: Some(6),
        ..Usage::default()
    };
    let mut ledger = Ledger::default();
    ledger.transcription(&usage, Some(Duration::from_secs(2)));
    let by_tokens = Prices { transcription: prices().conversation, ..prices() };
    let bill = ledger.bill(&by_tokens);
    // 3 × 4 + 17 × 32 + 6 × 24.
    assert_eq!(
        (bill.cost.map(MicroUsd::get), bill.estimated, bill.transcription.text_out),
        (Some(700), false, 6)
    );
    let by_minutes = ledger.bill(&prices());
    assert_eq!(
        (by_minutes.cost.map(MicroUsd::get), by_minutes.estimated),
        (Some(150), true),
        "2 s at 0.0045 a minute"
    );
    let mut in_time = Ledger::default();
    in_time.transcription(&Usage { audio: Some(Milliseconds::new(2_000)), ..Usage::default() }, None);
    assert_eq!(in_time.bill(&by_tokens).cost, None, "seconds have no price in tokens");
}

#[test]
fn without_a_price_the_tokens_are_counted_and_the_cost_is_unknown_and_not_zero() {
    let mut ledger = ledger(&[CACHED]);
    let unpriced = Prices { conversation: None, ..prices() };
    let bill = ledger.bill(&unpriced);
    assert_eq!((bill.cost, bill.at_least.get(), bill.conversation.written()), (None, 0, 121));
    let no_words = Prices { transcription: None, ..prices() };
    assert_eq!(ledger.bill(&no_words).cost.map(MicroUsd::get), Some(7_206), "nothing was transcribed");
    ledger.transcription(&Usage { audio: Some(Milliseconds::new(2_000)), ..Usage::default() }, None);
    let bill = ledger.bill(&no_words);
    assert_eq!((bill.cost, bill.at_least.get(), bill.estimated), (None, 7_206, false));
}

#[test]
fn numbers_of_any_size_are_survived() {
    let most = u64::MAX;
    // Larger than what is ever read of a server.
    let all = Some(most);
    let huge = Usage {
        total: all,
        input: all,
        text_in: all,
        audio_in: all,
        cached: all,
        cached_text: all,
        cached_audio: all,
        output: all,
        text_out: all,
        audio_out: all,
        audio: None,
    };
    let mut ledger = Ledger::default();
    ledger.response(&huge);
    ledger.response(&huge);
    ledger.transcription(&Usage { audio: Some(Milliseconds::new(most)), ..Usage::default() }, None);
    ledger.transcription(&Usage { audio: Some(Milliseconds::new(most)), ..Usage::default() }, None);
    assert_eq!(ledger.bill(&prices()).cost.map(MicroUsd::get), Some(most));
}
