//! The request of a tool or a look-up, and how it is made of the values of a call.
//!
//! ```text
//!   call, vars, lookup ──┐
//!   args (of the model) ─┼─► path                     no secret, each value one encoded segment
//!                        └─► query, headers, body ◄── secret
//! ```
//! The arguments have a name of their own, `args`, so that none of them can take the place of a value of the call.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fault::{Flaw, ToolFault};
use super::render::{Place, RenderError, argument, unfit};
use super::target::Target;
use super::template::{Scope, Template, plain};

/// Headers that the connection decides, or that would let a request be read as two (RFC 9110 section 7.6.1, RFC 9112).
const RESERVED: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "accept-encoding",
];
/// What stands for a secret where a request is shown.
pub const MASK: &str = "***";

/// A request with templates.
#[derive(Debug, PartialEq)]
pub struct Request {
    /// The method and the address.
    pub target: Target,
    /// The values of the query.
    pub query: Vec<(String, Node)>,
    /// The headers.
    pub headers: Vec<(String, Template)>,
    /// The body.
    pub body: Option<Node>,
}

/// A value of a file: its texts may be templates.
#[derive(Debug, PartialEq)]
pub enum Node {
    /// A number, `true` or `false`.
    Fixed(Value),
    /// A text.
    Text(Template),
    /// A list.
    List(Vec<Self>),
    /// A table.
    Table(Vec<(String, Self)>),
}

/// A request that can be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, in upper case.
    pub method: &'static str,
    /// The address. It holds what the caller said, and no secret in its path.
    pub url: String,
    /// The headers: no name twice, no control character in a value.
    pub headers: Vec<(String, String)>,
    /// The body, which is empty if there is none.
    pub body: String,
}

impl std::fmt::Debug for HttpRequest {
    /// Shows the method alone: everything else may hold secrets and words of the caller.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What is known of a call.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// `call`: id, caller, caller_name, called, agent and now.
    pub call: &'a Value,
    /// `vars`: what the dialplan said.
    pub vars: &'a Value,
    /// `lookup`: the results of the look-ups, by name.
    pub lookup: &'a Value,
}

impl Facts<'_> {
    /// The names of `call`.
    pub const CALL: [&'static str; 6] = ["id", "caller", "caller_name", "called", "agent", "now"];

    /// The scope of a template that uses nothing else.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::default().with("call", self.call).with("vars", self.vars).with("lookup", self.lookup)
    }
}

