//! A wall clock that somebody sets while streams are open.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::gateway::sha256;
use crate::support::{Call, Gateway, Next, Setup, Upstream, echo, eventually, sse};

/// `CLOCK_REALTIME` is ahead by as many seconds as the file says that `CLOCK_AHEAD` names.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    const char *path = getenv("CLOCK_AHEAD");
    if (failed || clock != CLOCK_REALTIME || !path)
        return failed;
    long ahead = 0;
    FILE *file = fopen(path, "re");
    if (file) {
        if (fscanf(file, "%ld", &ahead) != 1)
            ahead = 0;
        fclose(file);
    }
    now->tv_sec += ahead;
    return 0;
}
"#;

const SOON: &str = "soon-secret-5566778899aabbcc";

fn set(file: &Path, ahead: i64) {
    std::fs::write(file.with_extension("new"), ahead.to_string()).unwrap();
    std::fs::rename(file.with_extension("new"), file).unwrap();
}

fn leaked(path: &Path) -> &'static str {
    Box::leak(path.to_string_lossy().into_owned().into_boxed_str())
}

/// With a token that ends in an hour, on a machine whose clock is `ahead` as the file says.
fn start(folder: &TempDir, ahead: &Path, upstream: &Upstream) -> Option<Gateway> {
    let (source, library) = (folder.path().join("clock.c"), folder.path().join("clock.so"));
    std::fs::write(&source, CLOCK).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    if !cc.status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no cc on the PATH");
        return None;
    }
    set(ahead, 0);
    let hour = jiff::SignedDuration::from_hours(1);
    let end = jiff::Timestamp::now().checked_add(hour).unwrap();
    let digest = sha256(SOON);
    let token = format!(
        "[tokens.soon]\nsha256 = \"{digest}\"\nuser = \"alice\"\norganization = \"acme\"\n\
         roles = [\"reader\"]\nexpires = {end}\n"
    );
    let setup = Setup::new(upstream).more(&token);
    Some(setup.env("LD_PRELOAD", leaked(&library)).env("CLOCK_AHEAD", leaked(ahead)).start())
}

#[test]
fn a_clock_that_jumps_ends_the_streams_of_tokens_whose_time_is_over_and_no_others() {
    let upstream = Upstream::script(|_, wire| {
        wire.send(sse());
        wire.chunk(": hello\n\n");
        wire.wait_closed();
        Next::Close
    });
    let folder = TempDir::new().unwrap();
    let ahead = folder.path().join("ahead");
    let Some(gateway) = start(&folder, &ahead, &upstream) else { return };
    let open = |call: &Call| {
        let mut client = gateway.connect();
        client.send(&call.bytes(client.address));
        let id = client.head().header("x-request-id").unwrap().to_owned();
        client.part().expect("its first words");
        (client, id)
    };
    let (mut listener, listened) = open(&Call::empty("GET").token(SOON));
    let (mut call, called) = open(&echo().token(SOON));
    let (other, _) = open(&Call::empty("GET"));
    // Half an hour is nothing to anybody.
    set(&ahead, 1_800);
    eventually("it is noticed", || gateway.events("clock.jumped").len() == 1);
    set(&ahead, 7_200);
    assert_eq!(listener.part(), None, "the end of the listener's stream");
    let last = String::from_utf8(call.part().unwrap()).unwrap();
    assert!(last.contains("Unauthorized"), "{last}");
    assert_eq!(call.part(), None);
    for id in [listened, called] {
        let is_record = |line: &str| line.contains(&id) && line.contains(r#""kind":"request""#);
        let ends = "the stream was ended: expired";
        eventually("its record says why", || {
            gateway.output().lines().any(|line| is_record(line) && line.contains(ends))
        });
    }
    assert_eq!(gateway.ask(&echo().token(SOON)).status, 401);
    // The stream of a token without an end goes on.
    assert_eq!(gateway.metric(r#"doorward_streams_active{kind="get",upstream="t"}"#), 1.0);
    drop(other);
}
