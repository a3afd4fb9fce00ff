//! Tests of the real daemon on loopback, between the fakes behind real sockets. They test what only sockets,
//! tasks, signals and files can break.
//!
//! Every test has an Asterisk, a Realtime server, addresses and folders of its own. No test waits for a fixed
//! time: each wait is for a condition, with a deadline.

mod agent_tools;
mod agents;
mod api;
mod ari_rest;
mod asterisk_fails;
mod bad_input;
mod bench;
mod call_log;
mod call_log_server;
mod config;
mod config_command;
mod demo;
mod doctor;
mod killed;
mod live;
mod many;
#[path = "../registry/mariadb.rs"]
#[expect(
    dead_code,
    clippy::print_stdout,
    reason = "the call log's own tests use the rest; a skipped one says so"
)]
mod mariadb;
mod mcp;
mod metrics;
mod one_call;
mod openai_package;
mod operator_log;
mod outage;
mod overload;
mod private;
mod proxy;
mod readers;
mod ready;
mod reconnect;
mod recording;
mod refused;
mod refusing;
mod rehearsal;
mod reload;
mod rivals;
mod rtp_source;
mod sealed;
mod service_manager;
mod sigterm;
mod sip;
mod sip_dialled;
#[path = "../recordings/small_disk.rs"]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
mod small_disk;
mod spending;
mod stall;
mod tls;
mod tools;
mod torn;
mod transferred;
mod webhooks;
mod world;
