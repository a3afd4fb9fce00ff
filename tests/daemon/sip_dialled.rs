//! Callers in Asterisk for whom Asterisk calls OpenAI, behind sockets: the real program with `CALL_ROUTE=sip`, a fake Asterisk, a fake of
//! OpenAI's calls, and a trunk between the two that carries the sound.

use std::sync::Arc;

use openai_inbound_calls::sim::asterisk::{CallState, CallerId, Ending, IncomingCall, Settings};
use openai_inbound_calls::sim::caller::{Caller, Step};
use openai_inbound_calls::sim::live::openai_calls::What;
use openai_inbound_calls::sim::live::{OpenAiCallsServer, Trunk};
use openai_inbound_calls::sim::openai_calls::{Say, Script, State};
use openai_inbound_calls::sim::realtime::{Script as MediaScript, pattern};

use crate::recording::documents;
use crate::sip::{SECRET, secret, webhook_of};
use crate::small_disk::SmallDisk;
use crate::world::{Program, World, contains, listen, ms, until};

/// The sound of the greeting, of what the caller says, and of the answer.
fn voices() -> [Arc<[u8]>; 3] {
    [(1_500, 1), (1_000, 100), (1_200, 2)].map(|(length, tag)| pattern(length, tag))
}

/// Asterisk, OpenAI, the trunk between them, and the program.
struct Stage {
    world: World,
    openai: OpenAiCallsServer,
    trunk: Trunk,
    program: Program,
}

