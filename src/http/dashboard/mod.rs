//! The dashboard: a page in the program, served at `/`, and its files below `/dashboard/`.
//!
//! ```text
//!  main ── which view the address names ──► now     live calls, by server-sent events
//!   │                                       calls   the history
//!   ├── login                               call    one call: sound (waveform), talk (transcript)
//!   └── words, format, dom, api             usage   sums over time (plot)
//! ```
//! The files are ES modules, a style sheet and an icon as they lie here: nothing builds them, and nothing comes from
//! elsewhere. What they show they ask of the same API as everybody. They hold nothing about anybody, so they are open
//! without a token; what a view asks for is not.
//!
//! What the page shows is data of callers and models: it becomes text nodes, never HTML (`dom.js`), and the policy
//! below lets nothing run that is not one of these files.

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::Api;
use super::conditional::{Validators, Verdict};
use super::problem::Problem;

/// Where the files are; the page itself is at `/`.
const FOLDER: &str = "/dashboard/";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Name, type, content.
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

/// Scripts, styles, data and sound of this server, and nothing else; `blob:` is a table made in the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    media-src 'self' blob:; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether it is the page or one of its files, which everybody may have.
pub(super) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with(FOLDER)
}

/// The routes.
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

/// What changes when the file does.
fn tag(text: &str) -> Validators {
    let hash: [u8; 32] = Sha256::digest(text).into();
    let half = u128::from_be_bytes(hash[..16].try_into().expect("16 of 32 bytes"));
    Validators::new(format!("\"{half:032x}\""), None)
}

/// The file, that the browser has it, or that it is another one.
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
    // It is asked for each time, and sent once: a new program has a new page.
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    out.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests;
