//! Tests of deletions that fail in part: by the API, by the retention and by `recordings purge`. What is not deleted
//! is not reported as deleted, and what fails is said.

use std::fs;
use std::path::Path;

use openai_inbound_calls::registry::Row;
use sqlx::{Connection as _, SqliteConnection};
use tokio::runtime::Runtime;

use crate::calls::{ended, nobody, put, who};
use crate::commands::run;
use crate::world::{With, World, record};

const OLD: &str = "20200101_000000_old";
const STUCK: &str = "20200102_000000_stuck";

/// Keeps a file of this recording from being deleted: a file cannot get the name of a folder.
fn stick(folder: &Path) {
    fs::create_dir(folder.join(format!(".{STUCK}_audio.bin.deleted"))).unwrap();
}

/// Recordings of which one cannot be deleted, and the rows of their calls.
fn world() -> World {
    let folder = World::empty().stop();
    for id in [OLD, STUCK, "20990101_000000_a", "20990101_000000_b", "20990101_000000_c"] {
        record(folder.path(), id, "1");
    }
    stick(folder.path());
    let world = World::over(folder, With::default());
    let row = |id: &str, at| Row { recording_id: Some(id.into()), ..ended(id, at) };
    put(&world, vec![row(OLD, 0), row(STUCK, 1)]);
    world
}

fn is_stuck_and_the_old_one_gone(world: &World) {
    assert_eq!(world.get(&format!("/recordings/{OLD}")).status, 404);
    assert_eq!(who(world, OLD), nobody());
    assert_eq!(world.get(&format!("/recordings/{STUCK}/audio.bin")).status, 200);
    assert_ne!(who(world, STUCK), nobody());
    assert!(world.ids("?limit=10").contains(&STUCK.to_owned()));
}

#[test]
fn the_api_deletes_a_recording_everywhere_or_nowhere() {
    let world = world();
    assert_eq!(world.ask("DELETE", &format!("/recordings/{OLD}"), &[]).status, 204);
    world.ask("DELETE", &format!("/recordings/{STUCK}"), &[]).is_problem(500, "internal");
    is_stuck_and_the_old_one_gone(&world);
    fs::remove_dir(world.path(&format!(".{STUCK}_audio.bin.deleted"))).unwrap();
    assert_eq!(world.ask("DELETE", &format!("/recordings/{STUCK}"), &[]).status, 204);
    assert_eq!(who(&world, STUCK), nobody());
}

#[test]
fn the_retention_deletes_a_recording_everywhere_or_nowhere() {
    let world = World::over(world().stop(), With { retention_days: Some(30), ..With::default() });
    world.until("the old one is gone", |world| world.get(&format!("/recordings/{OLD}")).status == 404);
    world.until("its number too", |world| {
        world.get(&format!("/calls/{OLD}")).status == 200 && who(world, OLD) == nobody()
    });
    is_stuck_and_the_old_one_gone(&world);
    let log = fs::read_to_string(world.path("access.log")).unwrap();
    assert!(!log.contains(&format!("DELETE /recordings/{STUCK}")), "{log}");
}

#[test]
fn the_command_deletes_a_recording_everywhere_or_nowhere() {
    let world = world();
    let purged = run(world.folder.path(), &["purge", "--older-than", "30d", "--yes"]);
    assert_eq!(purged.status.code(), Some(1), "{purged:?}");
    assert_eq!(String::from_utf8(purged.stdout).unwrap(), format!("{OLD}\n"));
    let said = String::from_utf8(purged.stderr).unwrap();
    assert!(said.contains(&format!("Cannot delete the recording {STUCK}")), "{said}");
    is_stuck_and_the_old_one_gone(&world);
}

/// Runs `work` while another process writes to the database.
fn while_locked<T>(database: &Path, work: impl FnOnce() -> T) -> T {
    let runtime = Runtime::new().unwrap();
    let mut other = runtime.block_on(async {
        let mut other = SqliteConnection::connect(database.to_str().unwrap()).await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        other
    });
    let done = work();
    runtime.block_on(async { sqlx::query("ROLLBACK").execute(&mut other).await.unwrap() });
    done
}

#[test]
fn a_call_log_that_cannot_be_written_is_said_and_erases_later() {
    let world = world();
    fs::remove_dir(world.path(&format!(".{STUCK}_audio.bin.deleted"))).unwrap();
    while_locked(&world.path("calls.db"), || {
        let refused = world.ask("DELETE", &format!("/recordings/{OLD}"), &[]);
        refused.is_problem(503, "call_log_unavailable");
        assert!(!world.ids("?limit=10").contains(&OLD.to_owned()));
        let purged = run(world.folder.path(), &["purge", "--older-than", "30d", "--yes"]);
        let said = String::from_utf8(purged.stderr).unwrap();
        assert!(said.contains("Rows of the call log whose numbers were erased: 0"), "{said}");
        assert_eq!(purged.status.code(), Some(1), "{said}");
    });
    world.until("the number is erased", |world| who(world, OLD) == nobody());
}

#[test]
fn an_index_that_cannot_be_written_keeps_nothing_in_the_list() {
    let world = world();
    while_locked(&world.path("calls-index.db"), || {
        assert_eq!(world.ask("DELETE", &format!("/recordings/{OLD}"), &[]).status, 204);
        assert!(!world.ids("?limit=10").contains(&OLD.to_owned()));
        assert_eq!(who(&world, OLD), nobody());
    });
}
