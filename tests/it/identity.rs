//! Who the upstream is told is calling: always the gateway's word, and never the caller's.

use std::collections::BTreeSet;
use std::process::Command;

use crate::support::{
    ALICE, ALICE_AT, BOB, Call, Gateway, Request, Upstream, echo, modern_call, sealed_session,
    tool_call,
};

const ALWAYS: [&str; 8] = [
    "accept",
    "accept-encoding",
    "content-length",
    "content-type",
    "host",
    "x-organization-id",
    "x-request-id",
    "x-user-id",
];

/// Every header that reached the upstream is on the list, once, and the identity is `user`'s.
fn assert_clean(request: &Request, more: &[&str], user: (&str, &str), what: &str) {
    let mut names: Vec<String> = request.headers().into_iter().map(|(name, _)| name).collect();
    names.sort();
    let mut expected: Vec<&str> = ALWAYS.iter().chain(more).copied().collect();
    expected.sort_unstable();
    assert_eq!(names, expected, "{what}: {}", request.head);
    assert_eq!(request.values("x-user-id"), [user.0], "{what}");
    assert_eq!(request.values("x-organization-id"), [user.1], "{what}");
    assert_eq!(request.values("accept-encoding"), ["identity"], "{what}");
}

const ALICE_IS: (&str, &str) = ("alice", "acme");

#[test]
fn no_header_of_the_caller_changes_who_is_calling() {
    let hostile = [
        vec![("X-User-ID", "root")],
        vec![("x-user-id", "root")],
        vec![("X-USER-ID", "")],
        vec![("X-User-ID", "root"), ("x-User-Id", "admin")],
        vec![("X-User-ID", "mallory, alice"), ("X-Organization-ID", "globex")],
        vec![("x_user_id", "root"), ("X_ORGANIZATION_ID", "globex")],
        vec![("X.User.ID", "root"), ("X-User_ID", "root")],
        vec![("X-Forwarded-User", "root"), ("X-Forwarded-For", "10.0.0.1")],
        vec![("Forwarded", "for=10.0.0.1;host=evil"), ("X-Forwarded-Host", "evil")],
        vec![("X-Real-IP", "10.0.0.1"), ("X-Original-URL", "/admin"), ("X-Rewrite-URL", "/x")],
        vec![("mcp-init-host", "evil"), ("router-key", "1"), ("X-HTTP-Method-Override", "GET")],
        vec![("Cookie", "session=1"), ("X-API-Key", "k"), ("Proxy-Authorization", "Basic eDp5")],
        vec![("Connection", "X-User-ID")],
        vec![("Connection", "close, X-User-ID, authorization, x-organization-id")],
        vec![("Connection", "content-type"), ("Connection", "X-Junk"), ("X-Junk", "1")],
        vec![("Connection", "\"X-User-ID\"")],
        vec![("Keep-Alive", "timeout=5"), ("TE", "trailers"), ("Proxy-Connection", "close")],
        vec![("X-Request-ID", "theirs"), ("Via", "1.1 evil"), ("Max-Forwards", "0")],
        vec![("Mcp-Method", "tools/list"), ("Mcp-Name", "delete_all"), ("Mcp-Param-X", "1")],
        vec![("Origin-Agent", "x"), ("Range", "bytes=0-1"), ("If-None-Match", "\"x\"")],
    ];
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for headers in hostile {
        let before = upstream.requests().len();
        let call = headers.iter().fold(echo(), |call, (name, value)| call.header(name, value));
        let answer = gateway.ask(&call);
        assert_eq!(answer.status, 200, "{headers:?}: {}", answer.text());
        let requests = upstream.requests();
        assert_eq!(requests.len(), before + 1, "{headers:?}");
        let request = requests.last().unwrap();
        assert_clean(request, &[], ALICE_IS, &format!("{headers:?}"));
        assert!(!request.head.contains(ALICE), "the token went upstream");
        assert_ne!(request.values("x-request-id"), ["theirs"]);
    }
}

#[test]
fn a_hundred_or_huge_identity_headers_are_gone_or_refused() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let many = (0..100).fold(echo(), |call, _| call.header("X-User-ID", "root"));
    let huge = echo().header("X-User-ID", &"r".repeat(7_000));
    for call in [many, huge] {
        let before = upstream.requests().len();
        let answer = gateway.ask(&call);
        let requests = upstream.requests();
        match answer.status {
            200 => assert_clean(requests.last().unwrap(), &[], ALICE_IS, "many"),
            status => {
                assert!([400, 431].contains(&status), "{status}");
                assert_eq!(requests.len(), before);
            }
        }
    }
}

/// I5, H11: what stands behind the body is not a head.
#[test]
fn trailers_never_reach_the_upstream() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let call = echo().chunked(7).header("Trailer", "X-User-ID");
    let mut bytes = call.bytes(gateway.address);
    bytes.truncate(bytes.len() - 2);
    bytes.extend_from_slice(
        b"X-User-ID: root\r\nAuthorization: Bearer x\r\nContent-Length: 3\r\n\r\n",
    );
    let answer = gateway.ask_raw(&bytes).expect("an answer");
    if answer.status == 200 {
        assert_clean(&upstream.only_request(), &[], ALICE_IS, "trailers");
    } else {
        assert_eq!(answer.status, 400);
        upstream.assert_untouched("trailers");
    }
}

