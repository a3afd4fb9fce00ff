//! Why a request cannot be made of the values of a call.

use super::template::{Template, ValueError};

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The path.
    Path,
    /// The query.
    Query,
    /// A header.
    Header,
    /// The body.
    Body,
    /// The values of a file for a tool of a server.
    Fixed,
    /// The mapping of the result.
    Result,
}

impl Place {
    /// The key of a tool's file under which the part stands.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Path => "request",
            Self::Query => "query",
            Self::Header => "headers",
            Self::Body => "body",
            Self::Fixed => "fixed",
            Self::Result => "result",
        }
    }
}

/// Why there is no request. No words of the caller, of a server or of a secret are in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The model can mend it: the argument does not fit where it is used.
    #[error("the argument {name} does not fit: {reason}")]
    Argument {
        /// The name of the argument.
        name: String,
        /// What is wrong with it, in English.
        reason: &'static str,
    },
    /// A template has no usable value.
    #[error("{}: {error}", place.key())]
    Value {
        /// Where the template stands.
        place: Place,
        /// Why.
        error: ValueError,
    },
    /// A secret is not there.
    #[error("the secret {name} is missing")]
    Secret {
        /// The name of the secret.
        name: String,
    },
}

impl RenderError {
    /// The values make no usable text.
    pub(super) const fn place(place: Place) -> Self {
        Self::Value { place, error: ValueError::Unfit }
    }
}

/// A template that has no value.
pub(super) fn unfit(place: Place, template: &Template, error: ValueError) -> RenderError {
    match (error, argument_of(template)) {
        (ValueError::Missing, Some(name)) => {
            RenderError::Argument { name: name.to_owned(), reason: "it is needed here" }
        }
        _ => RenderError::Value { place, error },
    }
}

/// A template whose value cannot be used. If it comes from an argument, the model is told which.
pub(super) fn argument(place: Place, template: &Template, reason: &'static str) -> RenderError {
    argument_of(template)
        .map_or(RenderError::place(place), |name| RenderError::Argument { name: name.to_owned(), reason })
}

/// The only argument of a template, if it uses one and nothing else.
fn argument_of(template: &Template) -> Option<&str> {
    let mut names = template.names().iter();
    match (names.next(), names.next()) {
        (Some(only), None) => only.strip_prefix("args.")?.split('.').next(),
        _ => None,
    }
}
