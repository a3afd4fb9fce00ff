//! Tests a call of the real daemon that is recorded encrypted: with the identity the recording can be read,
//! without it nothing can be found.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use age::secrecy::ExposeSecret as _;
use openai_inbound_calls::sim::asterisk::{CallState, IncomingCall};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};
use reqwest::Method;
use serde_json::Value;

use super::api::Api;
use super::recording::loud;
use super::world::{Program, World, listen, until};

/// The words of the assistant and the caller. They are ASCII, so JSON does not change them.
const WORDS: [&str; 3] = ["Bienvenida a la clinica", "Quiero una cita secreta", "Con mucho gusto"];
/// The number of audio bytes that cannot occur by chance: each byte has seven random bits.
const WINDOW: usize = 16;

/// A key pair, its file, and a folder for exported files.
struct Keys {
    folder: tempfile::TempDir,
    public: String,
}

impl Keys {
    fn new() -> Self {
        let (folder, key) = (tempfile::tempdir().expect("a folder"), age::x25519::Identity::generate());
        std::fs::write(folder.path().join("key.txt"), key.to_string().expose_secret()).expect("the key");
        Self { folder, public: key.to_public().to_string() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("key.txt")
    }
}

/// What the assistant and the caller say: [`WORDS`] with this audio.
fn script() -> Script {
    Script {
        greeting: Some(Answer::pattern(WORDS[0], 1_000, 1)),
        answers: vec![Answer::pattern(WORDS[2], 1_000, 2)],
        transcripts: vec![WORDS[1].to_owned()],
        ..Script::default()
    }
}

/// The two sides of the WAV file.
fn sides() -> [Vec<u8>; 2] {
    [pattern(1_000, 100).to_vec(), [pattern(1_000, 1), pattern(1_000, 2)].concat()]
}

/// Searches the disk for content of the call.
struct Spy {
    texts: Vec<String>,
    windows: HashSet<Vec<u8>>,
    seen: HashSet<PathBuf>,
    /// The files that were read, with their lengths. A file that has not grown need not be read again.
    read: HashSet<(PathBuf, u64)>,
}

impl Spy {
    fn new() -> Self {
        let IncomingCall { number, extension, .. } = IncomingCall::default();
        let sounds = [pattern(1_000, 100), pattern(1_000, 1), pattern(1_000, 2)];
        let windows = sounds.iter().flat_map(|sound| sound.windows(WINDOW).map(ToOwned::to_owned)).collect();
        let texts = WORDS.into_iter().map(ToOwned::to_owned).chain([number, extension]).collect();
        Self { texts, windows, seen: HashSet::new(), read: HashSet::new() }
    }

    /// The content of the call in these bytes: its words, its numbers, or its audio, mono or as one side of
    /// stereo. None: there is none.
    fn found(&self, bytes: &[u8]) -> Option<String> {
        let has = |text: &&String| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        if let Some(text) = self.texts.iter().find(has) {
            return Some(text.clone());
        }
        let side = |side| bytes.iter().skip(side).step_by(2).copied().collect::<Vec<u8>>();
        let heard = |sound: &[u8]| sound.windows(WINDOW).any(|window| self.windows.contains(window));
        (heard(bytes) || heard(&side(0)) || heard(&side(1))).then(|| "its sound".to_owned())
    }

    /// Checks that no file of the folder or its subfolders holds content of the call, except the index and
    /// the call log.
    fn look(&mut self, folder: &Path) {
        // A file may be deleted or renamed at any moment.
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                self.look(&path);
            } else if !name.starts_with("calls")
                && let Ok(bytes) = std::fs::read(&path)
                && self.read.insert((path.clone(), bytes.len() as u64))
            {
                assert_eq!(self.found(&bytes), None, "in {}", path.display());
                self.seen.insert(path);
            }
        }
    }
}

/// Places a call while the spy searches all the time. Returns its finished recording.
async fn recorded(world: &World, program: &Program, spy: &mut Spy) -> (Api, String) {
    let api = Api::of(program).await;
    let question = Step::Say(pattern(1_000, 100));
    let call = world.call([&listen()[..], &[question], &listen()[..], &[Step::HangUp]].concat());
    until("the call is over", || {
        spy.look(world.recordings.path());
        world.asterisk.outcome(call).state == CallState::Gone
    })
    .await;
    let of_running = |path: &PathBuf| path.to_string_lossy().contains(".live/");
    assert!(spy.seen.iter().any(of_running), "the running recording was looked at: {:?}", spy.seen);
    world.over(call).await;
    let recording = api.only("finished").await;
    assert_eq!(recording["encrypted"], true);
    assert_eq!(recording["caller"], IncomingCall::default().number, "the index may know");
    let id = recording["id"].as_str().expect("an id").to_owned();
    (api, id)
}

/// Checks that the audio is that of the call, bit by bit.
fn assert_sound(wav: &[u8]) {
    let side = |side: usize| loud(wav[58..].iter().skip(side).step_by(2).copied());
    assert!([side(0), side(1)] == sides(), "caller left, assistant right");
}

