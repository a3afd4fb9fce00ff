//! The texts of the demonstration: the sentences of the two voices, and the functions that print in two
//! languages.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta};
use serde_json::json;

use super::clinic;
use crate::operator::Language;
use crate::sim::caller::Step;
use crate::sim::openai_calls::{self, Say};
use crate::sim::realtime::{Answer, Script};

/// One spoken sentence.
pub(super) struct Clip {
    pub(super) text: &'static str,
    pub(super) sound: &'static [u8],
}

macro_rules! clip {
    ($file:literal, $text:literal) => {
        Clip { text: $text, sound: include_bytes!(concat!("../sim/speech/", $file, ".ulaw")) }
    };
}

pub(super) const QUESTION: Clip =
    clip!("caller_question", "Hola, buenas tardes. Quiero agendar una cita para el martes, por favor.");
pub(super) const INTERRUPTION: Clip = clip!("caller_interrupt", "Perdón, mejor el miércoles.");
pub(super) const YES: Clip = clip!("caller_yes", "Sí, por favor.");
pub(super) const THANKS: Clip = clip!("caller_thanks", "Muchas gracias, hasta luego.");
/// The greeting in the file of the agent, with the name that the look-up finds.
pub(super) const GREETING: Clip =
    clip!("assistant_clinic", "Clínica Sol, Ana Gómez. ¿En qué le puedo ayudar?");
pub(super) const OFFER: Clip = clip!(
    "assistant_offer",
    "Con mucho gusto. Para el martes tengo tres horarios libres: a las nueve y media de la mañana, a las doce del \
     día, y a las cuatro y cuarto de la tarde. ¿Cuál le queda mejor?"
);
pub(super) const CONFIRM: Clip = clip!(
    "assistant_confirm",
    "El miércoles hay hora a las tres de la tarde. ¿La reservo a nombre de Ana Gómez?"
);
pub(super) const WEDNESDAY: Clip =
    clip!("assistant_wednesday", "Claro. Su cita queda para el miércoles a las tres de la tarde.");
pub(super) const GOODBYE: Clip = clip!("assistant_goodbye", "Con mucho gusto. Que tenga un buen día.");

/// What is said before a transfer.
pub(super) const TRANSFER: Clip =
    clip!("assistant_transfer", "Con mucho gusto. Le comunico con una persona.");
/// Whom the assistant may transfer to by the SIP route, and where in the dialplan that person is.
pub(super) const PERSON: &str = "recepcion";
pub(super) const PERSONS_PLACE: &str = "from-internal,200,1";
/// The key that the caller presses.
pub(super) const KEY: char = '0';

/// How much of the offer the caller hears before they interrupt.
const PATIENCE: Duration = Duration::from_millis(2_300);

/// The caller waits until the assistant has spoken.
fn listen() -> [Step; 2] {
    [
        Step::WaitForSpeech { at_most: Duration::from_secs(10) },
        Step::WaitForSilence { quiet: Duration::from_millis(600), at_most: Duration::from_secs(15) },
    ]
}

/// The script of the caller: listen, ask, interrupt the answer, listen, agree, listen, say thanks, listen, hang up.
pub(super) fn caller() -> Vec<Step> {
    let say = |clip: &Clip| Step::Say(Arc::from(clip.sound));
    let mut steps = listen().to_vec();
    steps.extend([say(&QUESTION), Step::AfterHearing(PATIENCE), say(&INTERRUPTION)]);
    for clip in [&YES, &THANKS] {
        steps.extend(listen());
        steps.push(say(clip));
    }
    steps.extend(listen());
    steps.push(Step::HangUp);
    steps
}

/// The time that the caller books: Wednesday at three in the afternoon, the day after the Tuesday that they asked for.
pub(super) fn wish(now: DateTime<FixedOffset>) -> Option<DateTime<FixedOffset>> {
    clinic::start(clinic::next_tuesday(now) + TimeDelta::days(1), 15, 0)
}

