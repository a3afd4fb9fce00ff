//! Judges a call of the demonstration whose sound goes from Asterisk to OpenAI: also by what is left at OpenAI, by the daemon's own
//! recording, and by where the callers go.

use serde_json::Value;

use super::{Check, Evidence, contains};
use crate::demo::words::{self, Clip};
use crate::operator::Language;
use crate::sim::asterisk::{Ending, Outcome};

/// What is known of a call beside the evidence of every call.
#[derive(Debug, Default)]
pub(in crate::demo) struct AtOpenAi {
    /// The id of the last call that Asterisk has made to OpenAI.
    pub(in crate::demo) id: String,
    /// The number of calls that Asterisk has made to OpenAI.
    pub(in crate::demo) dialled: usize,
    /// How much of interrupted answers was heard, by OpenAI's word.
    pub(in crate::demo) truncated_ms: Vec<u64>,
    /// The calls that were accepted and that nobody has ended.
    pub(in crate::demo) unowned: Vec<String>,
    /// The items that the model was told.
    pub(in crate::demo) told: Vec<Value>,
    /// The sides of the daemon's recording, left and right.
    pub(in crate::demo) recorded: Option<[Vec<u8>; 2]>,
    /// Where the caller went.
    pub(in crate::demo) went: Option<Ending>,
    /// What became of the second caller.
    pub(in crate::demo) second: Option<Outcome>,
}

/// The checks of the call in which an appointment is booked.
pub(in crate::demo) fn booking(evidence: &Evidence, at_openai: &AtOpenAi, language: Language) -> Vec<Check> {
    let mut checks = super::checks(evidence, language);
    checks.push(no_session_left(at_openai, language));
    let (said, heard) = ([&words::QUESTION, &words::YES], [&words::GREETING, &words::GOODBYE]);
    checks.push(recorded(at_openai, &said, &heard, language));
    checks
}

/// The checks of the call whose caller presses a key and is transferred, while another one comes.
pub(in crate::demo) fn transfer(evidence: &Evidence, at_openai: &AtOpenAi, language: Language) -> Vec<Check> {
    let whole = [
        (&words::GREETING, "el saludo", "the greeting"),
        (&words::TRANSFER, "el aviso antes de la transferencia", "the sentence before the transfer"),
    ];
    let mut checks = super::heard_whole(evidence, &whole, language);
    checks.push(key(at_openai, language));
    checks.push(transferred(at_openai, language));
    checks.push(second(at_openai, language));
    let [violations, left, _] = super::nothing_wrong(evidence, language);
    checks.extend([violations, left, no_session_left(at_openai, language)]);
    checks.push(recorded(at_openai, &[], &[&words::GREETING, &words::TRANSFER], language));
    checks
}

fn no_session_left(at_openai: &AtOpenAi, language: Language) -> Check {
    let unowned = &at_openai.unowned;
    let listed = if unowned.is_empty() { String::new() } else { format!(": {}", unowned.join("; ")) };
    let text = language.choose(
        "en OpenAI no queda ninguna sesión, que seguiría costando",
        "no session is left at OpenAI, which would go on costing money",
    );
    Check { passed: unowned.is_empty(), text: format!("{text}{listed}") }
}

/// Whether the daemon's recording, whose sound Asterisk has recorded, holds these sentences of both sides.
fn recorded(at_openai: &AtOpenAi, said: &[&Clip], heard: &[&Clip], language: Language) -> Check {
    let holds = |side: &[u8], clips: &[&Clip]| clips.iter().all(|clip| contains(side, clip.sound));
    let recorded = at_openai.recorded.as_ref();
    let text = if said.is_empty() {
        language.choose(
            "la grabación del servicio, traída de Asterisk, tiene la voz del asistente, muestra a muestra",
            "the daemon's recording, fetched from Asterisk, has the assistant's voice, sample by sample",
        )
    } else {
        language.choose(
            "la grabación del servicio, traída de Asterisk, tiene las dos voces, muestra a muestra",
            "the daemon's recording, fetched from Asterisk, has both voices, sample by sample",
        )
    };
    let passed = recorded.is_some_and(|[left, right]| holds(left, said) && holds(right, heard));
    Check { passed, text: text.to_owned() }
}

/// Whether the model was told of the key once, although it is heard at two places.
fn key(at_openai: &AtOpenAi, language: Language) -> Check {
    let told = format!("[keypad: {}]", words::KEY);
    let is_it = |item: &&Value| item["content"][0]["text"].as_str().is_some_and(|text| text == told);
    let times = at_openai.told.iter().filter(is_it).count();
    let text = match language {
        Language::Spanish => format!("el modelo supo de la tecla una sola vez ({times})"),
        Language::English => format!("the model was told of the key exactly once ({times})"),
    };
    Check { passed: times == 1, text }
}

