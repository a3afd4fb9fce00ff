//! Judges a call of the demonstration by the audio at the phone, by the strict fake server and by the appointments of the clinic,
//! and measures how long the caller waited. The module is pure: recorded data goes in, lines come out. What a call by the SIP route
//! leaves elsewhere is judged in `sip`.

pub(super) mod sip;

use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset};

use super::clinic::Booking;
use super::story::{Run, Runs};
use super::words::{self, Clip, seconds};
use crate::media::{FRAME_BYTES, FRAME_DURATION, frame};
use crate::operator::Language;
use crate::sim::caller::Caller;
use crate::sim::live::realtime::LiveSession;
use crate::sim::realtime::What;

/// The tolerated difference between `audio_end_ms` and the audio that the phone received: one frame.
const TOLERANCE_MS: u64 = 20;

/// The recorded data of a call.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) answered_at: Option<Instant>,
    /// The audio of both sides on one timeline.
    pub(super) said: Vec<u8>,
    pub(super) heard: Vec<u8>,
    /// The start of that timeline.
    pub(super) born: Option<Instant>,
    /// The audio that the model received.
    pub(super) appended: Vec<u8>,
    pub(super) truncated_ms: Vec<u64>,
    pub(super) violations: Vec<String>,
    /// The channels and bridges that still exist.
    pub(super) left: Vec<String>,
    /// Whether the caller reached the end of their script and hung up.
    pub(super) finished: bool,
    /// What the clinic has booked.
    pub(super) bookings: Vec<Booking>,
    /// The time that the caller wanted.
    pub(super) wish: Option<DateTime<FixedOffset>>,
}

impl Evidence {
    /// Adds the data of the phone.
    pub(super) fn of_phone(&mut self, phone: &Caller, born: Instant) {
        self.said = phone.said_audio().to_vec();
        self.heard = phone.heard_audio();
        self.born = Some(born);
        self.finished = phone.finished();
    }

    /// Adds the data of the session.
    pub(super) fn of_session(&mut self, session: &LiveSession) {
        self.appended = session.appended();
        self.violations = session.violations();
        self.truncated_ms = session
            .journal()
            .into_iter()
            .filter_map(|fact| match fact.what {
                What::Truncated { audio_end_ms, .. } => Some(audio_end_ms),
                _ => None,
            })
            .collect();
    }

    fn runs(&self, side: &[u8]) -> Vec<Run> {
        let Some(born) = self.born else { return Vec::new() };
        let frames = side.chunks(FRAME_BYTES).enumerate();
        Runs::of(frames.map(|(n, frame)| (born + FRAME_DURATION * n as u32, frame)))
    }
}

/// One check and its result.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) passed: bool,
    pub(super) text: String,
}

/// The checks of all conditions that must hold.
pub(super) fn checks(evidence: &Evidence, language: Language) -> Vec<Check> {
    let whole = [
        (&words::GREETING, "el saludo", "the greeting"),
        (&words::CONFIRM, "la pregunta antes de reservar", "the question before the booking"),
        (&words::WEDNESDAY, "la confirmación", "the confirmation"),
        (&words::GOODBYE, "la despedida", "the goodbye"),
    ];
    let mut checks = heard_whole(evidence, &whole, language);
    let question = language
        .choose("OpenAI recibió la pregunta, muestra a muestra", "OpenAI got the question, sample by sample");
    let passed = contains(&evidence.appended, words::QUESTION.sound);
    checks.push(Check { passed, text: question.to_owned() });
    checks.push(barge_in(evidence, language));
    checks.extend(nothing_wrong(evidence, language));
    checks.push(booking(evidence, language));
    checks
}

/// Whether the caller heard all of these sentences, each with its Spanish and its English name.
fn heard_whole(evidence: &Evidence, whole: &[(&Clip, &str, &str)], language: Language) -> Vec<Check> {
    let check = |(clip, spanish, english): &(&Clip, &str, &str)| {
        let length = seconds(language, Duration::from_millis(frame::ms_of(clip.sound.len() as u64)));
        let text = match language {
            Language::Spanish => {
                format!("el llamante oyó entero {spanish}, muestra a muestra ({length} s)")
            }
            Language::English => {
                format!("the caller heard all of {english}, sample by sample ({length} s)")
            }
        };
        Check { passed: contains(&evidence.heard, clip.sound), text }
    };
    whole.iter().map(check).collect()
}

