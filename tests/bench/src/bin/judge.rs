//! What it costs to judge one body of 300 bytes: read it, compare it with its head, decide.
//! Prints the median of many rounds in nanoseconds.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use doorward::config;
use doorward::core::decide::{Ask, Verdict, decide};
use doorward::core::message::Message;
use doorward::core::principal::PresentedToken;
use doorward::core::revision::{Header, McpHeaders, agree};

const CONFIG: &str = r#"
[upstreams.tickets]
path = "/mcp"
url = "http://127.0.0.1:9/mcp"
[roles.agent]
tools = ["tickets/list_*", "tickets/search_tickets", "tickets/create_ticket"]
[tokens.alice]
sha256 = "295db0545046da79fb81ee057c7054213df2e3dc2a9a83e5e13e65398596d3e2"
user = "alice"
organization = "dev-org"
roles = ["agent"]
expires = "never"
"#;

fn main() {
    let body = include_bytes!("../../call.json").trim_ascii();
    let config = config::parse("bench.toml".as_ref(), CONFIG).expect("a good configuration");
    let token = PresentedToken::from_authorization("Bearer dev-alice-token").expect("a token");
    let principal = config.policy.tokens().identify(token, 0).expect("a principal");
    let route = config.policy.route(b"/mcp").expect("a route");
    let headers = McpHeaders {
        version: Header::One("2026-07-28"),
        method: Header::One("tools/call"),
        name: Header::One("create_ticket"),
    };
    let judge = || {
        let message = Message::read(black_box(body), 64).expect("readable");
        let era = agree(&message, &headers).expect("agreeing");
        match decide(&Arc::clone(&principal), route, Ask::Message(&message, era)) {
            Verdict::Forward(permit) => permit,
            Verdict::Refuse(refusal) => panic!("{refusal:?}"),
        }
    };
    const CALLS: u32 = 20_000;
    let mut rounds: Vec<u128> = (0..51)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..CALLS {
                black_box(judge());
            }
            began.elapsed().as_nanos() / u128::from(CALLS)
        })
        .collect();
    rounds.sort_unstable();
    let (least, median) = (rounds[0], rounds[rounds.len() / 2]);
    println!("judging a body of {} bytes: median {median} ns, minimum {least} ns", body.len());
}
