//! Tests of the list and its index: order, pages and filters. The files decide if the index differs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use openai_inbound_calls::call::record::Ending;
use openai_inbound_calls::clock::{now, wall};

use openai_inbound_calls::clock::Clock;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::recordings::index::Index;
use openai_inbound_calls::recordings::{Facts, Recorder, RecorderReport, RecordingSettings, State};
use openai_inbound_calls::units::ByteCount;
use serde_json::json;

use crate::commands::run;
use crate::world::{With, World, conversation, ids, opening, record, settings};

/// Reads all pages.
fn walk(world: &World, query: &str) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let list = world.get(&format!("/recordings?{query}{cursor}")).json();
        pages.push(ids(&list));
        assert!(pages.len() < 1_000, "the list never ends");
        match list["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

#[test]
fn pages_follow_each_other_even_through_calls_of_the_same_moment() {
    // The fraction of a second is the same in all of them, so only the id distinguishes those of one second.
    let mut all: Vec<_> = (0..23).map(|n| format!("20251020_1430{:02}_{}", n / 7, 100 + n)).collect();
    let world = World::of(&all.iter().map(String::as_str).collect::<Vec<_>>());
    all.reverse();
    for limit in [1, 5, 7, 22, 23, 24, 500] {
        let pages = walk(&world, &format!("limit={limit}"));
        assert_eq!(pages.concat(), all, "limit {limit}");
        assert_eq!(pages.len(), 23_usize.div_ceil(limit), "and no page is empty");
    }
}

#[test]
fn a_page_is_not_lost_when_its_place_is_deleted() {
    let world =
        World::of(&["20251020_143021_a", "20251020_143022_b", "20251020_143023_c", "20251020_143024_d"]);
    let first = world.get("/recordings?limit=2").json();
    assert_eq!(ids(&first), ["20251020_143024_d", "20251020_143023_c"]);
    world.ask("DELETE", "/recordings/20251020_143023_c", &[]);
    let next = format!("?limit=2&cursor={}", first["next_cursor"].as_str().unwrap());
    assert_eq!(world.ids(&next), ["20251020_143022_b", "20251020_143021_a"]);
}

#[test]
fn a_list_is_narrowed_by_time_and_caller() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), "20251019_235959_a", "+57 300 123-4567");
    record(folder.path(), "20251020_000000_b", "573001234567");
    record(folder.path(), "20251020_120000_c", "anonymous");
    record(folder.path(), "20251021_000000_d", "");
    let world = World::over(folder, With::default());
    let [a, b, c, d] = ["20251019_235959_a", "20251020_000000_b", "20251020_120000_c", "20251021_000000_d"];
    // Each recording began 123 ms after the second in its id, at UTC-5.
    for (query, wanted) in [
        ("?from=2025-10-20T12:00:00-05:00", vec![d, c]),
        ("?from=2025-10-20T12:00:00.124-05:00", vec![d]),
        ("?to=2025-10-20T12:00:00.123-05:00", vec![c, b, a]),
        ("?to=2025-10-20T17:00:00Z", vec![b, a]),
        ("?from=2025-10-20T05:00:00%2B00:00&to=2025-10-20T18:00:00+00:00", vec![c, b]),
        ("?caller=%2B573001234567", vec![b, a]),
        ("?caller=+57(300)1234567&limit=1", vec![b]),
        ("?caller=ANONYMOUS", vec![c]),
        ("?caller=57300123456", vec![]),
        ("?from=2030-01-01", vec![]),
        ("?to=2000-01-01", vec![]),
    ] {
        assert_eq!(world.ids(query), wanted, "{query}");
    }
}

#[test]
fn a_date_stands_for_its_whole_day_on_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    for id in ["20251019_235959_a", "20251020_000000_b", "20251020_235959_c", "20251021_000000_d"] {
        // The original system wrote them like this, without an offset: in the local time of this machine.
        let mut text: serde_json::Value = serde_json::from_str(&conversation(id, "x")).unwrap();
        text.as_object_mut().unwrap().remove("utc_offset");
        let text = text.to_string();
        fs::write(folder.path().join(format!("{id}_conversation.json")), text).unwrap();
    }
    let world = World::over(folder, With::default());
    assert_eq!(world.ids("?from=2025-10-20&to=2025-10-20"), ["20251020_235959_c", "20251020_000000_b"]);
    assert_eq!(world.ids("?from=2025-10-20T23:59:59"), ["20251021_000000_d", "20251020_235959_c"]);
}

