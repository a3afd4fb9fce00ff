//! The call log, in a file and on a real MariaDB.
//!
//! `both` asks the same of both; `file` and `outage` are about what only one of them has. Without `mariadbd` on this
//! machine the tests that want one say that they are skipped; `tests/run database` installs it, and then they must not.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failure here is a failed test, and a skipped one says so"
)]

mod both;
mod file;
#[expect(dead_code, reason = "the daemon's tests use the rest of it")]
mod mariadb;
mod migration;
mod outage;
mod world;
