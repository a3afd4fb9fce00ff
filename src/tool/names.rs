//! Which values a template may use, by the place where it stands.

use super::fault::{Flaw, ToolFault};
use super::request::Facts;
use super::template::Template;

/// The names that exist in a place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// The names of look-ups. `None`: there is no `lookup`.
    pub lookups: Option<&'a [String]>,
    /// The names of arguments. `None`: there are no `args`.
    pub args: Option<&'a [String]>,
    /// Whether secrets may be used.
    pub secrets: Secrecy,
    /// Whether the answer of a server exists: `status` and `body`.
    pub answer: Answer,
}

/// Whether secrets may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrecy {
    /// There is no `secret`.
    #[default]
    None,
    /// There is none, because this is a part of the address.
    Address,
    /// `secret.NAME` may be used.
    Allowed,
}

/// Whether the answer of a server exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// It is still to come.
    #[default]
    Absent,
    /// It is there.
    There,
}

impl Names<'_> {
    /// Checks that the template uses only what exists.
    ///
    /// # Errors
    /// The first name that does not exist, with its place.
    pub fn check(&self, template: &Template) -> Result<(), Flaw> {
        for name in template.names() {
            if let Err(what) = self.check_name(name) {
                return Err(Flaw::new(place(template.source(), name), what));
            }
        }
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), ToolFault> {
        let mut parts = name.split('.');
        let (root, member) = (parts.next().unwrap_or_default(), parts.next());
        let unknown = |known: Vec<String>| {
            Err(ToolFault::UnknownName { name: name.to_owned(), known: known.join(", ") })
        };
        let one_of = |known: &[String]| match member {
            Some(member) if !known.iter().any(|one| one == member) => {
                unknown(known.iter().map(|known| format!("{root}.{known}")).collect())
            }
            _ => Ok(()),
        };
        match (root, self) {
            ("call", _) => one_of(&Facts::CALL.map(str::to_owned)),
            ("vars", _) | ("status" | "body", Self { answer: Answer::There, .. }) => Ok(()),
            ("lookup", Self { lookups: Some(known), .. }) | ("args", Self { args: Some(known), .. }) => {
                one_of(known)
            }
            ("secret", Self { secrets: Secrecy::Address, .. }) => Err(ToolFault::SecretInUrl),
            ("secret", Self { secrets: Secrecy::Allowed, .. }) => {
                if member.is_some() {
                    Ok(())
                } else {
                    Err(ToolFault::SecretUnnamed)
                }
            }
            _ => unknown(self.roots().into_iter().map(str::to_owned).collect()),
        }
    }

    /// The names at the beginning of paths.
    fn roots(&self) -> Vec<&'static str> {
        let mut roots = vec!["call", "vars"];
        roots.extend(self.lookups.map(|_| "lookup"));
        roots.extend(self.args.map(|_| "args"));
        if self.secrets == Secrecy::Allowed {
            roots.push("secret");
        }
        if self.answer == Answer::There {
            roots.extend(["status", "body"]);
        }
        roots
    }
}

/// Where the text names the value, in bytes.
fn place(source: &str, name: &str) -> usize {
    let ends = |at: usize| !source[at + name.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let begins = |at: usize| !source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
    let found = source.match_indices(name).map(|(at, _)| at).find(|at| begins(*at) && ends(*at));
    found.or_else(|| source.find(name.split('.').next().unwrap_or(name))).unwrap_or_default()
}
