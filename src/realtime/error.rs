//! The errors of OpenAI in events, in close frames and in HTTP answers, classified by what the program must
//! do.
//!
//! The message of an error may quote a caller or a key. The operator therefore sees only the code and the
//! parameter of an error ([`Complaint`]).
//!
//! Source: the API's error reference; the codes in refused HTTP answers are taken from public reports.

use std::fmt;

use serde::Deserialize;

use crate::operator::{Code, Complaint, LinkFault, Notice};

/// The `error` object of an `error` event, of a failed response or of an HTTP answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApiError {
    /// The type of the error: `invalid_request_error`, `server_error`, …
    #[serde(rename = "type", deserialize_with = "text_or_null")]
    pub kind: String,
    /// The code of the error. Empty: the server gave none.
    #[serde(deserialize_with = "text_or_null")]
    pub code: String,
    /// The description for people. It may quote a caller or a key.
    #[serde(deserialize_with = "text_or_null")]
    pub message: String,
    /// The parameter that was wrong.
    #[serde(deserialize_with = "text_or_null")]
    pub param: String,
    /// The id of the client event that caused the error.
    #[serde(deserialize_with = "text_or_null")]
    pub event_id: String,
}

/// What an [`ApiError`] means for the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The error lasts until a person corrects its cause.
    Permanent(Refusal),
    /// The session is over. The program may open another session.
    SessionOver,
    /// Two events crossed on the wire. Nothing is wrong.
    Race,
    /// The server has a temporary problem.
    Transient,
    /// The program sent a wrong event.
    OurFault,
}

/// Why OpenAI refuses to serve the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The key is wrong, or its account is closed.
    Key,
    /// The key is valid but lacks the permission.
    Access,
    /// OpenAI does not serve the country or region of this machine.
    Country,
    /// The key belongs to another project or organization than the request names.
    Project,
    /// The account admits only certain IP addresses, and this machine's address is not among them.
    Address,
    /// A proxy or another device on the way answered instead of the server.
    Proxy,
    /// The account has no credit left.
    Quota,
    /// The model does not exist, or the account may not use the model.
    Model,
    /// The server no longer speaks the beta interface.
    BetaDialect,
    /// The TLS certificate of the server is not trusted.
    Certificate,
    /// Another refusal that lasts.
    Other,
}

impl Refusal {
    /// What an HTTP answer means that arrives instead of the WebSocket upgrade. The body decides first, then
    /// the status. Status 429 is temporary after too many requests and lasts if the account has no credit
    /// left. None: the refusal may be temporary.
    pub fn of_answer(status: u16, body: &str) -> Option<Self> {
        if let ErrorClass::Permanent(refusal) = ApiError::of_body(body).class() {
            return Some(refusal);
        }
        match status {
            407 => Some(Self::Proxy),
            408 | 429 | 500.. => None,
            _ if is_web_page(body) => Some(Self::Proxy),
            401 => Some(Self::Key),
            403 => Some(Self::Access),
            400..500 => Some(Self::Other),
            _ => None,
        }
    }

    /// What a close frame means. The API closes with code 3000 or 4xxx to refuse the session, and gives a
    /// reason such as `invalid_request_error.invalid_api_key`. Such a refusal lasts.
    pub fn of_close(code: u16, reason: &str) -> Option<Self> {
        let word = reason.rsplit('.').next().unwrap_or_default();
        (3000..5000).contains(&code).then(|| {
            match (ApiError { code: word.to_owned(), ..ApiError::default() }).class() {
                ErrorClass::Permanent(refusal) => refusal,
                _ => Self::Other,
            }
        })
    }

