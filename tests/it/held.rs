//! A file that gives somebody more waits for a word; what it takes away does not.

use serde_json::json;

use crate::support::issuer::{PUBLIC, Signer, claims, with_keys};
use crate::support::{
    ALICE, ALICE_AT, BOB, Call, Client, Gateway, Next, Setup, Upstream, Wire, echo, eventually,
    sealed_session, sse, tool_call,
};

const ACK: &str = "[reload]\nwidening = \"ack\"\n";

/// What a file gives that is to be held: carol may use something.
const GIVE: (&str, &str) = ("[tokens.carol-key]", "[tokens.carol-key]\ntools = [\"t/given\"]");

fn carol() -> Call {
    Call::post(tool_call("given")).token(crate::support::gateway::CAROL)
}

fn text(gateway: &Gateway) -> String {
    std::fs::read_to_string(gateway.folder().join("gateway.toml")).unwrap()
}

fn edited(text: &str, edits: &[(&str, &str)]) -> String {
    edits.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

/// Saves a file that is held.
fn hold(gateway: &Gateway, text: &str) {
    let before = gateway.events("config.held").len();
    gateway.put("gateway.toml", text);
    eventually("it is held", || gateway.events("config.held").len() > before);
}

fn is_let_through(gateway: &Gateway, call: &Call) -> bool {
    let answer = gateway.ask(call);
    let text = answer.text();
    answer.status == 200 && !text.contains("\"error\"") && !text.contains("\"isError\":true")
}

#[test]
fn what_a_held_file_takes_away_is_gone_at_once_and_what_it_gives_is_not_there() {
    let upstream = Upstream::good();
    let digest = crate::support::gateway::sha256(ALICE);
    let other = "ab".repeat(32);
    let host = "allowed_hosts = [\"gw.example\"]";
    let gateway = Setup::new(&upstream).server(host).more(ACK).start();
    let whole = text(&gateway);
    let call = echo();
    let past = "[tokens.alice-key]\nrevoked = 2020-01-01T00:00:00Z";
    let never = "organization = \"acme\"\nroles = [\"reader\"]\nexpires = \"never\"";
    let over = never.replace("\"never\"", "2020-01-01");
    let facts = "[tools.\"t/echo\"]\narguments.\"/text\" = { in = [\"x\"] }\n[limits]";
    let when =
        "[[roles.reader.when]]\ntools = [\"t/echo\"]\narguments.\"/p\" = { in = [1] }\n[limits]";
    let host = echo().header("Host", "gw.example");
    for (from, to, call, status) in [
        ("[tokens.alice-key]", past, &call, 401),
        (never, &over, &call, 401),
        (&digest, &other, &call, 401),
        ("[tokens.alice-key]", "[tokens.alice-other]\nrevoked = 2020-01-01", &call, 401),
        ("roles = [\"reader\"]", "roles = []", &call, 200),
        ("\"t/echo\", ", "", &call, 200),
        ("[roles.reader]", "[roles.reader]\ndeny = [\"t/e*\"]", &call, 200),
        ("[limits]", facts, &call, 200),
        ("[limits]", when, &call, 200),
        ("path = \"/mcp\"", "path = \"/other\"", &call, 404),
        ("allowed_hosts = [\"gw.example\"]", "", &host, 421),
    ] {
        assert!(is_let_through(&gateway, call), "{to}: before");
        let seen = upstream.requests().len();
        hold(&gateway, &edited(&whole, &[(from, to), GIVE]));
        let answer = gateway.ask(call);
        assert_eq!(answer.status, status, "{to}: {}", answer.text());
        assert!(!is_let_through(&gateway, call), "{to}");
        assert!(!is_let_through(&gateway, &carol()), "{to}: what it gives");
        assert_eq!(upstream.requests().len(), seen, "{to}: nothing of it reached the upstream");
        // What neither touches goes on.
        let bob = Call::post(tool_call("delete_all")).token(BOB);
        assert!(status == 404 || is_let_through(&gateway, &bob), "{to}: bob");
        // A file that is broken gives nothing back.
        assert!(!gateway.after_reload(|| gateway.put("gateway.toml", "broken")), "{to}");
        assert!(!is_let_through(&gateway, call), "{to}: behind a broken file");
        eventually("it can no longer be said yes to", || {
            let config = &gateway.status()["config"];
            config["held"].is_null() && config["narrowed_by"].is_string()
        });
        // What is put back is what was taken, and waits for nobody.
        assert!(gateway.after_reload(|| gateway.put("gateway.toml", &whole)), "{to}: put back");
        let narrowed = || gateway.status()["config"]["narrowed_by"].is_string();
        eventually("nothing is narrowed any more", || !narrowed());
        assert!(is_let_through(&gateway, call), "{to}: put back");
    }
}

#[test]
fn who_says_yes_gets_what_was_held_and_the_list_shows_only_what_both_allow() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).more(ACK).start();
    let take = ("\"t/echo\", \"t/read\"", "\"t/read\", \"t/delete_all\"");
    let list = || gateway.ask(&Call::post(crate::support::LIST)).text();
    assert!(list().contains("\"echo\"") && !list().contains("delete_all"), "{}", list());
    hold(&gateway, &edited(&text(&gateway), &[take]));
    assert!(!list().contains("\"echo\"") && !list().contains("delete_all"), "{}", list());
    let held = gateway.status()["config"]["held"]["revision"].as_str().unwrap().to_owned();
    let (code, told) = gateway.command(&["diff"]);
    assert!(code == Some(1) && told.contains("what it takes away is in force"), "{told}");
    let (code, told) = gateway.command(&["reload"]);
    assert!(code == Some(1) && told.contains("takes away is in force"), "{told}");
    // Records say which two files decided.
    gateway.ask(&echo());
    eventually("a record of both", || gateway.output().contains(&format!("+{held}\"")));
    assert_eq!(gateway.command(&["reload", "--ack"]).0, Some(0));
    assert!(list().contains("delete_all"), "{}", list());
    assert_eq!(gateway.status()["config"]["revision"], held);
}

