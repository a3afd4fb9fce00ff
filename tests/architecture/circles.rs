//! Checks that the files of a folder do not use each other in a circle: whoever reads them in the right order meets nothing
//! that a later file explains.
//!
//! In each folder, its files and subfolders are compared. A subfolder uses what any of its files uses. The `mod.rs` of a
//! folder is the folder's face: its own files may use it (for example the struct `Call`, whose `impl` blocks are in the
//! files), and what `mod.rs` re-exports counts as the file that it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A path of modules below `src`, or of a name in one of them.
type Names = Vec<String>;

/// A file of the product.
struct Source {
    /// The path of its module.
    module: Names,
    /// What its `use` declarations bring in, with the name that it has in the file.
    imports: Vec<(Names, String)>,
    /// The paths outside `use` declarations that begin with `crate`, `self` or `super`.
    paths: Vec<Names>,
}

/// All files of the product.
struct Product {
    sources: Vec<Source>,
    modules: BTreeSet<Names>,
    /// For each module and name that it imports: the imported path.
    aliases: BTreeMap<(Names, String), Names>,
}

impl Product {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        collect(&root, &mut Vec::new(), &mut files);
        Self::of(&files)
    }

    /// The product of these files, each with the path of its module and its text.
    fn of(files: &[(Names, String)]) -> Self {
        let sources: Vec<Source> = files.iter().map(|(module, text)| source(module, text)).collect();
        let modules = sources.iter().map(|source| source.module.clone()).collect();
        let mut product = Self { sources, modules, aliases: BTreeMap::new() };
        for source in &product.sources {
            for (path, name) in &source.imports {
                if let Some(path) = product.absolute(&source.module, path) {
                    product.aliases.insert((source.module.clone(), name.clone()), path);
                }
            }
        }
        product
    }

    /// The path from the root of the product. None: the path leads to another crate.
    fn absolute(&self, module: &Names, path: &Names) -> Option<Names> {
        let supers = path.iter().take_while(|name| *name == "super").count();
        match path.first()?.as_str() {
            "crate" | "openai_inbound_calls" => Some(path[1..].to_vec()),
            "self" => Some([module, &path[1..]].concat()),
            "super" => Some([&module[..module.len().checked_sub(supers)?], &path[supers..]].concat()),
            first => {
                let child = [module.as_slice(), &[first.to_owned()]].concat();
                self.modules.contains(&child).then(|| [module.as_slice(), path].concat())
            }
        }
    }

    /// The module in which the name at the end of this path is defined. Re-exports are followed at most `steps` times.
    fn home(&self, path: &[String], steps: usize) -> Names {
        let mut module = Names::new();
        for (at, name) in path.iter().enumerate() {
            let child = [module.as_slice(), std::slice::from_ref(name)].concat();
            if self.modules.contains(&child) {
                module = child;
                continue;
            }
            return match self.aliases.get(&(module.clone(), name.clone())) {
                Some(origin) if steps > 0 && *origin != child => {
                    self.home(&[origin, &path[at + 1..]].concat(), steps - 1)
                }
                _ => module,
            };
        }
        module
    }

    /// Which module uses which, each pair once.
    fn uses(&self) -> BTreeSet<(Names, Names)> {
        let mut uses = BTreeSet::new();
        for source in &self.sources {
            let imports = source.imports.iter().map(|(path, _)| path);
            for path in imports.chain(&source.paths) {
                if let Some(path) = self.absolute(&source.module, path) {
                    uses.insert((source.module.clone(), self.home(&path, 8)));
                }
            }
        }
        uses
    }

    /// For each folder, its files and subfolders that use each other in a circle.
    fn circles(&self) -> Vec<String> {
        let uses = self.uses();
        let folders: BTreeSet<&[String]> =
            self.modules.iter().filter_map(|module| module.split_last()).map(|(_, folder)| folder).collect();
        let mut circles = Vec::new();
        for folder in folders {
            let mut within: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for (user, used) in &uses {
                if let (Some(user), Some(used)) = (entry(user, folder), entry(used, folder))
                    && user != used
                {
                    within.entry(user).or_default().insert(used);
                }
            }
            let on_circle: Vec<&str> =
                within.keys().copied().filter(|name| reached(&within, name).contains(name)).collect();
            if !on_circle.is_empty() {
                circles.push(format!("src/{}: {}", folder.join("/"), on_circle.join(", ")));
            }
        }
        circles
    }
}

/// The file or subfolder of `folder` to which the module belongs. None for the `mod.rs` of the folder, and for modules
/// elsewhere.
fn entry<'a>(module: &'a Names, folder: &[String]) -> Option<&'a str> {
    if module.starts_with(folder) { module.get(folder.len()).map(String::as_str) } else { None }
}

/// Everything that `start` uses directly or through others.
fn reached<'a>(uses: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = uses.get(start).into_iter().flatten().copied().collect();
    while let Some(name) = open.pop() {
        if found.insert(name) {
            open.extend(uses.get(name).into_iter().flatten());
        }
    }
    found
}

/// Collects the files below a folder, without files of tests.
fn collect(folder: &Path, module: &mut Names, files: &mut Vec<(Names, String)>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry of the folder").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if name.ends_with("tests") || name == "main" {
            continue;
        }
        let is_face = ["mod", "lib"].contains(&name.as_str());
        if !is_face {
            module.push(name);
        }
        if path.is_dir() {
            collect(&path, module, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push((module.clone(), fs::read_to_string(&path).expect("a source is text")));
        }
        if !is_face {
            module.pop();
        }
    }
}

