//! Metrics in the Prometheus text format, in a registry of their own.
//!
//! Every label value comes from a closed set: the configuration, the table of methods, an enum,
//! or the names that an upstream itself listed. What a caller sends never becomes a series.

mod bounds;
mod families;
mod faults;
mod records;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use prometheus::{
    Encoder as _, Histogram, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};

use self::families::{
    AUTH, BUILD, CALL_BUCKETS, FORGOTTEN, Family, IN_FLIGHT, ITEMS_LEFT_OUT, JWKS_KEYS,
    JWKS_REFRESHES, JWKS_SUCCESS, Make, OVERHEAD, OVERHEAD_BUCKETS, POLICY_DECISIONS, RELOADS,
    REQUEST_DURATION, REQUESTS, RETRIES, STREAM_BUCKETS, STREAM_DURATION, STREAMS, STREAMS_CLOSED,
    TOKENS, TOKENS_EXPIRING, TOKENS_USED, TOOL_CALLS, TOOL_CHANGES, TOOLS_CHANGED,
};
use self::faults::Faults;
pub use bounds::{AdminRefusal, Bounds, Forgotten};
pub use records::Records;

use crate::core::method;
use crate::core::outcome::Outcome;
use crate::core::pin::{Change, Pins};
use crate::core::token::{AuthFailure, Census, SPANS};

/// Label value for everything outside the closed sets.
pub const OTHER: &str = "other";
/// Label value where there is no upstream or method yet.
pub const NONE: &str = "none";

/// How many tool names of one upstream may become label values.
const MAX_TOOLS: usize = 500;

/// Longest tool name in bytes that may become one.
const MAX_TOOL_NAME: usize = 256;

/// The parts of the gateway's own work that are timed.
#[derive(Clone, Copy, Debug)]
pub enum Phase {
    /// Finding the principal.
    Auth,
    /// Filtering a list.
    Filter,
    /// Reading the message and comparing it with its headers.
    Parse,
    /// Deciding.
    Policy,
}

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    tool_calls: IntCounterVec,
    policy_decisions: IntCounterVec,
    auth: IntCounterVec,
    overhead: [Histogram; 4],
    /// Requests at once, by upstream.
    pub in_flight: IntGaugeVec,
    /// Open event streams, by upstream and kind (`call`, `get` or `listen`).
    pub streams: IntGaugeVec,
    stream_duration: HistogramVec,
    streams_closed: IntCounterVec,
    /// Requests sent again because a pooled connection was dead.
    pub retries: IntCounterVec,
    /// How audit records fare.
    pub records: Records,
    faults: Faults,
    limits: [IntGauge; 2],
    tokens: IntGaugeVec,
    tokens_expiring: IntGaugeVec,
    tokens_used: IntGaugeVec,
    reloads: IntCounterVec,
    reload_ok: IntGauge,
    reloaded: IntGauge,
    config_hash: IntGauge,
    jwks_keys: IntGaugeVec,
    jwks_success: IntGaugeVec,
    jwks_refreshes: IntCounterVec,
    tools_changed: IntGaugeVec,
    tool_changes: IntCounterVec,
    items_left_out: IntCounterVec,
    forgotten: IntCounterVec,
    tools: RwLock<HashMap<String, HashSet<String>>>,
    /// What is held against its bounds.
    pub bounds: Bounds,
}

/// What of the configuration the metrics show.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Names of the upstreams.
    pub upstreams: Vec<&'a str>,
    /// Tools that the configuration names literally.
    pub tools: &'a BTreeSet<(String, String)>,
    /// The limit of requests at once.
    pub in_flight_limit: usize,
    /// The limit of streams at once.
    pub streams_limit: usize,
    /// The first digits of a digest of the configuration, in hexadecimal.
    pub revision: &'a str,
}

