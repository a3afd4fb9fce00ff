//! Checks both READMEs and `src/docs` against the program: the variables with their defaults and meanings, the
//! promised log lines verbatim, every other line that they quote, every end reason, every link.
//!
//! `BLESS=1 cargo test --test readme` writes the tables of variables anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use openai_inbound_calls::config::{USUAL, VARIABLES, Variable};
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::operator::{Language, Notice};

const READMES: [(&str, Language); 2] =
    [("README.md", Language::English), ("README.es.md", Language::Spanish)];

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The file names of a page of `src/docs` in both languages.
fn page(name: &str) -> [String; 2] {
    [format!("src/docs/{name}.md"), format!("src/docs/{name}.es.md")]
}

/// Every page that people read: both READMEs, `src/docs`, and the figures.
fn pages() -> Vec<String> {
    let folder = std::fs::read_dir(path("src/docs")).expect("src/docs is there");
    let names = folder.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut pages: Vec<_> = names.map(|name| format!("src/docs/{name}")).collect();
    pages.sort();
    pages.extend(["README.md", "README.es.md", "tests/bench/README.md"].map(str::to_owned));
    pages
}

/// The text between a marker and the text that ends it.
fn marked<'a>(text: &'a str, marker: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(marker).unwrap_or_else(|| panic!("no {marker}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} after {marker}")).0
}

fn table<'a>(variables: impl Iterator<Item = &'a Variable>, language: Language) -> String {
    let head = match language {
        Language::English => "| variable | default | what it is |",
        Language::Spanish => "| variable | por defecto | qué es |",
    };
    variables.fold(format!("{head}\n|---|---|---|\n"), |mut table, variable| {
        writeln!(table, "{}", row(variable, language)).expect("writing to a String cannot fail");
        table
    })
}

fn row(variable: &Variable, language: Language) -> String {
    let needed = match language {
        Language::English => "**required**",
        Language::Spanish => "**requerida**",
    };
    let default = match variable.default {
        _ if variable.required => needed.to_owned(),
        "" => "–".to_owned(),
        default => format!("`{default}`"),
    };
    let meaning = variable.meaning(language).replace('|', "\\|");
    format!("| `{}` | {default} | {meaning} |", variable.name)
}

/// The page with all variables.
fn all_variables(language: Language) -> String {
    let head = match language {
        Language::English => {
            "# All variables\n\n*(En español: [variables.es.md](variables.es.md). Back to the [README](../../README.md#configure).)*\n\n\
             They come from the environment or from `.env` in the working directory; a variable of the environment wins over the file. Each value is\n\
             one line; put values with spaces, quotes, `#` or `$` in single quotes. `openai-inbound-calls config` shows the values in force.\n\n"
        }
        Language::Spanish => {
            "# Todas las variables\n\n*(English: [variables.md](variables.md). Volver al [README](../../README.es.md#configurar).)*\n\n\
             Vienen del entorno o de `.env` en la carpeta de trabajo; una variable del entorno prevalece sobre el archivo. Cada valor ocupa una sola\n\
             línea; ponga entre comillas simples los valores con espacios, comillas, `#` o `$`. `openai-inbound-calls config` muestra los valores en vigor.\n\n"
        }
    };
    format!("{head}{}", table(VARIABLES.iter(), language))
}

fn usual(language: Language) -> String {
    let find = |name: &&str| VARIABLES.iter().find(|row| row.name == *name).expect("it is in the table");
    table(USUAL.iter().map(find), language)
}

/// Compares the text with the file, or writes the file with BLESS.
fn hold(name: &str, wanted: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path(name), wanted).expect("the page can be written");
    }
    assert_eq!(read(name), wanted, "{name}: run BLESS=1 cargo test --test readme");
}

#[test]
fn the_tables_of_variables_are_the_programs() {
    for ((name, language), docs) in READMES.into_iter().zip(page("variables")) {
        let text = read(name);
        let (before, rest) = text.split_once("<!-- variables -->\n").expect("the marker");
        let (_, after) = rest.split_once("<!-- end -->").expect("the marker");
        let table = usual(language);
        hold(name, &format!("{before}<!-- variables -->\n{table}<!-- end -->{after}"));
        hold(&docs, &all_variables(language));
    }
}

#[test]
fn the_variables_of_the_first_call_are_the_required_ones() {
    let required: Vec<_> = VARIABLES.iter().filter(|row| row.required).map(|row| row.name).collect();
    for (name, _) in READMES {
        let text = read(name);
        let block = marked(&text, "<!-- required -->\n```bash\n", "```");
        let names: Vec<_> = block.lines().map(|line| line.split('=').next().unwrap_or_default()).collect();
        assert_eq!(names, required, "{name}");
    }
}

/// The lines for which operators of the original system grep.
fn promised() -> Vec<String> {
    [
        Notice::AriConnected,
        Notice::CallReceived { channel: "PJSIP/…".into() },
        Notice::RtpBound { address: ([192, 168, 1, 100], 15234).into() },
        Notice::SessionConnected,
        Notice::SessionConfigured,
        Notice::CodecDetected { codec: "ulaw".into() },
        Notice::AriLost,
        Notice::EnvironmentIncomplete { missing: vec!["…"] },
    ]
    .iter()
    .map(|notice| notice.line(Language::Spanish))
    .collect()
}

#[test]
fn the_log_lines_are_the_programs() {
    for (name, _) in READMES {
        let text = read(name);
        let promised = promised();
        let (of_a_call, of_trouble) = promised.split_at(6);
        let found = marked(&text, "<!-- lines -->\n```\n", "```");
        assert_eq!(found.lines().collect::<Vec<_>>(), of_a_call, "{name}");
        for line in of_trouble {
            assert!(text.contains(&format!("| `{line}`")), "{name} does not explain {line}");
        }
    }
}

