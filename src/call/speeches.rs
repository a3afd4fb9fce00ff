//! What the caller hears of the assistant in a call whose sound OpenAI carries: the server tells when an answer begins to be heard
//! and when it ends.
//!
//! ```text
//!   response.created ──► Prepared ── words, output_audio_buffer.started ──► Heard ── stopped, cleared ──► over
//!                            └── response.done, and nothing was said                 └── neither comes in time
//! ```
//! An answer of whose end nothing is told is taken for over after a time that depends on the length of its words.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::realtime::{ItemId, ResponseId};

/// The time that a character of an answer takes at most. Speech has 12 to 18 characters in a second. A larger value holds the end
/// of a call up for longer if the server does not tell the end of an answer; a smaller one cuts slow speech off.
const LONGEST_PER_CHARACTER: Duration = Duration::from_millis(90);
/// The time that is added to it: the sound begins some time after the words. As [`LONGEST_PER_CHARACTER`].
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// The time that a character takes usually. By it the length of an answer that was cut off is estimated.
const USUAL_PER_CHARACTER: Duration = Duration::from_millis(65);
/// Most answers that wait to be heard. One is heard while the next is prepared; more would let a server fill the memory.
const ANSWERS: usize = 16;
/// Most items of an answer. As [`ANSWERS`].
const ITEMS: usize = 64;

/// An answer.
#[derive(Debug)]
pub(super) struct Speech {
    response: ResponseId,
    /// Its items, and when the first word of each came or was heard.
    items: Vec<(ItemId, Instant)>,
    characters: u32,
    /// When it began to be heard, by the server's word.
    started: Option<Instant>,
    /// When the server had said all of it.
    complete: Option<Instant>,
}

impl Speech {
    /// Its items, each with the instants of its beginning and its end, if the answer was heard until `now`.
    pub(super) fn items(&self, now: Instant) -> impl Iterator<Item = (&ItemId, Instant, Instant)> {
        let ends = self.items.iter().skip(1).map(|(_, began)| *began).chain([now]);
        let began = |at: Instant| self.started.map_or(at, |started| at.max(started));
        self.items.iter().zip(ends).map(move |((item, at), end)| (item, began(*at), end.max(began(*at))))
    }

    fn is_heard(&self) -> bool {
        self.started.is_some() || !self.items.is_empty()
    }

    /// When it is over at the latest; None: it is still being generated.
    fn until(&self) -> Option<Instant> {
        let began = self.complete?.max(self.started.or(self.complete)?);
        Some(began + LONGEST_PER_CHARACTER * self.characters + LONGEST_DELAY)
    }
}

/// How long the words of an item take to say, about.
pub(super) fn estimated(text: &str) -> Duration {
    USUAL_PER_CHARACTER * u32::try_from(text.chars().count()).unwrap_or(u32::MAX / 128)
}

/// The answers that are heard or will be, in their order.
#[derive(Debug, Default)]
pub(super) struct Speeches(VecDeque<Speech>);

impl Speeches {
    /// A response begins.
    pub(super) fn prepare(&mut self, response: &ResponseId) {
        if self.0.len() == ANSWERS {
            self.0.pop_front();
        }
        let response = response.clone();
        self.0.push_back(Speech {
            response,
            items: Vec::new(),
            characters: 0,
            started: None,
            complete: None,
        });
    }

    /// Words of this item have come, so that its sound is heard or about to be.
    pub(super) fn say(&mut self, now: Instant, item: &ItemId, text: &str) {
        let Some(last) = self.0.back_mut().filter(|last| last.complete.is_none()) else { return };
        last.characters =
            last.characters.saturating_add(text.chars().count().min(1 << 16) as u32).min(1 << 16);
        let is_known = last.items.iter().any(|(known, _)| known == item);
        if !is_known && last.items.len() < ITEMS {
            last.items.push((item.clone(), now));
        }
    }

    /// The caller begins to hear this response. Whether that is news.
    pub(super) fn start(&mut self, now: Instant, response: &ResponseId) -> bool {
        if !self.0.iter().any(|speech| speech.response == *response) {
            // Its beginning was not told: the server was out of reach, say.
            self.prepare(response);
        }
        let found = self.0.iter_mut().find(|speech| speech.response == *response && speech.started.is_none());
        found.map(|speech| speech.started = Some(now)).is_some()
    }