#[test]
fn a_held_file_ends_the_streams_of_those_whom_it_revokes_and_no_others() {
    let upstream = Upstream::script(|_, wire: &mut Wire| {
        wire.send(sse());
        wire.wait_closed();
        Next::Close
    });
    let gateway = Setup::new(&upstream).permit(&["delete_all"]).more(ACK).start();
    let open = |call: &Call| -> Client {
        let mut client = gateway.connect();
        client.send(&call.bytes(gateway.address));
        assert_eq!(client.head().status, 200);
        client
    };
    let get = Call::empty("GET").header("Mcp-Session-Id", &sealed_session(ALICE_AT, "s-1"));
    let mut listener = open(&get);
    let mut caller = open(&echo());
    let _other = open(&Call::post(tool_call("delete_all")).token(BOB));
    let revoked = ("[tokens.alice-key]", "[tokens.alice-key]\nrevoked = 2020-01-01");
    hold(&gateway, &edited(&text(&gateway), &[revoked, GIVE]));
    assert_eq!(listener.part(), None);
    assert!(String::from_utf8(caller.part().unwrap()).unwrap().contains("Unauthorized"));
    gateway.counts("doorward_streams_active{kind=\"call\",upstream=\"t\"}", 1.0);
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn a_held_file_takes_away_from_callers_with_a_jwt() {
    let (upstream, signer, other) = (Upstream::good(), Signer::es256("k"), Signer::es256("o"));
    let keys = [signer.jwk(), other.jwk()];
    let gateway = with_keys(&upstream, &keys, ACK).start();
    let whole = text(&gateway);
    let call = echo().token(&signer.sign(&claims()));
    let groups = "roles_map = { mcp-readers = \"reader\" }";
    let start = whole.find("[issuers.corp]").unwrap();
    let issuer = whole[start..].split("[reload]").next().unwrap();
    const WAITS: &str = "by the configuration that waits: ";
    for (from, to, status, said) in [
        (groups, "roles_map = { staff-of-old = \"reader\" }", 200, "groups: expected ".to_owned()),
        (
            "organization_claim = \"org\"",
            "organization_claim = \"nothing\"",
            401,
            format!("{WAITS}nothing: expected one text "),
        ),
        (
            &*format!("public_url = \"{PUBLIC}\""),
            "public_url = \"https://other.example\"",
            401,
            format!("{WAITS}aud: expected "),
        ),
        (issuer, "", 401, format!("{WAITS}iss is not known")),
    ] {
        assert!(is_let_through(&gateway, &call), "{to}: before");
        let seen = upstream.requests().len();
        hold(&gateway, &edited(&whole, &[(from, to), GIVE]));
        let answer = gateway.ask(&call.clone().header("Host", &gateway.address.to_string()));
        assert_eq!(answer.status, status, "{to}: {}", answer.text());
        assert!(!is_let_through(&gateway, &call), "{to}");
        assert_eq!(upstream.requests().len(), seen, "{to}");
        let said = format!("\"detail\":\"{said}");
        eventually("the record says why", || gateway.output().contains(&said));
        assert!(gateway.after_reload(|| gateway.put("gateway.toml", &whole)), "{to}");
    }
    // A key that is gone, beside one that stays.
    let second = echo().token(&other.sign(&claims()));
    gateway.put("jwks.json", &json!({"keys": [other.jwk()]}).to_string());
    let held = edited(&whole, &[GIVE]);
    hold(&gateway, &held);
    eventually("the key is gone", || gateway.ask(&call).status == 401);
    assert!(is_let_through(&gateway, &second), "the other one stays");
}

#[test]
fn to_revoke_is_in_force_when_the_verb_says_so_whatever_else_the_file_gives() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).more(ACK).start();
    hold(&gateway, &edited(&text(&gateway), &[GIVE]));
    assert!(is_let_through(&gateway, &echo()));
    let (code, told) = gateway.command(&["token", "list"]);
    assert!(code == Some(0) && told.contains("holds it"), "{told}");
    let (code, told) = gateway.command(&["token", "revoke", "alice-key", "--write"]);
    assert!(code == Some(0) && told.contains("In force: at"), "{told}");
    assert_eq!(gateway.ask(&echo()).status, 401);
    assert!(!is_let_through(&gateway, &carol()), "nobody has said yes");
    assert_eq!(upstream.requests().len(), 1);
    // Said again, it is asked again.
    let (code, told) = gateway.command(&["token", "revoke", "alice-key", "--write"]);
    assert!(code == Some(0) && told.contains("In force: at"), "{told}");
    // A new one is told to wait.
    let out = gateway.folder().join("secret").display().to_string();
    let new = ["token", "new", "dave", "--user", "d", "--organization", "o", "--role", "reader"];
    let (code, told) = gateway.command(&[&new[..], &["--write", "--out", &out]].concat());
    assert!(code == Some(1) && told.contains("held: at"), "{told}");
}

