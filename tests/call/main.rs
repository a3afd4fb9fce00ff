//! How calls behave: the real `Call` and `Exchange` on a virtual clock, with fakes at the other end of every wire.
//!
//! `world` is the clock and what hangs on it, `exchange` and `task` do what `src/daemon` does without sockets, `model` is the
//! network to the Realtime fakes, `oracle` watches every packet, `ladder` draws what happened. The other files are
//! scenarios, one behaviour each, and `soak` is thousands of random ones.

mod asterisk;
mod debrief;
mod evidence;
mod exchange;
mod fillers;
mod knowledge;
mod ladder;
mod mcp_tools;
mod model;
mod oracle;
mod task;
mod world;
mod written_once;

mod admission;
mod agent_tools;
mod agents;
mod allocations;
mod any_moment;
mod apology;
mod asterisk_outage;
mod barge_in;
mod broken;
mod greeting;
mod hangup;
mod keys;
mod late_clock;
mod latency;
mod limits;
mod owed;
mod packet_loss;
mod private;
mod recording;
mod resume;
mod rivals;
mod rtp_source;
mod session_outage;
mod shutdown;
mod sip;
mod soak;
mod sound;
mod supervisor;
mod tolerance;
mod toolbox;
mod tools;
mod transferred;
mod turns;