/// Whether the model was told as much of its interrupted answer as the caller had heard.
fn barge_in(evidence: &Evidence, language: Language) -> Check {
    let heard = heard_ms(&evidence.heard, words::OFFER.sound);
    let told = evidence.truncated_ms.first().copied();
    let told_text = told.map_or("-".to_owned(), |ms| ms.to_string());
    let interrupted = evidence.truncated_ms.len() == 1 && heard > 0;
    Check {
        passed: interrupted && told.is_some_and(|told| told.abs_diff(heard) <= TOLERANCE_MS),
        text: match language {
            Language::Spanish => {
                format!(
                    "interrupción: audio_end_ms = {told_text}; el teléfono oyó {heard} ms (± {TOLERANCE_MS})"
                )
            }
            Language::English => {
                format!("barge-in: audio_end_ms = {told_text}; the phone heard {heard} ms (± {TOLERANCE_MS})")
            }
        },
    }
}

/// Whether the time that the caller wanted was booked once and after their yes, although the first answer of the clinic was lost
/// and the daemon had to send the request twice.
fn booking(evidence: &Evidence, language: Language) -> Check {
    let runs = evidence.runs(&evidence.said);
    // The caller asks, interrupts and agrees.
    let yes = runs.get(2).map(|run| run.began);
    let passed = match evidence.bookings.as_slice() {
        [only] => {
            Some(only.start) == evidence.wish
                && only.asked == 2
                && yes.is_some_and(|yes| only.first_asked > yes)
        }
        _ => false,
    };
    let (count, requests) =
        (evidence.bookings.len(), evidence.bookings.iter().map(|one| one.asked).sum::<u32>());
    let text = match language {
        Language::Spanish => format!(
            "la cita pedida se reservó una sola vez, después del sí (reservas: {count}; peticiones: {requests})"
        ),
        Language::English => format!(
            "the wanted time was booked exactly once, after the yes (bookings: {count}; requests: {requests})"
        ),
    };
    Check { passed, text }
}

/// Whether the strict server complained, whether anything is left in Asterisk, and whether the caller finished.
fn nothing_wrong(evidence: &Evidence, language: Language) -> [Check; 3] {
    let listed =
        |all: &[String]| if all.is_empty() { String::new() } else { format!(": {}", all.join("; ")) };
    let (faults, left) = (listed(&evidence.violations), listed(&evidence.left));
    let (server, asterisk) = match language {
        Language::Spanish => (
            format!("el OpenAI simulado, que es estricto, no halló errores en lo que recibió{faults}"),
            format!("no queda nada en Asterisk{left}"),
        ),
        Language::English => (
            format!("the simulated OpenAI, which is strict, found no error in what it got{faults}"),
            format!("nothing is left in Asterisk{left}"),
        ),
    };
    let caller =
        language.choose("el llamante llegó al final y colgó", "the caller came to the end and hung up");
    [
        Check { passed: faults.is_empty(), text: server },
        Check { passed: left.is_empty(), text: asterisk },
        Check { passed: evidence.finished, text: caller.to_owned() },
    ]
}

