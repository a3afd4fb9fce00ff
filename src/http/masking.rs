//! Masks phone numbers in the path and query of a request before the access log shows them, wherever a client put the
//! numbers and however the client wrote them.

use axum::http::Uri;

use crate::number::mask_numbers;

/// The longest path and query that the log shows, in characters; the rest is cut. A larger value lets strangers write
/// longer lines; a smaller one cuts ordinary queries.
const SHOWN_CHARS: usize = 300;
/// The parameters whose values are shown, except for phone numbers in them. Of all other values only the last two
/// digits are shown.
const SHOWN: [&str; 9] = ["limit", "cursor", "from", "to", "channel", "by", "format", "end_reason", "agent"];

/// Returns the path and query, at most 300 characters long. A number of five digits or more becomes `***` and its
/// last two digits. Times, ids of recordings and Asterisk's unique ids stay as they are.
#[must_use]
pub fn masked(uri: &Uri) -> String {
    let mut shown = mask_numbers(begin(uri.path()));
    for (index, pair) in uri.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
        if shown.len() > SHOWN_CHARS {
            break;
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        shown.push(if index == 0 { '?' } else { '&' });
        shown.push_str(&mask_numbers(begin(name)));
        if SHOWN.contains(&name) && is_plain(value) {
            shown.push('=');
            shown.push_str(&mask_numbers(begin(value)));
        } else {
            let tail: String = value.chars().rev().take(2).filter(char::is_ascii_digit).collect();
            shown.push_str("=***");
            shown.extend(tail.chars().rev());
        }
    }
    if let Some((end, _)) = shown.char_indices().nth(SHOWN_CHARS) {
        shown.truncate(end);
        shown.push_str("...");
    }
    shown
}

/// The beginning of a text whose end would be cut later anyway.
fn begin(text: &str) -> &str {
    &text[..text.floor_char_boundary(4 * SHOWN_CHARS)]
}

/// Whether the text contains only characters that occur in ids, cursors and times.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_.~:+-%".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_masked_wherever_somebody_puts_them() {
        for (asked, shown) in [
            ("/recordings?caller=%2B573001234567&limit=5", "/recordings?caller=***67&limit=5"),
            ("/recordings?limit=5&c%61ller=573001234567", "/recordings?limit=5&c%61ller=***67"),
            ("/recordings?573001234567", "/recordings?***67=***"),
            ("/recordings/573001234567", "/recordings/***67"),
            ("/recordings/+573001234567/audio", "/recordings/+***67/audio"),
            ("/recordings/20251020_143025_573001234567", "/recordings/20251020_143025_***67"),
            ("/recordings/300-123-4567", "/recordings/***67"),
            ("/recordings/(300)%20123.45.67", "/recordings/(***67"),
            ("/recordings/%33%30%3012345", "/recordings/***45"),
            ("/calls/573001234567", "/calls/***67"),
            ("/calls/573001234567.1", "/calls/***71"),
            ("/stats?by=agent&caller=573001234567", "/stats?by=agent&caller=***67"),
            ("/calls?agent=573001234567", "/calls?agent=***67"),
            ("/calls?agent=sales-573001234567", "/calls?agent=sales-***67"),
            ("/calls?cursor=573001234567&from=573001234567", "/calls?cursor=***67&from=***67"),
        ] {
            assert_eq!(masked(&asked.parse().unwrap()), shown);
        }
    }

    #[test]
    fn ids_and_times_stay() {
        for asked in [
            "/recordings?cursor=1795180048123~20251020_143025_17.3",
            "/calls?cursor=1795180048123456~1795180048.12",
            "/calls/1795180048.12",
            "/calls/pbx-1795180048.12/hangup",
            "/recordings/20251020_143025_17951.12/audio",
            "/recordings/20251020_143025_1795180048.12-2/audio?channel=caller",
            "/calls?from=2026-11-20&to=2026-11-21T14:30:00-05:00&end_reason=caller_hung_up",
        ] {
            assert_eq!(masked(&asked.parse().unwrap()), asked);
        }
    }

    #[test]
    fn what_is_long_is_cut() {
        for asked in [format!("/{}", "a".repeat(60_000)), format!("/?{}", "a=1&".repeat(15_000))] {
            assert!(masked(&asked.parse().unwrap()).len() < 310);
        }
    }
}
