//! Stasis applications: which event socket each application has, which channels and bridges the application
//! follows, and which events it therefore receives. This module does not decide what happens, only who
//! receives the event.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};

use super::events::{self, Event};
use super::{Asterisk, Emit, Fault, Key, Response, SocketId, Version};

/// An application that has been registered.
#[derive(Debug, Default)]
pub(super) struct App {
    /// The socket that receives the events now.
    socket: Option<SocketId>,
    all: bool,
    /// The channels that are in this application.
    inside: BTreeSet<Key>,
    /// The channels to which the application subscribed, or which it created.
    asked: BTreeSet<Key>,
    /// The bridges in which channels of the application have been.
    bridges: BTreeSet<Key>,
    /// The event filter as it was set.
    allowed: Vec<Value>,
    disallowed: Vec<Value>,
}

impl App {
    fn is_idle(&self) -> bool {
        self.socket.is_none() && self.inside.is_empty() && self.asked.is_empty() && self.bridges.is_empty()
    }

    fn wants(&self, kind: &str) -> bool {
        let named = |list: &[Value]| list.iter().any(|entry| entry["type"] == kind);
        (self.allowed.is_empty() || named(&self.allowed)) && !named(&self.disallowed)
    }
}

/// The subject of an event, which decides who receives the event.
#[derive(Debug, Clone, Copy)]
pub(super) enum About {
    Channel(Key),
    Bridge(Key),
    Both {
        channel: Key,
        bridge: Key,
    },
    /// No channel or bridge: only applications that subscribed to everything receive the event.
    Everything,
}

