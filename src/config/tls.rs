//! `[server.tls]`, and what certificates and keys have to be: the same as what uses them asks.

use std::ops::Range;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::code::Code;
use super::files::Files;
use super::read::{At, Table};
use super::values::{Hidden, date};
use crate::core::token::UnixSeconds;

/// A certificate whose end is nearer than this is worth a word, in seconds; of one that does not
/// live long, a sixth of its life.
const SOON: i64 = 14 * 86_400;

/// TLS on the public listener.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate chain, the server's own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key, in PEM form.
    pub key: Hidden,
    /// Whose certificates clients may show, where they may.
    pub clients: Option<Clients>,
}

/// Certificates of clients.
#[derive(Clone, Debug)]
pub struct Clients {
    /// What they must chain to.
    pub roots: Vec<CertificateDer<'static>>,
    /// Whether there is no connection without one.
    pub is_required: bool,
}

/// What certificates are for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// To be shown, with a key; the first is our own.
    Own,
    /// To be what those of clients chain to.
    ClientRoots,
    /// To be what those of servers chain to; the file holds nothing else.
    ServerRoots,
}

pub(super) fn read(mut table: Table<'_>, files: &Files) -> Option<Tls> {
    if !table.exists() {
        return None;
    }
    let chain = table.required_string("cert_file");
    let chain = chain.and_then(|at| certificates(&table, "cert_file", at, files, Purpose::Own));
    let key_file = table.required_string("key_file");
    let key = key_file.clone().and_then(|at| key(&table, "key_file", at, files));
    if let (Some(chain), Some(key), Some(at)) = (&chain, &key, key_file) {
        check_pair(&table, ["cert_file", "key_file"], at.span, chain, key);
    }
    let roots = table.string("client_ca_file");
    let roots = roots
        .and_then(|at| certificates(&table, "client_ca_file", at, files, Purpose::ClientRoots));
    let auth = table.parsed("client_auth", |text| match text {
        "optional" => Ok(false),
        "required" => Ok(true),
        _ => Err("must be \"optional\" or \"required\"".to_owned()),
    });
    if let Some(at) = &auth {
        let told = ("`client_auth` means nothing without `client_ca_file`", "add client_ca_file");
        table.lack(&["client_ca_file"], Code::Conflict, at.span.clone(), told);
    }
    let is_required = auth.is_some_and(|at| at.value);
    let clients = roots.map(|roots| Clients { roots, is_required });
    table.finish();
    Some(Tls { clients, chain: chain.unwrap_or_default(), key: key.unwrap_or_default() })
}

/// The certificates of a PEM file; at least one.
pub(super) fn certificates(
    table: &Table<'_>,
    key: &str,
    text: At<&str>,
    files: &Files,
    purpose: Purpose,
) -> Option<Vec<CertificateDer<'static>>> {
    let parse = |text: &str| {
        let pem = files.read(text)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok((found, pem)),
            _ => Err("holds no certificate in PEM form".to_owned()),
        }
    };
    let span = text.span.clone();
    let (found, pem) = table.check(key, text, parse)?.value;
    let unusable = match purpose {
        Purpose::Own => None,
        Purpose::ServerRoots if holds_more(&pem) => Some((
            "holds something else beside certificates".to_owned(),
            "leave only certificates in it; a private key belongs elsewhere",
        )),
        Purpose::ClientRoots | Purpose::ServerRoots => bad_root(&found)
            .map(|why| (why, "leave it out, or put the certificate of an authority there")),
    };
    if let Some((why, help)) = unusable {
        table.report().error(Code::Unusable, span, format!("`{key}` {why}"), help);
        return None;
    }
    if purpose != Purpose::Own && !found.iter().any(|root| may_sign(root)) {
        let message =
            format!("no certificate in `{key}` is one of an authority: nothing chains to it");
        let help = "put the certificate there that signed it (basicConstraints CA:TRUE)";
        table.report().warning(Code::Never, span.clone(), message, help);
    }
    check_dates(table, key, &span, &found, purpose, files.now());
    Some(found)
}

/// True where a PEM file has sections that are no certificates.
fn holds_more(pem: &[u8]) -> bool {
    let mut sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem);
    sections.any(|section| section.is_ok_and(|(kind, _)| kind != SectionKind::Certificate))
}

/// True for a certificate that others can chain to, and for one that has signed itself, which is
/// good for whoever shows that very one.
fn may_sign(certificate: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return true };
    certificate.is_ca() || certificate.issuer() == certificate.subject()
}

