//! Tests of each judgement, without sockets.

use super::super::facts::Step;
use super::super::obstacles::Reasons;
use super::super::words::{Check, Status};
use super::*;
use crate::operator::{Code, Language, Notice};

const MS: Duration = Duration::from_millis(1);

fn asterisk() -> Asterisk {
    Asterisk {
        address: "pbx:8088".into(),
        user: "me".into(),
        app: "openai-app".into(),
        is_here: true,
        version: Ok(Detail::new("22.10.1")),
        modules: Some(Ok(MODULES.iter().chain(&CODECS).map(ToString::to_string).collect())),
        dialplan: Dialplan::Seen { apps: vec![("openai-app".into(), 3)], unclear: None },
        session_limit: None,
        rtp_ports: Some(30_000..=39_999),
    }
}

fn tally(sent: u32, received: u32, jitter: Duration) -> Tally {
    Tally { sent, received, jitter, delay: MS }
}

fn media(there: Tally, back: Tally) -> Media {
    Media {
        local_ip: [192, 168, 1, 100].into(),
        ports: 10_000..=20_000,
        asterisk: vec![([192, 168, 1, 2], 30_000).into(), ([192, 168, 1, 2], 30_002).into()],
        outcome: Ok([there, back]),
        elsewhere: None,
        trust: Trust::Learn,
        left: Vec::new(),
    }
}

fn whole() -> Media {
    media(tally(75, 75, MS), tally(75, 75, MS))
}

/// The check and the status of each finding.
fn statuses(findings: &[Finding]) -> Vec<(Check, Status)> {
    findings.iter().map(|finding| (finding.check(), finding.status())).collect()
}

#[test]
fn asterisk_as_it_should_be() {
    let found = of_asterisk(&asterisk(), &[]);
    let expected = [Check::Ari, Check::Asterisk, Check::Modules, Check::Dialplan];
    assert_eq!(statuses(&found), expected.map(|check| (check, Status::Ok)));
}

#[test]
fn a_daemon_that_is_not_ready_is_judged_by_its_reasons() {
    let found = |well, reasons: &[&str]| {
        let reasons = Reasons(reasons.iter().map(ToString::to_string).collect());
        let answer = Api::Daemon { version: Detail::new("0.1.0"), well, reasons };
        statuses(&daemon(&Daemon { address: ([127, 0, 0, 1], 5001).into(), answer }))
    };
    let daemon = |status| (Check::Daemon, status);
    assert_eq!(found(true, &[]), [daemon(Status::Note)]);
    assert_eq!(found(true, &["application_replaced"]), [daemon(Status::Failure)]);
    assert_eq!(found(true, &["max_calls_reached", "openai_outage"]), [daemon(Status::Failure)]);
    assert_eq!(found(true, &["max_calls_reached"]), [daemon(Status::Warning)]);
    assert_eq!(found(true, &["of_a_newer_version"]), [daemon(Status::Warning)]);
    assert_eq!(found(false, &[]), [daemon(Status::Warning)]);
    assert_eq!(found(false, &["asterisk_away"]), [daemon(Status::Failure), daemon(Status::Warning)]);
}

#[test]
fn asterisk_must_be_16_6_or_later_however_it_writes_that() {
    for (version, status) in [
        ("16.28.0~dfsg-0+deb11u4", Status::Ok),
        ("22.10.1+dfsg+~cs6.17", Status::Ok),
        ("certified/18.9-cert4", Status::Ok),
        ("certified-20.7-cert1", Status::Ok),
        ("16.6.0", Status::Ok),
        ("17.0.0", Status::Ok),
        ("16.5.1", Status::Failure),
        ("certified/16.3-cert1", Status::Failure),
        ("13.38.3", Status::Failure),
        ("certified/13.21-cert6", Status::Failure),
        ("GIT-master-1a2b3c", Status::Note),
    ] {
        assert_eq!(age(Detail::new(version)).status(), status, "{version}");
    }
}

#[test]
fn a_session_limit_that_a_burst_of_calls_reaches_is_warned_of() {
    let found = |session_limit| of_asterisk(&Asterisk { session_limit, ..asterisk() }, &[]);
    let warned = |limit| found(limit).iter().any(|one| matches!(one, Finding::SessionLimitLow { .. }));
    assert!(warned(Some(10)) && !warned(Some(100)) && !warned(None));
}

