//! Who said what, and when: utterances keyed by item, in the order of the talk.
//!
//! Transcripts arrive late, early or never; the order of the conversation is that of the items
//! (`previous_item_id`), not of the texts. Times count from the birth of the call. All of it is bounded: what a server sends
//! beyond that is left out, and the call says so once (`words_lost`).

use std::collections::HashMap;
use std::time::Duration;

use crate::realtime::ItemId;
use crate::units::Milliseconds;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The person on the phone.
    Caller,
    /// The model.
    Assistant,
}

/// What the caller did not get of an answer, for a reason that is not theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing: it came without sound.
    Unheard,
    /// The end: the model stopped in the middle.
    Cut,
}

impl Flaw {
    /// The stable word in the recording's files.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unheard => "unheard",
            Self::Cut => "cut",
        }
    }

    /// The flaw of a word, if it is one of ours.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Unheard, Self::Cut].into_iter().find(|flaw| flaw.code() == code)
    }
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
    /// The caller cut it off after hearing so much of it.
    pub heard: Option<Milliseconds>,
    /// Of so much that had arrived by then.
    pub said: Option<Milliseconds>,
    /// What the caller did not get of it.
    pub flaw: Option<Flaw>,
    /// The turn is over, and the server is putting it into words.
    pub awaits_words: bool,
}

impl Utterance {
    /// The utterance of an item of which nothing is known yet.
    fn new(item: ItemId, speaker: Speaker) -> Self {
        Self {
            item,
            speaker,
            text: String::new(),
            began: None,
            ended: None,
            heard: None,
            said: None,
            flaw: None,
            awaits_words: false,
        }
    }

    /// It began, so long after the call did.
    pub(super) fn begins(&mut self, at: Duration) {
        self.began = Some(at);
    }

    /// It ended, so long after the call began.
    pub(super) fn ends(&mut self, at: Duration) {
        self.ended = Some(at);
    }

    /// It was heard to its end, which took so many milliseconds. Its beginning is `began`, if none was known.
    pub(super) fn was_heard(&mut self, began: Duration, ms: u64) {
        let began = *self.began.get_or_insert(began);
        self.ends(began + Duration::from_millis(ms));
    }

    /// The caller cut it off when so many milliseconds of those that had arrived had been heard.
    pub(super) fn was_cut_off(&mut self, began: Duration, heard_ms: u64, said_ms: u64) {
        self.begins(began);
        self.ends(began + Duration::from_millis(heard_ms));
        (self.heard, self.said) = (Some(Milliseconds::new(heard_ms)), Some(Milliseconds::new(said_ms)));
    }

    /// The caller did not get all of it.
    pub(super) fn has(&mut self, flaw: Flaw) {
        self.flaw = Some(flaw);
    }

    /// The server is putting it into words.
    pub(super) fn await_words(&mut self) {
        self.awaits_words = true;
    }

    /// Its words are there, or will not come.
    pub(super) fn await_no_words(&mut self) {
        self.awaits_words = false;
    }

    /// How long it took, if both ends are known.
    pub fn length(&self) -> Option<Duration> {
        self.began.zip(self.ended).map(|(began, ended)| ended.saturating_sub(began))
    }

