//! The real binary as a process of its own, in a folder of its own, with what it prints.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{ALICE, BOB, Call, Client, PATIENCE, Response, Upstream, eventually};

/// Token of carol, who may do nothing.
pub(crate) const CAROL: &str = "carol-secret-1122334455667788";
/// Another token of alice, with the same rights.
pub(crate) const ROTATED: &str = "alice-secret-00112233aabbccdd";
/// A token whose time is over.
pub(crate) const EXPIRED: &str = "expired-secret-aabbccddeeff0011";
/// A token that was revoked.
pub(crate) const REVOKED: &str = "revoked-secret-a1b2c3d4e5f60718";

/// The SHA-256 of a token, as the configuration wants it.
pub(crate) fn sha256(token: &str) -> String {
    Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What every gateway under test seals session and task ids with.
const SEAL_SECRET: &str = "a secret of more than thirty-two bytes";

/// What the gateway makes of the upstream's `id` for this owner, computed here anew: replicas and
/// releases must agree on it.
fn seal(purpose: &str, owner: (&str, &str), rest: &[&str]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SEAL_SECRET.as_bytes()).unwrap();
    mac.update(purpose.as_bytes());
    for part in [owner.1, owner.0, "t"].iter().chain(rest) {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// A session of the upstream as its owner, a user and an organization, knows it.
pub(crate) fn sealed_session(owner: (&str, &str), id: &str) -> String {
    format!("{id}.{}", seal("session", owner, &[id]))
}

/// A task of the upstream, made by a call of `tool`, as its owner knows it.
pub(crate) fn sealed_task(owner: (&str, &str), tool: &str, id: &str) -> String {
    let code = seal("task", owner, &[tool, id]);
    format!("{id}.{}.{code}", URL_SAFE_NO_PAD.encode(tool))
}

/// Who alice's token says she is.
pub(crate) const ALICE_AT: (&str, &str) = ("alice", "acme");

/// What alice may use besides tools.
const TARGETS: &str = "prompts = [\"t/greet\"]\nresources = [\"t/docs://**\"]\n";

/// A configuration in parts; each part is lines of TOML.
pub(crate) struct Setup {
    include: String,
    url: String,
    reader: Vec<String>,
    listen: String,
    server: String,
    upstream: String,
    targets: &'static str,
    /// Of alice, besides `reader`.
    roles: String,
    limits: String,
    log: String,
    more: String,
    files: Vec<(&'static str, String)>,
    env: Vec<(&'static str, &'static str)>,
    descriptors: Option<usize>,
    /// In place of a pipe whose lines are collected.
    stdout: Option<Stdio>,
}

impl Setup {
    /// In front of `upstream`, under the name `t` and the path `/mcp`.
    pub(crate) fn new(upstream: &Upstream) -> Self {
        Self::at(&format!("http://{}/backend/mcp", upstream.address))
    }

    pub(crate) fn at(url: &str) -> Self {
        Self {
            include: String::new(),
            url: url.to_owned(),
            reader: vec!["t/echo".to_owned(), "t/read".to_owned()],
            listen: "127.0.0.1:0".to_owned(),
            server: String::new(),
            upstream: String::new(),
            targets: TARGETS,
            roles: String::new(),
            limits: String::new(),
            log: "level = \"debug\"\n".to_owned(),
            more: String::new(),
            files: vec![("session.key", format!("{SEAL_SECRET}\n"))],
            env: Vec::new(),
            descriptors: None,
            stdout: None,
        }
    }

    /// Its standard output goes there, and is not collected.
    pub(crate) fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.stdout = Some(to.into());
        self
    }

    /// Under a limit on file descriptors, and half of it at first.
    pub(crate) fn descriptors(mut self, limit: usize) -> Self {
        self.descriptors = Some(limit);
        self
    }

    /// Another address than a free port of loopback.
    pub(crate) fn listen(mut self, address: &str) -> Self {
        self.listen = address.to_owned();
        self
    }

    /// Further files with tokens.
    pub(crate) fn include(mut self, pattern: &str) -> Self {
        self.include = format!("include = [\"{pattern}\"]\n");
        self
    }

    pub(crate) fn server(mut self, lines: &str) -> Self {
        self.server += lines;
        self.server.push('\n');
        self
    }

    /// Alice may use everything.
    pub(crate) fn everything(mut self) -> Self {
        self.reader = vec!["t/*".to_owned()];
        self.targets = "prompts = [\"t/*\"]\nresources = [\"t/**\"]\n";
        self
    }

    /// Further tables.
    pub(crate) fn more(mut self, tables: &str) -> Self {
        self.more += tables;
        self.more.push('\n');
        self
    }

    /// The gateway makes a key of its own.
    pub(crate) fn without_session_key(mut self) -> Self {
        self.files.retain(|(name, _)| *name != "session.key");
        self
    }

    /// A further role for alice, which is in [`Self::more`].
    pub(crate) fn role(mut self, name: &str) -> Self {
        self.roles += &format!(", \"{name}\"");
        self
    }

    /// More tools for alice.
    pub(crate) fn permit(mut self, tools: &[&str]) -> Self {
        self.reader.extend(tools.iter().map(|tool| format!("t/{tool}")));
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    /// A file beside the configuration.
    pub(crate) fn file(mut self, name: &'static str, content: &str) -> Self {
        self.files.retain(|(known, _)| *known != name);
        self.files.push((name, content.to_owned()));
        self
    }

    pub(crate) fn upstream(mut self, lines: &str) -> Self {
        self.upstream += lines;
        self.upstream.push('\n');
        self
    }

    pub(crate) fn limits(mut self, lines: &str) -> Self {
        self.limits += lines;
        self.limits.push('\n');
        self
    }

    pub(crate) fn trace_everything(mut self) -> Self {
        self.log = "level = \"trace\"\n".to_owned();
        self.env.push(("RUST_LOG", "trace"));
        self
    }

    fn text(&self) -> String {
        let token = |name: &str, secret: &str, org: &str, rest: &str| {
            let digest = sha256(secret);
            format!(
                "[tokens.{name}-key]\nsha256 = \"{digest}\"\nuser = \"{name}\"\norganization = \"{org}\"\n{rest}\n"
            )
        };
        let never = "expires = \"never\"";
        [
            "[server.shutdown]\nlame_duck = \"300ms\"\ndrain = \"20s\"\n".to_owned(),
            "[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned(),
            format!("[upstreams.t]\npath = \"/mcp\"\nurl = \"{}\"\n{}", self.url, self.upstream),
            format!("[roles.reader]\ntools = {:?}\n{}", self.reader, self.targets),
            token("alice", ALICE, "acme", &format!("roles = [\"reader\"{}]\n{never}", self.roles)),
            token("alice", ROTATED, "acme", &format!("roles = [\"reader\"]\n{never}"))
                .replace("alice-key", "alice-new-key"),
            token("bob", BOB, "globex", &format!("tools = [\"t/delete_all\"]\n{never}")),
            token("carol", CAROL, "acme", never),
            token("old", EXPIRED, "acme", "roles = [\"reader\"]\nexpires = 2020-01-01"),
            token(
                "gone",
                REVOKED,
                "acme",
                &format!("roles = [\"reader\"]\nrevoked = 2020-01-01T00:00:00Z\n{never}"),
            ),
            format!("[limits]\n{}", self.limits),
            format!("[log]\n{}", self.log),
            self.more.clone(),
        ]
        .join("\n")
    }

    /// Starts a gateway with exactly this configuration.
    pub(crate) fn verbatim(text: &str) -> Gateway {
        Gateway::start(text, &[], &[], None, None)
    }

    pub(crate) fn start(self) -> Gateway {
        let has_key = self.files.iter().any(|(name, _)| *name == "session.key");
        let key = if has_key { "session_key_file = \"session.key\"" } else { "" };
        let fixed = format!("listen = [\"{}\"]\nthreads = 2", self.listen);
        let server = format!("[server]\n{fixed}\n{key}\n{}", self.server);
        let text = self.include.clone() + &server + &self.text();
        Gateway::start(&text, &self.files, &self.env, self.descriptors, self.stdout)
    }
}

/// Who reads a stream of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Reader {
    /// Reads, and keeps the lines.
    #[default]
    Reading,
    /// Is there and does not read.
    Stuck,
    /// Is gone.
    Gone,
}

/// The lines of one of its streams so far.
#[derive(Default)]
struct Lines {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
    reader: Mutex<Reader>,
    reader_changed: Condvar,
}

impl Lines {
    fn collect(stream: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let collected = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let is_stuck = |reader: &mut Reader| *reader == Reader::Stuck;
                let reader = collected.reader.lock().unwrap();
                let reader = collected.reader_changed.wait_while(reader, is_stuck).unwrap();
                if *reader == Reader::Gone {
                    return;
                }
                collected.lines.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
                collected.grown.notify_all();
            }
        });
        lines
    }

    fn set_reader(&self, reader: Reader) {
        *self.reader.lock().unwrap() = reader;
        self.reader_changed.notify_all();
    }

    fn text(&self) -> String {
        // A test that failed while it looked at them wants to see them.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    fn wait_for(&self, count: usize, is_wanted: impl Fn(&String) -> bool) -> Vec<String> {
        let guard = self.lines.lock().unwrap();
        let found = |lines: &Vec<String>| lines.iter().filter(|line| is_wanted(line)).count();
        let is_short = |lines: &mut Vec<String>| found(lines) < count;
        let (guard, _) = self.grown.wait_timeout_while(guard, PATIENCE, is_short).unwrap();
        assert!(found(&guard) >= count, "{count} lines, and not {:#?}", *guard);
        guard.iter().filter(|line| is_wanted(line)).cloned().collect()
    }
}

