//! Tests of accessibility: contrast, the screen of a phone, touch targets, the keyboard, and names for screen
//! readers.

use openai_inbound_calls::config::Role;
use serde_json::{Value, json};

use crate::browser::{Browser, With};
use crate::live::call;
use crate::world::{ID, Setting, World, conversation, recorded_row, row, token};

const VIEWS: [(&str, &str); 4] = [
    ("/#/now", "document.querySelectorAll('.call').length === 2"),
    ("/#/calls", "document.querySelectorAll('tbody tr').length === 2"),
    ("/#/call/1795180048.12", "document.querySelector('.wave')?.dataset.drawn === 'true'"),
    ("/#/usage", "document.querySelectorAll('.plot svg').length === 5"),
];

fn world(languages: &'static str) -> Option<World> {
    let browser = With { languages, ..With::default() };
    let rows = vec![recorded_row(), row("17.2", "100", "2026-11-20T19:30:25Z".parse().expect("a time"))];
    let world =
        World::new(Setting { rows, conversation: Some(conversation()), browser, ..Setting::default() })?;
    let words = json!([{"item": "item_0", "speaker": "user", "text": "Hola", "final": true},
        {"item": "item_1", "speaker": "assistant", "text": "Buenas", "final": false}]);
    world.live().set(&[
        call("17.1", "+573001234567", &json!({"turn": "speaking", "words": words, "caller_dbfs": -20.0})),
        call(
            "17.2",
            &"+5730012345678901234".repeat(3),
            &json!({"caller_speaks": true, "agent": "a".repeat(90)}),
        ),
    ]);
    let state = json!({"asterisk": "away", "ready": false, "reasons": ["asterisk_away"], "disk_writing": true,
        "destinations": ["ventas"], "max_calls": null});
    world.live().stands(state);
    Some(world)
}

/// Opens each view and calls `with` for it. The usage starts with the first recorded call.
fn each_view(browser: &Browser, mut with: impl FnMut(&str)) {
    for (path, is_there) in VIEWS {
        browser.go(path);
        if path == "/#/usage" {
            browser.set("[name=from]", "2026-11-01");
        }
        browser.until(is_there);
        with(path);
    }
}

fn list(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(|one| one.as_str().expect("text").to_owned()).collect()
}

/// The texts whose contrast to their background is below what WCAG 2.2 demands for their size (1.4.3).
const FAINT: &str = "
    const parse = (color) => { const n = color.match(/[\\d.]+/g).map(Number); return { rgb: n.slice(0, 3), a: n[3] ?? 1 } };
    const light = (rgb) => { const [r, g, b] = rgb.map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b };
    const behind = (element) => { for (let e = element; e; e = e.parentElement) {
        const { rgb, a } = parse(getComputedStyle(e).backgroundColor); if (a === 1) return rgb } return [255, 255, 255] };
    const faint = [];
    for (const element of document.body.querySelectorAll('*')) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.checkVisibility() || element.matches('title, option, .skip')) continue;
        const style = getComputedStyle(element);
        const ink = parse(element instanceof SVGElement ? style.fill : style.color).rgb;
        const [a, b] = [light(ink), light(behind(element))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        const size = parseFloat(style.fontSize);
        const wanted = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
        if (ratio < wanted) faint.push(`${element.tagName}.${element.className} ${element.textContent.slice(0, 30)}: ${ratio.toFixed(2)}`);
    }
    return faint";

#[test]
fn every_text_stands_out_by_day_and_by_night() {
    let Some(world) = world("en") else { return };
    let browser = &world.browser;
    for dark in [false, true] {
        browser.looks(With { dark, ..With::default() });
        each_view(browser, |path| {
            assert_eq!(list(&browser.run(FAINT, &[])), [""; 0], "{path}, dark: {dark}");
            browser.picture(&format!("{}-{dark}", path.trim_matches(['/', '#']).replace('/', "-")));
        });
        browser.go("/#/now");
        browser.press("[data-id='17.1']", "Hang up");
        assert_eq!(list(&browser.run(FAINT, &[])), [""; 0], "the question, dark: {dark}");
        browser.keys(&["\u{E00C}"]);
    }
}

/// The elements that stick out at the side, and those that are too small for a finger: 44 pixels, except
/// links within a text.
const CRAMPED: &str = "
    const wide = document.scrollingElement.scrollWidth - innerWidth;
    const small = [...document.querySelectorAll('main button, main input, main select, main summary, main a, nav a')]
        .filter((e) => e.checkVisibility() && !e.matches('.call h2 a'))
        .filter((e) => e.getBoundingClientRect().height < 43.5)
        .map((e) => `${e.tagName} ${e.textContent}: ${e.getBoundingClientRect().height}`);
    const out = [...document.querySelectorAll('.card button, .card input, .card select, .card svg, .card a')]
        .filter((e) => e.checkVisibility() && !e.closest('.wide, .plain'))
        .filter((e) => e.getBoundingClientRect().right > e.closest('.card').getBoundingClientRect().right)
        .map((e) => `${e.tagName} ${e.name ?? e.textContent} sticks out`);
    return [...(wide > 0 ? [`${wide} too wide`] : []), ...small, ...out]";

