//! Tests servers in programs: what they see, and that each of them starts and ends in time, whatever it does.

use std::fs;
use std::path::Path;

use super::*;
use crate::tool::Masks;

/// A server in the language of the shell. It answers each request with the number of the request, as the protocol of 2026-07-28
/// does, and does `on_call` for each call of a tool.
fn script(on_call: &str) -> String {
    format!(
        r#"
answer() {{ printf '{{"jsonrpc":"2.0","id":%s,"result":%s}}\n' "$id" "$1"; }}
while read -r line; do
    id=${{line#*\"id\":}}
    id=${{id%%,*}}
    case $line in
        *server/discover*) answer '{{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}}}},"ttlMs":0,"cacheScope":"public"}}' ;;
        *tools/list*) answer '{{"resultType":"complete","tools":[{{"name":"find","inputSchema":{{"type":"object"}}}}]}}' ;;
        *tools/call*) {on_call} ;;
    esac
done
"#
    )
}

const FOUND: &str = r#"answer '{"resultType":"complete","content":[{"type":"text","text":"Ana"}],"structuredContent":{"name":"Ana"}}'"#;

fn kept(script: &str, variables: &[(&str, &str)]) -> Kept {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Kept::new(Address::Program(Program {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.to_owned()],
        variables,
        masks: Masks::default(),
    }))
}

/// Whether the process runs whose number is in this file. One that has ended may wait for its parent to notice.
fn runs(path: &Path) -> bool {
    let number = fs::read_to_string(path).unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", number.trim())).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[tokio::test]
async fn a_program_is_a_server_and_sees_only_what_the_file_names() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let before = format!("export -p > {}; echo 'a word on the standard error' >&2;", seen.display());
    let mut kept = kept(&(before + &script(FOUND)), &[("TICKETS_TOKEN", "s3cret")]);
    assert_eq!(kept.listed().await, ["find"]);
    assert_eq!(kept.call(&errand(Effect::Write)).await, Called { result: Ok(found()), attempts: 1 });
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("TICKETS_TOKEN='s3cret'") || seen.contains("TICKETS_TOKEN=\"s3cret\""), "{seen}");
    for name in ["HOME", "CARGO", "USER"] {
        assert!(!seen.contains(&format!(" {name}=")), "{seen}");
    }
}

#[tokio::test]
async fn a_program_that_dies_in_a_call_is_started_again_and_what_was_written_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("dead");
    // It dies in its first call.
    let once = format!("if [ -e {0} ]; then {FOUND}; else : > {0}; exit 1; fi", dead.display());
    for (effect, expected) in [
        (
            Effect::Write,
            Called { result: Err(Failure::Unanswered("the connection was closed".into())), attempts: 1 },
        ),
        // What only reads is asked of the next one.
        (Effect::Read, Called { result: Ok(found()), attempts: 2 }),
    ] {
        fs::remove_file(&dead).ok();
        let mut kept = kept(&script(&once), &[]);
        kept.listed().await;
        assert_eq!(kept.call(&errand(effect)).await, expected);
        assert_eq!(kept.away().await, "the connection was closed");
        assert_eq!(kept.listed().await, ["find"]);
        assert_eq!(kept.call(&errand(effect)).await.result, Ok(found()));
    }
}

#[tokio::test]
async fn a_program_that_is_none_is_said_without_its_arguments() {
    let address = |program: &str| {
        Address::Program(Program {
            program: program.into(),
            arguments: vec!["s3cret".into()],
            variables: Vec::new(),
            masks: Masks::default(),
        })
    };
    let mut kept = Kept::new(address("/nowhere/tickets-mcp"));
    let cause = kept.away().await;
    assert!(cause.starts_with("the program does not start (No such file"), "{cause}");
    let mut kept = Kept::new(address("/bin/true"));
    // It depends on how soon it ends.
    let cause = kept.away().await;
    assert!(
        ["the connection was closed", "no connection (broken pipe)"].contains(&cause.as_str()),
        "{cause}"
    );
    assert_eq!(kept.call(&errand(Effect::Read)).await.result, Err(Failure::Closed));
}

#[tokio::test]
async fn a_program_that_writes_without_end_fills_no_memory() {
    // Lines that are no JSON, one that is too long, and an answer after them.
    let noise = "i=0; while [ $i -lt 500 ]; do echo nonsense; echo more >&2; i=$((i + 1)); done; \
        head -c 2000000 /dev/zero | tr '\\0' 'x'; echo;";
    let mut kept = kept(&(noise.to_owned() + &script(FOUND)), &[("PATH", "/usr/bin:/bin")]);
    assert_eq!(kept.listed().await, ["find"]);
    assert_eq!(kept.call(&errand(Effect::Read)).await.result, Ok(found()));
}

#[tokio::test]
async fn the_end_of_a_server_is_the_end_of_all_its_processes() {
    let folder = tempfile::tempdir().unwrap();
    let (shell, child) = (folder.path().join("shell"), folder.path().join("child"));
    // It ignores SIGTERM and the end of its input, and has a process of its own.
    let stubborn =
        format!("trap '' TERM; echo $$ > {}; sleep 600 & echo $! > {};", shell.display(), child.display());
    let mut kept = kept(
        &format!("{stubborn}{}\nwhile :; do sleep 1; done", script(FOUND)),
        &[("PATH", "/usr/bin:/bin")],
    );
    kept.listed().await;
    assert!(runs(&shell) && runs(&child));
    kept.keeper.shutdown().await;
    let over = async {
        while runs(&shell) || runs(&child) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), over).await.expect("they end");
}
