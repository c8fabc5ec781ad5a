//! The connections of a service: what each waits for, what it holds, and which one has to go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Bounds;

/// All connections. Where there are too many, or where they hold too much, the one ends that has
/// kept us waiting longest: whoever sends a whole request and takes the answer is served, however
/// many others hold theirs back.
pub(super) struct Room {
    bounds: Bounds,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    seated: HashMap<u64, Seated>,
    /// What all of them hold.
    bytes: usize,
    /// Exchanges of each caller.
    of: HashMap<String, usize>,
    told: Told,
}

/// What has happened since the last line in the log about it. Nobody gets a line of their own.
#[derive(Default)]
struct Told {
    late: usize,
    displaced: usize,
    refused: usize,
}

struct Seated {
    step: Step,
    since: Instant,
    /// When a write was first held up, until everything is written.
    held_up: Option<Instant>,
    request: usize,
    answer: usize,
    caller: Option<String>,
    end: Arc<Notify>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Step {
    /// Nothing, or not all of a head, has come.
    Head,
    Body,
    /// It is our turn.
    Ours,
}

impl Seated {
    fn new(end: Arc<Notify>) -> Self {
        let (step, since) = (Step::Head, Instant::now());
        Self { step, since, held_up: None, request: 0, answer: 0, caller: None, end }
    }

    /// Since when the client has kept us waiting, and how long it may.
    fn wait(&self, bounds: &Bounds) -> Option<(Instant, Duration)> {
        if let Some(since) = self.held_up {
            return Some((since, bounds.answer));
        }
        match self.step {
            Step::Head => Some((self.since, bounds.head)),
            // Whoever reads the body says 408 a moment before.
            Step::Body => Some((self.since, bounds.body + Duration::from_secs(1))),
            Step::Ours => None,
        }
    }
}

impl Room {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, table: Mutex::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection that has kept us waiting longest; false where there is none.
    pub(super) fn displace(&self) -> bool {
        self.table().displace(&self.bounds, |_, _| true)
    }

    /// Ends every connection whose deadline is past, and says in the log what happened lately.
    pub(super) fn end_overdue(&self) {
        let mut table = self.table();
        let overdue = |seated: &Seated| {
            seated.wait(&self.bounds).is_some_and(|(since, most)| since.elapsed() > most)
        };
        let ids = table.seated.iter().filter(|(_, seated)| overdue(seated)).map(|(id, _)| *id);
        for id in ids.collect::<Vec<_>>() {
            table.end(id);
            table.told.late += 1;
        }
        let Told { late, displaced, refused } = std::mem::take(&mut table.told);
        if late + displaced + refused > 0 {
            tracing::info!(late, displaced, refused, "clients kept us waiting, or were too many");
        }
    }
}

#[cfg(test)]
impl Room {
    /// Connections, bytes, and callers with an exchange.
    pub(super) fn held(&self) -> (usize, usize, usize) {
        let table = self.table();
        (table.seated.len(), table.bytes, table.of.len())
    }
}

impl Table {
    fn displace(&mut self, bounds: &Bounds, may: impl Fn(u64, &Seated) -> bool) -> bool {
        let waiting = self.seated.iter().filter(|(id, seated)| may(**id, seated));
        let waiting = waiting.filter_map(|(id, seated)| Some((seated.wait(bounds)?.0, *id)));
        let Some((_, id)) = waiting.min() else { return false };
        self.end(id);
        self.told.displaced += 1;
        true
    }

    /// Its place is free now, though its task ends a little later.
    fn end(&mut self, id: u64) {
        self.finish(id);
        if let Some(seated) = self.seated.remove(&id) {
            self.bytes -= seated.answer;
            seated.end.notify_one();
        }
    }

    /// Gives back what an exchange has taken, but for what is still to be written.
    fn finish(&mut self, id: u64) {
        let Some(seated) = self.seated.get_mut(&id) else { return };
        self.bytes -= std::mem::take(&mut seated.request);
        let Some(caller) = seated.caller.take() else { return };
        if let Some(count) = self.of.get_mut(&caller) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&caller);
            }
        }
    }
}

