//! Tests servers that speak the Model Context Protocol in the files of agents.

use super::*;
use crate::tool::{Access, Confirm, Effect, Pattern};

const ENVIRONMENT: &[(&str, &str)] =
    &[("TICKETS_TOKEN", "s3cret-7788"), ("PATH", "/usr/bin"), ("LINES", "a\nb"), ("OPENAI_API_KEY", "sk-1")];

const DESK: &str = r#"
[[mcp]]
name = "tickets"
url = "http://10.0.0.5:8000/mcp"
headers = { Authorization = "Bearer {{ secret.TICKETS_TOKEN }}" }
tools = ["open_ticket", "find_*", "a.b"]
[mcp.fixed]
open_ticket = { phone = "{{ call.caller }}", customer = "{{ lookup.customer.id }}", by = "phone", n = 3 }
[mcp.set]
open_ticket = { confirm = "caller", timeout = 10, say_after = 0, idempotent = true, private = ["pin"] }
"find_*" = { effect = "read", description = "Finds tickets." }
"a.b" = { repeatable = true }

[[mcp]]
name = "local"
command = ["/usr/bin/tickets-mcp", "--fast"]
env = ["TICKETS_TOKEN", "PATH"]
tools = ["*"]
"#;

const LOOKUP: &str = "[[lookup]]\nname = \"customer\"\nrequest = \"GET https://h.example/\"\n";

#[test]
fn an_agent_has_its_own_servers_and_those_that_it_shares() {
    let files = [("a.toml", &*format!("use = [\"_desk\"]\n{LOOKUP}")), ("_desk.toml", DESK), ("b.toml", "")];
    let config = load(&files, ENVIRONMENT, Language::English).unwrap();
    let [a, b] = &config.agents.all[..] else { panic!("two agents") };
    assert!(b.servers.is_empty() && b.variables.is_empty());
    let [tickets, local] = &a.servers[..] else { panic!("two servers") };
    let Access::Url(request) = &tickets.access else { panic!("an address") };
    assert_eq!(request.target.origin.to_string(), "http://10.0.0.5:8000");
    assert_eq!(request.headers[0].0, "Authorization");
    let program = Access::Command {
        program: "/usr/bin/tickets-mcp".into(),
        arguments: vec!["--fast".into()],
        variables: vec!["TICKETS_TOKEN".into(), "PATH".into()],
    };
    assert_eq!((&*local.name, &local.access), ("local", &program));
    assert_eq!(tickets.tools.iter().map(Pattern::text).collect::<Vec<_>>(), ["open_ticket", "find_*", "a.b"]);
    let fixed: Vec<_> = tickets.fixed["open_ticket"].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(fixed.len(), 4, "{fixed:?}");
    let set = |name: &str| &tickets.set.iter().find(|(pattern, _)| pattern.text() == name).unwrap().1;
    let open = set("open_ticket");
    assert_eq!((open.effect, open.confirm, open.timeout.as_secs()), (Effect::Write, Confirm::Caller, 10));
    assert!(open.say_after.is_none() && open.idempotent && open.private.contains("pin") && !open.repeatable);
    assert_eq!(
        (set("find_*").effect, set("find_*").description.as_deref()),
        (Effect::Read, Some("Finds tickets."))
    );
    assert!(set("a.b").repeatable);
    // A secret is masked in answers and logs; a path is none.
    assert_eq!(a.secrets["TICKETS_TOKEN"].expose(), "s3cret-7788");
    assert!(!a.secrets.contains_key("PATH") && a.variables["PATH"] == "/usr/bin");
}

/// What is said of a server with these keys, which begin in the third line.
fn faults_of(keys: &str) -> Vec<String> {
    let text = format!("[[mcp]]\nname = \"s\"\n{keys}\n");
    let said = load(&[("a.toml", &text)], ENVIRONMENT, Language::English).err().unwrap_or_default();
    said.iter().map(|line| line.strip_prefix("File of an agent a.toml:").unwrap_or(line).to_owned()).collect()
}

const URL: &str = "url = \"https://h.example/mcp\"";
const TOOLS: &str = "tools = [\"find_*\", \"open\"]";

/// Keys of a server, and what is said of them.
type Rows = Vec<(String, &'static [&'static str])>;

/// A server at an address, with more keys. They begin in the fifth line.
fn with(keys: &str) -> String {
    format!("{URL}\n{TOOLS}\n{keys}")
}

/// The same for a program.
fn command(keys: &str) -> String {
    format!("command = [\"x\"]\n{TOOLS}\n{keys}")
}

