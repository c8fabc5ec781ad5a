//! How much there is room for, and how long a client may take.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The bounds of one service. The times are those of doorward's own gateway.toml.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections at once.
    pub(super) connections: usize,
    /// Bytes of bodies and answers that are held at once, of all connections.
    pub(super) bytes: usize,
    /// For a whole head, and for a connection that is idle.
    pub(super) head: Duration,
    /// For a whole body.
    pub(super) body: Duration,
    /// For taking what has been written.
    pub(super) answer: Duration,
}

impl Bounds {
    /// The bounds of a service that takes one part in `parts` of the files that this process may
    /// open.
    pub(crate) fn part(parts: usize) -> Self {
        let files = getrlimit(Resource::Nofile).current;
        let files = files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
        Self {
            connections: (files / parts).clamp(LEAST, MOST),
            bytes: 64 << 20,
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            answer: Duration::from_secs(60),
        }
    }

    /// The most exchanges of one caller at once.
    pub(super) fn share(&self) -> usize {
        (self.connections / 4).max(1)
    }
}

/// Lets this process open as many files as it may: the bounds of the services follow from that.
pub fn raise_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// The most connections, and the least, however few files there are.
const MOST: usize = 512;
const LEAST: usize = 8;
