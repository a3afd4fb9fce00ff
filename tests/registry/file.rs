//! Tests of the file: full queues, disks that fail, files that are damaged or gone, and SIGKILL.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use openai_inbound_calls::registry::{Backlog, Filter, Opener, Row, Whose};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::world::{World, ended, idle, running, sought, until};

/// The variable of the child: the folder.
const CHILD: &str = "REGISTRY_TEST_FOLDER";

#[tokio::test]
async fn what_does_not_fit_into_the_queue_is_counted_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let (log, reader, writer, said) = idle(&folder.path().join("calls.db"), None, Opener::Daemon);
    // Nothing takes the rows out of the queue.
    (0..1_027).for_each(|n| log.offer(ended(&n.to_string(), n)));
    assert_eq!(log.backlog(), Backlog { waiting: 1_024, lost: 3 });
    let mut task = tokio::task::JoinSet::new();
    task.spawn(writer.run());
    until("the last that fitted is there", async || matches!(reader.find("1023").await, Ok(Some(_)))).await;
    assert_eq!(log.backlog(), Backlog { waiting: 0, lost: 3 }, "what is said is lost all the same");
    drop(log);
    task.join_next().await.unwrap().unwrap();
    let line =
        "The disk did not take the rows of the call log in time - Rows lost: 3. Calls are not affected";
    assert_eq!(said.lines(), [line]);
    let world = World::start(&folder.path().join("calls.db"), None);
    world.put(vec![ended("new", 0)]).await;
    let all = Filter { limit: 5_000, ..Filter::default() };
    assert_eq!(world.ids(&all).await.unwrap().len(), 1_025);
}

#[tokio::test]
async fn the_end_writes_what_was_offered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let world = World::start(&file, None);
    world.offer((0..1_000).map(|n| ended(&n.to_string(), n)));
    world.stop().await;
    let world = World::start(&file, None);
    world.put(vec![ended("new", 0)]).await;
    let all = Filter { limit: 5_000, ..Filter::default() };
    assert_eq!(world.ids(&all).await.unwrap().len(), 1_001);
}

#[tokio::test]
async fn a_damaged_file_is_put_aside_and_a_new_one_begun() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    fs::write(&file, "this is no database, whatever its name says").unwrap();
    let world = World::start(&file, None);
    world.put(vec![ended("a", 0)]).await;
    let moved = folder.path().join("calls.db.corrupt-1");
    assert_eq!(fs::read_to_string(&moved).unwrap(), "this is no database, whatever its name says");
    let line =
        format!("The call log was damaged: it was moved to {} and a new one is begun.", moved.display());
    let lines = world.stop().await.lines();
    assert!(lines.len() == 1 && lines[0].starts_with(&line), "{lines:?}");
}

/// The files in the folder that contain these bytes.
fn holding(folder: &Path, bytes: &str) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let holds = |path: &std::path::PathBuf| {
        fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes.as_bytes())
    };
    files.filter(holds).map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_erased_is_in_no_file_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let world = World::start(&file, None);
    world
        .put((0..50).map(|n| Row { caller: "34600111222".into(), ..ended(&n.to_string(), n) }).collect())
        .await;
    assert_ne!(holding(folder.path(), "600111222"), [""; 0]);
    world.log.erase(Whose::Caller(sought("+34600111222"))).await.unwrap();
    assert_eq!(holding(folder.path(), "600111222"), [""; 0]);
    assert!(world.find("7").await.unwrap().erased);
    assert_eq!(fs::metadata(folder.path().join("calls.db-wal")).unwrap().len(), 0);
}

#[tokio::test]
async fn what_an_earlier_version_left_of_what_it_erased_goes_with_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let options =
        SqliteConnectOptions::new().filename(&file).create_if_missing(true).pragma("secure_delete", "OFF");
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let sql =
        "CREATE TABLE others (number TEXT); INSERT INTO others VALUES ('34600111222'); DELETE FROM others";
    sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    pool.close().await;
    assert_eq!(holding(folder.path(), "600111222"), ["calls.db"], "as SQLite deletes");
    let world = World::start(&file, None);
    world.put(vec![Row { caller: "5".into(), ..ended("a", 0) }]).await;
    until("it is gone", async || holding(folder.path(), "600111222").is_empty()).await;
}

#[tokio::test]
async fn a_copy_of_the_file_alone_has_all_calls_when_none_has_come_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder.path().join("calls.db"), None);
    world.put(vec![ended("a", 0), ended("b", 1)]).await;
    let copy = folder.path().join("copy.db");
    until("a copy has them", async || {
        fs::copy(folder.path().join("calls.db"), &copy).unwrap();
        let pool = SqlitePool::connect(&format!("sqlite:{}", copy.display())).await.unwrap();
        let rows: Result<i64, _> = sqlx::query_scalar("SELECT COUNT(*) FROM calls").fetch_one(&pool).await;
        pool.close().await;
        rows.is_ok_and(|rows| rows == 2)
    })
    .await;
}

