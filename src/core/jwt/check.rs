//! Everything that a signed token must say, besides who its holder is.

use serde_json::Value;

use super::claims::Claims;
use super::rejected::{JwtFault, Rejected, found, one_of};
use crate::core::token::UnixSeconds;

/// Types of tokens that may be access tokens (RFC 7519 5.1, RFC 9068 2.1), in any case.
const TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];

/// What a token must be, besides signed.
#[derive(Debug)]
pub(in crate::core) struct Expected<'e> {
    pub(in crate::core) issuer: &'e str,
    /// One of these must be in `aud`.
    pub(in crate::core) audiences: &'e [&'e str],
    /// How far clocks may differ, in seconds.
    pub(in crate::core) leeway: i64,
    /// How far ahead `exp` may be, in seconds.
    pub(in crate::core) max_lifetime: Option<i64>,
}

/// One thing that a token must be.
type Rule = fn(&Expected<'_>, &Claims, UnixSeconds) -> Result<(), Rejected>;

/// Every rule in the order in which a failure counts, with the claim that it is about.
pub(super) const RULES: [(&str, Rule); 6] = [
    ("typ", |expected, claims, _| expected.check_type(claims)),
    ("iss", |expected, claims, _| expected.check_issuer(claims)),
    ("aud", |expected, claims, _| expected.check_audience(claims)),
    ("exp", |expected, claims, now| expected.check_end(claims, now)),
    ("nbf", |expected, claims, now| expected.check_begin("nbf", claims, now)),
    ("iat", |expected, claims, now| expected.check_begin("iat", claims, now)),
];

impl Expected<'_> {
    /// Checks signed claims at the moment `now`; the first failure counts.
    pub(in crate::core) fn check(&self, claims: &Claims, now: UnixSeconds) -> Result<(), Rejected> {
        RULES.iter().try_for_each(|(_, rule)| rule(self, claims, now))
    }

    /// The same of claims that nobody has signed: one that is not there is taken for a good one.
    pub(in crate::core) fn check_present(
        &self,
        claims: &Claims,
        now: UnixSeconds,
    ) -> Result<(), Rejected> {
        let mut present = RULES.iter().filter(|(name, _)| claims.get(name).is_some());
        present.try_for_each(|(_, rule)| rule(self, claims, now))
    }

    fn check_type(&self, claims: &Claims) -> Result<(), Rejected> {
        let is_fit = |kind: &Value| {
            kind.as_str().is_some_and(|kind| TYPES.iter().any(|t| t.eq_ignore_ascii_case(kind)))
        };
        if claims.kind.as_ref().is_none_or(is_fit) {
            return Ok(());
        }
        let (expected, found) = (TYPES.join(" or "), found(claims.kind.as_ref()));
        Err(Rejected::claim(JwtFault::Malformed("typ"), "typ", &expected, &found))
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), Rejected> {
        let claim = claims.get("iss");
        if claim.and_then(Value::as_str) == Some(self.issuer) {
            return Ok(());
        }
        let expected = one_of([self.issuer].into_iter());
        Err(Rejected::claim(JwtFault::Issuer, "iss", &expected, &found(claim)))
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), Rejected> {
        let is_ours = |text: &str| self.audiences.contains(&text);
        let claim = claims.get("aud");
        let names_us = match claim {
            Some(Value::String(text)) => is_ours(text),
            Some(Value::Array(items)) => {
                items.iter().all(Value::is_string)
                    && items.iter().filter_map(Value::as_str).any(is_ours)
            }
            _ => false,
        };
        if names_us {
            return Ok(());
        }
        let expected = one_of(self.audiences.iter().copied());
        Err(Rejected::claim(JwtFault::Audience, "aud", &expected, &found(claim)))
    }

    fn check_end(&self, claims: &Claims, now: UnixSeconds) -> Result<(), Rejected> {
        let end = claims.seconds("exp")?.ok_or_else(|| claims.not_a_date("exp"))?;
        let leeway = self.leeway;
        if end.saturating_add(leeway) <= now {
            let expected = format!("later than {}, less {leeway}s of leeway", moment(now));
            return Err(Rejected::claim(JwtFault::Expired, "exp", &expected, &moment(end)));
        }
        match self.max_lifetime {
            Some(longest) if end - now > longest.saturating_add(leeway) => {
                let latest = moment(now.saturating_add(longest));
                let expected = format!("at most {latest}, {longest}s ahead (max_lifetime)");
                Err(Rejected::claim(JwtFault::Claim, "exp", &expected, &moment(end)))
            }
            _ => Ok(()),
        }
    }

    fn check_begin(
        &self,
        name: &'static str,
        claims: &Claims,
        now: UnixSeconds,
    ) -> Result<(), Rejected> {
        match claims.seconds(name)? {
            Some(begin) if begin > now.saturating_add(self.leeway) => {
                let expected = format!("at most {}, and {}s of leeway", moment(now), self.leeway);
                Err(Rejected::claim(JwtFault::TooEarly, name, &expected, &moment(begin)))
            }
            _ => Ok(()),
        }
    }
}

/// A NumericDate with what it means.
fn moment(seconds: UnixSeconds) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| seconds.to_string(), |at| format!("{seconds} ({at})"))
}
