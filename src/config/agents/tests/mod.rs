//! Tests what files of agents may hold, and what is said of their faults.

mod after_call;
mod examples;
mod hints;
mod mcp;
mod tools;

use std::collections::HashMap;
use std::fs;

use chrono::NaiveDateTime;

use super::*;
use crate::agents::{Asked, Why};
use crate::config::{Config, Problem};
use crate::operator::Language;
use crate::units::MicroUsd;

/// A folder with these files. Each name has its ending.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The configuration with these files and variables, or what is said of it in this language, without the path of the
/// folder.
fn load(files: &[(&str, &str)], others: &[(&str, &str)], language: Language) -> Result<Config, Vec<String>> {
    let folder = folder(files);
    let path = folder.path().display().to_string();
    let mut map: HashMap<&str, &str> = HashMap::from([
        ("ASTERISK_USERNAME", "x"),
        ("ASTERISK_PASSWORD", "x"),
        ("ASTERISK_HOST", "localhost"),
        ("ASTERISK_PORT", "8088"),
        ("OPENAI_API_KEY", "x"),
        ("LOG_FILE_PATH", "/x"),
        ("LOCAL_IP_ADDRESS", "192.168.1.100"),
        ("TRANSFER_DESTINATIONS", "recepcion:internal,200,1;ventas:internal,201,1"),
        ("AGENTS_DIR", &path),
    ]);
    map.extend(others.iter().copied());
    Config::from_variables(&|name| map.get(name).map(ToString::to_string)).map_err(|problems| {
        let said = Problem::notices(&problems).into_iter().map(|notice| notice.line(language));
        said.map(|line| line.replace(&format!("{path}/"), "")).collect()
    })
}

fn faults(files: &[(&str, &str)]) -> Vec<String> {
    load(files, &[], Language::English).expect_err("faults")
}

const CITAS: &str = r#"
numbers = ["3241000752", "_32410007[6-9]X"]
hours = ["Mon-Fri 08:00-18:00", "Sat 09:00-13:00"]
holidays = ["2026-12-25", "01-01"]
closed = "recado"
greeting = "Clínica Sol, buenos días."
voice = "cedar"
speed = 1.25
vad_interrupt = false
transfers = ["Recepcion"]
max_call_cost = 0.80
max_day_cost = 40
record = ["audio", "events"]
retention_days = 30
"#;

#[test]
fn what_a_file_does_not_say_is_as_in_the_environment() {
    let files = [("citas.toml", CITAS), ("citas.md", "\u{feff}Eres la recepción.\n"), ("recado.toml", "")];
    let others = [("ASSISTANT_GREETING", "Hola"), ("MAX_CALL_SECONDS", "600"), ("MAX_DAY_COST", "100")];
    let config = load(&files, &others, Language::English).unwrap();
    let [citas, recado] = &config.agents.all[..] else { panic!("two agents") };
    assert_eq!(
        (&*citas.name, citas.realtime.greeting.as_deref()),
        ("citas", Some("Clínica Sol, buenos días."))
    );
    assert_eq!(&*citas.realtime.session.instructions, "Eres la recepción.");
    assert_eq!((citas.realtime.session.voice.as_str(), citas.realtime.session.speed), ("cedar", 1.25));
    assert!(!citas.realtime.session.interrupt);
    let transfers: Vec<_> = citas.calls.destinations.iter().map(|known| known.name.as_str()).collect();
    assert_eq!(transfers, ["recepcion"]);
    assert_eq!(
        (citas.calls.limits.cost, citas.max_day_cost),
        (Some(MicroUsd::from_usd(0.8)), Some(MicroUsd::from_usd(40.0)))
    );
    assert!(citas.keep.audio && citas.keep.events && !citas.keep.transcript);
    assert_eq!(citas.retention_days, Some(30));
    assert_eq!(config.agents.retention(), Some([("citas".into(), 30)].into()));

    assert_eq!(recado.realtime, config.realtime);
    assert_eq!((recado.calls.clone(), recado.keep), (config.calls, config.recordings.keep));
    assert_eq!(
        (recado.max_day_cost, recado.retention_days),
        (None, None),
        "these are for all agents together"
    );
    assert_eq!(recado.calls.limits.duration.map(|time| time.as_secs()), Some(600));
}

#[test]
fn the_roster_chooses_by_number_and_time() {
    let files = [("citas.toml", CITAS), ("recado.toml", "")];
    let roster = load(&files, &[], Language::English).unwrap().agents.roster;
    let chosen = |at: &str| {
        let at: NaiveDateTime = at.parse().unwrap();
        let choice =
            roster.choose(&Asked { argument: None, variable: None, dialled: "3241000765", at }).unwrap();
        assert!(matches!(choice.why, Why::Number(_)));
        choice.name.to_string()
    };
    assert_eq!(
        (chosen("2026-11-28T12:59:00"), chosen("2026-11-28T13:00:00")),
        ("citas".into(), "recado".into())
    );
    assert_eq!(chosen("2026-12-25T10:00:00"), "recado");
}

#[test]
fn another_text_is_another_version() {
    let version = |settings: &str, instructions: &str| {
        let files = [("a.toml", settings), ("a.md", instructions)];
        load(&files, &[], Language::English).unwrap().agents.all[0].version.clone()
    };
    assert_eq!(version("", "Hola"), version("", "Hola"));
    assert_ne!(version("", "Hola"), version("", "Hola."));
    assert_ne!(version("", "Hola"), version(" ", "Hola"));
    assert_eq!(version("", "Hola").len(), 12);
}

