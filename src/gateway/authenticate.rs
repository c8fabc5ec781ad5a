//! Step 3 of the story: who is calling. Every failure ends in a refusal; there is no anonymous
//! principal.

use std::collections::HashMap;
use std::sync::Arc;

use pingora::protocols::http::ServerSession;

use super::head;
use super::keys::Keys;
use super::peer::PeerCertificate;
use super::story::Context;
use crate::core::jwt::{JwtFault, Rejected};
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
        Err(AuthFailure::Missing) if let Some(shown) = PeerCertificate::shown(session, now) => {
            let found = policy.identify_certificate(shown.names(), shown.until(), now);
            return (Scheme::Certificate, found);
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
            let other = other.unwrap_or_else(|| Err(Rejected::from(JwtFault::Issuer).into()));
            other.map(|other| taken.bounded_by(&other)).map_err(Unidentified::by_what_waits)
        }
        (taken, _) => taken,
    };
    (Scheme::Jwt, both)
}

/// The principal whom a JWT proves towards this resource; `None` for a token of another form.
/// Asks the issuer for its keys at most once, where it may have a new one.
async fn verify(
    keys: &HashMap<String, Arc<Keys>>,
    protected: &Protected,
    token: PresentedToken<'_>,
    now: UnixSeconds,
) -> Option<Result<Arc<Principal>, Unidentified>> {
    let (token, issuer) = match protected.read(token)? {
        Ok(read) => read,
        Err(rejected) => return Some(Err(rejected.into())),
    };
    let failed = |unidentified: Unidentified| Some(Err(unidentified.of(&issuer.name)));
    let Some(keys) = keys.get(&*issuer.name) else {
        let cause = "the keys of this issuer are not loaded".to_owned();
        return failed(Unidentified::from(AuthFailure::KeysUnavailable).since(cause));
    };
    if !keys.known().is_some_and(|set| token.may_be_signed_with(&set, issuer)) {
        keys.ask_again().await;
    }
    let Some(set) = keys.known() else {
        let cause = format!("no keys: {}", keys.trouble().unwrap_or_default());
        return failed(Unidentified::from(AuthFailure::KeysUnavailable).since(cause));
    };
    match issuer.identify(token, protected.resource(), &set, now) {
        Ok(principal) => Some(Ok(principal)),
        Err(rejected) => {
            // A new key may be where nobody could look.
            let failure = keys.last_failure().filter(|_| rejected.fault == JwtFault::UnknownKey);
            let cause = failure.map(|failure| format!("the last fetch of keys failed: {failure}"));
            failed(Unidentified { cause, ..rejected.into() })
        }
    }
}

/// Says in the log, seldom, what an issuer's own tokens lack, and what their claim for roles does:
/// it is the configuration, here or there, that has to be mended.
pub(super) fn tell(context: Context<'_>, found: Result<&Principal, &Unidentified>) {
    let told = |issuer: Option<&str>| Some(context.snapshot.keys.get(issuer?)?.told());
    match found {
        Ok(principal) => {
            let gives_none = |_: &&str| principal.grants().roles.is_empty();
            let Some(detail) = principal.lack().filter(gives_none) else { return };
            let issuer = principal.issuer_name();
            let Some(unsaid) = told(issuer).and_then(|told| told.no_roles.say()) else { return };
            tracing::info!(event = "auth.no_roles", issuer, detail, unsaid);
        }
        Err(Unidentified { failure, issuer, rejected: Some(rejected), .. })
            if rejected.is_signed =>
        {
            let (reason, issuer) = (failure.as_str(), issuer.as_deref());
            let Some(told) = told(issuer) else { return };
            let of_kind =
                if rejected.fault == JwtFault::Expired { &told.expired } else { &told.refused };
            let Some(unsaid) = of_kind.say() else { return };
            let detail = rejected.detail.as_str();
            tracing::info!(event = "auth.refused", issuer, reason, detail, unsaid);
        }
        Err(_) => {}
    }
}
