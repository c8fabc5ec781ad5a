//! The log: diagnostics for operators, on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// Starts logging. `json` is for collectors; the other form is for people. Call it once.
///
/// `level` holds for doorward's own targets. Libraries are heard from `warn` on and never below:
/// at debug the framework prints request heads, and with them the `Authorization` header.
pub fn init(level: tracing::Level, json: bool) {
    let own = LevelFilter::from_level(level);
    let filter = Targets::new()
        .with_default(LevelFilter::WARN.min(own))
        // Says "failed to acquire" at error level where it simply opens another connection; what
        // fails in earnest is logged as `upstream.failed`.
        .with_target("pingora_core::connectors", LevelFilter::OFF)
        .with_target("doorward", own)
        .with_target("doorward_tickets", LevelFilter::INFO.min(own));
    let layer = fmt::layer().with_writer(std::io::stderr);
    let layer = if json {
        layer.json().flatten_event(true).with_span_list(false).with_current_span(false).boxed()
    } else {
        layer.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed()
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
}