/// Reads the paths in a file, without its module of tests.
fn source(module: &Names, text: &str) -> Source {
    let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let tokens = tokens(code);
    let mut source = Source { module: module.clone(), imports: Vec::new(), paths: Vec::new() };
    let mut at = 0;
    while at < tokens.len() {
        let begins = at == 0 || tokens[at - 1] != "::";
        let leads_on = tokens.get(at + 1).is_some_and(|next| next == "::");
        if tokens[at] == "use" && tokens.get(at + 1).is_some_and(|next| next != "<") {
            at = tree(&tokens, at + 1, &[], &mut source.imports);
        } else if begins && leads_on && ["crate", "self", "super"].contains(&tokens[at].as_str()) {
            let mut path = vec![tokens[at].clone()];
            while tokens.get(at + 1).is_some_and(|next| next == "::")
                && tokens.get(at + 2).is_some_and(|next| is_word(next))
            {
                path.push(tokens[at + 2].clone());
                at += 2;
            }
            source.paths.push(path);
            at += 1;
        } else {
            at += 1;
        }
    }
    source
}

/// Reads one tree of a `use` declaration, and returns the place of the token after it.
fn tree(tokens: &[String], mut at: usize, prefix: &[String], imports: &mut Vec<(Names, String)>) -> usize {
    let mut path = prefix.to_vec();
    let mut name = None;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = tree(tokens, at, &path, imports);
                    at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
                }
                return at + 1;
            }
            "as" => {
                name = tokens.get(at + 1).cloned();
                at += 1;
            }
            // `a::{self}` is `a`, and `a::*` is treated as a use of `a`.
            "self" if !path.is_empty() => {}
            "::" | "*" => {}
            word if is_word(word) => path.push(word.to_owned()),
            _ => break,
        }
        at += 1;
    }
    let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
    imports.push((path, name));
    at
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The words and signs of a piece of code, without comments and literals. `::` is one sign.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(literal) = literal(rest) {
            literal
        } else if first.is_alphanumeric() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else {
            let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            if !first.is_whitespace() {
                tokens.push(rest[..length].to_owned());
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of the literal at the beginning of the code: a string, a raw string or a character. None: there is no literal.
fn literal(code: &str) -> Option<usize> {
    let closed = |open: usize, quote: char| {
        let mut chars = code[open..].char_indices();
        while let Some((at, c)) = chars.next() {
            if c == '\\' {
                chars.next();
            } else if c == quote {
                return Some(open + at + 1);
            }
        }
        None
    };
    if let Some(raw) = code.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            return Some(2 + hashes + raw[hashes + 1..].find(&end)? + end.len());
        }
        return None;
    }
    if code.starts_with('"') {
        return closed(1, '"');
    }
    // A lifetime has no closing quote after its first character.
    let mut chars = code.strip_prefix('\'')?.chars();
    match chars.next()? {
        '\\' => closed(1, '\''),
        _ if chars.next() == Some('\'') => closed(1, '\''),
        _ => None,
    }
}

#[test]
fn the_files_of_a_folder_use_each_other_in_no_circle() {
    let circles = Product::read().circles();
    assert!(circles.is_empty(), "\n{}", circles.join("\n"));
}

/// The circles of a product with these files, each given by its module (`a::b`) and its text.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let names =
        |module: &str| module.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let files: Vec<_> = files.iter().map(|(module, text)| (names(module), (*text).to_owned())).collect();
    Product::of(&files).circles()
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let face = ("f", "mod a;\nmod b;\nmod c;\npub use b::{B, self};\npub struct F;\n");
    let b = ("f::b", "use super::a::A;\n");
    let ways = [
        "use super::b::B;",
        "use super::{F, b::{self, B}};",
        "use crate::{f::{F, b}, g};",
        "use super::b as other;",
        "fn f() { super::b::f() }",
        "fn f(b: crate::f::b::B) {}",
        "use super::B;",
        "use crate::f::B as C;",
        "pub(super) use super::b::*;",
    ];
    for way in ways {
        assert_eq!(circles(&[face, ("f::a", way), b]), ["src/f: a, b"], "{way}");
    }
    let through = [face, ("f::a", "use super::c::C;"), b, ("f::c::d", "use super::super::b;"), ("f::c", "")];
    assert_eq!(circles(&through), ["src/f: a, b, c"], "through a subfolder");
}

#[test]
fn what_is_no_circle_is_not_called_one() {
    let face = ("f", "mod a;\nmod b;\npub use b::B;\npub struct F;\n");
    let b = ("f::b", "use super::a::A;\n");
    let ways = [
        "use super::F;",
        "// use super::b::B;",
        "fn f<'a>(x: &'a str) -> char { '\"' }\nconst S: &str = \"use super::b::B;\";",
        "const S: &str = r#\"\" super::b::B\"#;",
        "fn f() {}\n#[cfg(test)]\nmod tests {\n    use super::super::b::B;\n}\n",
        "use std::b::B;",
    ];
    for way in ways {
        assert_eq!(circles(&[face, ("f::a", way), b]), Vec::<String>::new(), "{way}");
    }
}
