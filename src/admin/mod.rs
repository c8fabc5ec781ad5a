//! The listener for monitoring: `/metrics`, `/livez`, `/readyz`, `/status`, and `/diff`, `/used` and
//! `/token` for the verbs `diff`, `unused` and `token`. Read only, and never on the public address.
//!
//! It has no password, so it must cost little whoever asks: connections, heads and answers are
//! bounded, and what takes its time is worked out once at a time. Each of those pages has places of
//! its own, so that no page is kept waiting by those who ask for another one.

mod door;
mod guard;
mod status;
mod turn;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::StatusCode;
use percent_encoding::percent_decode_str;

pub use self::door::Door;
pub use self::status::{Held, LastReload, Status, TriedOut};
use self::turn::{Busy, Place, Turn};
use crate::telemetry::audit::State;
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
    /// Knows the names of hosts, in lower case, that the configuration calls ours.
    pub is_ours: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// What is amiss although new calls are welcome, a line each; shown at `/readyz` and
    /// `/status`.
    pub notes: Box<dyn Fn() -> String + Send + Sync>,
    /// Why every call would be refused, where that is so; then `/readyz` says no.
    pub obstacle: Box<dyn Fn() -> Option<String> + Send + Sync>,
    /// How audit records fare; shown at `/status`.
    pub audit: Box<dyn Fn() -> Option<State> + Send + Sync>,
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

/// Most questions at once for `/metrics`, and for `/status`; those that wait share an answer.
const MAX_QUICK: usize = 64;

/// Most questions at once for `/diff`, and for `/used`.
const MAX_SLOW: usize = 8;

/// Longest name in the question for a token, in bytes, as it is encoded.
const MAX_NAME: usize = 256;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// The Prometheus text exposition format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a question brings.
struct Answer {
    status: StatusCode,
    media: &'static str,
    /// One header that not every answer has.
    header: Option<(&'static str, &'static str)>,
    body: Bytes,
    /// Held until it is written.
    place: Option<Place>,
}

impl Answer {
    fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self { status, media: TEXT, header: None, body: text.into(), place: None }
    }

    fn good(media: &'static str, body: impl Into<Bytes>) -> Self {
        Self { media, ..Self::text(StatusCode::OK, body) }
    }

    fn with(self, header: (&'static str, &'static str)) -> Self {
        Self { header: Some(header), ..self }
    }
}

/// The pages, each of those that take their time with its turn.
struct Pages {
    admin: Arc<Admin>,
    diff: Turn,
    metrics: Turn,
    status: Turn,
    used: Turn,
}

impl Pages {
    /// With this share of so many `connections`: three eighths of them, when all ask at once.
    fn new(admin: Admin, connections: usize) -> Self {
        let quick = || Turn::new(MAX_QUICK.min(connections / 8));
        let slow = || Turn::new(MAX_SLOW.min(connections / 16));
        let admin = Arc::new(admin);
        Self { admin, diff: slow(), metrics: quick(), status: quick(), used: slow() }
    }

    fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The page at `path`.
    async fn page(&self, path: &str, query: Option<&str>) -> Result<Answer, Busy> {
        let admin = Arc::clone(&self.admin);
        let (turn, media, work): (_, _, Box<dyn FnOnce() -> Vec<u8> + Send>) = match path {
            "/diff" => (&self.diff, JSON, Box::new(move || (admin.diff)())),
            "/metrics" => (&self.metrics, EXPOSITION, Box::new(move || admin.exposition())),
            "/status" => (&self.status, JSON, Box::new(move || admin.page())),
            "/used" => (&self.used, JSON, Box::new(move || (admin.used)())),
            _ => return Ok(admin.answer(path, query)),
        };
        let (body, place) = turn.share(work).await?;
        Ok(Answer { place: Some(place), ..Answer::good(media, body) })
    }
}

impl Admin {
    fn is_ready(&self) -> bool {
        self.readiness.0.load(Ordering::SeqCst)
    }

    /// For `/metrics`. A metric that cannot be encoded is a fault that a test finds.
    fn exposition(&self) -> Vec<u8> {
        (self.refresh)();
        self.metrics.encode().unwrap_or_default()
    }

    /// For `/status`.
    fn page(&self) -> Vec<u8> {
        let notes = (self.notes)().lines().map(str::to_owned).collect();
        self.status.json(self.is_ready(), notes, (self.audit)())
    }

    /// What takes no time.
    fn answer(&self, path: &str, query: Option<&str>) -> Answer {
        match path {
            "/livez" => Answer::text(StatusCode::OK, "ok\n"),
            "/readyz" if self.is_ready() => {
                let notes = (self.notes)();
                match (self.obstacle)() {
                    None => Answer::text(StatusCode::OK, format!("ok\n{notes}")),
                    Some(why) => {
                        Answer::text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n{notes}"))
                    }
                }
            }
            "/readyz" => Answer::text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            "/token" => match name(query.unwrap_or_default()) {
                Some(name) => Answer::good(JSON, (self.token)(&name)),
                None => Answer::text(
                    StatusCode::BAD_REQUEST,
                    "write /token?NAME, percent-encoded, at most 256 bytes\n",
                ),
            },
            _ => Answer::text(
                StatusCode::NOT_FOUND,
                "not found; try /metrics, /livez, /readyz, /status, /diff, /used, /token?NAME\n",
            ),
        }
    }
}

/// The name of a token in a question.
fn name(query: &str) -> Option<String> {
    let bounded = (query.len() <= MAX_NAME).then_some(query)?;
    percent_decode_str(bounded).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
