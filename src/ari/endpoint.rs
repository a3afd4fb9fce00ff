//! A SIP endpoint of Asterisk, which is asked about by its name.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// The path below `/ari` of the PJSIP endpoint of this name.
#[must_use]
pub fn endpoint_path(name: &str) -> String {
    format!("/endpoints/PJSIP/{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

/// How Asterisk sees an endpoint, from its answer: `online`, `offline` or `unknown`. None: the body does not describe an endpoint.
#[must_use]
pub fn endpoint_state(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Endpoint {
        state: String,
    }
    serde_json::from_str(body).ok().map(|Endpoint { state }| state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_asked_about_by_its_name() {
        assert_eq!(endpoint_path("openai"), "/endpoints/PJSIP/openai");
        assert_eq!(endpoint_path("../info"), "/endpoints/PJSIP/%2E%2E%2Finfo");
        let body = r#"{"technology":"PJSIP","resource":"openai","state":"offline","channel_ids":[]}"#;
        assert_eq!(endpoint_state(body).as_deref(), Some("offline"));
        assert_eq!(endpoint_state("[]"), None);
    }
}
