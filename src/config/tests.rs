//! The configuration as a whole, from variables and from a file with a process around it.

use crate::call::ledger::Price;
use crate::realtime::dialect::{LanguageKey, ReasoningEffort, TurnDetection};
use std::collections::BTreeMap;
use std::fs;

use super::*;

const REQUIRED: &[(&str, &str)] = &[
    ("ASTERISK_USERNAME", "asterisk"),
    ("ASTERISK_PASSWORD", " pass word "),
    ("ASTERISK_HOST", "localhost"),
    ("ASTERISK_PORT", "8088"),
    ("OPENAI_API_KEY", "sk-test"),
    ("LOCAL_IP_ADDRESS", "192.168.1.100"),
    ("LOG_FILE_PATH", "/tmp/calls.log"),
];

/// The required variables and `others`, of which an empty value stays set.
fn config(others: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    let map: BTreeMap<_, _> = REQUIRED.iter().chain(others).copied().collect();
    Config::from_variables(&|name| map.get(name).map(ToString::to_string))
}

fn realtime(others: &[(&str, &str)]) -> RealtimeConfig {
    config(others).unwrap().realtime
}

/// The lines said about `others`.
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
    assert_eq!(config.log.level, "warn,openai_inbound_calls=info");
    assert_eq!(config.remarks, []);
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
fn a_whole_file_with_the_line_ends_of_old_macs_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    let lines = REQUIRED.iter().map(|(name, value)| format!("{name}='{value}'\r"));
    fs::write(&path, lines.collect::<String>()).unwrap();
    assert_eq!(Config::load_from(&path, &|_| None).unwrap().asterisk.host, "localhost");
}

#[test]
fn quotes_around_a_variable_of_the_process_are_taken_off_and_said() {
    let (_folder, path) = env_file("");
    let process = |name: &str| match name {
        "ASTERISK_PASSWORD" => Some("\"se cret\"".to_owned()),
        "ASTERISK_PORT" => Some("'8089'".to_owned()),
        "ASSISTANT_GREETING" => Some("\"Hola\", dijo \"Ana\"".to_owned()),
        _ => None,
    };
    let config = Config::load_from(&path, &process).unwrap();
    assert_eq!((config.asterisk.password.expose(), config.asterisk.port), ("se cret", 8089));
    assert_eq!(config.realtime.greeting.as_deref(), Some("\"Hola\", dijo \"Ana\""));
    let said: Vec<_> = config
        .remarks
        .iter()
        .filter_map(
            |notice| if let Notice::QuotesTakenOff { variable } = notice { Some(*variable) } else { None },
        )
        .collect();
    assert_eq!(said, ["ASTERISK_PASSWORD", "ASTERISK_PORT"]);
}

#[test]
fn an_empty_text_switches_off_what_can_be_switched_off() {
    let realtime = realtime(&[
        ("ASSISTANT_GREETING", ""),
        ("OPENAI_TRANSCRIPTION_MODEL", ""),
        ("OPENAI_VOICE", ""),
        ("OPENAI_SPEED", ""),
    ]);
    assert_eq!((realtime.greeting, realtime.session.transcription), (None, None));
    assert_eq!(realtime.session.voice, "marin");
    assert_eq!(self::realtime(&[("OPENAI_TRANSCRIPTION_MODEL", "none")]).session.transcription, None);
    let automatic = self::realtime(&[("OPENAI_TRANSCRIPTION_LANGUAGE", "")]).session.transcription.unwrap();
    assert_eq!(automatic.language, None);
}

#[test]
fn a_retired_model_is_replaced_and_said() {
    let old = "gpt-4o-realtime-preview-2024-12-17";
    let at_openai = config(&[("OPENAI_REALTIME_MODEL", old)]).unwrap();
    assert_eq!(at_openai.realtime.model, "gpt-realtime-2.1");
    assert_eq!(
        at_openai.remarks[0].line(Language::Spanish),
        "OpenAI ha retirado el modelo gpt-4o-realtime-preview-2024-12-17: se usa gpt-realtime-2.1. \
         Actualice OPENAI_REALTIME_MODEL en .env"
    );
    let elsewhere =
        config(&[("OPENAI_REALTIME_MODEL", old), ("OPENAI_REALTIME_URL", "wss://10.0.0.5/v1")]).unwrap();
    assert_eq!((elsewhere.realtime.model.as_str(), elsewhere.remarks.len()), (old, 0));
}