#[test]
fn why_ari_does_not_serve_is_told_apart() {
    let because =
        |fault| of_asterisk(&Asterisk { version: Err(fault), modules: None, ..asterisk() }, &[]).remove(0);
    assert!(matches!(because(AriFault::Credentials), Finding::AriCredentials { .. }));
    assert!(matches!(because(AriFault::Status(503)), Finding::AriOff { status: 503, .. }));
    let cause = Detail::new("invalid peer certificate: UnknownIssuer");
    assert!(matches!(because(AriFault::Certificate(cause)), Finding::AriCertificate { .. }));
    let cause = Detail::new("Connection refused");
    assert!(matches!(because(AriFault::Unreachable(cause)), Finding::AriUnreachable { .. }));
}

#[test]
fn missing_modules_are_named_and_a_missing_codec_is_only_a_warning() {
    let running: Vec<_> =
        MODULES.iter().filter(|name| **name != "chan_rtp.so").map(ToString::to_string).collect();
    let found = modules(&running, &[]);
    assert_eq!(found[0], Finding::ModulesMissing { names: "chan_rtp.so".into() });
    assert_eq!(found[1], Finding::ModulesWanting { names: "codec_ulaw.so".into() });
    assert_eq!(found[1].status(), Status::Warning);
}

#[test]
fn the_module_that_knows_the_places_of_the_dialplan_is_missed_only_by_who_names_some() {
    let running: Vec<_> = MODULES.iter().chain(&CODECS).map(ToString::to_string).collect();
    assert_eq!(statuses(&modules(&running, &[])), [(Check::Modules, Status::Ok)]);
    let naming = ["FALLBACK_CONTEXT", "TRANSFER_DESTINATIONS"];
    let found = modules(&running, &naming);
    assert_eq!(statuses(&found), [(Check::Modules, Status::Ok), (Check::Modules, Status::Warning)]);
    assert!(found[1].words(Language::English).0.contains("FALLBACK_CONTEXT, TRANSFER_DESTINATIONS"));
    let running = [&running[..], &[PLACES.to_owned()]].concat();
    assert_eq!(statuses(&modules(&running, &naming)), [(Check::Modules, Status::Ok)]);
}

#[test]
fn the_dialplan_is_a_failure_only_if_it_certainly_leads_elsewhere() {
    let seen = |unclear| Dialplan::Seen { apps: vec![("other".into(), 1)], unclear };
    let found = dialplan(&seen(None), "openai-app");
    assert!(
        matches!(&found, Finding::DialplanNever { others, .. } if others.0.as_deref() == Some("Stasis(other)"))
    );
    assert_eq!(dialplan(&seen(None), "other").status(), Status::Ok);
    assert_eq!(dialplan(&seen(Some(Detail::new("Stasis(${APP})"))), "openai-app").status(), Status::Note);
    assert_eq!(dialplan(&Dialplan::Hidden(Detail::new("why")), "openai-app").status(), Status::Note);
}

#[test]
fn ports_clash_on_one_machine_only() {
    let judged = |is_here, theirs: Option<RangeInclusive<u16>>, ours: RangeInclusive<u16>| {
        let asterisk = Asterisk { is_here, rtp_ports: theirs, ..asterisk() };
        ports(&Media { ports: ours, ..whole() }, &asterisk).status()
    };
    assert_eq!(judged(true, Some(30_000..=39_999), 10_000..=20_000), Status::Ok);
    assert_eq!(judged(true, Some(20_000..=29_999), 10_000..=20_000), Status::Warning);
    assert_eq!(judged(true, Some(5_000..=31_000), 10_000..=20_000), Status::Warning);
    // A port seen in use outweighs the settings.
    assert_eq!(judged(true, Some(40_000..=50_000), 30_000..=30_100), Status::Warning);
    assert_eq!(judged(true, None, 30_000..=30_100), Status::Warning);
    assert_eq!(judged(true, None, 10_000..=20_000), Status::Ok);
    assert_eq!(judged(false, Some(10_000..=20_000), 10_000..=20_000), Status::Ok);
    let unseen = Media { asterisk: Vec::new(), ..whole() };
    let nothing_known = Asterisk { rtp_ports: None, ..asterisk() };
    assert_eq!(ports(&unseen, &nothing_known), Finding::PortsUnseen);
    let unknown = Err(AriFault::Unreachable(Detail::new("no such name")));
    let away = Asterisk { is_here: false, version: unknown, ..asterisk() };
    assert_eq!(ports(&unseen, &away), Finding::PortsUnseen);
}

