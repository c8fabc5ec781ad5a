//! Another configuration without a restart: all of it or nothing of it.

use std::time::{Duration, Instant};

use crate::support::{
    ALICE_AT, BOB, Call, Client, Gateway, LIST, Next, Response, Setup, Upstream, Wire, echo,
    eventually, sealed_session, sse, tool_call,
};

/// How the file says what alice may call.
const GRANT: &str = "[\"t/echo\", \"t/read\"]";

const ALICES_KEY: &str = "[tokens.alice-key]";

fn delete_all() -> Call {
    Call::post(tool_call("delete_all"))
}

fn is_refused(answer: &Response) -> bool {
    answer.status == 200 && answer.text().contains("Unknown tool")
}

/// Streams that begin and then say nothing.
fn silent() -> Upstream {
    Upstream::script(|_, wire: &mut Wire| {
        wire.send(sse());
        wire.wait_closed();
        Next::Close
    })
}

fn get() -> Call {
    Call::empty("GET").header("Mcp-Session-Id", &sealed_session(ALICE_AT, "s-1"))
}

fn open(gateway: &Gateway, call: &Call) -> Client {
    let mut client = gateway.connect();
    client.send(&call.bytes(gateway.address));
    assert_eq!(client.head().status, 200);
    client
}

#[test]
fn a_saved_file_holds_without_a_restart_and_the_connections_stay() {
    // An idle connection is closed after 4 seconds, and a busy machine may take longer to reload.
    let is_quick = |_: &usize| !holds_with_its_connections();
    assert!((0..5).take_while(is_quick).count() < 5, "it never reloaded within 4 seconds");
}

/// False where it took so long that the connection may have been closed for its age.
fn holds_with_its_connections() -> bool {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    assert!(is_refused(&client.ask(&delete_all())));
    assert_eq!(client.ask(&echo()).status, 200);
    let called = Instant::now();
    assert!(gateway.edit(GRANT, "[\"t/delete_all\"]"));
    assert!(!is_refused(&client.ask(&delete_all())));
    let is_young = called.elapsed() < Duration::from_secs(3);
    assert!(is_refused(&client.ask(&echo())));
    assert_eq!(gateway.metric("doorward_config_reloads_total{result=\"success\"}"), 1.0);
    let connections: Vec<_> = upstream.requests().iter().map(|r| r.connection).collect();
    if is_young {
        assert_eq!(connections, [0, 0], "one connection to the upstream before and after");
    }
    is_young
}

#[test]
fn a_broken_file_changes_nothing_and_is_told_with_line_and_column() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let before = gateway.metric("doorward_config_hash");
    assert!(!gateway.edit(GRANT, "[\"t/delete_all\"]\ntolls = []"));
    assert!(is_refused(&gateway.ask(&delete_all())));
    assert_eq!(gateway.ask(&echo()).status, 200);
    let said = gateway.events("config.error")[0]["message"].to_string();
    assert!(said.contains("gateway.toml:") && said.contains("unknown key `tolls`"), "{said}");
    let place = said.split("gateway.toml:").nth(1).unwrap();
    assert!(place.split(':').take(2).all(|n| n.parse::<usize>().is_ok()), "{said}");
    assert_eq!(gateway.metric("doorward_config_reloads_total{result=\"failure\"}"), 1.0);
    assert_eq!(gateway.metric("doorward_config_last_reload_successful"), 0.0);
    assert_eq!(gateway.metric("doorward_config_hash"), before);
    let status = gateway.status();
    assert_eq!(status["config"]["last_reload"]["successful"], false);
    let errors = status["config"]["last_reload"]["errors"].to_string();
    assert!(errors.contains("unknown key `tolls`"), "{errors}");
    assert_eq!(gateway.admin("/readyz").0, 200);
    // What is mended is taken.
    assert!(gateway.edit("\ntolls = []", ""));
    assert!(!is_refused(&gateway.ask(&delete_all())));
    assert_eq!(gateway.metric("doorward_config_last_reload_successful"), 1.0);
    assert_eq!(gateway.status()["config"]["last_reload"]["successful"], true);
}

#[test]
fn a_file_that_is_cut_or_empty_or_no_text_or_gone_changes_nothing() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let path = gateway.folder().join("gateway.toml");
    let whole = std::fs::read_to_string(&path).unwrap();
    let acts: [&dyn Fn(); 4] = [
        &|| gateway.put("gateway.toml", &whole[..whole.len() / 2]),
        &|| gateway.put("gateway.toml", ""),
        &|| std::fs::write(&path, [0xff, 0xfe, 0]).unwrap(),
        &|| std::fs::remove_file(&path).unwrap(),
    ];
    for (i, act) in acts.into_iter().enumerate() {
        assert!(!gateway.after_reload(act), "case {i}");
        assert_eq!(gateway.ask(&echo()).status, 200, "case {i}");
        assert!(is_refused(&gateway.ask(&delete_all())), "case {i}");
    }
}

