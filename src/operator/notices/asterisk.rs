//! The lines about Asterisk: the connection to it, and the requests it refuses.

macro_rules! of_asterisk {
    ($next:ident $($then:ident)* { $($before:tt)* }) => { $next! { $($then)* { $($before)*
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
        "Sin conexión con Asterisk durante {seconds} s - Llamadas que continúan: {kept} - Llamadas terminadas entretanto: {ended}",
        "Without a connection to Asterisk for {seconds} s - Calls that go on: {kept} - Calls that ended meanwhile: {ended}";
    /// The same, and Asterisk has been started anew: all its calls are lost.
    AsteriskRestarted { seconds: u64, ended: usize } => Warn,
        "Asterisk se reinició y estuvo ausente {seconds} s - Llamadas perdidas: {ended}",
        "Asterisk was restarted and was away for {seconds} s - Calls lost: {ended}";
    /// A connection that stood is lost; it is made again.
    AriBroken { address: String, cause: Detail } => Error,
        "Se perdió la conexión con Asterisk en {address}: {cause}. Se conecta de nuevo; las llamadas en curso continúan",
        "The connection with Asterisk at {address} was lost: {cause}. Connecting again; calls in progress go on";
    /// Something answers at `address` (host:port) that is not ARI.
    AriAbsent { address: String, status: u16 } => Error,
        "En {address} responde HTTP {status} en lugar de ARI: ponga enabled = yes en ari.conf, deje vacío prefix en http.conf y cargue res_ari_events.so. Se sigue intentando",
        "{address} answers with HTTP {status} instead of ARI: set enabled = yes in ari.conf, leave prefix empty in http.conf and load res_ari_events.so. Still trying";
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
        "Otro programa ha tomado la aplicación ARI {app} y recibe ahora las llamadas: deténgalo, y este servicio vuelve a recibirlas; o use otro nombre en ASTERISK_APP y en Stasis(), y reinicie este servicio",
        "Another program has taken the ARI application {app} and receives the calls now: stop it, and this daemon receives them again; or use another name in ASTERISK_APP and in Stasis(), and restart this daemon";
    /// The program that had the application `app` has ended: the daemon connects again.
    AriReturning { app: String } => Info,
        "El otro programa ya no tiene la aplicación ARI {app}: se conecta de nuevo",
        "The other program no longer has the ARI application {app}: connecting again";
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
        "The caller is still in Stasis(), in silence: the daemon tries to return them to the dialplan as long as their channel exists";
    } } };
}
