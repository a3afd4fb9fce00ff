//! Tests what a running daemon takes over when it reads its configuration again.

use super::*;

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
    ("OPENAI_TRUNCATION", "retention_ratio", true),
    ("OPENAI_PARALLEL_TOOL_CALLS", "false", true),
    ("ASSISTANT_INSTRUCTIONS_FILE", "README.md", true),
    ("AGENTS_DIR", "examples/agents/office-hours", true),
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
    ("SIP_SHARED_HEADER", "X-Trunk-Key: 0123456789", false),
    ("SIP_REFER_HOST", "pbx", false),
    ("OPENAI_SIP_ENDPOINT", "other", true),
    ("WEBHOOK_LISTEN", "127.0.0.1:5003", false),
    ("WEBHOOK_PATH", "/other", false),
    ("OPENAI_CALLS_URL", "http://other/calls", false),
    ("RTP_SOURCE", "strict", true),
    ("RTP_ADVERTISED_ADDRESS", "192.0.2.1", false),
    ("RTP_MEDIA_ADDRESSES", "172.17.0.0/16, ::1", true),
    ("OPENAI_TRANSCRIPTION_MODEL", "none", true),
    ("OPENAI_TRANSCRIPTION_LANGUAGE", "en", true),
    ("OPENAI_TRANSCRIPTION_KEYWORDS", "Sol, ortodoncia", true),
    ("OPENAI_TRANSCRIPTION_PROMPT", "Una clínica.", true),
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
    // The keys, and variables that have an effect only together with another one, are tested elsewhere.
    let elsewhere = [
        // The doctor alone reads these, and it reads them anew.
        "WEBHOOK_PUBLIC_URL",
        "OPENAI_SIP_HOST",
        "OPENAI_WEBHOOK_SECRET",
        "CALL_ROUTE",
        "RECORDINGS_RECIPIENT",
        "RECORDINGS_IDENTITY_FILE",
        "OPENAI_TRUNCATION_RETENTION_RATIO",
        "OPENAI_TRUNCATION_POST_INSTRUCTIONS_TOKENS",
        "OPENAI_VAD_EAGERNESS",
        "FALLBACK_EXTEN",
    ];
    let forgotten = VARIABLES
        .iter()
        .map(|row| row.name)
        .filter(|name| !elsewhere.contains(name) && !OTHERS.iter().any(|(known, ..)| known == name));
    assert_eq!(forgotten.collect::<Vec<_>>(), [""; 0], "decide in OTHERS whether a reload changes them");
}

#[test]
fn another_secret_of_the_webhook_waits_for_a_restart() {
    let with = |secret| {
        config(&[("OPENAI_WEBHOOK_SECRET", secret), ("SIP_SHARED_HEADER", "X-Trunk-Key: 0123456789")])
            .unwrap()
    };
    let mut config = with("0123456789abcdef01234567");
    assert!(config.sip.is_on());
    assert_eq!(config.reload(with("fedcba987654321001234567")), ["OPENAI_WEBHOOK_SECRET"]);
}

#[test]
fn the_route_changes_at_once_where_the_webhook_listens_and_not_before() {
    let listening = [("OPENAI_WEBHOOK_SECRET", "0123456789abcdef01234567"), ("SIP_SHARED_HEADER", "none")];
    let sip = [("CALL_ROUTE", "sip"), ("OPENAI_SIP_ENDPOINT", "openai"), ("OPENAI_PROJECT", "proj_1")];
    let wanted = || config(&[&listening[..], &sip].concat()).unwrap();
    assert_eq!(wanted().realtime.dial.as_deref(), Some("PJSIP/proj_1@openai"));
    let mut with_webhook = config(&listening).unwrap();
    assert_eq!(with_webhook.reload(wanted()), [""; 0]);
    assert_eq!(with_webhook.realtime.dial, wanted().realtime.dial);
    let mut without = config(&[]).unwrap();
    assert_eq!(without.reload(wanted()), ["OPENAI_WEBHOOK_SECRET", "SIP_SHARED_HEADER"]);
    assert_eq!(without.realtime.dial, None);
}

#[test]
fn another_key_for_recordings_waits_for_a_restart() {
    let mut config = config(&[]).unwrap();
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let waiting = config.reload(self::config(&[("RECORDINGS_RECIPIENT", recipient)]).unwrap());
    assert_eq!(waiting, ["RECORDINGS_RECIPIENT"]);
}
