//! The requests about a call that OpenAI answers, as data, and what came of them.

use serde_json::{Value, json};

use super::CallId;
use crate::operator::{Code, Detail, LinkFault};
use crate::realtime::error::{ApiError, Refusal};

/// A request about a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Takes the call, with a session of these settings.
    Accept {
        /// The call.
        call: CallId,
        /// The session object of [`SessionSettings::accept`](crate::realtime::dialect::SessionSettings::accept).
        session: Value,
    },
    /// Refuses the call.
    Reject {
        /// The call.
        call: CallId,
        /// The SIP status that the trunk gets (RFC 3261 section 21).
        status: SipStatus,
    },
    /// Sends the SIP peer a REFER (RFC 3515). What comes of it is never told.
    Refer {
        /// The call.
        call: CallId,
        /// Where the caller is to go on.
        target: Target,
    },
    /// Ends the call.
    HangUp(CallId),
}

/// The SIP status with which a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SipStatus {
    /// 486: there is no room at this moment.
    BusyHere,
    /// 503: the service is not to be had.
    ServiceUnavailable,
    /// 603: the call is not wanted.
    Decline,
}

impl SipStatus {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::BusyHere => 486,
            Self::ServiceUnavailable => 503,
            Self::Decline => 603,
        }
    }
}

/// The target of a REFER: `sip:EXTENSION@HOST`. The extension may be a number, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    /// An extension at a host, which may have a port.
    #[must_use]
    pub fn new(extension: &str, host: &str) -> Self {
        Self(format!("sip:{}@{host}", extension.replace('#', "%23")))
    }

    /// The URI.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Target")
    }
}

impl Request {
    /// The call that the request is about.
    #[must_use]
    pub const fn call(&self) -> &CallId {
        match self {
            Self::Accept { call, .. }
            | Self::Reject { call, .. }
            | Self::Refer { call, .. }
            | Self::HangUp(call) => call,
        }
    }

    /// The last part of the path.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Accept { .. } => "accept",
            Self::Reject { .. } => "reject",
            Self::Refer { .. } => "refer",
            Self::HangUp(_) => "hangup",
        }
    }

    /// The path below the address of calls. The method is always POST.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/{}/{}", self.call(), self.verb())
    }

    /// The body as JSON; None: there is none.
    #[must_use]
    pub fn body(&self) -> Option<String> {
        match self {
            Self::Accept { session, .. } => Some(session.to_string()),
            Self::Reject { status, .. } => Some(json!({"status_code": status.code()}).to_string()),
            Self::Refer { target, .. } => Some(json!({"target_uri": target.uri()}).to_string()),
            Self::HangUp(_) => None,
        }
    }
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// 2xx.
    Done,
    /// Any other status.
    Refused {
        /// The status.
        status: u16,
        /// Why OpenAI would refuse another request, too. None: it might carry it out.
        refusal: Option<Refusal>,
        /// The error, for the log and for the parameter it names.
        error: Box<ApiError>,
    },
    /// No answer came: it is not known whether the request was carried out.
    Lost(Detail),
}

impl Reply {
    /// The reply of an HTTP answer.
    #[must_use]
    pub fn of_answer(status: u16, body: &str) -> Self {
        if (200..300).contains(&status) {
            return Self::Done;
        }
        let error = Box::new(ApiError::of_body(body));
        Self::Refused { status, refusal: Refusal::of_answer(status, body), error }
    }

    /// The cause for the operator; None: there is no fault.
    #[must_use]
    pub fn fault(&self) -> Option<LinkFault> {
        match self {
            Self::Done => None,
            Self::Refused { status, error, .. } => {
                Some(LinkFault::Http { status: *status, code: error.complaint().code })
            }
            Self::Lost(cause) => Some(LinkFault::System(cause.clone())),
        }
    }

    /// Whether the call is over after this answer to a request that ends it: carried out, or there is nothing left to end.
    #[must_use]
    pub const fn ends(&self) -> bool {
        matches!(self, Self::Done | Self::Refused { status: 404 | 409 | 410 | 422, .. })
    }

    /// The word for the debug log.
    #[must_use]
    pub fn word(&self) -> Code {
        match self {
            Self::Done => Code::new("done"),
            Self::Refused { error, .. } => error.complaint().code,
            Self::Lost(_) => Code::new("lost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> CallId {
        CallId::parse("rtc_u0_0001").expect("an id")
    }

    #[test]
    fn requests_have_the_documented_paths_and_bodies() {
        let reject = Request::Reject { call: call(), status: SipStatus::BusyHere };
        assert_eq!(
            (reject.path(), reject.body().as_deref()),
            ("/rtc_u0_0001/reject".into(), Some(r#"{"status_code":486}"#))
        );
        let target = Target::new("ventas", "203.0.113.5");
        let refer = Request::Refer { call: call(), target };
        assert_eq!(refer.body().as_deref(), Some(r#"{"target_uri":"sip:ventas@203.0.113.5"}"#));
        assert_eq!(
            (Request::HangUp(call()).path(), Request::HangUp(call()).body()),
            ("/rtc_u0_0001/hangup".into(), None)
        );
        assert_eq!(format!("{refer:?}").matches("ventas").count(), 0, "no number in a log");
        assert_eq!(Target::new("*97#", "pbx:5070").uri(), "sip:*97%23@pbx:5070");
    }

    #[test]
    fn an_answer_is_judged_by_its_status() {
        assert_eq!(Reply::of_answer(200, ""), Reply::Done);
        let gone = r#"{"error":{"message":"x","type":"invalid_request_error","code":"call_id_not_found","param":null}}"#;
        for status in [404, 409, 410, 422] {
            assert!(Reply::of_answer(status, gone).ends() && Reply::of_answer(status, "").ends(), "{status}");
        }
        for status in [400, 401, 429, 500, 502] {
            assert!(!Reply::of_answer(status, "<html>").ends(), "{status}");
        }
        assert!(!Reply::Lost(Detail::new("late")).ends());
    }
}
