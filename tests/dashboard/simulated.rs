//! Tests of the real program between the fakes: a call from a simulated phone, seen on the page that the
//! program serves.

use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Script};
use tokio::runtime::Runtime;

use crate::browser::{Browser, With};
use crate::phones;
use crate::world::until;

const GREETING: (&str, &[u8]) =
    ("Hola, gracias por llamar.", include_bytes!("../../src/sim/speech/assistant_greeting.ulaw"));
const OFFER: (&str, &[u8]) = (
    "Con mucho gusto. Para el martes tengo tres horarios libres: a las nueve, a las doce y a las cuatro.",
    include_bytes!("../../src/sim/speech/assistant_offer.ulaw"),
);
const WEDNESDAY: (&str, &[u8]) = (
    "Claro. Su cita queda para el miércoles.",
    include_bytes!("../../src/sim/speech/assistant_wednesday.ulaw"),
);
const QUESTION: (&str, &[u8]) =
    ("Quiero agendar una cita.", include_bytes!("../../src/sim/speech/caller_question.ulaw"));
/// The transcript of the interruption is a script, because a transcript may be any text.
const INTERRUPTION: (&str, &[u8]) =
    ("<script>window.hacked = 1</script>", include_bytes!("../../src/sim/speech/caller_interrupt.ulaw"));

/// A model that greets, makes an offer, is interrupted and agrees.
fn model() -> Script {
    let say = |(text, sound): (&str, &'static [u8])| Answer::speech(text, Arc::from(sound));
    Script {
        greeting: Some(say(GREETING)),
        answers: vec![say(OFFER), say(WEDNESDAY)],
        // The audio arrives slowly enough for the interruption to come while the response is still being
        // produced.
        burst: 3.0,
        transcripts: [QUESTION, INTERRUPTION].map(|(text, _)| text.to_owned()).to_vec(),
        ..Script::default()
    }
}

fn caller() -> Vec<Step> {
    let say = |(_, sound): (&str, &'static [u8])| Step::Say(Arc::from(sound));
    let quiet = Duration::from_millis(600);
    let [speech, _] = phones::listen();
    let listen = || [speech.clone(), Step::WaitForSilence { quiet, at_most: Duration::from_secs(20) }];
    let question = [say(QUESTION), Step::AfterHearing(Duration::from_millis(2_300)), say(INTERRUPTION)];
    [&listen()[..], &question, &listen()[..], &[Step::HangUp]].concat()
}

/// The address that the program's log names.
fn site(runtime: &Runtime, program: &phones::Program) -> String {
    runtime.block_on(program.says("INFO", "API de grabaciones disponible en http://"));
    let log = program.log();
    let (_, rest) = log.rsplit_once("API de grabaciones disponible en ").expect("it was said");
    rest.split_whitespace().next().expect("an address").to_owned()
}

#[test]
fn a_call_that_runs_is_on_now_until_a_supervisor_hangs_up() {
    let (runtime, world, program) = stage();
    let Some(browser) = Browser::new(&site(&runtime, &program), With::default()) else { return };
    browser.go("/");
    browser.shows(".note", "There are no calls now.");
    let stays = [&phones::listen()[..], &[Step::Pause(Duration::from_mins(1))]].concat();
    let call = world.call(stays);
    browser.shows(".call .words", GREETING.0);
    browser.until("document.querySelector('.level.assistant').getAttribute('aria-valuenow') > -60");
    browser.shows("#count", "1 call running");
    let greeting = "document.querySelector('.figures dd').textContent";
    browser.until(&format!("{greeting}.endsWith('ms') || {greeting}.endsWith(' s')"));
    browser.picture("simulated-now");
    browser.press(".call", "Hang up");
    browser.press("dialog", "Hang up");
    runtime.block_on(world.over(call));
    browser.shows(".note", "There are no calls now.");
    browser.go("/#/calls");
    browser.shows("tbody tr", "a supervisor hung up");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// The program between the fakes.
fn stage() -> (Runtime, phones::World, phones::Program) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (world, program) = runtime.block_on(async {
        let world = phones::World::new(model());
        let program = world.program(&[]).await;
        (world, program)
    });
    (runtime, world, program)
}

#[test]
fn a_call_is_seen_from_the_telephone_to_the_page() {
    let (runtime, world, program) = stage();
    let Some(browser) = Browser::new(&site(&runtime, &program), With::default()) else { return };
    browser.go("/#/calls");
    browser.shows(".note", "There are no such calls.");
    let seen = |selector: &str| {
        browser.click("form .primary");
        browser.until("document.querySelector('#found').ariaBusy === 'false'");
        browser.count(selector) == 1
    };
    let call = world.call(caller());
    until("the call is listed while it runs", || seen("tr .live"));
    runtime.block_on(world.over(call));
    until("the call is listed when it is over", || seen("tr:not(:has(.live)) td:first-child a"));
    browser.shows("tbody tr", "the caller hung up");

    browser.click("tbody tr a");
    browser.until("document.querySelector('.wave')?.dataset.drawn === 'true'");
    // The page shows as much of the offer as the model had produced.
    let offered = "Con mucho gusto. Para el martes tengo";
    for text in [GREETING.0, QUESTION.0, offered, INTERRUPTION.0, WEDNESDAY.0] {
        browser.shows(".transcript .text", text);
    }
    assert_eq!((browser.count(".cut"), browser.count(".unheard")), (1, 1), "the offer was cut off");
    assert_eq!(browser.run("return typeof window.hacked", &[]), "undefined");
    browser.shows(".events", "interruption");
    browser.click(".transcript li:last-child button");
    browser
        .until("!document.querySelector('audio').paused && document.querySelector('audio').currentTime > 1");
    browser.shows(".line[aria-current]", WEDNESDAY.0);
    browser.picture("simulated");

    browser.press("main", "Delete");
    browser.press("dialog", "Delete");
    browser.shows(".note", "The recording was deleted.");
    let left = std::fs::read_dir(world.recordings.path()).expect("a folder").flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name().into_string().expect("text")).collect();
    assert!(!left.iter().any(|name| name.starts_with("20")), "{left:?}");
    browser.click("nav a[href='#/usage']");
    browser.until("document.querySelector('#plots')?.dataset.drawn === 'day'");
    assert_eq!(browser.texts(".facts.large dd")[0], "1");
    assert_eq!(browser.complaints(), [""; 0]);
}