    /// The stable code of the refusal for programs. `Certificate` shares its code with `Other`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Access => "access",
            Self::Country => "country",
            Self::Project => "project",
            Self::Address => "address",
            Self::Proxy => "proxy",
            Self::Quota => "quota",
            Self::Model => "model",
            Self::BetaDialect => "beta_dialect",
            Self::Certificate | Self::Other => "refused",
        }
    }

    /// The operator's line for the refusal. `model` is the requested model, and `cause` is the answer of the
    /// server.
    pub fn notice(self, model: &str, cause: LinkFault) -> Notice {
        match self {
            Self::Key => Notice::KeyRefused,
            Self::Access => Notice::AccessRefused { cause },
            Self::Country => Notice::CountryRefused,
            Self::Project => Notice::ProjectRefused { cause },
            Self::Address => Notice::AddressRefused,
            Self::Proxy => Notice::ProxyRefused { cause },
            Self::Quota => Notice::QuotaExhausted,
            Self::Model => Notice::ModelUnavailable { model: model.to_owned() },
            Self::BetaDialect => Notice::BetaRefused,
            Self::Certificate => Notice::CertificateRefused { cause },
            Self::Other => Notice::SessionRefused { cause },
        }
    }
}

/// Whether the body of an answer is a web page. The API never sends one.
fn is_web_page(body: &str) -> bool {
    // A chunked body begins with the length of its first chunk, which is skipped here.
    let begin = body.trim_start_matches(|c: char| c.is_ascii_hexdigit() || c.is_whitespace());
    begin.starts_with('<')
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.code, &*self.message) {
            (code, "") => f.write_str(code),
            (code, message) => write!(f, "{code}: {message}"),
        }
    }
}

impl ApiError {
    /// The error in the body of an HTTP answer. The body may still hold the lengths of its chunks. The result
    /// is empty if the body has no error or is incomplete.
    pub fn of_body(body: &str) -> Self {
        #[derive(Deserialize)]
        struct Body {
            error: ApiError,
        }
        let json = body.find('{').zip(body.rfind('}')).and_then(|(from, to)| body.get(from..=to));
        json.and_then(|json| serde_json::from_str(json).ok())
            .map_or_else(Self::default, |Body { error }| error)
    }

    /// The part of the error that the operator may see.
    pub fn complaint(&self) -> Complaint {
        let code = Code::new(&self.code);
        let code = if code.is_empty() { Code::new(&self.kind) } else { code };
        Complaint { code, param: Code::new(&self.param) }
    }

    /// Whether the server could not answer the caller's finished turn because another response was active. If
    /// a request of the program had caused the error, `event_id` would name that request.
    pub fn is_server_busy(&self) -> bool {
        self.code == "conversation_already_has_active_response" && self.event_id.is_empty()
    }

    /// Classifies the error by what the program must do.
    pub fn class(&self) -> ErrorClass {
        match self.code.as_str() {
            "invalid_api_key" | "account_deactivated" => ErrorClass::Permanent(Refusal::Key),
            "unsupported_country_region_territory" => ErrorClass::Permanent(Refusal::Country),
            "mismatched_project"
            | "mismatched_organization"
            | "invalid_project"
            | "invalid_organization"
            | "organization_membership_required" => ErrorClass::Permanent(Refusal::Project),
            "ip_not_authorized" => ErrorClass::Permanent(Refusal::Address),
            "permission_denied" | "insufficient_permissions" | "missing_scope" => {
                ErrorClass::Permanent(Refusal::Access)
            }
            "insufficient_quota" | "billing_hard_limit_reached" => ErrorClass::Permanent(Refusal::Quota),
            "model_not_found" | "invalid_model" | "missing_model" => ErrorClass::Permanent(Refusal::Model),
            "beta_api_shape_disabled" => ErrorClass::Permanent(Refusal::BetaDialect),
            "session_expired" => ErrorClass::SessionOver,
            "response_cancel_not_active"
            | "conversation_already_has_active_response"
            | "input_audio_buffer_commit_empty"
            | "item_truncate_invalid_item_id"
            | "item_delete_invalid_item_id"
            | "invalid_tool_call_id" => ErrorClass::Race,
            "server_error" | "rate_limit_exceeded" | "inference_rate_limit_exceeded" => ErrorClass::Transient,
            _ if self.message.contains("already shorter than") => ErrorClass::Race,
            _ if self.kind == "server_error" || self.kind == "rate_limit_error" => ErrorClass::Transient,
            _ => ErrorClass::OurFault,
        }
    }
}

