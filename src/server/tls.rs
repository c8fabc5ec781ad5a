//! TLS on the public listener: its certificate, and whose certificates it accepts. Both may
//! change while it runs.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::listeners::TlsAccept;
use pingora::listeners::tls::{Acceptor, TlsSettings};
use pingora::protocols::tls::TlsRef;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio::sync::watch;

use super::StartError;
use crate::config::Tls;
use crate::core::token::UnixSeconds;
use crate::gateway::PeerCertificate;

/// What the listener shows, and what it wants to be shown.
pub(super) struct ListenerTls {
    acceptor: ArcSwap<Accepting>,
    /// Tells open connections that clients must show something else.
    demand: watch::Sender<Arc<Demand>>,
}

/// A configuration of TLS that is good in every part.
#[derive(Clone)]
pub(super) struct Prepared {
    certified: Arc<CertifiedKey>,
    clients: Option<Clients>,
}

impl Prepared {
    pub(super) fn new(tls: &Tls) -> Result<Self, StartError> {
        Ok(Self { certified: Arc::new(certified(tls)?), clients: clients(tls)? })
    }
}

/// By what a new connection is accepted. Its sessions can be resumed with it and with no other: a
/// resumed session is asked for no certificate.
pub(super) struct Accepting {
    pub(super) acceptor: Acceptor,
    certified: Arc<CertifiedKey>,
    pub(super) demand: Arc<Demand>,
}

impl Accepting {
    fn new(prepared: &Prepared, demand: Arc<Demand>) -> Result<Self, StartError> {
        let callbacks = Box::new(Handshakes(Arc::clone(&demand)));
        let settings = TlsSettings::with_callbacks(callbacks);
        let mut settings = settings.map_err(|error| StartError::Tls(error.to_string()))?;
        let certified = Arc::clone(&prepared.certified);
        settings.set_cert_resolver(Arc::new(Certificate(Arc::clone(&certified))));
        settings.set_client_cert_verifier(Arc::clone(&demand) as _);
        settings.enable_h2();
        // TLS 1.2 and 1.3 by rustls, HTTP/2 by ALPN, and a store of sessions of its own.
        Ok(Self { acceptor: settings.build(), certified, demand })
    }
}

impl ListenerTls {
    pub(super) fn new(prepared: &Prepared) -> Result<Self, StartError> {
        let demand = Arc::new(Demand(vec![prepared.clients.clone()]));
        let accepting = Accepting::new(prepared, Arc::clone(&demand))?;
        let demand = watch::Sender::new(demand);
        Ok(Self { acceptor: ArcSwap::from_pointee(accepting), demand })
    }

    /// By what new connections are accepted now.
    pub(super) fn accepting(&self) -> Arc<Accepting> {
        self.acceptor.load_full()
    }

    /// The demand on clients as it is, and whenever it changes.
    pub(super) fn demands(&self) -> watch::Receiver<Arc<Demand>> {
        self.demand.subscribe()
    }

    /// Prepares what is to hold, together with what `held` wants to be shown, where something
    /// waits.
    pub(super) fn prepare(
        &self,
        prepared: &Prepared,
        held: Option<&Prepared>,
    ) -> Result<Arc<Accepting>, StartError> {
        let both = std::iter::once(prepared).chain(held);
        let demand = Demand(both.map(|prepared| prepared.clients.clone()).collect());
        let now = self.acceptor.load_full();
        let is_same = *now.demand == demand;
        if is_same && now.certified.cert == prepared.certified.cert {
            return Ok(now);
        }
        let demand = if is_same { Arc::clone(&now.demand) } else { Arc::new(demand) };
        Accepting::new(prepared, demand).map(Arc::new)
    }

    /// From now on this holds. Connections end that have not shown what it wants.
    pub(super) fn replace(&self, accepting: Arc<Accepting>) {
        let demand = Arc::clone(&accepting.demand);
        self.acceptor.store(accepting);
        self.demand.send_replace(demand);
    }
}

