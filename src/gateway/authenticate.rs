//! Step 3 of the story: who is calling. Every failure ends in a refusal; there is no anonymous
//! principal.

use std::sync::Arc;

use pingora::protocols::http::ServerSession;

use super::head;
use super::peer::PeerCertificate;
use super::story::Context;
use crate::core::issuer::Issuer;
use crate::core::jwt::Unverified;
use crate::core::policy::Route;
use crate::core::principal::Principal;
use crate::core::protected::Protected;
use crate::core::token::{AuthFailure, Unidentified, UnixSeconds};

/// How a caller tried to prove who they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scheme {
    /// By a client certificate.
    Certificate,
    /// By a JWT.
    Jwt,
    /// By a token of the table, or not at all.
    Token,
}

impl Scheme {
    /// The word for it in metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "mtls",
            Self::Jwt => "jwt",
            Self::Token => "token",
        }
    }
}

/// The principal whom the head of a request proves at the moment `now`. The token table is asked
/// first; what it does not know may be a JWT, where the route has issuers. A certificate counts
/// where there is no token: one that is sent is meant.
pub(super) async fn authenticate(
    context: Context<'_>,
    session: &ServerSession,
    route: &Route,
    now: UnixSeconds,
) -> (Scheme, Result<Arc<Principal>, Unidentified>) {
    let tokens = context.snapshot.policy.tokens();
    let token = match head::bearer(&session.req_header().headers) {
        Ok(token) => token,
        Err(AuthFailure::Missing) if let Some(names) = PeerCertificate::names(session, now) => {
            return (Scheme::Certificate, tokens.identify_certificate(names, now));
        }
        Err(failure) => return (Scheme::Token, Err(failure.into())),
    };
    let found = tokens.identify(token, now);
    let (Err(Unidentified { failure: AuthFailure::Unknown, .. }), Some(protected)) =
        (&found, &route.protected)
    else {
        return (Scheme::Token, found);
    };
    match protected.read(token) {
        None => (Scheme::Token, found),
        Some(Err(fault)) => (Scheme::Jwt, Err(AuthFailure::Jwt(fault).into())),
        Some(Ok((read, issuer))) => {
            let verified = verify(context, protected, read, issuer, now).await;
            (Scheme::Jwt, verified.map_err(Into::into))
        }
    }
}

/// Asks the issuer for its keys at most once, where it may have a new one.
async fn verify(
    context: Context<'_>,
    protected: &Protected,
    token: Unverified<'_>,
    issuer: &Arc<Issuer>,
    now: UnixSeconds,
) -> Result<Arc<Principal>, AuthFailure> {
    let keys = context.snapshot.keys.get(&*issuer.name).ok_or(AuthFailure::KeysUnavailable)?;
    if !keys.known().is_some_and(|set| token.may_be_signed_with(&set, issuer)) {
        keys.ask_again().await;
    }
    let set = keys.known().ok_or(AuthFailure::KeysUnavailable)?;
    issuer.identify(token, protected.resource(), &set, now).map_err(AuthFailure::Jwt)
}
