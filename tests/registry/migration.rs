//! Tests of files and servers whose tables an earlier version created: with the key `call_id` alone, as that
//! version was published.

use openai_inbound_calls::registry::{Filter, Row, Tokens};
use openai_inbound_calls::sqlite::{self, Commit, Migrations};
use openai_inbound_calls::units::MicroUsd;
use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlPool;
use sqlx::sqlite::SqlitePool;

use crate::mariadb::Database;
use crate::world::{MONDAY, World, ended, running, sought, until};

const FILE: Migrations = &[(1, "calls", include_str!("../../src/registry/0001_calls.sqlite.sql"))];
const SERVER: Migrations = &[(1, "calls", include_str!("../../src/registry/0001_calls.mysql.sql"))];

/// The row that the earlier version wrote. `values` are those of the columns from `end_reason` on.
fn insert(call_id: &str, host: &str, seconds: i64, values: &str) -> String {
    let at = MONDAY + seconds * 1_000_000;
    format!(
        "INSERT INTO calls (call_id, recording_id, host, caller, caller_key, called, model, agent, offered_us, \
         answered_us, first_audio_us, ended_us, duration_ms, turns, interruptions, greeting_ms, turn_p50_ms, turn_p95_ms, \
         audio_in, cached_text_in, cached_audio_in, text_out, audio_out, estimated, erased, \
         end_reason, model_too, text_in, cost_micro_usd) VALUES ('{call_id}', '20251020_143025_{call_id}', '{host}', \
         '+34 600-111-222', '34600111222', '900', 'gpt-realtime-2.1', 'default', {at}, {at} + 40000, {at} + 900000, \
         {at} + 60000000, 60000, 7, 2, 860, 640, 1200, 600, 500, 100, 90, 400, 0, 0, {values})"
    )
    .replace("model_too, ", "")
}

/// The rows of the earlier version: a call that has ended, one that was not accepted, and one that runs.
fn rows(host: &str) -> [String; 3] {
    [
        insert("a", host, 0, "'caller_hung_up', 1000, 43210"),
        insert("refused", host, 1, "'busy', NULL, NULL").replace("'gpt-realtime-2.1', 'default'", "'', ''"),
        insert("b", host, 2, "NULL, 1000, 43210"),
    ]
}

/// The rows after the migration.
fn since(host: &str) -> [Row; 3] {
    let of = |row: Row| Row {
        row_id: format!("{host}:{}", row.call_id),
        host: host.to_owned(),
        // The earlier version knew no agents of files.
        agent_version: String::new(),
        tools: Vec::new(),
        ..row
    };
    let refused = Row {
        model: String::new(),
        agent: String::new(),
        end_reason: Some("busy".into()),
        // The call used nothing, which the earlier version called unknown.
        tokens: Some(Tokens::default()),
        cost: Some(MicroUsd::new(0)),
        ..ended("refused", 1)
    };
    let b = ended("b", 2);
    // What a call had used when its daemon was killed is not all that it has used.
    let tokens = b.tokens.map(|tokens| Tokens { estimated: true, ..tokens });
    [of(ended("a", 0)), of(refused), of(Row { end_reason: Some("recovered".into()), tokens, ..b })]
}

async fn write_file(pool: &SqlitePool, rows: &[String]) {
    for sql in rows {
        sqlx::query(AssertSqlSafe(sql.clone())).execute(pool).await.unwrap();
    }
}

