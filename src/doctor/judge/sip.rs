//! What the results about calls by SIP mean.

use crate::doctor::facts::{AtOpenAi, Sip, Webhook};
use crate::doctor::findings::Finding;

/// One finding about the webhook, and one about OpenAI.
pub(super) fn findings(Sip { address, webhook, calls }: &Sip) -> [Finding; 2] {
    let address = address.to_string();
    let webhook = match *webhook {
        Webhook::Verified => Finding::WebhookTakes { address },
        Webhook::Silent => Finding::WebhookSilent { address },
        Webhook::Refused(status) => Finding::WebhookRefuses { address, status },
    };
    let calls = match calls.clone() {
        AtOpenAi::Answers => Finding::SipAnswers,
        AtOpenAi::Refuses(cause) => Finding::SipRefused { cause },
        AtOpenAi::Unreachable(cause) => Finding::SipUnreachable { cause },
    };
    [webhook, calls]
}
