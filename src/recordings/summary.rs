//! The summary of a call: a text for people who know nothing of this program.
//!
//! The summary says who called, when, for how long and why the call ended. It contains the dialogue with times, marks
//! interruptions, and lists totals and problems of the recording. Its language is that of the operator's lines,
//! Spanish or English.

use std::fmt::Write as _;

use super::conversation::{Conversation, Message, ToolRow};
use super::{RecordingId, State};
use crate::call::record::EventKind;
use crate::call::transcript::Flaw;
use crate::end_reason::EndReason;
use crate::operator::Language;
use crate::operator::foreign::plain;

/// Writes the summary.
pub(super) fn summary(id: &RecordingId, told: &Conversation, state: State, language: Language) -> String {
    let say = |spanish: &'static str, english: &'static str| language.choose(spanish, english);
    let mut text = String::new();
    title(&mut text, say("RESUMEN DE LA LLAMADA", "CALL SUMMARY"), '=');
    let unknown = say("desconocido", "unknown");
    let or_unknown = |value: &str| if value.is_empty() { unknown.to_owned() } else { value.to_owned() };
    let reason = told.end_reason.as_deref().unwrap_or_default();
    let reason = match (EndReason::from_code(reason), state) {
        (_, State::Live) => say("la llamada sigue en curso", "the call is still running").to_owned(),
        (Some(reason), _) => reason.words(language).to_owned(),
        (None, _) => or_unknown(reason),
    };
    let started = id.started().format(language.choose("%d/%m/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S"));
    let rows = [
        (say("Grabación", "Recording"), id.to_string()),
        (say("Fecha y hora", "Date and time"), format!("{started} (UTC{})", told.utc_offset)),
        (say("Llamante", "Caller"), or_unknown(told.caller.expose())),
        (say("Número marcado", "Number dialled"), or_unknown(&told.called)),
        (say("Duración", "Duration"), length((told.duration_seconds * 1_000.0) as u64)),
        (say("Fin de la llamada", "End of the call"), reason),
        (say("Asistente", "Assistant"), format!("{} ({})", or_unknown(&told.agent), or_unknown(&told.model))),
    ];
    for (name, value) in rows {
        row(&mut text, name, &value);
    }
    dialogue(&mut text, told, language);
    tools(&mut text, told, language);
    totals(&mut text, told, language);
    remarks(&mut text, told, state, language);
    text
}

fn dialogue(text: &mut String, told: &Conversation, language: Language) {
    let (heading, nobody, caller, assistant) = match language {
        Language::Spanish => ("CONVERSACIÓN", "(no hay palabras registradas)", "Llamante", "Asistente"),
        Language::English => ("CONVERSATION", "(no words on record)", "Caller", "Assistant"),
    };
    text.push('\n');
    title(text, heading, '-');
    if told.messages.is_empty() {
        line(text, nobody);
    }
    for message in &told.messages {
        let speaker = if message.speaker == "user" { caller } else { assistant };
        let words = on_one_line(&message.text);
        let at = message.start_ms.map_or_else(|| "--:--".to_owned(), |at| clock(at as u64));
        line(text, &format!("[{at}] {speaker}: {words}"));
        if let Some(cut) = cut_off(message, language) {
            line(text, &format!("        {cut}"));
        }
        if let Some(flaw) = message.flaw.and_then(Flaw::from_code) {
            line(text, &format!("        {}", flawed(flaw, language)));
        }
    }
}

/// Which tools were carried out, and what became of them. Arguments and results are in the conversation document.
fn tools(text: &mut String, told: &Conversation, language: Language) {
    if told.tools.is_empty() {
        return;
    }
    text.push('\n');
    title(text, language.choose("HERRAMIENTAS", "TOOLS"), '-');
    for ToolRow { at_ms, used, .. } in &told.tools {
        let at = clock(u64::try_from(*at_ms).unwrap_or_default());
        line(text, &format!("[{at}] {}: {}", used.name, became(&used.outcome, language)));
    }
}

