//! Tests the session with the model: its settings, its words, and the limits of its cost.

use super::*;
use crate::call::ledger::Price;
use crate::units::MicroUsd;

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
         Actualice OPENAI_REALTIME_MODEL"
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
fn the_words_to_expect_go_to_a_model_that_takes_them_and_are_left_out_and_said_for_others() {
    let words = [
        ("OPENAI_TRANSCRIPTION_KEYWORDS", " Sol,ortodoncia , ,Dra. Peña"),
        ("OPENAI_TRANSCRIPTION_PROMPT", "Una clínica dental."),
    ];
    let transcription = realtime(&words).session.transcription.unwrap();
    assert_eq!(transcription.keywords, ["Sol", "ortodoncia", "Dra. Peña"]);
    assert_eq!(transcription.prompt.as_deref(), Some("Una clínica dental."));
    for (more, ignored) in [
        (("OPENAI_TRANSCRIPTION_MODEL", "gpt-realtime-whisper"), &[words[0].0, words[1].0][..]),
        (("OPENAI_TRANSCRIPTION_MODEL", "my-whisper"), &[words[0].0]),
        (("OPENAI_REALTIME_DIALECT", "beta"), &[words[0].0]),
    ] {
        let url = ("OPENAI_REALTIME_URL", "wss://10.0.0.5/v1");
        let config = config(&[words[0], words[1], url, more]).unwrap();
        let transcription = config.realtime.session.transcription.unwrap();
        assert_eq!(transcription.keywords, [""; 0], "{more:?}");
        assert_eq!(transcription.prompt.is_none(), ignored.len() == 2, "{more:?}");
        let said = config.remarks.iter().filter_map(|remark| match remark {
            Notice::SettingIgnored { variable, .. } => Some(*variable),
            _ => None,
        });
        assert_eq!(said.collect::<Vec<_>>(), ignored, "{more:?}");
    }
}

#[test]
fn words_to_expect_and_what_is_remembered_have_bounds() {
    let words = |count: usize, chars: usize| vec!["ñ".repeat(chars); count].join(",");
    let tokens = |tokens: u32| tokens.to_string();
    for (variable, good, bad) in [
        ("OPENAI_TRANSCRIPTION_KEYWORDS", words(100, 100), words(101, 1)),
        ("OPENAI_TRANSCRIPTION_KEYWORDS", words(1, 100), words(1, 101)),
        ("OPENAI_TRANSCRIPTION_PROMPT", words(1, 1_000), words(1, 1_001)),
        ("OPENAI_TRUNCATION_POST_INSTRUCTIONS_TOKENS", tokens(128_000), tokens(128_001)),
        ("OPENAI_TRUNCATION_RETENTION_RATIO", "1".to_owned(), "1.1".to_owned()),
    ] {
        assert!(config(&[(variable, good.as_str())]).is_ok(), "{variable}");
        let problems = config(&[(variable, bad.as_str())]).err().unwrap_or_default();
        let is_named =
            |problem: &Problem| matches!(problem, Problem::Invalid { variable: of, .. } if *of == variable);
        assert!(problems.len() == 1 && problems.iter().all(is_named), "{variable}: {problems:?}");
    }
}

#[test]
fn what_is_forgotten_and_whether_tools_run_at_once_may_be_left_to_the_server() {
    let session = realtime(&[("OPENAI_TRUNCATION_RETENTION_RATIO", "0.5")]).session;
    assert_eq!((session.truncation, session.parallel_tool_calls), (None, None));
    let ratio = ("OPENAI_TRUNCATION", "retention_ratio");
    let of = |variables: &[(&str, &str)]| realtime(variables).session.truncation;
    let retains = |ratio, post_instructions| Some(Truncation::RetentionRatio { ratio, post_instructions });
    assert_eq!(of(&[ratio]), retains(0.8, None));
    let more = [ratio, ("OPENAI_TRUNCATION_RETENTION_RATIO", "0.6")];
    let limit = ("OPENAI_TRUNCATION_POST_INSTRUCTIONS_TOKENS", "8000");
    assert_eq!(of(&[more[0], more[1], limit]), retains(0.6, Some(8_000)));
    assert_eq!(of(&[("OPENAI_TRUNCATION", "disabled"), limit]), Some(Truncation::Disabled));
    let parallel = ("OPENAI_PARALLEL_TOOL_CALLS", "false");
    assert_eq!(realtime(&[parallel]).session.parallel_tool_calls, Some(false));
    let old = config(&[parallel, ("OPENAI_REALTIME_MODEL", "gpt-realtime-1.5")]).unwrap();
    assert_eq!(old.realtime.session.parallel_tool_calls, None);
    assert!(matches!(
        old.remarks[..],
        [Notice::SettingIgnored { variable: "OPENAI_PARALLEL_TOOL_CALLS", .. }]
    ));
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
    assert_eq!(
        (priced.calls.limits.cost, priced.calls.max_day_cost),
        (Some(MicroUsd::from_usd(0.25)), Some(MicroUsd::from_usd(20.0)))
    );
    assert_eq!(priced.remarks, []);
    let unlimited = config(&[("MAX_CALL_COST", "0.0"), ("OPENAI_REALTIME_MODEL", "mine")]).unwrap();
    assert_eq!((unlimited.calls.limits.cost, unlimited.remarks), (None, vec![]));
    let models = [("OPENAI_REALTIME_MODEL", "mine"), ("OPENAI_TRANSCRIPTION_MODEL", "scribe")];
    let unpriced = config(&[models, limits].concat()).unwrap();
    let lines: Vec<_> = unpriced.remarks.iter().map(|notice| notice.line(Language::English)).collect();
    let line = |model, variable| {
        format!(
            "The price of the model {model} is not known: {variable} does not limit what it spends. Add it to PRICES_FILE"
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
    assert_eq!(prices.transcription, Some(Price::Minute(MicroUsd::new(10_000))));
    let problems = read("dated = \"2027-03-01\"\n[minutes]\ngpt-transcribe = \"0.01\"\n").unwrap_err();
    let lines: Vec<_> =
        Problem::notices(&problems).iter().map(|notice| notice.line(Language::English)).collect();
    assert!(lines.len() == 1 && lines[0].contains("PRICES_FILE"), "{lines:?}");
    assert!(lines[0].contains("a TOML file with prices (line 3, gpt-transcribe: "), "{lines:?}");
}
