//! Prints the figures in the operator's language.

use super::Measured;
use super::counts::Counts;
use super::figures::{Faults, Spread};
use super::run::Figures;
use crate::operator::Language;

/// The whole report: the run of the daemon and, if measured, the run of the floor with a comparison.
pub(super) fn text(measured: &Measured, language: Language) -> String {
    let name = |spanish, english| language.choose(spanish, english);
    let daemon = &measured.daemon;
    let mut text = String::new();
    if !measured.core_of_its_own {
        text += name(
            "Un solo núcleo: el servicio lo comparte con los simuladores, y las cifras son de ambos\n\n",
            "Only one core: the daemon shares it with the fakes, and the figures are of both\n\n",
        );
    }
    let Some(floor) = &measured.floor else { return text + &of_one(daemon, language) };
    let ratio = |of: fn(&Figures) -> f64| of(daemon) / of(floor);
    text + &format!(
        "{}:\n{}\n\n{}:\n{}\n\n{}: {} {:.2}, {} {:.2}, {} {:.2}",
        name("Suelo (el mínimo código para el mismo sonido)", "Floor (the least code for the same sound)"),
        of_one(floor, language),
        name("Servicio", "Daemon"),
        of_one(daemon, language),
        name("Servicio / suelo", "Daemon / floor"),
        name("procesador", "processor"),
        ratio(|of| of.cpu_s_per_call_minute),
        name("memoria por llamada", "memory per call"),
        ratio(|of| of.kb_per_call),
        name("llamadas", "calls"),
        ratio(|of| of.served as f64),
    )
}

/// The report of one run.
fn of_one(figures: &Figures, language: Language) -> String {
    let name = |spanish, english| language.choose(spanish, english);
    let rows = [price(figures, language), times(figures, language), faults(figures, language)].concat();
    let verdict = match (figures.is_valid(), figures.is_whole()) {
        (false, _) => name(
            "No válido: los simuladores llegaron tarde; menos llamadas, o más núcleos",
            "Invalid: the fakes themselves were late; fewer calls, or more cores",
        ),
        (true, false) => {
            name("Algo se perdió o quedó: véase arriba", "Something was lost or left: see above")
        }
        (true, true) => name("Nada perdido, nada de sobra", "Nothing lost, nothing left"),
    };
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines = rows.iter().map(|(name, value)| format!("  {name:width$}  {value}\n"));
    lines.collect::<String>() + "  " + verdict
}

/// A name and its figures.
type Row = (&'static str, String);

fn price(figures: &Figures, language: Language) -> Vec<Row> {
    let name = |spanish, english| language.choose(spanish, english);
    let processor = format!(
        "{:.1} %, {:.4} {}",
        figures.cpu_percent,
        figures.cpu_s_per_call_minute,
        name("s por minuto de llamada", "s per call-minute")
    );
    let memory = format!(
        "{:.0} kB {}, {:.1} kB {}",
        figures.rest_kb,
        name("en reposo", "at rest"),
        figures.kb_per_call,
        name("por llamada", "per call")
    );
    vec![
        (name("llamadas atendidas", "calls served"), format!("{} / {}", figures.served, figures.calls)),
        (name("procesador", "processor"), processor),
        (name("memoria", "memory"), memory),
        (name("arranque", "start to ready"), format!("{:.0} ms", figures.start_ms)),
    ]
}

fn times(figures: &Figures, language: Language) -> Vec<Row> {
    let name = |spanish, english| language.choose(spanish, english);
    vec![
        (name("de la llegada al primer append", "arrival to first append"), spread(&figures.set_up_ms)),
        (name("retraso de las tramas", "frame lateness"), spread(&figures.lateness_ms)),
        (name("tramas tarde (> 20 ms)", "late frames (> 20 ms)"), figures.late_frames.to_string()),
        (name("reloj de salida", "outgoing clock"), format!("{:.3} ms", figures.clock_ms)),
        (name("subida, de trama a append", "uplink, frame to append"), spread(&figures.uplink_ms)),
        (name("bajada, de delta a trama", "downlink, delta to frame"), spread(&figures.downlink_ms)),
        (name("interrupción", "barge-in"), spread(&figures.barge_in_ms)),
        (name("retraso del propio banco", "lateness of the bench itself"), spread(&figures.fakes_ms)),
    ]
}

fn faults(figures: &Figures, language: Language) -> Vec<Row> {
    let name = |spanish, english| language.choose(spanish, english);
    let counts = |of: Faults| format!("{} / {} / {}", of.lost, of.doubled, of.disordered);
    let frames = format!(
        "{} {}, {} {}",
        counts(figures.from_callers),
        name("de los llamantes", "from callers"),
        counts(figures.to_callers),
        name("a los llamantes", "to callers")
    );
    let list = |of: &[String]| if of.is_empty() { name("nada", "nothing").to_owned() } else { of.join("; ") };
    let mut rows = vec![
        (name("perdidas / dobles / desordenadas", "lost / doubled / disordered"), frames),
        (name("queda después", "left behind"), list(&figures.left)),
    ];
    if let Some(Counts { inputs, system_calls }) = figures.counts {
        rows.push((
            name("despertares por llamada y segundo", "wake-ups per call and second"),
            format!("{inputs:.1}"),
        ));
        let label = name("llamadas al sistema por llamada y segundo", "system calls per call and second");
        rows.push((label, format!("{system_calls:.1}")));
    }
    if figures.handed_back_ms.count > 0 {
        rows.push((name("devueltas al dialplan", "handed back"), spread(&figures.handed_back_ms)));
    }
    if !figures.violations.is_empty() {
        rows.push((name("faltas", "violations"), list(&figures.violations)));
    }
    rows
}

fn spread(of: &Spread) -> String {
    let Spread { count, p50, p99, p999, worst } = of;
    format!("p50 {p50:.2}  p99 {p99:.2}  p99.9 {p999:.2}  max {worst:.2} ms  (n={count})")
}