/// What became of a tool, by the code of its outcome.
fn became(outcome: &str, language: Language) -> String {
    let (spanish, english) = match outcome {
        "ok" => ("hecho", "done"),
        "unknown" => ("no se sabe si se hizo", "it is not known whether it was done"),
        "unavailable" => {
            ("no se hizo: el servicio no estaba disponible", "not done: the service was not available")
        }
        "refused" => ("no se hizo: el servicio lo rechazó", "not done: the service refused it"),
        "invalid_arguments" => ("no se hizo: los datos no servían", "not done: its data were not usable"),
        other => return format!("{} ({other})", language.choose("no se hizo", "not done")),
    };
    language.choose(spanish, english).to_owned()
}

/// The remark below an utterance that the caller interrupted.
fn cut_off(message: &Message, language: Language) -> Option<String> {
    let heard = seconds(message.heard_ms?.get(), language);
    let of = message.said_ms.map(|said| seconds(said.get(), language));
    let words = on_one_line(message.heard_text.as_deref().unwrap_or_default());
    Some(match language {
        Language::Spanish => {
            let of = of.map_or_else(String::new, |said| format!(" de {said}"));
            format!("(el llamante interrumpió; se oyeron {heard}{of} s: «{words}»)")
        }
        Language::English => {
            let of = of.map_or_else(String::new, |said| format!(" of {said}"));
            format!("(the caller interrupted; {heard}{of} s were heard: \"{words}\")")
        }
    })
}

/// The remark below an utterance that the caller did not hear completely.
const fn flawed(flaw: Flaw, language: Language) -> &'static str {
    match (flaw, language) {
        (Flaw::Unheard, Language::Spanish) => "(no se oyó: llegó sin sonido)",
        (Flaw::Unheard, Language::English) => "(not heard: it came without sound)",
        (Flaw::Cut, Language::Spanish) => "(el modelo no la terminó)",
        (Flaw::Cut, Language::English) => "(the model did not finish it)",
    }
}

fn totals(text: &mut String, told: &Conversation, language: Language) {
    let (heading, of_caller, of_assistant, interruptions) = match language {
        Language::Spanish => {
            ("TOTALES", "Intervenciones del llamante", "Intervenciones del asistente", "Interrupciones")
        }
        Language::English => ("TOTALS", "Turns of the caller", "Turns of the assistant", "Interruptions"),
    };
    text.push('\n');
    title(text, heading, '-');
    let turns = |speaker| told.messages.iter().filter(|message| message.speaker == speaker).count();
    row(text, of_caller, &turns("user").to_string());
    row(text, of_assistant, &turns("assistant").to_string());
    row(text, interruptions, &told.interruptions.to_string());
}

/// The remarks that a reader should know before trusting the text.
fn remarks(text: &mut String, told: &Conversation, state: State, language: Language) {
    let say = |spanish: &'static str, english: &'static str| language.choose(spanish, english);
    let count = |kind: EventKind| told.events.iter().filter(|event| event.kind == kind.code()).count();
    let mut remarks = Vec::new();
    if state == State::Recovered {
        remarks.push(say(
            "El servicio se interrumpió durante la llamada: falta lo que se habló después.",
            "The daemon was cut off during the call: what was said afterwards is missing.",
        ));
    }
    if count(EventKind::RecordingGap) > 0 {
        remarks.push(say(
            "El disco no admitía más datos durante parte de la llamada: lo que falta en la grabación es silencio.",
            "The disk took no more data during a part of the call: what is missing in the recording is silence.",
        ));
    }
    if count(EventKind::Error) > 0 {
        remarks.push(say(
            "Hubo errores técnicos durante la llamada; están en la lista de eventos.",
            "There were technical errors during the call; they are in the list of events.",
        ));
    }
    if told.audio == Some("none") {
        remarks.push(say(
            "De esta llamada no hay sonido grabado: no pasó por este servicio, no se pidió grabarlo, o Asterisk no lo entregó.",
            "There is no recorded sound of this call: it did not pass through this daemon, was not to be recorded, or was not delivered by Asterisk.",
        ));
    }
    if !remarks.is_empty() {
        text.push('\n');
        title(text, say("OBSERVACIONES", "REMARKS"), '-');
        for remark in remarks {
            line(text, &format!("- {remark}"));
        }
    }
}