#[test]
fn a_model_that_will_end_is_used_and_its_date_said() {
    let config =
        config(&[("OPENAI_REALTIME_MODEL", "gpt-realtime"), ("OPENAI_TRANSCRIPTION_MODEL", "whisper-1")])
            .unwrap();
    assert_eq!(config.realtime.model, "gpt-realtime");
    assert_eq!(config.realtime.session.transcription.unwrap().language_key, LanguageKey::Language);
    let dates: Vec<_> = config
        .remarks
        .iter()
        .filter_map(|notice| if let Notice::ModelShutdown { date, .. } = notice { Some(*date) } else { None })
        .collect();
    assert_eq!(dates, ["2027-01-20", "2027-02-26"]);
}

#[test]
fn a_setting_the_model_would_refuse_is_left_out_and_said() {
    let effort = ("OPENAI_REASONING_EFFORT", "high");
    assert_eq!(realtime(&[effort]).session.reasoning_effort, Some(ReasoningEffort::High));
    let old = config(&[effort, ("OPENAI_REALTIME_MODEL", "gpt-realtime-1.5")]).unwrap();
    assert_eq!(old.realtime.session.reasoning_effort, None);
    assert!(matches!(old.remarks[..], [Notice::SettingIgnored { variable: "OPENAI_REASONING_EFFORT", .. }]));
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
fn the_beta_dialect_brings_its_own_voice_and_is_refused_by_openai() {
    let beta = ("OPENAI_REALTIME_DIALECT", "beta");
    let at_openai = config(&[beta]).unwrap();
    assert_eq!(at_openai.remarks, [Notice::BetaRefused]);
    let elsewhere = config(&[beta, ("OPENAI_REALTIME_URL", "wss://10.0.0.5:8000/v1")]).unwrap();
    assert_eq!(elsewhere.remarks, []);
    assert_eq!(elsewhere.realtime.session.voice, "alloy");
    assert_eq!(elsewhere.realtime.session.transcription.unwrap().language_key, LanguageKey::Language);
    assert_eq!(realtime(&[beta, ("OPENAI_VOICE", "marin")]).session.voice, "marin");
}

#[test]
fn a_voice_that_openai_does_not_have_is_noticed() {
    let voice = |name: &str, url: &str| {
        let config = config(&[("OPENAI_VOICE", name), ("OPENAI_REALTIME_URL", url)]).unwrap();
        let warned = config.remarks.iter().any(|remark| matches!(remark, Notice::VoiceUnknown { .. }));
        (config.realtime.session.voice, warned)
    };
    let openai = "wss://api.openai.com/v1/realtime";
    assert_eq!(voice("Marina", openai), ("Marina".to_owned(), true));
    assert_eq!(voice("Cedar", openai), ("cedar".to_owned(), false));
    assert_eq!(voice("voice_68af2b", openai), ("voice_68af2b".to_owned(), false));
    assert_eq!(
        voice("Marina", "ws://10.0.0.5:8000/v1"),
        ("Marina".to_owned(), false),
        "elsewhere it may exist"
    );
}

#[test]
fn an_address_of_ipv6_gets_its_brackets_where_it_needs_them() {
    for host in ["::1", "[::1]"] {
        let asterisk = config(&[("ASTERISK_HOST", host), ("ASTERISK_SCHEME", "HTTPS")]).unwrap().asterisk;
        assert_eq!(asterisk.host, "::1");
        assert_eq!(asterisk.http_base(), "https://[::1]:8088");
    }
}

#[test]
fn instructions_come_from_the_file_and_must_be_text_of_reasonable_size() {
    let folder = tempfile::tempdir().unwrap();
    let read = |contents: &[u8]| {
        let path = folder.path().join("prompt.txt");
        fs::write(&path, contents).unwrap();
        config(&[("ASSISTANT_INSTRUCTIONS_FILE", path.to_str().unwrap())])
            .map(|config| config.realtime.session.instructions)
    };
    assert_eq!(&*read("\u{feff}Eres Ana.\nSé breve.\n".as_bytes()).unwrap(), "Eres Ana.\nSé breve.");
    for wrong in [&b" \n"[..], b"\xff\xfe", &vec![b'x'; 65 * 1024]] {
        assert!(matches!(
            read(wrong).unwrap_err()[..],
            [Problem::Invalid { variable: "ASSISTANT_INSTRUCTIONS_FILE", .. }]
        ));
    }
    assert!(realtime(&[]).session.instructions.contains("asistente telefónico"));
}

#[test]
fn limits_of_cost_are_in_dollars_and_say_so_if_nobody_knows_what_a_model_costs() {
    let limits = [("MAX_CALL_COST", "0.25"), ("MAX_DAY_COST", "20")];
    let priced = config(&limits).unwrap();
    assert_eq!((priced.calls.limits.cost, priced.calls.max_day_cost), (Some(250_000), Some(20_000_000)));
    assert_eq!(priced.remarks, []);
    let unlimited = config(&[("MAX_CALL_COST", "0.0"), ("OPENAI_REALTIME_MODEL", "mine")]).unwrap();
    assert_eq!((unlimited.calls.limits.cost, unlimited.remarks), (None, vec![]));
    let models = [("OPENAI_REALTIME_MODEL", "mine"), ("OPENAI_TRANSCRIPTION_MODEL", "scribe")];
    let unpriced = config(&[models, limits].concat()).unwrap();
    let lines: Vec<_> = unpriced.remarks.iter().map(|notice| notice.line(Language::English)).collect();
    let line = |model, variable| {
        format!(
            "The price of the model {model} is not known: {variable} does not bound what it spends. Put it into PRICES_FILE"
        )
    };
    let all = [
        line("mine", "MAX_CALL_COST"),
        line("scribe", "MAX_CALL_COST"),
        line("mine", "MAX_DAY_COST"),
        line("scribe", "MAX_DAY_COST"),
    ];
    assert_eq!(lines, all);
    let silent = [("OPENAI_TRANSCRIPTION_MODEL", "none"), ("MAX_CALL_COST", "1")];
    assert_eq!(config(&silent).unwrap().remarks, [], "what is not used needs no price");
}

#[test]
fn a_file_of_prices_replaces_the_built_in_ones_and_is_named_with_line_and_key_if_it_is_faulty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.toml");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        config(&[("PRICES_FILE", path.to_str().unwrap())])
    };
    let prices = read("dated = \"2027-03-01\"\n[minutes]\ngpt-transcribe = 0.01\n").unwrap().realtime.prices;
    assert_eq!((&*prices.dated, prices.conversation), ("2027-03-01", None), "nothing of ours is left");
    assert_eq!(prices.transcription, Some(Price::Minute(10_000)));
    let problems = read("dated = \"2027-03-01\"\n[minutes]\ngpt-transcribe = \"0.01\"\n").unwrap_err();
    let lines: Vec<_> =
        Problem::notices(&problems).iter().map(|notice| notice.line(Language::English)).collect();
    assert!(lines.len() == 1 && lines[0].contains("PRICES_FILE"), "{lines:?}");
    assert!(lines[0].contains("a TOML file with prices (line 3, gpt-transcribe: "), "{lines:?}");
}

