//! The lines about what is kept of calls: recordings, their index and their API, the call log, what is deleted.

macro_rules! of_the_archive {
    ($next:ident $($then:ident)* { $($before:tt)* }) => { $next! { $($then)* { $($before)*
    // ── the recordings' index and the API ────────────────────────────────────────────────────────────────
    /// The index was no database any more: it was moved to `path`, and is made anew from the files.
    IndexMoved { path: String } => Warn,
        "El índice de grabaciones estaba dañado: se ha apartado en {path} y se rehace a partir de los archivos",
        "The index of recordings was damaged: it was moved to {path} and is made anew from the files";
    /// The index's file cannot be had; a list made from the files serves meanwhile.
    IndexInMemory { cause: Detail } => Warn,
        "No se puede usar el archivo del índice de grabaciones ({cause}): el índice queda en memoria hasta que se pueda. Revise el espacio libre, los permisos del archivo, y DATABASE_URL si la definió",
        "The file of the index of recordings cannot be used ({cause}): the index is kept in memory until it can. Check the free space, the permissions of the file, and DATABASE_URL if you set it";
    /// The API answers at `address`.
    ApiReady { address: SocketAddr } => Info,
        "API de grabaciones disponible en http://{address}",
        "Recordings API available at http://{address}";
    /// The API cannot listen at `address`; calls are served, and it is tried again.
    ApiUnbindable { address: SocketAddr, cause: Detail } => Error,
        "La API de grabaciones no puede escuchar en {address}: {cause}. Revise API_LISTEN. Las llamadas se atienden, y se sigue intentando",
        "The recordings API cannot listen at {address}: {cause}. Check API_LISTEN. Calls are served, and the daemon keeps trying";
    /// The API is reachable from other machines and nobody needs a token.
    ApiOpenToAll { address: SocketAddr } => Error,
        "API_LISTEN={address} admite conexiones de otros equipos: defina API_TOKEN, o deje API_LISTEN en 127.0.0.1",
        "API_LISTEN={address} accepts connections from other machines: set API_TOKEN, or leave API_LISTEN at 127.0.0.1";
    /// The operating system knows no such group; the daemon's own counts instead.
    ApiGroupUnknown { group: String } => Warn,
        "No existe el grupo {group} de API_GROUP: sin API_TOKEN, la API admite al grupo del servicio",
        "The group {group} of API_GROUP does not exist: without API_TOKEN the API admits the daemon's own group";
    /// A token that can be guessed; `position` counts from 1.
    TokenShort { position: usize, characters: usize } => Warn,
        "El token n.º {position} de API_TOKEN tiene menos de {characters} caracteres: se puede adivinar. Genere uno con: openssl rand -hex 32",
        "Token no. {position} of API_TOKEN has fewer than {characters} characters: it can be guessed. Generate one with: openssl rand -hex 32";
    /// Many wrong tokens came from `address`; for a minute none of its is looked at.
    TokensGuessed { address: String } => Warn,
        "Llegan muchos tokens equivocados a la API desde {address}: durante un minuto se rechazan todos los de esa dirección",
        "Many wrong tokens reach the API from {address}: all tokens from that address are refused for a minute";
    /// A token so short is not for other machines; `position` counts from 1.
    TokenTooShort { position: usize, characters: usize } => Error,
        "El token n.º {position} de API_TOKEN tiene menos de {characters} caracteres: no se admite desde otros equipos. Genere uno con: openssl rand -hex 32",
        "Token no. {position} of API_TOKEN has fewer than {characters} characters: it is not admitted from other machines. Generate one with: openssl rand -hex 32";

    // ── the call log ─────────────────────────────────────────────────────────────────────────────────────
    /// The file of the call log was damaged, or none of ours: it was moved to `path`, and a new one begun.
    CallLogMoved { path: String } => Error,
        "El registro de llamadas estaba dañado: se ha apartado en {path} y se empieza uno nuevo. Cópielo si lo necesita: se elimina a los 30 días, o antes con la primera grabación que alguien borre",
        "The call log was damaged: it was moved to {path} and a new one is begun. Copy it if you need it: it is removed after 30 days, or earlier, with the first recording that somebody deletes";
    /// The file of the call log cannot be written; calls go on and rows wait.
    CallLogFailing { path: String, cause: Detail } => Error,
        "No se puede escribir en el registro de llamadas {path}: {cause}. Las llamadas se atienden; sus filas esperan en memoria hasta que el servicio se detenga. Revise los permisos del archivo, el disco, y DATABASE_URL si la definió",
        "Cannot write to the call log {path}: {cause}. Calls are served; their rows wait in memory until the daemon stops. Check the permissions of the file, the disk, and DATABASE_URL if you set it";
    /// The disk of the call log is full; calls go on and rows wait.
    CallLogDiskFull { path: String, cause: Detail } => Error,
        "No se puede escribir en el registro de llamadas {path}: el disco está lleno ({cause}). Las llamadas se atienden; sus filas esperan en memoria hasta que el servicio se detenga. Libere espacio",
        "Cannot write to the call log {path}: the disk is full ({cause}). Calls are served; their rows wait in memory until the daemon stops. Free some space";
    /// The daemon ended while the call log could not be written: what waited in memory is lost.
    CallLogUnsaved { path: String, calls: usize, cause: Detail } => Error,
        "El servicio se detuvo sin poder escribir en el registro de llamadas {path} ({cause}) - Llamadas que faltan en él o quedan sin su final: {calls}",
        "The daemon stopped while the call log {path} could not be written ({cause}) - Calls that are missing in it or lack their end: {calls}";
    /// It can be written again.
    CallLogResumed { path: String } => Warn,
        "Se puede escribir de nuevo en el registro de llamadas {path}",
        "The call log {path} can be written again";
    /// More rows came than could wait for the disk.
    CallLogOverflowed { rows: u64 } => Error,
        "El disco no admitió a tiempo las filas del registro de llamadas - Filas perdidas: {rows}. Las llamadas no se ven afectadas",
        "The disk did not take the rows of the call log in time - Rows lost: {rows}. Calls are not affected";
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
    /// The call log has not erased numbers yet: those of deleted recordings, or of callers who are to be forgotten.
    CallLogUnerased { erasures: usize, cause: Detail } => Error,
        "El registro de llamadas no ha borrado aún números que debía borrar - Pendientes: {erasures} ({cause}). El servicio lo intenta de nuevo cada hora",
        "The call log has not erased numbers that it should have erased - Pending: {erasures} ({cause}). The daemon tries again every hour";
    /// There is no such recording.
    RecordingUnknown { id: String } => Error,
        "No existe la grabación {id}: vea openai-inbound-calls recordings list",
        "There is no recording {id}: see openai-inbound-calls recordings list";
    /// A recording cannot be exported.
    RecordingUnexportable { id: String, cause: Detail } => Error,
        "No se puede exportar la grabación {id}: {cause}",
        "Cannot export the recording {id}: {cause}";
    /// What `recordings export` wrote.
    RecordingsExported { recordings: usize, folder: String } => Info,
        "Grabaciones exportadas a {folder}: {recordings}",
        "Recordings exported to {folder}: {recordings}";
    /// `recordings list` has nothing to list.
    RecordingsNone { path: String } => Info,
        "No hay grabaciones en {path}",
        "There are no recordings in {path}";
    /// What `recordings purge` deleted.
    RecordingsPurged { recordings: usize, rows: usize } => Info,
        "Grabaciones eliminadas: {recordings} - Filas del registro de llamadas cuyos números se borraron: {rows}",
        "Recordings deleted: {recordings} - Rows of the call log whose numbers were erased: {rows}";
    /// What `recordings purge` would delete without `--dry-run`.
    RecordingsToPurge { recordings: usize, rows: usize } => Info,
        "Grabaciones que se eliminarían: {recordings} - Filas del registro de llamadas cuyos números se borrarían: {rows} (nada se ha eliminado: --dry-run)",
        "Recordings that would be deleted: {recordings} - Rows of the call log whose numbers would be erased: {rows} (nothing was deleted: --dry-run)";
    /// The question before it, to whoever sits at the terminal.
    PurgeAsks { recordings: usize, rows: usize } => Warn,
        "Se eliminarán {recordings} grabaciones y los números de {rows} filas del registro de llamadas: ¿continuar? (s/N)",
        "{recordings} recordings and the numbers of {rows} rows of the call log will be deleted: continue? (y/N)";
    /// The answer was not yes.
    PurgeLeft => Warn,
        "Nada se ha eliminado",
        "Nothing was deleted";
    /// There is nobody to ask, and it may be what nobody meant.
    PurgeNeedsYes { recordings: usize, of: usize, rows: usize } => Error,
        "Nada se ha eliminado: serían {recordings} de {of} grabaciones y los números de {rows} filas del registro de llamadas. Revise la lista y repita con --yes",
        "Nothing was deleted: it would be {recordings} of {of} recordings and the numbers of {rows} rows of the call log. Check the list and repeat with --yes";
    /// The number was to be on the standard input, and its first line is empty.
    PurgeNumberMissing => Error,
        "Nada se ha eliminado: con --caller - el número se lee de la entrada estándar, y su primera línea está vacía",
        "Nothing was deleted: with --caller - the number is read from the standard input, and its first line is empty";
    /// Calls of the number are running: their recordings are not among those that go.
    PurgeLeavesRunning { calls: usize } => Warn,
        "Llamadas en curso entre ellas: {calls}. Sus grabaciones se conservan: repita cuando terminen",
        "Calls among them that are in progress: {calls}. Their recordings are kept: repeat when they have ended";
    /// The call log does not answer, so its rows cannot be shown.
    CallLogUnseen => Warn,
        "El registro de llamadas no responde ahora: no se muestran sus filas; los números se borrarán cuando responda",
        "The call log does not answer now: its rows are not shown; their numbers will be erased when it does";
    /// There is no such folder: a command runs elsewhere than the daemon, or with another `.env`.
    RecordingsFolderMissing { path: String } => Error,
        "No existe la carpeta de grabaciones {path}: ejecute el comando en la carpeta del servicio (con su .env), o defina RECORDINGS_DIR",
        "The folder of recordings {path} does not exist: run the command in the daemon's folder (with its .env), or set RECORDINGS_DIR";
    /// Encrypted recordings whose caller neither the identity nor the index can tell.
    CallersUnknown { recordings: usize } => Warn,
        "Grabaciones cifradas cuyo llamante no se puede saber sin RECORDINGS_IDENTITY_FILE: {recordings}",
        "Encrypted recordings whose caller cannot be told without RECORDINGS_IDENTITY_FILE: {recordings}";

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
        "Interrupted recordings that were completed: {count}";
    /// `count` encrypted recordings were cut off and wait for their identity.
    RecordingsSealed { count: usize } => Warn,
        "Grabaciones cifradas que quedaron interrumpidas: {count}. Quien tenga la clave secreta las completa con «recordings export»",
        "Encrypted recordings that were interrupted: {count}. Whoever has the secret key completes them with \"recordings export\"";
    /// The identity does not open what is encrypted for the recipient.
    IdentityDiffers { identity: &'static str, recipient: &'static str } => Warn,
        "La clave de {identity} no abre lo que se cifra para {recipient}: la API no podrá leer las grabaciones nuevas",
        "The key in {identity} does not open what is encrypted for {recipient}: the API cannot read new recordings";
    } } };
}
