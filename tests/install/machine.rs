//! A machine on which the script installs: a folder that takes the place of `/`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A machine for the installation, of which only the files exist.
pub(crate) struct Machine {
    pub(crate) folder: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().expect("a folder") };
        machine.program("one");
        for folder in ["root", "checkout"] {
            fs::create_dir(machine.folder.path().join(folder)).expect("a folder");
        }
        // The folder is separate, because that of a developer may contain an `.env`.
        for file in ["install_service.sh", ".env.example", "openai-inbound-calls.service"] {
            let original = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            fs::copy(original, machine.checkout(file)).expect("it is in the checkout");
        }
        machine
    }

    /// A file beside the script.
    pub(crate) fn checkout(&self, file: &str) -> PathBuf {
        self.folder.path().join("checkout").join(file)
    }

    /// The file with this path on the machine.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path.trim_start_matches('/'))
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().expect("a folder")).expect("a folder");
        fs::write(self.path(path), text).expect("a file");
    }

    pub(crate) fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}")).mode() & 0o7777
    }

    /// Writes the built program, which prints this text.
    pub(crate) fn program(&self, text: &str) {
        let path = self.folder.path().join("built");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    /// Runs the script from a folder that is not its own. Returns its output.
    pub(crate) fn install(&self, options: &[&str]) -> String {
        let (said, success) = self.try_install(options);
        assert!(success, "{options:?}: {said}");
        said
    }

    pub(crate) fn try_install(&self, options: &[&str]) -> (String, bool) {
        let ran = Command::new(self.checkout("install_service.sh"))
            .args(["--root", "root", "--program", "built"])
            .args(options)
            .current_dir(self.folder.path())
            .env_remove("LOG_LANGUAGE")
            .output()
            .expect("the script runs");
        let said = [ran.stdout, ran.stderr].concat();
        (String::from_utf8(said).expect("text"), ran.status.success())
    }

    /// All files: mode, inode and content.
    pub(crate) fn everything(&self) -> BTreeMap<PathBuf, (u32, u64, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path("/")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let metadata = fs::symlink_metadata(&path).expect("metadata");
                let content = if metadata.is_dir() {
                    folders.push(path.clone());
                    Vec::new()
                } else if metadata.is_symlink() {
                    fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
                } else {
                    fs::read(&path).expect("a file")
                };
                found.insert(path, (metadata.mode(), metadata.ino(), content));
            }
        }
        found
    }
}
