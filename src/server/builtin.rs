//! The ticket server inside the process, for an upstream with `builtin = "tickets"`.

use doorward_tickets::{AccessKey, Embedded, EmbeddedOptions, start_embedded};
use http::HeaderValue;

use super::StartError;
use crate::config::{Settings, Target};

pub(super) struct Builtin(Option<(Embedded, HeaderValue)>);

/// Starts it if an upstream wants it. It takes calls from this gateway alone: the key is made
/// for this process and never leaves it, so that no other local user can go round the gateway.
pub(super) async fn start(settings: &Settings) -> Result<Builtin, StartError> {
    if !settings.upstreams.iter().any(|u| u.target == Target::BuiltinTickets) {
        return Ok(Builtin(None));
    }
    let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let internal = |what: &str| StartError::Internal(what.to_owned());
    let key = AccessKey::new(secret.clone()).map_err(|_| internal("access key"))?;
    let embedded = start_embedded(EmbeddedOptions { access_key: Some(key) })
        .await
        .map_err(StartError::Builtin)?;
    let mut credential =
        HeaderValue::from_str(&format!("Bearer {secret}")).map_err(|_| internal("access key"))?;
    credential.set_sensitive(true);
    Ok(Builtin(Some((embedded, credential))))
}

impl Builtin {
    pub(super) fn address(&self) -> Option<(http::Uri, Option<HeaderValue>)> {
        let (embedded, credential) = self.0.as_ref()?;
        Some((embedded.mcp_url().parse().ok()?, Some(credential.clone())))
    }
}
