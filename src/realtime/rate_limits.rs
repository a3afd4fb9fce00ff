//! The remaining rate limits of the account: the `rate_limits` of `rate_limits.updated`.
//!
//! Any field may be null, absent or of an undocumented type; such a field is `None`. A limit with an unknown
//! name is ignored. Some servers never send this event. Source: the API's event reference.

use serde_json::Value;

/// One rate limit and what remains of that limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The limit itself. None: the server did not state the limit.
    pub limit: Option<u64>,
    /// What remains of the limit.
    pub remaining: u64,
}

/// The rate limits of the account. None: the server did not state that limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// The number of requests. Each response is one request.
    pub requests: Option<RateLimit>,
    /// The number of tokens, input and output together.
    pub tokens: Option<RateLimit>,
}

impl RateLimits {
    /// Reads the list. The result is empty if the value is not a list.
    pub(super) fn of(list: &Value) -> Self {
        let mut told = Self::default();
        for one in list.as_array().into_iter().flatten() {
            let place = match one["name"].as_str() {
                Some("requests") => &mut told.requests,
                Some("tokens") => &mut told.tokens,
                _ => continue,
            };
            let limit = count(&one["limit"]);
            *place = count(&one["remaining"]).map(|remaining| RateLimit { limit, remaining }).or(*place);
        }
        told
    }

    /// Replaces each limit that `newer` states.
    pub fn update(&mut self, newer: Self) {
        self.requests = newer.requests.or(self.requests);
        self.tokens = newer.tokens.or(self.tokens);
    }
}

/// Reads a whole number, which may have a decimal point or be in quotes. A negative number becomes 0.
fn count(value: &Value) -> Option<u64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    number.is_finite().then_some(number.max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_read_whatever_its_numbers_are_written_as() {
        let read = |list: &str| RateLimits::of(&serde_json::from_str(list).unwrap());
        let both = r#"[{"name":"requests","limit":1000,"remaining":999,"reset_seconds":60},
            {"name":"tokens","limit":50000.0,"remaining":"49950","reset_seconds":60},{"name":"images","remaining":1}]"#;
        let requests = Some(RateLimit { limit: Some(1_000), remaining: 999 });
        let tokens = Some(RateLimit { limit: Some(50_000), remaining: 49_950 });
        assert_eq!(read(both), RateLimits { requests, tokens });
        let odd =
            r#"[7,null,{"name":"tokens","limit":null,"remaining":-3.5},{"name":"requests","remaining":[]}]"#;
        let tokens = Some(RateLimit { limit: None, remaining: 0 });
        assert_eq!(read(odd), RateLimits { requests: None, tokens });
        for nothing in ["null", "{}", "[]", "\"tokens\"", r#"[{"remaining":1}]"#, r#"[{"name":"tokens"}]"#] {
            assert_eq!(read(nothing), RateLimits::default(), "{nothing}");
        }
    }

    #[test]
    fn what_is_not_told_again_stays() {
        let one = |remaining| Some(RateLimit { limit: None, remaining });
        let mut known = RateLimits { requests: one(5), tokens: one(7) };
        known.update(RateLimits { requests: None, tokens: one(6) });
        assert_eq!(known, RateLimits { requests: one(5), tokens: one(6) });
    }
}