/// The code in a line of a page: what is between grave accents.
fn spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// The source of the table of the operator's lines.
fn notices() -> String {
    let folder = std::fs::read_dir(path("src/operator/notices")).expect("the table");
    folder.map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("text")).collect()
}

/// Pages quote lines with `…`, `N` and `X` in place of variable parts. Every piece between these must be in
/// the table.
#[test]
fn the_lines_that_are_to_be_recognised_are_the_programs() {
    let table = notices();
    let mut quoted = 0;
    for name in ["README.md", "README.es.md"].map(str::to_owned).into_iter().chain(page("troubleshooting")) {
        for line in read(&name).lines().filter(|line| line.starts_with("| `") || line.starts_with("| el ")) {
            let seen = line.split(" | ").next().unwrap_or_default();
            for span in spans(seen).into_iter().filter(|span| span.contains(' ') && !span.starts_with("GET "))
            {
                let is_request = ["POST ", "DELETE "].iter().any(|method| span.starts_with(method));
                if is_request || line.contains("systemctl") {
                    continue;
                }
                quoted += 1;
                let varying = |c: char| c == '…' || c == '(' || c == ')' || c.is_ascii_digit();
                let pieces = span.replace(" N ", " … ").replace(" X:", " …:");
                for piece in pieces.split(varying).map(|piece| piece.trim().trim_matches(['.', ':'])) {
                    assert!(table.contains(piece), "{name}: no line of the program has «{piece}»");
                }
            }
        }
    }
    assert!(quoted >= 30, "the lines are found: {quoted}");
}

#[test]
fn every_reason_a_caller_is_handed_back_for_is_named() {
    let never = [
        EndReason::CallerHungUp,
        EndReason::AssistantHungUp,
        EndReason::SupervisorHungUp,
        EndReason::MaxDuration,
        EndReason::CallerSilent,
        EndReason::TakenOver,
        EndReason::Recovered,
    ];
    for name in page("calls") {
        let text = read(&name);
        for reason in EndReason::ALL.iter().filter(|reason| !never.contains(reason)) {
            assert!(text.contains(&format!("`{}`", reason.code())), "{name} does not name {}", reason.code());
        }
    }
}

/// The promised keys of a conversation, in the order of the original documents.
const KEYS: [&str; 7] = [
    "call_id",
    "start_time",
    "end_time",
    "duration_seconds",
    "conversation",
    "total_messages",
    "audio_chunks_count",
];

#[test]
fn the_conversation_is_shown_with_the_keys_that_were_promised() {
    for name in page("recordings") {
        let text = read(&name);
        let json = marked(&text, "<!-- conversation -->\n```json\n", "```");
        let shown: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
        let shown = shown.as_object().expect("an object");
        assert!(KEYS.iter().all(|key| shown.contains_key(*key)) && shown.len() == KEYS.len(), "{name}");
        for said in shown["conversation"].as_array().expect("a list") {
            for key in ["timestamp", "speaker", "text", "type"] {
                assert!(said[key].is_string(), "{name}: {key}");
            }
        }
    }
}

/// Words that look like variables of the program but are not: those of the dialplan and of OpenSSL, and the
/// form of a date.
const FOREIGN: [&str; 13] = [
    "AI_AGENT",
    "AI_END_REASON",
    "AI_TRANSFER_DESTINATION",
    "AI_TRANSFER_SUMMARY",
    "CREDENTIALS_DIRECTORY",
    "CRM_TOKEN",
    "FROM_DID",
    "NODE_OPTIONS",
    "SSL_CERT_FILE",
    "PJSIP_HEADER",
    "TICKETS_TOKEN",
    "WEBHOOK_SECRET",
    "YYYYMMDD_HHMMSS",
];

#[test]
fn every_variable_that_a_page_names_exists() {
    for name in pages() {
        let text = read(&name);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let is_variable = |word: &&str| {
            word.contains('_')
                && word.len() > 5
                && !word.ends_with('_')
                && word.bytes().all(|byte| !byte.is_ascii_lowercase())
        };
        for word in
            words.filter(is_variable).filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
        {
            let exists = VARIABLES.iter().any(|row| row.name == word) || FOREIGN.contains(&word);
            assert!(exists, "{name} names {word}, which the program does not know");
        }
    }
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere() {
    for name in pages() {
        let text = read(&name);
        let prose: String = text.split('`').step_by(2).collect();
        let folder = path(&name).parent().expect("a folder").to_path_buf();
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path(&name) } else { folder.join(file) };
            assert!(target.exists(), "{name}: {link} leads nowhere");
            let headings = std::fs::read_to_string(&target).unwrap_or_default();
            let mut headings = headings.lines().filter(|line| line.starts_with('#')).map(anchor);
            assert!(
                section.is_empty() || headings.any(|anchor| anchor == section),
                "{name}: no section {link}"
            );
        }
    }
}

/// A page of `src/docs` has the same sections in both languages, and so have the READMEs.
#[test]
fn both_languages_have_the_same_sections() {
    let shape = |name: &str| {
        let text = read(name);
        let marks = text.lines().filter(|line| line.starts_with('#') || line.starts_with("```"));
        marks.map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    for name in pages().iter().filter(|name| !name.ends_with(".es.md") && !name.starts_with("tests/")) {
        let spanish = name.replace(".md", ".es.md");
        assert_eq!(shape(name), shape(&spanish), "{name} and {spanish}");
    }
}

/// People do not read a README that takes longer than a few minutes. Further text belongs in `src/docs`.
#[test]
fn the_readmes_stay_short() {
    for (name, _) in READMES {
        let lines = read(name).lines().count();
        assert!(lines <= 260, "{name} has {lines} lines");
    }
}