#[test]
fn sound_is_judged_by_what_a_caller_would_hear() {
    let judged = |there, back| sound(&media(there, back));
    let all = tally(75, 75, MS);
    assert!(matches!(judged(all, all), Finding::RtpFlows { .. }));
    assert!(matches!(judged(all, tally(75, 72, MS)), Finding::RtpFlows { .. }), "2 % of all");
    assert!(matches!(judged(all, tally(75, 71, MS)), Finding::RtpLossy { .. }));
    assert!(matches!(judged(tally(75, 40, MS), all), Finding::RtpTorn { .. }));
    assert!(matches!(judged(all, tally(75, 0, MS)), Finding::RtpOneWay { .. }));
    assert!(matches!(judged(tally(75, 0, MS), tally(75, 0, MS)), Finding::RtpSilent { .. }));
    assert!(matches!(judged(all, tally(75, 75, 31 * MS)), Finding::RtpJittery { .. }));
    // No packet could be sent.
    assert!(matches!(judged(tally(0, 0, MS), tally(0, 0, MS)), Finding::RtpSilent { .. }));
}

#[test]
fn what_was_left_in_asterisk_is_named_beside_the_result() {
    let found = of_media(&Media { left: vec!["oic-doctor-1-a".into()], ..whole() }, &asterisk());
    let expected = [(Check::RtpPorts, Status::Ok), (Check::Rtp, Status::Ok), (Check::Rtp, Status::Warning)];
    assert_eq!(statuses(&found), expected);
    let stalled = Media { outcome: Err(MediaFault::Stalled(Step::Stasis)), ..whole() };
    assert_eq!(sound(&stalled), Finding::RtpStalled { step: "StasisStart" });
}

fn listed(list: Listed) -> Vec<Finding> {
    let today = "2026-11-21".parse().expect("a date");
    let models = vec![
        ("OPENAI_REALTIME_MODEL", "gpt-realtime".to_owned()),
        ("OPENAI_TRANSCRIPTION_MODEL", "gpt-transcribe".to_owned()),
    ];
    let session = Session::Configured { took: MS, others: Detail::default() };
    of_openai(&OpenAi { host: "api.openai.com".into(), models, list, clock_ahead: None, session }, today)
}

#[test]
fn the_end_of_a_model_is_told_in_time() {
    let judged = |date: Option<&str>| {
        let models = [("gpt-realtime", date), ("gpt-transcribe", None)];
        let models = models.map(|(id, date)| (id.to_owned(), date.map(str::to_owned))).to_vec();
        listed(Listed::Models(models)).remove(1)
    };
    assert_eq!(judged(None).status(), Status::Ok);
    assert!(matches!(judged(Some("2027-01-20")), Finding::ModelEnds { days: 60, .. }));
    assert!(matches!(judged(Some("2026-11-21")), Finding::ModelEnds { days: 0, .. }));
    assert!(matches!(judged(Some("2027-02-20")), Finding::ModelEndsLater { .. }));
    assert!(matches!(judged(Some("2026-11-20")), Finding::ModelEnded { .. }));
    assert!(matches!(judged(Some("soon")), Finding::ModelEnds { .. }));
}

#[test]
fn a_missing_model_is_a_failure_and_those_there_are_named() {
    let found = listed(Listed::Models(vec![("gpt-realtime-2.1".into(), None), ("o9".into(), None)]));
    assert_eq!(
        statuses(&found[..3]),
        [(Check::Key, Status::Ok), (Check::Model, Status::Failure), (Check::Model, Status::Warning)]
    );
    let (_, remedy) = found[1].words(Language::English);
    assert_eq!(remedy.as_deref(), Some("Change OPENAI_REALTIME_MODEL (gpt-realtime-2.1)"));
}

