//! Tests `demo --once` as the README describes it (exit code 0, a recording and a verdict), by both routes, and `demo --clinic`.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use chrono::{Datelike as _, TimeDelta, Weekday};
use openai_inbound_calls::clock::wall;

/// The output and exit code of the program in a folder of its own with this environment.
fn demo(arguments: &[&str], language: &str, folder: &Path) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"))
        .args([&["demo", "--once"], arguments].concat())
        .env_clear()
        .env("LOG_LANGUAGE", language)
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .expect("the program");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

#[test]
fn it_shows_a_call_judges_it_and_leaves_a_recording() {
    let folder = tempfile::tempdir().expect("a folder");
    let (shown, code) = demo(&[], "en", folder.path());
    assert_eq!(code, Some(0), "{shown}");
    let steps = [
        "no money is spent",
        "Dashboard: http://127.0.0.1:",
        "INVITE",
        "StasisStart caller",
        "POST externalMedia 200",
        "session.updated",
        "the caller hears the assistant",
        "caller: «Hola, buenas tardes.",
        "free_slots {\"day\":",
        "GET /api/days/",
        "item.truncate audio_end_ms=",
        "free_slots {\"day\":",
        "✂ nothing is booked yet: the caller has not agreed",
        "function_call_output ask_first",
        "assistant: «El miércoles hay hora",
        "caller: «Sí, por favor.",
        "POST /api/appointments",
        "the connection to the clinic broke after the booking",
        "POST /api/appointments",
        "201 (booked once; requests: 2)",
        "function_call_output ok",
        "assistant: «Claro. Su cita queda para el miércoles",
        "BYE",
        "DELETE bridge 204",
        "✓ barge-in: audio_end_ms = ",
        "✓ the simulated OpenAI, which is strict, found no error in what it got\n",
        "✓ the wanted time was booked exactly once, after the yes (bookings: 1; requests: 2)",
        "All is well.",
    ];
    shows_in_order(&shown, &steps);
    // The daemon looks at Asterisk before the call, or while the call begins.
    let probe = "✂ the daemon tries whether ARI lets it write";
    for somewhere in [probe, "GET /api/customers", "clinic\n", "made up: no money was spent"] {
        assert!(shown.contains(somewhere), "no {somewhere} in\n{shown}");
    }
    assert!(!shown.contains('✗') && !shown.contains('\x1b'), "{shown}");
    // A daemon in the same folder must find nothing of the demonstration in its own.
    let ours = fs::read_dir(folder.path().join("recordings")).expect("the folder");
    let ours: Vec<_> = ours.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    assert_eq!(ours, ["demo"]);
    let recordings = folder.path().join("recordings/demo");
    assert!(recordings.join("calls.db").is_file(), "with a call log of its own");
    let wav = fs::read_dir(&recordings)
        .expect("the folder")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "wav"))
        .expect("a recording");
    let sound = fs::read(wav).expect("readable");
    assert_eq!(&sound[..4], b"RIFF");
    assert!(sound.len() > 58 + 2 * 8_000 * 15, "two sides of more than 15 s: {}", sound.len());
    let log = fs::read_to_string(recordings.join("demo.log")).expect("a log");
    assert!(log.contains(" - INFO - ARI connection established"), "{log}");
}

/// Each of these steps is shown, behind the ones before it.
fn shows_in_order(shown: &str, steps: &[&str]) {
    let mut rest = shown;
    for step in steps {
        let at = rest.find(step).unwrap_or_else(|| panic!("no {step} behind the steps before it:\n{shown}"));
        rest = &rest[at..];
    }
}

#[test]
fn by_the_sip_route_two_calls_are_shown_and_judged_one_of_them_with_somebody_for_whom_there_is_no_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let (shown, code) = demo(&["--route", "sip"], "es", folder.path());
    assert_eq!(code, Some(0), "{shown}");
    let steps = [
        "Demostración de la ruta SIP",
        "no se gasta dinero",
        "Primera llamada",
        "INVITE",
        "StasisStart llamante",
        "INVITE, X-Call-Nonce",
        "POST webhook call.incoming 200",
        "POST accept 200",
        "WebSocket call_id 101",
        "session.updated",
        "POST addChannel 204",
        "el llamante oye al asistente",
        "llamante: «Hola, buenas tardes.",
        "free_slots {\"day\":",
        "interrumpido: el llamante oyó",
        "no se reserva todavía",
        "201 (reservada una vez; peticiones: 2)",
        "asistente: «Claro. Su cita queda para el miércoles",
        "RecordingFinished",
        "POST hangup ",
        "DELETE recording 204",
        "✓ la cita pedida se reservó una sola vez",
        "✓ en OpenAI no queda ninguna sesión",
        "✓ la grabación del servicio, traída de Asterisk, tiene las dos voces",
        "Todo bien.",
        "Segunda llamada",
        "2: INVITE",
        "no hay lugar: MAX_CALLS es 1",
        "2: el llamante sigue en el dialplan, donde atiende una persona: from-voip,3241000752,2",
        "ChannelDtmfReceived",
        "item.create [keypad: 0]",
        "asistente: «Con mucho gusto. Le comunico con una persona.",
        "el llamante sigue en el dialplan, donde atiende una persona: from-internal,200,1",
        "✓ el modelo supo de la tecla una sola vez (1)",
        "AI_END_REASON=busy",
        "✓ no queda nada en Asterisk\n",
        "Todo bien.",
    ];
    shows_in_order(&shown, &steps);
    assert!(!shown.contains('✗') && !shown.contains('\x1b'), "{shown}");
    let others = ["externalMedia", "input_audio_buffer.append", "audio.delta", "item.create {"];
    assert!(!others.iter().any(|other| shown.contains(other)), "of the other route, or a number: {shown}");
}

