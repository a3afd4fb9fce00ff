//! Tests of a server that is away, returns, or refuses: no accepted row is lost, and no row is there twice.

use std::path::Path;

use openai_inbound_calls::registry::{Filter, RegistryError, Row, Whose};
use sqlx::mysql::MySqlPool;
use sqlx::sqlite::SqlitePool;

use crate::mariadb::{Database, Door};
use crate::world::{World, ended, running, sought, until};

/// The number of rows in a file.
async fn waiting(file: &Path) -> i64 {
    let pool = SqlitePool::connect(&format!("sqlite:{}", file.display())).await.expect("a file");
    let rows = sqlx::query_scalar("SELECT COUNT(*) FROM calls").fetch_one(&pool).await.expect("the table");
    pool.close().await;
    rows
}

async fn on(server: &MySqlPool) -> Vec<String> {
    let ids = sqlx::query_scalar("SELECT call_id FROM calls ORDER BY call_id").fetch_all(server).await;
    ids.expect("the table")
}

/// Waits until the log has written everything that was offered. An erasure is answered once everything before
/// it is in the file.
async fn accepted(world: &World) {
    world.log.erase(Whose::Caller(sought("1"))).await.expect("the file is fine");
}

#[tokio::test]
async fn a_start_without_the_server_works_and_what_waited_comes_once_it_is_there() {
    let Some(database) = Database::new().await else { return };
    let (folder, door) = (tempfile::tempdir().unwrap(), Door::shut(&database).await);
    let file = folder.path().join("calls.db");
    let world = World::start(&file, Some(door.address(&database)));
    world.offer((0..600).map(|n| ended(&format!("{n:03}"), n)));
    world.offer([running("live", 999)]);
    accepted(&world).await;
    assert_eq!(waiting(&file).await, 601);
    assert!(matches!(world.reader.page(&Filter::default()).await, Err(RegistryError::Closed)));
    until("the operator hears of it", async || !world.said.lines().is_empty()).await;

    door.set(true);
    world.until_there(&running("live", 999)).await;
    until("the file is empty but for the running call", async || waiting(&file).await == 1).await;
    assert_eq!(on(&database.pool().await).await.len(), 601);
    world.put(vec![ended("live", 999)]).await;
    until("the file is empty", async || waiting(&file).await == 0).await;
    until("the operator hears of it", async || world.said.lines().len() == 2).await;
    assert_eq!(world.said.times("The database of the call log does not answer (127.0.0.1:"), 1);
    assert_eq!(world.said.times("The database of the call log answers again (127.0.0.1:"), 1);
    assert!(world.said.lines()[1].ends_with("Rows delivered: 601"), "{:?}", world.said.lines());
}

#[tokio::test]
async fn a_server_that_goes_away_in_between_gets_the_rest_of_a_killed_daemon_from_the_next() {
    let Some(database) = Database::new().await else { return };
    let (folder, door) = (tempfile::tempdir().unwrap(), Door::shut(&database).await);
    let file = folder.path().join("calls.db");
    door.set(true);
    let world = World::start(&file, Some(door.address(&database)));
    world.put(vec![running("a", 0), ended("b", 1)]).await;
    door.set(false);
    world.offer([ended("a", 0), running("c", 2)]);
    accepted(&world).await;
    world.kill().await;

    // The next daemon does not know what became of the running call.
    let world = World::start(&file, Some(door.address(&database)));
    world.offer([ended("d", 3)]);
    accepted(&world).await;
    door.set(true);
    let cut_off = Row { end_reason: Some("recovered".into()), ..running("c", 2) };
    for row in [ended("a", 0), ended("b", 1), cut_off, ended("d", 3)] {
        world.until_there(&row).await;
    }
    assert_eq!(on(&database.pool().await).await, ["a", "b", "c", "d"]);
    until("the file is empty", async || waiting(&file).await == 0).await;
}

