//! Which of the calls that OpenAI offers are taken, and that Asterisk's affairs do not touch them.

use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset};
use openai_inbound_calls::ari::request::Reply;
use openai_inbound_calls::call::Standing;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::{
    Exchange, Input, Moment, Offer, Order, Output, Rules, Trunk, Webhook, WebhookNews,
};
use openai_inbound_calls::operator::{Detail, Notice};
use openai_inbound_calls::realtime::calls::CallId;
use openai_inbound_calls::realtime::calls::request::SipStatus;
use openai_inbound_calls::units::MicroUsd;
use openai_inbound_calls::webhook::inbound::Refused;

use crate::world::rules;

fn offer(call: &str) -> Offer {
    Offer {
        call: CallId::parse(call).expect("an id"),
        caller: "+525512345678".into(),
        called: String::new(),
        age: Duration::from_secs(1),
        trunk: Trunk::Known,
        nonce: None,
    }
}

struct Pbx {
    exchange: Exchange,
    at: Moment,
}

impl Pbx {
    fn new(rules: Rules) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the virtual clock begins somewhere")]
        let now = Instant::now();
        let wall: DateTime<FixedOffset> = "2026-11-20T10:00:00-06:00".parse().expect("a time");
        let at = Moment { now, wall };
        let mut pbx = Self { exchange: Exchange::new(at, rules), at };
        pbx.feed(Input::Tick);
        pbx
    }

    fn feed(&mut self, input: Input<'_>) -> Vec<Output> {
        let outputs: Vec<_> = self.exchange.handle(self.at, input).collect();
        assert_eq!(self.exchange.contradiction(), None);
        outputs
    }

    /// What comes of an offer: `None` if it is taken, or the status of the rejection and its reason.
    fn offer(&mut self, offer: Offer) -> Option<(SipStatus, Option<EndReason>)> {
        let outputs = self.feed(Input::Offered(Box::new(offer)));
        let decisions: Vec<_> = outputs
            .into_iter()
            .filter_map(|output| match output {
                Output::Take(..) => Some(None),
                Output::Reject(_, status, reason) => Some(Some((status, reason))),
                _ => None,
            })
            .collect();
        assert_eq!(decisions.len(), 1, "one decision: {decisions:?}");
        decisions[0]
    }
}

#[test]
fn a_call_is_taken_once_and_strangers_and_the_late_are_not() {
    let mut pbx = Pbx::new(rules());
    assert_eq!(pbx.offer(offer("rtc_1")), None);
    let again = pbx.feed(Input::Offered(Box::new(offer("rtc_1"))));
    assert!(!again.iter().any(|output| matches!(output, Output::Take(..) | Output::Reject(..))), "{again:?}");
    let stranger = Offer { trunk: Trunk::Stranger, ..offer("rtc_2") };
    assert_eq!(pbx.offer(stranger), Some((SipStatus::Decline, None)));
    let late = Offer { age: Duration::from_secs(61), ..offer("rtc_3") };
    assert_eq!(pbx.offer(late), Some((SipStatus::ServiceUnavailable, None)));
    // With SIP_SHARED_HEADER=none every call is of a known trunk, and yet nobody is there behind a nonce that is not awaited.
    for nonce in ["", "0123456789abcdef0123456789abcdef"] {
        let of_nobody = Offer { nonce: Some(nonce.into()), ..offer("rtc_5") };
        assert_eq!(pbx.offer(of_nobody), Some((SipStatus::Decline, None)));
    }
    assert_eq!((pbx.exchange.calls(), pbx.offer(offer("rtc_4"))), (1, None));
}

