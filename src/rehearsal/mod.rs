//! Tries agents without a telephone: the commands `agents tool`, `agents try`, `agents test` and `agents replay`.
//!
//! ```text
//!   typed, an example, a recording                 the product's own
//!   line · sound ──────────────────► stage ──► Call, RealtimeLink ──► the real model, or the one of `sim`
//!                     asterisk ◄───────┤
//!                     hands ◄──────────┘  the tools: carried out by the daemon's client, or answered in their place
//! ```
//!
//! | file | what |
//! |---|---|
//! | `tool` | `agents tool`: one call of a tool |
//! | `talk` | `agents try`: a conversation by text |
//! | `examples` | `agents test`: the examples in the files |
//! | `replay`, `columns` | `agents replay`: a recorded caller; two transcripts side by side |
//! | `stage` | a call without a telephone |
//! | `line`, `sound` | the caller: by text, by the sound of a recording |
//! | `asterisk`, `hands`, `cast` | Asterisk's part; who carries out the tools; who takes part |
//! | `servers` | the MCP servers of the agent |
//! | `given` | the values of the call that is pretended |
//! | `words` | what the commands say, in both languages |

mod asterisk;
mod cast;
mod columns;
pub mod examples;
mod given;
mod hands;
mod line;
pub mod replay;
mod servers;
mod sound;
mod stage;
pub mod talk;
pub mod tool;
mod words;

/// Variables that a rehearsal does not use, and that a machine without a telephone need not have.
pub const UNUSED: [(&str, &str); 6] = [
    ("ASTERISK_HOST", "127.0.0.1"),
    ("ASTERISK_PORT", "8088"),
    ("ASTERISK_USERNAME", "rehearsal"),
    ("ASTERISK_PASSWORD", "rehearsal"),
    ("LOCAL_IP_ADDRESS", "127.0.0.1"),
    ("LOG_FILE_PATH", "/dev/null"),
];
/// Takes the place of the key where no session with the model is opened.
pub const NO_KEY: (&str, &str) = ("OPENAI_API_KEY", "sk-rehearsal");
