//! The record of a session for the test that reads it: facts with their instants, and violations as
//! sentences.
//!
//! This module makes no judgements; the checks are beside what they check.

use std::collections::BTreeSet;
use std::time::Instant;

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The instant.
    pub at: Instant,
    /// The event.
    pub what: What,
}

/// What can happen in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// `session.updated` was sent.
    SessionUpdated,
    /// The VAD heard the caller start to speak.
    SpeechStarted {
        /// The id of the item that this turn becomes.
        item: String,
        /// `audio_start_ms`, as reported, prefix padding included.
        ms: u64,
    },
    /// The VAD heard the caller stop speaking.
    SpeechStopped {
        /// The id of the item of the turn.
        item: String,
        /// `audio_end_ms`.
        ms: u64,
    },
    /// The caller's turn became an item.
    Committed {
        /// The id of the item.
        item: String,
    },
    /// A transcript of the caller was sent.
    Transcript {
        /// The id of the item of the turn.
        item: String,
        /// The words.
        text: String,
    },
    /// A response began.
    ResponseCreated {
        /// The id of the response.
        id: String,
        /// Whether `response.create` asked for the response; otherwise the VAD started it.
        by_client: bool,
    },
    /// An audio delta was sent.
    AudioSent {
        /// The id of the response.
        response: String,
        /// The id of the item.
        item: String,
        /// The length of the item's audio that has been sent, this delta included.
        ms: u64,
    },
    /// A response ended.
    ResponseDone {
        /// The id of the response.
        id: String,
        /// `completed`, `cancelled`, `failed` or `incomplete`.
        status: &'static str,
    },
    /// A response was cancelled.
    Cancelled {
        /// The id of the response.
        response: String,
        /// Whether `response.cancel` cancelled the response; otherwise the caller's speech did.
        by_client: bool,
    },
    /// The client truncated an item.
    Truncated {
        /// The id of the item.
        item: String,
        /// The length that the caller heard, according to the client.
        audio_end_ms: u64,
        /// The length that had been sent.
        generated_ms: u64,
    },
    /// The client deleted an item.
    Deleted {
        /// The id of the item.
        item: String,
    },
    /// A complete function call was delivered.
    ToolCalled {
        /// The id of the function call.
        call_id: String,
        /// The name of the function.
        name: String,
    },
    /// The client answered a function call.
    ToolOutput {
        /// The id of the function call.
        call_id: String,
        /// The output.
        output: String,
    },
    /// The client created an item (outputs of functions too).
    ItemCreated {
        /// The id of the item.
        item: String,
        /// `user`, `system`, `assistant`, `function_call` or `function_call_output`.
        role: &'static str,
        /// The text, arguments or output of the item.
        text: String,
    },
    /// An `error` event was sent.
    ErrorSent {
        /// The code of the error, `""` for null.
        code: String,
        /// Whether the error is excused because two messages crossed on the wire.
        race: bool,
    },
    /// A scripted fault happened.
    FaultStruck(String),
    /// The client did something that it must not do.
    Violation(String),
    /// The session ended.
    Closed {
        /// Whether the client ended the session.
        by_client: bool,
    },
}

/// The facts and violations of one session.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) facts: Vec<Fact>,
    pub(super) violations: Vec<String>,
    /// The violations that are reported only once, because they would repeat with every packet.
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

    /// Whether this is the first time, for violations that are reported only once.
    pub(super) fn first(&mut self, kind: &'static str) -> bool {
        self.told.insert(kind)
    }
}
