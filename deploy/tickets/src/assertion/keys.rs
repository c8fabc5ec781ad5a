//! The public keys of the gateway: read where they are, and kept.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

/// The shortest time between the end of one reading, good or bad, and the next.
const PAUSE: Duration = Duration::from_secs(1);

/// For one reading.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keys of this age are read again, so that one that the gateway shows no longer is forgotten.
const FRESH: Duration = Duration::from_secs(300);

/// Longest set of keys in bytes.
const MAX_KEYS: u64 = 64 * 1024;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A key, and the one algorithm that it is for.
pub(super) type Key = (DecodingKey, Algorithm);

/// The place of the public keys of the gateway, a JWK set.
#[derive(Clone, Debug)]
pub enum AssertionKeys {
    /// A file; read again when an assertion names a key that is not in it.
    File(PathBuf),
    /// An `http` URL, `/.well-known/doorward/jwks.json` of the gateway; asked again likewise.
    /// Nothing but the network between vouches for what it answers.
    Url(Uri),
}

/// The keys, as far as they are known. A reading holds up only whoever needs a key that is not known.
pub(super) struct Keys {
    pub(super) source: AssertionKeys,
    known: RwLock<Known>,
    /// Held by the one reading that there is at a time.
    turn: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Key>,
    /// The end of the last reading.
    read: Option<Instant>,
}

impl Keys {
    pub(super) fn new(source: AssertionKeys) -> Self {
        Self { source, known: RwLock::default(), turn: Arc::default() }
    }

    /// The key with this id. One that is not known may be new.
    pub(super) async fn find(self: &Arc<Self>, id: &str) -> Option<Key> {
        if let Some(found) = self.known(id) {
            if self.is_older_than(FRESH)
                && let Ok(turn) = Arc::clone(&self.turn).try_lock_owned()
            {
                drop(self.spawn_reading(turn));
            }
            return Some(found);
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // Somebody else's reading may have ended meanwhile.
        if let Some(found) = self.known(id) {
            return Some(found);
        }
        if self.is_older_than(PAUSE) {
            self.spawn_reading(turn).await.ok()?;
        }
        self.known(id)
    }

    /// A task of its own: callers who leave neither end a reading nor begin the next.
    fn spawn_reading(self: &Arc<Self>, turn: OwnedMutexGuard<()>) -> JoinHandle<()> {
        let keys = Arc::clone(self);
        tokio::spawn(async move {
            keys.read_again().await;
            drop(turn);
        })
    }

    fn known(&self, id: &str) -> Option<Key> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).keys.get(id).cloned()
    }

    fn is_older_than(&self, age: Duration) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.read.is_none_or(|read| read.elapsed() >= age)
    }

    /// Where it fails, what is known stays.
    async fn read_again(&self) {
        let read = match tokio::time::timeout(PATIENCE, read(&self.source)).await {
            Ok(Ok(text)) => parse(&text).map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("there is no answer within {} s", PATIENCE.as_secs())),
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.read = Some(Instant::now());
        match read {
            Ok(keys) => known.keys = keys,
            Err(error) => {
                let source = match &self.source {
                    AssertionKeys::File(path) => path.display().to_string(),
                    AssertionKeys::Url(url) => url.to_string(),
                };
                tracing::warn!(source, error, "the gateway's keys could not be read");
            }
        }
    }
}

async fn read(source: &AssertionKeys) -> Result<Bytes, Failure> {
    match source {
        AssertionKeys::File(path) => {
            let path = path.clone();
            Ok(tokio::task::spawn_blocking(move || read_file(&path)).await??.into())
        }
        AssertionKeys::Url(url) => fetch(url.clone()).await,
    }
}

/// A pipe could be read for ever.
fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    if !std::fs::metadata(path)?.is_file() {
        return Err("it is not a regular file".into());
    }
    let mut text = Vec::new();
    std::fs::File::open(path)?.take(MAX_KEYS + 1).read_to_end(&mut text)?;
    if u64::try_from(text.len())? > MAX_KEYS {
        return Err(format!("it is longer than {MAX_KEYS} bytes").into());
    }
    Ok(text)
}