/// A running gateway; it is killed when it is dropped.
pub(crate) struct Gateway {
    child: Child,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    folder: TempDir,
    /// What its configuration holds now.
    text: Mutex<String>,
}

impl Gateway {
    /// With the default configuration.
    pub(crate) fn before(upstream: &Upstream) -> Self {
        Setup::new(upstream).start()
    }

    fn start(
        text: &str,
        files: &[(&str, String)],
        env: &[(&str, &str)],
        descriptors: Option<usize>,
        stdout: Option<Stdio>,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("gateway.toml");
        std::fs::write(&path, text).unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let binary = env!("CARGO_BIN_EXE_doorward");
        let mut command = match descriptors {
            None => Command::new(binary),
            Some(limit) => {
                let limited =
                    format!("ulimit -Sn {} && ulimit -Hn {limit} && exec \"$0\" \"$@\"", limit / 2);
                let mut shell = Command::new("sh");
                shell.args(["-c", &limited, binary]);
                shell
            }
        };
        let mut child = command
            .args(["run", "--config"])
            .arg(&path)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(stdout.unwrap_or_else(Stdio::piped))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().map(Lines::collect).unwrap_or_default();
        let stderr = Lines::collect(child.stderr.take().unwrap());
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let text = Mutex::new(text.to_owned());
        let mut new =
            Self { child, stdout, stderr, address: nowhere, admin: nowhere, folder, text };
        eventually("the gateway is ready", || {
            let ended = new.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended with {ended:?}");
            new.event("server.ready").is_some()
        });
        new.address = new.listening("server.listening");
        new.admin = new.listening("admin.listening");
        new
    }

