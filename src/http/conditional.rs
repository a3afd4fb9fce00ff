//! Conditional requests (RFC 9110, section 13): whether the conditions of a request hold for the file in its present
//! state.
//!
//! The headers are evaluated in the order of section 13.2.2, `Range` with `If-Range` last:
//!
//! ```text
//!  If-Match ────────── none of its tags? ──► 412
//!   │ absent: If-Unmodified-Since ── newer? ► 412
//!   ▼
//!  If-None-Match ───── one of its tags? ───► 304 (GET, HEAD), 412 (others)
//!   │ absent: If-Modified-Since ─ no newer? ► 304 (GET, HEAD)
//!   ▼
//!  Range, if If-Range is met ──────────────► 206, 416; else 200
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, Method};

/// The validators that identify the state of a file.
#[derive(Debug, Clone)]
pub(super) struct Validators {
    /// The entity tag with its quotes. The tag is a strong one.
    tag: String,
    /// When the file was last changed, in whole seconds, which is the precision of HTTP dates. `None` if the time is
    /// unknown.
    modified: Option<SystemTime>,
}

/// The result of evaluating the conditions of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All conditions hold, or there are none.
    Met,
    /// The client already has the present state of the file: status 304.
    NotModified,
    /// The file is not in the state that the request requires: status 412.
    Failed,
}

impl Validators {
    /// Creates the validators of a file. `tag` includes its quotes.
    pub(super) fn new(tag: String, modified: Option<SystemTime>) -> Self {
        Self { tag, modified: modified.and_then(whole_seconds) }
    }

    /// The value of the `ETag` header.
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// The value of the `Last-Modified` header.
    pub(super) fn date(&self) -> Option<String> {
        self.modified.map(httpdate::fmt_http_date)
    }

    /// Evaluates the conditions of a request.
    pub(super) fn verdict(&self, method: &Method, headers: &HeaderMap) -> Verdict {
        let reads = method == Method::GET || method == Method::HEAD;
        if headers.contains_key(header::IF_MATCH) {
            if !self.is_listed(headers, &header::IF_MATCH, Comparison::Strong) {
                return Verdict::Failed;
            }
        } else if self.is_newer_than(headers, &header::IF_UNMODIFIED_SINCE) == Some(true) {
            return Verdict::Failed;
        }
        if headers.contains_key(header::IF_NONE_MATCH) {
            if self.is_listed(headers, &header::IF_NONE_MATCH, Comparison::Weak) {
                return if reads { Verdict::NotModified } else { Verdict::Failed };
            }
        } else if reads && self.is_newer_than(headers, &header::IF_MODIFIED_SINCE) == Some(false) {
            return Verdict::NotModified;
        }
        Verdict::Met
    }

    /// Whether `Range` applies to the present state of the file: there is no `If-Range`, or `If-Range` identifies
    /// this state beyond doubt. A date does so only if its second was over at `now`, because the file can change
    /// again within the same second (section 13.1.5).
    pub(super) fn range_is_meant(&self, headers: &HeaderMap, now: SystemTime) -> bool {
        let Some(condition) = headers.get(header::IF_RANGE) else { return true };
        if condition.as_bytes() == self.tag.as_bytes() {
            return true;
        }
        let is_past = self.modified.is_some_and(|at| now >= at + Duration::from_secs(1));
        let date = condition.to_str().ok().and_then(|text| httpdate::parse_http_date(text).ok());
        is_past && date.is_some() && date == self.modified
    }

    /// Whether the header lists the tag. `*` stands for any tag.
    fn is_listed(&self, headers: &HeaderMap, name: &HeaderName, comparison: Comparison) -> bool {
        let mut lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        lines.any(|line| line.trim() == "*" || Tags(line).any(|tag| comparison.is_same(tag, &self.tag)))
    }

    /// Whether the file is newer than the date in the header. `None` if there is no date to compare with.
    fn is_newer_than(&self, headers: &HeaderMap, name: &HeaderName) -> Option<bool> {
        let mut lines = headers.get_all(name).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let date = httpdate::parse_http_date(line.to_str().ok()?.trim()).ok()?;
        Some(self.modified? > date)
    }
}

/// Truncates a time to whole seconds. `None` if the time is before 1970, which HTTP dates cannot express.
fn whole_seconds(time: SystemTime) -> Option<SystemTime> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(since.as_secs()))
}

/// How two tags are compared (section 8.8.3.2). The tags of this server are strong.
#[derive(Debug, Clone, Copy)]
enum Comparison {
    /// A weak tag equals no other tag.
    Strong,
    /// The prefix `W/` is ignored.
    Weak,
}

impl Comparison {
    fn is_same(self, theirs: &str, ours: &str) -> bool {
        match self {
            Self::Strong => theirs == ours,
            Self::Weak => theirs.strip_prefix("W/").unwrap_or(theirs) == ours,
        }
    }
}

