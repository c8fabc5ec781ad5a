//! What the tests stand on: the gateway as a process, a raw client, a scripted upstream.

pub(crate) mod call;
pub(crate) mod client;
pub(crate) mod feature;
pub(crate) mod gateway;
pub(crate) mod issuer;
pub(crate) mod upstream;

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

pub(crate) use call::{ALICE, BOB, Call, LIST, MODERN, echo, modern, modern_call, rpc, tool_call};
pub(crate) use client::{Client, Response};
pub(crate) use gateway::{ALICE_AT, Gateway, Setup, sealed_session, sealed_task};
pub(crate) use upstream::{Next, Request, Upstream, Wire, json, sse};

/// How long anything may take before a test gives up. No test waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until the answer is yes, or fails with `what`.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Something that one side waits for and the other side allows.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub(crate) fn wait(&self) {
        let is_shut = |open: &mut bool| !*open;
        let guard = self.0.0.lock().unwrap();
        let (guard, _) = self.0.1.wait_timeout_while(guard, PATIENCE, is_shut).unwrap();
        assert!(*guard, "the gate was never opened");
    }
}
