//! What is said in the measured calls, by both sides: the same in each, and marked frame by frame.

use std::time::Duration;

use super::marks::marked;
use crate::sim::caller::Step;
use crate::sim::realtime::{Answer, Script};

/// The key that opens the fake server's door.
pub(super) const KEY: &str = "sk-bench";
/// Who speaks, in the marks; callers have numbers from [`FIRST_CALLER`] on.
pub(super) const GREETING: u32 = 0;
pub(super) const ASSISTANT: u32 = 1;
pub(super) const FIRST_CALLER: u32 = 100;

/// How long the greeting is.
pub(super) const GREETING_FRAMES: u32 = 75;
/// How long an answer is: four seconds.
pub(super) const ANSWER_FRAMES: u32 = 200;
/// How long the caller says something: one second.
const QUESTION_FRAMES: u32 = 50;
/// How much of every second answer he hears before he interrupts it.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Once round his script takes at least so long.
const ROUND: Duration = Duration::from_secs(8);

/// Listens, asks, interrupts the answer, listens to the next, and so on for so long at least.
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

/// The model: it answers in bursts, twenty times faster than it is heard.
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
