//! The fakes behind real sockets on loopback: the same machines as in the tests on a virtual clock, for
//! `demo`, the benchmark and the tests of the real daemon.
//!
//! ```text
//!   HTTP, WebSockets ─► axum ──┐                       one plain mutex around each machine, never held while
//!   UDP sockets ─► reader ─────┼─► lock, feed, drain   waiting; output is sent before the lock is released
//!   clock ─► driver ───────────┘
//! ```
//! `trunk` joins the fake Asterisk and the fake of OpenAI's calls: it carries what Asterisk dials there.
//!
//! The sockets make no decision: the machine decides what is answered and when. Every server binds port 0 and
//! owns everything that it starts; dropping the server ends all of that and cuts its connections.

pub mod asterisk;
mod connection;
pub mod openai_calls;
pub mod realtime;
pub mod trunk;

pub use asterisk::AsteriskServer;
pub use openai_calls::OpenAiCallsServer;
pub use realtime::RealtimeServer;
pub use trunk::Trunk;
