//! Finds the ends of events in a byte stream that comes in chunks.
//!
//! Every byte is looked at and copied a fixed number of times, whatever the events are: the
//! events of one chunk are many (a chunk of line feeds has one for every byte), so nothing may be
//! done to the rest of the chunk for each of them.

/// An event grew beyond the cap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooBig;

/// Collects chunks and gives back whole events.
#[derive(Debug)]
pub struct Splitter {
    held: Vec<u8>,
    /// The place in `held` where the event begins that was not given out yet.
    start: usize,
    /// How far `held` has been searched.
    searched: usize,
    /// Whether the line that `searched` stands in has no byte yet.
    at_line_start: bool,
    cap: usize,
    /// Bytes copied and looked at until now.
    #[cfg(test)]
    work: usize,
}

impl Splitter {
    /// A splitter that holds at most `cap` bytes of one unfinished event.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self {
            held: Vec::new(),
            start: 0,
            searched: 0,
            at_line_start: true,
            cap,
            #[cfg(test)]
            work: 0,
        }
    }

    /// Takes the next chunk of the stream.
    pub fn push(&mut self, chunk: &[u8]) {
        self.count(chunk.len());
        if self.held.capacity() - self.held.len() < chunk.len() {
            // By an eighth and not to the double: what is held is counted.
            self.held.reserve_exact(chunk.len().max(self.held.len() / 8));
        }
        self.held.extend_from_slice(chunk);
    }

    /// Bytes of memory that it holds, the room for what is to come included.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held.capacity()
    }

    /// The next whole event with the blank line that ends it, if one is complete.
    ///
    /// # Errors
    /// [`TooBig`] where the unfinished event is longer than the cap.
    pub fn next_event(&mut self) -> Result<Option<Vec<u8>>, TooBig> {
        while let Some(&byte) = self.held.get(self.searched) {
            self.count(1);
            self.searched += 1;
            if byte != b'\n' && byte != b'\r' {
                self.at_line_start = false;
                continue;
            }
            if byte == b'\r' && self.held.get(self.searched) == Some(&b'\n') {
                self.searched += 1;
            } else if byte == b'\r' && self.searched == self.held.len() && !self.at_line_start {
                // Whether an LF belongs to this CR is known only with the next chunk; an empty
                // line is certain either way.
                self.searched -= 1;
                break;
            }
            if !std::mem::replace(&mut self.at_line_start, true) {
                continue;
            }
            let event = self.held.get(self.start..self.searched).unwrap_or_default().to_vec();
            self.count(event.len());
            self.start = self.searched;
            return Ok(Some(event));
        }
        self.let_go();
        if self.held.len() > self.cap { Err(TooBig) } else { Ok(None) }
    }

    /// Forgets what was given out. Done once for a chunk, not once for an event; what is moved
    /// came with the last chunks, because `start` is 0 until an event ends.
    fn let_go(&mut self) {
        if self.start == self.held.len() {
            // A stream that waits holds no memory.
            self.held = Vec::new();
        } else if self.start > 0 {
            self.count(self.held.len() - self.start);
            // The room of a long event must not stay with the beginning of the next one.
            self.held = self.held.get(self.start..).unwrap_or_default().to_vec();
        }
        self.searched -= self.start;
        self.start = 0;
    }

    #[cfg(test)]
    fn count(&mut self, bytes: usize) {
        self.work += bytes;
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut)]
    const fn count(&mut self, _bytes: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a stream; an LF that came a chunk later than its CR stands with its event.
    fn split(splitter: &mut Splitter, chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut events: Vec<Vec<u8>> = Vec::new();
        for chunk in chunks {
            splitter.push(chunk);
            while let Some(event) = splitter.next_event().unwrap() {
                match events.last_mut() {
                    Some(last) if event == b"\n" && last.ends_with(b"\r") => last.push(b'\n'),
                    _ => events.push(event),
                }
            }
        }
        events
    }

    #[test]
    fn any_stream_has_the_same_events_wherever_it_is_cut() {
        let alphabet = b"a:\r\n";
        for length in 1..=6_usize {
            for code in 0..4_usize.pow(u32::try_from(length).unwrap()) {
                let stream: Vec<u8> =
                    (0..length).map(|i| alphabet[(code >> (2 * i)) & 3]).collect();
                let whole = split(&mut Splitter::new(64), &[&stream]);
                for cuts in 0..1_usize << (length - 1) {
                    let mut chunks = Vec::new();
                    let mut from = 0;
                    for at in (1..length).filter(|at| cuts >> (at - 1) & 1 == 1) {
                        chunks.push(&stream[from..at]);
                        from = at;
                    }
                    chunks.push(&stream[from..]);
                    assert_eq!(split(&mut Splitter::new(64), &chunks), whole, "{chunks:?}");
                }
            }
        }
    }

    #[test]
    fn the_work_grows_with_the_bytes_and_not_with_the_events() {
        let size = 1 << 16;
        let patterns: [&[u8]; 9] = [
            b"\n",
            b"\r",
            b"\r\n",
            b"a",
            b":\n\n",
            b":\n",
            b"data: a\r\n\r\n",
            b"data\r\r",
            b"a\r",
        ];
        for pattern in patterns {
            let stream: Vec<u8> = pattern.iter().copied().cycle().take(size).collect();
            for chunk in [1, 2, 3, 7, 1000, size] {
                let mut splitter = Splitter::new(size);
                let chunks: Vec<&[u8]> = stream.chunks(chunk).collect();
                split(&mut splitter, &chunks);
                assert!(
                    splitter.work <= 5 * size,
                    "{pattern:?} in chunks of {chunk}: {} for {size} bytes",
                    splitter.work
                );
            }
        }
    }

    #[test]
    fn the_room_of_a_long_event_does_not_stay_with_the_beginning_of_the_next() {
        let mut splitter = Splitter::new(1 << 20);
        let long = [b"data: ".as_slice(), &vec![b'x'; 900 << 10], b"\n\nd"].concat();
        for chunk in long.chunks(10_000) {
            splitter.push(chunk);
            assert!(splitter.next_event().unwrap().is_none() || chunk.ends_with(b"\n\nd"));
            assert!(splitter.held() <= long.len() * 9 / 8 + 10_000, "{}", splitter.held());
        }
        assert!(splitter.next_event().unwrap().is_none());
        assert!(splitter.held() <= 64, "{}", splitter.held());
    }
}
