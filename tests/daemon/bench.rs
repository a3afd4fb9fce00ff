//! Tests that `bench` measures. The quality of the figures is not tested here.

use std::process::Command;

use serde_json::Value;

/// What the command measured, what it reported on stderr, and its exit code.
#[expect(clippy::print_stdout, reason = "shown when the test fails")]
fn bench(arguments: &[&str]) -> (Value, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"))
        .args(["bench", "--json"])
        .args(arguments)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH"))
        .output()
        .expect("the program");
    let figures = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    println!("{figures:#}");
    (figures, String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code())
}

fn lost(of: &Value) -> Vec<u64> {
    let faults =
        ["from_callers", "to_callers"].map(|side| ["lost", "doubled", "disordered"].map(|of| (side, of)));
    faults.iter().flatten().map(|(side, fault)| of[side][fault].as_u64().expect("a number")).collect()
}

#[test]
fn a_short_run_tells_of_both_programs_and_loses_nothing() {
    let arguments = ["--calls", "4", "--seconds", "6", "--set", "UPLINK_FRAMES_PER_APPEND=3", "--floor"];
    let (figures, ..) = bench(&arguments);
    for program in ["daemon", "floor"] {
        let of = &figures[program];
        assert_eq!((of["calls"].as_u64(), of["served"].as_u64()), (Some(4), Some(4)), "{program}");
        assert_eq!(lost(of), [0; 6], "{program}");
        for timed in ["lateness_ms", "uplink_ms", "downlink_ms", "barge_in_ms", "set_up_ms"] {
            assert!(of[timed]["count"].as_u64() > Some(0), "{program} {timed}");
        }
        assert_eq!(of["left"], Value::Array(vec![]), "{program}");
    }
    // On a busy machine the pace may be wrong.
    let violations = figures["daemon"]["violations"].as_array().expect("a list");
    assert!(violations.iter().all(|words| words.to_string().contains("of real time")), "{violations:?}");

    // A run is not worse than one that used very much, and worse than one that used nothing.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("before.json");
    for (before, is_worse) in [("1e9", false), ("1e-9", true)] {
        let mut earlier = figures.clone();
        // For a single call in one second the kernel may count no processor time.
        earlier["daemon"]["cpu_s_per_call_minute"] = 1e9.into();
        earlier["daemon"]["kb_per_call"] = serde_json::from_str(before).expect("a number");
        std::fs::write(&file, earlier.to_string()).expect("a file");
        let file = file.to_str().expect("text");
        let (_, said, code) = bench(&["--calls", "1", "--seconds", "1", "--floor", "--check", file]);
        assert_eq!(said.contains("memory per call / floor"), is_worse, "{said}");
        assert!(code == Some(1) || !is_worse);
    }
}

#[test]
fn nothing_is_lost_by_tls() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("skipped: there is no openssl (tests/run packages installs it)");
        return;
    }
    let (figures, ..) = bench(&["--calls", "2", "--seconds", "2", "--tls"]);
    assert_eq!((figures["daemon"]["served"].as_u64(), lost(&figures["daemon"])), (Some(2), vec![0; 6]));
}

#[test]
fn another_program_can_take_the_daemons_place() {
    let daemon = env!("CARGO_BIN_EXE_openai-inbound-calls");
    let (figures, ..) = bench(&["--calls", "2", "--seconds", "1", "--connect", daemon]);
    assert_eq!((figures["daemon"]["served"].as_u64(), lost(&figures["daemon"])), (Some(2), vec![0; 6]));
}

#[test]
fn callers_beyond_the_limit_are_handed_back() {
    let (figures, ..) = bench(&["--calls", "5", "--seconds", "1", "--set", "MAX_CALLS=3"]);
    assert_eq!(figures["daemon"]["served"], 3);
    assert_eq!(figures["daemon"]["handed_back_ms"]["count"], 2);
}
