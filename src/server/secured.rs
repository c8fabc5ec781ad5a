//! Connections of the public listener behind TLS.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::protocols::tls::TlsRef;
use pingora::protocols::{Ssl as _, Stream};
use pingora::server::ShutdownWatch;

use super::tls::ListenerTls;

/// Longest time of a handshake.
const HANDSHAKE: Duration = Duration::from_secs(60);

/// An application behind TLS, where there is any.
pub(super) struct Secured<A> {
    inner: Arc<A>,
    tls: Option<Arc<ListenerTls>>,
}

impl<A> Secured<A> {
    pub(super) fn new(inner: Arc<A>, tls: Option<Arc<ListenerTls>>) -> Self {
        Self { inner, tls }
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
                tracing::error!(event = "tls.failed", %error, "no handshake");
                return None;
            }
            Err(_) => {
                tracing::error!(event = "tls.failed", "a handshake took too long");
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
