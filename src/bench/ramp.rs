//! Finds the largest number of calls that a program serves.

use std::io::{self, Write as _};

use super::run::{Figures, Plan, run};

/// The relative exactness of the result. A larger value needs fewer runs; a smaller value gives a more exact
/// result.
const CLOSE_ENOUGH: f64 = 0.05;

/// Increases the number of calls until a run fails, narrows the interval, and returns the best run that
/// succeeded. If the first run fails, that run is the result and shows what is wrong.
pub(super) async fn most(plan: Plan<'_>) -> anyhow::Result<Figures> {
    let mut best = tried(plan).await?;
    if !best.is_carried() {
        return Ok(best);
    }
    let mut too_many: Option<usize> = None;
    loop {
        let next = match too_many {
            None => best.calls * 3 / 2 + 1,
            Some(most) => usize::midpoint(best.calls, most),
        };
        let gap = too_many.unwrap_or(usize::MAX) - best.calls;
        if gap as f64 <= best.calls as f64 * CLOSE_ENOUGH || gap <= 1 {
            return Ok(best);
        }
        let figures = tried(Plan { calls: next, ..plan }).await?;
        if figures.is_carried() {
            best = figures;
        } else {
            too_many = Some(next);
        }
    }
}

/// Runs once and prints a line about the run to stderr.
async fn tried(plan: Plan<'_>) -> anyhow::Result<Figures> {
    let figures = run(plan).await?;
    let verdict = match (figures.is_valid(), figures.is_whole(), figures.is_carried()) {
        (false, ..) => "? (bench late)",
        (_, false, _) => "✗ (lost)",
        (.., false) if figures.served < plan.calls => "✗ (not all served)",
        (.., false) => "✗ (late)",
        _ => "✓",
    };
    writeln!(
        io::stderr(),
        "{:?} {} calls: {:.0} %, p99 {:.1} ms, bench p99 {:.1} ms {verdict}",
        plan.contender,
        plan.calls,
        figures.cpu_percent,
        figures.lateness_ms.p99,
        figures.fakes_ms.p99
    )?;
    Ok(figures)
}
