//! A small load: fifty calls at once through the real daemon, which is a separate process, and the live fakes
//! in this process; without and with recording, and with recording while a client downloads a recording of 1
//! GB again and again.
//!
//! After that two hundred calls continue, with and without a page that watches all of them, to show what the
//! page costs.
//!
//! `cargo test --release --test load -- --nocapture` prints the figures. Processor and memory are those of
//! the daemon alone. The tests assert only what must hold on any machine: nothing is lost, and nothing is
//! left behind.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use openai_inbound_calls::clock::now;
use openai_inbound_calls::media::wav;
use openai_inbound_calls::sim::asterisk::{CallState, CallerId, IncomingCall, Settings};
use openai_inbound_calls::sim::caller::{Caller, Step};
use openai_inbound_calls::sim::live::asterisk::loopback_address;
use openai_inbound_calls::sim::live::{AsteriskServer, RealtimeServer};
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};

const CALLS: usize = 50;
/// The interval between the starts of calls. A telephone exchange never delivers fifty calls in one
/// millisecond.
const APART: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_mins(1);
/// The recording that is downloaded, and the bytes of its audio.
const LARGE: (&str, u64) = ("20251020_143025_1.1", 1 << 30);

/// A call of about ten seconds: the caller is greeted, asks, gets an answer and hangs up.
fn caller() -> Vec<Step> {
    let listen = [
        Step::WaitForSpeech { at_most: Duration::from_secs(10) },
        Step::WaitForSilence { quiet: Duration::from_millis(300), at_most: Duration::from_secs(20) },
    ];
    [&listen[..], &[Step::Say(pattern(2_000, 7))], &listen[..], &[Step::HangUp]].concat()
}

fn variables(
    asterisk: &AsteriskServer,
    openai: &RealtimeServer,
    recordings: &Path,
    record: &str,
    api: SocketAddr,
) -> Vec<(&'static str, String)> {
    let settings = Settings::default();
    vec![
        ("ASTERISK_HOST", asterisk.address().ip().to_string()),
        ("ASTERISK_PORT", asterisk.address().port().to_string()),
        ("ASTERISK_USERNAME", settings.user),
        ("ASTERISK_PASSWORD", settings.password),
        ("OPENAI_API_KEY", "sk-test".to_owned()),
        ("OPENAI_REALTIME_URL", openai.url()),
        ("LOCAL_IP_ADDRESS", loopback_address().to_string()),
        ("LOG_FILE_PATH", "daemon.log".to_owned()),
        ("RECORDINGS_DIR", recordings.display().to_string()),
        ("RECORD", record.to_owned()),
        ("API_LISTEN", api.to_string()),
        ("MAX_FRAME_LATENESS_MS", "0".to_owned()),
    ]
}

/// The daemon as systemd runs it.
struct Program {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Program {
    fn start(variables: Vec<(&'static str, String)>) -> Self {
        let folder = tempfile::TempDir::new().expect("a folder");
        let child = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"))
            .env_clear()
            .envs(variables)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program");
        Self { child, _folder: folder }
    }

    /// The processor seconds so far (proc(5): user and system time, in hundredths).
    fn processor_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks: Vec<f64> = behind_name.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        // The state is not a number; user and system time are the 11th and 12th number after it.
        ticks.get(10..12).map_or(0.0, |times| times.iter().sum::<f64>() / 100.0)
    }

    /// The memory in kB (proc(5)): `VmRSS` is the current value, `VmHWM` the largest one.
    fn memory_kb(&self, which: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    }

