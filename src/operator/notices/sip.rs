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
    /// A webhook is not OpenAI's, or its secret is another one; said once until one is right.
    WebhookRefused { cause: Detail } => Warn,
        "Se rechaza un webhook que no lleva la firma de OpenAI ({cause}): si las llamadas SIP no llegan, revise OPENAI_WEBHOOK_SECRET y el reloj de este equipo; se avisa una vez",
        "A webhook without OpenAI's signature is refused ({cause}): if SIP calls do not arrive, check OPENAI_WEBHOOK_SECRET and the clock of this machine; this is reported once";
    /// The webhook cannot listen at `address`; other calls are served, and it is tried again.
    WebhookUnbindable { address: SocketAddr, cause: Detail } => Error,
        "El webhook de OpenAI no puede escuchar en {address}: {cause}. Revise WEBHOOK_LISTEN (ss -nlpt). Hasta que pueda no se atienden llamadas SIP; las demás sí, y se sigue intentando",
        "OpenAI's webhook cannot listen at {address}: {cause}. Check WEBHOOK_LISTEN (ss -nlpt). Until it can, SIP calls are not taken; other calls are served, and the daemon keeps trying";
    /// The listener of the webhook has ended.
    WebhookClosed => Error,
        "El webhook de OpenAI dejó de escuchar: las llamadas SIP no se atienden hasta reiniciar el servicio",
        "OpenAI's webhook listens no more: SIP calls are not taken until the daemon is restarted";
    /// A call lacks the header that only the trunk knows.
    SipStranger => Warn,
        "Se rechaza una llamada SIP sin la cabecera de SIP_SHARED_HEADER: no viene de la troncal ni de nuestro Asterisk",
        "A SIP call without the header of SIP_SHARED_HEADER is rejected: it comes neither from the trunk nor from our Asterisk";
    /// A call has the nonce of a caller in Asterisk, and no caller waits for it.
    SipNonceUnknown => Info,
        "Se rechaza una llamada SIP de nuestro Asterisk a OpenAI que ya nadie espera: el llamante colgó o siguió en el dialplan",
        "A SIP call of our Asterisk to OpenAI is rejected, for which nobody waits any more: the caller has hung up or gone on in the dialplan";
    /// OpenAI told of a call `seconds` after it had come.
    SipTooLate { seconds: u64 } => Warn,
        "OpenAI avisó de una llamada SIP con {seconds} s de retraso: se rechaza, porque ya nadie espera",
        "OpenAI told of a SIP call {seconds} s late: it is rejected, because nobody waits any more";
    /// OpenAI has connected the caller with the model.
    SipAccepted => Info,
        "Llamada SIP aceptada en OpenAI",
        "SIP call accepted at OpenAI";
    /// OpenAI refuses to let us take the call.
    SipNotAccepted { cause: LinkFault } => Error,
        "OpenAI no acepta la llamada SIP ({cause}): el llamante vuelve a la troncal",
        "OpenAI does not accept the SIP call ({cause}): the caller goes back to the trunk";
    /// It is not known whether OpenAI let us take the call.
    SipDoubtful { cause: LinkFault } => Warn,
        "OpenAI no dijo si aceptó la llamada SIP ({cause}): se intenta entrar en su sesión",
        "OpenAI did not say whether it accepted the SIP call ({cause}): its session is tried";
    /// OpenAI has refused the call that Asterisk makes to it, or has hung up before it answered.
    SipNotAnswered => Error,
        "OpenAI no contestó la llamada SIP de Asterisk: el llamante sigue en el plan de marcado. Revise OPENAI_PROJECT y el endpoint OPENAI_SIP_ENDPOINT (pjsip show endpoint)",
        "OpenAI did not answer the SIP call of Asterisk: the caller goes on in the dialplan. Check OPENAI_PROJECT and the endpoint OPENAI_SIP_ENDPOINT (pjsip show endpoint)";
    /// OpenAI has not told of the call that Asterisk makes to it.
    SipUnheardOf { seconds: u64 } => Error,
        "Asterisk llama a OpenAI, pero en {seconds} s no llegó ningún webhook de esa llamada: el llamante sigue en el plan de marcado. Revise la dirección pública del webhook en OpenAI y que el endpoint llegue a OpenAI",
        "Asterisk calls OpenAI, but no webhook of that call came within {seconds} s: the caller goes on in the dialplan. Check the webhook's public address at OpenAI, and that the endpoint reaches OpenAI";
    /// OpenAI has told of the call, and it does not stand yet.
    SipLate { seconds: u64 } => Error,
        "La llamada SIP a OpenAI no quedó lista en {seconds} s: el llamante sigue en el plan de marcado",
        "The SIP call to OpenAI was not ready within {seconds} s: the caller goes on in the dialplan";
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
    /// The caller could not be sent elsewhere.
    SipNotReferred { cause: LinkFault } => Warn,
        "No se pudo transferir la llamada SIP ({cause}): sigue con el asistente",
        "The SIP call could not be transferred ({cause}): it goes on with the assistant";
    /// The same, and nobody says why.
    SipReferUnheeded => Warn,
        "La troncal no siguió la transferencia (REFER) de la llamada SIP: sigue con el asistente. Revise SIP_REFER_HOST y que la troncal admita REFER",
        "The trunk did not follow the transfer (REFER) of the SIP call: it goes on with the assistant. Check SIP_REFER_HOST, and that the trunk admits REFER";
    } } };
}
