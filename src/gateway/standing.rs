//! Whether the caller of an open stream may still have it.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

use super::Snapshot;
use super::story::Context;
use crate::core::decide::Permit;
use crate::core::token::{AuthFailure, Standing};

/// Follows the snapshots while a stream is open.
pub(super) struct Follower<'r> {
    context: Context<'r>,
    permit: &'r Permit,
    replaced: watch::Receiver<()>,
    /// Whether the snapshot was looked at since it was last replaced.
    has_looked: bool,
    expires: Option<Instant>,
}

impl<'r> Follower<'r> {
    pub(super) fn new(context: Context<'r>, permit: &'r Permit) -> Self {
        let replaced = context.gateway.replaced.subscribe();
        Self { context, permit, replaced, has_looked: false, expires: expires(permit) }
    }

    /// Returns when the stream has to end: `None` where only the caller's rights have changed, and
    /// a new stream will be one of the new rights.
    pub(super) async fn ended(&mut self) -> Option<AuthFailure> {
        loop {
            // Nearly every answer ends under the snapshot that it began with.
            if !std::mem::replace(&mut self.has_looked, true) && self.is_replaced() {
                match self.look() {
                    Standing::Lost(failure) => return Some(failure),
                    // A call was judged and made; only what has no end begins anew.
                    Standing::Changed if self.permit.is_endless() => return None,
                    Standing::Changed | Standing::Same => {}
                }
            }
            let expires = self.expires;
            let expired = async {
                match expires {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = expired => return Some(self.reason()),
                // The sender lives as long as the gateway, which we hold.
                _ = self.replaced.changed() => {
                    self.has_looked = false;
                    // The clock may have jumped.
                    self.expires = self::expires(self.permit);
                }
            }
        }
    }

    fn is_replaced(&self) -> bool {
        !Arc::ptr_eq(&self.context.gateway.snapshot.load(), self.context.snapshot)
    }

    /// Why a time that is over is over: a token may be revoked as of a moment to come.
    fn reason(&self) -> AuthFailure {
        match self.look() {
            Standing::Lost(failure) => failure,
            Standing::Changed | Standing::Same => AuthFailure::Expired,
        }
    }

    fn look(&self) -> Standing {
        let now = self.context.gateway.snapshot();
        let upstream = |snapshot: &Snapshot| {
            snapshot.upstreams.get(self.permit.upstream()).map(|u| Arc::clone(&u.connector))
        };
        let is_same_server = match (upstream(&now), upstream(self.context.snapshot)) {
            (Some(now), Some(then)) => Arc::ptr_eq(&now, &then),
            _ => false,
        };
        let (held, moment) = (self.permit.principal(), jiff::Timestamp::now().as_second());
        let standing = now.policy.standing(self.permit.upstream(), held, moment);
        match standing {
            Standing::Same if !is_same_server => Standing::Changed,
            standing => standing,
        }
    }
}

/// When the caller's time is over, by the wall clock of now; `None` for never.
fn expires(permit: &Permit) -> Option<Instant> {
    let left = permit.principal().expires()?.saturating_sub(jiff::Timestamp::now().as_second());
    Instant::now().checked_add(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
}