/// A `.env` of the required variables with `more` lines.
fn env_file(more: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    let required = REQUIRED.iter().map(|(name, value)| format!("{name}='{value}'\n"));
    fs::write(&path, required.collect::<String>() + more).unwrap();
    (folder, path)
}

#[test]
fn a_variable_of_the_process_wins_over_the_file() {
    let (_folder, path) = env_file("ASTERISK_APP=from-file\nOPENAI_VOICE=cedar\n");
    let process = |name: &str| (name == "ASTERISK_APP").then(|| "from-process".to_owned());
    let config = Config::load_from(&path, &process).unwrap();
    assert_eq!(
        (config.asterisk.app.as_str(), config.realtime.session.voice.as_str()),
        ("from-process", "cedar")
    );
    assert_eq!(config.remarks, [Notice::EnvFileRead { path: path.display().to_string() }]);
}

#[test]
fn a_malformed_line_stops_the_start_unless_the_process_sets_its_variable() {
    let (_folder, path) = env_file("ASSISTANT_GREETING=Buenas tardes\nOPENAI_VOICE=cedar\n");
    let error = Config::load_from(&path, &|_| None).unwrap_err();
    assert!(matches!(
        error.problems[..],
        [Problem::MalformedLine { line: 8, variable: Some("ASSISTANT_GREETING"), .. }]
    ));
    assert_eq!(error.log_path.as_deref(), Some(Path::new("/tmp/calls.log")));
    let process = |name: &str| (name == "ASSISTANT_GREETING").then(|| "Buenas".to_owned());
    assert_eq!(Config::load_from(&path, &process).unwrap().realtime.session.voice, "cedar");
}

