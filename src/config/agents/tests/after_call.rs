//! Tests where messages about ended calls go.

use super::*;

const SECRETS: &[(&str, &str)] = &[
    ("HOOK", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
    ("OTHER", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
    ("PLAIN", "hunter2"),
];

#[test]
fn an_agent_has_its_own_addresses_and_those_that_it_shares() {
    let agent = r#"
use = ["_crm"]
[[after_call]]
url = "https://n8n.example.com/webhook/4711?x=1"
secret = "{{ secret.HOOK }}"
[[after_call]]
name = "archive"
url = "http://10.0.0.5:8080/calls"
secret = "{{secret.OTHER}}"
words = true
"#;
    let shared = "[[after_call]]\nurl = \"https://crm.example.com/\"\nsecret = \"{{ secret.HOOK }}\"\n";
    let files = [("a.toml", agent), ("b.toml", ""), ("_crm.toml", shared)];
    let config = load(&files, SECRETS, Language::English).unwrap();
    let addresses = config.agents.addresses();
    let of =
        |agent: &str, name: &str| addresses.find(agent, name).map(|found| (found.url.0.clone(), found.words));
    let url = |url: &str, words| Some((url.to_owned(), words));
    assert_eq!(of("a", "https://n8n.example.com"), url("https://n8n.example.com/webhook/4711?x=1", false));
    assert_eq!(of("a", "archive"), url("http://10.0.0.5:8080/calls", true));
    assert_eq!(of("a", "https://crm.example.com"), url("https://crm.example.com/", false));
    assert_eq!((of("b", "archive"), of("a", "none")), (None, None));
    assert!(config.secrets().iter().any(|secret| secret.expose() == SECRETS[0].1), "hidden in the log");
    let shown = format!("{:?}", config.agents);
    assert!(!shown.contains("4711") && !shown.contains("MDEy"), "{shown}");
}

#[test]
fn what_is_wrong_with_an_address_is_said_with_its_place() {
    let agent = r#"
[[after_call]]
url = "https://example.com/{{ call.id }}"
secret = "{{ secret.HOOK }}"
[[after_call]]
url = "http://example.com/x"
secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
word = true
[[after_call]]
url = "http://169.254.169.254/latest"
secret = "{{ secret.PLAIN }}"
words = "yes"
[[after_call]]
secret = "{{ secret.NOWHERE }}"
[[after_call]]
url = "https://example.com/1"
secret = "{{ secret.HOOK }}"
[[after_call]]
url = "https://example.com/2"
secret = "{{ secret.HOOK }}"
[[after_call]]
url = "https://example.com/3"
"#;
    let said = load(&[("a.toml", agent)], SECRETS, Language::English).expect_err("faults");
    let expected = [
        "a.toml:3:7: url must be literal, without templates: the data of the call are in the message",
        "a.toml:6:7: it would send data of calls without encryption to example.com, which is not in your own network: use https",
        "a.toml:7:10: it must be {{ secret.NAME }}: the secret is not written into the file",
        "a.toml:8:1: unknown key: word. Did you mean words?",
        "a.toml:10:8: no tool may reach 169.254.169.254: it is an address of the link, of metadata, multicast, or none at all",
        "a.toml:11:10: the secret PLAIN must be whsec_ and 24 to 64 bytes in Base64. A new one: echo whsec_$(openssl rand -base64 32)",
        "a.toml:12:9: words must be true or false",
        "a.toml:13:1: url is missing",
        "a.toml:14:10: the secret NOWHERE is missing: write NOWHERE=… into .env, or put a file NOWHERE into $CREDENTIALS_DIRECTORY",
        "a.toml:19:7: the agent already has an address https://example.com: give each of them a name of its own",
        "a.toml:21:1: secret is missing",
        "a.toml:22:7: the agent already has an address https://example.com: give each of them a name of its own",
    ];
    let expected = expected.map(|line| format!("File of an agent {line}"));
    assert_eq!(said, expected, "{said:#?}");
}

#[test]
fn words_that_wait_without_encryption_are_pointed_out_where_recordings_are_encrypted() {
    let address = |words| {
        format!(
            "[[after_call]]\nurl = \"https://example.com/1\"\nsecret = \"{{{{ secret.HOOK }}}}\"\nwords = {words}\n"
        )
    };
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let said = |words: bool, recipient: &'static str| {
        let others = [SECRETS[0], ("RECORDINGS_RECIPIENT", recipient)];
        let config = load(&[("a.toml", &address(words))], &others, Language::English).unwrap();
        let lines = config.remarks.iter().map(|remark| remark.line(Language::English));
        lines.filter(|line| line.contains("without encryption")).count()
    };
    assert_eq!([said(true, recipient), said(false, recipient), said(true, "")], [1, 0, 0]);
}

const REPORT: &str = "[report]\noutcome = { type = \"string\", enum = [\"booked\", \"other\"] }\n\
    phone = { type = \"string\", optional = true, private = true }\n";

#[test]
fn a_report_has_the_fields_of_its_table() {
    let config = load(&[("a.toml", REPORT), ("b.toml", "")], &[], Language::English).unwrap();
    let [a, b] = &config.agents.all[..] else { panic!("two agents") };
    let form = a.report.as_ref().expect("a form");
    let schema = serde_json::json!({"type": "object", "additionalProperties": false, "required": ["outcome"],
        "properties": {"outcome": {"type": "string", "enum": ["booked", "other"]}, "phone": {"type": "string"}}});
    assert_eq!((form.schema(), form.private().contains("phone")), (&schema, true));
    assert!(b.report.is_none() && config.remarks.is_empty());
    let said = faults(&[("a.toml", "[report]\noutcome = \"string\"\nsum = { type = \"strin\" }\n")]);
    let expected = [
        "File of an agent a.toml:2:11: report must be a table, such as { a = \"b\" }",
        "File of an agent a.toml:3:7: the schema is not valid",
    ];
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said.iter().zip(expected).all(|(said, expected)| said.starts_with(expected)), "{said:#?}");
    let said = faults(&[("a.toml", "report = true\n")]);
    assert_eq!(said, ["File of an agent a.toml:1:10: report must be a table, such as { a = \"b\" }"]);
}

#[test]
fn a_report_that_nobody_would_get_is_pointed_out() {
    let address = "[[after_call]]\nurl = \"https://example.com/1\"\nsecret = \"{{ secret.HOOK }}\"\n";
    for (record, address, is_lost) in
        [("audio", "", true), ("audio", address, false), ("transcript", "", false)]
    {
        let text = format!("record = \"{record}\"\n{REPORT}{address}");
        let config = load(&[("a.toml", &text)], &[SECRETS[0]], Language::English).unwrap();
        let lines: Vec<_> = config.remarks.iter().map(|remark| remark.line(Language::English)).collect();
        assert_eq!(lines.iter().any(|line| line.contains("[report] has no effect")), is_lost, "{lines:?}");
    }
}
