//! Decides who may use the API: the holders of bearer tokens or, if no token is configured, certain users of this
//! machine.
//!
//! ```text
//!  tokens configured ── Authorization: Bearer … with a configured token, or 401 ── the role permits the method, or 403
//!                    │                        ten wrong tokens in a minute: 429 ─┤
//!                    └─ the cookie of a login ─── the dashboard asks, or 403 ────┘
//!  no token (loopback) ── Host names this machine, or 421 ── no other site's page asks, or 403 ── an admitted user, or 401
//! ```
//! Without tokens, the kernel says which user opened a connection, and `local_users` says whether this user is
//! admitted. A browser of such a user, however, sends requests on behalf of any web page that it shows. A page of
//! another site cannot forge `Host`, `Origin` or `Sec-Fetch-Site`, so these headers reveal it. The check of `Host`
//! also stops DNS rebinding, that is, names of other sites that resolve to 127.0.0.1. A token in `Authorization`
//! makes these checks unnecessary, because no browser sends one by itself, and they would disturb reverse proxies. A
//! browser does send a cookie by itself, though never for a page of another site (`SameSite=Strict`). A page on
//! another port of the same machine belongs to the same site; the guard refuses its requests.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use super::guesses::Guesses;
use super::local_users::LocalUsers;
use super::origin::Source;
use super::peer::Peer;
use super::problem::Problem;
use super::sessions::Sessions;
use super::{dashboard, login};
use crate::access_log::Who;
use crate::config::{ApiConfig, Role};
use crate::logging::Operator;
use crate::operator::Notice;

/// The paths that reveal nothing about any person. They need no token, so that monitors need none either.
const OPEN_PATHS: [&str; 4] = ["/health", "/openapi.json", "/ready", SESSION];
/// The path at which the dashboard learns which role it has. If no token is configured, this path tells a user that
/// they are not admitted.
const SESSION: &str = "/session";
/// The paths that begin and end a login, for every role.
const LOGIN_PATHS: [&str; 2] = ["/login", "/logout"];

/// The path that a monitor reads every few seconds. It needs a token if tokens are configured.
const METRICS: &str = "/metrics";
/// The paths that are answered even if there is no room for other requests.
pub(super) const MONITORED: [&str; 3] = ["/health", "/ready", METRICS];

/// Admits or refuses requests.
#[derive(Debug, Clone)]
pub struct Guard {
    listen: IpAddr,
    tokens: Arc<[Known]>,
    users: LocalUsers,
    logins: Arc<Mutex<Logins>>,
    now: fn() -> Instant,
    operator: Operator,
}

/// The logins, and the counts of wrong tokens.
#[derive(Debug, Default)]
struct Logins {
    sessions: Sessions,
    guesses: Guesses,
}

/// A configured token. Only its hash is kept.
#[derive(Debug)]
struct Known {
    hash: [u8; 32],
    role: Role,
    who: Who,
}

impl Guard {
    /// Creates the guard. `users` are admitted if the configuration has no tokens, and `operator` is told when
    /// somebody guesses tokens.
    #[must_use]
    pub fn new(config: &ApiConfig, users: LocalUsers, now: fn() -> Instant, operator: Operator) -> Self {
        let known = config.tokens.iter().map(|token| Known {
            hash: Sha256::digest(token.secret.expose()).into(),
            role: token.role,
            who: Who(token.name.as_str().into()),
        });
        let listen = config.listen.ip().to_canonical();
        Self { listen, tokens: known.collect(), users, logins: Arc::default(), now, operator }
    }

    /// Whether tokens are configured, so that every request for data needs one.
    #[must_use]
    pub fn asks_for_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Returns the client's name, or the client's name and the reason for the refusal. The access log shows the name.
    pub(super) async fn admit(&self, request: &Parts) -> Result<Who, (Who, Problem)> {
        if self.asks_for_tokens() {
            self.admit_with_token(request)
        } else {
            let peer = request.extensions.get::<Peer>();
            let refused = self.refuse_pages(request);
            self.admit_user(peer, request.uri.path(), refused).await
        }
    }

