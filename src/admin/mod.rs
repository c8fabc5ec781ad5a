//! The listener for monitoring: `/metrics`, `/livez`, `/readyz`, `/status`, and `/diff`, `/used` and
//! `/token` for the verbs `diff`, `unused` and `token`. Read only, and never on the public address.

mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use http::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;

pub use self::status::{Held, LastReload, Status, TriedOut};
use crate::telemetry::metrics::Metrics;

/// Whether new calls are welcome.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// From now on `/readyz` says yes.
    pub fn ready(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// From now on `/readyz` says no, so that load balancers look elsewhere.
    pub fn draining(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// Works out an answer.
pub type Told = Arc<dyn Fn() -> Vec<u8> + Send + Sync>;

/// Works out an answer about something with this name.
pub type ToldOf = Arc<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

/// What the admin listener serves.
pub struct Admin {
    /// Shown at `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Called before, for what changes with time alone.
    pub refresh: Box<dyn Fn() + Send + Sync>,
    /// What is amiss although new calls are welcome, a line each; shown at `/readyz`.
    pub notes: Box<dyn Fn() -> String + Send + Sync>,
    /// What the file would change, as JSON; shown at `/diff`. It takes its time.
    pub diff: Told,
    /// Who has used what, as JSON; shown at `/used`. It takes its time.
    pub used: Told,
    /// Tells what an entry of the token table is worth at the moment, as JSON, by its name; shown
    /// at `/token?` and the name, percent-encoded.
    pub token: ToldOf,
    /// Shown at `/status`.
    pub status: Status,
    /// Shown at `/readyz`.
    pub readiness: Readiness,
}

/// Status, media type and body.
type Answer = (StatusCode, &'static str, Vec<u8>);

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// The Prometheus text exposition format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What takes its time, apart from what does not.
async fn work_out(told: &Told) -> Answer {
    let told = Arc::clone(told);
    match tokio::task::spawn_blocking(move || told()).await {
        Ok(body) => (StatusCode::OK, JSON, body),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, b"no answer\n".to_vec()),
    }
}

impl Admin {
    fn answer(&self, method: &Method, path: &str, query: Option<&str>) -> Answer {
        let text = |status, body: &str| (status, TEXT, body.as_bytes().to_vec());
        if method != Method::GET && method != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
        }
        match path {
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" if self.readiness.0.load(Ordering::SeqCst) => {
                let notes = (self.notes)();
                text(StatusCode::OK, &format!("ok\n{notes}"))
            }
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            "/metrics" => {
                (self.refresh)();
                match self.metrics.encode() {
                    Ok(body) => (StatusCode::OK, EXPOSITION, body),
                    Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "metrics unavailable\n"),
                }
            }
            "/status" => (StatusCode::OK, JSON, self.status.json()),
            "/token" => match percent_decode_str(query.unwrap_or_default()).decode_utf8() {
                Ok(name) => (StatusCode::OK, JSON, (self.token)(&name)),
                Err(_) => text(StatusCode::BAD_REQUEST, "write /token?NAME, percent-encoded\n"),
            },
            _ => text(
                StatusCode::NOT_FOUND,
                "not found; try /metrics, /livez, /readyz, /status, /diff, /used, /token?NAME\n",
            ),
        }
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        let is_head = head.method == Method::HEAD;
        let is_get = head.method == Method::GET;
        let (status, media, body) = match head.uri.path() {
            "/diff" if is_get => work_out(&self.diff).await,
            "/used" if is_get => work_out(&self.used).await,
            path => self.answer(&head.method, path, head.uri.query()),
        };
        let response = Response::builder()
            .status(status)
            .header("content-type", media)
            .header("content-length", body.len())
            .header("cache-control", "no-store")
            .header("x-content-type-options", "nosniff")
            .body(if is_head { Vec::new() } else { body });
        response.unwrap_or_default()
    }
}
