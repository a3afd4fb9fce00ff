//! `bench`: that it measures at all. How well is what it is there to tell.

use std::process::Command;

use serde_json::Value;

#[test]
fn a_short_run_tells_of_both_programs_and_loses_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"))
        .args([
            "bench",
            "--calls",
            "4",
            "--seconds",
            "6",
            "--set",
            "UPLINK_FRAMES_PER_APPEND=3",
            "--floor",
            "--json",
        ])
        .env_clear()
        .output()
        .expect("the program");
    let told = String::from_utf8_lossy(&output.stdout);
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    for program in ["daemon", "floor"] {
        let of = |name: &str| figures[program][name].clone();
        assert_eq!((of("calls"), of("served")), (4.into(), 4.into()), "{told}");
        for side in ["from_callers", "to_callers"] {
            let faults = of(side);
            assert!(["lost", "doubled", "disordered"].iter().all(|fault| faults[*fault] == 0), "{told}");
        }
        for timed in ["lateness_ms", "uplink_ms", "downlink_ms", "barge_in_ms", "set_up_ms"] {
            assert!(of(timed)["count"].as_u64() > Some(0), "{timed}: {told}");
        }
        assert_eq!(of("left"), Value::Array(vec![]), "{told}");
    }
    assert_eq!(figures["daemon"]["violations"], Value::Array(vec![]), "{told}");
}

#[test]
fn callers_beyond_the_limit_are_handed_back() {
    let output = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"))
        .args(["bench", "--calls", "5", "--seconds", "1", "--set", "MAX_CALLS=3", "--json"])
        .env_clear()
        .output()
        .expect("the program");
    let told = String::from_utf8_lossy(&output.stdout);
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(figures["daemon"]["served"], 3, "{told}");
    assert_eq!(figures["daemon"]["handed_back_ms"]["count"], 2, "{told}");
}
