//! A defect of ours: an assertion of a call fails, and its task panics. That call ends, and nothing else does.

use openai_inbound_calls::exchange::Input;
use openai_inbound_calls::operator::{Detail, Notice};
use openai_inbound_calls::sim::asterisk::Ending;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::pattern;

use super::world::{MS, World};

impl World {
    /// The task of this call panics now, as it does when an assertion fails: its sockets close, and nothing that the call has
    /// made is undone by it.
    fn break_call(&mut self, task: usize) {
        let broken = &mut self.tasks[task];
        let (daemon, caller) = (broken.daemon, broken.channel.clone());
        broken.report = Some(broken.call.report());
        self.live.remove(&(daemon, caller.clone()));
        self.close_session(task);
        self.feed(daemon, Input::Panicked(caller, Detail::new("task 7 panicked")));
    }
}

#[test]
fn a_call_that_breaks_at_any_moment_ends_alone_and_its_caller_goes_on() {
    for ms in (0..3_000).step_by(150) {
        let mut world = World::new();
        world.ladder.off();
        let broken = world.ring(vec![]);
        let other = world.dial(vec![Step::Pause(4_000 * MS), Step::Say(pattern(1_000, 7))]);
        world.run_to(ms);
        let Some(task) = world.tasks.iter().position(|task| task.phone == broken) else { continue };
        let kept = world.tasks[task].recorded.entries.len();
        world.break_call(task);
        assert_eq!(world.tasks[task].recorded.entries.len(), kept, "what was recorded stays");
        world.run_to(9_000);
        let outcome = world.outcome(broken);
        assert!(matches!(outcome.ended, Some(Ending::Continued { .. })), "at {ms} ms: {:?}", outcome.ended);
        assert_eq!(outcome.variables, [("AI_END_REASON".to_owned(), "internal".to_owned())], "at {ms} ms");
        let told = |notice: &&Notice| matches!(notice, Notice::CallPanicked { .. });
        assert_eq!(world.daemons[0].notices.iter().filter(told).count(), 1, "at {ms} ms");
        assert_eq!(world.live.len(), 1, "at {ms} ms: the other call goes on");
        assert_eq!(world.heard_of(other, &pattern(2_000, 2)), 2_000, "and its caller is answered");
        world.hang_up(other);
        world.run_for(3_000);
        assert_eq!(world.left_over(), [""; 0], "at {ms} ms");
    }
}
