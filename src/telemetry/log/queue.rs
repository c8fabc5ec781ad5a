//! Lines of the log on their way to standard error. A reader that is slow, or gone, costs lines
//! and never a worker's time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Lines that were not written, and not counted yet.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lines that found no room, or could not be written to standard error, since this was last asked.
pub fn newly_dropped() -> u64 {
    DROPPED.swap(0, Ordering::Relaxed)
}

/// Most lines that wait to be written.
pub(super) const MAX_LINES: usize = 8192;

/// Most bytes of lines that wait to be written.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// How long the end of the process waits for lines to be written.
pub(super) const DRAIN: Duration = Duration::from_secs(1);

/// How long the writer waits where standard error takes nothing now and does not block either.
const PAUSE: Duration = Duration::from_millis(20);

/// Lines that wait, in their order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// A line has come in.
    filled: Condvar,
    /// A line has gone out.
    written: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines that were dropped, and nobody has been told.
    dropped: u64,
    is_writing: bool,
}

impl Waiting {
    fn drop_one(&mut self) {
        self.dropped += 1;
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

impl Queue {
    /// Takes a line, or drops it where there is no room. Never waits for the reader.
    pub(super) fn put(&self, line: Vec<u8>) {
        let mut waiting = self.waiting.lock();
        if waiting.lines.len() >= MAX_LINES || waiting.bytes + line.len() > MAX_BYTES {
            waiting.drop_one();
            return;
        }
        waiting.bytes += line.len();
        waiting.lines.push_back(line);
        drop(waiting);
        self.filled.notify_one();
    }

    /// The next line, as soon as there is one.
    fn next(&self) -> Vec<u8> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(line) = waiting.lines.pop_front() {
                waiting.bytes -= line.len();
                waiting.is_writing = true;
                return line;
            }
            self.filled.wait(&mut waiting);
        }
    }

    /// What became of the last line. Gives back how many were dropped, once there is room again.
    fn done(&self, is_written: bool) -> Option<u64> {
        let mut waiting = self.waiting.lock();
        waiting.is_writing = false;
        if !is_written {
            waiting.drop_one();
        }
        self.written.notify_all();
        let has_room = waiting.lines.len() <= MAX_LINES / 2 && waiting.bytes <= MAX_BYTES / 2;
        (is_written && has_room && waiting.dropped > 0)
            .then(|| std::mem::take(&mut waiting.dropped))
    }

    /// Returns when every line is written, at the latest after `patience`.
    pub(super) fn drain(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut waiting = self.waiting.lock();
        while waiting.is_writing || !waiting.lines.is_empty() {
            if self.written.wait_until(&mut waiting, until).timed_out() {
                return;
            }
        }
    }

    /// Writes on a thread of its own for as long as the process lives; `tell` says how many lines
    /// were dropped.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(super) fn write_to(
        self: &Arc<Self>,
        mut out: impl Write + Send + 'static,
        tell: impl Fn(u64) + Send + 'static,
    ) -> io::Result<()> {
        let queue = Arc::clone(self);
        let thread = thread::Builder::new().name("log".to_owned());
        let write = move || {
            loop {
                let line = queue.next();
                if let Some(dropped) = queue.done(write(&mut out, &line).is_ok()) {
                    tell(dropped);
                }
            }
        };
        thread.spawn(write).map(drop)
    }
}

/// Standard error without the lock around it: who panics while the log is stuck must not wait.
pub(super) fn standard_error() -> io::Result<impl Write + Send + 'static> {
    io::stderr().as_fd().try_clone_to_owned().map(File::from)
}

/// A whole event in one write, so that lines of processes that share a pipe do not mix.
fn write(out: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match out.write(line) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => line = line.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another process has made the pipe non-blocking for all who share it.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::park_timeout(PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::*;

    /// Takes a line each time that it is told to.
    struct Stuck {
        go: Receiver<io::Result<()>>,
        out: Sender<Vec<u8>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once nobody holds the gate any more, it is open.
            self.go.recv().unwrap_or(Ok(()))?;
            let _ = self.out.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Begun {
        queue: Arc<Queue>,
        go: Sender<io::Result<()>>,
        out: Receiver<Vec<u8>>,
        told: Receiver<u64>,
    }

    fn begin() -> Begun {
        let (go, gate) = mpsc::channel();
        let (to, out) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let queue = Arc::<Queue>::default();
        let tell = move |dropped| tell.send(dropped).unwrap_or_default();
        queue.write_to(Stuck { go: gate, out: to }, tell).unwrap();
        Begun { queue, go, out, told }
    }

    #[test]
    fn lines_that_find_no_room_are_dropped_and_their_number_is_said_once() {
        for (line, room) in [("x\n".to_owned(), MAX_LINES), ("y".repeat(64 << 10), 64)] {
            let Begun { queue, go, out, told } = begin();
            // The writer may have taken one.
            let extra = 5;
            for _ in 0..=room + extra {
                queue.put(line.clone().into_bytes());
            }
            drop(go);
            let dropped = told.recv().unwrap();
            assert!((extra as u64..=extra as u64 + 1).contains(&dropped), "{dropped}");
            queue.drain(Duration::from_secs(60));
            assert_eq!(out.try_iter().count() as u64 + dropped, (room + extra + 1) as u64);
            assert!(told.try_recv().is_err(), "it is said once");
        }
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted() {
        let Begun { queue, go, out, told } = begin();
        go.send(Err(ErrorKind::StorageFull.into())).unwrap();
        go.send(Err(ErrorKind::WouldBlock.into())).unwrap();
        drop(go);
        queue.put(b"lost\n".to_vec());
        queue.put(b"kept\n".to_vec());
        assert_eq!(told.recv().unwrap(), 1);
        assert_eq!(out.recv().unwrap(), b"kept\n");
    }

    #[test]
    fn the_end_waits_for_lines_and_not_for_ever() {
        let Begun { queue, go, out, .. } = begin();
        queue.put(b"last words\n".to_vec());
        // Whether it is about to be written or not: nobody reads.
        queue.drain(Duration::from_millis(1));
        assert!(out.try_recv().is_err());
        drop(go);
        queue.drain(Duration::from_secs(60));
        assert_eq!(out.try_recv().unwrap(), b"last words\n");
    }
}
