//! Tries agents without a telephone: the commands `agents tool`, `agents try`, `agents test` and `agents replay`.
//!
//! | file | what |
//! |---|---|
//! | `tool` | one call of a tool |
//! | `given` | the values of the call that is pretended |
//! | `words` | what the commands say, in both languages |

mod given;
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
