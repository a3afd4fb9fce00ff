//! What strangers send to the API: paths, queries and cursors, and the headers that say who asks.

use std::cell::RefCell;
use std::convert::Infallible;
use std::mem::ManuallyDrop;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode, Uri, header};
use openai_inbound_calls::access_log::AccessLog;
use openai_inbound_calls::call::record::Keep;
use openai_inbound_calls::clock;
use openai_inbound_calls::config::{ApiConfig, ApiToken, Role, Secret};
use openai_inbound_calls::erasure::{Erasure, Waiting};
use openai_inbound_calls::http::guard::Guard;
use openai_inbound_calls::http::local_users::LocalUsers;
use openai_inbound_calls::http::peer::Peer;
use openai_inbound_calls::http::{self, Pace, Parts, csv, masking};
use openai_inbound_calls::logging::Operator;
use openai_inbound_calls::operator::Language;
use openai_inbound_calls::paging::Cursor;
use openai_inbound_calls::recordings::index::keeper::Keeper;
use openai_inbound_calls::recordings::index::{self, Index};
use openai_inbound_calls::recordings::retention::RetentionState;
use openai_inbound_calls::recordings::{Library, RecordingSettings};
use openai_inbound_calls::registry::{self, Opener, Row};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tower_service::Service as _;

/// The token of the API that requires one.
const SECRET: &str = "full-token-0123456789";
/// The recording that exists.
const ID: &str = "20251020_143025_1795180048.12";

/// The indexes of the router without tokens and of the router with one.
const OPEN: usize = 0;
const GUARDED: usize = 1;

/// The API as the daemon serves it, without its sockets.
struct Api {
    runtime: Runtime,
    /// The routers without a token and with one.
    routers: Option<[Router; 2]>,
    tasks: JoinSet<()>,
    _folder: TempDir,
}

impl Drop for Api {
    fn drop(&mut self) {
        // The databases need tasks to close.
        let _runtime_context = self.runtime.enter();
        self.routers = None;
        self.tasks.abort_all();
    }
}

