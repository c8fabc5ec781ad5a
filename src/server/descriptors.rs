//! File descriptors: how many there are, and how they are shared out.
//!
//! A call needs one for its connection and one for its upstream's. Those of the monitoring and of
//! the process itself are set aside, so that callers, however many they are, take none of them.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::core::limits::Limits;

/// For what the process itself holds open: files, listeners, the queues of its threads.
const OWN: usize = 64;

/// Most connections of the admin listener. It answers far fewer at once; the others are for those
/// that have been displaced and have not gone yet, where many come in the same moment.
const ADMIN: usize = 512;

/// With fewer no call could be answered.
const LEAST: usize = OWN + 16;

/// How many descriptors the process may have; absent where there is no limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Descriptors(Option<usize>);

impl Descriptors {
    /// As many as a process that is started from here can get.
    #[must_use]
    pub fn attainable() -> Self {
        Self::of(getrlimit(Resource::Nofile).maximum)
    }

    /// Takes as many as the process can get, and says in the log where they are fewer than
    /// `limits` ask for.
    ///
    /// # Errors
    /// Those of [`Self::suffice`].
    pub(super) fn take(limits: Limits) -> io::Result<Self> {
        let taken = Self::raise();
        taken.suffice()?;
        taken.tell(limits);
        Ok(taken)
    }

    /// Whether there are enough to serve at all.
    ///
    /// # Errors
    /// Where there are not, with the numbers.
    pub(super) fn suffice(self) -> io::Result<()> {
        match self.0.filter(|all| *all < LEAST) {
            None => Ok(()),
            Some(all) => Err(io::Error::other(format!(
                "it may have {all} file descriptors, and needs at least {LEAST}: ulimit -n"
            ))),
        }
    }

    /// Says in the log where there are fewer than `limits` ask for.
    pub(super) fn tell(self, limits: Limits) {
        if let Some(shortage) = self.shortage(limits) {
            tracing::warn!(event = "descriptors.short", "{shortage}; raise the limit: ulimit -n");
        }
    }

    fn raise() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let all = Rlimit { current: maximum, maximum };
        match setrlimit(Resource::Nofile, all) {
            Ok(()) => Self::of(maximum),
            Err(error) => {
                tracing::warn!(event = "descriptors.not_raised", %error, limit = current);
                Self::of(current)
            }
        }
    }

    fn of(limit: Option<u64>) -> Self {
        Self(limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)))
    }

    /// How many connections the admin listener may have.
    pub(super) fn admin(self) -> usize {
        self.0.map_or(ADMIN, |all| (all / 8).clamp(8, ADMIN))
    }

    /// These limits, lowered to what the descriptors allow: callers get at least half of what
    /// there is, and upstreams, calls first, the rest.
    #[must_use]
    pub fn fit(self, limits: Limits) -> Limits {
        let Some(all) = self.0 else { return limits };
        let room = all.saturating_sub(OWN + self.admin());
        let upstreams = of_upstreams(limits);
        if limits.connections.saturating_add(upstreams) <= room {
            return limits;
        }
        let public = room.saturating_sub(upstreams).max(room / 2);
        let connections = limits.connections.min(public).max(1);
        let rest = room.saturating_sub(connections);
        let calls = rest.saturating_sub(limits.streams).max(rest / 2);
        // What is idle between two calls counts as half of them.
        let in_flight = limits.in_flight.min(calls * 2 / 3).max(1);
        let streams = rest.saturating_sub(in_flight + idle(in_flight));
        let streams = limits.streams.min(streams).max(1);
        Limits { connections, in_flight, streams, ..limits }
    }

    /// What does not fit, in words and numbers; `None` where there is enough for what the
    /// configuration asks for.
    #[must_use]
    pub fn shortage(self, limits: Limits) -> Option<String> {
        let (all, fitted) = (self.0?, self.fit(limits));
        // A quarter of the default is enough for everybody who has not asked for more.
        let is_default = limits.connections == Limits::DEFAULT_CONNECTIONS;
        let is_enough = is_default && fitted.connections >= Limits::DEFAULT_CONNECTIONS / 4;
        if fitted.connections >= limits.connections || is_enough {
            return None;
        }
        let needed = limits.connections + of_upstreams(limits) + OWN + ADMIN;
        Some(format!(
            "limits.connections is {}, and {} fit into {all} file descriptors, with {} calls and \
             {} streams; {needed} would do",
            limits.connections, fitted.connections, fitted.in_flight, fitted.streams
        ))
    }
}

