//! Writes the text format of Prometheus, version 0.0.4: families of samples, each with its HELP and TYPE lines. This
//! file knows no particular metric.
//!
//! Source: prometheus.io/docs/instrumenting/exposition_formats. The crate `prometheus-client` writes OpenMetrics, in
//! which the HELP and TYPE lines of a counter lack the suffix `_total` of its samples. Readers of version 0.0.4, such
//! as `promtool check metrics`, then find counters that have neither line.

use std::fmt::{Display, Write as _};

use crate::live::{BOUNDS, Histogram};

/// The value of the `Content-Type` header.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text that has been written so far.
#[derive(Debug)]
pub(super) struct Exposition {
    /// The prefix of every metric's name.
    prefix: &'static str,
    text: String,
}

impl Exposition {
    /// Creates an empty text whose metrics get this prefix.
    pub(super) fn new(prefix: &'static str) -> Self {
        Self { prefix, text: String::new() }
    }

    /// Returns the whole text.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Writes a counter, which only grows. The name must end in `_total`.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "counter", help);
        self.sample(name, &[], value);
    }

    /// Writes a counter with one sample for each value of a label.
    pub(super) fn counters<'a, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        samples: impl IntoIterator<Item = (&'a str, V)>,
    ) {
        self.head(name, "counter", help);
        for (of, value) in samples {
            self.sample(name, &[(label, of)], value);
        }
    }

    /// Writes a gauge, which can rise and fall.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.sample(name, &[], value);
    }

    /// Writes a histogram of durations. The name must end in `_seconds`.
    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        self.buckets(name, &[], histogram);
    }

    /// Writes one histogram of the family that was begun last.
    pub(super) fn buckets(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        let mut so_far = 0;
        for (bound, within) in BOUNDS.iter().zip(histogram.within) {
            so_far += within;
            let bound = (*bound as f64 / 1_000.0).to_string();
            self.sample(&bucket, &[labels, &[("le", &*bound)]].concat(), so_far);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), histogram.count);
        self.sample(&format!("{name}_sum"), labels, histogram.sum.as_secs_f64());
        self.sample(&format!("{name}_count"), labels, histogram.count);
    }

    /// Begins a family of metrics of this type.
    pub(super) fn head(&mut self, name: &str, kind: &str, help: &str) {
        let prefix = self.prefix;
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        self.line(format_args!("# HELP {prefix}{name} {help}\n# TYPE {prefix}{name} {kind}"));
    }

    /// Writes one sample of the family that was begun last.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let said = |(label, of): &(&str, &str)| {
            let of = of.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
            format!("{label}=\"{of}\"")
        };
        let labels: Vec<_> = labels.iter().map(said).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let prefix = self.prefix;
        self.line(format_args!("{prefix}{name}{labels} {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("writing to a String cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_type_is_written_as_the_format_has_it() {
        let mut text = Exposition::new("a_");
        text.counters("b_total", "Two \\ lines\nof help.", "why", [("x\\\"y\nz", 1), ("w", 2)]);
        text.gauge("c", "It.", 0.5);
        let wanted = r#"# HELP a_b_total Two \\ lines\nof help.
# TYPE a_b_total counter
a_b_total{why="x\\\"y\nz"} 1
a_b_total{why="w"} 2
# HELP a_c It.
# TYPE a_c gauge
a_c 0.5
"#;
        assert_eq!(text.into_text(), wanted);
    }

    #[test]
    fn the_buckets_of_a_histogram_hold_all_that_took_no_longer() {
        let mut text = Exposition::new("");
        let mut histogram =
            Histogram { count: 6, sum: Duration::from_millis(12_345), ..Histogram::default() };
        (histogram.within[1], histogram.within[9], histogram.within[14]) = (2, 1, 2);
        text.histogram("t_seconds", "It.", &histogram);
        let text = text.into_text();
        for line in [
            r#"t_seconds_bucket{le="0.01"} 0"#,
            r#"t_seconds_bucket{le="0.02"} 2"#,
            r#"t_seconds_bucket{le="0.75"} 2"#,
            r#"t_seconds_bucket{le="1"} 3"#,
            r#"t_seconds_bucket{le="10"} 5"#,
            r#"t_seconds_bucket{le="+Inf"} 6"#,
            "t_seconds_sum 12.345",
            "t_seconds_count 6",
        ] {
            assert!(text.lines().any(|said| said == line), "{line} in\n{text}");
        }
        assert_eq!(text.lines().count(), 2 + BOUNDS.len() + 3);
    }
}