#[tokio::test]
async fn a_delivery_that_was_cut_off_before_it_was_noted_is_repeated_without_harm() {
    let Some(database) = Database::new().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    // This is a file whose rows had reached the server when its daemon was killed.
    World::start(&file, None).put(vec![ended("a", 0), ended("b", 1)]).await;
    let copy = folder.path().join("before.db");
    std::fs::copy(&file, &copy).unwrap();
    for ending in ["-wal", "-shm"] {
        let of = |path: &Path| format!("{}{ending}", path.display());
        drop(std::fs::copy(of(&file), of(&copy)));
    }
    for path in [&file, &copy] {
        let world = World::start(path, Some(database.address()));
        world.until_there(&ended("b", 1)).await;
        until("all of it is noted", async || waiting(path).await == 0).await;
        assert_eq!(world.ids(&Filter::default()).await.unwrap(), ["b", "a"]);
        world.stop().await;
    }
}

#[tokio::test]
async fn the_calls_of_a_file_move_to_the_server_when_one_is_named() {
    let Some(database) = Database::new().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let world = World::start(&file, None);
    world.put((0..300).map(|n| ended(&format!("{n:03}"), n)).collect()).await;
    world.stop().await;
    let world = World::start(&file, Some(database.address()));
    until("all have moved", async || waiting(&file).await == 0).await;
    let all = Filter { limit: 500, ..Filter::default() };
    assert_eq!(world.ids(&all).await.unwrap().len(), 300);
}

#[tokio::test]
async fn an_erasure_reaches_a_server_that_was_away_and_rows_of_other_machines() {
    let Some(database) = Database::new().await else { return };
    let (folder, door) = (tempfile::tempdir().unwrap(), Door::shut(&database).await);
    let other = World::start(&folder.path().join("other.db"), Some(database.address()));
    other.put(vec![Row { host: "other".into(), ..ended("theirs", 0) }]).await;
    let file = folder.path().join("calls.db");
    let world = World::start(&file, Some(door.address(&database)));
    world.offer([ended("ours", 1)]);
    world.log.erase(Whose::Caller(sought("+34600111222"))).await.unwrap();
    world.kill().await;
    assert_eq!(other.find("theirs").await.unwrap().called, "900", "the server has not heard of it");

    door.set(true);
    let world = World::start(&file, Some(door.address(&database)));
    for call in ["ours", "theirs"] {
        until("it is forgotten", async || {
            world.find(call).await.is_some_and(|row| row.caller.is_empty() && row.called.is_empty())
        })
        .await;
    }
    // No trace of the number stays on this machine.
    until("the file is empty", async || waiting(&file).await == 0).await;
    world.stop().await;
    let pool = SqlitePool::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let erasures: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM erasures").fetch_one(&pool).await.unwrap();
    assert_eq!(erasures, 0);
}

#[tokio::test]
async fn a_row_the_server_refuses_holds_up_no_other() {
    let Some(database) = Database::new().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let world = World::start(&file, Some(database.address()));
    world.put(vec![ended("first", 0)]).await;
    let server = database.pool().await;
    sqlx::query("ALTER TABLE calls ADD CHECK (agent <> 'odd')").execute(&server).await.unwrap();
    let odd = Row { agent: "odd".into(), ..ended("odd", 1) };
    world.put(vec![ended("before", 0), odd.clone(), ended("after", 2)]).await;
    until("the others are noted", async || waiting(&file).await == 1).await;
    assert_eq!(on(&server).await, ["after", "before", "first"]);
    until("the operator hears of it", async || !world.said.lines().is_empty()).await;
    assert!(world.said.lines()[0].contains(" refuses 1 rows: "), "{:?}", world.said.lines());
    world.put(vec![ended("later", 3)]).await;
    assert_eq!(world.said.lines().len(), 1, "once");
    // No row is lost: the server has it as soon as the server accepts it.
    let constraint: String = sqlx::query_scalar(
        "SELECT CONSTRAINT_NAME FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()",
    )
    .fetch_one(&server)
    .await
    .unwrap();
    let drop = format!("ALTER TABLE calls DROP CONSTRAINT `{constraint}`");
    sqlx::query(sqlx::AssertSqlSafe(drop)).execute(&server).await.unwrap();
    world.offer([ended("last", 4)]);
    world.until_there(&odd).await;
}

