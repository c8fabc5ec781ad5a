//! A name, and the addresses that are known of it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{MAX_LOOKUPS, Resolver};

/// All addresses of a name, at least one, with port 0; in the order in which the C library wants
/// them to be tried.
pub(in crate::gateway) type Addresses = Arc<[SocketAddr]>;

/// Why there is no address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::gateway) enum Unresolved {
    /// The lookup has not begun: those of other names hang, as many as there may be.
    Crowded,
    /// The lookup has failed; holds why.
    Failed(Arc<str>),
    /// The lookup takes too long.
    Late,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crowded => write!(f, "{MAX_LOOKUPS} lookups of other names do not end"),
            Self::Failed(why) => f.write_str(why),
            Self::Late => f.write_str("the resolver does not answer"),
        }
    }
}

/// A name in the care of a [`Resolver`].
pub(in crate::gateway) struct Name {
    host: Box<str>,
    resolver: Arc<Resolver>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// And since when they are known.
    addresses: Option<(Addresses, Instant)>,
    /// One of them could not be connected to.
    is_doubted: bool,
    lookup: Option<UnderWay>,
    /// When the last lookup ended, and why it failed, where it did.
    last: Option<(Instant, Option<Arc<str>>)>,
    /// The log has been told that old addresses are used.
    is_told: bool,
}

/// A lookup that has not ended.
struct UnderWay {
    since: Instant,
    has_begun: bool,
    outcome: watch::Sender<Option<Outcome>>,
}

type Outcome = Result<Addresses, Arc<str>>;

/// What there is for a caller who wants an address now.
enum Look {
    Known(Addresses),
    Wait(watch::Receiver<Option<Outcome>>, Duration),
    None(Unresolved),
}

impl Name {
    pub(super) fn new(host: &str, resolver: Arc<Resolver>) -> Self {
        Self { host: host.into(), resolver, state: Mutex::default() }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The addresses, looked up where those that are known are too old. Where that fails, or hangs,
    /// it is the old ones, for an hour. It waits for `patience` at most.
    ///
    /// # Errors
    /// Why there is none.
    pub(in crate::gateway) async fn addresses(
        self: &Arc<Self>,
        patience: Duration,
    ) -> Result<Addresses, Unresolved> {
        let (mut outcome, rest) = match self.look(patience) {
            Look::Known(addresses) => return Ok(addresses),
            Look::None(why) => return Err(why),
            Look::Wait(outcome, rest) => (outcome, rest),
        };
        let ended = timeout(rest, outcome.wait_for(Option::is_some)).await;
        // A copy, lest the one who finishes the next lookup waits for us.
        let ended = ended.map(|ended| ended.ok().and_then(|outcome| (*outcome).clone()));
        match ended {
            Ok(Some(Ok(addresses))) => Ok(addresses),
            Ok(Some(Err(why))) => self.old(Unresolved::Failed(why)),
            Ok(None) | Err(_) => self.old(self.why_late()),
        }
    }

    /// After a failure to connect: the name may have moved.
    pub(in crate::gateway) fn doubt(&self) {
        self.state.lock().is_doubted = true;
    }

    /// What there is, and a lookup on its way where newer addresses are wanted.
    fn look(self: &Arc<Self>, patience: Duration) -> Look {
        let times = &self.resolver.times;
        let mut state = self.state.lock();
        if !state.is_doubted
            && let Some((addresses, _)) =
                state.addresses.as_ref().filter(|(_, since)| since.elapsed() < times.fresh)
        {
            return Look::Known(Arc::clone(addresses));
        }
        let is_due = state.last.as_ref().is_none_or(|(ended, _)| ended.elapsed() >= times.pause);
        let is_new = state.lookup.is_none() && is_due;
        if is_new {
            let (since, outcome) = (Instant::now(), watch::Sender::new(None));
            state.lookup = Some(UnderWay { since, has_begun: false, outcome });
        }
        let look = state.look(&self.host, times.oldest, times.grace, patience);
        drop(state);
        if is_new {
            self.resolver.enqueue(self);
        }
        look
    }

    /// The old addresses, if they are not too old, for want of newer ones.
    fn old(&self, why: Unresolved) -> Result<Addresses, Unresolved> {
        let mut state = self.state.lock();
        match state.usable(self.resolver.times.oldest) {
            Some(old) => {
                state.tell(&self.host, &old, &why);
                Ok(old)
            }
            None => Err(why),
        }
    }

    fn why_late(&self) -> Unresolved {
        self.state.lock().why_late()
    }

    /// A thread looks it up now.
    pub(super) fn begin(&self) {
        if let Some(lookup) = &mut self.state.lock().lookup {
            lookup.has_begun = true;
        }
    }

    /// The lookup has ended like this: everybody who waits is told.
    pub(super) fn finish(&self, found: io::Result<Vec<SocketAddr>>) {
        let outcome: Outcome = match found {
            Ok(found) if found.is_empty() => Err("the name has no address".into()),
            Ok(found) => Ok(found.into()),
            Err(error) => Err(error.to_string().into()),
        };
        let mut state = self.state.lock();
        let now = Instant::now();
        state.last = Some((now, outcome.as_ref().err().cloned()));
        if let Ok(addresses) = &outcome {
            state.addresses = Some((Arc::clone(addresses), now));
            state.is_doubted = false;
            if std::mem::take(&mut state.is_told) {
                let address = addresses.first().map(|address| address.ip().to_string());
                tracing::info!(event = "resolver.works", name = %self.host, address);
            }
        }
        if let Some(lookup) = state.lookup.take() {
            lookup.outcome.send_replace(Some(outcome));
        }
    }

    /// How many callers wait for the lookup under way.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        let state = self.state.lock();
        state.lookup.as_ref().map_or(0, |lookup| lookup.outcome.receiver_count())
    }
}

