//! The lines about sessions with the model's server.

macro_rules! of_sessions {
    ($next:ident $($then:ident)* { $($before:tt)* }) => { $next! { $($then)* { $($before)*
    // ── the Realtime session ─────────────────────────────────────────────────────────────────────────────
    /// The WebSocket to the model is open.
    SessionConnected => Info,
        "Conexión WebSocket con OpenAI",
        "WebSocket connection with OpenAI";
    /// The model confirmed our settings: audio may flow.
    SessionConfigured => Info,
        "msg_type updated recibido, ahora enviaré audio chunks",
        "msg_type updated received, now sending audio chunks";
    /// The model's server sends an event that cannot be read; said once a call. `event` is its type, `missing` the field.
    EventUnreadable { event: Detail, missing: &'static str } => Warn,
        "OpenAI envía un evento que no se puede leer ({event}: falta {missing}, o no se entiende) y se ignora; se avisa una vez por llamada",
        "OpenAI sends an event that cannot be read ({event}: {missing} is missing, or cannot be understood): the event is ignored; this is reported once a call";
    /// The key is wrong or disabled.
    KeyRefused => Error,
        "OpenAI rechaza la clave: revise OPENAI_API_KEY (clave errónea, revocada o de otro proyecto)",
        "OpenAI refuses the key: check OPENAI_API_KEY (wrong, revoked or of another project)";
    /// The key is known and not allowed to do this.
    AccessRefused { cause: LinkFault } => Error,
        "OpenAI no permite esto a la clave ({cause}): revise en platform.openai.com los permisos de la clave y del proyecto para la API Realtime",
        "OpenAI does not allow the key to do this ({cause}): check the permissions of key and project for the Realtime API at platform.openai.com";
    /// OpenAI does not serve the country or region this machine calls from.
    CountryRefused => Error,
        "OpenAI no atiende a este país o región: la salida a Internet de este equipo debe estar en uno admitido (platform.openai.com/docs/supported-countries). La clave no es la causa",
        "OpenAI does not serve this country or region: this machine must reach the Internet from a supported one (platform.openai.com/docs/supported-countries). The key is not the cause";
    /// The key belongs to another project or organization than the one named in the request.
    ProjectRefused { cause: LinkFault } => Error,
        "La clave no es del proyecto u organización con que se usa ({cause}): revise OPENAI_API_KEY, OPENAI_PROJECT y OPENAI_ORGANIZATION",
        "The key does not belong to the project or organization it is used with ({cause}): check OPENAI_API_KEY, OPENAI_PROJECT and OPENAI_ORGANIZATION";
    /// The account admits only certain IP addresses, and this machine's is not among them.
    AddressRefused => Error,
        "La cuenta de OpenAI solo admite ciertas direcciones IP y la de este equipo no está en la lista: agréguela en platform.openai.com (IP allowlist). La clave no es la causa",
        "The OpenAI account admits only certain IP addresses and this machine's is not on the list: add it at platform.openai.com (IP allowlist). The key is not the cause";
    /// Something on the way answered in the place of the model's server: a proxy, a firewall, a login page.
    ProxyRefused { cause: LinkFault } => Error,
        "Respondió un proxy o firewall en lugar de OpenAI ({cause}): permita la salida de este equipo a OPENAI_REALTIME_URL, WebSocket incluido. La clave no es la causa",
        "A proxy or firewall answered instead of OpenAI ({cause}): let this machine reach OPENAI_REALTIME_URL, WebSocket included. The key is not the cause";
    /// The account has no credit left.
    QuotaExhausted => Error,
        "La cuenta de OpenAI no tiene saldo o ha llegado a su límite: revise la facturación en platform.openai.com",
        "The OpenAI account has no credit or has reached its limit: check the billing at platform.openai.com";
    /// The model does not exist or the key has no access to it.
    ModelUnavailable { model: String } => Error,
        "El modelo {model} no existe o la clave no tiene acceso a él: revise OPENAI_REALTIME_MODEL",
        "The model {model} does not exist or the key has no access to it: check OPENAI_REALTIME_MODEL";
    /// The server no longer speaks the beta dialect.
    BetaRefused => Error,
        "OpenAI ya no admite el dialecto beta: ponga OPENAI_REALTIME_DIALECT=ga",
        "OpenAI no longer accepts the beta dialect: set OPENAI_REALTIME_DIALECT=ga";
    /// The TLS certificate of the model's server is not to be trusted.
    CertificateRefused { cause: LinkFault } => Error,
        "No se acepta el certificado TLS del servidor de OPENAI_REALTIME_URL ({cause}): instálelo, o el de su autoridad, con update-ca-certificates, o nómbrelo en SSL_CERT_FILE",
        "The TLS certificate of the server in OPENAI_REALTIME_URL is not accepted ({cause}): install it, or its authority's, with update-ca-certificates, or name it in SSL_CERT_FILE";
    /// The session failed for good with an error we have no own words for.
    SessionRefused { cause: LinkFault } => Error,
        "OpenAI rechaza la sesión ({cause}): revise OPENAI_REALTIME_URL y las demás variables OPENAI_* de .env",
        "OpenAI refuses the session ({cause}): check OPENAI_REALTIME_URL and the other OPENAI_* variables of .env";
    /// No session within `seconds`.
    SessionLate { seconds: u64 } => Error,
        "La sesión con OpenAI no se abrió en {seconds} s: revise la conexión a Internet, el DNS y OPENAI_REALTIME_URL",
        "The session with OpenAI did not open within {seconds} s: check the Internet connection, the DNS and OPENAI_REALTIME_URL";
    /// The same, and the server, or the way to it, has said why not.
    SessionUnavailable { seconds: u64, cause: LinkFault } => Error,
        "La sesión con OpenAI no se abrió en {seconds} s; última causa: {cause}. Con HTTP 429 o 5xx OpenAI está saturado o limita la cuenta (status.openai.com); si no, revise la conexión a Internet, el DNS y OPENAI_REALTIME_URL",
        "The session with OpenAI did not open within {seconds} s; last cause: {cause}. With HTTP 429 or 5xx OpenAI is overloaded or limits the account (status.openai.com); otherwise check the Internet connection, the DNS and OPENAI_REALTIME_URL";
    /// The session could not be opened; it is tried again while the caller waits.
    SessionRetry { cause: LinkFault } => Warn,
        "No se pudo abrir la sesión con OpenAI ({cause}): se intenta de nuevo",
        "The session with OpenAI could not be opened ({cause}): trying again";
    /// The server rejected something we said; the call goes on.
    SessionComplains { complaint: Complaint } => Error,
        "OpenAI rechaza un mensaje del servicio ({complaint}). La llamada continúa; con LOG_LEVEL=debug se ve el texto completo",
        "OpenAI rejects a message of the daemon ({complaint}). The call goes on; LOG_LEVEL=debug shows the whole text";
    /// The model failed to answer once; it is asked again.
    ResponseFailed { complaint: Complaint } => Warn,
        "El modelo no pudo responder ({complaint}): se le pide de nuevo",
        "The model could not answer ({complaint}): it is asked again";
    /// An answer came in which there was nothing to hear; the model is asked again. `ended`: how the answer ended.
    AnswerUnheard { ended: Code } => Warn,
        "El modelo respondió sin sonido ({ended}): se le pide de nuevo",
        "The model answered without sound ({ended}): it is asked again";
    /// The model has failed to answer, or answered without sound, so many times in a row.
    ModelGivenUp { tries: u8 } => Error,
        "El modelo no respondió en {tries} intentos seguidos: la llamada no continúa",
        "The model gave no answer in {tries} tries in a row: the call does not go on";
    /// An answer was owed, and there was no sign of it for `seconds`.
    AnswerOverdue { seconds: u64, remedy: Remedy } => Warn,
        "OpenAI no da señales de una respuesta desde hace {seconds} s: {remedy}",
        "OpenAI has given no sign of an answer for {seconds} s: {remedy}";
    /// The server confirmed other settings than were asked for, but not the audio's.
    SettingsDiffer { paths: Detail } => Warn,
        "OpenAI confirma otros ajustes que los pedidos: {paths}",
        "OpenAI confirms other settings than those asked for: {paths}";
    /// The session broke in the middle of a call; another one takes its place.
    SessionLost { cause: LinkFault } => Warn,
        "Se perdió la sesión con OpenAI durante la llamada ({cause}): se abre otra",
        "The session with OpenAI was lost during the call ({cause}): another one is opened";
    /// The session broke once more, and no other one is tried.
    SessionGivenUp { cause: LinkFault } => Error,
        "Se perdió la sesión con OpenAI durante la llamada ({cause}), y ya no se abre otra: la llamada no continúa",
        "The session with OpenAI was lost during the call ({cause}), and no other one is opened: the call does not go on";
    /// Another session took the place of the lost one, after `ms`.
    SessionResumed { ms: u64 } => Info,
        "Sesión con OpenAI restablecida en {ms} ms: la llamada continúa",
        "Session with OpenAI restored in {ms} ms: the call goes on";
    /// The server refused our settings.
    SettingsRefused { complaint: Complaint } => Error,
        "OpenAI rechaza los ajustes de la sesión ({complaint}): revise las variables OPENAI_* de .env; con LOG_LEVEL=debug se ve el texto completo",
        "OpenAI refuses the session's settings ({complaint}): check the OPENAI_* variables of .env; LOG_LEVEL=debug shows the whole text";
    /// The server confirmed another audio format than `asked`.
    FormatsDiffer { paths: Detail } => Error,
        "OpenAI no confirma el formato de audio pedido, µ-law ({paths}): el llamante oiría ruido, la llamada no continúa",
        "OpenAI does not confirm the audio format asked for, µ-law ({paths}): the caller would hear noise, the call does not go on";
    } } };
}