thread_local! {
    // The value is not dropped with the thread, because what the runtime needs to end is gone by then.
    static API: ManuallyDrop<RefCell<Option<Api>>> = const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Ends the API of this thread and removes its folder. A fuzzer in a process of its own need not call this
/// function.
pub(crate) fn end() {
    API.with(|api| drop(api.take()));
}

impl Api {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        super::files::record(folder.path(), ID, &[0x7F; 100]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let token = ApiToken { name: "full".into(), role: Role::Full, secret: Secret::new(SECRET.into()) };
        let mut tasks = JoinSet::new();
        let routers = {
            let _runtime_context = runtime.enter();
            [Vec::new(), vec![token]].map(|tokens| router(folder.path(), tokens, &mut tasks))
        };
        let api = Self { runtime, routers: Some(routers), tasks, _folder: folder };
        // Tasks of their own open both databases and write the calls.
        let ready = |path: &str| api.ask(OPEN, request(path)).0 == StatusCode::OK;
        while !ready("/recordings?limit=1") || !ready("/calls/17.3") {
            // A request that is ready at once would give those tasks no turn.
            api.runtime.block_on(async {
                for _ in 0..16 {
                    tokio::task::yield_now().await;
                }
            });
        }
        api
    }

    fn ask(&self, which: usize, mut request: Request<Body>) -> (StatusCode, Option<String>, Bytes) {
        // Without a token the user is root; otherwise each request has an address of its own, because wrong
        // tokens are counted per address.
        static ASKED: AtomicU32 = AtomicU32::new(0x0a00_0000);
        let address = Ipv4Addr::from_bits(ASKED.fetch_add(1, Ordering::Relaxed));
        let uid = (which == OPEN).then_some(0);
        request.extensions_mut().insert(Peer::new((address, 5).into(), uid));
        let mut router = self.routers.as_ref().expect("they are there until the end")[which].clone();
        self.runtime.block_on(async move {
            let answer: Result<_, Infallible> = router.call(request).await;
            let (head, body) = answer.expect("a router always answers").into_parts();
            let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let kind = kind.map(ToOwned::to_owned);
            // The stream of live calls ends with its first event, because there is no daemon.
            (head.status, kind, axum::body::to_bytes(body, 8 << 20).await.expect("a body"))
        })
    }

    fn with<T>(act: impl FnOnce(&Self) -> T) -> T {
        API.with(|api| act(api.borrow_mut().get_or_insert_with(Self::new)))
    }
}

/// The routes over this folder and the tasks of their databases, in the current runtime.
fn router(folder: &Path, tokens: Vec<ApiToken>, tasks: &mut JoinSet<()>) -> Router {
    let settings = RecordingSettings {
        folder: folder.to_owned(),
        keep: Keep::ALL,
        language: Language::English,
        recipient: None,
        identity: None,
        retention_days: None,
    };
    let name = if tokens.is_empty() { "open" } else { "guarded" };
    let library = Library::new(settings);
    let index = Index::new(&folder.join(format!("{name}-index.db")));
    let calls = registry::Settings { file: folder.join(format!("{name}.db")), server: None };
    let databases = [calls.file.clone(), folder.join(format!("{name}-index.db"))];
    let (log, calls, writer) = registry::open(&calls, Opener::Daemon, Box::new(|_| ()));
    let (keeper, feed) = Keeper::new(index.clone(), library.clone(), Box::new(|_| ()));
    tasks.spawn(writer.run());
    tasks.spawn(keeper.run());
    for (call_id, caller) in [("17.1", "+573001234567"), ("17.2", "=1+1"), ("17.3", "")] {
        log.offer(Row {
            row_id: call_id.into(),
            call_id: call_id.into(),
            caller: caller.into(),
            ..Row::default()
        });
    }
    let listen = ([127, 0, 0, 1], 5_001).into();
    let config = ApiConfig { listen, tokens, group: None, trusted_proxies: vec![] };
    let (users, _) = LocalUsers::new(None);
    let guard = Guard::new(&config, users, clock::now, Operator::new(Language::English));
    let access_log = AccessLog::start(folder, |_| ()).expect("a thread");
    let erasure = Erasure {
        library: library.clone(),
        index: Some(index.clone()),
        feed: Some(feed.clone()),
        log: Some(log.clone()),
        databases,
        waiting: Waiting::default(),
    };
    http::router(Parts {
        library,
        index,
        feed,
        log,
        calls,
        guard,
        access_log,
        trusted_proxies: Vec::new(),
        erasure,
        country: None,
        recorder: Box::new(|| None),
        retention: tokio::sync::watch::channel(RetentionState::Off).1,
        daemon: None,
        pace: Pace::new(clock::now),
        started: clock::wall(),
        clock: clock::wall,
    })
}

fn request(path: &str) -> Request<Body> {
    let built = Request::builder().uri(path).header("host", "localhost:5001").body(Body::empty());
    built.expect("a path")
}

/// The routes that take parameters, or headers that select a part.
const ROUTES: [&str; 8] = [
    "/recordings",
    "/calls",
    "/stats",
    "/calls/live",
    "/recordings/20251020_143025_1795180048.12/audio",
    "/recordings/20251020_143025_1795180048.12",
    "/calls/17.1",
    "/metrics",
];

/// Any path and query. The lines after the first are `Range` and the conditional headers.
pub(crate) fn query(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let (Some(route), Some(query)) = (first.first(), first.get(1..)) else { return };
    let route = ROUTES[usize::from(*route) % ROUTES.len()];
    let target = [route.as_bytes(), b"?", query].concat();
    let Ok(uri) = Uri::try_from(target) else { return };
    let text = String::from_utf8_lossy(query);
    for cursor in text.split(['&', '=']) {
        for form in [&index::CURSOR, &registry::CURSOR] {
            if let Ok(cursor) = Cursor::parse(cursor, form) {
                assert_eq!(Cursor::parse(&cursor.to_string(), form), Ok(cursor), "{text}");
            }
        }
    }
    let mut built = Request::builder().uri(uri).header("host", "localhost:5001");
    for (name, value) in
        ["range", "if-range", "if-none-match", "if-match", "if-modified-since", "accept"].iter().zip(lines)
    {
        if header::HeaderValue::from_bytes(value).is_ok() && !value.is_empty() {
            built = built.header(*name, value);
        }
    }
    let (status, kind, body) = Api::with(|api| api.ask(OPEN, built.body(Body::empty()).expect("a request")));
    assert!(
        matches!(status.as_u16(), 200 | 206 | 304 | 400 | 412 | 416),
        "{route}?{text}: {status} {body:?}"
    );
    if status.is_client_error() {
        assert_eq!(kind.as_deref(), Some("application/problem+json"), "{route}?{text}");
        assert!(
            serde_json::from_slice::<serde_json::Value>(&body)
                .is_ok_and(|it| it["status"] == status.as_u16())
        );
    }
}

/// Host, Origin, cookies and tokens: the first byte says whether the API has a token and what is requested,
/// and each following line is a header. A request that is admitted must have the required headers.
pub(crate) fn admission(bytes: &[u8]) {
    let Some((&kind, rest)) = bytes.split_first() else { return };
    let is_guarded = kind & 1 == 1;
    let method = if kind & 2 == 2 { Method::DELETE } else { Method::GET };
    let mut headers = header::HeaderMap::new();
    for line in rest.split(|byte| *byte == b'\n').take(8) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let name = header::HeaderName::from_bytes(name);
        if let (Ok(name), Ok(value)) = (name, header::HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    // The path does not exist, so nothing is read or deleted. The guard decides before that is known.
    let mut request = Request::builder()
        .method(&method)
        .uri("/recordings/20251020_143025_none")
        .body(Body::empty())
        .expect("a request");
    *request.headers_mut() = headers.clone();
    let (status, ..) = Api::with(|api| api.ask(if is_guarded { GUARDED } else { OPEN }, request));
    let refused = matches!(status.as_u16(), 401 | 403 | 421);
    assert!(refused || status == StatusCode::NOT_FOUND, "{status}: {headers:?}");
    if refused {
        return;
    }
    let values = |name| {
        headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect::<Vec<_>>()
    };
    let authorization = values(header::AUTHORIZATION);
    if is_guarded {
        let by_header = authorization.iter().any(|value| value.ends_with(SECRET));
        assert!(by_header, "without the token: {headers:?}");
        return;
    }
    let [host] = &values(header::HOST)[..] else { panic!("not one Host: {headers:?}") };
    assert!(is_loopback(host), "{host}");
    // No browser sends this from a page of another site.
    for site in values(header::HeaderName::from_static("sec-fetch-site")) {
        assert!(site == "same-origin" || site == "none", "{headers:?}");
    }
    for origin in values(header::ORIGIN) {
        let host = values(header::HOST).concat();
        assert!(origin.ends_with(&format!("://{host}")), "{headers:?}");
    }
}

/// Whether the text names this machine, with or without a port.
fn is_loopback(host: &str) -> bool {
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host).to_ascii_lowercase();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name.parse::<Ipv4Addr>().is_ok_and(|ip| ip.octets()[0] == 127)
        || name.parse::<std::net::Ipv6Addr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// A number that must not be in the access log.
const NUMBER: &str = "3001234567";

/// Any path and query in the access log: they are one word on its line, and hold no number that a caller may
/// have.
pub(crate) fn masked(bytes: &[u8]) {
    let text: String =
        String::from_utf8_lossy(bytes).chars().filter(|c| c.is_ascii_graphic() && *c != '#').collect();
    let (path, query) = text.split_once('?').unwrap_or(("recordings", &text));
    let name: String = query.chars().filter(|c| !"&=".contains(*c)).take(20).collect();
    for target in [
        format!("/{path}?{query}"),
        format!("/recordings?{query}&caller={NUMBER}"),
        format!("/recordings?caller=%2B57{NUMBER}&{query}"),
        format!("/calls?x{name}={NUMBER}"),
        format!("/x{path}/{NUMBER}?{query}"),
    ] {
        let Ok(uri) = target.parse::<Uri>() else { continue };
        let shown = masking::masked(&uri);
        assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{target}: {shown}");
        assert!(shown.chars().count() <= 310, "{target}: {shown}");
        // A number that is also part of a time or an id is shown there.
        if !text.contains("30012345") && target.contains(NUMBER) {
            assert!(!shown.contains("30012345"), "{target}: {shown}");
        }
    }
}

/// Any text in a cell of a table: a reader of CSV finds one cell with nothing but the text, and no formula.
pub(crate) fn csv_cell(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let cell = csv::text_cell(text);
    let read = read_cells(&format!("before,{cell},after"));
    let [before, read, after] = &read[..] else { panic!("{text:?} is {} cells: {cell:?}", read.len()) };
    assert_eq!((before.as_str(), after.as_str()), ("before", "after"), "{cell:?}");
    assert_eq!(read.replace('\'', ""), text.replace('\'', ""), "{cell:?}");
    // A spreadsheet may start a cell after each of these characters, depending on its country.
    for part in read.split([',', ';', '|', '\t', '\r', '\n']) {
        assert!(!part.trim_start().starts_with(['=', '+', '-', '@']), "{cell:?}");
    }
}

/// Reads one line by the grammar of RFC 4180.
fn read_cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let (mut is_quoted, mut rest) = (false, line.chars().peekable());
    while let Some(c) = rest.next() {
        let cell = cells.last_mut().expect("there is one");
        match c {
            '"' if is_quoted && rest.peek() == Some(&'"') => cell.extend(rest.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            '\n' | '\r' if !is_quoted => cells.push("a line end".into()),
            c => cell.push(c),
        }
    }
    cells
}