impl State {
    /// What there is where newer addresses are wanted.
    fn look(&mut self, host: &str, oldest: Duration, grace: Duration, patience: Duration) -> Look {
        let usable = self.usable(oldest);
        let has_failed = matches!(self.last, Some((_, Some(_))));
        match (&self.lookup, usable) {
            (Some(lookup), None) => Look::Wait(lookup.outcome.subscribe(), patience),
            // After a failure, the next attempt is nobody's to wait for.
            (Some(lookup), Some(_)) if !has_failed && lookup.since.elapsed() < grace => {
                let rest = grace.saturating_sub(lookup.since.elapsed()).min(patience);
                Look::Wait(lookup.outcome.subscribe(), rest)
            }
            (None, Some(just_looked_up)) if !has_failed => Look::Known(just_looked_up),
            (_, usable) => {
                let why = self.why();
                match usable {
                    Some(old) => {
                        self.tell(host, &old, &why);
                        Look::Known(old)
                    }
                    None => Look::None(why),
                }
            }
        }
    }

    fn usable(&self, oldest: Duration) -> Option<Addresses> {
        let (addresses, _) = self.addresses.as_ref().filter(|(_, at)| at.elapsed() < oldest)?;
        Some(Arc::clone(addresses))
    }

    /// Why there is nothing newer.
    fn why(&self) -> Unresolved {
        match &self.last {
            Some((_, Some(why))) => Unresolved::Failed(Arc::clone(why)),
            _ => self.why_late(),
        }
    }

    fn why_late(&self) -> Unresolved {
        match &self.lookup {
            Some(UnderWay { has_begun: false, .. }) => Unresolved::Crowded,
            _ => Unresolved::Late,
        }
    }

    /// Says it in the log, once until newer addresses are there.
    fn tell(&mut self, host: &str, old: &Addresses, why: &Unresolved) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let address = old.first().map(|address| address.ip().to_string());
        tracing::warn!(
            event = "resolver.failed",
            name = host,
            address,
            cause = %why,
            "the name cannot be looked up; its old address is used for an hour at most"
        );
    }
}
