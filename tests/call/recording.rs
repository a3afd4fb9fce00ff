//! What the recording gets: both sides on the wire clock, every word, and what happened.

use std::time::Duration;

use openai_inbound_calls::call::ledger::Bill;
use openai_inbound_calls::call::record::{Entry, EventKind, ToolEntry};
use openai_inbound_calls::call::transcript::{Speaker, Utterance};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Fault, FaultKind, Trigger, pattern};
use openai_inbound_calls::units::Milliseconds;

use super::world::{MS, World};

/// The recording of one call, and what it must be compared with.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) entries: Vec<Entry>,
    /// What left for the caller, placed by the RTP timestamps.
    left: Vec<u8>,
    last_timestamp: Option<u32>,
}

impl Recorded {
    pub(crate) fn take(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// A packet left.
    pub(crate) fn left(&mut self, packet: &[u8]) {
        let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        if let Some(last) = self.last_timestamp.replace(timestamp) {
            let skipped = timestamp.wrapping_sub(last) as usize - 160;
            self.left.resize(self.left.len() + skipped, 0xFF);
        }
        self.left.extend(&packet[12..]);
    }

    /// The assistant's sound as it came from the server.
    pub(crate) fn chunks(&self) -> Vec<u8> {
        let chunk = |entry: &Entry| if let Entry::Delta(bytes) = entry { bytes.to_vec() } else { Vec::new() };
        self.entries.iter().flat_map(chunk).collect()
    }

    /// The sound, side by side: caller, assistant.
    fn sound(&self) -> (Vec<u8>, Vec<u8>) {
        let mut stereo = Vec::new();
        for entry in &self.entries {
            match entry {
                Entry::Sound(sound) => stereo.extend_from_slice(sound),
                Entry::Silence { frames } => stereo.resize(stereo.len() + *frames as usize * 320, 0xFF),
                _ => {}
            }
        }
        stereo.chunks(2).map(|both| (both[0], both[1])).unzip()
    }

    /// Once the call is over: what the caller heard is in the recording, every frame at its place.
    pub(crate) fn hold(&self) {
        let (caller, assistant) = self.sound();
        assert_eq!(caller.len(), assistant.len());
        let (heard, rest) = assistant.split_at(self.left.len().min(assistant.len()));
        assert!(heard == self.left, "what was recorded is not what was heard");
        assert!(rest.iter().all(|byte| *byte == 0xFF), "more was recorded than was heard");
    }

    pub(crate) fn words(&self) -> Vec<Utterance> {
        let mut words: Vec<Utterance> = Vec::new();
        for entry in &self.entries {
            match entry {
                Entry::Utterance { utterance, .. } => {
                    words.retain(|known| known.item != utterance.item);
                    words.push(utterance.clone());
                }
                Entry::Forgotten(item) => words.retain(|known| known.item != *item),
                _ => {}
            }
        }
        words
    }

    /// When the call ended; it may have taken longer to be over.
    pub(crate) fn ended_at(&self) -> Option<Duration> {
        self.entries.iter().find_map(|entry| match entry {
            Entry::Event { at, kind: EventKind::Ended, .. } => Some(*at),
            _ => None,
        })
    }

    /// The last bill.
    pub(crate) fn bill(&self) -> Option<&Bill> {
        self.entries.iter().rev().find_map(|entry| match entry {
            Entry::Usage(bill) => Some(bill),
            _ => None,
        })
    }

    pub(crate) fn tools(&self) -> Vec<ToolEntry> {
        let tool = |entry: &Entry| if let Entry::Tool(tool) = entry { Some((**tool).clone()) } else { None };
        self.entries.iter().filter_map(tool).collect()
    }

    pub(crate) fn events(&self) -> Vec<EventKind> {
        let kind = |entry: &Entry| match entry {
            Entry::Event { kind, .. } => Some(*kind),
            _ => None,
        };
        self.entries.iter().filter_map(kind).collect()
    }
}

/// Speech without the silence around it.
fn loud(sound: &[u8]) -> Vec<u8> {
    sound.iter().copied().filter(|byte| *byte != 0xFF).collect()
}

#[test]
fn every_frame_said_and_heard_is_on_the_tape_at_its_place() {
    let mut world = World::new();
    world.model(|script| script.answers = vec![Answer::pattern("Bien.", 6_000, 2)]);
    let heard = Step::AfterHearing(1_000 * MS);
    let steps = [Step::Pause(500 * MS), heard.clone(), Step::Say(pattern(1_200, 100)), heard];
    world.dial(
        [steps.to_vec(), vec![Step::Say(pattern(800, 101)), Step::Pause(2_000 * MS), Step::HangUp]].concat(),
    );
    world.run_to(14_000);
    let recorded = &world.tasks[0].recorded;
    recorded.hold();
    let (caller, assistant) = recorded.sound();
    assert_eq!(loud(&caller), [pattern(1_200, 100), pattern(800, 101)].concat());
    assert_eq!(loud(&assistant), world.heard(0));
    let deltas: usize = recorded
        .entries
        .iter()
        .map(|entry| if let Entry::Delta(bytes) = entry { bytes.len() } else { 0 })
        .sum();
    assert!(
        deltas > loud(&assistant).len(),
        "what the model sent is kept whole, though the caller cut it off"
    );
    // The caller begins where he was heard to: a frame of network and one of tick apart at most.
    let began = caller.iter().position(|byte| *byte != 0xFF).expect("he spoke") as u64 / 8;
    let first = recorded.words().into_iter().find(|word| word.speaker == Speaker::Caller).expect("his words");
    let said = first.began.expect("a beginning").as_millis() as u64;
    assert!(said.abs_diff(began) < 400, "the words begin at {said} ms, the sound at {began} ms");
}

#[test]
fn words_are_told_with_their_times_and_what_was_heard_of_them() {
    let mut world = World::new();
    world.model(|script| script.answers = vec![Answer::pattern("Una respuesta larga.", 6_000, 2)]);
    let hear = Step::AfterHearing(1_000 * MS);
    world.dial(vec![
        Step::Pause(3_000 * MS),
        Step::Say(pattern(800, 100)),
        hear,
        Step::Say(pattern(800, 101)),
        Step::WaitForSpeech { at_most: 4_000 * MS },
        Step::HangUp,
    ]);
    world.run_to(14_000);
    let recorded = &world.tasks[0].recorded;
    let words = recorded.words();
    let cut: Vec<_> = words.iter().filter(|word| word.heard.is_some()).collect();
    assert_eq!(cut.len(), 2, "by the caller's voice, and by their hanging up: {words:?}");
    assert_eq!(cut[0].text, "Una respuesta larga.");
    for word in cut {
        assert_eq!(word.length().map(Milliseconds::from), word.heard);
    }
    assert!(words.iter().all(|word| word.text.is_empty() || word.began.is_some()), "{words:?}");
    let events = recorded.events();
    for kind in [
        EventKind::MediaStarted,
        EventKind::Connected,
        EventKind::Configured,
        EventKind::Interrupted,
        EventKind::Ended,
    ] {
        assert!(events.contains(&kind), "no {kind:?} in {events:?}");
    }
}

#[test]
fn the_last_words_are_waited_for_when_the_caller_hangs_up() {
    let late = |ms: u32| {
        let mut world = World::new();
        world.model(|script| {
            script.faults = vec![Fault::new(Trigger::OnTurn(1), FaultKind::TranscriptLate(MS * ms))];
            script.transcripts = vec!["Adiós.".into()];
        });
        world.dial(vec![
            Step::Pause(3_000 * MS),
            Step::Say(pattern(800, 100)),
            Step::Pause(700 * MS),
            Step::HangUp,
        ]);
        world.run_to(14_000);
        let words = world.tasks[0].recorded.words();
        (world.tasks[0].report.is_some(), words.iter().any(|word| word.text == "Adiós."))
    };
    assert_eq!(late(1_000), (true, true));
    assert_eq!(late(9_000), (true, false), "not for ever");
}

/// Of an answer that the end of the call cuts off, the recording tells when it began and how much of it was heard. What
/// nobody has heard is not in it.
#[test]
fn an_answer_that_the_end_cuts_off_is_recorded_as_far_as_it_was_heard() {
    let mut world = World::new();
    world.set(|settings| settings.greeting = None);
    let answer = Answer::pattern("Una respuesta larga.", 3_000, 2).and(Answer::pattern("Y otra.", 2_000, 3));
    world.model(|script| script.answers = vec![answer]);
    world.dial(vec![
        Step::Pause(300 * MS),
        Step::Say(pattern(600, 101)),
        Step::AfterHearing(1_000 * MS),
        Step::HangUp,
    ]);
    world.run_to(9_000);
    let heard = world.heard_of(0, &pattern(3_000, 2));
    let words = world.tasks[0].recorded.words();
    let answers: Vec<_> = words.iter().filter(|said| said.speaker == Speaker::Assistant).collect();
    let [answer] = answers[..] else { panic!("{words:?}") };
    assert_eq!(
        (answer.text.as_str(), answer.heard),
        ("Una respuesta larga.", Some(Milliseconds::new(heard)))
    );
    assert_eq!(answer.length(), Some(Duration::from_millis(heard)));
    assert!((900..1_200).contains(&heard), "{heard}");
}
