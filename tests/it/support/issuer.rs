//! An issuer of JWTs with real keys: it signs whatever it is told, and serves its JWK set.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::{Call, Gateway, Next, Setup, Upstream, Wire, echo};

/// What the gateway is called by clients.
pub(crate) const PUBLIC: &str = "https://mcp.example.com";
/// `iss` of every issuer under test.
pub(crate) const ISSUER: &str = "https://login.example.com/realms/corp";

/// A key pair.
pub(crate) struct Signer {
    pub(crate) id: &'static str,
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    pub(crate) fn es256(id: &'static str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_der(pair.serialized_der());
        Self { id, algorithm: Algorithm::ES256, key }
    }

    pub(crate) fn ed25519(id: &'static str) -> Self {
        let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        let key = EncodingKey::from_ed_der(der.as_ref());
        Self { id, algorithm: Algorithm::EdDSA, key }
    }

    pub(crate) fn rs256(id: &'static str) -> Self {
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = pair.as_der().unwrap();
        let pem = pem("PRIVATE KEY", der.as_ref());
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
        Self { id, algorithm: Algorithm::RS256, key }
    }

    /// The private key.
    pub(crate) fn pem(&self) -> String {
        pem("PRIVATE KEY", self.key.as_bytes())
    }

    /// The public key.
    pub(crate) fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = self.id.into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A token with the usual header.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({"alg": self.algorithm, "kid": self.id, "typ": "at+jwt"}), claims)
    }

    /// A token with any header, signed with this key.
    pub(crate) fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let message = message(&header.to_string(), &claims.to_string());
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }

    /// The same where the texts need not be JSON.
    pub(crate) fn sign_texts(&self, header: &str, claims: &str) -> String {
        let message = message(header, claims);
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|l| str::from_utf8(l).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// What is signed.
pub(crate) fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Claims of alice that are good for five minutes.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": format!("{PUBLIC}/mcp"), "sub": "alice", "org": "acme",
        "iat": now(), "exp": now() + 300, "groups": ["mcp-readers", "staff"],
    })
}

/// The same with other values; null takes one away.
pub(crate) fn claims_with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// In the place of an answer: the connection stays open, and nothing comes.
pub(crate) const SILENCE: &str = "silence";

/// The JWK set on the web; what it answers can be changed.
pub(crate) struct Web {
    pub(crate) server: Upstream,
    answer: Arc<Mutex<String>>,
    fetches: Arc<AtomicUsize>,
}

impl Web {
    pub(crate) fn serving(keys: &[Value]) -> Self {
        let answer = Arc::new(Mutex::new(key_set(keys)));
        let fetches = Arc::new(AtomicUsize::new(0));
        let (now, count) = (Arc::clone(&answer), Arc::clone(&fetches));
        let server = Upstream::script(move |_, wire: &mut Wire| {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = now.lock().unwrap().clone();
            match answer.as_str() {
                SILENCE => wire.wait_closed(),
                answer => wire.send(answer),
            }
            Next::Close
        });
        Self { server, answer, fetches }
    }

    /// From now on this is what whoever asks gets.
    pub(crate) fn answers(&self, bytes: impl Into<String>) {
        *self.answer.lock().unwrap() = bytes.into();
    }

    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/certs?realm=corp", self.server.address)
    }
}

/// A JWK set as a whole answer.
pub(crate) fn key_set(keys: &[Value]) -> String {
    super::json("200 OK", "", &json!({ "keys": keys }).to_string())
}

/// A gateway whose callers may come with a JWT of [`ISSUER`]: its readers may use what alice may.
pub(crate) fn with_issuer(upstream: &Upstream, source: &str, lines: &str) -> Setup {
    let issuer = format!(
        "[issuers.corp]\nissuer = \"{ISSUER}\"\n{source}\nalgorithms = [\"RS256\", \"ES256\", \"EdDSA\"]\n\
         organization_claim = \"org\"\nroles_claim = \"groups\"\nroles_map = {{ mcp-readers = \"reader\" }}\n{lines}"
    );
    Setup::new(upstream).server(&format!("public_url = \"{PUBLIC}\"")).more(&issuer)
}

/// With its keys in a file.
pub(crate) fn with_keys(upstream: &Upstream, keys: &[Value], lines: &str) -> Setup {
    with_issuer(upstream, "jwks_file = \"jwks.json\"", lines)
        .file("jwks.json", &json!({ "keys": keys }).to_string())
}

/// The failures of JWTs that a gateway has counted by this name.
pub(crate) fn counted(gateway: &Gateway, result: &str) -> f64 {
    gateway.metric(&format!("doorward_auth_total{{result=\"{result}\",scheme=\"jwt\"}}"))
}

/// A call of `echo` with this token.
pub(crate) fn with(token: &str) -> Call {
    echo().token(token)
}

/// The usual header of a token, with other members; null takes one away.
pub(crate) fn header(signer: &Signer, more: &Value) -> Value {
    let mut header = json!({"alg": signer.algorithm, "kid": signer.id, "typ": "JWT"});
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(header.as_object_mut().unwrap().remove(name)),
            value => header[name] = value.clone(),
        }
    }
    header
}