#[tokio::test]
async fn rows_wait_for_a_disk_that_does_not_take_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    fs::create_dir(&file).unwrap();
    let world = World::start(&file, None);
    world.offer([running("a", 0), ended("a", 0), ended("b", 1)]);
    until("the operator hears of it", async || !world.said.lines().is_empty()).await;
    assert!(world.reader.page(&Filter::default()).await.is_err());
    fs::remove_dir(&file).unwrap();
    world.until_there(&ended("b", 1)).await;
    assert_eq!(world.ids(&Filter::default()).await.unwrap(), ["b", "a"]);
    let said = world.stop().await;
    assert_eq!(said.times("Cannot write to the call log"), 1, "{:?}", said.lines());
    assert_eq!(said.times(&format!("The call log {} can be written again", file.display())), 1);
    assert_eq!(said.lines().len(), 2);
}

#[tokio::test]
async fn what_no_disk_took_until_the_end_is_said_to_be_lost() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    fs::create_dir(&file).unwrap();
    let world = World::start(&file, None);
    // Each call has two rows.
    world.offer((0..300).flat_map(|n| [running(&n.to_string(), n), ended(&n.to_string(), n)]));
    let said = world.stop().await;
    let lines = said.lines();
    assert!(lines[1].ends_with("Calls that are missing in it or lack their end: 300"), "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[tokio::test]
async fn a_full_disk_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path()).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        println!("skipped: no small disk can be mounted here");
        return;
    }
    let file = folder.path().join("calls.db");
    let world = World::start(&file, None);
    world.put(vec![ended("first", 0)]).await;
    let room =
        std::io::copy(&mut std::io::repeat(0), &mut fs::File::create(folder.path().join("full")).unwrap());
    assert!(room.is_err(), "it is full");
    world.offer((0..200).map(|n| ended(&n.to_string(), n)));
    until("the operator hears of it", async || !world.said.lines().is_empty()).await;
    let said = world.stop().await;
    drop(Command::new("umount").arg("-l").arg(folder.path()).status());
    let lines = said.lines();
    assert!(lines[0].contains("the disk is full") && lines[0].ends_with("Free some space"), "{lines:?}");
    assert!(lines[1].ends_with("Calls that are missing in it or lack their end: 200"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("DATABASE_URL")), "{lines:?}");
}

#[tokio::test]
async fn a_file_that_somebody_removed_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let world = World::start(&file, None);
    world.put(vec![ended("a", 0)]).await;
    for name in ["calls.db", "calls.db-wal", "calls.db-shm"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    world.put(vec![ended("b", 1)]).await;
    world.stop().await;
    let world = World::start(&file, None);
    until("it is open", async || world.reader.find("b").await.is_ok()).await;
    assert_eq!(world.find("b").await, Some(ended("b", 1)));
}

#[tokio::test]
async fn a_guest_does_not_end_the_calls_of_a_daemon_that_may_be_running() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let daemon = World::start(&file, None);
    daemon.put(vec![running("a", 0)]).await;
    let guest = World::start_as(Opener::Guest, &file, None);
    until("it is open", async || guest.reader.find("a").await.is_ok()).await;
    guest.log.erase(Whose::Caller(sought("1"))).await.unwrap();
    assert_eq!(guest.find("a").await, Some(running("a", 0)));
}

/// The child. It does nothing when it runs as one of the tests.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::start(&Path::new(&folder).join("calls.db"), None);
        for n in 0.. {
            world.offer([ended(&format!("{n:06}"), n), running(&format!("running-{n:06}"), n)]);
            world.until_there(&running(&format!("running-{n:06}"), n)).await;
            println!("accepted {n}");
            std::io::stdout().flush().unwrap();
        }
    });
}

#[tokio::test]
async fn sigkill_takes_no_row_that_was_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "file::child", "--nocapture"])
        .env(CHILD, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let accepted =
        lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("accepted ")?.parse().ok());
    // The kill comes somewhere in the next row.
    let last: i64 = accepted.take(100).last().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let world = World::start(&folder.path().join("calls.db"), None);
    world.put(vec![ended("new", 0)]).await;
    assert_eq!(last, 99);
    for n in 0..=last {
        assert_eq!(world.find(&format!("{n:06}")).await, Some(ended(&format!("{n:06}"), n)));
        let cut_off = format!("running-{n:06}");
        let row = Row { end_reason: Some("recovered".into()), ..running(&cut_off, n) };
        assert_eq!(world.find(&cut_off).await, Some(row));
    }
}
