//! The secrets that tools send and that programs see: from the environment, or from the files of systemd's credentials.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use crate::config::variables;
use crate::config::{Secret, Variables, file};
use crate::tool::SecretFault;

/// The longest secret, in bytes. The header of a request holds it, and servers refuse longer ones.
const SECRET_BYTES: u64 = 8 * 1024;
/// The folder of the credentials that systemd hands to a service (`LoadCredential=` and others, systemd.exec(5)).
const FOLDER: &str = "CREDENTIALS_DIRECTORY";

/// The variables of a program that are no secrets: to mask their values, such as `/`, would garble what servers answer.
const PUBLIC: [&str; 12] = [
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LOGNAME",
    "NODE_ENV",
    "NODE_OPTIONS",
    "PATH",
    "PYTHONUNBUFFERED",
    "TMPDIR",
    "TZ",
    "USER",
];

/// The secrets that the files of one agent name.
pub(super) struct Secrets<'a> {
    environment: Variables<'a>,
    used: RefCell<BTreeMap<String, Secret>>,
    public: RefCell<BTreeMap<String, String>>,
}

impl<'a> Secrets<'a> {
    /// Secrets from this environment.
    pub(super) fn new(environment: Variables<'a>) -> Self {
        Self { environment, used: RefCell::default(), public: RefCell::default() }
    }

    /// Looks a secret up, and keeps it.
    ///
    /// # Errors
    /// It is not there, or cannot be sent.
    pub(super) fn find(&self, name: &str) -> Result<Secret, SecretFault> {
        // Whoever writes files of agents is trusted with the words of the assistant, and not with the daemon.
        if variables::find(name).is_some() {
            return Err(SecretFault::OfDaemon);
        }
        let value = (self.environment)(name).filter(|value| !value.is_empty());
        let value = match value {
            Some(value) => value,
            None => self.credential(name)?,
        };
        if value.len() as u64 > SECRET_BYTES || value.chars().any(char::is_control) {
            return Err(SecretFault::Unusable);
        }
        let secret = Secret::new(value);
        self.used.borrow_mut().insert(name.to_owned(), secret.clone());
        Ok(secret)
    }

    /// Looks up a variable that a program is to see, and keeps it. It is a secret, unless it is known to be none.
    ///
    /// # Errors
    /// It is not there, or cannot be handed on.
    pub(super) fn variable(&self, name: &str) -> Result<(), SecretFault> {
        if !PUBLIC.contains(&name) {
            return self.find(name).map(drop);
        }
        let value = (self.environment)(name).ok_or(SecretFault::Missing)?;
        self.public.borrow_mut().insert(name.to_owned(), value);
        Ok(())
    }

    /// Reads the file of a credential. The end of its last line does not count.
    fn credential(&self, name: &str) -> Result<String, SecretFault> {
        let folder = (self.environment)(FOLDER).filter(|folder| !folder.is_empty());
        let path = folder.map(|folder| Path::new(&folder).join(name)).ok_or(SecretFault::Missing)?;
        if !path.exists() {
            return Err(SecretFault::Missing);
        }
        let text = file::text(&path, SECRET_BYTES).map_err(|_| SecretFault::Unusable)?;
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        if text.is_empty() { Err(SecretFault::Missing) } else { Ok(text) }
    }

    /// All secrets that were looked up, and the variables that are none.
    pub(super) fn into_used(self) -> (BTreeMap<String, Secret>, BTreeMap<String, String>) {
        (self.used.into_inner(), self.public.into_inner())
    }
}
