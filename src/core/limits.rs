//! Bounds on what callers and upstreams may cost.

use std::time::Duration;

/// Bounds on what callers and upstreams may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest request body in bytes.
    pub request_body: usize,
    /// Longest answer that is changed on its way (a list, a modern resource), and longest event
    /// of such a stream, in bytes.
    pub listing: usize,
    /// Bytes of bodies, of answers that are read whole, and of events that have not ended, at once
    /// and in all.
    pub buffers: usize,
    /// How long a client may keep a list, and so how long a permission that is taken away may
    /// still show in it.
    pub list_ttl: Duration,
    /// Deepest nesting of JSON that is read.
    pub json_depth: usize,
    /// Longest request head in bytes.
    pub headers: usize,
    /// Connections at once.
    pub connections: usize,
    /// Requests at once.
    pub in_flight: usize,
    /// Open event streams at once.
    pub streams: usize,
    /// How long a request head may take, and an idle connection live.
    pub head_timeout: Duration,
    /// How long a request body may take.
    pub body_timeout: Duration,
    /// How long a client may leave an answer unread.
    pub write_timeout: Duration,
}

impl Limits {
    /// [`Self::connections`] where the configuration says nothing. It is a bound against floods, and
    /// no demand.
    pub const DEFAULT_CONNECTIONS: usize = 20_000;
}
