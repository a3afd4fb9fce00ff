//! What the doctor finds in a real Asterisk.

use openai_inbound_calls::sim::realtime::{Script, pattern};

use super::testbed::{Suite, Testbed, loud};
use super::{monologue, speaks};

on_both! {
    12 the_doctor_finds_nothing_and_leaves_nothing(testbed: monologue(1_000, 1)) {
        let (report, code) = testbed.doctor(&[]);
        assert_eq!(bad(&report), Vec::<String>::new(), "{report}");
        let is_of_the_machine = ["warning  disk", "warning  rtp "].iter().any(|line| report.contains(line));
        assert!(code == Some(0) || is_of_the_machine, "{report}");
        for line in ["ok       ari", "ok       asterisk", "ok       modules", "ok       dialplan", "ok       rtp-ports", "  rtp "] {
            assert!(report.contains(line), "no {line}:\n{report}");
        }
        testbed.nothing_is_left();
        testbed.no_application_but_the_daemons();
        // The daemon has lost neither its events nor a port.
        let call = testbed.call("talk", "3241000752", 3.0, vec![speaks(500, 100)]).remove(0);
        assert!(loud(&call.heard()) == *pattern(1_000, 1));
    }

    13 the_doctor_names_what_is_broken(testbed: Script::default()) {
        let finds = |changes: &[(&str, &str)], expected: &[&str]| {
            let (report, code) = testbed.doctor(changes);
            let worst = if expected.iter().any(|line| line.starts_with("failure")) { 2 } else { 1 };
            assert_eq!((bad(&report), code), (expected.iter().map(ToString::to_string).collect(), Some(worst)), "{report}");
        };
        finds(&[("ASTERISK_PASSWORD", "wrong")], &["failure ari"]);
        finds(&[("ASTERISK_APP", "other")], &["failure dialplan"]);
        finds(&[("RTP_PORTS", &testbed.asterisks_ports())], &["warning rtp-ports"]);
        finds(&[("LOCAL_IP_ADDRESS", "192.0.2.1")], &["failure rtp"]);
        for module in ["chan_rtp.so", "res_ari_bridges.so"] {
            testbed.console(&format!("module unload {module}"));
            finds(&[], &["failure modules", "failure rtp"]);
            testbed.console(&format!("module load {module}"));
        }
        testbed.nothing_is_left();
        testbed.no_application_but_the_daemons();
        testbed.kill_asterisk();
        finds(&[], &["failure ari"]);
        testbed.start_asterisk();
    }
}

/// The status and the id of every failed check in the doctor's report. The free disk space and the jitter of
/// RTP depend on the machine; that RTP flows in both directions does not.
fn bad(report: &str) -> Vec<String> {
    let words = report.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let bad = words.filter(|words| match words[..] {
        [_, "warning", "rtp" | "disk", ..] | [_, "failure", "disk", ..] => false,
        [_, "warning" | "failure", ..] => true,
        _ => false,
    });
    bad.map(|words| format!("{} {}", words[1], words[2])).collect()
}
