//! A chain through the audit records of a process: each holds the digest of the one before, so
//! that a record which is changed, taken out or put in later shows.
//!
//! It shows, and does not prevent; whoever can write the file can write a whole new chain. Lines
//! that have left the host cannot be changed on it.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

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

/// Follows the chains through lines in their order.
#[derive(Debug, Default)]
pub struct Verifier {
    instances: BTreeMap<String, Link>,
}

/// How far the chain of a process has been followed.
#[derive(Debug)]
pub struct Link {
    /// The first number that was seen.
    pub first: u64,
    /// The latest.
    pub last: u64,
    /// Whether the latest record says that the process ended in good order.
    pub is_stopped: bool,
    digest: String,
}

#[derive(Deserialize)]
struct Linked {
    instance: String,
    seq: u64,
    prev: String,
    kind: String,
}

impl Verifier {
    /// Takes the next line, without its line end; says what is wrong with it.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn line(&mut self, line: &str) -> Result<(), String> {
        let linked = serde_json::from_str(line).map_err(|_| "is not a record of a chain")?;
        let Linked { instance, seq, prev, kind } = linked;
        let link = Link {
            first: seq,
            last: seq,
            is_stopped: kind == "stop",
            digest: digest(line.as_bytes()),
        };
        let Some(before) = self.instances.get_mut(&instance) else {
            self.instances.insert(instance.clone(), link);
            return match seq == 1 && !prev.is_empty() {
                true => Err(format!("{instance}: a first record with something before it")),
                false => Ok(()),
            };
        };
        let (last, follows) = (before.last, prev == before.digest);
        *before = Link { first: before.first, ..link };
        if seq != last + 1 {
            return Err(format!("{instance}: {last} is followed by {seq}"));
        }
        match follows {
            true => Ok(()),
            false => Err(format!("{instance}: the record before {seq} is not as it was written")),
        }
    }

    /// The processes whose records were seen, by their names.
    pub fn instances(&self) -> impl Iterator<Item = (&str, &Link)> {
        self.instances.iter().map(|(name, link)| (name.as_str(), link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(instance: &str, count: usize) -> Vec<String> {
        let mut chain = Chain::new(instance.to_owned());
        let mut lines = Vec::new();
        for n in 0..count {
            chain.append(&format!(r#"{{"kind":"request","n":{n}}}"#), &mut lines);
        }
        chain.append(r#"{"kind":"stop"}"#, &mut lines);
        String::from_utf8(lines).unwrap().lines().map(str::to_owned).collect()
    }

    /// The numbers of the lines that are wrong.
    fn faults(lines: &[String]) -> Vec<usize> {
        let mut verifier = Verifier::default();
        let wrong = |line: &String| verifier.line(line).is_err();
        let wrong: Vec<bool> = lines.iter().map(wrong).collect();
        (1..).zip(wrong).filter_map(|(number, is_wrong)| is_wrong.then_some(number)).collect()
    }

    #[test]
    fn a_chain_that_is_whole_has_no_faults() {
        let (one, two) = (chain("a", 3), chain("b", 3));
        let mixed: Vec<String> =
            one.iter().zip(&two).flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
        assert_eq!(faults(&mixed), [0; 0]);
        let mut verifier = Verifier::default();
        for line in &one[1..] {
            assert_eq!(verifier.line(line), Ok(()), "the beginning may be in another file");
        }
        let (name, link) = verifier.instances().next().unwrap();
        assert_eq!((name, link.first, link.last, link.is_stopped), ("a", 2, 4, true));
    }

    #[test]
    fn a_record_that_is_changed_taken_out_put_in_or_moved_shows() {
        let good = chain("a", 4);
        let mut changed = good.clone();
        changed[1] = changed[1].replace("\"n\":1", "\"n\":7");
        let mut taken_out = good.clone();
        taken_out.remove(1);
        let mut put_in = good.clone();
        put_in.insert(2, good[1].clone());
        let mut moved = good.clone();
        moved.swap(1, 2);
        let mut torn = good.clone();
        torn[1].truncate(10);
        for (bad, line) in [(changed, 3), (taken_out, 2), (put_in, 3), (moved, 2), (torn, 2)] {
            assert_eq!(faults(&bad).first(), Some(&line), "{bad:?}");
        }
    }
}
