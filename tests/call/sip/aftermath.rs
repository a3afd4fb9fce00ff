//! Calls whose caller is gone, and that only hang up at OpenAI or fetch their sound: they keep neither a place of `MAX_CALLS` nor their
//! caller, and there are not too many of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset};
use openai_inbound_calls::ari::ChannelId;
use openai_inbound_calls::ari::event;
use openai_inbound_calls::call::{Call, Known, LegEvent, Report, SipSeed};
use openai_inbound_calls::exchange::{Exchange, Input, Moment, Offer, Order, Output, Rules, Trunk};
use openai_inbound_calls::operator::{Detail, Notice};
use openai_inbound_calls::realtime::calls::CallId;
use openai_inbound_calls::sim::asterisk::Settings as AsteriskSettings;
use openai_inbound_calls::sim::openai_calls::{Say, Script};

use super::pbx::{Pbx, Step};
use super::{script, settings, words};
use crate::world::rules;

/// A world with one place.
fn narrow(script: Script) -> Pbx {
    let full = |rules: Rules| Rules { max_calls: 1, shutdown_grace: Duration::from_secs(2), ..rules };
    Pbx::new(settings(), script, AsteriskSettings::default(), full)
}

#[test]
fn a_call_of_a_carrier_that_openai_does_not_hang_up_takes_no_place() {
    let goodbye = Say::WordsAndCalls("Hasta luego.".into(), "end_call".into(), "{}".into());
    let mut pbx = narrow(Script { failing_hangups: 40, ..script(&[words("Hola."), goodbye]) });
    pbx.at(100, Step::CarrierCalls);
    pbx.at(2_000, Step::Says(0, 500));
    pbx.at(12_000, Step::CarrierCalls);
    pbx.at(15_000, Step::HangsUp(1));
    pbx.run_to(4_000);
    pbx.is_clean();
    assert_eq!((pbx.rejected, pbx.reports.len()), (0, 2), "{:#?}", pbx.rungs);
}

#[test]
fn sound_that_never_comes_takes_no_place_and_is_given_up_in_the_end() {
    let mut pbx = narrow(script(&[words("Hola.")]));
    pbx.never_fetch();
    pbx.at(100, Step::Calls);
    pbx.at(3_000, Step::HangsUp(0));
    pbx.at(5_000, Step::Calls);
    pbx.at(9_000, Step::HangsUp(1));
    pbx.run_to(4_000);
    pbx.is_clean();
    assert_eq!((pbx.calls.len(), pbx.reports.len()), (2, 2), "both were served: {:#?}", pbx.rungs);
    assert!(pbx.reports.iter().all(|report| report.duration < Duration::from_secs(5)), "the callers' time");
    let told = pbx.notices.iter().filter(|notice| matches!(notice, Notice::SoundLeft { .. })).count();
    assert_eq!(told, 2);
}

#[test]
fn a_caller_who_is_back_does_not_wait_for_the_last_words_of_the_call_before() {
    // When we hang up at OpenAI, in seconds. The caller is back at 8.10 s, or not at all.
    let hung_up_at = |is_back: bool| {
        let mut pbx = narrow(script(&[words("Hola."), words("Claro.")]));
        pbx.at(100, Step::Calls);
        pbx.at(7_500, Step::Says(0, 500));
        pbx.at(8_050, Step::HangsUp(0));
        if is_back {
            pbx.at(8_100, Step::IsBack(0));
        }
        pbx.run_to(60);
        pbx.is_clean();
        let rung = pbx.rungs.iter().find(|rung| rung.ends_with("▶ openai  hangup")).expect("a hang-up");
        rung.split(' ').next().and_then(|at| at.parse::<f64>().ok()).expect("seconds")
    };
    let (awaited, given_up) = (hung_up_at(false), hung_up_at(true));
    assert!(awaited > 8.2 && given_up < 8.2, "{awaited} {given_up}");
}