#[test]
fn everything_fits_a_telephone_and_a_finger() {
    for languages in ["en", "es"] {
        let Some(world) = world(languages) else { return };
        let browser = &world.browser;
        browser.looks(With { width: 360, ..With::default() });
        each_view(browser, |path| {
            assert_eq!(list(&browser.run(CRAMPED, &[])), [""; 0], "{path}");
            browser.picture(&format!("{}-{languages}-360", path.trim_matches(['/', '#']).replace('/', "-")));
        });
    }
}

/// The elements for which a screen reader would have no name.
const NAMELESS: &str = "
    const nameless = [...document.querySelectorAll('a, button, input, select, audio ~ *, [role=meter], [role=slider], svg, summary')]
        .filter((e) => e.matches('a, button, summary') ? !e.textContent.trim() :
            e.matches('input, select') ? !(e.labels?.length) :
            e.matches('[role], svg') ? !e.getAttribute('aria-label') : false)
        .map((e) => e.outerHTML.slice(0, 80));
    if (document.querySelectorAll('h1').length !== 1) nameless.push('h1');
    return nameless";

#[test]
fn everything_has_a_name_and_a_place_for_those_who_do_not_see_it() {
    let Some(world) = world("en") else { return };
    let browser = &world.browser;
    each_view(browser, |path| {
        assert_eq!(list(&browser.run(NAMELESS, &[])), [""; 0], "{path}");
        let current = browser.texts("nav a[aria-current]");
        assert_eq!(current.len(), 1, "{path}: {current:?}");
    });
}

/// The elements that scroll but cannot be reached with the keyboard, or that have no name when they are
/// reached (axe: `scrollable-region-focusable`).
const STUCK: &str = "
    for (const details of document.querySelectorAll('main details')) details.open = true;
    return [...document.querySelectorAll('main *')]
        .filter((e) => e.checkVisibility() && ['auto', 'scroll'].some((how) => {
            const style = getComputedStyle(e); return style.overflowX === how || style.overflowY === how }))
        .filter((e) => e.getAttribute('tabindex') !== '0' || !e.getAttribute('aria-label'))
        .map((e) => e.outerHTML.slice(0, 80))";

#[test]
fn whatever_scrolls_can_be_scrolled_with_the_keyboard() {
    let Some(world) = world("en") else { return };
    let browser = &world.browser;
    let mut scrolling = 0;
    each_view(browser, |path| {
        assert_eq!(list(&browser.run(STUCK, &[])), [""; 0], "{path}");
        scrolling += browser.count("main [tabindex='0'][aria-label]");
    });
    assert!(scrolling >= 5, "the talk of two calls, the list, a transcript, a table: {scrolling}");
}

#[test]
fn the_keyboard_is_enough() {
    let tokens = vec![token("full-1", Role::Full, "secret-of-the-boss")];
    let setting = Setting {
        tokens,
        rows: vec![recorded_row()],
        conversation: Some(conversation()),
        ..Setting::default()
    };
    let Some(world) = World::new(setting) else { return };
    let browser = &world.browser;
    let (tab, enter, down) = ("\u{E004}", "\u{E007}", "\u{E015}");
    let focused = || browser.run("return document.activeElement.textContent.trim()", &[]);
    browser.go("/#/now");
    browser.shows("h1", "Log in");
    let secret: Vec<String> = "secret-of-the-boss".chars().map(String::from).collect();
    browser.keys(&secret.iter().map(String::as_str).collect::<Vec<_>>());
    browser.keys(&[enter]);
    browser.shows("h1", "Now");
    // The links at the top lead to the history.
    browser.run("document.activeElement.blur(); getSelection().collapse(document.body, 0)", &[]);
    browser.keys(&[tab]);
    assert_eq!(focused(), "Skip to content");
    let visible = "const box = document.activeElement.getBoundingClientRect(); return box.top >= 0";
    assert_eq!(browser.run(visible, &[]), json!(true), "and it is seen while it has the focus");
    browser.keys(&[tab, tab]);
    assert_eq!(focused(), "Calls");
    let ring = "return getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(browser.run(ring, &[]), "solid", "where one is can be seen");
    browser.keys(&[enter]);
    browser.until("document.querySelectorAll('tbody tr').length === 1");
    // The focus is in the view; the next element is its first field.
    browser.keys(&[tab]);
    assert_eq!(browser.run("return document.activeElement.name", &[]), "from");
    browser.run("document.querySelector('tbody a').focus()", &[]);
    browser.keys(&[enter]);
    browser.until("document.querySelector('.wave')?.dataset.drawn === 'true'");
    assert!(browser.address().ends_with(ID));
    browser.run("document.querySelector('.wave').focus()", &[]);
    browser.keys(&["\u{E014}", "\u{E014}", down]);
    browser.until("Math.round(document.querySelector('audio').currentTime) === 5");
    // Enter selects a line.
    browser.run("document.querySelector('.transcript button').focus()", &[]);
    browser.keys(&[tab, enter]);
    browser.until("document.querySelector('audio').currentTime >= 3.2");
}