#[test]
fn all_faults_of_all_files_are_found_with_their_places() {
    let wrong = "\nvoic = \"marin\"\nspeed = \"rápido\"\nmax_call_cost = 0.001\nvad = [1]\nnumbers = [\"30 0\", 300]\n\
        hours = [\"Mon 8-18\"]\nholidays = [\"25/12\"]\nclosed = \"nadie\"\ntransfers = [\"gerencia\"]\nOPENAI_VOICE = \"x\"\n";
    let files = [
        ("a.toml", wrong),
        ("b.toml", "numbers = [\"300\", \"_3XX\"]"),
        ("c.toml", "numbers = [\"_30[0-9]\", \"_300\"]\nhours = [\"Mon 08:00-18:00\"]"),
        ("d.toml", "greeting = \"Hola\"\nvoice = \nspeed = 9\n"),
        ("e.toml", ""),
        ("e.md", "  \n"),
        ("mi agente.toml", ""),
        ("f.toml", "hours = [\"Mon 08:00-18:00\"]\nclosed = \"c\"\n"),
        ("g.toml", "closed = \"default\"\n"),
        (".oculto.toml", "x"),
        ("a.toml~", "x"),
    ];
    let said = faults(&files);
    let expected = [
        "a.toml:2:1: unknown key: voic. Did you mean voice?",
        "a.toml:3:9: invalid value in speed: \"rápido\". Allowed: a number from 0.25 to 1.5, with a decimal point",
        "a.toml:4:17: invalid value in max_call_cost: \"0.001\". Allowed: 0, or a number from 0.01 to 1000, with a decimal point",
        "a.toml:5:7: vad must be a text in quotes, a number, true or false",
        "a.toml:6:12: \"30 0\" is neither a number nor a pattern of Asterisk: it may have only visible ASCII characters",
        "a.toml:6:20: numbers must be a list of texts, such as [\"a\", \"b\"]",
        "a.toml:7:10: \"Mon 8-18\" are no hours such as \"Mon-Fri 08:00-13:00,14:00-18:00\"",
        "a.toml:8:13: \"25/12\" is no day such as \"2026-12-25\", or \"12-25\" for every year",
        "a.toml:9:10: closed names an agent that does not exist: nadie",
        "a.toml:10:14: transfers names a destination that is not in TRANSFER_DESTINATIONS: gerencia. There are: recepcion, ventas",
        "a.toml:11:1: unknown key: OPENAI_VOICE. Did you mean voice?",
        "c.toml:1:24: the number _300 already belongs to the agent b (300)",
        "c.toml:2:9: closed is missing: the agent that takes the calls outside these hours and on holidays",
        "d.toml:2:9: it is not valid TOML (string values must be quoted, expected literal string)",
        "e.md: invalid value in instructions: \"e.md\". Allowed: a text file that is not empty, of at most 64 KiB",
        "f.toml:2:10: closed names c, which has hours itself: nobody would take the calls there",
        "g.toml:1:10: closed has no effect without hours or holidays",
        "mi agente.toml: the name of the file, without .toml, is the agent's: 1 to 64 ASCII letters and digits, - and _",
    ];
    for (said, expected) in said.iter().zip(expected) {
        assert_eq!(said, &format!("File of an agent {expected}"));
    }
    assert_eq!(said.len(), expected.len(), "{said:#?}");
}

#[test]
fn a_fault_of_the_environment_is_said_once() {
    let said =
        load(&[("a.toml", ""), ("b.toml", "")], &[("OPENAI_SPEED", "9")], Language::English).unwrap_err();
    assert_eq!(said.len(), 1, "{said:?}");
    let config = load(
        &[("a.toml", ""), ("b.toml", "voice = \"nadie\"")],
        &[("OPENAI_VOICE", "otra")],
        Language::English,
    );
    let said: Vec<_> = config.unwrap().remarks.iter().map(|remark| remark.line(Language::English)).collect();
    assert_eq!(said.iter().filter(|line| line.contains("otra")).count(), 1, "{said:?}");
    assert!(said.iter().any(|line| line.contains("b.toml:1:9: voice=nadie")), "{said:?}");
}

#[test]
fn what_lies_beside_the_agents_does_not_count() {
    let files =
        [("a.toml", ""), ("README.md", "Notas"), ("viejo.md", "Eres…"), ("notas.txt", "x"), (".b.toml", "?")];
    let config = load(&files, &[], Language::Spanish).unwrap();
    assert_eq!(config.agents.names().map(|name| &**name).collect::<Vec<_>>(), ["a"]);
    let said: Vec<_> = config.remarks.iter().map(|remark| remark.line(Language::Spanish)).collect();
    assert_eq!(said.iter().filter(|line| line.contains(".md")).count(), 1, "{said:?}");
    assert!(said.iter().any(|line| line.contains("viejo.md no se usa")), "{said:?}");
}

#[test]
fn a_folder_that_cannot_be_read_is_a_problem_and_no_folder_is_none() {
    let said = load(&[], &[("AGENTS_DIR", "/nowhere/agents")], Language::English).unwrap_err();
    assert!(
        said[0].starts_with("Invalid value in AGENTS_DIR: \"/nowhere/agents\". Allowed: a folder"),
        "{said:?}"
    );
    let said = load(&[], &[("AGENTS_DIR", "nowhere/agents")], Language::English).unwrap_err();
    let full = std::env::current_dir().unwrap().join("nowhere/agents");
    assert!(said[0].contains(&format!("({}: No such file", full.display())), "{said:?}");
    assert_eq!(load(&[], &[("AGENTS_DIR", "")], Language::English).unwrap().agents, Agents::default());
    assert_eq!(load(&[], &[], Language::English).unwrap().agents, Agents::default(), "an empty folder");
}
