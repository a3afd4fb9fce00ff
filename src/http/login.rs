//! How a browser logs in: `POST /login` takes a token, and gives a cookie that no script can read and that names the login
//! (`sessions`), never the token; `POST /logout` ends the login, `GET /session` says what it opens.
//!
//! Programs need none of this: they send `Authorization`. Who may do what with a cookie is the guard's to say.
//!
//! These routes serve the dashboard alone, and are not in the OpenAPI document. The cookie is the browser's until it
//! is closed. It is known by its name on every port of a machine: two daemons on one are logged into one at a time.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::Api;
use super::body;
use super::origin::Source;
use super::problem::Problem;
use super::recordings::json;
use crate::config::Role;

/// Its name.
const COOKIE: &str = "api_session";

/// What a login says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
}

/// What the page may show.
#[derive(Serialize)]
struct Session {
    /// Whether this API asks for tokens at all.
    needs_token: bool,
    /// What the one that came with the request opens; null: nothing.
    role: Option<&'static str>,
}

/// Whether a login is needed, and what has been opened by one.
pub(super) async fn session(State(api): State<Api>, headers: HeaderMap) -> Response {
    let role = api.guard().role(&headers).map(|role| match role {
        Role::Full => "full",
        Role::Reader => "reader",
    });
    json(&Session { needs_token: api.guard().asks_for_tokens(), role })
}

/// Takes a token, and gives the cookie of a login if it is one of ours.
pub(super) async fn login(
    State(api): State<Api>,
    source: Option<Extension<Source>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let login = body::read::<Login>(body).await.ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_login", "send JSON: {\"token\": \"TOKEN\"}")
    })?;
    let source = source.map(|Extension(source)| source);
    let (who, id) = api.guard().log_in(source, login.token.as_bytes())?;
    let secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes() == b"https");
    let value = cookie(&id, "", secure);
    let mut response = (StatusCode::NO_CONTENT, [(header::SET_COOKIE, value)]).into_response();
    response.extensions_mut().insert(who);
    Ok(response)
}

/// Ends the login, and takes the cookie back.
pub(super) async fn logout(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.guard().log_out(&headers);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie("", "; Max-Age=0", false))]).into_response()
}

fn cookie(value: &str, age: &str, secure: bool) -> HeaderValue {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/{age}{secure}");
    HeaderValue::try_from(text).expect("base64url is visible ASCII")
}

/// The login that the cookie names, if there is one.
pub(super) fn session_of(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}
