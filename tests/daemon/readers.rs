//! Tests fifty calls that are recorded while fifty readers read: neither disturbs the other.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use openai_inbound_calls::media::wav;
use openai_inbound_calls::sim::asterisk::{CallState, CallerId};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::live::asterisk::loopback_address;
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};
use reqwest::Method;
use serde_json::{Value, json};

use super::api::{self, Api};
use super::recording::loud;
use super::world::{World, assert_no_violations, contains, ms, until};

const CALLS: usize = 50;
const READERS: usize = 50;
/// The number of recordings that are finished before the first call, so that there is something to read from
/// the start.
const OLD: usize = 5;

/// The audio of these recordings.
static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| wav::stereo(&pattern(10_000, 200), &pattern(10_000, 201)));

fn old(n: usize) -> String {
    format!("20251020_14302{n}_1.{n}")
}

/// Writes a finished recording with ten seconds of audio.
fn record(folder: &Path, n: usize) {
    let id = old(n);
    let write = |suffix: &str, bytes: &[u8]| {
        std::fs::write(folder.join(format!("{id}{suffix}")), bytes).expect("a file");
    };
    write("_audio.wav", &SOUND);
    write("_summary.txt", b"Resumen\n");
    let conversation = json!({
        "call_id": id[16..], "start_time": "2025-10-20T14:30:25.123456", "end_time": "2025-10-20T14:35:10.654321",
        "duration_seconds": 10.0, "conversation": [], "total_messages": 0, "audio_chunks_count": 0,
    });
    write("_conversation.json", conversation.to_string().as_bytes());
}

/// A reader who reads finished recordings again and again.
struct Reader {
    api: Api,
    /// Whether the index has answered. Before that it may still be opening.
    index_is_open: bool,
    /// The number of recordings that this reader has read completely.
    read: Arc<AtomicUsize>,
}

impl Reader {
    /// The answer to a request. None: the index is still being opened.
    async fn get(&mut self, path: &str, range: Option<&str>) -> Option<api::Answer> {
        let answer = self.api.ask(Method::GET, path, range).await;
        if answer.status == 503 && !self.index_is_open {
            assert!(answer.retry_after.is_some(), "{path}: when to come back");
            return None;
        }
        let expected = if range.is_some() { 206 } else { 200 };
        assert_eq!(answer.status, expected, "{path}: {}", String::from_utf8_lossy(&answer.body));
        Some(answer)
    }

    /// The finished recordings, newest first.
    async fn finished(&mut self) -> Option<Vec<Value>> {
        let list = self.get("/recordings?limit=100", None).await?.json();
        self.index_is_open = true;
        let all = list["recordings"].as_array().expect("a list").clone();
        let ids: HashSet<_> = all.iter().map(|one| one["id"].to_string()).collect();
        assert_eq!(ids.len(), all.len(), "none is there twice: {list}");
        Some(all.into_iter().filter(|one| one["state"] == "finished").collect())
    }

