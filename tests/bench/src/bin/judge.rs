//! What it costs to judge one body of 300 bytes: read it, compare it with its head, decide.
//! Once in the modern era, once as a legacy call in a session, whose seal is checked, and once a body
//! of 1 KiB with 20 conditions on its arguments. Prints medians of many rounds in nanoseconds.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use doorward::config;
use doorward::core::decide::{Ask, Verdict, Want, decide};
use doorward::core::message::Message;
use doorward::core::principal::PresentedToken;
use doorward::core::revision::{Era, Header, McpHeaders, agree};
use doorward::core::seal::SealKey;
use doorward::core::trace::NoTrace;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        let ask = Ask { want: Want::Message(&message, era), session, now: 0 };
        match decide(&seal, &Arc::clone(&principal), route, ask, &mut NoTrace) {
            Verdict::Forward(permit) => permit,
            verdict => panic!("{verdict:?}"),
        }
    };
    with_conditions(&headers, &seal);
    for (name, is_legacy) in [("modern", false), ("in a session", true)] {
        measure(name, body.len(), || black_box(judge(is_legacy)));
    }
}

/// 20 conditions of every kind that hold, on a call of 1 KiB.
fn with_conditions(headers: &McpHeaders<'_>, seal: &SealKey) {
    const KINDS: [(&str, &str); 10] = [
        ("{ in = [\"low\", \"normal\"] }", "\"low\""),
        ("{ not_in = [\"urgent\"] }", "\"low\""),
        ("{ equals = 7 }", "7"),
        ("{ min = 1, max = 100 }", "42"),
        ("{ max_length = 200 }", "\"the one on the third floor again, since this morning\""),
        ("{ max_items = 5 }", "[1,2,3]"),
        ("{ glob = \"/docs/**\" }", "\"/docs/guide/start.md\""),
        ("{ regex = \"[A-Z]+-[0-9]+\" }", "\"TCK-1234\""),
        ("{ equals_user = true }", "\"alice\""),
        ("{ equals_organization = true, optional = true }", "\"dev-org\""),
    ];
    let mut rules = "[tools.\"tickets/create_ticket\"]\n".to_owned();
    let mut arguments = Vec::new();
    for (i, (rule, value)) in KINDS.iter().chain(&KINDS).enumerate() {
        rules += &format!("arguments.\"/field_{i}\" = {rule}\n");
        arguments.push(format!("\"field_{i}\":{value}"));
    }
    let body = |padding: usize| {
        let arguments = format!("{},\"note\":\"{}\"", arguments.join(","), "x".repeat(padding));
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"create_ticket","arguments":{{{arguments}}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
        )
    };
    let body = body(1024 - body(0).len());
    let config = config::parse("bench.toml".as_ref(), &format!("{CONFIG}{rules}")).expect("good");
    let token = PresentedToken::from_authorization("Bearer dev-alice-token").expect("a token");
    let principal = config.policy.tokens().identify(token, 0).expect("a principal");
    let route = config.policy.route(b"/mcp").expect("a route");
    measure("20 conditions", body.len(), || {
        let message = Message::read(black_box(body.as_bytes()), 64).expect("readable");
        let era = agree(&message, headers).expect("agreeing");
        let ask = Ask { want: Want::Message(&message, era), session: None, now: 0 };
        match decide(seal, &principal, route, ask, &mut NoTrace) {
            Verdict::Forward(permit) => permit,
            verdict => panic!("{verdict:?}"),
        }
    });
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
