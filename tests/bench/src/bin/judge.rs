//! What it costs to judge one body of 300 bytes: read it, compare it with its head, decide.
//! Once in the modern era, and once as a legacy call in a session, whose seal is checked. Prints
//! medians of many rounds in nanoseconds.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use doorward::config;
use doorward::core::decide::{Ask, Verdict, Want, decide};
use doorward::core::message::Message;
use doorward::core::principal::PresentedToken;
use doorward::core::revision::{Era, Header, McpHeaders, agree};
use doorward::core::seal::SealKey;

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
    let seal = SealKey::new(&[7; 32]).expect("a key");
    let session = seal.seal_session(&principal, "tickets", "0f3a3dce8305482e83d89a8f16590813");
    let judge = |is_legacy: bool| {
        let message = Message::read(black_box(body), 64).expect("readable");
        let agreed = agree(&message, &headers).expect("agreeing");
        let (era, session) = match is_legacy {
            true => (Era::Legacy, Some(session.as_str())),
            false => (agreed, None),
        };
        let ask = Ask { want: Want::Message(&message, era), session };
        match decide(&seal, &Arc::clone(&principal), route, ask) {
            Verdict::Forward(permit) => permit,
            verdict => panic!("{verdict:?}"),
        }
    };
    for (name, is_legacy) in [("modern", false), ("in a session", true)] {
        measure(name, body.len(), || black_box(judge(is_legacy)));
    }
}

fn measure<T>(name: &str, bytes: usize, mut judge: impl FnMut() -> T) {
    const CALLS: u32 = 20_000;
    let mut rounds: Vec<u128> = (0..51)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..CALLS {
                judge();
            }
            began.elapsed().as_nanos() / u128::from(CALLS)
        })
        .collect();
    rounds.sort_unstable();
    let (least, median) = (rounds[0], rounds[rounds.len() / 2]);
    println!("judging a body of {bytes} bytes, {name}: median {median} ns, minimum {least} ns");
}