/// The script of the model: its answers, its calls of tools and its transcripts. The first `book` comes before the caller has
/// agreed and must not be carried out.
pub(super) fn model(key: &str, now: DateTime<FixedOffset>) -> Script {
    let say = |clip: &Clip| Answer::speech(clip.text, Arc::from(clip.sound));
    let tuesday = clinic::next_tuesday(now);
    let look =
        |day: chrono::NaiveDate| Answer::call("free_slots", &json!({"day": day.to_string()}).to_string());
    let start = wish(now).map(clinic::text);
    let book = Answer::call("book", &json!({"start": start, "name": "Ana Gómez"}).to_string());
    let heard = [&QUESTION, &INTERRUPTION, &YES, &THANKS];
    Script {
        key: Some(key.to_owned()),
        greeting: Some(say(&GREETING)),
        answers: vec![
            look(tuesday),
            say(&OFFER),
            look(tuesday + TimeDelta::days(1)),
            book.clone(),
            say(&CONFIRM),
            book,
            say(&WEDNESDAY),
            say(&GOODBYE),
        ],
        // The audio arrives slowly enough for the interruption to come while the response is still being
        // produced.
        burst: 3.0,
        // Before the answer, so that the screen shows the words before what they cause.
        transcript_delay: Duration::from_millis(200),
        transcripts: heard.map(|clip| clip.text.to_owned()).to_vec(),
        ..Script::default()
    }
}

/// A call by the SIP route.
pub(super) struct Scene {
    pub(super) script: openai_calls::Script,
    pub(super) caller: Vec<Step>,
    /// Whether a second caller comes meanwhile, for whom there is no room.
    pub(super) is_second_refused: bool,
}

/// The same call as by the media route.
pub(super) fn booking(secret: &[u8], key: &str, now: DateTime<FixedOffset>) -> Scene {
    let tuesday = clinic::next_tuesday(now);
    let look = |day: chrono::NaiveDate| {
        Say::Calls("free_slots".to_owned(), json!({"day": day.to_string()}).to_string())
    };
    let start = wish(now).map(clinic::text);
    let book = Say::Calls("book".to_owned(), json!({"start": start, "name": "Ana Gómez"}).to_string());
    let says = vec![
        said(&GREETING),
        look(tuesday),
        said(&OFFER),
        look(tuesday + TimeDelta::days(1)),
        book.clone(),
        said(&CONFIRM),
        book,
        said(&WEDNESDAY),
        said(&GOODBYE),
    ];
    let hears = [&QUESTION, &INTERRUPTION, &YES, &THANKS].map(|clip| clip.text.to_owned()).to_vec();
    let script = openai_calls::Script { says, hears, ..openai_calls::Script::new(secret, key) };
    Scene { script, caller: caller(), is_second_refused: false }
}

/// A call whose caller presses a key after the greeting, and is transferred to a person.
pub(super) fn transfer(secret: &[u8], key: &str) -> Scene {
    let arguments = json!({"destination": PERSON, "summary": "Quiere hablar con una persona."}).to_string();
    let sound = Arc::from(TRANSFER.sound);
    let transfers =
        Say::SpeechAndCalls(TRANSFER.text.to_owned(), sound, "transfer_call".to_owned(), arguments);
    let says = vec![said(&GREETING), transfers];
    let script = openai_calls::Script { says, ..openai_calls::Script::new(secret, key) };
    let mut caller = listen().to_vec();
    // The person at the other end of the transfer is not there; whoever is not transferred hangs up in the end.
    caller.extend([Step::Press(KEY), Step::Pause(Duration::from_secs(20)), Step::HangUp]);
    Scene { script, caller, is_second_refused: true }
}

fn said(clip: &Clip) -> Say {
    Say::Speech(clip.text.to_owned(), Arc::from(clip.sound))
}

/// A duration in seconds with two decimals: `2,98` or `2.98`.
pub(super) fn seconds(language: Language, time: Duration) -> String {
    language.decimal(time.as_secs_f64(), 2)
}
