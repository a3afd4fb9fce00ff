//! The audio of both sides in the measured calls. It is the same in each call and marked frame by frame.

use std::time::Duration;

use super::marks::marked;
use crate::sim::caller::Step;
use crate::sim::realtime::{Answer, Script};

/// The key that the fake server accepts.
pub(super) const KEY: &str = "sk-bench";
/// The numbers of the speakers in the marks. Callers have numbers from [`FIRST_CALLER`] on.
pub(super) const GREETING: u32 = 0;
pub(super) const ASSISTANT: u32 = 1;
pub(super) const FIRST_CALLER: u32 = 100;

/// The length of the greeting in frames.
pub(super) const GREETING_FRAMES: u32 = 75;
/// The length of an answer in frames: four seconds.
pub(super) const ANSWER_FRAMES: u32 = 200;
/// The length of what the caller says in frames: one second.
const QUESTION_FRAMES: u32 = 50;
/// How much of every second answer the caller hears before they interrupt it.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// The least time that one round of the caller's script takes.
const ROUND: Duration = Duration::from_secs(8);

/// The script of a caller: listen, ask, interrupt the answer, listen to the next one, and repeat for at least
/// `long`.
pub(super) fn caller(number: u32, long: Duration) -> Vec<Step> {
    let mut said = 0;
    let mut say = || {
        let sound = marked(FIRST_CALLER + number, said, QUESTION_FRAMES);
        said += QUESTION_FRAMES;
        Step::Say(sound)
    };
    let listen = [
        Step::WaitForSpeech { at_most: Duration::from_secs(10) },
        Step::WaitForSilence { quiet: Duration::from_millis(300), at_most: Duration::from_secs(20) },
    ];
    let mut steps = listen.to_vec();
    for _ in 0..=long.div_duration_f64(ROUND) as u32 + 1 {
        steps.extend([say(), Step::AfterHearing(PATIENCE), say()]);
        steps.extend(listen.clone());
    }
    steps
}

/// The script of the model, which sends its audio twenty times faster than the caller hears it.
pub(super) fn model() -> Script {
    Script {
        key: Some(KEY.to_owned()),
        greeting: Some(Answer::speech("Hola.", marked(GREETING, 0, GREETING_FRAMES))),
        answers: vec![Answer::speech("Le cuento lo que sé.", marked(ASSISTANT, 0, ANSWER_FRAMES))],
        transcripts: vec!["Cuénteme.".to_owned()],
        burst: 20.0,
        ..Script::default()
    }
}
