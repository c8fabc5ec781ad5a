//! Connections of the public listener behind TLS.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::protocols::tls::TlsRef;
use pingora::protocols::{GetSocketDigest as _, Ssl as _, Stream};
use pingora::server::ShutdownWatch;

use super::tls::ListenerTls;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::seldom::Seldom;

/// Longest time of a handshake.
const HANDSHAKE: Duration = Duration::from_secs(60);

/// An application behind TLS, where there is any.
pub(super) struct Secured<A> {
    inner: Arc<A>,
    tls: Option<Arc<ListenerTls>>,
    metrics: Arc<Metrics>,
    said: Seldom,
}

impl<A> Secured<A> {
    pub(super) fn new(inner: Arc<A>, tls: Option<Arc<ListenerTls>>, metrics: Arc<Metrics>) -> Self {
        Self { inner, tls, metrics, said: Seldom::default() }
    }

    /// Counts a handshake that came to nothing. Whoever can connect can cause as many as they
    /// like, so the log tells one in a while.
    fn failed(&self, client_ip: Option<IpAddr>, error: &str) {
        self.metrics.bounds.handshakes_failed.inc();
        if let Some(unsaid) = self.said.say() {
            let client_ip = client_ip.map(|ip| ip.to_string());
            tracing::warn!(event = "tls.failed", client_ip, error, unsaid, "no handshake");
        }
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServerApp for Secured<A> {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let Some(tls) = &self.tls else {
            return self.inner.process_new(stream, shutdown).await;
        };
        let stream = *stream.into_any().downcast::<L4Stream>().ok()?;
        let address = stream.get_socket_digest();
        let client_ip =
            address.and_then(|digest| Some(digest.peer_addr()?.as_inet()?.ip().to_canonical()));
        let accepting = tls.accepting();
        let mut demands = tls.demands();
        let handshake = accepting.acceptor.tls_handshake(stream);
        let mut stop = shutdown.clone();
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(HANDSHAKE, handshake) => shaken,
            // Nobody has asked for anything yet.
            _ = stop.wait_for(|stopping| *stopping) => return None,
        };
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.failed(client_ip, &error.to_string());
                return None;
            }
            Err(_) => {
                self.failed(client_ip, &format!("it took longer than {} s", HANDSHAKE.as_secs()));
                return None;
            }
        };
        let chain = stream.get_ssl().and_then(TlsRef::peer_cert_chain_der);
        let chain = chain.map(<[_]>::to_vec);
        let counted = accepting.demand.counts(chain.as_deref());
        let has_ended = async {
            loop {
                let demand = Arc::clone(&demands.borrow_and_update());
                let chain = chain.as_deref();
                if !demand.is_met(chain) || (counted && !demand.counts(chain)) {
                    return;
                }
                // The sender lives as long as the listener, which we hold.
                let _ = demands.changed().await;
            }
        };
        let served = async {
            let mut next: Option<Stream> = Some(Box::new(stream));
            // What a connection has shown is looked at once, so it stays here.
            while let Some(stream) = next {
                next = self.inner.process_new(stream, shutdown).await;
            }
        };
        tokio::select! {
            biased;
            () = has_ended => tracing::info!(
                event = "tls.ended",
                "a connection has not shown a certificate that counts by now"
            ),
            () = served => {}
        }
        None
    }

    async fn cleanup(&self) {
        self.inner.cleanup().await;
    }
}
