//! What is wrong in the tools and look-ups of an agent.

use super::words::{Said, there_are};
use super::{Detail, Language};
use crate::tool::{SecretFault, ServerFault, ToolFault};

/// One fault in a tool or a look-up of a file, or in the files that an agent uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionFault {
    /// A key that is needed is missing.
    KeyMissing {
        /// The key.
        key: &'static str,
    },
    /// Only one of two keys may be there.
    KeysExclude {
        /// The one.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// The text is too long.
    TooLong {
        /// The key.
        key: &'static str,
        /// How many characters it may have.
        most: usize,
    },
    /// The name of a tool or a look-up cannot be used.
    Name {
        /// The name.
        name: Detail,
    },
    /// Two tools or two look-ups of an agent have the same name.
    NameTaken {
        /// The name.
        name: Detail,
        /// The agent.
        agent: String,
    },
    /// No file of shared tools has this name.
    UseUnknown {
        /// The name.
        name: Detail,
        /// The names that there are.
        known: String,
    },
    /// An example names a tool that the agent does not have.
    ToolUnknown {
        /// The name.
        name: Detail,
        /// The names that there are.
        known: String,
    },
    /// An example names a look-up that the agent does not have.
    LookupUnknown {
        /// The name.
        name: Detail,
        /// The names that there are.
        known: String,
    },
    /// The model could not call the tool as an example demands.
    Misfit {
        /// The tool.
        tool: String,
        /// Why not.
        reason: Detail,
    },
    /// The caller says more in an example than they may.
    TooManyTurns {
        /// How many turns they may have.
        most: usize,
    },
    /// A template in the URL of a webhook.
    UrlTemplate,
    /// The text is not the name of a secret in template brackets.
    SecretReference,
    /// The secret is no key of Standard Webhooks.
    WebhookKey {
        /// The name of the secret.
        name: String,
    },
    /// Two addresses of an agent have the same name.
    AddressTaken {
        /// The name.
        name: Detail,
    },
    /// Data of calls would be sent without encryption to a host that may be anywhere.
    WebhookInPlainText {
        /// The host.
        host: String,
    },
    /// `fixed` or `set` names a tool that `tools` does not offer.
    NotOffered {
        /// The name.
        name: Detail,
    },
    /// There are more tools or look-ups than there may be.
    TooMany {
        /// The key.
        key: &'static str,
        /// How many there may be.
        most: usize,
    },
}

impl Said for SectionFault {
    #[rustfmt::skip]
    fn said(&self, language: Language) -> String {
        let say = |spanish: String, english: String| match language {
            Language::Spanish => spanish,
            Language::English => english,
        };
        match self {
            Self::KeyMissing { key } => say(format!("falta {key}"), format!("{key} is missing")),
            Self::KeysExclude { one, other } => say(
                format!("{one} y {other} no pueden estar juntas"),
                format!("{one} and {other} exclude each other")),
            Self::TooLong { key, most } => say(
                format!("{key} puede tener hasta {most} caracteres"),
                format!("{key} may have at most {most} characters")),
            Self::Name { name } => say(
                format!("«{name}» no puede ser un nombre: de 1 a 64 letras y cifras ASCII, - y _, y no end_call ni transfer_call; en un lookup, sin - ni cifra al comienzo"),
                format!("\"{name}\" cannot be a name: 1 to 64 ASCII letters and digits, - and _, and not end_call or transfer_call; of a look-up, without - and not beginning with a digit")),
            Self::NameTaken { name, agent } => say(
                format!("el agente {agent} ya tiene {name}"),
                format!("the agent {agent} already has {name}")),
            Self::UseUnknown { name, known } => say(
                format!("use nombra un archivo que no existe: {name}. {}", there_are(known, language)),
                format!("use names a file that does not exist: {name}. {}", there_are(known, language))),
            Self::ToolUnknown { name, known } => say(
                format!("el agente no tiene la herramienta {name}. {}", there_are(known, language)),
                format!("the agent has no tool {name}. {}", there_are(known, language))),
            Self::LookupUnknown { name, known } => say(
                format!("el agente no tiene el lookup {name}. {}", there_are(known, language)),
                format!("the agent has no look-up {name}. {}", there_are(known, language))),
            Self::Misfit { tool, reason } => say(
                format!("{tool} no se puede llamar así: {reason}"),
                format!("{tool} cannot be called like this: {reason}")),
            Self::UrlTemplate => say(
                "url debe ser literal, sin plantillas: los datos de la llamada van en el aviso".into(),
                "url must be literal, without templates: the data of the call are in the message".into()),
            Self::SecretReference => say(
                "debe ser {{ secret.NOMBRE }}: el secreto no se escribe en el archivo".into(),
                "it must be {{ secret.NAME }}: the secret is not written into the file".into()),
            Self::WebhookKey { name } => say(
                format!("el secreto {name} debe ser whsec_ y de 24 a 64 bytes en Base64. Uno nuevo: echo whsec_$(openssl rand -base64 32)"),
                format!("the secret {name} must be whsec_ and 24 to 64 bytes in Base64. A new one: echo whsec_$(openssl rand -base64 32)")),
            Self::AddressTaken { name } => say(
                format!("el agente ya tiene una dirección {name}: dé a cada una su propio name"),
                format!("the agent already has an address {name}: give each of them a name of its own")),
            Self::WebhookInPlainText { host } => say(
                format!("enviaría datos de llamadas sin cifrar a {host}, que no es de la red propia: use https"),
                format!("it would send data of calls without encryption to {host}, which is not in your own network: use https")),
            Self::NotOffered { name } => say(format!("{name} no está en tools"), format!("{name} is not in tools")),
            Self::TooMany { key, most } => say(
                format!("hay más de {most} [[{key}]]"),
                format!("there are more than {most} [[{key}]]")),
            Self::TooManyTurns { most } => say(
                format!("says puede tener hasta {most} turnos"),
                format!("says may have at most {most} turns")),
        }
    }
}

