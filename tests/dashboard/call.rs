//! Tests of the page of one call: its audio, its words, its events and its deletion.

use serde_json::{Value, json};

use crate::browser::{Browser, With};
use crate::world::{ID, Setting, World, conversation, recorded_row, row};

fn recorded() -> Option<World> {
    World::new(Setting {
        rows: vec![recorded_row()],
        conversation: Some(conversation()),
        ..Setting::default()
    })
}

/// The position of the player in seconds.
fn at(browser: &Browser) -> f64 {
    browser.run("return document.querySelector('audio').currentTime", &[]).as_f64().expect("a number")
}

fn open(browser: &Browser) {
    browser.go(&format!("/#/call/{ID}"));
    browser.until("document.querySelector('.wave')?.dataset.drawn === 'true'");
    browser.until("document.querySelector('audio').readyState >= 1");
}

#[test]
fn both_sides_are_drawn_where_they_spoke() {
    let Some(world) = recorded() else { return };
    let browser = &world.browser;
    open(browser);
    // The number of pixels that are drawn in a column, at a given second of each side: speech is high,
    // silence is a line.
    let tall = |seconds: f64, side: u32| {
        let script = "const c = document.querySelector('canvas'); const x = Math.floor((arguments[0] / 22.5) * c.width); \
            const lane = c.height / 2; let tall = 0; \
            for (let n = x - 8; n < x + 8; n += 1) { \
                const column = c.getContext('2d').getImageData(n, arguments[1] * lane, 1, lane).data; \
                tall = Math.max(tall, column.filter((value, at) => at % 4 === 3 && value > 0).length) } \
            return tall";
        browser.until("document.querySelector('canvas').width > 400");
        browser.run(script, &[json!(seconds), json!(side)]).as_u64().expect("a number")
    };
    browser.until("document.querySelector('canvas').getContext('2d').getImageData(1, 0, 1, 130).data.some((value) => value > 0)");
    let spoke: Vec<_> =
        [1.5, 5.0, 10.0, 16.0, 19.0].map(|second| (tall(second, 0) > 10, tall(second, 1) > 10)).into();
    assert_eq!(spoke, [(false, true), (true, false), (false, true), (false, true), (true, false)]);
    browser.picture("call");
    browser.looks(With { width: 360, dark: true, ..With::default() });
    browser.until("document.querySelector('canvas').width < 360");
    browser.picture("call-dark-360");
}