#[test]
fn the_example_is_copied_and_tried_with_the_clinics_server() {
    let program = env!("CARGO_BIN_EXE_openai-inbound-calls");
    let mut clinic = Command::new(program)
        .args(["demo", "--clinic=0"])
        .env_clear()
        .envs([("LOG_LANGUAGE", "en"), ("TZ", "UTC")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut shown = BufReader::new(clinic.stdout.take().expect("a pipe"));
    let mut line = String::new();
    shown.read_line(&mut line).expect("text");
    let address =
        line.strip_prefix("Clinic of the example on http://").and_then(|rest| rest.split(',').next());
    let address = address.unwrap_or_else(|| panic!("an address: {line}"));

    let folder = tempfile::tempdir().expect("a folder");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agents/clinic");
    for name in ["citas.toml", "citas.md", "_crm.toml"] {
        let text = fs::read_to_string(example.join(name)).expect("a file of the example");
        fs::write(folder.path().join(name), text.replace("127.0.0.1:8099", address)).expect("a copy");
    }
    let agents = |arguments: &[&str], said: &str| {
        let mut child = Command::new(program)
            .arg("agents")
            .args(arguments)
            .current_dir(folder.path())
            .env_clear()
            .envs([("LOG_LANGUAGE", "en"), ("CRM_TOKEN", "any-word")])
            .env("AGENTS_DIR", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        child.stdin.take().expect("a pipe").write_all(said.as_bytes()).expect("the program reads");
        let output = child.wait_with_output().expect("its end");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    };
    agents(&["check"], "");
    let mut days = (1..=7).map(|days| wall().to_utc().date_naive() + TimeDelta::days(days));
    let day = days.find(|day| day.weekday() == Weekday::Wed).expect("a Wednesday");
    let book = format!("book {{\"start\":\"{day}T15:00:00+00:00\",\"name\":\"Ana\"}}\n");
    let talk =
        agents(&["try", "citas", "--fake"], &format!("free_slots {{\"day\":\"{day}\"}}\n{book}{book}{book}"));
    for told in ["Ana Gómez", "T15:00:00+00:00\"", "ask_first", "\"id\":1"] {
        assert!(talk.contains(told), "no {told} in\n{talk}");
    }
    clinic.kill().expect("it still runs");
    clinic.wait().expect("its end");
    let mut rest = String::new();
    shown.read_to_string(&mut rest).expect("text");
    let bookings: Vec<_> = rest.lines().filter(|line| line.contains("POST")).collect();
    assert!(
        matches!(&bookings[..], [only] if only.ends_with("POST /api/appointments  201 (booked once; requests: 1)")),
        "{rest}"
    );
    assert!(!rest.contains("3001234567"), "the caller's number: {rest}");
}

#[test]
fn a_port_that_is_in_use_is_said_with_the_remedy() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port();
    let output = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"))
        .args(["demo", &format!("--clinic={port}")])
        .env_clear()
        .env("LOG_LANGUAGE", "en")
        .output()
        .expect("the program");
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = format!("The port {port} is in use (another demo --clinic?): use --clinic=PORT");
    assert!(output.status.code() == Some(1) && said.contains(&expected), "{said}");
    assert!(!said.contains("Unexpected"), "{said}");
}

/// The exit code that a shell reports for a program that SIGPIPE has ended.
const UNREAD: i32 = 141;

#[test]
fn a_reader_who_has_seen_enough_ends_a_command_quietly() {
    for (arguments, lines) in [
        (&["demo"][..], 1),
        (&["demo", "--route", "sip"], 3),
        (&["demo", "--once"], 0),
        (&["doctor"], 0),
        (&["doctor", "--json"], 0),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (reader, writer) = io::pipe().expect("a pipe");
        let mut command = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"));
        command.args(arguments).env_clear().current_dir(folder.path()).stdout(writer).stderr(Stdio::piped());
        let child = command.spawn().expect("the program");
        drop(command);
        let read = BufReader::new(reader).lines().take(lines).count();
        assert_eq!(read, lines, "{arguments:?}");
        let ended = child.wait_with_output().expect("its end");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), &*said), (Some(UNREAD), ""), "{arguments:?}");
    }
}