#[test]
fn what_a_list_cannot_be_asked_is_a_problem() {
    let world = World::empty();
    for query in [
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=ten",
        "limit=1&limit=2",
        "limit=",
        "from=yesterday",
        "to=2025-13-01",
        "from=20251020",
        "cursor=x",
        "cursor=1~",
        "cursor=1~..%2fa",
        "cursor=99999999999999999999~a",
        "caler=5",
    ] {
        world.get(&format!("/recordings?{query}")).is_problem(400, "bad_parameter");
    }
    let long = "5".repeat(65);
    world.get(&format!("/recordings?caller={long}")).is_problem(400, "bad_parameter");
    assert_eq!(world.ids("?caller=%27%20OR%201=1--"), [""; 0]);
}

#[test]
fn an_entry_whose_files_are_gone_disappears_when_it_is_touched() {
    let world = World::of(&["20251020_143021_a", "20251020_143022_b"]);
    for name in world.files().iter().filter(|name| name.contains("_a_")) {
        fs::remove_file(world.path(name)).unwrap();
    }
    assert_eq!(world.ids(""), ["20251020_143022_b"]);
    for name in world.files().iter().filter(|name| name.contains("_b_")) {
        fs::remove_file(world.path(name)).unwrap();
    }
    world.get("/recordings/20251020_143022_b").is_problem(404, "no_such_recording");
    // The list would repair this by itself, so the test looks into the index.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let index = Index::new(&world.path("calls-index.db"));
    runtime.block_on(index.open()).unwrap();
    let id = "20251020_143022_b".parse().unwrap();
    world.until("the index has heard it", |_| runtime.block_on(index.find(&id)).unwrap().is_none());
    assert_eq!(world.ids(""), [""; 0]);
}

#[test]
fn the_index_is_made_again_from_the_files_when_it_is_missing() {
    let world = World::of(&["20251020_143021_a", "20251020_143022_b"]);
    let folder = world.stop();
    for name in ["calls-index.db", "calls-index.db-wal", "calls-index.db-shm"] {
        drop(fs::remove_file(folder.path().join(name)));
    }
    let world = World::over(folder, With::default());
    assert_eq!(world.ids(""), ["20251020_143022_b", "20251020_143021_a"]);
    assert_eq!(world.ids("?caller=573001234567").len(), 2);
}

#[test]
fn a_damaged_index_is_put_aside_and_made_again() {
    for damage in [&b"this is no database, whatever its name says"[..], &[0xFF; 8192]] {
        let folder = World::of(&["20251020_143021_a"]).stop();
        let path = folder.path().join("calls-index.db");
        let mut bytes = fs::read(&path).unwrap();
        // The first time the file is no database at all, the second time it is damaged inside.
        if damage.len() == 8192 {
            let end = bytes.len().min(4096 + damage.len());
            bytes[4096..end].copy_from_slice(&damage[..end - 4096]);
        } else {
            bytes = damage.to_vec();
        }
        fs::write(&path, &bytes).unwrap();
        let world = World::over(folder, With::default());
        assert_eq!(world.ids(""), ["20251020_143021_a"]);
        assert_eq!(fs::read(world.path("calls-index.db.corrupt-1")).unwrap(), bytes);
    }
}

#[test]
fn the_index_of_an_earlier_version_gives_its_name_to_the_call_log() {
    let folder = World::of(&["20251020_143021_a"]).stop();
    for name in ["calls.db", "calls.db-wal", "calls.db-shm"] {
        drop(fs::remove_file(folder.path().join(name)));
    }
    let old = folder.path().join("calls.db");
    fs::rename(folder.path().join("calls-index.db"), &old).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = |path: &Path, sql: &'static str| {
        runtime.block_on(async {
            let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display())).await.unwrap();
            let done = sqlx::query(sql).execute(&pool).await;
            pool.close().await;
            done.is_ok()
        })
    };
    // The index may know facts about an encrypted recording that no file holds.
    assert!(run(&old, "UPDATE recordings SET agent = 'only the index knows'"));
    let world = World::over(folder, With::default());
    let list = world.get("/recordings").json();
    assert_eq!(list["recordings"][0]["agent"], "only the index knows");
    let folder = world.stop();
    assert!(run(&folder.path().join("calls.db"), "SELECT call_id FROM calls"));
    assert!(!folder.path().join("calls.db.corrupt-1").exists());
}

