//! Turns an event into a line, and a line into bytes.
//!
//! One event makes one line, whatever it contains: names of channels and messages of servers come from outside and
//! must neither end a line nor move a terminal's cursor. `writer` decides where the line goes.
//!
//! [`Lines`] is a layer of its own, not a `FormatEvent` of `tracing_subscriber`'s layer: that layer makes text for one
//! output, and here one line is rendered differently for the file, the terminal and the journal, after the queue.
//!
//! ```text
//! 2026-11-20 14:30:25,123 - INFO - [1795180048.12] Nueva llamada recibida - Canal: PJSIP/…       operator
//! 2026-11-20 14:30:25,131 - DEBUG - [1795180048.12] openai_inbound_calls::call: answered rtt_ms=8  developer
//! <6>INFO - [1795180048.12] Nueva llamada recibida - Canal: PJSIP/…                               journal
//! ```

use std::fmt::{self, Write};
use std::sync::mpsc::SyncSender;

use chrono::{DateTime, Local};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::hidden::Hidden;
use super::{CALL_SPAN, OPERATOR_TARGET};
use crate::log_file;
use crate::operator::foreign::plain;
use crate::operator::{self, Language, Notice};

/// The longest body of a line, in bytes; the rest is cut. A smaller value would cut JSON events that a developer
/// needs; a larger one makes lines that nobody can read.
const MAX_BODY_BYTES: usize = 8192;

/// An order for the writer.
#[derive(Debug)]
pub(super) enum Order {
    /// Write this line.
    Line(Line),
    /// Open the file again at the same path.
    Reopen,
    /// Write everything that was queued before, and then answer.
    Flush(SyncSender<()>),
}

/// The queue of orders.
pub(super) type Queue = log_file::Queue<Order>;

/// One event, ready to be rendered.
#[derive(Clone, Debug)]
pub(super) struct Line {
    at: DateTime<Local>,
    level: tracing::Level,
    /// The call's id, the target and the message, already escaped.
    body: String,
}

/// The output for which a line is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// The log file: time and level, without colours.
    File,
    /// A terminal: like the file, with a coloured level.
    Terminal,
    /// The journal: a priority (sd-daemon(3)) for `journalctl -p`, and no time, because the journal has its own.
    Journal,
}

impl Line {
    /// Makes the line of a notice that belongs to no call. It is used when there is no subscriber.
    pub(super) fn of_notice(notice: &Notice, language: Language) -> Self {
        let level = match notice.level() {
            operator::Level::Info => tracing::Level::INFO,
            operator::Level::Warn => tracing::Level::WARN,
            operator::Level::Error => tracing::Level::ERROR,
        };
        Self { at: now(), level, body: one_line(&notice.line(language)) }
    }

