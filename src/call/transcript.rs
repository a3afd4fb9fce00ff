//! Who said what, and when: utterances keyed by item, in the order of the talk.
//!
//! Transcripts arrive late, early or never; the order of the conversation is that of the items
//! (`previous_item_id`), not of the texts. Times count from the birth of the call.

use std::time::Duration;

use crate::realtime::ItemId;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The person on the phone.
    Caller,
    /// The model.
    Assistant,
}

/// One turn's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utterance {
    /// The item it is in the conversation.
    pub item: ItemId,
    /// Who said it.
    pub speaker: Speaker,
    /// What was said; of an interrupted assistant, what it meant to say.
    pub text: String,
    /// Since the call began.
    pub began: Option<Duration>,
    /// Since the call began.
    pub ended: Option<Duration>,
    /// The caller cut it off after hearing so many milliseconds.
    pub heard_ms: Option<u64>,
    /// Of so many milliseconds that had arrived by then.
    pub said_ms: Option<u64>,
    /// The turn is over, and the server is putting it into words.
    pub awaits_words: bool,
}

impl Utterance {
    /// How long it took, if both ends are known.
    pub fn length(&self) -> Option<Duration> {
        self.began.zip(self.ended).map(|(began, ended)| ended.saturating_sub(began))
    }

    /// What the caller knows of it: all of it, or, of what he cut off, the words he has about heard.
    pub fn heard_text(&self) -> String {
        match self.heard_ms.zip(self.said_ms) {
            Some((heard, said)) => heard_words(&self.text, heard, said),
            None => self.text.clone(),
        }
    }
}

/// The words of `text` that were about heard: speech is taken to be as fast in all its parts.
fn heard_words(text: &str, heard_ms: u64, said_ms: u64) -> String {
    let characters = text.chars().count() as u64;
    if heard_ms >= said_ms {
        return text.to_owned();
    }
    let limit = (u128::from(characters) * u128::from(heard_ms) / u128::from(said_ms)) as usize;
    let mut end = 0;
    for (count, (at, character)) in text.char_indices().enumerate() {
        if count > limit {
            return text[..end].to_owned();
        }
        if character.is_whitespace() {
            end = at;
        }
    }
    text.to_owned()
}

/// All utterances of a call, in order.
#[derive(Debug, Default)]
pub struct Transcript {
    utterances: Vec<Utterance>,
}

impl Transcript {
    /// The utterance of an item; made, in its place, if it is new.
    pub fn utterance(&mut self, item: &ItemId, speaker: Speaker) -> &mut Utterance {
        self.after(item, speaker, None)
    }

    /// As [`Self::utterance`], directly behind `previous` if that is known.
    pub fn after(&mut self, item: &ItemId, speaker: Speaker, previous: Option<&ItemId>) -> &mut Utterance {
        let place = self.utterances.iter().position(|utterance| utterance.item == *item);
        // A server that names the item itself names none.
        let previous = previous.filter(|previous| *previous != item);
        let behind = previous.and_then(|previous| self.utterances.iter().position(|u| u.item == *previous));
        let place = match (place, behind) {
            (Some(place), Some(behind)) if place != behind + 1 => {
                let utterance = self.utterances.remove(place);
                let behind = if place < behind { behind } else { behind + 1 };
                self.utterances.insert(behind, utterance);
                behind
            }
            (Some(place), _) => place,
            (None, behind) => {
                let place = behind.map_or(self.utterances.len(), |behind| behind + 1);
                let new = Utterance {
                    item: item.clone(),
                    speaker,
                    text: String::new(),
                    began: None,
                    ended: None,
                    heard_ms: None,
                    said_ms: None,
                    awaits_words: false,
                };
                self.utterances.insert(place, new);
                place
            }
        };
        &mut self.utterances[place]
    }

    /// The utterance of an item, if there is one.
    pub fn find(&mut self, item: &ItemId) -> Option<&mut Utterance> {
        self.utterances.iter_mut().find(|utterance| utterance.item == *item)
    }

    /// How many answers of the assistant have been heard, or are being.
    pub fn heard_answers(&self) -> u64 {
        let heard = |said: &&Utterance| said.speaker == Speaker::Assistant && said.began.is_some();
        self.utterances.iter().filter(heard).count() as u64
    }

    /// Forgets an item nobody heard.
    pub fn forget(&mut self, item: &ItemId) {
        self.utterances.retain(|utterance| utterance.item != *item);
    }

    /// Finished utterances of the caller that have no words yet.
    pub fn awaited(&self) -> impl Iterator<Item = &Utterance> {
        self.utterances.iter().filter(|utterance| utterance.awaits_words)
    }

    /// Whether there are any.
    pub fn awaits_words(&self) -> bool {
        self.awaited().next().is_some()
    }

    /// What has not been put into words will not be: its session is gone.
    pub fn await_no_words(&mut self) {
        for utterance in &mut self.utterances {
            utterance.awaits_words = false;
        }
    }

    /// Everything said, in order.
    pub fn utterances(&self) -> &[Utterance] {
        &self.utterances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(transcript: &Transcript) -> Vec<&str> {
        transcript.utterances().iter().map(|utterance| utterance.item.as_str()).collect()
    }

    #[test]
    fn the_order_is_that_of_the_items_whatever_arrives_first() {
        let mut transcript = Transcript::default();
        transcript.utterance(&"answer".into(), Speaker::Assistant);
        transcript.utterance(&"question".into(), Speaker::Caller).text = "?".into();
        transcript.after(&"greeting".into(), Speaker::Assistant, None);
        transcript.after(&"question".into(), Speaker::Caller, Some(&"greeting".into()));
        transcript.after(&"answer".into(), Speaker::Assistant, Some(&"question".into()));
        assert_eq!(order(&transcript), ["greeting", "question", "answer"]);
        transcript.forget(&"question".into());
        assert_eq!(order(&transcript), ["greeting", "answer"]);
    }

    #[test]
    fn an_item_that_is_said_to_follow_itself_stays_where_it_is() {
        let mut transcript = Transcript::default();
        for item in ["greeting", "answer", "greeting", "answer"] {
            transcript.after(&item.into(), Speaker::Assistant, Some(&item.into()));
        }
        assert_eq!(order(&transcript), ["greeting", "answer"]);
    }
    #[test]
    fn of_an_interrupted_sentence_whole_words_are_taken_for_heard() {
        let text = "Uno dos tres cuatro cinco";
        assert_eq!(heard_words(text, 0, 1_000), "");
        assert_eq!(heard_words(text, 500, 1_000), "Uno dos tres");
        assert_eq!(heard_words(text, 1_000, 1_000), text);
        assert_eq!(heard_words(text, 5, 0), text);
        assert_eq!(heard_words("sí", 1, 1_000), "");
    }
}
