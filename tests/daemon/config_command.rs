//! Tests of `config`: what it shows of each variable, what it hides, and that text from `.env` cannot control
//! a terminal.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use openai_inbound_calls::config::VARIABLES;
use serde_json::Value;
use tempfile::TempDir;

/// The seven lines with which a daemon can start.
const REQUIRED: &str = "ASTERISK_USERNAME=Asterisk
ASTERISK_PASSWORD=geheim99
ASTERISK_HOST=localhost
ASTERISK_PORT=8088
OPENAI_API_KEY=sk-proj-abcdefghijklmnop
LOCAL_IP_ADDRESS=192.168.1.100
LOG_FILE_PATH=/var/log/calls.log
";

/// A folder with a `.env`, and the variables of the process.
struct Case {
    folder: TempDir,
    process: Vec<(&'static str, &'static str)>,
}

impl Case {
    fn new(env: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        std::fs::write(&path, env).expect("a file");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o640)).expect("its mode");
        Self { folder, process: Vec::new() }
    }

    /// The required variables and these lines, which begin at line 8.
    fn with(more: &str) -> Self {
        Self::new(format!("{REQUIRED}{more}").as_bytes())
    }

    fn process(mut self, name: &'static str, value: &'static str) -> Self {
        self.process.push((name, value));
        self
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"));
        let command = command.arg("config").args(arguments).env_clear().envs(self.process.iter().copied());
        command.current_dir(self.folder.path()).output().expect("the program")
    }

    /// The output for people, and the exit code.
    fn text(&self) -> (String, Option<i32>) {
        let output = self.output(&[]);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        (String::from_utf8(output.stdout).expect("text"), output.status.code())
    }

    /// The output for programs.
    fn json(&self) -> Value {
        let output = self.output(&["--json"]);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(output.status.code(), Some(i32::from(report["valid"] != true)), "{report}");
        report
    }

    /// The value and origin of a variable in the output for programs.
    fn row(&self, name: &str) -> Value {
        let report = self.json();
        let rows = report["variables"].as_array().expect("a list");
        rows.iter().find(|row| row["name"] == name).expect("the variable").clone()
    }
}

fn line<'a>(text: &'a str, name: &str) -> &'a str {
    let named = |line: &&str| line.trim_start_matches(['✗', ' ']).starts_with(&format!("{name} = "));
    text.lines().find(named).unwrap_or_else(|| panic!("no line for {name} in\n{text}"))
}

#[test]
fn every_variable_is_shown_with_its_value_its_origin_and_its_meaning_in_both_languages() {
    for (lines, language, from_file, default) in [
        ("", "es", "  ASTERISK_PORT = 8088  [.env, línea 4]", "  ASTERISK_APP = openai-app  [por defecto]"),
        (
            "LOG_LANGUAGE=en\n",
            "en",
            "  ASTERISK_PORT = 8088  [.env, line 4]",
            "  ASTERISK_APP = openai-app  [default]",
        ),
    ] {
        let case = Case::with(lines);
        let (text, code) = case.text();
        assert_eq!(code, Some(0), "{text}");
        let shown: Vec<_> = text.lines().collect();
        for variable in VARIABLES {
            let at = shown.iter().position(|found| *found == line(&text, variable.name)).expect("the line");
            let meaning = if language == "es" { variable.meaning_es } else { variable.meaning_en };
            assert_eq!(shown[at + 1].trim(), meaning, "{}", variable.name);
        }
        assert_eq!((line(&text, "ASTERISK_PORT"), line(&text, "ASTERISK_APP")), (from_file, default));
        let path = case.folder.path().join(".env").display().to_string();
        assert!(shown[0].ends_with(&path), "{text}");
    }
}

#[test]
fn the_value_in_force_is_what_the_daemon_uses() {
    let case = Case::with(
        "OPENAI_REALTIME_MODEL=gpt-4o-realtime-preview-2024-12-17
OPENAI_REALTIME_URL=https://eu.api.openai.com/v1
OPENAI_VOICE=Cedar
OPENAI_SPEED=
ASSISTANT_GREETING=
MAX_CALLS=7
MAX_CALLS=9
",
    )
    .process("RTP_PORTS", "30000-30100")
    .process("RTP_SOURCE", "")
    .process("MAX_CALLS", "'11'");
    let (text, code) = case.text();
    assert_eq!(code, Some(0), "{text}");
    for (name, shown) in [
        ("OPENAI_REALTIME_MODEL", "gpt-realtime-2.1  [.env, línea 8]"),
        ("OPENAI_REALTIME_URL", "wss://eu.api.openai.com/v1/realtime  [.env, línea 9]"),
        ("OPENAI_VOICE", "cedar  [.env, línea 10]"),
        ("OPENAI_SPEED", "1.0  [por defecto; vacía en: .env, línea 11]"),
        ("ASSISTANT_GREETING", "(vacía)  [.env, línea 12]"),
        ("MAX_CALLS", "11  [entorno; la línea 14 de .env no cuenta]"),
        ("RTP_PORTS", "30000-30100  [entorno]"),
        ("RTP_SOURCE", "learn  [por defecto; vacía en: entorno]"),
        ("RECORDINGS_RECIPIENT", "(vacía)  [por defecto]"),
    ] {
        assert_eq!(line(&text, name), format!("  {name} = {shown}"));
    }
    let row = case.row("MAX_CALLS");
    assert_eq!(
        (&row["value"], &row["origin"], &row["line"]),
        (&"11".into(), &"environment".into(), &14.into())
    );
    let report = case.json();
    let warnings = report["warnings"].as_array().expect("a list");
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().any(|line| line.as_str().is_some_and(|line| line.contains("ha retirado"))));
}

