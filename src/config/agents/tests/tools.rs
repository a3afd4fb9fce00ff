//! Tests tools and look-ups in the files of agents.

use super::*;
use crate::tool::{Confirm, Effect, Way};

const SECRETS: &[(&str, &str)] = &[("CRM_TOKEN", "s3cret-7788"), ("EMPTY", ""), ("LINES", "a\nb")];

const CRM: &str = r#"
[[lookup]]
name = "customer"
request = "GET https://crm.example.com/api/customers"
query = { phone = "{{ call.caller }}" }
headers = { Authorization = "Bearer {{ secret.CRM_TOKEN }}" }
result = "{{ body[0] if body else none }}"

[[tool]]
name = "book"
description = "Books."
confirm = "caller"
idempotency = "Idempotency-Key"
request = "POST https://crm.example.com/api/appointments"
body = { start = "{{ args.start }}", customer = "{{ lookup.customer.id }}", by = "phone", n = 0x10, tags = [1.5, true] }
[tool.parameters]
start = { type = "string", format = "date-time" }
note = { type = "string", optional = true, private = true }
"#;

const AGENT: &str = r#"
use = ["_crm"]
greeting = "Buenos días{{ ', ' ~ lookup.customer.name if lookup.customer else '' }}"

[[tool]]
name = "free_slots"
effect = "read"
description = "Free."
request = "GET https://crm.example.com/api/days/{{ args.day }}/slots"
timeout = 6
say_after = 0
repeatable = true
schema = '''{"type":"object","properties":{"day":{"type":"string"}},"required":["day"]}'''
"#;

#[test]
fn an_agent_has_its_own_tools_and_those_that_it_shares() {
    let files = [
        ("a.toml", AGENT),
        ("_crm.toml", CRM),
        ("b.toml", "use = [\"_crm\", \"_crm\"]"),
        ("c.toml", "greeting = \"Hola\""),
    ];
    let config = load(&files, SECRETS, Language::English).unwrap();
    let [a, b, c] = &config.agents.all[..] else { panic!("three agents") };
    let names =
        |agent: &AgentConfig| agent.tools.iter().map(|tool| tool.name.to_string()).collect::<Vec<_>>();
    assert_eq!(
        (names(a), names(b)),
        (vec!["free_slots".to_owned(), "book".to_owned()], vec!["book".to_owned()])
    );
    assert!(names(c).is_empty() && c.greeting.is_none() && c.secrets.is_empty());
    let [free_slots, book] = &a.tools[..] else { panic!("two tools") };
    let Way::Http(http) = &book.way else { panic!("a request") };
    assert_eq!(
        (free_slots.effect, free_slots.confirm, free_slots.say_after),
        (Effect::Read, Confirm::Nobody, None)
    );
    assert_eq!((free_slots.timeout.as_secs(), free_slots.repeatable), (6, true));
    assert_eq!((book.effect, book.confirm, book.timeout.as_secs()), (Effect::Write, Confirm::Caller, 8));
    assert_eq!(
        (book.say_after.map(|time| time.as_millis()), http.idempotency.as_deref()),
        (Some(2_500), Some("Idempotency-Key"))
    );
    let schema = serde_json::json!({"type": "object", "additionalProperties": false, "required": ["start"],
        "properties": {"start": {"type": "string", "format": "date-time"}, "note": {"type": "string"}}});
    assert_eq!(book.parameters.schema(), &schema);
    assert!(book.parameters.private().contains("note"));
    let body = serde_json::json!({"start": "2026-12-02T09:00:00-05:00", "customer": 7, "by": "phone", "n": 16, "tags": [1.5, true]});
    let (call, lookup) = (serde_json::json!({}), serde_json::json!({"customer": {"id": 7}}));
    let facts = crate::tool::Facts { call: &call, vars: &call, lookup: &lookup };
    let arguments = book.parameters.check(r#"{"start":"2026-12-02T09:00:00-05:00"}"#).unwrap();
    let made = http.request(&facts, &arguments, "key", &|_| None).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&made.body).unwrap(), body);
    assert_eq!(a.lookups[0].patience.as_millis(), 1_500);
    assert_eq!(a.greeting.as_ref().map(|greeting| greeting.names().len()), Some(2), "{:?}", a.greeting);
    assert_eq!(a.secrets["CRM_TOKEN"].expose(), "s3cret-7788");
    assert!(config.secrets().iter().any(|secret| secret.expose() == "s3cret-7788"), "logs mask it");
}

