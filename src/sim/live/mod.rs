//! The fakes behind real sockets on loopback: the same machines as in the tests on a virtual clock, for `demo`,
//! the benchmark and the tests of the real daemon.
//!
//! ```text
//!   HTTP, WebSockets ─► axum ──┐                       one plain mutex around each machine, never held while
//!   UDP sockets ─► reader ─────┼─► lock, feed, drain   waiting; what comes out is sent before it is let go
//!   clock ─► driver ───────────┘
//! ```
//! The sockets decide nothing: what is answered, and when, is the machine's. Every server binds port 0 and owns
//! what it started; dropping it ends all of that and cuts its connections.

pub mod asterisk;
mod connection;
pub mod realtime;

pub use asterisk::AsteriskServer;
pub use realtime::RealtimeServer;
