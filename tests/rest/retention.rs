//! Tests of the periods of agents: recordings of an agent go by its own period, all others by RECORDING_RETENTION_DAYS, and
//! the rules that protect recordings from a wrong clock hold for each of them.

use std::path::Path;

use openai_inbound_calls::clock::{Clock, wall};
use openai_inbound_calls::recordings::retention::OfAgents;
use tokio::sync::watch;

use crate::world::{With, World, record_of};

/// The periods of agents.
fn periods(of_agents: &[(&str, u32)]) -> OfAgents {
    of_agents.iter().map(|(name, days)| ((*name).into(), *days)).collect()
}

/// Writes recordings of this agent: as many as said from 2020, and as many from this moment. Each call has another id.
fn recorded(folder: &Path, agent: &str, old: usize, new: usize) {
    let now = wall().format("%Y%m%d_%H%M%S");
    for n in 0..old {
        record_of(folder, &format!("20200101_00000{n}_{agent}-old"), agent);
    }
    for n in 0..new {
        record_of(folder, &format!("{now}_{agent}-new{n}"), agent);
    }
}

/// Whose recordings from 2020 are still there, sorted.
fn old(world: &World) -> Vec<String> {
    let mut left: Vec<_> = world.ids("").into_iter().filter(|id| id.starts_with("2020")).collect();
    left.sort();
    left.iter().map(|id| id[16..].trim_end_matches("-old").to_owned()).collect()
}

fn stands(world: &World, standing: &str) {
    world.until(standing, |world| world.get("/health").json()["retention"] == standing);
}

#[test]
fn an_agent_may_have_a_period_where_all_others_have_none_and_gets_it_at_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    for agent in ["sales", "help", "default"] {
        recorded(folder.path(), agent, 1, 1);
    }
    let (change, of_agents) = watch::channel(Some(periods(&[("sales", 30)])));
    let world = World::over(folder, With { of_agents: Some(of_agents), ..With::default() });
    world.until("that of sales is gone", |world| old(world) == ["default", "help"]);
    stands(&world, "working");
    change.send(Some(periods(&[("help", 30)]))).unwrap();
    world.until("that of help is gone", |world| old(world) == ["default"]);
    // The test's own questions are in the access log, too.
    world.until("both deletions are in the access log", |world| {
        let is_deletion = |line: &&String| line.contains(" retention - DELETE ");
        world.accesses(2).iter().filter(is_deletion).count() == 2
    });
    change.send(Some(periods(&[]))).unwrap();
    stands(&world, "off");
    assert_eq!(world.ids("").len(), 4);
}

#[test]
fn an_agent_may_keep_its_recordings_longer_than_all_others() {
    let folder = tempfile::tempdir().unwrap();
    for agent in ["sales", "help", ""] {
        recorded(folder.path(), agent, 1, 1);
    }
    let of_agents = Some(watch::channel(Some(periods(&[("sales", 36_500)]))).1);
    let world = World::over(folder, With { retention_days: Some(30), of_agents, ..With::default() });
    world.until("those of the others are gone", |world| old(world) == ["sales"]);
    stands(&world, "working");
    assert_eq!(world.ids("").len(), 4);
}

#[test]
fn more_than_half_of_an_agents_recordings_is_not_deleted_however_many_others_there_are() {
    let folder = tempfile::tempdir().unwrap();
    recorded(folder.path(), "sales", 2, 1);
    recorded(folder.path(), "default", 1, 6);
    let of_agents = Some(watch::channel(Some(periods(&[("sales", 30)]))).1);
    let world = World::over(folder, With { retention_days: Some(30), of_agents, ..With::default() });
    stands(&world, "too_many");
    assert_eq!((old(&world), world.get("/health").status), (vec!["sales".into(), "sales".into()], 503));
}

#[test]
fn the_period_of_an_agent_waits_for_the_clock_too() {
    let folder = tempfile::tempdir().unwrap();
    recorded(folder.path(), "sales", 1, 1);
    let of_agents = Some(watch::channel(Some(periods(&[("sales", 30)]))).1);
    let clock: fn() -> Clock = || Clock::Unsynchronised;
    let world = World::over(folder, With { of_agents, clock: Some(clock), ..With::default() });
    stands(&world, "clock_unsynchronised");
    assert_eq!(old(&world), ["sales"]);
}

#[test]
fn nothing_is_deleted_by_age_while_the_periods_of_agents_are_not_known() {
    let folder = tempfile::tempdir().unwrap();
    recorded(folder.path(), "sales", 1, 1);
    let (change, of_agents) = watch::channel(None);
    let of_agents = Some(of_agents);
    let world = World::over(folder, With { retention_days: Some(30), of_agents, ..With::default() });
    assert_eq!(
        (old(&world), world.get("/health").json()["retention"].clone()),
        (vec!["sales".into()], "off".into())
    );
    change.send(Some(periods(&[]))).unwrap();
    world.until("it is gone", |world| old(world).is_empty());
}
