//! The section of the call log, the index and the API: where they are, and who may use the API.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::reader::Reader;
use super::{Problem, Secret};
use crate::number::CountryCode;
use crate::operator::{Allowed, Notice};
use crate::registry;
use crate::sqlite;

/// The variables that concern recordings, for commands that read nothing else.
pub(super) const VARIABLES: [&str; 12] = [
    "LOG_LANGUAGE",
    "RECORDINGS_DIR",
    "RECORD",
    "RECORDINGS_RECIPIENT",
    "RECORDINGS_IDENTITY_FILE",
    "RECORDING_RETENTION_DAYS",
    "COUNTRY_CODE",
    "DATABASE_URL",
    "API_LISTEN",
    "API_TOKEN",
    "API_GROUP",
    "API_TRUSTED_PROXIES",
];

/// The shortest token, in characters, that raises no warning. Where other machines reach the API, shorter tokens are
/// rejected. 16 random letters and digits have 95 bits; shorter tokens are usually words. A larger value would reject
/// good tokens.
const TOKEN_CHARS: usize = 16;
/// The name of the call log's file if DATABASE_URL names no other.
const CALL_LOG_FILE: &str = "calls.db";

/// What is kept of calls besides their recordings, and who may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// Where the call log is kept.
    pub call_log: registry::Settings,
    /// The path of the index of recordings. It lies beside the file of the call log, and its name is derived from
    /// that file's name.
    pub index: PathBuf,
    /// The country of the line, which decides when two phone numbers are the same. `None`: the last digits decide.
    pub country: Option<CountryCode>,
    /// Who may use the API, and where it listens.
    pub api: ApiConfig,
}

impl ArchiveConfig {
    /// The paths of the two databases.
    #[must_use]
    pub fn databases(&self) -> [PathBuf; 2] {
        [self.call_log.file.clone(), self.index.clone()]
    }
}

/// The settings of the REST API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// The address on which the API listens.
    pub listen: SocketAddr,
    /// The tokens that permit access. Empty: certain users of this machine have access, and `listen` is a loopback
    /// address.
    pub tokens: Vec<ApiToken>,
    /// The group whose members have access if there are no tokens. `None`: the group of the daemon.
    pub group: Option<String>,
    /// The reverse proxies that are trusted to name their clients.
    pub trusted_proxies: Vec<IpNet>,
}

/// A bearer token of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// The name of the token's holder in the access log.
    pub name: String,
    /// What the token permits.
    pub role: Role,
    /// The token itself.
    pub secret: Secret,
}

/// What the holder of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// All requests.
    Full,
    /// Requests that only read.
    Reader,
}

/// Reads this section. The databases are in the folder of the recordings unless a variable says otherwise.
pub(super) fn archive(reader: &mut Reader<'_>, folder: Option<&Path>) -> Option<ArchiveConfig> {
    let database = reader.parsed("DATABASE_URL", Allowed::Database, database);
    let country = country(reader);
    let api = api(reader);
    let (file, server) = match database? {
        Database::Here => (None, None),
        Database::File(path) => (Some(path), None),
        Database::Server(server) => (None, Some(server)),
    };
    let file = file.or_else(|| Some(folder?.join(CALL_LOG_FILE)))?;
    let index = file.with_extension("").as_os_str().to_owned();
    let index = sqlite::beside(Path::new(&index), "-index.db");
    Some(ArchiveConfig { call_log: registry::Settings { file, server }, index, country: country?, api: api? })
}

#[expect(
    clippy::option_option,
    reason = "the outer option says whether the value is valid, the inner one whether it is set"
)]
fn country(reader: &mut Reader<'_>) -> Option<Option<CountryCode>> {
    reader.parsed("COUNTRY_CODE", Allowed::CountryCode, |text| {
        if text.is_empty() { Some(None) } else { text.trim().parse().ok().map(Some) }
    })
}

fn api(reader: &mut Reader<'_>) -> Option<ApiConfig> {
    let listen = reader.parsed("API_LISTEN", Allowed::SocketAddress, |text| {
        let text = text
            .strip_prefix("localhost:")
            .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        text.parse::<SocketAddr>().ok()
    });
    let tokens = reader.parsed("API_TOKEN", Allowed::Tokens, tokens);
    let trusted_proxies = reader.parsed("API_TRUSTED_PROXIES", Allowed::Networks, networks);
    let group = reader.parsed("API_GROUP", Allowed::UserName, |text| {
        (!text.contains(':')).then(|| Some(text.to_owned()).filter(|text| !text.is_empty()))
    });
    let (listen, tokens, group, trusted_proxies) = (listen?, tokens?, group?, trusted_proxies?);
    let is_reached = !listen.ip().to_canonical().is_loopback() || !trusted_proxies.is_empty();
    for (index, token) in tokens.iter().enumerate() {
        let (position, characters) = (index + 1, TOKEN_CHARS);
        match token.secret.expose().len() < TOKEN_CHARS {
            true if is_reached => reader.problems.push(Problem::TokenTooShort { position, characters }),
            true => reader.remarks.push(Notice::TokenShort { position, characters }),
            false => {}
        }
    }
    if tokens.is_empty() && !listen.ip().to_canonical().is_loopback() {
        reader.problems.push(Problem::ApiOpenToAll { address: listen });
        return None;
    }
    Some(ApiConfig { listen, tokens, group, trusted_proxies })
}

