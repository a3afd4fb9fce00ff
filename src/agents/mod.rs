//! Which agent takes a call: an assistant of its own for each dialled number, with opening hours. Pure.
//!
//! An agent is an assistant with its own instructions, voice, limits and destinations. The operator describes agents in
//! files (`config::agents`). This module knows only what the choice needs, so that the daemon and the command
//! `agents who` choose in the same way.
//!
//! ```text
//!  Stasis(app,agent=NAME) ─► variable AI_AGENT ─► number (did=…, or the extension) ─► default
//!        the first that applies                                                        │
//!                                              closed at this time? ─► the agent named in `closed`
//! ```
//!
//! | file | what |
//! |---|---|
//! | `choice` | the choice, and the reason for it |
//! | `hours` | opening hours and days on which an agent is closed |
//! | `pattern` | dialled numbers and patterns of Asterisk's dialplan |

mod choice;
mod hours;
mod pattern;

pub use choice::{Asked, Choice, Closed, Conflict, Entry, Roster, UnknownAgent, Why};
pub use hours::{Holiday, HolidayError, HoursError, OpeningHours};
pub use pattern::{Pattern, PatternError};

/// The name of the agent that the environment describes. An agent of this name in a file takes its place.
pub const DEFAULT: &str = "default";
