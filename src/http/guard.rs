//! Who may come in: bearer tokens, and where there are none, nobody but a program on this machine.
//!
//! ```text
//!  tokens configured ── Authorization: Bearer … of one of them, or 401 ── role allows the method, or 403
//!  none (loopback)   ── Host names this machine, or 421 ── no other site's page asks, or 403
//! ```
//! Without tokens whatever can connect may read, and a browser connects for any page it shows. A page of another
//! site cannot forge `Host` (that stops names that point at 127.0.0.1: DNS rebinding), `Origin` or
//! `Sec-Fetch-Site`. With tokens none of this is needed, as no browser sends a token by itself, and would be in
//! the way of a reverse proxy.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use super::problem::Problem;
use crate::config::{ApiConfig, Role};

/// Paths that tell nothing about anybody, open without a token so that monitors need none.
const OPEN_PATHS: [&str; 3] = ["/health", "/openapi.json", "/ready"];

/// Where monitors look in every few seconds.
const MONITORED: [&str; 4] = ["/health", "/metrics", "/openapi.json", "/ready"];

/// Lets in or turns away.
#[derive(Debug, Clone)]
pub struct Guard {
    listen: IpAddr,
    tokens: Arc<[Known]>,
}

/// A token, as far as it is kept: its hash.
#[derive(Debug)]
struct Known {
    hash: [u8; 32],
    role: Role,
    who: Who,
}

/// Who asks, as the access log calls him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who(pub Arc<str>);

impl Guard {
    /// The guard of this configuration.
    #[must_use]
    pub fn new(config: &ApiConfig) -> Self {
        let known = config.tokens.iter().map(|token| Known {
            hash: Sha256::digest(token.secret.expose()).into(),
            role: token.role,
            who: Who(token.name.as_str().into()),
        });
        Self { listen: config.listen.ip().to_canonical(), tokens: known.collect() }
    }

    /// Whether tokens are asked for.
    #[must_use]
    pub fn asks_for_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Who asks, or why he may not; both with his name for the access log.
    pub fn admit<B>(&self, request: &Request<B>) -> Result<Who, (Who, Problem)> {
        let nobody = |problem| (Who("-".into()), problem);
        if !self.asks_for_tokens() {
            let local = Who("local".into());
            return match self.refuse_pages(request) {
                None => Ok(local),
                Some(problem) => Err((local, problem)),
            };
        }
        let holder = bearer(request.headers()).and_then(|token| self.holder(token));
        match holder {
            None if OPEN_PATHS.contains(&request.uri().path()) => Ok(Who("-".into())),
            None => Err(nobody(
                Problem::new(StatusCode::UNAUTHORIZED, "token_needed", "send Authorization: Bearer TOKEN")
                    .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            )),
            Some(known) if known.role == Role::Full || request.method().is_safe() => Ok(known.who.clone()),
            Some(known) => Err((
                known.who.clone(),
                Problem::new(StatusCode::FORBIDDEN, "read_only", "this token may only read"),
            )),
        }
    }

    /// Whose token it is. Takes as long for a wrong one as for any right one: hashes are compared, all of them,
    /// in constant time.
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

    /// Why a request that needs no token may be that of a page in a browser.
    fn refuse_pages<B>(&self, request: &Request<B>) -> Option<Problem> {
        let headers = request.headers();
        let host = one(headers, &header::HOST).and_then(|host| host.parse::<Authority>().ok());
        let in_line = request.uri().authority();
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
        let same_site = one_if_any(headers, "sec-fetch-site")
            .is_some_and(|site| site.is_none_or(|site| ["same-origin", "none"].contains(&site)));
        let same_origin = one_if_any(headers, "origin").is_some_and(|origin| {
            let authority =
                origin.map(|origin| origin.split_once("://").map_or("", |(_, authority)| authority));
            authority.is_none_or(|authority| host.as_ref().is_some_and(|host| host.as_str() == authority))
        });
        (!same_site || !same_origin).then(|| {
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

/// The token of `Authorization: Bearer`, if there is one such header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?.as_bytes(), values.next()) else { return None };
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// A header that must be there exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    one_if_any(headers, name.as_str()).flatten()
}

/// A header that may be missing: `None` if it is there twice or unreadable.
#[expect(
    clippy::option_option,
    reason = "the outer one is whether it can be trusted, the inner one whether it is there"
)]
fn one_if_any<'a>(headers: &'a HeaderMap, name: &str) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Some(None),
        (Some(value), None) => value.to_str().ok().map(Some),
        (Some(_), Some(_)) => None,
    }
}

/// Whether the access log has something to say of a request: not of a monitor that looks in every second.
#[must_use]
pub fn is_noted(method: &Method, path: &str, status: StatusCode) -> bool {
    !(method.is_safe() && !status.is_client_error() && MONITORED.contains(&path))
}