/// Says which of these certificates nothing can chain to, and why.
fn bad_root(roots: &[CertificateDer<'static>]) -> Option<String> {
    let mut store = RootCertStore::empty();
    roots.iter().zip(1..).find_map(|(root, place)| {
        let error = store.add(root.clone()).err()?;
        Some(format!("holds a certificate that cannot be used (number {place}): {error}"))
    })
}

/// A PEM file with a private key.
pub(super) fn key(table: &Table<'_>, key: &str, text: At<&str>, files: &Files) -> Option<Hidden> {
    let span = text.span.clone();
    let parse = |text: &str| {
        let pem = files.read(text)?;
        let parsed = PrivateKeyDer::from_pem_slice(&pem);
        let parsed = parsed.map_err(|_| match pem.windows(9).any(|w| w == b"ENCRYPTED") {
            true => "holds a key that is encrypted: openssl pkey -in FILE -out PLAIN".to_owned(),
            false => "holds no private key in PEM form".to_owned(),
        })?;
        Ok((parsed, Hidden::new(pem)))
    };
    let (parsed, pem) = table.check(key, text, parse)?.value;
    if ring::sign::any_supported_type(&parsed).is_err() {
        let message = format!("`{key}` holds a private key of a kind that cannot be used");
        let help = "make one with P-256, P-384, Ed25519, or RSA of 2048 to 4096 bits; P-521 is none of them";
        table.report().error(Code::Unusable, span, message, help);
        return None;
    }
    Some(pem)
}

/// Reports a certificate without its key, at the key's place.
pub(super) fn check_pair(
    table: &Table<'_>,
    [cert_file, key_file]: [&str; 2],
    span: Range<usize>,
    chain: &[CertificateDer<'static>],
    key: &Hidden,
) {
    let Ok(key) = PrivateKeyDer::from_pem_slice(key.bytes()) else { return };
    let Err(error) = CertifiedKey::from_der(chain.to_vec(), key, &ring::default_provider()) else {
        return;
    };
    let (message, help) = match error {
        rustls::Error::InconsistentKeys(_) => (
            format!(
                "`{key_file}` is not the key of the first certificate in `{cert_file}`: they do not belong together"
            ),
            "put the pair there that was made together, our own certificate before its authorities",
        ),
        error => (format!("the certificate in `{cert_file}` cannot be used: {error}"), ""),
    };
    table.report().error(Code::Unusable, span, message, help);
}

/// From when, and until when, a certificate is good.
pub(super) fn dates(certificate: &[u8]) -> Option<(UnixSeconds, UnixSeconds)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let validity = certificate.validity();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

/// Warns of certificates that are not good now, or not for long. Of roots one that is good is
/// enough.
fn check_dates(
    table: &Table<'_>,
    key: &str,
    span: &Range<usize>,
    found: &[CertificateDer<'static>],
    purpose: Purpose,
    now: UnixSeconds,
) {
    let all = found.iter().filter_map(|certificate| dates(certificate));
    let judged = match purpose {
        Purpose::Own => all.min_by_key(|(_, end)| *end),
        Purpose::ClientRoots | Purpose::ServerRoots => {
            all.max_by_key(|(start, end)| (*start <= now, *end))
        }
    };
    let Some((start, end)) = judged else { return };
    let (whose, who) = match purpose {
        Purpose::Own => ("a certificate in", "whoever looks at it refuses us"),
        Purpose::ClientRoots => ("no certificate in", "no client with one is let in"),
        Purpose::ServerRoots => ("no certificate in", "the server is not believed"),
    };
    let soon = SOON.min((end - start) / 6);
    let message = match purpose {
        Purpose::Own if end <= now => {
            format!("{whose} `{key}` was good until {}: {who}", date(end))
        }
        Purpose::Own if start > now => {
            format!("{whose} `{key}` is good from {} on: until then {who}", date(start))
        }
        _ if end <= now => format!("{whose} `{key}` is good after {}: {who}", date(end)),
        _ if start > now => format!("{whose} `{key}` is good before {}: {who}", date(start)),
        _ if end - now < soon => match purpose {
            Purpose::Own => format!("{whose} `{key}` is good until {} only", date(end)),
            _ => format!("{whose} `{key}` is good after {}", date(end)),
        },
        _ => return,
    };
    let help = "put a new one there; a saved file is taken without a restart";
    table.report().warning(Code::Certificate, span.clone(), message, help);
}
