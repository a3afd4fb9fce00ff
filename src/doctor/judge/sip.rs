//! What the results about calls by SIP mean.

use crate::doctor::facts::{AtOpenAi, Endpoint, PublicAddress, Sip, SipHost, Webhook};
use crate::doctor::findings::Finding;
use crate::doctor::sip_findings::SipFinding;

/// The findings about the webhook, OpenAI and, if Asterisk calls OpenAI, its endpoint.
pub(super) fn findings(sip: &Sip) -> Vec<Finding> {
    let Sip { address, webhook, public, calls, host, tls, endpoint } = sip;
    let address = address.to_string();
    let webhook = match *webhook {
        Webhook::Verified => SipFinding::WebhookTakes { address },
        Webhook::Silent => SipFinding::WebhookSilent { address },
        Webhook::Refused(status) => SipFinding::WebhookRefuses { address, status },
    };
    let public = public.clone().map_or(SipFinding::PublicUnchecked, |(url, answer)| of_public(url, answer));
    let calls = match calls.clone() {
        AtOpenAi::Answers => SipFinding::SipAnswers,
        AtOpenAi::Refuses(cause) => SipFinding::SipRefused { cause },
        AtOpenAi::Unreachable(cause) => SipFinding::SipUnreachable { cause },
    };
    let host = host.clone();
    let tls = match tls.clone() {
        SipHost::Trusted => SipFinding::HostTrusted { host },
        SipHost::Untrusted(cause) => SipFinding::HostUntrusted { host, cause },
        SipHost::Unreachable(cause) => SipFinding::HostUnreachable { host, cause },
    };
    let endpoint = endpoint.clone().map(|(endpoint, standing)| match standing {
        Endpoint::There => SipFinding::EndpointThere { endpoint },
        Endpoint::Offline => SipFinding::EndpointOffline { endpoint },
        Endpoint::Missing => SipFinding::EndpointMissing { endpoint },
        Endpoint::Unknown(cause) => SipFinding::EndpointUnknown { endpoint, cause },
    });
    let all = [webhook, public, calls, tls, SipFinding::Firewall].into_iter().chain(endpoint);
    all.map(|finding| Finding::OfSip { finding }).collect()
}

/// OpenAI needs 200 (other codes are tried again), and the daemon refuses what is not signed with 400.
fn of_public(url: String, answer: PublicAddress) -> SipFinding {
    match answer {
        PublicAddress::Answers { signed: 200, unsigned: 400 } => SipFinding::PublicTakes { url },
        PublicAddress::Answers { signed: 200, unsigned: status } => {
            SipFinding::PublicTakesAll { url, status }
        }
        PublicAddress::Answers { signed: status, .. } => SipFinding::PublicRefuses { url, status },
        PublicAddress::Unreachable(cause) => SipFinding::PublicUnreachable { url, cause },
    }
}

/// The modules without which Asterisk cannot call OpenAI: the call itself, its encrypted sound, the header with the nonce, and the
/// recording.
const MODULES: [&str; 5] =
    ["chan_pjsip.so", "res_ari_recordings.so", "res_pjsip.so", "res_pjsip_header_funcs.so", "res_srtp.so"];

