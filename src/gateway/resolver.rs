//! Addresses of names, looked up on threads of their own.
//!
//! The C library looks names up, and nobody can end a lookup that hangs. So a name is looked up
//! once at a time, however many wait for it; a bounded number of names is at once; and nothing but
//! lookups waits for those threads. Addresses that are known go on being used while newer ones
//! cannot be had.

mod name;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

pub(super) use self::name::{Addresses, Name, Unresolved};
use crate::telemetry::log;

/// Most lookups at once. Each has a thread, for as long as the C library takes.
const MAX_LOOKUPS: usize = 32;

/// Times of all names.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// For so long an address is used without a question. Names of services move when their
    /// servers are replaced.
    fresh: Duration,
    /// For so long an older one is used while newer ones cannot be had. It may be somebody else's
    /// in the end.
    oldest: Duration,
    /// From the beginning of a lookup, callers wait so long for it before they take an older one.
    grace: Duration,
    /// From the end of a lookup to the next one for the same name.
    pause: Duration,
}

const TIMES: Times = Times {
    fresh: Duration::from_secs(30),
    oldest: Duration::from_secs(3600),
    grace: Duration::from_secs(1),
    pause: Duration::from_secs(1),
};

type Lookup = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// See the module. What shares one shares names, and the bound.
pub struct Resolver {
    lookup: Box<Lookup>,
    times: Times,
    names: Mutex<HashMap<String, Weak<Name>>>,
    work: Mutex<Work>,
}

#[derive(Default)]
struct Work {
    /// Names whose lookup has not begun, each once. One that nobody uses any more is passed over.
    queue: VecDeque<Weak<Name>>,
    threads: usize,
}

impl Resolver {
    /// A resolver that asks the C library, as `/etc/nsswitch.conf` and `/etc/resolv.conf` say.
    #[must_use]
    pub fn system() -> Arc<Self> {
        // The port is of no account.
        let lookup = |host: &str| (host, 0).to_socket_addrs().map(Iterator::collect);
        Self::new(lookup, TIMES)
    }

    fn new(
        lookup: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
        times: Times,
    ) -> Arc<Self> {
        let lookup = Box::new(lookup);
        Arc::new(Self { lookup, times, names: Mutex::default(), work: Mutex::default() })
    }

    /// The name, as everybody has it who uses it. It is not looked up yet.
    pub(super) fn name(self: &Arc<Self>, host: &str) -> Arc<Name> {
        let mut names = self.names.lock();
        if let Some(known) = names.get(host).and_then(Weak::upgrade) {
            return known;
        }
        names.retain(|_, name| name.strong_count() > 0);
        let name = Arc::new(Name::new(host, Arc::clone(self)));
        names.insert(host.to_owned(), Arc::downgrade(&name));
        name
    }

    /// Has `name` looked up as soon as there is a thread.
    fn enqueue(self: &Arc<Self>, name: &Arc<Name>) {
        let mut work = self.work.lock();
        work.queue.push_back(Arc::downgrade(name));
        if work.threads == MAX_LOOKUPS {
            return;
        }
        let resolver = Arc::clone(self);
        let thread = thread::Builder::new().name("resolver".to_owned());
        match thread.spawn(move || resolver.work_off()) {
            Ok(_) => work.threads += 1,
            // One of the others takes it.
            Err(_) if work.threads > 0 => {}
            Err(error) => {
                let queue = std::mem::take(&mut work.queue);
                drop(work);
                for name in queue.iter().filter_map(Weak::upgrade) {
                    name.finish(Err(io::Error::new(error.kind(), format!("no thread: {error}"))));
                }
            }
        }
    }

    /// Looks up what waits, until nothing does.
    fn work_off(&self) {
        while let Some(name) = self.next() {
            name.begin();
            let found = log::unwinding(|| (self.lookup)(name.host()));
            name.finish(found.unwrap_or_else(|| Err(io::Error::other("the lookup broke off"))));
        }
    }

    fn next(&self) -> Option<Arc<Name>> {
        let mut work = self.work.lock();
        loop {
            match work.queue.pop_front() {
                Some(name) => {
                    if let Some(name) = name.upgrade() {
                        return Some(name);
                    }
                }
                None => {
                    work.threads -= 1;
                    return None;
                }
            }
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}
