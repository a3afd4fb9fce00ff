//! What the person on duty reads, as data: one [`Notice`] per thing worth telling, and one table with its
//! line in both languages.
//!
//! The README teaches people to grep for these lines, so they are an interface: one line per event, unchanged
//! between versions. This module does not log (that is `logging`), and it does not know when a notice is due
//! (that is the core's).
//!
//! A notice never carries a key, a spoken word or a phone number, except for the channel's name in its
//! promised line. Text that comes from outside (a server's message, the system's cause) enters only as
//! [`Detail`], which is cut and masked.

pub mod foreign;
mod words;

use std::net::{IpAddr, SocketAddr};

pub use words::{Allowed, Code, Complaint, Cost, Detail, EndReason, Found, LinkFault, Remedy, is_yes};

use words::Said;

/// The language of the operator's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// The promised lines, to the letter.
    #[default]
    Spanish,
    /// The same lines, translated.
    English,
}

/// How serious a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What an operator would tell a colleague.
    Info,
    /// Something is degraded, but callers are served.
    Warn,
    /// A call or the daemon is lost.
    Error,
}

/// Builds [`Notice`], its levels and its lines from one table, so that none of the three can miss a row.
macro_rules! notices {
    ($(
        $(#[$comment:meta])*
        $name:ident $({ $($field:ident: $kind:ty),* $(,)? })? => $level:ident,
            $spanish:literal,
            $english:literal;
    )*) => {
        /// Something worth telling the operator.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "the comment of a row explains its fields")]
        pub enum Notice {
            $( $(#[$comment])* $name $({ $($field: $kind),* })?, )*
        }

        impl Notice {
            /// How serious it is; the same for every notice of a kind.
            #[must_use]
            pub const fn level(&self) -> Level {
                match self {
                    $( Self::$name { .. } => Level::$level, )*
                }
            }

            /// The sentence, without time, level or call.
            #[must_use]
            pub fn line(&self, language: Language) -> String {
                match self {
                    $( Self::$name $({ $($field),* })? => {
                        $( $( let $field = $field.said(language); )* )?
                        match language {
                            Language::Spanish => format!($spanish),
                            Language::English => format!($english),
                        }
                    } )*
                }
            }
        }
    };
}

notices! {
    // ── the daemon ───────────────────────────────────────────────────────────────────────────────────────
    /// The daemon is up; `app` is the ARI application's name.
    DaemonStarted { version: &'static str, model: String, app: String } => Info,
        "Servicio iniciado - Versión: {version} - Modelo: {model} - Aplicación ARI: {app}",
        "Daemon started - Version: {version} - Model: {model} - ARI application: {app}";
    /// The daemon ended in order; the last line of every run.
    DaemonStopped => Info,
        "Servicio detenido",
        "Daemon stopped";
    /// SIGTERM: no new calls; `calls` live ones have `seconds` to finish.
    Draining { calls: usize, seconds: u64 } => Info,
        "Deteniendo el servicio: no se aceptan llamadas nuevas - Llamadas en curso: {calls} - Plazo: {seconds} s",
        "Stopping: no new calls are accepted - Calls in progress: {calls} - Time allowed: {seconds} s";
    /// SIGHUP: the configuration was read again, and what can change without a restart has.
    ConfigurationReloaded => Info,
        "Configuración leída de nuevo: vale para las llamadas nuevas",
        "Configuration read again: it applies to new calls";
    /// SIGHUP: the configuration is faulty (lines that say so come before), so the old one stays.
    ConfigurationRefused => Error,
        "La configuración nueva no es válida: sigue en vigor la anterior",
        "The new configuration is not valid: the previous one stays in force";
    /// SIGHUP: these variables have changed and cannot take effect while the daemon runs.
    RestartNeeded { variables: Vec<&'static str> } => Warn,
        "Cambios que solo valen después de reiniciar el servicio: {variables}",
        "Changes that take effect only after a restart of the daemon: {variables}";
    /// What `systemctl status` shows while Asterisk sends us its calls; never logged.
    Serving { calls: usize } => Info,
        "Conectado a Asterisk - Llamadas en curso: {calls}",
        "Connected to Asterisk - Calls in progress: {calls}";
    /// What `systemctl status` shows while there are as many calls as there may be; never logged.
    Full { calls: usize } => Warn,
        "Conectado a Asterisk - Llamadas en curso: {calls}, y no se admiten más (MAX_CALLS)",
        "Connected to Asterisk - Calls in progress: {calls}, and no more are taken (MAX_CALLS)";
    /// The same, because the processor has no room for another call, or because frames leave late.
    Strained { calls: usize } => Warn,
        "Conectado a Asterisk - Llamadas en curso: {calls}, y no se admiten más (procesador)",
        "Connected to Asterisk - Calls in progress: {calls}, and no more are taken (processor)";
    /// What `systemctl status` shows while Asterisk does not; never logged.
    Disconnected { calls: usize } => Warn,
        "Sin conexión con Asterisk - Llamadas en curso: {calls}",
        "Not connected to Asterisk - Calls in progress: {calls}";
    /// The `.env` file at `path` was read.
    EnvFileRead { path: String } => Info,
        "Configuración leída de {path}",
        "Configuration read from {path}";
    /// There is no `.env` in the working directory `folder`.
    EnvFileAbsent { folder: String } => Info,
        "No hay archivo .env en {folder}: se usan solo las variables del proceso",
        "No .env file in {folder}: only the variables of the process are used";
    /// A defect of the daemon itself.
    Unexpected { detail: Detail } => Error,
        "Error interno inesperado: {detail}",
        "Unexpected internal error: {detail}";

    // ── the configuration ────────────────────────────────────────────────────────────────────────────────
    /// All required variables that are missing or empty.
    EnvironmentIncomplete { missing: Vec<&'static str> } => Error,
        "Variables de ambiente requeridas no encontradas: {missing}",
        "Required environment variables not found: {missing}";
    /// A variable has a value we cannot use.
    SettingInvalid { variable: &'static str, found: Found, allowed: Allowed } => Error,
        "Valor no válido en {variable}: {found}. Se admite: {allowed}",
        "Invalid value in {variable}: {found}. Allowed: {allowed}";
    /// The `.env` file exists but cannot be read.
    EnvFileUnreadable { path: String, cause: Detail } => Error,
        "No se puede leer {path}: {cause}",
        "Cannot read {path}: {cause}";
    /// `line` (from 1) of `.env` is not `NAME=value`; `variable` is named if it is one of ours.
    EnvLineMalformed { path: String, line: usize, variable: Option<&'static str> } => Error,
        "La línea {line} de {path}{variable} está mal escrita: debe ser NOMBRE=valor, y un valor con espacios o comillas va entre comillas simples",
        "Line {line} of {path}{variable} is malformed: it must be NAME=value, and a value with spaces or quotes goes in single quotes";
    /// A `$` in `line` of `.env` was replaced; passwords suffer from that.
    EnvValueExpanded { path: String, line: usize, variable: &'static str } => Warn,
        "En la línea {line} de {path} ({variable}) el signo $ se ha tomado como nombre de variable: si es parte del valor, ponga el valor entre comillas simples",
        "In line {line} of {path} ({variable}) the $ sign was taken as a variable's name: if it is part of the value, put the value in single quotes";
    /// Quotes in the middle of a value in `line` of `.env` were taken off; passwords suffer from that.
    EnvQuotesShed { path: String, line: usize, variable: &'static str } => Warn,
        "En la línea {line} de {path} ({variable}) se han quitado comillas de dentro del valor: si son parte de él, póngalo entero entre comillas simples",
        "In line {line} of {path} ({variable}) quotes inside the value were taken off: if they are part of it, put all of it in single quotes";
    /// A variable of the process stands in quotes, as `docker --env-file` leaves them.
    QuotesTakenOff { variable: &'static str } => Warn,
        "{variable} está entre comillas en las variables del proceso, como las deja docker --env-file: se han quitado. Si son parte del valor, póngalo en .env",
        "{variable} stands in quotes in the variables of the process, as docker --env-file leaves them: they were taken off. If they are part of the value, set it in .env";
    /// A variable occurs again in `line` of `.env` with another value.
    EnvVariableRepeated { path: String, line: usize, variable: &'static str } => Warn,
        "{variable} aparece más de una vez en {path}: vale la línea {line}",
        "{variable} occurs more than once in {path}: line {line} counts";
    /// `.env` has a variable we do not know, which looks like `known`.
    SettingMisspelt { found: String, known: &'static str } => Warn,
        "Variable desconocida en .env: {found}. ¿Quiso decir {known}?",
        "Unknown variable in .env: {found}. Did you mean {known}?";
    /// OpenAI has no such `voice`, as far as we know.
    VoiceUnknown { voice: Detail, known: String } => Warn,
        "OPENAI_VOICE={voice} no es una voz conocida de OpenAI, que entonces rechaza la sesión. Las hay: {known}",
        "OPENAI_VOICE={voice} is no known voice of OpenAI, which then refuses the session. There are: {known}";
    /// A setting that `model` does not know is not sent.
    SettingIgnored { variable: &'static str, model: String } => Warn,
        "{variable} no se aplica: el modelo {model} no lo admite",
        "{variable} has no effect: the model {model} does not support it";
    /// A limit of cost is set, and nobody knows what `model` costs.
    PriceUnknown { variable: &'static str, model: String } => Warn,
        "No se conoce el precio del modelo {model}: {variable} no limita lo que gasta. Póngalo en PRICES_FILE",
        "The price of the model {model} is not known: {variable} does not bound what it spends. Put it into PRICES_FILE";
    /// What `variable` names is reached over the network without TLS.
    PlainText { variable: &'static str, remedy: &'static str } => Warn,
        "{variable} lleva sin cifrar a otro equipo: quien vea esa red lee claves, contraseñas y conversaciones. Use {remedy}, o un túnel",
        "{variable} leads to another machine without encryption: whoever sees that network reads keys, passwords and conversations. Use {remedy}, or a tunnel";
    /// The configured model no longer exists; the daemon uses `replacement`.
    ModelRetired { variable: &'static str, model: String, replacement: &'static str } => Warn,
        "OpenAI ha retirado el modelo {model}: se usa {replacement}. Actualice {variable} en .env",
        "OpenAI has retired the model {model}: {replacement} is used instead. Update {variable} in .env";
    /// The configured model is shut down on `date` (YYYY-MM-DD).
    ModelShutdown { variable: &'static str, model: String, date: &'static str, replacement: &'static str } => Warn,
        "OpenAI apaga el modelo {model} el {date}: cambie {variable} a {replacement} antes de esa fecha",
        "OpenAI shuts down the model {model} on {date}: change {variable} to {replacement} before that date";

    // ── the log itself ───────────────────────────────────────────────────────────────────────────────────
    /// The log file cannot be opened or written.
    LogUnwritable { path: String, cause: Detail } => Error,
        "No se puede escribir en el archivo de log {path}: {cause}",
        "Cannot write to the log file {path}: {cause}";
    /// The log file can be written again; `lines` are missing in it.
    LogWritableAgain { path: String, lines: u64 } => Warn,
        "Se puede escribir de nuevo en el archivo de log {path} - Líneas perdidas: {lines}",
        "The log file {path} can be written again - Lines lost: {lines}";
    /// The log file has reached its largest size; nothing more goes into it until it is rotated.
    LogFull { path: String, mib: u64 } => Error,
        "El archivo de log {path} ha llegado a {mib} MB: no se escribe más en él hasta que rote (logrotate)",
        "The log file {path} has reached {mib} MB: nothing more is written into it until it is rotated (logrotate)";
    /// More was logged than could be written; `lines` were dropped.
    LogOverflowed { lines: u64 } => Warn,
        "El log no daba abasto - Líneas perdidas: {lines}",
        "The log could not keep up - Lines lost: {lines}";

    // ── the recordings' index and the API ────────────────────────────────────────────────────────────────
    /// The index was no database any more: it was moved to `path`, and is made anew from the files.
    IndexMoved { path: String } => Warn,
        "El índice de grabaciones estaba dañado: se ha apartado en {path} y se rehace a partir de los archivos",
        "The index of recordings was damaged: it was moved to {path} and is made anew from the files";
    /// The index's file cannot be had; a list made from the files serves meanwhile.
    IndexInMemory { cause: Detail } => Warn,
        "No se puede usar el archivo del índice de grabaciones ({cause}): se rehace en memoria hasta que se pueda. Revise DATABASE_URL",
        "The file of the index of recordings cannot be used ({cause}): it is made in memory until it can. Check DATABASE_URL";
    /// The API answers at `address`.
    ApiReady { address: SocketAddr } => Info,
        "API de grabaciones disponible en http://{address}",
        "Recordings API available at http://{address}";
    /// The API cannot listen at `address`; calls are served, and it is tried again.
    ApiUnbindable { address: SocketAddr, cause: Detail } => Error,
        "La API de grabaciones no puede escuchar en {address}: {cause}. Revise API_LISTEN. Las llamadas se atienden, y se sigue intentando",
        "The recordings API cannot listen at {address}: {cause}. Check API_LISTEN. Calls are served, and it is tried again";
    /// The API is reachable from other machines and nobody needs a token.
    ApiOpenToAll { address: SocketAddr } => Error,
        "API_LISTEN={address} admite conexiones de otros equipos: defina API_TOKEN, o deje API_LISTEN en 127.0.0.1",
        "API_LISTEN={address} admits connections from other machines: set API_TOKEN, or leave API_LISTEN at 127.0.0.1";
    /// The operating system knows no such group; the daemon's own counts instead.
    ApiGroupUnknown { group: String } => Warn,
        "No existe el grupo {group} de API_GROUP: sin API_TOKEN, la API admite al grupo del servicio",
        "There is no group {group} as in API_GROUP: without API_TOKEN the API admits the daemon's own group";
    /// A token that can be guessed; `position` counts from 1.
    TokenShort { position: usize, characters: usize } => Warn,
        "El token n.º {position} de API_TOKEN tiene menos de {characters} caracteres: se puede adivinar. Hágalo con: openssl rand -hex 32",
        "Token no. {position} of API_TOKEN has fewer than {characters} characters: it can be guessed. Make it with: openssl rand -hex 32";
    /// Many wrong tokens came from `address`; for a minute none of its is looked at.
    TokensGuessed { address: String } => Warn,
        "Llegan muchos tokens equivocados a la API desde {address}: durante un minuto no se mira ninguno más de esa dirección",
        "Many wrong tokens reach the API from {address}: for a minute no other of that address is looked at";
    /// A token so short is not for other machines; `position` counts from 1.
    TokenTooShort { position: usize, characters: usize } => Error,
        "El token n.º {position} de API_TOKEN tiene menos de {characters} caracteres: así no se admite desde otros equipos. Hágalo con: openssl rand -hex 32",
        "Token no. {position} of API_TOKEN has fewer than {characters} characters: such a one is not admitted from other machines. Make it with: openssl rand -hex 32";
    /// The access log cannot be written.
    AccessLogUnwritable { path: String, cause: Detail } => Error,
        "No se puede escribir en el registro de accesos {path}: {cause}",
        "Cannot write to the access log {path}: {cause}";

    // ── the call log ─────────────────────────────────────────────────────────────────────────────────────
    /// The file of the call log was damaged, or none of ours: it was moved to `path`, and a new one begun.
    CallLogMoved { path: String } => Error,
        "El registro de llamadas estaba dañado: se ha apartado en {path} y se empieza uno nuevo. Cópielo si lo necesita: se elimina a los 30 días, o antes con la primera grabación que alguien borre",
        "The call log was damaged: it was moved to {path} and a new one is begun. Copy it if you need it: it is removed after 30 days, or before with the first recording that somebody deletes";
    /// The file of the call log cannot be written; calls go on and rows wait.
    CallLogFailing { path: String, cause: Detail } => Error,
        "No se puede escribir en el registro de llamadas {path}: {cause}. Las llamadas se atienden; sus filas esperan en memoria. Revise DATABASE_URL",
        "Cannot write to the call log {path}: {cause}. Calls are served; their rows wait in memory. Check DATABASE_URL";
    /// It can be written again.
    CallLogResumed { path: String } => Warn,
        "Se puede escribir de nuevo en el registro de llamadas {path}",
        "The call log {path} can be written again";
    /// More rows came than could wait for the disk.
    CallLogOverflowed { rows: u64 } => Error,
        "El disco no daba abasto con el registro de llamadas - Filas perdidas: {rows}. Las llamadas no se ven afectadas",
        "The disk could not keep up with the call log - Rows lost: {rows}. Calls are not affected";
    /// The database server of the call log (host:port/database) does not answer; rows wait in the file.
    CallLogServerAway { server: String, cause: Detail } => Warn,
        "La base de datos del registro de llamadas no responde ({server}): {cause}. Las filas esperan en este equipo y se entregan después. Revise DATABASE_URL",
        "The database of the call log does not answer ({server}): {cause}. Rows wait on this machine and are delivered later. Check DATABASE_URL";
    /// It answers again, and has what waited.
    CallLogServerBack { server: String, rows: usize } => Info,
        "La base de datos del registro de llamadas responde de nuevo ({server}) - Filas entregadas: {rows}",
        "The database of the call log answers again ({server}) - Rows delivered: {rows}";
    /// It answers, and refuses single rows; they stay in the file.
    CallLogRowsRefused { server: String, rows: usize, cause: Detail } => Error,
        "La base de datos del registro de llamadas ({server}) rechaza {rows} filas: {cause}. Quedan en este equipo",
        "The database of the call log ({server}) refuses {rows} rows: {cause}. They stay on this machine";

    // ── retention, export and purge ──────────────────────────────────────────────────────────────────────
    /// Recordings that were past their time are gone.
    RecordingsExpired { recordings: usize, days: u32 } => Info,
        "Grabaciones eliminadas por tener más de {days} días: {recordings}",
        "Recordings deleted because they were older than {days} days: {recordings}";
    /// More than half of the recordings would have been deleted by their age: none was, and none will be until there are
    /// fewer.
    RecordingsTooManyExpired { recordings: usize, of: usize, days: u32 } => Error,
        "Grabaciones con más de {days} días: {recordings} de {of}. Son más de la mitad, y no se ha eliminado ninguna: puede que el reloj del equipo esté mal. Si el reloj y RECORDING_RETENTION_DAYS están bien: openai-inbound-calls recordings purge --older-than {days}d --yes",
        "Recordings older than {days} days: {recordings} of {of}. They are more than half, and none was deleted: the clock of the machine may be wrong. If the clock and RECORDING_RETENTION_DAYS are right: openai-inbound-calls recordings purge --older-than {days}d --yes";
    /// No time server has set the machine's clock, so nothing is deleted by its age.
    RecordingsAwaitClock { recordings: usize, days: u32 } => Error,
        "Grabaciones con más de {days} días: {recordings}. No se eliminan mientras ningún servidor de hora haya puesto en hora el reloj del equipo. Revise: timedatectl. O elimínelas con: openai-inbound-calls recordings purge --older-than {days}d",
        "Recordings older than {days} days: {recordings}. They are not deleted until a time server has set the clock of the machine. Check: timedatectl. Or delete them with: openai-inbound-calls recordings purge --older-than {days}d";
    /// The folder of the recordings cannot be read.
    RecordingsUnreadable { path: String, cause: Detail } => Error,
        "No se puede leer la carpeta de grabaciones {path}: {cause}",
        "Cannot read the folder of recordings {path}: {cause}";
    /// A recording stays because it cannot be deleted.
    RecordingUndeletable { id: String, cause: Detail } => Error,
        "No se puede eliminar la grabación {id}: {cause}",
        "Cannot delete the recording {id}: {cause}";
    /// A recording cannot be exported.
    RecordingUnexportable { id: String, cause: Detail } => Error,
        "No se puede exportar la grabación {id}: {cause}",
        "Cannot export the recording {id}: {cause}";
    /// What `recordings export` wrote.
    RecordingsExported { recordings: usize, folder: String } => Info,
        "Grabaciones exportadas a {folder}: {recordings}",
        "Recordings exported to {folder}: {recordings}";
    /// What `recordings purge` deleted.
    RecordingsPurged { recordings: usize, rows: usize } => Info,
        "Grabaciones eliminadas: {recordings} - Filas del registro de llamadas sin números desde ahora: {rows}",
        "Recordings deleted: {recordings} - Rows of the call log without numbers from now on: {rows}";
    /// What `recordings purge` would delete without `--dry-run`.
    RecordingsToPurge { recordings: usize, rows: usize } => Info,
        "Grabaciones que se eliminarían: {recordings} - Filas del registro de llamadas que perderían los números: {rows} (nada se ha eliminado: --dry-run)",
        "Recordings that would be deleted: {recordings} - Rows of the call log that would lose their numbers: {rows} (nothing was deleted: --dry-run)";
    /// The question before it, to whoever sits at the terminal.
    PurgeAsks { recordings: usize, rows: usize } => Warn,
        "Se eliminarán {recordings} grabaciones y los números de {rows} filas del registro de llamadas: ¿continuar? (s/N)",
        "{recordings} recordings and the numbers of {rows} rows of the call log will be deleted: go on? (y/N)";
    /// The answer was not yes.
    PurgeLeft => Warn,
        "Nada se ha eliminado",
        "Nothing was deleted";
    /// There is nobody to ask, and it may be what nobody meant.
    PurgeNeedsYes { recordings: usize, of: usize, rows: usize } => Error,
        "Nada se ha eliminado: son {recordings} de {of} grabaciones y los números de {rows} filas del registro de llamadas. Revise la lista y repita con --yes",
        "Nothing was deleted: these are {recordings} of {of} recordings and the numbers of {rows} rows of the call log. Check the list and repeat with --yes";
    /// Calls of the number are running: their recordings are not among those that go.
    PurgeLeavesRunning { calls: usize } => Warn,
        "Llamadas en curso entre ellas: {calls}. Sus grabaciones se conservan: repita cuando terminen",
        "Calls among them that are running: {calls}. Their recordings are kept: repeat when they are over";
    /// The call log does not answer, so its rows cannot be shown.
    CallLogUnseen => Warn,
        "El registro de llamadas no responde ahora: no se muestran sus filas; perderán los números cuando responda",
        "The call log does not answer now: its rows are not shown; they lose their numbers when it does";
    /// There is no such folder: a command runs elsewhere than the daemon, or with another `.env`.
    RecordingsFolderMissing { path: String } => Error,
        "No existe la carpeta de grabaciones {path}: ejecute la orden en la carpeta del servicio (con su .env), o defina RECORDINGS_DIR",
        "There is no folder of recordings {path}: run the command in the daemon's folder (with its .env), or set RECORDINGS_DIR";
    /// Encrypted recordings whose caller neither the identity nor the index can tell.
    CallersUnknown { recordings: usize } => Warn,
        "Grabaciones cifradas cuyo llamante no se puede saber sin RECORDINGS_IDENTITY_FILE: {recordings}",
        "Encrypted recordings whose caller cannot be told without RECORDINGS_IDENTITY_FILE: {recordings}";

    // ── Asterisk ─────────────────────────────────────────────────────────────────────────────────────────
    /// The ARI WebSocket is up and our application registered.
    AriConnected => Info,
        "Conexión ARI establecida",
        "ARI connection established";
    /// The ARI WebSocket was lost or could not be opened; a line with the cause follows.
    AriLost => Error,
        "Conexión cerrada, reintentando...",
        "Connection closed, retrying...";
    /// The connection stands again, after so many seconds; Asterisk has run on. So many calls go on, so many have ended
    /// meanwhile.
    AriBack { seconds: u64, kept: usize, ended: usize } => Info,
        "Sin conexión con Asterisk durante {seconds} s - Llamadas que continúan: {kept} - Que han terminado entretanto: {ended}",
        "Without a connection to Asterisk for {seconds} s - Calls that go on: {kept} - That have ended meanwhile: {ended}";
    /// The same, and Asterisk has been started anew: all its calls are lost.
    AsteriskRestarted { seconds: u64, ended: usize } => Warn,
        "Asterisk se ha reiniciado y ha faltado {seconds} s - Llamadas perdidas: {ended}",
        "Asterisk was restarted and was away for {seconds} s - Calls lost: {ended}";
    /// A connection that stood is lost; it is made again.
    AriBroken { address: String, cause: Detail } => Error,
        "Se perdió la conexión con Asterisk en {address}: {cause}. Se conecta de nuevo; las llamadas en curso continúan",
        "The connection with Asterisk at {address} was lost: {cause}. Connecting again; calls in progress go on";
    /// Something answers at `address` (host:port) that is not ARI.
    AriAbsent { address: String, status: u16 } => Error,
        "En {address} responde HTTP {status} en lugar de ARI: ponga enabled = yes en ari.conf, deje vacío prefix en http.conf y cargue res_ari_events.so. Se sigue intentando",
        "HTTP {status} answers at {address} in the place of ARI: set enabled = yes in ari.conf, leave prefix empty in http.conf and load res_ari_events.so. Still trying";
    /// The TLS certificate of Asterisk at `address` (host:port) is not to be trusted.
    AriCertificateRefused { address: String, cause: Detail } => Error,
        "No se acepta el certificado TLS de Asterisk en {address} (certificate: {cause}): instálelo, o el de su autoridad, con update-ca-certificates, o nómbrelo en SSL_CERT_FILE. Se sigue intentando",
        "The TLS certificate of Asterisk at {address} is not accepted (certificate: {cause}): install it, or its authority's, with update-ca-certificates, or name it in SSL_CERT_FILE. Still trying";
    /// Asterisk at `address` (host:port) closes the connection without an answer.
    AriClosed { address: String } => Error,
        "En {address} se acepta la conexión y se cierra sin respuesta: Asterisk ha llegado a sessionlimit (http.conf), o es otro programa. Se sigue intentando",
        "At {address} the connection is accepted and closed without an answer: Asterisk is at its sessionlimit (http.conf), or it is another program. Still trying";
    /// Asterisk at `address` (host:port) does not answer.
    AriUnreachable { address: String, cause: Detail } => Error,
        "Asterisk no responde en {address}: {cause}. Revise ASTERISK_HOST y ASTERISK_PORT, y enabled=yes en http.conf y ari.conf",
        "Asterisk does not answer at {address}: {cause}. Check ASTERISK_HOST and ASTERISK_PORT, and enabled=yes in http.conf and ari.conf";
    /// Asterisk refused user or password; we keep trying.
    AriCredentialsRefused { address: String } => Error,
        "Asterisk en {address} rechaza el usuario o la contraseña de ARI: revise ASTERISK_USERNAME y ASTERISK_PASSWORD (ari.conf). Se sigue intentando",
        "Asterisk at {address} refuses the ARI user or password: check ASTERISK_USERNAME and ASTERISK_PASSWORD (ari.conf). Still trying";
    /// Another program has registered the application `app`: calls go to it now.
    AriReplaced { app: String } => Error,
        "Otro programa ha tomado la aplicación ARI {app} y recibe ahora las llamadas: deténgalo, o use otro nombre en ASTERISK_APP y en Stasis(), y reinicie este servicio",
        "Another program has taken the ARI application {app} and receives the calls now: stop it, or use another name in ASTERISK_APP and in Stasis(), and restart this daemon";
    /// Asterisk accepted the connection but does not list `app`.
    AriAppMissing { app: String } => Warn,
        "Asterisk no muestra la aplicación ARI {app} después de conectar: se conecta de nuevo",
        "Asterisk does not list the ARI application {app} after connecting: connecting again";

    /// Asterisk refuses `request` (method and path) to whoever may only read (403), or to us (401).
    RequestForbidden { request: String, status: u16, message: Detail } => Error,
        "Asterisk no permite {request} (HTTP {status}): {message}. Ponga read_only = no al usuario de ARI en ari.conf; después: asterisk -rx 'module reload res_ari.so'",
        "Asterisk does not permit {request} (HTTP {status}): {message}. Set read_only = no for the ARI user in ari.conf; then: asterisk -rx 'module reload res_ari.so'";
    /// Asterisk refuses `request` (method and path) for another reason.
    RequestRefused { request: String, status: u16, message: Detail } => Error,
        "Asterisk rechaza {request} (HTTP {status}): {message}. Vea el log de Asterisk, y «openai-inbound-calls doctor»",
        "Asterisk refuses {request} (HTTP {status}): {message}. See Asterisk's log, and \"openai-inbound-calls doctor\"";
    /// No answer to `request` (method and path) came.
    RequestUnanswered { request: String, cause: Detail } => Error,
        "Asterisk no responde a {request}: {cause}. Vea su carga y su log; si cierra conexiones, suba sessionlimit en http.conf",
        "Asterisk does not answer {request}: {cause}. See its load and its log; if it closes connections, raise sessionlimit in http.conf";
    /// The answer to `request` (method and path) is not what it should be; `answer` is its beginning.
    AnswerUnreadable { request: String, answer: Detail } => Error,
        "No se entiende la respuesta de Asterisk a {request}: {answer}",
        "Asterisk's answer to {request} cannot be understood: {answer}";
    /// Asterisk has accepted everything, and after `seconds` caller and media channel still do not hear each other.
    SetupLate { seconds: u64 } => Error,
        "Asterisk no conectó el audio de la llamada en {seconds} s. Vea su carga y su log",
        "Asterisk did not connect the call's audio within {seconds} s. See its load and its log";
    /// A caller whom Asterisk does not let go; a line with the cause has come before.
    CallerStuck => Error,
        "El llamante sigue en Stasis(), en silencio: se intenta devolverlo al dialplan mientras exista su canal",
        "The caller stays in Stasis(), in silence: returning them to the dialplan is tried as long as their channel exists";

    // ── a call ───────────────────────────────────────────────────────────────────────────────────────────
    /// So many calls are taken at once; further callers go on in the dialplan.
    Capacity { calls: usize } => Info,
        "Llamadas simultáneas admitidas (MAX_CALLS): {calls}",
        "Calls taken at once (MAX_CALLS): {calls}";
    /// A caller entered the application.
    CallReceived { channel: String } => Info,
        "Nueva llamada recibida - Canal: {channel}",
        "New call received - Channel: {channel}";
    /// A call is over after `seconds`.
    CallEnded { seconds: u64, reason: EndReason } => Info,
        "Llamada terminada - Duración: {seconds} s - Motivo: {reason}",
        "Call ended - Duration: {seconds} s - Reason: {reason}";
    /// What a call has used of its model, in tokens, and what all of it costs.
    CallSpent { read: u64, cached: u64, written: u64, cost: Cost } => Info,
        "Consumo de la llamada - Tokens de entrada: {read} (en caché: {cached}) - De salida: {written} - Coste: {cost}",
        "Used by the call - Tokens in: {read} (cached: {cached}) - Out: {written} - Cost: {cost}";
    /// The daemon wants more of the processors than it gets, and frames leave late; `busy_percent` of the time its busiest
    /// thread ran or waited for a processor.
    Overloaded { calls: usize, late_percent: u64, busy_percent: Option<u64> } => Warn,
        "Sobrecarga con {calls} llamadas: el {late_percent} % de las tramas sale tarde (MAX_FRAME_LATENESS_MS), con el procesador ocupado al {busy_percent} % - Las nuevas siguen en el dialplan",
        "Overloaded with {calls} calls: {late_percent} % of the frames leave late (MAX_FRAME_LATENESS_MS), with the processor {busy_percent} % busy - New ones go on in the dialplan";
    /// There is room for more calls again.
    OverloadEnded { calls: usize } => Info,
        "Fin de la sobrecarga - Llamadas en curso: {calls}",
        "No longer overloaded - Calls in progress: {calls}";
    /// Neither a day's nor a call's cost is limited.
    SpendingUnlimited => Warn,
        "Lo que cuestan las llamadas no tiene límite: defina MAX_DAY_COST o MAX_CALL_COST (y MAX_CALLS_PER_CALLER_HOUR), o cualquiera puede gastar con MAX_CALLS llamadas a la vez",
        "What calls cost has no limit: set MAX_DAY_COST or MAX_CALL_COST (and MAX_CALLS_PER_CALLER_HOUR), or anybody can spend with MAX_CALLS calls at once";
    /// The calls of the day have cost as much as `limit`; said once a day.
    DayCostReached { limit: Cost } => Error,
        "Las llamadas de hoy han llegado a MAX_DAY_COST ({limit}): las nuevas siguen en el dialplan hasta mañana",
        "Today's calls have reached MAX_DAY_COST ({limit}): new ones go on in the dialplan until tomorrow";
    /// OpenAI has served none of the last `callers`, the first of them at `since` (wall clock); `cause` is what the last one
    /// was told. Said once an outage.
    OpenAiOut { since: String, callers: u64, one_in: u32, cause: Box<Notice> } => Error,
        "OpenAI no atiende desde {since} - Llamadas fallidas: {callers} - Lo último: {cause} - Hasta que atienda, lo intenta una llamada de cada {one_in}; las demás vuelven al dialplan al momento",
        "OpenAI has not served since {since} - Failed calls: {callers} - The last: {cause} - Until it serves, one call in {one_in} tries; the others go back to the dialplan at once";
    /// It serves again, after so long; so many callers were not served meanwhile.
    OpenAiBack { seconds: u64, callers: u64 } => Info,
        "OpenAI atiende de nuevo - Duración de la avería: {seconds} s - Llamadas no atendidas: {callers}",
        "OpenAI serves again - Duration of the outage: {seconds} s - Calls not served: {callers}";
    /// The caller goes on in the dialplan, after `Stasis()`.
    CallHandedBack { reason: EndReason } => Warn,
        "Llamada devuelta al dialplan - Motivo: {reason}",
        "Call handed back to the dialplan - Reason: {reason}";
    /// The assistant transferred the caller to this place (context,extension,priority).
    CallTransferred { place: String } => Info,
        "Llamada transferida a {place}",
        "Call transferred to {place}";
    /// The dialplan has no such `place` (context,extension,priority); the caller goes on with the next step instead.
    PlaceMissing { place: String } => Error,
        "El dialplan no tiene {place}: el llamante continúa en el paso siguiente al de Stasis(). Revise FALLBACK_CONTEXT, FALLBACK_EXTEN y TRANSFER_DESTINATIONS",
        "The dialplan has no {place}: the caller goes on with the step after Stasis(). Check FALLBACK_CONTEXT, FALLBACK_EXTEN and TRANSFER_DESTINATIONS";
    /// Asterisk cannot tell whether the dialplan has `place`: nobody is sent there.
    PlaceUnknown { place: String, cause: Detail } => Error,
        "Asterisk no puede decir si el dialplan tiene {place} ({cause}), y no se envía a nadie allí: cargue el módulo func_dialplan.so",
        "Asterisk cannot tell whether the dialplan has {place} ({cause}), and nobody is sent there: load the module func_dialplan.so";
    /// The task of a call panicked; the other calls go on.
    CallPanicked { detail: Detail } => Error,
        "Error interno en una llamada, que se da por terminada: {detail}",
        "Internal error in a call, which is ended: {detail}";

    // ── media ────────────────────────────────────────────────────────────────────────────────────────────
    /// The call's RTP socket.
    RtpBound { address: SocketAddr } => Info,
        "Socket RTP vinculado a {address}",
        "RTP socket bound to {address}";
    /// Another program holds `port`; `next` is tried.
    RtpPortTaken { port: u16, next: u16 } => Warn,
        "El puerto RTP {port} está ocupado por otro programa: se prueba el {next}",
        "RTP port {port} is taken by another program: trying {next}";
    /// Every even port of the range is in use.
    NoRtpPort { first: u16, last: u16 } => Error,
        "No queda ningún puerto RTP libre entre {first} y {last}: amplíe RTP_PORTS",
        "No RTP port is free between {first} and {last}: widen RTP_PORTS";
    /// No socket can be bound on our own address.
    RtpUnbindable { address: String, cause: Detail } => Error,
        "No se puede abrir un socket RTP en {address}: {cause}. Revise LOCAL_IP_ADDRESS",
        "No RTP socket can be opened on {address}: {cause}. Check LOCAL_IP_ADDRESS";
    /// The caller's packets come from `source`, not from where Asterisk named, and are taken; said once a call.
    RtpSourceLearned { named: SocketAddr, source: SocketAddr } => Info,
        "El audio del llamante llega de {source} y no de {named}, como dijo Asterisk (NAT o contenedor): se acepta. Con RTP_SOURCE=strict no se aceptaría",
        "The caller's audio comes from {source} and not from {named}, as Asterisk said (NAT or a container): it is accepted. With RTP_SOURCE=strict it would not be";
    /// The same, and they are dropped; said once a call.
    RtpSourceRefused { named: SocketAddr, source: SocketAddr } => Warn,
        "Llega audio de {source}, pero Asterisk dijo {named}: se descarta por RTP_SOURCE=strict. Si es del llamante (NAT o contenedor), use RTP_SOURCE=learn",
        "Audio comes from {source}, but Asterisk said {named}: it is dropped because of RTP_SOURCE=strict. If it is the caller's (NAT or a container), use RTP_SOURCE=learn";
    /// Asterisk wants the sound sent to an address that is not known to be its own.
    MediaAddressRefused { address: IpAddr } => Error,
        "Asterisk pide enviar el audio a {address}, que no es una de sus direcciones conocidas: no se envía. Si es correcta (contenedor, NAT o varias redes), añádala a RTP_MEDIA_ADDRESSES",
        "Asterisk asks for the audio at {address}, which is none of its known addresses: nothing is sent there. If it is right (a container, NAT or several networks), add it to RTP_MEDIA_ADDRESSES";
    /// The codec of the caller's first sound.
    CodecDetected { codec: String } => Info,
        "Codec detectado: {codec}",
        "Codec detected: {codec}";
    /// Sound whose payload type is not µ-law; said once a call.
    UnknownPayload { payload_type: u8 } => Warn,
        "Llega RTP con un tipo de carga desconocido ({payload_type}) y se descarta: revise que el canal use ulaw",
        "RTP of unknown payload type ({payload_type}) arrives and is dropped: check that the channel uses ulaw";
    /// Not one packet from the caller for `seconds`.
    CallerSilent { seconds: u64 } => Warn,
        "No llega audio del llamante desde hace {seconds} s: revise LOCAL_IP_ADDRESS y que el cortafuegos admita los puertos UDP de RTP_PORTS",
        "No audio from the caller for {seconds} s: check LOCAL_IP_ADDRESS and that the firewall admits the UDP ports of RTP_PORTS";
    /// `frames` of 20 ms left too late in one call.
    LateFrames { frames: u64 } => Warn,
        "Tramas de audio enviadas tarde en esta llamada: {frames}. Si se repite, el servidor está sobrecargado",
        "Audio frames sent late in this call: {frames}. If this recurs, the machine is overloaded";

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
        "OpenAI envía un evento que no se puede leer ({event}: falta {missing}, o no se entiende) y se pasa por alto; se dice una vez por llamada",
        "OpenAI sends an event that cannot be read ({event}: {missing} is missing, or cannot be understood), and it is passed over; said once a call";
    /// The key is wrong or disabled.
    KeyRefused => Error,
        "OpenAI rechaza la clave: revise OPENAI_API_KEY (clave errónea, revocada o de otro proyecto)",
        "OpenAI refuses the key: check OPENAI_API_KEY (wrong, revoked or of another project)";
    /// The key is known and not allowed to do this.
    AccessRefused { cause: LinkFault } => Error,
        "OpenAI no permite esto a la clave ({cause}): revise en platform.openai.com los permisos de la clave y del proyecto para la API Realtime",
        "OpenAI does not allow this to the key ({cause}): check at platform.openai.com the permissions of key and project for the Realtime API";
    /// OpenAI does not serve the country or region this machine calls from.
    CountryRefused => Error,
        "OpenAI no atiende a este país o región: la salida a Internet de este equipo debe estar en uno admitido (platform.openai.com/docs/supported-countries). La clave no es la causa",
        "OpenAI does not serve this country or region: this machine's way to the Internet must be in a supported one (platform.openai.com/docs/supported-countries). The key is not the cause";
    /// The key belongs to another project or organization than the one named in the request.
    ProjectRefused { cause: LinkFault } => Error,
        "La clave no es del proyecto u organización con que se usa ({cause}): revise OPENAI_API_KEY, OPENAI_PROJECT y OPENAI_ORGANIZATION",
        "The key is not of the project or organization it is used with ({cause}): check OPENAI_API_KEY, OPENAI_PROJECT and OPENAI_ORGANIZATION";
    /// The account admits only certain IP addresses, and this machine's is not among them.
    AddressRefused => Error,
        "La cuenta de OpenAI solo admite ciertas direcciones IP y la de este equipo no está en la lista: añádala en platform.openai.com (IP allowlist). La clave no es la causa",
        "The OpenAI account admits only certain IP addresses and this machine's is not on the list: add it at platform.openai.com (IP allowlist). The key is not the cause";
    /// Something on the way answered in the place of the model's server: a proxy, a firewall, a login page.
    ProxyRefused { cause: LinkFault } => Error,
        "Respondió un proxy o cortafuegos en lugar de OpenAI ({cause}): permita la salida de este equipo a OPENAI_REALTIME_URL, WebSocket incluido. La clave no es la causa",
        "A proxy or firewall answered in the place of OpenAI ({cause}): let this machine reach OPENAI_REALTIME_URL, WebSocket included. The key is not the cause";
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
        "The session with OpenAI was not open within {seconds} s: check the Internet connection, the DNS and OPENAI_REALTIME_URL";
    /// The same, and the server, or the way to it, has said why not.
    SessionUnavailable { seconds: u64, cause: LinkFault } => Error,
        "La sesión con OpenAI no se abrió en {seconds} s; lo último fue: {cause}. Con HTTP 429 o 5xx OpenAI está saturado o limita la cuenta (status.openai.com); si no, revise la conexión a Internet, el DNS y OPENAI_REALTIME_URL",
        "The session with OpenAI was not open in {seconds} s; the last was: {cause}. With HTTP 429 or 5xx OpenAI is overloaded or limits the account (status.openai.com); otherwise check the Internet connection, the DNS and OPENAI_REALTIME_URL";
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

    // ── recordings ───────────────────────────────────────────────────────────────────────────────────────
    /// Nothing can be written into the recordings' `folder`; calls go on.
    RecordingFailing { folder: String, cause: Detail } => Error,
        "No se puede grabar en {folder}: {cause}. Las llamadas continúan; lo que falte en su grabación será silencio",
        "Cannot record in {folder}: {cause}. Calls go on; what is missing in their recordings will be silence";
    /// Recording works again.
    RecordingResumed { folder: String } => Warn,
        "Se puede grabar de nuevo en {folder}",
        "Recording in {folder} works again";
    /// More was to be recorded than the disk took; `pieces` are silence or missing.
    RecordingOverflowed { pieces: u64 } => Warn,
        "El disco no daba abasto con las grabaciones - Fragmentos perdidos: {pieces}. Las llamadas no se ven afectadas",
        "The disk could not keep up with the recordings - Pieces lost: {pieces}. Calls are not affected";
    /// A recording could not be finished and is given up.
    RecordingLost { id: String, cause: Detail } => Error,
        "Se pierde la grabación {id}: {cause}",
        "The recording {id} is lost: {cause}";
    /// A finished recording is damaged or could not be completed; what there is stays on disk.
    RecordingUnfinished { id: String, cause: Detail } => Error,
        "No se pudo completar la grabación {id}: {cause}. Lo grabado sigue en el disco y se intenta de nuevo",
        "The recording {id} could not be completed: {cause}. What was recorded stays on disk and it is tried again";
    /// `count` recordings that a crash had cut off were completed at the start.
    RecordingsRecovered { count: usize } => Info,
        "Grabaciones interrumpidas que se han completado: {count}",
        "Recordings that had been cut off and are complete again: {count}";
    /// `count` encrypted recordings were cut off and wait for their identity.
    RecordingsSealed { count: usize } => Warn,
        "Grabaciones cifradas que quedaron interrumpidas: {count}. Quien tenga la clave secreta las completa con «recordings export»",
        "Encrypted recordings that were cut off: {count}. Whoever has the secret key completes them with \"recordings export\"";
    /// The identity does not open what is encrypted for the recipient.
    IdentityDiffers { identity: &'static str, recipient: &'static str } => Warn,
        "La clave de {identity} no abre lo que se cifra para {recipient}: la API no podrá leer las grabaciones nuevas",
        "The key in {identity} does not open what is encrypted for {recipient}: the API cannot read new recordings";
}

impl Notice {
    /// Whether it tells of a session that was not to be had, or failed: in an outage every call that tries would say so.
    #[must_use]
    pub const fn tells_of_a_failing_session(&self) -> bool {
        matches!(
            self,
            Self::KeyRefused
                | Self::QuotaExhausted
                | Self::ModelUnavailable { .. }
                | Self::BetaRefused
                | Self::SessionRefused { .. }
                | Self::SessionLate { .. }
                | Self::SessionUnavailable { .. }
                | Self::SessionRetry { .. }
                | Self::ResponseFailed { .. }
                | Self::SettingsRefused { .. }
                | Self::FormatsDiffer { .. }
        )
    }
}

/// A sentence within another.
impl Said for Box<Notice> {
    fn said(&self, language: Language) -> String {
        self.line(language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promised_lines_are_verbatim() {
        let promised = [
            (Notice::AriConnected, "Conexión ARI establecida"),
            (
                Notice::CallReceived { channel: "PJSIP/troncal-00000001".into() },
                "Nueva llamada recibida - Canal: PJSIP/troncal-00000001",
            ),
            (
                Notice::RtpBound { address: SocketAddr::from(([192, 168, 1, 100], 15234)) },
                "Socket RTP vinculado a 192.168.1.100:15234",
            ),
            (Notice::CodecDetected { codec: "ulaw".into() }, "Codec detectado: ulaw"),
            (Notice::SessionConnected, "Conexión WebSocket con OpenAI"),
            (Notice::SessionConfigured, "msg_type updated recibido, ahora enviaré audio chunks"),
            (Notice::AriLost, "Conexión cerrada, reintentando..."),
            (
                Notice::EnvironmentIncomplete { missing: vec!["OPENAI_API_KEY", "LOCAL_IP_ADDRESS"] },
                "Variables de ambiente requeridas no encontradas: OPENAI_API_KEY, LOCAL_IP_ADDRESS",
            ),
        ];
        for (notice, line) in promised {
            assert_eq!(notice.line(Language::Spanish), line);
            assert_ne!(notice.line(Language::English), line);
        }
    }

    #[test]
    fn what_the_readme_calls_an_error_is_one() {
        let missing = Notice::EnvironmentIncomplete { missing: vec![] };
        assert_eq!(missing.level(), Level::Error);
        assert_eq!(Notice::AriLost.level(), Level::Error);
        assert_eq!(Notice::AriConnected.level(), Level::Info);
    }

    #[test]
    fn reasons_and_limits_are_said_in_the_language_of_the_line() {
        let ended = Notice::CallEnded { seconds: 62, reason: EndReason::CallerHungUp };
        assert_eq!(
            ended.line(Language::Spanish),
            "Llamada terminada - Duración: 62 s - Motivo: el llamante colgó"
        );
        let invalid = Notice::SettingInvalid {
            variable: "OPENAI_SPEED",
            found: Found::value("0,9"),
            allowed: Allowed::Decimal { from: 0.25, to: 1.5 },
        };
        assert_eq!(
            invalid.line(Language::Spanish),
            "Valor no válido en OPENAI_SPEED: «0,9». Se admite: un número de 0.25 a 1.5, con punto decimal"
        );
        assert_eq!(
            invalid.line(Language::English),
            "Invalid value in OPENAI_SPEED: \"0,9\". Allowed: a number from 0.25 to 1.5, with a decimal point"
        );
    }

    #[test]
    fn a_malformed_line_names_the_variable_only_if_it_is_ours() {
        let malformed = |variable| {
            Notice::EnvLineMalformed { path: ".env".into(), line: 7, variable }.line(Language::English)
        };
        assert!(malformed(Some("LOG_LEVEL")).starts_with("Line 7 of .env (LOG_LEVEL) is"));
        assert!(malformed(None).starts_with("Line 7 of .env is malformed"));
    }
}
