//! The ticket server inside the process, for an upstream with `builtin = "tickets"`.

use doorward_tickets::{AccessKey, Embedded, EmbeddedOptions, start_embedded};
use http::{HeaderName, HeaderValue, header};

use super::StartError;
use crate::config::{Settings, Target};

/// The server, once an upstream wanted it.
#[derive(Default)]
pub(super) struct Builtin(Option<(Embedded, HeaderValue)>);

impl Builtin {
    /// Starts it if an upstream wants it and it does not run. It takes calls from this gateway
    /// alone: the key is made for this process and never leaves it, so that no other local user
    /// can go round the gateway.
    pub(super) async fn start(&mut self, settings: &Settings) -> Result<(), StartError> {
        let is_wanted = settings.upstreams.iter().any(|u| u.target == Target::BuiltinTickets);
        if !is_wanted || self.0.is_some() {
            return Ok(());
        }
        let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let internal = |what: &str| StartError::Internal(what.to_owned());
        let key = AccessKey::new(secret.clone()).map_err(|_| internal("access key"))?;
        let embedded = start_embedded(EmbeddedOptions { access_key: Some(key) })
            .await
            .map_err(StartError::Builtin)?;
        let mut credential = HeaderValue::from_str(&format!("Bearer {secret}"))
            .map_err(|_| internal("access key"))?;
        credential.set_sensitive(true);
        self.0 = Some((embedded, credential));
        Ok(())
    }

    pub(super) fn address(&self) -> Option<(http::Uri, Option<(HeaderName, HeaderValue)>)> {
        let (embedded, credential) = self.0.as_ref()?;
        let credential = (header::AUTHORIZATION, credential.clone());
        Some((embedded.mcp_url().parse().ok()?, Some(credential)))
    }
}
