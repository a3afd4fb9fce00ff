//! Every variable of the daemon: name, default and meaning. The parser takes its defaults from this table.
//! `.env.example`, `src/docs/variables.md` and the tables of the READMEs are printed from it, so that none of them can
//! differ from the others.
//!
//! This table does not say which values are permitted. The parser in `assemble` does.

use std::fmt::Write;

use crate::operator::Language;

/// One environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name, in upper case.
    pub name: &'static str,
    /// The value of a variable that is not set. For a required variable: the example in `.env.example`, or nothing if
    /// only the operator knows the value.
    pub default: &'static str,
    /// Whether the daemon needs this variable to start.
    pub required: bool,
    /// Whether the value is secret and never shown.
    pub secret: bool,
    /// The explanation in English, in one line.
    pub meaning_en: &'static str,
    /// The explanation in Spanish, in one line.
    pub meaning_es: &'static str,
}

impl Variable {
    /// The explanation in the given language.
    #[must_use]
    pub const fn meaning(&self, language: Language) -> &'static str {
        language.choose(self.meaning_es, self.meaning_en)
    }
}

/// The optional variables that most people change at some time, in the order of the READMEs, which show only these.
pub const USUAL: [&str; 10] = [
    "ASSISTANT_INSTRUCTIONS_FILE",
    "ASSISTANT_GREETING",
    "RECORDING_NOTICE",
    "OPENAI_REALTIME_MODEL",
    "OPENAI_VOICE",
    "OPENAI_TRANSCRIPTION_LANGUAGE",
    "TRANSFER_DESTINATIONS",
    "MAX_DAY_COST",
    "RECORDING_RETENTION_DAYS",
    "RTP_PORTS",
];

const fn required(
    name: &'static str,
    example: &'static str,
    spanish: &'static str,
    english: &'static str,
) -> Variable {
    Variable {
        name,
        default: example,
        required: true,
        secret: false,
        meaning_en: english,
        meaning_es: spanish,
    }
}

const fn secret(name: &'static str, spanish: &'static str, english: &'static str) -> Variable {
    Variable { name, default: "", required: true, secret: true, meaning_en: english, meaning_es: spanish }
}

const fn optional(
    name: &'static str,
    default: &'static str,
    spanish: &'static str,
    english: &'static str,
) -> Variable {
    Variable { name, default, required: false, secret: false, meaning_en: english, meaning_es: spanish }
}