/// Where the values of secrets are.
pub type Secrets<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Request {
    /// All templates outside of the path.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let nodes = self.query.iter().map(|(_, node)| node).chain(&self.body);
        nodes.flat_map(Node::templates).chain(self.headers.iter().map(|(_, template)| template))
    }

    /// The names of the secrets that it uses.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<&str> {
        self.templates().flat_map(Template::secrets).collect()
    }

    /// What is wrong with the request as a whole: a secret that would be sent without encryption to a host that may be
    /// anywhere.
    ///
    /// # Errors
    /// The fault.
    pub fn check(&self) -> Result<(), ToolFault> {
        let origin = &self.target.origin;
        if origin.keeps_secrets() || self.secrets().is_empty() {
            return Ok(());
        }
        Err(ToolFault::SecretInPlainText { host: origin.host() })
    }

    /// The request with the values of a call. `args` are the arguments of the model, `secrets` has the values of secrets,
    /// `added` is a header with its value.
    ///
    /// # Errors
    /// An argument does not fit, a value is missing, or a secret is.
    pub fn render(
        &self,
        facts: &Facts<'_>,
        args: &Value,
        secrets: Secrets<'_>,
        added: Option<(&str, &str)>,
    ) -> Result<HttpRequest, RenderError> {
        let known = facts.scope().with("args", args);
        let mut values = BTreeMap::new();
        for name in self.secrets() {
            let value = secrets(name).ok_or_else(|| RenderError::Secret { name: name.to_owned() })?;
            values.insert(name, value);
        }
        // The path is made without secrets, whatever its templates say.
        let scope = known.clone().with("secret", &values);
        let query = self.query(&scope)?;
        let url = self.target.url(&known, &query)?;
        let mut headers = self.headers(&scope)?;
        headers.extend(added.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let (body, kind) = self.body(&scope)?;
        let has_kind = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if let Some(kind) = kind.filter(|_| !has_kind) {
            headers.push(("Content-Type".to_owned(), kind.to_owned()));
        }
        Ok(HttpRequest { method: self.target.method, url, headers, body })
    }

    /// The request as it may be shown: [`MASK`] stands for each secret.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn dry(
        &self,
        facts: &Facts<'_>,
        args: &Value,
        added: Option<(&str, &str)>,
    ) -> Result<HttpRequest, RenderError> {
        self.render(facts, args, &|_| Some(MASK.to_owned()), added)
    }

    /// The pairs of the query. A value that is missing or `none` leaves its pair out; a list makes a pair of each entry.
    fn query(&self, scope: &Scope) -> Result<Vec<(String, String)>, RenderError> {
        let mut pairs = Vec::new();
        for (name, node) in &self.query {
            let values = match node.value(scope, Place::Query)? {
                None | Some(Value::Null) => continue,
                Some(Value::Array(values)) => values,
                Some(value) => vec![value],
            };
            for value in values {
                let value = plain(&value).ok_or(RenderError::place(Place::Query))?;
                pairs.push((name.clone(), value));
            }
        }
        Ok(pairs)
    }

    /// The headers. A value that is missing or `none` leaves its header out.
    fn headers(&self, scope: &Scope) -> Result<Vec<(String, String)>, RenderError> {
        let mut headers = Vec::new();
        for (name, template) in &self.headers {
            let value = template.text(scope).map_err(|error| unfit(Place::Header, template, error))?;
            let Some(value) = value else { continue };
            if !is_header_value(&value) {
                let reason = "it must be one line without control characters";
                return Err(argument(Place::Header, template, reason));
            }
            headers.push((name.clone(), value));
        }
        Ok(headers)
    }

    /// The body and its media type. A text is sent as it is, everything else as JSON.
    fn body(&self, scope: &Scope) -> Result<(String, Option<&'static str>), RenderError> {
        let Some(node) = &self.body else { return Ok((String::new(), None)) };
        Ok(match node.value(scope, Place::Body)? {
            None => (String::new(), None),
            Some(Value::String(text)) => (text, Some("text/plain; charset=utf-8")),
            Some(value) => (value.to_string(), Some("application/json")),
        })
    }
}

impl Node {
    /// The templates in it.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Text(template) => vec![template],
            Self::List(nodes) => nodes.iter().flat_map(Self::templates).collect(),
            Self::Table(members) => members.iter().flat_map(|(_, node)| node.templates()).collect(),
        }
    }

    /// The value. Entries and members whose value is missing are left out, as an argument that the model left out.
    pub(super) fn value(&self, scope: &Scope, place: Place) -> Result<Option<Value>, RenderError> {
        Ok(Some(match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(template) => {
                return template.value(scope).map_err(|error| unfit(place, template, error));
            }
            Self::List(nodes) => {
                let mut values = Vec::new();
                for node in nodes {
                    values.extend(node.value(scope, place)?);
                }
                Value::Array(values)
            }
            Self::Table(members) => {
                let mut values = Map::new();
                for (name, node) in members {
                    if let Some(value) = node.value(scope, place)? {
                        values.insert(name.clone(), value);
                    }
                }
                Value::Object(values)
            }
        }))
    }
}

/// Whether a header can have this value (RFC 9110 section 5.5). A tab is refused, too: nobody needs one.
fn is_header_value(value: &str) -> bool {
    !value.chars().any(char::is_control)
}

/// Checks the name of a header.
///
/// # Errors
/// It is not a name (RFC 9110 section 5.6.2), or the connection decides this header.
pub fn header_name(name: &str) -> Result<(), ToolFault> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(ToolFault::HeaderName { name: name.to_owned() });
    }
    if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Err(ToolFault::HeaderReserved { name: name.to_owned() });
    }
    Ok(())
}

/// Reads the value of a header.
///
/// # Errors
/// It is not a template, or its literal text has a control character.
pub fn header_value(text: &str) -> Result<Template, Flaw> {
    let template = Template::new(text)?;
    if template.is_fixed() && !is_header_value(text) {
        return Err(Flaw::new(0, ToolFault::HeaderValue));
    }
    Ok(template)
}
