//! An MCP server written with the official SDK, which uses everything that may pass between a
//! server and its client; one tool for each.

#![expect(deprecated, reason = "sampling is on its way out, and clients still offer it")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::tool::{InputResponses, RequestState, ToolCallContext};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CreateMessageRequest,
    CreateMessageRequestParams, ElicitRequest, ElicitRequestParams, ElicitationSchema, ErrorData,
    InputRequest, InputRequiredResult, ListToolsResult, PaginatedRequestParams,
    ProgressNotificationParam, ProtocolVersion, SamplingMessage, ServerCapabilities, ServerConfig,
    SubscriptionFilter,
};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::SessionManager as _;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, tool, tool_router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

/// For how long the tool `silent` sends nothing.
pub(crate) const SILENCE: Duration = Duration::from_millis(1_500);
/// What a modern server gives its client to bring back; an answer without it counts for nothing.
const STATE: &str = "st.ate/with+special=chars, \"quotes\"\n\tand \u{e9}";

/// What reached the server.
#[derive(Default)]
pub(crate) struct Seen {
    calls: Mutex<Vec<String>>,
    cancelled: Mutex<usize>,
    /// Told by the caller of `count` about each number that it has noticed.
    pub(crate) noticed: Notify,
}

impl Seen {
    /// The tools that were called, in their order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// How many calls of `slow` were told that nobody waits for them.
    pub(crate) fn cancelled(&self) -> usize {
        *self.cancelled.lock().unwrap()
    }
}

/// A server on a thread of its own; it stops when it is dropped.
pub(crate) struct Serving {
    pub(crate) url: String,
    sessions: Arc<LocalSessionManager>,
    _stop: oneshot::Sender<()>,
}

impl Serving {
    pub(crate) fn start(handler: impl ServerHandler + Clone) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let sessions = Arc::new(LocalSessionManager::default());
        let service = StreamableHttpService::new(
            move || Ok(handler.clone()),
            Arc::clone(&sessions),
            StreamableHttpServerConfig::default(),
        );
        let router = axum::Router::new().route_service("/mcp", service);
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = axum::serve(listener, router).into_future() => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { url, sessions, _stop: stop }
    }
}

/// The server with all the tools.
pub(crate) struct Feature {
    pub(crate) url: String,
    pub(crate) seen: Arc<Seen>,
    serving: Serving,
}

impl Feature {
    pub(crate) fn start() -> Self {
        let seen = Arc::new(Seen::default());
        let tools = Tools { seen: Arc::clone(&seen), router: Tools::tool_router() };
        let serving = Serving::start(tools);
        Self { url: serving.url.clone(), seen, serving }
    }

    /// The ids of the sessions that it keeps.
    pub(crate) async fn sessions(&self) -> Vec<String> {
        self.serving.sessions.sessions.read().await.keys().map(ToString::to_string).collect()
    }

    /// Forgets every session, as a restart would.
    pub(crate) async fn end_sessions(&self) {
        for id in self.sessions().await {
            self.serving.sessions.close_session(&id.into()).await.unwrap();
        }
    }
}

#[derive(Clone)]
struct Tools {
    seen: Arc<Seen>,
    router: ToolRouter<Self>,
}

#[derive(Deserialize, JsonSchema)]
struct Echo {
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Start {
    /// Whether it makes some progress first; without any, not even the head of the answer is sent.
    speaks: bool,
}

#[tool_router]
impl Tools {
    /// Gives back what it is given.
    #[tool(annotations(read_only_hint = true))]
    async fn echo(&self, Parameters(Echo { text }): Parameters<Echo>) -> String {
        text
    }

    /// Counts to three; it goes on only when the caller has noticed the number before.
    #[tool]
    async fn count(&self, context: RequestContext<RoleServer>) -> Result<String, ErrorData> {
        for number in 1..=3 {
            progress(&context, number, 3).await?;
            self.seen.noticed.notified().await;
        }
        Ok("counted to 3".to_owned())
    }

