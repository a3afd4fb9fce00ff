//! The findings about calls that OpenAI answers by SIP, with their texts in both languages.

use super::words::{Check, Status};
use crate::operator::lines::lines;
use crate::operator::{Detail, Language, LinkFault, Said};

lines! {
    /// One result of a check of these calls.
    #[derive(Debug, Clone, PartialEq)]
    pub(super) enum SipFinding of Check, Status;

    // ── the webhook on this machine ──────────────────────────────────────────────────────────────────────
    WebhookTakes { address: String } => Webhook Ok,
        "El webhook en {address} acepta un evento firmado",
        "The webhook at {address} takes a signed event";
    WebhookSilent { address: String } => Webhook Note,
        "El webhook no responde en {address}: el servicio no está en marcha, o arrancó sin OPENAI_WEBHOOK_SECRET",
        "The webhook does not answer at {address}: the daemon is not running, or was started without OPENAI_WEBHOOK_SECRET";
    WebhookRefuses { address: String, status: u16 } => Webhook Failure,
        "El webhook en {address} rechaza un evento firmado con OPENAI_WEBHOOK_SECRET (HTTP {status})",
        "The webhook at {address} refuses an event that is signed with OPENAI_WEBHOOK_SECRET (HTTP {status})",
        "Reinicie el servicio si cambió OPENAI_WEBHOOK_SECRET o WEBHOOK_PATH; si no, responde otro programa (ss -nlpt)",
        "Restart the daemon if OPENAI_WEBHOOK_SECRET or WEBHOOK_PATH has changed; otherwise another program answers (ss -nlpt)";

    // ── its public address ───────────────────────────────────────────────────────────────────────────────
    PublicUnchecked => WebhookPublic Note,
        "No se ha comprobado que OpenAI alcance el webhook: con WEBHOOK_PUBLIC_URL se prueba su dirección pública; en platform.openai.com hay un botón de prueba",
        "Whether OpenAI reaches the webhook was not checked: with WEBHOOK_PUBLIC_URL its public address is tried; platform.openai.com has a test button";
    PublicTakes { url: String } => WebhookPublic Ok,
        "{url} acepta un evento firmado y rechaza uno sin firma",
        "{url} takes a signed event and refuses one without a signature";
    PublicRefuses { url: String, status: u16 } => WebhookPublic Failure,
        "{url} no acepta un evento firmado (HTTP {status}; OpenAI espera 200)",
        "{url} does not take a signed event (HTTP {status}; OpenAI expects 200)",
        "Que el proxy inverso reenvíe esta ruta a WEBHOOK_LISTEN y WEBHOOK_PATH sin cambiar el cuerpo ni redirigir, y que el servicio esté en marcha",
        "Let the reverse proxy forward this path to WEBHOOK_LISTEN and WEBHOOK_PATH without a change of the body or a redirection, and let the daemon run";
    PublicTakesAll { url: String, status: u16 } => WebhookPublic Failure,
        "{url} no rechaza un evento sin firma (HTTP {status} en vez de 400): responde otro programa, y los webhooks de OpenAI se pierden",
        "{url} does not refuse an event without a signature (HTTP {status} instead of 400): another program answers, and OpenAI's webhooks are lost",
        "Que el proxy inverso reenvíe esta ruta a WEBHOOK_LISTEN y WEBHOOK_PATH, en vez de responder él mismo",
        "Let the reverse proxy forward this path to WEBHOOK_LISTEN and WEBHOOK_PATH instead of answering by itself";
    PublicUnreachable { url: String, cause: Detail } => WebhookPublic Failure,
        "No se alcanza {url}: {cause}",
        "{url} is not reached: {cause}",
        "Revise DNS, certificado, firewall y proxy inverso. Si el router no deja llegar desde dentro a la dirección pública, pruebe desde fuera",
        "Check DNS, certificate, firewall and reverse proxy. If the router does not let the public address be reached from inside, try from outside";

    // ── OpenAI ───────────────────────────────────────────────────────────────────────────────────────────
    SipAnswers => Sip Ok,
        "OpenAI admite con esta clave peticiones sobre llamadas SIP",
        "OpenAI admits requests about SIP calls with this key";
    SipRefused { cause: LinkFault } => Sip Failure,
        "OpenAI rechaza peticiones sobre llamadas SIP: {cause}",
        "OpenAI refuses requests about SIP calls: {cause}",
        "La clave debe ser del proyecto que tiene el webhook; revise OPENAI_API_KEY, OPENAI_PROJECT y OPENAI_CALLS_URL",
        "The key must belong to the project that has the webhook; check OPENAI_API_KEY, OPENAI_PROJECT and OPENAI_CALLS_URL";
    SipUnreachable { cause: LinkFault } => Sip Failure,
        "No se alcanza el servidor de las llamadas SIP: {cause}",
        "The server of SIP calls is not reached: {cause}",
        "Revise Internet, DNS y firewall (TCP 443), y OPENAI_CALLS_URL",
        "Check Internet, DNS and firewall (TCP 443), and OPENAI_CALLS_URL";
    HostTrusted { host: String } => SipHost Ok,
        "{host} habla TLS y su certificado es de confianza",
        "{host} speaks TLS, and its certificate is trusted";
    HostUntrusted { host: String, cause: Detail } => SipHost Failure,
        "No se acepta el certificado TLS de {host}: {cause}",
        "The TLS certificate of {host} is not trusted: {cause}",
        "Revise OPENAI_SIP_HOST, el reloj y el almacén de certificados (ca-certificates, SSL_CERT_FILE); la troncal debe confiar en las mismas autoridades",
        "Check OPENAI_SIP_HOST, the clock and the trust store (ca-certificates, SSL_CERT_FILE); the trunk must trust the same authorities";
    HostUnreachable { host: String, cause: Detail } => SipHost Warning,
        "No se alcanza {host} por TLS desde este equipo: {cause}",
        "{host} is not reached by TLS from this machine: {cause}",
        "Revise DNS y firewall (TCP 5061) en este equipo si Asterisk está en él, y donde esté la troncal",
        "Check DNS and firewall (TCP 5061) on this machine if Asterisk is on it, and where the trunk is";
    Firewall => SipHost Note,
        "El sonido va directo entre la troncal y OpenAI: allí el firewall debe dejar pasar TCP 5061, y UDP con 13.79.45.80/28, 23.98.140.64/28, 40.67.149.176/28 y 40.83.204.240/28",
        "The sound goes directly between the trunk and OpenAI: the firewall there must let TCP 5061 pass, and UDP from and to 13.79.45.80/28, 23.98.140.64/28, 40.67.149.176/28 and 40.83.204.240/28";

    // ── Asterisk, if it calls OpenAI ─────────────────────────────────────────────────────────────────────
    EndpointThere { endpoint: String } => SipEndpoint Ok,
        "Asterisk tiene el endpoint PJSIP {endpoint}",
        "Asterisk has the PJSIP endpoint {endpoint}";
    EndpointOffline { endpoint: String } => SipEndpoint Warning,
        "Asterisk tiene el endpoint PJSIP {endpoint}, pero no alcanza su contacto",
        "Asterisk has the PJSIP endpoint {endpoint}, but does not reach its contact",
        "Revise aors y contact del endpoint en pjsip.conf (pjsip show endpoint), y ponga qualify_frequency=0",
        "Check aors and contact of the endpoint in pjsip.conf (pjsip show endpoint), and set qualify_frequency=0";
    EndpointMissing { endpoint: String } => SipEndpoint Failure,
        "Asterisk no tiene el endpoint PJSIP {endpoint}",
        "Asterisk has no PJSIP endpoint {endpoint}",
        "Defina el endpoint en pjsip.conf y recargue (pjsip reload), o corrija OPENAI_SIP_ENDPOINT. El primer transporte TLS exige reiniciar Asterisk: pjsip show transports debe mostrarlo",
        "Define the endpoint in pjsip.conf and reload (pjsip reload), or correct OPENAI_SIP_ENDPOINT. The first TLS transport needs a restart of Asterisk: pjsip show transports must list it";
    SipModulesMissing { names: String } => SipEndpoint Failure,
        "Faltan módulos de Asterisk sin los cuales no puede llamar a OpenAI: {names}",
        "Asterisk modules are missing without which it cannot call OpenAI: {names}",
        "Quite sus noload de modules.conf y cárguelos: asterisk -rx 'module load NOMBRE'; si no existen, instale el paquete de Asterisk que los trae",
        "Remove their noload from modules.conf and load them: asterisk -rx 'module load NAME'; if they do not exist, install the package of Asterisk that has them";
    EndpointUnknown { endpoint: String, cause: Detail } => SipEndpoint Note,
        "No se ha comprobado el endpoint PJSIP {endpoint}: {cause}",
        "The PJSIP endpoint {endpoint} was not checked: {cause}";
}

impl SipFinding {
    pub(super) const fn check(&self) -> Check {
        self.kind().0
    }

    pub(super) const fn status(&self) -> Status {
        self.kind().1
    }

    /// The result and, if there is one, the remedy, in this language.
    pub(super) fn words(&self, language: Language) -> (String, Option<String>) {
        self.texts(language)
    }
}

impl Said for SipFinding {
    fn said(&self, language: Language) -> String {
        self.words(language).0
    }
}
