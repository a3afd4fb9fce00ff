//! Tests of a daemon that gets less processor time than its calls need: new callers return to the dialplan,
//! and calls in progress continue until there is room. A machine that stops for short times refuses no call.

use std::fs;
use std::iter::repeat;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use openai_inbound_calls::sim::asterisk::CallState;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::Script;
use rustix::process::{Pid, Signal, kill_process, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::api::Api;
use crate::ready::becomes;
use crate::world::{Program, World, listen, ms, until};

/// The number of calls in progress before the processor is taken away. With a single call, one late frame
/// says little.
const SERVED: usize = 5;
/// The number of threads that compete for the daemon's processor. Each has about 15 times the weight of a thread of
/// the daemon.
const RIVALS: usize = 4;
/// The time for which the machine stops, and then runs again. The time exceeds the 20 ms that count as late.
const PAUSE: Duration = Duration::from_millis(60);

/// Continues in a thread of its own until it is dropped.
struct Trouble {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// The process whose threads are to compete for processors as before when the trouble is over.
    restored: Option<(Pid, CpuSet)>,
}

/// The threads of this process.
fn threads_of(process: Pid) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).expect("it runs");
    let number = |name: &str| name.parse().ok().and_then(Pid::from_raw);
    threads.filter_map(|thread| number(thread.ok()?.file_name().to_str()?)).collect()
}

impl Trouble {
    fn new(threads: usize, work: impl Fn(&AtomicBool) + Clone + Send + 'static) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let start = |_| {
            let (is_over, work) = (Arc::clone(&is_over), work.clone());
            std::thread::spawn(move || work(&is_over))
        };
        Self { threads: (0..threads).map(start).collect(), is_over, restored: None }
    }

    /// Others with more weight compete for the daemon's processor.
    fn of_rivals(program: &Program) -> Self {
        let mut one = CpuSet::new();
        let ours = sched_getaffinity(None).expect("the kernel tells");
        one.set((0..CpuSet::MAX_CPU).find(|cpu| ours.is_set(*cpu)).expect("one at least"));
        // Linux keeps both settings per thread.
        for thread in threads_of(program.pid()) {
            setpriority_process(Some(thread), 12).expect("a lower priority is always allowed");
            sched_setaffinity(Some(thread), &one).expect("our own processor");
        }
        let compete = move |is_over: &AtomicBool| {
            sched_setaffinity(None, &one).expect("our own processor");
            while !is_over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        };
        let mut trouble = Self::new(RIVALS, compete);
        trouble.restored = Some((program.pid(), ours));
        trouble
    }

    /// The machine stops and continues in turns.
    fn of_pauses(program: &Program) -> Self {
        let pid = program.pid();
        Self::new(1, move |is_over| {
            while !is_over.load(Ordering::Relaxed) {
                for signal in [Signal::STOP, Signal::CONT] {
                    kill_process(pid, signal).expect("it runs");
                    std::thread::sleep(PAUSE);
                }
            }
        })
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic of that thread does not concern the test.
            thread.join().ok();
        }
        // Otherwise the other tests that run at the same time would be the next rivals. Only root may raise a priority again.
        for (thread, ours) in
            self.restored.iter().flat_map(|(pid, ours)| threads_of(*pid).into_iter().zip(repeat(ours)))
        {
            setpriority_process(Some(thread), 0).ok();
            sched_setaffinity(Some(thread), ours).ok();
        }
    }
}

const WAIT: [Step; 1] = [Step::Pause(ms(600_000))];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_daemon_does_not_get_the_processor_it_needs_new_callers_go_on() {
    let world = World::new(Script::default());
    let program = world.program(&[("MAX_FRAME_LATENESS_MS", "20")]).await;
    let api = Api::of(&program).await;
    let served: Vec<_> = (0..SERVED).map(|_| world.call(WAIT.to_vec())).collect();
    program.says_times(SERVED, "INFO", "Conexión WebSocket con OpenAI").await;
    let trouble = Trouble::of_rivals(&program);
    program.says("WARNING", &format!("Sobrecarga con {SERVED} llamadas")).await;
    let refused = world.call(WAIT.to_vec());
    until("the next one goes on", || world.end_reason(refused).as_deref() == Some("busy")).await;
    becomes(&api, &["overloaded"]).await;

    drop(trouble);
    becomes(&api, &[]).await;
    program.says("INFO", "Fin de la sobrecarga - Llamadas en curso").await;
    assert!(served.iter().all(|call| world.asterisk.outcome(*call).state == CallState::Up));
    let last = world.call(WAIT.to_vec());
    program.says_times(SERVED + 1, "INFO", "Conexión WebSocket con OpenAI").await;
    for call in served {
        world.asterisk.hang_up(call);
    }
    world.asterisk.hang_up(last);
    world.over(last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_stands_still_now_and_then_refuses_nobody() {
    let world = World::new(Script::default());
    let program = world.program(&[("MAX_FRAME_LATENESS_MS", "20")]).await;
    let stays = world.call(WAIT.to_vec());
    program.says("INFO", "Conexión WebSocket con OpenAI").await;
    let trouble = Trouble::of_pauses(&program);
    // One call follows the other, so that there is always another one to be refused: more than ten seconds in
    // all.
    for _ in 0..5 {
        let call = world.call([&listen()[..], &[Step::HangUp]].concat());
        until("the call is over", || world.asterisk.outcome(call).state == CallState::Gone).await;
        assert_eq!(world.end_reason(call), None, "{}", program.log());
    }
    drop(trouble);
    assert_eq!(program.count("WARNING", "Sobrecarga"), 0, "{}", program.log());
    world.asterisk.hang_up(stays);
    world.over(stays).await;
}
