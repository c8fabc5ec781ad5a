//! The log: diagnostics for operators, on standard error.

mod libraries;
mod panics;
mod queue;

use std::borrow::Cow;
use std::future::Future;
use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;

use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets, dynamic_filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, reload};
use uuid::Uuid;

use self::libraries::Libraries;
pub use self::libraries::newly_repeated;
pub use self::panics::{new_panics, unwinding};
pub use self::queue::newly_dropped;
use self::queue::{DRAIN, Queue};
use crate::core::harmless::{coloured, harmless, lines};

tokio::task_local! {
    /// The request that the work at hand is for.
    static REQUEST: Uuid;
}

/// Every line that `work` writes to the log has this request id, the framework's own included.
pub async fn about<W: Future>(request: Uuid, work: W) -> W::Output {
    REQUEST.scope(request, work).await
}

/// Holds the log. When it is dropped, what waits is written first, within a second.
#[derive(Debug)]
pub struct Log(Arc<Queue>);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.drain(DRAIN);
    }
}

/// Starts logging, panics included. `json` is for collectors; the other form is for people. Call
/// it once.
///
/// `level` holds for doorward's own targets. Libraries are heard from `warn` on and never below:
/// at debug the framework prints request heads, and with them the `Authorization` header.
///
/// # Errors
/// Where no thread can be started.
pub fn init(level: tracing::Level, json: bool) -> io::Result<(Log, Dial)> {
    let queue = Arc::<Queue>::default();
    queue.write_to(queue::standard_error()?, |dropped| {
        // No level hides it.
        tracing::error!(
            event = "log.dropped",
            lines = dropped,
            "standard error was not read, or could not be written to"
        );
    })?;
    let (filter, handle) = reload::Layer::new(filter(level));
    let has_colours = !json && io::stderr().is_terminal();
    let to = Arc::clone(&queue);
    let layer = fmt::layer().with_writer(move || Shown { json, has_colours, to: Arc::clone(&to) });
    let layer = if json {
        layer.json().flatten_event(true).with_span_list(false).with_current_span(false).boxed()
    } else {
        layer.with_ansi(has_colours).with_target(false).boxed()
    };
    let libraries = Libraries::default();
    let filter = filter.and(dynamic_filter_fn(move |place, _| libraries.may_speak(place)));
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    std::panic::set_hook(Box::new(panics::happened));
    // Fails only where the subscriber is gone, and then nobody listens.
    let dial = Dial(Box::new(move |level| drop(handle.reload(self::filter(level)))));
    Ok((Log(queue), dial))
}

/// Standard error, on which an event stays one line, whatever names and errors it quotes.
struct Shown {
    json: bool,
    has_colours: bool,
    to: Arc<Queue>,
}

/// The line of an event, harmless, without its end, and with the id of the request that it is
/// about.
fn line(event: &str, json: bool, has_colours: bool, request: Option<Uuid>) -> Cow<'_, str> {
    let shown = |line: &str| if has_colours { coloured(line) } else { lines(line) };
    let event = event.strip_suffix('\n').unwrap_or(event);
    match (json, request) {
        (true, None) => harmless(event),
        (true, Some(id)) => {
            let open = event.strip_suffix('}').unwrap_or(event);
            format!("{},\"request_id\":\"{id}\"}}", harmless(open)).into()
        }
        // It ends in the one line end that is meant.
        (false, None) => shown(&event.replace('\n', "\\n")).into(),
        (false, Some(id)) => {
            format!("{} request_id={id}", shown(&event.replace('\n', "\\n"))).into()
        }
    }
}

impl Write for Shown {
    /// The formatter hands over a whole event at a time.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let request = REQUEST.try_with(|id| *id).ok();
        let line = line(&text, self.json, self.has_colours, request).into_owned() + "\n";
        self.to.put(line.into_bytes());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_it_quotes() {
        let event = "WARN \u{1b}[2Jx\u{202e}\r\nFORGED\u{7} y\n";
        for has_colours in [false, true] {
            let line = line(event, false, has_colours, None);
            assert_eq!(line, "WARN \\u{1b}[2Jx\\u{202e}\\r\\nFORGED\\u{7} y");
        }
        let coloured = "\u{1b}[33m WARN\u{1b}[0m x\n";
        assert_eq!(line(coloured, false, true, None), coloured.trim_end());
        assert_eq!(line("{\"a\":\"\u{202e}\"}\n", true, false, None), "{\"a\":\"\\u202e\"}");
    }

    #[test]
    fn a_line_about_a_request_has_its_id_whatever_it_quotes() {
        let id = Uuid::from_u128(7);
        for event in ["{\"b\":2}", "{\"a\":1}", "{\"a\":\"}\\\"\u{202e}\"}"] {
            let event = event.to_owned() + "\n";
            let line = line(&event, true, false, Some(id)).into_owned();
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(read["request_id"], id.to_string(), "{line}");
        }
        let text = line("WARN x\n", false, false, Some(id)).into_owned();
        assert_eq!(text, format!("WARN x request_id={id}"));
    }
}
