//! What a session remembers for the test that reads it: facts with their instant, and violations as sentences.
//!
//! It judges nothing; the checks live beside what they check.

use std::collections::BTreeSet;
use std::time::Instant;

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The instant.
    pub at: Instant,
    /// What happened.
    pub what: What,
}

/// What can happen in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// `session.updated` was sent.
    SessionUpdated,
    /// The VAD heard the caller begin; `ms` as reported, prefix padding included.
    SpeechStarted {
        /// The item this turn will become.
        item: String,
        /// `audio_start_ms`.
        ms: u64,
    },
    /// The VAD heard the caller end.
    SpeechStopped {
        /// The turn's item.
        item: String,
        /// `audio_end_ms`.
        ms: u64,
    },
    /// The caller's turn became an item.
    Committed {
        /// The item.
        item: String,
    },
    /// A transcript of the caller was sent.
    Transcript {
        /// The turn's item.
        item: String,
        /// The words.
        text: String,
    },
    /// A response began.
    ResponseCreated {
        /// The response.
        id: String,
        /// Asked for by `response.create`, rather than made by the VAD.
        by_client: bool,
    },
    /// An audio delta was sent.
    AudioSent {
        /// The response.
        response: String,
        /// The item.
        item: String,
        /// How much of the item has been sent, this delta included.
        ms: u64,
    },
    /// A response ended.
    ResponseDone {
        /// The response.
        id: String,
        /// `completed`, `cancelled`, `failed` or `incomplete`.
        status: &'static str,
    },
    /// A response was cancelled.
    Cancelled {
        /// The response.
        response: String,
        /// By `response.cancel`, rather than by the caller's speech.
        by_client: bool,
    },
    /// The client said how much of an item was heard.
    Truncated {
        /// The item.
        item: String,
        /// How much, in the client's opinion.
        audio_end_ms: u64,
        /// How much had been sent.
        generated_ms: u64,
    },
    /// The client deleted an item.
    Deleted {
        /// The item.
        item: String,
    },
    /// A function call was delivered complete.
    ToolCalled {
        /// Its id.
        call_id: String,
        /// The tool.
        name: String,
    },
    /// The client answered a function call.
    ToolOutput {
        /// Its id.
        call_id: String,
        /// The answer.
        output: String,
    },
    /// The client created an item (tool outputs too).
    ItemCreated {
        /// The item.
        item: String,
        /// `user`, `system`, `assistant`, `function_call` or `function_call_output`.
        role: &'static str,
        /// Its text, arguments or output.
        text: String,
    },
    /// An `error` event was sent.
    ErrorSent {
        /// Its code, `""` for null.
        code: String,
        /// Excused: two messages crossed on the wire.
        race: bool,
    },
    /// A scripted fault struck.
    FaultStruck(String),
    /// The client did what it must not.
    Violation(String),
    /// The session is over.
    Closed {
        /// Who ended it.
        by_client: bool,
    },
}

/// The facts and violations of one session.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) facts: Vec<Fact>,
    pub(super) violations: Vec<String>,
    /// Kinds that are told once, because they would repeat with every packet.
    told: BTreeSet<&'static str>,
    keep: bool,
}

impl Journal {
    pub(super) fn new(keep: bool) -> Self {
        Self { keep, ..Self::default() }
    }

    pub(super) fn note(&mut self, at: Instant, what: What) {
        if self.keep {
            self.facts.push(Fact { at, what });
        }
    }

    pub(super) fn violation(&mut self, at: Instant, words: String) {
        self.note(at, What::Violation(words.clone()));
        self.violations.push(words);
    }

    /// Whether this is the first time, for what should be told only once.
    pub(super) fn first(&mut self, kind: &'static str) -> bool {
        self.told.insert(kind)
    }
}
