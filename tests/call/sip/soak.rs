//! Thousands of random calls at OpenAI: whatever is refused, lost, cut or interrupted, we make no mistake, and no session is left
//! without an owner.

use std::time::Duration;

use openai_inbound_calls::sim::openai_calls::{Acceptance, Referral, Say, Script};
use serde_json::json;

use super::world::{Step, World};
use super::{calls, script, settings, words};
use crate::soak::variable;

/// Worlds of a usual run.
const WORLDS: u64 = 500;

/// A small generator of reproducible numbers (xorshift).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        // The first numbers of a small seed are small.
        for _ in 0..8 {
            dice.roll(2);
        }
        dice
    }

    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    pub(super) fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

pub(super) fn acceptance(dice: &mut Dice) -> Acceptance {
    match dice.roll(9) {
        0 => Acceptance::Refused(404),
        1 => Acceptance::Refused(500),
        2 => Acceptance::Refused(401),
        3 => Acceptance::NoVadFields,
        4 => Acceptance::Unanswered,
        5 => Acceptance::MadeUnanswered,
        6 => Acceptance::MadeAndFailed,
        _ => Acceptance::Made,
    }
}

pub(super) fn say(dice: &mut Dice) -> Say {
    let transfer = json!({"destination": "ventas", "summary": "x"});
    match dice.roll(8) {
        0 => calls("end_call", &json!({})),
        1 => calls("transfer_call", &transfer),
        2 => Say::WordsAndCalls("Le comunico.".into(), "transfer_call".into(), transfer.to_string()),
        3 => Say::WordsAndCalls("Hasta luego.".into(), "end_call".into(), "{}".into()),
        4 => Say::Nothing,
        _ => words(&"Con mucho gusto. ".repeat(1 + dice.roll(6) as usize)),
    }
}

fn step(dice: &mut Dice) -> Step {
    match dice.roll(12) {
        0 => Step::HangsUp,
        1 | 2 => Step::Cuts,
        3 => Step::Shutdown,
        4 => Step::Presses('5'),
        _ => Step::Says("Una pregunta.", 200 + dice.roll(3_000)),
    }
}

fn world(seed: u64) -> World {
    let mut dice = Dice::of(seed);
    let base = script(&[]);
    let script = Script {
        says: (0..12).map(|_| say(&mut dice)).collect(),
        acceptances: if dice.one_in(2) {
            vec![acceptance(&mut dice), acceptance(&mut dice)]
        } else {
            Vec::new()
        },
        unknown_handshakes: if dice.one_in(3) { dice.roll(8) as u32 } else { 0 },
        referral: match dice.roll(8) {
            0 | 1 => Referral::Refused(500),
            2 => Referral::Unheeded,
            3 => Referral::MadeLate(Duration::from_secs(8)),
            4 => Referral::MadeLateUnanswered(Duration::from_secs(6)),
            _ => Referral::Made,
        },
        // A daemon that stops gives a call up that is not hung up within ten seconds: the next start does it.
        failing_hangups: if dice.one_in(4) { dice.roll(8) as u32 } else { 0 },
        sends_sound: dice.one_in(5),
        tells_end: !dice.one_in(5),
        ..base
    };
    let mut settings = settings();
    settings.tells_keys = dice.one_in(2);
    settings.limits.silence = dice.one_in(2).then(|| Duration::from_secs(20));
    settings.recording_notice = dice.one_in(4).then(|| "Esta llamada se graba.".to_owned());
    let host = if dice.one_in(2) { Some("pbx") } else { None };
    let mut world = World::new(&settings, script, host);
    let mut at = dice.roll(500);
    for _ in 0..dice.roll(12) {
        world.at(at, step(&mut dice));
        at += dice.roll(6_000);
    }
    world.run_to(4_000);
    world
}

#[test]
fn no_session_is_left_without_an_owner() {
    for seed in 1..=variable("SOAK_WORLDS").unwrap_or(WORLDS) {
        let world = world(seed);
        let left = world.openai.left();
        assert!(left.is_empty(), "seed {seed}: {left:?} {:#?}", world.rungs);
        let violations = world.openai.violations();
        assert!(violations.is_empty(), "seed {seed}: {violations:?} {:#?}", world.rungs);
        assert!(world.report().duration.as_secs() < 3_700, "seed {seed}");
    }
}
