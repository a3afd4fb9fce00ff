//! Tests a customer who is transferred to the assistant: one call, one session and one row, with the
//! customer's number.

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::Script;

use crate::api::Api;
use crate::call_log::{calls, ended};
use crate::world::{World, ms, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_row_and_the_recording_have_the_number_of_the_customer() {
    let world = World::new(Script::default());
    let program = world.program(&[]).await;
    let call = world.call(vec![Step::Pause(ms(600_000))]);
    until("the greeting is heard", || world.asterisk.phone(call, |phone| phone.statistics().loud > 5)).await;
    world.asterisk.transfer(call, "3109998877");
    let api = Api::of(&program).await;
    let rows =
        calls(&api, "the customer's number in the row", |rows| rows[0]["caller"] == "3109998877").await;
    assert_eq!((rows.len(), &rows[0]["called"]), (1, &"3241000752".into()), "{rows:?}");
    let before = world.asterisk.phone(call, |phone| phone.statistics().packets);
    until("the sound goes on", || {
        world.asterisk.phone(call, |phone| phone.statistics().packets > before + 50)
    })
    .await;
    world.asterisk.hang_up(call);
    world.over(call).await;
    let rows = calls(&api, "the end of the row", |rows| rows.iter().all(ended)).await;
    assert_eq!((rows.len(), &rows[0]["end_reason"]), (1, &"caller_hung_up".into()), "{rows:?}");
    assert_eq!(rows[0]["caller"], "3109998877");
    let finished = api.only("finished").await;
    let path = format!("/recordings/{}/conversation", finished["id"].as_str().expect("an id"));
    let conversation = api.get(&path).await.json();
    assert_eq!(conversation["caller"], "3109998877", "{conversation}");
    assert_eq!(world.openai.sessions().len(), 1, "one session is paid for");
}
