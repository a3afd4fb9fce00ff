//! What the headers of the INVITE tell of a call. They are a stranger's words: no header chooses a key, a prompt or the target of a
//! transfer by itself.

use std::fmt;

use serde_json::Value;
use subtle::ConstantTimeEq as _;

/// Most headers that are kept. An INVITE has about 20. A stranger may add many, which must not hide the header of the trunk behind them;
/// a webhook, which has 64 KiB at most, has room for fewer than these.
const MOST: usize = 4_096;
/// The longest header that is kept, in bytes, name and value together. Longer ones hold nothing that is looked for here.
const BYTES: usize = 1_024;
/// The longest number or name, in characters. Numbers have 15 digits (E.164), names of SIP accounts rarely more than 40 characters.
const USER_CHARS: usize = 64;

/// The headers, in the order of the INVITE. They hold the numbers of people, so that `Debug` shows only how many there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SipHeaders(Vec<(String, String)>);

impl fmt::Debug for SipHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SipHeaders({})", self.0.len())
    }
}

/// The headers as the webhook writes them. Whatever is no header is left out, because one that cannot be read must not cost the call.
impl From<&Value> for SipHeaders {
    fn from(all: &Value) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let header = |header: &Value| Some((text(header.get("name")?)?, text(header.get("value")?)?));
        let fits = |(name, value): &(String, String)| name.len() + value.len() <= BYTES;
        let all = all.as_array().into_iter().flatten();
        Self(all.filter_map(header).filter(fits).take(MOST).collect())
    }
}

impl SipHeaders {
    /// The first value of a header (RFC 3261 section 7.3.1: names are compared without regard to case).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The value of a header that is there once.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<&str> {
        let count = self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count();
        self.get(name).filter(|_| count == 1)
    }

    /// Whether a header has exactly this value, and is there once. The comparison takes the same time for all values of one length.
    #[must_use]
    pub fn proves(&self, name: &str, secret: &str) -> bool {
        self.only(name).is_some_and(|value| value.as_bytes().ct_eq(secret.as_bytes()).into())
    }

    /// The number of the caller: of `P-Asserted-Identity`, which the trunk vouches for (RFC 3325 section 9.1), or else of `From`.
    /// Empty: withheld.
    #[must_use]
    pub fn caller(&self) -> String {
        let all = ["P-Asserted-Identity", "From"].into_iter().filter_map(|name| self.get(name));
        let mut users = all.map(user).filter(|user| !user.eq_ignore_ascii_case("anonymous"));
        users.find(|user| !user.is_empty()).unwrap_or_default()
    }

    /// The number that was dialled. `To` names the project at OpenAI, so that the number is in `Diversion` (RFC 5806) or
    /// `X-Called-Number`, if the trunk or the dialplan adds one. Empty: it is not known.
    #[must_use]
    pub fn called(&self) -> String {
        let added = self
            .get("X-Called-Number")
            .map(|value| if value.contains(':') { user(value) } else { plain(value) });
        let known = [added, self.get("Diversion").map(user), self.get("To").map(user)];
        let is_number = |user: &String| !user.is_empty() && !user.starts_with("proj_");
        known.into_iter().flatten().find(is_number).unwrap_or_default()
    }
}

/// The user part of a SIP or tel URI: of the one between `<` and `>`, or else of the text before the first `;`. A number that stands
/// elsewhere, in a tag say, is not the caller's.
fn user(value: &str) -> String {
    let inside = match value.rsplit_once('<') {
        Some((_, rest)) => rest.split_once('>').map_or("", |(uri, _)| uri),
        None => value.split(';').next().unwrap_or_default(),
    };
    let inside = inside.trim();
    let scheme = inside
        .split_once(':')
        .filter(|(scheme, _)| ["sip", "sips", "tel"].iter().any(|known| scheme.eq_ignore_ascii_case(known)));
    let Some((scheme, rest)) = scheme else { return String::new() };
    let user = match rest.split_once('@') {
        Some((user, _)) => user,
        // A SIP URI without a user names a machine.
        None if scheme.eq_ignore_ascii_case("tel") => rest,
        None => "",
    };
    plain(user.split([';', ':']).next().unwrap_or_default())
}

