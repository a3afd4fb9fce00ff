//! Tests an OpenAI that serves no call. After three callers who waited in vain, all others but one in ten are
//! handed back at once, and the operator hears of the outage once at its start and once at its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use openai_inbound_calls::sim::asterisk::{CallState, CallerId, Ending};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Fault, FaultKind, Script, Trigger, pattern};

use crate::api::Api;
use crate::ready::becomes;
use crate::world::{Program, World, contains, listen, ms, until};

/// A server that is broken until it is repaired.
struct Server {
    world: World,
    is_mended: Arc<AtomicBool>,
    /// The number of connections so far.
    tries: Arc<AtomicUsize>,
}

impl Server {
    fn broken(fault: FaultKind) -> Self {
        let is_mended = Arc::<AtomicBool>::default();
        let tries = Arc::<AtomicUsize>::default();
        let (mended, counted) = (Arc::clone(&is_mended), Arc::clone(&tries));
        let broken =
            Arc::new(Script { faults: vec![Fault::new(Trigger::OnConnect, fault)], ..Script::default() });
        let world = World::choosing(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            if mended.load(Ordering::Relaxed) { Arc::new(Script::default()) } else { Arc::clone(&broken) }
        });
        Self { world, is_mended, tries }
    }

    fn tries(&self) -> usize {
        self.tries.load(Ordering::Relaxed)
    }

    fn call(&self) -> CallerId {
        self.world.call(vec![Step::Pause(ms(600_000))])
    }

    /// Waits until the caller continues in the dialplan for this reason.
    async fn hands_back(&self, call: CallerId, reason: &str) {
        until("the caller goes on", || self.world.asterisk.outcome(call).state == CallState::Gone).await;
        assert!(matches!(self.world.asterisk.outcome(call).ended, Some(Ending::Continued { .. })));
        assert_eq!(self.world.end_reason(call).as_deref(), Some(reason));
    }

    /// Hands back this many callers, one after the other, without a connection to the server.
    async fn hands_back_at_once(&self, callers: usize, reason: &str) {
        let before = self.tries();
        for _ in 0..callers {
            self.hands_back(self.call(), reason).await;
        }
        assert_eq!(self.tries(), before, "nobody waits for a server that is out");
    }

    async fn greets(&self, program: &Program) {
        let call = self.world.call([&listen()[..], &[Step::HangUp]].concat());
        self.world.gone(call).await;
        assert!(contains(&self.world.heard(call), &pattern(1_500, 1)), "the greeting\n{}", program.log());
    }
}

/// Three callers in a row, and what follows, with a server that fails in this way. `handed_back` is the
/// reason for which the others are handed back.
async fn an_outage(fault: FaultKind, reason: &str, cause: &str, handed_back: &str) {
    let server = Server::broken(fault);
    let program = server.world.program(&[]).await;
    let api = Api::of(&program).await;
    let callers: Vec<_> = (0..3).map(|_| server.call()).collect();
    for call in callers {
        server.hands_back(call, reason).await;
    }
    program.says("ERROR", "OpenAI no atiende desde 20").await;
    program.says("ERROR", &format!(" - Llamadas fallidas: 3 - Última causa: {cause}")).await;
    becomes(&api, &["openai_outage"]).await;

    server.hands_back_at_once(9, reason).await;
    let errors = program.count("ERROR", "");
    let tries = server.tries();
    server.hands_back(server.call(), reason).await;
    assert!(server.tries() > tries, "the tenth tries");
    program.says_times(3 + 10, "WARNING", handed_back).await;
    assert_eq!(program.count("ERROR", ""), errors, "an outage is told once:\n{}", program.log());

    server.is_mended.store(true, Ordering::Relaxed);
    server.hands_back_at_once(9, reason).await;
    server.greets(&program).await;
    program.says("INFO", "OpenAI atiende de nuevo - Duración de la falla: ").await;
    program.says("INFO", " s - Llamadas no atendidas: 22").await;
    becomes(&api, &[]).await;
    server.greets(&program).await;
    assert_eq!(program.count("ERROR", "OpenAI no atiende desde"), 1, "{}", program.log());
    assert_eq!(program.count("INFO", "OpenAI atiende de nuevo"), 1, "{}", program.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_everybody() {
    let fault = FaultKind::RefuseAs(429, "insufficient_quota".to_owned());
    let handed_back = "Llamada devuelta al dialplan - Motivo: OpenAI rechazó la sesión";
    an_outage(fault, "session_failed", "La cuenta de OpenAI no tiene saldo", handed_back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_with_its_own_error() {
    let fault = FaultKind::RefuseAs(500, "server_error".to_owned());
    let handed_back = "Llamada devuelta al dialplan - Motivo: OpenAI no respondió a tiempo";
    an_outage(fault, "session_late", "La sesión con OpenAI no se abrió en 8 s", handed_back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_reload_the_next_caller_tries() {
    let server = Server::broken(FaultKind::RefuseAs(401, "invalid_api_key".to_owned()));
    let program = server.world.program_with_env_file(&[]).await;
    for _ in 0..3 {
        server.hands_back(server.call(), "session_failed").await;
    }
    program.says("ERROR", "OpenAI no atiende desde").await;
    server.hands_back_at_once(1, "session_failed").await;
    server.is_mended.store(true, Ordering::Relaxed);
    program.change_env_file(&[("ASSISTANT_GREETING", "Buenas")]);
    program.signal("HUP");
    program.says("INFO", "Configuración leída de nuevo").await;
    server.greets(&program).await;
    program.says("INFO", "OpenAI atiende de nuevo").await;
}