/// Parses comma-separated addresses and networks such as `10.0.0.0/8`.
pub(super) fn networks(text: &str) -> Option<Vec<IpNet>> {
    let network = |text: &str| text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let texts = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
    texts.map(network).collect()
}

/// The database that DATABASE_URL names.
pub(super) enum Database {
    /// DATABASE_URL is empty: a file beside the recordings.
    Here,
    File(PathBuf),
    Server(registry::Server),
}

/// Parses `sqlite:PATH`, `sqlite://PATH`, or the address of a server. An empty text means a file beside the
/// recordings.
pub(super) fn database(text: &str) -> Option<Database> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Database::Here);
    }
    let Some(path) = text.strip_prefix("sqlite:") else {
        return text.parse().ok().map(Database::Server);
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    let is_plain =
        !path.is_empty() && !path.starts_with('~') && !path.ends_with('/') && !path.contains(['?', '#', ':']);
    is_plain.then(|| Database::File(path.into()))
}

/// Parses comma-separated tokens of the form `[ROLE[/NAME]:]SECRET`. The role is `full` unless the token says
/// `reader`.
pub(super) fn tokens(text: &str) -> Option<Vec<ApiToken>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Vec::new());
    }
    let tokens: Vec<_> =
        text.split(',').enumerate().map(|(index, token)| one_token(index + 1, token.trim())).collect();
    tokens.into_iter().collect()
}