impl Said for ToolFault {
    #[rustfmt::skip]
    fn said(&self, language: Language) -> String {
        let say = |spanish: String, english: String| match language {
            Language::Spanish => spanish,
            Language::English => english,
        };
        let fixed = |spanish: &str, english: &str| say(spanish.to_owned(), english.to_owned());
        match self {
            Self::Template { message } => {
                let message = Detail::new(message);
                say(format!("la plantilla no es válida ({message})"), format!("the template is not valid ({message})"))
            }
            Self::UnknownName { name, known } => {
                let (name, rest) = (Detail::new(name), there_are(&Detail::new(known).to_string(), language));
                say(format!("{name} no existe aquí. {rest}"), format!("{name} does not exist here. {rest}"))
            }
            Self::Secret { name, cause } => of_secret(&Detail::new(name), *cause, language),
            Self::SecretInUrl => fixed(
                "un secreto no puede estar en la dirección, que queda en los logs de servidores: va en headers, query o body",
                "a secret cannot be in the address, which servers log: it goes into headers, query or body"),
            Self::SecretUnnamed => fixed("un secreto se nombra como secret.NOMBRE", "a secret is named as secret.NAME"),
            Self::SecretInPlainText { host } => say(
                format!("enviaría un secreto sin cifrar a {host}, que no es de la red propia: use https"),
                format!("it would send a secret without encryption to {host}, which is not in your own network: use https")),
            Self::Url { message } => {
                let message = Detail::new(message);
                say(format!("la dirección no es válida ({message})"), format!("the address is not valid ({message})"))
            }
            Self::ForbiddenHost { host } => say(
                format!("ninguna herramienta puede llegar a {host}: es de enlace local, de metadatos, multidifusión o ninguna dirección"),
                format!("no tool may reach {host}: it is an address of the link, of metadata, multicast, or none at all")),
            Self::PathText { found } => {
                let found = Detail::new(found);
                say(format!("«{found}» no puede estar así en la dirección"), format!("\"{found}\" cannot be in an address as it is"))
            }
            Self::HeaderName { name } => {
                let name = Detail::new(name);
                say(format!("«{name}» no es el nombre de una cabecera"), format!("\"{name}\" is not the name of a header"))
            }
            Self::HeaderReserved { name } => say(format!("la conexión decide la cabecera {name}"), format!("the connection decides the header {name}")),
            Self::Schema { message } => {
                let message = Detail::new(message);
                say(format!("el esquema no es válido ({message})"), format!("the schema is not valid ({message})"))
            }
            Self::ParameterName { name } => {
                let name = Detail::new(name);
                say(format!("«{name}» no puede ser un parámetro: letras y cifras ASCII y _, sin cifra al comienzo"),
                    format!("\"{name}\" cannot be a parameter: ASCII letters and digits and _, not beginning with a digit"))
            }
            Self::OfServer { fault } => fault.said(language),
            Self::ServerTemplate | Self::Request | Self::Method | Self::OriginTemplate | Self::Scheme | Self::UserInUrl | Self::Fragment
            | Self::PathBlock | Self::QueryTemplate | Self::HeaderValue | Self::SchemaNotObject => {
                let (spanish, english) = of_request(self);
                fixed(spanish, english)
            }
        }
    }
}