impl Metrics {
    /// Registers everything. [`Self::show`] adds a zero for every upstream and outcome, so that
    /// the first failure is visible to `rate`.
    ///
    /// # Errors
    /// Where two metrics share a name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new_custom(Some("doorward".to_owned()), None)?;
        let make = Make(&registry);
        let overhead = make.histograms(&OVERHEAD, &OVERHEAD_BUCKETS)?;
        let metrics = Self {
            requests: make.counters(&REQUESTS)?,
            request_duration: make.histograms(&REQUEST_DURATION, &CALL_BUCKETS)?,
            tool_calls: make.counters(&TOOL_CALLS)?,
            policy_decisions: make.counters(&POLICY_DECISIONS)?,
            auth: make.counters(&AUTH)?,
            overhead: ["auth", "filter", "parse", "policy"]
                .map(|phase| overhead.with_label_values(&[phase])),
            in_flight: make.gauges(&IN_FLIGHT)?,
            streams: make.gauges(&STREAMS)?,
            stream_duration: make.histograms(&STREAM_DURATION, &STREAM_BUCKETS)?,
            streams_closed: make.counters(&STREAMS_CLOSED)?,
            retries: make.counters(&RETRIES)?,
            records: Records::new(&make)?,
            faults: Faults::new(&make)?,
            limits: [
                make.gauge("requests_in_flight_limit", "Limit from the configuration.")?,
                make.gauge("streams_limit", "Limit from the configuration.")?,
            ],
            tokens: make.gauges(&TOKENS)?,
            tokens_expiring: make.gauges(&TOKENS_EXPIRING)?,
            tokens_used: make.gauges(&TOKENS_USED)?,
            reloads: make.counters(&RELOADS)?,
            reload_ok: make.gauge(
                "config_last_reload_successful",
                "1 where the configuration in use is the one in the file, 0 where that is refused or held.",
            )?,
            reloaded: make.gauge(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration in use was loaded.",
            )?,
            config_hash: make.gauge(
                "config_hash",
                "The first 52 bits of a digest of the configuration in use; alike on all replicas.",
            )?,
            jwks_keys: make.gauges(&JWKS_KEYS)?,
            jwks_success: make.gauges(&JWKS_SUCCESS)?,
            jwks_refreshes: make.counters(&JWKS_REFRESHES)?,
            tools_changed: make.gauges(&TOOLS_CHANGED)?,
            tool_changes: make.counters(&TOOL_CHANGES)?,
            items_left_out: make.counters(&ITEMS_LEFT_OUT)?,
            forgotten: make.counters(&FORGOTTEN)?,
            tools: RwLock::default(),
            bounds: Bounds::new(&make)?,
            registry: registry.clone(),
        };
        make.gauges(&BUILD)?.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        for result in ["success", "failure", "held"] {
            metrics.reloads.with_label_values(&[result]);
        }
        for what in Forgotten::ALL {
            metrics.forgotten.with_label_values(&[what.as_str()]);
        }
        Ok(metrics)
    }

    /// Shows a configuration that is in use from now on, with zeroes for what may happen.
    pub fn show(&self, shown: &Shown<'_>, now: i64) {
        self.reload_ok.set(1);
        self.reloaded.set(now);
        // More digits than these no floating-point number holds.
        let digits = shown.revision.get(..13).unwrap_or_default();
        self.config_hash.set(i64::from_str_radix(digits, 16).unwrap_or(0));
        self.show_limits(shown.in_flight_limit, shown.streams_limit);
        for upstream in &shown.upstreams {
            for outcome in Outcome::ALL {
                self.requests.with_label_values(&[upstream, "tools/call", outcome.as_str()]);
            }
            self.in_flight.with_label_values(&[upstream]);
            self.items_left_out.with_label_values(&[upstream, "tools"]);
            for kind in ["call", "get", "listen"] {
                self.streams.with_label_values(&[*upstream, kind]);
            }
        }
        self.auth.with_label_values(&["token", "ok"]);
        self.auth.with_label_values(&["mtls", "ok"]);
        self.auth.with_label_values(&["mtls", AuthFailure::Unknown.as_str()]);
        for failure in AuthFailure::OF_TOKENS {
            self.auth.with_label_values(&["token", failure.as_str()]);
        }
        for (upstream, tool) in shown.tools {
            self.learn_tool(upstream, tool);
        }
    }

    /// Shows how many requests and streams there may be at once.
    pub fn show_limits(&self, in_flight: usize, streams: usize) {
        let [in_flight_limit, streams_limit] = &self.limits;
        in_flight_limit.set(number(in_flight));
        streams_limit.set(number(streams));
    }

    /// Counts a reload.
    pub fn reload(&self, succeeded: bool) {
        let result = if succeeded { "success" } else { "failure" };
        self.reloads.with_label_values(&[result]).inc();
        self.reload_ok.set(i64::from(succeeded));
    }

    /// Counts a reload that waits for a word.
    pub fn reload_held(&self) {
        self.reloads.with_label_values(&["held"]).inc();
        self.reload_ok.set(0);
    }

    /// Shows how many tokens are in which state.
    pub fn show_tokens(&self, census: &Census) {
        let Census { active, expired, revoked, within } = census;
        for (state, count) in [("active", active), ("expired", expired), ("revoked", revoked)] {
            self.tokens.with_label_values(&[state]).set(number(*count));
        }
        for ((span, _), [ending, used]) in SPANS.iter().zip(within) {
            self.tokens_expiring.with_label_values(&[span]).set(number(*ending));
            self.tokens_used.with_label_values(&[span]).set(number(*used));
        }
    }

    /// From now on `tool` may stand in a label; the upstream has it, or the configuration does.
    pub fn learn_tool(&self, upstream: &str, tool: &str) {
        if self.knows_tool(upstream, tool) {
            return;
        }
        if tool.len() > MAX_TOOL_NAME {
            return self.forget(Forgotten::ToolLabel, 1);
        }
        let mut tools = self.tools.write().unwrap_or_else(PoisonError::into_inner);
        let names = tools.entry(upstream.to_owned()).or_default();
        if names.len() < MAX_TOOLS {
            names.insert(tool.to_owned());
        } else {
            self.forget(Forgotten::ToolLabel, 1);
        }
    }

    fn knows_tool(&self, upstream: &str, tool: &str) -> bool {
        let tools = self.tools.read().unwrap_or_else(PoisonError::into_inner);
        tools.get(upstream).is_some_and(|names| names.contains(tool))
    }

    /// Counts a finished request. `tool` is the name in a call, as the caller sent it.
    pub fn request(&self, upstream: &str, method: &str, tool: Option<&str>, outcome: Outcome) {
        let outcome = outcome.as_str();
        self.requests.with_label_values(&[upstream, method, outcome]).inc();
        if let Some(tool) = tool {
            let tool = if self.knows_tool(upstream, tool) { tool } else { OTHER };
            self.tool_calls.with_label_values(&[upstream, tool, outcome]).inc();
        }
    }

    /// Notes how long a forwarded request took.
    pub fn request_took(&self, upstream: &str, method: &str, time: Duration) {
        let labels = [upstream, method];
        self.request_duration.with_label_values(&labels).observe(time.as_secs_f64());
    }

    /// Counts a tool that is not, or no longer, what was approved.
    pub fn tool_changed(&self, upstream: &str, change: Change) {
        self.tool_changes.with_label_values(&[upstream, change.as_str()]).inc();
    }

    /// Counts items of a list that cannot be read.
    pub fn items_left_out(&self, upstream: &str, list: &str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.items_left_out.with_label_values(&[upstream, list]).inc_by(count);
    }

    /// Counts things that are not remembered, or no longer, since a bound is reached.
    pub fn forget(&self, what: Forgotten, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.forgotten.with_label_values(&[what.as_str()]).inc_by(count);
    }

    /// Shows how many tools of an upstream differ from what was approved; nothing where nothing is
    /// pinned.
    pub fn show_drift(&self, upstream: &str, pins: Option<&Pins>) {
        let drift = pins.map(Pins::drift).unwrap_or_default();
        for change in Change::ALL {
            let labels = [upstream, change.as_str()];
            match drift.get(&change) {
                Some(count) => {
                    self.tools_changed.with_label_values(&labels).set(number(*count));
                    self.tool_changes.with_label_values(&labels);
                }
                // What was never shown cannot be taken away, and need not.
                None => drop(self.tools_changed.remove_label_values(&labels)),
            }
        }
    }

    /// Counts a decision: `allow`, `deny`, or `shadow_deny` where it did not count.
    pub fn decision(&self, upstream: &str, decision: &str, reason: &str) {
        self.policy_decisions.with_label_values(&[upstream, decision, reason]).inc();
    }

    /// Counts an authentication.
    pub fn auth(&self, scheme: &str, result: Result<(), AuthFailure>) {
        let result = result.err().map_or("ok", AuthFailure::as_str);
        self.auth.with_label_values(&[scheme, result]).inc();
    }

    /// Shows an issuer of JWTs, with zeroes for what may happen.
    pub fn show_issuer(&self, issuer: &str, is_fetched: bool) {
        if is_fetched {
            // Never, until it has been.
            self.jwks_success.with_label_values(&[issuer]);
            for result in ["success", "failure"] {
                self.jwks_refreshes.with_label_values(&[issuer, result]);
            }
        }
        self.auth.with_label_values(&["jwt", "ok"]);
        for failure in AuthFailure::OF_JWTS {
            self.auth.with_label_values(&["jwt", failure.as_str()]);
        }
        self.jwks_keys.with_label_values(&[issuer]);
    }

    /// An issuer that is no longer there must not look like one that is away.
    pub fn forget_issuer(&self, issuer: &str) {
        // What was never shown cannot be taken away, and need not.
        let _ = self.jwks_keys.remove_label_values(&[issuer]);
        let _ = self.jwks_success.remove_label_values(&[issuer]);
    }

    /// Counts a fetch of an issuer's keys, and notes when it succeeded.
    pub fn keys_fetched(&self, issuer: &str, succeeded: Option<i64>) {
        let result = if succeeded.is_some() { "success" } else { "failure" };
        self.jwks_refreshes.with_label_values(&[issuer, result]).inc();
        if let Some(now) = succeeded {
            self.jwks_success.with_label_values(&[issuer]).set(now);
        }
    }

    /// Shows the keys of an issuer that are in use.
    pub fn keys_loaded(&self, issuer: &str, count: usize) {
        self.jwks_keys.with_label_values(&[issuer]).set(number(count));
    }

    /// Notes how long a phase took.
    pub fn overhead(&self, phase: Phase, time: Duration) {
        let [auth, filter, parse, policy] = &self.overhead;
        let histogram = match phase {
            Phase::Auth => auth,
            Phase::Filter => filter,
            Phase::Parse => parse,
            Phase::Policy => policy,
        };
        histogram.observe(time.as_secs_f64());
    }

    /// Notes the end of an event stream.
    pub fn stream_closed(&self, upstream: &str, kind: &str, reason: &str, lasted: Duration) {
        self.streams_closed.with_label_values(&[upstream, kind, reason]).inc();
        self.stream_duration.with_label_values(&[upstream, kind]).observe(lasted.as_secs_f64());
    }

    /// Everything in the text format, the process's own metrics included.
    ///
    /// # Errors
    /// Where a metric cannot be encoded.
    pub fn encode(&self) -> prometheus::Result<Vec<u8>> {
        self.faults.show();
        let mut families = self.registry.gather();
        let process = prometheus::process_collector::ProcessCollector::for_self();
        families.extend(prometheus::core::Collector::collect(&process));
        let mut out = Vec::new();
        TextEncoder::new().encode(&families, &mut out)?;
        Ok(out)
    }
}

/// The label value for a method that a caller sent.
#[must_use]
pub fn method_label(method: &str) -> &'static str {
    method::names().find(|name| *name == method).unwrap_or(OTHER)
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
