//! Tests what the variables may hold and what is reported about them. `file` tests where they come from, `session`
//! the session with the model, and `reload` what a running daemon takes over.

mod file;
mod reload;
mod session;

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::realtime::dialect::{LanguageKey, ReasoningEffort, Truncation, TurnDetection};

const REQUIRED: &[(&str, &str)] = &[
    ("ASTERISK_USERNAME", "asterisk"),
    ("ASTERISK_PASSWORD", " pass word "),
    ("ASTERISK_HOST", "localhost"),
    ("ASTERISK_PORT", "8088"),
    ("OPENAI_API_KEY", "sk-test"),
    ("LOCAL_IP_ADDRESS", "192.168.1.100"),
    ("LOG_FILE_PATH", "/tmp/calls.log"),
];

/// Makes the configuration from the required variables and `others`. An empty value in `others` counts as set.
fn config(others: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    let map: BTreeMap<_, _> = REQUIRED.iter().chain(others).copied().collect();
    Config::from_variables(&|name| map.get(name).map(ToString::to_string))
}

/// Longer than any word or prompt may be.
const TOO_LONG: &str = match std::str::from_utf8(&[b'x'; 1_001]) {
    Ok(text) => text,
    Err(_) => "",
};

fn realtime(others: &[(&str, &str)]) -> RealtimeConfig {
    config(others).unwrap().realtime
}

/// The lines that report problems of `others`.
fn complaints(others: &[(&str, &str)]) -> Vec<String> {
    let problems = config(others).unwrap_err();
    Problem::notices(&problems).iter().map(|notice| notice.line(Language::Spanish)).collect()
}

#[test]
fn the_required_variables_suffice_and_the_rest_has_its_documented_default() {
    let config = config(&[]).unwrap();
    assert_eq!(config.asterisk.websocket_base(), "ws://localhost:8088");
    assert_eq!(config.asterisk.password.expose(), " pass word ");
    assert_eq!(config.asterisk.app, "openai-app");
    assert_eq!(config.media.ports, 10000..=20000);
    assert_eq!(config.realtime.session_url(), "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1");
    assert_eq!(config.realtime.session.voice, "marin");
    assert_eq!(
        config.realtime.greeting.as_deref(),
        Some("Hola, gracias por llamar. ¿En qué puedo ayudarle?")
    );
    assert_eq!(config.realtime.recording_notice, None);
    let transcription = config.realtime.session.transcription.unwrap();
    assert_eq!(
        (transcription.model.as_str(), transcription.language.as_deref()),
        ("gpt-transcribe", Some("es"))
    );
    assert_eq!(transcription.language_key, LanguageKey::Languages);
    assert_eq!(
        config.realtime.session.turn_detection,
        TurnDetection::Server { threshold: 0.5, prefix_padding_ms: 300, silence_ms: 500 }
    );
    assert_eq!(config.realtime.session.max_output_tokens, None);
    assert_eq!(
        (config.realtime.session.noise_reduction, config.realtime.session.reasoning_effort),
        (None, None)
    );
    assert_eq!((config.uplink_frames_per_append, config.shutdown_grace), (1, Duration::from_secs(20)));
    assert_eq!(config.log.level, "warn,openai_inbound_calls=info,rmcp=off");
    assert_eq!(config.remarks, []);
}

#[test]
fn more_calls_than_ports_are_pointed_out_with_both_numbers() {
    let said = |ports, calls| {
        let remarks = config(&[("RTP_PORTS", ports), ("MAX_CALLS", calls)]).unwrap().remarks;
        remarks.iter().map(|notice| notice.line(Language::English)).collect::<Vec<_>>()
    };
    let line = "MAX_CALLS=5 allows more calls than the 2 for which RTP_PORTS=10000-10003 has even ports: \
        widen RTP_PORTS or lower MAX_CALLS";
    assert_eq!(said("10000-10003", "5"), [line]);
    assert_eq!(said("10000-10003", "2"), [""; 0]);
    assert_eq!(said("10000-10003", "0"), [""; 0]);
    assert_eq!(said("10001-10002", "2").len(), 1, "one even port");
}

