//! Tests of the usage page: sums as charts and as a table.

use openai_inbound_calls::registry::Row;
use openai_inbound_calls::units::Milliseconds;

use crate::browser::With;
use crate::world::{Setting, World, days_ago, row};

/// Calls of ten days, with different numbers per day, none on two days, and two agents.
fn ten_days() -> Vec<Row> {
    let mut rows = Vec::new();
    for day in (0..10).filter(|day| ![4, 5].contains(day)) {
        // An odd number of calls of a minute and a half: their sum is no whole number of minutes.
        for n in (0..=(day % 4)).filter(|n| (day, *n) != (3, 3)) {
            let mut row = row(&format!("17.{day}{n}"), "100", days_ago(day));
            row.turn_p50 = Some(Milliseconds::new(600 + 40 * day as u64));
            if n == 1 {
                row.agent = "ventas".into();
            }
            rows.push(row);
        }
    }
    rows
}

#[test]
fn sums_are_drawn_over_time_and_told_in_a_table() {
    let rows = ten_days();
    let count = rows.len();
    let Some(world) = World::new(Setting { rows, ..Setting::default() }) else { return };
    let browser = &world.browser;
    browser.go("/#/usage");
    browser.until("document.querySelector('#plots').dataset.drawn === 'day'");
    assert_eq!(browser.texts(".facts.large dd")[0], count.to_string());
    let bars = |plot: u32| browser.count(&format!(".plots .card:nth-child({plot}) rect"));
    assert_eq!(
        (bars(1), bars(2), bars(3), bars(4)),
        (8, 8, 8, 24),
        "days without calls have no bar, but a place"
    );
    assert_eq!(browser.count(".plots .card:nth-child(5) circle"), 24);
    assert_eq!(browser.count(".plots .card:nth-child(5) path"), 3);
    // The line has a gap where there were no calls.
    let path = "return document.querySelector('.plots .card:nth-child(5) path').getAttribute('d')";
    let path = browser.run(path, &[]);
    assert_eq!(path.as_str().expect("text").matches('M').count(), 2, "{path}");
    browser.picture("usage");
    browser.click("details summary");
    assert_eq!(browser.count("details tbody tr"), 8);
    let row = browser.texts("details tbody tr:last-child td");
    assert_eq!(
        row[1..],
        ["1", "1.5", "USD\u{A0}0.0432", "1,000", "600", "490", "860 ms", "600 ms", "1,200 ms"]
    );

    // The sum above the plots is rounded as the table is.
    let minutes = |text: &String| text.replace(',', "").parse::<f64>().expect("a number");
    let of_days: f64 = browser.texts("details tbody td:nth-child(3)").iter().map(minutes).sum();
    assert!((minutes(&browser.texts(".facts.large dd")[1]) - of_days).abs() < 0.01, "{of_days}");

    browser.set("[name=by]", "agent");
    browser.until("document.querySelector('#plots').dataset.drawn === 'agent'");
    browser.click("details summary");
    assert_eq!(browser.texts("details tbody td:first-child"), ["default", "ventas"]);
    browser.set("[name=by]", "model");
    browser.until("document.querySelector('#plots').dataset.drawn === 'model'");
    // The hours of two days.
    browser.set("[name=by]", "hour");
    browser.until("document.querySelector('#plots').dataset.drawn === 'hour'");
    assert_eq!(bars(1), 2);
    browser.set("[name=from]", "2020-01-01");
    browser.set("[name=to]", "2020-01-31");
    browser.shows(".note", "There are no such calls.");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn plots_fit_a_telephone() {
    let browser = With { languages: "es", width: 360, dark: true };
    let Some(world) = World::new(Setting { rows: ten_days(), browser, ..Setting::default() }) else { return };
    let browser = &world.browser;
    browser.go("/#/usage");
    browser.until("document.querySelectorAll('.plot svg').length === 5");
    browser.picture("usage-es-dark-360");
    browser.looks(With { width: 1280, ..With::default() });
    // The chart is drawn again for the available width.
    browser.until("document.querySelector('.plot svg').clientWidth > 400");
}
