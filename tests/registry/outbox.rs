//! Tests of the outbox: messages are written together with the row of their call, are due until their receiver has them, and are
//! erased with their caller.

use openai_inbound_calls::number::Sought;
use openai_inbound_calls::registry::outbox::{Counts, KEPT, MOST, Message, Outbox};
use openai_inbound_calls::registry::{Opener, Row, Settings, Whose};

use crate::world::{SECOND, World, ended, idle, running, until};

fn message(row: &Row, address: &str) -> Message {
    Message {
        row_id: row.row_id.clone(),
        call_id: row.call_id.clone(),
        agent: "citas".into(),
        address: address.into(),
        recording_id: row.recording_id.clone(),
        caller: row.caller.clone(),
        made_us: row.ended_us.unwrap_or_default(),
        body: format!("a secret word for {address}"),
    }
}

async fn counts(outbox: &Outbox) -> (u64, u64) {
    let Counts { waiting, dead } = outbox.counts().await.unwrap_or_default();
    (waiting, dead)
}

/// Offers an ended call with a message to each of these addresses, and waits for them.
async fn put(world: &World, row: &Row, addresses: &[&str]) -> Outbox {
    let messages = addresses.iter().map(|address| message(row, address)).collect();
    world.log.offer_ended(row.clone(), messages);
    world.until_there(row).await;
    world.log.outbox()
}

#[tokio::test]
async fn a_message_is_due_at_once_again_after_a_failure_and_gone_when_it_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let world = World::start(&file, None);
    let row = ended("a", 0);
    let outbox = put(&world, &row, &["x", "y"]).await;
    let now = row.ended_us.unwrap();
    assert_eq!(outbox.due(now - 1, 10).await.unwrap(), []);
    let due = outbox.due(now, 10).await.unwrap();
    assert_eq!(
        due.iter().map(|due| (due.address.as_str(), due.attempts)).collect::<Vec<_>>(),
        [("x", 0), ("y", 0)]
    );
    assert_eq!(outbox.due(now, 1).await.unwrap().len(), 1);
    // Those that have waited longest come first.
    outbox.failed(due[0].id, 0, "", Some(now + 1)).await.unwrap();
    let order: Vec<_> = outbox.due(now + 1, 10).await.unwrap().into_iter().map(|due| due.address).collect();
    assert_eq!((order, outbox.next_us().await.unwrap()), (vec!["y".to_owned(), "x".to_owned()], Some(now)));
    outbox.failed(due[0].id, 1, "HTTP 503", Some(now + 5 * SECOND)).await.unwrap();
    outbox.delivered(due[1].id).await.unwrap();
    assert_eq!(outbox.next_us().await.unwrap(), Some(now + 5 * SECOND));
    // Another process sees the same, and sends again.
    let beside = Outbox::open(&Settings { file: file.clone(), server: None }).await.unwrap();
    let [left] = &beside.list().await.unwrap()[..] else { panic!("one message") };
    assert_eq!((left.attempts, left.answer.as_str(), left.due_us), (1, "HTTP 503", Some(now + 5 * SECOND)));
    outbox.failed(left.id, 10, "no answer in time", None).await.unwrap();
    assert_eq!((counts(&beside).await, beside.next_us().await.unwrap()), ((0, 1), None));
    assert!(beside.again(left.id, now).await.unwrap() && !beside.again(99, now).await.unwrap());
    let [again] = &outbox.due(now, 10).await.unwrap()[..] else { panic!("due") };
    assert_eq!((again.attempts, again.answer.as_str()), (0, "no answer in time"));
    assert_eq!(outbox.body(left.id).await.unwrap().as_deref(), Some("a secret word for x"));
    outbox.delivered(left.id).await.unwrap();
    outbox.tidy(now).await.unwrap();
    assert_eq!(counts(&outbox).await, (0, 0));
    for name in ["calls.db", "calls.db-wal"] {
        let bytes = std::fs::read(folder.path().join(name)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains("secret word"), "{name}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_message_is_as_durable_as_the_row_of_its_call_and_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let world = World::start(&file, None);
    let row = ended("a", 0);
    let outbox = put(&world, &row, &["x"]).await;
    let [x] = &outbox.list().await.unwrap()[..] else { panic!("one message") };
    outbox.failed(x.id, 3, &"x".repeat(5_000), Some(row.ended_us.unwrap())).await.unwrap();
    world.log.offer_ended(row.clone(), vec![message(&row, "x"), message(&row, "y")]);
    until("both are there", async || counts(&outbox).await == (2, 0)).await;
    let [x, _y] = &outbox.list().await.unwrap()[..] else { panic!("two messages") };
    assert_eq!((x.attempts, x.answer.len()), (3, 255), "it stays as it is");
    world.kill().await;
    let world = World::start(&file, None);
    let outbox = world.log.outbox();
    until("the file is open", async || counts(&outbox).await == (2, 0)).await;
    world.stop().await;
}

#[tokio::test]
async fn where_there_is_a_server_the_messages_stay_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = "mysql://calls:x@127.0.0.1:9/calls".parse().unwrap();
    let file = folder.path().join("calls.db");
    let world = World::start(&file, Some(server));
    let row = ended("a", 0);
    world.log.offer_ended(row.clone(), vec![message(&row, "x")]);
    let outbox = world.log.outbox();
    until("it is there", async || counts(&outbox).await == (1, 0)).await;
    world.log.erase(Whose::Caller(Sought::new("+34600111222", None).unwrap())).await.unwrap();
    assert_eq!(counts(&outbox).await, (0, 0));
    world.kill().await;
}

