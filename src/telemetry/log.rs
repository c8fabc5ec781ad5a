//! The log: diagnostics for operators, on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, reload};

/// Starts logging. `json` is for collectors; the other form is for people. Call it once.
///
/// `level` holds for doorward's own targets. Libraries are heard from `warn` on and never below:
/// at debug the framework prints request heads, and with them the `Authorization` header.
pub fn init(level: tracing::Level, json: bool) -> Dial {
    let (filter, handle) = reload::Layer::new(filter(level));
    let layer = fmt::layer().with_writer(std::io::stderr);
    let layer = if json {
        layer.json().flatten_event(true).with_span_list(false).with_current_span(false).boxed()
    } else {
        layer.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed()
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    // Fails only where the subscriber is gone, and then nobody listens.
    Dial(Box::new(move |level| drop(handle.reload(self::filter(level)))))
}

/// Sets the level of the log while it runs.
pub struct Dial(Box<dyn Fn(tracing::Level) + Send + Sync>);

impl Dial {
    /// From now on this level holds.
    pub fn set(&self, level: tracing::Level) {
        (self.0)(level);
    }
}

fn filter(level: tracing::Level) -> Targets {
    let own = LevelFilter::from_level(level);
    Targets::new()
        .with_default(LevelFilter::WARN.min(own))
        // Says "failed to acquire" at error level where it simply opens another connection; what
        // fails in earnest is logged as `upstream.failed`.
        .with_target("pingora_core::connectors", LevelFilter::OFF)
        .with_target("doorward", own)
        .with_target("doorward_tickets", LevelFilter::INFO.min(own))
}
