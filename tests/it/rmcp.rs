//! The official SDK as client and as server: each case is run directly and through the gateway,
//! in both eras, and has to come out the same.

#![expect(deprecated, reason = "sampling is on its way out, and clients still offer it")]

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientCapabilities, ClientConfig, ClientRequest,
    CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams, ElicitResult,
    ElicitationAction, ErrorCode, ErrorData, Implementation, ProgressNotificationParam,
    ProtocolVersion, SamplingMessage, SubscriptionFilter,
};
use rmcp::service::{
    NotificationContext, PeerRequestOptions, RequestContext, RunningService, ServiceError,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt as _, RoleClient};
use serde_json::{Value, json};

use crate::support::feature::{Feature, SILENCE, Seen};
use crate::support::{ALICE, Gateway, MODERN, PATIENCE, Setup};

/// All tools of the server but `secret`.
const PERMITTED: [&str; 7] = ["echo", "count", "ask", "sample", "slow", "silent", "change"];

/// The user of the client, who answers every question and remembers it.
struct User {
    heard: Arc<Mutex<Vec<Value>>>,
    server: Arc<Seen>,
}

impl ClientHandler for User {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().enable_sampling();
        ClientConfig::new(capabilities.build(), Implementation::new("user", "1"))
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let progress = json!([params.progress, params.total, params.message]);
        self.heard.lock().unwrap().push(progress);
        self.server.noticed.notify_one();
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard.lock().unwrap().push(json!("changed"));
    }

    async fn create_elicitation(
        &self,
        params: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.heard.lock().unwrap().push(json!(params));
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({"name": "Ferris"})))
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.heard.lock().unwrap().push(json!(params));
        Ok(CreateMessageResult::new(SamplingMessage::assistant_text("crab"), "m".to_owned()))
    }
}

/// A client that is connected to a server, one way or the other.
struct Link {
    client: RunningService<RoleClient, User>,
    heard: Arc<Mutex<Vec<Value>>>,
    gateway: Option<Gateway>,
    server: Feature,
    era: &'static str,
}

impl Link {
    async fn open(era: &'static str, setup: Option<&dyn Fn(Setup) -> Setup>) -> Self {
        let server = Feature::start();
        let gateway = setup.map(|more| more(Setup::at(&server.url).permit(&PERMITTED)).start());
        let url = match &gateway {
            Some(gateway) => format!("http://{}/mcp", gateway.address),
            None => server.url.clone(),
        };
        let mode = match era {
            "legacy" => ClientLifecycleMode::Initialize,
            _ => ClientLifecycleMode::Auto {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                legacy_version: None,
            },
        };
        let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(ALICE);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let transport = StreamableHttpClientTransport::with_client(http, config);
        let heard = Arc::default();
        let user = User { heard: Arc::clone(&heard), server: Arc::clone(&server.seen) };
        let client = user.serve_with_lifecycle(transport, mode).await.unwrap();
        Self { client, heard, gateway, server, era }
    }

    async fn call(&self, tool: &'static str, arguments: &Value) -> Result<Value, ServiceError> {
        let result = self.client.call_tool(params(tool, arguments)).await?;
        Ok(json!(result))
    }

    /// Calls `echo`, and gives back the text of the answer.
    async fn echo(&self, text: &str) -> String {
        text_of(&self.call("echo", &json!({ "text": text })).await.unwrap())
    }

    /// Waits until the server works on the last of so many calls, and the user has heard so much.
    async fn is_running(&self, calls: usize, heard: usize) {
        let is_so = async || self.server.seen.calls().len() == calls && self.heard().len() == heard;
        eventually("the call is there", is_so).await;
        assert_eq!(self.server.seen.cancelled(), calls - 1, "{}", self.era);
    }

    async fn is_cancelled(&self, calls: usize) {
        let is_so = async || self.server.seen.cancelled() == calls;
        eventually("the server learns it", is_so).await;
    }

    /// What the user has heard so far.
    fn heard(&self) -> Vec<Value> {
        self.heard.lock().unwrap().clone()
    }
}

/// The outcome of `case` in each era, first legacy: the same directly and through the gateway.
async fn same<T: Debug + PartialEq>(case: impl AsyncFn(&Link) -> T) -> [T; 2] {
    same_with(|setup| setup, case).await
}

/// Like [`same`], through a gateway with more in its configuration.
async fn same_with<T: Debug + PartialEq>(
    setup: impl Fn(Setup) -> Setup,
    case: impl AsyncFn(&Link) -> T,
) -> [T; 2] {
    let (legacy, modern) =
        tokio::join!(same_in("legacy", &setup, &case), same_in("modern", &setup, &case));
    [legacy, modern]
}