#[test]
fn to_revoke_is_in_force_in_a_file_that_the_gateway_refuses() {
    let upstream = Upstream::good();
    let open = "plaintext = \"behind-proxy\"\nallowed_hosts = [\"gw\"]";
    let gateway = Setup::new(&upstream).server(open).listen("0.0.0.0:0").start();
    // Good for whoever reads it, and not for a process that others can reach.
    let demo = crate::support::gateway::sha256("dev-alice-token");
    let carol = crate::support::gateway::sha256(crate::support::gateway::CAROL);
    let edits = [(&*carol, &*demo), ("0.0.0.0:0", "127.0.0.1:0"), (open, "")];
    let bad = edited(&text(&gateway), &edits);
    assert!(!gateway.after_reload(|| gateway.put("gateway.toml", &bad)));
    let (code, told) = gateway.command(&["token", "revoke", "alice-key", "--write"]);
    assert!(code == Some(0) && told.contains("In force"), "{told}");
    assert_eq!(gateway.ask(&echo()).status, 401);
    gateway.put("gateway.toml", "broken");
    let (code, told) = gateway.command(&["token", "revoke", "bob-key", "--write"]);
    assert!(code == Some(2) && told.contains("`bob-key` is NOT revoked"), "{told}");
}

#[test]
fn where_requests_go_and_what_is_recorded_waits_and_what_only_costs_does_not() {
    let (upstream, other) = (Upstream::good(), Upstream::good());
    let gateway = Setup::new(&upstream).more(ACK).start();
    let whole = text(&gateway);
    let (old, new) = (upstream.address.to_string(), other.address.to_string());
    for (from, to) in [
        (&*old, &*new),
        ("[limits]", "[identity]\nuser_header = \"x-somebody\"\n[limits]"),
        ("[limits]", "[limits]\njson_depth = 65"),
    ] {
        hold(&gateway, &edited(&whole, &[(from, to)]));
        let seen = upstream.requests().len();
        assert!(is_let_through(&gateway, &echo()), "{to}: it goes on as before");
        assert_eq!(upstream.requests().len(), seen + 1, "{to}");
        assert!(other.requests().is_empty(), "{to}: nothing goes elsewhere");
        let (code, told) = gateway.command(&["diff"]);
        assert!(code == Some(1) && told.lines().any(|line| line.starts_with("+ ")), "{told}");
    }
    hold(&gateway, &edited(&whole, &[(&old, &new)]));
    assert_eq!(gateway.command(&["reload", "--ack"]).0, Some(0));
    assert!(is_let_through(&gateway, &echo()));
    assert_eq!(other.requests().len(), 1, "somebody has said yes");
    let less = edited(&text(&gateway), &[("[limits]", "[limits]\njson_depth = 63")]);
    assert!(gateway.after_reload(|| gateway.put("gateway.toml", &less)), "nobody is asked");
    let changes = gateway.status()["config"]["last_reload"]["changes"].to_string();
    assert!(changes.contains("limits.json_depth: is 63 and was 64"), "{changes}");
}

