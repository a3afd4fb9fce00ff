//! The logins of browsers. Each login has a random id, which the browser keeps as a cookie. The id does not reveal
//! the token. A login ends when its holder logs out, after twelve hours, or when the daemon stops; from then on the
//! id is worthless.
//!
//! A browser sends a cookie to every port of a machine, and so to the web server of any user of that machine. A login over
//! loopback is therefore valid only for the user of this machine who began it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The maximum number of logins; a further login ends the oldest. A login needs a valid token, so strangers cannot
/// fill the list. A larger value costs memory; a smaller one logs people out when many are logged in.
const SESSIONS: usize = 256;
/// How long a login lasts. A shorter time makes people enter their token again within a working day; a longer one
/// leaves browsers logged in overnight.
const LASTS: Duration = Duration::from_secs(12 * 3_600);
/// The length of an id in bytes. 32 bytes are 256 bits, which nobody can guess; a shorter id could be guessed more
/// easily.
const ID_BYTES: usize = 32;

/// The id of a login, before it is encoded for the cookie.
type Id = [u8; ID_BYTES];

/// The logins that have not ended.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    held: HashMap<Id, Session>,
}

#[derive(Debug, Clone, Copy)]
struct Session {
    /// The position of the holder's token in the guard's list.
    holder: usize,
    /// The user of this machine who began the login. `None` if it was begun on another machine.
    user: Option<u32>,
    began: Instant,
}

impl Sessions {
    /// Begins a login for the holder of a token and returns the id for the cookie. `user` is the user of this machine
    /// who logs in, if it is one. Returns `None` if the system cannot provide random numbers.
    pub(super) fn begin(&mut self, holder: usize, user: Option<u32>, now: Instant) -> Option<String> {
        let mut id = Id::default();
        rustls::crypto::ring::default_provider().secure_random.fill(&mut id).ok()?;
        self.held.retain(|_, session| session.lasts(now));
        if self.held.len() >= SESSIONS {
            let oldest = self.held.iter().min_by_key(|(_, session)| session.began).map(|(id, _)| *id);
            self.held.remove(&oldest?);
        }
        self.held.insert(id, Session { holder, user, began: now });
        Some(URL_SAFE_NO_PAD.encode(id))
    }

    /// Returns the holder of a login that has not ended. `user` is the user of this machine who asks; a login that
    /// another user began is not found. The map finds ids by a hash with a random key, so the time that the search takes
    /// does not reveal how much of a guessed id is right.
    pub(super) fn holder(&self, cookie: &str, user: Option<u32>, now: Instant) -> Option<usize> {
        let session = self.held.get(&id(cookie)?)?;
        let is_theirs = session.user.is_none() || session.user == user;
        (session.lasts(now) && is_theirs).then_some(session.holder)
    }

    /// Ends the login that the cookie names, if there is one.
    pub(super) fn end(&mut self, cookie: &str) {
        if let Some(id) = id(cookie) {
            self.held.remove(&id);
        }
    }
}

impl Session {
    fn lasts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) < LASTS
    }
}

fn id(cookie: &str) -> Option<Id> {
    URL_SAFE_NO_PAD.decode(cookie).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_login_ends_when_its_holder_leaves_or_in_time() {
        let (mut sessions, now) = (Sessions::default(), clock::now());
        let one = sessions.begin(3, None, now).unwrap();
        let other = sessions.begin(3, None, now).unwrap();
        assert_ne!(one, other, "each is a login of its own");
        assert_eq!(sessions.holder(&one, None, now), Some(3));
        sessions.end(&one);
        assert_eq!((sessions.holder(&one, None, now), sessions.holder(&other, None, now)), (None, Some(3)));
        assert_eq!(sessions.holder(&other, None, now + LASTS), None);
        for wrong in ["", "=", "c2VjcmV0", &other[1..], &format!("{other}A")] {
            assert_eq!(sessions.holder(wrong, None, now), None, "{wrong}");
        }
    }

    #[test]
    fn a_login_of_a_user_of_this_machine_is_no_other_users() {
        let (mut sessions, now) = (Sessions::default(), clock::now());
        let id = sessions.begin(3, Some(1_000), now).unwrap();
        let holder = |user| sessions.holder(&id, user, now);
        assert_eq!([Some(1_000), Some(1_001), None].map(holder), [Some(3), None, None]);
    }

    #[test]
    fn logins_are_bounded_and_the_oldest_makes_room() {
        let (mut sessions, now) = (Sessions::default(), clock::now());
        let at = |n: usize| now + Duration::from_secs(n as u64);
        let ids: Vec<_> = (0..=SESSIONS).map(|n| sessions.begin(n, None, at(n)).unwrap()).collect();
        let last = at(SESSIONS);
        assert_eq!(sessions.held.len(), SESSIONS);
        assert_eq!(
            (sessions.holder(&ids[0], None, last), sessions.holder(&ids[1], None, last)),
            (None, Some(1))
        );
    }
}