/// All variables in the order of `.env.example`: required ones first, then by subject.
#[rustfmt::skip]
pub const VARIABLES: &[Variable] = &[
    required("ASTERISK_USERNAME", "Asterisk",
        "Usuario de ARI, como en ari.conf",
        "ARI user, as in ari.conf"),
    secret("ASTERISK_PASSWORD",
        "Contraseña de ARI, como en ari.conf",
        "ARI password, as in ari.conf"),
    required("ASTERISK_HOST", "localhost",
        "Equipo donde corre Asterisk: nombre o dirección IP",
        "Machine on which Asterisk runs: name or IP address"),
    required("ASTERISK_PORT", "8088",
        "Puerto HTTP de Asterisk (bindport o tlsbindport de http.conf)",
        "HTTP port of Asterisk (bindport or tlsbindport of http.conf)"),
    secret("OPENAI_API_KEY",
        "Clave de la API de OpenAI",
        "OpenAI API key"),
    required("LOCAL_IP_ADDRESS", "",
        "Dirección IP de este equipo a la que Asterisk envía el audio RTP",
        "IP address of this machine to which Asterisk sends the RTP audio"),
    required("LOG_FILE_PATH", "/var/log/asterisk/inbound_openai.log",
        "Archivo de log; la carpeta se crea si falta",
        "Log file; its folder is created if missing"),

    optional("ASTERISK_SCHEME", "http",
        "http o https, según el puerto de Asterisk",
        "http or https, as the port of Asterisk speaks"),
    optional("ASTERISK_APP", "openai-app",
        "Nombre de la aplicación en Stasis(...) del dialplan",
        "Name of the application in the dialplan's Stasis(...)"),
    optional("RTP_PORTS", "10000-20000",
        "Puertos UDP para el audio; se usan los pares, uno por llamada",
        "UDP ports for the audio; the even ones are used, one per call"),
    optional("RTP_SOURCE", "learn",
        "learn: si el audio no llega de donde dice Asterisk (NAT, contenedor), se aprende su origen; strict: no",
        "learn: if audio does not come from where Asterisk says (NAT, container), its source is learned; strict: not"),
    optional("RTP_ADVERTISED_ADDRESS", "",
        "Dirección IP a la que Asterisk envía el audio, si no es LOCAL_IP_ADDRESS (contenedor, NAT); vacío: esa",
        "IP address to which Asterisk sends the audio, if not LOCAL_IP_ADDRESS (container, NAT); empty: that one"),
    optional("RTP_MEDIA_ADDRESSES", "",
        "Direcciones o redes, además de las de ASTERISK_HOST, de donde viene y adonde va el audio: 172.17.0.0/16",
        "Addresses or networks, beside those of ASTERISK_HOST, that audio may come from and go to: 172.17.0.0/16"),
    optional("LOG_LANGUAGE", "es",
        "Idioma de las líneas del log: es o en",
        "Language of the log lines: es or en"),
    optional("LOG_LEVEL", "info",
        "Detalle técnico del log: off, error, warn, info, debug, trace o un filtro de tracing",
        "Technical detail in the log: off, error, warn, info, debug, trace or a tracing filter"),
    optional("SHUTDOWN_GRACE_SECONDS", "20",
        "Segundos que tienen las llamadas en curso para terminar al detener el servicio (0-3600)",
        "Seconds that calls in progress have to finish when the daemon stops (0-3600)"),
    optional("UPLINK_FRAMES_PER_APPEND", "1",
        "Tramas de 20 ms por mensaje a OpenAI (1-5): más ahorra CPU y añade latencia",
        "Frames of 20 ms per message to OpenAI (1-5): more saves CPU and adds latency"),

    optional("OPENAI_REALTIME_URL", "wss://api.openai.com/v1/realtime",
        "Servidor Realtime; cámbielo solo para uno compatible",
        "Realtime server; change it only for a compatible one"),
    optional("OPENAI_REALTIME_MODEL", "gpt-realtime-2.1",
        "Modelo de voz; gpt-realtime-2.1-mini es más barato",
        "Speech model; gpt-realtime-2.1-mini is cheaper"),
    optional("OPENAI_REALTIME_DIALECT", "ga",
        "ga, o beta para servidores compatibles antiguos",
        "ga, or beta for old compatible servers"),
    optional("OPENAI_ORGANIZATION", "",
        "Organización de OpenAI (org_...), si la clave tiene varias",
        "OpenAI organization (org_...), if the key has several"),
    optional("OPENAI_PROJECT", "",
        "Proyecto de OpenAI (proj_...), si la clave tiene varios",
        "OpenAI project (proj_...), if the key has several"),
    optional("OPENAI_VOICE", "marin",
        "Voz del asistente: marin, cedar, alloy, ash, ballad, coral, echo, sage, shimmer, verse (con beta: alloy)",
        "The assistant's voice: marin, cedar, alloy, ash, ballad, coral, echo, sage, shimmer, verse (with beta: alloy)"),
    optional("OPENAI_SPEED", "1.0",
        "Velocidad de la voz (0.25-1.5)",
        "Speed of the voice (0.25-1.5)"),
    optional("OPENAI_REASONING_EFFORT", "none",
        "none (lo decide el modelo), minimal, low, medium, high o xhigh; solo modelos gpt-realtime-2",
        "none (the model decides), minimal, low, medium, high or xhigh; gpt-realtime-2 models only"),
    optional("OPENAI_MAX_OUTPUT_TOKENS", "inf",
        "Longitud máxima de una respuesta en tokens (1-4096), o inf",
        "Longest answer in tokens (1-4096), or inf"),
    optional("OPENAI_TRUNCATION", "auto",
        "Qué olvida el modelo en llamadas largas: auto (lo que no cabe), disabled (nada) o retention_ratio (más barato)",
        "What the model forgets in long calls: auto (what does not fit), disabled (nothing) or retention_ratio (cheaper)"),
    optional("OPENAI_TRUNCATION_RETENTION_RATIO", "0.8",
        "Con retention_ratio: parte de la conversación que se conserva al olvidar (0-1)",
        "With retention_ratio: part of the conversation that stays when the model forgets (0-1)"),
    optional("OPENAI_TRUNCATION_POST_INSTRUCTIONS_TOKENS", "inf",
        "Con retention_ratio: tokens de conversación desde los que olvida (1-128000), o inf (los del modelo)",
        "With retention_ratio: tokens of conversation from which it forgets (1-128000), or inf (the model's)"),
    optional("OPENAI_PARALLEL_TOOL_CALLS", "none",
        "Varias herramientas a la vez: none (lo decide el modelo), true o false; solo modelos gpt-realtime-2",
        "Several tools at once: none (the model decides), true or false; gpt-realtime-2 models only"),

    optional("ASSISTANT_INSTRUCTIONS_FILE", "",
        "Archivo de texto con las instrucciones del asistente; vacío: unas breves en español",
        "Text file with the assistant's instructions; empty: a short built-in Spanish text"),
    optional("AGENTS_DIR", "",
        "Carpeta con más asistentes: NOMBRE.toml, y NOMBRE.md con sus instrucciones; vacío: solo el de estas variables",
        "Folder with more assistants: NAME.toml, and NAME.md with its instructions; empty: only that of these variables"),
    optional("ASSISTANT_GREETING", "Hola, gracias por llamar. ¿En qué puedo ayudarle?",
        "Saludo con que el asistente empieza; vacío: espera a que hable el llamante",
        "Greeting with which the assistant starts; empty: it waits for the caller to speak"),
    optional("RECORDING_NOTICE", "",
        "Aviso de grabación que se dice antes del saludo y no se puede interrumpir; vacío: ninguno",
        "Recording notice, said before the greeting and not interruptible; empty: none"),

    optional("MAX_CALLS", "0",
        "Llamadas simultáneas (1-20000); las demás siguen en el dialplan; 0: según puertos, memoria y núcleos",
        "Calls at once (1-20000); others go on in the dialplan; 0: as ports, memory and cores allow"),
    optional("MAX_CALLS_PER_CALLER_HOUR", "0",
        "Llamadas por hora desde un mismo número (1-1000); las demás siguen en el dialplan; 0: sin límite",
        "Calls in an hour from the same number (1-1000); others go on in the dialplan; 0: no limit"),
    optional("MAX_FRAME_LATENESS_MS", "20",
        "Con el procesador saturado y el 1 % de las tramas tantos ms tarde (2-1000), no se admiten llamadas; 0: nunca",
        "While the processor is saturated and 1 % of the frames are so many ms late (2-1000), no calls are taken; 0: never"),
    optional("MAX_CALL_SECONDS", "3600",
        "Duración máxima de una llamada en segundos (10-86400); 0: sin límite",
        "Longest call in seconds (10-86400); 0: no limit"),
    optional("CALLER_SILENCE_SECONDS", "30",
        "Segundos sin que nadie hable hasta preguntar si sigue ahí, y luego hasta colgar (5-3600); 0: nunca",
        "Seconds of nobody speaking until the caller is asked, and then until hanging up (5-3600); 0: never"),
    optional("NO_AUDIO_SECONDS", "60",
        "Segundos sin audio (RTP) del llamante hasta terminar la llamada (5-3600); 0: nunca",
        "Seconds without audio (RTP) from the caller until the call ends (5-3600); 0: never"),
    optional("MAX_CALL_TOKENS", "0",
        "Tokens que puede gastar una llamada; después sigue en el dialplan; 0: sin límite",
        "Tokens one call may spend; then it goes on in the dialplan; 0: no limit"),
    optional("MAX_CALL_COST", "0",
        "USD que puede costar una llamada (0.01-1000); después sigue en el dialplan; 0: sin límite",
        "USD one call may cost (0.01-1000); then it goes on in the dialplan; 0: no limit"),
    optional("MAX_DAY_COST", "0",
        "USD que pueden costar las llamadas de un día (0.01-100000); las nuevas siguen en el dialplan; 0: sin límite",
        "USD the calls of a day may cost (0.01-100000); new ones go on in the dialplan; 0: no limit"),
    optional("PRICES_FILE", "",
        "Archivo TOML con los precios de los modelos; vacío: los incluidos, de OpenAI",
        "TOML file with the prices of models; empty: the built-in ones, OpenAI's"),
    optional("ASSISTANT_MAY_HANG_UP", "true",
        "true: el asistente puede colgar tras despedirse; false: no",
        "true: the assistant may hang up after saying goodbye; false: not"),
    optional("ASSISTANT_HEARS_KEYS", "true",
        "true: el asistente sabe qué teclas presiona el llamante; false: no",
        "true: the assistant is told which keys the caller presses; false: not"),
    optional("TRANSFER_DESTINATIONS", "",
        "A quién puede transferir el asistente: ventas:from-internal,200,1;soporte:from-internal,300,1",
        "Whom the assistant may transfer to: sales:from-internal,200,1;support:from-internal,300,1"),
    optional("APOLOGY_FILE", "",
        "Disculpa que oye quien no puede ser atendido: audio .ulaw de Asterisk, hasta 20 s; vacío: una breve; none: ninguna",
        "Apology that callers hear who cannot be served: .ulaw audio of Asterisk, up to 20 s; empty: a short one; none: none"),
    optional("FALLBACK_CONTEXT", "",
        "Contexto del dialplan al que va quien no puede ser atendido; vacío: el paso siguiente al de Stasis()",
        "Dialplan context for callers who cannot be served; empty: the step after Stasis()"),
    optional("FALLBACK_EXTEN", "s",
        "Extensión de FALLBACK_CONTEXT, en su prioridad 1",
        "Extension in FALLBACK_CONTEXT, at its priority 1"),

    optional("RECORDINGS_DIR", "recordings",
        "Carpeta de las grabaciones; se crea si falta",
        "Folder of the recordings; created if missing"),
    optional("RECORD", "audio,transcript,events",
        "Qué se guarda de cada llamada: audio, transcript (palabras), events y, si se pide, keys (qué teclas); none: nada",
        "What is kept of each call: audio, transcript (words), events and, if asked for, keys (which keys); none: nothing"),
    optional("RECORDING_RETENTION_DAYS", "",
        "Días que se conservan las grabaciones (1-36500); vacío: para siempre",
        "Days for which recordings are kept (1-36500); empty: for ever"),
    optional("RECORDINGS_RECIPIENT", "",
        "Clave pública de age (age1...) para la que se cifra todo lo grabado; vacío: sin cifrar",
        "Public key of age (age1...) for which everything recorded is encrypted; empty: not encrypted"),
    optional("RECORDINGS_IDENTITY_FILE", "",
        "Archivo con la clave secreta de age, para que la API lea grabaciones cifradas; vacío: no las lee",
        "File with the secret key of age, so that the API reads encrypted recordings; empty: it does not"),
    optional("COUNTRY_CODE", "",
        "Código del país de la línea, para reconocer números como estén escritos; vacío: deciden los últimos nueve dígitos",
        "Country code of the line, to know a number however it is written; empty: the last nine digits decide"),
    Variable {
        name: "DATABASE_URL",
        default: "",
        required: false,
        secret: true,
        meaning_es: "Registro de llamadas: sqlite:RUTA o mysql://USUARIO:CLAVE@EQUIPO/BASE; vacío: calls.db con las grabaciones",
        meaning_en: "Call log: sqlite:PATH or mysql://USER:PASSWORD@HOST/DATABASE; empty: calls.db beside the recordings",
    },
    optional("API_LISTEN", "127.0.0.1:5001",
        "Dirección y puerto de la API; si no es de este equipo solo (127.0.0.1), requiere API_TOKEN",
        "Address and port of the API; other than on this machine alone (127.0.0.1) it requires API_TOKEN"),
    Variable {
        name: "API_TOKEN",
        default: "",
        required: false,
        secret: true,
        meaning_es: "Tokens de la API, con comas: SECRETO da acceso completo, reader:SECRETO solo lectura, reader/ana:SECRETO con nombre",
        meaning_en: "Tokens of the API, with commas: SECRET opens everything, reader:SECRET reading, reader/ana:SECRET with a name",
    },
    optional("API_GROUP", "",
        "Sin API_TOKEN: grupo de este equipo que puede usar la API, además de root y el servicio; vacío: el del servicio",
        "Without API_TOKEN: group of this machine that may use the API, besides root and the daemon; empty: the daemon's"),
    optional("API_TRUSTED_PROXIES", "",
        "Proxies inversos (IP o redes, con comas) cuyo X-Forwarded-For o Forwarded dice quién pregunta; vacío: ninguno",
        "Reverse proxies (IPs or networks, with commas) whose X-Forwarded-For or Forwarded says who asks; empty: none"),

    Variable {
        name: "OPENAI_WEBHOOK_SECRET",
        default: "",
        required: false,
        secret: true,
        meaning_es: "Secretos (whsec_..., con comas) del webhook de OpenAI para llamadas SIP; vacío: no se atienden",
        meaning_en: "Secrets (whsec_..., with commas) of OpenAI's webhook for SIP calls; empty: none are taken",
    },
    Variable {
        name: "SIP_SHARED_HEADER",
        default: "",
        required: false,
        secret: true,
        meaning_es: "Cabecera que solo la troncal agrega a sus llamadas SIP: X-Trunk-Key: VALOR; none: cualquiera llama",
        meaning_en: "Header that only the trunk adds to its SIP calls: X-Trunk-Key: VALUE; none: anybody may call",
    },
    optional("SIP_REFER_HOST", "",
        "Equipo de las extensiones a las que se transfieren llamadas SIP (REFER sip:EXTENSIÓN@EQUIPO); vacío: a ninguna",
        "Host of the extensions to which SIP calls are transferred (REFER sip:EXTENSION@HOST); empty: to none"),
    optional("CALL_ROUTE", "media",
        "Por dónde va el sonido de las llamadas de Asterisk: media (por este servicio) o sip (Asterisk llama a OpenAI)",
        "Which way the sound of Asterisk's calls goes: media (through this daemon) or sip (Asterisk calls OpenAI)"),
    optional("OPENAI_SIP_ENDPOINT", "",
        "Endpoint PJSIP por el que Asterisk llama a OpenAI con CALL_ROUTE=sip; vacío: no llama",
        "PJSIP endpoint by which Asterisk calls OpenAI with CALL_ROUTE=sip; empty: it does not call"),
    optional("WEBHOOK_LISTEN", "127.0.0.1:5002",
        "Dirección y puerto del webhook, detrás de un proxy inverso con TLS",
        "Address and port of the webhook, behind a reverse proxy with TLS"),
    optional("WEBHOOK_PATH", "/webhook",
        "Ruta del webhook",
        "Path of the webhook"),
    optional("WEBHOOK_PUBLIC_URL", "",
        "Dirección pública del webhook, que «doctor» prueba; vacío: no se prueba",
        "Public address of the webhook, which \"doctor\" tries; empty: it is not tried"),
    optional("OPENAI_SIP_HOST", "sip.api.openai.com:5061",
        "Equipo y puerto al que la troncal llama por TLS, que «doctor» prueba; en la UE sip-eu.api.openai.com:5061",
        "Host and port that the trunk calls by TLS, which \"doctor\" tries; in the EU sip-eu.api.openai.com:5061"),
    optional("OPENAI_CALLS_URL", "https://api.openai.com/v1/realtime/calls",
        "Servidor de las llamadas SIP; cámbielo solo para uno compatible",
        "Server of the SIP calls; change it only for a compatible one"),

    optional("OPENAI_TRANSCRIPTION_MODEL", "gpt-transcribe",
        "Modelo que transcribe al llamante; vacío o none: sin transcripción",
        "Model that transcribes the caller; empty or none: no transcription"),
    optional("OPENAI_TRANSCRIPTION_LANGUAGE", "es",
        "Idioma del llamante para la transcripción; vacío: automático",
        "The caller's language for the transcription; empty: automatic"),
    optional("OPENAI_TRANSCRIPTION_KEYWORDS", "",
        "Nombres y palabras que el llamante puede decir, con comas (productos, personas); vacío: ninguno",
        "Names and words that the caller may say, with commas (products, people); empty: none"),
    optional("OPENAI_TRANSCRIPTION_PROMPT", "",
        "De qué tratan las llamadas, para transcribirlas mejor; vacío: nada",
        "What the calls are about, for a better transcription; empty: nothing"),
    optional("OPENAI_NOISE_REDUCTION", "none",
        "Reducción de ruido: none, near_field (auricular) o far_field (manos libres)",
        "Noise reduction: none, near_field (handset) or far_field (speakerphone)"),
    optional("OPENAI_VAD", "server",
        "Cómo se nota que el llamante ha terminado: server (por silencio) o semantic (por sentido)",
        "How the end of the caller's turn is noticed: server (by silence) or semantic (by meaning)"),
    optional("OPENAI_VAD_THRESHOLD", "0.5",
        "Con server: sensibilidad (0-1); más alto para líneas ruidosas",
        "With server: threshold (0-1); higher for noisy lines"),
    optional("OPENAI_VAD_PREFIX_PADDING_MS", "300",
        "Con server: milisegundos de audio que se conservan antes de la voz (0-5000)",
        "With server: milliseconds of audio kept before the voice (0-5000)"),
    optional("OPENAI_VAD_SILENCE_MS", "500",
        "Con server: milisegundos de silencio que terminan el turno (0-10000)",
        "With server: milliseconds of silence that end the turn (0-10000)"),
    optional("OPENAI_VAD_EAGERNESS", "auto",
        "Con semantic: prisa por responder: low, medium, high o auto",
        "With semantic: eagerness to answer: low, medium, high or auto"),
    optional("OPENAI_VAD_INTERRUPT", "true",
        "true: el llamante puede interrumpir al asistente; false: no",
        "true: the caller can interrupt the assistant; false: not"),
];

