//! Tests of who is admitted, and of the access log.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use openai_inbound_calls::config::Role;

use crate::world::{With, World, record, token};

const ID: &str = "20251020_143025_a";

fn guarded() -> World {
    guarded_behind(&[])
}

fn guarded_behind(trusted_proxies: &'static [&'static str]) -> World {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), ID, "+573001234567");
    let tokens =
        vec![token("full-1", Role::Full, "secret-of-the-boss"), token("ana", Role::Reader, "secret-of-ana")];
    World::over(folder, With { tokens, trusted_proxies, ..With::default() })
}

#[test]
fn without_a_token_nobody_reads() {
    // Each request has an address of its own, because wrong tokens are counted per address.
    let world = guarded_behind(&["127.0.0.1/32"]);
    for (n, header) in [
        "-",
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer secret-of-the-bos",
        "Bearer secret-of-the-bosss",
        "Bearer SECRET-OF-THE-BOSS",
        "Basic secret-of-the-boss",
        "secret-of-the-boss",
        "Bearer full-1",
    ]
    .into_iter()
    .enumerate()
    {
        let address = format!("203.0.113.{n}");
        for path in ["/recordings", &format!("/recordings/{ID}/audio"), "/nowhere"] {
            let refused = world.ask("GET", path, &[("Authorization", header), ("X-Forwarded-For", &address)]);
            refused.is_problem(401, "token_needed");
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"), "{header}");
        }
    }
    let twice = [("Authorization", "Bearer wrong"), ("Authorization", "Bearer secret-of-ana")];
    world.ask("GET", "/recordings", &twice).is_problem(401, "token_needed");
    assert_eq!(world.get("/health").status, 200, "a monitor needs none");
    assert_eq!(world.get("/openapi.json").status, 200);
}

#[test]
fn a_reader_reads_and_only_the_full_token_deletes() {
    let world = guarded();
    let (ana, boss) =
        (("Authorization", "Bearer secret-of-ana"), ("Authorization", "bearer  secret-of-the-boss"));
    assert_eq!(world.ask("GET", &format!("/recordings/{ID}/audio"), &[ana]).status, 200);
    assert_eq!(world.ask("HEAD", "/recordings", &[ana]).status, 200);
    world.ask("DELETE", &format!("/recordings/{ID}"), &[ana]).is_problem(403, "read_only");
    assert_eq!(world.files().len(), 4);
    assert_eq!(world.ask("GET", "/recordings", &[boss]).status, 200);
    assert_eq!(world.ask("DELETE", &format!("/recordings/{ID}"), &[boss]).status, 204);
}

