//! One page that takes its time: worked out once at a time, however many ask for it, and for a
//! bounded number of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long a question may wait for its answer, the ones before it included.
const PATIENCE: Duration = Duration::from_secs(20);

/// The questions for one page. Those that come while one is worked out share the next one. They
/// have places of their own, so that those for another page never wait for them.
#[derive(Debug)]
pub(super) struct Turn {
    latest: Arc<Mutex<Latest>>,
    places: Arc<Semaphore>,
}

/// The place of a question; to be held until its answer is written.
#[derive(Debug)]
pub(super) struct Place {
    /// Given back when this is dropped.
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug, Default)]
struct Latest {
    /// When its working out began, and what came of it. It is kept for those who wait already.
    page: Option<(Instant, Bytes)>,
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Busy {
    /// It does not come in time.
    Late,
    /// As many wait for it as may.
    Crowded,
}

impl Turn {
    /// For at most so many questions at once, whose answers wait or are written.
    pub(super) fn new(most: usize) -> Self {
        Self { latest: Arc::default(), places: Arc::new(Semaphore::new(most.max(1))) }
    }

    /// The page as it is now or later, worked out by `work` where nobody else has it worked out.
    /// The work is not ended where it takes too long; nobody else begins it meanwhile.
    pub(super) async fn share(
        &self,
        work: impl FnOnce() -> Vec<u8> + Send + 'static,
    ) -> Result<(Bytes, Place), Busy> {
        self.share_within(PATIENCE, work).await
    }

    async fn share_within(
        &self,
        patience: Duration,
        work: impl FnOnce() -> Vec<u8> + Send + 'static,
    ) -> Result<(Bytes, Place), Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy::Crowded)?;
        let page = timeout(patience, self.shared(work)).await.unwrap_or(Err(Busy::Late))?;
        Ok((page, Place { _permit: place }))
    }

    async fn shared(&self, work: impl FnOnce() -> Vec<u8> + Send + 'static) -> Result<Bytes, Busy> {
        let arrived = Instant::now();
        // Everybody who waits holds the turn, too.
        let turn = Arc::clone(&self.latest);
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
                let (page, lock) = worked.await.map_err(|_| Busy::Late)?;
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

    /// The page alone; its place is left.
    fn page(shared: Result<(Bytes, Place), Busy>) -> Result<Vec<u8>, Busy> {
        shared.map(|(page, _)| page.to_vec())
    }

    #[tokio::test]
    async fn however_many_ask_it_is_worked_out_once_at_a_time_and_as_of_then() {
        let (turn, count) = (Arc::new(Turn::new(61)), Arc::new(AtomicUsize::new(0)));
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
        while Arc::strong_count(&turn.latest) < 1 + 2 * 61 {
            tokio::task::yield_now().await;
        }
        open.send(()).unwrap();
        assert_eq!(page(first.await.unwrap()).unwrap(), [0]);
        for other in others {
            assert_eq!(page(other.await.unwrap()).unwrap(), [1], "worked out after it was asked");
        }
        assert_eq!(count.load(Ordering::SeqCst), 2);
        assert!(turn.latest.lock().await.page.is_none(), "nobody waits for it any more");
    }

    #[tokio::test]
    async fn work_that_panics_is_no_answer_and_stops_nobody() {
        let turn = Turn::new(1);
        assert_eq!(page(turn.share(|| panic!("broken")).await), Err(Busy::Late));
        assert_eq!(page(turn.share(|| b"good".to_vec()).await).unwrap(), b"good");
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_so() {
        let turn = Turn::new(1);
        let held = turn.latest.lock().await;
        let never = || unreachable!("it is somebody else's turn");
        assert_eq!(page(turn.share_within(Duration::ZERO, never).await), Err(Busy::Late));
        drop(held);
        assert!(turn.share(|| b"good".to_vec()).await.is_ok());
    }

    #[tokio::test]
    async fn who_finds_no_place_is_told_so_at_once_and_places_are_held_until_they_are_left() {
        let turn = Turn::new(2);
        let first = turn.share(Vec::new).await.unwrap();
        let second = turn.share(Vec::new).await.unwrap();
        let never = || unreachable!("there is no place");
        assert_eq!(page(turn.share(never).await), Err(Busy::Crowded));
        drop(first);
        assert!(turn.share(Vec::new).await.is_ok());
        drop(second);
    }
}
