//! The findings of the doctor: one [`Finding`] for each possible result, and one table with its texts in both
//! languages.
//!
//! The texts are for people and may change between versions. Text from outside is a [`Detail`], which is shortened
//! and masked.

use super::obstacles::Reasons;
use super::sip_findings::SipFinding;
use super::words::{Both, Check, Decimal, InBrackets, Status};
use crate::operator::lines::lines;
use crate::operator::{Detail, Language, LinkFault, Notice};

lines! {
    /// One result of a check.
    #[derive(Debug, Clone, PartialEq)]
    pub(super) enum Finding of Check, Status;

    // ── the variables ────────────────────────────────────────────────────────────────────────────────────
    VariablesRight => Variables Ok,
        "Las variables están completas y son válidas",
        "The variables are complete and valid";
    VariableWrong { notice: Notice } => Variables Failure,
        "{notice}",
        "{notice}",
        "Corríjalo en .env; «openai-inbound-calls config» muestra y explica cada variable",
        "Correct it in .env; \"openai-inbound-calls config\" shows and explains every variable";
    VariableDoubtful { notice: Notice } => Variables Warning,
        "{notice}",
        "{notice}",
        "Corríjalo en .env; «openai-inbound-calls config» muestra y explica cada variable",
        "Correct it in .env; \"openai-inbound-calls config\" shows and explains every variable";
    VariableNoted { notice: Notice } => Variables Note,
        "{notice}",
        "{notice}";

    // ── the agents ───────────────────────────────────────────────────────────────────────────────────────
    AgentsRight { agents: usize } => Agents Ok,
        "Los archivos de agentes son válidos; agentes: {agents}",
        "The files of agents are valid; agents: {agents}";
    ToolServerThere { server: String } => Agents Ok,
        "Las herramientas llegan a {server}",
        "Tools reach {server}";
    ToolServerAway { server: String, cause: Detail } => Agents Warning,
        "Las herramientas no llegan a {server}: {cause}",
        "Tools do not reach {server}: {cause}",
        "Revise que el servidor esté en marcha y que este equipo llegue a él; «openai-inbound-calls agents tool» prueba una herramienta",
        "Check that the server runs and that this machine reaches it; \"openai-inbound-calls agents tool\" tries a tool";
    ToolProgramUnusable { program: String } => Agents Warning,
        "{program}, el programa de un servidor MCP, no se puede ejecutar",
        "{program}, the program of an MCP server, cannot be executed",
        "Dé permiso de ejecución al archivo (chmod +x), o corrija command en [[mcp]]",
        "Let the file be executed (chmod +x), or correct command in [[mcp]]";

    // ── this machine ─────────────────────────────────────────────────────────────────────────────────────
    RunAsRoot => User Note,
        "Se ejecuta como root, que puede escribir en todas partes: así no se ve qué puede hacer el usuario del servicio",
        "Run as root, who may write everywhere: this does not show what the service's user may do",
        "Desde la carpeta del servicio: sudo -u openai-inbound-calls ./openai-inbound-calls doctor",
        "In the service's folder: sudo -u openai-inbound-calls ./openai-inbound-calls doctor";
    LogWritable { path: String } => Log Ok,
        "Se puede escribir en {path}",
        "{path} is writable";
    LogUnwritable { path: String, cause: Detail } => Log Failure,
        "No se puede escribir en {path}: {cause}",
        "{path} is not writable: {cause}",
        "Dé el archivo y su carpeta al usuario del servicio (chown), o cambie LOG_FILE_PATH",
        "Give the file and its folder to the service's user (chown), or change LOG_FILE_PATH";
    RecordingsWritable { path: String } => Recordings Ok,
        "Se puede escribir en {path}",
        "{path} is writable";
    RecordingsUnwritable { path: String, cause: Detail } => Recordings Failure,
        "No se puede grabar en {path}: {cause}",
        "Nothing can be recorded in {path}: {cause}",
        "Dé la carpeta al usuario del servicio (chown), o cambie RECORDINGS_DIR",
        "Give the folder to the service's user (chown), or change RECORDINGS_DIR";
    IndexUnwritable { path: String, cause: Detail } => Recordings Warning,
        "No se puede escribir en el índice de grabaciones {path}: {cause}",
        "The index of recordings {path} is not writable: {cause}",
        "Dé el archivo al usuario del servicio (chown), o cambie DATABASE_URL; entre tanto el índice está solo en memoria",
        "Give the file to the service's user (chown), or change DATABASE_URL; until then the index is in memory only";
    DiskRoomy { path: String, free_gb: Decimal } => Disk Ok,
        "{free_gb} GB libres en {path}",
        "{free_gb} GB free in {path}";
    DiskLow { path: String, free_gb: Decimal } => Disk Warning,
        "Solo {free_gb} GB libres en {path}: menos que un día de grabación de una línea ocupada",
        "Only {free_gb} GB free in {path}: less than a day of recording of one busy line",
        "Libere espacio, o ponga RECORDING_RETENTION_DAYS; openai-inbound-calls recordings purge --older-than 30d",
        "Free some space, or set RECORDING_RETENTION_DAYS; openai-inbound-calls recordings purge --older-than 30d";
    DiskFull { path: String, free_gb: Decimal } => Disk Failure,
        "El disco está lleno: {free_gb} GB libres en {path}",
        "The disk is full: {free_gb} GB free in {path}",
        "Libere espacio; openai-inbound-calls recordings purge --older-than 30d",
        "Free some space; openai-inbound-calls recordings purge --older-than 30d";
    DiskUnknown { path: String, cause: Detail } => Disk Warning,
        "No se puede saber cuánto espacio queda en {path}: {cause}",
        "The free space in {path} is not known: {cause}",
        "Compruébelo con df -h",
        "Check it with df -h";
    OpenFilesEnough { limit: u64, calls: u64 } => OpenFiles Ok,
        "{limit} archivos abiertos bastan para las {calls} llamadas simultáneas que se admiten (MAX_CALLS)",
        "{limit} open files are enough for the {calls} calls taken at once (MAX_CALLS)";
    OpenFilesFew { limit: u64, calls: u64, enough_for: u64, needed: u64 } => OpenFiles Warning,
        "{limit} archivos abiertos alcanzan para {enough_for} llamadas simultáneas; se admiten {calls} (MAX_CALLS)",
        "{limit} open files are enough for {enough_for} simultaneous calls; {calls} are taken (MAX_CALLS)",
        "Ponga LimitNOFILE={needed} en la unidad de systemd (en una consola: ulimit -n), o baje MAX_CALLS",
        "Set LimitNOFILE={needed} in the systemd unit (in a shell: ulimit -n), or lower MAX_CALLS";
    DaemonRuns { address: String, version: Detail } => Daemon Note,
        "El servicio está en marcha: versión {version}, API en {address}",
        "The daemon is running: version {version}, API at {address}";
    DaemonServesNobody { address: String, reasons: Reasons } => Daemon Failure,
        "El servicio está en marcha, pero ahora no atiende llamadas: {reasons}",
        "The daemon is running, but serves no calls now: {reasons}",
        "El log del servicio da la causa; curl http://{address}/ready muestra si sigue así",
        "The log of the daemon gives the cause; curl http://{address}/ready shows whether it lasts";
    DaemonNotReady { address: String, reasons: Reasons } => Daemon Warning,
        "El servicio está en marcha, pero quizá no atienda la próxima llamada: {reasons}",
        "The daemon is running, but may not serve the next call: {reasons}",
        "El log del servicio da la causa; curl http://{address}/ready muestra si sigue así",
        "The log of the daemon gives the cause; curl http://{address}/ready shows whether it lasts";
    DaemonDegraded { address: String } => Daemon Warning,
        "El servicio está en marcha, pero avisa de un problema con las grabaciones (API en {address})",
        "The daemon is running, but reports a problem with recordings (API at {address})",
        "curl http://{address}/health lo dice; revise el disco y el log",
        "curl http://{address}/health tells which; check the disk and the log";
    DaemonAbsent { address: String } => Daemon Note,
        "El servicio no está en marcha (nada responde en {address})",
        "The daemon is not running (nothing answers at {address})";
    ApiTaken { address: String } => Daemon Warning,
        "En {address} (API_LISTEN) responde otro programa",
        "Another program answers at {address} (API_LISTEN)",
        "Averigüe cuál con ss -nlpt, o cambie API_LISTEN",
        "Find out which with ss -nlpt, or change API_LISTEN";

    // ── Asterisk ─────────────────────────────────────────────────────────────────────────────────────────
    AriUnchecked => Ari Note,
        "Asterisk no se ha comprobado: faltan variables, o no son válidas",
        "Asterisk was not checked: variables are missing or wrong";
    AriAnswers { address: String } => Ari Ok,
        "ARI responde en {address} y acepta usuario y contraseña",
        "ARI answers at {address} and accepts user and password";
    AriUnreachable { address: String, cause: Detail } => Ari Failure,
        "Asterisk no responde en {address}: {cause}",
        "Asterisk does not answer at {address}: {cause}",
        "¿Está en marcha (systemctl status asterisk)? ASTERISK_HOST y ASTERISK_PORT deben ser bindaddr y bindport de http.conf, con enabled = yes",
        "Is it running (systemctl status asterisk)? ASTERISK_HOST and ASTERISK_PORT must be bindaddr and bindport of http.conf, with enabled = yes";
    AriCredentials { address: String, user: String } => Ari Failure,
        "ARI rechaza la contraseña o el usuario {user} en {address}",
        "ARI refuses the password or the user {user} at {address}",
        "Compare ASTERISK_USERNAME y ASTERISK_PASSWORD con ari.conf; después: asterisk -rx 'module reload res_ari.so'",
        "Compare ASTERISK_USERNAME and ASTERISK_PASSWORD with ari.conf; then: asterisk -rx 'module reload res_ari.so'";
    AriCertificate { address: String, cause: Detail } => Ari Failure,
        "No se acepta el certificado TLS de Asterisk en {address}: {cause}",
        "The TLS certificate of Asterisk at {address} is not accepted: {cause}",
        "Instálelo, o el de su autoridad, con update-ca-certificates, o nómbrelo en SSL_CERT_FILE",
        "Install it, or its authority's, with update-ca-certificates, or name it in SSL_CERT_FILE";
    AriOff { address: String, status: u16 } => Ari Failure,
        "En {address} responde HTTP {status} en lugar de ARI",
        "{address} answers with HTTP {status} instead of ARI",
        "Ponga enabled = yes en ari.conf, deje vacío prefix en http.conf y cargue res_ari.so y res_ari_asterisk.so; si Asterisk está arrancando, espere y repita",
        "Set enabled = yes in ari.conf, leave prefix empty in http.conf, and load res_ari.so and res_ari_asterisk.so; if Asterisk is starting, wait and try again";
    SessionLimitLow { limit: u32, needed: u32 } => Ari Warning,
        "Asterisk atiende solo {limit} conexiones HTTP a la vez (sessionlimit de http.conf); el servicio usa hasta {needed} cuando entran muchas llamadas juntas",
        "Asterisk serves only {limit} HTTP connections at once (sessionlimit of http.conf); the daemon uses up to {needed} when many calls arrive together",
        "Ponga sessionlimit = 100 o más en http.conf; después: asterisk -rx 'module reload http'",
        "Set sessionlimit = 100 or more in http.conf; then: asterisk -rx 'module reload http'";
    AsteriskNew { version: Detail } => Asterisk Ok,
        "Asterisk {version}",
        "Asterisk {version}";
    AsteriskOld { version: Detail } => Asterisk Failure,
        "Asterisk {version} es demasiado antiguo",
        "Asterisk {version} is too old",
        "Instale Asterisk 16.6 o posterior: los anteriores no tienen ExternalMedia",
        "Install Asterisk 16.6 or later: older ones have no ExternalMedia";
    AsteriskUnknown { version: Detail } => Asterisk Note,
        "No se reconoce la versión de Asterisk: {version} (hace falta la 16.6 o posterior)",
        "The version of Asterisk is not recognised: {version} (16.6 or later is needed)";
    ModulesThere { count: usize } => Modules Ok,
        "Los {count} módulos necesarios están en marcha",
        "The {count} required modules are running";
    ModulesMissing { names: String } => Modules Failure,
        "Faltan módulos de Asterisk: {names}",
        "Asterisk modules are missing: {names}",
        "Quite sus noload de modules.conf y cárguelos: asterisk -rx 'module load NOMBRE'",
        "Remove their noload from modules.conf and load them: asterisk -rx 'module load NAME'";
    ModulesWanting { names: String } => Modules Warning,
        "Faltan módulos sin los cuales no se atiende a quien llama con un códec distinto de ulaw: {names}",
        "Modules are missing without which callers with a codec other than ulaw are not served: {names}",
        "asterisk -rx 'module load NOMBRE'",
        "asterisk -rx 'module load NAME'";
    PlacesUnknown { module: &'static str, variables: String } => Modules Warning,
        "Falta {module}: Asterisk no puede decir si existen los destinos de {variables}, y no se envía a nadie allí",
        "{module} is missing: Asterisk cannot tell whether the places of {variables} exist, and nobody is sent there",
        "Quite su noload de modules.conf y cárguelo: asterisk -rx 'module load {module}'",
        "Remove its noload from modules.conf and load it: asterisk -rx 'module load {module}'";
    ModulesUnlisted { cause: Detail } => Modules Note,
        "Asterisk no da la lista de sus módulos: {cause}",
        "Asterisk does not list its modules: {cause}",
        "Mírela allí: asterisk -rx 'module show like res_ari'; asterisk -rx 'module show like chan_rtp'",
        "Look there: asterisk -rx 'module show like res_ari'; asterisk -rx 'module show like chan_rtp'";
    DialplanEnters { app: String, places: usize } => Dialplan Ok,
        "El dialplan lleva a Stasis({app}); extensiones: {places}",
        "The dialplan leads to Stasis({app}); extensions: {places}";
    DialplanNever { app: String, others: InBrackets } => Dialplan Failure,
        "Ninguna extensión del dialplan llama a Stasis({app}){others}",
        "No extension of the dialplan calls Stasis({app}){others}",
        "Agregue la extensión del README a extensions.conf y ejecute asterisk -rx 'dialplan reload'; el nombre debe ser el de ASTERISK_APP",
        "Add the extension in the README to extensions.conf and run asterisk -rx 'dialplan reload'; the name must be that of ASTERISK_APP";
    DialplanHidden { app: String, cause: Detail } => Dialplan Note,
        "Desde aquí no se ve si el dialplan llama a Stasis({app}): {cause}",
        "Whether the dialplan calls Stasis({app}) cannot be seen from here: {cause}",
        "En el equipo de Asterisk, como root: asterisk -rx 'dialplan show' | grep Stasis",
        "On Asterisk's machine, as root: asterisk -rx 'dialplan show' | grep Stasis";

    // ── RTP ──────────────────────────────────────────────────────────────────────────────────────────────
    PortsApart { ours: String, theirs: String } => RtpPorts Ok,
        "RTP_PORTS ({ours}) y los puertos RTP de Asterisk ({theirs}) no se solapan",
        "RTP_PORTS ({ours}) and Asterisk's own RTP ports ({theirs}) do not overlap";
    PortsOverlap { ours: String, theirs: String } => RtpPorts Warning,
        "RTP_PORTS ({ours}) se solapa con los puertos RTP de Asterisk en este mismo equipo ({theirs})",
        "RTP_PORTS ({ours}) overlaps Asterisk's own RTP ports on this same machine ({theirs})",
        "Ponga en RTP_PORTS un intervalo distinto del de rtpstart y rtpend de rtp.conf",
        "Give RTP_PORTS a range other than that of rtpstart and rtpend of rtp.conf";
    PortsElsewhere => RtpPorts Ok,
        "Asterisk está en otro equipo: sus puertos RTP no pueden chocar con RTP_PORTS",
        "Asterisk is on another machine: its RTP ports cannot clash with RTP_PORTS";
    PortsUnseen => RtpPorts Note,
        "No se sabe qué puertos RTP usa Asterisk",
        "Which RTP ports Asterisk uses is not known",
        "Si Asterisk está en este equipo, compare RTP_PORTS con rtpstart y rtpend de rtp.conf (asterisk -rx 'rtp show settings')",
        "If Asterisk is on this machine, compare RTP_PORTS with rtpstart and rtpend of rtp.conf (asterisk -rx 'rtp show settings')";
    RtpUnchecked => Rtp Note,
        "RTP no se ha comprobado: hace falta ARI, LOCAL_IP_ADDRESS y RTP_PORTS",
        "RTP was not checked: it needs ARI, LOCAL_IP_ADDRESS and RTP_PORTS";
    RtpFlows { came: Both, jitter_ms: Decimal, delay_ms: Decimal } => Rtp Ok,
        "RTP pasa en los dos sentidos: llegan {came} paquetes, jitter {jitter_ms} ms, retardo {delay_ms} ms",
        "RTP passes both ways: {came} packets arrive, jitter {jitter_ms} ms, delay {delay_ms} ms";
    RtpJittery { came: Both, jitter_ms: Decimal } => Rtp Warning,
        "RTP llega muy irregular: jitter {jitter_ms} ms, llegan {came} paquetes",
        "RTP arrives very unevenly: jitter {jitter_ms} ms, {came} packets arrive",
        "Busque la causa en la red entre Asterisk y este equipo (Wi-Fi, VPN), o en la carga de los dos",
        "Look for the cause in the network between Asterisk and this machine (Wi-Fi, VPN), or in the load of the two";
    RtpLossy { came: Both, lost_percent: Decimal } => Rtp Warning,
        "Se pierde el {lost_percent} % de RTP: llegan {came} paquetes",
        "{lost_percent} % of RTP is lost: {came} packets arrive",
        "Busque la causa en la red entre Asterisk y este equipo (Wi-Fi, VPN, firewall), o en la carga de los dos",
        "Look for the cause in the network between Asterisk and this machine (Wi-Fi, VPN, firewall), or in the load of the two";
    RtpTorn { came: Both, lost_percent: Decimal } => Rtp Failure,
        "Se pierde el {lost_percent} % de RTP: llegan {came} paquetes; así no se entiende nada",
        "{lost_percent} % of RTP is lost: {came} packets arrive; nothing can be understood like that",
        "Busque la causa en la red entre Asterisk y este equipo (Wi-Fi, VPN, firewall), o en la carga de los dos",
        "Look for the cause in the network between Asterisk and this machine (Wi-Fi, VPN, firewall), or in the load of the two";
    RtpOneWay { came: Both } => Rtp Failure,
        "RTP pasa en un solo sentido: llegan {came} paquetes",
        "RTP passes one way only: {came} packets arrive",
        "El firewall deja pasar solo algunos puertos: abra UDP RTP_PORTS hacia este equipo y los puertos de rtp.conf hacia Asterisk",
        "The firewall lets some ports only pass: open UDP RTP_PORTS to this machine and the ports of rtp.conf to Asterisk";
    RtpSilent { local: String, asterisk: String } => Rtp Failure,
        "No llega RTP en ningún sentido entre {local} y {asterisk}",
        "No RTP arrives in either direction between {local} and {asterisk}",
        "¿Llega Asterisk a LOCAL_IP_ADDRESS (ping desde allí)? Abra en el firewall UDP RTP_PORTS hacia este equipo y los puertos de rtp.conf hacia Asterisk",
        "Can Asterisk reach LOCAL_IP_ADDRESS (ping from there)? Open UDP RTP_PORTS to this machine and the ports of rtp.conf to Asterisk in the firewall";
    RtpSourceLearned { came: Both, named: String, source: String } => Rtp Note,
        "RTP pasa en los dos sentidos ({came} paquetes), pero llega de {source} y no de {named}, como dice Asterisk (NAT o contenedor)",
        "RTP passes both ways ({came} packets), but comes from {source} and not from {named}, as Asterisk says (NAT or a container)",
        "Funciona: cada llamada aprende el origen y pierde con ello la primera décima de segundo. Con RTP_SOURCE=strict no se oiría al llamante",
        "It works: each call learns the source, and loses the first tenth of a second by it. With RTP_SOURCE=strict callers would not be heard";
    RtpSourceRefused { named: String, source: String } => Rtp Failure,
        "RTP llega de {source} y no de {named}, como dice Asterisk, y RTP_SOURCE=strict lo descarta: no se oye al llamante",
        "RTP comes from {source} and not from {named}, as Asterisk says, and RTP_SOURCE=strict drops it: callers are not heard",
        "Ponga RTP_SOURCE=learn, o quite el NAT entre Asterisk y este equipo",
        "Set RTP_SOURCE=learn, or remove the NAT between Asterisk and this machine";
    RtpSourceForeign { named: String, source: String } => Rtp Failure,
        "RTP llega de {source} y no de {named}, como dice Asterisk, y esa dirección no es una de las suyas: las llamadas lo descartan, y no se oye al llamante",
        "RTP comes from {source} and not from {named}, as Asterisk says, and the address is none of its own: calls drop it, and callers are not heard",
        "Si es una dirección por la que pasa el audio de Asterisk (contenedor, NAT o varias redes), agréguela a RTP_MEDIA_ADDRESSES",
        "If the audio of Asterisk passes through this address (a container, NAT or several networks), add it to RTP_MEDIA_ADDRESSES";
    RtpAddressRefused { address: String } => Rtp Failure,
        "Asterisk pide el audio en {address}, que no es una de sus direcciones conocidas: las llamadas no envían nada allí",
        "Asterisk asks for the audio at {address}, which is none of its known addresses: calls send nothing there",
        "Si es una dirección de Asterisk (contenedor, NAT o varias redes), agréguela a RTP_MEDIA_ADDRESSES",
        "If it is an address of Asterisk's (a container, NAT or several networks), add it to RTP_MEDIA_ADDRESSES";
    RtpNotOurs { local: String, cause: Detail, instead: InBrackets } => Rtp Failure,
        "LOCAL_IP_ADDRESS={local} no es una dirección de este equipo: {cause}",
        "LOCAL_IP_ADDRESS={local} is not an address of this machine: {cause}",
        "Ponga la dirección de este equipo a la que llega Asterisk{instead}; las muestra: ip addr",
        "Set the address of this machine that Asterisk reaches{instead}; see: ip addr";
    RtpNoPort { ports: String } => Rtp Failure,
        "Todos los puertos de RTP_PORTS ({ports}) están ocupados",
        "All ports of RTP_PORTS ({ports}) are taken",
        "Amplíe RTP_PORTS; ss -nlpu dice quién los ocupa",
        "Widen RTP_PORTS; ss -nlpu tells who holds them";
    RtpNoEvents { cause: Detail } => Rtp Failure,
        "El WebSocket de eventos de ARI no se abre: {cause}",
        "The WebSocket of ARI's events does not open: {cause}",
        "Cargue res_http_websocket.so y res_ari_events.so; un proxy delante de Asterisk debe admitir WebSocket",
        "Load res_http_websocket.so and res_ari_events.so; a proxy in front of Asterisk must allow WebSocket";
    RtpUnregistered => Rtp Failure,
        "Asterisk abre el WebSocket de eventos, pero no registra la aplicación",
        "Asterisk opens the WebSocket of events, but does not register the application",
        "Repita; si sigue igual, reinicie Asterisk",
        "Try again; if nothing changes, restart Asterisk";
    RtpRefused { step: &'static str, status: u16, message: Detail } => Rtp Failure,
        "Asterisk rechaza {step} (HTTP {status}): {message}",
        "Asterisk refuses {step} (HTTP {status}): {message}",
        "403: ponga read_only = no en ari.conf. Si no: cargue los módulos que falten (chan_rtp.so, res_rtp_asterisk.so) y vea el log de Asterisk",
        "403: set read_only = no in ari.conf. Otherwise: load the modules that are missing (chan_rtp.so, res_rtp_asterisk.so) and see Asterisk's log";
    RtpStalled { step: &'static str } => Rtp Failure,
        "Asterisk no terminó a tiempo: {step}",
        "Asterisk did not finish in time: {step}",
        "Vea la carga y el log de Asterisk, y repita",
        "Check Asterisk's load and log, and try again";
    RtpLeft { address: String, names: String } => Rtp Warning,
        "No se pudo borrar en Asterisk ({address}) lo creado para la prueba: {names}",
        "What was made in Asterisk ({address}) for the test could not be deleted: {names}",
        "Bórrelo cuando Asterisk responda: curl -u USUARIO -X DELETE http://{address}/ari/channels/ID (o /bridges/ID)",
        "Delete it when Asterisk answers: curl -u USER -X DELETE http://{address}/ari/channels/ID (or /bridges/ID)";

    // ── the Realtime server ──────────────────────────────────────────────────────────────────────────────
    KeyUnchecked => Key Note,
        "OpenAI no se ha comprobado: faltan variables, o no son válidas",
        "OpenAI was not checked: variables are missing or wrong";
    KeyValid { host: String } => Key Ok,
        "{host} acepta la clave",
        "{host} accepts the key";
    KeyRefused { host: String, message: Detail } => Key Failure,
        "{host} rechaza la clave: {message}",
        "{host} refuses the key: {message}",
        "Revise OPENAI_API_KEY (errónea, revocada o de otro proyecto): platform.openai.com/api-keys",
        "Check OPENAI_API_KEY (wrong, revoked or of another project): platform.openai.com/api-keys";
    AccessRefused { notice: Notice } => Key Failure,
        "{notice}",
        "{notice}",
        "La clave se envió; la causa es la que dice esta línea",
        "The key was sent; the cause is the one that this line names";
    KeyWithoutCredit { message: Detail } => Key Failure,
        "La cuenta no tiene saldo: {message}",
        "The account has no credit: {message}",
        "Recargue en platform.openai.com/settings/organization/billing",
        "Add credit at platform.openai.com/settings/organization/billing";
    KeyThrottled { message: Detail } => Key Warning,
        "Demasiadas peticiones con esta clave: {message}",
        "Too many requests with this key: {message}",
        "Espere un minuto y repita; si ocurre con llamadas, pida un límite mayor",
        "Wait a minute and try again; if it happens with calls, ask for a higher limit";
    ServerTroubled { host: String, status: u16, message: Detail } => Key Warning,
        "{host} responde HTTP {status}: {message}",
        "{host} answers HTTP {status}: {message}",
        "Suele resolverse solo: consulte status.openai.com y repita",
        "It usually passes by itself: see status.openai.com and try again";
    ServerUnreachable { host: String, cause: Detail } => Key Failure,
        "No se puede llegar a {host}: {cause}",
        "{host} cannot be reached: {cause}",
        "Revise Internet, DNS y firewall (TCP 443), y OPENAI_REALTIME_URL",
        "Check Internet, DNS and firewall (TCP 443), and OPENAI_REALTIME_URL";
    ModelsUnlisted { host: String } => Model Note,
        "{host} no da una lista de modelos: la sesión muestra si el modelo existe",
        "{host} does not list its models: the session shows whether the model exists";
    ModelLives { model: String } => Model Ok,
        "El modelo {model} existe y no tiene fecha de fin",
        "The model {model} exists and has no end date";
    ModelEndsLater { model: String, date: String } => Model Note,
        "El modelo {model} existe hasta el {date}",
        "The model {model} exists until {date}";
    ModelEnds { variable: &'static str, model: String, date: String, days: i64 } => Model Warning,
        "El modelo {model} se apaga el {date}, dentro de {days} días",
        "The model {model} is shut down on {date}, in {days} days",
        "Cambie {variable} antes de esa fecha",
        "Change {variable} before that date";
    ModelEnded { variable: &'static str, model: String, date: String } => Model Failure,
        "El modelo {model} se apagó el {date}",
        "The model {model} was shut down on {date}",
        "Cambie {variable}",
        "Change {variable}";
    ModelMissing { variable: &'static str, model: String, similar: InBrackets } => Model Failure,
        "El modelo {model} no existe, o la clave no tiene acceso a él",
        "The model {model} does not exist, or the key has no access to it",
        "Cambie {variable}{similar}",
        "Change {variable}{similar}";
    TranscriptionMissing { variable: &'static str, model: String } => Model Warning,
        "El modelo de transcripción {model} no existe, o la clave no tiene acceso a él",
        "The transcription model {model} does not exist, or the key has no access to it",
        "Cambie {variable}, o déjela vacía: no se transcribiría al llamante",
        "Change {variable}, or leave it empty: the caller would not be transcribed";
    SessionOpens { took_ms: u64 } => Session Ok,
        "La sesión se abre en {took_ms} ms y admite todos los ajustes, audio µ-law incluido",
        "The session opens in {took_ms} ms and accepts all settings, µ-law audio included";
    SessionDiffers { paths: Detail } => Session Warning,
        "La sesión se abre, pero el servidor cambia estos ajustes: {paths}",
        "The session opens, but the server changes these settings: {paths}",
        "Revise las variables OPENAI_... que les corresponden",
        "Check the OPENAI_... variables they belong to";
    SessionFormats { paths: Detail } => Session Failure,
        "El servidor no admite audio µ-law (audio/pcmu): quien llama oiría ruido: {paths}",
        "The server does not accept µ-law audio (audio/pcmu): callers would hear noise: {paths}",
        "Revise OPENAI_REALTIME_URL y OPENAI_REALTIME_DIALECT: hace falta un servidor con G.711",
        "Check OPENAI_REALTIME_URL and OPENAI_REALTIME_DIALECT: a server with G.711 is needed";
    SessionRefused { notice: Notice } => Session Failure,
        "{notice}",
        "{notice}",
        "Revise las variables OPENAI_... y la cuenta en platform.openai.com",
        "Check the OPENAI_... variables and the account at platform.openai.com";
    SessionLost { cause: LinkFault } => Session Failure,
        "La sesión no se abre: {cause}",
        "The session does not open: {cause}",
        "Revise Internet, DNS y firewall (TCP 443, WebSocket), y OPENAI_REALTIME_URL",
        "Check Internet, DNS and firewall (TCP 443, WebSocket), and OPENAI_REALTIME_URL";
    SessionUnserved { cause: LinkFault } => Session Failure,
        "El servidor responde, pero no abre la sesión: {cause}",
        "The server answers, but opens no session: {cause}",
        "OpenAI está saturado o limita la cuenta: vea status.openai.com y platform.openai.com/settings/organization/limits, y repita. La red no es la causa",
        "OpenAI is overloaded or limits the account: see status.openai.com and platform.openai.com/settings/organization/limits, and try again. The network is not the cause";
    SessionLate { seconds: u64 } => Session Failure,
        "La sesión no estuvo lista en {seconds} s",
        "The session was not ready within {seconds} s",
        "Revise Internet, DNS y firewall (TCP 443, WebSocket), y OPENAI_REALTIME_URL",
        "Check Internet, DNS and firewall (TCP 443, WebSocket), and OPENAI_REALTIME_URL";
    /// About calls that OpenAI answers by SIP.
    OfSip { finding: SipFinding } => Sip Note,
        "{finding}",
        "{finding}";
    ClockRight => Clock Ok,
        "El reloj de este equipo está en hora",
        "This machine's clock is right";
    ClockAhead { seconds: i64 } => Clock Warning,
        "El reloj de este equipo está {seconds} s adelantado",
        "This machine's clock is {seconds} s fast",
        "Active la sincronización de la hora: timedatectl set-ntp true",
        "Turn on network time: timedatectl set-ntp true";
    ClockBehind { seconds: i64 } => Clock Warning,
        "El reloj de este equipo está {seconds} s atrasado",
        "This machine's clock is {seconds} s slow",
        "Active la sincronización de la hora: timedatectl set-ntp true",
        "Turn on network time: timedatectl set-ntp true";
    ClockUnknown => Clock Note,
        "El reloj no se ha comprobado: ningún servidor dio la hora",
        "The clock was not checked: no server told the time";
}

impl Finding {
    pub(super) const fn check(&self) -> Check {
        match self {
            Self::OfSip { finding } => finding.check(),
            _ => self.kind().0,
        }
    }

    pub(super) const fn status(&self) -> Status {
        match self {
            Self::OfSip { finding } => finding.status(),
            _ => self.kind().1,
        }
    }

    /// The result and, if there is one, the remedy, in this language.
    pub(super) fn words(&self, language: Language) -> (String, Option<String>) {
        match self {
            Self::OfSip { finding } => finding.words(language),
            _ => self.texts(language),
        }
    }
}