/// A delay that a caller notices: its name and its duration. None: there was none.
pub(super) type Delay = (&'static str, Option<Duration>);

/// The delays of a call.
pub(super) fn delays(evidence: &Evidence, language: Language) -> Vec<Delay> {
    let (caller, assistant) = (evidence.runs(&evidence.said), evidence.runs(&evidence.heard));
    let after = |from: Instant| assistant.iter().find(|run| run.began >= from).map(|run| run.began - from);
    let first_word = evidence.answered_at.and_then(after);
    let answer = caller.first().and_then(|question| after(question.ended));
    // The run of the assistant that was audible when the caller started to speak.
    let silence = caller.get(1).and_then(|interruption| {
        let cut =
            assistant.iter().find(|run| run.began < interruption.began && run.ended > interruption.began)?;
        Some(cut.ended - interruption.began)
    });
    vec![
        (language.choose("respuesta → primera palabra", "answer → first word"), first_word),
        (language.choose("fin de la pregunta → respuesta", "end of the question → answer"), answer),
        (language.choose("interrupción → silencio", "barge-in → silence"), silence),
    ]
}

/// The length of the start of `clip` that occurs in `heard`, in milliseconds.
fn heard_ms(heard: &[u8], clip: &[u8]) -> u64 {
    let Some(beginning) = clip.get(..FRAME_BYTES * 10) else { return 0 };
    let longest = heard
        .windows(beginning.len())
        .enumerate()
        .filter(|(_, window)| *window == beginning)
        .map(|(at, _)| heard[at..].iter().zip(clip).take_while(|(one, other)| one == other).count())
        .max();
    frame::ms_of(longest.unwrap_or(0) as u64)
}

fn contains(sound: &[u8], clip: &[u8]) -> bool {
    sound.windows(clip.len()).any(|window| window == clip)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of a call in which every check passes.
    fn evidence() -> Evidence {
        let silence = vec![0xFF; 4_000];
        let pause = vec![0xFF; 8_000];
        let cut = &words::OFFER.sound[..160 * 50];
        let said =
            [words::QUESTION.sound, &pause, words::INTERRUPTION.sound, &pause, words::YES.sound].concat();
        let (born, wish) = (crate::clock::now(), words::wish(crate::clock::wall()));
        let first_asked = born + Duration::from_millis(frame::ms_of(said.len() as u64));
        Evidence {
            heard: [
                &silence,
                words::GREETING.sound,
                cut,
                &silence,
                words::CONFIRM.sound,
                words::WEDNESDAY.sound,
                words::GOODBYE.sound,
            ]
            .concat(),
            said,
            born: Some(born),
            appended: [&silence, words::QUESTION.sound, &silence].concat(),
            truncated_ms: vec![990],
            finished: true,
            bookings: vec![Booking { start: wish.expect("a time"), asked: 2, first_asked }],
            wish,
            ..Evidence::default()
        }
    }

    fn failed(evidence: &Evidence) -> Vec<usize> {
        let checks = checks(evidence, Language::English);
        checks.iter().enumerate().filter(|(_, check)| !check.passed).map(|(n, _)| n).collect()
    }

    #[test]
    fn every_check_can_fail() {
        assert_eq!(failed(&evidence()), Vec::<usize>::new());
        let mut bad = evidence();
        bad.heard[4_000 + 10] ^= 1;
        assert_eq!(failed(&bad), [0], "one sample of the greeting");
        let bad = Evidence { truncated_ms: vec![960], ..evidence() };
        assert_eq!(failed(&bad), [5], "40 ms beside it");
        let bad = Evidence { truncated_ms: vec![], appended: vec![], ..evidence() };
        assert_eq!(failed(&bad), [4, 5]);
        let bad = Evidence {
            violations: vec!["x".into()],
            left: vec!["oic-media-1".into()],
            finished: false,
            ..evidence()
        };
        assert_eq!(failed(&bad), [6, 7, 8]);
        assert_eq!(failed(&Evidence { finished: true, ..Evidence::default() }), [0, 1, 2, 3, 4, 5, 9]);
    }

    #[test]
    fn only_one_booking_of_the_wanted_time_after_the_yes_is_right() {
        let right = evidence().bookings[0];
        let (born, other) = (evidence().born.expect("an instant"), right.start + Duration::from_mins(75));
        for (bookings, fault) in [
            (vec![], "no booking"),
            (vec![right, right], "two bookings"),
            (vec![Booking { start: other, ..right }], "another time"),
            (vec![Booking { asked: 1, ..right }], "the lost answer was taken for an answer"),
            (vec![Booking { first_asked: born, ..right }], "before the yes"),
        ] {
            assert_eq!(failed(&Evidence { bookings, ..evidence() }), [9], "{fault}");
        }
    }
}