#[test]
fn without_a_place_for_the_index_the_list_still_works() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), "20251020_143021_a", "1");
    let database = Some(Path::new("/proc/none/calls-index.db").to_owned());
    let world = World::over(folder, With { database, ..With::default() });
    assert_eq!(world.ids(""), ["20251020_143021_a"]);
}

#[test]
fn what_changed_while_nobody_looked_is_found_at_the_start() {
    let folder = World::of(&["20251020_143021_a", "20251020_143022_b"]).stop();
    for part in ["conversation.json", "summary.txt", "audio.wav", "audio.bin"] {
        fs::remove_file(folder.path().join(format!("20251020_143021_a_{part}"))).unwrap();
    }
    record(folder.path(), "20251020_143023_c", "1");
    let world = World::over(folder, With::default());
    assert_eq!(world.ids(""), ["20251020_143023_c", "20251020_143022_b"]);
}

#[test]
fn recordings_past_their_time_are_deleted_at_the_start_and_noted() {
    let folder = tempfile::tempdir().unwrap();
    let soon = wall().format("%Y%m%d_%H%M%S_now").to_string();
    record(folder.path(), "20200101_000000_old", "1");
    record(folder.path(), &soon, "1");
    let world = World::over(folder, With { retention_days: Some(30), ..With::default() });
    world.until("the old one is gone", |world| world.files().len() == 4);
    assert_eq!(world.ids(""), [soon]);
    let line = world.accesses(1).remove(0);
    assert!(line.contains(" retention - DELETE /recordings/20200101_000000_old "), "{line}");
}

#[test]
fn more_than_half_of_the_recordings_is_never_deleted_by_age_unless_somebody_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for id in ["20200101_000000_a", "20200102_000000_b", "20990101_000000_c"] {
        record(folder.path(), id, "1");
    }
    let world = World::over(folder, With { retention_days: Some(30), ..With::default() });
    world.until("it has looked", |world| world.get("/health").json()["retention"] == "too_many");
    let health = world.get("/health");
    assert_eq!((health.status, &health.json()["status"]), (503, &"degraded".into()));
    assert_eq!(world.files().len(), 12);
    let purge = ["purge", "--older-than", "30d", "--yes"];
    assert!(run(world.folder.path(), &purge).status.success());
    assert_eq!(world.ids(""), ["20990101_000000_c"]);
    // The next check finds nothing to delete.
    let world = World::over(world.stop(), With { retention_days: Some(30), ..With::default() });
    world.until("it has looked", |world| world.get("/health").json()["retention"] == "working");
    assert_eq!((world.get("/health").status, world.files().len()), (200, 4));
}

#[test]
fn nothing_is_deleted_by_a_clock_that_nobody_has_set() {
    let recorded = || {
        let folder = tempfile::tempdir().unwrap();
        for id in ["20200101_000000_a", "20990101_000000_b", "20990102_000000_c"] {
            record(folder.path(), id, "1");
        }
        folder
    };
    let with =
        |clock: fn() -> Clock| With { retention_days: Some(30), clock: Some(clock), ..With::default() };
    let world = World::over(recorded(), with(|| Clock::Unsynchronised));
    world.until("it has looked", |world| world.get("/health").json()["retention"] == "clock_unsynchronised");
    assert_eq!((world.get("/health").status, world.files().len()), (503, 12));
    // If nothing seems old, a wrong clock does no harm. If the machine does not tell the state of its clock,
    // only the limit of one half protects.
    let folder = world.stop();
    for part in ["conversation.json", "summary.txt", "audio.wav", "audio.bin"] {
        fs::remove_file(folder.path().join(format!("20200101_000000_a_{part}"))).unwrap();
    }
    let world = World::over(folder, with(|| Clock::Unsynchronised));
    world.until("it has looked", |world| world.get("/health").json()["retention"] == "working");
    assert_eq!((world.get("/health").status, world.files().len()), (200, 8));
    let world = World::over(recorded(), with(|| Clock::Unknown));
    world.until("the old one is gone", |world| world.files().len() == 8);
}

