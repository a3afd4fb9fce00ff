//! Which users of this machine may use the API where no token is asked for: root, the user of the daemon, and the members of
//! a group (`API_GROUP`).
//!
//! Users and groups are those of the machine, wherever they are kept: in files, or on a server that may be slow or away.

use std::ffi::CString;
use std::io;
use std::time::Duration;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use crate::operator::Notice;

/// Longest that is waited for a directory server; who cannot be looked up in this time is nobody. Longer would let many
/// connections wait.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who they are.
#[derive(Debug, Clone)]
pub struct LocalUsers {
    own: Uid,
    group: Gid,
    /// The group's name, or its number where it has none.
    name: String,
}

impl LocalUsers {
    /// Those of this group; without one, of the group that the daemon runs in. The notice says that there is no such group,
    /// and that the daemon's own counts.
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

    /// Whether this user is one of them.
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

    /// What somebody else is told.
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

/// Whether the group is the user's own, or one they belong to besides.
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
