//! Tests when a server is connected to and asked for its list.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::oneshot;

use super::super::keeper::{Connect, Keep, List, keep};
use super::*;
use crate::clock::now;
use crate::tool::Listed;

/// What an attempt to connect, or a list, brings. `None`: nothing, ever.
type Brings<T> = Option<Result<T, &'static str>>;

/// How a session goes: its lists, and when it is closed.
struct Plan {
    lists: VecDeque<Brings<Option<u64>>>,
    closed: oneshot::Receiver<()>,
    /// Whether its end takes for ever.
    hangs: bool,
}

/// Brings these sessions, one after the other; then none any more.
struct Fake(Mutex<VecDeque<Brings<Plan>>>);

struct FakeSession {
    lists: Mutex<VecDeque<Brings<Option<u64>>>>,
    closed: oneshot::Receiver<()>,
    hangs: bool,
}

impl Connect for Fake {
    type Session = FakeSession;

    async fn connect(&self) -> Result<FakeSession, String> {
        let next = self.0.lock().unwrap().pop_front().unwrap_or(Some(Err("refused")));
        let Some(brings) = next else { return std::future::pending().await };
        let Plan { lists, closed, hangs } = brings.map_err(str::to_owned)?;
        Ok(FakeSession { lists: Mutex::new(lists), closed, hangs })
    }
}

impl Keep for FakeSession {
    type Shared = ();

    fn shared(&self) {}

    async fn list(&mut self) -> Result<List, String> {
        let next = self.lists.lock().unwrap().pop_front().unwrap_or(Some(Ok(None)));
        let Some(brings) = next else { return std::future::pending().await };
        let age = brings.map_err(str::to_owned)?.map(Duration::from_secs);
        Ok(List { tools: Vec::<Listed>::new(), age })
    }