#[test]
fn each_token_carries_its_own_user_and_organization() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    assert_eq!(client.ask(&echo()).status, 200);
    assert_eq!(client.ask(&Call::post(tool_call("delete_all")).token(BOB)).status, 200);
    let requests = upstream.requests();
    assert_clean(&requests[0], &[], ALICE_IS, "alice");
    assert_clean(&requests[1], &[], ("bob", "globex"), "bob");
}

#[test]
fn the_upstream_gets_its_own_authority_and_path() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    assert_eq!(gateway.ask(&echo().target("/mcp?_method=DELETE&access_token=x")).status, 200);
    let request = upstream.only_request();
    assert_eq!(request.line(), "POST /backend/mcp HTTP/1.1");
    assert_eq!(request.values("host"), [upstream.address.to_string()]);
}

#[test]
fn protocol_headers_pass_in_their_own_era_only() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let decorate = |call: Call| {
        call.header("Mcp-Session-Id", &sealed_session(ALICE_AT, "session-5f3a"))
            .header("Last-Event-ID", "7")
            .header("Mcp-Param-Region", "eu")
            .header("Mcp-Param-User_Id", "root")
            .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .header("tracestate", "a=1")
    };
    let legacy = decorate(echo().header("MCP-Protocol-Version", "2025-11-25"));
    assert_eq!(gateway.ask(&legacy).status, 200);
    assert_eq!(gateway.ask(&decorate(modern_call("echo"))).status, 200);
    let requests = upstream.requests();
    let both = ["mcp-protocol-version", "traceparent", "tracestate"];
    let legacy = [&both[..], &["mcp-session-id", "last-event-id"]].concat();
    assert_clean(&requests[0], &legacy, ALICE_IS, "legacy");
    let modern = [&both[..], &["mcp-method", "mcp-name", "mcp-param-region"]].concat();
    assert_clean(&requests[1], &modern, ALICE_IS, "modern");
}

#[test]
fn the_answer_and_the_upstream_name_the_same_request_id() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let answer = gateway.ask(&echo());
    assert_eq!(
        upstream.only_request().values("x-request-id"),
        [answer.header("x-request-id").unwrap()]
    );
}

/// Whatever the gateway comes to pass on or write later is on the list of names that are taken.
#[test]
fn no_header_that_reaches_an_upstream_anyway_can_be_configured() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let decorate = |call: Call| {
        let sealed = sealed_session(ALICE_AT, "session-5f3a");
        let pairs = [
            ("Mcp-Session-Id", &*sealed),
            ("Last-Event-ID", "7"),
            ("Mcp-Param-Region", "eu"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("tracestate", "a=1"),
            ("baggage", "a=1"),
            ("b3", "0"),
            ("Accept-Language", "en"),
            ("User-Agent", "agent"),
            ("X-Forwarded-For", "10.0.0.1"),
        ];
        pairs.into_iter().fold(call, |call, (name, value)| call.header(name, value))
    };
    let legacy = decorate(echo().header("MCP-Protocol-Version", "2025-11-25"));
    for call in [legacy, decorate(modern_call("echo")), decorate(Call::empty("GET"))] {
        gateway.ask(&call);
    }
    let requests = upstream.requests();
    assert_eq!(requests.len(), 3);
    let reached = requests.iter().flat_map(Request::headers).map(|(name, _)| name);
    let reached: BTreeSet<String> = reached.filter(|name| !is_ours(name)).collect();
    assert!(reached.len() >= 13, "{reached:?}");
    let path = gateway.folder().join("gateway.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    let check = |text: &str| {
        gateway.put("tried.toml", text);
        let mut check = Command::new(env!("CARGO_BIN_EXE_doorward"));
        check.arg("check").arg("--config").arg(gateway.folder().join("tried.toml"));
        let output = check.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for name in &reached {
        for lines in [
            format!("[identity]\nuser_header = \"{name}\"\n"),
            format!("[identity]\norganization_header = \"{}\"\n", name.to_uppercase()),
            format!("[identity]\nassertion = {{ header = \"{name}\", key_file = \"k\" }}\n"),
            format!(
                "[upstreams.u]\npath = \"/u\"\nurl = \"http://127.0.0.1:9/\"\ncredential = {{ header = \"{name}\", env = \"PATH\" }}\n"
            ),
        ] {
            let (code, said) = check(&format!("{good}{lines}"));
            assert_eq!(code, Some(2), "{lines}");
            assert!(said.contains("has its own meaning between gateway"), "{lines}: {said}");
        }
    }
    let rest = "[identity]\nuser_header = \"Traceparent\"\n";
    assert!(!gateway.after_reload(|| gateway.put("gateway.toml", &format!("{good}{rest}"))));
    assert_eq!(gateway.ask(&decorate(echo())).status, 200);
    assert_eq!(upstream.requests().last().unwrap().values("x-user-id"), ["alice"]);
}

fn is_ours(name: &str) -> bool {
    ["x-user-id", "x-organization-id"].contains(&name)
}