fn text_or_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::Language;

    #[test]
    fn an_http_answer_is_judged_by_its_body_first_and_then_by_its_status() {
        let judged = Refusal::of_answer;
        let quota = r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"x","param":null}}"#;
        let rate = r#"{"error":{"type":"tokens","code":"rate_limit_exceeded","message":"x"}}"#;
        assert_eq!(judged(429, quota), Some(Refusal::Quota));
        assert_eq!(judged(429, &format!("5f\r\n{quota}\r\n0\r\n\r\n")), Some(Refusal::Quota), "in a chunk");
        assert_eq!(judged(429, rate), None);
        assert_eq!(judged(404, r#"{"error":{"code":"model_not_found"}}"#), Some(Refusal::Model));
        for no_body in ["", "no", "}{", "{}", &quota[..30]] {
            assert_eq!(judged(429, no_body), None, "{no_body}");
            assert_eq!(judged(401, no_body), Some(Refusal::Key), "{no_body}");
            assert_eq!(judged(403, no_body), Some(Refusal::Access), "{no_body}");
            assert_eq!(judged(404, no_body), Some(Refusal::Other), "{no_body}");
            assert_eq!(judged(407, no_body), Some(Refusal::Proxy), "{no_body}");
            assert_eq!(judged(503, no_body), None, "{no_body}");
        }
    }

    #[test]
    fn a_403_is_named_as_what_it_is() {
        let body = |code: &str| format!(r#"{{"error":{{"code":"{code}","type":"x","message":"y"}}}}"#);
        for (code, refusal) in [
            ("unsupported_country_region_territory", Refusal::Country),
            ("mismatched_project", Refusal::Project),
            ("mismatched_organization", Refusal::Project),
            ("ip_not_authorized", Refusal::Address),
            ("permission_denied", Refusal::Access),
            ("something_new", Refusal::Access),
        ] {
            assert_eq!(Refusal::of_answer(403, &body(code)), Some(refusal), "{code}");
        }
        assert_eq!(Refusal::of_answer(401, &body("ip_not_authorized")), Some(Refusal::Address));
        let page = "<!DOCTYPE html><html>Access denied</html>";
        for status in [200, 302, 401, 403, 404] {
            assert_eq!(Refusal::of_answer(status, page), Some(Refusal::Proxy), "{status}");
        }
        assert_eq!(Refusal::of_answer(403, &format!("29\r\n{page}\r\n0\r\n")), Some(Refusal::Proxy));
        assert_eq!(Refusal::of_answer(502, page), None, "a gateway in trouble");
    }

    #[test]
    fn each_refusal_has_a_line_of_its_own_and_only_one_blames_the_key() {
        use Refusal::*;
        let all =
            [Key, Access, Country, Project, Address, Proxy, Quota, Model, BetaDialect, Certificate, Other];
        let cause = || LinkFault::Http { status: 403, code: Code::new("odd") };
        let line = |refusal: Refusal| refusal.notice("m", cause()).line(Language::Spanish);
        let mut lines: Vec<_> = all.map(line).into();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), all.len());
        assert_eq!(lines.iter().filter(|line| line.contains("rechaza la clave")).count(), 1);
    }

    #[test]
    fn of_an_error_its_words_for_machines_are_said() {
        let error = |text: &str| serde_json::from_str::<ApiError>(text).expect("an error").complaint();
        let said = |text: &str| {
            let notice = Notice::SessionComplains { complaint: error(text) };
            (notice.line(Language::English), notice.line(Language::Spanish))
        };
        let (english, spanish) =
            said(r#"{"code":null,"type":null,"message":"A caller said: my PIN is 1234."}"#);
        assert!(
            english.starts_with("OpenAI rejects a message of the daemon (no code). The call"),
            "{english}"
        );
        assert!(spanish.starts_with("OpenAI rechaza un mensaje del servicio (sin código). La"), "{spanish}");
        let (english, _) =
            said(r#"{"code":"invalid_value","param":"session.tools[0]","message":"Invalid value."}"#);
        assert!(english.contains("(invalid_value, parameter session.tools[0]). The call"), "{english}");
        assert!(!english.contains(".."));
        let (english, _) =
            said(r#"{"code":"call 3001234567 now","type":"invalid_request_error","param":3001234567}"#);
        assert!(english.contains("(invalid_request_error). The call"), "{english}");
    }
}