/// Like [`same_with`], in one era.
async fn same_in<T: Debug + PartialEq>(
    era: &'static str,
    setup: impl Fn(Setup) -> Setup,
    case: impl AsyncFn(&Link) -> T,
) -> T {
    let run = async |setup| {
        let outcome = async { case(&Link::open(era, setup).await).await };
        tokio::time::timeout(PATIENCE, outcome).await.expect("an outcome in time")
    };
    let (directly, through) = tokio::join!(run(None), run(Some(&setup)));
    assert_eq!(through, directly, "{era}: through the gateway, and directly");
    directly
}

/// Like [`crate::support::eventually`], and the client goes on in the meantime.
async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "never: {what}");
}

fn params(tool: &'static str, arguments: &Value) -> CallToolRequestParams {
    CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone())
}

fn text_of(answer: &Value) -> String {
    answer["content"][0]["text"].as_str().unwrap().to_owned()
}

/// An answer with one text.
fn answer(text: impl Into<Value>) -> Value {
    json!({"content": [{"type": "text", "text": text.into()}], "isError": false})
}

/// An object without a member that only one era has.
fn without(member: &str, mut object: Value) -> Value {
    object.as_object_mut().unwrap().remove(member);
    object
}

/// A client that asks for the newest era must not find itself in the old one.
#[tokio::test]
async fn it_agrees_with_the_server_on_everything() {
    let infos = same(async |link| json!(*link.client.peer_info().unwrap())).await;
    let versions = infos.map(|info| info["protocolVersion"].clone());
    assert_eq!(versions, ["2025-11-25", MODERN]);
}

#[tokio::test]
async fn the_list_is_what_is_permitted_and_in_full() {
    let lists = same(async |link| {
        let mut tools = link.client.list_all_tools().await.unwrap();
        let is_secret = |tool: &rmcp::model::Tool| tool.name == "secret";
        assert_eq!(tools.iter().any(is_secret), link.gateway.is_none(), "{}", link.era);
        tools.retain(|tool| !is_secret(tool));
        json!(tools)
    })
    .await;
    for tools in lists {
        let mut names: Vec<_> = tools.as_array().unwrap().iter().map(|t| &t["name"]).collect();
        names.sort_by_key(|name| PERMITTED.iter().position(|permitted| name == permitted));
        assert_eq!(names, PERMITTED);
    }
}

#[tokio::test]
async fn a_call_is_answered() {
    let long = "h\u{e9}llo \u{1f980} \"\\\n".repeat(5_000);
    let outcomes = same(async |link| {
        (link.echo(&long).await == long, link.echo("").await, link.server.seen.calls())
    })
    .await;
    let expected = (true, String::new(), vec!["echo".to_owned(); 2]);
    assert_eq!(outcomes, [expected.clone(), expected]);
}

#[tokio::test]
async fn a_refused_call_is_like_one_of_a_tool_that_is_not_there() {
    let outcomes = same(async |link| {
        let tool = if link.gateway.is_some() { "secret" } else { "absent" };
        let Err(ServiceError::McpError(error)) = link.call(tool, &json!({})).await else {
            panic!("{}: not refused", link.era);
        };
        if link.gateway.is_some() {
            assert_eq!(error.message, "Unknown tool: secret");
            assert!(link.server.seen.calls().is_empty(), "{:?}", link.server.seen.calls());
        }
        (error.code, link.echo("and on it goes").await)
    })
    .await;
    let expected = (ErrorCode::INVALID_PARAMS, "and on it goes".to_owned());
    assert_eq!(outcomes, [expected.clone(), expected]);
}

/// The server does not send a number before the one before it was noticed.
#[tokio::test]
async fn progress_arrives_as_it_is_made() {
    let outcomes = same(async |link| {
        (without("resultType", link.call("count", &json!({})).await.unwrap()), link.heard())
    })
    .await;
    let numbers = [1, 2, 3].map(|n| json!([f64::from(n), 3.0, format!("number {n}")]));
    let expected = (answer("counted to 3"), numbers.to_vec());
    assert_eq!(outcomes, [expected.clone(), expected]);
}

#[tokio::test]
async fn a_question_of_the_server_reaches_the_user_and_the_answer_the_server() {
    for (tool, question, reply) in [
        (
            "ask",
            json!({
                "mode": "form",
                "message": "Who is there?",
                "requestedSchema": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}},
                    "required": ["name"]
                }
            }),
            json!({"action": "accept", "content": {"name": "Ferris"}}),
        ),
        (
            "sample",
            json!({
                "messages": [{"role": "user", "content": {"type": "text", "text": "Say a word."}}],
                "maxTokens": 10
            }),
            json!({
                "model": "m", "role": "assistant", "content": {"type": "text", "text": "crab"}
            }),
        ),
    ] {
        let outcomes = same(async |link| {
            let answer = link.call(tool, &json!({})).await.unwrap();
            let reply: Value = serde_json::from_str(&text_of(&answer)).unwrap();
            let heard: Vec<Value> =
                link.heard().into_iter().map(|question| without("_meta", question)).collect();
            (heard, reply, link.server.seen.calls())
        })
        .await;
        let expected =
            |rounds| (vec![question.clone()], reply.clone(), vec![tool.to_owned(); rounds]);
        assert_eq!(outcomes, [expected(1), expected(2)]);
    }
}