    /// Reads a list and, of one recording in it, the conversation and a part of the audio.
    async fn round(&mut self, n: usize) {
        let Some(finished) = self.finished().await else { return };
        // The list is empty while the index is being built.
        let Some(one) = finished.get(n % finished.len().max(1)) else { return };
        let id = one["id"].as_str().expect("an id");
        let conversation = self.get(&format!("/recordings/{id}/conversation"), None).await;
        let conversation = conversation.expect("the files need no index").json();
        assert_eq!(conversation["call_id"], id[16..]);
        let (first, last) = (n * 1_000 % 20_000, n * 1_000 % 20_000 + 9_999);
        let part = self.get(&format!("/recordings/{id}/audio"), Some(&format!("bytes={first}-{last}"))).await;
        let part = part.expect("the files need no index").body;
        assert_eq!(part.len(), 10_000, "{id}: {first} to {last}");
        assert!((0..OLD).all(|n| old(n) != id) || part == SOUND[first..=last], "{id}: {first} to {last}");
        self.read.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reads until it is enough, on a thread of its own. Readers are normally on other machines, so here they
/// must not compete with the calls.
fn read_all_the_while(url: &str, enough: &AtomicBool, read: &Arc<AtomicUsize>) {
    rustix::process::setpriority_process(None, 19).expect("a lower priority");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let readers = (0..READERS).map(|first| {
        let (api, read) = (Api::at(url.to_owned()), Arc::clone(read));
        let mut reader = Reader { api, index_is_open: false, read };
        async move {
            let mut n = first;
            while !enough.load(Ordering::Relaxed) {
                reader.round(n).await;
                n += 7;
            }
        }
    });
    runtime.block_on(futures_util::future::join_all(readers));
}

/// Both sides heard each other completely: no frame is missing, and none came twice.
fn assert_heard(world: &World, calls: &[CallerId]) {
    for call in calls.iter().copied() {
        let figures = world.asterisk.phone(call, |phone| phone.statistics());
        assert_eq!(
            (figures.lost, figures.duplicates, figures.disordered),
            (0, 0, 0),
            "{call:?}: {figures:?}"
        );
        // The comparison leaves out the pauses of a busy machine, which delay audio but lose none.
        let heard = loud(world.heard(call).into_iter());
        assert!(
            contains(&heard, &pattern(1_000, 1)) && contains(&heard, &pattern(1_500, 2)),
            "{call:?} heard all of both"
        );
    }
    for session in world.openai.sessions() {
        assert_no_violations(&session);
        assert!(contains(&session.appended(), &pattern(1_000, 7)), "the question was heard whole");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_readers_beside_fifty_calls_cost_no_frame_and_get_what_they_ask_for() {
    let world = World::new(Script {
        greeting: Some(Answer::pattern("Hola.", 1_000, 1)),
        answers: vec![Answer::pattern("Sí.", 1_500, 2)],
        ..Script::default()
    });
    (0..OLD).for_each(|n| record(world.recordings.path(), n));
    // The address is used by nobody else, so its port is free.
    let address = format!("{}:5001", loopback_address());
    // A single user may not have this many connections; the users behind a proxy may.
    let settings = [("API_LISTEN", &*address), ("API_TRUSTED_PROXIES", "127.0.0.0/8"), ("MAX_CALLS", "50")];
    let daemon = world.daemon_with(&settings).await;
    until("the API listens", || std::net::TcpStream::connect(&address).is_ok()).await;
    let (enough, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let readers = std::thread::spawn({
        let (url, enough, read) = (format!("http://{address}"), Arc::clone(&enough), Arc::clone(&read));
        move || read_all_the_while(&url, &enough, &read)
    });
    until("everybody reads", || readers.is_finished() || read.load(Ordering::Relaxed) >= READERS).await;
    let before = read.load(Ordering::Relaxed);
    // On a busy machine a short pause is not yet the end of what the assistant says.
    let listen = [
        Step::WaitForSpeech { at_most: ms(20_000) },
        Step::WaitForSilence { quiet: ms(1_000), at_most: ms(20_000) },
    ];
    let steps = [&listen[..], &[Step::Say(pattern(1_000, 7))], &listen[..], &[Step::HangUp]].concat();
    // A telephone exchange never delivers fifty calls in one millisecond.
    let mut apart = tokio::time::interval(ms(20));
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        apart.tick().await;
        calls.push(world.call(steps.clone()));
    }
    until("all calls are over", || {
        calls.iter().all(|call| world.asterisk.outcome(*call).state == CallState::Gone)
    })
    .await;
    let beside = read.load(Ordering::Relaxed) - before;
    for call in &calls {
        world.over(*call).await;
    }
    let recorded = || std::fs::read_dir(world.recordings.path()).expect("the folder").flatten();
    until("the recordings are there", || {
        let names = recorded().map(|file| file.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with("_conversation.json")).count() == CALLS + OLD
    })
    .await;
    enough.store(true, Ordering::Relaxed);
    until("the readers have gone", || readers.is_finished()).await;
    readers.join().expect("no reader minds anything");
    println!("{beside} rounds of three requests beside {CALLS} calls");
    assert!(beside > 0, "there was reading all the while");
    assert_heard(&world, &calls);
    let api = Api::at(format!("http://{address}"));
    let list = api.get("/recordings?limit=100").await.json();
    let all = list["recordings"].as_array().expect("a list");
    assert_eq!(all.iter().filter(|one| one["state"] == "finished").count(), CALLS + OLD, "{list}");
    daemon.stop().await;
}
