//! Tests of the dashboard's files, and of the login that keeps a token in a cookie. `tests/dashboard` tests
//! the page itself in a browser.

use openai_inbound_calls::config::Role;
use serde_json::json;

use crate::world::{Answer, With, World, record, token};

const ID: &str = "20251020_143025_a";
/// A token with characters that a cookie cannot have.
const SECRET: &str = "sécret; of, the \"boss\"=";

fn guarded() -> World {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), ID, "+573001234567");
    let tokens = vec![token("full-1", Role::Full, SECRET), token("ana", Role::Reader, "secret-of-ana")];
    World::over(folder, With { tokens, ..With::default() })
}

/// Logs in. Returns the cookie as a browser sends it back.
fn log_in(world: &World, secret: &str) -> String {
    let answer = world.ask_with("POST", "/login", &[], &json!({ "token": secret }).to_string());
    assert_eq!(answer.status, 204, "{}", answer.text());
    set_cookie(&answer).split(';').next().unwrap().to_owned()
}

fn set_cookie(answer: &Answer) -> &str {
    answer.header("set-cookie").expect("a cookie")
}

#[test]
fn the_page_and_its_files_come_with_a_policy_and_are_sent_once() {
    for world in [World::empty(), guarded()] {
        let page = world.get("/");
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let text = page.text();
        let files: Vec<_> =
            text.split("\"/dashboard/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(files, ["icon.svg", "style.css", "main.js"]);
        for path in files.iter().map(|name| format!("/dashboard/{name}")).chain(["/".to_owned()]) {
            let file = world.get(&path);
            assert_eq!((file.status, file.header("cache-control")), (200, Some("no-cache")), "{path}");
            let policy = file.header("content-security-policy").unwrap();
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
                "{policy}"
            );
            assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(file.header("referrer-policy"), Some("no-referrer"));
            assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
            let tag = file.header("etag").unwrap().to_owned();
            let again = world.ask("GET", &path, &[("If-None-Match", &format!("\"other\", W/{tag}"))]);
            assert_eq!((again.status, again.header("etag"), again.body.len()), (304, Some(tag.as_str()), 0));
            assert_eq!(world.ask("GET", &path, &[("If-None-Match", "\"other\"")]).status, 200);
            assert_eq!(world.ask("GET", &path, &[("If-Match", &tag)]).status, 200);
        }
        assert!(!world.path("access.log").exists(), "and are not worth a line");
        let other = world.ask("GET", "/", &[("If-Match", "\"other\"")]);
        assert_eq!((other.status, other.header("cache-control")), (412, Some("no-cache")));
    }
}

#[test]
fn who_follows_a_link_gets_the_page_and_no_data() {
    let world = World::of(&[ID]);
    let link = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")];
    assert_eq!(world.ask("GET", "/", &link).status, 200);
    world.ask("GET", "/session", &link).is_problem(403, "wrong_origin");
    world.ask("GET", "/calls", &link).is_problem(403, "wrong_origin");
    world.ask("GET", "/", &[("Host", "evil.example")]).is_problem(421, "wrong_host");
}

#[test]
fn without_tokens_there_is_nothing_to_log_into() {
    let world = World::empty();
    assert_eq!(world.get("/session").json(), json!({"needs_token": false, "role": "full"}));
    world.ask_with("POST", "/login", &[], r#"{"token": ""}"#).is_problem(401, "wrong_token");
}

#[test]
fn a_token_becomes_a_cookie_that_opens_what_it_opens() {
    let world = guarded();
    assert_eq!(world.get("/session").json(), json!({"needs_token": true, "role": null}));
    world.get("/recordings").is_problem(401, "token_needed");

    let answer = world.ask_with("POST", "/login", &[], &json!({ "token": SECRET }).to_string());
    let cookie = set_cookie(&answer);
    let value = cookie.strip_prefix("api_session=").unwrap().split(';').next().unwrap();
    assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{cookie}");
    assert_eq!(cookie, format!("api_session={value}; HttpOnly; SameSite=Strict; Path=/"));
    let by_tls = [("X-Forwarded-Proto", "https")];
    let answer = world.ask_with("POST", "/login", &by_tls, &json!({ "token": SECRET }).to_string());
    assert!(set_cookie(&answer).ends_with("; Secure"));

    for (secret, role, deleted) in [("secret-of-ana", "reader", 403), (SECRET, "full", 204)] {
        let cookie = format!("other=1; {}", log_in(&world, secret));
        let ours = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "same-origin")];
        assert_eq!(world.ask("GET", "/session", &ours).json(), json!({"needs_token": true, "role": role}));
        assert_eq!(world.ask("GET", "/recordings", &ours).status, 200);
        assert_eq!(world.ask("DELETE", &format!("/recordings/{ID}"), &ours).status, deleted);
        let gone = world.ask("POST", "/logout", &ours);
        assert_eq!((gone.status, set_cookie(&gone).contains("Max-Age=0")), (204, true), "{role}");
        world.ask("GET", "/recordings", &ours).is_problem(401, "token_needed");
    }
}