    fn event(&self, name: &str) -> Option<Value> {
        self.events(name).into_iter().next()
    }

    /// The lines of the log with this `event` so far.
    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        let lines = self.stderr.lines.lock().unwrap();
        let parsed = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.into_iter().filter(|line| line["event"] == name).collect()
    }

    /// Changes who reads its log; [`Reader::Gone`] goes with the next line.
    pub(crate) fn log_reader(&self, reader: Reader) {
        self.stderr.set_reader(reader);
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a file beside the configuration, or replaces it, the configuration itself included:
    /// whoever reads it finds all of the old or all of the new.
    pub(crate) fn put(&self, name: &str, content: &str) {
        let new = self.folder.path().join(".new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, self.folder.path().join(name)).unwrap();
    }

    /// Changes the configuration and waits for what comes of it; returns whether it was taken.
    pub(crate) fn edit(&self, from: &str, to: &str) -> bool {
        let mut text = self.text.lock().unwrap();
        assert!(text.contains(from), "{from} is not in\n{text}");
        *text = text.replace(from, to);
        self.after_reload(|| self.put("gateway.toml", &text))
    }

    /// Does something that makes it reload, and waits for it; returns whether it succeeded.
    pub(crate) fn after_reload(&self, act: impl FnOnce()) -> bool {
        let count = |event| self.events(event).len();
        let before = (count("config.loaded"), count("config.rejected"));
        act();
        eventually("it has reloaded", || {
            (count("config.loaded"), count("config.rejected")) != before
        });
        count("config.loaded") > before.0
    }

    pub(crate) fn status(&self) -> Value {
        let (status, body) = self.admin("/status");
        assert_eq!(status, 200);
        serde_json::from_str(&body).unwrap()
    }

    fn listening(&self, event: &str) -> SocketAddr {
        let line = self.event(event).unwrap();
        let url: http::Uri = line["url"].as_str().unwrap().parse().unwrap();
        url.authority().unwrap().as_str().parse().unwrap()
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Sends one request on a connection of its own.
    pub(crate) fn ask(&self, call: &Call) -> Response {
        self.connect().ask(call)
    }

    /// Sends exact bytes on a connection of its own; `None` where it is closed without an answer.
    pub(crate) fn ask_raw(&self, bytes: &[u8]) -> Option<Response> {
        let mut client = self.connect();
        client.try_send(bytes);
        client.try_response()
    }

    /// Status and body of a page of the admin listener.
    pub(crate) fn admin(&self, path: &str) -> (u16, String) {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(self.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    pub(crate) fn metrics(&self) -> String {
        let (status, body) = self.admin("/metrics");
        assert_eq!(status, 200);
        body
    }

    /// The value of one series, as it is written; 0 where it is not there.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let metrics = self.metrics();
        let found = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a series has this value: what a caller sees may be counted a moment later.
    pub(crate) fn counts(&self, series: &str, wanted: f64) {
        #[expect(clippy::float_cmp, reason = "they are counts")]
        eventually(&format!("{series} {wanted}"), || self.metric(series) == wanted);
    }

    /// Waits for `count` audit records; there must not be more.
    pub(crate) fn audit(&self, count: usize) -> Vec<Value> {
        let is_request = |line: &String| line.contains(r#""kind":"request""#);
        let lines = self.stdout.wait_for(count, is_request);
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// All that it has printed.
    pub(crate) fn output(&self) -> String {
        format!("{}\n{}", self.stdout.text(), self.stderr.text())
    }

    /// Exit code and words of a verb, with the configuration of this gateway.
    pub(crate) fn command(&self, verb: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_doorward"))
            .args(verb)
            .arg("--config")
            .arg(self.folder().join("gateway.toml"))
            .arg("--admin")
            .arg(self.admin.to_string())
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("the process has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

/// A JSON object in which no member is twice.
struct Once;

impl<'de> serde::Deserialize<'de> for Once {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = Once;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Once, A::Error> {
                let mut seen = std::collections::HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    map.next_value::<serde::de::IgnoredAny>()?;
                    if !seen.insert(name.clone()) {
                        return Err(serde::de::Error::custom(format!("`{name}` is there twice")));
                    }
                }
                Ok(Once)
            }
        }
        from.deserialize_map(Members)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stderr.set_reader(Reader::Gone);
        if std::thread::panicking() {
            eprintln!("--- the gateway printed:\n{}", self.output());
            return;
        }
        // Of every line that any test brings about.
        for line in self.output().lines().filter(|line| line.starts_with('{')) {
            // The last one may be cut by the end of the process.
            if serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok() {
                serde_json::from_str::<Once>(line).unwrap_or_else(|why| panic!("{why}: {line}"));
            }
        }
    }
}
