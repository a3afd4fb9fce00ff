//! Tests of the page "Now" with its live calls.

use serde_json::{Value, json};

use crate::live::{call, state};
use crate::world::{Setting, World, until};

fn said(n: u64, speaker: &str, text: &str, is_final: bool) -> Value {
    json!({"item": format!("item_{n}"), "speaker": speaker, "text": text, "final": is_final})
}

/// Three calls in three states.
fn three() -> [Value; 3] {
    let talk = [
        said(0, "assistant", "Hola, gracias por llamar. ¿En qué puedo ayudarle?", true),
        said(1, "user", "Hola, buenas tardes. Quiero agendar una cita para el martes, por favor.", true),
        said(
            2,
            "assistant",
            "Con mucho gusto. Para el martes tengo tres horarios libres: a las nueve y",
            false,
        ),
    ];
    [
        call(
            "17.1",
            "+573001234567",
            &json!({
                "turn": "speaking", "assistant_dbfs": -18.0, "caller_dbfs": -52.5, "turns": 3, "interruptions": 1,
                "greeting_ms": 812, "last_turn_ms": 950, "turn_p50_ms": 900, "turn_p95_ms": 1200, "cost_usd": 0.0123,
                "seconds": 65.2, "words": talk, "recording_id": "20251020_143025_17.1",
            }),
        ),
        call(
            "17.2",
            "+34600111222",
            &json!({"caller_speaks": true, "caller_dbfs": -21.0, "agent": "ventas", "agent_version": "3f9a2c01b7de",
            "greeting_ms": 640, "words": [said(0, "user", "¿Me oye?", false)]}),
        ),
        call("17.3", "", &json!({"turn": "setting_up", "seconds": 0.4})),
    ]
}