    /// Asks for a name.
    #[tool]
    async fn ask(
        &self,
        state: RequestState,
        responses: InputResponses,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let schema = ElicitationSchema::builder().required_string("name").build();
        let question = ElicitRequestParams::FormElicitationParams {
            meta: None,
            message: "Who is there?".to_owned(),
            requested_schema: schema.map_err(internal)?,
        };
        if is_modern(&context) {
            return Ok(round(state, responses, || {
                InputRequest::Elicitation(ElicitRequest::new(question))
            }));
        }
        Ok(text(&json!(context.peer.create_elicitation(question).await.map_err(internal)?)))
    }

    /// Asks the caller's model for a word.
    #[tool]
    async fn sample(
        &self,
        state: RequestState,
        responses: InputResponses,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let messages = vec![SamplingMessage::user_text("Say a word.")];
        let question = CreateMessageRequestParams::new(messages, 10);
        if is_modern(&context) {
            return Ok(round(state, responses, || {
                InputRequest::CreateMessage(CreateMessageRequest::new(question))
            }));
        }
        Ok(text(&json!(context.peer.create_message(question).await.map_err(internal)?)))
    }

    /// Never ends unless it is cancelled.
    #[tool]
    async fn slow(
        &self,
        Parameters(start): Parameters<Start>,
        context: RequestContext<RoleServer>,
    ) -> Result<String, ErrorData> {
        start.announce(&context).await?;
        context.ct.cancelled().await;
        *self.seen.cancelled.lock().unwrap() += 1;
        Ok("cancelled".to_owned())
    }

    /// Answers late.
    #[tool]
    async fn silent(
        &self,
        Parameters(start): Parameters<Start>,
        context: RequestContext<RoleServer>,
    ) -> Result<String, ErrorData> {
        start.announce(&context).await?;
        tokio::time::sleep(SILENCE).await;
        Ok("done".to_owned())
    }

    /// Says that the list of tools has changed, which belongs to no call.
    #[tool]
    async fn change(&self, context: RequestContext<RoleServer>) -> Result<String, ErrorData> {
        context.peer.notify_tool_list_changed().await.map_err(internal)?;
        Ok("changed".to_owned())
    }

    /// Permitted to nobody.
    #[tool]
    async fn secret(&self) -> String {
        "the secret".to_owned()
    }
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(
            ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build(),
        )
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    /// Tells of a change at once, and then has nothing more to say.
    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        context.sink().notify_tool_list_changed().await.map_err(internal)?;
        context.cancelled().await;
        *self.seen.cancelled.lock().unwrap() += 1;
        Ok(())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.router.list_all()))
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.seen.calls.lock().unwrap().push(params.name.to_string());
        self.router.call(ToolCallContext::new(self, params, context)).await
    }
}

impl Start {
    async fn announce(&self, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
        if self.speaks { progress(context, 0, 1).await } else { Ok(()) }
    }
}

async fn progress(
    context: &RequestContext<RoleServer>,
    number: u8,
    total: u8,
) -> Result<(), ErrorData> {
    let token = context.meta.get_progress_token();
    let token = token.ok_or_else(|| ErrorData::invalid_params("no progress token", None))?;
    let progress = ProgressNotificationParam::new(token, number.into())
        .with_total(total.into())
        .with_message(format!("number {number}"));
    context.peer.notify_progress(progress).await.map_err(internal)
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// A question as modern servers ask it: the call ends with it, and comes again with the answer.
fn round(
    RequestState(state): RequestState,
    InputResponses(responses): InputResponses,
    question: impl FnOnce() -> InputRequest,
) -> CallToolResponse {
    match (state.as_deref(), responses) {
        (Some(STATE), Some(answers)) => text(&json!(answers["answer"])),
        (None, None) => {
            let questions = [("answer".to_owned(), question())];
            InputRequiredResult::new(Some(questions.into()), Some(STATE.to_owned())).into()
        }
        unexpected => text(&json!(format!("not what was asked for: {unexpected:?}"))),
    }
}

fn text(value: &Value) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(value.to_string())]).into()
}

fn internal(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
