//! Tests the sources of variables: `.env`, and the process, which has precedence.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

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

/// Makes a `.env` with the required variables and the lines in `more`.
fn env_file(more: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    let required = REQUIRED.iter().map(|(name, value)| format!("{name}='{value}'\n"));
    fs::write(&path, required.collect::<String>() + more).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
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
