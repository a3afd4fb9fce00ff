//! Tests of the claims: a webhook, and a call, is new once within 72 hours, also after a restart, and never more of them are kept than
//! there is room for.

use std::time::Duration;

use openai_inbound_calls::registry::Opener;
use openai_inbound_calls::registry::claims::{Claim, KEPT, MOST};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::world::{MONDAY, World, ended, idle, running};

const HOUR: i64 = 3_600_000_000;
/// Nobody rings meanwhile, however busy the machine is.
const A_MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_webhook_and_a_call_are_new_once_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let world = World::start(&file, None);
    let claims = world.log.claims().within(A_MINUTE);
    // The file may still be opening.
    assert_eq!(claims.claim("wh_1", "rtc_1", MONDAY).await, Claim::New);
    assert_eq!(claims.claim("wh_1", "rtc_1", MONDAY).await, Claim::Repeated);
    assert_eq!(claims.claim("wh_2", "rtc_2", MONDAY).await, Claim::New);
    // Both are rejected.
    world.log.decided("rtc_1");
    world.log.decided("rtc_2");
    drop(claims);
    world.stop().await;
    let world = World::start(&file, None);
    let claims = world.log.claims().within(A_MINUTE);
    let later = MONDAY + 70 * HOUR;
    assert_eq!(claims.claim("wh_1", "rtc_1", later).await, Claim::Repeated, "the same webhook");
    assert_eq!(claims.claim("wh_1", "rtc_3", later).await, Claim::Repeated, "with another call");
    assert_eq!(
        claims.claim("wh_3", "rtc_2", later).await,
        Claim::Repeated,
        "another one about the same call"
    );
    // The ids of a call and of a webhook are different things.
    assert_eq!(claims.claim("rtc_1", "wh_1", later).await, Claim::New);
}

#[tokio::test]
async fn a_call_that_was_not_decided_when_the_daemon_was_killed_is_decided_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let world = World::start(&file, None);
    let claims = world.log.claims().within(A_MINUTE);
    assert_eq!(claims.take_over(MONDAY).await, [""; 0]);
    for (call, at) in
        [("rtc_taken", 1), ("rtc_rejected", 2), ("rtc_again", 3), ("rtc_held", 4), ("rtc_old", -2 * HOUR)]
    {
        assert_eq!(claims.claim(&format!("wh_{call}"), call, MONDAY + at).await, Claim::New, "{call}");
        assert_eq!(claims.claim(&format!("wh_{call}"), call, MONDAY + at).await, Claim::Repeated, "{call}");
    }
    world.log.decided("rtc_rejected");
    world.put(vec![running("rtc_taken", 0)]).await;
    drop(claims);
    world.kill().await;
    let world = World::start(&file, None);
    let claims = world.log.claims().within(A_MINUTE);
    assert_eq!(claims.claim("wh_rtc_rejected", "rtc_rejected", MONDAY).await, Claim::Repeated);
    assert_eq!(claims.claim("wh_rtc_taken", "rtc_taken", MONDAY).await, Claim::Repeated);
    assert_eq!(claims.claim("wh_rtc_again", "rtc_again", MONDAY).await, Claim::New, "it comes again first");
    assert_eq!(claims.take_over(MONDAY).await, ["rtc_held"], "the old one has ended, the others are decided");
    assert_eq!(claims.claim("wh_rtc_held", "rtc_held", MONDAY).await, Claim::Repeated);
    assert_eq!(claims.take_over(MONDAY).await, [""; 0]);
    // A refused caller has a row, and OpenAI has not been told yet.
    assert_eq!(claims.claim("wh_busy", "rtc_busy", MONDAY).await, Claim::New);
    world.put(vec![ended("rtc_busy", 0)]).await;
    world.kill().await;
    let world = World::start(&file, None);
    let mut left = world.log.claims().take_over(MONDAY).await;
    left.sort();
    assert_eq!(left, ["rtc_again", "rtc_busy", "rtc_held"]);
}

#[tokio::test]
async fn after_72_hours_an_id_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder.path().join("calls.db"), None);
    let claims = world.log.claims().within(A_MINUTE);
    for n in 0..20 {
        assert_eq!(claims.claim(&format!("wh_{n}"), &format!("rtc_{n}"), MONDAY).await, Claim::New);
    }
    let kept = KEPT.as_micros() as i64;
    assert_eq!(claims.claim("wh_a", "rtc_a", MONDAY + kept).await, Claim::New);
    assert_eq!(claims.count().await.unwrap(), 42);
    assert_eq!(claims.claim("wh_b", "rtc_b", MONDAY + kept + 1).await, Claim::New);
    assert_eq!(claims.count().await.unwrap(), 4);
    assert_eq!(claims.claim("wh_0", "rtc_0", MONDAY + kept + 2).await, Claim::New);
}

#[tokio::test]
async fn a_file_that_does_not_open_tells_nothing_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing opens the file.
    let (log, _reader, _writer, _said) = idle(&folder.path().join("calls.db"), None, Opener::Daemon);
    assert_eq!(log.claims().claim("wh_1", "rtc_1", MONDAY).await, Claim::Unknown);
    let file = folder.path().join("no/such/folder");
    std::fs::write(folder.path().join("no"), "a file where a folder should be").unwrap();
    let world = World::start(&file, None);
    assert_eq!(world.log.claims().claim("wh_1", "rtc_1", MONDAY).await, Claim::Unknown);
}

#[tokio::test]
async fn no_more_ids_are_kept_than_there_is_room_for_and_the_oldest_go_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let world = World::start(&file, None);
    let claims = world.log.claims().within(A_MINUTE);
    assert_eq!(claims.claim("wh_old", "rtc_old", MONDAY).await, Claim::New);
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&file)).await.unwrap();
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) \
                INSERT INTO claims (kind, id, claimed_us) SELECT 'call', 'rtc_' || i, ? + i FROM n";
    sqlx::query(fill).bind(MOST).bind(MONDAY).execute(&pool).await.unwrap();
    let later = MONDAY + 2 * i64::from(MOST);
    assert_eq!(claims.claim("wh_1", "rtc_new", later).await, Claim::New);
    assert_eq!(claims.count().await.unwrap(), u64::from(MOST));
    assert_eq!(claims.claim("wh_1", "rtc_new", later).await, Claim::Repeated);
    assert_eq!(claims.claim("wh_old", "rtc_old", later).await, Claim::New, "the oldest are forgotten");
}