/// Nothing needs a gateway that runs.
#[test]
fn to_revoke_where_no_gateway_runs_is_done_and_says_so() {
    let folder = tempfile::TempDir::new().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (admin, said) in [(None, "No gateway was asked"), (Some(closed), "No gateway answers")] {
        let file = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [upstreams.t]\npath = \"/t\"\nurl = \"http://127.0.0.1:9/mcp\"\n[tokens.bob]\nsha256 = \"{}\"\n\
             user = \"bob\"\norganization = \"acme\"\nexpires = \"never\"\n",
            crate::support::gateway::sha256(BOB)
        );
        let path = folder.path().join("gateway.toml");
        std::fs::write(&path, file).unwrap();
        let mut doorward = std::process::Command::new(env!("CARGO_BIN_EXE_doorward"));
        doorward.args(["token", "revoke", "bob", "--write", "--config"]).arg(&path);
        doorward.args(admin.map(|admin| format!("--admin={admin}")));
        let output = doorward.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && told.contains(said), "{told}");
        assert!(std::fs::read_to_string(&path).unwrap().contains("revoked = "));
    }
}

#[test]
fn nothing_to_take_behind_a_broken_file_is_a_mistake_of_the_file() {
    let gateway = Setup::new(&Upstream::good()).more(ACK).start();
    let (code, told) = gateway.command(&["reload", "--ack"]);
    assert!(code == Some(1) && told.contains("nothing is held"), "{told}");
    assert!(!gateway.edit(ACK, "[reload\nwidening = \"ack\"\n"));
    let (code, told) = gateway.command(&["reload", "--ack"]);
    assert!(code == Some(2) && told.contains("nothing is held"), "{code:?} {told}");
    assert!(told.contains("gateway.toml:") && told.contains("stays in use"), "{told}");
}