/// Iterates over the tags of a list: an optional `W/` and a quoted text, which may contain commas. The iteration ends
/// at the first element that is not a tag.
struct Tags<'a>(&'a str);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let list = self.0.trim_start_matches([',', ' ', '\t']);
        let mark = if list.starts_with("W/\"") { 3 } else { 1 };
        let end = list.starts_with(['"', 'W']).then(|| list.get(mark..)?.find('"')).flatten()?;
        let (tag, rest) = list.split_at(mark + end + 1);
        self.0 = rest;
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DATE: &str = "Mon, 20 Oct 2025 19:30:25 GMT";
    const BEFORE: &str = "Mon, 20 Oct 2025 19:30:24 GMT";
    const AFTER: &str = "Monday, 20-Oct-25 19:30:26 GMT";

    fn file() -> Validators {
        let modified = httpdate::parse_http_date(DATE).unwrap() + Duration::from_millis(999);
        Validators::new("\"a,b\"".to_owned(), Some(modified))
    }

    fn verdict(method: &Method, headers: &[(HeaderName, &str)]) -> Verdict {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        file().verdict(method, &headers.collect())
    }

    #[test]
    fn each_condition_is_read_as_the_rfc_says() {
        use header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
        for (name, value, wanted) in [
            (IF_MATCH, "\"a,b\"", Verdict::Met),
            (IF_MATCH, "*", Verdict::Met),
            (IF_MATCH, "\"x\" , \"a,b\"", Verdict::Met),
            (IF_MATCH, "W/\"a,b\"", Verdict::Failed),
            (IF_MATCH, "\"a\", \"b\"", Verdict::Failed),
            (IF_MATCH, "", Verdict::Failed),
            (IF_NONE_MATCH, "\"a,b\"", Verdict::NotModified),
            (IF_NONE_MATCH, "*", Verdict::NotModified),
            (IF_NONE_MATCH, ", \"x\",,W/\"a,b\"", Verdict::NotModified),
            (IF_NONE_MATCH, "\"x\"", Verdict::Met),
            (IF_NONE_MATCH, "a,b", Verdict::Met),
            (IF_UNMODIFIED_SINCE, DATE, Verdict::Met),
            (IF_UNMODIFIED_SINCE, AFTER, Verdict::Met),
            (IF_UNMODIFIED_SINCE, BEFORE, Verdict::Failed),
            (IF_UNMODIFIED_SINCE, "yesterday", Verdict::Met),
            (IF_MODIFIED_SINCE, DATE, Verdict::NotModified),
            (IF_MODIFIED_SINCE, "Mon Oct 20 19:30:25 2025", Verdict::NotModified),
            (IF_MODIFIED_SINCE, AFTER, Verdict::NotModified),
            (IF_MODIFIED_SINCE, BEFORE, Verdict::Met),
            (IF_MODIFIED_SINCE, "0", Verdict::Met),
        ] {
            assert_eq!(verdict(&Method::GET, &[(name.clone(), value)]), wanted, "{name}: {value}");
        }
    }

    #[test]
    fn tags_count_before_dates_and_what_may_fail_before_what_is_known() {
        use header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
        let get = |headers: &[_]| verdict(&Method::GET, headers);
        assert_eq!(get(&[(IF_MATCH, "\"a,b\""), (IF_UNMODIFIED_SINCE, BEFORE)]), Verdict::Met);
        assert_eq!(get(&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, AFTER)]), Verdict::Met);
        assert_eq!(get(&[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, "*")]), Verdict::Failed);
        assert_eq!(get(&[(IF_MATCH, "*"), (IF_NONE_MATCH, "*")]), Verdict::NotModified);
        assert_eq!(get(&[(IF_UNMODIFIED_SINCE, BEFORE), (IF_NONE_MATCH, "*")]), Verdict::Failed);
        // Two dates count as none.
        let mut twice = HeaderMap::new();
        twice.append(IF_MODIFIED_SINCE, AFTER.parse().unwrap());
        twice.append(IF_MODIFIED_SINCE, AFTER.parse().unwrap());
        assert_eq!(file().verdict(&Method::GET, &twice), Verdict::Met);
    }

    #[test]
    fn what_changes_something_is_told_that_it_failed() {
        use header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};
        assert_eq!(verdict(&Method::DELETE, &[(IF_NONE_MATCH, "*")]), Verdict::Failed);
        assert_eq!(verdict(&Method::DELETE, &[(IF_MODIFIED_SINCE, AFTER)]), Verdict::Met);
        assert_eq!(verdict(&Method::HEAD, &[(IF_MODIFIED_SINCE, AFTER)]), Verdict::NotModified);
    }

    #[test]
    fn a_date_vouches_for_a_range_once_its_second_is_over() {
        let modified = httpdate::parse_http_date(DATE).unwrap();
        let is_meant = |value: &str, later: Duration| {
            let headers = std::iter::once((header::IF_RANGE, value.parse().unwrap())).collect();
            file().range_is_meant(&headers, modified + later)
        };
        assert!(is_meant(DATE, Duration::from_secs(1)));
        assert!(!is_meant(DATE, Duration::from_millis(999)));
        assert!(!is_meant(AFTER, Duration::from_secs(60)) && !is_meant(BEFORE, Duration::from_secs(60)));
        assert!(is_meant("\"a,b\"", Duration::ZERO));
        assert!(!is_meant("W/\"a,b\"", Duration::from_secs(60)));
        assert!(file().range_is_meant(&HeaderMap::new(), modified));
    }

    proptest! {
        #[test]
        fn any_list_ends(list in "[W/\", ab*é]{0,40}") {
            prop_assert!(Tags(&list).count() <= list.len());
        }
    }
}