    /// Sends SIGTERM. Returns the exit code.
    fn stop(mut self) -> Option<i32> {
        let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        assert!(kill.expect("a shell").success());
        self.child.wait().expect("our child").code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Normally the program has ended before.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = now() + PATIENCE;
    while !condition() {
        assert!(now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The size of the files in a folder, in MB.
fn megabytes(folder: &Path) -> f64 {
    let files = std::fs::read_dir(folder).expect("the folder").flatten();
    let bytes: u64 = files
        .filter_map(|file| file.metadata().ok())
        .filter(|file| file.is_file())
        .map(|file| file.len())
        .sum();
    bytes as f64 / 1e6
}

/// Writes a finished recording of 1 GB as a sparse file, which takes no space.
fn fabricate(folder: &Path) {
    let (id, bytes) = LARGE;
    let path = |suffix: &str| folder.join(format!("{id}{suffix}"));
    std::fs::write(path("_audio.wav"), wav::header(2, Some(bytes))).expect("the sound");
    let file = OpenOptions::new().write(true).open(path("_audio.wav")).expect("the sound");
    file.set_len(wav::HEADER_BYTES as u64 + bytes).expect("a file with a hole");
    std::fs::write(path("_summary.txt"), "Large.\n").expect("the summary");
    let conversation = format!(
        r#"{{"call_id": "{}", "start_time": "2025-10-20T14:30:25.123456", "conversation": []}}"#,
        &id[16..]
    );
    std::fs::write(path("_conversation.json"), conversation).expect("the conversation");
}

/// A client that downloads that recording again and again, on a thread of its own.
struct Downloader {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Downloader {
    fn start(api: SocketAddr) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&enough);
        let thread = std::thread::spawn(move || {
            // The client is normally on another machine, so here it must not compete with the calls.
            rustix::process::setpriority_process(None, 19).expect("a lower priority");
            let mut bytes = 0;
            while !until.load(Ordering::Relaxed) {
                bytes += download(api, &until);
            }
            bytes
        });
        Self { enough, thread }
    }

    /// Ends the client. Returns the bytes that it received.
    fn stop(self) -> u64 {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().expect("every download goes well")
    }
}

/// One download, to its end or until it is enough. Returns its bytes, including the head.
fn download(api: SocketAddr, enough: &AtomicBool) -> u64 {
    let mut stream = TcpStream::connect(api).expect("the API");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let head =
        format!("GET /recordings/{}/audio HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", LARGE.0);
    stream.write_all(head.as_bytes()).expect("the request is sent");
    let mut buffer = vec![0; 1 << 18];
    let mut bytes = 0;
    while !enough.load(Ordering::Relaxed) {
        let read = stream.read(&mut buffer).expect("the answer goes on");
        assert!(bytes > 0 || buffer[..read].starts_with(b"HTTP/1.1 200 "), "the answer is the recording");
        if read == 0 {
            assert!(bytes > LARGE.1, "all of it came: {bytes}");
            break;
        }
        bytes += read as u64;
    }
    bytes
}

/// A page that watches all live calls, on a thread of its own, and counts the events and their bytes.
struct Page {
    stream: TcpStream,
    thread: JoinHandle<(usize, usize)>,
}

impl Page {
    fn open(api: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(api).expect("the API");
        let head = "GET /calls/live/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("the request is sent");
        let mut reader = stream.try_clone().expect("a second handle");
        let thread = std::thread::spawn(move || {
            let (mut events, mut bytes) = (0, 0);
            let mut buffer = vec![0; 1 << 18];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                bytes += read;
                events += buffer[..read].windows(12).filter(|window| window == b"event: live\n").count();
            }
            (events, bytes)
        });
        Self { stream, thread }
    }

    /// Closes the page. Returns the events that it received, and their bytes.
    fn close(self) -> (usize, usize) {
        self.stream.shutdown(std::net::Shutdown::Both).expect("it is open");
        self.thread.join().expect("no panic")
    }
}

/// How many milliseconds later than the quickest packet of its call each packet came, in ascending order.
fn lateness(asterisk: &AsteriskServer, calls: &[CallerId]) -> Vec<f64> {
    let mut all = Vec::new();
    for call in calls {
        asterisk.phone(*call, |phone| {
            let packets = phone.heard();
            let Some(first) = packets.first() else { return };
            let delay = |n: usize| {
                let media = f64::from(packets[n].timestamp.wrapping_sub(first.timestamp)) / 8.0;
                (packets[n].at - first.at).as_secs_f64() * 1_000.0 - media
            };
            let quickest = (0..packets.len()).map(delay).fold(f64::INFINITY, f64::min);
            all.extend((0..packets.len()).map(|n| delay(n) - quickest));
        });
    }
    all.sort_by(f64::total_cmp);
    all
}

/// The figures of the run as text.
fn figures(asterisk: &AsteriskServer, calls: &[CallerId], processor: f64, disk: f64) -> String {
    let late = lateness(asterisk, calls);
    let at = |part: f64| late.get((late.len() as f64 * part) as usize).copied().unwrap_or_default();
    let minutes: f64 = calls
        .iter()
        .map(|call| asterisk.outcome(*call))
        .filter_map(|outcome| Some((outcome.ended_at? - outcome.answered_at?).as_secs_f64() / 60.0))
        .sum();
    format!(
        "{} calls, {minutes:.1} call-minutes, {} frames to the callers\n\
         processor: {processor:.2} s, {:.3} s per call-minute\n\
         disk: {:.2} MB per call-minute\n\
         frame lateness: p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms",
        calls.len(),
        late.len(),
        processor / minutes,
        disk / minutes,
        at(0.5),
        at(0.99),
        late.last().copied().unwrap_or_default(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_calls_at_once_lose_nothing_and_leave_nothing() {
    const ALL: &str = "audio,transcript,events";
    for (record, is_downloaded) in [("none", false), (ALL, false), (ALL, true)] {
        println!("RECORD={record}{}", if is_downloaded { ", beside the download of 1 GB" } else { "" });
        run(record, is_downloaded).await;
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what the run is for")]
async fn run(record: &str, is_downloaded: bool) {
    let settings = Settings { media_address: loopback_address(), ..Settings::default() };
    let asterisk = AsteriskServer::start(settings).expect("loopback");
    let answers = vec![Answer::pattern("Sí.", 4_000, 2)];
    let openai = RealtimeServer::with_script(Script { answers, ..Script::default() }).expect("loopback");
    let recordings = tempfile::TempDir::new().expect("a folder");
    // The address is used by nobody else, so its port is free.
    let api = SocketAddr::new(loopback_address(), 5_001);
    if is_downloaded {
        fabricate(recordings.path());
    }
    let large = megabytes(recordings.path());
    let program = Program::start(variables(&asterisk, &openai, recordings.path(), record, api));
    until("the daemon listens", || asterisk.listeners() == 1).await;
    until("the API listens", || TcpStream::connect(api).is_ok()).await;
    let downloader = is_downloaded.then(|| Downloader::start(api));

    let (before, empty, began) = (program.processor_seconds(), program.memory_kb("VmRSS"), now());
    let mut calls = Vec::new();
    for n in 0..CALLS {
        calls.push(asterisk.call(IncomingCall::default(), |now| Caller::new(now, caller(), n as u64)));
        tokio::time::sleep(APART).await;
    }
    until("all calls are over", || {
        calls.iter().all(|call| asterisk.outcome(*call).state == CallState::Gone)
            && asterisk.channels().is_empty()
    })
    .await;
    let memory = (program.memory_kb("VmHWM") - empty) / CALLS as f64;
    let (processor, seconds) = (program.processor_seconds() - before, began.elapsed().as_secs_f64());
    if let Some(downloader) = downloader {
        let bytes = downloader.stop() as f64;
        println!("downloaded: {:.0} MB in {seconds:.1} s, {:.0} MB/s", bytes / 1e6, bytes / 1e6 / seconds);
    }
    assert_all_heard(&asterisk, &openai, &calls).await;
    let recorded = || std::fs::read_dir(recordings.path()).expect("the folder").flatten();
    let summaries =
        || recorded().filter(|file| file.file_name().to_string_lossy().ends_with("_summary.txt")).count();
    let expected = if record == "none" { 0 } else { CALLS } + usize::from(is_downloaded);
    until("the recordings are there", || summaries() == expected).await;
    println!("{}", figures(&asterisk, &calls, processor, megabytes(recordings.path()) - large));
    println!("memory: {empty:.0} kB at rest, at most {memory:.0} kB more per call\n");
    assert_eq!(program.stop(), Some(0));
}

/// Callers who talk with the assistant until the call is ended.
fn talker() -> Vec<Step> {
    let listen = [
        Step::WaitForSpeech { at_most: Duration::from_secs(10) },
        Step::WaitForSilence { quiet: Duration::from_millis(300), at_most: Duration::from_secs(20) },
    ];
    let round = [&listen[..], &[Step::Say(pattern(1_000, 7))]].concat();
    std::iter::repeat_n(round, 20).flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_watches_two_hundred_calls() {
    const WATCHED: usize = 200;
    const SPELL: Duration = Duration::from_secs(5);
    let settings = Settings { media_address: loopback_address(), ..Settings::default() };
    let asterisk = AsteriskServer::start(settings).expect("loopback");
    let answers = vec![Answer::pattern("Le cuento lo que sé.", 3_000, 2)];
    let openai = RealtimeServer::with_script(Script { answers, ..Script::default() }).expect("loopback");
    let recordings = tempfile::TempDir::new().expect("a folder");
    let api = SocketAddr::new(loopback_address(), 5_001);
    let mut variables = variables(&asterisk, &openai, recordings.path(), "audio,transcript,events", api);
    variables.push(("MAX_CALLS", (WATCHED + 1).to_string()));
    let program = Program::start(variables);
    until("the daemon listens", || asterisk.listeners() == 1).await;
    until("the API listens", || TcpStream::connect(api).is_ok()).await;
    let mut calls = Vec::new();
    for n in 0..WATCHED {
        calls.push(asterisk.call(IncomingCall::default(), |now| Caller::new(now, talker(), n as u64)));
        tokio::time::sleep(APART).await;
    }
    until("all are served", || {
        calls.iter().all(|call| asterisk.phone(*call, |phone| phone.statistics().loud > 5))
    })
    .await;
    // Both cases alternate, so that other load on the machine affects both.
    let (mut spent, mut events, mut bytes) = ([0.0; 2], 0, 0);
    for _ in 0..3 {
        for watched in [0, 1] {
            let page = (watched == 1).then(|| Page::open(api));
            let before = program.processor_seconds();
            tokio::time::sleep(SPELL).await;
            spent[watched] += program.processor_seconds() - before;
            if let Some((more_events, more_bytes)) = page.map(Page::close) {
                (events, bytes) = (events + more_events, bytes + more_bytes);
            }
        }
    }
    let seconds = 3.0 * SPELL.as_secs_f64();
    let [alone, watched] = spent.map(|spent| 100.0 * spent / seconds);
    println!(
        "{WATCHED} calls, of a core: {alone:.1} % alone, {watched:.1} % with a page that watches them all: {:+.1} %\n\
         {:.1} events and {:.0} kB a second to the page\n",
        watched - alone,
        events as f64 / seconds,
        bytes as f64 / seconds / 1e3,
    );
    assert!(events > 0, "the page is told");
    let others = calls.iter().filter(|call| asterisk.outcome(**call).state == CallState::Gone).count();
    assert_eq!(others, 0, "calls that were lost");
    for call in &calls {
        asterisk.hang_up(*call);
    }
    until("all calls are over", || asterisk.channels().is_empty()).await;
    assert_eq!(program.stop(), Some(0));
}

/// Checks that nothing was lost or came twice on either side, and that nothing is left.
async fn assert_all_heard(asterisk: &AsteriskServer, openai: &RealtimeServer, calls: &[CallerId]) {
    until("all sessions are closed", || openai.sessions().iter().all(|session| session.is_over())).await;
    assert_eq!((asterisk.channels(), asterisk.bridges()), (vec![], vec![]));
    assert_eq!(openai.sessions().len(), CALLS);
    for call in calls.iter().copied() {
        let (figures, heard) = asterisk.phone(call, |phone| {
            (
                phone.statistics(),
                phone.heard().iter().flat_map(|packet| packet.payload.to_vec()).collect::<Vec<u8>>(),
            )
        });
        assert_eq!(
            (figures.lost, figures.duplicates, figures.disordered),
            (0, 0, 0),
            "{call:?}: {figures:?}"
        );
        let whole = |clip: &[u8]| heard.windows(clip.len()).any(|window| window == clip);
        assert!(whole(&pattern(1_500, 1)) && whole(&pattern(4_000, 2)), "{call:?} heard all of both");
    }
    for session in openai.sessions() {
        assert_eq!(session.violations(), Vec::<String>::new());
        let (appended, said) = (session.appended(), pattern(2_000, 7));
        assert!(appended.windows(said.len()).any(|window| *window == *said), "the question was heard whole");
    }
}