/// The text, if it could be the number or the name of an account.
fn plain(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "+*#_.-".contains(c);
    let fits = text.chars().count() <= USER_CHARS && text.chars().all(is_plain);
    if fits { text.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(all: &[(&str, &str)]) -> SipHeaders {
        let all = all.iter().map(|(name, value)| json!({"name": name, "value": value}));
        SipHeaders::from(&all.collect::<Value>())
    }

    #[test]
    fn the_caller_is_between_the_brackets_and_nowhere_else() {
        for (from, caller) in [
            ("<sip:+525512345678@203.0.113.5>;tag=88221144", "+525512345678"),
            (r#""Ana 300 <sip:1@x>" <sip:200@pbx>;tag=5"#, "200"),
            ("sip:200@pbx;tag=3001234567", "200"),
            ("<tel:+525512345678;phone-context=x>", "+525512345678"),
            ("<sip:anonymous@anonymous.invalid>;tag=3001234567", ""),
            ("<sip:pbx.example>;tag=3001234567", ""),
            ("3001234567", ""),
            ("<3001234567>", ""),
            ("<http://3001234567@x>", ""),
            ("<sip:a b@x>", ""),
            ("<sip:%32%30@x>", ""),
            ("<sip:200@x", ""),
            ("", ""),
        ] {
            assert_eq!(headers(&[("from", from)]).caller(), caller, "{from}");
        }
        let asserted = [("From", "<sip:1@x>"), ("P-Asserted-Identity", "<tel:+34911>")];
        assert_eq!(headers(&asserted).caller(), "+34911");
    }

    #[test]
    fn what_was_dialled_is_not_the_project() {
        let to = ("To", "<sip:proj_0001@sip.api.openai.com>");
        assert_eq!(headers(&[to]).called(), "");
        assert_eq!(headers(&[to, ("Diversion", "<sip:+5255@x>;reason=unconditional")]).called(), "+5255");
        assert_eq!(headers(&[to, ("X-Called-Number", "5000")]).called(), "5000");
        assert_eq!(headers(&[("To", "<sip:5001@x>")]).called(), "5001");
    }

    #[test]
    fn a_secret_is_proven_by_one_header_with_exactly_its_value() {
        let proves = |all: &[(&str, &str)]| headers(all).proves("X-Trunk-Key", "s3cret");
        assert!(proves(&[("x-trunk-key", "s3cret")]));
        for wrong in [&[][..], &[("X-Trunk-Key", "s3cre")], &[("X-Trunk-Key", "")], &[("X-Other", "s3cret")]]
        {
            assert!(!proves(wrong), "{wrong:?}");
        }
        assert!(!proves(&[("X-Trunk-Key", "s3cret"), ("X-Trunk-Key", "s3cret")]), "twice");
    }

    #[test]
    fn the_header_of_the_trunk_counts_behind_many_others() {
        let others = (0..2_000).map(|_| ("X-Other", "y"));
        let all: Vec<_> = others.chain([("X-Trunk-Key", "s3cret")]).collect();
        assert!(headers(&all).proves("X-Trunk-Key", "s3cret"));
    }

    #[test]
    fn what_is_no_header_costs_no_other_header() {
        let trunk = json!({"name": "X-Trunk-Key", "value": "s3cret"});
        for odd in [
            json!({"name": "X", "value": null}),
            json!({"name": null, "value": "y"}),
            json!({"value": "y"}),
            json!({"name": ["X"], "value": {}}),
            json!(7),
            json!(null),
        ] {
            let headers = SipHeaders::from(&json!([odd, trunk]));
            assert!(headers.0.len() == 1 && headers.proves("X-Trunk-Key", "s3cret"), "{odd}");
        }
        assert_eq!(SipHeaders::from(&json!([{"name": "X-Called-Number", "value": 5000}])).called(), "5000");
        for none in [json!(null), json!(7), json!({}), json!("x")] {
            assert_eq!(SipHeaders::from(&none).0.len(), 0, "{none}");
        }
    }

    #[test]
    fn no_stranger_fills_the_memory() {
        let many: Vec<_> = (0..2 * MOST).map(|_| ("X", "y")).collect();
        assert_eq!(headers(&many).0.len(), MOST);
        assert_eq!(headers(&[("X", &"y".repeat(BYTES))]).0.len(), 0);
    }
}
