//! The log: diagnostics for operators, on standard error.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, reload};

use crate::core::harmless::{coloured, harmless, lines};

/// Starts logging. `json` is for collectors; the other form is for people. Call it once.
///
/// `level` holds for doorward's own targets. Libraries are heard from `warn` on and never below:
/// at debug the framework prints request heads, and with them the `Authorization` header.
pub fn init(level: tracing::Level, json: bool) -> Dial {
    let (filter, handle) = reload::Layer::new(filter(level));
    let has_colours = !json && io::stderr().is_terminal();
    let layer = fmt::layer().with_writer(move || Shown { json, has_colours });
    let layer = if json {
        layer.json().flatten_event(true).with_span_list(false).with_current_span(false).boxed()
    } else {
        layer.with_ansi(has_colours).with_target(false).boxed()
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    // Fails only where the subscriber is gone, and then nobody listens.
    Dial(Box::new(move |level| drop(handle.reload(self::filter(level)))))
}

/// Standard error, on which an event stays one line, whatever names and errors it quotes.
struct Shown {
    json: bool,
    has_colours: bool,
}

impl Shown {
    fn line<'t>(&self, event: &'t str) -> Cow<'t, str> {
        let shown = |line: &str| if self.has_colours { coloured(line) } else { lines(line) };
        match self.json {
            true => harmless(event),
            // It ends in the one line end that is meant.
            false => {
                let line = event.strip_suffix('\n').unwrap_or(event).replace('\n', "\\n");
                Cow::Owned(shown(&line) + "\n")
            }
        }
    }
}

impl Write for Shown {
    /// The formatter hands over a whole event at a time.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        io::stderr().write_all(self.line(&text).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
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
            let line = Shown { json: false, has_colours }.line(event).into_owned();
            assert_eq!(line, "WARN \\u{1b}[2Jx\\u{202e}\\r\\nFORGED\\u{7} y\n");
        }
        let coloured = "\u{1b}[33m WARN\u{1b}[0m x\n";
        assert_eq!(Shown { json: false, has_colours: true }.line(coloured), coloured);
        let json = Shown { json: true, has_colours: false };
        assert_eq!(json.line("{\"a\":\"\u{202e}\"}\n"), "{\"a\":\"\\u202e\"}\n");
    }
}
