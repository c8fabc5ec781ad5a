//! What errors of the framework mean.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pingora::ErrorType;
use pingora::upstreams::peer::Tracing;

use super::tls::tls;
use super::{Phase, shown};

/// What an error of the framework means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::gateway) struct Cause {
    pub(super) phase: Phase,
    pub(super) words: String,
    pub(super) hint: Option<&'static str>,
}

impl Cause {
    /// `phase` is where the error was seen. Words of the framework that quote what an upstream
    /// sent are left out.
    pub(in crate::gateway) fn of(error: &pingora::Error, phase: Phase) -> Self {
        use ErrorType as Type;
        let told = |phase, words: &str, hint| Self { phase, words: words.to_owned(), hint };
        match error.etype() {
            Type::TLSHandshakeFailure | Type::TLSHandshakeTimedout | Type::InvalidCert => {
                let said = error.context.as_ref().map(|context| context.as_str());
                tls(said.unwrap_or_else(|| error.etype().as_str()))
            }
            Type::ConnectTimedout => told(phase, "timed out", None),
            Type::ConnectRefused => {
                let words = system(error).unwrap_or_else(|| "connection refused".to_owned());
                told(Phase::Connect, &words, Some("is it running, and is the port in url right?"))
            }
            Type::InvalidHTTPHeader => {
                told(Phase::Head, "what came is no head of HTTP/1.1, or too long a one", None)
            }
            Type::ConnectionClosed => told(phase, "it closed the connection before the end", None),
            kind => {
                let words = system(error).unwrap_or_else(|| kind.as_str().to_owned());
                // In TLS 1.3 a client learns behind the handshake that its certificate is refused.
                match words.contains("received fatal alert") {
                    true => tls(&words),
                    false => told(phase, &words, None),
                }
            }
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.phase.as_str(), shown(&self.words))
    }
}

/// The words of the operating system or of the TLS library, where there are some.
fn system(error: &pingora::Error) -> Option<String> {
    let root = error.root_cause();
    match root.downcast_ref::<io::Error>() {
        Some(error) => Some(error.to_string()),
        None if root.is::<pingora::Error>() => None,
        None => Some(root.to_string()),
    }
}

/// Notices that a connection is made, and that what follows is TLS.
#[derive(Clone, Debug, Default)]
pub(in crate::gateway) struct Connected(Arc<AtomicBool>);

impl Connected {
    /// The phase in which connecting failed.
    pub(in crate::gateway) fn phase(&self) -> Phase {
        if self.0.load(Ordering::Relaxed) { Phase::Tls } else { Phase::Connect }
    }
}

impl Tracing for Connected {
    fn on_connected(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn on_disconnected(&self) {}

    fn boxed_clone(&self) -> Box<dyn Tracing> {
        Box::new(self.clone())
    }
}
