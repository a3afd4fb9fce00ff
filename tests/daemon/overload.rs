//! A machine that does not carry its calls: new callers go on, those that are served stay, until it recovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openai_inbound_calls::sim::asterisk::CallState;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::Script;

use crate::api::Api;
use crate::ready::becomes;
use crate::world::{Program, World, ms, until};

/// What a daemon gets of a processor that others use as well: a moment in every other.
const MOMENT: Duration = Duration::from_millis(60);

/// Stops the program and lets it go on, in turns, until it is dropped.
struct Overload(Arc<AtomicBool>);

impl Overload {
    fn of(program: &Program) -> Self {
        let (pid, over) = (program.pid(), Arc::new(AtomicBool::new(false)));
        let is_over = Arc::clone(&over);
        std::thread::spawn(move || {
            use rustix::process::{Signal, kill_process};
            while !is_over.load(Ordering::Relaxed) {
                for signal in [Signal::STOP, Signal::CONT] {
                    kill_process(pid, signal).expect("it runs");
                    std::thread::sleep(MOMENT);
                }
            }
        });
        Self(over)
    }
}

impl Drop for Overload {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_frames_leave_late_new_callers_go_on() {
    let world = World::new(Script::default());
    let program = world.program(&[("MAX_FRAME_LATENESS_MS", "10")]).await;
    let api = Api::of(&program).await;
    let served = world.call(vec![Step::Pause(ms(120_000))]);
    program.says("INFO", "Conexión WebSocket con OpenAI").await;
    let overload = Overload::of(&program);
    becomes(&api, &["overloaded"]).await;
    program.says("WARNING", "Sobrecarga con 1 llamadas").await;
    let refused = world.call(vec![Step::Pause(ms(120_000))]);
    until("the second goes on", || world.end_reason(refused).as_deref() == Some("busy")).await;

    drop(overload);
    becomes(&api, &[]).await;
    program.says("INFO", "Fin de la sobrecarga - Llamadas en curso: 1").await;
    assert_eq!(world.asterisk.outcome(served).state, CallState::Up);
    let third = world.call(vec![Step::Pause(ms(120_000))]);
    program.says_times(2, "INFO", "Conexión WebSocket con OpenAI").await;
    world.asterisk.hang_up(served);
    world.asterisk.hang_up(third);
    world.over(third).await;
}