#[test]
fn a_shared_file_counts_for_the_version_of_those_who_use_it() {
    let versions = |crm: &str| {
        let files = [("a.toml", "use = [\"_crm\"]"), ("b.toml", ""), ("_crm.toml", crm)];
        let config = load(&files, SECRETS, Language::English).unwrap();
        config.agents.all.iter().map(|agent| agent.version.clone()).collect::<Vec<_>>()
    };
    let (before, after) = (versions(CRM), versions(&format!("{CRM}\n# x")));
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
}

#[test]
fn a_file_that_nobody_uses_is_said() {
    let files = [("a.toml", ""), ("_crm.toml", "[[tool]]"), ("_crm.md", "x")];
    let config = load(&files, SECRETS, Language::Spanish).unwrap();
    let said: Vec<_> = config.remarks.iter().map(|remark| remark.line(Language::Spanish)).collect();
    assert!(
        said.iter().any(|line| line.ends_with("_crm.toml no se usa: ningún agente lo nombra en use")),
        "{said:?}"
    );
    assert!(said.iter().any(|line| line.contains("_crm.md no se usa")), "{said:?}");
    assert!(config.agents.find("_crm").is_none());
}

#[test]
fn a_secret_comes_from_the_environment_or_from_a_credential() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("CRM_TOKEN"), "of-systemd\n").unwrap();
    let path = folder.path().display().to_string();
    let files = [("a.toml", "use = [\"_crm\"]"), ("_crm.toml", CRM)];
    let secret = |others: &[(&str, &str)]| {
        load(&files, others, Language::English)
            .map(|config| config.agents.all[0].secrets["CRM_TOKEN"].expose().to_owned())
    };
    let of_systemd = ("CREDENTIALS_DIRECTORY", path.as_str());
    assert_eq!(secret(&[of_systemd]), Ok("of-systemd".to_owned()));
    assert_eq!(secret(&[of_systemd, ("CRM_TOKEN", "of-env")]), Ok("of-env".to_owned()));
    fs::write(folder.path().join("CRM_TOKEN"), "hidden-word\nsecond\n").unwrap();
    let said = secret(&[of_systemd]).unwrap_err();
    assert!(
        said[0]
            .ends_with("the secret CRM_TOKEN must be one line of at most 8 KiB without control characters"),
        "{said:?}"
    );
    assert!(!said.concat().contains("hidden-word"));
}

/// Keys of a tool, and what is said of them. They begin in the fifth line of the file, or in the fourth if they have a request.
type Rows = &'static [(&'static str, &'static [&'static str])];

