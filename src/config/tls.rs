//! `[server.tls]`, and what certificates and keys have to be.

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::code::Code;
use super::files::Files;
use super::read::{At, Table};
use super::values::Hidden;

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

pub(super) fn read(mut table: Table<'_>, files: &Files) -> Option<Tls> {
    if !table.exists() {
        return None;
    }
    let chain = table.required_string("cert_file");
    let chain = chain.and_then(|at| certificates(&table, "cert_file", at, files));
    let key = table.required_string("key_file").and_then(|at| key(&table, "key_file", at, files));
    let roots = table.string("client_ca_file");
    let roots = roots.and_then(|at| certificates(&table, "client_ca_file", at, files));
    let auth = table.parsed("client_auth", |text| match text {
        "optional" => Ok(false),
        "required" => Ok(true),
        _ => Err("must be \"optional\" or \"required\"".to_owned()),
    });
    if let Some(at) = auth.as_ref().filter(|_| table.value("client_ca_file").is_none()) {
        let message = "`client_auth` means nothing without `client_ca_file`".to_owned();
        table.report().error(Code::Conflict, at.span.clone(), message, "add client_ca_file");
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
) -> Option<Vec<CertificateDer<'static>>> {
    let parse = |text: &str| {
        let pem = files.read(text)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            _ => Err("holds no certificate in PEM form".to_owned()),
        }
    };
    table.check(key, text, parse).map(|at| at.value)
}

/// A PEM file with a private key.
pub(super) fn key(table: &Table<'_>, key: &str, text: At<&str>, files: &Files) -> Option<Hidden> {
    let parse = |text: &str| {
        let pem = files.read(text)?;
        let parsed = PrivateKeyDer::from_pem_slice(&pem);
        parsed.map_err(|_| "holds no private key in PEM form".to_owned())?;
        Ok(Hidden::new(pem))
    };
    table.check(key, text, parse).map(|at| at.value)
}
