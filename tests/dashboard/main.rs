//! Tests of the dashboard in a real Chromium that WebDriver controls, over the real API: live calls, the
//! history, one call, usage and the login; both languages, light and dark, the screen of a phone, the
//! keyboard; words and numbers that are scripts; two hundred live calls.
//!
//! `simulated` tests the real program between the fakes. The others have the real API over data of their own,
//! and `live` instead of its live calls.
//!
//! Without a Chromium the tests are skipped and say so. `tests/run dashboard` installs Chromium, and a
//! missing Chromium is then a failure (`DASHBOARD_TESTS`). With `DASHBOARD_SCREENSHOTS=FOLDER` the tests save
//! screenshots there.

#![expect(
    clippy::print_stdout,
    reason = "a skipped test says so, and how busy two hundred calls keep the page"
)]

mod browser;
mod call;
mod calls;
mod live;
mod login;
mod looks;
mod now;
#[path = "../daemon/world.rs"]
#[expect(dead_code, reason = "the tests of the daemon use the rest of it")]
mod phones;
mod scripts;
mod simulated;
mod usage;
mod world;
