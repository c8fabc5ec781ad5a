//! A chain through the audit records of a process: each holds the digest of the one before, so
//! that a record which is changed, taken out or put in later shows.
//!
//! The first record of a process in a file holds the digest of the last line that it found there.
//!
//! It shows, and does not prevent; whoever can write the file can write a whole new chain, and what
//! is cut off at the end leaves no trace. Lines that have left the host cannot be changed on it.

mod verifier;

use std::io::Write as _;

use sha2::{Digest as _, Sha256};

pub use self::verifier::{Finding, Link, Verifier, Weight};

/// The end of the chain of one process.
#[derive(Debug)]
pub struct Chain {
    instance: String,
    seq: u64,
    prev: String,
}

impl Chain {
    /// A chain without records. `instance` names the process: letters, digits and `-`.
    #[must_use]
    pub fn new(instance: String) -> Self {
        Self { instance, seq: 0, prev: String::new() }
    }

    /// Puts `record`, a JSON object, at the end of the chain, and the line that it becomes with its
    /// line end behind `lines`.
    pub fn append(&mut self, record: &str, lines: &mut Vec<u8>) {
        self.seq += 1;
        let body = record.strip_suffix('}').unwrap_or(record);
        let start = lines.len();
        let Self { instance, seq, prev } = self;
        lines.extend_from_slice(body.as_bytes());
        // A vector takes everything.
        let _ = write!(lines, r#","instance":"{instance}","seq":{seq},"prev":"{prev}"}}"#);
        self.prev = digest(lines.get(start..).unwrap_or_default());
        lines.push(b'\n');
    }

    /// How far it goes.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { seq: self.seq, prev: self.prev.clone() }
    }

    /// Goes on from `mark`; what was put behind it is given up.
    pub fn rewind(&mut self, mark: Mark) {
        (self.seq, self.prev) = (mark.seq, mark.prev);
    }
}

/// How far a chain goes.
#[derive(Clone, Debug)]
pub struct Mark {
    seq: u64,
    prev: String,
}

impl Mark {
    /// Goes on over whole lines of the chain.
    pub fn advance(&mut self, lines: &[u8]) {
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.seq += 1;
            self.prev = digest(line);
        }
    }
}

/// The SHA-256 of a line without its end, in hexadecimal.
#[must_use]
pub fn digest(line: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let digest = Sha256::digest(line);
    digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