/// Redirects are not followed.
async fn fetch(url: Uri) -> Result<Bytes, Failure> {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(url).await?;
    if !answer.status().is_success() {
        return Err(format!("the gateway answers {}", answer.status()).into());
    }
    Ok(to_bytes(Body::new(answer.into_body()), usize::try_from(MAX_KEYS)?).await?)
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The keys that could sign an assertion, by their ids. Others are for somebody else (RFC 7517 5).
fn parse(text: &[u8]) -> Result<HashMap<String, Key>, serde_json::Error> {
    let set: Set = serde_json::from_slice(text)?;
    let jwks = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    Ok(jwks.filter_map(|jwk| Some((jwk.common.key_id.clone()?, usable(&jwk)?))).collect())
}

fn usable(jwk: &Jwk) -> Option<Key> {
    if jwk.common.public_key_use.as_ref().is_some_and(|use_| *use_ != PublicKeyUse::Signature) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    Some((DecodingKey::from_jwk(jwk).ok()?, algorithm))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> (tempfile::TempDir, Arc<Keys>) {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("jwks.json");
        std::fs::write(&path, text).unwrap();
        (folder, Arc::new(Keys::new(AssertionKeys::File(path))))
    }

    fn set(id: &str) -> String {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"; // RFC 8037 A.2
        format!(r#"{{"keys": [{{"kty": "OKP", "crv": "Ed25519", "x": "{x}", "kid": "{id}"}}]}}"#)
    }

    fn write(folder: &tempfile::TempDir, text: &str) {
        std::fs::write(folder.path().join("jwks.json"), text).unwrap();
    }

    /// No clock moves in between: the last reading was just now, or is as good as never.
    fn read_just_now(keys: &Keys) {
        let later = Instant::now() + FRESH;
        assert!(keys.known.write().unwrap().read.replace(later).is_some(), "nothing was read");
    }

    fn read_long_ago(keys: &Keys) {
        assert!(keys.known.write().unwrap().read.take().is_some(), "nothing was read");
    }

    #[tokio::test]
    async fn a_failure_is_kept_for_a_while_and_takes_nothing_away() {
        let (folder, keys) = keys("nonsense");
        assert!(keys.find("a").await.is_none());
        write(&folder, &set("a"));
        read_just_now(&keys);
        assert!(keys.find("a").await.is_none(), "it was read again at once");
        read_long_ago(&keys);
        assert!(keys.find("a").await.is_some());
        write(&folder, "nonsense");
        read_long_ago(&keys);
        assert!(keys.find("b").await.is_none());
        assert!(keys.find("a").await.is_some());
    }

    #[tokio::test]
    async fn a_key_that_is_shown_no_longer_is_forgotten() {
        let (folder, keys) = keys(&set("a"));
        assert!(keys.find("a").await.is_some());
        write(&folder, &set("b"));
        read_just_now(&keys);
        assert!(keys.find("a").await.is_some(), "it is known");
        read_long_ago(&keys);
        assert!(keys.find("a").await.is_some(), "nobody waits for the reading");
        drop(keys.turn.lock().await);
        assert!(keys.find("a").await.is_none());
        assert!(keys.find("b").await.is_some());
    }

    #[test]
    fn only_a_regular_file_of_bounded_length_is_read() {
        let (folder, keys) = keys(&" ".repeat(65 * 1024));
        let AssertionKeys::File(path) = &keys.source else { panic!("it is a file") };
        assert!(read_file(path).unwrap_err().to_string().contains("longer than 65536 bytes"));
        assert!(read_file(folder.path()).unwrap_err().to_string().contains("regular file"));
        assert!(read_file(Path::new("/dev/zero")).is_err(), "it never ends");
    }

    #[test]
    fn keys_for_something_else_do_not_spoil_the_others() {
        let text = set("a")
            .replace("[{", r#"[{"kty": "new"}, 7, {"kid": "c", "kty": "oct", "k": "eA"}, {"#);
        let ids: Vec<_> = parse(text.as_bytes()).unwrap().into_keys().collect();
        assert_eq!(ids, ["a"]);
        let encrypts = set("a").replace("\"kid\"", "\"use\": \"enc\", \"kid\"");
        assert!(parse(encrypts.as_bytes()).unwrap().is_empty());
    }
}