    async fn closed(&mut self) {
        if (&mut self.closed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn end(self) {
        if self.hangs {
            std::future::pending::<()>().await;
        }
    }
}

/// The keeper of a fake.
struct Watched {
    start: Instant,
    news: mpsc::Receiver<(ServerId, News)>,
    session: watch::Receiver<Option<()>>,
    doubt: Arc<Notify>,
    keeper: JoinSet<()>,
}

impl Watched {
    fn new(sessions: Vec<Brings<Plan>>) -> Self {
        let (tell, news) = mpsc::channel(64);
        let (opened, session) = watch::channel(None);
        let doubt = Arc::new(Notify::new());
        let mut keeper = JoinSet::new();
        let fake = Fake(Mutex::new(sessions.into()));
        keeper.spawn(keep(fake, opened, Arc::clone(&doubt), ServerId(1), tell));
        Self { start: now(), news, session, doubt, keeper }
    }

    /// What becomes known next, after how many seconds from the beginning, and whether there is a session then.
    async fn next(&mut self) -> (u64, String, bool) {
        let (_, news) = self.news.recv().await.expect("the keeper runs");
        let what = match news {
            News::Listed(_) => "listed".to_owned(),
            News::Away(cause) => cause,
        };
        ((now() - self.start).as_secs(), what, self.session.borrow().is_some())
    }
}

/// A session with these lists, whose end is in the hands of the test.
fn session(lists: Vec<Brings<Option<u64>>>) -> (Brings<Plan>, oneshot::Sender<()>) {
    let (close, closed) = oneshot::channel();
    (Some(Ok(Plan { lists: lists.into(), closed, hangs: false })), close)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_asked_again_after_longer_and_longer_pauses() {
    let (good, _close) = session(vec![]);
    let refused = || Some(Err("refused"));
    let mut sessions: Vec<_> = (0..9).map(|_| refused()).collect();
    sessions.push(good);
    let mut watched = Watched::new(sessions);
    let mut at = Vec::new();
    for _ in 0..9 {
        let (seconds, cause, is_open) = watched.next().await;
        assert!(cause == "refused" && !is_open);
        at.push(seconds);
    }
    assert!(at[8] >= 60 && at[8] - at[7] >= 15 && at[8] - at[7] <= 30, "{at:?}");
    let (_, what, is_open) = watched.next().await;
    assert!(what == "listed" && is_open);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_lived_for_a_minute_makes_the_next_pause_a_short_one() {
    for (lived, pause) in [(59, 15..=30), (61, 0..=1)] {
        let (good, close) = session(vec![]);
        let mut sessions: Vec<_> = (0..6).map(|_| Some(Err("refused"))).collect();
        sessions.push(good);
        let mut watched = Watched::new(sessions);
        for _ in 0..6 {
            watched.next().await;
        }
        let (from, what, _) = watched.next().await;
        assert_eq!(what, "listed");
        tokio::time::sleep(Duration::from_secs(lived)).await;
        close.send(()).unwrap();
        let (closed, _, _) = watched.next().await;
        let (again, what, _) = watched.next().await;
        assert_eq!((closed - from, what.as_str()), (lived, "refused"));
        assert!(pause.contains(&(again - closed)), "{lived} s, then {} s", again - closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_mute_server_holds_nothing_up() {
    let (mute_list, _close) = session(vec![None]);
    let mut watched = Watched::new(vec![None, mute_list]);
    assert_eq!(watched.next().await, (20, "no answer in time".to_owned(), false));
    let (seconds, what, is_open) = watched.next().await;
    assert!((40..=42).contains(&seconds) && !is_open, "{seconds}");
    assert_eq!(what, "no list in time");
}

#[tokio::test(start_paused = true)]
async fn a_list_holds_as_long_as_the_server_says_within_bounds() {
    let ages = [Some(0), Some(90), Some(86_400), None, None];
    let (session, _close) = session(ages.into_iter().map(|age| Some(Ok(age))).collect());
    let mut watched = Watched::new(vec![session]);
    let mut at = Vec::new();
    for _ in 0..5 {
        at.push(watched.next().await.0);
    }
    assert_eq!(at, [0, 60, 150, 3_750, 4_350]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_closed_is_opened_again_and_calls_find_none_meanwhile() {
    let (first, close) = session(vec![]);
    let (second, _close) = session(vec![]);
    let mut watched = Watched::new(vec![first, second]);
    assert_eq!(watched.next().await, (0, "listed".to_owned(), true));
    close.send(()).unwrap();
    assert_eq!(watched.next().await, (0, "the connection was closed".to_owned(), false));
    let (seconds, what, is_open) = watched.next().await;
    assert!(seconds <= 1 && what == "listed" && is_open, "{seconds} {what}");
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_list_fails_is_given_up_although_its_end_hangs() {
    let (_close, closed) = oneshot::channel();
    let lists = VecDeque::from([Some(Ok(None)), Some(Err("HTTP 503"))]);
    let mut watched = Watched::new(vec![Some(Ok(Plan { lists, closed, hangs: true })), None]);
    assert_eq!(watched.next().await, (0, "listed".to_owned(), true));
    assert_eq!(watched.next().await, (605, "HTTP 503".to_owned(), false));
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_is_a_reason_to_look_and_many_are_no_more() {
    let (session, _close) = session(vec![]);
    let mut watched = Watched::new(vec![session]);
    assert_eq!(watched.next().await.0, 0);
    for _ in 0..50 {
        watched.doubt.notify_one();
    }
    assert_eq!(watched.next().await.0, 5);
    assert_eq!(watched.next().await.0, 605, "the others were the same doubt");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_nobody_may_use_any_more_is_left_and_not_before() {
    let (good, closes) = session(vec![]);
    let mut used = Watched::new(vec![good]);
    assert_eq!(used.next().await.1, "listed");
    let another_user = used.session.clone();
    drop(used.session);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(used.keeper.try_join_next().is_none(), "a call may still use it");
    drop(another_user);
    let ended = tokio::time::timeout(Duration::from_secs(1), used.keeper.join_next()).await;
    ended.expect("soon").expect("a keeper").expect("no panic");
    assert!(closes.is_closed(), "the session is closed");

    // The same while it is away.
    let mut away = Watched::new(vec![]);
    assert_eq!(away.next().await.1, "refused");
    drop(away.session);
    let before = now();
    let ended = tokio::time::timeout(Duration::from_secs(1), away.keeper.join_next()).await;
    ended.expect("soon").expect("a keeper").expect("no panic");
    assert_eq!(now(), before, "it does not wait for the next try");
}
