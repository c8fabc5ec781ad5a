//! Follows the chains through lines in their order.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;

use super::digest;

/// How many lines back the one may be that a start has found: another process may have written
/// between.
const RECENT: usize = 4096;

/// How many processes are followed at most.
const MAX_INSTANCES: usize = 10_000;

const UNKNOWN: &str = "whether records are missing before it cannot be known";

/// Follows the chains through lines in their order.
#[derive(Debug, Default)]
pub struct Verifier {
    instances: BTreeMap<String, Link>,
    /// Processes that begin behind lines of others, and not with their start: by the line at which
    /// they do.
    unexplained: BTreeMap<u64, Unexplained>,
    /// How many lines have come, and of how many files.
    lines: u64,
    files: u64,
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
    /// The line at which it begins here, and the file of that line.
    begins: u64,
    file: u64,
    /// Whether its start is here, and has found a line that is here, too: it writes to a file, in
    /// which every later process has a start.
    is_chained: bool,
}

/// A process that begins behind lines of others, and not with its start.
#[derive(Debug)]
struct Unexplained {
    place: String,
    instance: String,
    first: u64,
}

/// What follows from a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weight {
    /// Records are missing, or may be: whether somebody took them out does not show.
    Doubt,
    /// Something was changed or taken out.
    Fault,
    /// Nothing: it is good to know.
    Note,
}

/// Something about a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The line, in the words of the caller.
    pub place: String,
    /// A sentence.
    pub text: String,
    /// What follows.
    pub weight: Weight,
}

impl Finding {
    fn new(weight: Weight, place: &str, text: impl Into<String>) -> Self {
        Self { place: place.to_owned(), text: text.into(), weight }
    }

    fn fault(place: &str, text: impl Into<String>) -> Self {
        Self::new(Weight::Fault, place, text)
    }

    fn doubt(place: &str, text: impl Into<String>) -> Self {
        Self::new(Weight::Doubt, place, text)
    }

    fn note(place: &str, text: impl Into<String>) -> Self {
        Self::new(Weight::Note, place, text)
    }
}

impl Link {
    /// Goes on with the next record, and says what is wrong with it.
    fn next(&mut self, place: &str, instance: &str, prev: &str, next: Self) -> Option<Finding> {
        let Self { first, last, begins, file, is_chained, .. } = *self;
        let is_next = prev == self.digest;
        let seq = next.last;
        *self = Self { first, begins, file, is_chained, ..next };
        if last.checked_add(1) != Some(seq) {
            let text = format!("{instance}: {last} is followed by {seq}");
            return Some(Finding::fault(place, text));
        }
        let text = format!("{instance}: the record before {seq} is not as it was written");
        (!is_next).then(|| Finding::fault(place, text))
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
    /// From here on lines are of another file.
    pub fn file(&mut self) {
        self.files += 1;
    }

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
        self.lines += 1;
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
        self.lines += 1;
        found
    }

    /// There are no more lines.
    pub fn end(&mut self) -> Vec<Finding> {
        let unexplained = std::mem::take(&mut self.unexplained).into_values().map(|begun| {
            let Unexplained { place, instance, first } = begun;
            let text = format!(
                "{instance}: begins with {first}, behind records of others: those before it were \
                 taken out, or are in a file that was not given"
            );
            Finding::fault(&place, text)
        });
        let torn = self.torn.take().map(|(place, _)| {
            let text = "is not whole: it is being written, or the process died in it";
            Finding::note(&place, text)
        });
        unexplained.chain(torn).collect()
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
            found.push(Finding::doubt(place, text));
        }
        let is_start = kind == "start" && seq == 1;
        let is_found = follows.as_ref().is_some_and(|digest| self.recent.contains(digest));
        if is_start {
            found.extend(self.start(place, &instance, follows.as_deref()));
        }
        let is_known = self.instances.contains_key(&instance);
        if !is_known && self.instances.len() >= MAX_INSTANCES {
            let text = format!("is of one more than {MAX_INSTANCES} processes");
            found.push(Finding::fault(place, text));
            return;
        }
        let link = Link {
            first: seq,
            last: seq,
            is_stopped: kind == "stop",
            is_followed: false,
            digest: own.to_owned(),
            begins: self.lines,
            file: self.files,
            is_chained: is_start && is_found,
        };
        match self.instances.get_mut(&instance) {
            None => found.extend(self.begin(place, &instance, &prev, link)),
            Some(before) => {
                found.extend(before.next(place, &instance, &prev, link));
                let (begins, explains) = (before.begins, !before.is_chained);
                found.extend(explains.then(|| self.explain(begins)).into_iter().flatten());
            }
        }
        if kind == "truncate" {
            found.extend(self.emptied(place, &instance));
        }
    }

    /// Takes the first record of a process that is here. Where it is not its start, the file
    /// begins in its middle, or several processes write to one output, or records are missing.
    fn begin(&mut self, place: &str, instance: &str, prev: &str, link: Link) -> Option<Finding> {
        if link.first > 1 && self.lines > 0 {
            let (place, instance) = (place.to_owned(), instance.to_owned());
            let begun = Unexplained { place, instance, first: link.first };
            self.unexplained.insert(self.lines, begun);
        }
        let is_odd = link.first == 1 && !prev.is_empty();
        self.instances.insert(instance.to_owned(), link);
        is_odd.then(|| {
            let text = format!("{instance}: a first record with something before it");
            Finding::fault(place, text)
        })
    }

    /// A process that began in line `begins` goes on: those that have begun since write to the
    /// same output at the same time, and may have been silent until then.
    fn explain(&mut self, begins: u64) -> Vec<Finding> {
        let explained = self.unexplained.split_off(&begins.saturating_add(1));
        let doubt = |begun: Unexplained| {
            let Unexplained { place, instance, first } = begun;
            let text =
                format!("{instance}: begins with {first}, among records of others; {UNKNOWN}");
            Finding::doubt(&place, text)
        };
        explained.into_values().map(doubt).collect()
    }

    /// The file was emptied by somebody else while this process wrote to it. Where the records of
    /// before were copied, they may be in a file that came before this one.
    fn emptied(&self, place: &str, instance: &str) -> Option<Finding> {
        let link = self.instances.get(instance)?;
        (link.first > 1 && link.file == self.files).then(|| {
            let text = format!(
                "{instance}: somebody emptied or shortened the file before this record; what was \
                 in it is not here"
            );
            Finding::doubt(place, text)
        })
    }

    /// Compares the line that a start has found with those that are there.
    fn start(&mut self, place: &str, instance: &str, follows: Option<&str>) -> Option<Finding> {
        let is_first = self.lines == 0;
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
                let text = format!("{instance}: began in a file without records; {UNKNOWN}");
                Some(Finding::doubt(place, text))
            }
            None | Some("unknown") => {
                let text = format!("{instance}: does not say what it found; {UNKNOWN}");
                Some(Finding::doubt(place, text))
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
mod tests;
