//! The names of the recordings that Asterisk makes of the sound of a caller: `oic-said-1795180048.12_1795180050`.

use std::fmt;

use super::{ChannelId, Voice};
use crate::number::mask_numbers;

/// The name of the recording that Asterisk makes of one voice of a caller during one call of ours.
///
/// A daemon that is killed leaves the caller in Asterisk, and the next daemon serves them with a call of its own. The time in the
/// name keeps what that call records apart from the first part, which would be overwritten otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SoundName {
    caller: ChannelId,
    voice: Voice,
    part: Part,
}

/// Tells the recordings of one caller apart: the time at which the call began that makes them, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part(u64);

impl Part {
    /// What a call records that began at this time, in Unix seconds. A clock before 1970 counts as 1970.
    #[must_use]
    pub fn of_call(began: i64) -> Self {
        Self(began.try_into().unwrap_or(0))
    }
}

impl SoundName {
    /// The name of the recording of this voice of a caller.
    #[must_use]
    pub fn new(caller: ChannelId, voice: Voice, part: Part) -> Self {
        Self { caller, voice, part }
    }

    /// Reads a name. None: the program has not given it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (snoop, part) = name.rsplit_once('_')?;
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let part = part.parse().ok().filter(|_| is_number)?;
        let (caller, voice) = ChannelId::from(snoop).snooped()?;
        Some(Self { caller, voice, part: Part(part) })
    }

    /// The caller whose sound it is.
    #[must_use]
    pub fn caller(&self) -> &ChannelId {
        &self.caller
    }

    /// Whether it is what the caller says or what the caller hears.
    #[must_use]
    pub fn voice(&self) -> Voice {
        self.voice
    }

    /// Which of the recordings of this caller it is.
    #[must_use]
    pub fn part(&self) -> Part {
        self.part
    }

    /// The name for a log: a number in the id of the caller's channel is masked. Ids that Asterisk gives stay as they are.
    #[must_use]
    pub fn masked(&self) -> String {
        format!("{}_{}", mask_numbers(self.snoop().as_str()), self.part.0)
    }

    /// The snoop channel that is recorded.
    #[must_use]
    pub fn snoop(&self) -> ChannelId {
        self.caller.snoop(self.voice)
    }
}

impl fmt::Display for SoundName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.snoop(), self.part.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_a_name_is_masked_and_an_id_of_asterisk_is_not() {
        for (caller, masked) in [
            ("1795180048.12", "oic-said-1795180048.12_1795180050"),
            ("+525512345678", "oic-said-+***78_1795180050"),
        ] {
            let name = SoundName::new(caller.into(), Voice::Said, Part::of_call(1_795_180_050));
            assert_eq!(name.masked(), masked);
        }
    }

    #[test]
    fn a_name_leads_back_to_the_caller_the_voice_and_the_call() {
        for (voice, text) in
            [(Voice::Said, "oic-said-pbx_1-1.2_1795180050"), (Voice::Heard, "oic-heard-pbx_1-1.2_1795180050")]
        {
            let name = SoundName::new("pbx_1-1.2".into(), voice, Part::of_call(1_795_180_050));
            assert_eq!(name.to_string(), text);
            assert_eq!(SoundName::parse(text), Some(name.clone()));
            assert_eq!((name.caller().as_str(), name.voice()), ("pbx_1-1.2", voice));
            assert_eq!(name.snoop().snooped(), Some((name.caller().clone(), voice)));
        }
    }

    #[test]
    fn two_calls_of_one_caller_have_recordings_of_their_own() {
        let of = |began| SoundName::new("1.2".into(), Voice::Said, Part::of_call(began)).to_string();
        assert_ne!(of(1_795_180_050), of(1_795_180_051));
        assert_eq!(of(-1), "oic-said-1.2_0");
    }

    #[test]
    fn a_name_that_the_program_has_not_given_is_none() {
        let strange = [
            "",
            "greeting",
            "oic-said-1.2",
            "oic-said-1.2_",
            "oic-said-1.2_+1",
            "oic-media-1.2_5",
            "said-1.2_5",
        ];
        for name in strange.into_iter().chain(["oic-said-1.2_99999999999999999999"]) {
            assert_eq!(SoundName::parse(name), None, "{name}");
        }
    }
}
