//! The appointments of the clinic and the answers to requests. The module is pure: requests go in, answers come out.
//!
//! ```text
//!  GET  /api/customers?phone=…       the customers with this number
//!  GET  /api/days/2026-12-02/slots   the times of a day, and which of them are free
//!  GET  /api/appointments            what was booked, and how often each booking was requested
//!  POST /api/appointments            books a time, once per Idempotency-Key
//! ```

use std::time::Instant;

use chrono::{
    DateTime, Datelike as _, FixedOffset, Local, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Weekday,
};
use serde_json::{Value, json};

/// The only customer: the number, the id and the name. It is the number from which the simulated caller and `agents try` call.
const CUSTOMER: (&str, u64, &str) = ("3001234567", 7, "Ana Gómez");
/// The times of a working day: hour and minute.
const TIMES: [(u32, u32); 4] = [(9, 30), (12, 0), (15, 0), (16, 15)];
/// How many days ahead a time can be booked. A larger value lets a client fill more memory; a smaller one refuses useful days.
const DAYS_AHEAD: i64 = 365;
/// The longest name, in characters, as in the file of the agent.
const NAME_CHARS: usize = 80;
/// The longest idempotency key, in bytes. A larger value lets a client fill more memory; a smaller one refuses usual keys.
const KEY_BYTES: usize = 255;

/// One request, as far as the clinic reads it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// The value of `phone` in the query.
    pub(super) phone: Option<&'a str>,
    /// The bearer token.
    pub(super) token: Option<&'a str>,
    /// The header `Idempotency-Key`.
    pub(super) key: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// The answer to a request.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    /// How often this booking has been requested, if the request was one for a booking that exists.
    pub(super) asked: Option<u32>,
}

/// One booked time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::demo) struct Booking {
    pub(in crate::demo) start: DateTime<FixedOffset>,
    /// How many requests had the key of this booking.
    pub(in crate::demo) asked: u32,
    /// When the first of them arrived.
    pub(in crate::demo) first_asked: Instant,
}

/// A booking with what its requests have in common.
#[derive(Debug)]
struct Entry {
    booking: Booking,
    key: String,
    wish: Value,
    answer: Value,
}

/// Everything that was booked. There are no more bookings than times within [`DAYS_AHEAD`].
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: Vec<Entry>,
}

impl Agenda {
    pub(super) fn bookings(&self) -> Vec<Booking> {
        self.entries.iter().map(|entry| entry.booking).collect()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Answers a request that arrived at this instant, which has this date.
    pub(super) fn answer(
        &mut self,
        request: &Request<'_>,
        at: Instant,
        now: DateTime<FixedOffset>,
    ) -> Answer {
        if request.token.is_none_or(str::is_empty) {
            return refusal(401, "falta el encabezado Authorization: Bearer");
        }
        let path: Vec<&str> = request.path.split('/').skip(1).collect();
        match (request.method, path.as_slice()) {
            ("GET", ["api", "customers"]) => success(200, customers(request.phone.unwrap_or_default())),
            ("GET", ["api", "days", day, "slots"]) => self.slots(day, now),
            ("GET", ["api", "appointments"]) => {
                let line = |entry: &Entry| {
                    let mut line = entry.answer.clone();
                    line["asked"] = entry.booking.asked.into();
                    line
                };
                success(200, self.entries.iter().map(line).collect())
            }
            ("POST", ["api", "appointments"]) => self.book(request, at, now),
            _ => refusal(404, "no existe esa dirección"),
        }
    }

    fn slots(&self, day: &str, now: DateTime<FixedOffset>) -> Answer {
        let Ok(day) = day.parse::<NaiveDate>() else {
            return refusal(400, "el día tiene la forma AAAA-MM-DD");
        };
        if let Err(why) = is_open(day, now) {
            return refusal(422, why);
        }
        let slot =
            |start: DateTime<FixedOffset>| json!({"start": text(start), "free": self.is_free(start, now)});
        let slots: Vec<_> = times(day).map(slot).collect();
        success(200, json!({"day": day.to_string(), "slots": slots}))
    }

    /// Books a time. A request with a key that is known is the same booking, and gets the same answer.
    fn book(&mut self, request: &Request<'_>, at: Instant, now: DateTime<FixedOffset>) -> Answer {
        let Some(key) = request.key.filter(|key| (1..=KEY_BYTES).contains(&key.len())) else {
            return refusal(400, "falta el encabezado Idempotency-Key");
        };
        let Ok(wish) = serde_json::from_slice::<Value>(request.body) else {
            return refusal(400, "el cuerpo no es JSON");
        };
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == key) {
            if entry.wish != wish {
                return refusal(422, "esa Idempotency-Key ya se usó para otra cita");
            }
            entry.booking.asked = entry.booking.asked.saturating_add(1);
            return Answer { status: 201, body: entry.answer.clone(), asked: Some(entry.booking.asked) };
        }
        let name = wish["name"].as_str().unwrap_or_default();
        let Some(start) = wish["start"].as_str().and_then(|start| DateTime::parse_from_rfc3339(start).ok())
        else {
            return refusal(422, "start tiene la forma 2026-12-02T15:00:00-05:00");
        };
        if name.is_empty() || name.chars().count() > NAME_CHARS {
            return refusal(422, "falta el nombre, o es demasiado largo");
        }
        if !self.is_free(start, now) {
            return refusal(409, "esa hora no está libre");
        }
        let answer = json!({"id": self.entries.len() + 1, "start": text(start), "name": name});
        let body = answer.clone();
        let booking = Booking { start, asked: 1, first_asked: at };
        self.entries.push(Entry { booking, key: key.to_owned(), wish, answer });
        Answer { status: 201, body, asked: Some(1) }
    }