fn of_access() -> Rows {
    vec![
        (with(""), &[]),
        (String::new(), &["1:1: url is missing", "1:1: tools is missing"]),
        (format!("command = []\n{TOOLS}"), &["1:1: command is missing"]),
        (with("command = [\"x\"]"), &["3:7: url and command exclude each other"]),
        (with("env = [\"PATH\"]"), &["5:7: env and url exclude each other"]),
        (command("headers = { A = \"x\" }"), &["5:11: headers and command exclude each other"]),
        (
            command("env = [\"NADA\", \"PATH\"]"),
            &[
                "5:8: the secret NADA is missing: write NADA=… into .env, or put a file NADA into $CREDENTIALS_DIRECTORY",
            ],
        ),
        (
            command("env = [\"OPENAI_API_KEY\"]"),
            &["5:8: the secret OPENAI_API_KEY is a variable of the daemon, and no tool may send it"],
        ),
        (
            format!("url = \"https://h.example/{{{{ call.id }}}}\"\n{TOOLS}"),
            &["3:26: the address of a server must be literal: it is the same for all calls"],
        ),
        (
            format!("url = \"http://169.254.169.254/mcp\"\n{TOOLS}"),
            &[
                "3:8: no tool may reach 169.254.169.254: it is an address of the link, of metadata, multicast, or none at all",
            ],
        ),
        (format!("url = \"ftp://h.example/\"\n{TOOLS}"), &["3:8: the address must be http or https"]),
        (
            with("headers = { A = \"x {{ call.caller }}\" }"),
            &["5:23: call.caller does not exist here. There are: secret"],
        ),
        (
            with("headers = { Mcp-Session-Id = \"x\" }"),
            &["5:13: the connection decides the header Mcp-Session-Id"],
        ),
        (
            format!(
                "url = \"http://h.example/mcp\"\n{TOOLS}\nheaders = {{ A = \"{{{{ secret.TICKETS_TOKEN }}}}\" }}"
            ),
            &[
                "3:7: it would send a secret without encryption to h.example, which is not in your own network: use https",
            ],
        ),
        (
            format!(
                "url = \"http://h.example/mcp\"\n{TOOLS}\nfixed = {{ open = {{ a = \"{{{{ secret.TICKETS_TOKEN }}}}\" }} }}"
            ),
            &[
                "5:9: it would send a secret without encryption to h.example, which is not in your own network: use https",
            ],
        ),
    ]
}

fn of_tools() -> Rows {
    vec![
        (with("[mcp.fixed]\nclose = { a = 1 }"), &["6:1: close is not in tools"]),
        (
            with("[mcp.fixed]\nopen = { a = \"{{ lookup.x }}\" }"),
            &["6:18: lookup.x does not exist here. There are none"],
        ),
        (
            with("[mcp.fixed]\nopen = { a = \"{{ args.x }}\" }"),
            &["6:18: args.x does not exist here. There are: call, vars, lookup, secret"],
        ),
        (with("[mcp.fixed]\nopen = 1"), &["6:8: fixed must be a table, such as { a = \"b\" }"]),
        (
            with("[mcp.set]\nfind_a = { efect = \"read\" }\nclose = { timeout = 1 }"),
            &["6:12: unknown key: efect. Did you mean effect?", "7:1: close is not in tools"],
        ),
        (
            with("[mcp.set]\n\"find_*\" = { timeout = 90, effect = \"none\", idempotent = 1 }"),
            &[
                "6:24: invalid value in timeout: \"90\". Allowed: a number from 1 to 60, with a decimal point",
                "6:37: invalid value in effect: \"none\". Allowed: write, read",
                "6:58: idempotent must be true or false",
            ],
        ),
        (with("tool = []"), &["5:1: unknown key: tool. Did you mean tools?"]),
    ]
}

#[test]
fn every_fault_of_a_server_has_its_place() {
    let mut wrong = Vec::new();
    for (keys, expected) in of_access().into_iter().chain(of_tools()) {
        let said = faults_of(&keys);
        if said != expected {
            wrong.push(format!("{keys}\n  {said:#?}\n  {expected:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_names_of_servers_are_unique_and_no_fault_holds_a_secret() {
    let twice = "[[mcp]]\nname = \"s\"\ncommand = [\"x\"]\ntools = []\n".repeat(2);
    let said = load(&[("a.toml", &twice)], ENVIRONMENT, Language::English).unwrap_err();
    assert_eq!(said, ["File of an agent a.toml:6:8: the agent a already has s"]);
    for language in [Language::Spanish, Language::English] {
        let wrong =
            "[[mcp]]\nname = \"s3cret-7788\"\nurl = \"https://h.example/{{ secret.TICKETS_TOKEN }}\"\n";
        let said = load(&[("a.toml", wrong)], ENVIRONMENT, language).unwrap_err();
        assert_eq!(
            said.iter().any(|line| line.contains("falta tools")),
            language == Language::Spanish,
            "{said:?}"
        );
    }
}