#[test]
fn all_missing_variables_are_named_in_one_line_in_the_documented_order() {
    let problems = Config::from_variables(&|name| (name == "ASTERISK_HOST").then(String::new)).unwrap_err();
    let lines: Vec<_> =
        Problem::notices(&problems).iter().map(|notice| notice.line(Language::Spanish)).collect();
    assert_eq!(
        lines,
        [
            "Variables de ambiente requeridas no encontradas: ASTERISK_USERNAME, ASTERISK_PASSWORD, ASTERISK_HOST, \
          ASTERISK_PORT, OPENAI_API_KEY, LOCAL_IP_ADDRESS, LOG_FILE_PATH"
        ]
    );
}

#[test]
fn every_malformed_value_is_named_with_what_was_found_and_what_is_allowed() {
    let lines = complaints(&[
        ("ASTERISK_PORT", "80880"),
        ("RTP_PORTS", "10001-10001"),
        ("OPENAI_VAD", "silencio"),
        ("OPENAI_SPEED", "0,9"),
    ]);
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines.contains(
        &"Valor no válido en ASTERISK_PORT: «80880». Se admite: un número entero de 1 a 65535".to_owned()
    ));
    assert!(
        lines.contains(&"Valor no válido en OPENAI_VAD: «silencio». Se admite: server, semantic".to_owned())
    );
}

#[test]
fn each_variable_refuses_what_it_must() {
    for (name, wrong) in [
        ("ASTERISK_USERNAME", "a:b"),
        ("ASTERISK_PASSWORD", "a\nb"),
        ("ASTERISK_HOST", "http://pbx"),
        ("ASTERISK_HOST", "[pbx]"),
        ("ASTERISK_PORT", "0"),
        ("ASTERISK_APP", "a,b"),
        ("ASTERISK_SCHEME", "ws"),
        ("OPENAI_API_KEY", "sk test"),
        ("LOCAL_IP_ADDRESS", "0.0.0.0"),
        ("LOCAL_IP_ADDRESS", "::"),
        ("LOCAL_IP_ADDRESS", "224.0.0.1"),
        ("LOCAL_IP_ADDRESS", "pbx"),
        ("LOG_FILE_PATH", "/var/\u{fffd}"),
        ("LOG_LANGUAGE", "fr"),
        ("LOG_LEVEL", "verbose"),
        ("RTP_PORTS", "80-90"),
        ("RTP_PORTS", "20000-10000"),
        ("RTP_PORTS", "10000"),
        ("OPENAI_REALTIME_URL", "api.openai.com"),
        ("OPENAI_REALTIME_MODEL", "gpt realtime"),
        ("OPENAI_REALTIME_DIALECT", "alpha"),
        ("OPENAI_PROJECT", "proyecto ñ"),
        ("OPENAI_SPEED", "NaN"),
        ("OPENAI_SPEED", "2"),
        ("OPENAI_REASONING_EFFORT", "huge"),
        ("OPENAI_MAX_OUTPUT_TOKENS", "0"),
        ("OPENAI_MAX_OUTPUT_TOKENS", "4097"),
        ("OPENAI_TRANSCRIPTION_MODEL", "two words"),
        ("OPENAI_TRANSCRIPTION_LANGUAGE", "Spanish"),
        ("OPENAI_TRANSCRIPTION_KEYWORDS", TOO_LONG),
        ("OPENAI_TRANSCRIPTION_PROMPT", TOO_LONG),
        ("OPENAI_TRUNCATION", "ratio"),
        ("OPENAI_TRUNCATION_RETENTION_RATIO", "1.1"),
        ("OPENAI_TRUNCATION_POST_INSTRUCTIONS_TOKENS", "0"),
        ("OPENAI_PARALLEL_TOOL_CALLS", "yes"),
        ("OPENAI_NOISE_REDUCTION", "far"),
        ("OPENAI_VAD_THRESHOLD", "1.1"),
        ("OPENAI_VAD_EAGERNESS", "eager"),
        ("OPENAI_VAD_INTERRUPT", "1"),
        ("UPLINK_FRAMES_PER_APPEND", "6"),
        ("SHUTDOWN_GRACE_SECONDS", "-1"),
        ("ASSISTANT_INSTRUCTIONS_FILE", "/nowhere/prompt.txt"),
        ("MAX_CALL_COST", "0.001"),
        ("MAX_CALL_COST", "0,5"),
        ("MAX_CALL_COST", "-1"),
        ("MAX_DAY_COST", "nan"),
        ("MAX_DAY_COST", "inf"),
        ("PRICES_FILE", "/nowhere/prices.toml"),
        ("PRICES_FILE", "README.md"),
    ] {
        let problems = config(&[(name, wrong)]).unwrap_err();
        assert!(
            matches!(&problems[..], [Problem::Invalid { variable, .. }] if *variable == name),
            "{name}={wrong:?}: {problems:?}"
        );
    }
}

