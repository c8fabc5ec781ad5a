//! The keys of an issuer, for those who look at a token of it.

use std::sync::Arc;

use super::build;
use crate::config::IssuerSpec;
use crate::core::keys::KeySet;
use crate::gateway::Resolver;
use crate::telemetry::metrics::Metrics;

/// The keys from where the configuration says that they are, in a file or on the web; asked once,
/// for five seconds at most.
///
/// # Errors
/// Why they cannot be had, in words.
pub fn of(spec: &IssuerSpec) -> Result<Arc<KeySet>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let metrics = Arc::new(Metrics::new().map_err(|error| error.to_string())?);
    runtime.block_on(async {
        let keys = build::keys_of(spec, &metrics, &Resolver::system())
            .map_err(|error| error.to_string())?;
        keys.asked().await
    })
}
