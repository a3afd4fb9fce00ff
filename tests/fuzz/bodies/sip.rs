//! What strangers, and OpenAI, send about calls by SIP: webhooks, the headers of INVITEs, and the answers to requests.

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderName, HeaderValue, Request};
use openai_inbound_calls::http::webhook::{Parts, Told, router};
use openai_inbound_calls::live::Board;
use openai_inbound_calls::realtime::calls::CallId;
use openai_inbound_calls::realtime::calls::incoming::{Message, parse};
use openai_inbound_calls::realtime::calls::request::Reply;
use openai_inbound_calls::webhook::Key;
use tokio::sync::mpsc;
use tower_service::Service as _;

/// The secret of the targets.
const SECRET: &str = "0123456789abcdef01234567";
/// The time of the targets, in Unix seconds.
const AT: i64 = 1_795_182_602;

/// Lines of headers, an empty line, and a body. With `!` as the first byte the body is signed rightly, so that what is behind the
/// signature is reached; otherwise nothing may come through.
pub(crate) fn webhook(bytes: &[u8]) {
    let (is_signed, bytes) = match bytes.split_first() {
        Some((b'!', rest)) => (true, rest),
        _ => (false, bytes),
    };
    let end = bytes.windows(2).position(|two| two == b"\n\n");
    let (head, body) = end.map_or((bytes, &b""[..]), |end| (&bytes[..end], &bytes[end + 2..]));
    // The signer takes text.
    let is_signed = is_signed && std::str::from_utf8(body).is_ok();
    let key = Key::of_openai(SECRET).expect("a secret");
    let mut request = Request::post("/webhook").body(Body::from(body.to_vec())).expect("a request");
    for line in head.split(|byte| *byte == b'\n') {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(at);
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            // A length that is not the body's would hide what is behind the signature.
            if !(is_signed && name == CONTENT_LENGTH) {
                request.headers_mut().append(name, value);
            }
        }
    }
    if let (true, Ok(text)) = (is_signed, std::str::from_utf8(body)) {
        for (name, value) in [
            ("webhook-id", "wh_1"),
            ("webhook-timestamp", &AT.to_string()),
            ("webhook-signature", &key.sign("wh_1", AT, text)),
        ] {
            request.headers_mut().insert(name, value.parse().expect("a header"));
        }
    }
    let (tell, mut told) = mpsc::channel(8);
    let parts = Parts {
        path: "/webhook".into(),
        keys: vec![key],
        proxies: vec!["127.0.0.1/32".parse().expect("a network")],
        tell,
        clock: || AT,
        board: Board::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let answer = async { router(parts).call(request).await.expect("it is infallible").status() };
    let daemon = async {
        let mut is_offered = false;
        while let Some(told) = told.recv().await {
            if let Told::Incoming { kept, .. } = told {
                is_offered = true;
                kept.send(()).expect("the answer waits");
            }
        }
        is_offered
    };
    let (status, is_offered) = runtime.block_on(async { tokio::join!(answer, daemon) });
    assert!(matches!(status.as_u16(), 200 | 400 | 408 | 413 | 429), "{status}");
    assert!(!is_offered || (is_signed && status == 200), "{status}");
    assert_eq!(is_signed && matches!(parse(body), Ok(Message::Incoming(_))), is_offered, "{status}");
}

/// The value of `From`, of a second header, and the name of that header, in lines.
pub(crate) fn headers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let (from, other, name) = (lines.next(), lines.next(), lines.next().unwrap_or("X-Called-Number"));
    let headers: Vec<_> = [("From", from), (name, other)]
        .into_iter()
        .filter_map(|(name, value)| Some(serde_json::json!({"name": name, "value": value?})))
        .collect();
    let event = serde_json::json!({
        "type": "realtime.call.incoming", "created_at": AT, "data": {"call_id": "rtc_1", "sip_headers": headers},
    });
    let Ok(Message::Incoming(incoming)) = parse(event.to_string().as_bytes()) else { panic!("an event") };
    let headers = incoming.headers;
    for number in [headers.caller(), headers.called()] {
        assert!(number.len() <= 64, "{number}");
        assert!(
            number.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+*#_.-".contains(&byte)),
            "{number}"
        );
    }
    assert!(!headers.proves("X-Absent", ""));
    let shown = format!("{headers:?}");
    assert!(shown.len() < 20, "{shown}");
}

/// A byte for the status, and the body of an answer to a request about a call.
pub(crate) fn answer(bytes: &[u8]) {
    let Some((status, body)) = bytes.split_first() else { return };
    let status = 200 + u16::from(*status) * 2;
    let body = String::from_utf8_lossy(body);
    let reply = Reply::of_answer(status, &body);
    assert_eq!(reply == Reply::Done, status < 300);
    assert_eq!(reply.fault().is_none(), status < 300);
    assert_eq!(reply.ends(), status < 300 || [404, 410, 422].contains(&status));
    assert!(reply.word().to_string().len() <= 200, "{}", reply.word());
    if let Some(call) = CallId::parse(&body) {
        assert!(call.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
    }
}
