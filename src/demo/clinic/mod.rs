//! The server of the clinic in `examples/agents/clinic`: for the demonstration, and by itself for trying that agent by hand
//! (`demo --clinic`).
//!
//! The server keeps the appointments in memory and answers on loopback only. It needs some bearer token, and any will do.

mod agenda;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, Response, Uri, header};
use futures_util::stream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock::{now, wall};
use crate::operator::{Detail, Language, Notice};
use crate::output::print;
use agenda::{Agenda, Request};

pub(super) use agenda::{Booking, next_tuesday, start, text};

/// The port in the files of the example.
pub(super) const PORT: u16 = 8_099;
/// How many visits may wait for the screen. Visits beyond this number are not shown.
const VISITS: usize = 256;

/// Whether answers of the server reach the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Every answer arrives.
    Sound,
    /// The connection breaks after each new booking, before its answer arrives.
    BreaksAfterBooking,
}

/// A request, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visit {
    pub(super) arrived: Instant,
    pub(super) left: Instant,
    /// The method and the path. The query may hold the number of a caller.
    pub(super) request: String,
    /// The status that was sent. None: the answer was lost.
    pub(super) status: Option<u16>,
    /// How often a booking was requested, if this was a request for one.
    pub(super) asked: Option<u32>,
}

/// The clinic cannot listen on this port.
#[derive(Debug, thiserror::Error)]
#[error("{port}: {error}")]
pub struct Unopened {
    port: u16,
    error: io::Error,
}

impl Unopened {
    /// What the operator can do.
    #[must_use]
    pub fn notice(&self) -> Notice {
        match self.error.kind() {
            io::ErrorKind::AddrInUse => Notice::ClinicPortTaken { port: self.port },
            _ => Notice::ClinicUnopened { port: self.port, cause: Detail::new(&self.error) },
        }
    }
}

/// A running server. Dropping the value ends it.
#[derive(Debug)]
pub(super) struct Clinic {
    address: SocketAddr,
    house: Arc<House>,
    visits: mpsc::Receiver<Visit>,
    _tasks: JoinSet<()>,
}

/// What the requests share.
#[derive(Debug)]
struct House {
    agenda: Mutex<Agenda>,
    line: Line,
    shown: mpsc::Sender<Visit>,
}

impl Clinic {
    /// Opens the clinic on this port of loopback; 0 is any free port.
    ///
    /// # Errors
    /// Returns an error if the port is not free.
    pub(super) async fn open(port: u16, line: Line) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let (shown, visits) = mpsc::channel(VISITS);
        let house = Arc::new(House { agenda: Mutex::default(), line, shown });
        let router = Router::new().fallback(serve).with_state(Arc::clone(&house));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { address, house, visits, _tasks: tasks })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The visits since the previous call.
    pub(super) fn visits(&mut self) -> Vec<Visit> {
        std::iter::from_fn(|| self.visits.try_recv().ok()).collect()
    }

    pub(super) fn bookings(&self) -> Vec<Booking> {
        self.house.agenda().bookings()
    }

    /// Forgets all bookings.
    pub(super) fn clear(&self) {
        self.house.agenda().clear();
    }
}

impl House {
    fn agenda(&self) -> MutexGuard<'_, Agenda> {
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the clinic by itself on this port of loopback and prints each request, until `stop`.
///
/// # Errors
/// Returns an error if the port is not free, or if stdout cannot be written.
pub(super) async fn run(language: Language, port: u16, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let mut clinic = Clinic::open(port, Line::Sound).await.map_err(|error| Unopened { port, error })?;
    let address = clinic.address();
    print(&match language {
        Language::Spanish => format!(
            "Clínica de ejemplo en http://{address}, para los archivos de examples/agents/clinic. CRM_TOKEN puede ser cualquier palabra.\n\
             Qué se reservó: curl -H 'Authorization: Bearer x' http://{address}/api/appointments - Ctrl-C termina."
        ),
        Language::English => format!(
            "Clinic of the example on http://{address}, for the files of examples/agents/clinic. CRM_TOKEN may be any word.\n\
             What was booked: curl -H 'Authorization: Bearer x' http://{address}/api/appointments - Ctrl-C ends it."
        ),
    })?;
    let show = async {
        while let Some(visit) = clinic.visits.recv().await {
            print(&format!("{}  {}  {}", wall().format("%H:%M:%S"), visit.request, visit.ending(language)))?;
        }
        Ok(())
    };
    tokio::select! {
        shown = show => shown,
        () = stop => Ok(()),
    }
}

impl Visit {
    /// How the visit ended: the status, and for a booking how often it was requested.
    pub(super) fn ending(&self, language: Language) -> String {
        let lost = || language.choose("respuesta perdida", "answer lost").to_owned();
        let ending = self.status.map_or_else(lost, |status| status.to_string());
        let Some(asked) = self.asked else { return ending };
        let words = language.choose("reservada una vez; peticiones", "booked once; requests");
        format!("{ending} ({words}: {asked})")
    }
}

/// Answers a request.
async fn serve(
    State(house): State<Arc<House>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let arrived = now();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let query = Query::<HashMap<String, String>>::try_from_uri(&uri).map(|Query(query)| query);
    let query = query.unwrap_or_default();
    let request = Request {
        method: method.as_str(),
        path: uri.path(),
        phone: query.get("phone").map(String::as_str),
        token: text(header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer ")),
        key: text("idempotency-key"),
        body: &body,
    };
    let answer = house.agenda().answer(&request, arrived, wall());
    let is_lost = house.line == Line::BreaksAfterBooking && answer.asked == Some(1);
    let visit = Visit {
        arrived,
        left: now(),
        request: format!("{method} {}", uri.path()),
        status: (!is_lost).then_some(answer.status),
        asked: answer.asked,
    };
    // A visit that finds no room is not shown.
    drop(house.shown.try_send(visit));
    let body = if is_lost {
        // A body that fails makes the server close the connection in the middle of the answer.
        Body::from_stream(stream::once(async {
            Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset))
        }))
    } else {
        Body::from(answer.body.to_string())
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status.try_into().unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_cannot_be_opened_is_said_with_the_remedy() {
        let unopened = Unopened { port: 80, error: io::ErrorKind::PermissionDenied.into() };
        let said = unopened.notice().line(Language::English);
        assert_eq!(
            said,
            "The port 80 cannot be opened (permission denied): use another one, with --clinic=PORT"
        );
    }
}
