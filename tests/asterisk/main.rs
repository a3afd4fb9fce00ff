//! Tests of the real daemon on a real Asterisk, with calls that SIPp places: what only they can show.
//!
//! `tests/run` (step `end_to_end`) runs them, or by hand: `OIC_E2E=22,16 cargo test --release --test
//! asterisk`. Each test starts an Asterisk, a daemon and a fake Realtime server of its own on ports of its
//! own, and checks at the end whether Asterisk still holds a channel or a bridge. The tests send and compare
//! the callers' audio here, sample by sample; SIPp speaks SIP.

mod phone;
mod sip;
mod testbed;

use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{
    Answer, Fault, FaultKind, Script, Trigger, VadScript, What, pattern,
};
use serde_json::json;

use testbed::{Suite, Testbed, loud};

/// Defines a test for each Asterisk. The tests share nothing but the machine.
macro_rules! on_both {
    ($($number:literal $name:ident($testbed:ident: $script:expr) $body:block)*) => { $(
        mod $name {
            use super::*;

            fn scenario(suite: Suite) {
                let number = $number * 2 + u16::from(suite == Suite::Sixteen);
                let Some($testbed) = Testbed::start(suite, number, stringify!($name), $script)
                else {
                    return;
                };
                $body
                $testbed.nothing_is_left();
            }

            #[test]
            fn on_asterisk_22() {
                scenario(Suite::TwentyTwo);
            }

            #[test]
            fn on_asterisk_16() {
                scenario(Suite::Sixteen);
            }
        }
    )* };
}

// They come behind the macro, which they use.
mod by_sip;
mod doctor;

const SECOND: Duration = Duration::from_secs(1);

/// Speaks for this time and then stays silent, without ever taking a turn.
fn monologue(ms: u64, tag: u8) -> Script {
    Script { greeting: Some(Answer::pattern("", ms, tag)), vad: VadScript::Never, ..Script::default() }
}

/// Greets the caller, and gives this answer.
fn answering(answer: Answer) -> Script {
    let greeting = Some(Answer::pattern("", 300, 1));
    Script { greeting, answers: vec![answer, Answer::pattern("", 900, 3)], ..Script::default() }
}

