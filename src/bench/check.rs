//! Compares a run with an earlier one. Only ratios to the floor of the same run are compared, because a slow
//! machine slows both.

use super::Measured;
use super::run::Figures;

/// The increase of a ratio that counts as worse. A larger value misses regressions; a smaller value reports
/// variations of the machine.
const TOLERANCE: f64 = 0.15;

/// A figure of the daemon, which is compared with the same figure of the floor.
type Ratio = (&'static str, fn(&Figures) -> f64);
const RATIOS: [Ratio; 2] =
    [("processor / floor", |of| of.cpu_s_per_call_minute), ("memory per call / floor", |of| of.kb_per_call)];

/// The ratios that have become worse, each with its earlier and its current value.
pub(super) fn worse(before: &Measured, now: &Measured) -> Vec<(&'static str, f64, f64)> {
    let (Some(floor_before), Some(floor_now)) = (&before.floor, &now.floor) else {
        return vec![("there is no floor to compare with", 0.0, 0.0)];
    };
    let ratios = RATIOS
        .iter()
        .map(|(what, of)| (*what, of(&before.daemon) / of(floor_before), of(&now.daemon) / of(floor_now)));
    ratios.filter(|(_, before, now)| *now > *before * (1.0 + TOLERANCE)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(daemon: f64, floor: f64) -> Measured {
        let figures = |cpu| Figures { cpu_s_per_call_minute: cpu, kb_per_call: 100.0, ..Figures::default() };
        Measured { core_of_its_own: true, daemon: figures(daemon), floor: Some(figures(floor)) }
    }

    #[test]
    fn a_slow_machine_is_no_worse_program() {
        let before = measured(0.10, 0.08);
        assert!(worse(&before, &measured(0.20, 0.16)).is_empty());
        assert!(worse(&before, &measured(0.113, 0.08)).is_empty(), "13 %");
        let found = worse(&before, &measured(0.117, 0.08));
        assert_eq!(found.iter().map(|(what, ..)| *what).collect::<Vec<_>>(), ["processor / floor"]);
        assert_eq!(worse(&before, &Measured { floor: None, ..measured(0.1, 0.1) }).len(), 1);
    }
}