#[test]
fn a_file_that_it_names_counts_as_much_as_the_file_itself() {
    let upstream = Upstream::good();
    let line = "credential = { bearer_file = \"secret\" }";
    let gateway = Setup::new(&upstream).upstream(line).file("secret", "first\n").start();
    assert_eq!(gateway.ask(&echo()).status, 200);
    assert!(gateway.after_reload(|| gateway.put("secret", "second\n")));
    assert_eq!(gateway.ask(&echo()).status, 200);
    let sent: Vec<_> = upstream.requests().iter().flat_map(|r| r.values("authorization")).collect();
    assert_eq!(sent, ["Bearer first", "Bearer second"]);
    assert!(!gateway.after_reload(|| gateway.put("secret", "two\nlines\n")));
    assert_eq!(gateway.ask(&echo()).status, 200);
    for word in ["first", "second", "two"] {
        assert!(!gateway.output().contains(word), "{word} was printed");
    }
}

#[test]
fn records_beside_the_configuration_do_not_have_it_read_again_and_again() {
    const LENGTH: usize = 2 << 20;
    let upstream = Upstream::good();
    let large = format!("# {}\n", "x".repeat(LENGTH));
    let gateway = Setup::new(&upstream)
        .include("tokens-*.toml")
        .file("tokens-large.toml", &large)
        .more("[audit]\nto = \"file\"\nfile = \"audit.jsonl\"\n")
        .start();
    let read = || {
        let text = std::fs::read_to_string(format!("/proc/{}/io", gateway.pid())).unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
        count.parse::<usize>().unwrap()
    };
    let before = read();
    let began = Instant::now();
    let mut client = gateway.connect();
    let records = || std::fs::read_to_string(gateway.folder().join("audit.jsonl")).unwrap();
    // The files were looked at every half a second.
    while began.elapsed() < Duration::from_secs(3) {
        let count = records().lines().count();
        assert_eq!(client.ask(&echo()).status, 200);
        eventually("its record is there", || records().lines().count() > count);
    }
    assert!(read() - before < 2 * LENGTH, "{} bytes", read() - before);
    // What is changed is noticed all the same.
    let token = format!(
        "[tokens.new]\nsha256 = \"{}\"\nuser = \"n\"\norganization = \"o\"\nexpires = \"never\"\n",
        "cd".repeat(32)
    );
    assert!(gateway.after_reload(|| gateway.put("tokens-more.toml", &token)));
}

/// A volume of Kubernetes: the file is a link to `..data/…`, `..data` a link that is replaced.
#[test]
fn a_swapped_link_is_noticed() {
    use std::os::unix::fs::symlink;
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let folder = gateway.folder();
    let text = std::fs::read_to_string(folder.join("gateway.toml")).unwrap();
    for (version, text) in [("1", text.clone()), ("2", text.replace(GRANT, "[\"t/delete_all\"]"))] {
        std::fs::create_dir(folder.join(version)).unwrap();
        std::fs::write(folder.join(version).join("gateway.toml"), text).unwrap();
    }
    let point_to = |version| {
        symlink(version, folder.join("..new")).unwrap();
        std::fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    };
    point_to("1");
    symlink("..data/gateway.toml", folder.join(".link")).unwrap();
    std::fs::rename(folder.join(".link"), folder.join("gateway.toml")).unwrap();
    assert!(is_refused(&gateway.ask(&delete_all())));
    assert!(gateway.after_reload(|| point_to("2")));
    assert!(!is_refused(&gateway.ask(&delete_all())));
}

#[test]
fn sighup_reads_the_file_again_even_where_nothing_has_changed() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    assert!(gateway.after_reload(|| gateway.signal("-HUP")));
    assert_eq!(gateway.ask(&echo()).status, 200);
}

#[test]
fn what_needs_a_restart_is_named() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    assert!(gateway.edit("threads = 2", "threads = 3"));
    let warned = gateway.events("config.restart_needed");
    assert_eq!(warned[0]["key"], "server.threads");
    assert_eq!(gateway.status()["config"]["restart_needed"][0], "server.threads");
    assert!(gateway.edit("threads = 3", "threads = 2"));
    assert_eq!(gateway.status()["config"]["restart_needed"], serde_json::json!([]));
}

