//! A route as an OAuth 2.0 protected resource (RFC 9728), and the challenges that lead clients to
//! its issuers (RFC 6750 3; MCP, "Authorization").

use std::sync::Arc;

use serde::Serialize;

use super::issuer::Issuer;
use super::jwt::{self, JwtFault, Rejected, Unverified, one_of};
use super::principal::PresentedToken;

/// Where the metadata of a resource lies: this, before the path of the resource (RFC 9728 3.1).
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// A route whose callers may come with a JWT.
#[derive(Debug)]
pub struct Protected {
    /// Its canonical URI (MCP, "Canonical Server URI").
    resource: String,
    /// Where its metadata can be read.
    metadata_url: String,
    issuers: Vec<Arc<Issuer>>,
}

#[derive(Serialize)]
struct Metadata<'m> {
    resource: &'m str,
    authorization_servers: Vec<&'m str>,
    bearer_methods_supported: [&'m str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes_supported: Option<Vec<&'m str>>,
}

impl Protected {
    /// The route `path` of the gateway that clients know as `origin`: scheme, host and port.
    #[must_use]
    pub fn new(origin: &str, path: &str, issuers: Vec<Arc<Issuer>>) -> Self {
        let resource = format!("{origin}{path}");
        Self { resource, metadata_url: format!("{origin}{WELL_KNOWN}{path}"), issuers }
    }

    /// Its URI.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Its issuers.
    #[must_use]
    pub fn issuers(&self) -> &[Arc<Issuer>] {
        &self.issuers
    }

    /// The JWT in a bearer token, and the issuer that it names. `None` for a token of another
    /// form.
    ///
    /// # Errors
    /// [`Rejected`] for a JWT that cannot be read, or of another issuer.
    pub fn read<'t>(
        &self,
        token: PresentedToken<'t>,
    ) -> Option<Result<(Unverified<'t>, &Arc<Issuer>), Rejected>> {
        if !jwt::has_form(token.text()) {
            return None;
        }
        Some(Unverified::read(token.text()).and_then(|read| {
            let named = read.issuer();
            let issuer = self.issuers.iter().find(|issuer| Some(&*issuer.issuer) == named);
            let issuer = issuer.ok_or_else(|| self.unknown_issuer(named))?;
            Ok((read, issuer))
        }))
    }

    /// Says which issuers there are, and how near the one that is named comes to one of them. It
    /// is not repeated: nobody has signed it.
    fn unknown_issuer(&self, named: Option<&str>) -> Rejected {
        let expected = one_of(self.issuers.iter().map(|issuer| issuer.issuer.as_str()));
        let found = match named {
            None => "nothing".to_owned(),
            Some(named) => {
                let near = |issuer: &Arc<Issuer>| {
                    let how = issuer.difference(named)?;
                    Some(format!("one that differs from that of {} by {how}", issuer.name))
                };
                let near = self.issuers.iter().find_map(near);
                near.unwrap_or_else(|| "another".to_owned())
            }
        };
        let detail = format!("iss: expected {expected}, found {found}");
        Rejected::unsigned(JwtFault::Issuer, detail)
    }

    /// The metadata document (RFC 9728 2).
    #[must_use]
    pub fn metadata(&self) -> String {
        let servers: Vec<&str> = self.issuers.iter().map(|i| i.issuer.as_str()).collect();
        let scopes = union(self.issuers.iter().flat_map(|i| i.scopes.keys().map(|s| i.asked(s))));
        let metadata = Metadata {
            resource: &self.resource,
            authorization_servers: servers,
            bearer_methods_supported: ["header"],
            scopes_supported: (!scopes.is_empty()).then_some(scopes),
        };
        serde_json::to_string(&metadata).unwrap_or_default()
    }

    /// Where clients find out how to get a token, for a challenge; with the scopes that a first
    /// one should have.
    #[must_use]
    pub fn parameters(&self) -> String {
        let scopes =
            union(self.issuers.iter().flat_map(|i| i.initial_scopes.iter().map(|s| i.asked(s))));
        match scopes.is_empty() {
            true => format!(r#"resource_metadata="{}""#, self.metadata_url),
            false => self.parameters_for(&scopes.join(" ")),
        }
    }

    /// The same, with other scopes.
    #[must_use]
    pub fn parameters_for(&self, scopes: &str) -> String {
        format!(r#"resource_metadata="{}", scope="{scopes}""#, self.metadata_url)
    }
}

/// Each once, in order.
fn union<'s>(scopes: impl Iterator<Item = &'s str>) -> Vec<&'s str> {
    let mut all: Vec<&str> = Vec::new();
    for scope in scopes {
        if !all.contains(&scope) {
            all.push(scope);
        }
    }
    all
}
