//! Determines which users of this machine may use the API if no token is configured: root, the daemon's own user, and
//! the members of one group (`API_GROUP`).
//!
//! The system resolves users and groups, from files or from a directory server that may be slow or unreachable.

use std::ffi::CString;
use std::io;
use std::time::Duration;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use crate::operator::Notice;

/// How long the lookup of a user may take, for example on a directory server. A user who cannot be looked up in this
/// time is refused. A longer time lets many connections wait; a shorter one refuses users when the server is slow.
const PATIENCE: Duration = Duration::from_secs(3);

/// The users who may use the API without a token.
#[derive(Debug, Clone)]
pub struct LocalUsers {
    own: Uid,
    group: Gid,
    /// The name of the group, or its number if the group has no name.
    name: String,
}

impl LocalUsers {
    /// Admits the members of this group or, without one, of the group that the daemon runs in. If the group does not
    /// exist, the daemon's own group is used and the notice tells the operator so.
    #[must_use]
    pub fn new(group: Option<&str>) -> (Self, Option<Notice>) {
        let found = group.map(|name| (name, look_up(name)));
        let unknown = match found {
            Some((name, None)) => Some(Notice::ApiGroupUnknown { group: name.to_owned() }),
            Some((_, Some(_))) | None => None,
        };
        let group = found.and_then(|(_, gid)| gid).unwrap_or_else(Gid::effective);
        let known = Group::from_gid(group).ok().flatten();
        let name = known.map_or_else(|| group.to_string(), |known| known.name);
        (Self { own: Uid::effective(), group, name }, unknown)
    }

    /// Whether this user may use the API.
    pub(super) async fn admits(&self, uid: u32) -> bool {
        let (uid, group) = (Uid::from_raw(uid), self.group);
        if uid.is_root() || uid == self.own {
            return true;
        }
        let asked = tokio::task::spawn_blocking(move || is_member(uid, group));
        let told = tokio::time::timeout(PATIENCE, asked).await;
        told.map_err(io::Error::from).and_then(|told| told.map_err(io::Error::from)).unwrap_or_else(|error| {
            tracing::warn!(%uid, %error, "the groups of a user cannot be looked up");
            false
        })
    }

    /// The text that explains to a refused user how to get access.
    pub(super) fn how_to_be_let_in(&self) -> String {
        format!(
            "without API_TOKEN this API is for root, the user of the daemon and members of the group {0}: become one \
             (sudo usermod -aG {0} USER) or set API_TOKEN",
            self.name
        )
    }
}

fn look_up(group: &str) -> Option<Gid> {
    let by_name = Group::from_name(group).ok().flatten().map(|group| group.gid);
    by_name.or_else(|| group.parse().ok().map(Gid::from_raw))
}

/// Whether the group is the user's primary group or one of the supplementary groups.
fn is_member(uid: Uid, group: Gid) -> bool {
    let Ok(Some(user)) = User::from_uid(uid) else { return false };
    user.gid == group
        || CString::new(user.name)
            .is_ok_and(|name| getgrouplist(&name, user.gid).is_ok_and(|groups| groups.contains(&group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_group_is_known_by_name_or_number_and_an_unknown_one_is_said() {
        let nobody = User::from_name("nobody").unwrap().unwrap();
        for name in ["nogroup", &nobody.gid.to_string()] {
            let (users, unknown) = LocalUsers::new(Some(name));
            assert_eq!((users.group, unknown), (nobody.gid, None), "{name}");
            assert!(users.admits(nobody.uid.as_raw()).await && users.admits(0).await);
            assert!(users.how_to_be_let_in().contains("-aG nogroup USER"));
        }
        let (users, unknown) = LocalUsers::new(Some("nogroup-at-all"));
        assert_eq!(unknown, Some(Notice::ApiGroupUnknown { group: "nogroup-at-all".to_owned() }));
        assert_eq!(users.group, Gid::effective());
        assert!(!users.admits(4_000_000_000).await, "a user who does not exist");
    }
}
