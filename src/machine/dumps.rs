//! Keeps what is in the process's memory – keys, passwords, what callers say – out of core files, and out of the reach of
//! other processes of the same user.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Forbids both for this process and, as to core files, for those it starts: no core file is written, and only root may
/// trace it or read its memory and environment under `/proc` (prctl(2), `PR_SET_DUMPABLE`).
///
/// # Errors
/// The system's, which Linux does not have for either.
pub fn forbid() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_core_files_nor_tracing_are_left() {
        forbid().unwrap();
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let Rlimit { current, maximum } = rustix::process::getrlimit(Resource::Core);
        assert_eq!((current, maximum), (Some(0), Some(0)));
    }
}
