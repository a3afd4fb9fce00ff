//! What a call has used, and what that costs: every response and every transcription, each counted once.
//!
//! The model of the conversation and the one that transcribes have an account and a price each. Where the server does not
//! tell enough, the dearer reading counts and the bill is *estimated*:
//!
//! | not told | counts as |
//! |---|---|
//! | of what kind tokens are | sound |
//! | whether they were read or written | written |
//! | whether they were cached | not cached |
//! | of what kind the cached ones are | text, as far as there was any |
//! | how long the sound of a transcription was | as long as the caller spoke |
//! | anything at all | nothing; if it is so every time, the cost is unknown |
//!
//! Prices come with the settings. The cost of a model without a price is unknown, and never zero.

use std::sync::Arc;
use std::time::Duration;

use crate::realtime::usage::Usage;
use crate::units::{Cost, MicroUsd, Milliseconds};

/// Tokens by kind. The cached ones are a part of those read, and counted among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Text that was read.
    pub text_in: u64,
    /// Sound that was read.
    pub audio_in: u64,
    /// Of the text that was read, what the server still knew.
    pub cached_text_in: u64,
    /// Of the sound that was read, what the server still knew.
    pub cached_audio_in: u64,
    /// Text that was written.
    pub text_out: u64,
    /// Sound that was spoken.
    pub audio_out: u64,
}

/// What a model takes for a million tokens of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// For text that is read and not cached.
    pub text_in: MicroUsd,
    /// For sound that is read and not cached.
    pub audio_in: MicroUsd,
    /// For cached text.
    pub cached_text_in: MicroUsd,
    /// For cached sound.
    pub cached_audio_in: MicroUsd,
    /// For text that is written.
    pub text_out: MicroUsd,
    /// For sound that is spoken.
    pub audio_out: MicroUsd,
}

/// What a model costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Price {
    /// By tokens.
    Tokens(Rates),
    /// By the minute of sound.
    Minute(MicroUsd),
}

/// What the two models of a call cost; `None`: nobody knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prices {
    /// The model that talks.
    pub conversation: Option<Price>,
    /// The model that puts the caller's words into text.
    pub transcription: Option<Price>,
    /// Of which day they are, `YYYY-MM-DD`.
    pub dated: Arc<str>,
}

/// What a call comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bill {
    /// Of the model that talks.
    pub conversation: Tokens,
    /// Of the model that transcribes, if it counts tokens.
    pub transcription: Tokens,
    /// Sound that was transcribed.
    pub transcribed: Milliseconds,
    /// All of it; `None`: unknown.
    pub cost: Option<MicroUsd>,
    /// What of it is known: it costs that or more.
    pub at_least: MicroUsd,
    /// Something had to be guessed.
    pub estimated: bool,
    /// Of which day the prices are, `YYYY-MM-DD`.
    pub prices_dated: Arc<str>,
}

impl Bill {
    /// What both models have used, by kind.
    pub fn tokens(&self) -> Tokens {
        let mut tokens = self.conversation;
        tokens.add(self.transcription);
        tokens
    }

    /// For the operator's lines.
    pub fn said(&self) -> Cost {
        Cost { amount: self.cost, estimated: self.estimated }
    }
}

/// What one model has used.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    tokens: Tokens,
    audio: Milliseconds,
    /// The number of uses; how many of them (`in_tokens`) have known tokens, and how many (`in_time`) a known length of
    /// audio.
    times: u64,
    in_tokens: u64,
    in_time: u64,
    guessed_tokens: bool,
    guessed_time: bool,
}

/// What the models of a call have used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ledger {
    conversation: Account,
    transcription: Account,
}

impl Tokens {
    /// What a response's usage comes to, and whether something of it was guessed.
    fn of(usage: &Usage) -> (Self, bool) {
        let (text_in, audio_in) = (usage.text_in.unwrap_or(0), usage.audio_in.unwrap_or(0));
        let (text_out, audio_out) = (usage.text_out.unwrap_or(0), usage.audio_out.unwrap_or(0));
        let (told_in, told_out) = (text_in.saturating_add(audio_in), text_out.saturating_add(audio_out));
        let total = usage.total.unwrap_or(0);
        let input = usage.input.unwrap_or_else(|| usage.output.map_or(0, |out| total.saturating_sub(out)));
        let output = usage.output.unwrap_or_else(|| total.saturating_sub(input.max(told_in)));
        let (more_in, more_out) = (input.saturating_sub(told_in), output.saturating_sub(told_out));
        let audio_in = audio_in.saturating_add(more_in);

        let cached_text = usage.cached_text.unwrap_or(0).min(text_in);
        let cached_audio = usage.cached_audio.unwrap_or(0).min(audio_in);
        let told_cached = cached_text.saturating_add(cached_audio);
        let more_cached = usage.cached.unwrap_or(0).saturating_sub(told_cached);
        let more_text = more_cached.min(text_in - cached_text);
        let more_audio = (more_cached - more_text).min(audio_in - cached_audio);
        let none_cached = usage.cached.or(usage.cached_text).or(usage.cached_audio).is_none();

        let tokens = Self {
            text_in,
            audio_in,
            cached_text_in: cached_text + more_text,
            cached_audio_in: cached_audio + more_audio,
            text_out,
            audio_out: audio_out.saturating_add(more_out),
        };
        let guessed_cached = more_cached > 0 || none_cached && tokens.read() > 0;
        (tokens, more_in > 0 || more_out > 0 || guessed_cached)
    }

