//! Follows the chains through lines in their order.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;

use super::digest;

/// How many lines back the one may be that a start has found: another process may have written
/// between.
const RECENT: usize = 4096;

/// How many processes are followed at most.
const MAX_INSTANCES: usize = 10_000;

/// Follows the chains through lines in their order.
#[derive(Debug, Default)]
pub struct Verifier {
    instances: BTreeMap<String, Link>,
    /// Digests of the latest lines.
    recent: VecDeque<String>,
    /// A line that is no record, and its place; a start that has found it proves that the process
    /// died in it.
    torn: Option<(String, String)>,
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
    /// Whether a later start has found the latest record at the end of the file: nothing behind it
    /// is missing.
    pub is_followed: bool,
    digest: String,
}

/// Something about a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The line, in the words of the caller.
    pub place: String,
    /// A sentence.
    pub text: String,
    /// Whether something was changed or taken out; else it is only good to know.
    pub is_fault: bool,
}

impl Finding {
    fn fault(place: &str, text: impl Into<String>) -> Self {
        Self { place: place.to_owned(), text: text.into(), is_fault: true }
    }

    fn note(place: &str, text: impl Into<String>) -> Self {
        Self { place: place.to_owned(), text: text.into(), is_fault: false }
    }
}

#[derive(Deserialize)]
struct Linked {
    instance: String,
    seq: u64,
    prev: String,
    kind: String,
    follows: Option<String>,
    lost: Option<u64>,
}