/// Checks that the words are those of the call, in the order in which they were said.
fn assert_words(conversation: &[u8]) {
    let conversation: Value = serde_json::from_slice(conversation).expect("JSON");
    let said = conversation["conversation"].as_array().expect("a list");
    let said: Vec<_> = said.iter().map(|one| one["text"].as_str().expect("what")).collect();
    assert_eq!(said, WORDS);
    assert_eq!(conversation["caller"], IncomingCall::default().number);
}

/// Runs `recordings export` as the holder of the key does: in another folder, with no other variables.
fn export(world: &World, keys: &Keys) -> PathBuf {
    let to = keys.folder.path().join("plain");
    let done = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"))
        .env_clear()
        .env("RECORDINGS_DIR", world.recordings.path())
        .current_dir(keys.folder.path())
        .args(["recordings", "export", "--identity", "key.txt", "--to", "plain"])
        .output()
        .expect("the program");
    assert!(done.status.success(), "{done:?}");
    to
}

/// The plain text that the standard tool makes of a file. None: the tool is not installed, and a line says
/// so. In CI the tool must be installed.
#[expect(clippy::print_stdout, reason = "that something was left out is to be seen")]
fn opened_by_age(keys: &Keys, sealed: &Path) -> Option<Vec<u8>> {
    match Command::new("age").arg("-d").arg("-i").arg(keys.file()).arg(sealed).output() {
        Ok(output) => {
            assert!(output.status.success(), "age: {}", String::from_utf8_lossy(&output.stderr));
            Some(output.stdout)
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "age: {error}");
            println!("skipped: age cannot be run ({error}): apt-get install age");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_identity_nothing_of_a_call_is_readable_and_its_holder_exports_all_of_it() {
    let (world, keys, mut spy) = (World::new(script()), Keys::new(), Spy::new());
    let program = world.program(&[("RECORDINGS_RECIPIENT", &keys.public)]).await;
    let (api, id) = recorded(&world, &program, &mut spy).await;
    for what in ["conversation", "summary", "events", "audio", "audio.bin"] {
        let answer = api.get(&format!("/recordings/{id}/{what}")).await;
        assert_eq!((answer.status, spy.found(&answer.body)), (403, None), "{what}");
    }
    let number = IncomingCall::default().number;
    assert_eq!(api.get(&format!("/recordings?caller={number}")).await.status, 200);

    let plain = export(&world, &keys);
    let read = |suffix: &str| std::fs::read(plain.join(format!("{id}{suffix}"))).expect("the file");
    assert_sound(&read("_audio.wav"));
    assert!(read("_audio.bin") == sides()[1]);
    assert_words(&read("_conversation.json"));
    let summary = String::from_utf8(read("_summary.txt")).expect("text");
    assert!(WORDS.iter().all(|words| summary.contains(words)), "{summary}");

    // This shows that the spy finds what is there.
    for suffix in ["_audio.wav", "_audio.bin", "_conversation.json", "_summary.txt"] {
        assert!(spy.found(&read(suffix)).is_some(), "{suffix}");
    }
    for suffix in ["_audio.wav", "_conversation.json"] {
        let sealed = world.recordings.path().join(format!("{id}{suffix}.age"));
        if let Some(opened) = opened_by_age(&keys, &sealed) {
            assert!(opened == read(suffix), "{suffix}");
        }
    }
    // The access log holds what was requested and exported.
    until("the access log is written", || {
        let log = std::fs::read_to_string(world.recordings.path().join("access.log")).unwrap_or_default();
        log.contains("/recordings?caller=") && log.contains(" EXPORT ")
    })
    .await;
    spy.look(world.recordings.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_identity_the_api_decrypts_and_the_disk_tells_as_little() {
    let (world, keys, mut spy) = (World::new(script()), Keys::new(), Spy::new());
    let file = keys.file();
    let file = file.to_str().expect("a plain path");
    let variables = [("RECORDINGS_RECIPIENT", keys.public.as_str()), ("RECORDINGS_IDENTITY_FILE", file)];
    let program = world.program(&variables).await;
    let (api, id) = recorded(&world, &program, &mut spy).await;
    let path = |what: &str| format!("/recordings/{id}/{what}");

    let conversation = api.get(&path("conversation")).await;
    assert_eq!(conversation.status, 200);
    assert_words(&conversation.body);
    let summary = api.get(&path("summary")).await;
    assert!(summary.status == 200 && WORDS.iter().all(|words| summary.text().contains(words)));
    let sound = api.get(&path("audio")).await;
    assert_eq!(sound.status, 200);
    assert_sound(&sound.body);
    // The ranges lie within a chunk of age, across two chunks, and at the end.
    let length = sound.body.len();
    assert!(length > 66_000, "longer than a piece: {length}");
    for (range, part) in [("0-99", 0..100), ("65000-65999", 65_000..66_000), ("-500", length - 500..length)] {
        let answer = api.ask(Method::GET, &path("audio"), Some(&format!("bytes={range}"))).await;
        assert_eq!(answer.status, 206, "{range}");
        assert!(answer.body == sound.body[part], "{range}");
    }
    let bin = api.get(&path("audio.bin")).await;
    assert!(bin.status == 200 && bin.body == sides()[1]);
    spy.look(world.recordings.path());
    let mut sealed = spy.seen.iter().filter(|path| path.extension().is_some_and(|end| end == "age"));
    assert!(sealed.any(|path| path.ends_with(format!("{id}_audio.wav.age"))), "{:?}", spy.seen);
}