/// Most connections to upstreams that are open and idle between two calls, for all of them
/// together, where so many calls are made at once.
pub(super) const fn idle(in_flight: usize) -> usize {
    in_flight / 2
}

/// Descriptors for connections to upstreams.
const fn of_upstreams(limits: Limits) -> usize {
    let Limits { in_flight, streams, .. } = limits;
    in_flight.saturating_add(idle(in_flight)).saturating_add(streams)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits(connections: usize, in_flight: usize, streams: usize) -> Limits {
        let second = Duration::from_secs(1);
        Limits {
            request_body: 1,
            listing: 1,
            buffers: 1,
            list_ttl: second,
            json_depth: 8,
            headers: 1,
            connections,
            in_flight,
            streams,
            head_timeout: second,
            body_timeout: second,
            write_timeout: second,
        }
    }

    fn counts(limits: Limits) -> [usize; 3] {
        [limits.connections, limits.in_flight, limits.streams]
    }

    #[test]
    fn what_is_shared_out_never_exceeds_what_there_is() {
        let wanted =
            [(1, 1, 1), (20_000, 2_000, 10_000), (50, 1_000_000, 3), (1_000_000, 1, 1_000_000)];
        for all in [150, 256, 1_024, 4_096, 20_000, 65_536, 1 << 20, usize::MAX] {
            let descriptors = Descriptors(Some(all));
            for (connections, in_flight, streams) in wanted {
                let [c, i, s] = counts(descriptors.fit(limits(connections, in_flight, streams)));
                let what = format!("{all}: {c} {i} {s}");
                assert!(c <= connections && i <= in_flight && s <= streams, "{what}");
                assert!(c >= 1 && i >= 1 && s >= 1, "{what}");
                // One call and one stream there must be, however few there are.
                let room = (all - OWN - descriptors.admin()).max(3);
                assert!(c + i + idle(i) + s <= room, "{what}");
            }
        }
    }

    #[test]
    fn limits_that_fit_stay_as_they_are() {
        for (all, wanted) in [
            (Some(1 << 20), [20_000, 2_000, 10_000]),
            (None, [1_000_000; 3]),
            (Some(1_024), [480, 100, 200]),
        ] {
            let asked = limits(wanted[0], wanted[1], wanted[2]);
            assert_eq!(counts(Descriptors(all).fit(asked)), wanted);
            assert_eq!(Descriptors(all).shortage(asked), None);
        }
    }

    #[test]
    fn calls_come_before_streams() {
        let fitted = Descriptors(Some(20_000)).fit(limits(20_000, 2_000, 10_000));
        assert_eq!(counts(fitted), [9_712, 2_000, 6_712]);
    }

    #[test]
    fn a_shortage_is_told_with_its_numbers() {
        let default = limits(Limits::DEFAULT_CONNECTIONS, 2_000, 10_000);
        assert_eq!(Descriptors(Some(20_000)).shortage(default), None, "a bound and no demand");
        let told = Descriptors(Some(1_024)).shortage(default).unwrap();
        let numbers = "limits.connections is 20000, and 416 fit into 1024 file descriptors";
        assert!(told.starts_with(numbers) && told.ends_with("33576 would do"), "{told}");
        let asked = limits(30_000, 2_000, 10_000);
        assert!(Descriptors(Some(32_768)).shortage(asked).is_some(), "somebody asked for them");
    }
}