    /// The server has said all of this response.
    pub(super) fn complete(&mut self, now: Instant, response: &ResponseId) {
        if let Some(speech) = self.0.iter_mut().find(|speech| speech.response == *response) {
            speech.complete = Some(now);
        }
        self.0.retain(|speech| speech.response != *response || speech.is_heard());
    }

    /// The server can tell no more of what it says: there is no way to it.
    pub(super) fn complete_all(&mut self, now: Instant) {
        for speech in &mut self.0 {
            speech.complete.get_or_insert(now);
        }
        self.0.retain(Speech::is_heard);
    }

    /// The caller hears no more of this response.
    pub(super) fn end(&mut self, response: &ResponseId) -> Option<Speech> {
        let at = self.0.iter().position(|speech| speech.response == *response)?;
        self.0.remove(at)
    }

    /// A response of whose end the server should have told by now.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<Speech> {
        let at = self.0.iter().position(|speech| speech.until().is_some_and(|until| until <= now))?;
        self.0.remove(at)
    }

    /// What was being heard when the call ended.
    pub(super) fn cut(&mut self) -> Option<Speech> {
        let first = self.0.drain(..).find(|speech| speech.started.is_some());
        self.0.clear();
        first
    }

    /// Whether the caller hears an answer, or is about to.
    pub(super) fn are_heard(&self) -> bool {
        self.0.iter().any(Speech::is_heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> (Speeches, Instant, ResponseId) {
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
        let now = Instant::now();
        let (mut speeches, response) = (Speeches::default(), ResponseId::from("r1"));
        speeches.prepare(&response);
        (speeches, now, response)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_answer_is_heard_from_its_first_word_until_the_server_says_that_it_has_ended() {
        let (mut speeches, now, response) = start();
        assert!(!speeches.are_heard());
        speeches.say(now, &"i1".into(), "Hola");
        assert!(speeches.are_heard());
        assert!(speeches.start(now + SECOND, &response) && !speeches.start(now + SECOND, &response));
        speeches.complete(now + SECOND, &response);
        assert!(speeches.are_heard(), "generated, and not heard to its end");
        let speech = speeches.end(&response).expect("it was heard");
        let items: Vec<_> = speech.items(now + 3 * SECOND).collect();
        assert_eq!(items, [(&"i1".into(), now + SECOND, now + 3 * SECOND)]);
        assert!(!speeches.are_heard() && speeches.end(&response).is_none());
    }

    #[test]
    fn an_answer_without_words_is_never_heard() {
        let (mut speeches, now, response) = start();
        speeches.complete(now, &response);
        assert!(!speeches.are_heard() && speeches.0.is_empty());
    }

    #[test]
    fn an_answer_whose_end_is_not_told_is_over_after_the_time_of_its_words() {
        let (mut speeches, now, response) = start();
        speeches.say(now, &"i1".into(), &"x".repeat(100));
        assert!(speeches.overdue(now + 100 * SECOND).is_none(), "it is still being generated");
        speeches.complete(now, &response);
        assert!(speeches.overdue(now + 13 * SECOND).is_none());
        assert!(speeches.overdue(now + 14 * SECOND).is_some() && !speeches.are_heard());
    }

    #[test]
    fn of_an_answer_that_goes_on_without_us_the_end_is_estimated() {
        let (mut speeches, now, response) = start();
        speeches.say(now, &"i1".into(), &"x".repeat(100));
        speeches.prepare(&"r2".into());
        speeches.complete_all(now);
        assert!(speeches.are_heard() && speeches.0.len() == 1, "nothing of the other was said");
        assert!(speeches.overdue(now + 14 * SECOND).is_some());
        assert!(speeches.end(&response).is_none());
    }

    #[test]
    fn the_next_answer_is_prepared_while_one_is_heard() {
        let (mut speeches, now, response) = start();
        speeches.say(now, &"i1".into(), "Un momento.");
        speeches.complete(now, &response);
        speeches.prepare(&"r2".into());
        speeches.say(now, &"i2".into(), "Listo.");
        assert!(speeches.end(&response).is_some() && speeches.are_heard());
        assert!(speeches.end(&"r2".into()).is_some() && !speeches.are_heard());
        for n in 0..100 {
            speeches.prepare(&ResponseId::from(&*format!("r{n}")));
        }
        assert_eq!(speeches.0.len(), ANSWERS);
    }
}
