//! Tests what operators are told who are not yet used to the files: where a key belongs, what a word means, what is missing.

use super::*;

/// The remarks on these files, in English and without the path of the folder.
fn remarks(files: &[(&str, &str)], others: &[(&str, &str)]) -> Vec<String> {
    let remarks = load(files, others, Language::English).expect("no faults").remarks;
    let said = remarks.iter().map(|remark| remark.line(Language::English));
    said.map(|line| match line.split_once("File of an agent ") {
        Some((_, rest)) => rest.rsplit('/').next().unwrap_or_default().to_owned(),
        None => line,
    })
    .collect()
}

#[test]
fn a_key_of_the_agent_below_a_section_is_told_where_it_belongs() {
    let hint = |key: &str| {
        format!("{key} is a key of the agent: it belongs into the agent's file, above the first [section]")
    };
    let example = "[[example]]\nsays = \"x\"\nvoice = \"cedar\"\n";
    let files = [
        ("a.toml", example),
        ("b.toml", "[report]\nhours = []\n"),
        (
            "c.toml",
            "use = [\"_d\"]\n[[mcp]]\nname = \"m\"\nurl = \"https://x\"\ntools = [\"t\"]\n[mcp.fixed]\nmodel = \"x\"\n",
        ),
        ("_d.toml", "greeting = \"Hola\"\n"),
    ];
    let expected = [
        format!("_d.toml:1:1: {}", hint("greeting")),
        format!("a.toml:3:1: {}", hint("voice")),
        format!("b.toml:2:1: {}", hint("hours")),
        format!("c.toml:7:1: {}", hint("model")),
    ];
    assert_eq!(faults(&files), expected.map(|line| format!("File of an agent {line}")));
}

#[test]
fn a_pattern_without_its_underscore_is_a_fault_and_the_name_of_an_extension_is_none() {
    let said = faults(&[("a.toml", "numbers = [\"32410007[6-9]X\", \"3241000XXX\", \"+57.\"]")]);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said.iter().all(|line| line.ends_with("a pattern begins with _")), "{said:?}");
    let names =
        "numbers = [\"nina\", \"ana.perez\", \"N100\", \"+573001234567\", \"*98\", \"s\", \"_3241X\"]";
    assert!(load(&[("a.toml", names)], &[], Language::English).is_ok());
}

#[test]
fn a_missing_secret_is_named_once_in_each_file_with_its_remedy() {
    let tool = |name: &str| {
        format!(
            "[[tool]]\nname = \"{name}\"\ndescription = \"x\"\nrequest = \"GET https://x\"\n\
             headers = {{ Authorization = \"{{{{ secret.CRM_TOKEN }}}}\" }}\n"
        )
    };
    let own = format!("use = [\"_crm\"]\n{}{}", tool("one"), tool("two"));
    let shared = format!("{}{}", tool("three"), tool("four"));
    let said = faults(&[("a.toml", &own), ("b.toml", "use = [\"_crm\"]"), ("_crm.toml", &shared)]);
    let remedy = "the secret CRM_TOKEN is missing: write CRM_TOKEN=… into .env, or put a file CRM_TOKEN into $CREDENTIALS_DIRECTORY";
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said.iter().all(|line| line.ends_with(remedy)), "{said:#?}");
}

#[test]
fn a_folder_without_agents_is_named() {
    let said = remarks(&[("citas.md", "Eres…")], &[]);
    assert!(said.iter().any(|line| line.starts_with("There is no NAME.toml in /")), "{said:?}");
    assert!(!remarks(&[("a.toml", "")], &[]).iter().any(|line| line.contains("NAME.toml")));
}

#[test]
fn shared_tools_are_called_unused_only_if_all_files_could_be_read() {
    let said = |own: &str| match load(&[("a.toml", own), ("_crm.toml", "")], &[], Language::English) {
        Ok(config) => config.remarks.iter().map(|remark| remark.line(Language::English)).collect(),
        Err(faults) => faults,
    };
    assert!(said("").iter().any(|line| line.ends_with("_crm.toml is not used: no agent names it in use")));
    let folder = folder(&[("a.toml", "voice = \n"), ("_crm.toml", "")]);
    assert_eq!(read(folder.path(), &|_| None).unwrap().remarks, []);
    let folder = self::folder(&[("a.toml", "use = \"_crm\"\n"), ("_crm.toml", "")]);
    assert_eq!(read(folder.path(), &|_| None).unwrap().remarks, []);
}

#[test]
fn a_remark_on_a_value_has_its_place_in_the_file_and_its_key() {
    let said = remarks(
        &[
            ("a.toml", "\nvoice = \"marina\"\nmodel = \"acme-1\"\nmax_call_cost = 1\n"),
            ("b.toml", "model = \"acme-1\""),
        ],
        &[("MAX_DAY_COST", "5")],
    );
    for beginning in [
        "a.toml:2:9: voice=marina is not a known voice of OpenAI",
        "a.toml:4:17: The price of the model acme-1 is not known: max_call_cost does not limit",
        "Agent b: The price of the model acme-1 is not known: MAX_DAY_COST does not limit",
    ] {
        assert_eq!(
            said.iter().filter(|line| line.starts_with(beginning)).count(),
            1,
            "{beginning}: {said:#?}"
        );
    }
}

#[test]
fn a_program_that_cannot_be_run_is_a_remark() {
    let server = |program: &str| {
        let text = format!("[[mcp]]\nname = \"m\"\ncommand = [\"{program}\"]\ntools = [\"*\"]\n");
        remarks(&[("a.toml", &text)], &[]).iter().any(|line| {
            *line
                == format!(
                    "Agent a: The program {program} of the MCP server m does not exist, or cannot be executed"
                )
        })
    };
    let found: Vec<_> = ["/bin/sh", "sh", "/bin/nosuch", "nosuch", "/bin", "/etc/passwd"].map(server).into();
    assert_eq!(found, [false, false, true, true, true, true]);
}

#[test]
fn no_name_to_choose_from_is_said_in_words() {
    let said =
        load(&[("a.toml", "transfers = [\"x\"]")], &[("TRANSFER_DESTINATIONS", "")], Language::English);
    let expected = "File of an agent a.toml:1:14: transfers names a destination that is not in TRANSFER_DESTINATIONS: x. There are none";
    assert_eq!(said.unwrap_err(), [expected]);
}
