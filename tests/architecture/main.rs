//! Checks the sources against the plan in `src/lib.rs`: which module may use which, and what the pure floors
//! must not use.

mod circles;

use std::fs;
use std::path::{Path, PathBuf};

/// The floors, lowest first. A module may use lower floors and its own folder. Every module has a floor, and the table in
/// `src/lib.rs` shows the same floors.
const FLOORS: [&[&str]; 17] = [
    &["agents", "end_reason", "media", "number", "paging", "tool", "units", "webhook"],
    &["operator"],
    &["ari", "realtime"],
    &["call"],
    &["exchange"],
    &["clock"],
    &["live", "log_file", "machine", "net", "sqlite"],
    &["recordings", "registry"],
    &["access_log", "config", "erasure", "output"],
    &["logging", "peers"],
    &["http"],
    &["archive"],
    &["daemon"],
    &["sim"],
    &["bench", "demo", "doctor", "rehearsal"],
    &["commands"],
    &["main", "lib"],
];
/// The floors below this one are pure.
const FIRST_IMPURE: usize = 5;
/// The part of the fakes that puts them behind sockets. It may use tokio and everything else.
const LIVE: &str = "sim/live";
/// What the pure floors and the fakes must not name.
const IMPURE: [&str; 11] = [
    "tokio",
    "reqwest",
    "UdpSocket",
    "TcpStream",
    "std::fs",
    "std::thread",
    "std::env",
    "Instant::now",
    "SystemTime::now",
    "rand::",
    "async fn",
];
/// The files that may hold words of other languages than English: the operator's table, and texts that are
/// only shown.
const WORDS: [&str; 13] = [
    "operator/",
    "doctor/words.rs",
    "doctor/findings.rs",
    "doctor/sip_findings.rs",
    "doctor/obstacles.rs",
    "config/variables.rs",
    "config/realtime.rs",
    "recordings/summary.rs",
    "rehearsal/words.rs",
    "tool/filters.rs",
    "sim/",
    "demo",
    "bench/",
];

/// One source file.
struct Source {
    /// The path below `src`, with slashes.
    path: String,
    text: String,
    /// The text without comments and without its test module.
    code: String,
}

impl Source {
    /// The top-level module of the file.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    fn is_fake(&self) -> bool {
        self.module() == "sim" && !self.path.starts_with(LIVE)
    }

    /// The floor of the file. None: the fakes without sockets, which stand beside the floors because they use none of them.
    fn floor(&self) -> Option<usize> {
        if self.is_fake() {
            return None;
        }
        let floor = FLOORS.iter().position(|modules| modules.contains(&self.module()));
        Some(floor.unwrap_or_else(|| panic!("{}: on which floor is it? Say so in FLOORS.", self.path)))
    }

    /// The top-level modules that the file names.
    fn uses(&self) -> Vec<String> {
        let mut names = Vec::new();
        for root in ["crate::", "openai_inbound_calls::"] {
            for (at, _) in self.code.match_indices(root) {
                let rest = &self.code[at + root.len()..];
                let list = rest.strip_prefix('{').and_then(|list| list.split('}').next());
                let parts = list.map_or_else(|| vec![rest], |list| list.split(',').collect());
                names.extend(parts.into_iter().map(first_word));
            }
        }
        names
    }
}

fn first_word(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Every file of `src`.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source is text");
        let below = path.strip_prefix(&root).expect("it is below").to_string_lossy().replace('\\', "/");
        let own = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
        let code = own.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>();
        Source { path: below, code: code.join("\n"), text }
    };
    let sources: Vec<_> = paths.into_iter().map(read).collect();
    assert!(sources.len() > 30, "the sources are found");
    sources
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn nothing(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_module_uses_only_lower_floors_and_its_own_folder() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let Some(floor) = source.floor() else { continue };
        for used in source.uses().iter().filter(|used| *used != source.module()) {
            let of_used = FLOORS.iter().position(|modules| modules.contains(&used.as_str()));
            if of_used.is_some_and(|of_used| of_used >= floor) {
                faults.push(format!("{} (floor {floor}) uses {used}", source.path));
            }
        }
    }
    nothing(&faults);
}

#[test]
fn the_fakes_share_no_code_with_the_product() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.is_fake()) {
        for used in source.uses().iter().filter(|used| *used != "sim") {
            faults.push(format!("{} uses {used}", source.path));
        }
    }
    nothing(&faults);
}

#[test]
fn the_pure_floors_and_the_fakes_know_no_clock_socket_file_or_task() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        if source.floor().is_some_and(|floor| floor >= FIRST_IMPURE) {
            continue;
        }
        // The tests of the fakes start their virtual time with it.
        let code = source.code.split("#[cfg(test)]").next().unwrap_or_default();
        for word in IMPURE.iter().filter(|word| names(code, word)) {
            faults.push(format!("{} names {word}", source.path));
        }
    }
    nothing(&faults);
}

/// Whether the code contains this name as a whole, and not as the end of a longer one.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// The most lines of a file of the product. A longer file has a second purpose.
const FILE_LINES: usize = 500;
/// The most lines of a function of the product. A longer function does not fit on a screen.
const FUNCTION_LINES: usize = 60;

#[test]
fn no_file_and_no_function_is_too_long_to_be_read_at_once() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            faults.push(format!("{} has {lines} lines", source.path));
        }
        for (name, lines) in functions(&source.text) {
            if lines > FUNCTION_LINES {
                faults.push(format!("{}: fn {name} has {lines} lines", source.path));
            }
        }
    }
    nothing(&faults);
}

