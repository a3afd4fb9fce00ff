//! How a browser logs in. `POST /login` takes a token and sets a cookie that scripts cannot read. The cookie holds
//! the id of the login (see `sessions`) and never the token. `POST /logout` ends the login. `GET /session` says what
//! the login permits.
//!
//! Programs do not need these routes: they send `Authorization`. The guard decides what a request with a cookie may
//! do.
//!
//! These routes serve the dashboard only and are not part of the OpenAPI document. The browser keeps the cookie until
//! the browser is closed. A cookie belongs to all ports of a machine, so a browser can be logged in to only one of
//! two daemons on the same machine.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::Api;
use super::body::{self, json};
use super::origin::Source;
use super::problem::Problem;
use crate::config::Role;

/// The name of the cookie.
const COOKIE: &str = "api_session";

/// The body of `POST /login`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
}

/// The answer of `GET /session`: what the page may show.
#[derive(Serialize)]
struct Session {
    /// Whether this API requires tokens.
    needs_token: bool,
    /// The role of the token or login that came with the request. Null if the request has none.
    role: Option<&'static str>,
}

/// Says whether a login is needed and which role the request has.
pub(super) async fn session(
    State(api): State<Api>,
    source: Option<Extension<Source>>,
    headers: HeaderMap,
) -> Response {
    let source = source.map(|Extension(source)| source);
    let role = api.guard().role(source, &headers).map(|role| match role {
        Role::Full => "full",
        Role::Reader => "reader",
    });
    json(&Session { needs_token: api.guard().asks_for_tokens(), role })
}

/// Begins a login if the token is a configured one, and sets the cookie.
pub(super) async fn login(
    State(api): State<Api>,
    source: Option<Extension<Source>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let turn = api.logins().take().ok_or_else(|| {
        let detail = "too many others are logging in at this moment; try again";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_logins", detail)
            .with(header::RETRY_AFTER, HeaderValue::from_static("10"))
    })?;
    let login = body::read::<Login>(body).await.ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_login", "send JSON: {\"token\": \"TOKEN\"}")
    })?;
    drop(turn);
    let source = source.map(|Extension(source)| source);
    let (who, id) = api.guard().log_in(source, login.token.as_bytes())?;
    let secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes() == b"https");
    let value = cookie(&id, "", secure);
    let mut response = (StatusCode::NO_CONTENT, [(header::SET_COOKIE, value)]).into_response();
    response.extensions_mut().insert(who);
    Ok(response)
}

/// Ends the login and deletes the cookie.
pub(super) async fn logout(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.guard().log_out(&headers);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie("", "; Max-Age=0", false))]).into_response()
}

fn cookie(value: &str, age: &str, secure: bool) -> HeaderValue {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/{age}{secure}");
    HeaderValue::try_from(text).expect("base64url is visible ASCII")
}

/// Returns the id of the login from the cookie, if the request has one.
pub(super) fn session_of(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}