    /// What the caller knows of it: all of it, or, of what they cut off, the words they have about heard.
    pub fn heard_text(&self) -> String {
        match self.heard.zip(self.said) {
            Some((heard, said)) => heard_words(&self.text, heard.get(), said.get()),
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

/// Longest text of one utterance, bytes: more than an hour of speech without a breath. Longer ones are cut.
const UTTERANCE_BYTES: usize = 64 * 1024;
/// Most text of a call, bytes: some thirty hours of talk. A server that sends more says something else than words.
const CALL_BYTES: usize = 2 * 1024 * 1024;
/// Most utterances of a call. Larger lets a broken server fill the memory, smaller loses the end of a very long talk.
const UTTERANCES: usize = 4_096;
/// Longest id of an item, bytes. The API's have about 30.
const ID_BYTES: usize = 256;

/// All utterances of a call, in order. What is beyond its bounds is left out.
#[derive(Debug, Default)]
pub struct Transcript {
    utterances: Vec<Utterance>,
    /// Where the utterance of an item is.
    places: HashMap<ItemId, usize>,
    /// Bytes of text in all of them.
    bytes: usize,
    room: Room,
}

/// Whether there has been room for everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Room {
    /// There has.
    #[default]
    Enough,
    /// Something has been left out.
    Short,
    /// Something has been left out, and whoever asked has been told.
    ShortAndTold,
}

impl Transcript {
    /// The utterance of an item; made, in its place, if it is new. None: there is no room for another one.
    pub fn utterance(&mut self, item: &ItemId, speaker: Speaker) -> Option<&mut Utterance> {
        self.after(item, speaker, None)
    }

    /// As [`Self::utterance`], directly behind `previous` if that is known.
    pub fn after(
        &mut self,
        item: &ItemId,
        speaker: Speaker,
        previous: Option<&ItemId>,
    ) -> Option<&mut Utterance> {
        // A server that names the item as its own predecessor has named no predecessor.
        let previous = previous.filter(|previous| *previous != item);
        let behind = previous.and_then(|previous| self.places.get(previous).copied());
        let place = match (self.places.get(item).copied(), behind) {
            (Some(place), Some(behind)) if place != behind + 1 => {
                let utterance = self.utterances.remove(place);
                let to = if place < behind { behind } else { behind + 1 };
                self.utterances.insert(to, utterance);
                self.renumber(place.min(to), place.max(to) + 1);
                to
            }
            (Some(place), _) => place,
            (None, _) if self.utterances.len() >= UTTERANCES || item.as_str().len() > ID_BYTES => {
                self.cut();
                return None;
            }
            (None, behind) => {
                let place = behind.map_or(self.utterances.len(), |behind| behind + 1);
                self.utterances.insert(place, Utterance::new(item.clone(), speaker));
                self.renumber(place, self.utterances.len());
                place
            }
        };
        self.utterances.get_mut(place)
    }

    /// Notes anew where the utterances of these places are.
    fn renumber(&mut self, from: usize, to: usize) {
        for (place, utterance) in self.utterances.iter().enumerate().take(to).skip(from) {
            self.places.insert(utterance.item.clone(), place);
        }
    }

    /// The utterance of an item, if there is one.
    pub fn find(&mut self, item: &ItemId) -> Option<&mut Utterance> {
        self.places.get(item).and_then(|place| self.utterances.get_mut(*place))
    }

    /// Puts `text` in the place of what the utterance of an item says, as far as there is room.
    pub fn write(&mut self, item: &ItemId, text: &str) {
        if let Some(utterance) = self.places.get(item).and_then(|place| self.utterances.get_mut(*place)) {
            self.bytes -= utterance.text.len();
            utterance.text.clear();
            self.append(item, text);
        }
    }

    /// Adds `text` to what the utterance of an item says, as far as there is room.
    pub fn append(&mut self, item: &ItemId, text: &str) {
        let Some(utterance) = self.places.get(item).and_then(|place| self.utterances.get_mut(*place)) else {
            return;
        };
        let room = (UTTERANCE_BYTES - utterance.text.len()).min(CALL_BYTES - self.bytes);
        let fits = text.floor_char_boundary(room);
        self.bytes += fits;
        utterance.text.push_str(&text[..fits]);
        if fits < text.len() {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.room == Room::Enough {
            self.room = Room::Short;
        }
    }

    /// Whether something has been left out, and this has not been asked since.
    pub fn is_newly_cut(&mut self) -> bool {
        let is_new = self.room == Room::Short;
        if is_new {
            self.room = Room::ShortAndTold;
        }
        is_new
    }

    /// How many answers of the assistant have been heard, or are being.
    pub fn heard_answers(&self) -> u64 {
        let heard = |said: &&Utterance| said.speaker == Speaker::Assistant && said.began.is_some();
        self.utterances.iter().filter(heard).count() as u64
    }

    /// Forgets an item nobody heard.
    pub fn forget(&mut self, item: &ItemId) {
        if let Some(place) = self.places.remove(item) {
            self.bytes -= self.utterances.remove(place).text.len();
            self.renumber(place, self.utterances.len());
        }
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
            utterance.await_no_words();
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
        transcript.utterance(&"question".into(), Speaker::Caller);
        transcript.write(&"question".into(), "?");
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
    fn every_item_is_found_wherever_it_has_been_moved() {
        let mut transcript = Transcript::default();
        for item in ["a", "b", "c", "d", "e"] {
            transcript.utterance(&item.into(), Speaker::Caller);
            transcript.write(&item.into(), item);
        }
        transcript.after(&"a".into(), Speaker::Caller, Some(&"d".into()));
        transcript.after(&"e".into(), Speaker::Caller, Some(&"b".into()));
        transcript.forget(&"c".into());
        transcript.after(&"f".into(), Speaker::Caller, Some(&"b".into()));
        transcript.write(&"f".into(), "f");
        assert_eq!(order(&transcript), ["b", "f", "e", "d", "a"]);
        for item in ["a", "b", "d", "e", "f"] {
            assert_eq!(transcript.find(&item.into()).expect("it is there").text, item);
        }
        assert!(transcript.find(&"c".into()).is_none() && transcript.room == Room::Enough);
    }

    #[test]
    fn what_a_server_says_without_end_is_left_out() {
        let mut transcript = Transcript::default();
        let item = |n: usize| ItemId::from(&*format!("item_{n}"));
        transcript.utterance(&item(0), Speaker::Assistant);
        for _ in 0..100 {
            transcript.append(&item(0), &"ñ".repeat(1_000));
        }
        assert_eq!(transcript.find(&item(0)).expect("it").text.len(), UTTERANCE_BYTES);
        assert!(transcript.is_newly_cut() && !transcript.is_newly_cut());
        for n in 0..UTTERANCES + 10 {
            let is_new = transcript.utterance(&item(n), Speaker::Caller).is_some();
            assert_eq!(is_new, n < UTTERANCES, "{n}");
            transcript.write(&item(n), &"x".repeat(UTTERANCE_BYTES));
            transcript.write(&item(n), &"y".repeat(UTTERANCE_BYTES));
        }
        let bytes: usize = transcript.utterances().iter().map(|said| said.text.len()).sum();
        assert_eq!(bytes, CALL_BYTES);
        assert!(transcript.utterance(&ItemId::from(&*"i".repeat(1 << 20)), Speaker::Caller).is_none());
        transcript.forget(&item(3));
        transcript.append(&item(4_000), "z");
        assert_eq!(transcript.find(&item(4_000)).expect("it").text, "z", "there is room again");
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