/// Checks what is said of each tool.
fn check(rows: Rows) {
    let mut wrong = Vec::new();
    for (keys, expected) in rows {
        let head = "[[tool]]\nname = \"t\"\ndescription = \"d\"\n";
        let request =
            if keys.starts_with("request") { "" } else { "request = \"GET https://h.example/x\"\n" };
        let said = faults_of(&format!("{head}{request}{keys}\n"));
        if said != *expected {
            wrong.push(format!("{keys}\n  {said:#?}\n  {expected:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is said of a file, without the name of the file.
fn faults_of(text: &str) -> Vec<String> {
    let said = load(&[("a.toml", text)], SECRETS, Language::English).err().unwrap_or_default();
    said.iter().map(|line| line.strip_prefix("File of an agent a.toml:").unwrap_or(line).to_owned()).collect()
}

const OF_KEYS: Rows = &[
    ("", &[]),
    ("tiemout = 3", &["5:1: unknown key: tiemout. Did you mean timeout?"]),
    (
        "timeout = 0",
        &["5:11: invalid value in timeout: \"0\". Allowed: a number from 1 to 60, with a decimal point"],
    ),
    ("effect = \"reads\"", &["5:10: invalid value in effect: \"reads\". Allowed: write, read"]),
    ("confirm = true", &["5:11: confirm must be a text in quotes"]),
    ("repeatable = \"yes\"", &["5:14: repeatable must be true or false"]),
    ("idempotency = \"a b\"", &["5:15: \"a b\" is not the name of a header"]),
];

const OF_REQUESTS: Rows = &[
    ("headers = { Host = \"x\" }", &["5:13: the connection decides the header Host"]),
    ("headers = [\"a\"]", &["5:11: headers must be a table, such as { a = \"b\" }"]),
    ("headers = { A = \"a\\nb\" }", &["5:17: a header is one line without control characters"]),
    ("query = { a = { b = 1 } }", &["5:15: query must be a text in quotes, a number, true or false"]),
    (
        "request = \"GET https://{{ vars.host }}/x\"",
        &["4:24: the scheme, host and port must be literal: nothing that is said can change them"],
    ),
    (
        "request = \"get https://h.example/x\"",
        &["4:12: the method must be GET, HEAD, POST, PUT, PATCH or DELETE"],
    ),
    (
        "request = \"GET https://h.example/{{ args.day }}\"",
        &["4:37: args.day does not exist here. There are none"],
    ),
    (
        "request = \"GET https://h.example/{{ secret.CRM_TOKEN }}\"",
        &["4:37: a secret cannot be in the address, which servers log: it goes into headers, query or body"],
    ),
    (
        "request = \"GET http://169.254.169.254/x\"",
        &[
            "4:16: no tool may reach 169.254.169.254: it is an address of the link, of metadata, multicast, or none at all",
        ],
    ),
    (
        "request = \"GET http://h.example/x\"\nheaders = { A = \"{{ secret.CRM_TOKEN }}\" }",
        &[
            "4:11: it would send a secret without encryption to h.example, which is not in your own network: use https",
        ],
    ),
];

const OF_TEMPLATES: Rows = &[
    (
        "body = '''\n{{ call.caller }}\n  {{ lookup.x }}'''",
        &["7:6: lookup.x does not exist here. There are none"],
    ),
    (
        "body = \"{{ secret.NADA }} {{ secret.EMPTY }} {{ secret.LINES }}\"",
        &[
            "5:12: the secret NADA is missing: write NADA=… into .env, or put a file NADA into $CREDENTIALS_DIRECTORY",
            "5:30: the secret EMPTY is missing: write EMPTY=… into .env, or put a file EMPTY into $CREDENTIALS_DIRECTORY",
            "5:49: the secret LINES must be one line of at most 8 KiB without control characters",
        ],
    ),
    (
        "body = [\"{{ secret.OPENAI_API_KEY }}\"]",
        &["5:13: the secret OPENAI_API_KEY is a variable of the daemon, and no tool may send it"],
    ),
    (
        "result = \"{{ secret.CRM_TOKEN }}\"",
        &["5:14: secret.CRM_TOKEN does not exist here. There are: call, vars, lookup, args, status, body"],
    ),
    ("result = \"{{ body | nada }}\"", &["5:21: the template is not valid (there is no filter nada)"]),
    ("result = \"\\t{{ body | nada }}\"", &["5:10: the template is not valid (there is no filter nada)"]),
    (
        "error = \"ñ {{ body. }}\"",
        &[
            "5:21: the template is not valid (unexpected end of variable block, expected identifier or integer)",
        ],
    ),
];

const OF_PARAMETERS: Rows = &[
    (
        "[tool.parameters]\na-b = { type = \"string\" }\nb = 1\nc = { type = \"text\" }\nd = { type = \"string\", optional = 1 }",
        &[
            "6:1: \"a-b\" cannot be a parameter: ASCII letters and digits and _, not beginning with a digit",
            "7:5: parameters must be a table, such as { a = \"b\" }",
            "8:5: the schema is not valid (properties/c/type: \"text\" is not one of \"array\", \"boolean\" or 5 other candidates)",
            "9:5: optional must be true or false",
        ],
    ),
    ("schema = '{\"type\": \"string\"}'", &["5:10: the schema must be of the type object"]),
    ("schema = '{'", &["5:10: the schema is not valid (EOF while parsing an object at line 1 column 1)"]),
    ("schema = '{}'\nparameters = {}", &["5:10: parameters and schema exclude each other"]),
];

#[test]
fn every_fault_of_a_tool_has_its_place() {
    check(OF_KEYS);
    check(OF_REQUESTS);
    check(OF_TEMPLATES);
    check(OF_PARAMETERS);
    let missing = [
        "1:1: name is missing",
        "1:1: description is missing",
        "1:1: request is missing",
        "2:1: unknown key: x",
    ];
    assert_eq!(faults_of("[[tool]]\nx = 1\n"), missing);
    let long = "x".repeat(1_025);
    let text = format!(
        "[[tool]]\nname = \"end_call\"\ndescription = \"{long}\"\nrequest = \"GET https://h.example/x\"\n"
    );
    let name = "2:8: \"end_call\" cannot be a name: 1 to 64 ASCII letters and digits, - and _, and not end_call or \
        transfer_call; of a look-up, without - and not beginning with a digit";
    assert_eq!(faults_of(&text), [name, "3:15: description may have at most 1024 characters"]);
}

#[test]
fn names_are_unique_and_look_ups_exist() {
    let twice = "[[tool]]\nname = \"book\"\ndescription = \"d\"\nrequest = \"GET https://h.example/\"\n[[lookup]]\nname = \"a-b\"\n\
        request = \"GET https://h.example/{{ lookup.customer }}\"\npatience = 11\n";
    let files = [
        (
            "a.toml",
            format!(
                "use = [\"_crm\", \"_otro\"]\ngreeting = \"{{{{ lookup.client }}}} {{{{ args.x }}}}\"\n{twice}"
            ),
        ),
        ("b.toml", "tool = 5\nuse = [\"_mal\", \"_extra\"]\n".to_owned()),
        ("_crm.toml", CRM.to_owned()),
        ("_extra.toml", "greeting = \"x\"\ntools = 1\n[[tool]]\nname = \"x\"\n".to_owned()),
        ("_mal.toml", "x = \n".to_owned()),
    ];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let said = load(&files, SECRETS, Language::English).unwrap_err();
    let expected = [
        "_crm.toml:10:8: the agent a already has book",
        "_extra.toml:1:1: greeting is a key of the agent: it belongs into the agent's file, above the first [section]",
        "_extra.toml:2:1: unknown key: tools. Did you mean tool?",
        "_extra.toml:3:1: description is missing",
        "_extra.toml:3:1: request is missing",
        "_mal.toml:1:5: it is not valid TOML (string values must be quoted, expected literal string)",
        "a.toml:1:16: use names a file that does not exist: _otro. There are: _crm, _extra, _mal",
        "a.toml:2:36: args.x does not exist here. There are: call, vars, lookup",
        "a.toml:8:8: \"a-b\" cannot be a name: 1 to 64 ASCII letters and digits, - and _, and not end_call or transfer_call; of a look-up, without - and not beginning with a digit",
        "a.toml:9:37: lookup.customer does not exist here. There are: call, vars",
        "a.toml:10:12: invalid value in patience: \"11\". Allowed: a number from 0 to 10, with a decimal point",
        "b.toml:1:8: tool must be a table below a line with the key in [[ ]]",
    ];
    for (said, expected) in said.iter().zip(expected) {
        assert_eq!(said, &format!("File of an agent {expected}"));
    }
    assert_eq!(said.len(), expected.len(), "{said:#?}");
}

#[test]
fn a_fault_in_a_shared_file_is_said_once() {
    let wrong = "[[tool]]\nname = \"x\"\ndescription = \"d\"\nrequest = \"GET http://h\\\\\"\n";
    let files = [("a.toml", "use = [\"_w\"]"), ("b.toml", "use = [\"_w\"]"), ("_w.toml", wrong)];
    let said = load(&files, SECRETS, Language::Spanish).unwrap_err();
    assert_eq!(said, ["Archivo de agente _w.toml:4:24: «\\» no puede estar así en la dirección"]);
}

#[test]
fn no_fault_holds_a_secret_and_each_has_both_languages() {
    let wrong = "[[tool]]\nname = \"s3cret-7788\"\nrequest = \"\"\n[[tool]]\nname = \"b\"\ndescription = \"{{ secret.CRM_TOKEN }}\"\n\
        request = \"POST http://h.example/\"\nbody = \"{{ secret.CRM_TOKEN }}{{ secret.OTHER }}\"\n";
    for language in [Language::Spanish, Language::English] {
        let said = load(&[("a.toml", wrong)], SECRETS, language).unwrap_err();
        assert_eq!(said.len(), 4, "{said:?}");
        let is_spanish = said.iter().any(|line| line.contains("falta"));
        assert_eq!(is_spanish, language == Language::Spanish, "{said:?}");
    }
}

#[test]
fn every_example_is_valid() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agents");
    let mut count = 0;
    for entry in fs::read_dir(all).unwrap() {
        let path = entry.unwrap().path();
        let mut files = Vec::new();
        for entry in fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap();
            files.push((entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()));
        }
        let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let config = load(&files, SECRETS, Language::English);
        let config = config.unwrap_or_else(|said| panic!("{}: {said:#?}", path.display()));
        let said: Vec<_> = config.remarks.iter().map(|remark| remark.line(Language::English)).collect();
        assert!(said.iter().all(|line| !line.contains("is not used")), "{}: {said:?}", path.display());
        assert!(!config.agents.all.is_empty(), "{}", path.display());
        count += 1;
    }
    assert!(count >= 2);
}
