//! The lines about the daemon itself: its start and end, its configuration, its log file.

macro_rules! of_the_daemon {
    ($next:ident $($then:ident)* { $($before:tt)* }) => { $next! { $($then)* { $($before)*
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
        "Configuración leída de nuevo: se aplica a las llamadas nuevas",
        "Configuration read again: it applies to new calls";
    /// SIGHUP: the configuration is faulty (lines that say so come before), so the old one stays.
    ConfigurationRefused => Error,
        "La configuración nueva no es válida: sigue en vigor la anterior",
        "The new configuration is not valid: the previous one stays in force";
    /// SIGHUP: these variables have changed and cannot take effect while the daemon runs.
    RestartNeeded { variables: Vec<&'static str> } => Warn,
        "Cambios que solo se aplican después de reiniciar el servicio: {variables}",
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
    /// `.env` holds keys or passwords, and every user of the machine may read it.
    EnvFileExposed { path: String } => Warn,
        "Cualquier usuario de este equipo puede leer {path}, donde hay claves o contraseñas: chmod 640 .env",
        "Every user of this machine may read {path}, which holds keys or passwords: chmod 640 .env";
    /// There is no `.env` in the working directory `folder`.
    EnvFileAbsent { folder: String } => Info,
        "No hay archivo .env en {folder}: se usan solo las variables del proceso",
        "No .env file in {folder}: only the variables of the process are used";
    /// Another daemon with the same recordings folder has the same application; `pid` is its process.
    AlreadyRunning { app: String, pid: String } => Error,
        "Ya hay un servicio para la aplicación ARI {app} con la misma carpeta de grabaciones (proceso {pid}): este no se inicia. Detenga el otro, o use otros ASTERISK_APP y RECORDINGS_DIR",
        "A daemon already serves the ARI application {app} with the same folder of recordings (process {pid}): this one does not start. Stop the other one, or use another ASTERISK_APP and RECORDINGS_DIR";
    /// It cannot be told whether another daemon runs.
    LockUnavailable { path: String, cause: Detail } => Warn,
        "No se puede bloquear {path} ({cause}): un segundo servicio para la misma aplicación no se notaría al iniciarse",
        "{path} cannot be locked ({cause}): a second daemon for the same application would not be noticed at its start";
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
        "En la línea {line} de {path} ({variable}) el signo $ se tomó como nombre de variable: si es parte del valor, ponga el valor entre comillas simples",
        "In line {line} of {path} ({variable}) the $ sign was taken as a variable's name: if it is part of the value, put the value in single quotes";
    /// Quotes in the middle of a value in `line` of `.env` were taken off; passwords suffer from that.
    EnvQuotesShed { path: String, line: usize, variable: &'static str } => Warn,
        "En la línea {line} de {path} ({variable}) se quitaron comillas dentro del valor: si son parte de él, escríbalo completo entre comillas simples",
        "In line {line} of {path} ({variable}) quotes inside the value were removed: if they are part of it, put the whole value in single quotes";
    /// A variable of the process stands in quotes, as `docker --env-file` leaves them.
    QuotesTakenOff { variable: &'static str } => Warn,
        "{variable} está entre comillas en las variables del proceso, como las deja docker --env-file: se quitaron. Si son parte del valor, defínalo en .env",
        "{variable} is in quotes in the variables of the process, as docker --env-file leaves them: they were removed. If they are part of the value, set it in .env";
    /// A variable occurs again in `line` of `.env` with another value.
    EnvVariableRepeated { path: String, line: usize, variable: &'static str } => Warn,
        "{variable} aparece más de una vez en {path}: se usa la línea {line}",
        "{variable} occurs more than once in {path}: line {line} is used";
    /// `.env` has a variable we do not know, which looks like `known`.
    SettingMisspelt { found: String, known: &'static str } => Warn,
        "Variable desconocida en .env: {found}. ¿Quiso decir {known}?",
        "Unknown variable in .env: {found}. Did you mean {known}?";
    /// More calls are allowed than the RTP ports can carry.
    MaxCallsBeyondPorts { max_calls: usize, first: u16, last: u16, carried: usize } => Warn,
        "MAX_CALLS={max_calls} admite más llamadas que las {carried} para las que RTP_PORTS={first}-{last} tiene puertos pares: amplíe RTP_PORTS o baje MAX_CALLS",
        "MAX_CALLS={max_calls} allows more calls than the {carried} for which RTP_PORTS={first}-{last} has even ports: widen RTP_PORTS or lower MAX_CALLS";
    /// OpenAI has no such `voice`, as far as we know.
    VoiceUnknown { variable: &'static str, voice: Detail, known: String } => Warn,
        "{variable}={voice} no es una voz conocida de OpenAI, que puede rechazar la sesión. Voces conocidas: {known}",
        "{variable}={voice} is not a known voice of OpenAI, which may refuse the session. Known voices: {known}";
    /// A setting that `model` does not know is not sent.
    SettingIgnored { variable: &'static str, model: String } => Warn,
        "{variable} no se aplica: el modelo {model} no lo admite",
        "{variable} has no effect: the model {model} does not support it";
    /// A limit of cost is set, and nobody knows what `model` costs.
    PriceUnknown { variable: &'static str, model: String } => Warn,
        "No se conoce el precio del modelo {model}: {variable} no limita lo que gasta. Agréguelo a PRICES_FILE",
        "The price of the model {model} is not known: {variable} does not limit what it spends. Add it to PRICES_FILE";
    /// What `variable` names is reached over the network without TLS.
    PlainText { variable: &'static str, remedy: &'static str } => Warn,
        "{variable} apunta a otro equipo sin cifrado: quien tenga acceso a esa red puede leer claves, contraseñas y conversaciones. Use {remedy}, o un túnel",
        "{variable} points to another machine without encryption: anybody with access to that network can read keys, passwords and conversations. Use {remedy}, or a tunnel";
    /// The configured model no longer exists; the daemon uses `replacement`.
    ModelRetired { variable: &'static str, model: String, replacement: &'static str } => Warn,
        "OpenAI ha retirado el modelo {model}: se usa {replacement}. Actualice {variable}",
        "OpenAI has retired the model {model}: {replacement} is used instead. Update {variable}";
    /// The configured model is shut down on `date` (YYYY-MM-DD).
    ModelShutdown { variable: &'static str, model: String, date: &'static str, replacement: &'static str } => Warn,
        "OpenAI apaga el modelo {model} el {date}: cambie {variable} a {replacement} antes de esa fecha",
        "OpenAI shuts down the model {model} on {date}: change {variable} to {replacement} before that date";

    // ── the log itself ───────────────────────────────────────────────────────────────────────────────────
    /// A log file cannot be opened or written: the operator's log, the access log or the log of refused requests.
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
    } } };
}
