//! Whether the caller of an open stream may still have it.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

use super::story::Context;
use super::{Keys, Snapshot};
use crate::core::decide::Permit;
use crate::core::keys::KeyMark;
use crate::core::principal::{Principal, Proof};
use crate::core::token::{AuthFailure, Standing, UnixSeconds};

/// Follows the snapshots, the keys and the time while a stream is open.
pub(super) struct Follower<'r> {
    context: Context<'r>,
    permit: &'r Permit,
    replaced: watch::Receiver<()>,
    /// The keys that the caller's JWT needs, by the policy in use and by the one that waits.
    keys: [Option<watch::Receiver<()>>; 2],
    /// Whether everything was looked at since something last changed.
    has_looked: bool,
    /// When something can end by itself.
    next: Option<Instant>,
}

/// Why a stream has to end.
enum End {
    /// Only the caller's rights have changed, and a new stream will be one of the new rights.
    Changed,
    Lost(AuthFailure),
}

impl<'r> Follower<'r> {
    pub(super) fn new(context: Context<'r>, permit: &'r Permit) -> Self {
        let replaced = context.gateway.replaced.subscribe();
        Self { context, permit, replaced, keys: [None, None], has_looked: false, next: None }
    }

    /// Returns when the stream has to end: `None` where only the caller's rights have changed, and
    /// a new stream will be one of the new rights.
    pub(super) async fn ended(&mut self) -> Option<AuthFailure> {
        loop {
            if !std::mem::replace(&mut self.has_looked, true) {
                match self.look() {
                    Some(End::Lost(failure)) => return Some(failure),
                    Some(End::Changed) => return None,
                    None => {}
                }
            }
            let next = self.next;
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let [taken, held] = &mut self.keys;
            tokio::select! {
                () = due => {}
                // The sender lives as long as the gateway, which we hold. The clock may have
                // jumped, too.
                _ = self.replaced.changed() => {}
                () = changed(taken) => {}
                () = changed(held) => {}
            }
            self.has_looked = false;
        }
    }

    /// Looks at everything on which the stream rests, and says when to look again.
    fn look(&mut self) -> Option<End> {
        let snapshot = self.context.gateway.snapshot();
        let now = jiff::Timestamp::now().as_second();
        let keys = self.keys_of(&snapshot);
        // Whatever changes from here on is noticed.
        self.keys = keys.each_ref().map(|keys| keys.as_ref().map(|(keys, _)| keys.changes()));
        let end = self.judge(&snapshot, &keys, now);
        let is_endless = self.permit.is_endless();
        let enforced = self.permit.principal().next_enforced(now).filter(|_| is_endless);
        let by_clock = [self.permit.principal().expires(), enforced].into_iter().flatten().min();
        let stale = keys.iter().flatten().filter_map(|(keys, _)| keys.stale());
        let stale = stale.filter(|_| is_endless && end.is_none());
        self.next = by_clock.and_then(|at| until(at, now)).into_iter().chain(stale).min();
        end
    }

    fn judge(
        &self,
        snapshot: &Snapshot,
        keys: &[Verified<'_>; 2],
        now: UnixSeconds,
    ) -> Option<End> {
        let (permit, is_endless) = (self.permit, self.permit.is_endless());
        let is_over = permit.principal().expires().is_some_and(|at| at <= now);
        // Nearly every answer ends under the snapshot that it began with.
        if is_over || !std::ptr::eq(snapshot, Arc::as_ptr(self.context.snapshot)) {
            match self.standing(snapshot, now) {
                Standing::Lost(failure) => return Some(End::Lost(failure)),
                // A token may be revoked as of a moment to come; else it has expired.
                _ if is_over => return Some(End::Lost(AuthFailure::Expired)),
                // A call was judged and made; only what has no end begins anew.
                Standing::Changed if is_endless => return Some(End::Changed),
                Standing::Changed | Standing::Same => {}
            }
        }
        let failed = keys.iter().flatten().find_map(|(keys, mark)| keys.objection(mark));
        // A call may still end while nobody knows the keys.
        if let Some(failure) = failed.filter(|f| is_endless || *f != AuthFailure::KeysUnavailable) {
            return Some(End::Lost(failure));
        }
        (is_endless && permit.is_refused_at(now)).then_some(End::Changed)
    }

    fn standing(&self, now: &Snapshot, moment: UnixSeconds) -> Standing {
        let upstream = |snapshot: &Snapshot| {
            snapshot.upstreams.get(self.permit.upstream()).map(|u| Arc::clone(&u.connector))
        };
        let is_same_server = match (upstream(now), upstream(self.context.snapshot)) {
            (Some(now), Some(then)) => Arc::ptr_eq(&now, &then),
            _ => false,
        };
        let held = self.permit.principal();
        match now.policy.standing(self.permit.upstream(), held, moment) {
            Standing::Same if !is_same_server => Standing::Changed,
            standing => standing,
        }
    }

    /// The keys of which one has verified the caller's JWT, by the policy in use and by the one
    /// that waits.
    fn keys_of(&self, snapshot: &Snapshot) -> [Verified<'r>; 2] {
        let known = self.permit.principal();
        let (taken, bound) = known.parts().unzip();
        let taken = taken.unwrap_or(known);
        let held = snapshot.held.as_ref();
        let waits = held.and_then(|held| verified(&held.keys, bound.unwrap_or(taken)));
        [verified(&snapshot.keys, taken), waits]
    }
}

/// Keys, and the mark of the one that has verified a JWT; `None` for another proof.
type Verified<'r> = Option<(Arc<Keys>, &'r KeyMark)>;

fn verified<'r>(all: &HashMap<String, Arc<Keys>>, caller: &'r Principal) -> Verified<'r> {
    let Proof::Jwt { issuer, key, .. } = caller.proof() else { return None };
    // Where there is no such issuer any more, the policy says so.
    Some((Arc::clone(all.get(&*issuer.name)?), key.as_ref()?))
}

/// Returns when the keys may be others.
async fn changed(keys: &mut Option<watch::Receiver<()>>) {
    if let Some(changes) = keys
        && changes.changed().await.is_ok()
    {
        return;
    }
    // Nobody has them any more, which the next snapshot has told.
    std::future::pending().await
}

/// The moment `at` by the wall clock, on which it is `now`; `None` for never.
fn until(at: UnixSeconds, now: UnixSeconds) -> Option<Instant> {
    let left = u64::try_from(at.saturating_sub(now)).unwrap_or(0);
    Instant::now().checked_add(Duration::from_secs(left))
}