impl Asterisk {
    /// Opens an event socket for the applications in `app=a,b`. The error is the answer to the upgrade
    /// request.
    pub fn connect(
        &mut self,
        now: Instant,
        auth: Option<&str>,
        query: &[(String, String)],
    ) -> Result<SocketId, Response> {
        self.advance(now);
        let not_ready = self.not_ready(now);
        let fault = if not_ready.is_none() { self.take_fault("GET", "/events") } else { None };
        let refused = match (fault, not_ready) {
            (_, Some(response)) => Some(response),
            (Some(Fault::Status(status)), None) => Some(Response::error(status, "Scripted fault")),
            (Some(Fault::ConnectionLost | Fault::OkButReplyLost), None) => Some(Response::lost()),
            _ if !self.authorized(auth, query) => Some(Response::error(401, "Authentication required")),
            _ => None,
        };
        let value =
            |wanted: &str| query.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value);
        let names: Vec<&str> = value("app").split(',').filter(|name| !name.is_empty()).collect();
        let refused =
            refused.or_else(|| names.is_empty().then(|| Response::error(400, "Missing parameter 'app'")));
        if let Some(response) = refused {
            self.note(now, "GET", "/events", &response);
            return Err(response);
        }
        self.note(now, "GET", "/events", &Response { status: 101, ..Response::done() });
        self.socket_count += 1;
        let socket = SocketId(self.socket_count);
        self.sockets.insert(socket);
        let all = value("subscribeAll") == "true";
        for name in names {
            self.register(now, name, socket, all);
        }
        Ok(socket)
    }

    fn register(&mut self, now: Instant, name: &str, socket: SocketId, all: bool) {
        let text = events::replaced(&self.timestamp(now), name);
        if all && self.settings.version == Version::V16 {
            self.sticky.insert(name.to_owned());
        }
        let app = self.apps.entry(name.to_owned()).or_default();
        if let Some(first) = app.socket.replace(socket) {
            self.out.push_back(Emit::Event { socket: first, text });
        }
        app.all = all || self.sticky.contains(name);
        // A filter belongs to the registration, so the client must set it again after each connect.
        app.allowed.clear();
        app.disallowed.clear();
    }

    /// The client closed the socket, or the connection broke. Channels remain, and an application remains
    /// listed while it has any.
    pub fn disconnect(&mut self, now: Instant, socket: SocketId) {
        self.advance(now);
        self.sockets.remove(&socket);
        for app in self.apps.values_mut().filter(|app| app.socket == Some(socket)) {
            app.socket = None;
            app.all = false;
        }
        self.forget_idle_apps();
    }

    /// Cuts an event socket while Asterisk keeps running: the network broke, or the reader was too slow.
    pub fn cut(&mut self, now: Instant, socket: SocketId) {
        if self.sockets.contains(&socket) {
            self.disconnect(now, socket);
            self.out.push_back(Emit::SocketClosed { socket, close_frame: false });
        }
    }

    /// Simulates the race at a reconnect: the socket stays open, the application is gone, and calls fail
    /// silently.
    pub fn lose_registration(&mut self, now: Instant, app: &str) {
        self.advance(now);
        self.apps.remove(app);
    }

    /// Sends an event to every application that follows its subject.
    pub(super) fn publish(&mut self, now: Instant, about: About, event: &Event) {
        let (channel, bridge) = match about {
            About::Channel(channel) => (Some(channel), None),
            About::Bridge(bridge) => (None, Some(bridge)),
            About::Both { channel, bridge } => (Some(channel), Some(bridge)),
            About::Everything => (None, None),
        };
        let timestamp = self.timestamp(now);
        for (name, app) in &self.apps {
            let listens = app.all
                || channel.is_some_and(|key| app.inside.contains(&key) || app.asked.contains(&key))
                || bridge.is_some_and(|key| app.bridges.contains(&key));
            if let Some(socket) = app.socket.filter(|_| listens && app.wants(event.kind)) {
                self.out.push_back(Emit::Event { socket, text: event.text(&timestamp, name) });
            }
        }
    }

    /// Whether `Stasis(app)` would find an application that is connected.
    pub(super) fn is_listening(&self, app: &str) -> bool {
        self.apps.get(app).is_some_and(|app| app.socket.is_some())
    }

    /// Records that a channel entered an application.
    pub(super) fn enter_app(&mut self, app: &str, channel: Key) {
        if let Some(app) = self.apps.get_mut(app) {
            app.inside.insert(channel);
        }
    }

    /// Records that a channel left its application. The application may still follow the channel.
    pub(super) fn leave_app(&mut self, channel: Key) {
        for app in self.apps.values_mut() {
            app.inside.remove(&channel);
        }
    }

    /// Subscribes an application to a channel, whether or not the channel is in the application.
    pub(super) fn follow(&mut self, app: &str, channel: Key) {
        if let Some(app) = self.apps.get_mut(app) {
            app.asked.insert(channel);
        }
    }

    /// Records that a channel of an application entered a bridge. From then on the application receives the
    /// events of the bridge.
    pub(super) fn follow_bridge(&mut self, channel: Key, bridge: Key) {
        for app in self.apps.values_mut().filter(|app| app.inside.contains(&channel)) {
            app.bridges.insert(bridge);
        }
    }

    /// Removes a channel or bridge that no longer exists.
    pub(super) fn forget(&mut self, key: Key) {
        for app in self.apps.values_mut() {
            app.inside.remove(&key);
            app.asked.remove(&key);
            app.bridges.remove(&key);
        }
        self.forget_idle_apps();
    }

    fn forget_idle_apps(&mut self) {
        self.apps.retain(|_, app| !app.is_idle());
    }

    /// The names of the applications, registered or remembered.
    pub fn applications(&self) -> Vec<String> {
        self.apps.keys().cloned().collect()
    }

    pub(super) fn applications_json(&self) -> String {
        self.apps.keys().map(|name| self.application(name)).collect::<Value>().to_string()
    }

    /// The answer to `GET /applications/{name}`.
    pub(super) fn application_response(&self, name: &str) -> Response {
        if self.apps.contains_key(name) {
            Response::ok(self.application(name).to_string())
        } else {
            no_application()
        }
    }

    fn application(&self, name: &str) -> Value {
        let app = &self.apps[name];
        let channels = app.inside.union(&app.asked).filter_map(|key| self.channels.get(key));
        json!({
            "name": name,
            "channel_ids": channels.map(|channel| channel.id.as_str()).collect::<Vec<_>>(),
            "bridge_ids": app.bridges.iter().filter_map(|key| Some(&self.bridges.get(key)?.id)).collect::<Vec<_>>(),
            "endpoint_ids": [],
            "device_names": [],
            "events_allowed": app.allowed,
            "events_disallowed": app.disallowed,
        })
    }

    /// The answer to `PUT /applications/{name}/eventFilter`.
    pub(super) fn filter_events(&mut self, name: &str, body: &[u8]) -> Response {
        let Some(app) = self.apps.get_mut(name) else { return no_application() };
        let Ok(filter) = serde_json::from_slice::<Value>(body) else {
            return Response::error(400, "Bad Request");
        };
        let list = |key: &str| filter[key].as_array().cloned().unwrap_or_default();
        (app.allowed, app.disallowed) = (list("allowed"), list("disallowed"));
        Response::ok(self.application(name).to_string())
    }

    /// The answer to `POST` and `DELETE /applications/{name}/subscription`, for `channel:` and `bridge:`
    /// sources.
    pub(super) fn subscription(&mut self, name: &str, sources: &str, wanted: bool) -> Response {
        if !self.apps.contains_key(name) {
            return no_application();
        }
        for source in sources.split(',') {
            let (channels, id) = match source.split_once(':') {
                Some(("channel", id)) => (true, id),
                Some(("bridge", id)) => (false, id),
                _ => return Response::error(400, "Invalid event source URI scheme"),
            };
            let key = if channels { self.by_id.get(id).copied() } else { self.bridge_key(id) };
            let Some(key) = key else { return Response::error(422, "Event source does not exist") };
            if let Some(app) = self.apps.get_mut(name) {
                let set = if channels { &mut app.asked } else { &mut app.bridges };
                if wanted {
                    set.insert(key)
                } else {
                    set.remove(&key)
                };
            }
        }
        Response::ok(self.application(name).to_string())
    }
}

fn no_application() -> Response {
    Response::error(404, "Application not found")
}
