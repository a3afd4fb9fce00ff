//! Calls whose sound OpenAI carries by SIP: of callers whom Asterisk holds, and of a trunk.

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::openai_calls::{self, Say, State};
use openai_inbound_calls::sim::realtime::{Script, pattern};

use super::SECOND;
use super::testbed::{self, Suite, Testbed, loud, spoken};

on_both! {
    25 openai_carries_the_sound_of_a_caller_whom_asterisk_holds(testbed: Script::default()) {
        let words = |text: &str| Say::Words(text.into());
        let says = vec![
            words("Clínica Sol, buenos días. ¿En qué le puedo ayudar?"),
            Say::Calls("free_slots".into(), r#"{"day":"2026-12-02"}"#.into()),
            words("El dos de diciembre hay una hora libre a las tres de la tarde, y si esa no le conviene miramos juntos otro día de esa semana."),
            words("Dígame."),
            words("Recibí el cinco."),
            Say::WordsAndCalls("Le comunico con ventas.".into(), "transfer_call".into(), r#"{"destination":"ventas","summary":"Ana Ruiz; por su pedido"}"#.into()),
        ];
        let _clinic = testbed.clinic();
        let agents = testbed.agents_folder();
        let calls = openai_calls::Script { says, ..openai_calls::Script::new(&testbed::openai::secret(), "sk-test") };
        let openai = testbed.openai(calls, &["¿Qué hay el dos?", "Un momento.", "Con ventas, por favor."], &[
            ("AGENTS_DIR", agents.to_str().expect("a path")), ("CRM_TOKEN", "s3cret-token"),
        ]);
        let colleague = testbed.colleague();
        let turn = |tag| vec![
            Step::WaitForSpeech { at_most: 15 * SECOND }, Step::WaitForSilence { quiet: SECOND, at_most: 15 * SECOND }, Step::Say(pattern(900, tag)),
        ];
        let key = vec![
            Step::WaitForSpeech { at_most: 15 * SECOND }, Step::WaitForSilence { quiet: SECOND, at_most: 15 * SECOND }, Step::Press('5'),
        ];
        let interrupts = vec![Step::WaitForSpeech { at_most: 15 * SECOND }, Step::AfterHearing(SECOND), Step::Say(pattern(900, 101))];
        let after = vec![
            Step::WaitForSpeech { at_most: 15 * SECOND }, Step::WaitForSilence { quiet: 2 * SECOND, at_most: 15 * SECOND }, Step::Say(pattern(900, 103)),
        ];
        let script = [turn(100), interrupts, key, turn(102), after].concat();
        let call = testbed.call("talk", "3241000752", 36.0, vec![script]).remove(0);
        assert_eq!(call.ended, "by-caller");
        assert!(colleague.ends_well());
        testbed.asterisk_says("transferred: transferred to ventas: Ana Ruiz; por su pedido");
        openai.stands(|state| *state == State::HungUp || *state == State::CallerGone);
        openai.is_clean();

        // What the caller hears is what the model has said, and the colleague's echo of the last words behind it.
        let sound = openai.sound();
        let said = |all: &[u8], what: &[u8]| all.windows(what.len()).position(|window| window == what);
        let heard = loud(&call.heard());
        assert!(said(&heard, &pattern(900, 103)).is_some(), "the colleague has answered");
        assert!(said(&loud(&sound.heard), &pattern(900, 100)).is_some() && said(&loud(&sound.heard), &pattern(900, 102)).is_some());
        assert!(said(&loud(&sound.heard), &pattern(900, 103)).is_none(), "OpenAI does not hear what is said to the colleague");
        let first = &sound.said[..8_000];
        assert!(said(&heard, first).is_some(), "the greeting, sample by sample");

        // The recording has both voices at their place.
        let (caller, assistant) = testbed.recorded_sides();
        for tag in [100, 101, 102] {
            assert!(said(&spoken(&caller), &pattern(900, tag)).is_some(), "{tag}");
        }
        assert!(said(&spoken(&caller), &pattern(900, 103)).is_none(), "what is said to the colleague is not recorded");
        assert!(said(&spoken(&assistant), first).is_some());
        let asked = said(&caller, &pattern(900, 100)[..800]).expect("the first question") / 8;
        let conversation = testbed.conversation();
        let message = |text: &str| conversation["conversation"].as_array().expect("messages").iter()
            .find(|message| message["text"] == text).unwrap_or_else(|| panic!("no {text}: {conversation}"))["start_ms"].as_i64().expect("a time");
        assert!(message("¿Qué hay el dos?").abs_diff(asked as i64) < 400, "words at {} ms, sound at {asked} ms", message("¿Qué hay el dos?"));
        let greeted = said(&assistant, &first[..800]).expect("the greeting") as i64 / 8;
        assert!(message("Clínica Sol, buenos días. ¿En qué le puedo ayudar?").abs_diff(greeted) < 400);
        assert_eq!(conversation["openai_call_id"], "rtc_u0_0001");
        let keys = conversation["events"].as_array().expect("events").iter().filter(|event| event["type"] == "key").count();
        assert_eq!(keys, 1, "OpenAI tells of the key, too");
        assert!(conversation["tools"][0]["name"] == "free_slots" && conversation["interruptions"] == 1, "{conversation}");
        assert_eq!(testbed.stored_recordings(), "[]", "nothing of it is left in Asterisk");
        // INVITE, ACK and BYE have come over one connection.
        let log = openai.log();
        let from: std::collections::BTreeSet<_> = log.lines().filter(|line| line.contains("Received SIP request"))
            .filter_map(|line| line.split("TLS:").nth(1)).map(str::to_owned).collect();
        assert_eq!(from.len(), 1, "{from:?}");
    }

    26 a_caller_of_a_trunk_is_referred_by_openai(testbed: Script::default()) {
        let says = vec![
            Say::Words("Hola.".into()),
            Say::WordsAndCalls("Le comunico con ventas.".into(), "transfer_call".into(), r#"{"destination":"ventas","summary":"x"}"#.into()),
        ];
        let calls = openai_calls::Script { says, ..openai_calls::Script::new(&testbed::openai::secret(), "sk-test") };
        let openai = testbed.openai(calls, &["Con ventas."], &[
            ("SIP_SHARED_HEADER", "X-Trunk-Key: k3y-of-the-trunk"), ("SIP_REFER_HOST", "127.0.0.1"),
        ]);
        let colleague = testbed.colleague();
        let turn = |tag| vec![
            Step::WaitForSpeech { at_most: 15 * SECOND }, Step::WaitForSilence { quiet: SECOND, at_most: 15 * SECOND }, Step::Say(pattern(900, tag)),
        ];
        let after = vec![
            Step::WaitForSpeech { at_most: 15 * SECOND }, Step::WaitForSilence { quiet: 2 * SECOND, at_most: 15 * SECOND }, Step::Say(pattern(900, 101)),
        ];
        let call = testbed.call("talk", "800", 20.0, vec![[turn(100), after].concat()]).remove(0);
        assert_eq!(call.ended, "by-caller");
        openai.stands(|state| *state == State::Referred("sip:200@127.0.0.1".into()));
        assert!(openai.log().contains("REFER sip:"), "OpenAI's Asterisk sends it");
        testbed.asterisk_says("referred: 200 by ");
        assert!(colleague.ends_well());
        let heard = loud(&call.heard());
        assert!(heard.windows(7_200).any(|window| *window == *pattern(900, 101)), "the colleague has answered");
        openai.is_clean();
        testbed.log_says("Llamada terminada");
        testbed.calls_say(|calls| calls[0]["end_reason"] == "transferred");
    }

    27 a_caller_whom_openai_refuses_goes_on_in_the_dialplan(testbed: Script::default()) {
        let calls = openai_calls::Script::new(&testbed::openai::secret(), "sk-test");
        let openai = testbed.openai(calls, &[], &[]);
        let refusals = [
            ("proj_busy", "OpenAI no contestó la llamada SIP de Asterisk", "session_failed"),
            ("proj_silent", "no llegó ningún webhook de esa llamada", "session_late"),
        ];
        for (project, line, reason) in refusals {
            testbed.restart_with_project(&openai, project);
            let call = testbed.call("answered", "700", 20.0, vec![vec![Step::Pause(30 * SECOND)]]).remove(0);
            assert_eq!(call.ended, "by-callee");
            testbed.log_says(line);
            testbed.asterisk_says(&format!("humans: STASISSTATUS=SUCCESS AI_END_REASON={reason}"));
            testbed.nothing_is_left();
        }
        assert!(openai.log().contains("SIP/2.0 486"), "the first was told that OpenAI is busy");
        assert_eq!(testbed.stored_recordings(), "[]");
        openai.is_clean();
    }
}