#[test]
fn a_daemon_that_stops_cuts_aftermaths_short() {
    let mut pbx = narrow(script(&[words("Hola.")]));
    pbx.never_fetch();
    pbx.at(100, Step::Calls);
    pbx.at(3_000, Step::HangsUp(0));
    pbx.at(5_000, Step::Stops);
    pbx.run_to(30);
    assert_eq!(pbx.reports.len(), 1, "in less than 120 s: {:#?}", pbx.rungs);
    assert!(pbx.said(|notice| matches!(notice, Notice::SoundLeft { .. })));
}

/// An exchange at one moment.
struct Alone {
    exchange: Exchange,
    at: Moment,
}

impl Alone {
    fn new(max_calls: usize) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the virtual clock begins somewhere")]
        let now = Instant::now();
        let wall: DateTime<FixedOffset> = "2026-11-20T10:00:00-06:00".parse().expect("a time");
        let at = Moment { now, wall };
        let mut alone = Self { exchange: Exchange::new(at, Rules { max_calls, ..rules() }), at };
        alone.feed(Input::Tick);
        alone
    }

    fn feed(&mut self, input: Input<'_>) -> Vec<Output> {
        let outputs: Vec<_> = self.exchange.handle(self.at, input).collect();
        assert_eq!(self.exchange.contradiction(), None);
        outputs
    }

    /// Whether a call of a carrier with this number is taken.
    fn takes(&mut self, n: u64) -> bool {
        let outputs = self.feed(Input::Offered(Box::new(offer(n))));
        outputs.iter().any(|output| matches!(output, Output::Take(..)))
    }

    /// The caller enters the application.
    fn enters(&mut self) -> Vec<Output> {
        let text = r#"{"type":"StasisStart","application":"openai-app","args":[],"channel":{"id":"1.1",
            "name":"PJSIP/voip-1","state":"Up","caller":{"name":"","number":"300"},"dialplan":{"exten":"1"}}}"#;
        self.feed(Input::Event(event::parse(text).expect("an event")))
    }
}

fn offer(n: u64) -> Offer {
    Offer {
        call: CallId::parse(&format!("rtc_{n}")).expect("an id"),
        caller: "+525512345678".into(),
        called: String::new(),
        age: Duration::from_secs(1),
        trunk: Trunk::Known,
        nonce: None,
    }
}

fn report(at: Moment) -> Report {
    let call = CallId::parse("rtc_1").expect("an id");
    let seed = SipSeed { call, wall: 0, refer_host: None, known: Known::default() };
    Call::at_openai(at.now, Arc::new(settings().at_openai(None)), seed).report()
}

fn starts(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Start(..)))
}

#[test]
fn a_caller_who_is_back_is_served_while_the_call_before_is_only_tidied_up() {
    let mut alone = Alone::new(1);
    let (caller, report) = (ChannelId::from("1.1"), report(alone.at));
    assert!(starts(&alone.enters()));
    // The caller is back before the first call has let them go.
    let outputs = alone.enters();
    let returned = Output::Tell(caller.clone(), Order::Leg(LegEvent::CallerReturned));
    assert!(outputs.contains(&returned) && !starts(&outputs), "{outputs:?}");
    assert!(starts(&alone.feed(Input::LetGo(caller.clone(), 1, &report))));
    // And once more, after it has.
    assert!(!starts(&alone.feed(Input::LetGo(caller.clone(), 2, &report))));
    assert!(starts(&alone.enters()));
    alone.feed(Input::Over(1));
    alone.feed(Input::Ended(caller, &report));
    assert!(!alone.exchange.is_over());
    assert_eq!(alone.exchange.calls(), 0);
}

#[test]
fn too_many_aftermaths_take_places() {
    let mut alone = Alone::new(1);
    let report = report(alone.at);
    let taken = (1..=100).take_while(|n| {
        let is_taken = alone.takes(*n);
        alone.feed(Input::LetGo(format!("rtc_{n}").as_str().into(), *n, &report));
        is_taken
    });
    assert_eq!(taken.count(), 65);
    alone.feed(Input::Over(1));
    alone.feed(Input::Over(2));
    assert!(!alone.takes(3), "it is known");
    assert!(alone.takes(200));
    let outputs = alone.feed(Input::AftermathPanicked(3, Detail::new("a defect")));
    assert!(outputs.contains(&Output::HangUp(CallId::parse("rtc_3").expect("an id"))), "{outputs:?}");
}
