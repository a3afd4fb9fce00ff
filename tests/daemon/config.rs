//! Tests of what the program says about its environment before it starts.

use crate::world::Program;

#[tokio::test]
async fn an_empty_environment_is_answered_with_the_missing_names_in_one_line() {
    let mut program = Program::start(Vec::new());
    assert_eq!(program.exit().await.code(), Some(1));
    let said = program.stderr();
    let line = " - ERROR - Variables de ambiente requeridas no encontradas: ASTERISK_USERNAME, ASTERISK_PASSWORD, \
                ASTERISK_HOST, ASTERISK_PORT, OPENAI_API_KEY, LOCAL_IP_ADDRESS, LOG_FILE_PATH";
    assert_eq!(said.lines().filter(|said| said.ends_with(line)).count(), 1, "{said}");
}

#[tokio::test]
async fn all_that_is_malformed_is_said_at_once_and_no_secret_with_it() {
    let variables = [
        ("ASTERISK_USERNAME", "asterisk"),
        ("ASTERISK_PASSWORD", "geheim"),
        ("ASTERISK_HOST", "http://pbx"),
        ("ASTERISK_PORT", "80880"),
        ("OPENAI_API_KEY", "sk-not visible"),
        ("LOCAL_IP_ADDRESS", "0.0.0.0"),
        ("LOG_FILE_PATH", "calls.log"),
        ("LOG_LANGUAGE", "en"),
        ("OPENAI_SPEED", "0,9"),
    ];
    let mut program = Program::start(variables.map(|(name, value)| (name, value.to_owned())).to_vec());
    assert_eq!(program.exit().await.code(), Some(1));
    let said = program.stderr();
    for name in ["ASTERISK_HOST", "ASTERISK_PORT", "OPENAI_API_KEY", "LOCAL_IP_ADDRESS", "OPENAI_SPEED"] {
        assert_eq!(
            said.matches(&format!(" - ERROR - Invalid value in {name}: ")).count(),
            1,
            "{name} in {said}"
        );
    }
    assert!(!said.contains("geheim") && !said.contains("visible"), "{said}");
    assert!(program.log().contains("Invalid value in OPENAI_SPEED"), "the log has it too: {}", program.log());
}

/// The file has the line ends of a text editor of the classic Mac OS, and an address contains a password.
#[tokio::test]
async fn no_password_of_an_env_file_gets_into_the_log() {
    let settings = "ASTERISK_USERNAME=asterisk\rASTERISK_PASSWORD=geheim\rASTERISK_HOST=user:hunter2@127.0.0.1\r\
        ASTERISK_PORT=8088\rOPENAI_API_KEY=sk-test\rLOCAL_IP_ADDRESS=127.0.0.1\rLOG_FILE_PATH=calls.log\rLOG_LANGUAGE=en\r";
    let mut program = Program::start_with_env_file(settings);
    assert_eq!(program.exit().await.code(), Some(1));
    let said = program.stderr() + &program.log();
    assert_eq!(said.matches(" - ERROR - ").count(), 2, "once in each place: {said}");
    assert!(said.contains("Invalid value in ASTERISK_HOST: (hidden)"), "{said}");
    assert!(!said.contains("geheim") && !said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn no_core_file_of_a_foreground_run_is_left() {
    let variables = [
        ("ASTERISK_USERNAME", "asterisk"),
        ("ASTERISK_PASSWORD", "testbed"),
        ("ASTERISK_HOST", "127.0.0.1"),
        ("ASTERISK_PORT", "9"),
        ("OPENAI_API_KEY", "sk-test"),
        ("LOCAL_IP_ADDRESS", "127.0.0.1"),
        ("LOG_FILE_PATH", "calls.log"),
        ("API_LISTEN", "127.0.0.1:0"),
    ];
    let program = Program::start(variables.map(|(name, value)| (name, value.to_owned())).to_vec());
    program.says("INFO", "Servicio iniciado").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.pid().as_raw_nonzero()));
    let limits = limits.expect("the limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("the limit");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_said_in_plain_words() {
    let variables = [
        ("ASTERISK_USERNAME", "asterisk"),
        ("ASTERISK_PASSWORD", "testbed"),
        ("ASTERISK_HOST", "127.0.0.1"),
        ("ASTERISK_PORT", "8088"),
        ("OPENAI_API_KEY", "sk-test"),
        ("LOCAL_IP_ADDRESS", "127.0.0.1"),
        ("LOG_FILE_PATH", "/proc/none/calls.log"),
    ];
    let mut program = Program::start(variables.map(|(name, value)| (name, value.to_owned())).to_vec());
    assert_eq!(program.exit().await.code(), Some(1));
    let line = " - ERROR - No se puede escribir en el archivo de log /proc/none/calls.log: ";
    assert!(program.stderr().contains(line), "{}", program.stderr());
}
