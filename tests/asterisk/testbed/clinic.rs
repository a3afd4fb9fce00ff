//! The server of the clinic example, for a test in which that server does not answer once.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Testbed;

/// The requests for bookings: the idempotency key and the body of each.
type Requests = Arc<Mutex<Vec<(String, Value)>>>;

/// A clinic that carries out the first booking and never answers that request. Dropping the value ends the server.
pub(crate) struct Clinic {
    requests: Requests,
    _server: JoinSet<()>,
}

impl Clinic {
    /// The requests for bookings so far.
    pub(crate) fn requests(&self) -> MutexGuard<'_, Vec<(String, Value)>> {
        self.requests.lock().expect("nobody panics with the lock")
    }
}

impl Testbed {
    /// Opens a clinic, copies its agent from the examples with the address of this clinic, and restarts the daemon with that agent.
    pub(crate) fn clinic(&self) -> Clinic {
        let requests = Requests::default();
        let routes = Router::new()
            .route("/api/customers", get(async || json!([{"id": 7, "name": "Ana Gómez"}]).to_string()))
            .route("/api/days/{day}/slots", get(slots))
            .route("/api/appointments", post(book))
            .with_state(Arc::clone(&requests));
        let listener = self.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("loopback");
        let origin = format!("http://{}", listener.local_addr().expect("bound"));
        let mut server = JoinSet::new();
        server.spawn_on(async move { drop(axum::serve(listener, routes).await) }, self.runtime.handle());

        let (example, agents) = (
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agents/clinic"),
            self.folder.path().join("agents"),
        );
        std::fs::create_dir(&agents).expect("a folder");
        for name in ["citas.toml", "citas.md", "_crm.toml"] {
            let text = std::fs::read_to_string(example.join(name)).expect("a file of the example");
            let text = text.replace("http://127.0.0.1:8099", &origin);
            let text = text.replace("name = \"book\"\n", "name = \"book\"\ntimeout = 3\n");
            std::fs::write(agents.join(name), text).expect("a file");
        }
        self.restart_daemon_with(&[
            ("AGENTS_DIR", agents.to_str().expect("a path")),
            ("CRM_TOKEN", "s3cret-token"),
        ]);
        Clinic { requests, _server: server }
    }
}

async fn slots() -> String {
    json!({"slots": [
        {"start": "2026-12-02T09:30:00-05:00", "free": false},
        {"start": "2026-12-02T15:00:00-05:00", "free": true},
    ]})
    .to_string()
}

async fn book(State(requests): State<Requests>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    let request = (key.to_owned(), serde_json::from_str(&body).expect("JSON"));
    let is_first = {
        let mut requests = requests.lock().expect("nobody panics with the lock");
        requests.push(request);
        requests.len() == 1
    };
    if is_first {
        std::future::pending::<()>().await;
    }
    (StatusCode::CREATED, json!({"id": 4711}).to_string())
}
