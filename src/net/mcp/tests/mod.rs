//! Tests connections to servers of tools: the keeper on a paused clock with sessions that are no connections, and everything
//! else with servers of its own over HTTP and in a shell.

mod http;
mod keeper;
mod program;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::*;
use crate::net::tls;

/// A server and what is told of it, with the task of its keeper.
struct Kept {
    server: Arc<Server>,
    news: mpsc::Receiver<(ServerId, News)>,
    keeper: JoinSet<()>,
}

impl Kept {
    fn new(address: Address) -> Self {
        let client = ToolClient::new(&tls::client_config().unwrap()).unwrap();
        Self::with_client(&client, address)
    }

    fn with_client(client: &ToolClient, address: Address) -> Self {
        let (tell, news) = mpsc::channel(64);
        let (server, keeping) = Server::new(client, address, ServerId(7), tell);
        let mut keeper = JoinSet::new();
        keeper.spawn(keeping);
        Self { server: Arc::new(server), news, keeper }
    }

    /// What becomes known next.
    async fn next(&mut self) -> News {
        let (id, news) = self.news.recv().await.expect("the keeper runs");
        assert_eq!(id, ServerId(7));
        news
    }

    /// The names of the list that comes next.
    async fn listed(&mut self) -> Vec<String> {
        match self.next().await {
            News::Listed(tools) => tools.into_iter().map(|tool| tool.name).collect(),
            News::Away(cause) => panic!("away: {cause}"),
        }
    }

    async fn away(&mut self) -> String {
        match self.next().await {
            News::Listed(tools) => panic!("listed: {tools:?}"),
            News::Away(cause) => cause,
        }
    }

    async fn call(&self, errand: &Errand) -> Called {
        self.server.call(errand).await
    }
}

/// A call of a tool with one argument. It waits longer than any machine takes.
fn errand(effect: Effect) -> Errand {
    Errand {
        tool: "find".into(),
        arguments: json!({"phone": "300"}).as_object().cloned().unwrap_or_default(),
        effect,
        idempotent: false,
        timeout: Duration::from_secs(60),
    }
}

/// The reply of a server that found something.
fn found() -> Reply {
    Reply::Result { structured: Some(json!({"name": "Ana"})), text: "Ana".into(), is_error: false }
}