#[test]
fn what_the_server_refuses_is_told_apart() {
    let refused = |status, code: &str| {
        let body = format!(r#"{{"error":{{"code":"{code}"}}}}"#);
        let refusal = Refusal::of_answer(status, &body);
        let message = Detail::new("why");
        listed(Listed::Status { status, code: Code::new(code), refusal, message }).remove(0)
    };
    assert!(matches!(refused(401, "invalid_api_key"), Finding::KeyRefused { .. }));
    for (status, code, notice) in [
        (403, "unsupported_country_region_territory", Notice::CountryRefused),
        (401, "ip_not_authorized", Notice::AddressRefused),
    ] {
        assert_eq!(refused(status, code), Finding::AccessRefused { notice });
    }
    for (status, code) in [(403, ""), (403, "mismatched_project"), (407, "")] {
        assert!(matches!(refused(status, code), Finding::AccessRefused { .. }), "{status} {code}");
    }
    assert!(matches!(refused(429, "insufficient_quota"), Finding::KeyWithoutCredit { .. }));
    assert!(matches!(refused(429, "rate_limit_exceeded"), Finding::KeyThrottled { .. }));
    assert!(matches!(refused(404, "unknown_url"), Finding::ModelsUnlisted { .. }));
    assert!(matches!(refused(503, ""), Finding::ServerTroubled { .. }));
    assert!(matches!(listed(Listed::NoList).remove(0), Finding::ModelsUnlisted { .. }));
}

#[test]
fn a_session_must_carry_our_formats() {
    let paths = Detail::new("audio.output.voice");
    assert_eq!(session(&Session::Configured { took: MS, others: paths.clone() }).status(), Status::Warning);
    assert_eq!(session(&Session::WrongFormats(paths)).status(), Status::Failure);
    assert_eq!(session(&Session::Refused(Notice::QuotaExhausted)).status(), Status::Failure);
    assert_eq!(session(&Session::Late(8_000 * MS)), Finding::SessionLate { seconds: 8 });
}

#[test]
fn a_clock_may_be_half_a_minute_wrong() {
    let judged = |seconds| clock(Some(TimeDelta::seconds(seconds)));
    assert_eq!((judged(30), judged(-30)), (Finding::ClockRight, Finding::ClockRight));
    assert_eq!(judged(31), Finding::ClockAhead { seconds: 31 });
    assert_eq!(judged(-31), Finding::ClockBehind { seconds: 31 });
    assert_eq!(clock(None).status(), Status::Note);
}

#[test]
fn a_disk_must_hold_a_day() {
    let judged = |bytes| disk(&Disk { path: "x".into(), free_bytes: Ok(bytes) }).status();
    assert_eq!(judged(LOW_BYTES), Status::Ok);
    assert_eq!(judged(LOW_BYTES - 1), Status::Warning);
    assert_eq!(judged(FULL_BYTES - 1), Status::Failure);
}

#[test]
fn open_files_must_do_for_every_port() {
    assert_eq!(open_files(OpenFiles { limit: 65_536, calls: 5_001 }).status(), Status::Ok);
    let few = open_files(OpenFiles { limit: 1_024, calls: 5_001 });
    assert_eq!(few, Finding::OpenFilesFew { limit: 1_024, calls: 5_001, enough_for: 120, needed: 40_072 });
}

#[test]
fn rtp_from_another_source_is_told_and_is_a_failure_where_it_would_be_dropped() {
    let (named, source) = (([192, 168, 1, 2], 30_000).into(), ([172, 17, 0, 1], 41_234).into());
    let elsewhere = Some((named, source));
    let learned = sound(&Media { elsewhere, ..whole() });
    assert_eq!(learned.status(), Status::Note);
    assert!(learned.words(Language::English).0.contains("172.17.0.1:41234"));
    let refused = sound(&Media { elsewhere, trust: Trust::Strict, ..whole() });
    assert_eq!(refused.status(), Status::Failure);
    let foreign = Media { outcome: Err(MediaFault::ForeignAddress([192, 0, 2, 7].into())), ..whole() };
    assert_eq!(sound(&foreign).status(), Status::Failure);
    let foreign = Media { outcome: Err(MediaFault::ForeignSource { named, source }), ..whole() };
    assert_eq!(sound(&foreign).status(), Status::Failure);
}

#[test]
fn both_languages_name_the_same_facts() {
    let finding = sound(&media(tally(75, 75, MS / 4), tally(75, 74, MS / 4)));
    let (spanish, english) = (finding.words(Language::Spanish).0, finding.words(Language::English).0);
    assert!(spanish.contains("75/75 y 74/75") && spanish.contains("0,2 ms"), "{spanish}");
    assert!(english.contains("75/75 and 74/75") && english.contains("0.2 ms"), "{english}");
}

#[test]
fn servers_of_tools_that_are_away_are_named_and_fail_nothing() {
    let there = ("http://127.0.0.1:8099".to_owned(), Presence::There);
    let away = ("https://crm.example.com".to_owned(), Presence::Away(Detail::new("connection refused")));
    let program = ("/opt/tickets".to_owned(), Presence::NotExecutable);
    let found = of_agents(&Agents { count: 2, servers: vec![there, away, program] });
    let expected =
        [Status::Ok, Status::Ok, Status::Warning, Status::Warning].map(|status| (Check::Agents, status));
    assert_eq!(statuses(&found), expected);
    let (text, remedy) = found[2].words(Language::English);
    assert!(text.contains("https://crm.example.com: connection refused") && remedy.is_some(), "{text}");
}
