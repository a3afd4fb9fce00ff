//! Patterns for the names of a server's tools: `find_*`.

/// A name, or a pattern in which each `*` stands for any number of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern. Every text is one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The pattern as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether it is a name, and stands for nothing else.
    #[must_use]
    pub fn is_name(&self) -> bool {
        !self.0.contains('*')
    }

    /// How much of a name it fixes: a name most of all, then the pattern with the most characters.
    pub(super) fn weight(&self) -> (bool, usize) {
        (self.is_name(), self.0.chars().filter(|c| *c != '*').count())
    }

    /// Whether it stands for this name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_everything_else_for_itself() {
        let rows: [(&str, &[&str], &[&str]); 6] = [
            ("open_ticket", &["open_ticket"], &["open_tickets", "Open_ticket", "reopen_ticket", ""]),
            ("find_*", &["find_", "find_a", "find_a_b"], &["find", "refind_a"]),
            ("*", &["", "a", "a*b"], &[]),
            ("*_ticket", &["_ticket", "open_ticket"], &["open_ticket_", "ticket"]),
            ("a*b*c", &["abc", "aXbYc", "abbcc"], &["ac", "acb", "ab"]),
            ("a*a", &["aa", "aba"], &["a"]),
        ];
        for (pattern, yes, no) in rows {
            let pattern = Pattern::new(pattern);
            for name in yes {
                assert!(pattern.matches(name), "{pattern:?} {name}");
            }
            for name in no {
                assert!(!pattern.matches(name), "{pattern:?} {name}");
            }
        }
        assert!(Pattern::new("a").is_name() && !Pattern::new("a*").is_name());
        let weight = |text: &str| Pattern::new(text).weight();
        assert!(weight("a") > weight("abc*"));
        assert!(weight("ab*") > weight("*a*"), "a star fixes nothing");
    }
}
