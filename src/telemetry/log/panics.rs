//! Faults of the gateway itself: each is counted, and one line of the log says where it was.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Faults that were not counted yet.
static PANICS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// A panic on this thread is an answer, and no fault.
    static IS_EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Faults that ended a request or another task since this was last asked.
pub fn new_panics() -> u64 {
    PANICS.swap(0, Ordering::Relaxed)
}

/// Calls what says "no" by a panic; `None` where it did. That is no fault, and not told as one.
pub fn unwinding<T>(call: impl FnOnce() -> T) -> Option<T> {
    let before = IS_EXPECTED.replace(true);
    let called = catch_unwind(AssertUnwindSafe(call));
    IS_EXPECTED.set(before);
    called.ok()
}

/// One line with the place. Words that were put together at run time are left out: they quote
/// what a caller sent.
pub(super) fn happened(panic: &PanicHookInfo<'_>) {
    if IS_EXPECTED.get() {
        return;
    }
    PANICS.fetch_add(1, Ordering::Relaxed);
    let place = panic.location().map(ToString::to_string);
    // A library's place does not say who called it.
    let is_ours = panic.location().is_some_and(|place| place.file().starts_with("src/"));
    let within = if is_ours { None } else { innermost() };
    let words = panic.payload().downcast_ref::<&str>();
    let thread = std::thread::current();
    tracing::error!(
        event = "panic",
        place,
        within,
        words,
        thread = thread.name(),
        "a fault of the gateway has ended what it was about; please report it"
    );
}

/// The function of ours in which it happened, where the binary knows its names.
fn innermost() -> Option<String> {
    let trace = Backtrace::force_capture().to_string();
    let ours =
        |line: &&str| line.contains("doorward::") && !line.contains("log::panics::innermost");
    let mut lines = trace.lines().filter(ours).filter(|line| !line.contains("panics::happened"));
    lines.next().map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Said {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Said {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    const NAME: &str = "panics on purpose";

    /// What is said of `task`, in which something panics, and how often that is counted.
    fn told(task: impl FnOnce() + Send + 'static) -> (String, u64) {
        let said = Said::default();
        let subscriber = tracing_subscriber::fmt().with_writer(said.clone()).finish();
        let run = move || tracing::subscriber::with_default(subscriber, task);
        let _ = std::thread::Builder::new().name(NAME.to_owned()).spawn(run).unwrap().join();
        let said = said.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (String::from_utf8(said).unwrap(), new_panics())
    }

    #[test]
    fn a_fault_is_counted_and_told_with_its_place_and_without_what_it_quotes() {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            match std::thread::current().name() == Some(NAME) {
                true => happened(panic),
                false => others(panic),
            }
        }));
        let (said, count) = told(|| panic!("fixed words"));
        assert_eq!(count, 1);
        assert!(said.contains("src/telemetry/log/panics.rs:"), "{said}");
        assert!(said.contains("fixed words"), "{said}");
        let (said, count) = told(|| {
            let _: u8 = "x".parse().map_err(|_| "secret").unwrap();
        });
        assert_eq!(count, 1);
        assert!(said.contains("panics.rs:") && !said.contains("secret"), "{said}");
        let (said, _) = told(|| {
            let _ = std::time::Instant::now() + std::time::Duration::MAX;
        });
        assert!(said.contains("within") && said.contains("panics::tests::"), "{said}");
        let answer = || assert_eq!(unwinding(|| panic!("no")), None::<()>);
        assert_eq!(told(answer), (String::new(), 0));
        // The next one counts again.
        assert_eq!(told(|| panic!("yes")).1, 1);
    }
}
