//! What is held against its bounds: connections, bytes, questions to the admin listener.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::{Family, Make, number};

const CONNECTIONS: Family =
    ("connections_active", "Open connections of callers, by listener.", &["listener"]);
const CONNECTIONS_LIMIT: Family = (
    "connections_limit",
    "Limit from the configuration, or what the file descriptors of the process allow.",
    &["listener"],
);
const CONNECTIONS_REFUSED: Family = (
    "connections_refused_total",
    "Connections that were closed at once, since the limit was reached.",
    &["listener"],
);
const ADMIN_REFUSED: Family =
    ("admin_refused_total", "Questions to the admin listener without an answer.", &["reason"]);

/// Why the admin listener does not answer a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AdminRefusal {
    /// The question before takes too long.
    Busy,
    /// It comes from a page of somebody else.
    CrossOrigin,
    /// It has made room for a newer connection, before it asked anything.
    Displaced,
    /// It is for a host that is not ours.
    ForeignHost,
    /// It is no question that can be read: its head is too long or broken, or it has a body.
    Head,
    /// Its head does not come, or its answer is not read.
    Slow,
}

impl AdminRefusal {
    const ALL: [Self; 6] =
        [Self::Busy, Self::CrossOrigin, Self::Displaced, Self::ForeignHost, Self::Head, Self::Slow];

    /// The label value, and the word in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::CrossOrigin => "cross_origin",
            Self::Displaced => "displaced",
            Self::ForeignHost => "foreign_host",
            Self::Head => "head",
            Self::Slow => "slow",
        }
    }
}

/// Something from outside of which a bounded number is remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Forgotten {
    /// That a list is empty for its caller, which is told once.
    EmptyList,
    /// A tool that nobody approved, which is told once.
    NewTool,
    /// The tool that made a task.
    Task,
    /// A name of a tool as a label.
    ToolLabel,
    /// The last use of a tool by a caller.
    Use,
}

impl Forgotten {
    pub(super) const ALL: [Self; 5] =
        [Self::EmptyList, Self::NewTool, Self::Task, Self::ToolLabel, Self::Use];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::EmptyList => "empty_list",
            Self::NewTool => "new_tool",
            Self::Task => "task",
            Self::ToolLabel => "tool_label",
            Self::Use => "use",
        }
    }
}

/// Counts of what is held, and of what was refused for it.
#[derive(Debug)]
pub struct Bounds {
    /// Open connections, by listener (`mcp` or `admin`).
    pub connections: IntGaugeVec,
    /// Their limits.
    pub connections_limit: IntGaugeVec,
    /// Those beyond.
    pub connections_refused: IntCounterVec,
    /// Connections whose TLS handshake failed or took too long.
    pub handshakes_failed: IntCounter,
    admin_refused: IntCounterVec,
    buffers: IntGauge,
    buffers_limit: IntGauge,
    buffers_refused: IntCounter,
}

impl Bounds {
    pub(super) fn new(make: &Make<'_>) -> prometheus::Result<Self> {
        let new = Self {
            connections: make.gauges(&CONNECTIONS)?,
            connections_limit: make.gauges(&CONNECTIONS_LIMIT)?,
            connections_refused: make.counters(&CONNECTIONS_REFUSED)?,
            handshakes_failed: make.registered(IntCounter::new(
                "tls_handshakes_failed_total",
                "Connections of callers whose TLS handshake failed or took too long.",
            )?)?,
            admin_refused: make.counters(&ADMIN_REFUSED)?,
            buffers: make.gauge(
                "buffers_bytes",
                "Bytes of bodies, whole answers and unfinished events that are held.",
            )?,
            buffers_limit: make.gauge("buffers_limit_bytes", "Limit from the configuration.")?,
            buffers_refused: make.registered(IntCounter::new(
                "buffers_refused_total",
                "Times that a body, an answer or an event found no room in the buffers.",
            )?)?,
        };
        for listener in ["admin", "mcp"] {
            new.connections.with_label_values(&[listener]);
            new.connections_refused.with_label_values(&[listener]);
        }
        for refusal in AdminRefusal::ALL {
            new.admin_refused.with_label_values(&[refusal.as_str()]);
        }
        Ok(new)
    }

    /// Counts a question to the admin listener that is not answered.
    pub fn admin_refused(&self, refusal: AdminRefusal) {
        self.admin_refused.with_label_values(&[refusal.as_str()]).inc();
    }

    /// Shows how many bytes are held of how many, and how often there was no room since the start.
    pub fn show_buffers(&self, taken: usize, limit: usize, refused: u64) {
        self.buffers.set(number(taken));
        self.buffers_limit.set(number(limit));
        self.buffers_refused.inc_by(refused.saturating_sub(self.buffers_refused.get()));
    }

    /// Shows the limit of a listener's connections.
    pub fn show_connections_limit(&self, listener: &str, limit: usize) {
        self.connections_limit.with_label_values(&[listener]).set(number(limit));
    }
}