#[test]
fn what_is_missing_or_wrong_is_marked_and_named_and_the_exit_code_is_1() {
    let case = Case::new(
        "ASTERISK_USERNAME=Asterisk
ASTERISK_PASSWORD=geheim99
ASTERISK_HOST=localhost
ASTERISK_PORT=80880
OPENAI_API_KEY=
LOG_FILE_PATH=/var/log/calls.log
ASSISTANT_GREETING=Buenas tardes
OPENAI_SPEED='1,5'
API_LISTEN=0.0.0.0:5001
"
        .as_bytes(),
    );
    let (text, code) = case.text();
    assert_eq!(code, Some(1), "{text}");
    for (name, shown) in [
        ("ASTERISK_PORT", "80880  [.env, línea 4]"),
        ("OPENAI_API_KEY", "(falta)  [.env, línea 5]"),
        ("LOCAL_IP_ADDRESS", "(falta)"),
        ("ASSISTANT_GREETING", "(no se entiende)  [.env, línea 7]"),
        ("OPENAI_SPEED", "1,5  [.env, línea 8]"),
        ("API_LISTEN", "0.0.0.0:5001  [.env, línea 9]"),
    ] {
        assert_eq!(line(&text, name), format!("✗ {name} = {shown}"));
    }
    assert!(line(&text, "ASTERISK_HOST").starts_with("  "));
    for fault in [
        "✗ Variables de ambiente requeridas no encontradas: OPENAI_API_KEY, LOCAL_IP_ADDRESS\n",
        "✗ Valor no válido en ASTERISK_PORT: «80880»",
        "✗ Valor no válido en OPENAI_SPEED: «1,5»",
        "✗ La línea 7 de ",
        "✗ API_LISTEN=0.0.0.0:5001 admite conexiones de otros equipos",
    ] {
        assert!(text.contains(fault), "{fault} is not in\n{text}");
    }
    assert!(text.ends_with("La configuración no es válida\n"), "{text}");
    let report = case.json();
    assert_eq!(report["problems"].as_array().map(Vec::len), Some(5), "{report}");
    let row = case.row("LOCAL_IP_ADDRESS");
    assert_eq!((&row["origin"], &row["valid"]), (&Value::Null, &Value::Bool(false)));
}

#[test]
fn an_unreadable_file_is_a_fault() {
    let case = Case::with("");
    std::fs::remove_file(case.folder.path().join(".env")).expect("it is there");
    std::fs::create_dir(case.folder.path().join(".env")).expect("a folder in its place");
    let (text, code) = case.text();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("✗ No se puede leer "), "{text}");
}

#[test]
fn no_part_of_a_key_or_password_is_shown_wherever_it_stands() {
    let secrets = [
        "geheim99",
        "abcdefghijklmnop",
        "tok3n",
        "pa%40ss",
        "pa@ss",
        "azure0123456789abcdef",
        "qwertyuiopasdfghjkl",
    ];
    let case = Case::with(
        "DATABASE_URL=mysql://calls:pa%40ss@db.example:3307/phone?ssl-mode=REQUIRED
API_TOKEN=tok3ntok3ntok3ntok3n,reader/ana:tok3nTOK3Ntok3nTOK3N
OPENAI_REALTIME_URL=wss://x.example/openai/azure0123456789abcdef/realtime?api-key=azure0123456789abcdef&api-version=1
ASSISTANT_GREETING='Hola, la clave es geheim99'
RECORDING_NOTICE='See http://ana:qwerty@host/'
ASTERISK_APP=tok3nTOK3Ntok3nTOK3N
FALLBACK_CONTEXT=pa@ss
RECORDINGS_DIR=/srv/sk-qwertyuiopasdfghjkl/r
",
    );
    let (text, _) = case.text();
    let json = String::from_utf8(case.output(&["--json"]).stdout).expect("text");
    for secret in secrets {
        for shown in [&text, &json] {
            assert!(!shown.to_lowercase().contains(&secret.to_lowercase()), "{secret} is in\n{shown}");
        }
    }
    assert!(!text.contains("qwerty"), "{text}");
    for (name, shown) in [
        ("ASTERISK_PASSWORD", "(valor oculto)"),
        ("OPENAI_API_KEY", "(valor oculto)"),
        ("DATABASE_URL", "mysql://…@db.example:3307/phone"),
        ("API_TOKEN", "full/full-1:…,reader/ana:…"),
        ("OPENAI_REALTIME_URL", "wss://x.example/openai/…/realtime?api-key=…&api-version=1"),
        ("ASSISTANT_GREETING", "(valor oculto)"),
        ("RECORDING_NOTICE", "(valor oculto)"),
        ("ASTERISK_APP", "(valor oculto)"),
        ("RECORDINGS_DIR", "(valor oculto)"),
    ] {
        assert!(line(&text, name).contains(&format!(" {name} = {shown}  [")), "{}", line(&text, name));
    }
    let row = case.row("DATABASE_URL");
    assert_eq!(
        (&row["masked"], row["value"].as_str()),
        (&true.into(), Some("mysql://…@db.example:3307/phone"))
    );
}

