//! Tests a large download: it is complete, and everything beside it stays on time.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use openai_inbound_calls::clock::now;

use crate::world::{With, World, record};

const ID: &str = "20251020_143025_a";
/// The bytes of the download.
const LARGE: u64 = if cfg!(debug_assertions) { 64 << 20 } else { 1 << 30 };
/// The number of calls whose frames must be on time.
const CALLS: usize = 50;
/// The least number of measured frames of each call: ten seconds. With more frames the latest one is later.
const FRAMES: usize = if cfg!(debug_assertions) { 25 } else { 500 };
const FRAME: Duration = Duration::from_millis(20);

/// The lateness of frames: the median, the 99th and the 99.9th percentile, and the latest one.
#[derive(Debug)]
#[expect(dead_code, reason = "they are printed")]
struct Late {
    half: Duration,
    of_100: Duration,
    of_1000: Duration,
    most: Duration,
}

/// The lateness of the frames of all calls until it is enough. There is one task per call, as in the daemon.
fn lateness(enough: &Arc<AtomicBool>) -> Late {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut late: Vec<Duration> = runtime.block_on(async {
        let mut calls = tokio::task::JoinSet::new();
        for call in 0..CALLS {
            let enough = Arc::clone(enough);
            calls.spawn(async move {
                let mut due: Instant = now() + FRAME * call as u32 / CALLS as u32;
                let mut late = Vec::new();
                while !enough.load(Ordering::Relaxed) || late.len() < FRAMES {
                    due += FRAME;
                    tokio::time::sleep_until(due.into()).await;
                    late.push(now().saturating_duration_since(due));
                }
                late
            });
        }
        calls.join_all().await.concat()
    });
    late.sort_unstable();
    let at = |share: usize| late[late.len() - 1 - late.len() / share];
    Late { half: at(2), of_100: at(100), of_1000: at(1_000), most: at(usize::MAX) }
}

/// Reads the body and discards it. Returns its length.
fn download(world: &World) -> u64 {
    let mut stream = TcpStream::connect(world.address).unwrap();
    let head = format!("GET /recordings/{ID}/audio HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut buffer = vec![0; 1 << 18];
    let mut head = Vec::new();
    let begun = loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the answer ends within its head");
        head.extend_from_slice(&buffer[..read]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break (head.len() - end - 4) as u64;
        }
    };
    assert!(head.starts_with(b"HTTP/1.1 200 "));
    let mut body = begun;
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => return body,
            read => body += read as u64,
        }
    }
}

#[test]
fn frames_beside_a_download() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), ID, "1");
    let wav = OpenOptions::new().write(true).open(folder.path().join(format!("{ID}_audio.wav"))).unwrap();
    wav.set_len(58 + LARGE).unwrap();
    let world = World::over(folder, With::default());
    let enough = Arc::new(AtomicBool::new(true));
    let alone = lateness(&enough);
    enough.store(false, Ordering::Relaxed);
    let (beside, seconds) = std::thread::scope(|scope| {
        let measured = scope.spawn(|| lateness(&enough));
        // The reader is normally on another machine, so here it must not compete with the calls.
        rustix::process::setpriority_process(None, 19).unwrap();
        let began = now();
        let body = download(&world);
        let seconds = began.elapsed().as_secs_f64();
        enough.store(true, Ordering::Relaxed);
        assert_eq!(body, 58 + LARGE);
        (measured.join().unwrap(), seconds)
    });
    println!(
        "{} MB in {seconds:.2} s; frames of {CALLS} calls, alone: {alone:?}; beside it: {beside:?}",
        LARGE >> 20
    );
    // The lateness of frames depends on the machine and is only printed. The pace of downloads keeps frames
    // on time.
    let least = LARGE as f64 / (16 << 20) as f64;
    assert!(seconds > least - 0.1, "{LARGE} bytes in {seconds:.2} s, not in {least} s or more");
}

#[test]
fn a_reader_who_goes_away_or_stalls_leaves_the_others_alone() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), ID, "1");
    let wav = OpenOptions::new().write(true).open(folder.path().join(format!("{ID}_audio.wav"))).unwrap();
    wav.set_len(58 + (64 << 20)).unwrap();
    let world = World::over(folder, With::default());
    let stalled: Vec<TcpStream> = (0..30)
        .map(|_| {
            let mut stream = TcpStream::connect(world.address).unwrap();
            let head = format!("GET /recordings/{ID}/audio HTTP/1.1\r\nHost: localhost\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream.read_exact(&mut [0; 1_000]).unwrap();
            stream
        })
        .collect();
    assert_eq!(world.ids(""), [ID]);
    assert_eq!(download(&world), 58 + (64 << 20));
    drop(stalled);
    // The access log notes each connection when it ends, with the bytes that it got.
    let lines = world.accesses(32);
    assert_eq!(lines.iter().filter(|line| line.contains("/audio 200 ")).count(), 31, "{lines:?}");
}