/// What is said of a secret that cannot be used.
fn of_secret(name: &Detail, cause: SecretFault, language: Language) -> String {
    let say = |spanish: String, english: String| match language {
        Language::Spanish => spanish,
        Language::English => english,
    };
    match cause {
        SecretFault::Missing => say(
            format!(
                "falta el secreto {name}: escriba {name}=… en .env, o ponga un archivo {name} en $CREDENTIALS_DIRECTORY"
            ),
            format!(
                "the secret {name} is missing: write {name}=… into .env, or put a file {name} into $CREDENTIALS_DIRECTORY"
            ),
        ),
        SecretFault::Unusable => say(
            format!("el secreto {name} debe ser una línea de hasta 8 KiB sin caracteres de control"),
            format!("the secret {name} must be one line of at most 8 KiB without control characters"),
        ),
        SecretFault::OfDaemon => say(
            format!("el secreto {name} es una variable del servicio, y ninguna herramienta puede enviarla"),
            format!("the secret {name} is a variable of the daemon, and no tool may send it"),
        ),
    }
}

/// What is said of faults without values.
const fn of_request(fault: &ToolFault) -> (&'static str, &'static str) {
    match fault {
        ToolFault::Method => (
            "el método debe ser GET, HEAD, POST, PUT, PATCH o DELETE",
            "the method must be GET, HEAD, POST, PUT, PATCH or DELETE",
        ),
        ToolFault::OriginTemplate => (
            "el esquema, el equipo y el puerto deben ser literales: nada que se diga puede cambiarlos",
            "the scheme, host and port must be literal: nothing that is said can change them",
        ),
        ToolFault::Scheme => ("la dirección debe ser http o https", "the address must be http or https"),
        ToolFault::UserInUrl => (
            "la dirección no puede tener usuario ni @ en el equipo: use headers",
            "the address cannot have a user or @ in its host: use headers",
        ),
        ToolFault::ServerTemplate => (
            "la dirección de un servidor debe ser literal: sirve para todas las llamadas",
            "the address of a server must be literal: it is the same for all calls",
        ),
        ToolFault::Fragment => {
            ("la dirección no puede tener un fragmento (#)", "the address cannot have a fragment (#)")
        }
        ToolFault::PathBlock => (
            "en la dirección solo puede haber plantillas {{ … }}",
            "an address can have only templates of the form {{ … }}",
        ),
        ToolFault::QueryTemplate => (
            "los valores de la consulta van en query, donde se codifican",
            "values of the query go into query, where they are encoded",
        ),
        ToolFault::HeaderValue => (
            "una cabecera es una línea sin caracteres de control",
            "a header is one line without control characters",
        ),
        ToolFault::SchemaNotObject => {
            ("el esquema debe ser de tipo object", "the schema must be of the type object")
        }
        _ => (
            "debe ser un método y una dirección, como \"GET https://crm.example.com/clientes\"",
            "it must be a method and an address, such as \"GET https://crm.example.com/customers\"",
        ),
    }
}

impl Said for ServerFault {
    fn said(&self, language: Language) -> String {
        let say = |spanish: String, english: String| match language {
            Language::Spanish => spanish,
            Language::English => english,
        };
        match self {
            Self::SchemaTooLong { most } => say(
                format!("el esquema tiene más de {most} caracteres"),
                format!("the schema has more than {most} characters"),
            ),
            Self::FixedUnknown { name } => {
                let name = Detail::new(name);
                say(
                    format!("la herramienta no tiene {name}, que está en [mcp.fixed]"),
                    format!("the tool has no {name}, which is in [mcp.fixed]"),
                )
            }
            Self::NotListed => {
                say("el servidor no la tiene".to_owned(), "the server does not have it".to_owned())
            }
            Self::NoRoom { most } => say(
                format!("el agente ya tiene {most} herramientas"),
                format!("the agent has {most} tools already"),
            ),
        }
    }
}
