//! Tests that the text of callers and of models is shown as text, even if it is a script.

use std::cell::RefCell;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::live::call;
use crate::world::{ID, Setting, World, conversation, recorded_row, until};

/// Every way of injecting a script into a page.
const EVIL: [&str; 5] = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror=\"window.hacked = 1\">",
    "\"><svg onload=window.hacked=1>",
    "{{constructor.constructor('window.hacked=1')()}}",
    "javascript:window.hacked=1",
];

/// Checks that all of it is text, and that no part of it has become an element or has run.
#[track_caller]
fn is_text(browser: &Browser, within: &str) {
    for evil in EVIL {
        browser.shows(within, evil);
    }
    assert_eq!(browser.run("return typeof window.hacked", &[]), json!("undefined"));
    assert_eq!(browser.count("main img, main script, main iframe, main object, main svg[onload]"), 0);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_live_caller_who_is_a_script_is_text() {
    let Some(world) = World::new(Setting::default()) else { return };
    let words: Vec<Value> = (0..5)
        .map(|n| json!({"item": format!("item_{n}"), "speaker": "user", "text": EVIL[n], "final": true}))
        .collect();
    let all = EVIL.concat();
    let one = call(
        "17.1",
        &all,
        &json!({"called": all, "agent": all, "model": all, "turn": EVIL[0], "words": words}),
    );
    let other = call(&format!("17/2{all}"), "100", &json!({}));
    world.live().set(&[one, other]);
    let state = json!({"asterisk": EVIL[1], "ready": false, "reasons": EVIL, "disk_writing": true,
        "destinations": EVIL, "max_calls": 100});
    world.live().stands(state);
    let browser = &world.browser;
    browser.go("/");
    for within in [".call h2", ".call .words", ".call .quiet", ".chip"] {
        is_text(browser, within);
    }
    browser.press("[data-id='17.1']", "Hand over");
    is_text(browser, "dialog p");
    is_text(browser, "dialog select");
    // The link leads to a call, whatever is in its id.
    browser.press("dialog", "Cancel");
    let link = browser.run("return document.querySelectorAll('.call h2 a')[1].getAttribute('href')", &[]);
    assert!(link.as_str().expect("text").starts_with("#/call/17%2F2%3Cscript%3E"), "{link}");
}

#[test]
fn a_recorded_caller_who_is_a_script_is_text() {
    let all = EVIL.concat();
    let mut talk = conversation();
    for (n, evil) in EVIL.iter().enumerate() {
        talk["conversation"][n]["text"] = json!(evil);
        talk["conversation"][n]["heard_text"] = json!(&evil[..4]);
        talk["conversation"][n]["interrupted"] = json!(n % 2 == 0);
    }
    let event = |evil| json!({"at_ms": 1, "timestamp": "x", "type": evil, "detail": evil});
    talk["events"] = EVIL.map(event).to_vec().into();
    let tool = |evil: &str| {
        json!({"at_ms": 1, "name": evil, "outcome": evil, "arguments": {evil: evil},
        "answer": evil, "ms": 1, "attempts": 1})
    };
    talk["tools"] = EVIL.map(tool).to_vec().into();
    let mut row = recorded_row();
    (row.caller, row.called, row.agent, row.model) =
        (all.clone().into(), all.clone(), all.clone(), all.clone());
    (row.end_reason, row.host) = (Some(all.clone()), all);
    let Some(world) = World::new(Setting { rows: vec![row], conversation: Some(talk), ..Setting::default() })
    else {
        return;
    };
    let browser = &world.browser;
    browser.go("/#/calls");
    is_text(browser, "tbody tr");
    browser.go(&format!("/#/call/{ID}"));
    for within in ["h1", ".facts", ".transcript", ".events"] {
        is_text(browser, within);
    }
    browser.go("/#/usage");
    browser.set("[name=from]", "2026-01-01");
    browser.set("[name=by]", "agent");
    browser.until("document.querySelector('#plots').dataset.drawn === 'agent'");
    browser.click("details summary");
    is_text(browser, "details tbody");
    is_text(browser, "svg text");
}

#[test]
fn the_policy_lets_nothing_else_run() {
    let Some(world) = World::new(Setting::default()) else { return };
    let browser = &world.browser;
    browser.go("/");
    browser.shows("h1", "Now");
    // This simulates a page into which a script was injected.
    browser.run(
        "const script = document.createElement('script'); script.textContent = 'window.hacked = 1'; document.body.append(script); \
         const image = document.createElement('img'); image.setAttribute('onerror', 'window.hacked = 2'); \
         image.src = 'https://127.0.0.1:1/x'; document.body.append(image); \
         document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">x</p><form action=\"/logout\" method=\"post\"></form>'); \
         document.querySelector('form[action]').submit(); \
         window.framed = document.createElement('iframe'); window.framed.src = '/'; document.body.append(window.framed)",
        &[],
    );
    let told = RefCell::new(browser.complaints());
    for directive in [
        "script-src 'self'",
        "img-src 'self'",
        "style-src 'self'",
        "form-action 'none'",
        "default-src 'none'",
    ] {
        until(&format!("{directive} forbids something"), || {
            told.borrow_mut().extend(browser.complaints());
            told.borrow().iter().any(|line| line.contains(directive))
        });
    }
    assert_eq!(browser.run("return typeof window.hacked", &[]), json!("undefined"));
}