#[test]
fn the_limits_are_those_of_callers_in_asterisk() {
    let mut full = Pbx::new(Rules { max_calls: 1, ..rules() });
    assert_eq!(full.offer(offer("rtc_1")), None);
    assert_eq!(full.offer(offer("rtc_2")), Some((SipStatus::BusyHere, Some(EndReason::Busy))));
    let outputs = full.feed(Input::Offered(Box::new(offer("rtc_3"))));
    let line = Notice::SipNotTaken { status: 486, reason: EndReason::Busy };
    assert!(outputs.contains(&Output::Notice(Some("rtc_3".into()), line)), "{outputs:?}");
    let mut often = Pbx::new(Rules { max_calls_per_caller_hour: Some(2), ..rules() });
    assert_eq!((often.offer(offer("rtc_1")), often.offer(offer("rtc_2"))), (None, None));
    assert_eq!(often.offer(offer("rtc_3")), Some((SipStatus::BusyHere, Some(EndReason::CallerLimit))));
    let mut dear = Pbx::new(Rules { max_day_cost: Some(MicroUsd::from_usd(1.0)), ..rules() });
    assert_eq!(dear.offer(offer("rtc_1")), None);
    dear.feed(Input::Spent("rtc_1".into(), MicroUsd::from_usd(1.0)));
    assert_eq!(dear.offer(offer("rtc_2")), Some((SipStatus::BusyHere, Some(EndReason::DayCostLimit))));
    let mut out = Pbx::new(rules());
    for _ in 0..3 {
        let cause = Box::new(Notice::KeyRefused);
        out.feed(Input::Standing(&Standing::Fails { reason: EndReason::SessionFailed, cause }));
    }
    let decisions: Vec<_> = (1..=9).map(|n| out.offer(offer(&format!("rtc_{n}")))).collect();
    let refused = Some((SipStatus::BusyHere, Some(EndReason::SessionFailed)));
    assert!(decisions.iter().filter(|decision| **decision == refused).count() >= 7, "{decisions:?}");
}

#[test]
fn a_daemon_that_stops_takes_none_and_ends_those_that_run() {
    let mut pbx = Pbx::new(rules());
    assert_eq!(pbx.offer(offer("rtc_1")), None);
    pbx.feed(Input::Stop);
    assert_eq!(pbx.offer(offer("rtc_2")), Some((SipStatus::ServiceUnavailable, Some(EndReason::Shutdown))));
    pbx.at.now += Duration::from_secs(61);
    let outputs = pbx.feed(Input::Tick);
    assert!(outputs.contains(&Output::Tell("rtc_1".into(), Order::Shutdown)), "{outputs:?}");
    assert!(!pbx.exchange.is_over());
}

/// How the webhook stands after this, and whether the operator is told that it has closed.
fn after(pbx: &mut Pbx, news: WebhookNews) -> (Webhook, bool) {
    let outputs = pbx.feed(Input::Webhook(news));
    let is_said = outputs.contains(&Output::Notice(None, Notice::WebhookClosed));
    (pbx.exchange.readiness().webhook, is_said)
}

#[test]
fn a_webhook_that_did_not_come_for_a_dialled_call_is_missing_until_one_comes() {
    let mut pbx = Pbx::new(rules());
    assert_eq!(
        after(&mut pbx, WebhookNews::Missed),
        (Webhook::Off, false),
        "a webhook that is off cannot be missing"
    );
    assert_eq!(after(&mut pbx, WebhookNews::Listens), (Webhook::Listening, false));
    assert_eq!(after(&mut pbx, WebhookNews::Missed), (Webhook::Missing, false));
    assert_eq!(pbx.offer(offer("rtc_1")), None);
    assert_eq!(pbx.exchange.readiness().webhook, Webhook::Listening);
    assert_eq!(after(&mut pbx, WebhookNews::Missed), (Webhook::Missing, false));
    assert_eq!(after(&mut pbx, WebhookNews::Closed), (Webhook::Closed, true));
    assert_eq!(after(&mut pbx, WebhookNews::Closed), (Webhook::Closed, false), "once");
    assert_eq!(pbx.offer(offer("rtc_2")), None, "what had come before is taken");
    assert_eq!(pbx.exchange.readiness().webhook, Webhook::Closed);
}