fn transfer(destination: &str) -> Answer {
    let arguments = format!(r#"{{"destination":"{destination}","summary":"Ana Ruiz, por su pedido"}}"#);
    Answer::call("transfer_call", &arguments)
}

/// A caller who speaks this pattern as soon as they can be heard. Before that Asterisk has no peer to which
/// it could send the audio.
fn speaks(ms: u64, tag: u8) -> Vec<Step> {
    vec![Step::Pause(SECOND), Step::Say(pattern(ms, tag))]
}

on_both! {
    0 sixty_seconds_of_speech_pass_both_ways(testbed: monologue(60_000, 1)) {
        let call = testbed.call("talk", "3241000752", 66.0, vec![speaks(60_000, 100)]).remove(0);
        let session = testbed.only_session();
        assert!(loud(&call.heard()) == *pattern(60_000, 1), "what the caller heard is not what the model said");
        assert!(loud(&session.appended()) == *pattern(60_000, 100), "what the model got is not what the caller said");
        assert_eq!(session.violations(), Vec::<String>::new());
        let (caller, assistant) = testbed.recorded_sides();
        assert!(loud(&caller) == *pattern(60_000, 100), "the recording's left side is not what the caller said");
        assert!(loud(&assistant) == *pattern(60_000, 1), "its right side is not what he heard");
        let statistics = call.caller.statistics();
        assert_eq!((statistics.lost, statistics.duplicates, statistics.disordered), (0, 0, 0), "{statistics:?}");
    }

    1 the_caller_hangs_up_first(testbed: monologue(30_000, 1)) {
        let call = testbed.call("talk", "3241000752", 2.0, vec![speaks(1_000, 100)]).remove(0);
        assert_eq!(call.ended, "by-caller");
        testbed.log_says("Motivo: el llamante colgó");
        for line in ["Conexión ARI establecida", "Nueva llamada recibida - Canal: PJSIP/", "Socket RTP vinculado a 127.0.0.1:",
            "Conexión WebSocket con OpenAI", "msg_type updated recibido, ahora enviaré audio chunks", "Codec detectado: ulaw"] {
            testbed.log_says(line);
        }
    }

    2 the_daemon_ends_the_call_when_it_is_stopped(testbed: monologue(30_000, 1)) {
        let calls = testbed.place("answered", "3241000752", 20.0, vec![speaks(1_000, 100)]);
        testbed.log_says("Codec detectado: ulaw");
        assert_eq!(testbed.stop_daemon(), Some(0));
        assert_eq!(testbed.finish(calls).remove(0).ended, "by-callee");
        testbed.log_says("Motivo: el servicio se detiene");
    }

    3 keys_are_not_sound(testbed: monologue(500, 1)) {
        let script = vec![
            Step::Pause(SECOND), Step::Say(pattern(500, 100)), Step::Press('1'), Step::Press('#'), Step::Say(pattern(500, 101)), Step::Pause(SECOND),
        ];
        testbed.call("talk", "3241000752", 4.0, vec![script]);
        let expected = [pattern(500, 100), pattern(500, 101)].concat();
        assert!(loud(&testbed.only_session().appended()) == expected, "only the voice reaches the model");
        testbed.log_says("keys: 2");
    }

    4 ten_callers_hear_only_their_own_assistant(testbed: ten_monologues as fn(usize) -> Arc<Script>) {
        let callers = (0..10).map(|n| speaks(3_000, 100 + n)).collect();
        let calls = testbed.call("talk", "3241000752", 6.0, callers);
        let sessions = testbed.realtime.sessions();
        assert_eq!((calls.len(), sessions.len()), (10, 10));
        for (n, call) in (0..).zip(&calls) {
            let heard = loud(&call.heard());
            let mine: Vec<_> = (0..10).filter(|tag| heard == *pattern(3_000, 1 + tag)).collect();
            assert_eq!(mine.len(), 1, "caller {n} heard {} bytes of no single assistant", heard.len());
            let appended = loud(&sessions[usize::from(mine[0])].appended());
            assert!(appended == *pattern(3_000, 100 + n), "the assistant of caller {n} heard someone else");
        }
    }

    5 asterisk_is_killed_and_started_again(testbed: monologue(2_000, 1)) {
        let calls = testbed.place("answered", "3241000752", 20.0, vec![speaks(1_000, 100); 3]);
        testbed.log_says_times("Codec detectado: ulaw", 3);
        testbed.kill_asterisk();
        testbed.log_says("Conexión cerrada, reintentando...");
        drop(calls);
        testbed.start_asterisk();
        testbed.log_says_times("Conexión ARI establecida", 2);
        testbed.log_says_times("Llamada terminada", 3);
        let call = testbed.call("talk", "3241000752", 3.5, vec![speaks(500, 101)]).remove(0);
        assert!(loud(&call.heard()) == *pattern(2_000, 1));
    }

    6 a_ringing_caller_is_answered_when_the_assistant_is_ready(testbed: monologue(1_000, 1)) {
        let call = testbed.call("talk", "602", 3.0, vec![speaks(500, 100)]).remove(0);
        // Before the greeting a frame of Asterisk's own ringing tone may pass: 160 bytes that the fake did
        // not send.
        let heard = loud(&call.heard());
        assert!(heard.ends_with(&pattern(1_000, 1)), "the greeting is heard from its first byte");
        assert!(heard.len() <= 8_000 + 160, "{} bytes", heard.len());
    }

    7 a_caller_who_gives_up_leaves_nothing(testbed: Script { faults: vec![Fault::new(Trigger::OnConnect, FaultKind::CreatedLate(2 * SECOND))], ..Script::default() }) {
        for (scenario, number) in [("cancel", "602"), ("early", "602"), ("early", "3241000752")] {
            testbed.call(scenario, number, 0.3, vec![vec![]; 5]);
            testbed.nothing_is_left();
        }
    }

    8 with_a_wrong_key_a_person_answers(testbed: Script { key: Some("another".into()), ..Script::default() }) {
        let call = testbed.call("answered", "700", 20.0, vec![vec![]]).remove(0);
        assert_eq!(call.ended, "by-callee");
        let (heard, apology) = (loud(&call.heard()), loud(include_bytes!("../../src/config/apology/es.ulaw")));
        assert!(heard.starts_with(&apology), "the caller is told, in whole, before he is handed back");
        testbed.asterisk_says("humans: STASISSTATUS=SUCCESS AI_END_REASON=session_failed");
        testbed.log_says("ERROR");
        testbed.log_says("OpenAI rechaza la clave");
    }

    9 with_the_daemon_down_a_person_answers(testbed: Script::default()) {
        assert_eq!(testbed.stop_daemon(), Some(0));
        testbed.call("answered", "700", 20.0, vec![vec![]]);
        testbed.asterisk_says("humans: STASISSTATUS=FAILED");
    }

    10 an_operator_reads_and_deletes_the_recording_with_curl(testbed: monologue(1_000, 1)) {
        testbed.call("talk", "3241000752", 3.0, vec![speaks(500, 100)]);
        let id = testbed.recording_id();
        let conversation = testbed.curl(&[], &format!("/recordings/{id}/conversation"));
        for key in ["call_id", "start_time", "end_time", "duration_seconds", "conversation", "total_messages", "audio_chunks_count"] {
            assert!(conversation.contains(&format!("\"{key}\"")), "no {key} in {conversation}");
        }
        assert!(testbed.curl(&[], &format!("/recordings/{id}/summary")).contains("3241000752"));
        testbed.curl(&["-X", "DELETE"], &format!("/recordings/{id}"));
        assert!(!testbed.curl(&[], "/recordings").contains(&id), "it is gone");
    }

    11 what_is_truncated_is_what_was_heard(testbed: Script { answers: vec![Answer::pattern("", 8_000, 2)], greeting: None, ..Script::default() }) {
        let wait = Step::WaitForSpeech { at_most: 10 * SECOND };
        let script = vec![wait, Step::AfterHearing(1_500 * SECOND / 1_000), Step::Say(pattern(1_500, 100)), Step::Pause(SECOND)];
        let call = testbed.call("talk", "3241000752", 7.0, vec![script]).remove(0);
        let session = testbed.only_session();
        let truncated: Vec<_> = session.journal().into_iter().filter_map(|fact| match fact.what {
            What::Truncated { audio_end_ms, .. } => Some(audio_end_ms),
            _ => None,
        }).collect();
        // Both answers are the same pattern: the first one was cut, and the second one starts from the
        // beginning.
        let heard = loud(&call.heard());
        let second = heard.windows(480).rposition(|window| *window == pattern(8_000, 2)[..480]).expect("a second answer");
        assert_eq!(truncated.len(), 1, "{truncated:?}");
        assert!(truncated[0].abs_diff(second as u64 / 8) <= 20, "heard {} ms, said {truncated:?}", second / 8);
        assert_eq!(session.violations(), Vec::<String>::new());
    }

    14 a_transfer_is_announced_and_rings_the_other_extension(testbed: answering(Answer::pattern("", 1_500, 2).and(transfer("ventas")))) {
        let colleague = testbed.colleague();
        let mut script = speaks(1_000, 100);
        script.extend([Step::WaitForSpeech { at_most: 5 * SECOND }, Step::WaitForSilence { quiet: 2 * SECOND, at_most: 10 * SECOND }]);
        script.extend(speaks(1_000, 101));
        let call = testbed.call("talk", "3241000752", 12.0, vec![script]).remove(0);
        assert_eq!(call.ended, "by-caller");
        let heard = loud(&call.heard());
        let position = |sound: &[u8]| heard.windows(sound.len()).position(|window| window == sound);
        let announced = position(&pattern(1_500, 2)).expect("the announcement, all of it");
        // The colleague's phone repeats what it hears.
        assert!(position(&pattern(1_000, 101)).expect("the other phone has answered") > announced);
        assert!(colleague.ends_well());
        testbed.asterisk_says("transferred: transferred to ventas: Ana Ruiz; por su pedido");
        testbed.log_says("Llamada transferida a from-internal,200,1");
        assert_eq!(testbed.only_session().violations(), Vec::<String>::new());
    }

    15 a_transfer_to_nowhere_costs_nobody_his_call(testbed: answering(transfer("nadie"))) {
        testbed.call("talk", "3241000752", 7.0, vec![speaks(1_000, 100)]);
        testbed.log_says("El dialplan no tiene from-internal,999,1");
        testbed.log_says("Motivo: el llamante colgó");
    }

    16 the_assistant_hangs_up(testbed: answering(Answer::pattern("", 1_500, 2).and(Answer::call("end_call", "{}")))) {
        let call = testbed.call("answered", "3241000752", 20.0, vec![speaks(1_000, 100)]).remove(0);
        assert_eq!(call.ended, "by-callee");
        assert!(loud(&call.heard()).ends_with(&pattern(1_500, 2)), "the goodbye, to its last frame");
        testbed.log_says("Motivo: el asistente colgó");
    }

    17 after_a_crash_of_the_daemon_nobody_is_left_in_silence(testbed: monologue(60_000, 1)) {
        let calls = testbed.place("talk", "3241000752", 9.0, vec![speaks(500, 100); 3]);
        testbed.log_says_times("Codec detectado: ulaw", 3);
        testbed.make_bridge("oic-bridge-1795180048.12");
        testbed.crash_daemon();
        testbed.log_says_times("Codec detectado: ulaw", 6);
        for call in testbed.finish(calls) {
            assert_eq!(call.ended, "by-caller");
            let gap = call.caller.statistics().longest_gap;
            assert!(gap < 3 * SECOND, "{gap:?} without a packet");
            let begin = &pattern(100, 1)[..480];
            let heard = call.heard();
            let last = heard.windows(480).rposition(|window| window == begin).expect("served again");
            assert!(loud(&heard[last..]).len() > 6 * 8_000, "and to the end of the call");
        }
    }

    18 a_second_daemon_takes_the_calls_and_the_first_has_them_back_after_it(testbed: monologue(60_000, 1)) {
        let calls = testbed.place("talk", "3241000752", 10.0, vec![speaks(500, 100); 2]);
        testbed.log_says_times("Codec detectado: ulaw", 2);
        let second = testbed.second_daemon();
        testbed.log_says("Otro programa ha tomado la aplicación ARI openai-app");
        testbed.log_says_times("Motivo: otro programa se hizo cargo de la llamada", 2);
        for call in testbed.finish(calls) {
            assert_eq!(call.ended, "by-caller");
            let gap = call.caller.statistics().longest_gap;
            assert!(gap < 3 * SECOND, "{gap:?} without a packet");
        }
        // What the second daemon leaves in the application keeps the application alive.
        testbed.nothing_is_left();
        drop(second);
        testbed.log_says("El otro programa ya no tiene la aplicación ARI openai-app");
        let calls = testbed.place("talk", "3241000752", 5.0, vec![speaks(500, 100)]);
        testbed.log_says_times("Codec detectado: ulaw", 3);
        assert!(testbed.finish(calls).iter().all(|call| call.ended == "by-caller"));
    }

    19 a_customer_is_transferred_to_the_assistant(testbed: monologue(1_000, 1)) {
        let (mut customer, mut colleague) = testbed.sip_phones();
        let asks = customer.dial("201");
        let call = colleague.answers();
        let asks = customer.is_answered(asks);
        let consultation = colleague.dial("3241000752");
        let consultation = colleague.is_answered(consultation);
        testbed.log_says("ARI request=AddChannels");
        colleague.transfers(&call, &consultation);
        testbed.calls_say(|calls| calls.len() == 1 && calls[0]["caller"] == "3001234567" && calls[0]["end_reason"].is_null());
        customer.hangs_up(&asks);
        testbed.log_says("Motivo: el llamante colgó");
        testbed.calls_say(|calls| calls.len() == 1 && calls[0]["called"] == "3241000752" && calls[0]["caller"] == "3001234567");
        assert_eq!(testbed.realtime.sessions().len(), 1, "one session is paid for");
    }

    20 an_assistant_that_is_sent_to_itself_does_not_talk_for_ever(testbed: monologue(60_000, 1)) {
        // Asterisk 16 does not tell the phone how the transfer ended.
        if testbed.is_sixteen() {
            return;
        }
        let (mut customer, _) = testbed.sip_phones();
        let call = customer.dial("3241000752");
        let call = customer.is_answered(call);
        testbed.log_says("ARI request=AddChannels");
        customer.sends_to(&call, "3241000752");
        testbed.log_says("Motivo: el llamante colgó");
        assert_eq!(testbed.realtime.sessions().len(), 1, "one session is paid for");
        customer.hangs_up(&call);
    }

    21 an_asterisk_that_is_restarted_is_no_caller_who_hangs_up(testbed: monologue(60_000, 1)) {
        for (n, kills) in [(1, true), (2, false)] {
            let (mut customer, _) = testbed.sip_phones();
            let call = customer.dial("3241000752");
            customer.is_answered(call);
            // The bridge and the media channel exist. A call that is still being set up would be refused for
            // other reasons.
            testbed.log_says_times("ARI request=AddChannels", n);
            if kills { testbed.kill_asterisk() } else { testbed.stop_asterisk() }
            testbed.start_asterisk();
            testbed.log_says_times("Motivo: se perdió Asterisk", n);
            testbed.log_says_times(" s - Llamadas perdidas: 1", n);
        }
        testbed.calls_say(|calls| calls.len() == 2 && calls.iter().all(|call| call["end_reason"] == "asterisk_lost"));
    }

    22 an_ari_user_who_may_only_read_leaves_nobody_in_silence(testbed: monologue(1_000, 1)) {
        testbed.ari_user_may_only_read(true);
        let calls = testbed.place("answered", "700", 60.0, vec![vec![]]);
        testbed.log_says("(HTTP 403): Write access denied. Ponga read_only = no");
        testbed.log_says("El llamante sigue en Stasis()");
        testbed.log_does_not_say("Llamada devuelta al dialplan");
        testbed.ari_user_may_only_read(false);
        testbed.asterisk_says("humans: STASISSTATUS=SUCCESS AI_END_REASON=setup_failed");
        testbed.log_says("Llamada devuelta al dialplan");
        testbed.finish(calls);
    }

    23 a_burst_of_callers_finds_room_in_asterisks_session_limit(testbed: monologue(1_000, 1)) {
        // The ratio is that of 120 calls at once to the 100 connections that Asterisk serves by default.
        testbed.limit_sessions(33);
        testbed.call("talk", "3241000752", 8.0, vec![vec![]; 18]);
        testbed.log_does_not_say("Llamada devuelta al dialplan");
        testbed.log_does_not_say("Conexión cerrada, reintentando...");
        testbed.log_says_times("Motivo: el llamante colgó", 18);
    }

    24 an_appointment_is_booked_once_whatever_happens_meanwhile(testbed: an_appointment as fn(usize) -> Arc<Script>) {
        let clinic = testbed.clinic();
        let turn = |ms, tag| vec![
            Step::WaitForSpeech { at_most: 15 * SECOND }, Step::WaitForSilence { quiet: SECOND, at_most: 15 * SECOND }, Step::Say(pattern(ms, tag)),
        ];
        // "Quiero una cita", "sí", and, while the clinic does not answer, "espere".
        let waits = vec![Step::Pause(SECOND), Step::Say(pattern(600, 102))];
        let script = [speaks(900, 99), turn(900, 100), turn(600, 101), waits].concat();
        let call = testbed.call("talk", "3241000752", 25.0, vec![script]).remove(0);
        assert_eq!(call.ended, "by-caller");
        let requests = clinic.requests().clone();
        let [(first, body), (second, _)] = &requests[..] else { panic!("{requests:?}") };
        assert!(first == second && first.len() == 22, "one key, so one booking: {requests:?}");
        assert_eq!((&body["start"], &body["customer"], &body["phone"]), (&json!("2026-12-02T15:00:00-05:00"), &json!(7), &json!("3001234500")));
        assert_eq!(testbed.realtime.sessions().len(), 2, "the connection broke once");
        for session in testbed.realtime.sessions() {
            assert_eq!(session.violations(), Vec::<String>::new());
        }
        let heard = loud(&call.heard());
        assert!(heard.ends_with(&pattern(900, 7)), "the caller hears that it is booked");
        testbed.calls_say(|calls| {
            let tools = calls[0]["tools"].as_array().cloned().unwrap_or_default();
            let ends: Vec<_> = tools.iter().map(|tool| (tool["name"].as_str(), tool["outcome"].as_str())).collect();
            ends == [(Some("free_slots"), Some("ok")), (Some("book"), Some("unknown")), (Some("book"), Some("ok"))]
        });
        testbed.log_says("] La herramienta book no dio un resultado útil - Servidor: http://127.0.0.1");
        testbed.log_does_not_say("s3cret-token");
    }
}

/// A talk about an appointment. The connection of the model breaks when the caller speaks while the clinic does not answer.
fn an_appointment(connection: usize) -> Arc<Script> {
    let day = r#"{"day":"2026-12-02"}"#;
    let book = || Answer::call("book", r#"{"start":"2026-12-02T15:00:00-05:00","name":"Ana Gómez"}"#);
    let greeting = Some(Answer::pattern("Clínica Sol, Ana Gómez.", 700, 1));
    let (answers, faults) = if connection == 0 {
        let answers = vec![
            Answer::call("free_slots", day),
            Answer::pattern("A las tres. ¿La reservo?", 900, 2),
            book(),
            Answer::pattern("¿A las tres, entonces?", 900, 3),
            book(),
        ];
        (answers, vec![Fault::new(Trigger::OnTurn(4), FaultKind::Drop)])
    } else {
        (
            vec![Answer::pattern("Un momento.", 700, 6), book(), Answer::pattern("Está reservada.", 900, 7)],
            Vec::new(),
        )
    };
    Arc::new(Script { greeting, answers, faults, ..Script::default() })
}

/// The n-th connection says pattern n + 1.
fn ten_monologues(connection: usize) -> Arc<Script> {
    Arc::new(monologue(3_000, 1 + connection as u8))
}
