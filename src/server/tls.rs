//! TLS on the public listener: its certificate, and whose certificates it accepts. Both may
//! change while it runs.

use std::any::Any;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use async_trait::async_trait;
use pingora::listeners::TlsAccept;
use pingora::listeners::tls::TlsSettings;
use pingora::protocols::tls::TlsRef;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use super::StartError;
use crate::config::Tls;
use crate::gateway::PeerCertificate;

/// What the listener shows, and what it wants to be shown.
#[derive(Debug)]
pub(super) struct ListenerTls {
    certificate: Arc<Certificate>,
    clients: Arc<Clients>,
}

/// A configuration of TLS that is good in every part.
pub(super) struct Prepared {
    certified: CertifiedKey,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Prepared {
    pub(super) fn new(tls: &Tls) -> Result<Self, StartError> {
        Ok(Self { certified: certified(tls)?, verifier: verifier(tls)? })
    }
}

impl ListenerTls {
    pub(super) fn new(prepared: Prepared) -> Self {
        let certificate = Certificate(ArcSwap::from_pointee(prepared.certified));
        let clients = Clients {
            provider: Arc::new(ring::default_provider()),
            verifier: ArcSwapOption::new(prepared.verifier.map(Arc::new)),
        };
        Self { certificate: Arc::new(certificate), clients: Arc::new(clients) }
    }

    /// From now on this holds for new connections.
    pub(super) fn replace(&self, prepared: Prepared) {
        self.certificate.0.store(Arc::new(prepared.certified));
        self.clients.verifier.store(prepared.verifier.map(Arc::new));
    }

    /// TLS 1.2 and 1.3 by rustls, HTTP/2 by ALPN.
    pub(super) fn settings(&self) -> Result<TlsSettings, StartError> {
        let callbacks = Box::new(Handshakes(Arc::clone(&self.clients)));
        let settings = TlsSettings::with_callbacks(callbacks);
        let mut settings = settings.map_err(|error| StartError::Tls(error.to_string()))?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&self.certificate) as _;
        settings.set_cert_resolver(resolver);
        let verifier: Arc<dyn ClientCertVerifier> = Arc::clone(&self.clients) as _;
        settings.set_client_cert_verifier(verifier);
        settings.enable_h2();
        Ok(settings)
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

/// What accepts the certificates of clients, where any are wanted.
fn verifier(tls: &Tls) -> Result<Option<Arc<dyn ClientCertVerifier>>, StartError> {
    let Some(clients) = &tls.clients else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for root in &clients.roots {
        roots.add(root.clone()).map_err(|error| StartError::Tls(error.to_string()))?;
    }
    let provider = Arc::new(ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if clients.is_required { builder } else { builder.allow_unauthenticated() };
    let built = builder.build().map_err(|error| StartError::Tls(error.to_string()))?;
    Ok(Some(built))
}

#[derive(Debug)]
struct Certificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Whose certificates are accepted at the moment.
#[derive(Debug)]
struct Clients {
    provider: Arc<CryptoProvider>,
    verifier: ArcSwapOption<Arc<dyn ClientCertVerifier>>,
}

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        self.verifier.load().is_some()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.load().as_ref().is_some_and(|verifier| verifier.client_auth_mandatory())
    }

    /// None: they may have changed before the client has read them.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verifier = self.verifier.load_full();
        let verifier = verifier.ok_or_else(|| rustls::Error::General("none wanted".to_owned()))?;
        verifier.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let supported = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, supported)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let supported = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, supported)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Hands the certificate of a client on to the requests of its connection.
struct Handshakes(Arc<Clients>);

#[async_trait]
impl TlsAccept for Handshakes {
    async fn handshake_complete_callback(
        &self,
        tls: &TlsRef,
    ) -> Option<Arc<dyn Any + Send + Sync>> {
        let chain = tls.peer_cert_chain_der()?;
        let (leaf, intermediates) = chain.split_first()?;
        // A resumed session brings a certificate that was verified by the rules of then.
        self.0.verify_client_cert(leaf, intermediates, UnixTime::now()).ok()?;
        Some(Arc::new(PeerCertificate::read(leaf)?))
    }
}
