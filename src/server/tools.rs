//! What the upstreams of a configuration have, for those who approve it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::StartError;
use super::build::Builder;
use super::descriptors::Descriptors;
use crate::config::Config;
use crate::core::principal::Principal;
use crate::gateway::{self, Snapshot};
use crate::telemetry::metrics::Metrics;

pub use crate::gateway::{LeftOutTools, Toolbox, Untold};

/// Most upstreams that are asked at once.
const AT_ONCE: usize = 4;

/// The tools of an upstream, or why they are not known.
pub type Told = Result<Toolbox, Untold>;

/// Asks each of these upstreams for its tools, in somebody's name, a few at once.
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
        let told = ask_all(Arc::new(snapshot), upstreams, Arc::new(principal)).await;
        told.ok_or_else(|| internal(&"a question to an upstream broke off"))
    })
}

/// `None` where a question panicked.
async fn ask_all(
    snapshot: Arc<Snapshot>,
    upstreams: &[String],
    principal: Arc<Principal>,
) -> Option<BTreeMap<String, Told>> {
    let mut told = BTreeMap::new();
    let mut asked = JoinSet::new();
    let mut left = upstreams.iter();
    loop {
        while asked.len() < AT_ONCE
            && let Some(upstream) = left.next().cloned()
        {
            let (snapshot, principal) = (Arc::clone(&snapshot), Arc::clone(&principal));
            asked.spawn(async move {
                let tools = gateway::tools(&snapshot, &upstream, principal).await;
                (upstream, tools)
            });
        }
        let Some(joined) = asked.join_next().await else {
            return Some(told);
        };
        let (upstream, tools) = joined.ok()?;
        told.insert(upstream, tools);
    }
}