#[test]
fn a_failed_start_says_problems_first_then_what_may_explain_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    fs::write(&path, "OPENIA_API_KEY=sk-x\nASTERISK_PASSWORD=a b\nLOG_LANGUAGE=en\n").unwrap();
    let error = Config::load_from(&path, &|_| None).unwrap_err();
    assert_eq!(error.language, Language::English);
    let lines: Vec<_> = error.notices().iter().map(|notice| notice.line(error.language)).collect();
    assert_eq!(
        lines[0],
        "Required environment variables not found: ASTERISK_USERNAME, ASTERISK_HOST, ASTERISK_PORT, OPENAI_API_KEY, \
         LOCAL_IP_ADDRESS, LOG_FILE_PATH"
    );
    assert!(lines[1].starts_with("Line 2 of ") && lines[1].contains("(ASTERISK_PASSWORD)"), "{lines:?}");
    assert!(lines[2].starts_with("Configuration read from "), "{lines:?}");
    assert_eq!(lines[3], "Unknown variable in .env: OPENIA_API_KEY. Did you mean OPENAI_API_KEY?");
}

#[test]
fn every_default_of_the_example_can_be_written_out_without_changing_anything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    let uncommented: String = env_example()
        .lines()
        .map(|line| {
            if line.starts_with("# ") {
                "\n".to_owned()
            } else {
                format!("{}\n", line.trim_start_matches('#'))
            }
        })
        .collect();
    fs::write(&path, &uncommented).unwrap();
    let process =
        |name: &str| REQUIRED.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let mut written = Config::load_from(&path, &process).unwrap();
    written.remarks.clear();
    assert_eq!(written, config(&[]).unwrap());
    assert_eq!(uncommented.lines().filter(|line| !line.is_empty()).count(), VARIABLES.len());
}