impl Stage {
    async fn new(changes: &[(&'static str, &str)]) -> Self {
        let endpoints = vec![("openai".to_owned(), "online".to_owned())];
        let media = Arc::new(MediaScript::default());
        let world = World::with(Settings { endpoints, ..Settings::default() }, move |_| Arc::clone(&media));
        let [greeting, _, answer] = voices();
        let says = vec![Say::Speech("Hola.".into(), greeting), Say::Speech("Claro.".into(), answer)];
        let hears = vec!["Una cita, por favor.".to_owned()];
        let script = Script { says, hears, ..Script::new(&secret(), "sk-test") };
        let openai = OpenAiCallsServer::start(script).expect("loopback");
        openai.watch();
        let trunk = Trunk::between(&world.asterisk, &openai);
        let program = Self::program(&world, &openai, &trunk, changes).await;
        Self { world, openai, trunk, program }
    }

    async fn program(
        world: &World,
        openai: &OpenAiCallsServer,
        trunk: &Trunk,
        changes: &[(&'static str, &str)],
    ) -> Program {
        let (realtime, calls) = (openai.realtime_url(), openai.calls_url());
        let ours = [
            ("CALL_ROUTE", "sip"),
            ("OPENAI_PROJECT", "proj_0001"),
            ("OPENAI_SIP_ENDPOINT", "openai"),
            ("OPENAI_WEBHOOK_SECRET", SECRET),
            ("WEBHOOK_LISTEN", "127.0.0.1:0"),
            ("OPENAI_REALTIME_URL", &realtime),
            ("OPENAI_CALLS_URL", &calls),
        ];
        let program = world.program(&[&ours, changes].concat()).await;
        trunk.webhook_at(webhook_of(&program).await);
        program
    }

    fn call(&self, script: Vec<Step>) -> CallerId {
        let call = IncomingCall { answered: false, ..IncomingCall::default() };
        self.world.asterisk.call(call, |now| Caller::new(now, script, 7))
    }

    /// The ids of the calls at OpenAI, in order.
    fn calls(&self, seen: &mut Vec<String>) {
        let rings = self.openai.seen().into_iter().filter(|event| matches!(event.what, What::Rings));
        seen.extend(rings.map(|event| event.call));
    }

    /// Whether a call that was accepted is over at OpenAI: Asterisk has ended it, or we have. Mostly both try.
    fn has_ended(&self, call: &str) -> bool {
        self.openai.look(|calls| matches!(calls.state(call), Some(State::CallerGone | State::HungUp)))
    }

    /// Asserts that we have made no mistake, and that nothing is left that costs money.
    fn is_clean(&self) {
        self.openai.look(|calls| {
            assert_eq!(calls.violations(), [""; 0]);
            assert_eq!(calls.left(), [""; 0]);
        });
    }
}

/// One side of a stereo file.
fn side(wav: &[u8], side: usize) -> Vec<u8> {
    wav[58..].iter().skip(side).step_by(2).copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_in_asterisk_talks_to_openai_and_both_voices_are_recorded() {
    let stage = Stage::new(&[]).await;
    let [greeting, question, answer] = voices();
    let [hear, wait] = listen();
    let script = vec![hear.clone(), wait.clone(), Step::Say(Arc::clone(&question)), hear, wait, Step::HangUp];
    let call = stage.call(script);
    stage.world.over_but_sessions(call).await;
    assert_eq!(stage.world.asterisk.outcome(call).ended, Some(Ending::CallerHungUp));
    let heard = stage.world.heard(call);
    assert!(contains(&heard, &greeting) && contains(&heard, &answer), "the caller heard both");
    let mut ids = Vec::new();
    stage.calls(&mut ids);
    let [id] = &ids[..] else { panic!("one call: {ids:?}") };
    assert!(
        contains(&stage.openai.look(|calls| calls.received(id)), &question),
        "the model heard the caller"
    );
    stage.program.says("INFO", "Llamada terminada").await;
    until("nothing of the recording is left in Asterisk", || stage.world.asterisk.recordings().is_empty())
        .await;
    stage.is_clean();
    let mut program = stage.program;
    program.signal("TERM");
    assert!(program.exit().await.success());
    let documents = documents(&stage.world);
    let [(document, wav)] = &documents[..] else { panic!("one recording") };
    assert_eq!(document["openai_call_id"], **id);
    assert_eq!(document["conversation"][1]["text"], "Una cita, por favor.");
    assert!(contains(&side(wav, 0), &question), "the caller is on the left");
    let right = side(wav, 1);
    assert!(contains(&right, &greeting) && contains(&right, &answer), "the assistant on the right");
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_is_deleted_in_asterisk_only_when_it_is_on_our_disk() {
    let database = tempfile::tempdir().expect("a folder");
    let database = format!("sqlite:{}", database.path().join("calls.db").display());
    let stage = Stage::new(&[("DATABASE_URL", &database)]).await;
    let Some(disk) = SmallDisk::mount(stage.world.recordings.path()) else { return };
    let greeting = voices()[0].clone();
    disk.fill();
    let call = stage.call(vec![Step::Pause(ms(60_000))]);
    until("the greeting is heard", || contains(&stage.world.heard(call), &greeting)).await;
    stage.program.says("ERROR", "No se puede grabar").await;
    stage.world.asterisk.hang_up(call);
    stage.world.over_but_sessions(call).await;
    let channel = stage.world.asterisk.outcome(call).channel;
    // A whole call later the sound of the first would have been deleted.
    let other = stage.call(vec![Step::Pause(ms(60_000))]);
    until("the next one is greeted", || contains(&stage.world.heard(other), &greeting)).await;
    stage.world.asterisk.hang_up(other);
    stage.world.over_but_sessions(other).await;
    let left = || {
        let names = stage.world.asterisk.recordings();
        names.into_iter().filter(|name| name.contains(&channel)).count()
    };
    assert_eq!(left(), 2, "what was said and what was heard");
    disk.empty();
    until("the sound has been fetched", || stage.world.asterisk.recordings().is_empty()).await;
    let mut program = stage.program;
    program.signal("TERM");
    assert!(program.exit().await.success());
    let documents = documents(&stage.world);
    // The last frame may still have been on its way to the caller.
    let beginning = &greeting[..greeting.len() - 800];
    let whole = documents.iter().filter(|(_, wav)| contains(&side(wav, 1), beginning)).count();
    assert_eq!(whole, 2, "of {} recordings", documents.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_side_ends_the_call_the_other_is_let_go() {
    let stage = Stage::new(&[]).await;
    let call = stage.call(vec![Step::Pause(ms(60_000))]);
    let mut ids = Vec::new();
    until("the greeting is heard", || contains(&stage.world.heard(call), &voices()[0])).await;
    stage.calls(&mut ids);
    stage.openai.caller_hangs_up(&ids[0]);
    stage.world.over_but_sessions(call).await;
    let ended = stage.world.asterisk.outcome(call).ended;
    assert!(matches!(ended, Some(Ending::Continued { .. })), "the caller goes on in the dialplan: {ended:?}");
    let call = stage.call(vec![Step::Pause(ms(60_000))]);
    until("the next one is greeted", || contains(&stage.world.heard(call), &voices()[0])).await;
    stage.calls(&mut ids);
    stage.world.asterisk.hang_up(call);
    stage.world.over_but_sessions(call).await;
    until("OpenAI knows", || stage.has_ended(&ids[1])).await;
    stage.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_of_a_killed_daemon_is_served_by_the_next_and_no_session_is_left() {
    let mut stage = Stage::new(&[]).await;
    let [stays, leaves] = [(); 2].map(|()| stage.call(vec![Step::Pause(ms(120_000))]));
    let greeting = voices()[0].clone();
    until("both are greeted", || {
        [stays, leaves].iter().all(|call| contains(&stage.world.heard(*call), &greeting))
    })
    .await;
    let mut ids = Vec::new();
    stage.calls(&mut ids);
    stage.program.signal("KILL");
    stage.program.exit().await;
    stage.world.asterisk.hang_up(leaves);
    let left = stage.world.asterisk.recordings();
    assert_eq!(left.len(), 4, "{left:?}");
    stage.program = Stage::program(&stage.world, &stage.openai, &stage.trunk, &[]).await;
    for id in &ids {
        until("the sessions of the first are ended", || stage.has_ended(id)).await;
    }
    // What the first daemon had recorded is named.
    stage.program.says("ERROR", "quedó allí, en spool/recording").await;
    let channel = stage.world.asterisk.outcome(leaves).channel;
    for voice in ["said", "heard"] {
        stage.program.says("ERROR", &format!("oic-{voice}-{channel}")).await;
    }
    let served = || {
        let heard = stage.world.heard(stays);
        let first = heard.windows(greeting.len()).position(|window| *window == *greeting);
        first.is_some_and(|at| contains(&heard[at + greeting.len()..], &greeting))
    };
    until("who stayed is greeted again", served).await;
    stage.calls(&mut ids);
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert_eq!(stage.world.asterisk.outcome(stays).state, CallState::Up);
    stage.world.asterisk.hang_up(stays);
    stage.world.over_but_sessions(stays).await;
    stage.program.says("INFO", "Llamada terminada").await;
    until("only what is named is left in Asterisk", || {
        let log = stage.program.log();
        stage.world.asterisk.recordings().iter().all(|name| log.contains(name.as_str()))
    })
    .await;
    let kept = stage.world.asterisk.recordings();
    // The next daemon's recording of the caller who stayed has not overwritten the first part.
    assert!(kept.len() == 4 && kept == left, "told and still there: {kept:?}");
    stage.is_clean();
}
