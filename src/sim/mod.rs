//! The fakes: an Asterisk, an OpenAI Realtime server, a caller with a phone, and the network between them.
//! Each is a description without IO or clock. Apart from the clock that `live` reads, the fakes share no code
//! with the product, so that they cannot share its mistakes.
//!
//! | file | what |
//! |---|---|
//! | `asterisk`, `realtime`, `caller` | the three fakes |
//! | `openai_calls` | the calls that OpenAI answers by SIP |
//! | `live` | the fakes behind sockets |
//! | `wire`, `rtp`, `chance` | the network between them; RTP packets; reproducible random numbers |

pub mod asterisk;
pub mod caller;
mod chance;
pub mod live;
pub mod openai_calls;
pub mod realtime;
mod rtp;
pub mod wire;

#[cfg(test)]
mod tests;

/// The instant at which the virtual time of the tests starts.
#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made in another way; it is read once per test"
)]
fn epoch() -> std::time::Instant {
    std::time::Instant::now()
}
