//! The lines about calls that OpenAI answers by SIP, and about the webhook that offers them.

macro_rules! of_sip {
    ($next:ident $($then:ident)* { $($before:tt)* }) => { $next! { $($then)* { $($before)*
    // ── calls that OpenAI answers by SIP ─────────────────────────────────────────────────────────────────
    /// The webhook is served at this address and path.
    WebhookServed { address: SocketAddr, path: String } => Info,
        "Webhook de OpenAI en {address}{path}: las llamadas SIP se atienden; su sonido no pasa por aquí, y el de las que hace un operador no se graba",
        "OpenAI's webhook at {address}{path}: SIP calls are taken; their sound does not pass through here, and that of a carrier's calls is not recorded";
    /// Calls need no header that only the trunk knows.
    TrunkOpen => Warn,
        "SIP_SHARED_HEADER=none: se atiende a cualquiera que llame por SIP al proyecto de OpenAI, y se paga por ello",
        "SIP_SHARED_HEADER=none: whoever calls the OpenAI project by SIP is served, and paid for";
    /// A webhook is not OpenAI's, or its secret is another one; `count` have been refused since one was right.
    WebhookRefused { cause: Refused, count: u32 } => Warn,
        "Se rechaza un webhook que no lleva la firma de OpenAI ({cause}): si las llamadas SIP no llegan, revise OPENAI_WEBHOOK_SECRET y el reloj de este equipo. Rechazados desde el último correcto: {count}; se avisa como mucho cada 10 minutos",
        "A webhook without OpenAI's signature is refused ({cause}): if SIP calls do not arrive, check OPENAI_WEBHOOK_SECRET and the clock of this machine. Refused since the last right one: {count}; this is reported every 10 minutes at most";
    /// No webhook came for a call, and so many have been refused.
    WebhooksRefusedMeanwhile { count: u32 } => Error,
        "De la llamada no llegó ningún webhook con la firma de OpenAI, y se rechazaron {count}: lo más probable es que OPENAI_WEBHOOK_SECRET no sea el secreto de este webhook, o que el reloj de este equipo esté mal",
        "No webhook with OpenAI's signature came for the call, and {count} were refused: most likely OPENAI_WEBHOOK_SECRET is not the secret of this webhook, or the clock of this machine is wrong";
    /// The webhook cannot listen at `address`; other calls are served, and it is tried again.
    WebhookUnbindable { address: SocketAddr, cause: Detail } => Error,
        "El webhook de OpenAI no puede escuchar en {address}: {cause}. Revise WEBHOOK_LISTEN (ss -nlpt). Hasta que pueda no se atienden llamadas SIP; las demás sí, y se sigue intentando",
        "OpenAI's webhook cannot listen at {address}: {cause}. Check WEBHOOK_LISTEN (ss -nlpt). Until it can, SIP calls are not taken; other calls are served, and the daemon keeps trying";
    /// Requests that could be OpenAI's are refused, because there are too many of one client; said at most every ten minutes.
    WebhookCrowded => Warn,
        "El webhook rechaza peticiones (429) porque un mismo cliente envía demasiadas, y entre ellas puede haber llamadas: si llegan por un proxy inverso, nómbrelo en API_TRUSTED_PROXIES para que se distinga a sus clientes",
        "The webhook refuses requests (429) because one client sends too many, and calls may be among them: if they come through a reverse proxy, name it in API_TRUSTED_PROXIES, so that its clients are told apart";
    /// The listener of the webhook has ended.
    WebhookClosed => Error,
        "El webhook de OpenAI dejó de escuchar: las llamadas SIP no se atienden hasta reiniciar el servicio",
        "OpenAI's webhook listens no more: SIP calls are not taken until the daemon is restarted";
    /// A call lacks the header that only the trunk knows.
    SipStranger => Warn,
        "Se rechaza una llamada SIP sin la cabecera de SIP_SHARED_HEADER: no viene de la troncal ni de nuestro Asterisk",
        "A SIP call without the header of SIP_SHARED_HEADER is rejected: it comes neither from the trunk nor from our Asterisk";
    /// So many more calls that anybody may have made have been rejected in so many minutes.
    SipStrangers { calls: u64, minutes: u64 } => Warn,
        "Llamadas SIP de desconocidos rechazadas en los últimos {minutes} minutos: {calls} más",
        "SIP calls of strangers rejected in the last {minutes} minutes: {calls} more";
    /// A call has the nonce of a caller in Asterisk, and no caller waits for it.
    SipNonceUnknown => Info,
        "Se rechaza una llamada SIP de nuestro Asterisk a OpenAI que ya nadie espera: el llamante colgó o siguió en el dialplan",
        "A SIP call of our Asterisk to OpenAI is rejected, for which nobody waits any more: the caller has hung up or gone on in the dialplan";
    /// OpenAI told of a call `seconds` after it had come.
    SipTooLate { seconds: u64 } => Warn,
        "OpenAI avisó de una llamada SIP con {seconds} s de retraso: se rechaza, porque ya nadie espera",
        "OpenAI told of a SIP call {seconds} s late: it is rejected, because nobody waits any more";
    /// OpenAI has connected the caller with the model.
    SipAccepted { call: String } => Info,
        "Llamada SIP aceptada en OpenAI: {call}",
        "SIP call accepted at OpenAI: {call}";
    /// OpenAI refuses to let us take the call.
    SipNotAccepted { cause: LinkFault } => Error,
        "OpenAI no acepta la llamada SIP ({cause}): el llamante vuelve a la troncal",
        "OpenAI does not accept the SIP call ({cause}): the caller goes back to the trunk";
    /// It is not known whether OpenAI let us take the call.
    SipDoubtful { cause: LinkFault } => Warn,
        "OpenAI no dijo si aceptó la llamada SIP ({cause}): se intenta entrar en su sesión",
        "OpenAI did not say whether it accepted the SIP call ({cause}): its session is tried";
    /// OpenAI does not let us take a call that Asterisk has made to it.
    DialledNotAccepted { cause: LinkFault } => Error,
        "OpenAI no acepta la llamada SIP de Asterisk ({cause}): el llamante sigue en el plan de marcado",
        "OpenAI does not accept the SIP call of Asterisk ({cause}): the caller goes on in the dialplan";
    /// OpenAI finds fault with the settings with which a call was to be accepted.
    SipSettingsRefused { complaint: Complaint } => Error,
        "OpenAI no acepta la llamada SIP con los ajustes de la sesión (HTTP 400: {complaint}): revise las variables OPENAI_REALTIME_* y OPENAI_CALLS_URL; con LOG_LEVEL=debug se ve el texto completo",
        "OpenAI does not accept the SIP call with the session's settings (HTTP 400: {complaint}): check the OPENAI_REALTIME_* variables and OPENAI_CALLS_URL; LOG_LEVEL=debug shows the whole text";
    /// Asterisk refuses to make the call to OpenAI, mostly because it has no such endpoint.
    SipNotDialled { endpoint: String, status: u16, message: Detail } => Error,
        "Asterisk no puede llamar a {endpoint} (HTTP {status}: {message}): el llamante sigue en el plan de marcado. Revise OPENAI_SIP_ENDPOINT (pjsip show endpoints)",
        "Asterisk cannot call {endpoint} (HTTP {status}: {message}): the caller goes on in the dialplan. Check OPENAI_SIP_ENDPOINT (pjsip show endpoints)";
    /// The call that Asterisk makes to OpenAI was not answered.
    SipNotAnswered { fault: DialFault } => Error,
        "OpenAI no contestó la llamada SIP de Asterisk, y el llamante sigue en el plan de marcado - {fault}",
        "OpenAI did not answer the SIP call of Asterisk, and the caller goes on in the dialplan - {fault}";
    /// OpenAI has not told of the call that Asterisk makes to it.
    SipUnheardOf { seconds: u64 } => Error,
        "Asterisk llama a OpenAI, pero en {seconds} s no llegó ningún webhook de esa llamada: el llamante sigue en el plan de marcado. Revise la dirección pública del webhook en OpenAI y que el endpoint llegue a OpenAI",
        "Asterisk calls OpenAI, but no webhook of that call came within {seconds} s: the caller goes on in the dialplan. Check the webhook's public address at OpenAI, and that the endpoint reaches OpenAI";
    /// OpenAI has told of the call, and it does not stand yet.
    SipLate { seconds: u64 } => Error,
        "La llamada SIP a OpenAI no quedó lista en {seconds} s: el llamante sigue en el plan de marcado",
        "The SIP call to OpenAI was not ready within {seconds} s: the caller goes on in the dialplan";
    /// The same, and the last attempt to reach its session failed for this cause.
    SipSessionLate { seconds: u64, cause: LinkFault } => Error,
        "La sesión de la llamada SIP no se abrió en {seconds} s; última causa: {cause}. El llamante sigue en el plan de marcado. Revise OPENAI_REALTIME_URL, la conexión a Internet y el DNS",
        "The session of the SIP call did not open within {seconds} s; last cause: {cause}. The caller goes on in the dialplan. Check OPENAI_REALTIME_URL, the Internet connection and the DNS";
    /// OpenAI does not know the call of which it has told.
    SipUnknown => Error,
        "OpenAI no conoce la llamada SIP de la que avisó (HTTP 404): el llamante sigue en el plan de marcado. Revise OPENAI_CALLS_URL, y que OPENAI_API_KEY sea del proyecto que tiene el webhook",
        "OpenAI does not know the SIP call of which it told (HTTP 404): the caller goes on in the dialplan. Check OPENAI_CALLS_URL, and that OPENAI_API_KEY belongs to the project that has the webhook";
    /// A call of a trunk, or with `SIP_SHARED_HEADER=none` of anybody, is not taken.
    SipNotTaken { status: u16, reason: EndReason } => Warn,
        "No se atiende una llamada SIP, y la troncal recibe {status} - Motivo: {reason}",
        "A SIP call is not taken, and the trunk gets {status} - Reason: {reason}";
    /// The session of a call whose sound OpenAI carries has our settings.
    SipConfigured => Info,
        "msg_type updated recibido, OpenAI lleva el sonido de la llamada",
        "msg_type updated received, OpenAI carries the sound of the call";
    /// OpenAI does not have the call any more.
    SipGone => Error,
        "OpenAI ya no tiene la llamada SIP: el llamante sigue en el plan de marcado",
        "OpenAI does not have the SIP call any more: the caller goes on in the dialplan";
    /// Asterisk does not record the sound of a call.
    SoundNotRecorded => Error,
        "Asterisk no graba el sonido de la llamada: la grabación queda sin él. Revise que exista la carpeta spool/recording de Asterisk y que el usuario de ARI pueda escribir",
        "Asterisk does not record the sound of the call: the recording has none. Check that Asterisk's folder spool/recording exists, and that the ARI user may write";
    /// The sound of a call, or of calls of a daemon that was killed, was not fetched from Asterisk.
    SoundLeft { names: String } => Error,
        "El sonido de la llamada no se pudo traer de Asterisk: quedó allí, en spool/recording: {names}",
        "The sound of the call could not be fetched from Asterisk: it remains there, in spool/recording: {names}";
    /// Another program has taken the call.
    SipTaken => Warn,
        "Otro programa ya atiende esta llamada SIP: no se toca. Revise que un solo programa reciba el webhook",
        "Another program serves this SIP call already: it is left alone. Check that one program alone gets the webhook";
    /// The call could not be hung up; that is tried again until OpenAI has done it.
    SipHangUpFailed { cause: LinkFault } => Error,
        "OpenAI no colgó la llamada SIP ({cause}), que sigue costando: se intenta de nuevo hasta lograrlo",
        "OpenAI did not hang the SIP call up ({cause}), which still costs money: this is tried until it is done";
    /// An earlier daemon was cut off during a call, which goes on at OpenAI.
    SipLeftOver { call: String } => Warn,
        "Se cuelga la llamada SIP {call}, que quedó en OpenAI cuando se interrumpió el servicio",
        "The SIP call {call} is hung up, which was left at OpenAI when the daemon was cut off";
    /// An earlier daemon was told of a call, and was cut off before it had decided.
    SipUndecided { call: String } => Warn,
        "Se rechaza la llamada SIP {call}, que llegó justo antes de que se interrumpiera el servicio: la troncal busca a una persona",
        "The SIP call {call} is rejected, which had come just before the daemon was cut off: the trunk finds a person";
    /// The caller could not be sent elsewhere.
    SipNotReferred { cause: LinkFault } => Warn,
        "No se pudo transferir la llamada SIP ({cause}): sigue con el asistente",
        "The SIP call could not be transferred ({cause}): it goes on with the assistant";
    /// OpenAI did not answer the request to send the caller elsewhere, which it may have carried out.
    SipReferUnanswered { cause: LinkFault } => Warn,
        "OpenAI no respondió a la transferencia de la llamada SIP ({cause}): aún no se sabe si se hizo; mientras tanto sigue con el asistente",
        "OpenAI did not answer the transfer of the SIP call ({cause}): it is not known yet whether it was made; meanwhile the call goes on with the assistant";
    /// The caller was to be sent elsewhere, and the call is still up.
    SipReferUnheeded => Warn,
        "La llamada SIP sigue en OpenAI 5 s después de la transferencia (REFER): o la troncal no la siguió, o aún no se colgó. Sigue con el asistente. Revise SIP_REFER_HOST y que la troncal admita REFER",
        "The SIP call is still up at OpenAI 5 s after the transfer (REFER): either the trunk did not follow it, or has not hung up yet. It goes on with the assistant. Check SIP_REFER_HOST, and that the trunk admits REFER";
    } } };
}