#[test]
fn without_a_word_about_strangers_no_calls_are_taken_by_sip() {
    let secret = ("OPENAI_WEBHOOK_SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let lines = complaints(&[secret]);
    assert!(lines.len() == 1 && lines[0].contains("SIP_SHARED_HEADER"), "{lines:?}");
    let open = config(&[secret, ("SIP_SHARED_HEADER", "none")]).unwrap();
    assert_eq!(open.remarks, [Notice::TrunkOpen]);
    let header = ("SIP_SHARED_HEADER", "X-Trunk-Key: hunter2hunter2");
    let config = config(&[secret, header]).unwrap();
    assert!(config.sip.is_on() && config.remarks.is_empty());
    let hidden: Vec<_> = config.secrets().iter().map(|secret| secret.expose().to_owned()).collect();
    assert!(hidden.contains(&"hunter2hunter2".to_owned()) && hidden.contains(&secret.1.to_owned()));
    assert!(!format!("{config:?}").contains("hunter2"));
    for (name, wrong) in [
        ("OPENAI_WEBHOOK_SECRET", "whsec_hunter2"),
        ("SIP_SHARED_HEADER", "hunter2"),
        ("SIP_REFER_HOST", "sip:pbx@x"),
        ("OPENAI_SIP_ENDPOINT", "open ai"),
        ("CALL_ROUTE", "rtp"),
        ("CALL_ROUTE", "sip"),
        ("WEBHOOK_LISTEN", "5002"),
        ("WEBHOOK_PATH", "webhook"),
        ("WEBHOOK_PUBLIC_URL", "pbx.example/webhook"),
        ("OPENAI_SIP_HOST", "sip:sip.api.openai.com"),
        ("OPENAI_SIP_HOST", "sip.api.openai.com:0"),
        ("OPENAI_CALLS_URL", "wss://x/y"),
    ] {
        let lines = complaints(&[(name, wrong)]);
        assert!(lines.len() == 1 && lines[0].contains(name) && !lines[0].contains("hunter2"), "{lines:?}");
    }
    let lines = complaints(&[("CALL_ROUTE", "sip"), ("OPENAI_SIP_ENDPOINT", "openai"), secret]);
    assert!(lines.len() == 1 && lines[0].contains("OPENAI_PROJECT"), "{lines:?}");
    assert!(!lines[0].contains("OPENAI_WEBHOOK_SECRET") && !lines[0].contains("ENDPOINT"), "{lines:?}");
}

#[test]
fn secrets_are_never_shown() {
    let secrets = [("OPENAI_API_KEY", "hunter2 hunter2"), ("ASTERISK_PASSWORD", "hunter2\n")];
    let url = [("OPENAI_REALTIME_URL", "wss://me:hunter2@host/v1")];
    for said in [complaints(&secrets), complaints(&url)] {
        assert!(!said.is_empty() && said.iter().all(|line| !line.contains("hunter2")), "{said:?}");
    }
    let shown = format!(
        "{:?}",
        config(&[("ASTERISK_PASSWORD", "hunter2"), ("OPENAI_API_KEY", "sk-hunter2")]).unwrap()
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    let config = config(&[("ASTERISK_USERNAME", "ana"), ("ASTERISK_PASSWORD", "hunter2")]).unwrap();
    let hidden: Vec<_> = config.secrets().iter().map(|secret| secret.expose().to_owned()).collect();
    assert!(hidden.contains(&"YW5hOmh1bnRlcjI".to_owned()), "as it travels: {hidden:?}");
}

#[test]
fn a_secret_in_the_wrong_variable_is_not_shown() {
    for (name, value) in [
        ("ASTERISK_HOST", "user:hunter2@127.0.0.1"),
        ("ASTERISK_USERNAME", "asterisk:hunter2"),
        ("ASTERISK_PORT", "hunter2"),
        ("ASTERISK_PORT", "pass word"),
        ("LOCAL_IP_ADDRESS", "127.0.0.1\rASTERISK_PASSWORD=hunter2"),
        ("OPENAI_REALTIME_MODEL", "sk-proj-hunter2hunter2hunter2"),
        ("OPENAI_ORGANIZATION", "sk-proj-hunter2hunter2hunter2"),
        ("ASSISTANT_GREETING", "Hola sk-proj-hunter2hunter2hunter2"),
        ("LOG_FILE_PATH", "sk-proj-hunter2hunter2hunter2"),
        ("RECORDINGS_RECIPIENT", "AGE-SECRET-KEY-1HUNTER2"),
        ("API_LISTEN", "reader:hunter2"),
    ] {
        let lines = complaints(&[(name, value)]);
        assert_eq!(lines.len(), 1, "{name}: {lines:?}");
        let shown = lines[0].to_lowercase();
        assert!(lines[0].contains(name) && lines[0].contains("(valor oculto)"), "{name}: {lines:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("pass word"), "{name}: {lines:?}");
    }
}

#[test]
fn a_home_folder_is_not_taken_for_a_folder_named_by_a_tilde() {
    for name in [
        "LOG_FILE_PATH",
        "RECORDINGS_DIR",
        "ASSISTANT_INSTRUCTIONS_FILE",
        "APOLOGY_FILE",
        "PRICES_FILE",
        "RECORDINGS_IDENTITY_FILE",
        "DATABASE_URL",
    ] {
        let value = if name == "DATABASE_URL" { "sqlite:~/calls.db" } else { "~/calls" };
        let lines = complaints(&[(name, value)]);
        assert!(lines.len() == 1 && lines[0].contains(name), "{name}: {lines:?}");
        assert!(name == "DATABASE_URL" || lines[0].contains("«~»"), "{name}: {lines:?}");
    }
    let process = |name: &str| (name == "LOG_FILE_PATH").then(|| "~/calls.log".to_owned());
    let error = Config::load_from(Path::new("/nowhere/.env"), &process).unwrap_err();
    assert_eq!(error.log_path, None, "nor when the failed start is to be said in it");
}

#[test]
fn what_leaves_this_machine_without_encryption_is_said() {
    let said = |others: &[(&'static str, &'static str)]| {
        let remarks = config(others).unwrap().remarks;
        remarks
            .into_iter()
            .map(|remark| match remark {
                Notice::PlainText { variable, .. } => variable,
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let (none, https) = (Vec::<&str>::new(), ("ASTERISK_SCHEME", "https"));
    assert_eq!(said(&[("ASTERISK_HOST", "pbx.example")]), ["ASTERISK_HOST"]);
    assert_eq!(said(&[("ASTERISK_HOST", "pbx.example"), https]), none);
    assert_eq!(said(&[("ASTERISK_HOST", "192.168.1.100")]), none, "our own address");
    assert_eq!(said(&[("OPENAI_REALTIME_URL", "http://10.0.0.5:8000/v1")]), ["OPENAI_REALTIME_URL"]);
    assert_eq!(said(&[("OPENAI_REALTIME_URL", "ws://[::1]:8000/v1")]), none);
    assert_eq!(said(&[("DATABASE_URL", "mysql://u:p@db:3306/calls")]), ["DATABASE_URL"]);
    assert_eq!(said(&[("DATABASE_URL", "mysql://u:p@db/calls?ssl-mode=PREFERRED")]), ["DATABASE_URL"]);
    assert_eq!(said(&[("DATABASE_URL", "mysql://u:p@db/calls?ssl-mode=REQUIRED")]), none);
    assert_eq!(said(&[("DATABASE_URL", "mysql://u:p@127.0.0.1/calls")]), none);
}

#[test]
fn an_address_of_ipv6_gets_its_brackets_where_it_needs_them() {
    for host in ["::1", "[::1]"] {
        let asterisk = config(&[("ASTERISK_HOST", host), ("ASTERISK_SCHEME", "HTTPS")]).unwrap().asterisk;
        assert_eq!(asterisk.host, "::1");
        assert_eq!(asterisk.http_base(), "https://[::1]:8088");
    }
}
