//! Tests that a log at the most talkative level, of our crate and of all others, shows no caller's number. Only the promised
//! line about a new call may, because it names the channel.

use openai_inbound_calls::sim::asterisk::{Fault, IncomingCall};
use openai_inbound_calls::sim::caller::{Caller, Step};
use openai_inbound_calls::sim::realtime::Script;

use crate::api::Api;
use crate::call_log::{calls, ended};
use crate::world::{World, ms, until};

const CALLER: &str = "3005550123";
const CUSTOMER: &str = "3109998877";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_at_trace_shows_no_number_but_in_the_name_of_the_channel() {
    let world = World::new(Script::default());
    let program = world
        .program(&[("LOG_LEVEL", "trace,openai_inbound_calls=trace"), ("FALLBACK_CONTEXT", "sales")])
        .await;
    let call = IncomingCall { number: CALLER.into(), endpoint: CALLER.into(), ..IncomingCall::default() };
    let dial =
        || world.asterisk.call(call.clone(), |now| Caller::new(now, vec![Step::Pause(ms(600_000))], 7));
    let call = dial();
    until("the greeting is heard", || world.asterisk.phone(call, |phone| phone.statistics().loud > 5)).await;
    world.asterisk.transfer(call, CUSTOMER);
    let api = Api::of(&program).await;
    calls(&api, "the customer's number", |rows| rows[0]["caller"] == CUSTOMER).await;
    let found = api.get(&format!("/calls?caller=%2B57{CUSTOMER}")).await.json();
    assert_eq!(found["calls"].as_array().map(Vec::len), Some(1), "{found}");
    world.asterisk.hang_up(call);
    world.over(call).await;
    // Asterisk's message quotes the caller, in a line at ERROR and in the answer at DEBUG.
    world.asterisk.fail_next("POST", "/externalMedia", Fault::Status(500));
    world.over_but_sessions(dial()).await;
    calls(&api, "the end of both rows", |rows| rows.len() == 2 && rows.iter().all(ended)).await;
    program.says("ERROR", "Asterisk rechaza POST /channels/externalMedia (HTTP 500): Scripted fault").await;
    program.says("TRACE", "ARI event").await;
    program.says("DEBUG", "reply=Refused").await;
    let promised = format!("Nueva llamada recibida - Canal: PJSIP/{CALLER}-0000000");
    program.says_times(2, "INFO", &promised).await;
    for number in [CALLER, CUSTOMER] {
        let log = program.log();
        let shown: Vec<_> =
            log.lines().filter(|line| line.contains(number) && !line.contains(&promised)).collect();
        assert_eq!(shown, [""; 0], "{number}");
    }
}
