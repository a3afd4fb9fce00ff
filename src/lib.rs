//! `openai-inbound-calls` puts an AI on the phone: Asterisk hands it a call, and it holds the conversation
//! through the OpenAI Realtime API.
//!
//! # The one idea
//!
//! A call is a fold over its inputs. Everything that can happen to a call – a packet, an Asterisk event, an
//! event of the model, the passing of time, SIGTERM – is one value of one enum, [`call::Input`]. Everything a
//! call does is one value of another, [`call::Output`]. Between them, [`call::Call::handle`] is plain code:
//! no clock, socket, task, lock or `Result`. [`exchange::Exchange`] is the same for Asterisk and all calls together.
//!
//! # The floors
//!
//! A module uses only lower floors and its own folder; `tests/architecture` holds the sources to it.
//!
//! | floor | modules | what |
//! |---|---|---|
//! | 16 | `main` | the program: signals arrive here (SIGHUP in `reloads`), exit codes |
//! | 15 | [`commands`] | the commands of the command line |
//! | 14 | [`mod@bench`], [`demo`], [`doctor`], [`rehearsal`] | measures the daemon; shows it without PBX and key; tries what a call needs; tries agents without a telephone |
//! | 13 | [`sim`] | the fakes of Asterisk, the caller and OpenAI, behind sockets |
//! | 12 | [`daemon`] | sockets in, sockets out: Asterisk's events, one task per call (`call_task`; what it sends: `call_io`), what a SIGHUP changes (`reload`), SIGTERM |
//! | 11 | [`archive`] | the thread of the index, the call log, the API, and the hourly task that purges old recordings (`retention`; its rule is in `recordings::retention`) |
//! | 10 | [`http`] | the API and the page |
//! | 9 | [`logging`], [`peers`] | the log; how Asterisk and OpenAI are reached |
//! | 8 | [`access_log`], [`config`], [`erasure`], [`output`] | who read or deleted what; what the operator has configured; how recordings are forgotten; what commands print |
//! | 7 | [`recordings`], [`registry`] | the files of recorded calls; the log of all calls |
//! | 6 | [`live`], [`log_file`], [`machine`], [`net`], [`sqlite`] | the calls that run, and their totals; files of log lines; the machine; sockets; database files |
//! | 5 | [`clock`] | the time and random numbers |
//! | 4 | [`exchange`] | behaviour towards Asterisk and all calls together, pure: who is taken, and the limit of the day's cost (`admission`; its sums in `spending`); an application that is taken over (`switchboard` notices it, `connection` remembers it) |
//! | 3 | [`call`] | behaviour of one call, pure |
//! | 2 | [`ari`], [`realtime`] | the two languages, bytes ⇄ types, pure |
//! | 1 | [`operator`] | the operator's lines, pure |
//! | 0 | [`agents`], [`end_reason`], [`media`], [`number`], [`paging`], [`tool`], [`units`], [`webhook`] | which agent takes a call; why calls end; sound; telephone numbers; pages of long lists; what a tool is; quantities; what a webhook is, pure |
//!
//! [`sim`] holds the fakes: a fake Asterisk, caller and Realtime server, described once without sockets or
//! clock, used by the tests on a virtual clock and behind real sockets by `demo`.
//!
//! [`doctor`] is the daemon's counterpart for the operator: it tries what a call needs, and says what fails.
//!
//! # One packet's walk
//!
//! ```text
//!  caller's voice                                     assistant's voice
//!  net::rtp::RtpSocket                                WebSocket text
//!   │ daemon::call_task     Input::Rtp                 │ net::realtime_link, realtime::server::parse
//!   ▼                                                  ▼ daemon::call_task     Input::Session(AudioDelta)
//!  media::rtp::Packet::parse                          call::turn       still wanted?
//!   ▼                                                  ▼
//!  call::uplink     order, gaps, silence              call::playout    the queue; one frame every 20 ms
//!   ▼                                                  ▼
//!  Output::Append                                     Output::Rtp
//!   ▼ net::realtime_link::append                       ▼ net::rtp::RtpSocket::send
//!  base64, JSON, one WebSocket frame                  Asterisk's media port
//! ```
//! No channel, lock or allocation in the core, and one task, on both paths.
//!
//! # Glossary
//!
//! - **agent**: an assistant with its own instructions, numbers, hours and limits.
//! - **caller leg**: the caller's channel in Asterisk; **media leg**: our ExternalMedia channel, RTP to us. A **bridge** joins
//!   the two. **Session**: the WebSocket session with the model. **Route**: which way the sound goes, through us (media) or from
//!   Asterisk or a carrier to OpenAI (SIP). **Snoop channel**: a copy of one direction of the caller's sound, which Asterisk records.
//! - **frame**: 20 ms of G.711 µ-law, 160 bytes.
//! - **uplink**: caller → model; **playout**: model → caller.
//! - **barge-in**: the caller speaks while the assistant is heard; **heard**: what had left by then.
//! - **turn**: Listening, Thinking, Speaking.
//! - **notice**: a line for the operator; **finding**: the doctor's, with a status and what to do.
//!
//! # Where to begin
//!
//! README, this page, [`call`], a test of `tests/call/`, [`exchange`], `daemon/call_task.rs`.

pub mod agents;
pub mod end_reason;
pub mod media;
pub mod number;
pub mod operator;
pub mod paging;
pub mod tool;
pub mod units;
pub mod webhook;

pub mod ari;
pub mod realtime;

pub mod call;
pub mod exchange;

pub mod clock;
pub mod live;
pub mod log_file;
pub mod machine;
pub mod net;
pub mod sqlite;

pub mod recordings;
pub mod registry;

pub mod access_log;
pub mod archive;
pub mod bench;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod doctor;
pub mod erasure;
pub mod http;
pub mod logging;
pub mod output;
pub mod peers;
pub mod rehearsal;
pub mod sim;
