//! Asks a running service whether it is well, as its container does.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// For the whole question; supervisors give up after a few seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks `url`, the `/health` of either service.
///
/// # Errors
/// If nobody answers within two seconds, or not with 200.
pub async fn ask_health(url: Uri) -> Result<(), Unwell> {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    match tokio::time::timeout(PATIENCE, client.get(url)).await {
        Ok(Ok(answer)) if answer.status() == StatusCode::OK => Ok(()),
        Ok(Ok(answer)) => Err(Unwell(format!("it answers {}", answer.status()))),
        Ok(Err(error)) => Err(Unwell(error.to_string())),
        Err(_) => Err(Unwell("it does not answer in time".to_owned())),
    }
}

/// Why a service is not well, in words.
#[derive(Debug)]
pub struct Unwell(String);

impl fmt::Display for Unwell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not well: {}", self.0)
    }
}

impl std::error::Error for Unwell {}
