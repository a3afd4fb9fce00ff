//! Which agent serves a caller, and what the calls of one agent may cost.

use std::sync::Arc;

use ipnet::IpNet;
use openai_inbound_calls::agents::{Closed, Entry, Roster};
use openai_inbound_calls::call::Settings;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::{Agent, Agents, Input};
use openai_inbound_calls::operator::{Detail, Notice};
use openai_inbound_calls::sim::asterisk::{Ending, IncomingCall};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::units::{Cost, MicroUsd};

use super::world::{MS, World, settings};

/// An agent whose instructions are its name.
fn agent(name: &str) -> Agent {
    let mut settings = settings();
    settings.session.instructions = name.into();
    Agent {
        name: name.into(),
        version: "0123456789ab".into(),
        settings: Arc::new(settings),
        max_day_cost: None,
    }
}

fn entry(name: &str, numbers: &[&str], closed: Option<Closed>) -> Entry {
    let numbers = numbers.iter().map(|number| number.parse().expect("a number")).collect();
    Entry { name: name.into(), numbers, closed }
}

/// A world with the agents `citas`, `recado` and `ventas` besides the one of the environment. The first day of a world is
/// Friday, 2026-11-20.
fn world(change: impl FnOnce(&mut Vec<Agent>)) -> World {
    let closed = Closed {
        hours: vec!["Mon-Fri 00:00-24:00".parse().expect("hours")],
        holidays: Vec::new(),
        instead: "recado".into(),
    };
    let roster = vec![
        entry("citas", &["3241000752"], Some(closed)),
        entry("recado", &[], None),
        entry("ventas", &["_60X"], None),
    ];
    let mut agents = ["citas", "recado", "ventas"].map(agent).to_vec();
    change(&mut agents);
    let default = Agent::of_environment(Arc::new(Settings {
        session: agent("default").settings.session.clone(),
        ..settings()
    }));
    let mut world = World::new();
    let agents = Agents::new(default, agents, Roster::new(roster).expect("no number twice"));
    world.decide(|rules| rules.agents = agents.clone());
    world
}

/// A caller who dials this number, with these arguments of `Stasis()`.
fn dial(world: &mut World, number: &str, arguments: &[&str]) -> usize {
    let args = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    arrive(world, IncomingCall { extension: number.into(), args, ..IncomingCall::default() })
}

/// This caller comes, and is served for two seconds.
fn arrive(world: &mut World, call: IncomingCall) -> usize {
    let phone = world.dial_as(call, vec![Step::Pause(60_000 * MS)]);
    world.run_for(2_000);
    phone
}

/// The instructions that the session of this caller got.
fn instructions(world: &World, phone: usize) -> String {
    let task = world.tasks.iter().rfind(|task| task.phone == phone).expect("a call");
    let server = &world.servers[task.server.expect("a session")];
    server.session.settings()["instructions"].as_str().expect("a text").to_owned()
}

/// The instructions that the session of a new caller got.
fn serves(world: &mut World, number: &str, arguments: &[&str]) -> String {
    let phone = dial(world, number, arguments);
    served(world, phone)
}

/// The instructions that the session of this caller got, who then hangs up.
fn served(world: &mut World, phone: usize) -> String {
    assert!(world.outcome(phone).ended.is_none(), "{:?}", world.outcome(phone));
    let instructions = instructions(world, phone);
    world.hang_up(phone);
    world.run_for(1_000);
    instructions
}

/// A caller goes on in the dialplan for this reason.
fn goes_on(world: &mut World, number: &str, arguments: &[&str], reason: EndReason) {
    let phone = dial(world, number, arguments);
    let outcome = world.outcome(phone);
    assert!(matches!(outcome.ended, Some(Ending::Continued { .. })), "{outcome:?}");
    assert_eq!(outcome.variables, [("AI_END_REASON".to_owned(), reason.code().to_owned())]);
}

fn said(world: &World, notice: &Notice) -> usize {
    world.daemons[0].notices.iter().filter(|said| *said == notice).count()
}

#[test]
fn the_dialplan_or_the_number_chooses_the_agent() {
    let mut world = world(|_| {});
    assert_eq!(serves(&mut world, "3241000752", &[]), "citas");
    assert_eq!(
        serves(&mut world, "601", &["3001234567"]),
        "ventas",
        "an argument without a name says nothing"
    );
    assert_eq!(serves(&mut world, "s", &["did=602"]), "ventas");
    assert_eq!(serves(&mut world, "601", &["did=3241000752"]), "citas");
    assert_eq!(serves(&mut world, "601", &["agent=recado", "did=602"]), "recado");
    assert_eq!(serves(&mut world, "999", &[]), "default");
    assert_eq!(serves(&mut world, "601", &["agent="]), "ventas", "an empty name says nothing");
}

