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
async fn what_a_program_says_is_logged_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let file = Arc::new(fs::File::create(&path).unwrap());
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(file);
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let said = "echo \"a word with $TOKEN in it\" >&2;".to_owned() + &script(FOUND);
    let _kept = Kept::new(Address::Program(Program {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), said],
        variables: vec![("TOKEN".into(), "s3cret-7788".into())],
        masks: Masks::new(["s3cret-7788"]),
    }));
    let log = || fs::read_to_string(&path).unwrap();
    let logged = async {
        while !log().contains("a word with *** in it") {
            assert!(!log().contains("s3cret"), "{}", log());
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), logged).await.expect("it is logged");
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
async fn only_what_reads_is_cancelled_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    // It answers no call, and keeps what it is told of them.
    let keeps = format!("*tools/call*|*cancelled*) echo \"$line\" >> {} ;;\n    *none*)", seen.display());
    let mute = script(":").replace("*tools/call*)", &keeps);
    let mut kept = kept(&mute, &[]);
    kept.listed().await;
    for effect in [Effect::Write, Effect::Read] {
        let late = Errand { timeout: Duration::from_millis(300), ..errand(effect) };
        assert_eq!(kept.call(&late).await, Called { result: Err(Failure::Late), attempts: 1 });
    }
    let lines =
        || fs::read_to_string(&seen).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    let cancelled = async {
        while lines().len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), cancelled).await.expect("the call that reads is cancelled");
    let message = |line: &String| serde_json::from_str::<Value>(line).unwrap();
    let [_write, read, cancel] = &lines().iter().map(message).collect::<Vec<_>>()[..] else {
        panic!("{:?}", lines());
    };
    assert_eq!(cancel["method"], "notifications/cancelled");
    assert_eq!(cancel["params"]["requestId"], read["id"]);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_no_answer() {
    let long = r#"printf '{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","content":[{"type":"text","text":"' "$id"
        head -c 2000000 /dev/zero | tr '\0' 'x'
        printf '"}]}}\n';"#;
    let mut kept = kept(&script(&format!("{long} {FOUND}")), &[("PATH", "/usr/bin:/bin")]);
    assert_eq!(kept.listed().await, ["find"]);
    assert_eq!(kept.call(&errand(Effect::Read)).await.result, Ok(found()), "the answer that follows is read");
}

#[tokio::test]
async fn a_program_that_is_given_up_while_it_starts_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let child = folder.path().join("child");
    let mute = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; sleep 600", child.display());
    let mut kept = kept(&mute, &[("PATH", "/usr/bin:/bin")]);
    let until = async |is: &dyn Fn() -> bool| {
        while !is() {
            tokio::task::yield_now().await;
        }
    };
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, until(&|| child.exists())).await.expect("it has a process of its own");
    kept.keeper.shutdown().await;
    tokio::time::timeout(limit, until(&|| !runs(&child))).await.expect("it ends");
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
