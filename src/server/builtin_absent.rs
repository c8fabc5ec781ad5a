//! A build without the feature `demo` has nothing built in.

use super::StartError;
use crate::config::Settings;

#[derive(Default)]
pub(super) struct Builtin {}

impl Builtin {
    #[expect(clippy::unused_async, reason = "the same signature as with the feature `demo`")]
    pub(super) async fn start(&mut self, _settings: &Settings) -> Result<(), StartError> {
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "the same signature as with the feature `demo`")]
    pub(super) fn address(
        &self,
    ) -> Option<(http::Uri, Option<(http::HeaderName, http::HeaderValue)>)> {
        None
    }
}