/// The user's own program may take a call back, or just drop it; before the first byte of the
/// answer, and later.
#[tokio::test]
async fn the_server_learns_that_a_call_is_cancelled() {
    let outcomes = same(async |link| {
        let peer = link.client.peer();
        let mut cancelled = 0;
        for speaks in [false, true] {
            let slow = params("slow", &json!({ "speaks": speaks }));
            let request = ClientRequest::CallToolRequest(CallToolRequest::new(slow.clone()));
            let options = PeerRequestOptions::no_options();
            let handle = peer.send_cancellable_request(request, options).await.unwrap();
            link.is_running(cancelled + 1, usize::from(speaks)).await;
            handle.cancel(Some("enough".to_owned())).await.unwrap();
            link.is_cancelled(cancelled + 1).await;

            let other = peer.clone();
            let call = tokio::spawn(async move { other.call_tool(slow).await });
            link.is_running(cancelled + 2, 2 * usize::from(speaks)).await;
            call.abort();
            link.is_cancelled(cancelled + 2).await;
            cancelled += 2;
        }
        link.echo("and on it goes").await
    })
    .await;
    assert_eq!(outcomes, ["and on it goes", "and on it goes"]);
}

/// No limit that is shorter than the silence is one for it.
#[tokio::test]
async fn an_answer_may_be_silent_for_long() {
    assert!(SILENCE > Duration::from_secs(1));
    let short = |setup: Setup| {
        setup
            .limits("head_timeout = \"1s\"\nbody_timeout = \"1s\"\nwrite_timeout = \"1s\"")
            .upstream("connect_timeout = \"1s\"")
    };
    let outcomes = same_with(short, async |link| {
        let silent = async |speaks| link.call("silent", &json!({ "speaks": speaks })).await;
        let (mute, curt) = tokio::join!(silent(false), silent(true));
        [mute, curt].map(|result| without("resultType", result.unwrap()))
    })
    .await;
    let expected = [answer("done"), answer("done")];
    assert_eq!(outcomes, [expected.clone(), expected]);
}

/// It comes on the stream of a GET.
#[tokio::test]
async fn a_notice_that_belongs_to_no_call_arrives() {
    let is_heard = async |link: &Link| {
        link.call("change", &json!({})).await.unwrap();
        !link.heard().is_empty()
    };
    let case = async |link: &Link| {
        eventually("the notice arrives", async || is_heard(link).await).await;
        link.heard()[0].clone()
    };
    assert_eq!(same_in("legacy", |setup| setup, case).await, "changed");
}

#[tokio::test]
async fn a_modern_client_listens_and_leaves() {
    let case = async |link: &Link| {
        let wanted = SubscriptionFilter::builder().tools_list_changed().build();
        let mut subscription = link.client.listen(wanted).await.unwrap();
        let acknowledged = json!(subscription.acknowledged());
        let notice = json!(subscription.next().await.unwrap());
        subscription.cancel().await.unwrap();
        link.is_cancelled(1).await;
        (acknowledged, notice["method"].clone())
    };
    let outcome = same_in("modern", |setup| setup, case).await;
    let method = json!("notifications/tools/list_changed");
    assert_eq!(outcome, (json!({ "toolsListChanged": true }), method));
}

#[tokio::test]
async fn a_client_whose_session_is_gone_opens_another() {
    let outcomes = same(async |link| {
        let first = link.echo("before").await;
        let before = link.server.sessions().await;
        link.server.end_sessions().await;
        assert!(link.server.sessions().await.is_empty(), "{}", link.era);
        let second = link.echo("after").await;
        let after = link.server.sessions().await;
        (first, second, before.len(), after.len(), before == after)
    })
    .await;
    let expected =
        |sessions| ("before".to_owned(), "after".to_owned(), sessions, sessions, sessions == 0);
    assert_eq!(outcomes, [expected(1), expected(0)]);
}

#[tokio::test]
async fn a_client_that_says_goodbye_ends_its_session() {
    for era in ["legacy", "modern"] {
        for setup in [None, Some(&(|setup| setup) as &dyn Fn(Setup) -> Setup)] {
            let link = Link::open(era, setup).await;
            assert_eq!(link.server.sessions().await.len(), usize::from(era == "legacy"));
            link.client.cancel().await.unwrap();
            let is_over = async || link.server.sessions().await.is_empty();
            eventually("the session is over", is_over).await;
        }
    }
}
