//! What becomes of an entry of the token table.

use super::{Change, Facts, Tools, compare};
use crate::core::permission::Grants;
use crate::core::principal::Proof;
use crate::core::token::{Listed, UnixSeconds};

/// An entry of the token table, before and after.
pub(super) struct Pair<'p, 't> {
    pub(super) old: Option<&'p Listed<'t>>,
    pub(super) new: Option<&'p Listed<'t>>,
}

impl Pair<'_, '_> {
    pub(super) fn change(&self, facts: &Facts<'_>, tools: &Tools, now: UnixSeconds) -> Change {
        let none = Grants::default();
        let valid = |listed: Option<&Listed<'_>>| listed.is_some_and(|l| l.failure(now).is_none());
        let (was, is) = (valid(self.old), valid(self.new));
        let old = self.old.filter(|_| was).map_or(&none, |listed| listed.principal.grants());
        let new = self.new.filter(|_| is).map_or(&none, |listed| listed.principal.grants());
        let mut change = compare(old, new, &[], facts, tools, now);
        match (self.old, self.new) {
            (None, Some(new)) => {
                change.news.push(format!("is new, for {}", who(new)));
                change.widens |= is;
            }
            (Some(_), None) => change.news.push("is gone".to_owned()),
            (Some(old), Some(new)) => {
                if who(old) != who(new) {
                    change.news.push(format!("is {} and was {}", who(new), who(old)));
                    change.widens |= is;
                }
                let ((digest, name), (new_digest, new_name)) = (secret(old), secret(new));
                let proves_more = new_digest.is_some() && new_digest != digest
                    || new_name.is_some() && new_name != name;
                if proves_more {
                    change.news.push("has another secret".to_owned());
                    change.widens |= is;
                } else if secret(old) != secret(new) {
                    change.news.push("has one secret less".to_owned());
                }
                match (was, is) {
                    (true, false) => {
                        let why = new.failure(now).map_or("invalid", |failure| failure.as_str());
                        change.news.push(format!("is {why}"));
                    }
                    (false, true) => {
                        change.news.push("is valid again".to_owned());
                        change.widens = true;
                    }
                    _ if end(old) != end(new) => {
                        change.news.push("has another end".to_owned());
                        change.widens |= is && end(new) > end(old);
                    }
                    _ => {}
                }
            }
            (None, None) => {}
        }
        change
    }
}

fn who(listed: &Listed<'_>) -> String {
    let principal = listed.principal;
    format!("{} of {}", principal.user().as_str(), principal.organization().as_str())
}

/// What proves it: a token, a certificate, or one of the two.
fn secret<'t>(listed: &Listed<'t>) -> (Option<&'t [u8]>, Option<&'t str>) {
    let digest = match listed.principal.proof() {
        Proof::Token { digest, .. } => Some(digest.as_slice()),
        Proof::Certificate { .. } | Proof::Jwt { .. } => None,
    };
    (digest, listed.certificate)
}

/// When it ends, in an order in which never is last.
fn end(listed: &Listed<'_>) -> UnixSeconds {
    [listed.expires, listed.revoked].into_iter().flatten().min().unwrap_or(UnixSeconds::MAX)
}