/// Another valid value for each variable, and whether a running daemon takes it over.
const OTHERS: &[(&str, &str, bool)] = &[
    ("ASTERISK_USERNAME", "other", false),
    ("ASTERISK_PASSWORD", "other", false),
    ("ASTERISK_HOST", "other", false),
    ("ASTERISK_PORT", "8089", false),
    ("OPENAI_API_KEY", "sk-other", true),
    ("LOCAL_IP_ADDRESS", "192.168.1.101", false),
    ("LOG_FILE_PATH", "/tmp/other.log", false),
    ("ASTERISK_SCHEME", "https", false),
    ("ASTERISK_APP", "other-app", false),
    ("RTP_PORTS", "30000-30100", false),
    ("LOG_LANGUAGE", "en", false),
    ("LOG_LEVEL", "debug", false),
    ("SHUTDOWN_GRACE_SECONDS", "7", true),
    ("UPLINK_FRAMES_PER_APPEND", "2", true),
    ("OPENAI_REALTIME_URL", "ws://other/v1/realtime", true),
    ("OPENAI_REALTIME_MODEL", "gpt-realtime-2.1-mini", true),
    ("OPENAI_REALTIME_DIALECT", "beta", true),
    ("OPENAI_ORGANIZATION", "org_other", true),
    ("OPENAI_PROJECT", "proj_other", true),
    ("OPENAI_VOICE", "cedar", true),
    ("OPENAI_SPEED", "1.1", true),
    ("OPENAI_REASONING_EFFORT", "low", true),
    ("OPENAI_MAX_OUTPUT_TOKENS", "100", true),
    ("ASSISTANT_INSTRUCTIONS_FILE", "README.md", true),
    ("ASSISTANT_GREETING", "Buenas", true),
    ("RECORDING_NOTICE", "Se graba", true),
    ("MAX_CALLS", "3", true),
    ("MAX_CALLS_PER_CALLER_HOUR", "6", true),
    ("MAX_FRAME_LATENESS_MS", "25", true),
    ("MAX_CALL_SECONDS", "60", true),
    ("CALLER_SILENCE_SECONDS", "6", true),
    ("NO_AUDIO_SECONDS", "6", true),
    ("MAX_CALL_TOKENS", "5000", true),
    ("MAX_CALL_COST", "0.5", true),
    ("MAX_DAY_COST", "20", true),
    ("PRICES_FILE", "tests/fixtures/prices.toml", true),
    ("ASSISTANT_MAY_HANG_UP", "false", true),
    ("ASSISTANT_HEARS_KEYS", "false", true),
    ("TRANSFER_DESTINATIONS", "ventas:from-internal,200", true),
    ("APOLOGY_FILE", "none", true),
    ("FALLBACK_CONTEXT", "humans", true),
    ("RECORDINGS_DIR", "other", false),
    ("RECORD", "audio", true),
    ("RECORDING_RETENTION_DAYS", "7", false),
    ("DATABASE_URL", "sqlite:other.db", false),
    ("DATABASE_URL", "mysql://calls:secret@db/calls", false),
    ("COUNTRY_CODE", "57", false),
    ("API_LISTEN", "127.0.0.1:5002", false),
    ("API_TOKEN", "0123456789abcdef", false),
    ("API_GROUP", "asterisk", false),
    ("API_TRUSTED_PROXIES", "10.0.0.1", false),
    ("RTP_SOURCE", "strict", true),
    ("RTP_ADVERTISED_ADDRESS", "192.0.2.1", false),
    ("RTP_MEDIA_ADDRESSES", "172.17.0.0/16, ::1", true),
    ("OPENAI_TRANSCRIPTION_MODEL", "none", true),
    ("OPENAI_TRANSCRIPTION_LANGUAGE", "en", true),
    ("OPENAI_NOISE_REDUCTION", "near_field", true),
    ("OPENAI_VAD", "semantic", true),
    ("OPENAI_VAD_THRESHOLD", "0.6", true),
    ("OPENAI_VAD_PREFIX_PADDING_MS", "200", true),
    ("OPENAI_VAD_SILENCE_MS", "400", true),
    ("OPENAI_VAD_INTERRUPT", "false", true),
];

#[test]
fn a_changed_variable_takes_effect_or_is_named_as_waiting_for_a_restart() {
    let of = |variables: &BTreeMap<&str, &str>| {
        Config::from_variables(&|name| variables.get(name).map(ToString::to_string)).unwrap()
    };
    let before: BTreeMap<_, _> = REQUIRED.iter().copied().collect();
    for (name, other, takes_effect) in OTHERS {
        let mut after = before.clone();
        after.insert(name, other);
        let (old, mut config) = (of(&before), of(&before));
        let waiting = config.reload(of(&after));
        if *takes_effect {
            assert_eq!(waiting, [""; 0], "{name}");
            assert_ne!(config, old, "{name}");
        } else {
            assert_eq!(waiting, [*name]);
            assert_eq!(config, old, "{name}");
        }
    }
    // The keys, and what counts only beside another word, are not here.
    let elsewhere =
        ["RECORDINGS_RECIPIENT", "RECORDINGS_IDENTITY_FILE", "OPENAI_VAD_EAGERNESS", "FALLBACK_EXTEN"];
    let forgotten = VARIABLES
        .iter()
        .map(|row| row.name)
        .filter(|name| !elsewhere.contains(name) && !OTHERS.iter().any(|(known, ..)| known == name));
    assert_eq!(forgotten.collect::<Vec<_>>(), [""; 0], "decide in OTHERS whether a reload changes them");
}

#[test]
fn another_key_for_recordings_waits_for_a_restart() {
    let mut config = config(&[]).unwrap();
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let waiting = config.reload(self::config(&[("RECORDINGS_RECIPIENT", recipient)]).unwrap());
    assert_eq!(waiting, ["RECORDINGS_RECIPIENT"]);
}
