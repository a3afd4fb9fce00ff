//! Why a call that Asterisk makes to OpenAI is not answered, in words for people. Asterisk tells a cause (Q.850), into which it puts
//! the SIP status of OpenAI (`hangup_sip2cause` in chan_pjsip.c) and its own faults alike.

use super::Language;
use super::words::Said;

/// The cause of a call to OpenAI that was not answered, as Asterisk tells it (Q.850). 0: Asterisk does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialFault(pub u32);

impl DialFault {
    /// What it means, and what to check.
    #[rustfmt::skip]
    const fn row(self) -> (&'static str, &'static str) {
        match self.0 {
            // Measured with res_srtp unloaded. Asterisk 16 also tells 0 when it has let the call ring for long enough.
            0 => ("Asterisk no dice por qué: revise que esté cargado res_srtp (module show like res_srtp), y media_encryption y allow del endpoint",
                "Asterisk does not say why: check that res_srtp is loaded (module show like res_srtp), and media_encryption and allow of the endpoint"),
            1 | 3 | 28 => ("OpenAI no conoce el proyecto (SIP 404): revise OPENAI_PROJECT",
                "OpenAI does not know the project (SIP 404): check OPENAI_PROJECT"),
            17 => ("OpenAI está ocupado (SIP 486): revise los límites del proyecto en platform.openai.com",
                "OpenAI is busy (SIP 486): check the limits of the project at platform.openai.com"),
            16 | 18 | 19 | 102 => ("OpenAI no contestó a tiempo: revise que el webhook llegue",
                "OpenAI did not answer in time: check that the webhook comes"),
            21 => ("OpenAI la rechaza (SIP 401, 403 o 603): revise OPENAI_PROJECT, y que el proyecto tenga un webhook para realtime.call.incoming",
                "OpenAI refuses it (SIP 401, 403 or 603): check OPENAI_PROJECT, and that the project has a webhook for realtime.call.incoming"),
            58 | 65 | 79 | 88 => ("OpenAI no acepta el sonido que se le ofrece (SIP 488): revise allow=ulaw y media_encryption=sdes del endpoint",
                "OpenAI does not accept the sound that is offered (SIP 488): check allow=ulaw and media_encryption=sdes of the endpoint"),
            // Measured: no DNS, nobody at TCP 5061, a certificate that is not trusted, no TLS transport, and SIP 503.
            20 | 27 | 34 | 38 | 41 | 42 => ("Asterisk no llega a OpenAI, u OpenAI contesta SIP 5xx: revise que pjsip show transports muestre el transporte TLS (el primero exige reiniciar Asterisk), el DNS, TCP 5061 y el certificado; el log de Asterisk puede decir cuál",
                "Asterisk does not reach OpenAI, or OpenAI answers SIP 5xx: check that pjsip show transports lists the TLS transport (the first one needs a restart of Asterisk), DNS, TCP 5061 and the certificate; Asterisk's log may say which"),
            _ => ("revise OPENAI_PROJECT y el endpoint OPENAI_SIP_ENDPOINT (pjsip show endpoint), y el log de Asterisk",
                "check OPENAI_PROJECT and the endpoint OPENAI_SIP_ENDPOINT (pjsip show endpoint), and Asterisk's log"),
        }
    }
}

impl Said for DialFault {
    fn said(&self, language: Language) -> String {
        let (spanish, english) = self.row();
        let cause = language.choose("causa", "cause");
        format!("{cause} {}: {}", self.0, language.choose(spanish, english))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_administrator_has_to_check_differs_by_the_cause() {
        let said = |cause| DialFault(cause).said(Language::English);
        for (cause, check) in
            [(0, "res_srtp"), (1, "OPENAI_PROJECT"), (17, "486"), (34, "pjsip show transports"), (99, "log")]
        {
            assert!(
                said(cause).contains(check) && said(cause).contains(&format!("cause {cause}:")),
                "{cause}"
            );
        }
        assert!(DialFault(34).said(Language::Spanish).contains("reiniciar Asterisk"));
    }
}
