//! The certificate that a client has shown.

use std::sync::Arc;

use pingora::protocols::http::ServerSession;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::core::token::UnixSeconds;

/// What a verified client certificate says.
#[derive(Debug)]
pub struct PeerCertificate {
    /// Its subject alternative names (RFC 5280 4.2.1.6), each behind `dns:`, `uri:` or `email:`,
    /// so that none is taken for another kind.
    names: Vec<Arc<str>>,
    not_after: UnixSeconds,
}

impl PeerCertificate {
    /// Reads a certificate in DER; `None` where it cannot be read.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let extension = certificate.subject_alternative_name().ok()?;
        let names = extension.map_or(&[][..], |extension| &extension.value.general_names);
        let names = names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(format!("dns:{}", name.to_ascii_lowercase()).into()),
            GeneralName::URI(uri) => Some(format!("uri:{uri}").into()),
            GeneralName::RFC822Name(address) => Some(format!("email:{address}").into()),
            _ => None,
        });
        Some(Self {
            names: names.collect(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }

    /// The names of the certificate that was shown on this connection, while it is valid.
    pub(super) fn names(session: &ServerSession, now: UnixSeconds) -> Option<&[Arc<str>]> {
        let tls = session.digest()?.ssl_digest.as_deref()?;
        tls.extension.get::<Self>()?.names_at(now)
    }

    /// A connection may outlive the certificate that it began with.
    fn names_at(&self, now: UnixSeconds) -> Option<&[Arc<str>]> {
        (now <= self.not_after).then_some(&self.names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_nothing_once_its_time_is_over() {
        let shown = PeerCertificate { names: vec!["dns:a".into()], not_after: 100 };
        assert_eq!(shown.names_at(100), Some(&["dns:a".into()][..]));
        assert_eq!(shown.names_at(101), None);
    }

    #[test]
    fn what_is_no_certificate_is_not_read() {
        assert!(PeerCertificate::read(b"").is_none());
        assert!(PeerCertificate::read(&[0x30; 64]).is_none());
    }
}
