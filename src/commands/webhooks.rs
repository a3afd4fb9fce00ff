//! `openai-inbound-calls agents webhooks`: the messages about ended calls that wait for their receivers, or were given up.
//!
//! The command reads the outbox in the file of the call log, beside the daemon that may be running. It sends nothing: a message that
//! is to be sent again is sent by the daemon.

use std::io;

use chrono::{DateTime, FixedOffset};

use crate::clock;
use crate::config::{ArchiveConfig, Survey};
use crate::operator::foreign::plain;
use crate::operator::{Detail, Notice};
use crate::output::print;
use crate::registry::RegistryError;
use crate::registry::outbox::{Counts, Outbox, Waiting};
use crate::webhook::Addresses;

/// What is shown in the place of what is not there.
const NONE: &str = "-";

/// Lists the messages, or makes one of them due. Returns whether all is well.
///
/// # Errors
/// Returns an error if stdout cannot be written; see [`crate::output::is_unread`].
pub(super) async fn run(survey: &Survey, again: Option<i64>) -> io::Result<bool> {
    let say = |notice: &Notice| print(&plain(&notice.line(survey.language)));
    let Some(archive) = &survey.parts.archive else {
        for problem in &survey.problems {
            say(problem)?;
        }
        return Ok(false);
    };
    let addresses = survey.parts.agents.as_ref().map(crate::config::Agents::addresses).unwrap_or_default();
    let (is_well, notices) = match answer(archive, &addresses, again).await {
        Ok(Answer { is_well, notices }) => (is_well, notices),
        Err(error) => {
            let path = archive.call_log.file.display().to_string();
            (false, vec![Notice::WebhooksUnreadable { path, cause: Detail::new(error) }])
        }
    };
    for notice in notices {
        say(&notice)?;
    }
    Ok(is_well)
}

/// What the command says.
struct Answer {
    is_well: bool,
    notices: Vec<Notice>,
}

async fn answer(
    archive: &ArchiveConfig,
    addresses: &Addresses,
    again: Option<i64>,
) -> Result<Answer, RegistryError> {
    // A command that only looks must not create the file.
    if !archive.call_log.file.exists() {
        let unknown = again.map(|id| Notice::WebhookUnknown { id });
        let counted = Notice::WebhooksCounted { waiting: 0, dead: 0 };
        return Ok(Answer { is_well: again.is_none(), notices: vec![unknown.unwrap_or(counted)] });
    }
    let outbox = Outbox::open(&archive.call_log).await?;
    let now = clock::wall();
    if let Some(id) = again {
        let is_well = outbox.again(id, now.timestamp_micros()).await?;
        let notice = if is_well { Notice::WebhookAgain { id } } else { Notice::WebhookUnknown { id } };
        return Ok(Answer { is_well, notices: vec![notice] });
    }
    let mut notices: Vec<_> =
        outbox.list().await?.into_iter().map(|waiting| listed(waiting, addresses, *now.offset())).collect();
    let Counts { waiting, dead } = outbox.counts().await?;
    notices.push(Notice::WebhooksCounted { waiting, dead });
    Ok(Answer { is_well: true, notices })
}

/// The line about a message.
fn listed(message: Waiting, addresses: &Addresses, offset: FixedOffset) -> Notice {
    let Waiting { id, call_id: call, agent, address, attempts, due_us, answer, .. } = message;
    let known = addresses.find(&agent, &address).map(|known| known.origin.clone());
    let to = format!("{agent} {}", known.unwrap_or(address));
    let answer = if answer.is_empty() { NONE.to_owned() } else { answer };
    match due_us {
        None => Notice::WebhookDead { id, call, to, attempts, answer },
        Some(due) => {
            let next = DateTime::from_timestamp_micros(due).unwrap_or_default().with_timezone(&offset);
            let next = next.format("%Y-%m-%d %H:%M:%S").to_string();
            Notice::WebhookWaits { id, call, to, attempts, next, answer }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::Language;

    #[test]
    fn a_message_is_listed_with_its_origin_or_with_the_name_that_is_not_known_any_more() {
        let message = Waiting {
            id: 7,
            row_id: "r".into(),
            call_id: "17.3".into(),
            agent: "citas".into(),
            address: "crm".into(),
            attempts: 2,
            due_us: Some(1_760_970_625_000_000),
            answer: String::new(),
        };
        let offset = FixedOffset::west_opt(5 * 3_600).unwrap();
        let line = listed(message.clone(), &Addresses::default(), offset).line(Language::English);
        let expected =
            "7 - Call: 17.3 - To: citas crm - Attempts: 2 - Next: 2025-10-20 09:30:25 - Last answer: -";
        assert_eq!(line, expected);
        let dead = Waiting { due_us: None, answer: "HTTP 503".into(), ..message };
        let line = listed(dead, &Addresses::default(), offset).line(Language::Spanish);
        assert_eq!(
            line,
            "7 - Llamada: 17.3 - Para: citas crm - Intentos: 2 - Abandonado - Última respuesta: HTTP 503"
        );
    }
}