#[test]
fn a_revoked_token_ends_its_streams_and_no_others_and_is_told_so() {
    let revoked = format!("{ALICES_KEY}\nrevoked = 2020-01-01T00:00:00Z");
    let another = format!("{ALICES_KEY}\nsha256 = \"{}\"\n#", "ab".repeat(32));
    let secret = format!("{ALICES_KEY}\nsha256");
    for (from, to, name) in [(ALICES_KEY, &revoked, "revoked"), (&secret, &another, "taken out")] {
        let upstream = silent();
        let gateway = Setup::new(&upstream).permit(&["delete_all"]).start();
        let mut listener = open(&gateway, &get());
        let mut caller = open(&gateway, &echo());
        let others = Call::post(tool_call("delete_all")).token(BOB);
        let _other = open(&gateway, &others);
        assert!(gateway.edit(from, to), "{name}");
        assert_eq!(listener.part(), None, "{name}: the stream has a proper end");
        let last = String::from_utf8(caller.part().unwrap()).unwrap();
        assert!(last.contains("Unauthorized") && last.contains("\"id\":1"), "{name}: {last}");
        assert_eq!(caller.part(), None, "{name}");
        for kind in ["get", "call"] {
            let closed = format!(
                "doorward_streams_closed_total{{kind=\"{kind}\",reason=\"revoked\",upstream=\"t\"}}"
            );
            gateway.counts(&closed, 1.0);
        }
        let answer = gateway.ask(&echo());
        assert_eq!(answer.status, 401, "{name}");
        assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"));
        assert_eq!(
            gateway.metric("doorward_auth_total{result=\"revoked\",scheme=\"token\"}"),
            1.0,
            "{name}"
        );
        let records = gateway.audit(3);
        assert_eq!(records[2]["reason"], "revoked", "{name}");
        assert_eq!(records[2]["token"], "alice-key", "{name}");
        assert_eq!(upstream.requests().len(), 3, "{name}: nothing of it reached the upstream");
        let active = "doorward_streams_active{kind=\"call\",upstream=\"t\"}";
        gateway.counts(active, 1.0);
    }
}

#[test]
fn other_rights_end_a_stream_without_an_end_and_leave_calls_alone() {
    let upstream = silent();
    let gateway = Gateway::before(&upstream);
    let mut listener = open(&gateway, &get());
    let _caller = open(&gateway, &echo());
    assert!(gateway.edit(GRANT, "[\"t/read\"]"));
    assert_eq!(listener.part(), None);
    let closed = "doorward_streams_closed_total{kind=\"get\",reason=\"changed\",upstream=\"t\"}";
    gateway.counts(closed, 1.0);
    gateway.counts("doorward_streams_active{kind=\"call\",upstream=\"t\"}", 1.0);
    // The next one is one of the new rights.
    let _again = open(&gateway, &get());
}

#[test]
fn a_stream_without_an_end_does_not_outlive_its_upstream() {
    let (upstream, other) = (silent(), silent());
    let gateway = Gateway::before(&upstream);
    let mut listener = open(&gateway, &get());
    let (old, new) = (upstream.address.to_string(), other.address.to_string());
    assert!(gateway.edit(&old, &new));
    assert_eq!(listener.part(), None);
    let _again = open(&gateway, &get());
    assert_eq!(other.requests().len(), 1);
}

/// The process goes on listening where it did, so what matters is not what the file says.
#[test]
fn the_public_tokens_stay_out_of_a_process_that_others_can_reach() {
    let upstream = Upstream::good();
    let open = "plaintext = \"behind-proxy\"\nallowed_hosts = [\"gw\"]";
    let gateway = Setup::new(&upstream).server(open).listen("0.0.0.0:0").start();
    let demo = crate::support::gateway::sha256("dev-alice-token");
    let alice = crate::support::gateway::sha256(crate::support::ALICE);
    assert!(!gateway.edit(&alice, &demo));
    assert!(!gateway.edit(open, ""));
    assert!(!gateway.edit("0.0.0.0:0", "127.0.0.1:0"));
    let said = format!("{:?}", gateway.events("config.error"));
    let of_listener = "is the public demo token, and the listener is not loopback";
    assert_eq!(said.matches(of_listener).count(), 3, "{said}");
}

#[test]
fn what_does_not_concern_a_stream_does_not_end_it() {
    let upstream = silent();
    let gateway = Gateway::before(&upstream);
    let _listener = open(&gateway, &get());
    assert!(gateway.edit("[tokens.carol-key]", "[tokens.carols-key]"));
    assert!(gateway.edit("[limits]\n", "[limits]\nin_flight = 7\n"));
    assert_eq!(gateway.metric("doorward_requests_in_flight_limit"), 7.0);
    gateway.counts("doorward_streams_active{kind=\"get\",upstream=\"t\"}", 1.0);
}

