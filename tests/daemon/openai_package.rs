//! Our signer and verifier of webhooks against the Python packages openai and standardwebhooks: what we sign, the package of OpenAI
//! verifies, and what is signed as OpenAI signs, we verify.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use openai_inbound_calls::clock::wall;
use openai_inbound_calls::sim::openai_calls::{Webhook, incoming};
use openai_inbound_calls::webhook::Key;
use openai_inbound_calls::webhook::inbound::{Headers, Refused};
use serde_json::{Value, json};

/// The bytes 0 to 31.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The bytes 32 to 63.
const SECOND: &str = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
/// A secret without the prefix is its own key.
const PLAIN: &str = "0123456789abcdef01234567";

/// A webhook of which the signatures by both secrets are known.
const BODY: &str = r#"{"object":"event","id":"evt_0001","type":"realtime.call.incoming","created_at":1795182600,"data":{"call_id":"rtc_u0_0001","sip_media_security":"srtp","sip_headers":[{"name":"From","value":"<sip:+525512345678@203.0.113.5>;tag=88221144"},{"name":"To","value":"<sip:proj_0001@sip.api.openai.com>"},{"name":"Call-ID","value":"5f1c2a7e-1"},{"name":"X-Call-Nonce","value":"b3f1c0d29a5e47708c6d1f02e9a4b7c3"}]}}"#;
const AT: i64 = 1_795_182_602;
const SIGNATURES: [(&str, &str); 2] = [
    (SECRET, "v1,JF+VVVxH/po8S/JcBdej4LP18d1QZ6C3KFwS80Os9zE="),
    (SECOND, "v1,IE70wacu/DYeNaO5diFeLcVj95fEbHgLLuL4HHWJqcg="),
];

/// The program of `tests/webhooks/openai`.
struct Python {
    child: Child,
    asked: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// Starts it. `None`: the packages are not installed.
    fn start() -> Option<Self> {
        let python = std::env::var_os("OPENAI_PYTHON")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/webhooks/openai/check.py");
        let mut child = Command::new(python)
            .arg(script)
            .env_remove("OPENAI_WEBHOOK_SECRET")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python");
        let asked = child.stdin.take().expect("its input");
        let answers = BufReader::new(child.stdout.take().expect("its output"));
        Some(Self { child, asked, answers })
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.asked, "{question}").expect("it reads");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).expect("JSON")
    }

    fn verify(&mut self, secret: &str, webhook: &Webhook, tolerance: i64) -> Value {
        let Webhook { id, timestamp, signature, body } = webhook;
        self.ask(&json!({
            "secret": secret, "id": id, "timestamp": timestamp, "signature": signature, "body": body, "tolerance": tolerance,
        }))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn signed(secret: &str, at: i64, body: &str) -> Webhook {
    let signature = Key::of_openai(secret).expect("a secret").sign("wh_0001", at, body);
    Webhook { id: "wh_0001".into(), timestamp: at.to_string(), signature, body: body.to_owned() }
}

#[test]
fn the_package_of_openai_verifies_what_we_sign_and_we_verify_what_is_signed_as_openai_signs() {
    let Some(mut python) = Python::start() else {
        return eprintln!("left out: no Python package openai (tests/run installs it)");
    };
    let now = wall().timestamp();
    let body = incoming(
        "rtc_u0_0001",
        now as u64,
        &[("From", "<sip:+525512345678@203.0.113.5>"), ("X-Name", "Núñez")],
    );
    for secret in [SECRET, SECOND, PLAIN] {
        let webhook = signed(secret, now, &body);
        let told = python.verify(secret, &webhook, 300);
        assert_eq!(
            told,
            json!({"verified": true, "type": "realtime.call.incoming", "call_id": "rtc_u0_0001"})
        );
        let two = Webhook {
            signature: format!("{} {}", signed(PLAIN, now, "{}").signature, webhook.signature),
            ..webhook.clone()
        };
        assert_eq!(python.verify(secret, &two, 300)["verified"], true, "one of two signatures");
        for wrong in [
            Webhook { body: format!("{body} "), ..webhook.clone() },
            Webhook { id: "wh_0002".into(), ..webhook.clone() },
            Webhook { timestamp: (now + 1).to_string(), ..webhook.clone() },
            signed(secret, now - 400, &body),
            signed(secret, now + 400, &body),
        ] {
            assert!(python.verify(secret, &wrong, 300)["error"].is_string(), "{wrong:?}");
            let headers = Headers { id: &wrong.id, timestamp: &wrong.timestamp, signature: &wrong.signature };
            let keys = [Key::of_openai(secret).expect("a secret")];
            assert!(headers.verify(&keys, wrong.body.as_bytes(), now).is_err(), "we agree: {wrong:?}");
        }
    }
    // The fake of OpenAI signs in the same way.
    let of_fake = Webhook::signed(&(0..32).collect::<Vec<u8>>(), "wh_0003", now as u64, body.clone());
    assert_eq!(python.verify(SECRET, &of_fake, 300)["verified"], true);
    for (secret, signature) in SIGNATURES {
        assert_eq!(signed(secret, AT, BODY).signature, signature);
        let told = python.verify(secret, &signed(secret, AT, BODY), i64::from(u32::MAX));
        assert_eq!(told["verified"], true, "{told}");
    }
    for (secret, at, body) in [(SECRET, now, body.as_str()), (SECOND, now, "{}"), (SECRET, AT, BODY)] {
        let told = python
            .ask(&json!({"sign": body, "secret": secret, "id": "wh_0004", "timestamp": at.to_string()}));
        let signature = told["signature"].as_str().expect("a signature");
        let timestamp = at.to_string();
        let headers = Headers { id: "wh_0004", timestamp: &timestamp, signature };
        let key = |secret| Key::of_openai(secret).expect("a secret");
        assert_eq!(headers.verify(&[key(PLAIN), key(secret)], body.as_bytes(), at), Ok(at));
        assert_eq!(headers.verify(&[key(PLAIN)], body.as_bytes(), at), Err(Refused::Signature));
    }
}
