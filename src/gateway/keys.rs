//! The keys of issuers: fetched, kept, renewed.
//!
//! Keys that were good stay in use while their issuer cannot be reached, up to `max_stale`. A
//! token with a key that is not known asks for at most one fetch every [`PAUSE`], which all such
//! requests share.

use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::Uri;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};

use super::fetch::Fetcher;
use super::resolver::Resolver;
use super::room::Room;
use crate::core::keys::{KeyMark, KeySet, MAX_KEY_SET};
use crate::core::token::AuthFailure;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::seldom::Seldom;

/// The shortest time between two fetches that unknown keys ask for.
const PAUSE: Duration = Duration::from_secs(30);

/// How long after a first failure another fetch is tried; it doubles up to [`PAUSE`]. Also the
/// shortest time between two fetches while there are no keys at all.
const FIRST_RETRY: Duration = Duration::from_secs(2);

/// How many requests may wait for an issuer.
const MAX_WAITING: usize = 64;

/// How long one fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the keys of an issuer come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// From the configuration; another one comes with a reload only.
    Fixed(Arc<KeySet>),
    /// From a JWK set on the web.
    Url {
        /// `https`, or `http` on loopback.
        url: Uri,
        /// Roots for its certificate, as a PEM file, and the digest of its content; the system's
        /// where absent.
        ca_file: Option<(String, [u8; 32])>,
        /// How often they are fetched.
        refresh: Duration,
        /// How long they are used after they were last fetched.
        max_stale: Duration,
    },
}

/// Two are the same where they would always hold the same keys.
impl PartialEq for KeySource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fixed(one), Self::Fixed(other)) => Arc::ptr_eq(one, other),
            (
                Self::Url { url, ca_file, refresh, max_stale },
                Self::Url { url: u, ca_file: c, refresh: r, max_stale: m },
            ) => (url, ca_file, refresh, max_stale) == (u, c, r, m),
            _ => false,
        }
    }
}

/// The keys of one issuer.
pub struct Keys {
    issuer: Arc<str>,
    source: KeySource,
    fetcher: Option<Fetcher>,
    loaded: ArcSwapOption<Loaded>,
    /// Tells open streams that the keys may be others.
    changed: watch::Sender<()>,
    /// When a fetch was last begun; held while one is under way.
    attempted: Mutex<Option<Instant>>,
    waiting: Room,
    failure: ArcSwapOption<String>,
    told: Told,
    metrics: Arc<Metrics>,
}

/// What the log has been told of the tokens of an issuer; tokens that have expired are the most
/// frequent, and must not hide the others.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) expired: Seldom,
    pub(super) no_roles: Seldom,
    pub(super) refused: Seldom,
}

struct Loaded {
    set: Arc<KeySet>,
    until: Option<Instant>,
}

impl Keys {
    /// The keys of `issuer`; those of a URL are not fetched yet. `None` where the roots for its
    /// certificate cannot be loaded.
    #[must_use]
    pub fn new(
        issuer: Arc<str>,
        source: KeySource,
        metrics: Arc<Metrics>,
        resolver: &Arc<Resolver>,
    ) -> Option<Arc<Self>> {
        let (fetcher, loaded) = match &source {
            KeySource::Fixed(set) => {
                metrics.show_issuer(&issuer, false);
                metrics.keys_loaded(&issuer, set.len());
                (None, Some(Arc::new(Loaded { set: Arc::clone(set), until: None })))
            }
            KeySource::Url { url, ca_file, .. } => {
                metrics.show_issuer(&issuer, true);
                let ca_file = ca_file.as_ref().map(|(path, _)| path.clone());
                (Some(Fetcher::new(url.clone(), ca_file, resolver)?), None)
            }
        };
        let loaded = ArcSwapOption::new(loaded);
        let (attempted, failure) = (Mutex::default(), ArcSwapOption::empty());
        let waiting = Room::default();
        Some(Arc::new(Self {
            issuer,
            source,
            fetcher,
            loaded,
            changed: watch::Sender::new(()),
            attempted,
            waiting,
            failure,
            told: Told::default(),
            metrics,
        }))
    }

    /// Where they come from.
    #[must_use]
    pub fn source(&self) -> &KeySource {
        &self.source
    }

    pub(super) fn told(&self) -> &Told {
        &self.told
    }

    /// The keys, where there are any that are fresh enough.
    pub(super) fn known(&self) -> Option<Arc<KeySet>> {
        let loaded = self.loaded.load_full()?;
        let is_fresh = loaded.until.is_none_or(|until| Instant::now() < until);
        is_fresh.then(|| Arc::clone(&loaded.set))
    }

