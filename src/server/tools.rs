//! What the upstreams of a configuration have, for those who approve it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::StartError;
use super::build::Builder;
use super::descriptors::Descriptors;
use crate::config::Config;
use crate::core::pin::Definition;
use crate::core::principal::Principal;
use crate::gateway::{self, FetchError};
use crate::telemetry::metrics::Metrics;

/// The tools of an upstream, or why they are not known.
pub type Told = Result<BTreeMap<String, Definition>, FetchError>;

/// Asks each of these upstreams for its tools, in somebody's name.
///
/// # Errors
/// [`StartError`] where something that the configuration names cannot be used.
pub fn ask(
    config: Config,
    upstreams: &[String],
    principal: Principal,
) -> Result<BTreeMap<String, Told>, StartError> {
    let internal = |error: &dyn std::fmt::Display| StartError::Internal(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(StartError::System)?.block_on(async {
        let metrics = Metrics::new().map_err(|error| internal(&error))?;
        // Lives as long as this block, and the built-in server with it.
        let mut builder = Builder::new(Vec::new(), Arc::new(metrics), Descriptors::attainable());
        let snapshot = builder.snapshot(config, "", None).await?;
        let principal = Arc::new(principal);
        let mut told = BTreeMap::new();
        for upstream in upstreams {
            let tools = gateway::tools(&snapshot, upstream, Arc::clone(&principal)).await;
            told.insert(upstream.clone(), tools);
        }
        Ok(told)
    })
}