#[test]
fn a_secret_that_is_wrong_or_in_the_wrong_variable_is_not_shown() {
    for lines in [
        "DATABASE_URL=postgres://calls:hunter2@db/phone",
        "DATABASE_URL=mysql://calls:hunter2@db",
        "API_TOKEN=raeder:hunter2",
        "API_TOKEN='hunter2 hunter2'",
        "ASTERISK_PASSWORD='hunter2",
        "ASTERISK_HOST=ana:hunter2@pbx",
        "LOG_LEVEL=hunter2",
        "OPENAI_REALTIME_URL=wss://me:hunter2@host/v1",
        "OPENAI_REALTIME_MODEL=sk-proj-hunter2hunter2hunter2",
        "ASSISTANT_GREETING='Hola sk-proj-hunter2hunter2hunter2'",
        "hunter2",
        "export hunter2 hunter2",
        "ASTERISK_PORT=$hunter2 hunter2",
    ] {
        let case = Case::with(&format!("{lines}\n"));
        for arguments in [&[][..], &["--json"]] {
            let output = case.output(arguments);
            let shown = String::from_utf8_lossy(&output.stdout).to_lowercase();
            assert!(!shown.contains("hunter2"), "{lines}: {shown}");
            assert_eq!((output.status.code(), &*output.stderr), (Some(1), &b""[..]), "{lines}: {shown}");
        }
    }
}

#[test]
fn nothing_in_a_value_reaches_the_terminal_as_more_than_text() {
    let hostile: &[&[u8]] = &[
        b"ASSISTANT_GREETING='a\x1b[2Jb'\n",
        b"ASSISTANT_GREETING=\"a\\nASTERISK_PORT = 1  [.env]\"\n",
        "ASSISTANT_GREETING='a\u{9b}2J\u{202e}b\u{2028}c\u{200b}'\n".as_bytes(),
        "ASSISTANT_GREETING='a\u{202e}b\u{2028}c\u{200b}d'\n".as_bytes(),
        b"ASSISTANT_GREETING='a\rASTERISK_PORT=1'\r\n",
        b"ASSISTANT_GREETING=\"a\\\"b\"\n",
        b"ASSISTANT_GREETING='a\xff\xfeb'\n",
        b"ASTERISK_PASWORD\x1b[2J=a\n",
        b"\x1b]0;title\x07=a\n",
        b"\x00\x01\x02",
        b"ASSISTANT_GREETING='\x1b[31m\n",
    ];
    for more in hostile {
        let case = Case::new(&[REQUIRED.as_bytes(), more].concat());
        for arguments in [&[][..], &["--json"]] {
            let output = case.output(arguments);
            let shown = String::from_utf8(output.stdout).expect("text");
            let obeyed = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2028}\u{200b}".contains(c);
            assert!(!shown.contains(obeyed), "{more:?}: {shown:?}");
            assert!(!String::from_utf8_lossy(&output.stderr).contains(obeyed));
        }
        let (text, _) = case.text();
        let ports =
            text.lines().filter(|line| line.trim_start_matches(['✗', ' ']).starts_with("ASTERISK_PORT = "));
        assert_eq!(ports.count(), 1, "{text}");
    }
    let shown =
        Case::with("ASSISTANT_GREETING=\"¿Qué \\\"tal\\\"? 'sí' \\$5 #1\"\n").row("ASSISTANT_GREETING");
    assert_eq!(shown["value"], "¿Qué \"tal\"? 'sí' $5 #1");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let case = Case::with("");
    let program = env!("CARGO_BIN_EXE_openai-inbound-calls");
    let script = format!("set -o pipefail; '{program}' config | true; echo ${{PIPESTATUS[0]}}");
    let output =
        Command::new("bash").args(["-c", &script]).current_dir(case.folder.path()).output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let code = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(["0", "141"].contains(&&*code), "{code}");
}