#[tokio::test]
async fn tables_that_somebody_was_cut_off_in_making_are_made() {
    let Some(database) = Database::new().await else { return };
    let server = database.pool().await;
    let folder = tempfile::tempdir().unwrap();
    World::start(&folder.path().join("a.db"), Some(database.address())).put(vec![ended("a", 0)]).await;
    for sql in ["UPDATE _sqlx_migrations SET success = FALSE", "DROP TABLE calls"] {
        sqlx::query(sql).execute(&server).await.unwrap();
    }
    let world = World::start(&folder.path().join("b.db"), Some(database.address()));
    world.put(vec![ended("b", 0)]).await;
    assert_eq!(world.said.lines(), [""; 0]);
}

#[tokio::test]
async fn a_server_that_refuses_the_connection_is_said_with_that_cause() {
    let Some(database) = Database::with_its_server().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder.path().join("calls.db"), Some(database.address()));
    world.put(vec![ended("a", 0)]).await;
    database.kill_server().await;
    // One log connected before, and the other never did.
    let other = World::start(&folder.path().join("other.db"), Some(database.address()));
    world.offer([ended("b", 1)]);
    for world in [&world, &other] {
        until("the operator hears of it", async || !world.said.lines().is_empty()).await;
        let lines = world.said.lines();
        // A connection at the moment at which the server dies is reset instead of refused.
        let is_told = ["Connection refused", "Connection reset"].iter().any(|cause| lines[0].contains(cause));
        assert!(is_told && !lines[0].contains("pool"), "{lines:?}");
    }
}

#[tokio::test]
async fn a_user_who_may_make_no_view_has_a_call_log_all_the_same() {
    let Some(database) = Database::new().await else { return };
    let folder = tempfile::tempdir().unwrap();
    database.refuse("CREATE VIEW").await;
    let world = World::start(&folder.path().join("calls.db"), Some(database.address()));
    world.put(vec![ended("a", 0)]).await;
    assert_eq!(world.said.lines(), [""; 0]);
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_shown() {
    let Some(database) = Database::new().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let place = database.address().to_string();
    let wrong = format!("mysql://nobody:hunter2@{place}").parse().unwrap();
    let world = World::start(&folder.path().join("calls.db"), Some(wrong));
    until("the operator hears of it", async || !world.said.lines().is_empty()).await;
    let said = world.stop().await.lines().join("\n");
    assert!(said.contains(&place) && said.contains("Access denied"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_server_is_reached_with_tls_and_its_certificate_examined_where_that_is_asked() {
    let Some(database) = Database::new().await else { return };
    let (folder, certificate) = (tempfile::tempdir().unwrap(), database.certificate());
    let examined = format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={certificate}");
    for (n, parameters) in ["ssl-mode=REQUIRED", &examined].into_iter().enumerate() {
        let server = database.address_with_tls(parameters).await;
        let world = World::start(&folder.path().join(format!("{n}.db")), Some(server));
        world.put(vec![ended(&n.to_string(), 0)]).await;
    }
    for (n, parameters) in ["ssl-mode=VERIFY_IDENTITY", "ssl-mode=DISABLED"].into_iter().enumerate() {
        let server = database.address_with_tls(parameters).await;
        let world = World::start(&folder.path().join(format!("not-{n}.db")), Some(server));
        until("the operator hears of it", async || !world.said.lines().is_empty()).await;
        assert_eq!(world.said.times("The database of the call log does not answer"), 1);
    }
}

#[tokio::test]
async fn what_another_machine_erased_does_not_come_back_with_the_end_of_the_call() {
    let Some(database) = Database::new().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let start = |name: &str| World::start(&folder.path().join(name), Some(database.address()));
    let (ours, theirs) = (start("ours.db"), start("theirs.db"));
    ours.put(vec![running("a", 0)]).await;
    theirs.log.erase(Whose::Caller(sought("34600111222"))).await.unwrap();
    until("it is forgotten", async || ours.find("a").await.is_some_and(|row| row.caller.is_empty())).await;
    ours.offer([ended("a", 0)]);
    until("it is over", async || ours.find("a").await.is_some_and(|row| row.end_reason.is_some())).await;
    let row = ours.find("a").await.unwrap();
    assert_eq!((row.caller, row.called, row.turns), ("".into(), String::new(), 7));
}
