//! Tests of the page of calls: the history, its filters and its table.

use openai_inbound_calls::registry::Row;

use crate::browser::With;
use crate::world::{Setting, World, days_ago, row, until};

/// Sixty calls of sixty days. The newest one is of today.
fn sixty() -> Vec<Row> {
    let one = |n: i64| {
        let mut row = row(&format!("17.{n}"), &format!("+5730012{n:05}"), days_ago(n));
        match n {
            3 => (row.end_reason, row.agent) = (Some("transferred".into()), "ventas".into()),
            7 => (row.end_reason, row.ended_us, row.duration) = (None, None, None),
            9 => row.caller = "".into(),
            10 => (row.caller, row.called, row.erased) = ("".into(), String::new(), true),
            _ => {}
        }
        row
    };
    (0..60).map(one).collect()
}

#[test]
fn calls_are_listed_page_by_page_and_found() {
    let Some(world) = World::new(Setting { rows: sixty(), ..Setting::default() }) else { return };
    let browser = &world.browser;
    browser.go("/#/calls");
    browser.until("document.querySelector('#found')?.dataset.count === '50'");
    let cells = browser.texts("tr[data-id='17.3'] td");
    assert_eq!(
        cells[1..],
        ["+573001200003", "200", "ventas", "1:30", "transferred", "7", "640 ms", "USD\u{A0}0.0432"]
    );
    assert_eq!(browser.texts("tr[data-id='17.7'] td")[4..6], ["–", "running"]);
    assert_eq!(browser.texts("tr[data-id='17.9'] td")[1], "Number withheld");
    assert_eq!(browser.texts("tr[data-id='17.10'] td")[1..3], ["Number erased", "–"]);
    browser.picture("calls");
    browser.looks(With { width: 360, ..With::default() });
    browser.picture("calls-360");
    browser.looks(With::default());
    browser.press("main", "Show more");
    browser.until("document.querySelector('#found').dataset.count === '60'");
    let ids = "return [...document.querySelectorAll('tbody tr')].map((e) => e.dataset.id).join()";
    let expected: Vec<_> = (0..60).map(|n| format!("17.{n}")).collect();
    assert_eq!(browser.run(ids, &[]), expected.join(",").as_str());
    browser.until("![...document.querySelectorAll('button')].some((e) => e.textContent === 'Show more' && e.checkVisibility())");

    let finds = |count: u64, first: &str| {
        browser.click("form .primary");
        browser.until("document.querySelector('#found').ariaBusy === 'false'");
        assert_eq!(browser.count("tbody tr"), count);
        assert_eq!(browser.run("return document.querySelector('tbody tr').dataset.id", &[]), first);
        // The filter is in no address, and no number is in the title either.
        assert!(browser.address().ends_with("/#/calls"), "{}", browser.address());
    };
    browser.set("[name=caller]", "573001200012");
    finds(1, "17.12");
    assert_eq!(browser.run("return document.title", &[]), "Calls · openai-inbound-calls");
    browser.press("form", "Clear");
    browser.until("document.querySelector('#found').dataset.count === '50'");
    browser.set("[name=end_reason]", "transferred");
    finds(1, "17.3");
    browser.set("[name=end_reason]", "");
    browser.set("[name=agent]", "ventas");
    finds(1, "17.3");
    browser.press("form", "Clear");
    browser.set("[name=from]", &days_ago(20).format("%F").to_string());
    browser.set("[name=to]", &days_ago(11).format("%F").to_string());
    finds(10, "17.11");

    // The way back from a call leads to the same filter.
    browser.click("tbody tr:nth-child(2) a");
    browser.shows("h1", "+573001200012");
    assert!(browser.address().ends_with("/#/call/row-17.12"), "{}", browser.address());
    browser.run("history.back()", &[]);
    browser.until("document.querySelectorAll('tbody tr').length === 10");
    browser.set("[name=agent]", "nobody");
    browser.click("form .primary");
    browser.shows(".note", "There are no such calls.");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn every_stay_of_a_caller_who_came_back_can_be_opened() {
    let first = row("17.1", "+573001234567", days_ago(1));
    let again = Row { row_id: "row-again".into(), turns: 3, ..row("17.1", "+573001234567", days_ago(0)) };
    let Some(world) = World::new(Setting { rows: vec![first, again], ..Setting::default() }) else { return };
    let browser = &world.browser;
    for (nth, key, turns) in [(1, "row-again", "3"), (2, "row-17.1", "7")] {
        browser.go("/#/calls");
        browser.until("document.querySelector('#found')?.dataset.count === '2'");
        browser.click(&format!("tbody tr:nth-child({nth}) a"));
        browser.until(&format!("location.hash.endsWith('/call/{key}')"));
        browser.shows("dl.facts", "Other times this call came in");
        let facts = browser.texts("dl.facts dd");
        assert!(facts.iter().any(|fact| fact == turns), "{facts:?}");
    }
    // A link leads from one to the other.
    browser.click("dl.facts a");
    browser.until("location.hash.endsWith('/call/row-again')");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn all_that_is_found_is_saved_as_one_table() {
    let rows = (0..700).map(|n| row(&format!("17.{n}"), "+573001234567", days_ago(0))).collect();
    let Some(world) = World::new(Setting { rows, ..Setting::default() }) else { return };
    let browser = &world.browser;
    browser.go("/#/calls");
    browser.set("[name=caller]", "+573001234567");
    browser.click("form .primary");
    browser.until("document.querySelector('#found')?.dataset.count === '50'");
    browser.click("#csv");
    let saved = browser.downloads.path().join("calls.csv");
    // The browser creates the file before it writes the content.
    let text = || std::fs::read_to_string(&saved).unwrap_or_default();
    until("a head and a line for every call are saved", || text().lines().count() == 701);
    let text = text();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("id,recording_id,host,caller"), "{}", lines[0]);
    let mut ids: Vec<_> = lines[1..].iter().map(|line| line.split(',').next()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 700, "each once");
}
