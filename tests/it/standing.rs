//! A stream ends with the rights that it rests on: of a role that is only tried out, and of a key.

use serde_json::json;

use crate::support::issuer::{Signer, Web, claims, key_set, with_issuer, with_keys};
use crate::support::{
    ALICE_AT, Call, Client, Gateway, Next, Setup, Upstream, Wire, echo, eventually, modern,
    sealed_session, sealed_task, sse, tool_call,
};

/// Streams that begin and then say nothing.
fn silent() -> Upstream {
    Upstream::script(|_, wire: &mut Wire| {
        wire.send(sse());
        wire.wait_closed();
        Next::Close
    })
}

const PROGRESS: &str = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":1}}\n\n";

fn open(gateway: &Gateway, call: &Call) -> Client {
    let mut client = gateway.connect();
    client.send(&call.bytes(gateway.address));
    assert_eq!(client.head().status, 200);
    client
}

fn listen(notifications: &str) -> Call {
    modern("subscriptions/listen", &format!(r#""notifications":{{{notifications}}}"#))
}

fn listen_to(uri: &str) -> Call {
    listen(&format!(r#""resourceSubscriptions":["{uri}"]"#))
}

fn get() -> Call {
    Call::empty("GET").header("Mcp-Session-Id", &sealed_session(ALICE_AT, "s-1"))
}

fn closed(kind: &str, reason: &str) -> String {
    format!("doorward_streams_closed_total{{kind=\"{kind}\",reason=\"{reason}\",upstream=\"t\"}}")
}

/// All that comes before the end.
fn rest(client: &mut Client) -> String {
    let parts = std::iter::from_fn(|| client.part());
    parts.map(|part| String::from_utf8(part).unwrap()).collect()
}

/// Records of streams that were ended for this reason.
fn ended(gateway: &Gateway, why: &str, count: usize) {
    let why = format!("the stream was ended: {why}");
    let is_record = |line: &&str| line.contains(r#""kind":"request""#) && line.contains(&why);
    eventually(&why, || gateway.output().lines().filter(is_record).count() == count);
}

#[test]
fn a_stream_ends_with_the_trial_of_the_role_that_permits_it_and_no_other_does() {
    // The head of a call waits for a first event.
    let upstream = Upstream::script(|_, wire: &mut Wire| {
        wire.send(sse());
        wire.chunk(PROGRESS);
        wire.wait_closed();
        Next::Close
    });
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
    // The one would permit more, and the other refuse something.
    let trials = format!(
        "[roles.trial]\ntools = [\"t/x\"]\nmode = \"shadow\"\nuntil = {until:.0}\n\
         [roles.careful]\ndeny_resources = [\"t/docs://secret\"]\nmode = \"shadow\"\nuntil = {until:.0}\n"
    );
    let setup = Setup::new(&upstream).role("trial").role("careful").more(&trials);
    let gateway = setup.upstream("tasks = \"sealed\"\nstream_keep_alive = \"50ms\"").start();
    let task =
        |tool: &str| listen(&format!(r#""taskIds":["{}"]"#, sealed_task(ALICE_AT, tool, "1")));
    let refused = [listen_to("s://b"), listen_to("docs://secret"), task("delete_all")];
    let permitted = [
        listen_to("docs://a"),
        listen(r#""toolsListChanged":true"#),
        task("echo"),
        get(),
        // It was judged and made.
        Call::post(tool_call("delete_all")),
    ];
    let begun = |call: &Call| {
        let mut client = open(&gateway, call);
        assert_eq!(client.part().as_deref(), Some(PROGRESS.as_bytes()));
        client
    };
    let mut ending = refused.each_ref().map(begun);
    let mut staying = permitted.each_ref().map(begun);
    for stream in &mut ending {
        let told = rest(stream);
        assert!(told.lines().all(|line| line == ": keep-alive"), "{told}");
    }
    assert!(jiff::Timestamp::now().as_second() >= until.as_second() - 1);
    gateway.counts(&closed("listen", "changed"), 3.0);
    ended(&gateway, "changed", 3);
    let seen = upstream.requests().len();
    for call in &refused {
        assert_eq!(gateway.ask(call).error().1, -32602);
    }
    assert_eq!(upstream.requests().len(), seen, "they would be refused now");
    // The others are told of, and go on after the same moment.
    let late = until + jiff::SignedDuration::from_secs(1);
    for stream in &mut staying {
        while jiff::Timestamp::now() < late {
            assert_eq!(stream.part().as_deref(), Some(&b": keep-alive\n"[..]));
        }
        assert_eq!(stream.part().as_deref(), Some(&b": keep-alive\n"[..]));
    }
    gateway.counts("doorward_streams_active{kind=\"listen\",upstream=\"t\"}", 3.0);
    gateway.counts("doorward_streams_active{kind=\"get\",upstream=\"t\"}", 1.0);
    gateway.counts("doorward_streams_active{kind=\"call\",upstream=\"t\"}", 1.0);
}

/// Opens a listener, a GET and a call with a JWT, and the same with one of another key.
fn six(gateway: &Gateway, one: &Signer, other: &Signer) -> [Client; 6] {
    let [a, b] = [one, other].map(|signer| signer.sign(&claims()));
    let listener = listen(r#""toolsListChanged":true"#);
    [(&listener, &a), (&get(), &a), (&echo(), &a), (&listener, &b), (&get(), &b), (&echo(), &b)]
        .map(|(call, token)| open(gateway, &call.clone().token(token)))
}

/// The first three have ended, and the others have not.
fn lost(gateway: &Gateway, streams: &mut [Client; 6], why: &str) {
    let [listener, got, call, ..] = streams;
    assert!(rest(listener).contains("Unauthorized"), "{why}");
    assert_eq!(rest(got), "", "{why}");
    assert!(rest(call).contains("Unauthorized"), "{why}");
    for kind in ["listen", "get", "call"] {
        gateway.counts(&closed(kind, "revoked"), 1.0);
        let active = format!("doorward_streams_active{{kind=\"{kind}\",upstream=\"t\"}}");
        gateway.counts(&active, 1.0);
    }
    ended(gateway, why, 3);
}

#[test]
fn a_key_that_its_issuer_no_longer_has_ends_the_streams_that_it_opened_and_no_others() {
    let (gone, stays) = (Signer::es256("a"), Signer::ed25519("b"));
    let another = Signer::es256("a");
    for (left, why) in
        [(vec![stays.jwk()], "unknown_key"), (vec![another.jwk(), stays.jwk()], "bad_signature")]
    {
        // On the web, in a file, and in a file that waits for a word.
        let upstream = silent();
        let web = Web::serving(&[gone.jwk(), stays.jwk()]);
        let source = format!("jwks_url = \"{}\"\nrefresh = \"50ms\"", web.url());
        let gateway = with_issuer(&upstream, &source, "").start();
        let keys = "doorward_jwks_keys{issuer=\"corp\"}";
        gateway.counts(keys, 2.0);
        let mut streams = six(&gateway, &gone, &stays);
        web.answers(key_set(&left));
        lost(&gateway, &mut streams, why);
        assert_eq!(gateway.ask(&echo().token(&gone.sign(&claims()))).status, 401);

        let file = json!({ "keys": left }).to_string();
        let upstream = silent();
        let gateway = with_keys(&upstream, &[gone.jwk(), stays.jwk()], "").start();
        let mut streams = six(&gateway, &gone, &stays);
        assert!(gateway.after_reload(|| gateway.put("jwks.json", &file)));
        lost(&gateway, &mut streams, why);

        let upstream = silent();
        let setup = with_keys(&upstream, &[gone.jwk(), stays.jwk()], "");
        let gateway = setup.more("[reload]\nwidening = \"ack\"\n").start();
        let mut streams = six(&gateway, &gone, &stays);
        gateway.put("jwks.json", &file);
        let text = std::fs::read_to_string(gateway.folder().join("gateway.toml")).unwrap();
        let given = "[tokens.carol-key]\ntools = [\"t/given\"]";
        gateway.put("gateway.toml", &text.replace("[tokens.carol-key]", given));
        lost(&gateway, &mut streams, why);
    }
}

#[test]
fn keys_that_are_fetched_again_end_nothing() {
    let signer = Signer::rs256("a");
    let (upstream, web) = (silent(), Web::serving(&[signer.jwk()]));
    let source = format!("jwks_url = \"{}\"\nrefresh = \"50ms\"", web.url());
    let gateway = with_issuer(&upstream, &source, "").start();
    gateway.counts("doorward_jwks_keys{issuer=\"corp\"}", 1.0);
    let _open = open(&gateway, &get().token(&signer.sign(&claims())));
    // The same key, written otherwise, and beside another.
    let mut same = signer.jwk();
    same["use"] = json!("sig");
    web.answers(key_set(&[Signer::es256("b").jwk(), same]));
    gateway.counts("doorward_jwks_keys{issuer=\"corp\"}", 2.0);
    let before = web.fetches();
    eventually("they are fetched again", || web.fetches() > before + 3);
    gateway.counts("doorward_streams_active{kind=\"get\",upstream=\"t\"}", 1.0);
}

/// What is asked for then is refused, too (503); a call that was made may end.
#[test]
fn keys_that_nobody_could_fetch_for_too_long_end_what_has_no_end() {
    let signer = Signer::es256("a");
    let (upstream, web) = (silent(), Web::serving(&[signer.jwk()]));
    let source = format!("jwks_url = \"{}\"\nrefresh = \"50ms\"\nmax_stale = \"1s\"", web.url());
    let gateway = with_issuer(&upstream, &source, "").start();
    gateway.counts("doorward_jwks_keys{issuer=\"corp\"}", 1.0);
    let token = signer.sign(&claims());
    let mut listener = open(&gateway, &get().token(&token));
    let _call = open(&gateway, &echo().token(&token));
    let before = web.fetches();
    eventually("they stay fresh", || web.fetches() > before + 25);
    gateway.counts("doorward_streams_active{kind=\"get\",upstream=\"t\"}", 1.0);
    web.answers("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(rest(&mut listener), "");
    ended(&gateway, "keys_unavailable", 1);
    gateway.counts("doorward_streams_active{kind=\"call\",upstream=\"t\"}", 1.0);
}