#[test]
fn the_end_of_a_tokens_time_ends_its_streams() {
    let upstream = silent();
    let gateway = Gateway::before(&upstream);
    let mut listener = open(&gateway, &get());
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    let key = format!("organization = \"acme\"\nroles = [\"reader\"]\nexpires = {soon:.0}");
    // Of alice's two tokens the first.
    let whole = std::fs::read_to_string(gateway.folder().join("gateway.toml")).unwrap();
    let never = "organization = \"acme\"\nroles = [\"reader\"]\nexpires = \"never\"";
    assert!(gateway.after_reload(|| gateway.put("gateway.toml", &whole.replacen(never, &key, 1))));
    assert_eq!(listener.part(), None, "other rights");
    let mut listener = open(&gateway, &get());
    assert_eq!(listener.part(), None);
    let closed = "doorward_streams_closed_total{kind=\"get\",reason=\"expired\",upstream=\"t\"}";
    gateway.counts(closed, 1.0);
    assert_eq!(gateway.ask(&echo()).status, 401);
    assert_eq!(gateway.metric("doorward_tokens{state=\"expired\"}"), 2.0);
}

#[test]
fn a_moment_of_revocation_that_is_to_come_ends_streams_when_it_comes() {
    let upstream = silent();
    let gateway = Gateway::before(&upstream);
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    assert!(gateway.edit(ALICES_KEY, &format!("{ALICES_KEY}\nrevoked = {soon:.0}")));
    let mut listener = open(&gateway, &get());
    assert_eq!(listener.part(), None);
    let closed = "doorward_streams_closed_total{kind=\"get\",reason=\"revoked\",upstream=\"t\"}";
    gateway.counts(closed, 1.0);
    assert_eq!(gateway.ask(&echo()).status, 401);
}

#[test]
fn a_new_upstream_is_served_and_an_old_one_is_no_longer_found() {
    let (upstream, second) = (Upstream::good(), Upstream::good());
    let gateway = Gateway::before(&upstream);
    let more = format!(
        "[upstreams.u]\npath = \"/u\"\nurl = \"http://{}/mcp\"\n[upstreams.t]",
        second.address
    );
    assert_eq!(gateway.ask(&Call::post(LIST).target("/u")).status, 404);
    assert!(gateway.edit("[upstreams.t]", &more));
    assert_eq!(gateway.ask(&Call::post(tool_call("echo")).target("/u")).status, 200);
    eventually("the metrics show it", || {
        gateway.metrics().contains("doorward_requests_in_flight{upstream=\"u\"} 0")
    });
    assert!(gateway.edit(&more, "[upstreams.t]"));
    assert_eq!(gateway.ask(&Call::post(LIST).target("/u")).status, 404);
}

#[test]
fn tokens_live_in_further_files_too() {
    let upstream = Upstream::good();
    let block = |name: &str, digest: String| {
        format!(
            "[tokens.{name}]\n{digest}\nuser = \"dave\"\norganization = \"acme\"\nroles = [\"reader\"]\nexpires = \"never\"\n"
        )
    };
    let digest = crate::support::gateway::sha256("dave-secret-0123456789");
    let gateway =
        Setup::new(&upstream).include("tokens.d/*.toml").file("tokens.d/.keep", "").start();
    let call = echo().token("dave-secret-0123456789");
    assert_eq!(gateway.ask(&call).status, 401);
    let folder = gateway.folder().join("tokens.d");
    assert!(gateway.after_reload(|| {
        let text = block("dave", format!("sha256 = \"{digest}\""));
        std::fs::write(folder.join("dave.toml"), text).unwrap();
    }));
    assert_eq!(gateway.ask(&call).status, 200);
    // A fault in it is told with its own name.
    assert!(!gateway.after_reload(|| {
        let text = block("dave", format!("sha265 = \"{digest}\""));
        std::fs::write(folder.join("dave.toml"), text).unwrap();
    }));
    let errors: Vec<_> = gateway.events("config.error");
    let said = format!("{errors:?}");
    assert!(said.contains("dave.toml:2:1: unknown key `sha265`"), "{said}");
    assert_eq!(gateway.ask(&call).status, 200);
    assert!(gateway.after_reload(|| std::fs::remove_file(folder.join("dave.toml")).unwrap()));
    assert_eq!(gateway.ask(&call).status, 401);
    assert_eq!(gateway.audit(4)[3]["reason"], "revoked");
}
