//! The certificate of the public listener, which may change while it runs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

use super::StartError;
use crate::config::Tls;

/// What the listener shows to whoever connects.
#[derive(Debug)]
pub(super) struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    pub(super) fn new(tls: &Tls) -> Result<Arc<Self>, StartError> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(certified(tls)?))))
    }

    /// From now on new connections are shown this one.
    pub(super) fn replace(&self, certified: CertifiedKey) {
        self.0.store(Arc::new(certified));
    }
}

/// Certificate and key, where they belong together.
pub(super) fn certified(tls: &Tls) -> Result<CertifiedKey, StartError> {
    let key = PrivateKeyDer::from_pem_slice(tls.key.bytes());
    let key = key.map_err(|error| StartError::Tls(error.to_string()))?;
    CertifiedKey::from_der(tls.chain.clone(), key, &ring::default_provider()).map_err(|error| {
        StartError::Tls(match error {
            rustls::Error::InconsistentKeys(_) => "they do not belong together".to_owned(),
            error => error.to_string(),
        })
    })
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}
