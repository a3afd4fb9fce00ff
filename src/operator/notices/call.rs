//! The lines about calls and their sound, and about how many calls are taken.

macro_rules! of_calls {
    ($next:ident $($then:ident)* { $($before:tt)* }) => { $next! { $($then)* { $($before)*
    // ── a call ───────────────────────────────────────────────────────────────────────────────────────────
    /// So many calls are taken at once; further callers go on in the dialplan.
    Capacity { calls: usize } => Info,
        "Llamadas simultáneas admitidas (MAX_CALLS): {calls}",
        "Calls taken at once (MAX_CALLS): {calls}";
    /// A caller entered the application.
    CallReceived { channel: ChannelName } => Info,
        "Nueva llamada recibida - Canal: {channel}",
        "New call received - Channel: {channel}";
    /// A call is over after `seconds`.
    CallEnded { seconds: u64, reason: EndReason } => Info,
        "Llamada terminada - Duración: {seconds} s - Motivo: {reason}",
        "Call ended - Duration: {seconds} s - Reason: {reason}";
    /// What a call has used of its model, in tokens, and what all of it costs.
    CallSpent { read: u64, cached: u64, written: u64, cost: Cost } => Info,
        "Consumo de la llamada - Tokens de entrada: {read} (en caché: {cached}) - De salida: {written} - Costo: {cost}",
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
        "El costo de las llamadas no tiene límite: defina MAX_DAY_COST o MAX_CALL_COST (y MAX_CALLS_PER_CALLER_HOUR); si no, cualquiera puede gastar con MAX_CALLS llamadas a la vez",
        "The cost of calls has no limit: set MAX_DAY_COST or MAX_CALL_COST (and MAX_CALLS_PER_CALLER_HOUR); otherwise anybody can spend with MAX_CALLS calls at once";
    /// The calls of the day have cost as much as `limit`; said once a day.
    DayCostReached { limit: Cost } => Error,
        "Las llamadas de hoy han llegado a MAX_DAY_COST ({limit}): las nuevas siguen en el dialplan hasta mañana",
        "Today's calls have reached MAX_DAY_COST ({limit}): new ones go on in the dialplan until tomorrow";
    /// The call log does not tell what today's calls before the start have cost; said once a start.
    SpentEarlierUnknown => Warn,
        "El registro de llamadas no dice cuánto costaron las llamadas de hoy antes de este arranque: no cuentan para MAX_DAY_COST ni para el max_day_cost de los agentes hasta que responda",
        "The call log does not tell what today's calls before this start have cost: they do not count against MAX_DAY_COST or the max_day_cost of agents until it answers";
    /// OpenAI has served none of the last `callers`, the first of them at `since` (wall clock); `cause` is what the last one
    /// was told. Said once an outage.
    OpenAiOut { since: String, callers: u64, one_in: u32, cause: Box<Notice> } => Error,
        "OpenAI no atiende desde {since} - Llamadas fallidas: {callers} - Última causa: {cause} - Hasta que atienda, lo intenta una llamada de cada {one_in}; las demás vuelven al dialplan al momento",
        "OpenAI has served no call since {since} - Failed calls: {callers} - Last cause: {cause} - Until it serves again, one call in {one_in} tries; the others go back to the dialplan at once";
    /// It serves again, after so long; so many callers were not served meanwhile.
    OpenAiBack { seconds: u64, callers: u64 } => Info,
        "OpenAI atiende de nuevo - Duración de la falla: {seconds} s - Llamadas no atendidas: {callers}",
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
    /// The dialplan does not have `place`, to which a call was to be transferred: the call goes on with the assistant.
    TransferPlaceMissing { place: String } => Error,
        "El dialplan no tiene {place}: la llamada no se transfiere y continúa con el asistente. Revise TRANSFER_DESTINATIONS",
        "The dialplan has no {place}: the call is not transferred, and goes on with the assistant. Check TRANSFER_DESTINATIONS";
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
    /// The same, because they come from an address that is not known to be Asterisk's; said once a call.
    RtpSourceForeign { named: SocketAddr, source: SocketAddr } => Warn,
        "Llega audio de {source}, pero Asterisk dijo {named} y esa dirección no es una de las suyas: se descarta. Si es del llamante (NAT o contenedor), agréguela a RTP_MEDIA_ADDRESSES",
        "Audio comes from {source}, but Asterisk said {named}, and the address is none of its own: it is dropped. If it is the caller's (NAT or a container), add the address to RTP_MEDIA_ADDRESSES";
    /// Asterisk wants the sound of a call sent to the socket of this call or of another one of ours.
    MediaAddressOurs { address: SocketAddr } => Error,
        "Asterisk pide enviar el audio a {address}, que es un puerto RTP de este mismo programa: no se envía. Revise LOCAL_IP_ADDRESS y que nada más responda por Asterisk",
        "Asterisk asks for the audio at {address}, which is an RTP port of this program itself: nothing is sent there. Check LOCAL_IP_ADDRESS, and that nothing else answers in Asterisk's place";
    /// Asterisk wants the sound sent to an address that is not known to be its own.
    MediaAddressRefused { address: IpAddr } => Error,
        "Asterisk pide enviar el audio a {address}, que no es una de sus direcciones conocidas: no se envía. Si es correcta (contenedor, NAT o varias redes), agréguela a RTP_MEDIA_ADDRESSES",
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
        "No llega audio del llamante desde hace {seconds} s: revise LOCAL_IP_ADDRESS y que el firewall admita los puertos UDP de RTP_PORTS",
        "No audio from the caller for {seconds} s: check LOCAL_IP_ADDRESS and that the firewall admits the UDP ports of RTP_PORTS";
    /// `frames` of 20 ms left too late in one call.
    LateFrames { frames: u64 } => Warn,
        "Tramas de audio enviadas tarde en esta llamada: {frames}. Si se repite, el servidor está sobrecargado",
        "Audio frames sent late in this call: {frames}. If this recurs, the machine is overloaded";
    } } };
}
