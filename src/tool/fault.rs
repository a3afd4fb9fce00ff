//! What can be wrong in the description of a tool.

use super::template::TemplateFault;

/// A fault in a text of a tool, with its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Where in the text, in bytes.
    pub at: usize,
    /// What is wrong.
    pub what: ToolFault,
}

impl Flaw {
    pub(super) const fn new(at: usize, what: ToolFault) -> Self {
        Self { at, what }
    }

    /// The same flaw in a text that begins so many bytes earlier.
    pub(super) fn after(self, bytes: usize) -> Self {
        Self { at: self.at + bytes, ..self }
    }
}

impl From<TemplateFault> for Flaw {
    fn from(fault: TemplateFault) -> Self {
        Self { at: fault.at, what: ToolFault::Template { message: fault.message } }
    }
}

/// Why a secret cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretFault {
    /// It is in none of its sources.
    Missing,
    /// Its value cannot be sent.
    Unusable,
    /// It belongs to the daemon, such as the key of OpenAI.
    OfDaemon,
}

/// Why a tool is not offered, although its server lists it or the file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFault {
    /// The schema is too long for the model.
    SchemaTooLong {
        /// How many characters it may have.
        most: usize,
    },
    /// The file fixes a value that the tool does not have.
    FixedUnknown {
        /// The name of the value.
        name: String,
    },
    /// The server has no tool of this name.
    NotListed,
    /// The agent has as many tools as it may have.
    NoRoom {
        /// How many that is.
        most: usize,
    },
}

impl From<ServerFault> for ToolFault {
    fn from(fault: ServerFault) -> Self {
        Self::OfServer { fault }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolFault {
    /// The text is not a template.
    Template {
        /// The words of the language.
        message: String,
    },
    /// The template uses a value that does not exist there.
    UnknownName {
        /// The value, as a path.
        name: String,
        /// What exists there.
        known: String,
    },
    /// A secret in the path or the address: such a text is in the logs of servers and proxies.
    SecretInUrl,
    /// A secret that is not named by a literal name.
    SecretUnnamed,
    /// A secret that cannot be used.
    Secret {
        /// The name.
        name: String,
        /// Why.
        cause: SecretFault,
    },
    /// A secret would be sent without encryption to a host that may be anywhere.
    SecretInPlainText {
        /// The host.
        host: String,
    },
    /// The request is not a method, a space and an address.
    Request,
    /// The method is none of those that are supported.
    Method,
    /// A template in the scheme, the host or the port.
    OriginTemplate,
    /// The address cannot be used.
    Url {
        /// The words of the parser.
        message: String,
    },
    /// The scheme is neither `http` nor `https`.
    Scheme,
    /// A user or a password in the address.
    UserInUrl,
    /// The host is an address that no tool may reach.
    ForbiddenHost {
        /// The host.
        host: String,
    },
    /// A fragment in the address.
    Fragment,
    /// A template that is not `{{ … }}` in the path.
    PathBlock,
    /// A part of the path that cannot be sent as it is.
    PathText {
        /// The part.
        found: String,
    },
    /// A template in the query that stands in the address.
    QueryTemplate,
    /// The name of a header cannot be used.
    HeaderName {
        /// The name.
        name: String,
    },
    /// A header that the connection itself decides.
    HeaderReserved {
        /// The name.
        name: String,
    },
    /// A header of this value cannot be sent.
    HeaderValue,
    /// The schema of the parameters cannot be used.
    Schema {
        /// The words of the validator.
        message: String,
    },
    /// The parameters are not an object.
    SchemaNotObject,
    /// The address of a server has a template in it.
    ServerTemplate,
    /// What a server lists cannot be offered.
    OfServer {
        /// Why.
        fault: ServerFault,
    },
    /// The name of a parameter cannot be used.
    ParameterName {
        /// The name.
        name: String,
    },
}
