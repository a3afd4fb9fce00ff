//! Tests of what holds for the call log in a file and on the server. Each test runs with both.

use openai_inbound_calls::number::Sought;
use openai_inbound_calls::paging::Cursor;
use openai_inbound_calls::registry::stats::{Asked, By, Group, Latency};
use openai_inbound_calls::registry::{CURSOR, Filter, Row, Tokens, Whose};
use openai_inbound_calls::units::{MicroUsd, Milliseconds};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqlitePool;

use crate::mariadb::Database;
use crate::world::{MONDAY, SECOND, World, booked, ended, running, sought, until};

/// The largest figure that is written.
const MOST: u64 = 1_000_000_000_000;

/// A call log in an empty folder, with or without a server.
struct Place {
    folder: tempfile::TempDir,
    database: Option<Database>,
}

impl Place {
    fn start(&self) -> World {
        World::start(&self.folder.path().join("calls.db"), self.database.as_ref().map(Database::address))
    }
}

impl Place {
    /// Four text columns of one row, as an administrator selects them.
    async fn one(&self, sql: &str) -> [Option<String>; 4] {
        let sql = AssertSqlSafe(sql.to_owned());
        let (a, b, c, d) = if let Some(database) = &self.database {
            sqlx::query_as(sql).fetch_one(&database.pool().await).await.unwrap()
        } else {
            let file = self.folder.path().join("calls.db");
            let pool = SqlitePool::connect(&format!("sqlite:{}", file.display())).await.unwrap();
            sqlx::query_as(sql).fetch_one(&pool).await.unwrap()
        };
        [a, b, c, d]
    }
}