#[test]
fn with_tokens_a_proxy_may_call_the_host_what_it_likes() {
    let world = guarded();
    let headers = [
        ("Authorization", "Bearer secret-of-ana"),
        ("Host", "pbx.example"),
        ("Origin", "https://pbx.example"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    assert_eq!(world.ask("GET", "/recordings", &headers).status, 200);
}

#[test]
fn without_tokens_only_a_program_on_this_machine_gets_in() {
    let world = World::of(&[ID]);
    let port = world.address.port();
    for host in
        ["localhost", "LOCALHOST:8000", "127.0.0.1", &format!("127.0.0.1:{port}"), "[::1]:5001", "127.0.0.2"]
    {
        assert_eq!(world.ask("GET", "/recordings", &[("Host", host)]).status, 200, "{host}");
    }
    for host in [
        "-",
        "evil.example",
        &format!("evil.example:{port}"),
        "localhost.evil.example",
        "192.168.1.1",
        "127.0.0.1.nip.io",
        "a@localhost@b",
        "",
    ] {
        world.ask("GET", "/recordings", &[("Host", host)]).is_problem(421, "wrong_host");
    }
    let twice = [("Host", "localhost"), ("Host", "evil.example")];
    world.ask("GET", "/recordings", &twice).is_problem(421, "wrong_host");
    let in_line = format!("http://evil.example:{port}/recordings");
    world.ask("GET", &in_line, &[]).is_problem(421, "wrong_host");
    let health = world.ask("GET", "/health", &[("Host", "evil.example")]);
    health.is_problem(421, "wrong_host");
}

#[test]
fn without_tokens_no_page_of_another_site_gets_in() {
    let world = World::of(&[ID]);
    let own = format!("http://{}", world.address);
    let delete = |headers: &[(&str, &str)]| world.ask("DELETE", &format!("/recordings/{ID}"), headers);
    for origin in ["http://evil.example", "null", "http://localhost:3000", "https://127.0.0.1", "file://", ""]
    {
        delete(&[("Origin", origin)]).is_problem(403, "wrong_origin");
    }
    for site in ["cross-site", "same-site", "anything"] {
        delete(&[("Sec-Fetch-Site", site)]).is_problem(403, "wrong_origin");
        world.ask("GET", "/recordings", &[("Sec-Fetch-Site", site)]).is_problem(403, "wrong_origin");
    }
    delete(&[("Origin", &own), ("Origin", "http://evil.example")]).is_problem(403, "wrong_origin");
    assert_eq!(world.files().len(), 4);
    for header in [("Origin", own.as_str()), ("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", "same-origin")] {
        let answer = world.ask("GET", "/recordings", &[header]);
        assert_eq!(answer.status, 200, "{header:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "and no other page may read it");
    }
    let preflight = [("Origin", "http://evil.example"), ("Access-Control-Request-Method", "DELETE")];
    assert_eq!(world.ask("OPTIONS", &format!("/recordings/{ID}"), &preflight).status, 403);
}

#[test]
fn every_read_deletion_and_refusal_is_in_the_access_log_and_no_number() {
    let world = guarded();
    let (ana, boss) =
        (("Authorization", "Bearer secret-of-ana"), ("Authorization", "Bearer secret-of-the-boss"));
    let one = |method, path: &str, headers: &[(&str, &str)], count| {
        world.ask(method, path, headers);
        world.accesses(count).pop().unwrap()
    };
    let line = one("GET", "/recordings?caller=%2B573001234567&limit=5", &[ana], 1);
    assert!(
        line.contains(" ana 127.0.0.1:") && line.contains(" GET /recordings?caller=***67&limit=5 200 "),
        "{line}"
    );
    let line = one("GET", &format!("/recordings/{ID}/audio"), &[ana, ("Range", "bytes=10-19")], 2);
    assert!(line.ends_with(&format!(" GET /recordings/{ID}/audio 206 10")), "{line}");
    let line = one("DELETE", &format!("/recordings/{ID}"), &[boss], 3);
    assert!(line.contains(" full-1 ") && line.ends_with(" 204 0"), "{line}");
    let line = one("GET", "/573001234567?tel=573001234567", &[boss], 4);
    assert!(line.contains(" GET /***67?tel=***67 404 "), "{line}");
    let line = one("GET", "/recordings/573001234567?agent=573001234567", &[boss], 5);
    assert!(line.contains(" GET /recordings/***67?agent=***67 404 "), "{line}");
    world.ask("DELETE", &format!("/recordings/{ID}"), &[ana]);
    let line = world.refusals(1).pop().unwrap();
    assert!(line.contains(" ana ") && line.contains(" DELETE ") && line.contains(" 403 "), "{line}");
    world.ask("GET", "/recordings", &[("Authorization", "Bearer wrong")]);
    let line = world.refusals(2).pop().unwrap();
    assert!(line.contains(" - 127.0.0.1:") && line.contains(" 401 "), "{line}");
    let all = world.accesses(5).concat() + &world.refusals(2).concat();
    assert!(!all.contains("3001234567") && !all.contains("secret"), "{all}");
    assert!(!all.contains("/health"), "a monitor's visits are not worth a line");
    for name in ["access.log", "refused.log", "calls.db", "calls-index.db"] {
        let mode = std::fs::metadata(world.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{name}");
    }
}

#[test]
fn whoever_is_refused_pushes_nothing_out_of_the_access_log() {
    let world = guarded();
    let ana = [("Authorization", "Bearer secret-of-ana")];
    assert_eq!(world.ask("GET", "/recordings", &ana).status, 200);
    let method = "X".repeat(60_000);
    for _ in 0..1_100 {
        assert_eq!(world.ask(&method, "/recordings", &[]).status, 401);
    }
    world.ask("GET", "/health?not=1", &[]).is_problem(400, "bad_parameter");
    let counted = |line: &String| match line.rsplit_once(" and ") {
        Some((_, more)) => 1 + more.strip_suffix(" more").unwrap().parse::<u32>().unwrap(),
        None => 1,
    };
    world.until("all are counted", |world| world.refusals(2).iter().map(counted).sum::<u32>() == 1_101);
    let refused = world.refusals(2);
    assert!(refused.iter().all(|line| line.len() < 150), "{refused:?}");
    assert!(refused[0].contains(&format!(" {} /recordings 401 ", "X".repeat(16))), "{}", refused[0]);
    let accesses = world.accesses(1);
    assert!(accesses.len() == 1 && accesses[0].contains(" ana "), "{accesses:?}");
}

#[test]
fn a_page_of_another_site_pushes_nothing_out_of_the_access_log() {
    let world = World::of(&[ID]);
    assert_eq!(world.get("/recordings").status, 200);
    for _ in 0..20 {
        world.ask("GET", "/recordings", &[("Sec-Fetch-Site", "cross-site")]).is_problem(403, "wrong_origin");
    }
    assert!(world.refusals(1)[0].contains(" 403 "));
    assert_eq!(world.accesses(1).len(), 1);
}

#[test]
fn the_access_log_shows_who_asks_through_a_trusted_proxy() {
    let ana = ("Authorization", "Bearer secret-of-ana");
    let forwarded = ("X-Forwarded-For", "10.9.9.9, 203.0.113.7");
    let last_of = |world: &World| {
        assert_eq!(world.ask("GET", "/recordings", &[ana, forwarded]).status, 200);
        world.accesses(1).pop().unwrap()
    };
    let direct = guarded();
    assert!(last_of(&direct).contains(" ana 127.0.0.1:"), "anybody can send the header");
    let tokens = vec![token("ana", Role::Reader, "secret-of-ana")];
    let behind =
        World::over(direct.stop(), With { tokens, trusted_proxies: &["127.0.0.1/32"], ..With::default() });
    behind.ask("GET", "/recordings", &[forwarded]);
    assert!(behind.refusals(1)[0].contains(" - 203.0.113.7 GET "), "{:?}", behind.refusals(1));
    behind.ask("GET", "/recordings", &[ana, forwarded]);
    assert!(behind.accesses(2)[1].contains(" ana 203.0.113.7 GET "), "{:?}", behind.accesses(2));
}

/// Asks as the user `nobody`, with `curl`. Returns the body and the status. None: only root can become
/// another user.
#[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
fn ask_as_nobody(world: &World, method: &str, path: &str) -> Option<(String, u16)> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become another user");
        return None;
    }
    let asked = Command::new("setpriv")
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "curl", "--silent", "--noproxy", "*"])
        .args(["--write-out", "\n%{http_code}", "-X", method])
        .arg(format!("http://{}{path}", world.address))
        .output()
        .unwrap();
    assert!(asked.status.success(), "{asked:?}");
    let text = String::from_utf8(asked.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    Some((body.to_owned(), status.parse().unwrap()))
}

#[test]
fn without_tokens_another_user_of_this_machine_is_told_how_to_be_let_in() {
    let world = World::of(&[ID]);
    for (method, path) in [
        ("GET", "/recordings"),
        ("GET", &format!("/recordings/{ID}/audio")),
        ("DELETE", &format!("/recordings/{ID}")),
        ("GET", "/calls/live/events"),
        ("GET", "/session"),
        ("GET", "/nowhere"),
    ] {
        let Some((body, status)) = ask_as_nobody(&world, method, path) else { return };
        assert_eq!(status, 401, "{method} {path}: {body}");
        assert!(body.contains("not_let_in") && body.contains("usermod -aG"), "{body}");
    }
    assert_eq!(world.files().len(), 4);
    for path in ["/health", "/ready", "/metrics", "/openapi.json", "/", "/dashboard/main.js"] {
        let status = ask_as_nobody(&world, "GET", path).unwrap().1;
        assert!(status == 200 || (path == "/ready" && status == 503), "{path}: {status}");
    }
    let refused = world.refusals(1);
    assert!(refused[0].contains(" uid-65534 127.0.0.1:"), "{refused:?}");
    assert_eq!(world.get("/recordings").status, 200, "the daemon's own user");
    assert!(world.accesses(1).iter().all(|line| line.contains(" uid-0 127.0.0.1:")));
}

#[test]
fn without_tokens_the_members_of_the_group_are_let_in() {
    let world =
        World::over(tempfile::tempdir().unwrap(), With { group: Some("nogroup".into()), ..With::default() });
    let Some((body, status)) = ask_as_nobody(&world, "GET", "/recordings") else { return };
    assert_eq!(status, 200, "{body}");
    assert_eq!(ask_as_nobody(&world, "GET", "/session").unwrap().0, r#"{"needs_token":false,"role":"full"}"#);
}

#[test]
fn with_tokens_a_user_of_this_machine_needs_one() {
    let world = guarded();
    world.get("/recordings").is_problem(401, "token_needed");
    let Some((body, status)) = ask_as_nobody(&world, "GET", "/recordings") else { return };
    assert!(status == 401 && body.contains("token_needed"), "{status} {body}");
}

#[test]
fn whoever_guesses_is_shut_out_and_nobody_else() {
    let world = guarded_behind(&["127.0.0.1/32"]);
    let cookie = {
        let answer = world.ask_with("POST", "/login", &[], r#"{"token": "secret-of-ana"}"#);
        answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    };
    let from = |address| ("X-Forwarded-For", address);
    let bearer = |address, token: &str| {
        let token = format!("Bearer {token}");
        world.ask("GET", "/recordings", &[("Authorization", &token), from(address)])
    };
    let login = |address, token: &str| {
        world.ask_with("POST", "/login", &[from(address)], &format!(r#"{{"token": "{token}"}}"#))
    };
    for n in 0..5 {
        bearer("203.0.113.7", &format!("guess-{n}")).is_problem(401, "token_needed");
        login("203.0.113.7", &format!("guess-{n}")).is_problem(401, "wrong_token");
    }
    for shut_out in [
        bearer("203.0.113.7", "guess-10"),
        bearer("203.0.113.7", "secret-of-ana"),
        login("203.0.113.7", "secret-of-ana"),
    ] {
        shut_out.is_problem(429, "too_many_wrong_tokens");
        let wait: u64 = shut_out.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=61).contains(&wait), "{wait}");
    }
    assert_eq!(bearer("203.0.113.8", "secret-of-ana").status, 200);
    let logged_in = [("Cookie", cookie.as_str()), from("203.0.113.7")];
    assert_eq!(
        world.ask("GET", "/recordings", &logged_in).status,
        200,
        "whoever has logged in guesses nothing"
    );
    assert_eq!(world.ask("GET", "/health", &[from("203.0.113.7")]).status, 200);
    let wrong = [("Authorization", "Bearer wrong"), from("203.0.113.9")];
    for _ in 0..20 {
        assert_eq!(world.ask("GET", "/health", &wrong).status, 200, "what is everybody's looks at no token");
    }
}
