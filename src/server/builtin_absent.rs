//! A build without the feature `demo` has nothing built in.

use super::StartError;
use crate::config::Settings;

pub(super) struct Builtin;

#[expect(clippy::unused_async, reason = "the same signature as with the feature `demo`")]
pub(super) async fn start(_settings: &Settings) -> Result<Builtin, StartError> {
    Ok(Builtin)
}

impl Builtin {
    pub(super) fn address(&self) -> Option<(http::Uri, Option<http::HeaderValue>)> {
        None
    }
}