#[test]
fn webhooks_with_a_wrong_signature_are_told_of_again_until_one_is_right() {
    let mut pbx = Pbx::new(rules());
    pbx.feed(Input::Webhook(WebhookNews::Listens));
    let said = |pbx: &mut Pbx, seconds| {
        pbx.at.now += Duration::from_secs(seconds);
        let news = WebhookNews::Refused { cause: Refused::Signature, count: 2 };
        let outputs = pbx.feed(Input::Webhook(news));
        outputs.into_iter().find_map(|output| match output {
            Output::Notice(None, Notice::WebhookRefused { count, .. }) => Some(count),
            _ => None,
        })
    };
    assert_eq!((said(&mut pbx, 0), said(&mut pbx, 599), said(&mut pbx, 1)), (Some(2), None, Some(6)));
    assert!(pbx.exchange.readiness().webhooks_refused);
    let outputs = pbx.feed(Input::Webhook(WebhookNews::Missed));
    let line = Notice::WebhooksRefusedMeanwhile { count: 6 };
    assert!(outputs.contains(&Output::Notice(None, line)), "{outputs:?}");
    assert_eq!(pbx.offer(offer("rtc_1")), None);
    assert!(!pbx.exchange.readiness().webhooks_refused);
    let outputs = pbx.feed(Input::Webhook(WebhookNews::Missed));
    assert!(!outputs.iter().any(|output| matches!(output, Output::Notice(..))), "{outputs:?}");
    assert_eq!((said(&mut pbx, 1), said(&mut pbx, 599)), (None, Some(4)), "not once for each genuine call");
}

#[test]
fn a_webhook_whose_port_is_taken_is_closed_until_it_listens() {
    let mut pbx = Pbx::new(rules());
    assert_eq!(
        after(&mut pbx, WebhookNews::CannotListen),
        (Webhook::Closed, false),
        "its line names the port"
    );
    assert_eq!(after(&mut pbx, WebhookNews::Missed), (Webhook::Closed, false));
    assert_eq!(after(&mut pbx, WebhookNews::Listens), (Webhook::Listening, false));
}