    fn is_free(&self, start: DateTime<FixedOffset>, now: DateTime<FixedOffset>) -> bool {
        let day = start.with_timezone(&Local).date_naive();
        start > now
            && is_open(day, now).is_ok()
            && times(day).any(|time| time == start)
            && !is_taken_by_others(start)
            && self.entries.iter().all(|entry| entry.booking.start != start)
    }
}

/// The customers with this number, which may have a country code.
fn customers(phone: &str) -> Value {
    let (number, id, name) = CUSTOMER;
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    if digits.ends_with(number) { json!([{"id": id, "name": name}]) } else { json!([]) }
}

/// Whether the clinic takes appointments on this day; if not, why.
fn is_open(day: NaiveDate, now: DateTime<FixedOffset>) -> Result<(), &'static str> {
    let today = now.with_timezone(&Local).date_naive();
    match (day - today).num_days() {
        ..0 => Err("ese día ya pasó"),
        0..=DAYS_AHEAD => Ok(()),
        _ => Err("todavía no hay agenda para ese día"),
    }
}

/// The times of this day, in the zone of this machine. There are none on weekends.
fn times(day: NaiveDate) -> impl Iterator<Item = DateTime<FixedOffset>> {
    let is_weekend = matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
    TIMES.into_iter().filter(move |_| !is_weekend).filter_map(move |(hour, minute)| start(day, hour, minute))
}

/// This time of this day in the zone of this machine. None: the clock skips it.
pub(in crate::demo) fn start(day: NaiveDate, hour: u32, minute: u32) -> Option<DateTime<FixedOffset>> {
    let local = day.and_time(NaiveTime::from_hms_opt(hour, minute, 0)?);
    Some(Local.from_local_datetime(&local).earliest()?.fixed_offset())
}

/// The first Tuesday after today.
pub(in crate::demo) fn next_tuesday(now: DateTime<FixedOffset>) -> NaiveDate {
    let today = now.with_timezone(&Local).date_naive();
    let days = (1..=7).map(|days| today + TimeDelta::days(days));
    days.into_iter().find(|day| day.weekday() == Weekday::Tue).unwrap_or(today)
}

/// A time as the clinic writes it.
pub(in crate::demo) fn text(start: DateTime<FixedOffset>) -> String {
    start.to_rfc3339()
}

/// Whether another patient has this time: the same each week, so that the sentences of the demonstration are true.
fn is_taken_by_others(start: DateTime<FixedOffset>) -> bool {
    let local = start.with_timezone(&Local);
    match local.weekday() {
        Weekday::Tue => local.format("%H:%M").to_string() == "15:00",
        Weekday::Wed => ["09:30", "12:00"].contains(&local.format("%H:%M").to_string().as_str()),
        _ => false,
    }
}

fn success(status: u16, body: Value) -> Answer {
    Answer { status, body, asked: None }
}