fn transferred(at_openai: &AtOpenAi, language: Language) -> Check {
    let went = at_openai.went.as_ref().and_then(place).unwrap_or_else(|| "-".to_owned());
    let text = language.choose(
        "el llamante fue transferido por el dialplan, no por OpenAI",
        "the caller was transferred by the dialplan, not by OpenAI",
    );
    Check { passed: went == words::PERSONS_PLACE, text: format!("{text}: {went}") }
}

/// Whether the second caller was not answered, and went on in the dialplan, without a call to OpenAI.
fn second(at_openai: &AtOpenAi, language: Language) -> Check {
    let second = at_openai.second.as_ref();
    let went = second.and_then(|second| place(second.ended.as_ref()?));
    let reason = second
        .and_then(|second| second.variables.iter().find(|(name, _)| name == "AI_END_REASON"))
        .map_or("-", |(_, reason)| reason.as_str());
    let is_unanswered = second.is_some_and(|second| second.answered_at.is_none());
    let passed = went.is_some() && is_unanswered && at_openai.dialled == 1 && reason == "busy";
    let text = language.choose(
        "quien llegó sin que hubiera lugar siguió en el dialplan, sin llamada a OpenAI",
        "who came when there was no room went on in the dialplan, without a call to OpenAI",
    );
    Check { passed, text: format!("{text}: AI_END_REASON={reason}") }
}

/// Where a caller went on in the dialplan.
fn place(ending: &Ending) -> Option<String> {
    let Ending::Continued { context, extension, priority } = ending else { return None };
    Some(format!("{context},{extension},{priority}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim::asterisk::CallState;

    fn call() -> (Evidence, AtOpenAi) {
        let heard = [words::GREETING.sound, &[0xff; 100], words::TRANSFER.sound].concat();
        let place = |context: &str, extension: &str, priority| Ending::Continued {
            context: context.into(),
            extension: extension.into(),
            priority,
        };
        let second = Outcome {
            state: CallState::Gone,
            ended: Some(place("from-voip", "3241000752", 2)),
            variables: vec![("AI_END_REASON".into(), "busy".into())],
            answered_at: None,
            ended_at: None,
            rang: false,
            channel: "1.2".into(),
        };
        let at_openai = AtOpenAi {
            dialled: 1,
            told: vec![json!({"content": [{"text": "[keypad: 0]"}]})],
            recorded: Some([Vec::new(), heard.clone()]),
            went: Some(place("from-internal", "200", 1)),
            second: Some(second),
            ..AtOpenAi::default()
        };
        (Evidence { heard, finished: true, ..Evidence::default() }, at_openai)
    }

    fn failed(change: impl Fn(&mut Evidence, &mut AtOpenAi)) -> Vec<usize> {
        let (mut evidence, mut at_openai) = call();
        change(&mut evidence, &mut at_openai);
        let checks = transfer(&evidence, &at_openai, Language::English);
        checks.iter().enumerate().filter(|(_, check)| !check.passed).map(|(n, _)| n).collect()
    }

    #[test]
    fn every_check_of_a_transfer_can_fail() {
        assert_eq!(failed(|_, _| ()), [0; 0]);
        assert_eq!(failed(|evidence, _| evidence.heard[100] ^= 1), [0]);
        assert_eq!(failed(|evidence, _| evidence.heard.truncate(30_000)), [1]);
        assert_eq!(failed(|_, at_openai| at_openai.told.clear()), [2]);
        assert_eq!(failed(|_, at_openai| at_openai.told.push(at_openai.told[0].clone())), [2], "twice");
        assert_eq!(failed(|_, at_openai| at_openai.went = Some(Ending::CallerHungUp)), [3]);
        assert_eq!(failed(|_, at_openai| at_openai.second = None), [4]);
        assert_eq!(failed(|_, at_openai| at_openai.dialled = 2), [4], "called for");
        assert_eq!(failed(|evidence, _| evidence.violations.push("x".into())), [5]);
        assert_eq!(failed(|evidence, _| evidence.left.push("oic-said-1".into())), [6]);
        assert_eq!(failed(|_, at_openai| at_openai.unowned.push("rtc_1".into())), [7]);
        assert_eq!(failed(|_, at_openai| at_openai.recorded = None), [8]);
    }

    #[test]
    fn a_recording_without_one_of_the_voices_is_not_whole() {
        let both = [words::QUESTION.sound.to_vec(), words::GREETING.sound.to_vec()];
        let passes = |recorded: [Vec<u8>; 2]| {
            let at_openai = AtOpenAi { recorded: Some(recorded), ..AtOpenAi::default() };
            super::recorded(&at_openai, &[&words::QUESTION], &[&words::GREETING], Language::English).passed
        };
        assert!(passes(both.clone()));
        let [left, right] = both;
        assert!(!passes([right.clone(), left.clone()]), "the sides");
        assert!(!passes([Vec::new(), right]) && !passes([left, Vec::new()]));
    }
}
