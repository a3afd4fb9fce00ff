//! The fakes: an Asterisk, a caller with a phone, and the wire between. Each is a description without IO or clock.
//! They share no code with the product, so that they cannot share its mistakes.

pub mod asterisk;
pub mod caller;
mod chance;
pub mod live;
pub mod realtime;
mod rtp;
pub mod wire;

#[cfg(test)]
mod tests;

/// The instant at which the tests' virtual time begins.
#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made in another way; it is read once per test"
)]
fn epoch() -> std::time::Instant {
    std::time::Instant::now()
}
