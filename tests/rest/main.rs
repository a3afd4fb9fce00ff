//! Tests of the REST API on a real socket, over folders of made-up recordings: every promised route and every
//! error, who is admitted, the dashboard's files and its login, what a deletion leaves, strange files in the
//! folder, the index and its rebuilding, and the commands.
//!
//! Two tests print measurements with `cargo test --release --test rest -- --nocapture --test-threads 1 NAME`:
//! `list_latency`, a list of 100 000 recordings; and `frames_beside_a_download`, the lateness of calls'
//! frames while 1 GB is downloaded.

#![expect(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod calls;
mod commands;
mod connections;
mod dashboard;
mod download;
mod erasure;
mod guard;
mod index;
mod live;
mod metrics;
mod range;
mod retention;
mod routes;
mod strange;
mod world;
