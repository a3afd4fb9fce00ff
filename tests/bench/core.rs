//! The cost of one frame: `cargo bench --bench core`.
//!
//! Times on a shared machine vary; instruction counts hardly do. `tests/bench/instructions` counts
//! instructions with callgrind: with `--times N NAME` this program does one thing N times, and the difference
//! between two values of N leaves out the constant cost.

mod stage;

use openai_inbound_calls::call::record::Keep;
use openai_inbound_calls::call::tape::Tape;
use openai_inbound_calls::media::Frame;
use openai_inbound_calls::realtime::{client, server};
use stage::{Stage, delta};

/// Receives a packet of the caller, sends a packet to the caller, and receives a tenth of an audio delta of
/// 200 ms.
#[divan::bench]
fn frame_each_way(bencher: divan::Bencher<'_, '_>) {
    let mut stage = Stage::new(Keep::NOTHING);
    bencher.bench_local(|| stage.frame_each_way());
}

/// The same with recording.
#[divan::bench]
fn frame_each_way_recorded(bencher: divan::Bencher<'_, '_>) {
    let mut stage = Stage::new(Keep::ALL);
    bencher.bench_local(|| stage.frame_each_way());
}

/// Parses an audio delta of 200 ms from JSON to an event.
#[divan::bench]
fn parse_audio_delta(bencher: divan::Bencher<'_, '_>) {
    let text = delta(200);
    bencher.bench(|| server::parse(divan::black_box(&text)).is_ok());
}

/// Builds the JSON of an append of 20 ms of audio.
#[divan::bench]
fn build_append(bencher: divan::Bencher<'_, '_>) {
    let frame = Frame([0x55; 160]);
    bencher.bench(|| client::append(divan::black_box(&frame.0)));
}

/// Mixes 20 ms of both sides for the WAV file.
#[divan::bench]
fn mix_to_wav(bencher: divan::Bencher<'_, '_>) {
    let mut tape = Tape::default();
    bencher.bench_local(|| mix(&mut tape));
}

fn mix(tape: &mut Tape) -> usize {
    let frame = divan::black_box(Frame([0x55; 160]));
    let mut pieces = 0;
    tape.caller(&frame, &mut |_| pieces += 1);
    tape.assistant(&frame, &mut |_| pieces += 1);
    pieces
}

fn times(times: usize, name: &str) {
    match name {
        "frame_each_way" | "frame_each_way_recorded" => {
            let keep = if name == "frame_each_way" { Keep::NOTHING } else { Keep::ALL };
            let mut stage = Stage::new(keep);
            for _ in 0..times {
                divan::black_box(stage.frame_each_way());
            }
        }
        "parse_audio_delta" => {
            let text = delta(200);
            for _ in 0..times {
                divan::black_box(server::parse(divan::black_box(&text)).is_ok());
            }
        }
        "build_append" => {
            for _ in 0..times {
                divan::black_box(client::append(divan::black_box(&[0x55; 160])));
            }
        }
        "mix_to_wav" => {
            let mut tape = Tape::default();
            for _ in 0..times {
                divan::black_box(mix(&mut tape));
            }
        }
        other => panic!("there is no {other}"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "--times", count, name] => times(count.parse().expect("a number"), name),
        _ => divan::main(),
    }
}
