//! One page that takes its time: worked out once at a time, however many ask for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long a question may wait for its answer, the ones before it included.
const PATIENCE: Duration = Duration::from_secs(20);

/// The questions for one page. Those that come while one is worked out share the next one.
#[derive(Debug, Default)]
pub(super) struct Turn(Arc<Mutex<Latest>>);

#[derive(Debug, Default)]
struct Latest {
    /// When its working out began, and what came of it. It is kept for those who wait already.
    page: Option<(Instant, Bytes)>,
}

/// The page does not come in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Busy;

impl Turn {
    /// The page as it is now or later, worked out by `work` where nobody else has it worked out.
    /// The work is not ended where it takes too long; nobody else begins it meanwhile.
    pub(super) async fn share(
        &self,
        work: impl FnOnce() -> Vec<u8> + Send + 'static,
    ) -> Result<Bytes, Busy> {
        self.share_within(PATIENCE, work).await
    }

    async fn share_within(
        &self,
        patience: Duration,
        work: impl FnOnce() -> Vec<u8> + Send + 'static,
    ) -> Result<Bytes, Busy> {
        timeout(patience, self.shared(work)).await.unwrap_or(Err(Busy))
    }

    async fn shared(&self, work: impl FnOnce() -> Vec<u8> + Send + 'static) -> Result<Bytes, Busy> {
        let arrived = Instant::now();
        // Everybody who waits holds the turn, too.
        let turn = Arc::clone(&self.0);
        let mut latest = Arc::clone(&turn).lock_owned().await;
        let page = match &latest.page {
            Some((began, page)) if *began >= arrived => page.clone(),
            _ => {
                let worked = spawn_blocking(move || {
                    let began = Instant::now();
                    let page = Bytes::from(work());
                    latest.page = Some((began, page.clone()));
                    (page, latest)
                });
                let (page, lock) = worked.await.map_err(|_| Busy)?;
                latest = lock;
                page
            }
        };
        // This one, the listener's and the lock's: nobody waits.
        if Arc::strong_count(&turn) <= 3 {
            latest.page = None;
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn however_many_ask_it_is_worked_out_once_at_a_time_and_as_of_then() {
        let (turn, count) = (Arc::new(Turn::default()), Arc::new(AtomicUsize::new(0)));
        let (open, gate) = mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let first = {
            let (turn, count) = (Arc::clone(&turn), Arc::clone(&count));
            tokio::spawn(async move {
                turn.share(move || {
                    begun.send(()).unwrap();
                    gate.recv().unwrap();
                    vec![u8::try_from(count.fetch_add(1, Ordering::SeqCst)).unwrap()]
                })
                .await
            })
        };
        has_begun.await.unwrap();
        let others: Vec<_> = (0..60)
            .map(|_| {
                let (turn, count) = (Arc::clone(&turn), Arc::clone(&count));
                let work =
                    move || vec![u8::try_from(count.fetch_add(1, Ordering::SeqCst)).unwrap()];
                tokio::spawn(async move { turn.share(work).await })
            })
            .collect();
        // All of them wait: each holds it twice, and so does the first.
        while Arc::strong_count(&turn.0) < 1 + 2 * 61 {
            tokio::task::yield_now().await;
        }
        open.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap().as_ref(), [0]);
        for other in others {
            assert_eq!(
                other.await.unwrap().unwrap().as_ref(),
                [1],
                "worked out after it was asked"
            );
        }
        assert_eq!(count.load(Ordering::SeqCst), 2);
        assert!(turn.0.lock().await.page.is_none(), "nobody waits for it any more");
    }

    #[tokio::test]
    async fn work_that_panics_is_no_answer_and_stops_nobody() {
        let turn = Turn::default();
        assert_eq!(turn.share(|| panic!("broken")).await, Err(Busy));
        assert_eq!(turn.share(|| b"good".to_vec()).await.unwrap().as_ref(), b"good");
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_so() {
        let turn = Turn::default();
        let held = turn.0.lock().await;
        let never = || unreachable!("it is somebody else's turn");
        assert_eq!(turn.share_within(Duration::ZERO, never).await, Err(Busy));
        drop(held);
        assert!(turn.share(|| b"good".to_vec()).await.is_ok());
    }
}