    /// Admits a user of this machine if no token is configured. `refused` is the reason why the request may come from
    /// a foreign page.
    async fn admit_user(
        &self,
        peer: Option<&Peer>,
        path: &str,
        refused: Option<Problem>,
    ) -> Result<Who, (Who, Problem)> {
        let uid = peer.and_then(|peer| peer.uid);
        let who = uid.map_or_else(Who::nobody, Who::user);
        let is_everybodys = (is_open(path) && path != SESSION) || path == METRICS;
        if let Some(problem) = refused {
            Err((who, problem))
        } else if is_everybodys {
            Ok(Who::nobody())
        } else if self.lets_in(peer).await {
            Ok(who)
        } else {
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "not_let_in", self.users.how_to_be_let_in());
            Err((who, problem.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))))
        }
    }

    /// Whether the user who opened the connection may use the API without a token.
    async fn lets_in(&self, peer: Option<&Peer>) -> bool {
        let Some(Peer { uid: Some(uid), is_let_in, .. }) = peer else { return false };
        *is_let_in.get_or_init(|| self.users.admits(*uid)).await
    }

    fn admit_with_token(&self, request: &Parts) -> Result<Who, (Who, Problem)> {
        let nobody = |problem| (Who::nobody(), problem);
        let path = request.uri.path();
        let is_login = LOGIN_PATHS.contains(&path);
        if is_open(path) && path != SESSION {
            return Ok(Who::nobody());
        }
        let has_token = request.headers.contains_key(header::AUTHORIZATION) && !is_login;
        let known = if has_token {
            self.try_token(source(request), bearer(&request.headers)).map_err(nobody)?
        } else {
            self.logged_in(source(request), &request.headers)
        };
        if is_login && is_of_other_page(request) {
            let who = known.map_or_else(Who::nobody, |known| known.who.clone());
            let detail = "only the dashboard's own page may log in and out";
            return Err((who, Problem::new(StatusCode::FORBIDDEN, "wrong_origin", detail)));
        }
        // A browser adds a cookie by itself, no matter which page sends the request.
        if let Some(known) = known.filter(|_| !has_token)
            && !is_of_our_page(request)
        {
            let problem = Problem::new(
                StatusCode::FORBIDDEN,
                "wrong_origin",
                "with the cookie of a login only the dashboard's own page may ask",
            );
            return Err((known.who.clone(), problem));
        }
        match known {
            None if path == SESSION || is_login => Ok(Who::nobody()),
            Some(known) if is_login => Ok(known.who.clone()),
            None => Err(nobody(
                Problem::new(StatusCode::UNAUTHORIZED, "token_needed", "send Authorization: Bearer TOKEN")
                    .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            )),
            Some(known) if known.role == Role::Full || request.method.is_safe() => Ok(known.who.clone()),
            Some(known) => Err((
                known.who.clone(),
                Problem::new(StatusCode::FORBIDDEN, "read_only", "this token may only read"),
            )),
        }
    }

    /// Returns the role of the token or login in these headers. `None` if there is no valid one.
    pub(super) fn role(&self, source: Option<Source>, headers: &HeaderMap) -> Option<Role> {
        if self.asks_for_tokens() {
            self.known(source, headers).map(|known| known.role)
        } else {
            Some(Role::Full)
        }
    }

    /// Begins a login for the holder of a token. Returns the holder's name and the id for the cookie.
    pub(super) fn log_in(&self, source: Option<Source>, token: &[u8]) -> Result<(Who, String), Problem> {
        let known = self
            .try_token(source, Some(token))?
            .ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "wrong_token", "there is no such token"))?;
        let place = self.tokens.iter().position(|token| std::ptr::eq(token, known)).unwrap_or_default();
        let id = self.logins().sessions.begin(place, source.and_then(Source::user), (self.now)());
        let id = id.ok_or_else(|| Problem::internal("the system has no random numbers"))?;
        Ok((known.who.clone(), id))
    }

    /// Ends the login that the cookie in these headers names.
    pub(super) fn log_out(&self, headers: &HeaderMap) {
        if let Some(id) = login::session_of(headers) {
            self.logins().sessions.end(id);
        }
    }

    fn logins(&self) -> MutexGuard<'_, Logins> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the holder of a token. A wrong token is counted. After too many, no token of this client is examined for
    /// a while, right or wrong, so that a guesser cannot tell the two apart.
    fn try_token(&self, source: Option<Source>, token: Option<&[u8]>) -> Result<Option<&Known>, Problem> {
        let Some(Source { client, share }) = source else { return Ok(None) };
        let now = (self.now)();
        let mut logins = self.logins();
        if let Some(rest) = logins.guesses.shut_out(share, now) {
            let detail = "too many wrong tokens came from you; no other is looked at until Retry-After";
            let seconds = HeaderValue::from(rest.as_secs() + 1);
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_wrong_tokens", detail)
                .with(header::RETRY_AFTER, seconds));
        }
        let known = token.and_then(|token| self.holder(token));
        if known.is_none() && logins.guesses.failed(share, now) {
            self.operator.say(&Notice::TokensGuessed { address: client.ip().to_string() });
        }
        Ok(known)
    }

    /// Finds the token or the login in these headers. A cookie counts only if there is no `Authorization`.
    fn known(&self, source: Option<Source>, headers: &HeaderMap) -> Option<&Known> {
        if headers.contains_key(header::AUTHORIZATION) {
            self.holder(bearer(headers)?)
        } else {
            self.logged_in(source, headers)
        }
    }

    fn logged_in(&self, source: Option<Source>, headers: &HeaderMap) -> Option<&Known> {
        let (cookie, user) = (login::session_of(headers)?, source.and_then(Source::user));
        let place = self.logins().sessions.holder(cookie, user, (self.now)())?;
        self.tokens.get(place)
    }

    /// Finds the holder of a token. The search takes the same time for every token, because it compares the hashes of
    /// all tokens in constant time.
    fn holder(&self, token: &[u8]) -> Option<&Known> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let (mut found, mut place) = (Choice::from(0), 0_u32);
        for (index, known) in self.tokens.iter().enumerate() {
            let same = known.hash.ct_eq(&hash);
            place.conditional_assign(&(index as u32), same);
            found |= same;
        }
        self.tokens.get(place as usize).filter(|_| bool::from(found))
    }

    /// Returns the reason why a request without a token may come from a foreign page in a browser. `None` if it
    /// cannot.
    fn refuse_pages(&self, request: &Parts) -> Option<Problem> {
        let headers = &request.headers;
        let host = one(headers, &header::HOST).and_then(|host| host.parse::<Authority>().ok());
        let in_line = request.uri.authority();
        let is_ours = |authority: &Authority| self.is_this_machine(authority.host());
        let names_us = match (&host, in_line) {
            (Some(host), None) => is_ours(host),
            (Some(host), Some(in_line)) => is_ours(host) && is_ours(in_line),
            (None, _) => false,
        };
        if !names_us {
            return Some(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "wrong_host",
                "without API_TOKEN this API answers to the names of this machine only, such as localhost",
            ));
        }
        // A link from another site to the dashboard is harmless: the page itself contains no data.
        let is_safe_page = request.method.is_safe() && dashboard::is_page(request.uri.path());
        let same_site = one_if_any(headers, "sec-fetch-site")
            .is_some_and(|site| site.is_none_or(|site| OWN_SITES.contains(&site)));
        let same_origin = one_if_any(headers, "origin")
            .is_some_and(|origin| origin.is_none_or(|origin| is_origin_of(origin, host.as_ref())));
        (!is_safe_page && (!same_site || !same_origin)).then(|| {
            Problem::new(
                StatusCode::FORBIDDEN,
                "wrong_origin",
                "without API_TOKEN no page of another site may ask",
            )
        })
    }

    fn is_this_machine(&self, host: &str) -> bool {
        let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        plain.eq_ignore_ascii_case("localhost")
            || plain.parse::<IpAddr>().is_ok_and(|ip| {
                let ip = ip.to_canonical();
                ip.is_loopback() || ip == self.listen
            })
    }
}