#[test]
fn the_sound_plays_from_any_line_and_lights_it() {
    let Some(world) = recorded() else { return };
    let browser = &world.browser;
    open(browser);
    assert_eq!(browser.count(".transcript li"), 7);
    browser.click(".transcript li:nth-child(4) button");
    browser.until(
        "document.querySelector('audio').currentTime >= 12 && !document.querySelector('audio').paused",
    );
    browser.shows(".line[aria-current]", "Perdón, mejor el miércoles.");
    // The player continues, and so does the highlighted line.
    browser.until("document.querySelector('audio').currentTime > 14.6");
    browser.shows(".line[aria-current]", "Claro. El miércoles");
    browser.run("document.querySelector('audio').pause()", &[]);

    // The drawing is used by mouse and by keyboard.
    browser.click(".wave");
    browser.until("Math.abs(document.querySelector('audio').currentTime - 11.25) < 0.1");
    assert_eq!(browser.count(".line[aria-current]"), 1);
    let middle = at(browser);
    let slider = || browser.run("return document.querySelector('.wave').getAttribute('aria-valuetext')", &[]);
    assert_eq!(slider(), "0:11 / 0:22");
    browser.keys(&["\u{E014}"]);
    assert!((at(browser) - middle - 5.0).abs() < 0.01, "an arrow goes 5 s on");
    browser.keys(&["\u{E012}", "\u{E012}"]);
    assert!((at(browser) - middle + 5.0).abs() < 0.01, "and back");
    browser.keys(&["\u{E011}"]);
    assert!(at(browser) < 0.01);
    assert_eq!(slider(), "0:00 / 0:22");
    browser.keys(&[" "]);
    browser.until(
        "!document.querySelector('audio').paused && document.querySelector('audio').currentTime > 0.1",
    );
    browser.keys(&[" "]);
    browser.until("document.querySelector('audio').paused");
    browser.keys(&["\u{E010}"]);
    assert!((at(browser) - 22.5).abs() < 0.1);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn what_was_not_heard_what_happened_and_how_fast_are_told() {
    let Some(world) = recorded() else { return };
    let browser = &world.browser;
    open(browser);
    let unheard = browser.texts(".unheard");
    assert!(unheard[0].starts_with(" y media de la mañana") && unheard.len() == 1, "{unheard:?}");
    assert_eq!(browser.texts(".cut"), ["interrupted: 4.1 s of 9.7 s were heard"]);
    let facts = browser.texts(".facts dd").join(" | ");
    for fact in [
        "0:22",
        "the caller hung up",
        "gpt-realtime-2.1",
        "USD\u{A0}0.0432",
        "1,600 read (600 of them cached), 490 made",
    ] {
        assert!(facts.contains(fact), "{fact} in {facts}");
    }
    assert_eq!(browser.texts(".events li b"), ["connected with OpenAI", "interruption", "end"]);
    let tools = browser.texts(".tools li");
    assert_eq!(tools.len(), 1);
    for part in ["0:09", "book", "done · 840 ms · 2 attempts", "Arguments", "What the model read"] {
        assert!(tools[0].contains(part), "{part} in {tools:?}");
    }
    browser.click(".tools details:nth-of-type(2) summary");
    browser.shows(".tools details[open] code", "{\"ok\":true,\"result\":{\"id\":4711}}");
    browser.click("details summary");
    let rows = browser.texts("details tbody tr:nth-child(2) td");
    assert_eq!(rows, ["0:13", "540 ms", "890 ms", "896 ms", "6 ms"]);
    assert_eq!(browser.count(".plot rect"), 9, "three turns of three parts");
    browser.click("details tbody tr:nth-child(2) button");
    browser.until("document.querySelector('audio').currentTime >= 13.6");
    browser.shows("ul.plain li", "0:12 180 ms");
    let links = "return [...document.querySelectorAll('a.button')].map((e) => new URL(e.href).pathname.split('/').pop())";
    assert_eq!(browser.run(links, &[]), json!(["audio", "conversation", "summary"]));
    // The number is in no address and in no title.
    let places = browser.run("return location.href + document.title", &[]);
    assert!(!places.as_str().expect("text").contains("3001234567"), "{places}");
}

#[test]
fn a_recording_is_deleted_when_that_has_been_asked_once() {
    let Some(world) = recorded() else { return };
    let browser = &world.browser;
    open(browser);
    browser.press("main", "Delete");
    browser.shows("dialog", "This cannot be undone.");
    browser.press("dialog", "Cancel");
    browser.until("!document.querySelector('dialog')");
    assert_eq!(world.files().len(), 4);
    browser.press("main", "Delete");
    browser.press("dialog", "Delete");
    browser.shows("#said", "Recording deleted.");
    browser.shows(".note", "The recording was deleted.");
    // The numbers are also erased from the call log.
    browser.shows("h1", "Number erased");
    assert_eq!((world.files().len(), browser.count("audio")), (0, 0));
}

#[test]
fn a_call_without_sound_words_or_row_says_so() {
    let old: Value = json!({"call_id": ID, "start_time": "2026-11-20T14:30:25.123456", "end_time": "x",
        "duration_seconds": 22.5, "total_messages": 1, "audio_chunks_count": 0,
        "conversation": [{"timestamp": "2026-11-20T14:30:26.000000", "speaker": "user", "text": "Hola",
            "type": "transcript_completed"}]});
    let rows = vec![recorded_row(), row("17.2", "100", "2026-11-20T19:30:25Z".parse().expect("a time"))];
    let Some(world) = World::new(Setting { rows, conversation: Some(old), ..Setting::default() }) else {
        return;
    };
    std::fs::remove_file(world.folder.path().join(format!("{}_audio.wav", crate::world::RECORDING)))
        .expect("removed");
    let browser = &world.browser;
    // This is the form of the original system: without times, events and latency.
    browser.go(&format!("/#/call/{ID}"));
    browser.shows(".transcript", "Hola");
    browser.shows(".note", "The sound of this call was not kept.");
    browser.go("/#/call/17.2");
    browser.shows(".note", "Nothing of this call was recorded.");
    for nowhere in ["/#/call/17.3", "/#/call/%2e%2e%2frecordings"] {
        browser.go(nowhere);
        browser.shows(".failure", "There is no call with this id");
    }
    for nothing in ["/#/call/", "/#/call/%ff"] {
        browser.go(nothing);
        browser.shows("h1", "Calls");
    }
    assert_eq!(browser.complaints(), [""; 0]);
}
