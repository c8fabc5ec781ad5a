//! What errors of the framework mean.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pingora::ErrorType;
use pingora::upstreams::peer::Tracing;

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

/// Faults of a handshake, told apart by the words of the TLS library, which gives nothing else.
fn tls(said: &str) -> Cause {
    const KNOWN: [(&str, &str, &str); 9] = [
        (
            "UnknownIssuer",
            "its certificate is from an unknown issuer",
            "name the file with the certificate of its authority in ca_file of the upstream",
        ),
        (
            "BadSignature",
            "its certificate is from an unknown issuer with the name of a known one",
            "was its authority made anew? ca_file of the upstream must have the new one",
        ),
        (
            "not valid for name",
            "its certificate is for another name",
            "url must name the host as the certificate does",
        ),
        ("not valid yet", "its certificate is not valid yet", "compare the clocks"),
        ("certificate expired", "its certificate has expired", "it needs a new one"),
        (
            "received corrupt message",
            "it does not speak TLS",
            "if it is meant to, look at the port; if not, write url with http://",
        ),
        (
            "CertificateRequired",
            "it wants a certificate of the gateway",
            "name one in client_cert_file and client_key_file of the upstream",
        ),
        (
            "UnknownCA",
            "it does not know the issuer of the gateway's certificate",
            "the authority of client_cert_file must be known there",
        ),
        ("handshake eof", "it closed the connection in the handshake", "does it speak TLS?"),
    ];
    // The framework puts its own words around those of the library.
    let said = said.rsplit("cause: ").next().unwrap_or(said);
    let said = said.rsplit_once(", SNI: ").map_or(said, |(said, _)| said);
    let known = KNOWN.into_iter().find(|(word, ..)| said.contains(word));
    let (words, hint) = match known {
        Some((_, words, hint)) => (format!("{words} ({said})"), Some(hint)),
        None => (said.to_owned(), None),
    };
    Cause { phase: Phase::Tls, words, hint }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_a_handshake_have_words_of_their_own() {
        let around = |said: &str| {
            format!("TLSHandshakeFailure context: TLS connect() failed: cause: {said}, SNI: host")
        };
        for (said, words) in [
            ("invalid peer certificate: UnknownIssuer", "unknown issuer"),
            ("invalid peer certificate: BadSignature", "unknown issuer with the name"),
            ("invalid peer certificate: certificate not valid for name \"a\"", "another name"),
            ("invalid peer certificate: certificate expired: verification", "has expired"),
            ("invalid peer certificate: certificate not valid yet: veri", "not valid yet"),
            ("received corrupt message of type InvalidContentType", "does not speak TLS"),
            ("received fatal alert: CertificateRequired", "wants a certificate"),
            ("tls handshake eof", "closed the connection"),
            ("something new", "something new"),
        ] {
            let cause = tls(&around(said));
            assert!(cause.words.contains(words), "{cause:?}");
            assert!(cause.words.contains(said) && !cause.words.contains("SNI"), "{cause:?}");
            assert_eq!(cause.phase, Phase::Tls);
        }
    }
}
