//! The most calls a program carries.

use std::io::{self, Write as _};

use super::run::{Figures, Plan, run};

/// The answer is known to this part.
const CLOSE_ENOUGH: f64 = 0.05;

/// Runs with more and more calls until a run is not carried, then between the two, and gives the best run that was. The
/// first tells what is wrong if none was.
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

/// One run, with a line about it for whoever waits.
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
