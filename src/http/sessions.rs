//! Who has logged in: a random id for each login, which is what a browser keeps, and which ends when its holder logs out, after
//! twelve hours, or with the daemon. It is worth nothing then, and never tells the token.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Logins at once; when one more comes, the oldest ends. A login takes a token, so that more are not strangers' work.
const SESSIONS: usize = 256;
/// How long a login lasts. Shorter asks people for their token within a working day; longer leaves browsers open over night.
const LASTS: Duration = Duration::from_secs(12 * 3_600);
/// 256 bits: nobody guesses one.
const ID_BYTES: usize = 32;

/// The id of a login.
type Id = [u8; ID_BYTES];

/// Those that last.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    held: HashMap<Id, Session>,
}

#[derive(Debug, Clone, Copy)]
struct Session {
    /// Whose it is: the place of their token.
    holder: usize,
    began: Instant,
}

impl Sessions {
    /// Logs the holder of a token in; returns the id for the cookie. None: the system has no random numbers.
    pub(super) fn begin(&mut self, holder: usize, now: Instant) -> Option<String> {
        let mut id = Id::default();
        rustls::crypto::ring::default_provider().secure_random.fill(&mut id).ok()?;
        self.held.retain(|_, session| session.lasts(now));
        if self.held.len() >= SESSIONS {
            let oldest = self.held.iter().min_by_key(|(_, session)| session.began).map(|(id, _)| *id);
            self.held.remove(&oldest?);
        }
        self.held.insert(id, Session { holder, began: now });
        Some(URL_SAFE_NO_PAD.encode(id))
    }

    /// Whose login this is, if it lasts. (Ids are found by their hash under a random key: how long that takes tells nothing
    /// about how much of a guess is right.)
    pub(super) fn holder(&self, cookie: &str, now: Instant) -> Option<usize> {
        let session = self.held.get(&id(cookie)?)?;
        session.lasts(now).then_some(session.holder)
    }

    /// Ends it.
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
    use crate::daemon::clock;

    #[test]
    fn a_login_ends_when_its_holder_leaves_or_in_time() {
        let (mut sessions, now) = (Sessions::default(), clock::now());
        let one = sessions.begin(3, now).unwrap();
        let other = sessions.begin(3, now).unwrap();
        assert_ne!(one, other, "each is a login of its own");
        assert_eq!(sessions.holder(&one, now), Some(3));
        sessions.end(&one);
        assert_eq!((sessions.holder(&one, now), sessions.holder(&other, now)), (None, Some(3)));
        assert_eq!(sessions.holder(&other, now + LASTS), None);
        for wrong in ["", "=", "c2VjcmV0", &other[1..], &format!("{other}A")] {
            assert_eq!(sessions.holder(wrong, now), None, "{wrong}");
        }
    }

    #[test]
    fn logins_are_bounded_and_the_oldest_makes_room() {
        let (mut sessions, now) = (Sessions::default(), clock::now());
        let at = |n: usize| now + Duration::from_secs(n as u64);
        let ids: Vec<_> = (0..=SESSIONS).map(|n| sessions.begin(n, at(n)).unwrap()).collect();
        let last = at(SESSIONS);
        assert_eq!(sessions.held.len(), SESSIONS);
        assert_eq!((sessions.holder(&ids[0], last), sessions.holder(&ids[1], last)), (None, Some(1)));
    }
}
