//! The file: full queues, disks that fail, files that are damaged or gone, and SIGKILL.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use openai_inbound_calls::registry::{Backlog, Filter, Opener, Row, Whose};

use crate::world::{World, ended, idle, running, until};

/// Set in the child: the folder.
const CHILD: &str = "REGISTRY_TEST_FOLDER";

#[tokio::test]
async fn what_does_not_fit_into_the_queue_is_counted_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let (log, reader, writer, said) = idle(&folder.path().join("calls.db"), None, Opener::Daemon);
    // Nobody takes them out.
    (0..1_027).for_each(|n| log.offer(ended(&n.to_string(), n)));
    assert_eq!(log.backlog(), Backlog { waiting: 1_024, lost: 3 });
    let mut task = tokio::task::JoinSet::new();
    task.spawn(writer.run());
    until("the last that fitted is there", async || matches!(reader.find("1023").await, Ok(Some(_)))).await;
    assert_eq!(log.backlog(), Backlog { waiting: 0, lost: 3 }, "what is said is lost all the same");
    drop(log);
    task.join_next().await.unwrap().unwrap();
    let line = "The disk could not keep up with the call log - Rows lost: 3. Calls are not affected";
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
        format!("The call log was damaged: it was moved to {} and a new one is begun", moved.display());
    assert_eq!(world.stop().await.lines(), [line]);
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
    world.offer((0..300).map(|n| ended(&n.to_string(), n)));
    let said = world.stop().await;
    assert_eq!(said.times("The disk could not keep up with the call log - Rows lost: 300."), 1);
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
    guest.log.erase(Whose::Caller("1".into())).await.unwrap();
    assert_eq!(guest.find("a").await, Some(running("a", 0)));
}

/// The child: does nothing when it runs as one of the tests.
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
    // Somewhere in the next one.
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