/// The values of `Sec-Fetch-Site` for requests from the dashboard and for addresses that the user enters.
const OWN_SITES: [&str; 2] = ["same-origin", "none"];

/// Whether the dashboard sent the request. Browsers say so in `Sec-Fetch-Site`. Over plain HTTP to another machine
/// they send only `Origin`, and not even that when they merely read. (A reverse proxy may change `Host`, but then the
/// browser speaks TLS.)
fn is_of_our_page(request: &Parts) -> bool {
    let says_so = ["sec-fetch-site", "origin"].iter().any(|name| request.headers.contains_key(*name));
    !is_of_other_page(request) && (says_so || request.method.is_safe())
}

/// Whether the browser says that another page sent the request. A client that is not a browser sends neither header.
fn is_of_other_page(request: &Parts) -> bool {
    let headers = &request.headers;
    match (one_if_any(headers, "sec-fetch-site"), one_if_any(headers, "origin")) {
        (None, _) | (_, None) => true,
        (Some(Some(site)), _) => !OWN_SITES.contains(&site),
        (Some(None), Some(Some(origin))) => {
            let host = one(headers, &header::HOST).and_then(|host| host.parse::<Authority>().ok());
            !is_origin_of(origin, host.as_ref())
        }
        (Some(None), Some(None)) => false,
    }
}

/// The origin of the request, which `note` has added as an extension.
fn source(request: &Parts) -> Option<Source> {
    request.extensions.get::<Source>().copied()
}

/// Whether `Origin` names this host.
fn is_origin_of(origin: &str, host: Option<&Authority>) -> bool {
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    host.is_some_and(|host| host.as_str() == authority)
}

/// Whether the path reveals nothing about any person.
fn is_open(path: &str) -> bool {
    OPEN_PATHS.contains(&path) || dashboard::is_page(path)
}

/// Returns the token of `Authorization: Bearer` if there is exactly one such header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?.as_bytes(), values.next()) else { return None };
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Returns the value of a header that must occur exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    one_if_any(headers, name.as_str()).flatten()
}

/// Returns the value of an optional header: `Some(None)` if it is absent, `None` if it occurs twice or cannot be
/// read.
#[expect(
    clippy::option_option,
    reason = "the outer option says whether the header can be trusted, the inner one whether it exists"
)]
fn one_if_any<'a>(headers: &'a HeaderMap, name: &str) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Some(None),
        (Some(value), None) => value.to_str().ok().map(Some),
        (Some(_), Some(_)) => None,
    }
}

/// Whether the access log notes the request. It omits successful requests of monitors and for the files of the
/// dashboard.
#[must_use]
pub fn is_noted(method: &Method, path: &str, status: StatusCode) -> bool {
    let is_looked_at = is_open(path) || path == METRICS;
    !(method.is_safe() && !status.is_client_error() && is_looked_at)
}