impl Verifier {
    /// Takes the next line, without its line end, and says what there is to say about it, and
    /// about one before.
    pub fn line(&mut self, place: &str, line: &[u8]) -> Vec<Finding> {
        let own = digest(line);
        let mut found = Vec::new();
        let linked: Result<Linked, _> = serde_json::from_slice(line);
        let follows = linked.as_ref().ok().and_then(|linked| linked.follows.as_deref());
        found.extend(self.judge_torn(follows));
        match linked {
            Ok(linked) => self.follow(place, linked, &own, &mut found),
            Err(_) => self.torn = Some((place.to_owned(), own.clone())),
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(own);
        found
    }

    /// Takes a line that cannot be looked at.
    pub fn unread(&mut self, place: &str, why: &str) -> Vec<Finding> {
        let mut found: Vec<Finding> = self.judge_torn(None).into_iter().collect();
        found.push(Finding::fault(place, why));
        found
    }

    /// There are no more lines.
    pub fn end(&mut self) -> Option<Finding> {
        let (place, _) = self.torn.take()?;
        let text = "is not whole: it is being written, or the process died in it";
        Some(Finding::note(&place, text))
    }

    /// Whether a line that is no record was found as it is by a start.
    fn judge_torn(&mut self, follows: Option<&str>) -> Option<Finding> {
        let (place, own) = self.torn.take()?;
        Some(match follows == Some(&own) {
            true => Finding::note(&place, "is not whole: the process died in it"),
            false => Finding::fault(&place, "is not a record of a chain"),
        })
    }

    fn follow(&mut self, place: &str, linked: Linked, own: &str, found: &mut Vec<Finding>) {
        let Linked { instance, seq, prev, kind, follows, lost } = linked;
        if let Some(lost) = lost {
            let text = format!("{instance}: {lost} records could not be written before this one");
            found.push(Finding::note(place, text));
        }
        if kind == "start" && seq == 1 {
            found.extend(self.start(place, &instance, follows.as_deref()));
        }
        let link = Link {
            first: seq,
            last: seq,
            is_stopped: kind == "stop",
            is_followed: false,
            digest: own.to_owned(),
        };
        let is_known = self.instances.contains_key(&instance);
        if !is_known && self.instances.len() >= MAX_INSTANCES {
            let text = format!("is of one more than {MAX_INSTANCES} processes");
            found.push(Finding::fault(place, text));
            return;
        }
        let Some(before) = self.instances.get_mut(&instance) else {
            if seq == 1 && !prev.is_empty() {
                let text = format!("{instance}: a first record with something before it");
                found.push(Finding::fault(place, text));
            }
            self.instances.insert(instance, link);
            return;
        };
        let (last, is_next) = (before.last, prev == before.digest);
        *before = Link { first: before.first, ..link };
        if seq != last + 1 {
            let text = format!("{instance}: {last} is followed by {seq}");
            found.push(Finding::fault(place, text));
        } else if !is_next {
            let text = format!("{instance}: the record before {seq} is not as it was written");
            found.push(Finding::fault(place, text));
        }
    }

    /// Compares the line that a start has found with those that are there.
    fn start(&mut self, place: &str, instance: &str, follows: Option<&str>) -> Option<Finding> {
        let is_first = self.recent.is_empty();
        let unknown = "whether records are missing before it cannot be known";
        match follows {
            Some(line) if self.recent.iter().any(|known| known == line) => {
                let mut links = self.instances.values_mut();
                if let Some(link) = links.find(|link| link.digest == line) {
                    link.is_followed = true;
                }
                None
            }
            None | Some("") if is_first => None,
            Some(digest) if is_first && digest != "unknown" => {
                let text = format!("{instance}: goes on from records that are not here");
                Some(Finding::note(place, text))
            }
            Some("") => {
                let text = format!("{instance}: began in a file without records; {unknown}");
                Some(Finding::note(place, text))
            }
            None | Some("unknown") => {
                let text = format!("{instance}: does not say what it found; {unknown}");
                Some(Finding::note(place, text))
            }
            Some(_) => {
                let text = format!(
                    "{instance}: the last line that it found is not there: records before it were taken out or changed"
                );
                Some(Finding::fault(place, text))
            }
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
    use crate::core::chain::Chain;

    fn sealed(instance: &str, records: &[String]) -> Vec<String> {
        let mut chain = Chain::new(instance.to_owned());
        let mut lines = Vec::new();
        for record in records {
            chain.append(record, &mut lines);
        }
        String::from_utf8(lines).unwrap().lines().map(str::to_owned).collect()
    }

    fn chain(instance: &str, count: usize) -> Vec<String> {
        let record = |n: usize| format!(r#"{{"kind":"request","n":{n}}}"#);
        let mut records: Vec<String> = (0..count).map(record).collect();
        records.push(r#"{"kind":"stop"}"#.to_owned());
        sealed(instance, &records)
    }

    /// The lines of a process that starts behind `before`; without a stop it was killed.
    fn process(instance: &str, before: &[String], count: usize, stops: bool) -> Vec<String> {
        let follows = before.last().map_or_else(String::new, |line| digest(line.as_bytes()));
        let mut records = vec![format!(r#"{{"kind":"start","follows":"{follows}"}}"#)];
        records.extend((0..count).map(|n| format!(r#"{{"kind":"request","n":{n}}}"#)));
        records.extend(stops.then(|| r#"{"kind":"stop"}"#.to_owned()));
        sealed(instance, &records)
    }

    fn findings(lines: &[String]) -> Vec<Finding> {
        let mut verifier = Verifier::default();
        let numbered = (1..).zip(lines);
        let mut found: Vec<Finding> = numbered
            .flat_map(|(n, line)| verifier.line(&format!("{n}"), line.as_bytes()))
            .collect();
        found.extend(verifier.end());
        found
    }

    /// The numbers of the lines that are wrong.
    fn faults(lines: &[String]) -> Vec<usize> {
        let faults = findings(lines).into_iter().filter(|finding| finding.is_fault);
        faults.map(|finding| finding.place.parse().unwrap()).collect()
    }

    #[test]
    fn a_chain_that_is_whole_has_no_faults() {
        let (one, two) = (chain("a", 3), chain("b", 3));
        let mixed: Vec<String> =
            one.iter().zip(&two).flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
        assert_eq!(faults(&mixed), [0; 0]);
        let mut verifier = Verifier::default();
        for line in &one[1..] {
            assert_eq!(verifier.line("", line.as_bytes()), [], "it may begin in another file");
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

    /// Three processes in one file; the second was killed.
    fn three() -> [Vec<String>; 3] {
        let a = process("a", &[], 3, true);
        let b = process("b", &a, 3, false);
        let c = process("c", &b, 2, true);
        [a, b, c]
    }

    #[test]
    fn whatever_is_taken_out_before_a_start_shows_at_it() {
        let [a, b, c] = three();
        assert_eq!(findings(&three().concat()), []);
        assert_eq!(faults(&[&a[..], &c].concat()), [6], "all of a process");
        for left in 1..b.len() {
            let cut = [&a[..], &b[..left], &c].concat();
            assert_eq!(faults(&cut), [6 + left], "the last of one that was killed: {left}");
        }
        let mut changed = b.clone();
        changed[3] = changed[3].replace("\"n\":2", "\"n\":9");
        assert_eq!(faults(&[&a[..], &changed, &c].concat()), [10], "its very last is changed");
        let put_in = [&a[..], &b, &process("x", &b, 1, true), &c].concat();
        assert_eq!(faults(&put_in), [0; 0], "another process may write to the same file");
    }

    #[test]
    fn an_end_that_a_start_has_found_is_known_and_another_is_not() {
        let mut verifier = Verifier::default();
        for line in three().concat() {
            verifier.line("", line.as_bytes());
        }
        let ends: Vec<_> =
            verifier.instances().map(|(_, l)| (l.is_stopped, l.is_followed)).collect();
        assert_eq!(ends, [(true, true), (false, true), (true, false)]);
    }

    /// What cannot be known is said, and is no fault.
    #[test]
    fn what_cannot_be_known_is_said_and_is_no_fault() {
        let [a, b, c] = three();
        let streams = [chain("a", 1), sealed("b", &[r#"{"kind":"start"}"#.to_owned()])].concat();
        let new = [&a[..], &process("x", &[], 1, true)].concat();
        let unknown = r#"{"kind":"start","follows":"unknown"}"#.to_owned();
        let unknown = [a.clone(), sealed("y", &[unknown])].concat();
        let lost = sealed("z", &[r#"{"kind":"lost","lost":7}"#.to_owned()]);
        for (lines, words) in [
            ([&b[..], &c].concat(), "not here"),
            (streams, "cannot be known"),
            (new, "cannot be known"),
            (unknown, "cannot be known"),
            (lost, "7 records"),
        ] {
            let found = findings(&lines);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(!found[0].is_fault && found[0].text.contains(words), "{found:?}");
        }
    }

    #[test]
    fn a_line_in_which_a_process_died_is_told_from_one_that_somebody_broke() {
        let a = process("a", &[], 3, false);
        let mut torn = a.clone();
        torn[3].truncate(20);
        let b = process("b", &torn, 1, true);
        let found = findings(&[&torn[..], &b].concat());
        assert!(matches!(&found[..], [Finding { is_fault: false, place, .. }] if place == "4"));
        let mut shorter = torn.clone();
        shorter[3].truncate(10);
        assert_eq!(faults(&[&shorter[..], &b].concat()), [4, 5]);
        let at_the_end = findings(&torn);
        assert!(matches!(&at_the_end[..], [Finding { is_fault: false, .. }]), "{at_the_end:?}");
    }
}