async fn write_server(pool: &MySqlPool, rows: &[String]) {
    for sql in rows {
        sqlx::query(AssertSqlSafe(sql.clone())).execute(pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_of_the_version_before_keeps_its_rows_and_takes_a_second_stay() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let pool = sqlite::open(&file, FILE, Commit::Durable).await.unwrap();
    write_file(&pool, &rows("pbx")).await;
    pool.close().await;

    let world = World::start(&file, None);
    let again = Row { row_id: "later".into(), ..ended("a", 90) };
    world.put(vec![again.clone()]).await;
    let [a, refused, b] = since("pbx");
    let page = world.reader.page(&Filter::default()).await.unwrap();
    assert_eq!(page.entries, [again, b, refused, a]);
    let of_caller = Filter { caller: Some(sought("0034600111222")), ..Filter::default() };
    assert_eq!(world.ids(&of_caller).await.unwrap().len(), 4);
    assert_eq!(world.stop().await.lines(), [""; 0], "no file was put aside");
}

#[tokio::test]
async fn a_server_of_the_version_before_keeps_its_rows_and_takes_those_that_still_waited() {
    let Some(database) = Database::new().await else { return };
    let server = database.pool().await;
    sqlite::migrator(SERVER).run(&server).await.unwrap();
    write_server(&server, &rows("pbx")).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    // This daemon runs on another machine, whose Asterisk assigned the same id. The end of `b` is still in
    // its file, and so is its start.
    let pool = sqlite::open(&file, FILE, Commit::Durable).await.unwrap();
    write_file(&pool, &[insert("a", "other", 5, "'transferred', 1000, 43210")]).await;
    write_file(&pool, &[insert("b", "pbx", 2, "'caller_hung_up', 1000, 43210")]).await;
    sqlx::query("UPDATE calls SET due = rowid").execute(&pool).await.unwrap();
    pool.close().await;

    let world = World::start(&file, Some(database.address()));
    let theirs = Row {
        row_id: "other:a".into(),
        agent_version: String::new(),
        tools: Vec::new(),
        host: "other".into(),
        end_reason: Some("transferred".into()),
        ..ended("a", 5)
    };
    world.until_there(&theirs).await;
    let [a, refused, _] = since("pbx");
    let b = Row { row_id: "pbx:b".into(), agent_version: String::new(), tools: Vec::new(), ..ended("b", 2) };
    world.until_there(&b).await;
    let page = world.reader.page(&Filter::default()).await.unwrap();
    assert_eq!(page.entries, [theirs, b, refused, a]);
    assert_eq!(world.stop().await.lines(), [""; 0]);
}

#[tokio::test]
async fn a_daemon_of_the_version_before_may_go_on_using_the_server() {
    let Some(database) = Database::new().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder.path().join("calls.db"), Some(database.address()));
    world.put(vec![ended("new", 0)]).await;
    let server = database.pool().await;
    let upsert = |values| {
        let insert = insert("old", "pbx", 3, values);
        format!("{insert} ON DUPLICATE KEY UPDATE end_reason = VALUES(end_reason)")
    };
    write_server(&server, &[upsert("NULL, NULL, NULL"), upsert("'caller_hung_up', 1000, 43210")]).await;
    let page = world.reader.page(&Filter::default()).await.unwrap();
    let keys: Vec<_> = page.entries.iter().map(|row| (&*row.row_id, row.end_reason.as_deref())).collect();
    assert_eq!(keys, [("pbx:old", Some("caller_hung_up")), ("row-new", Some("caller_hung_up"))]);
}

#[tokio::test]
async fn a_migration_that_was_cut_off_anywhere_is_made_whole() {
    let Some(database) = Database::new().await else { return };
    let server = database.pool().await;
    let folder = tempfile::tempdir().unwrap();
    let undone = [
        "",
        "ALTER TABLE calls DROP KEY calls_by_tail, DROP COLUMN caller_tail",
        "ALTER TABLE calls DROP COLUMN agent_version",
    ];
    for (n, undo) in undone.into_iter().enumerate() {
        let world = World::start(&folder.path().join(format!("{n}.db")), Some(database.address()));
        world.put(vec![ended(&n.to_string(), 0)]).await;
        world.stop().await;
        if !undo.is_empty() {
            sqlx::query(undo).execute(&server).await.unwrap();
        }
        let forget = "UPDATE _sqlx_migrations SET success = FALSE WHERE version >= 2";
        sqlx::query(forget).execute(&server).await.unwrap();
    }
    let world = World::start(&folder.path().join("last.db"), Some(database.address()));
    world.put(vec![running("last", 9)]).await;
    until("the ends of numbers are known again", async || {
        let of_caller = Filter { caller: Some(sought("600111222")), ..Filter::default() };
        world.ids(&of_caller).await.is_ok_and(|ids| ids == ["last", "2", "1", "0"])
    })
    .await;
    assert_eq!(world.said.lines(), [""; 0]);
}
