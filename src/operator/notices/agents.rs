//! The lines about agents: their files, and what the commands about them answer.

macro_rules! of_agents {
    ($next:ident $($then:ident)* { $($before:tt)* }) => { $next! { $($then)* { $($before)*
    // ── the files ────────────────────────────────────────────────────────────────────────────────────────
    /// Something is wrong in a file of an agent; `place` is the path, with line and column if there are any.
    AgentFileWrong { place: String, fault: AgentFault } => Error,
        "Archivo de agente {place}: {fault}",
        "File of an agent {place}: {fault}";
    /// What an operator should know about the values of an agent.
    AgentRemark { agent: String, remark: Box<Notice> } => Warn,
        "Agente {agent}: {remark}",
        "Agent {agent}: {remark}";
    /// What an operator should know about a value in the file of an agent; `place` is the path with line and column.
    AgentFileRemark { place: String, remark: Box<Notice> } => Warn,
        "Archivo de agente {place}: {remark}",
        "File of an agent {place}: {remark}";
    /// No file in the folder describes an agent.
    AgentsNone { path: String } => Warn,
        "No hay ningún NOMBRE.toml en {path} (AGENTS_DIR): solo hay el agente default, el de las variables",
        "There is no NAME.toml in {path} (AGENTS_DIR): there is only the agent default, that of the variables";
    /// A server is a program that cannot be started now.
    AgentProgramMissing { server: String, program: Detail } => Warn,
        "El programa {program} del servidor MCP {server} no existe, o no se puede ejecutar",
        "The program {program} of the MCP server {server} does not exist, or cannot be executed";
    /// There are instructions in the folder of the agents that belong to no agent.
    AgentInstructionsUnused { path: String } => Warn,
        "{path} no se usa: no hay un archivo .toml con el mismo nombre",
        "{path} is not used: there is no .toml file with the same name";
    /// There is a file of shared tools that no agent uses.
    AgentToolsUnused { path: String } => Warn,
        "{path} no se usa: ningún agente lo nombra en use",
        "{path} is not used: no agent names it in use";

    /// Recordings are encrypted, and words are sent to an address: they wait for it without encryption.
    AgentWordsUnencrypted { address: String } => Warn,
        "{address} recibe las palabras (words = true): hasta que las reciba esperan en calls.db sin cifrar, aunque las grabaciones se cifran",
        "{address} receives the words (words = true): until it has them they wait in calls.db without encryption, although recordings are encrypted";

    // ── calls ────────────────────────────────────────────────────────────────────────────────────────────
    /// This agent takes the call: the dialplan names it, or the dialled number is one of its numbers.
    AgentTakes { agent: String } => Info,
        "Agente: {agent}",
        "Agent: {agent}";
    /// This agent takes the call because another one is closed.
    AgentTakesInstead { agent: String, closed: String } => Info,
        "Agente: {agent}, porque {closed} está cerrado a esta hora",
        "Agent: {agent}, because {closed} is closed at this time";
    /// This agent takes the call because no agent has the dialled number.
    AgentTakesByDefault { agent: String } => Info,
        "Agente: {agent}, porque ninguno tiene el número marcado",
        "Agent: {agent}, because none has the dialled number";
    /// The dialplan does not say which number was dialled.
    AgentTakesWithoutNumber { agent: String } => Warn,
        "Agente: {agent}, porque la extensión s no dice qué número se marcó. En FreePBX: Stasis(APLICACIÓN,did=${{FROM_DID}})",
        "Agent: {agent}, because the extension s does not say which number was dialled. In FreePBX: Stasis(APPLICATION,did=${{FROM_DID}})";
    /// The dialplan names an agent that does not exist: the caller goes on there.
    AgentUnknown { name: Detail } => Error,
        "El dialplan pide el agente {name}, que no existe: el llamante sigue en el dialplan (AI_END_REASON=no_agent)",
        "The dialplan asks for the agent {name}, which does not exist: the caller goes on in the dialplan (AI_END_REASON=no_agent)";
    /// This agent's calls of the day have cost what they may.
    AgentDayCostReached { agent: String, limit: Cost } => Error,
        "Costo máximo del día del agente {agent} alcanzado ({limit}): sus llamadas nuevas siguen en el dialplan hasta medianoche",
        "The day's cost limit of the agent {agent} was reached ({limit}): its new calls go on in the dialplan until midnight";

    // ── tools ────────────────────────────────────────────────────────────────────────────────────────────
    /// A tool could not be carried out as its file says.
    ToolFailed { tool: String, server: String, cause: ToolTrouble, outcome: &'static str } => Warn,
        "La herramienta {tool} no dio un resultado útil - Servidor: {server} - Causa: {cause} - El modelo recibe: {outcome}",
        "The tool {tool} brought no useful result - Server: {server} - Cause: {cause} - The model gets: {outcome}";
    /// A server of tools can be used.
    McpServerHere { server: String, tools: usize } => Info,
        "El servidor MCP {server} está disponible: lista {tools} herramientas",
        "The MCP server {server} is available: it lists {tools} tools";
    /// A server of tools cannot be used.
    McpServerAway { server: String, cause: Detail } => Warn,
        "El servidor MCP {server} no está disponible ({cause}): sus herramientas no funcionan hasta que vuelva",
        "The MCP server {server} is not available ({cause}): its tools do not work until it is back";
    /// More tools of a server cannot be offered to the model than are named.
    McpToolsLeftOut { agent: String, server: String, more: usize } => Warn,
        "El agente {agent} tampoco ofrece otras {more} herramientas del servidor MCP {server}. Nombre en tools solo las que necesita",
        "The agent {agent} does not offer {more} more tools of the MCP server {server}. Name in tools only those that it needs";
    /// A tool of a server cannot be offered to the model.
    McpToolLeftOut { agent: String, server: String, tool: Detail, fault: Box<AgentFault> } => Warn,
        "El agente {agent} no ofrece la herramienta {tool} del servidor MCP {server}: {fault}",
        "The agent {agent} does not offer the tool {tool} of the MCP server {server}: {fault}";
    /// The greeting could not be made of its template.
    GreetingFailed { cause: Detail } => Warn,
        "No se pudo formar el saludo con los datos de la llamada: {cause}",
        "The greeting could not be made of the data of the call: {cause}";
    /// A look-up brought nothing that can be used.
    LookupFailed { lookup: String, server: String, cause: ToolTrouble } => Warn,
        "La consulta {lookup} no dio un resultado útil - Servidor: {server} - Causa: {cause}",
        "The look-up {lookup} brought no useful result - Server: {server} - Cause: {cause}";
    /// A tool that writes has ended after its call.
    ToolEndedAfterCall { tool: String, outcome: &'static str } => Info,
        "La herramienta {tool} terminó después de la llamada: {outcome}",
        "The tool {tool} ended after the call: {outcome}";

    /// No report was made on a call that has ended.
    ReportMissing { cause: Code } => Warn,
        "El modelo no dio el informe de la llamada: {cause}",
        "The model made no report on the call: {cause}";
    /// Reports would be made that nobody keeps.
    AgentReportUnused => Warn,
        "[report] no tiene efecto: ni record tiene transcript ni hay [[after_call]], así que nadie recibiría el informe",
        "[report] has no effect: neither has record a transcript, nor is there [[after_call]], so nobody would get the report";

    // ── webhooks ─────────────────────────────────────────────────────────────────────────────────────────
    /// Messages about ended calls cannot be delivered to this address. Told when it begins.
    WebhooksFailing { agent: String, address: String, cause: Detail } => Warn,
        "Los avisos de llamadas terminadas del agente {agent} no llegan a {address}: {cause}. Se guardan y se reintentan durante tres días. Revise: openai-inbound-calls agents webhooks",
        "Messages about ended calls of the agent {agent} do not reach {address}: {cause}. They are kept, and tried again for three days. Check: openai-inbound-calls agents webhooks";
    /// They reach it again.
    WebhooksResumed { agent: String, address: String } => Info,
        "Los avisos de llamadas terminadas del agente {agent} vuelven a llegar a {address}",
        "Messages about ended calls of the agent {agent} reach {address} again";
    /// The receiver says that the address is gone for good.
    WebhookAddressGone { agent: String, address: String } => Error,
        "{address} respondió 410: ya no recibe los avisos del agente {agent}. No se envía nada más allí hasta que se recargue la configuración. Quite la dirección o corríjala en [[after_call]]",
        "{address} answered 410: it no longer receives the messages of the agent {agent}. Nothing else is sent there until the configuration is reloaded. Remove the address, or correct it in [[after_call]]";
    /// A message was sent as often as it may be.
    WebhookGivenUp { id: i64, agent: String, address: String, attempts: u32 } => Error,
        "El aviso {id} del agente {agent} a {address} no se entregó en {attempts} intentos. Para enviarlo otra vez: openai-inbound-calls agents webhooks --again {id}",
        "The message {id} of the agent {agent} to {address} was not delivered in {attempts} attempts. To send it again: openai-inbound-calls agents webhooks --again {id}";
    /// There is no room for more messages.
    WebhooksFull { messages: u64, most: u64 } => Error,
        "Avisos de llamadas terminadas perdidos porque ya hay {most} sin entregar: {messages}. Revise: openai-inbound-calls agents webhooks",
        "Messages about ended calls lost because {most} wait already: {messages}. Check: openai-inbound-calls agents webhooks";
    /// The outbox cannot be read or written.
    WebhooksUnreadable { path: String, cause: Detail } => Error,
        "No se pueden leer los avisos en {path}: {cause}",
        "The messages in {path} cannot be read: {cause}";

    // ── recordings ───────────────────────────────────────────────────────────────────────────────────────
    /// Recordings of this agent were past their time and are gone. `*` stands for all agents without a period of their own.
    AgentRecordingsExpired { agent: String, recordings: usize, days: u32 } => Info,
        "Grabaciones eliminadas por tener más de {days} días (agente: {agent}): {recordings}",
        "Recordings deleted because they were older than {days} days (agent: {agent}): {recordings}";
    /// More than half of this agent's recordings would have been deleted by their age: none was, and none will be until there
    /// are fewer.
    AgentRecordingsTooManyExpired { agent: String, recordings: usize, of: usize, days: u32 } => Error,
        "Grabaciones con más de {days} días (agente: {agent}): {recordings} de {of}. Son más de la mitad, y no se ha eliminado ninguna: puede que el reloj del equipo esté mal. Si el reloj, retention_days y RECORDING_RETENTION_DAYS están bien, elimine grabaciones en la página o con DELETE /recordings/ID hasta que sean menos de la mitad",
        "Recordings older than {days} days (agent: {agent}): {recordings} of {of}. They are more than half, and none was deleted: the clock of the machine may be wrong. If the clock, retention_days and RECORDING_RETENTION_DAYS are right, delete recordings on the page or with DELETE /recordings/ID until they are less than half";
    /// No time server has set the machine's clock, so nothing of this agent is deleted by its age.
    AgentRecordingsAwaitClock { agent: String, recordings: usize, days: u32 } => Error,
        "Grabaciones con más de {days} días (agente: {agent}): {recordings}. No se eliminan mientras ningún servidor de hora haya puesto en hora el reloj del equipo. Revise: timedatectl",
        "Recordings older than {days} days (agent: {agent}): {recordings}. They are not deleted until a time server has set the clock of the machine. Check: timedatectl";
    /// The files of the agents cannot be read, so it is not known how long their recordings are to be kept.
    AgentRecordingsKept => Warn,
        "No se elimina ninguna grabación por su edad: los archivos de AGENTS_DIR tienen errores. Revise: openai-inbound-calls agents check",
        "No recording is deleted by its age: the files in AGENTS_DIR have faults. Check: openai-inbound-calls agents check";

    // ── `agents check` ───────────────────────────────────────────────────────────────────────────────────
    /// There is no folder of agents.
    AgentsAbsent => Info,
        "AGENTS_DIR no está definida: solo hay el agente default, el de las variables",
        "AGENTS_DIR is not set: there is only the agent default, that of the variables";
    /// An agent, in one line.
    AgentListed { name: String, version: String, model: String, voice: String, tokens: usize } => Info,
        "{name} - Versión: {version} - Modelo: {model} - Voz: {voice} - Instrucciones y herramientas: unos {tokens} tokens",
        "{name} - Version: {version} - Model: {model} - Voice: {voice} - Instructions and tools: about {tokens} tokens";
    /// The agent above has instructions of its own.
    AgentInstructions { file: String } => Info,
        "    Instrucciones: {file}",
        "    Instructions: {file}";
    /// The agent above has the instructions of the variables.
    AgentWithoutInstructions { name: String } => Info,
        "    Instrucciones: las de las variables, porque no hay un {name}.md",
        "    Instructions: those of the variables, because there is no {name}.md";
    /// A tool of the agent above. `confirm` is empty, or says who has to agree.
    AgentTool { name: String, effect: &'static str, confirm: &'static str, origin: String } => Info,
        "    Herramienta {name}: effect={effect}{confirm} - {origin}",
        "    Tool {name}: effect={effect}{confirm} - {origin}";
    /// A look-up of the agent above.
    AgentLookup { name: String, origin: String } => Info,
        "    Consulta {name}: {origin}",
        "    Look-up {name}: {origin}";
    /// What the model reports on each call of the agent above.
    AgentReport { fields: String } => Info,
        "    Informe de cada llamada: {fields}",
        "    Report on each call: {fields}";
    /// Where messages about ended calls of the agent above go. `words` is empty, or says that they contain the words.
    AgentWebhook { name: String, origin: String, words: &'static str } => Info,
        "    Aviso de llamada terminada {name}: {origin}{words}",
        "    Message about an ended call {name}: {origin}{words}";
    /// A server of the agent above, which lists its tools itself.
    AgentServer { name: String, place: Detail, tools: Detail } => Info,
        "    Servidor MCP {name}: {place} - Herramientas: {tools} (no contadas en los tokens: véalas con agents try)",
        "    MCP server {name}: {place} - Tools: {tools} (not counted in the tokens: agents try shows them)";
    /// The numbers of the agent above.
    AgentNumbers { numbers: String } => Info,
        "    Números: {numbers}",
        "    Numbers: {numbers}";
    /// The agent above has no numbers.
    AgentWithoutNumbers => Info,
        "    Sin números: solo se llega a este agente con agent= o AI_AGENT, o cuando otro está cerrado",
        "    Without numbers: this agent is reached only by agent= or AI_AGENT, or when another one is closed";
    /// Who takes the calls of the agent above when it is closed.
    AgentCloses { instead: String } => Info,
        "    Fuera de horario y en feriados atiende: {instead}",
        "    Outside its hours and on holidays, calls are taken by: {instead}";
    /// All files are valid.
    AgentsValid { agents: usize } => Info,
        "Los archivos de agentes son válidos. Agentes: {agents}",
        "The files of agents are valid. Agents: {agents}";
    /// Some files are not.
    AgentsInvalid { faults: usize } => Error,
        "Los archivos de agentes no son válidos, y el servicio no los toma. Errores: {faults}",
        "The files of agents are not valid, and the daemon does not take them. Faults: {faults}";

    // ── trying agents ────────────────────────────────────────────────────────────────────────────────────
    /// A command needs a key that nobody has set.
    AgentKeyMissing => Info,
        "Sin clave se puede probar con --fake: un modelo simulado, que no cuesta nada",
        "Without a key, use --fake: a simulated model, which costs nothing";
    /// Another program has the port of the clinic in the examples.
    ClinicPortTaken { port: u16 } => Error,
        "El puerto {port} está en uso (¿otro demo --clinic?): use --clinic=PUERTO, y ese puerto en los archivos del agente",
        "The port {port} is in use (another demo --clinic?): use --clinic=PORT, and that port in the files of the agent";
    /// The clinic in the examples cannot listen on this port.
    ClinicUnopened { port: u16, cause: Detail } => Error,
        "No se puede abrir el puerto {port} ({cause}): use otro con --clinic=PUERTO",
        "The port {port} cannot be opened ({cause}): use another one, with --clinic=PORT";

    // ── `agents webhooks` ────────────────────────────────────────────────────────────────────────────────
    /// A message that waits for its next attempt; `to` is the agent and the address.
    WebhookWaits { id: i64, call: String, to: String, attempts: u32, next: String, answer: String } => Info,
        "{id} - Llamada: {call} - Para: {to} - Intentos: {attempts} - Próximo: {next} - Última respuesta: {answer}",
        "{id} - Call: {call} - To: {to} - Attempts: {attempts} - Next: {next} - Last answer: {answer}";
    /// A message that was given up.
    WebhookDead { id: i64, call: String, to: String, attempts: u32, answer: String } => Info,
        "{id} - Llamada: {call} - Para: {to} - Intentos: {attempts} - Abandonado - Última respuesta: {answer}",
        "{id} - Call: {call} - To: {to} - Attempts: {attempts} - Given up - Last answer: {answer}";
    /// How many messages there are.
    WebhooksCounted { waiting: u64, dead: u64 } => Info,
        "Avisos que esperan: {waiting}. Abandonados: {dead}",
        "Messages that wait: {waiting}. Given up: {dead}";
    /// A message is sent again.
    WebhookAgain { id: i64 } => Info,
        "El aviso {id} se enviará otra vez, desde el primer intento",
        "The message {id} will be sent again, beginning with the first attempt";
    /// There is no such message.
    WebhookUnknown { id: i64 } => Error,
        "No hay un aviso {id}: openai-inbound-calls agents webhooks los muestra",
        "There is no message {id}: openai-inbound-calls agents webhooks shows them";

    // ── `agents who` ─────────────────────────────────────────────────────────────────────────────────────
    /// The agent is responsible for the number.
    AgentByNumber { number: String, pattern: String, name: String } => Info,
        "{number} → {name}: es uno de sus números ({pattern})",
        "{number} → {name}: it is one of its numbers ({pattern})";
    /// No agent is responsible for the number.
    AgentByDefault { number: String, name: String } => Info,
        "{number} → {name}: ningún agente tiene este número",
        "{number} → {name}: no agent has this number";
    /// The dialplan names the agent.
    AgentByName { number: String, name: String } => Info,
        "{number} → {name}: lo nombra el dialplan",
        "{number} → {name}: the dialplan names it";
    /// That agent is closed at this time.
    AgentClosedAt { name: String, at: String, instead: String } => Info,
        "{name} está cerrado el {at} → {instead}",
        "{name} is closed on {at} → {instead}";
    } } };
}
