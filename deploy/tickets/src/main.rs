//! `doorward-tickets`: the demo services as processes of their own.

use std::env::VarError;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use axum::http::Uri;
use clap::{Parser, Subcommand};
use doorward_tickets::{
    AccessKey, ApiUrl, AssertionKeys, Assertions, DatabaseUrl, LogRate, McpOptions, Store, Trust,
    ask_health, raise_files, serve_api, serve_mcp,
};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The demo system behind doorward. If `TICKETS_ACCESS_KEY` is set in the environment, requests
/// must carry it as a bearer token. If `DATABASE_URL` is set (`postgres://user@host:5432/name`, not
/// encrypted), the API keeps its tickets in PostgreSQL; the file that `DATABASE_PASSWORD_FILE` names
/// holds the password where the URL does not. If `ASSERTION_JWKS_FILE` or `ASSERTION_JWKS_URL` (http)
/// names the gateway's keys, requests need its signed assertion, for the audience
/// `ASSERTION_AUDIENCE` ("tickets" where absent).
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    service: Service,
}

#[derive(Subcommand)]
enum Service {
    /// Serve the ticket API.
    Api {
        /// Where to listen; port 0 takes a free one.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
        listen: SocketAddr,
        /// The SQLite file, made if it is not there. Without it, and without `DATABASE_URL`,
        /// tickets live in memory.
        #[arg(long, value_name = "FILE")]
        database: Option<PathBuf>,
    },
    /// Serve the MCP server, which asks the ticket API.
    Mcp {
        /// Where to listen; port 0 takes a free one.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8001")]
        listen: SocketAddr,
        /// The ticket API.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
        api: ApiUrl,
        /// A further name, with or without a port, that a Host header may hold; repeatable.
        #[arg(long, value_name = "NAME")]
        allowed_host: Vec<String>,
    },
    /// Ask a running service whether it is well (exit 1 if not).
    Health {
        /// Its health check.
        #[arg(value_name = "URL", default_value = "http://127.0.0.1:8000/health")]
        url: Uri,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .finish()
        // rmcp tells of every stateless request as of a service that starts and ends.
        .with(Targets::new().with_default(Level::INFO).with_target("rmcp", Level::WARN))
        .with(LogRate::default())
        .init();
    raise_files();
    match run(arguments.service).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("doorward-tickets: {}", failure.sentence);
            ExitCode::from(failure.code)
        }
    }
}

async fn run(service: Service) -> Result<(), Failure> {
    let trust = Trust { access_key: access_key()?, assertions: assertions()? };
    // Before the line that says ready: a supervisor may stop us as soon as it reads it.
    let stop = stop()?;
    match service {
        Service::Api { listen, database } => {
            let listener = bind(listen).await?;
            let store = store(database).await?;
            announce(&format!("tickets api listening on http://{}", listener.local_addr()?));
            serve_api(listener, store, trust, stop).await?;
        }
        Service::Mcp { listen, api, allowed_host } => {
            let listener = bind(listen).await?;
            let options = McpOptions { api, trust, allowed_hosts: allowed_host };
            announce(&format!("tickets mcp listening on http://{}/mcp", listener.local_addr()?));
            serve_mcp(listener, options, stop).await?;
        }
        Service::Health { url } => {
            ask_health(url).await.map_err(|error| Failure::runtime(error.to_string()))?;
        }
    }
    Ok(())
}

struct Failure {
    code: u8,
    sentence: String,
}

impl Failure {
    fn runtime(sentence: String) -> Self {
        Self { code: 1, sentence }
    }

    fn usage(sentence: String) -> Self {
        Self { code: 2, sentence }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let code = if error.kind() == io::ErrorKind::InvalidInput { 2 } else { 1 };
        Self { code, sentence: error.to_string() }
    }
}

/// A key that is set but unusable stops the start: going on without it would open the service.
fn access_key() -> Result<Option<AccessKey>, Failure> {
    let Some(value) = std::env::var_os("TICKETS_ACCESS_KEY") else {
        return Ok(None);
    };
    AccessKey::new(value.to_string_lossy())
        .map(Some)
        .map_err(|error| Failure::usage(format!("TICKETS_ACCESS_KEY: {error}")))
}

/// Keys that are named but cannot be meant stop the start, for the same reason.
fn assertions() -> Result<Option<Assertions>, Failure> {
    let source = match (variable("ASSERTION_JWKS_FILE")?, variable("ASSERTION_JWKS_URL")?) {
        (None, None) => return Ok(None),
        (Some(file), None) => AssertionKeys::File(file.into()),
        (None, Some(url)) => match url.parse::<Uri>() {
            Ok(url) if url.scheme_str() == Some("http") => AssertionKeys::Url(url),
            _ => {
                let sentence =
                    "ASSERTION_JWKS_URL must begin with http://; other ways end in a file";
                return Err(Failure::usage(sentence.to_owned()));
            }
        },
        (Some(_), Some(_)) => {
            let sentence = "ASSERTION_JWKS_FILE and ASSERTION_JWKS_URL name two places";
            return Err(Failure::usage(sentence.to_owned()));
        }
    };
    let audience = variable("ASSERTION_AUDIENCE")?.unwrap_or_else(|| "tickets".to_owned());
    Ok(Some(Assertions::new(source, audience)))
}

/// A variable of the environment that is there and not empty.
fn variable(name: &str) -> Result<Option<String>, Failure> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Err(Failure::usage(format!("{name} is empty"))),
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Failure::usage(format!("{name} is not UTF-8"))),
    }
}

async fn store(file: Option<PathBuf>) -> Result<Store, Failure> {
    let opened = match (database_url()?, file) {
        (Some(_), Some(_)) => {
            return Err(Failure::usage("DATABASE_URL and --database name two databases".into()));
        }
        (Some(url), None) => Store::connect(url).await,
        (None, Some(file)) => Store::open(file).await,
        (None, None) => Store::in_memory().await,
    };
    opened.map_err(|error| Failure::runtime(error.to_string()))
}

fn database_url() -> Result<Option<DatabaseUrl>, Failure> {
    let Some(value) = std::env::var_os("DATABASE_URL") else {
        return Ok(None);
    };
    let url: DatabaseUrl = value
        .to_string_lossy()
        .parse()
        .map_err(|error| Failure::usage(format!("DATABASE_URL {error}")))?;
    let Some(file) = std::env::var_os("DATABASE_PASSWORD_FILE") else {
        return Ok(Some(url));
    };
    let password = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("DATABASE_PASSWORD_FILE: {error}")))?;
    Ok(Some(url.with_password(password.trim_end_matches(['\r', '\n']))))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Failure {
            code: 3,
            sentence: format!(
                "{address} is already in use; stop what listens there or choose another --listen"
            ),
        },
        _ => Failure::runtime(format!("cannot listen on {address}: {error}")),
    })
}

fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Says where the service listens. A closed stdout is the reader's choice and no reason to fail.
fn announce(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