#[test]
fn live_calls_come_change_and_go() {
    let Some(world) = World::new(Setting::default()) else { return };
    let (browser, live) = (&world.browser, world.live());
    browser.go("/");
    browser.shows(".note", "There are no calls now.");
    browser.shows(".chip", "Asterisk connected");

    let [mut first, second, third] = three();
    live.set(&[first.clone(), second.clone(), third.clone()]);
    live.tell(&[first.clone(), second, third], &[], None);
    browser.shows("#count", "3 calls running · 100 at most");
    assert_eq!(browser.texts(".call h2"), ["+573001234567", "+34600111222", "Number withheld"]);
    assert_eq!(browser.texts(".turn"), ["The assistant speaks", "The caller speaks", "Being set up"]);
    browser.shows("[data-id='17.2']", "ventas (3f9a2c01b7de) · gpt-realtime-2.1");
    browser.shows("[data-id='17.1']", "default · gpt-realtime-2.1");
    let figures = browser.texts("[data-id='17.1'] .figures dd");
    assert_eq!(figures, ["812 ms", "950 ms", "900 ms", "1,200 ms", "3", "1", "USD\u{A0}0.0123"]);
    let level = "return [...document.querySelectorAll('[data-id=\"17.1\"] [role=meter]')].map((e) => \
        [e.getAttribute('aria-label'), Number(e.getAttribute('aria-valuenow'))])";
    let levels = browser.run(level, &[]);
    assert_eq!(levels, json!([["Level: Caller", -52], ["Level: Assistant", -18]]));
    let words = "[data-id='17.1'] .words li";
    assert_eq!(browser.count(words), 3);
    assert_eq!(browser.count(&format!("{words}.is-open")), 1, "it is still being said");
    browser.until(
        "/^1:(0[6-9]|[1-5])/.test(document.querySelector('[data-id=\"17.1\"] .duration').textContent)",
    );
    browser.picture("now");

    // The call continues. Words that have not changed are not sent again, and no element is created anew.
    browser.run("document.querySelector('[data-id=\"17.1\"]').marked = true", &[]);
    first["turn"] = json!("listening");
    first["caller_speaks"] = json!(true);
    first["caller_dbfs"] = json!(-12.4);
    first.as_object_mut().expect("an object").remove("words");
    live.tell(&[first.clone()], &[], None);
    browser.shows("[data-id='17.1'] .turn", "The caller speaks");
    assert_eq!(browser.run(level, &[])[0][1], json!(-12));
    assert_eq!(browser.count(words), 3);
    first["words"] =
        json!([said(2, "assistant", "Con mucho gusto.", true), said(3, "user", "Perdón", false)]);
    live.tell(&[first.clone()], &["17.3"], None);
    browser.shows(words, "Perdón");
    assert_eq!(browser.texts(words), ["Assistant: Con mucho gusto.", "Caller: Perdón"]);
    assert_eq!((browser.count(".call"), browser.count(".is-open")), (2, 2));
    assert_eq!(browser.run("return document.querySelector('[data-id=\"17.1\"]').marked", &[]), json!(true));

    let ill = json!({"asterisk": "replaced", "ready": false, "reasons": ["application_replaced", "openai_failing",
        "max_calls_reached"], "disk_writing": false, "destinations": ["ventas"], "max_calls": null});
    live.tell(&[], &[], Some(&ill));
    browser.shows(".chip", "Asterisk another program serves");
    browser.shows(".chip", "Service no more calls are taken");
    assert_eq!((browser.count(".chip.is-ill"), browser.text("#count").as_str()), (4, "2 calls running"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_stream_that_broke_is_opened_again_and_what_is_over_is_forgotten() {
    let Some(world) = World::new(Setting::default()) else { return };
    let (browser, live) = (&world.browser, world.live());
    live.set(&three());
    browser.go("/#/now");
    browser.shows("#count", "3 calls running");
    let [_, second, _] = three();
    live.set(&[second, call("17.4", "+4930123456", &json!({}))]);
    live.stands(
        json!({"asterisk": "away", "ready": false, "reasons": ["asterisk_away"], "disk_writing": true,
        "destinations": [], "max_calls": null}),
    );
    live.cut();
    browser.shows(".chip", "Asterisk not connected");
    browser.shows("#count", "2 calls running");
    assert_eq!(browser.texts(".call h2"), ["+34600111222", "+4930123456"]);
    assert_eq!((live.streams(), browser.count(".failure"), browser.count(".is-stale")), (2, 0, 0));
    // There is no destination to hand the call over to.
    browser.until("![...document.querySelectorAll('.call button')].some((e) => e.textContent === 'Hand over' && e.checkVisibility())");
}

#[test]
fn nothing_is_green_and_no_clock_goes_on_once_the_daemon_is_dead() {
    let Some(mut world) = World::new(Setting::default()) else { return };
    world.live().set(&three());
    world.browser.go("/");
    world.browser.shows("#count", "3 calls running");
    assert_eq!(world.browser.count(".chip.is-well"), 4);
    world.kill();
    let browser = &world.browser;
    browser.shows(".failure", "No news from the daemon");
    assert_eq!(browser.texts(".chip"), ["Service no news"]);
    assert_eq!((browser.count(".chip.is-well"), browser.count(".is-stale")), (0, 1));
    browser.run("window.at = performance.now()", &[]);
    let clocks = browser.texts(".duration");
    browser.until("performance.now() > window.at + 2500");
    assert_eq!(browser.texts(".duration"), clocks);
    browser.picture("now-dead");
}

#[test]
fn a_stream_that_stands_and_tells_nothing_is_lost_too() {
    let Some(world) = World::new(Setting::default()) else { return };
    let (browser, live) = (&world.browser, world.live());
    live.set(&three());
    browser.go("/");
    browser.shows("#count", "3 calls running");
    live.falls_silent(true);
    browser.run("const now = performance.now.bind(performance); performance.now = () => now() + 60_000", &[]);
    browser.shows(".failure", "No news from the daemon");
    assert_eq!((browser.texts(".chip"), browser.count(".is-stale")), (vec!["Service no news".to_owned()], 1));
    live.falls_silent(false);
    browser.shows(".chip", "Asterisk connected");
    assert_eq!((browser.count(".failure"), browser.count(".is-stale"), live.streams()), (0, 0, 2));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn words_stand_in_the_order_in_which_they_were_said() {
    let Some(world) = World::new(Setting::default()) else { return };
    let (browser, live) = (&world.browser, world.live());
    let greeting = said(0, "assistant", "Hola.", true);
    let answer = |is_final| said(2, "assistant", "Con mucho gusto.", is_final);
    let talk = |words: &[Value]| [call("17.1", "+573001234567", &json!({ "words": words }))];
    live.set(&talk(&[greeting.clone(), answer(false)]));
    browser.go("/");
    let words = "[data-id='17.1'] .words li";
    browser.shows(words, "Con mucho gusto.");
    // The caller's question is transcribed only now.
    live.tell(&talk(&[greeting, said(1, "user", "¿Una cita?", true), answer(true)]), &[], None);
    browser.shows(words, "¿Una cita?");
    let all = ["Assistant: Hola.", "Caller: ¿Una cita?", "Assistant: Con mucho gusto."];
    assert_eq!(browser.texts(words), all);
    // The server moves an utterance, and the first one is no longer among the last ones.
    live.tell(&talk(&[answer(true), said(1, "user", "¿Una cita?", true)]), &[], None);
    browser.until("document.querySelectorAll('.words li').length === 2");
    assert_eq!(browser.texts(words), ["Assistant: Con mucho gusto.", "Caller: ¿Una cita?"]);
}

#[test]
fn a_page_that_nobody_looks_at_holds_no_stream() {
    let Some(world) = World::new(Setting::default()) else { return };
    let (browser, live) = (&world.browser, world.live());
    live.set(&three());
    browser.go("/");
    browser.shows("#count", "3 calls running");
    let look = |hidden: bool| {
        let script = "Object.defineProperty(document, 'hidden', { value: arguments[0], configurable: true }); \
            document.dispatchEvent(new Event('visibilitychange'))";
        browser.run(script, &[json!(hidden)]);
    };
    look(true);
    // The server notices a closed connection when it next sends something.
    until("the stream is closed", || {
        live.tell(&[], &[], None);
        live.listeners() == 0
    });
    live.set(&three()[..1]);
    look(false);
    browser.shows("#count", "1 call running");
    // A page that shows another view holds no stream either.
    browser.click("nav a[href='#/calls']");
    until("the stream is closed", || {
        live.tell(&[], &[], None);
        live.listeners() == 0
    });
}

#[test]
fn hanging_up_and_handing_over_are_asked_once() {
    let Some(world) = World::new(Setting::default()) else { return };
    let (browser, live) = (&world.browser, world.live());
    live.set(&three());
    browser.go("/");
    browser.press("[data-id='17.2']", "Hang up");
    browser.shows("dialog", "The call of +34600111222 will end now.");
    browser.picture("hang-up");
    // The button "No" has the focus.
    browser.keys(&["\u{E007}"]);
    browser.until("!document.querySelector('dialog')");
    browser.press("[data-id='17.2']", "Hang up");
    browser.keys(&["\u{E00C}"]);
    browser.until("!document.querySelector('dialog')");
    assert_eq!(live.posts(), []);
    browser.press("[data-id='17.2']", "Hang up");
    browser.press("dialog", "Hang up");
    browser.shows("#said", "Hanging up.");
    browser.press("[data-id='17.1']", "Hand over");
    browser.set("dialog select", "soporte");
    browser.press("dialog", "Hand over");
    browser.shows("#said", "Handing over.");
    let asked = [
        ("/calls/17.2/hangup".to_owned(), String::new()),
        ("/calls/17.1/transfer".to_owned(), json!({"destination": "soporte"}).to_string()),
    ];
    assert_eq!(live.posts(), asked);
    // The call ended meanwhile.
    live.set(&[]);
    browser.press("[data-id='17.2']", "Hang up");
    browser.press("dialog", "Hang up");
    browser.shows("#said", "There is no such call, or it is over.");
}

#[test]
fn two_hundred_live_calls_leave_the_page_alive() {
    const CALLS: usize = 200;
    const EVENTS: usize = 20;
    let Some(world) = World::new(Setting::default()) else { return };
    let (browser, live) = (&world.browser, world.live());
    let calls = |event: usize| -> Vec<Value> {
        let turns = ["listening", "thinking", "speaking"];
        let one = |n: usize| {
            let words = json!([
                said(0, "assistant", "Hola, gracias por llamar.", true),
                said(1, "user", &format!("Pregunta {n}, {event} palabras."), event.is_multiple_of(2))
            ]);
            let more = json!({"turn": turns[(n + event) % 3], "caller_dbfs": -((n + event) as f64 % 60.0),
                "assistant_dbfs": -((2 * n + event) as f64 % 60.0), "last_turn_ms": 600 + n + event,
                "cost_usd": 0.01 + event as f64 / 1e3, "words": words});
            call(&format!("17.{n}"), &format!("+5730012{n:05}"), &more)
        };
        (0..CALLS).map(one).collect()
    };
    live.set(&calls(0));
    browser.go("/");
    browser.shows("#count", "200 calls running");
    // The number of drawn frames, of added or removed nodes, and the longest time for which the page was
    // busy.
    browser.run(
        "window.frames_drawn = 0; window.nodes = 0; window.longest = 0; window.cards = [...document.querySelectorAll('.call')]; \
         const count = () => { window.frames_drawn += 1; requestAnimationFrame(count) }; count(); \
         new MutationObserver((all) => all.forEach((one) => { \
            window.nodes += [...one.addedNodes].filter((node) => node.nodeType === 1).length + \
                [...one.removedNodes].filter((node) => node.nodeType === 1).length })) \
            .observe(document.body, { subtree: true, childList: true }); \
         new PerformanceObserver((list) => list.getEntries().forEach((entry) => { \
            window.longest = Math.max(window.longest, entry.duration) })).observe({ type: 'longtask' })",
        &[],
    );
    for event in 1..=EVENTS {
        live.tell(&calls(event), &[], None);
        // While the page draws them, it still answers.
        let text = format!("Pregunta 199, {event} palabras.");
        browser.until(&format!(
            "document.querySelector('[data-id=\"17.199\"] .words li:last-child').textContent.endsWith({})",
            json!(text)
        ));
        let before = browser.run("return window.frames_drawn", &[]);
        browser.until(&format!("window.frames_drawn > {before}"));
    }
    let same = "return window.cards.every((card, at) => card === document.querySelectorAll('.call')[at])";
    assert_eq!(browser.run(same, &[]), json!(true), "no card is made anew");
    assert_eq!(browser.run("return window.nodes", &[]), json!(0), "nor is anything in one");
    println!("longest task with {CALLS} calls: {} ms", browser.run("return Math.round(window.longest)", &[]));
    browser.picture("now-200");
    browser.press("[data-id='17.3']", "Hang up");
    browser.shows("dialog", "+573001200003");
    browser.keys(&["\u{E00C}"]);
    browser.click("nav a[href='#/calls']");
    browser.shows("h1", "Calls");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_daemon_that_is_well_says_so_in_spanish() {
    use crate::browser::With;
    let browser = With { languages: "es-CO,es,en", ..With::default() };
    let Some(world) = World::new(Setting { browser, ..Setting::default() }) else { return };
    world.live().set(&three());
    world.live().stands(state());
    world.browser.go("/");
    world.browser.shows("#count", "3 llamadas en curso · máximo 100");
    assert_eq!(
        world.browser.texts(".turn"),
        ["Habla el asistente", "Habla el llamante", "Conectando la llamada"]
    );
    assert_eq!(world.browser.texts("nav a"), ["Ahora", "Llamadas", "Uso"]);
    assert_eq!(world.browser.run("return document.documentElement.lang", &[]), json!("es"));
    // This is the Colombian form of 1,200.
    world.browser.shows("[data-id='17.1'] dd", "1.200 ms");
    // The currency is not "$", which means a peso in Colombia.
    world.browser.shows("[data-id='17.1'] dd", "USD\u{A0}0,0123");
    world.browser.looks(With { languages: "", width: 360, dark: true });
    world.browser.picture("now-es-dark-360");
}
