//! The claims of a token, by name and by place.

use serde_json::{Map, Value};

use super::rejected::{JwtFault, Rejected, found};
use crate::core::token::UnixSeconds;

/// The claims of a verified token.
pub(in crate::core) struct Claims {
    claims: Map<String, Value>,
    /// `typ` of the header, which the signature covers, too.
    pub(super) kind: Option<Value>,
}

impl Claims {
    pub(super) fn new(claims: Map<String, Value>, kind: Option<Value>) -> Self {
        Self { claims, kind }
    }

    /// Claims that nobody has verified, of a token that nobody holds.
    pub(in crate::core) fn assumed(claims: Map<String, Value>) -> Self {
        Self { claims, kind: None }
    }

    /// A claim by its name, or by a JSON pointer (RFC 6901) where `name` begins with `/`.
    pub(in crate::core) fn get(&self, name: &str) -> Option<&Value> {
        let Some(path) = name.strip_prefix('/') else {
            return self.claims.get(name);
        };
        let mut steps = path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
        let first = self.claims.get(&steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))
    }

    /// The text of a claim.
    pub(in crate::core) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// The moment of `exp`, once it has been found fit.
    pub(in crate::core) fn expires(&self) -> Option<UnixSeconds> {
        self.seconds("exp").ok().flatten()
    }

    /// A NumericDate (RFC 7519 2), rounded down.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<UnixSeconds>, Rejected> {
        let Some(value) = self.claims.get(name) else {
            return Ok(None);
        };
        // Far beyond any date, and far within what a float can tell exactly.
        let sound = |seconds: &f64| (0.0..1e12).contains(seconds);
        let seconds = value.as_f64().filter(sound).ok_or_else(|| self.not_a_date(name))?;
        #[expect(clippy::cast_possible_truncation, reason = "it is below 1e12")]
        Ok(Some(seconds as i64))
    }

    pub(super) fn not_a_date(&self, name: &str) -> Rejected {
        let expected = "a number, the seconds since 1970-01-01T00:00:00Z";
        Rejected::claim(JwtFault::Claim, name, expected, &found(self.claims.get(name)))
    }
}
