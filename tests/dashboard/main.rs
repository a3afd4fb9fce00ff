//! The dashboard in a real Chromium, driven by WebDriver, over the real API: live calls, the
//! history, one call, usage, the login; both languages, light and dark, a telephone's screen, the keyboard; words and
//! numbers that are scripts; two hundred live calls.
//!
//! `simulated` is about the real program between the fakes; the others have the real API over what they put there, and
//! `live` in place of its live calls.
//!
//! Without a Chromium they are skipped and say so; `tests/run dashboard` installs it, and then that fails
//! (`DASHBOARD_TESTS`). With `DASHBOARD_SCREENSHOTS=FOLDER` they leave pictures there, to be looked at.

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