#[test]
fn a_wrong_login_opens_nothing() {
    let world = guarded();
    for secret in ["", "wrong", "Bearer secret-of-ana", "secret-of-an"] {
        let refused = world.ask_with("POST", "/login", &[], &json!({ "token": secret }).to_string());
        refused.is_problem(401, "wrong_token");
        assert_eq!(refused.header("set-cookie"), None);
    }
    for body in ["", "secret-of-ana", "{}", r#"{"token": 1}"#, r#"{"token": "a", "and": 1}"#] {
        world.ask_with("POST", "/login", &[], body).is_problem(400, "bad_login");
    }
    let long = json!({ "token": "a".repeat(100_000) }).to_string();
    world.ask_with("POST", "/login", &[], &long).is_problem(400, "bad_login");
    world.get("/login").is_problem(405, "method_not_allowed");
    for cookie in [
        "api_session=",
        "api_session=wrong",
        "api_session=%%%",
        "api_session=c2VjcmV0",
        "api_session",
        "api_token=c2VjcmV0LW9mLWFuYQ",
    ] {
        world.ask("GET", "/recordings", &[("Cookie", cookie)]).is_problem(401, "token_needed");
    }
    // The Authorization header applies, and a cookie beside it does not.
    let cookie = log_in(&world, "secret-of-ana");
    let both = [("Cookie", cookie.as_str()), ("Authorization", "Bearer wrong")];
    world.ask("GET", "/recordings", &both).is_problem(401, "token_needed");
}

#[test]
fn no_other_page_uses_the_cookie() {
    let world = guarded();
    let cookie = log_in(&world, SECRET);
    let own = format!("http://{}", world.address);
    let delete = |header: (&str, &str)| {
        world.ask("DELETE", &format!("/recordings/{ID}"), &[("Cookie", &cookie), header])
    };
    for header in [
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Origin", "http://127.0.0.1:3000"),
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        // A browser always sends one of them before it changes something.
        ("Accept", "*/*"),
    ] {
        delete(header).is_problem(403, "wrong_origin");
    }
    let other = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "same-site")];
    world.ask("GET", "/recordings", &other).is_problem(403, "wrong_origin");
    world.ask("POST", "/logout", &other).is_problem(403, "wrong_origin");
    // Over plain HTTP to another machine a browser sends neither when it reads, and its origin when it
    // writes.
    assert_eq!(world.ask("GET", "/recordings", &[("Cookie", &cookie)]).status, 200);
    assert_eq!(world.files().len(), 4);
    assert_eq!(delete(("Origin", &own)).status, 204);
}

#[test]
fn a_login_is_in_the_access_log_and_no_secret() {
    let world = guarded();
    log_in(&world, "secret-of-ana");
    let line = world.accesses(1).pop().unwrap();
    assert!(line.contains(" ana 127.0.0.1:") && line.ends_with(" POST /login 204 0"), "{line}");
    world.ask_with("POST", "/login", &[], r#"{"token": "secret-of-bob"}"#);
    let line = world.refusals(1).pop().unwrap();
    assert!(line.contains(" - 127.0.0.1:") && line.contains(" POST /login 401 "), "{line}");
    assert!(!(world.accesses(1).concat() + &line).contains("secret"));
}

#[test]
fn a_cookie_tells_no_token_and_is_of_one_login() {
    let world = guarded();
    let (one, other) = (log_in(&world, "secret-of-ana"), log_in(&world, "secret-of-ana"));
    assert_ne!(one, other);
    assert!(!one.contains("c2VjcmV0"), "the token in base64: {one}");
    let ask = |cookie: &str| world.ask("GET", "/recordings", &[("Cookie", cookie)]).status;
    assert_eq!((ask(&one), ask(&other)), (200, 200));
    let left = world.ask("POST", "/logout", &[("Cookie", &one), ("Sec-Fetch-Site", "same-origin")]);
    assert_eq!(left.status, 204);
    assert_eq!((ask(&one), ask(&other)), (401, 200), "whoever has copied the cookie has nothing");
}

#[test]
fn no_other_page_logs_anybody_in() {
    let world = guarded();
    let body = json!({ "token": "secret-of-ana" }).to_string();
    for header in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
    ] {
        let refused = world.ask_with("POST", "/login", &[header, ("Content-Type", "text/plain")], &body);
        refused.is_problem(403, "wrong_origin");
        assert_eq!(refused.header("set-cookie"), None, "{header:?}");
    }
    let own = format!("http://{}", world.address);
    for header in [("Sec-Fetch-Site", "same-origin"), ("Origin", own.as_str()), ("Accept", "*/*")] {
        assert_eq!(world.ask_with("POST", "/login", &[header], &body).status, 204, "{header:?}");
    }
}