    /// Tells when they may be others.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The moment from which on the present ones are too old; `None` for never, or without any.
    pub(super) fn stale(&self) -> Option<Instant> {
        self.loaded.load().as_ref()?.until
    }

    /// Why a token that the key with this mark has verified would be refused now. Keys that were
    /// never fetched refuse nobody who is there already.
    pub(super) fn objection(&self, mark: &KeyMark) -> Option<AuthFailure> {
        match (self.known(), self.stale()) {
            (Some(set), _) => set.fault(mark).map(AuthFailure::Jwt),
            (None, Some(_)) => Some(AuthFailure::KeysUnavailable),
            (None, None) => None,
        }
    }

    /// Why there are no keys; `None` where there are.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match self.known() {
            Some(_) => None,
            None => Some(match (self.failure.load_full(), self.loaded.load_full()) {
                (Some(why), _) => (*why).clone(),
                (None, Some(_)) => "the last ones are older than max_stale".to_owned(),
                (None, None) => "not fetched yet".to_owned(),
            }),
        }
    }

    /// Why the last fetch failed, if it did.
    pub(super) fn last_failure(&self) -> Option<Arc<String>> {
        self.failure.load_full()
    }

    /// Asks the issuer again, since a token names a key that is not known, or none is; unless it
    /// has just been asked. Some requests that come meanwhile wait for the same answer, and others
    /// go on without it, lest those who invent keys fill the gateway with waiting.
    pub(super) async fn ask_again(&self) {
        let Some(_waiting) = self.waiting.enter(MAX_WAITING) else { return };
        let begun = Instant::now();
        let mut attempted = self.attempted.lock().await;
        let pause = if self.known().is_some() { PAUSE } else { FIRST_RETRY };
        let is_due = attempted.is_none_or(|last| last < begun && last.elapsed() >= pause);
        if is_due {
            *attempted = Some(Instant::now());
            self.fetch().await;
        }
    }

    /// The keys, fetched once where they are not known.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn asked(&self) -> Result<Arc<KeySet>, String> {
        if self.known().is_none() {
            self.ask_again().await;
        }
        self.known().ok_or_else(|| self.trouble().unwrap_or_default())
    }

    /// Fetches the keys for as long as somebody uses them.
    pub async fn keep_fresh(keys: Weak<Self>) {
        let mut retry = FIRST_RETRY;
        loop {
            let wait = {
                let Some(keys) = keys.upgrade() else { return };
                let KeySource::Url { refresh, .. } = keys.source else { return };
                let mut attempted = keys.attempted.lock().await;
                *attempted = Some(Instant::now());
                if keys.fetch().await {
                    retry = FIRST_RETRY;
                    jittered(refresh)
                } else {
                    let wait = retry.min(refresh);
                    retry = retry.saturating_mul(2).min(PAUSE);
                    jittered(wait)
                }
            };
            sleep(wait).await;
        }
    }

    async fn fetch(&self) -> bool {
        let (Some(fetcher), KeySource::Url { max_stale, .. }) = (&self.fetcher, &self.source)
        else {
            return true;
        };
        let fetched = fetcher.get(MAX_KEY_SET, FETCH_TIMEOUT).await;
        let parsed = fetched.and_then(|document| {
            let set = KeySet::parse(&document.text);
            set.map_err(|error| document.trouble(&format!("the document {error}")))
        });
        let now = jiff::Timestamp::now().as_second();
        self.metrics.keys_fetched(&self.issuer, parsed.is_ok().then_some(now));
        let issuer = &*self.issuer;
        match parsed {
            Ok(set) => {
                let count = set.len();
                let until = Instant::now().checked_add(*max_stale);
                self.loaded.store(Some(Arc::new(Loaded { set: Arc::new(set), until })));
                self.changed.send_replace(());
                self.failure.store(None);
                self.metrics.keys_loaded(issuer, count);
                tracing::debug!(event = "jwks.refreshed", issuer, keys = count);
                true
            }
            Err(trouble) => {
                let trouble = trouble.hinting("jwks_url must be what the issuer calls jwks_uri");
                trouble.tell_of_keys(issuer);
                self.failure.store(Some(Arc::new(trouble.detail())));
                false
            }
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Up to a tenth less, so that replicas do not ask all at once.
fn jittered(wait: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness they do.
    let _ = getrandom::fill(&mut byte);
    wait.mul_f64(1.0 - f64::from(byte[0]) / 2560.0)
}