/// The row of the variable `name`, if the daemon knows it.
pub(super) fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// The text of `.env.example`. Required variables must be filled in; optional ones are commented out and show their
/// defaults.
#[must_use]
pub fn env_example() -> String {
    let mut text = String::from(
        "# Configuración de openai-inbound-calls. Copie este archivo como .env y complete las variables requeridas.\n\
         # Una variable del proceso (systemd, shell) prevalece sobre este archivo. Cada valor ocupa una sola línea.\n\
         # Ponga entre comillas simples los valores con espacios, comillas, # o $.\n\
         # «openai-inbound-calls config» muestra el valor en vigor de cada variable. (English: src/docs/variables.md.)\n\
         \n\
         # --- Requeridas ---\n",
    );
    let mut optional = false;
    for variable in VARIABLES {
        if !variable.required && !optional {
            optional = true;
            text.push_str("\n# --- Opcionales, con su valor por defecto: quite el # para cambiarlas ---\n");
        }
        let mark = if variable.required { "" } else { "#" };
        let quote = if variable.default.contains(' ') { "'" } else { "" };
        writeln!(
            text,
            "\n# {}\n{mark}{}={quote}{}{quote}",
            variable.meaning_es, variable.name, variable.default
        )
        .expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_env_example_is_printed_from_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, env_example()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert_eq!(committed, env_example(), "renew it: BLESS=1 cargo test env_example");
    }

    #[test]
    fn names_are_unique_and_explanations_fit_in_one_line() {
        let mut names: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), VARIABLES.len());
        for variable in VARIABLES {
            for meaning in [variable.meaning_en, variable.meaning_es] {
                assert!(!meaning.contains('\n') && meaning.chars().count() <= 115, "{meaning}");
            }
        }
    }
}