/// Certificate and key, where they belong together.
fn certified(tls: &Tls) -> Result<CertifiedKey, StartError> {
    let key = PrivateKeyDer::from_pem_slice(tls.key.bytes());
    let key = key.map_err(|error| StartError::Tls(error.to_string()))?;
    CertifiedKey::from_der(tls.chain.clone(), key, &ring::default_provider()).map_err(|error| {
        StartError::Tls(match error {
            rustls::Error::InconsistentKeys(_) => "they do not belong together".to_owned(),
            error => error.to_string(),
        })
    })
}

/// The authorities whose certificates are accepted, where any are wanted.
fn clients(tls: &Tls) -> Result<Option<Clients>, StartError> {
    let Some(clients) = &tls.clients else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for root in &clients.roots {
        roots.add(root.clone()).map_err(|error| StartError::Tls(error.to_string()))?;
    }
    let provider = Arc::new(ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if clients.is_required { builder } else { builder.allow_unauthenticated() };
    let verifier = builder.build().map_err(|error| StartError::Tls(error.to_string()))?;
    let (roots, is_required) = (clients.roots.clone(), clients.is_required);
    Ok(Some(Clients { roots, is_required, verifier }))
}

#[derive(Debug)]
struct Certificate(Arc<CertifiedKey>);

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// The authorities whose certificates one configuration accepts.
#[derive(Clone, Debug)]
struct Clients {
    roots: Vec<CertificateDer<'static>>,
    is_required: bool,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl PartialEq for Clients {
    fn eq(&self, other: &Self) -> bool {
        (&self.roots, self.is_required) == (&other.roots, other.is_required)
    }
}

impl Clients {
    fn accepts(&self, chain: &[CertificateDer<'_>], at: UnixTime) -> bool {
        chain.split_first().is_some_and(|(leaf, intermediates)| {
            self.verifier.verify_client_cert(leaf, intermediates, at).is_ok()
        })
    }
}

/// The demand on clients: of the configuration in use, and of the one that waits.
/// Absent is one that wants no certificate.
#[derive(Debug, PartialEq)]
pub(super) struct Demand(Vec<Option<Clients>>);

impl Demand {
    fn wanting(&self) -> impl Iterator<Item = &Clients> {
        self.0.iter().flatten()
    }

    /// True where a connection that has shown this may be there.
    pub(super) fn is_met(&self, chain: Option<&[CertificateDer<'_>]>) -> bool {
        self.wanting().all(|clients| match chain {
            Some(chain) => clients.accepts(chain, UnixTime::now()),
            None => !clients.is_required,
        })
    }

    /// True where what it has shown says who it is.
    pub(super) fn counts(&self, chain: Option<&[CertificateDer<'_>]>) -> bool {
        chain.is_some_and(|chain| self.counts_at(chain, UnixTime::now()))
    }

    /// The same at another moment.
    fn counts_at(&self, chain: &[CertificateDer<'_>], at: UnixTime) -> bool {
        let accepts = |clients: &Clients| clients.accepts(chain, at);
        self.0.iter().all(|clients| clients.as_ref().is_some_and(accepts))
    }
}

impl ClientCertVerifier for Demand {
    fn offer_client_auth(&self) -> bool {
        self.wanting().next().is_some()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.wanting().any(|clients| clients.is_required)
    }

    /// None, as long as there can be two who want different ones.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        for clients in self.wanting() {
            clients.verifier.verify_client_cert(end_entity, intermediates, now)?;
        }
        match self.offer_client_auth() {
            true => Ok(ClientCertVerified::assertion()),
            false => Err(rustls::Error::General("none wanted".to_owned())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let supported = ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &supported)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let supported = ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &supported)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Hands the certificate of a client on to the requests of its connection.
struct Handshakes(Arc<Demand>);

#[async_trait]
impl TlsAccept for Handshakes {
    async fn handshake_complete_callback(
        &self,
        tls: &TlsRef,
    ) -> Option<Arc<dyn Any + Send + Sync>> {
        let chain = tls.peer_cert_chain_der()?;
        // A resumed session brings a certificate that was verified when it began.
        if !self.0.counts(Some(chain)) {
            return None;
        }
        let moment = |seconds: UnixSeconds| {
            UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
        };
        let counts_at = |seconds| self.0.counts_at(chain, moment(seconds));
        Some(Arc::new(PeerCertificate::read(chain, counts_at)?))
    }
}
