//! Tests the call log on a real MariaDB server that is killed in the middle of a hundred calls.

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::Script;
use sqlx::mysql::MySqlPool;

use super::mariadb::Database;
use super::world::{PATIENCE, World, ms, until};

const CALLS: u32 = 100;

/// The number of rows of calls that have ended on the server.
async fn ended(pool: &MySqlPool) -> i64 {
    let sql = "SELECT COUNT(*) FROM calls WHERE end_reason = 'caller_hung_up'";
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("the table")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_the_middle_of_a_hundred_calls_has_them_all_when_it_is_back() {
    let Some(database) = Database::with_its_server().await else { return };
    let world = World::new(Script::default());
    let url = database.database_url();
    let variables = [("DATABASE_URL", url.as_str()), ("MAX_CALLS", "100"), ("RTP_PORTS", "20000-20999")];
    let program = world.program(&variables).await;
    let stays = |n| vec![Step::AfterHearing(ms(100)), Step::Pause(ms(50) * n), Step::HangUp];
    let calls: Vec<_> = (0..CALLS).map(|n| world.call(stays(n))).collect();
    for call in &calls[..CALLS as usize / 2] {
        world.gone(*call).await;
    }
    database.kill_server().await;
    for call in &calls {
        world.gone(*call).await;
    }
    until("it is said", || program.log().contains("La base de datos del registro de llamadas no responde"))
        .await;
    database.start_server().await;
    let pool = database.pool().await;
    let until_all_are_there = async {
        while ended(&pool).await < i64::from(CALLS) {
            tokio::time::sleep(ms(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_all_are_there).await.expect("no row is lost");
    let all: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM calls").fetch_one(&pool).await.expect("the table");
    assert_eq!(all, i64::from(CALLS), "and none is there twice");
}