#[test]
fn the_operator_reads_which_agent_takes_a_call() {
    let mut world = world(|_| {});
    let name = |agent: &str| agent.to_owned();
    let cases = [
        ("601", Notice::AgentTakes { agent: name("ventas") }),
        ("999", Notice::AgentTakesByDefault { agent: name("default") }),
        // FreePBX, without did= in the dialplan.
        ("s", Notice::AgentTakesWithoutNumber { agent: name("default") }),
    ];
    for (number, line) in cases {
        serves(&mut world, number, &[]);
        assert_eq!(said(&world, &line), 1, "{line:?}");
    }
    let mut alone = World::new();
    serves(&mut alone, "s", &[]);
    assert!(
        alone.daemons[0]
            .notices
            .iter()
            .all(|notice| !matches!(notice, Notice::AgentTakesWithoutNumber { .. }))
    );
}

#[test]
fn a_variable_of_the_channel_names_the_agent_unless_an_argument_does() {
    let mut world = world(|_| {});
    let with = |agent: &str, arguments: &[&str]| IncomingCall {
        extension: "3241000752".into(),
        variables: vec![("AI_AGENT".to_owned(), agent.to_owned())],
        args: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        ..IncomingCall::default()
    };
    for (call, expected) in [
        (with("ventas", &[]), "ventas"),
        (with("ventas", &["agent=recado"]), "recado"),
        (with("", &[]), "citas"),
    ] {
        let phone = arrive(&mut world, call);
        assert_eq!(served(&mut world, phone), expected);
    }
}

#[test]
fn where_asterisk_may_have_sound_sent_holds_for_the_callers_of_every_agent() {
    let mut world = world(|_| {});
    let numbers = ["3241000752", "601", "999"];
    let elsewhere: Arc<[IpNet]> = ["10.0.0.0/8".parse().expect("a network")].into();
    world.feed(0, Input::MediaNetworks(Some(elsewhere)));
    for number in numbers {
        // The media of this Asterisk are at 127.0.0.1.
        goes_on(&mut world, number, &[], EndReason::SetupFailed);
    }
    world.feed(0, Input::MediaNetworks(None));
    let served = numbers.map(|number| serves(&mut world, number, &[]));
    assert_eq!(served, ["citas", "ventas", "default"]);
}

#[test]
fn an_agent_that_does_not_exist_is_not_guessed() {
    let mut world = world(|_| {});
    goes_on(&mut world, "601", &["agent=venta"], EndReason::NoAgent);
    assert_eq!(said(&world, &Notice::AgentUnknown { name: Detail::new("venta") }), 1);
    assert_eq!(world.daemons[0].refused.last().map(|(_, reason)| *reason), Some(EndReason::NoAgent));
}

#[test]
fn another_agent_serves_while_one_is_closed() {
    let mut world = world(|_| {});
    assert_eq!(serves(&mut world, "3241000752", &[]), "citas");
    world.run_for(24 * 3_600_000);
    assert_eq!(serves(&mut world, "3241000752", &[]), "recado");
    assert_eq!(serves(&mut world, "1", &["agent=citas"]), "recado", "also when it was asked for by its name");
}

#[test]
fn the_calls_of_one_agent_have_a_limit_of_cost_for_a_day() {
    let mut world = world(|agents| agents[2].max_day_cost = Some(MicroUsd::new(10)));
    // With the prices of tests, the greeting alone costs more.
    assert_eq!(serves(&mut world, "601", &[]), "ventas");
    goes_on(&mut world, "602", &[], EndReason::DayCostLimit);
    assert_eq!(serves(&mut world, "3241000752", &[]), "citas");
    let limit = Cost { amount: Some(MicroUsd::new(10)), estimated: false };
    assert_eq!(said(&world, &Notice::AgentDayCostReached { agent: "ventas".into(), limit }), 1);
    world.run_for(24 * 3_600_000);
    assert_eq!(serves(&mut world, "601", &[]), "ventas");
}

#[test]
fn what_an_earlier_daemon_spent_counts_for_its_agent() {
    let mut world = world(|agents| agents[2].max_day_cost = Some(MicroUsd::new(1_000_000_000)));
    world.tell_earlier_cost(0, &[("ventas", 999_999_999), ("citas", 5_000_000_000)]);
    assert_eq!(serves(&mut world, "601", &[]), "ventas");
    goes_on(&mut world, "601", &[], EndReason::DayCostLimit);
}

#[test]
fn a_call_keeps_its_agent_when_the_files_are_read_again() {
    let mut world = world(|_| {});
    let phone = dial(&mut world, "601", &[]);
    world.decide(|rules| {
        let default = Agent::of_environment(agent("default").settings);
        rules.agents = Agents::new(default, Vec::new(), Roster::default());
    });
    assert_eq!(instructions(&world, phone), "ventas");
    assert!(world.outcome(phone).ended.is_none());
    assert_eq!(serves(&mut world, "601", &[]), "default");
    world.hang_up(phone);
    world.run_for(1_000);
}
