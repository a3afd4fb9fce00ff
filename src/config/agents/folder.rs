//! The files of the folder: which belong to which agent.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::config::fault::Fault;
use crate::config::file;
use crate::operator::{AgentFault, Detail, Notice};

/// The largest file of an agent, in bytes. Instructions have a file of their own. A larger value would let a wrong file take
/// more memory at each reload; a smaller one could refuse an agent with many tools.
const FILE_BYTES: u64 = 256 * 1024;
/// The largest number of agents. Each of them is held in memory with its instructions, and is a label of metrics.
const MOST_AGENTS: usize = 500;
/// The longest name, in bytes. The call log holds 255.
const NAME_BYTES: usize = 64;
/// The first character of the name of a file with shared tools.
const SHARED: char = '_';
/// The number of bytes of a hash that are kept. Six bytes tell a million versions of an agent apart, and are short enough to read
/// aloud.
const HASH_BYTES: usize = 6;

/// The files of one agent.
pub(super) struct Source {
    /// The name of the agent.
    pub(super) name: Arc<str>,
    /// The path of the file with the settings.
    pub(super) path: PathBuf,
    /// The content of this file.
    pub(super) text: String,
    /// The path of the file with the instructions, if there is one.
    pub(super) instructions: Option<PathBuf>,
    /// The hash of these files.
    hash: Sha256,
}

/// A file with tools that several agents share.
pub(super) struct Shared {
    /// The name: that of the file without `.toml`, with its underscore.
    pub(super) name: String,
    /// The path of the file.
    pub(super) path: PathBuf,
    /// The content of the file.
    pub(super) text: String,
}

impl Source {
    /// The first hexadecimal digits of the hash of all files of the agent, of which it shares some.
    pub(super) fn version(&self, used: &[&Shared]) -> String {
        let mut hash = self.hash.clone();
        for shared in used {
            hash.update([0]);
            hash.update(&shared.text);
        }
        hex(&hash.finalize()[..HASH_BYTES])
    }
}

/// The files of a folder.
pub(super) struct Folder {
    /// The files that can be read, in the order of the names.
    pub(super) sources: Vec<Source>,
    /// The files with shared tools that can be read, in the order of the names.
    pub(super) shared: Vec<Shared>,
    pub(super) faults: Vec<Fault>,
    pub(super) remarks: Vec<Notice>,
}

/// Reads the files of the folder. Hidden files and files with other endings do not count.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn read(folder: &Path) -> io::Result<Folder> {
    let mut names = BTreeSet::new();
    let (mut faults, mut remarks) = (Vec::new(), Vec::new());
    let mut texts = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let name = PathBuf::from(entry?.file_name());
        let stem = name.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let ending = name.extension().and_then(|ending| ending.to_str());
        match ending {
            _ if stem.is_empty() || stem.starts_with('.') => {}
            Some("toml") if is_name(stem) => drop(names.insert(stem.to_owned())),
            Some("toml") => faults.push(Fault::of_file(&folder.join(&name), AgentFault::Name)),
            Some("md") => drop(texts.insert(stem.to_owned())),
            _ => {}
        }
    }
    if names.len() > MOST_AGENTS {
        faults.push(Fault::of_file(folder, AgentFault::TooMany { most: MOST_AGENTS }));
        return Ok(Folder { sources: Vec::new(), shared: Vec::new(), faults, remarks });
    }
    for text in texts.iter().filter(|text| {
        (!names.contains(*text) || text.starts_with(SHARED)) && !text.eq_ignore_ascii_case("readme")
    }) {
        remarks.push(Notice::AgentInstructionsUnused {
            path: folder.join(format!("{text}.md")).display().to_string(),
        });
    }
    let (mut sources, mut shared) = (Vec::new(), Vec::new());
    for name in names {
        let path = folder.join(format!("{name}.toml"));
        if name.starts_with(SHARED) {
            match file::text(&path, FILE_BYTES) {
                Ok(text) => shared.push(Shared { name, path, text }),
                Err(error) => {
                    faults.push(Fault::of_file(&path, AgentFault::Unreadable { cause: Detail::new(error) }));
                }
            }
            continue;
        }
        let instructions = texts.contains(&name).then(|| folder.join(format!("{name}.md")));
        match source(&name, path.clone(), instructions) {
            Ok(source) => sources.push(source),
            Err(error) => {
                faults.push(Fault::of_file(&path, AgentFault::Unreadable { cause: Detail::new(error) }));
            }
        }
    }
    Ok(Folder { sources, shared, faults, remarks })
}

/// Whether an agent may have this name.
fn is_name(text: &str) -> bool {
    let is_short = (1..=NAME_BYTES).contains(&text.len());
    is_short && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Reads the files of one agent.
fn source(name: &str, path: PathBuf, instructions: Option<PathBuf>) -> io::Result<Source> {
    let text = file::text(&path, FILE_BYTES)?;
    let mut hash = Sha256::new_with_prefix(text.as_bytes());
    if let Some(instructions) = &instructions {
        // What is wrong with this file is found where its text is used.
        hash.update([0]);
        hash.update(file::read(instructions, FILE_BYTES).unwrap_or_default());
    }
    Ok(Source { name: name.into(), path, text, instructions, hash })
}

/// The bytes in hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).expect("four bits are a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xF)]).collect()
}
