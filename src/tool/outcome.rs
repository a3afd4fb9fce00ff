//! How a call of a tool ended, and what the model reads of it.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::cut::cut;
use super::parameters::Problem;

/// The most characters of an answer to the model. A larger value would fill the conversation and cost with each turn; a smaller
/// one would cut ordinary lists.
pub const MOST_CHARS: usize = 4_000;

/// What the model should do if it is not known whether a tool was carried out, and a repeated call does no harm.
const TRY_AGAIN: &str = "It is not known whether it was done. Call again with exactly the same arguments: it will not be done twice.";

/// How a call of a tool ended. Texts of servers are in it only where they were mapped, and secrets are masked in them.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was done.
    Done {
        /// What the model is told.
        result: Value,
    },
    /// The arguments do not fit, and nothing was done.
    InvalidArguments {
        /// What is wrong with them.
        problems: Vec<Problem>,
    },
    /// The caller has not agreed yet, and nothing was done.
    AskFirst,
    /// Something else has to end first, and nothing was done.
    Busy,
    /// The service cannot be used now, and nothing was done.
    Unavailable,
    /// The service refused, and nothing was done.
    Refused {
        /// What the service says.
        message: Value,
    },
    /// It is not known whether it was done.
    Unknown,
    /// The tool has failed or has been called too often in this call.
    TooOften,
}

impl Outcome {
    /// The code in the answer, and in metrics and records: `ok`, or that of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Done { .. } => "ok",
            Self::InvalidArguments { .. } => "invalid_arguments",
            Self::AskFirst => "ask_first",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Refused { .. } => "refused",
            Self::Unknown => "unknown",
            Self::TooOften => "too_often",
        }
    }

    /// What the model should do.
    const fn hint(&self) -> &'static str {
        match self {
            Self::Done { .. } => "",
            Self::InvalidArguments { .. } => {
                "Correct the arguments, ask the caller if needed, and call again."
            }
            Self::AskFirst => "Read it back and ask. Call again after the caller has agreed.",
            Self::Busy => "Something is still being done. Wait for its result before you go on.",
            Self::Unavailable => "It was not done. Say that it does not work now, and offer something else.",
            Self::Refused { .. } => "It was not done. Tell the caller why, and offer something else.",
            Self::Unknown => {
                "It is not known whether it was done. Do not repeat it. Say so, and offer a person."
            }
            Self::TooOften => "Do not call this again in this conversation. Offer something else.",
        }
    }

    /// What the model reads: JSON of at most [`MOST_CHARS`] characters.
    #[must_use]
    pub fn text(&self) -> String {
        self.answer(Map::new())
    }

    /// The same for a tool whose server recognizes a repeated request: the model may call it again to learn what is not known.
    #[must_use]
    pub fn text_of_idempotent(&self) -> String {
        if *self != Self::Unknown {
            return self.text();
        }
        json!({"ok": false, "error": self.code(), "hint": TRY_AGAIN}).to_string()
    }

    /// The same for a call that had been made before with the same arguments: it was not carried out again.
    #[must_use]
    pub fn repeated(&self) -> String {
        self.answer(Map::from_iter([("repeated".to_owned(), Value::Bool(true))]))
    }

    /// The answer with these members after the others.
    fn answer(&self, others: Map<String, Value>) -> String {
        let (mut answer, name, value) = match self {
            Self::Done { result } => (json!({"ok": true}), "result", Some(Cow::Borrowed(result))),
            Self::Refused { message } => (self.failure(), "message", Some(Cow::Borrowed(message))),
            Self::InvalidArguments { problems } => {
                (self.failure(), "problems", Some(Cow::Owned(problems.iter().map(Problem::json).collect())))
            }
            _ => (self.failure(), "", None),
        };
        if let Some(members) = answer.as_object_mut() {
            members.extend(others);
        }
        let Some(value) = value else { return answer.to_string() };
        let with = |value: Value, left_out: usize| {
            let mut answer = answer.clone();
            answer[name] = value;
            if left_out > 0 {
                answer["left_out"] = Value::from(left_out);
            }
            answer.to_string()
        };
        // The largest number that the count of what is left out may have.
        let around = with(Value::Null, usize::MAX).chars().count() - "null".len();
        let (value, left_out) = cut(&value, MOST_CHARS - around);
        with(value, left_out)
    }

    fn failure(&self) -> Value {
        json!({"ok": false, "error": self.code(), "hint": self.hint()})
    }
}