#[test]
fn an_encrypted_call_keeps_in_the_index_what_was_known_while_it_ran() {
    let world = World::empty();
    let recipient = age::x25519::Identity::generate().to_public().to_string().parse().unwrap();
    let sealed = RecordingSettings { recipient: Some(recipient), ..settings(world.folder.path()) };
    let feed = world.feed();
    let recorder = Recorder::start(sealed, now, move |news| match news {
        RecorderReport::Opened(facts) | RecorderReport::Finished(facts) => feed.put(facts),
        RecorderReport::Notice(notice) => panic!("{notice:?}"),
    });
    let recorder = recorder.unwrap();
    let id = "20251020_150000_9.1";
    let handle = recorder.open(opening("9.1", "2025-10-20T15:00:00-05:00"));
    world.until("it is listed as running", |world| {
        world.get("/recordings").json()["recordings"][0]["state"] == "live"
    });
    handle.close(Ending {
        reason: EndReason::CallerHungUp,
        duration: Duration::from_secs(7),
        interruptions: 1,
    });
    assert!(recorder.stop(Duration::from_secs(10)));
    world.until("it is listed as finished", |world| {
        world.get("/recordings").json()["recordings"][0]["state"] == "finished"
    });
    world.get(&format!("/recordings/{id}/conversation")).is_problem(403, "sealed");
    world.get(&format!("/recordings/{id}/summary")).is_problem(403, "sealed");
    let folder = world.stop();
    // After the next start nobody can read it, but the index holds whose recording it is, which is enough to
    // erase it.
    let world = World::over(folder, With::default());
    let one = world.get(&format!("/recordings/{id}")).json();
    assert_eq!((&one["encrypted"], &one["caller"]), (&json!(true), &json!("+573009999999")));
    assert_eq!(one["duration_seconds"], 7.0);
    // The index keeps this even when a file without facts is reported again.
    let id_read = id.parse().unwrap();
    world.feed().put(Facts {
        id: id_read,
        state: State::Finished,
        sealed: true,
        bytes: ByteCount::new(5),
        told: None,
    });
    world.until("the index has heard it", |world| {
        world.get("/recordings").json()["recordings"][0]["bytes"] == 5
    });
    assert_eq!(world.ids("?caller=573009999999"), [id]);
    let purged = run(world.folder.path(), &["purge", "--caller", "573009999999", "--yes"]);
    assert!(purged.status.success(), "{purged:?}");
    assert_eq!((world.files(), world.ids("")), (vec![], vec![]));
}

/// The number of recordings with which the list is measured.
const MANY: usize = if cfg!(debug_assertions) { 2_000 } else { 100_000 };

#[test]
fn list_latency() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..MANY {
        let id = format!(
            "2025{:02}{:02}_{:02}{:02}{:02}_{n}",
            n % 12 + 1,
            n % 28 + 1,
            n % 24,
            n % 60,
            n / 60 % 60
        );
        let caller = format!("+57300{:07}", n % 5_000);
        fs::write(folder.path().join(format!("{id}_conversation.json")), conversation(&id, &caller)).unwrap();
    }
    let began = now();
    let world = World::over(folder, With::default());
    println!("{MANY} recordings: index made from the files in {:.1} s", began.elapsed().as_secs_f64());
    let folder = world.stop();
    let began = now();
    let world = World::over(folder, With::default());
    println!(
        "{MANY} recordings: index compared with the files at a start in {:.2} s",
        began.elapsed().as_secs_f64()
    );
    let middle = world.ids("?to=2025-06-30&limit=1");
    assert_eq!(middle.len(), 1);
    let mut deep = world.get("/recordings?limit=500").json();
    for _ in 0..(MANY / 1_000).min(20) {
        let next = deep["next_cursor"].as_str().unwrap().to_owned();
        deep = world.get(&format!("/recordings?limit=500&cursor={next}")).json();
    }
    let cursor = format!("?cursor={}", deep["next_cursor"].as_str().unwrap_or("0~a"));
    for (what, query) in [
        ("the first 50", ""),
        ("50 behind a cursor", cursor.as_str()),
        ("50 of half a year", "?to=2025-06-30"),
        ("one caller's", "?caller=573000000042"),
        ("the first 500", "?limit=500"),
    ] {
        let mut took: Vec<Duration> = (0..100)
            .map(|_| {
                let began = now();
                assert_eq!(world.get(&format!("/recordings{query}")).status, 200);
                began.elapsed()
            })
            .collect();
        took.sort_unstable();
        println!("{MANY} recordings, {what}: median {:?}, 99 % {:?}", took[50], took[98]);
        assert!(took[50] < Duration::from_millis(250), "{what}: {:?}", took[50]);
    }
}
