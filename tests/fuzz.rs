//! Runs every fuzz target on its corpus and on inputs derived from the corpus: a few in every run, and as
//! many as the time allows with `FUZZ_SECONDS` (`tests/run fuzz --minutes N`).
//!
//! The inputs are random changes of the corpus and do not depend on what the code does with them. This needs
//! only the project's toolchain and no instrumented build of all crates, which takes longer than the minute
//! in question. `cargo fuzz`, which does follow the code, runs the same bodies on the same corpus
//! (`tests/fuzz/Cargo.toml`).
//!
//! A seed determines a whole run: `FUZZ_SEED` repeats a run, and `FUZZ_TARGET` runs a single target. An input
//! that fails is written to `target/fuzz/`. Such a file belongs in the corpus once the fault is corrected.

#[path = "fuzz/bodies.rs"]
mod bodies;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bodies::{TARGETS, Target};
use openai_inbound_calls::clock;

/// The number of derived inputs per target in an ordinary run. A larger value finds more and takes longer; a
/// smaller value does the opposite.
const A_FEW: u32 = 150;
/// The largest derived input in bytes. Longer inputs only take longer.
const MOST_BYTES: usize = 4_096;
/// The largest number of changes to one input.
const MOST_CHANGES: u64 = 8;
/// The bytes that have a meaning in the formats that are read.
const MARKS: &[u8] = b"\0\t\n\r \"'$%&*+,-./0123456789:;<=>?@[\\]_`{|}~\x7f\x80\xc3\xe2\xff";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

/// Every file of a target's corpus, in the order of their names. There must be at least one.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = folder().join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("no corpus in {}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    assert!(!paths.is_empty(), "no corpus in {}", folder.display());
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a readable file")).collect()
}

/// SplitMix64: each seed gives another run, and the same seed gives the same run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which must not be 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A position in the bytes, their end included.
    fn place(&mut self, bytes: &[u8]) -> usize {
        self.below(bytes.len() + 1)
    }

    /// A piece of the bytes.
    fn piece<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (one, other) = (self.place(bytes), self.place(bytes));
        &bytes[one.min(other)..one.max(other)]
    }

    /// An input like those of the corpus.
    fn input(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.next() % MOST_CHANGES {
            self.change(&mut bytes, corpus);
        }
        bytes.truncate(MOST_BYTES);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.place(bytes);
        match self.below(8) {
            0 => bytes.insert(at, MARKS[self.below(MARKS.len())]),
            1 => bytes.insert(at, self.next() as u8),
            2 | 3 => {
                let byte =
                    if self.below(2) == 0 { self.next() as u8 } else { MARKS[self.below(MARKS.len())] };
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            4 => {
                let end = (at + self.below(16)).min(bytes.len());
                bytes.drain(at..end);
            }
            // Inserts a piece of another input, or of this one again.
            5 | 6 => {
                let other = &corpus[self.below(corpus.len())];
                let piece = self.piece(other).to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes.truncate(at),
        }
    }
}

/// Runs one input. A panic is reported with the input, which is saved.
fn survive((name, body): Target, bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| body(bytes))).is_err() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
        std::fs::create_dir_all(&folder).expect("a folder");
        let sum = bytes.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        let path = folder.join(format!("{name}-{sum:016x}"));
        std::fs::write(&path, bytes).expect("it can be kept");
        panic!("{name} does not survive {}: {:?}", path.display(), String::from_utf8_lossy(bytes));
    }
}

/// A text from the environment.
fn text_setting(name: &str) -> Option<String> {
    std::env::var_os(name).map(|text| text.into_string().expect("text"))
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    let text = text_setting(name)?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text}")))
}

/// The share of one target.
enum Share {
    /// This many inputs.
    Inputs(u32),
    /// As many inputs as the time until then allows.
    Until(Instant),
}

impl Share {
    fn is_used_up(&self, made: u32) -> bool {
        match self {
            Self::Inputs(count) => made >= *count,
            Self::Until(end) => clock::now() >= *end,
        }
    }
}

/// Runs the corpus and then derived inputs. Returns the number of inputs.
fn explore(target: Target, seed: u64, share: &Share) -> u32 {
    let corpus = corpus(target.0);
    for bytes in &corpus {
        survive(target, bytes);
    }
    let mut chance =
        Chance(target.0.bytes().fold(seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into())));
    let mut made = 0;
    while !share.is_used_up(made) {
        survive(target, &chance.input(&corpus));
        made += 1;
    }
    made
}

#[test]
fn every_target_survives_its_corpus_and_what_is_made_of_it() {
    let seed = setting("FUZZ_SEED").unwrap_or(20_251_020);
    let seconds = setting("FUZZ_SECONDS");
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(TARGETS.len());
    let only = text_setting("FUZZ_TARGET");
    let is_wanted = |(name, _): &Target| only.as_ref().is_none_or(|only| only == name);
    let wanted: Vec<_> = TARGETS.into_iter().filter(is_wanted).collect();
    let count = wanted.len() as u32;
    assert!(count > 0, "no target is called {only:?}");
    let left = Mutex::new(wanted);
    let next = || left.lock().expect("nobody panics with it").pop();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(target) = next() {
                    // The targets share the time, and this many run at once.
                    let share = seconds.map_or(Share::Inputs(A_FEW), |seconds| {
                        let each = Duration::from_secs(seconds) * threads.min(count as usize) as u32 / count;
                        Share::Until(clock::now() + each)
                    });
                    let made = explore(target, seed, &share);
                    println!("{}: {made} inputs (seed {seed})", target.0);
                }
                bodies::http::end();
            });
        }
    });
}

#[test]
fn every_target_has_a_corpus_and_a_binary_of_its_name() {
    let names = |path: &str, cut: &str| -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(path);
        let entries = std::fs::read_dir(folder).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
        let mut names: Vec<_> = names.map(|name| name.trim_end_matches(cut).to_owned()).collect();
        names.sort();
        names
    };
    let mut targets: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    targets.sort();
    assert_eq!(names("corpus", ""), targets);
    assert_eq!(names("fuzz_targets", ".rs"), targets);
    let manifest = std::fs::read_to_string(folder().with_file_name("Cargo.toml")).expect("the manifest");
    for name in targets {
        assert!(
            manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"")),
            "{name}"
        );
    }
}

#[test]
fn every_line_of_the_corpus_is_an_event_or_is_meant_not_to_be() {
    for bytes in corpus("realtime_event") {
        let text = String::from_utf8(bytes).expect("text");
        let read = openai_inbound_calls::realtime::server::parse(&text);
        assert_eq!(read.is_ok(), !text.contains("malformed"), "{text}: {read:?}");
    }
}
