//! Seals on the ids of sessions and tasks, so that only whoever was given one can use it.
//!
//! An upstream behind a gateway cannot bind its sessions and tasks to a caller (MCP 2025-11-25,
//! "Session Hijacking"; tasks extension, "Security"). So an id is handed out with a message
//! authentication code over it and its owner, `<id>.<code>`, and is taken back only with the
//! right code and from the same owner. Nothing is stored, and every replica with the same secret
//! accepts it. The owner is the user in the organization, so a rotated token keeps its sessions.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::principal::Principal;

/// Shortest secret in bytes.
pub const MIN_SECRET: usize = 32;

/// The key behind the seals. It cannot be printed.
#[derive(Clone)]
pub struct SealKey(Hmac<Sha256>);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// What a seal is on, so that one can never be taken for another.
#[derive(Clone, Copy)]
enum Purpose {
    Session,
    Task,
}

/// A task id without its seal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenedTask<'s> {
    /// The id as the upstream knows it.
    pub id: &'s str,
    /// The tool whose call made the task.
    pub tool: String,
}

impl SealKey {
    /// Whether seals of one are good for the other.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let code = other.0.clone().chain_update(b"same").finalize().into_bytes();
        self.0.clone().chain_update(b"same").verify_slice(&code).is_ok()
    }

    /// A key from a secret; `None` where it is shorter than [`MIN_SECRET`].
    #[must_use]
    pub fn new(secret: &[u8]) -> Option<Self> {
        let long_enough = Some(secret).filter(|s| s.len() >= MIN_SECRET);
        long_enough.and_then(|secret| Hmac::new_from_slice(secret).ok()).map(Self)
    }

    /// The id of a session as its owner is given it: visible ASCII, as long as the upstream's is
    /// (MCP 2025-11-25, "Session Management").
    #[must_use]
    pub fn seal_session(&self, owner: &Principal, upstream: &str, id: &str) -> String {
        let code = self.over(Purpose::Session, owner, &[upstream, id]).finalize().into_bytes();
        format!("{id}.{}", URL_SAFE_NO_PAD.encode(code))
    }

    /// The upstream's id of a session; `None` where the seal is not ours or not this owner's.
    #[must_use]
    pub fn open_session<'s>(
        &self,
        owner: &Principal,
        upstream: &str,
        sealed: &'s str,
    ) -> Option<&'s str> {
        let (id, code) = sealed.rsplit_once('.')?;
        self.is_right(Purpose::Session, owner, &[upstream, id], code).then_some(id)
    }

    /// The id of a task as the caller of `tool` is given it: `<id>.<tool>.<code>`.
    #[must_use]
    pub fn seal_task(&self, owner: &Principal, upstream: &str, tool: &str, id: &str) -> String {
        let code = self.over(Purpose::Task, owner, &[upstream, tool, id]).finalize().into_bytes();
        let tool = URL_SAFE_NO_PAD.encode(tool);
        format!("{id}.{tool}.{}", URL_SAFE_NO_PAD.encode(code))
    }

    /// The upstream's id of a task and its tool; `None` where the seal is not ours or not this
    /// owner's.
    #[must_use]
    pub fn open_task<'s>(
        &self,
        owner: &Principal,
        upstream: &str,
        sealed: &'s str,
    ) -> Option<OpenedTask<'s>> {
        let (rest, code) = sealed.rsplit_once('.')?;
        let (id, tool) = rest.rsplit_once('.')?;
        let tool = String::from_utf8(URL_SAFE_NO_PAD.decode(tool).ok()?).ok()?;
        let is_right = self.is_right(Purpose::Task, owner, &[upstream, &tool, id], code);
        is_right.then_some(OpenedTask { id, tool })
    }

    /// Every part goes in behind its length, so that no two lists of parts look alike.
    fn over(&self, purpose: Purpose, owner: &Principal, parts: &[&str]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(match purpose {
            Purpose::Session => b"session",
            Purpose::Task => b"task",
        });
        let owner = [owner.organization().as_str(), owner.user().as_str()];
        for part in owner.iter().chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }

    /// Compares in constant time.
    fn is_right(&self, purpose: Purpose, owner: &Principal, parts: &[&str], code: &str) -> bool {
        let code = URL_SAFE_NO_PAD.decode(code);
        code.is_ok_and(|code| self.over(purpose, owner, parts).verify_slice(&code).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::core::permission::Grants;
    use crate::core::principal::{OrganizationId, Proof, UserId};

    fn principal(user: &str, organization: &str, token: &str) -> Principal {
        Principal::new(
            UserId::parse(user).unwrap(),
            OrganizationId::parse(organization).unwrap(),
            Proof::Token { entry: token.into(), digest: [0; 32] },
            Arc::new(Grants::default()),
            None,
        )
    }

    fn key(byte: u8) -> SealKey {
        SealKey::new(&[byte; MIN_SECRET]).unwrap()
    }

    #[test]
    fn a_sealed_session_opens_for_its_owner_with_any_of_their_tokens() {
        let sealed = key(1).seal_session(&principal("alice", "org", "laptop"), "t", "a.b-1");
        assert!(sealed.bytes().all(|b| b.is_ascii_graphic()), "{sealed}");
        let rotated = principal("alice", "org", "laptop-2");
        assert_eq!(key(1).open_session(&rotated, "t", &sealed), Some("a.b-1"));
    }

    #[test]
    fn a_sealed_session_opens_for_nobody_else() {
        let alice = principal("alice", "org", "t");
        let sealed = key(1).seal_session(&alice, "t", "id");
        let open = |key: &SealKey, owner: &Principal, upstream, sealed: &str| {
            key.open_session(owner, upstream, sealed).map(str::to_owned)
        };
        assert_eq!(open(&key(1), &principal("bob", "org", "t"), "t", &sealed), None);
        assert_eq!(open(&key(1), &principal("alice", "other", "t"), "t", &sealed), None);
        assert_eq!(open(&key(1), &alice, "u", &sealed), None);
        assert_eq!(open(&key(2), &alice, "t", &sealed), None);
        let longer = format!("{sealed}A");
        let other = sealed.replacen("id", "ie", 1);
        for broken in ["", "id", ".", "id.", "id.AAAA", "id.é", &longer, &other, &sealed[1..]] {
            assert_eq!(open(&key(1), &alice, "t", broken), None, "{broken}");
        }
    }

    #[test]
    fn parts_that_are_cut_elsewhere_are_not_the_same_owner() {
        let sealed = key(1).seal_session(&principal("ab", "c", "t"), "t", "id");
        assert_eq!(key(1).open_session(&principal("a", "bc", "t"), "t", &sealed), None);
        assert_eq!(key(1).open_session(&principal("b", "ca", "t"), "t", &sealed), None);
    }

    #[test]
    fn a_sealed_task_names_its_tool_and_opens_for_its_owner() {
        let alice = principal("alice", "org", "t");
        let sealed = key(1).seal_task(&alice, "t", "run report", "786512e2-9e0d");
        let opened = key(1).open_task(&alice, "t", &sealed).unwrap();
        assert_eq!((opened.id, opened.tool.as_str()), ("786512e2-9e0d", "run report"));
        assert_eq!(key(1).open_task(&principal("bob", "org", "t"), "t", &sealed), None);
        let forged = sealed.replacen(&URL_SAFE_NO_PAD.encode("run report"), "ZWNobw", 1);
        assert_eq!(key(1).open_task(&alice, "t", &forged), None);
    }

    #[test]
    fn a_seal_on_a_session_is_none_on_a_task() {
        let alice = principal("alice", "org", "t");
        let sealed = key(1).seal_session(&alice, "t", "id.dG9vbA");
        assert_eq!(key(1).open_task(&alice, "t", &sealed), None);
    }

    #[test]
    fn a_short_secret_is_no_key_and_a_key_is_not_printed() {
        assert!(SealKey::new(&[7; MIN_SECRET - 1]).is_none());
        assert_eq!(format!("{:?}", key(7)), "SealKey(…)");
    }
}
