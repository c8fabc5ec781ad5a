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
    /// The last second at which it proves them.
    not_after: UnixSeconds,
}

impl PeerCertificate {
    /// Reads the first certificate of a chain in DER, which counts as long as `counts_at` says so
    /// and it is valid itself; `None` where it cannot be read. What it was issued with may end
    /// before it.
    #[must_use]
    pub fn read<D: AsRef<[u8]>>(
        chain: &[D],
        counts_at: impl Fn(UnixSeconds) -> bool,
    ) -> Option<Self> {
        let (leaf, issuers) = chain.split_first()?;
        let (_, certificate) = X509Certificate::from_der(leaf.as_ref()).ok()?;
        let extension = certificate.subject_alternative_name().ok()?;
        let names = extension.map_or(&[][..], |extension| &extension.value.general_names);
        let names = names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(format!("dns:{}", name.to_ascii_lowercase()).into()),
            GeneralName::URI(uri) => Some(format!("uri:{uri}").into()),
            GeneralName::RFC822Name(address) => Some(format!("email:{address}").into()),
            _ => None,
        });
        let own = end(&certificate);
        let of_der = |der: &D| Some(end(&X509Certificate::from_der(der.as_ref()).ok()?.1));
        let mut ends: Vec<_> = issuers.iter().filter_map(of_der).filter(|at| *at < own).collect();
        ends.sort_unstable();
        ends.dedup();
        // Not all that a client sends is needed for the way to an authority.
        let first = ends.into_iter().find(|at| !counts_at(at.saturating_add(1)));
        Some(Self { names: names.collect(), not_after: first.unwrap_or(own) })
    }

    /// The certificate that was shown on this connection, while it is valid: a connection may
    /// outlive the certificate that it began with.
    pub(super) fn shown(session: &ServerSession, now: UnixSeconds) -> Option<&Self> {
        let tls = session.digest()?.ssl_digest.as_deref()?;
        tls.extension.get::<Self>()?.at(now)
    }

    fn at(&self, now: UnixSeconds) -> Option<&Self> {
        (now < self.until()).then_some(self)
    }

    pub(super) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// From this moment on it proves nothing.
    pub(super) fn until(&self) -> UnixSeconds {
        self.not_after.saturating_add(1)
    }
}

/// The last second of a certificate.
fn end(certificate: &X509Certificate<'_>) -> UnixSeconds {
    certificate.validity().not_after.timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_nothing_once_its_time_is_over() {
        let shown = PeerCertificate { names: vec!["dns:a".into()], not_after: 100 };
        assert_eq!(shown.at(100).map(PeerCertificate::names), Some(&["dns:a".into()][..]));
        assert!(shown.at(101).is_none());
        assert_eq!(shown.until(), 101);
    }

    #[test]
    fn what_is_no_certificate_is_not_read() {
        for chain in [&[][..], &[&b""[..]], &[&[0x30; 64][..]]] {
            assert!(PeerCertificate::read(chain, |_| true).is_none());
        }
    }

    /// A certificate that ends so many days after 2000-01-01.
    fn ending(days: u64) -> (Vec<u8>, UnixSeconds) {
        let mut params = rcgen::CertificateParams::default();
        let begin = rcgen::date_time_ymd(2000, 1, 1);
        params.not_before = begin;
        params.not_after = begin + std::time::Duration::from_secs(86_400 * days);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        (made.der().to_vec(), params.not_after.unix_timestamp())
    }

    #[test]
    fn the_first_end_that_counts_ends_it() {
        let (leaf, own) = ending(30);
        let ((needed, early), (spare, earlier), (late, _)) = (ending(20), ending(10), ending(40));
        let read = |chain: &[&Vec<u8>], counts_at: &dyn Fn(i64) -> bool| {
            PeerCertificate::read(chain, counts_at).unwrap().until() - 1
        };
        let chain = [&leaf, &late, &needed, &spare];
        assert_eq!(read(&chain, &|_| true), own);
        assert_eq!(read(&chain, &|at| at <= early), early);
        assert_eq!(read(&chain, &|at| at <= earlier), earlier);
        assert_eq!(read(&[&leaf], &|_| false), own);
    }
}