    /// The same of a transcription: it reads sound and writes text, and caches nothing.
    fn of_transcription(usage: &Usage) -> (Self, bool) {
        let (cached, text_out) = (usage.cached.or(Some(0)), usage.text_out.or(usage.output));
        Self::of(&Usage { cached, text_out, ..*usage })
    }

    /// Adds those of another account.
    pub fn add(&mut self, other: Self) {
        let Self { text_in, audio_in, cached_text_in, cached_audio_in, text_out, audio_out } = other;
        for (sum, more) in [
            (&mut self.text_in, text_in),
            (&mut self.audio_in, audio_in),
            (&mut self.cached_text_in, cached_text_in),
            (&mut self.cached_audio_in, cached_audio_in),
            (&mut self.text_out, text_out),
            (&mut self.audio_out, audio_out),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    /// Everything that was read.
    pub fn read(&self) -> u64 {
        self.text_in.saturating_add(self.audio_in)
    }

    /// Everything that was read and cached.
    pub fn cached(&self) -> u64 {
        self.cached_text_in.saturating_add(self.cached_audio_in)
    }

    /// Everything that was written or spoken.
    pub fn written(&self) -> u64 {
        self.text_out.saturating_add(self.audio_out)
    }

    /// The cost in pico-USD: each number of tokens times the price of a million tokens in micro-USD.
    fn cost(&self, rates: &Rates) -> u128 {
        [
            (self.text_in.saturating_sub(self.cached_text_in), rates.text_in),
            (self.audio_in.saturating_sub(self.cached_audio_in), rates.audio_in),
            (self.cached_text_in, rates.cached_text_in),
            (self.cached_audio_in, rates.cached_audio_in),
            (self.text_out, rates.text_out),
            (self.audio_out, rates.audio_out),
        ]
        .iter()
        .map(|(tokens, rate)| u128::from(*tokens) * u128::from(rate.get()))
        .sum()
    }
}

impl Account {
    /// Counts one more use of the model.
    fn count(&mut self, (tokens, guessed): (Tokens, bool), usage: &Usage) {
        self.times += 1;
        if usage.is_in_tokens() {
            self.in_tokens += 1;
            self.tokens.add(tokens);
            self.guessed_tokens |= guessed;
        }
    }

    /// Adds the length of the sound of one use. If the server has not `told` the length, it is a guess.
    fn time(&mut self, sound: Milliseconds, told: bool) {
        self.in_time += 1;
        self.audio = self.audio.saturating_add(sound);
        self.guessed_time |= !told;
    }

    /// Pico-USD, if they can be known.
    fn cost(&self, price: Option<&Price>) -> Option<u128> {
        let (counted, cost) = match price? {
            Price::Tokens(rates) => (self.in_tokens, self.tokens.cost(rates)),
            Price::Minute(rate) => {
                (self.in_time, u128::from(self.audio.get()) * u128::from(rate.get()) * 1_000_000 / 60_000)
            }
        };
        (counted > 0 || self.times == 0).then_some(cost)
    }

    /// Whether something of what counts for the price was guessed, or not told.
    fn is_estimated(&self, price: Option<&Price>) -> bool {
        let by_time = match price {
            Some(price) => matches!(price, Price::Minute(_)),
            None => self.in_time > 0,
        };
        if by_time {
            self.guessed_time || self.in_time < self.times
        } else {
            self.guessed_tokens || self.in_tokens < self.times
        }
    }
}

impl Ledger {
    /// Counts a response that is over. If the response was lost with its session, `usage` is empty, and the cost becomes an
    /// estimate or unknown.
    pub fn response(&mut self, usage: &Usage) {
        self.conversation.count(Tokens::of(usage), usage);
    }

    /// Something the caller said is text now, or was to become it; `spoken`: how long they spoke, if that is known.
    pub fn transcription(&mut self, usage: &Usage, spoken: Option<Duration>) {
        self.transcription.count(Tokens::of_transcription(usage), usage);
        if let Some(sound) = usage.audio.or(spoken.map(Milliseconds::from)) {
            self.transcription.time(sound, usage.audio.is_some());
        }
    }

    /// What all of it comes to.
    pub fn bill(&self, prices: &Prices) -> Bill {
        let Self { conversation, transcription } = self;
        let of_words = prices.transcription.as_ref();
        let cost = conversation.cost(prices.conversation.as_ref());
        // If nothing was transcribed, the price of a transcription does not matter.
        let cost_of_words = if transcription.times == 0 { Some(0) } else { transcription.cost(of_words) };
        let micro =
            |pico: u128| u64::try_from((pico + 500_000) / 1_000_000).map_or(MicroUsd::MAX, MicroUsd::new);
        Bill {
            conversation: conversation.tokens,
            transcription: transcription.tokens,
            transcribed: transcription.audio,
            cost: cost.zip(cost_of_words).map(|(one, other)| micro(one + other)),
            at_least: micro(cost.unwrap_or(0) + cost_of_words.unwrap_or(0)),
            estimated: conversation.is_estimated(prices.conversation.as_ref())
                || transcription.is_estimated(of_words),
            prices_dated: Arc::clone(&prices.dated),
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
