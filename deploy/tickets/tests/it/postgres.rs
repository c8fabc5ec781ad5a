//! The API over PostgreSQL: a server for the cases of `api`, and what only a server can do.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use doorward_tickets::{DatabaseUrl, Store};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{TICKETS, file, get};
use crate::support::{ALICE, BOB, api_on, ask};

const PASSWORD: &str = "a-password-of-a-test";

/// Debian's server in a folder of its own, on a free port; killed when the test is over.
pub(crate) struct Server {
    process: Child,
    binaries: PathBuf,
    folder: TempDir,
    port: u16,
}

impl Server {
    /// None, and a word on standard error, where PostgreSQL is not installed; on CI that fails.
    pub(crate) fn start() -> Option<Self> {
        let Some(binaries) = installed() else {
            eprintln!("SKIPPED: PostgreSQL is not installed; apt-get install postgresql");
            assert!(std::env::var_os("CI").is_none(), "CI must have PostgreSQL");
            return None;
        };
        let folder = TempDir::new().unwrap();
        if let Some((user, group)) = postgres_where_root() {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let password = folder.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        let made = command(&binaries, "initdb")
            .args(["-U", "tickets", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "-N"])
            .arg("-D")
            .arg(folder.path().join("data"))
            .arg("--pwfile")
            .arg(password)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = serve(&binaries, folder.path(), port);
        Some(Self { process, binaries, folder, port })
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://tickets:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// A store in a new database of this name, once the server answers.
    pub(crate) async fn store(&self, database: &str) -> Store {
        let client = loop {
            match tokio_postgres::connect(&self.url("postgres"), tokio_postgres::NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    break client;
                }
                Err(_) => tokio::task::yield_now().await,
            }
        };
        client.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
        Store::connect(self.url(database).parse().unwrap()).await.unwrap()
    }

    /// Ends it at once, as a crash would.
    fn stop(&mut self) {
        let id = self.process.id().to_string();
        // SIGQUIT takes its children along, which SIGKILL would leave with the shared memory.
        assert!(Command::new("kill").args(["-QUIT", &id]).status().unwrap().success());
        self.process.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.process = serve(&self.binaries, self.folder.path(), self.port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.stop();
        }
    }
}

fn installed() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<_> = versions.map(|version| version.unwrap().path().join("bin")).collect();
    found.retain(|folder| folder.join("initdb").exists());
    found.sort();
    found.pop()
}

/// Whom to run as, since the server refuses to run as root.
fn postgres_where_root() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> u32 {
        let said = Command::new("id").args(arguments).output().unwrap().stdout;
        String::from_utf8(said).unwrap().trim().parse().unwrap()
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "postgres"]), id(&["-g", "postgres"])))
}

fn command(binaries: &Path, program: &str) -> Command {
    let program = binaries.join(program);
    let mut command = if postgres_where_root().is_some() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn serve(binaries: &Path, folder: &Path, port: u16) -> Child {
    command(binaries, "postgres")
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
        .args(["-c", &format!("port={port}")])
        .args(["-c", &format!("unix_socket_directories={}", folder.display())])
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn tickets_outlive_the_service_and_ids_are_not_used_twice() {
    let Some(server) = Server::start() else { return };
    let first = api_on(server.store("one").await).await;
    let id = file(&first, "first").await;
    let again: DatabaseUrl = server.url("one").parse().unwrap();
    let second = api_on(Store::connect(again).await.unwrap()).await;
    assert_ne!(file(&second, "second").await, id);
    assert_eq!(get(&second, TICKETS, ALICE).await.1["total"], 2);
}

#[tokio::test]
async fn an_organization_that_is_full_takes_no_room_of_another() {
    let Some(server) = Server::start() else { return };
    let api = api_on(server.store("one").await).await;
    let (client, connection) =
        tokio_postgres::connect(&server.url("one"), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let nearly = "INSERT INTO tickets (organization_id, created_by, title, description, searchable,
        category, priority, status, created_at)
        SELECT 'acme', 'alice', 't', '', 't', 'bug', 'low', 'open', 'now' FROM generate_series(1, 9999)";
    client.batch_execute(nearly).await.unwrap();
    let body = || Some(json!({"title": "t", "description": ""}).to_string());
    let path = format!("{TICKETS}/ai-create");
    let mut told = Vec::new();
    for caller in [ALICE, ALICE, BOB] {
        let (status, answer) = ask(&api, Method::POST, &path, caller, body()).await;
        told.push((status.as_u16(), answer["error"].clone()));
    }
    let full = "your organization has 10000 tickets, its most";
    assert_eq!(told, [(201, Value::Null), (409, full.into()), (201, Value::Null)]);
    drop(client);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn services_that_start_at_once_make_one_table() {
    let Some(server) = Server::start() else { return };
    drop(server.store("other").await);
    let url = || server.url("postgres").parse::<DatabaseUrl>().unwrap();
    let many: Vec<_> = (0..8).map(|_| tokio::spawn(Store::connect(url()))).collect();
    for started in many {
        started.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_database_that_was_away_is_used_again() {
    let Some(mut server) = Server::start() else { return };
    let api = api_on(server.store("one").await).await;
    file(&api, "before").await;
    server.stop();
    let (status, answer) = get(&api, TICKETS, ALICE).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer["error"], "the ticket store did not answer");
    server.start_again();
    while get(&api, TICKETS, ALICE).await.0 != StatusCode::OK {}
    assert_eq!(get(&api, TICKETS, ALICE).await.1["total"], 1);
}

#[tokio::test]
async fn a_wrong_password_is_told_without_it() {
    let Some(server) = Server::start() else { return };
    drop(server.store("one").await);
    let url: DatabaseUrl = server.url("one").parse().unwrap();
    let error = Store::connect(url.with_password("guessed")).await.unwrap_err().to_string();
    assert!(error.contains("password authentication failed"), "{error}");
    assert!(!error.contains("guessed") && !error.contains(PASSWORD), "{error}");
}
