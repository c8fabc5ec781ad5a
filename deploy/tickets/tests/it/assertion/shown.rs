//! Keys that a gateway shows over HTTP, slowly, without end, or not at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorward_tickets::{AssertionKeys, Assertions, Trust};
use reqwest::{Method, StatusCode};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::{Signer, TYPE, api, ask, claims, set};

/// A gateway that shows its keys. It takes what is next to be said, and says nothing where that
/// is empty.
struct Shown {
    url: String,
    asked: Arc<AtomicUsize>,
    next: Arc<Mutex<String>>,
}

impl Shown {
    async fn start(first: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let (asked, next) = (Arc::<AtomicUsize>::default(), Arc::new(Mutex::new(first)));
        let (count, say) = (Arc::clone(&asked), Arc::clone(&next));
        tokio::spawn(async move {
            let mut silent = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let body = say.lock().unwrap().clone();
                if body.is_empty() {
                    silent.push(stream);
                    continue;
                }
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                // Whoever asked may have read enough before the end.
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        Self { url, asked, next }
    }

    fn says(&self, next: String) {
        *self.next.lock().unwrap() = next;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn trust(&self) -> Trust {
        let source = AssertionKeys::Url(self.url.parse().unwrap());
        let assertions = Some(Assertions::new(source, "tickets".to_owned()));
        Trust { access_key: None, assertions }
    }
}

#[tokio::test]
async fn a_gateway_that_is_silent_about_its_keys_holds_up_nobody_whose_key_is_known() {
    let (signer, new) = (Signer::ed25519(), Signer::es256());
    let shown = Shown::start(set(&[("k", &signer)])).await;
    let whoami = format!("{}/api/v1/whoami", api(shown.trust()).await);
    let claims = claims("whoami", "");
    let (good, unknown) = (signer.good(&claims), new.sign("new", TYPE, &claims));
    let ask_with = |word: &str| {
        let (word, url) = (word.to_owned(), whoami.clone());
        tokio::spawn(async move { ask(Method::GET, &url, &[word], "").await.0 })
    };
    assert_eq!(ask_with(&good).await.unwrap(), StatusCode::OK);

    // Until it is old enough to be asked again.
    shown.says(String::new());
    let mut waiting = Vec::new();
    while shown.asked() < 2 {
        waiting.push(ask_with(&unknown));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    waiting.push(ask_with(&unknown));
    for _ in 0..20 {
        assert_eq!(ask_with(&good).await.unwrap(), StatusCode::OK);
    }
    assert!(!waiting.last().unwrap().is_finished(), "the good calls were made meanwhile");
    assert_eq!(shown.asked(), 2, "it was asked twice at once");

    // The silence ends by itself, and then the new key is found.
    for refused in waiting {
        assert_eq!(refused.await.unwrap(), StatusCode::UNAUTHORIZED);
    }
    shown.says(set(&[("new", &new)]));
    while ask_with(&unknown).await.unwrap() != StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(shown.asked(), 3);
    assert_eq!(ask_with(&good).await.unwrap(), StatusCode::UNAUTHORIZED, "it is shown no longer");
}

#[tokio::test]
async fn keys_without_end_are_not_read() {
    let signer = Signer::ed25519();
    let shown = Shown::start(set(&[("k", &signer)]) + &" ".repeat(64 * 1024)).await;
    let whoami = format!("{}/api/v1/whoami", api(shown.trust()).await);
    let word = signer.good(&claims("whoami", ""));
    assert_eq!(ask(Method::GET, &whoami, &[word], "").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(shown.asked(), 1);
}
