//! Holds both READMEs to the program: every variable with its default and meaning, every promised log line
//! verbatim, every end reason.
//!
//! `BLESS=1 cargo test --test readme` writes the tables of variables anew.

use std::fmt::Write as _;
use std::path::Path;

use openai_inbound_calls::config::{VARIABLES, Variable};
use openai_inbound_calls::operator::{EndReason, Language, Notice};

const LANGUAGES: [(&str, Language); 2] =
    [("README.md", Language::English), ("README.es.md", Language::Spanish)];

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).expect("the README is there")
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn table(language: Language) -> String {
    let head = match language {
        Language::English => "| variable | default | what it is |",
        Language::Spanish => "| variable | por defecto | qué es |",
    };
    VARIABLES.iter().fold(format!("{head}\n|---|---|---|\n"), |mut table, variable| {
        writeln!(table, "{}", row(variable, language)).expect("writing to a String cannot fail");
        table
    })
}

fn row(variable: &Variable, language: Language) -> String {
    let (meaning, needed) = match language {
        Language::English => (variable.meaning_en, "**required**"),
        Language::Spanish => (variable.meaning_es, "**requerida**"),
    };
    let default = match variable.default {
        _ if variable.required => needed.to_owned(),
        "" => "–".to_owned(),
        default => format!("`{default}`"),
    };
    format!("| `{}` | {default} | {} |", variable.name, meaning.replace('|', "\\|"))
}

#[test]
fn the_table_of_variables_is_the_programs() {
    for (name, language) in LANGUAGES {
        let text = read(name);
        let (before, rest) = text.split_once("<!-- variables -->\n").expect("the marker");
        let (found, after) = rest.split_once("<!-- end -->").expect("the marker");
        let wanted = table(language);
        if std::env::var_os("BLESS").is_some() {
            let text = format!("{before}<!-- variables -->\n{wanted}<!-- end -->{after}");
            std::fs::write(path(name), text).expect("the README can be written");
        } else {
            assert_eq!(found, wanted, "{name}: run BLESS=1 cargo test --test readme");
        }
    }
}

/// The lines the operators of the original system grep for.
fn promised() -> Vec<String> {
    [
        Notice::AriConnected,
        Notice::CallReceived { channel: "PJSIP/…".into() },
        Notice::RtpBound { address: ([192, 168, 1, 100], 15234).into() },
        Notice::SessionConnected,
        Notice::SessionConfigured,
        Notice::CodecDetected { codec: "ulaw".into() },
        Notice::AriLost,
        Notice::EnvironmentIncomplete { missing: vec!["…"] },
    ]
    .iter()
    .map(|notice| notice.line(Language::Spanish))
    .collect()
}

#[test]
fn the_log_lines_are_the_programs() {
    for (name, _) in LANGUAGES {
        let text = read(name);
        let (_, rest) = text.split_once("<!-- lines -->\n```\n").expect("the marker");
        let (found, _) = rest.split_once("```").expect("the end of the block");
        assert_eq!(found.lines().collect::<Vec<_>>(), promised(), "{name}");
    }
}

#[test]
fn every_reason_a_caller_is_handed_back_for_is_named() {
    let never = [
        EndReason::CallerHungUp,
        EndReason::AssistantHungUp,
        EndReason::SupervisorHungUp,
        EndReason::MaxDuration,
        EndReason::CallerSilent,
        EndReason::TakenOver,
        EndReason::Recovered,
    ];
    for (name, _) in LANGUAGES {
        let text = read(name);
        for reason in EndReason::ALL.iter().filter(|reason| !never.contains(reason)) {
            assert!(text.contains(&format!("`{}`", reason.code())), "{name} does not name {}", reason.code());
        }
    }
}

/// The keys of a conversation that were promised, in the order of the original documents.
const KEYS: [&str; 7] = [
    "call_id",
    "start_time",
    "end_time",
    "duration_seconds",
    "conversation",
    "total_messages",
    "audio_chunks_count",
];

#[test]
fn the_conversation_is_shown_with_the_keys_that_were_promised() {
    for (name, _) in LANGUAGES {
        let text = read(name);
        let (_, rest) = text.split_once("<!-- conversation -->\n```json\n").expect("the marker");
        let (json, _) = rest.split_once("```").expect("the end of the block");
        let shown: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
        let shown = shown.as_object().expect("an object");
        assert!(KEYS.iter().all(|key| shown.contains_key(*key)) && shown.len() == KEYS.len(), "{name}");
        for said in shown["conversation"].as_array().expect("a list") {
            for key in ["timestamp", "speaker", "text", "type"] {
                assert!(said[key].is_string(), "{name}: {key}");
            }
        }
    }
}
