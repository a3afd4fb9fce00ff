//! The method and the address of a request: a literal origin, and a path with templates.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::code::{self, Piece};
use super::fault::{Flaw, ToolFault};
use super::origin::Origin;
use super::render::{Place, RenderError, argument, unfit};
use super::template::{Scope, Template};

/// The methods of tools. Others need a server of a special kind (CONNECT, TRACE) or have no result (OPTIONS).
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// What is encoded in a value: everything but the unreserved characters of RFC 3986 section 2.3.
pub(super) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The method and the address, as in `GET https://crm.example.com/api/days/{{ args.day }}/slots`.
#[derive(Debug, PartialEq)]
pub struct Target {
    /// The method, in upper case.
    pub method: &'static str,
    /// The scheme, host and port.
    pub origin: Origin,
    segments: Vec<Vec<Part>>,
    /// The literal query, without the question mark.
    query: Option<String>,
}

/// A part of a segment of the path.
#[derive(Debug, PartialEq)]
enum Part {
    /// As it is sent.
    Literal(String),
    /// A value, which is encoded.
    Value(Template),
}

impl Target {
    /// Reads a method and an address.
    ///
    /// # Errors
    /// It is neither, the origin is not literal, or the path cannot be sent.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let (method, address) = text.split_once(' ').ok_or(Flaw::new(0, ToolFault::Request))?;
        let start = text.len() - address.trim_start().len();
        let address = address.trim();
        let method =
            METHODS.into_iter().find(|known| *known == method).ok_or(Flaw::new(0, ToolFault::Method))?;
        let scheme = address.find("://").ok_or(Flaw::new(start, ToolFault::Request))?;
        let end =
            address[scheme + 3..].find(['/', '?', '#', '\\']).map_or(address.len(), |at| scheme + 3 + at);
        let origin = Origin::parse(&address[..end]).map_err(|flaw| flaw.after(start))?;
        let (segments, query) = path(&address[end..]).map_err(|flaw| flaw.after(start + end))?;
        Ok(Self { method, origin, segments, query })
    }

    /// The templates of the path.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let parts = self.segments.iter().flatten();
        parts.filter_map(|part| if let Part::Value(template) = part { Some(template) } else { None })
    }

    /// The address with these values, and `query` after the literal query.
    pub(super) fn url(&self, scope: &Scope, query: &[(String, String)]) -> Result<String, RenderError> {
        let mut url = self.origin.to_string();
        if self.segments.is_empty() {
            url.push('/');
        }
        for segment in &self.segments {
            url.push('/');
            url.push_str(&rendered(segment, scope)?);
        }
        let pairs = query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let pairs: Vec<_> = self.query.clone().into_iter().chain(pairs).collect();
        if !pairs.is_empty() {
            url.push('?');
            url.push_str(&pairs.join("&"));
        }
        Ok(url)
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// One segment. A value cannot be empty, because the path would then mean something else.
fn rendered(segment: &[Part], scope: &Scope) -> Result<String, RenderError> {
    let mut text = String::new();
    for part in segment {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Value(template) => {
                let value = template.text(scope).map_err(|error| unfit(Place::Path, template, error))?;
                let value = value.filter(|value| !value.is_empty());
                let value = value.ok_or_else(|| argument(Place::Path, template, "it must not be empty"))?;
                text.push_str(&encoded(&value));
            }
        }
    }
    if is_dots(&text) {
        let template = segment.iter().find_map(|part| match part {
            Part::Value(template) => Some(template),
            Part::Literal(_) => None,
        });
        let reason = "it must not be . or ..";
        return Err(
            template.map_or(RenderError::place(Place::Path), |one| argument(Place::Path, one, reason))
        );
    }
    Ok(text)
}

/// Whether a segment of a path stands for this folder or the one above (RFC 3986 section 5.2.4, and as browsers decode it).
fn is_dots(segment: &str) -> bool {
    let decoded = segment.to_ascii_lowercase().replace("%2e", ".");
    decoded == "." || decoded == ".."
}

/// The segments of the path, and the literal query.
type Path = (Vec<Vec<Part>>, Option<String>);

/// Reads what follows the origin.
fn path(text: &str) -> Result<Path, Flaw> {
    let mut end = text.len();
    for (at, piece) in code::pieces(text) {
        if let Piece::Literal(literal) = piece
            && let Some(place) = literal.find(['?', '#'])
        {
            end = at + place;
            break;
        }
    }
    let segments = segments(&text[..end])?;
    let query = match text[end..].strip_prefix('?') {
        Some(query) => Some(literal_query(query, end + 1)?),
        None if end < text.len() => return Err(Flaw::new(end, ToolFault::Fragment)),
        None => None,
    };
    Ok((segments, query.filter(|query| !query.is_empty())))
}

/// Reads the path. Each slash outside of templates begins a segment.
fn segments(path: &str) -> Result<Vec<Vec<Part>>, Flaw> {
    let mut segments: Vec<Vec<Part>> = Vec::new();
    let wrong = |at: usize, text: &str| Flaw::new(at, ToolFault::PathText { found: text.to_owned() });
    for (at, piece) in code::pieces(path) {
        let literal = match piece {
            Piece::Other(_) => return Err(Flaw::new(at, ToolFault::PathBlock)),
            Piece::Value(code) => {
                let template = Template::new(code).map_err(|fault| Flaw::from(fault).after(at))?;
                let segment = segments.last_mut().ok_or(Flaw::new(at, ToolFault::OriginTemplate))?;
                segment.push(Part::Value(template));
                continue;
            }
            Piece::Literal(literal) => literal,
        };
        let mut place = at;
        for (index, text) in literal.split('/').enumerate() {
            if index > 0 {
                segments.push(Vec::new());
            }
            if !is_sendable(text, "") {
                return Err(wrong(place, text));
            }
            if !text.is_empty() {
                segments.last_mut().ok_or_else(|| wrong(place, text))?.push(Part::Literal(text.to_owned()));
            }
            place += text.len() + 1;
        }
    }
    for segment in &segments {
        if let [Part::Literal(text)] = &segment[..]
            && is_dots(text)
        {
            return Err(wrong(0, text));
        }
    }
    Ok(segments)
}

/// Reads a query without templates. Values of the call belong into `query`, where they are encoded.
fn literal_query(query: &str, start: usize) -> Result<String, Flaw> {
    if let Some(at) = query.find('{') {
        return Err(Flaw::new(start + at, ToolFault::QueryTemplate));
    }
    if let Some(at) = query.find('#') {
        return Err(Flaw::new(start + at, ToolFault::Fragment));
    }
    if !is_sendable(query, "/?") {
        return Err(Flaw::new(start, ToolFault::PathText { found: query.to_owned() }));
    }
    Ok(query.to_owned())
}

/// Whether a segment or a query can be sent as written (RFC 3986 sections 3.3 and 3.4), `others` included.
fn is_sendable(text: &str, others: &str) -> bool {
    let is_plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%".contains(c) || others.contains(c));
    let is_encoded =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    is_plain && text.split('%').skip(1).all(is_encoded)
}
