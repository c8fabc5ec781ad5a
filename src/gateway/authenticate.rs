//! Step 3 of the story: who is calling. Every failure ends in a refusal; there is no anonymous
//! principal.

use std::collections::HashMap;
use std::sync::Arc;

use pingora::protocols::http::ServerSession;

use super::head;
use super::keys::Keys;
use super::peer::PeerCertificate;
use super::story::Context;
use crate::core::jwt::JwtFault;
use crate::core::policy::Route;
use crate::core::principal::{PresentedToken, Principal};
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
    let policy = &context.snapshot.policy;
    let token = match head::bearer(&session.req_header().headers) {
        Ok(token) => token,
        Err(AuthFailure::Missing) if let Some(names) = PeerCertificate::names(session, now) => {
            return (Scheme::Certificate, policy.identify_certificate(names, now));
        }
        Err(failure) => return (Scheme::Token, Err(failure.into())),
    };
    let found = policy.identify(token, now);
    let (Err(Unidentified { failure: AuthFailure::Unknown, .. }), Some(protected)) =
        (&found, &route.protected)
    else {
        return (Scheme::Token, found);
    };
    let keys = &context.snapshot.keys;
    let Some(taken) = verify(keys, protected, token, now).await else {
        return (Scheme::Token, found);
    };
    let both = match (taken, &context.snapshot.held) {
        (Ok(taken), Some(held)) => {
            let other = policy.held().and_then(|policy| policy.route_to(&route.upstream));
            let other = other.and_then(|route| route.protected.as_ref());
            let other = match other {
                Some(protected) => verify(&held.keys, protected, token, now).await,
                None => None,
            };
            // Whoever it was from is nobody's any more.
            let other = other.unwrap_or(Err(AuthFailure::Jwt(JwtFault::Issuer)));
            other.map(|other| taken.bounded_by(&other))
        }
        (taken, _) => taken,
    };
    (Scheme::Jwt, both.map_err(Into::into))
}

/// The principal whom a JWT proves towards this resource; `None` for a token of another form.
/// Asks the issuer for its keys at most once, where it may have a new one.
async fn verify(
    keys: &HashMap<String, Arc<Keys>>,
    protected: &Protected,
    token: PresentedToken<'_>,
    now: UnixSeconds,
) -> Option<Result<Arc<Principal>, AuthFailure>> {
    let (token, issuer) = match protected.read(token)? {
        Ok(read) => read,
        Err(fault) => return Some(Err(AuthFailure::Jwt(fault))),
    };
    let Some(keys) = keys.get(&*issuer.name) else {
        return Some(Err(AuthFailure::KeysUnavailable));
    };
    if !keys.known().is_some_and(|set| token.may_be_signed_with(&set, issuer)) {
        keys.ask_again().await;
    }
    let Some(set) = keys.known() else {
        return Some(Err(AuthFailure::KeysUnavailable));
    };
    Some(issuer.identify(token, protected.resource(), &set, now).map_err(AuthFailure::Jwt))
}
