//! The tasks extension (SEP-2663) with the official SDK on both sides: directly, and with sealed ids.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, ClientCapabilities,
    ClientConfig, ContentBlock, CreateTaskResult, ElicitRequest, ElicitRequestParams,
    ElicitationSchema, ErrorData, GetTaskParams, GetTaskResult, Implementation, InputRequest,
    ListToolsResult, PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig,
    Tool, UpdateTaskParams,
};
use rmcp::service::{RequestContext, RoleServer, RunningService, ServiceError};
use rmcp::task_manager::{TaskManager, TaskOptions};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt as _, RoleClient, ServerHandler};
use serde_json::{Value, json};

use crate::support::feature::Serving;
use crate::support::gateway::ROTATED;
use crate::support::{ALICE, ALICE_AT, BOB, Setup, sealed_task};

/// Has one tool, of which every call becomes a task that asks its user a question.
#[derive(Clone)]
struct Greeter(TaskManager);

impl ServerHandler for Greeter {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tasks().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(vec![Tool::new(
            "echo",
            "greets",
            rmcp::model::object(json!({"type": "object"})),
        )]))
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let task = self.0.spawn(TaskOptions::new(), |context| {
            Box::pin(async move {
                let form = ElicitRequestParams::FormElicitationParams {
                    meta: None,
                    message: "Who?".to_owned(),
                    requested_schema: ElicitationSchema::builder().build().unwrap(),
                };
                let question = InputRequest::Elicitation(ElicitRequest::new(form));
                let answer = context.request_input("who", question).await?;
                let greeting = format!("hello {}", answer["content"]["name"]);
                Ok(CallToolResult::success(vec![ContentBlock::text(greeting)]))
            })
        });
        Ok(CallToolResponse::Task(CreateTaskResult::new(task)))
    }

    async fn get_task(
        &self,
        params: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        Ok(GetTaskResult::new(self.0.get_task(&params.task_id)?))
    }

    async fn update_task(
        &self,
        params: UpdateTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.0.update_task(&params.task_id, params.input_responses)
    }

    async fn cancel_task(
        &self,
        params: CancelTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.0.cancel_task(&params.task_id)
    }
}

type Client = RunningService<RoleClient, ClientConfig>;

async fn connect(url: &str, token: &str) -> Client {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token);
    let transport = StreamableHttpClientTransport::with_client(http, config);
    let mode =
        ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    let capabilities = ClientCapabilities::builder().enable_tasks().enable_elicitation().build();
    let client = ClientConfig::new(capabilities, Implementation::new("user", "1"));
    client.serve_with_lifecycle(transport, mode).await.unwrap()
}

/// Makes a task and returns its id.
async fn make(client: &Client) -> String {
    let made = client.call_tool_once(CallToolRequestParams::new("echo")).await.unwrap();
    let CallToolResponse::Task(made) = made else {
        panic!("not a task");
    };
    json!(made)["taskId"].as_str().unwrap().to_owned()
}

/// Asks for the task until it is in `status`.
async fn until(client: &Client, id: &str, status: &str) -> Value {
    loop {
        let found = json!(client.get_task(GetTaskParams::new(id)).await.unwrap());
        assert_eq!(found["taskId"], id);
        if found["status"] == status {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

/// A task from its making to its result, and another one that is cancelled.
async fn live(client: &Client) -> (Value, Value, Value) {
    let id = make(client).await;
    let asked = until(client, &id, "input_required").await["inputRequests"].clone();
    let answers = json!({ "who": { "action": "accept", "content": { "name": "Ada" } } });
    let answers = serde_json::from_value(answers).unwrap();
    client.update_task(UpdateTaskParams::new(&id, answers)).await.unwrap();
    let done = until(client, &id, "completed").await["result"]["content"].clone();
    let other = make(client).await;
    client.cancel_task(CancelTaskParams::new(&other)).await.unwrap();
    (asked, done, until(client, &other, "cancelled").await["status"].clone())
}

fn code<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> i32 {
    match result {
        Err(ServiceError::McpError(error)) => error.code.0,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_task_of_the_extension_lives_the_same_life_with_a_sealed_id() {
    let server = Serving::start(Greeter(TaskManager::new()));
    let gateway = Setup::at(&server.url).upstream("tasks = \"sealed\"").start();
    let url = format!("http://{}/mcp", gateway.address);
    let direct = live(&connect(&server.url, ALICE).await).await;
    let alice = connect(&url, ALICE).await;
    assert_eq!(live(&alice).await, direct);
    assert_eq!(direct.1[0]["text"], "hello \"Ada\"");

    let id = make(&alice).await;
    let (bare, _) = id.split_once('.').unwrap();
    assert_eq!(id, sealed_task(ALICE_AT, "echo", bare));
    until(&connect(&url, ROTATED).await, &id, "input_required").await;
    let bob = connect(&url, BOB).await;
    for known in [id.as_str(), bare] {
        assert_eq!(code(bob.get_task(GetTaskParams::new(known)).await), -32602);
        assert_eq!(code(bob.cancel_task(CancelTaskParams::new(known)).await), -32602);
    }
    until(&alice, &id, "input_required").await;
}

#[tokio::test]
async fn tasks_of_the_extension_are_not_announced_where_they_are_off() {
    let server = Serving::start(Greeter(TaskManager::new()));
    let gateway = Setup::at(&server.url).start();
    let announced = async |url: &str| {
        let client = connect(url, ALICE).await;
        json!(client.peer_info().unwrap().capabilities)
    };
    let direct = announced(&server.url).await;
    assert!(direct["extensions"]["io.modelcontextprotocol/tasks"].is_object(), "{direct}");
    let through = announced(&format!("http://{}/mcp", gateway.address)).await;
    assert!(through["extensions"]["io.modelcontextprotocol/tasks"].is_null(), "{through}");
}
