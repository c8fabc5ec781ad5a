//! The families of metrics, and their making: names, help, labels, buckets.

use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Name, help and labels of a family.
pub(super) type Family = (&'static str, &'static str, &'static [&'static str]);

pub(super) const CALL_BUCKETS: [f64; 13] =
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0];
pub(super) const OVERHEAD_BUCKETS: [f64; 12] =
    [5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 1e-2, 5e-2, 0.25];
pub(super) const STREAM_BUCKETS: [f64; 7] = [1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 14400.0];

pub(super) const REQUESTS: Family = (
    "requests_total",
    "Requests, by upstream, MCP method and outcome.",
    &["upstream", "method", "outcome"],
);
pub(super) const REQUEST_DURATION: Family = (
    "request_duration_seconds",
    "Time from the head of a forwarded request to the end of its answer.",
    &["upstream", "method"],
);
pub(super) const TOOL_CALLS: Family = (
    "tool_calls_total",
    "Tool calls, by upstream, tool and outcome.",
    &["upstream", "tool", "outcome"],
);
pub(super) const POLICY_DECISIONS: Family = (
    "policy_decisions_total",
    "Decisions on authenticated, readable requests.",
    &["upstream", "decision", "reason"],
);
pub(super) const AUTH: Family = ("auth_total", "Authentications.", &["scheme", "result"]);
pub(super) const OVERHEAD: Family = (
    "overhead_duration_seconds",
    "Time the gateway itself spent on a request, by phase.",
    &["phase"],
);
pub(super) const IN_FLIGHT: Family = ("requests_in_flight", "Requests at once.", &["upstream"]);
pub(super) const STREAMS: Family = ("streams_active", "Open event streams.", &["upstream", "kind"]);
pub(super) const STREAM_DURATION: Family =
    ("stream_duration_seconds", "How long event streams lasted.", &["upstream", "kind"]);
pub(super) const STREAMS_CLOSED: Family = (
    "streams_closed_total",
    "Event streams that ended, by reason.",
    &["upstream", "kind", "reason"],
);
pub(super) const RETRIES: Family = (
    "upstream_retries_total",
    "Requests sent again because a pooled connection was dead.",
    &["upstream"],
);
pub(super) const TOKENS: Family = ("tokens", "Tokens in the table, by state.", &["state"]);
pub(super) const TOKENS_EXPIRING: Family =
    ("tokens_expiring", "Valid tokens that will end within a span of time.", &["within"]);
pub(super) const TOKENS_USED: Family = (
    "tokens_used",
    "Valid tokens that were used within a span of time, since the start.",
    &["within"],
);
pub(super) const TOOLS_CHANGED: Family = (
    "tools_changed",
    "Tools that differ from tools.lock, by how, as far as lists have passed.",
    &["upstream", "change"],
);
pub(super) const TOOL_CHANGES: Family = (
    "tool_changes_total",
    "Times that a tool was found to differ from tools.lock, by how.",
    &["upstream", "change"],
);
pub(super) const ITEMS_LEFT_OUT: Family = (
    "list_items_left_out_total",
    "Items of an upstream's lists that cannot be read and are left out of them.",
    &["upstream", "list"],
);
pub(super) const FORGOTTEN: Family = (
    "forgotten_total",
    "Things that callers and upstreams named and that are not remembered, since a bound is reached.",
    &["what"],
);
pub(super) const RELOADS: Family =
    ("config_reloads_total", "Reloads of the configuration, by result.", &["result"]);
pub(super) const JWKS_KEYS: Family =
    ("jwks_keys", "Usable keys of an issuer of JWTs.", &["issuer"]);
pub(super) const JWKS_SUCCESS: Family = (
    "jwks_last_success_timestamp_seconds",
    "When the keys of an issuer of JWTs were last fetched.",
    &["issuer"],
);
pub(super) const JWKS_REFRESHES: Family =
    ("jwks_refresh_total", "Fetches of an issuer's keys, by result.", &["issuer", "result"]);
pub(super) const BUILD: Family = ("build_info", "1, with the version.", &["version"]);

pub(super) struct Make<'r>(pub(super) &'r Registry);

impl Make<'_> {
    pub(super) fn registered<C>(&self, collector: C) -> prometheus::Result<C>
    where
        C: prometheus::core::Collector + Clone + 'static,
    {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    pub(super) fn counters(
        &self,
        (name, help, labels): &Family,
    ) -> prometheus::Result<IntCounterVec> {
        self.registered(IntCounterVec::new(Opts::new(*name, *help), labels)?)
    }

    pub(super) fn gauges(&self, (name, help, labels): &Family) -> prometheus::Result<IntGaugeVec> {
        self.registered(IntGaugeVec::new(Opts::new(*name, *help), labels)?)
    }

    pub(super) fn histograms(
        &self,
        (name, help, labels): &Family,
        buckets: &[f64],
    ) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::new(*name, *help).buckets(buckets.to_vec());
        self.registered(HistogramVec::new(opts, labels)?)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.registered(IntGauge::new(name, help)?)
    }
}