/// What is missing of Asterisk's `running` modules, if Asterisk is to call OpenAI.
pub(super) fn modules(sip: &Sip, running: &[String]) -> Option<Finding> {
    sip.endpoint.as_ref()?;
    let missing: Vec<_> =
        MODULES.into_iter().filter(|name| !running.iter().any(|module| module == name)).collect();
    let names = missing.join(", ");
    (!missing.is_empty()).then_some(Finding::OfSip { finding: SipFinding::SipModulesMissing { names } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::words::{Check, Status};
    use crate::operator::{Detail, Language, LinkFault};

    fn well() -> Sip {
        Sip {
            address: ([127, 0, 0, 1], 5_002).into(),
            webhook: Webhook::Verified,
            public: Some((
                "https://pbx.example/webhook".into(),
                PublicAddress::Answers { signed: 200, unsigned: 400 },
            )),
            calls: AtOpenAi::Answers,
            host: "sip.api.openai.com:5061".into(),
            tls: SipHost::Trusted,
            endpoint: Some(("openai".into(), Endpoint::There)),
        }
    }

    /// The statuses of webhook, public address, requests, host, firewall and endpoint.
    fn statuses(sip: &Sip) -> Vec<(Check, Status)> {
        findings(sip).iter().map(|finding| (finding.check(), finding.status())).collect()
    }

    #[test]
    fn each_result_has_its_status() {
        use Check::{SipEndpoint, SipHost as Host, Webhook as Local, WebhookPublic};
        use Status::{Failure, Note, Ok as Fine, Warning};
        let expected = [
            (Local, Fine),
            (WebhookPublic, Fine),
            (Check::Sip, Fine),
            (Host, Fine),
            (Host, Note),
            (SipEndpoint, Fine),
        ];
        assert_eq!(statuses(&well()), expected);
        let public = |signed, unsigned| Sip {
            public: Some((String::new(), PublicAddress::Answers { signed, unsigned })),
            ..well()
        };
        let detail = || Detail::new("no way");
        let fault = || LinkFault::Broken;
        let with_endpoint = |endpoint| Sip { endpoint: Some((String::new(), endpoint)), ..well() };
        for (sip, at, status) in [
            (Sip { webhook: Webhook::Silent, ..well() }, 0, Note),
            (Sip { webhook: Webhook::Refused(400), ..well() }, 0, Failure),
            (Sip { public: None, ..well() }, 1, Note),
            (public(200, 200), 1, Failure),
            (public(204, 400), 1, Failure),
            (public(301, 301), 1, Failure),
            (public(400, 400), 1, Failure),
            (
                Sip { public: Some((String::new(), PublicAddress::Unreachable(detail()))), ..well() },
                1,
                Failure,
            ),
            (Sip { calls: AtOpenAi::Refuses(fault()), ..well() }, 2, Failure),
            (Sip { calls: AtOpenAi::Unreachable(fault()), ..well() }, 2, Failure),
            (Sip { tls: SipHost::Untrusted(detail()), ..well() }, 3, Failure),
            (Sip { tls: SipHost::Unreachable(detail()), ..well() }, 3, Warning),
            (with_endpoint(Endpoint::Offline), 5, Warning),
            (with_endpoint(Endpoint::Missing), 5, Failure),
            (with_endpoint(Endpoint::Unknown(detail())), 5, Note),
        ] {
            let found = statuses(&sip);
            assert_eq!(found[at].1, status, "{sip:?}");
            let changed = found.iter().zip(expected).filter(|(found, expected)| *found != expected).count();
            assert_eq!(changed, 1, "{sip:?}");
            let finding = &findings(&sip)[at];
            for language in [Language::Spanish, Language::English] {
                let (said, remedy) = finding.words(language);
                assert!(
                    !said.is_empty() && remedy.is_some() == matches!(status, Warning | Failure),
                    "{said}"
                );
            }
        }
        assert_eq!(statuses(&Sip { endpoint: None, ..well() }).len(), 5);
    }

    #[test]
    fn the_modules_of_a_call_to_openai_are_missed_only_where_asterisk_makes_it() {
        let running: Vec<_> =
            MODULES.iter().filter(|name| **name != "res_srtp.so").map(ToString::to_string).collect();
        let missing = modules(&well(), &running).expect("a finding");
        assert!(
            missing.status() == Status::Failure
                && missing.words(Language::English).0.ends_with(": res_srtp.so")
        );
        assert!(modules(&well(), &MODULES.map(ToString::to_string)).is_none());
        assert!(modules(&Sip { endpoint: None, ..well() }, &running).is_none());
    }
}
