//! Tests of the call log in a file and on a real MariaDB.
//!
//! `both` runs the same tests with both; `file` and `outage` test what only one of them has. Without
//! `mariadbd` on this machine, the tests that need a server say that they are skipped. `tests/run database`
//! installs `mariadbd`, and skipping is then a failure.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failure here is a failed test, and a skipped one says so"
)]

mod both;
mod claims;
mod file;
#[expect(dead_code, reason = "the daemon's tests use the rest of it")]
mod mariadb;
mod migration;
mod outage;
mod outbox;
mod world;