fn one_token(position: usize, text: &str) -> Option<ApiToken> {
    let (head, secret) = text.split_once(':').unwrap_or(("full", text));
    let (role, name) = head.split_once('/').map_or((head, None), |(role, name)| (role, Some(name)));
    let role = match role {
        "full" => Role::Full,
        "reader" => Role::Reader,
        _ => return None,
    };
    let is_name = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
        (1..=40).contains(&name.len()) && name.bytes().all(plain)
    };
    let name = match name {
        Some(name) if is_name(name) => name.to_owned(),
        Some(_) => return None,
        None => format!("{}-{position}", if role == Role::Full { "full" } else { "reader" }),
    };
    let fits = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    fits.then(|| ApiToken { name, role, secret: Secret::new(secret.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RecordingsConfig;
    use crate::operator::Language;

    /// Returns the section that these variables make and the lines of its remarks, or the lines about what is wrong.
    fn read(variables: &[(&str, &str)]) -> Result<(ArchiveConfig, Vec<String>), Vec<String>> {
        let process = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let lines =
            |notices: Vec<Notice>| notices.iter().map(|notice| notice.line(Language::English)).collect();
        match RecordingsConfig::load_from(Path::new("/nonexistent/.env"), &process) {
            Ok(config) => Ok((config.archive, lines(config.remarks))),
            Err(error) => Err(lines(Problem::notices(&error.problems))),
        }
    }

    fn api(tokens: &str) -> Vec<(String, Role, String)> {
        let (config, _) = read(&[("API_TOKEN", tokens)]).unwrap();
        let shown = |token: ApiToken| (token.name, token.role, token.secret.expose().to_owned());
        config.api.tokens.into_iter().map(shown).collect()
    }

    #[test]
    fn by_default_this_machine_alone_reads_without_a_token() {
        let (config, remarks) = read(&[]).unwrap();
        assert_eq!(config.api.listen.to_string(), "127.0.0.1:5001");
        assert_eq!((config.api.tokens.len(), remarks.len()), (0, 0));
        assert_eq!(config.call_log.file, Path::new("recordings/calls.db"));
    }

    #[test]
    fn the_databases_are_beside_the_recordings_in_a_file_or_on_a_server() {
        for (url, file, index, server) in [
            ("", "/srv/r/calls.db", "/srv/r/calls-index.db", None),
            ("sqlite:///var/x.db", "/var/x.db", "/var/x-index.db", None),
            ("sqlite:var/log", "var/log", "var/log-index.db", None),
            ("mysql://u:hunter2@h/d", "/srv/r/calls.db", "/srv/r/calls-index.db", Some("h/d")),
            ("mariadb://u:hunter2@h:3307/d", "/srv/r/calls.db", "/srv/r/calls-index.db", Some("h:3307/d")),
        ] {
            let (config, _) = read(&[("RECORDINGS_DIR", "/srv/r"), ("DATABASE_URL", url)]).unwrap();
            assert_eq!(config.call_log.file, Path::new(file), "{url}");
            assert_eq!(config.index, Path::new(index), "{url}");
            assert_eq!(config.call_log.server.as_ref().map(ToString::to_string).as_deref(), server, "{url}");
            assert!(!format!("{config:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_database_that_is_none_is_refused_and_its_password_not_shown() {
        for url in [
            "postgres://u:hunter2@h/d",
            "mysql://u:hunter2@h",
            "mysql:u:hunter2@h/d",
            "sqlite::memory:",
            "calls.db",
        ] {
            let said = read(&[("DATABASE_URL", url)]).unwrap_err();
            assert!(said.len() == 1 && said[0].contains("DATABASE_URL"), "{said:?}");
            assert!(said[0].contains("mysql://USER:PASSWORD@HOST:PORT/DATABASE"), "{said:?}");
            assert!(!said[0].contains("hunter2"), "{said:?}");
        }
    }

    #[test]
    fn other_machines_are_let_in_with_a_token_only() {
        for listen in ["0.0.0.0:5001", "192.168.1.5:5001", "[::]:5001", "[::ffff:192.168.1.5]:80"] {
            let said = read(&[("API_LISTEN", listen)]).unwrap_err();
            assert!(said[0].contains("set API_TOKEN"), "{said:?}");
            assert!(read(&[("API_LISTEN", listen), ("API_TOKEN", "0123456789abcdef")]).is_ok());
            let said = read(&[("API_LISTEN", listen), ("API_TOKEN", "0123456789abcdef,a")]).unwrap_err();
            assert!(said.len() == 1 && said[0].contains("no. 2"), "{said:?}");
        }
        for listen in
            ["127.0.0.1:80", "127.8.0.1:80", "[::1]:5001", "localhost:5001", "[::ffff:127.0.0.1]:80"]
        {
            assert!(read(&[("API_LISTEN", listen)]).is_ok(), "{listen}");
        }
    }

    #[test]
    fn a_token_that_can_be_guessed_is_refused_behind_a_proxy() {
        let variables = [("API_TOKEN", "short"), ("API_TRUSTED_PROXIES", "127.0.0.1")];
        assert!(read(&variables).unwrap_err()[0].contains("not admitted from other machines"));
        assert!(read(&variables[..1]).is_ok(), "on this machine it is only warned of");
    }

    #[test]
    fn trusted_proxies_are_addresses_and_networks() {
        let (config, _) = read(&[("API_TRUSTED_PROXIES", "127.0.0.1, ::1,10.0.0.0/8")]).unwrap();
        let shown: Vec<_> = config.api.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["127.0.0.1/32", "::1/128", "10.0.0.0/8"]);
        assert_eq!(read(&[]).unwrap().0.api.trusted_proxies, []);
    }

    #[test]
    fn tokens_have_a_role_and_a_name() {
        let named = |name: &str, role, secret: &str| (name.to_owned(), role, secret.to_owned());
        assert_eq!(
            api("secret1, reader:secret2,full/boss:secret3,reader/ana:secret4"),
            [
                named("full-1", Role::Full, "secret1"),
                named("reader-2", Role::Reader, "secret2"),
                named("boss", Role::Full, "secret3"),
                named("ana", Role::Reader, "secret4"),
            ]
        );
        assert_eq!(api(" "), []);
        let (_, remarks) = read(&[("API_TOKEN", "0123456789abcdef,short")]).unwrap();
        assert!(remarks.len() == 1 && remarks[0].contains("no. 2"), "{remarks:?}");
    }

    #[test]
    fn a_token_that_is_none_is_refused_and_not_shown() {
        for tokens in [
            "a,,b",
            "raeder:hunter2",
            "reader/:hunter2",
            "reader/a b:hunter2",
            "reader:",
            "hunter2 2",
            "a:b:c",
            "ñ",
        ] {
            let said = read(&[("API_TOKEN", tokens)]).unwrap_err();
            assert!(
                said.len() == 1 && said[0].contains("API_TOKEN") && !said[0].contains("hunter2"),
                "{said:?}"
            );
        }
        for (name, wrong) in [
            ("API_LISTEN", "5001"),
            ("API_LISTEN", "pbx:5001"),
            ("API_LISTEN", "127.0.0.1"),
            ("API_GROUP", "a:b"),
            ("API_TRUSTED_PROXIES", "localhost"),
            ("API_TRUSTED_PROXIES", "10.0.0.1,,::1"),
            ("API_TRUSTED_PROXIES", "10.0.0.0/33"),
            ("DATABASE_URL", "mysql://h/d"),
            ("DATABASE_URL", "sqlite:folder/"),
            ("DATABASE_URL", "calls.db"),
            ("DATABASE_URL", "sqlite:"),
            ("DATABASE_URL", "sqlite::memory:"),
        ] {
            assert!(read(&[(name, wrong)]).is_err(), "{name}={wrong}");
        }
    }

    #[test]
    fn what_is_wrong_elsewhere_does_not_concern_the_commands_on_recordings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            RecordingsConfig::load_from(&path, &|_| None)
        };
        let config =
            load("ASSISTANT_GREETING=Buenas tardes\nRECORDINGS_DIR=/srv/r\nASTERISK_PORT=x\n").unwrap();
        assert_eq!(config.recordings.folder, Path::new("/srv/r"));
        assert_eq!(load("RECORDINGS_DIR=a b\n").unwrap_err().problems.len(), 1);
    }
}