#[test]
fn an_asterisk_that_comes_back_without_them_does_not_end_calls_at_openai() {
    let mut pbx = Pbx::new(rules());
    assert_eq!(pbx.offer(offer("rtc_1")), None);
    let mut asked = pbx.feed(Input::Connected);
    for _ in 0..10 {
        let requests: Vec<_> = std::mem::take(&mut asked)
            .into_iter()
            .filter_map(|output| match output {
                Output::Ari(errand, request) => Some((errand, request)),
                Output::Tell(caller, order) => panic!("{caller} is told {order:?}"),
                _ => None,
            })
            .collect();
        for (errand, request) in requests {
            let reply = Reply::Done(r#"{"name":"openai-app","channel_ids":[],"bridge_ids":[]}"#.to_owned());
            asked.extend(pbx.feed(Input::Ari { errand, request: &request, reply: &reply }));
        }
    }
    assert_eq!(pbx.exchange.calls(), 1);
}

#[test]
fn a_call_that_was_lost_to_a_defect_is_hung_up() {
    let mut pbx = Pbx::new(rules());
    assert_eq!(pbx.offer(offer("rtc_1")), None);
    let outputs = pbx.feed(Input::Panicked("rtc_1".into(), Detail::new("a defect")));
    assert!(outputs.contains(&Output::HangUp(CallId::parse("rtc_1").expect("an id"))), "{outputs:?}");
    assert!(!outputs.iter().any(|output| matches!(output, Output::Ari(..))), "nothing is asked of Asterisk");
    assert_eq!(pbx.exchange.calls(), 0);
}

/// What the operator is told.
fn notices(outputs: Vec<Output>) -> Vec<Notice> {
    let notice = |output| if let Output::Notice(_, notice) = output { Some(notice) } else { None };
    outputs.into_iter().filter_map(notice).collect()
}

#[test]
fn a_flood_of_strangers_is_a_line_and_one_every_ten_minutes() {
    let mut pbx = Pbx::new(rules());
    let came = |pbx: &mut Pbx, n: u32| {
        let nonce = n.is_multiple_of(2).then(|| "00112233445566778899aabbccddeeff".into());
        let stranger = Offer { trunk: Trunk::Stranger, nonce, ..offer(&format!("rtc_{n}")) };
        notices(pbx.feed(Input::Offered(Box::new(stranger))))
    };
    assert_eq!(came(&mut pbx, 1), [Notice::SipStranger]);
    for n in 2..1_000 {
        assert_eq!(came(&mut pbx, n), []);
    }
    let pause = Duration::from_mins(10);
    assert_eq!(pbx.exchange.deadline().map(|at| at - pbx.at.now), Some(pause));
    pbx.at.now += pause;
    assert_eq!(notices(pbx.feed(Input::Tick)), [Notice::SipStrangers { calls: 998, minutes: 10 }]);
    assert_eq!(came(&mut pbx, 1_000), [], "it is counted, too");
    pbx.at.now += pause;
    assert_eq!(notices(pbx.feed(Input::Tick)), [Notice::SipStrangers { calls: 1, minutes: 10 }]);
    pbx.at.now += pause;
    assert_eq!(notices(pbx.feed(Input::Tick)), []);
    assert_eq!(came(&mut pbx, 1_002), [Notice::SipNonceUnknown], "after ten quiet minutes");
}

#[test]
fn without_a_header_calls_that_are_not_taken_have_a_line_every_ten_minutes_and_those_of_a_trunk_one_each() {
    let late = Duration::from_secs(61);
    let said = |trunk, age: Option<Duration>, n: u32, pbx: &mut Pbx| {
        let usual = offer(&format!("rtc_{n}"));
        let offered = Offer { trunk, age: age.unwrap_or(usual.age), ..usual };
        notices(pbx.feed(Input::Offered(Box::new(offered))))
    };
    let busy = [Notice::SipNotTaken { status: 486, reason: EndReason::Busy }];
    let mut open = Pbx::new(Rules { max_calls: 1, ..rules() });
    assert_eq!(open.offer(Offer { trunk: Trunk::Open, ..offer("rtc_0") }), None, "it needs no header");
    assert_eq!(said(Trunk::Open, None, 1, &mut open), busy);
    for n in 2..1_000_u32 {
        let age = n.is_multiple_of(2).then_some(late);
        assert_eq!(said(Trunk::Open, age, n, &mut open), []);
    }
    open.at.now += Duration::from_mins(10);
    assert_eq!(notices(open.feed(Input::Tick)), [Notice::SipStrangers { calls: 998, minutes: 10 }]);
    open.at.now += Duration::from_mins(10);
    assert_eq!(notices(open.feed(Input::Tick)), []);
    assert_eq!(said(Trunk::Open, None, 1_000, &mut open), busy, "after ten quiet minutes");
    let mut trunk = Pbx::new(Rules { max_calls: 1, ..rules() });
    assert_eq!(trunk.offer(offer("rtc_0")), None);
    for n in 1..4 {
        assert_eq!(said(Trunk::Known, None, n, &mut trunk), busy);
        assert_eq!(said(Trunk::Known, Some(late), n, &mut trunk), [Notice::SipTooLate { seconds: 61 }]);
    }
}

#[test]
fn that_webhooks_are_refused_is_said_once_and_warned_of_for_ten_minutes() {
    let mut pbx = Pbx::new(rules());
    pbx.feed(Input::Webhook(WebhookNews::Listens));
    let is_said = |outputs: Vec<Output>| {
        outputs.iter().any(|output| matches!(output, Output::Notice(_, Notice::WebhookCrowded)))
    };
    assert!(is_said(pbx.feed(Input::Webhook(WebhookNews::Crowded))));
    pbx.at.now += Duration::from_secs(300);
    assert!(!is_said(pbx.feed(Input::Webhook(WebhookNews::Crowded))));
    pbx.at.now += Duration::from_secs(599);
    pbx.feed(Input::Tick);
    assert!(pbx.exchange.readiness().webhook_crowded);
    assert_eq!(pbx.exchange.readiness().webhook, Webhook::Listening);
    pbx.at.now += Duration::from_secs(1);
    pbx.feed(Input::Tick);
    assert!(!pbx.exchange.readiness().webhook_crowded);
    assert!(is_said(pbx.feed(Input::Webhook(WebhookNews::Crowded))));
}
