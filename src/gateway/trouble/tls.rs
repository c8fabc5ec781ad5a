//! Faults of a handshake, told apart by the words of the TLS library, which gives nothing else.

use super::{Cause, Phase};

/// A part of the library's words, what it means, and how to mend it.
type Row = (&'static str, &'static str, &'static str);

/// What the library finds wrong with the certificate of the other side.
const CERTIFICATES: [Row; 18] = [
    (
        "UnknownIssuer",
        "its certificate is from an unknown issuer",
        "name the file with the certificate of its authority in ca_file",
    ),
    (
        "BadSignature",
        "its certificate is from an unknown issuer with the name of a known one",
        "was its authority made anew? ca_file must have the new one",
    ),
    (
        "CaUsedAsEndEntity",
        "its certificate is that of an authority (CA:TRUE), which no server may use",
        "make another one; openssl req -x509 wants -addext basicConstraints=critical,CA:FALSE",
    ),
    (
        "EndEntityUsedAsCa",
        "its certificate is from an issuer that is no authority (CA:FALSE)",
        "the issuer needs basicConstraints CA:TRUE",
    ),
    (
        "PathLenConstraintViolated",
        "its certificate has more authorities above it than one of them allows (pathlen)",
        "make the authority anew with a larger pathlen",
    ),
    (
        "NameConstraintViolation",
        "its certificate is for a name that its authority may not give",
        "look at the nameConstraints of the authority",
    ),
    (
        "InvalidPurpose",
        "its certificate is not for servers (extendedKeyUsage)",
        "make it with extendedKeyUsage serverAuth, or without the extension",
    ),
    (
        "not allow extended key usage",
        "its certificate is not for servers (extendedKeyUsage)",
        "make it with extendedKeyUsage serverAuth, or without the extension",
    ),
    (
        "UnsupportedCertVersion",
        "its certificate is of X.509 version 1",
        "make it anew as version 3, with a subjectAltName",
    ),
    (
        "UnsupportedSignatureAlgorithm",
        "its certificate is signed in a way that is not served, like SHA-1 or a short key",
        "make it anew with RSA of 2048 bits or more or ECDSA, and SHA-256",
    ),
    (
        "SignatureAlgorithmMismatch",
        "its certificate names two ways in which it is signed",
        "make it anew",
    ),
    (
        "UnhandledCriticalExtension",
        "its certificate has a critical extension that is not known",
        "make it without the extension",
    ),
    ("Revoked", "its certificate was revoked", "it needs a new one"),
    ("BadEncoding", "its certificate is damaged", "make it anew"),
    (
        "not valid for name",
        "its certificate is for another name",
        "url must name the host as the certificate does",
    ),
    (
        "NotValidForName",
        "its certificate is for another name",
        "url must name the host as the certificate does",
    ),
    ("not valid yet", "its certificate is not valid yet", "compare the clocks"),
    ("certificate expired", "its certificate has expired", "it needs a new one"),
];

/// What goes wrong besides certificates. The last of each kind is for what has no row of its own.
const OTHERS: [Row; 22] = [
    (
        "invalid peer certificate",
        "its certificate cannot be used",
        "look at it: openssl s_client -showcerts -connect HOST:PORT",
    ),
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
    (
        "CertificateExpired",
        "it says that the gateway's certificate has expired",
        "client_cert_file needs a new one",
    ),
    (
        "CertificateRevoked",
        "it says that the gateway's certificate was revoked",
        "client_cert_file needs a new one",
    ),
    (
        "UnsupportedCertificate",
        "it does not take a certificate of this kind from the gateway",
        "client_cert_file must be for clients (extendedKeyUsage clientAuth)",
    ),
    (
        "BadCertificate",
        "it does not take the gateway's certificate, or wants one",
        "look at client_cert_file, and at its log",
    ),
    (
        "CertificateUnknown",
        "it does not take the gateway's certificate",
        "look at client_cert_file, and at its log",
    ),
    ("AccessDenied", "it does not let the gateway in", "look at its log"),
    (
        "UnrecognisedName",
        "it has no certificate for the host that url names",
        "url must name the host as its certificate does",
    ),
    (
        "ProtocolVersion",
        "it speaks no version of TLS that is served",
        "it must speak TLS 1.2 or 1.3",
    ),
    (
        "HandshakeFailure",
        "it and the gateway have no way of TLS in common, or it wants a certificate",
        "it must speak TLS 1.2 or 1.3 with ECDHE; does it want client_cert_file?",
    ),
    (
        "InsufficientSecurity",
        "it finds no way of TLS strong enough",
        "it must speak TLS 1.2 or 1.3 with ECDHE",
    ),
    ("received fatal alert", "it ended the handshake", "look at its log"),
    (
        "peer is incompatible",
        "it and the gateway have no way of TLS in common",
        "it must speak TLS 1.2 or 1.3 with ECDHE",
    ),
    ("peer misbehaved", "it does not keep to TLS", "does something stand between?"),
    ("received unexpected", "it does not keep to TLS", "does something stand between?"),
    ("excess record size", "it does not keep to TLS", "does something stand between?"),
    ("cannot decrypt", "what it sends cannot be decrypted", "does something stand between?"),
    ("sent no certificates", "it shows no certificate", "it needs one"),
    ("handshake eof", "it closed the connection in the handshake", "does it speak TLS?"),
];

/// What `said`, in the words of the framework and the library, means.
pub(super) fn tls(said: &str) -> Cause {
    // The framework puts its own words around those of the library.
    let said = said.rsplit("cause: ").next().unwrap_or(said);
    let said = said.rsplit_once(", SNI: ").map_or(said, |(said, _)| said);
    let said = plain(said);
    let of_certificate = said.starts_with("invalid peer certificate");
    let certificates = CERTIFICATES.iter().filter(|_| of_certificate);
    let known = certificates.chain(&OTHERS).find(|(word, ..)| said.contains(word));
    let (words, hint) = match known {
        Some((_, words, hint)) => (format!("{words} ({said})"), Some(*hint)),
        None => (said, None),
    };
    Cause { phase: Phase::Tls, words, hint }
}

/// The same without the wrapping of an error within an error.
fn plain(said: &str) -> String {
    match said.split_once("Other(OtherError(") {
        Some((before, inner)) => {
            let inner = inner.strip_suffix("))").unwrap_or(inner);
            format!("{before}{inner}")
        }
        None => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible,
        PeerMisbehaved,
    };

    use super::*;

    fn around(said: &str) -> String {
        format!("TLSHandshakeFailure context: TLS connect() failed: cause: {said}, SNI: host")
    }

    #[test]
    fn faults_of_a_handshake_have_words_of_their_own() {
        let certificate = Error::InvalidCertificate;
        let alert = Error::AlertReceived;
        for (error, words) in [
            (certificate(CertificateError::UnknownIssuer), "unknown issuer"),
            (certificate(CertificateError::BadSignature), "unknown issuer with the name"),
            (certificate(CertificateError::NotValidForName), "another name"),
            (certificate(CertificateError::Revoked), "revoked"),
            (certificate(CertificateError::BadEncoding), "damaged"),
            (certificate(CertificateError::InvalidPurpose), "not for servers"),
            (certificate(CertificateError::UnhandledCriticalExtension), "critical extension"),
            (certificate(CertificateError::InvalidOcspResponse), "cannot be used"),
            (certificate(CertificateError::ApplicationVerificationFailure), "cannot be used"),
            (Error::InvalidMessage(InvalidMessage::InvalidContentType), "does not speak TLS"),
            (alert(AlertDescription::CertificateRequired), "wants a certificate"),
            (alert(AlertDescription::UnknownCA), "does not know the issuer"),
            (alert(AlertDescription::CertificateExpired), "gateway's certificate has expired"),
            (alert(AlertDescription::CertificateUnknown), "does not take the gateway's"),
            (alert(AlertDescription::BadCertificate), "does not take the gateway's"),
            (alert(AlertDescription::UnrecognisedName), "no certificate for the host"),
            (alert(AlertDescription::ProtocolVersion), "no version of TLS"),
            (alert(AlertDescription::HandshakeFailure), "no way of TLS in common"),
            (alert(AlertDescription::InternalError), "ended the handshake"),
            (alert(AlertDescription::Unknown(200)), "ended the handshake"),
            (
                Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
                "no way of TLS in common",
            ),
            (Error::PeerMisbehaved(PeerMisbehaved::KeyEpochWithPendingFragment), "keep to TLS"),
            (Error::PeerSentOversizedRecord, "keep to TLS"),
            (Error::DecryptError, "cannot be decrypted"),
            (Error::NoCertificatesPresented, "shows no certificate"),
        ] {
            let said = error.to_string();
            let cause = tls(&around(&said));
            assert!(cause.words.contains(words), "{cause:?}");
            assert!(cause.words.contains(&format!("({said})")), "{cause:?}");
            assert!(cause.hint.is_some() && cause.phase == Phase::Tls, "{cause:?}");
        }
        for said in ["tls handshake eof", "something new"] {
            let cause = tls(&around(said));
            assert!(cause.words.contains(said) && !cause.words.contains("SNI"), "{cause:?}");
        }
    }

    /// An error of the library below, which the library above has no name for.
    #[derive(Debug)]
    struct Below(&'static str);

    impl std::fmt::Display for Below {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Below {}

    #[test]
    fn no_error_of_a_certificate_is_only_the_name_of_a_type() {
        for name in [
            "CaUsedAsEndEntity",
            "EndEntityUsedAsCa",
            "PathLenConstraintViolated",
            "NameConstraintViolation",
            "UnsupportedCertVersion",
            "SignatureAlgorithmMismatch",
            "MaximumPathDepthExceeded",
            "EmptyEkuExtension",
            "TrailingData(Certificate)",
            "what is to come",
        ] {
            let below = OtherError(Arc::new(Below(name)));
            let error = Error::InvalidCertificate(CertificateError::Other(below));
            // As it is in traffic: the words of the type below, and not of this test.
            let said = error.to_string().replace(&format!("Below({name:?})"), name);
            let Cause { words, hint, .. } = tls(&around(&said));
            assert!(words.starts_with("its certificate ") && hint.is_some(), "{words}");
            assert!(!words.contains("Other"), "{words}");
            assert!(words.ends_with(&format!("(invalid peer certificate: {name})")), "{words}");
        }
    }
}