macro_rules! on_both {
    ($($(#[$comment:meta])* async fn $name:ident($place:ident) $body:block)*) => { $(
        $(#[$comment])*
        mod $name {
            use super::*;

            async fn scene($place: Place) $body

            #[tokio::test]
            async fn in_a_file() {
                scene(Place { folder: tempfile::tempdir().unwrap(), database: None }).await;
            }

            #[tokio::test]
            async fn on_the_server() {
                let Some(database) = Database::new().await else { return };
                scene(Place { folder: tempfile::tempdir().unwrap(), database: Some(database) }).await;
            }
        }
    )* };
}

on_both! {
    async fn a_row_reads_back_as_it_was_offered(place) {
        let world = place.start();
        let odd = Row {
            recording_id: None,
            caller: "".into(),
            called: "señal 😀 'x'; DROP TABLE calls".into(),
            tokens: Some(Tokens { estimated: true, ..Tokens::default() }),
            cost: Some(MicroUsd::ZERO),
            ..ended("odd", 1)
        };
        let unknown = Row { end_reason: Some("no_port".into()), ..running("unknown", 2) };
        let rows = vec![running("running", 0), odd, unknown, ended("full", 3)];
        world.put(rows.clone()).await;
        for row in rows {
            assert_eq!(world.find(&row.call_id).await, Some(row));
        }
        assert_eq!(world.reader.find("none").await.unwrap(), None);
    }

    async fn what_does_not_fit_is_cut_and_not_refused(place) {
        let world = place.start();
        let long = Row {
            caller: "9".repeat(1_000).into(),
            called: "ñ".repeat(400),
            agent: "x".repeat(256),
            turns: u64::MAX,
            duration: Some(Milliseconds::new(u64::MAX)),
            ..ended("long", 0)
        };
        world.offer([long]);
        world.put(vec![ended("after", 1)]).await;
        let read = world.find("long").await.unwrap();
        assert_eq!((read.caller.expose().len(), read.called, read.agent.len()), (255, "ñ".repeat(127), 255));
        assert_eq!((read.turns, read.duration), (MOST, Some(Milliseconds::new(MOST))));
    }

    async fn calls_of_a_server_that_counts_wrong_leave_the_sums_readable(place) {
        let world = place.start();
        let tokens = Some(Tokens { text_in: u64::MAX, audio_out: u64::MAX, ..Tokens::default() });
        let costs = [i64::MAX as u64, i64::MAX as u64, 1 << 63, u64::MAX];
        let odd = |(n, cost): (usize, u64)| Row {
            agent: "odd".into(),
            tokens,
            cost: Some(MicroUsd::new(cost)),
            duration: Some(Milliseconds::new(u64::MAX)),
            ..ended(&format!("o{n}"), 0)
        };
        world.offer(costs.into_iter().enumerate().map(odd));
        world.put(vec![Row { agent: "even".into(), cost: Some(MicroUsd::new(1)), ..ended("after", 0) }]).await;
        let asked = Asked { from_us: MONDAY - SECOND, to_us: MONDAY + SECOND, by: By::Agent, utc_offset_s: 0 };
        let sums = world.reader.stats(&asked).await.unwrap();
        let odd = &sums[1];
        assert_eq!((odd.calls, odd.tokens.text_in, odd.duration.get()), (4, 4 * MOST, 4 * MOST));
        assert_eq!(odd.cost.get(), 4 * MOST, "a cost that did not fit is not free");
        let after_all = MONDAY + 24 * 3_600 * SECOND;
        let spent = world.reader.spent(&ended("o0", 0).host, MONDAY - SECOND, after_all).await;
        let mut spent = spent.unwrap();
        spent.sort();
        let of_each = [("even".into(), MicroUsd::new(1)), ("odd".into(), MicroUsd::new(4 * MOST))];
        assert_eq!(spent, of_each, "and MAX_DAY_COST holds after a restart");
    }

    async fn a_call_is_one_row_however_often_it_is_offered(place) {
        let world = place.start();
        world.put(vec![running("a", 0)]).await;
        assert_eq!(world.find("a").await.unwrap().end_reason, None);
        world.put(vec![ended("a", 0), ended("a", 0)]).await;
        assert_eq!(world.ids(&Filter::default()).await.unwrap(), ["a"]);
        world.stop().await;
        let world = place.start();
        world.until_there(&ended("a", 0)).await;
        world.put(vec![ended("a", 0), ended("b", 1)]).await;
        assert_eq!(world.ids(&Filter::default()).await.unwrap(), ["b", "a"]);
    }

    async fn what_a_call_has_used_is_known_after_a_crash_and_counts_for_its_day(place) {
        let world = place.start();
        let used = Some(Tokens { text_in: 40, audio_out: 14, ..Tokens::default() });
        let so_far = |id, at| Row { tokens: used, cost: Some(MicroUsd::new(7)), ..running(id, at) };
        world.put(vec![so_far("yesterdays", -3_600), so_far("a", 0)]).await;
        assert_eq!(world.find("a").await.unwrap().cost, Some(MicroUsd::new(7)), "while it is running");
        world.stop().await;
        let world = place.start();
        until("the call is known to be cut off", async || {
            world.find("a").await.is_some_and(|row| row.end_reason.as_deref() == Some("recovered"))
        })
        .await;
        let row = world.find("a").await.unwrap();
        assert_eq!((row.cost, row.tokens.unwrap().estimated), (Some(MicroUsd::new(7)), true), "at least that");
        let spent = world.reader.spent(&row.host, MONDAY, i64::MAX).await.unwrap();
        assert_eq!(spent, [(row.agent.as_str().into(), MicroUsd::new(7))], "one was offered the day before");
    }

    async fn a_caller_who_comes_back_has_another_row_and_so_has_another_asterisk(place) {
        let world = place.start();
        let first = Row { recording_id: Some("20251020_143025_a".into()), ..ended("a", 0) };
        let again = Row { row_id: "row-a-again".into(), cost: Some(MicroUsd::new(7)), ..ended("a", 90) };
        let theirs = Row { row_id: "row-a-theirs".into(), host: "other".into(), ..ended("a", 30) };
        world.put(vec![first.clone(), running("b", 10), theirs.clone(), again.clone()]).await;
        assert_eq!(world.find("a").await, Some(again.clone()), "the newest");
        for row in [&first, &again, &theirs] {
            assert_eq!(world.find(&row.row_id).await.as_ref(), Some(row));
        }
        let filter = Filter { call_id: Some("a".into()), limit: 2, ..Filter::default() };
        let page = world.reader.page(&filter).await.unwrap();
        assert_eq!(page.entries, [again, theirs]);
        let rest = world.reader.page(&Filter { after: page.next, ..filter }).await.unwrap();
        assert_eq!((rest.entries, rest.next), (vec![first], None));
        let spent = world.reader.spent("pbx", MONDAY, i64::MAX).await.unwrap();
        assert_eq!(spent.iter().map(|(_, cost)| cost.get()).sum::<u64>(), 43_217, "each has its cost");
    }

    async fn a_caller_is_found_however_the_number_is_written(place) {
        let world = place.start();
        let numbers = ["+573001234567", "00573001234567", "573001234567", "300 123 4567", "+583001234567", "1001"];
        let of = |(n, number): (usize, &&str)| Row { caller: (*number).into(), ..ended(&n.to_string(), n as i64) };
        world.put(numbers.iter().enumerate().map(of).collect()).await;
        let found = async |number: &str, country: Option<&str>| {
            let country = country.map(|code| code.parse().unwrap());
            let caller = Sought::new(number, country.as_ref());
            let mut ids = world.ids(&Filter { caller, ..Filter::default() }).await.unwrap();
            ids.sort();
            ids
        };
        for number in &numbers[..4] {
            assert_eq!(found(number, Some("57")).await, ["0", "1", "2", "3"], "{number}");
            assert_eq!(found(number, None).await, ["0", "1", "2", "3", "4"], "{number}");
        }
        assert_eq!(found("+583001234567", Some("57")).await, ["4"]);
        assert_eq!(found("1001", None).await, ["5"]);
        // The preview of an erasure shows what the erasure erases.
        let colombian = Sought::new("3001234567", Some(&"57".parse().unwrap())).unwrap();
        let whose = [Whose::Caller(colombian.clone()), Whose::Recording("20251020_143025_2".into())];
        let would: Vec<_> = world.reader.of(&whose).await.unwrap().into_iter().map(|row| row.call_id).collect();
        assert_eq!(would, ["0", "1", "2", "3"]);
        world.log.erase(Whose::Caller(colombian)).await.unwrap();
        until("they are erased", async || {
            world.reader.page(&Filter::default()).await.is_ok_and(|page| page.entries.iter().filter(|row| row.erased).count() == 4)
        })
        .await;
        // The arguments of tools may hold numbers, too.
        assert_eq!(world.find("0").await.unwrap().tools, []);
        assert_eq!(world.find("4").await.unwrap().tools, [booked()]);
        assert_eq!(world.find("4").await.unwrap().caller, "+583001234567".into());
        assert_eq!(world.reader.of(&whose).await.unwrap(), []);
    }

    async fn pages_go_on_where_they_ended_whatever_comes_meanwhile(place) {
        let world = place.start();
        // The pages have two rows, and some calls began at the same time.
        world.put((0..7).map(|n| ended(&format!("call-{n}"), n / 3)).collect()).await;
        let mut filter = Filter { limit: 2, ..Filter::default() };
        let (mut seen, mut pages) = (Vec::new(), 0);
        loop {
            let page = world.reader.page(&filter).await.unwrap();
            seen.extend(page.entries.into_iter().map(|row| row.call_id));
            pages += 1;
            assert!(pages < 10, "the list never ends: {seen:?}");
            let Some(next) = page.next else { break };
            // A cursor passes through a URL.
            filter.after = Some(Cursor::parse(&next.to_string(), &CURSOR).unwrap());
            world.put(vec![ended(&format!("newer-{pages}"), 100 + pages)]).await;
        }
        assert_eq!(seen, ["call-6", "call-5", "call-4", "call-3", "call-2", "call-1", "call-0"]);
        assert_eq!(pages, 4);
        let all = world.ids(&Filter::default()).await.unwrap();
        assert_eq!(all[..3], ["newer-3", "newer-2", "newer-1"]);
    }

    async fn a_list_is_of_a_time_a_caller_a_reason_an_agent(place) {
        let world = place.start();
        let other = |call: &str, seconds, caller: &str, reason: &str, agent: &str| Row {
            caller: caller.into(),
            end_reason: Some(reason.into()),
            agent: agent.into(),
            ..ended(call, seconds)
        };
        world
            .put(vec![
                other("a", 0, "+34 (600) 111.222", "caller_hung_up", "sales"),
                other("b", 1, "34600111222", "transferred", "sales"),
                other("c", 2, "34600111223", "transferred", "Sales"),
                other("d", 3, "", "no_audio", "support"),
                running("e", 4),
            ])
            .await;
        let ids = async |filter: Filter| world.ids(&filter).await.unwrap();
        let all = Filter::default;
        assert_eq!(ids(Filter { caller: Some(sought("34-600-111-222")), ..all() }).await, ["e", "b", "a"]);
        assert_eq!(ids(Filter { end_reason: Some("transferred".into()), ..all() }).await, ["c", "b"]);
        // Both compare texts case-sensitively.
        assert_eq!(ids(Filter { agent: Some("sales".into()), ..all() }).await, ["b", "a"]);
        let (from_us, to_us) = (MONDAY + SECOND, MONDAY + 3 * SECOND);
        assert_eq!(ids(Filter { from_us, to_us, ..all() }).await, ["d", "c", "b"]);
        let both = Filter { end_reason: Some("transferred".into()), agent: Some("sales".into()), ..all() };
        assert_eq!(ids(both).await, ["b"]);
        assert_eq!(ids(Filter { agent: Some("' OR 1=1--".into()), ..all() }).await, [""; 0]);
    }

    async fn a_view_shows_times_and_dollars(place) {
        let world = place.start();
        world.put(vec![running("b", 1), ended("a", 0)]).await;
        let columns = "CAST(offered_at AS CHAR), CAST(ended_at AS CHAR), CAST(duration_seconds AS CHAR), CAST(cost_usd AS CHAR)";
        let sql = format!("SELECT {columns} FROM calls_readable WHERE call_id = 'a'");
        let [offered, ended, duration, cost] = place.one(&sql).await.map(Option::unwrap);
        assert_eq!((&offered[..19], &ended[..19]), ("2025-10-20 14:30:25", "2025-10-20 14:31:25"));
        assert_eq!((duration.parse(), cost.parse()), (Ok(60.0), Ok(0.04321)));
        let running = place.one(&sql.replace("'a'", "'b'")).await;
        assert_eq!(running[1..], [None, None, None]);
        let agent = "SELECT agent, agent_version, model, host FROM calls_readable WHERE call_id = 'a'";
        let agent = place.one(agent).await.map(Option::unwrap);
        assert_eq!(agent[..2], ["default", "3f9a2c01b7de"]);
    }

    async fn sums_are_by_agent_and_model(place) {
        let world = place.start();
        let of = |agent: &str, row: Row| Row { agent: agent.into(), ..row };
        let mut rows: Vec<_> = (1..=20)
            .map(|n| Row { greeting: Some(Milliseconds::new(100 * n)), ..of("sales", ended(&format!("s{n}"), 0)) })
            .collect();
        // An unknown value is not zero: it is counted separately and does not lower an average.
        for n in 0..5 {
            let (tokens, cost, greeting) = (None, None, None);
            rows.push(of(
                "sales",
                Row { tokens, cost, greeting, ..ended(&format!("u{n}"), 0) },
            ));
        }
        rows.push(of("sales", running("r", 0)));
        let tokens = Some(Tokens { text_in: 5, estimated: true, ..Tokens::default() });
        rows.push(of("other", Row { model: "mini".into(), tokens, ..ended("o", 0) }));
        rows.push(of("quiet", Row { greeting: None, ..running("q", 0) }));
        world.put(rows).await;
        let ask = async |by| {
            let asked = Asked { from_us: MONDAY - SECOND, to_us: MONDAY + SECOND, by, utc_offset_s: 0 };
            world.reader.stats(&asked).await.unwrap()
        };
        let sums = ask(By::Agent).await;
        let names: Vec<_> = sums.iter().map(|sums| sums.group.clone()).collect();
        assert_eq!(names, ["other", "quiet", "sales"].map(|name| Group::Name(name.into())));
        let [other, quiet, sales] = &sums[..] else { panic!("{sums:?}") };
        assert_eq!((sales.calls, sales.running, sales.duration.get()), (26, 1, 25 * 60_000));
        assert_eq!((sales.cost.get(), sales.unknown_cost, sales.unknown_tokens), (20 * 43_210, 5, 5));
        assert_eq!((sales.tokens.text_in, sales.tokens.audio_out), (20_000, 8_000));
        assert!(!sales.tokens.estimated && other.tokens.estimated);
        assert_eq!(
            sales.greeting,
            Latency { mean_ms: Some(1_050.0), p50: Some(Milliseconds::new(1_000)), p95: Some(Milliseconds::new(1_900)) }
        );
        assert_eq!(sales.turn_p50.p50, Some(Milliseconds::new(640)));
        assert_eq!((quiet.running, quiet.greeting, quiet.unknown_cost), (1, Latency::default(), 0));
        assert_eq!((other.tokens.text_in, other.turn_p95.p95), (5, Some(Milliseconds::new(1_200))));
        let models: Vec<_> = ask(By::Model).await.into_iter().map(|sums| (sums.group, sums.calls)).collect();
        let model = |name: &str, calls| (Group::Name(name.into()), calls);
        assert_eq!(models, [model("gpt-realtime-2.1", 27), model("mini", 1)]);
    }

    async fn sums_are_by_hour_and_day_of_the_place(place) {
        let world = place.start();
        // 14:30:25, 14:59:59, 15:00:00 and 23:30:25 UTC.
        let at = [("a", 0), ("b", 1_774), ("c", 1_775), ("d", 9 * 3_600)];
        world.put(at.iter().map(|(call, seconds)| ended(call, *seconds)).collect()).await;
        let ask = async |by, utc_offset_s| {
            let asked = Asked { from_us: 0, to_us: i64::MAX, by, utc_offset_s };
            let sums = world.reader.stats(&asked).await.unwrap();
            let since = |group: &Group| match group {
                Group::Since(us) => (us - MONDAY) / SECOND,
                Group::Name(name) => panic!("{name}"),
            };
            sums.iter().map(|sums| (since(&sums.group), sums.calls)).collect::<Vec<_>>()
        };
        let half_past_two = 30 * 60 + 25;
        assert_eq!(
            ask(By::Hour, 0).await,
            [(-half_past_two, 2), (1_775, 1), (9 * 3_600 - half_past_two, 1)]
        );
        let midnight = -(14 * 3_600 + half_past_two);
        assert_eq!(ask(By::Day, 0).await, [(midnight, 4)]);
        // In Madrid the last call was on Tuesday, and in Delhi the half hour of the offset matters.
        assert_eq!(
            ask(By::Day, 7_200).await,
            [(midnight - 7_200, 3), (midnight - 7_200 + 86_400, 1)]
        );
        assert_eq!(ask(By::Hour, 19_800).await.len(), 2);
        assert_eq!(ask(By::Day, -5 * 3_600).await, [(midnight + 5 * 3_600, 4)]);
    }

    async fn who_called_whom_is_forgotten_and_does_not_come_back(place) {
        let world = place.start();
        let known = Row { caller: "5".into(), ..ended("known", 3) };
        let withheld = Row { caller: "".into(), ..ended("withheld", 4) };
        let rows = vec![ended("a", 0), ended("b", 1), running("live", 2), withheld.clone(), known.clone()];
        world.put(rows).await;
        let who = async |call: &str| {
            world.find(call).await.map(|row| (row.caller, row.called, row.end_reason.is_some()))
        };
        let forgotten = Some(("".into(), String::new(), true));
        world.log.erase(Whose::Recording("20251020_143025_b".into())).await.unwrap();
        until("the recording's call is forgotten", async || who("b").await == forgotten).await;
        assert_eq!(world.find("a").await, Some(ended("a", 0)), "only that one");

        world.log.erase(Whose::Caller(sought("34 600 111 222"))).await.unwrap();
        until("the caller is forgotten", async || who("a").await == forgotten).await;
        until("the running call too", async || {
            who("live").await == Some(("".into(), String::new(), false))
        })
        .await;
        // The end of the call still knows the caller.
        world.offer([ended("live", 2)]);
        until("it is over", async || who("live").await.is_some_and(|(.., over)| over)).await;
        assert_eq!(who("live").await, forgotten);
        let of_caller = Filter { caller: Some(sought("34600111222")), ..Filter::default() };
        assert_eq!(world.ids(&of_caller).await.unwrap(), [""; 0]);

        // A call without a number matches no caller.
        world.log.erase(Whose::Caller(Sought::none())).await.unwrap();
        world.put(vec![ended("later", 9)]).await;
        for row in [withheld, known] {
            assert_eq!(world.find(&row.call_id).await, Some(row));
        }
    }
}
