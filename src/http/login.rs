//! How a browser keeps a token: `POST /login` puts it into a cookie no script can read, `POST /logout` takes it out,
//! `GET /session` says what it opens.
//!
//! Programs need none of this: they send `Authorization`. Who may do what with a cookie is the guard's to say.
//!
//! These routes serve the dashboard alone, and are not in the OpenAPI document. The cookie is the browser's until it
//! is closed. It is known by its name on every port of a machine: two daemons on one are logged into one at a time.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Api;
use super::body;
use super::problem::Problem;
use super::recordings::json;
use crate::config::Role;

/// Its name.
const COOKIE: &str = "api_token";

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

/// Takes a token, and gives it back as a cookie if it is one of ours.
pub(super) async fn login(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let login = body::read::<Login>(body).await.ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_login", "send JSON: {\"token\": \"TOKEN\"}")
    })?;
    let Some(who) = api.guard().who(login.token.as_bytes()) else {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong_token", "there is no such token"));
    };
    let secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes() == b"https");
    let value = cookie(&URL_SAFE_NO_PAD.encode(login.token), "", secure);
    let mut response = (StatusCode::NO_CONTENT, [(header::SET_COOKIE, value)]).into_response();
    response.extensions_mut().insert(who);
    Ok(response)
}

/// Takes the cookie back.
pub(super) async fn logout() -> Response {
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie("", "; Max-Age=0", false))]).into_response()
}

fn cookie(value: &str, age: &str, secure: bool) -> HeaderValue {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/{age}{secure}");
    HeaderValue::try_from(text).expect("base64url is visible ASCII")
}

/// The token in the cookie, if there is one.
pub(super) fn token_of(headers: &HeaderMap) -> Option<Vec<u8>> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == COOKIE)?;
    URL_SAFE_NO_PAD.decode(value).ok()
}