#[tokio::test]
async fn the_messages_of_an_erased_caller_or_recording_are_gone_and_do_not_come_back() {
    let caller = Whose::Caller(Sought::new("+34600111222", None).unwrap());
    let recording = Whose::Recording("20251020_143025_a".into());
    for whose in [caller, recording] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::start(&folder.path().join("calls.db"), None);
        let stranger = Row { caller: "+34699".into(), ..ended("b", 1) };
        put(&world, &ended("a", 0), &["x", "y"]).await;
        let outbox = put(&world, &stranger, &["x"]).await;
        world.log.erase(whose.clone()).await.unwrap();
        let left: Vec<_> = outbox.list().await.unwrap().into_iter().map(|left| left.call_id).collect();
        assert_eq!(left, ["b"], "{whose:?}");
        // A call that runs while its caller is erased has no message, though its number is still known to the daemon.
        let row = Row { recording_id: Some("20251020_143025_a".into()), ..running("c", 2) };
        world.put(vec![row.clone()]).await;
        world.log.erase(whose.clone()).await.unwrap();
        let row = Row { ended_us: Some(1), end_reason: Some("caller_hung_up".into()), ..row };
        world.log.offer_ended(row.clone(), vec![message(&row, "x")]);
        world.log.erase(Whose::Recording("none".into())).await.unwrap();
        assert_eq!(counts(&outbox).await, (1, 0), "{whose:?}");
        world.stop().await;
    }
}

#[tokio::test]
async fn the_outbox_has_a_bound_and_what_was_given_up_makes_room_or_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _reader, writer, said) = idle(&folder.path().join("calls.db"), None, Opener::Daemon);
    let mut task = tokio::task::JoinSet::new();
    task.spawn(writer.run());
    let outbox = log.outbox();
    let row = ended("a", 0);
    let addresses = |from: u64, to: u64| (from..to).map(|n| message(&row, &n.to_string())).collect();
    log.offer_ended(row.clone(), addresses(0, MOST + 3));
    until("it is full", async || counts(&outbox).await == (MOST, 0)).await;
    let line = "Messages about ended calls lost because 10000 wait already: 3";
    until("the operator is told", async || said.times(line) == 1).await;
    assert_eq!(outbox.tally().dead.load(std::sync::atomic::Ordering::Relaxed), 3);
    let oldest = outbox.due(row.ended_us.unwrap(), 1).await.unwrap()[0].clone();
    outbox.failed(oldest.id, 10, "HTTP 500", None).await.unwrap();
    log.offer_ended(row.clone(), addresses(MOST + 3, MOST + 4));
    until("a new one takes its place", async || counts(&outbox).await == (MOST, 0)).await;
    let next = outbox.due(row.ended_us.unwrap(), 1).await.unwrap()[0].clone();
    outbox.failed(next.id, 10, "HTTP 500", None).await.unwrap();
    let kept = KEPT.as_micros() as i64;
    outbox.tidy(row.ended_us.unwrap() + kept).await.unwrap();
    assert_eq!(counts(&outbox).await, (MOST - 1, 1));
    outbox.tidy(row.ended_us.unwrap() + kept + 1).await.unwrap();
    assert_eq!(counts(&outbox).await, (MOST - 1, 0), "what waits is never forgotten");
    drop(log);
    task.join_next().await.unwrap().unwrap();
}
