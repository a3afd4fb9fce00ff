//! Tests the examples in the files of agents.

use serde_json::json;

use super::*;

const AGENT: &str = r#"
[[lookup]]
name = "customer"
request = "GET https://crm.example.com/api/customers"

[[tool]]
name = "book"
description = "Books."
request = "POST https://crm.example.com/api/appointments"
[tool.parameters]
day = { type = "string", maxLength = 10 }
people = { type = "integer" }
"#;

/// The faults of an example with these lines, from its own first line on.
fn of_example(lines: &str) -> Vec<String> {
    let text = format!("{AGENT}[[example]]\n{lines}\n");
    let before = AGENT.lines().count() + 1;
    let said = load(&[("a.toml", &text)], &[], Language::English).err().unwrap_or_default();
    let own = |line: &String| {
        let (line, rest) =
            line.strip_prefix("File of an agent a.toml:").and_then(|text| text.split_once(':'))?;
        Some(format!("{}:{rest}", line.parse::<usize>().ok()? - before))
    };
    said.iter().map(|line| own(line).unwrap_or_else(|| line.clone())).collect()
}

#[test]
fn an_example_says_what_the_caller_says_and_what_must_follow() {
    let text = format!(
        r#"{AGENT}
[[example]]
name = "two turns"
says = ["Hola", "El 2, somos 4"]
tool = "book"
arguments = {{ people = 4 }}
answers = {{ book = {{ id = 7 }} }}
lookup = {{ customer = {{ name = "Ana" }} }}

[[example]]
says = "Gracias"

[[example]]
says = "Páseme con una persona"
tool = "transfer_call"
arguments = {{ destination = "ventas" }}
"#
    );
    let config = load(&[("a.toml", &text)], &[], Language::English).unwrap();
    let [two, thanks, person] = &config.agents.all[0].examples[..] else { panic!("three examples") };
    assert_eq!(
        (two.name.as_str(), &two.says[..]),
        ("two turns", &["Hola".to_owned(), "El 2, somos 4".to_owned()][..])
    );
    assert_eq!((two.tool.as_deref(), json!(two.arguments)), (Some("book"), json!({"people": 4})));
    assert_eq!(
        (json!(two.answers), json!(two.lookup)),
        (json!({"book": {"id": 7}}), json!({"customer": {"name": "Ana"}}))
    );
    assert_eq!((thanks.name.as_str(), &thanks.tool), ("Gracias", &None));
    assert_eq!(person.tool.as_deref(), Some("transfer_call"), "what every agent can do counts too");
}

#[test]
fn faults_of_an_example_have_their_place() {
    let long = format!("says = [{}]", "\"a\", ".repeat(21));
    for (lines, faults) in [
        ("says = \"Hola\"", &[][..]),
        ("name = \"x\"", &["0:1: says is missing"]),
        ("says = 3", &["1:8: says must be a list of texts, such as [\"a\", \"b\"]"]),
        ("says = [\"\"]", &["1:8: says must be a list of texts, such as [\"a\", \"b\"]"]),
        (&*long, &["1:8: says may have at most 20 turns"]),
        ("says = \"x\"\ntoool = \"book\"", &["2:1: unknown key: toool. Did you mean tool?"]),
        ("says = \"x\"\ntool = \"boook\"", &["2:8: the agent has no tool boook. There are: book"]),
        ("says = \"x\"\narguments = { day = \"x\" }", &["2:13: tool is missing"]),
        (
            "says = \"x\"\ntool = \"book\"\narguments = { day = \"x\", people = \"four\" }",
            &["3:35: book cannot be called like this: this value is not of type \"integer\""],
        ),
        (
            "says = \"x\"\ntool = \"book\"\narguments = { days = \"x\" }",
            &[
                "3:13: book cannot be called like this: Additional properties are not allowed ('days' was unexpected)",
            ],
        ),
        ("says = \"x\"\nanswers = { find = 1 }", &["2:13: the agent has no tool find. There are: book"]),
        (
            "says = \"x\"\nlookup = { custom = 1 }",
            &["2:12: the agent has no look-up custom. There are: customer"],
        ),
    ] {
        assert_eq!(of_example(lines), faults, "{lines}");
    }
}

#[test]
fn a_tool_with_a_fault_is_not_named_a_second_time() {
    let text = format!("{}[[example]]\nsays = \"x\"\ntool = \"book\"\n", AGENT.replace("integer", "integr"));
    assert_eq!(faults(&[("a.toml", &text)]).len(), 1);
}
