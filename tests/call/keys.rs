//! The keys a caller presses reach the model in words.

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::pattern;

use super::ladder::{Show, check};
use super::world::{MS, World};

fn pressing(keys: &str) -> Vec<Step> {
    let mut steps = vec![Step::WaitForSilence { quiet: 700 * MS, at_most: 10_000 * MS }];
    steps.extend(keys.chars().map(Step::Press));
    steps
}

#[test]
fn keys_are_told_together_and_answered() {
    for (keys, told) in [("12", "caller: [keypad: 12]"), ("45#", "caller: [keypad: 45#]")] {
        let mut world = World::new();
        world.set(|settings| settings.tells_keys = true);
        world.dial(pressing(keys));
        world.run_to(9_000);
        let said = world.ladder.draw(0, Show::TALK);
        assert_eq!(said.matches("keypad").count(), 1, "{said}");
        assert!(said.contains(told), "{said}");
        if keys == "12" {
            check(
                &world.ladder,
                Show::TALK.from(2_600),
                "
                       caller    Asterisk  us        model
                4.526  │         │         ├────────▶│  caller: [keypad: 12]
                4.526  │         │         ├────────▶│  respond
                4.566  │         │         │◀────────┤  created resp_2
                4.866  │         │         │◀════════╡  item_2 2000 ms
                4.866  │◀════════╪═════════╡         │  item_2 2000 ms
                4.932  │         │         │◀────────┤  done resp_2 completed
        ",
            );
        }
        assert!(world.heard(0).ends_with(&pattern(2_000, 2)), "an answer");
        assert!(world.violations().is_empty(), "{:?}", world.violations());
        world.hang_up(0);
        world.run_for(3_000);
        assert!(
            world.report(0).transcript.iter().any(|said| told.ends_with(&said.text) && !said.text.is_empty())
        );
    }
}

#[test]
fn who_does_not_want_the_model_to_know_does_not_tell_it() {
    let mut world = World::new();
    world.dial(pressing("12#"));
    world.run_to(9_000);
    assert!(!world.ladder.draw(0, Show::TALK).contains("keypad"));
}
