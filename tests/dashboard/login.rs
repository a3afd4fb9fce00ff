//! Tests of the login: the token goes into a cookie that no script can read, and gives the rights of its
//! role.

use openai_inbound_calls::config::Role;
use serde_json::json;

use crate::live::call;
use crate::world::{ID, Setting, World, conversation, recorded_row, token};

fn guarded() -> Option<World> {
    let tokens = vec![
        token("full-1", Role::Full, "secret of the bóss; =1"),
        token("ana", Role::Reader, "secret-of-ana-9"),
    ];
    World::new(Setting {
        tokens,
        rows: vec![recorded_row()],
        conversation: Some(conversation()),
        ..Setting::default()
    })
}

#[test]
fn a_token_opens_the_page_and_stays_where_no_script_sees_it() {
    let Some(world) = guarded() else { return };
    let browser = &world.browser;
    browser.go(&format!("/#/call/{ID}"));
    browser.shows("h1", "Log in");
    browser.picture("login");
    browser.type_into("#token", "secret-of-nobody\u{E007}");
    browser.shows(".failure", "There is no such token.");
    browser.set("#token", "");
    browser.type_into("#token", "secret of the bóss; =1\u{E007}");
    // After the login the page shows what the user wanted to open.
    browser.shows("h1", "+573001234567");
    browser.until("document.querySelector('audio').readyState >= 1");
    let seen =
        browser.run("return document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage })", &[]);
    assert_eq!(seen, json!("{}"));
    browser.shows("button.danger", "Delete");

    // The session survives a reload of the page, and ends with the logout.
    browser.run("location.reload()", &[]);
    browser.shows("h1", "+573001234567");
    browser.click("#logout");
    browser.shows("h1", "Log in");
    assert_eq!(browser.count("audio"), 0);
    browser.go("/#/calls");
    browser.shows("h1", "Log in");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_reader_sees_everything_and_can_change_nothing() {
    let Some(world) = guarded() else { return };
    let browser = &world.browser;
    world.live().set(&[call("17.1", "+573001234567", &json!({}))]);
    browser.go(&format!("/#/call/{ID}"));
    browser.type_into("#token", "secret-of-ana-9\u{E007}");
    browser.shows("h1", "+573001234567");
    browser.until("document.querySelector('.wave')?.dataset.drawn === 'true'");
    assert_eq!(browser.count("button.danger"), 0);
    browser.click("nav a[href='#/now']");
    browser.shows("#count", "1 call running");
    assert_eq!(browser.count(".call button"), 0);
}

#[test]
fn a_login_that_was_lost_is_asked_for_again() {
    let Some(world) = guarded() else { return };
    let browser = &world.browser;
    browser.go("/#/usage");
    browser.type_into("#token", "secret-of-ana-9\u{E007}");
    browser.until("document.querySelector('#plots')?.dataset.drawn || document.querySelector('.note')");
    browser.cdp("Network.clearBrowserCookies", &json!({}));
    browser.set("[name=by]", "agent");
    browser.shows("h1", "Log in");
}