/// The place of one connection, given back when it is dropped.
pub(super) struct Seat(Handle);

/// A place, as everybody sees it who works for its connection. Once the connection has ended, what
/// they say changes nothing.
#[derive(Clone)]
pub(super) struct Handle {
    room: Arc<Room>,
    id: u64,
}

impl Seat {
    /// A place, if need be of one that has kept us waiting; `None` where everybody is busy.
    pub(super) fn take(room: &Arc<Room>) -> Option<Self> {
        let mut table = room.table();
        let is_full = table.seated.len() >= room.bounds.connections;
        if is_full && !table.displace(&room.bounds, |_, _| true) {
            table.told.refused += 1;
            return None;
        }
        let id = table.next;
        table.next += 1;
        table.seated.insert(id, Seated::new(Arc::default()));
        Some(Self(Handle { room: Arc::clone(room), id }))
    }

    pub(super) fn handle(&self) -> Handle {
        self.0.clone()
    }

    /// What is notified when the room ends this connection.
    pub(super) fn ended(&self) -> Arc<Notify> {
        let end = self.0.change(|seated| Arc::clone(&seated.end));
        // Where it has ended already, there is something that was notified.
        end.unwrap_or_else(|| {
            let end = Arc::new(Notify::new());
            end.notify_one();
            end
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.room.table().end(self.0.id);
    }
}

impl Handle {
    fn change<T>(&self, change: impl FnOnce(&mut Seated) -> T) -> Option<T> {
        self.room.table().seated.get_mut(&self.id).map(change)
    }

    fn step(&self, step: Step) {
        self.change(|seated| (seated.step, seated.since) = (step, Instant::now()));
    }

    /// A head is whole.
    pub(super) fn is_asked(&self) {
        self.step(Step::Ours);
    }

    /// The body is to come now.
    pub(super) fn awaits_body(&self) {
        self.step(Step::Body);
    }

    /// The answer is over, though it may still have to be written.
    pub(super) fn has_answered(&self) {
        self.room.table().finish(self.id);
        self.step(Step::Head);
    }

    /// The client takes nothing at the moment.
    pub(super) fn is_held_up(&self) {
        self.change(|seated| *seated.held_up.get_or_insert_with(Instant::now));
    }

    /// Everything is written.
    pub(super) fn has_written(&self) {
        let mut table = self.room.table();
        let Some(seated) = table.seated.get_mut(&self.id) else { return };
        seated.held_up = None;
        let written = std::mem::take(&mut seated.answer);
        table.bytes -= written;
    }

    /// Time for a whole body.
    pub(super) fn patience(&self) -> Duration {
        self.room.bounds.body
    }

    /// Accounts for more of the body; false where there is no room for it.
    #[must_use]
    pub(super) fn holds_body(&self, more: usize) -> bool {
        self.holds(more, |seated| &mut seated.request)
    }

    /// Accounts for more of the answer; false where there is no room for it.
    #[must_use]
    pub(super) fn holds_answer(&self, more: usize) -> bool {
        self.holds(more, |seated| &mut seated.answer)
    }

    fn holds(&self, more: usize, part: impl Fn(&mut Seated) -> &mut usize) -> bool {
        let bounds = &self.room.bounds;
        let mut table = self.room.table();
        let Some(seated) = table.seated.get_mut(&self.id) else { return false };
        *part(seated) += more;
        table.bytes += more;
        let another = |id, other: &Seated| id != self.id && other.request + other.answer > 0;
        while table.bytes > bounds.bytes {
            if !table.displace(bounds, another) {
                table.told.refused += 1;
                return false;
            }
        }
        true
    }

    /// Takes part of what its caller may have; false where that caller has it all.
    #[must_use]
    pub(super) fn takes_share(&self, caller: String) -> bool {
        let mut table = self.room.table();
        let Table { seated, of, told, .. } = &mut *table;
        let Some(seated) = seated.get_mut(&self.id) else { return false };
        let count = of.get(&caller).copied().unwrap_or_default();
        if count >= self.room.bounds.share() {
            told.refused += 1;
            return false;
        }
        of.insert(caller.clone(), count + 1);
        seated.caller = Some(caller);
        true
    }
}