fn title(text: &mut String, title: &str, under: char) {
    line(text, title);
    text.extend(std::iter::repeat_n(under, title.chars().count()));
    text.push('\n');
}

fn row(text: &mut String, name: &str, value: &str) {
    /// The width of the column of names. The longest name has 29 characters.
    const WIDTH: usize = 30;
    let dots = ".".repeat(WIDTH.saturating_sub(name.chars().count()));
    line(text, &format!("{name} {dots} {value}"));
}

/// Adds a line. Control characters are escaped, so no number or name from outside can start a line of its own.
fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    writeln!(text, "{}", plain(line)).ok();
}

/// Joins the words of a model, which may contain paragraphs, into one line.
fn on_one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Formats a duration: `1 h 02 min 03 s`, `4 min 45 s`, `12 s`.
fn length(ms: u64) -> String {
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {seconds:02} s"),
        _ => format!("{hours} h {minutes:02} min {seconds:02} s"),
    }
}

/// Formats a position in the recording as a player shows it: `04:45`, `1:02:03`.
fn clock(ms: u64) -> String {
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

/// Formats seconds with one decimal and the decimal separator of the language.
fn seconds(ms: u64, language: Language) -> String {
    let tenths = ms.saturating_add(50) / 100;
    let sign = language.choose(',', '.');
    format!("{}{sign}{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recordings::conversation::{EventRow, LatencyRows};
    use crate::recordings::log::ToolUse;

    fn told() -> Conversation {
        let message = |speaker, text: &str, start_ms| Message {
            timestamp: String::new(),
            speaker,
            text: text.into(),
            kind: "",
            item: String::new(),
            start_ms,
            end_ms: None,
            interrupted: false,
            heard_ms: None,
            said_ms: None,
            heard_text: None,
            flaw: None,
        };
        let cut = Message {
            heard_ms: Some(crate::units::Milliseconds::new(1_240)),
            said_ms: Some(crate::units::Milliseconds::new(3_000)),
            heard_text: Some("Le puedo".into()),
            ..message("assistant", "Le puedo ofrecer el martes", Some(65_000))
        };
        Conversation {
            call_id: "17.3".into(),
            start_time: String::new(),
            end_time: String::new(),
            duration_seconds: 285.5,
            messages: vec![
                message("user", "Quiero una cita ", Some(2_000)),
                cut,
                message("user", "No", None),
            ],
            total_messages: 3,
            audio_chunks_count: 1,
            audio: None,
            openai_call_id: None,
            utc_offset: "-05:00".into(),
            caller: crate::number::CallerNumber::default(),
            called: "900".into(),
            end_reason: Some("caller_hung_up".into()),
            recovered: false,
            model: "gpt-realtime-2.1".into(),
            agent: "default".into(),
            agent_version: String::new(),
            usage: None,
            latency: LatencyRows::default(),
            report: None,
            tools: Vec::new(),
            interruptions: 1,
            events: vec![EventRow {
                at_ms: 0,
                timestamp: String::new(),
                kind: "recording_gap".into(),
                detail: String::new(),
            }],
        }
    }

    #[test]
    fn a_manager_reads_who_when_how_long_and_what_was_said() {
        let id = "20251020_143025_17.3".parse().unwrap();
        let text = summary(&id, &told(), State::Finished, Language::Spanish);
        let expected = "\
RESUMEN DE LA LLAMADA
=====================
Grabación ..................... 20251020_143025_17.3
Fecha y hora .................. 20/10/2025 14:30:25 (UTC-05:00)
Llamante ...................... desconocido
Número marcado ................ 900
Duración ...................... 4 min 45 s
Fin de la llamada ............. el llamante colgó
Asistente ..................... default (gpt-realtime-2.1)

CONVERSACIÓN
------------
[00:02] Llamante: Quiero una cita
[01:05] Asistente: Le puedo ofrecer el martes
        (el llamante interrumpió; se oyeron 1,2 de 3,0 s: «Le puedo»)
[--:--] Llamante: No

TOTALES
-------
Intervenciones del llamante ... 2
Intervenciones del asistente .. 1
Interrupciones ................ 1

OBSERVACIONES
-------------
- El disco no admitía más datos durante parte de la llamada: lo que falta en la grabación es silencio.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn whoever_reads_learns_what_was_done_and_what_was_not() {
        let id = "20251020_143025_17.3".parse().unwrap();
        let used = |at_ms: u32, outcome: &str| ToolRow {
            at_ms: at_ms.into(),
            timestamp: String::new(),
            used: ToolUse {
                at_ms: 0,
                name: "book".into(),
                outcome: outcome.into(),
                ms: 840,
                attempts: 2,
                agreed_in_turn: None,
                arguments: None,
                answer: None,
            },
        };
        let tools = vec![
            used(9_000, "unavailable"),
            used(70_000, "unknown"),
            used(75_000, "ok"),
            used(80_000, "busy"),
        ];
        let told = Conversation { tools, ..told() };
        let text = summary(&id, &told, State::Finished, Language::Spanish);
        let lines = "\nHERRAMIENTAS\n------------\n[00:09] book: no se hizo: el servicio no estaba disponible\n\
                     [01:10] book: no se sabe si se hizo\n[01:15] book: hecho\n[01:20] book: no se hizo (busy)\n\nTOTALES\n";
        assert!(text.contains(lines), "{text}");
        assert!(summary(&id, &told, State::Finished, Language::English).contains("[01:15] book: done\n"));
    }

    #[test]
    fn a_call_without_recorded_sound_says_so() {
        let id = "20251020_143025_rtc_1".parse().unwrap();
        let text =
            |audio, language| summary(&id, &Conversation { audio, ..told() }, State::Finished, language);
        for (language, remark) in [
            (
                Language::Spanish,
                "- De esta llamada no hay sonido grabado: no pasó por este servicio, no se pidió grabarlo, o Asterisk no lo entregó.\n",
            ),
            (
                Language::English,
                "- There is no recorded sound of this call: it did not pass through this daemon, was not to be recorded, or was not delivered by Asterisk.\n",
            ),
        ] {
            assert!(text(Some("none"), language).ends_with(remark));
            assert!(!text(None, language).contains(remark));
        }
    }

    #[test]
    fn in_english_no_spanish_word_is_left() {
        let id = "20251020_143025_17.3".parse().unwrap();
        let mut told = told();
        told.end_reason = Some("recovered".into());
        let text = summary(&id, &told, State::Recovered, Language::English);
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("(the caller interrupted; 1.2 of 3.0 s were heard: \"Le puedo\")"));
        assert!(text.contains("- The daemon was cut off"));
        told.messages.clear();
        assert!(summary(&id, &told, State::Finished, Language::English).contains("(no words on record)"));
    }

    #[test]
    fn what_strangers_wrote_makes_no_line_and_hides_nothing() {
        let id = "20251020_143025_17.3".parse().unwrap();
        let mut told = told();
        told.caller = "1\n[00:01] Asistente: forged\u{1b}[2J\u{202e}\u{61c}".into();
        told.end_reason = Some("other\nline".into());
        told.messages[0].text = "Uno.\n\n[00:01] Asistente: dos\u{200b}\u{e0041}".into();
        told.messages[1].heard_text = Some("Le\r\npuedo\u{feff}".into());
        let text = summary(&id, &told, State::Finished, Language::Spanish);
        assert!(text.contains(" 1\\n[00:01] Asistente: forged\\u{1b}[2J\\u{202e}\\u{61c}\n"), "{text}");
        assert!(text.contains(". other\\nline\n"), "{text}");
        assert!(text.contains("Llamante: Uno. [00:01] Asistente: dos\\u{200b}\\u{e0041}\n"), "{text}");
        assert!(text.contains("«Le puedo\\u{feff}»"), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("[00:01]")), "{text}");
    }

    #[test]
    fn lengths_and_places_are_written_as_people_do() {
        assert_eq!(
            [length(12_999), length(285_500), length(3_723_000)],
            ["12 s", "4 min 45 s", "1 h 02 min 03 s"]
        );
        assert_eq!([clock(65_999), clock(3_723_000)], ["01:05", "1:02:03"]);
    }
}
