//! Assertions that have been used up, so that one is worth one request.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::{Claims, Fault, LEEWAY, now};

/// The most that are kept, of all callers together: about 20 MiB.
const MAX_ALL: usize = 256 * 1024;

/// The most of one caller, so that nobody fills what is everybody's.
const MAX_OF_ONE: usize = MAX_ALL / 8;

/// The assertions that were used, each kept until it would be refused as expired; lost with the
/// process.
#[derive(Default)]
pub(crate) struct Spent(Mutex<Held>);

/// As much of a digest as nobody can meet twice.
type Mark = [u8; 16];

#[derive(Default)]
struct Held {
    /// By their end in seconds; with the caller, and the id of the assertion.
    ends: BTreeSet<(u64, Mark, Mark)>,
    of: HashMap<Mark, usize>,
}

impl Spent {
    /// Uses an assertion up.
    ///
    /// The id and never the text says that two are the same: ECDSA signatures have a twin.
    pub(crate) fn spend(&self, claims: &Claims) -> Result<(), Fault> {
        let caller = mark(&[&claims.org, &claims.sub]);
        let entry = (claims.exp, caller, mark(&[&claims.jti]));
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.forget_before(now().saturating_sub(LEEWAY));
        if held.ends.contains(&entry) {
            return Err(Fault::Spent);
        }
        let of_caller = held.of.get(&caller).copied().unwrap_or_default();
        if held.ends.len() >= MAX_ALL || of_caller >= MAX_OF_ONE {
            return Err(Fault::TooMany);
        }
        held.ends.insert(entry);
        held.of.insert(caller, of_caller + 1);
        Ok(())
    }
}

impl Held {
    fn forget_before(&mut self, moment: u64) {
        while let Some(first) = self.ends.first().filter(|(end, ..)| *end < moment).copied() {
            self.ends.remove(&first);
            let (_, caller, _) = first;
            if let Some(count) = self.of.get_mut(&caller) {
                *count -= 1;
                if *count == 0 {
                    self.of.remove(&caller);
                }
            }
        }
    }
}

fn mark(texts: &[&str]) -> Mark {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(text.len().to_be_bytes());
        digest.update(text);
    }
    let mut mark = Mark::default();
    mark.copy_from_slice(digest.finalize().split_at(size_of::<Mark>()).0);
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(sub: &str, jti: &str, exp: u64) -> Claims {
        serde_json::from_value(serde_json::json!({
            "sub": sub, "org": "o", "jti": jti, "exp": exp, "iat": now(), "body_sha256": "",
        }))
        .unwrap()
    }

    #[test]
    fn one_caller_cannot_fill_it_for_another_and_ends_make_room() {
        let (spent, end) = (Spent::default(), now() + 60);
        for id in 0..MAX_OF_ONE {
            assert_eq!(spent.spend(&claims("greedy", &id.to_string(), end)), Ok(()), "{id}");
        }
        assert_eq!(spent.spend(&claims("greedy", "more", end)), Err(Fault::TooMany));
        assert_eq!(spent.spend(&claims("good", "0", end)), Ok(()));
        assert_eq!(spent.spend(&claims("good", "0", end)), Err(Fault::Spent));

        let mut held = spent.0.lock().unwrap();
        held.forget_before(end);
        assert_eq!(held.ends.len(), MAX_OF_ONE + 1, "not before its end");
        held.forget_before(end + 1);
        assert_eq!((held.ends.len(), held.of.len()), (0, 0));
    }
}
