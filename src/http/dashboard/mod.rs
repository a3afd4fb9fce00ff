//! The dashboard: a web page at `/` and its files below `/dashboard/`, which are part of the program.
//!
//! ```text
//!  main ── which view the address names ──► now     live calls, by server-sent events
//!   │                                       calls   the history
//!   ├── login                               call    one call: sound (waveform), talk (transcript)
//!   └── words, format, dom, api             usage   sums over time (plot)
//! ```
//! The files are ES modules, a style sheet and an icon. No build step changes them, and the page loads nothing from
//! other servers. The page gets its data from the public API. The files contain no personal data and need no token;
//! the data that a view requests does.
//!
//! The page shows data that comes from callers and models. The page inserts such data as text nodes and never as HTML
//! (`dom.js`), and the policy below forbids all scripts except these files.

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::Api;
use super::conditional::{Validators, Verdict};
use super::problem::Problem;

/// The path of the files. The page itself is at `/`.
const FOLDER: &str = "/dashboard/";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The name, media type and content of each file.
const FILES: [(&str, &str, &str); 16] = [
    ("page.html", HTML, include_str!("page.html")),
    ("style.css", CSS, include_str!("style.css")),
    ("icon.svg", SVG, include_str!("icon.svg")),
    ("main.js", JS, include_str!("main.js")),
    ("api.js", JS, include_str!("api.js")),
    ("ask.js", JS, include_str!("ask.js")),
    ("dom.js", JS, include_str!("dom.js")),
    ("format.js", JS, include_str!("format.js")),
    ("words.js", JS, include_str!("words.js")),
    ("login.js", JS, include_str!("login.js")),
    ("now.js", JS, include_str!("now.js")),
    ("calls.js", JS, include_str!("calls.js")),
    ("call.js", JS, include_str!("call.js")),
    ("sound.js", JS, include_str!("sound.js")),
    ("usage.js", JS, include_str!("usage.js")),
    ("plot.js", JS, include_str!("plot.js")),
];

/// Permits scripts, styles, pictures, data and audio from this server only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    media-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether the path is the page or one of its files, which need no token.
pub(super) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with(FOLDER)
}

/// The routes of the page and its files.
pub(super) fn routes() -> Router<Api> {
    FILES.into_iter().fold(Router::new(), |router, (name, content_type, text)| {
        let path = if name == "page.html" { "/".to_owned() } else { format!("{FOLDER}{name}") };
        let tag = tag(text);
        let answer = move |method: Method, headers: HeaderMap| async move {
            answer(&method, &headers, &tag, content_type, text)
        };
        router.route(&path, get(answer))
    })
}

/// The validators of a file: a tag that changes with its content.
fn tag(text: &str) -> Validators {
    let hash: [u8; 32] = Sha256::digest(text).into();
    let half = u128::from_be_bytes(hash[..16].try_into().expect("16 of 32 bytes"));
    Validators::new(format!("\"{half:032x}\""), None)
}

/// Answers with the file, with 304 if the browser already has it, or with 412 if the browser expects another one.
fn answer(
    method: &Method,
    headers: &HeaderMap,
    validators: &Validators,
    content_type: &'static str,
    text: &'static str,
) -> Response {
    let mut response = match validators.verdict(method, headers) {
        Verdict::Met => {
            let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
            (kind, Bytes::from_static(text.as_bytes())).into_response()
        }
        Verdict::NotModified => StatusCode::NOT_MODIFIED.into_response(),
        Verdict::Failed => {
            let detail = "the file is not in the state that the request is meant for";
            Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail).into_response()
        }
    };
    let out = response.headers_mut();
    let tag = HeaderValue::from_str(validators.tag()).expect("hexadecimal is visible ASCII");
    out.insert(header::ETAG, tag);
    // The browser must revalidate the file each time, so that a new version of the program shows its new page.
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    out.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests;