/// The functions in a source that rustfmt has formatted, each with its number of lines: from the line with `fn` to the
/// closing brace with the same indentation.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indentation = &line[..line.len() - code.len()];
        let words: Vec<&str> = code.split(' ').take_while(|word| !word.starts_with("//")).collect();
        let Some(position) = words.iter().position(|word| *word == "fn") else { continue };
        let qualifiers = &words[..position];
        if !qualifiers
            .iter()
            .all(|word| word.starts_with("pub") || ["async", "const", "unsafe"].contains(word))
        {
            continue;
        }
        let end = lines[at..].iter().position(|line| *line == format!("{indentation}}}"));
        let ends_at_once = line.ends_with('}') || line.ends_with(';');
        let length = if ends_at_once { 1 } else { end.map_or(1, |end| end + 1) };
        found.push((first_word(words.get(position + 1).unwrap_or(&"")), length));
    }
    found
}

#[test]
fn functions_are_found_with_their_lengths() {
    let text =
        "pub const fn a(\n    b: u8,\n) -> u8 {\n    b\n}\n\nmod m {\n    fn c() {}\n    // fn d() {\n}\n";
    assert_eq!(functions(text), [("a".to_owned(), 5), ("c".to_owned(), 1)]);
}

/// The modules that a file declares, without modules of tests.
fn declared(source: &Source) -> Vec<String> {
    let after = |line: &str| {
        let line = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line).to_owned();
        Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    };
    let mut modules = Vec::new();
    let mut is_test = false;
    for line in source.text.lines() {
        if let Some(module) = after(line).filter(|_| !is_test) {
            modules.push(module);
        }
        is_test = line == "#[cfg(test)]";
    }
    modules
}

/// The names of modules in this column of the table of modules in a file's doc comment. None: the file has no such table.
fn told(source: &Source, column: usize) -> Option<Vec<String>> {
    let rows: Vec<&str> = source.text.lines().filter_map(|line| line.strip_prefix("//! | ")).collect();
    let heads = ["file | ", "module | ", "floor | modules | "];
    rows.first().filter(|head| heads.iter().any(|start| head.starts_with(start)))?;
    let cells = rows.iter().skip(1).filter_map(|row| row.split(" | ").nth(column));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    Some(names.map(|name| name.trim_start_matches("mod@").to_owned()).collect())
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn the_tables_of_modules_name_the_modules_that_exist() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.path.ends_with("mod.rs") && !source.is_test()) {
        let modules = sorted(declared(source));
        match told(source, 0).map(sorted) {
            Some(told) if told != modules => {
                faults.push(format!("{} tells of {told:?}, and declares {modules:?}", source.path));
            }
            None if modules.len() > MODULES_WITHOUT_TABLE => {
                faults.push(format!("{} has {} modules and no table", source.path, modules.len()));
            }
            _ => {}
        }
    }
    nothing(&faults);
}

/// A folder with more modules than this needs a table that says what is where.
const MODULES_WITHOUT_TABLE: usize = 5;

#[test]
fn the_floors_in_lib_are_the_floors_of_this_test() {
    let all = sources();
    let lib = all.iter().find(|source| source.path == "lib.rs").expect("a library");
    let shown = told(lib, 1).expect("a table of floors");
    let mut held: Vec<String> =
        FLOORS.iter().rev().flat_map(|floor| floor.iter().map(|name| (*name).to_owned())).collect();
    held.retain(|name| name != "lib");
    assert_eq!(shown, held, "the table in lib.rs, and FLOORS");
    let mut existing = declared(lib);
    existing.push("main".to_owned());
    assert_eq!(sorted(shown), sorted(existing), "the modules in the table, and those that exist");
}

#[test]
fn every_folder_has_its_mod_rs() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !["lib.rs", "main.rs"].contains(&source.path.as_str())) {
        let folder = Path::new(&source.path).with_extension("");
        if Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(&folder).is_dir() {
            faults.push(format!("{} stands beside its folder", source.path));
        }
    }
    nothing(&faults);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//! "));
    nothing(&silent.map(|source| format!("{} does not open with //!", source.path)).collect::<Vec<_>>());
}

#[test]
fn what_people_read_is_said_in_the_operators_table() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        if WORDS.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        for literal in literals(&source.code) {
            if literal.chars().any(|c| c.is_alphabetic() && !c.is_ascii()) {
                faults.push(format!("{} has words in it: {literal:?}", source.path));
            }
        }
    }
    nothing(&faults);
}

/// The string literals in a piece of code.
fn literals(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let bytes = code.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let raw = code[at..].starts_with("r#\"");
        match bytes[at] {
            b'\'' if code[at..].starts_with("'\"'") || code[at..].starts_with("'\\\"'") => at += 3,
            _ if raw => {
                let length = code[at + 3..].find("\"#").unwrap_or_default();
                found.push(&code[at + 3..at + 3 + length]);
                at += length + 5;
            }
            b'"' => {
                let mut end = at + 1;
                while end < bytes.len() && bytes[end] != b'"' {
                    end += 1 + usize::from(bytes[end] == b'\\');
                }
                found.push(code.get(at + 1..end).unwrap_or_default());
                at = end + 1;
            }
            _ => at += 1,
        }
        while !code.is_char_boundary(at.min(code.len())) {
            at += 1;
        }
    }
    found
}

#[test]
fn literals_are_found() {
    let code = r##"let a = "é"; let b = '"'; let c = r#"x"y"#; f("q\"r"); // ñ"##;
    assert_eq!(literals(code), ["é", "x\"y", "q\\\"r"]);
}