/// A refusal, with the reason that the model reads.
fn refusal(status: u16, message: &str) -> Answer {
    Answer { status, body: json!({"message": message}), asked: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<FixedOffset> {
        start(NaiveDate::from_ymd_opt(2026, 11, 27).expect("a date"), 10, 0).expect("a time")
    }

    fn ask(agenda: &mut Agenda, request: Request<'_>) -> Answer {
        let request = Request { token: Some("demo"), ..request };
        agenda.answer(&request, crate::clock::now(), now())
    }

    fn book(agenda: &mut Agenda, key: &str, start: &str) -> Answer {
        let body = json!({"start": start, "name": "Ana Gómez", "by": "phone"}).to_string();
        let (method, path) = ("POST", "/api/appointments");
        ask(agenda, Request { method, path, key: Some(key), body: body.as_bytes(), ..Request::default() })
    }

    fn get<'a>(path: &'a str, phone: Option<&'a str>) -> Request<'a> {
        Request { method: "GET", path, phone, ..Request::default() }
    }

    fn free(agenda: &mut Agenda, day: &str) -> Vec<String> {
        let answer = ask(agenda, get(&format!("/api/days/{day}/slots"), None));
        let slots = answer.body["slots"].as_array().expect("slots").clone();
        let free = slots.into_iter().filter(|slot| slot["free"] == true);
        free.map(|slot| slot["start"].as_str().expect("a time").to_owned()).collect()
    }

    #[test]
    fn a_key_books_once_and_the_clinic_counts_how_often_it_was_asked() {
        let mut agenda = Agenda::default();
        let times = free(&mut agenda, "2026-12-02");
        assert_eq!(times.len(), 2, "{times:?}");
        let first = book(&mut agenda, "a", &times[0]);
        let second = book(&mut agenda, "a", &times[0]);
        assert_eq!((first.status, first.asked), (201, Some(1)));
        assert_eq!((second.status, second.asked, &second.body), (201, Some(2), &first.body));
        assert_eq!(book(&mut agenda, "a", &times[1]).status, 422, "the key of another booking");
        assert_eq!(book(&mut agenda, "b", &times[0]).status, 409, "the time is taken");
        assert_eq!(free(&mut agenda, "2026-12-02"), [times[1].clone()]);
        let all = ask(&mut agenda, get("/api/appointments", None)).body;
        assert_eq!((all.as_array().map(Vec::len), all[0]["asked"].as_u64()), (Some(1), Some(2)));
    }

    #[test]
    fn what_cannot_be_booked_is_refused_with_a_reason() {
        let mut agenda = Agenda::default();
        let wednesday = free(&mut agenda, "2026-12-02")[0].clone();
        let past = text(now() - TimeDelta::days(2));
        let too_far =
            text(start(NaiveDate::from_ymd_opt(2027, 12, 1).expect("a date"), 15, 0).expect("a time"));
        let cases =
            [("", wednesday.as_str(), 400), ("k", "mañana", 422), ("k", &past, 409), ("k", &too_far, 409)];
        for (key, start, status) in cases {
            let answer = book(&mut agenda, key, start);
            assert_eq!(answer.status, status, "{start}");
            assert!(answer.body["message"].is_string(), "{answer:?}");
        }
        for (day, status) in [("martes", 400), ("2026-11-26", 422), ("2027-11-28", 422)] {
            assert_eq!(
                ask(&mut agenda, get(&format!("/api/days/{day}/slots"), None)).status,
                status,
                "{day}"
            );
        }
        assert!(free(&mut agenda, "2026-12-05").is_empty(), "a Saturday");
        assert_eq!(ask(&mut agenda, get("/api/other", None)).status, 404);
        let nobody = Request { method: "GET", path: "/api/appointments", ..Request::default() };
        assert_eq!(agenda.answer(&nobody, crate::clock::now(), now()).status, 401);
        assert!(agenda.bookings().is_empty());
    }

    #[test]
    fn a_customer_is_found_with_and_without_country_code() {
        let mut agenda = Agenda::default();
        for (phone, known) in
            [("3001234567", true), ("+57 300 1234567", true), ("3009999999", false), ("", false)]
        {
            let found = ask(&mut agenda, get("/api/customers", Some(phone))).body;
            assert_eq!(found[0]["name"] == "Ana Gómez", known, "{phone}");
        }
    }
}