    /// Renders the line with its line break.
    pub(super) fn render(&self, style: Style) -> String {
        let (word, priority, colour) = words(self.level);
        let (at, body) = (self.at.format("%Y-%m-%d %H:%M:%S,%3f"), &self.body);
        match style {
            Style::File => format!("{at} - {word} - {body}\n"),
            Style::Terminal => format!("{at} - \x1b[{colour}m{word}\x1b[0m - {body}\n"),
            Style::Journal => format!("<{priority}>{word} - {body}\n"),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the time of a line is for people only and decides nothing")]
fn now() -> DateTime<Local> {
    Local::now()
}

/// The level's word as in the logs of the original system, its syslog priority, and its colour.
fn words(level: tracing::Level) -> (&'static str, u8, u8) {
    match level {
        tracing::Level::ERROR => ("ERROR", 3, 31),
        tracing::Level::WARN => ("WARNING", 4, 33),
        tracing::Level::INFO => ("INFO", 6, 32),
        tracing::Level::DEBUG => ("DEBUG", 7, 36),
        tracing::Level::TRACE => ("TRACE", 7, 90),
    }
}

/// The tracing layer that makes lines of events and hands them to the writer.
pub(super) struct Lines {
    pub(super) queue: Queue,
    pub(super) hidden: Hidden,
}

/// The id of the call, stored with the call's span.
struct CallId(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() == CALL_SPAN
            && let Some(span) = context.span(id)
            && let Some(call) = Fields::call_id(|fields| attributes.record(fields))
        {
            span.extensions_mut().replace(call);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && span.name() == CALL_SPAN
            && let Some(call) = Fields::call_id(|fields| values.record(fields))
        {
            span.extensions_mut().replace(call);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut body = String::new();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(CallId(id)) = span.extensions().get() {
                body = format!("[{id}] ");
                break;
            }
        }
        if event.metadata().target() != OPERATOR_TARGET {
            body.push_str(event.metadata().target());
            body.push_str(": ");
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        body.push_str(&fields.message);
        body.push_str(&fields.others);
        self.queue.push(Order::Line(Line {
            at: now(),
            level: *event.metadata().level(),
            body: one_line(&self.hidden.mask(&body)),
        }));
    }
}

/// The fields of an event or a span as text.
#[derive(Default)]
struct Fields {
    message: String,
    /// The other fields, each with a space in front.
    others: String,
    id: Option<String>,
}

impl Fields {
    fn call_id(record: impl FnOnce(&mut Self)) -> Option<CallId> {
        let mut fields = Self::default();
        record(&mut fields);
        fields.id.map(CallId)
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let written = match field.name() {
            "message" => self.message.write_fmt(value),
            "id" => {
                let id = self.id.insert(value.to_string());
                write!(self.others, " id={id}")
            }
            name => write!(self.others, " {name}={value}"),
        };
        written.expect("writing to a String cannot fail");
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

/// Makes one line of a text: escapes control characters and cuts the text if it is too long.
fn one_line(text: &str) -> String {
    let (text, is_cut) = match text.get(..text.floor_char_boundary(MAX_BODY_BYTES)) {
        Some(start) if start.len() < text.len() => (start, true),
        _ => (text, false),
    };
    let mut line = plain(text).into_owned();
    if is_cut || line.len() > MAX_BODY_BYTES {
        line.truncate(line.floor_char_boundary(MAX_BODY_BYTES));
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::log_file::Waiting;
    use crate::logging::Operator;
    use crate::logging::writer::QUEUE_LINES;

    /// Returns the lines that `work` logs under the filter of `level`, in the format of the file without the time.
    fn logged(level: &str, work: impl FnOnce(Operator)) -> Vec<String> {
        let (queue, orders) = Queue::new(QUEUE_LINES);
        let level = crate::config::log_directives(level).unwrap();
        let subscriber = tracing_subscriber::registry()
            .with(crate::logging::filtered(Lines { queue, hidden: Hidden::default() }, &level).unwrap());
        tracing::subscriber::with_default(subscriber, || work(Operator::new(Language::Spanish)));
        lines(&orders)
    }

    fn lines(orders: &Waiting<Order>) -> Vec<String> {
        let as_line = |order| match order {
            Order::Line(line) => Some(line.render(Style::File)),
            Order::Reopen | Order::Flush(_) => None,
        };
        let time = "2026-11-20 14:30:25,123 - ".len();
        std::iter::from_fn(|| orders.next_within(Duration::ZERO).ok())
            .filter_map(as_line)
            .map(|line| line[time..].to_owned())
            .collect()
    }

    fn received(channel: &str) -> Notice {
        Notice::CallReceived { channel: channel.into() }
    }

    #[test]
    fn the_operators_line_has_time_level_call_and_sentence() {
        let lines = logged("info", |operator| {
            operator.say(&Notice::AriConnected);
            tracing::info_span!("call", id = "1795180048.12").in_scope(|| {
                tracing::debug_span!("inner").in_scope(|| operator.say(&received("PJSIP/troncal-1")));
            });
        });
        assert_eq!(
            lines,
            [
                "INFO - Conexión ARI establecida\n",
                "INFO - [1795180048.12] Nueva llamada recibida - Canal: PJSIP/troncal-1\n"
            ]
        );
    }

    #[test]
    fn the_time_is_local_with_milliseconds_after_a_comma() {
        let at = chrono::NaiveDate::from_ymd_opt(2026, 11, 20)
            .unwrap()
            .and_hms_milli_opt(14, 30, 25, 123)
            .unwrap();
        let at = at.and_local_timezone(Local).unwrap();
        let line = Line { at, level: tracing::Level::INFO, body: "x".into() };
        assert_eq!(line.render(Style::File), "2026-11-20 14:30:25,123 - INFO - x\n");
        assert_eq!(line.render(Style::Terminal), "2026-11-20 14:30:25,123 - \x1b[32mINFO\x1b[0m - x\n");
        assert_eq!(line.render(Style::Journal), "<6>INFO - x\n");
    }

    #[test]
    fn errors_are_found_by_grep_and_by_the_journals_priority() {
        let line = Line::of_notice(&Notice::AriLost, Language::Spanish);
        assert!(line.render(Style::File).ends_with(" - ERROR - Conexión cerrada, reintentando...\n"));
        assert_eq!(line.render(Style::Journal), "<3>ERROR - Conexión cerrada, reintentando...\n");
        let errors = logged("off", |operator| {
            operator.say(&Notice::KeyRefused);
            operator.say(&Notice::AriConnected);
        });
        assert_eq!(errors.iter().filter(|line| line.contains("ERROR")).count(), 1);
    }

    #[test]
    fn a_channel_name_cannot_forge_a_line_nor_move_the_cursor() {
        let forged = "x\r\n2026-11-20 14:30:25,123 - ERROR - y\x1b[2J\u{202e}\u{61c}\u{200b}\u{feff}\u{e0041}\u{2028}\u{85}ñ";
        let lines = logged("info", |operator| operator.say(&received(forged)));
        assert_eq!(
            lines,
            [
                "INFO - Nueva llamada recibida - Canal: x\\r\\n2026-11-20 14:30:25,123 - ERROR - y\\u{1b}[2J\\u{202e}\\u{61c}\\u{200b}\\u{feff}\\u{e0041}\\u{2028}\\u{85}ñ\n"
            ]
        );
        let in_id = logged("info", |operator| {
            tracing::info_span!("call", id = "a\nb").in_scope(|| operator.say(&Notice::AriConnected));
        });
        assert_eq!(in_id, ["INFO - [a\\nb] Conexión ARI establecida\n"]);
        assert!(one_line(&"ñ".repeat(100_000)).len() <= MAX_BODY_BYTES + 4);
    }

    #[test]
    fn the_developers_line_names_its_target_and_fields() {
        let work = |_| {
            tracing::debug!(target: "openai_inbound_calls::call", rtt_ms = 8, name = "a b", "answered");
            tracing::info!(target: "hyper", "not ours");
            tracing::trace!(target: "openai_inbound_calls::call", "too deep");
        };
        assert_eq!(
            logged("debug", work),
            ["DEBUG - openai_inbound_calls::call: answered rtt_ms=8 name=a b\n"]
        );
        assert_eq!(logged("hyper=info", work), ["INFO - hyper: not ours\n"]);
        assert_eq!(logged("error", work), [""; 0]);
    }

    #[test]
    fn the_operators_lines_and_the_calls_id_pass_every_filter() {
        for level in ["off", "error", "openai_inbound_calls=off,operator=off", "hyper=trace"] {
            let lines = logged(level, |operator| {
                tracing::info_span!("call", id = tracing::field::Empty).in_scope(|| {
                    tracing::Span::current().record("id", "7.1");
                    operator.say(&Notice::AriConnected);
                });
            });
            assert_eq!(lines, ["INFO - [7.1] Conexión ARI establecida\n"], "{level}");
        }
    }
}
