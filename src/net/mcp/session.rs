//! One session with a server.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities,
    ClientConfig, ClientRequest, ContentBlock, Implementation, PaginatedRequestParams, ProtocolVersion,
    ServerResult, Tool,
};
use rmcp::service::{
    ClientCacheConfig, ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, Peer,
    PeerRequestOptions, RoleClient, RunningService, RunningServiceCancellationToken, ServiceError,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use tokio::time::timeout_at;

use super::failure::{cause, failure};
use super::keeper::{Connect, Keep, List};
use super::program::Program;
use super::{Errand, MESSAGE_BYTES};
use crate::tool::{Effect, Failure, Listed, Reply};

/// The most pages of a list. More would let a server list without end.
const PAGES: usize = 32;
/// The largest text of an HTTP error that is kept, in bytes. Nobody reads it.
const ERROR_BYTES: usize = 4 * 1024;

/// Where a server is.
#[derive(Debug)]
pub enum Address {
    /// At a URL.
    Http(HttpAddress),
    /// In a program.
    Program(Program),
}

/// The URL of a server.
#[derive(Clone)]
pub struct HttpAddress {
    /// The URL.
    pub url: String,
    /// The headers of every request. Some are secret.
    pub headers: Vec<(String, String)>,
}

impl fmt::Debug for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAddress").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Opens sessions with a server.
pub(super) struct Connector {
    pub(super) address: Address,
    pub(super) client: reqwest::Client,
}

/// A session that is kept open.
pub(super) struct Open {
    peer: Peer<RoleClient>,
    stop: RunningServiceCancellationToken,
    /// Ends with the session. `None`: it has.
    over: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// A session, as calls use it.
#[derive(Clone)]
pub(super) struct Session {
    peer: Peer<RoleClient>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Connect for Connector {
    type Session = Open;

    async fn connect(&self) -> Result<Open, String> {
        let service = match &self.address {
            Address::Http(address) => self.over_http(address).await,
            Address::Program(program) => {
                let transport =
                    program.start().map_err(|error| format!("the program does not start ({error})"))?;
                Box::pin(us().serve_with_lifecycle(transport, both_eras())).await
            }
        };
        let service = service.map_err(|error| cause(&error))?;
        let peer = service.peer().clone();
        // The list that is kept is ours; an old one in place of an error would hide that the server is away.
        peer.set_response_cache_config(ClientCacheConfig::disabled()).await;
        let stop = service.cancellation_token();
        let over: Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(async move { drop(service.waiting().await) });
        Ok(Open { peer, stop, over: Some(over) })
    }
}

impl Connector {
    async fn over_http(
        &self,
        address: &HttpAddress,
    ) -> Result<RunningService<RoleClient, ClientConfig>, ClientInitializeError> {
        let named = address.headers.iter().filter_map(|(name, value)| {
            Some((
                HeaderName::from_bytes(name.as_bytes()).ok()?,
                HeaderValue::from_bytes(value.as_bytes()).ok()?,
            ))
        });
        let config = StreamableHttpClientTransportConfig::with_uri(address.url.as_str())
            .custom_headers(named.collect::<HashMap<_, _>>())
            .max_sse_event_size(MESSAGE_BYTES)
            .max_json_response_size(MESSAGE_BYTES)
            .max_error_response_size(ERROR_BYTES);
        let transport = StreamableHttpClientTransport::with_client(self.client.clone(), config);
        Box::pin(us().serve_with_lifecycle(transport, both_eras())).await
    }
}

/// What servers are told of us: no capability, so that they ask for nothing.
fn us() -> ClientConfig {
    let name = Implementation::new("openai-inbound-calls", env!("CARGO_PKG_VERSION"));
    ClientConfig::new(ClientCapabilities::default(), name)
}

fn both_eras() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
    }
}

impl Keep for Open {
    type Shared = Session;

    fn shared(&self) -> Session {
        Session { peer: self.peer.clone() }
    }

    async fn list(&mut self) -> Result<List, String> {
        let (mut tools, mut age, mut cursor) = (Vec::new(), None, None);
        for _ in 0..PAGES {
            let page = cursor.map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
            let listed =
                Box::pin(self.peer.list_tools(page)).await.map_err(|error| match failure(error) {
                    Ok(_) => "the server refuses to list its tools".to_owned(),
                    Err(failure) => failure.to_string(),
                })?;
            tools.extend(listed.tools.into_iter().map(of_list));
            age = listed.ttl_ms.map(Duration::from_millis).or(age);
            cursor = listed.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(List { tools, age })
    }

    async fn closed(&mut self) {
        if let Some(over) = &mut self.over {
            over.await;
            self.over = None;
        }
    }

    async fn end(self) {
        self.stop.cancel();
        if let Some(over) = self.over {
            over.await;
        }
    }
}

fn of_list(tool: Tool) -> Listed {
    Listed {
        name: tool.name.into_owned(),
        description: tool.description.or_else(|| tool.title.map(Into::into)).unwrap_or_default().into_owned(),
        schema: Arc::unwrap_or_clone(tool.input_schema).into(),
    }
}

impl Session {
    /// Whether the connection is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.peer.is_transport_closed()
    }

    /// Calls a tool once.
    pub(super) async fn call(&self, errand: &Errand, deadline: Instant) -> Result<Reply, Failure> {
        let parameters =
            CallToolRequestParams::new(errand.tool.clone()).with_arguments(errand.arguments.clone());
        let answered = match errand.effect {
            // What is given up is cancelled: here by the end of the future.
            Effect::Read => timeout_at(deadline.into(), Box::pin(self.peer.call_tool_once(parameters))).await,
            Effect::Write => timeout_at(deadline.into(), Box::pin(self.write(parameters))).await,
        };
        match answered {
            Ok(Ok(response)) => reply(response),
            Ok(Err(error)) => failure(error),
            Err(_) => Err(Failure::Late),
        }
    }

    /// Calls a tool that writes. The end of the future cancels nothing.
    async fn write(&self, parameters: CallToolRequestParams) -> Result<CallToolResponse, ServiceError> {
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(parameters));
        let handle = self.peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await?;
        match handle.rx.await.map_err(|_| ServiceError::TransportClosed)?? {
            ServerResult::CallToolResult(result) => Ok(CallToolResponse::Complete(result)),
            ServerResult::InputRequiredResult(result) => Ok(CallToolResponse::InputRequired(result)),
            ServerResult::EmptyResult(_) => Ok(CallToolResponse::Complete(CallToolResult::default())),
            _ => Err(ServiceError::UnexpectedResponse),
        }
    }
}

/// What a response of the library is.
fn reply(response: CallToolResponse) -> Result<Reply, Failure> {
    match response {
        CallToolResponse::Complete(result) => {
            let texts = result.content.iter().filter_map(|content| match content {
                ContentBlock::Text(text) => Some(text.text.as_str()),
                _ => None,
            });
            let text = texts.collect::<Vec<_>>().join("\n");
            let is_error = result.is_error.unwrap_or_default();
            Ok(Reply::Result { structured: result.structured_content, text, is_error })
        }
        CallToolResponse::InputRequired(_) => Ok(Reply::NeedsScreen),
        // A task that is done later. We have not asked for any.
        _ => Err(Failure::Unanswered("an answer of another kind".to_owned())),
    }
}
