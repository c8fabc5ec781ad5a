//! Chains that are whole, and chains that somebody has touched.

use proptest::prelude::*;

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
    let mut found: Vec<Finding> =
        numbered.flat_map(|(n, line)| verifier.line(&format!("{n}"), line.as_bytes())).collect();
    found.extend(verifier.end());
    found
}

/// The numbers of the lines that are wrong.
fn faults(lines: &[String]) -> Vec<usize> {
    let faults = findings(lines).into_iter().filter(|finding| finding.weight == Weight::Fault);
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
    let ends: Vec<_> = verifier.instances().map(|(_, l)| (l.is_stopped, l.is_followed)).collect();
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
        assert!(found[0].text.contains(words), "{found:?}");
        let weight = if words == "not here" { Weight::Note } else { Weight::Doubt };
        assert_eq!(found[0].weight, weight, "{found:?}");
    }
}

#[test]
fn a_line_in_which_a_process_died_is_told_from_one_that_somebody_broke() {
    let a = process("a", &[], 3, false);
    let mut torn = a.clone();
    torn[3].truncate(20);
    let b = process("b", &torn, 1, true);
    let found = findings(&[&torn[..], &b].concat());
    assert!(matches!(&found[..], [Finding { weight: Weight::Note, place, .. }] if place == "4"));
    let mut shorter = torn.clone();
    shorter[3].truncate(10);
    assert_eq!(faults(&[&shorter[..], &b].concat()), [4, 5]);
    let at_the_end = findings(&torn);
    assert!(matches!(&at_the_end[..], [Finding { weight: Weight::Note, .. }]), "{at_the_end:?}");
}

/// The heaviest finding.
fn worst(lines: &[String]) -> Option<Weight> {
    let rank = |weight: &Weight| match weight {
        Weight::Note => 0,
        Weight::Doubt => 1,
        Weight::Fault => 2,
    };
    findings(lines).into_iter().map(|finding| finding.weight).max_by_key(rank)
}

fn without(lines: &[String], cut: std::ops::Range<usize>) -> Vec<String> {
    [&lines[..cut.start], &lines[cut.end..]].concat()
}

/// One process after another in one file: whatever run of lines is taken out of the middle is a
/// fault; what is taken out before the first is in an older file.
#[test]
fn no_run_of_lines_can_be_taken_out_of_the_middle_of_a_file_unseen() {
    for (lengths, stops) in [
        (&[3][..], &[true][..]),
        (&[0, 0, 0, 0], &[true; 4]),
        (&[0, 0, 0], &[false; 3]),
        (&[4, 3, 5, 2], &[true; 4]),
        (&[2, 4, 3, 1, 2], &[false, true, false, false, true]),
    ] {
        let mut all: Vec<String> = Vec::new();
        for (n, (length, stops)) in lengths.iter().zip(stops).enumerate() {
            let next = process(&format!("p{n}"), &all, *length, *stops);
            all.extend(next);
        }
        assert_eq!(worst(&all), None, "{lengths:?}");
        for start in 0..all.len() {
            for end in start + 1..all.len() {
                let left = without(&all, start..end);
                let expected = (start > 0).then_some(Weight::Fault);
                let found = worst(&left).filter(|worst| *worst != Weight::Note);
                assert_eq!(found, expected, "{lengths:?} without {start}..{end}");
            }
        }
    }
}

/// Processes that write at the same time, each with its instance's lines.
fn at_once(turns: &[usize], is_file: bool) -> Vec<(usize, String)> {
    let mut chains: BTreeMap<usize, Chain> = BTreeMap::new();
    let mut all: Vec<(usize, String)> = Vec::new();
    for turn in turns {
        let is_new = !chains.contains_key(turn);
        let chain = chains.entry(*turn).or_insert_with(|| Chain::new(format!("p{turn}")));
        let last = all.last().map_or_else(String::new, |(_, line)| digest(line.as_bytes()));
        let record = match (is_new, is_file) {
            (true, true) => format!(r#"{{"kind":"start","follows":"{last}"}}"#),
            (true, false) => r#"{"kind":"start"}"#.to_owned(),
            (false, _) => r#"{"kind":"request"}"#.to_owned(),
        };
        let mut line = Vec::new();
        chain.append(&record, &mut line);
        all.push((*turn, String::from_utf8(line).unwrap().trim_end().to_owned()));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A run that holds processes as a whole, and nobody's start is behind it, leaves no trace.
    #[test]
    fn whoever_writes_at_once_no_part_of_a_process_can_be_taken_out_unsaid(
        turns in prop::collection::vec(0..4_usize, 3..24),
        is_file: bool,
        ends: (prop::sample::Index, prop::sample::Index),
    ) {
        let all = at_once(&turns, is_file);
        let lines = |of: &[(usize, String)]| of.iter().map(|(_, l)| l.clone()).collect::<Vec<_>>();
        prop_assert_ne!(worst(&lines(&all)), Some(Weight::Fault));
        let (one, other) = (ends.0.index(all.len() - 2), ends.1.index(all.len() - 2));
        let cut = one.min(other) + 1..one.max(other) + 2;
        let left = [&all[..cut.start], &all[cut.end..]].concat();
        let is_part = all[cut.clone()].iter().any(|(who, _)| {
            all[cut.end..].iter().any(|(other, _)| other == who)
        });
        let worst = worst(&lines(&left));
        let is_said = matches!(worst, Some(Weight::Doubt | Weight::Fault));
        prop_assert!(is_said || !is_part, "{turns:?} without {cut:?}: {worst:?}");
    }
}

/// The output of replicas, put together by whoever collects it, may begin in the middle of each.
#[test]
fn replicas_that_write_in_turn_may_begin_anywhere_and_that_is_said() {
    let all = at_once(&[0, 1, 2, 0, 1, 2, 0, 1, 0, 2, 0, 1, 2, 1, 0], false);
    let all: Vec<String> = all.into_iter().map(|(_, line)| line).collect();
    for begin in 3..9 {
        let found = findings(&all[begin..]);
        assert!(found.iter().all(|finding| finding.weight == Weight::Doubt), "{begin}: {found:?}");
        assert_eq!(found.len(), 2, "{begin}: {found:?}");
        assert!(found.iter().all(|finding| finding.text.contains("among records of others")));
    }
    assert_eq!(faults(&all[9..]), [0; 0], "it ends with the others");
    // Where each has a start that found a line of the file, one without has lost it.
    let all = at_once(&[0, 0, 1, 2, 1, 2, 1], true);
    let all: Vec<String> = all.into_iter().map(|(_, line)| line).collect();
    assert_eq!(worst(&all), None);
    assert_eq!(faults(&without(&all, 3..4)), [5]);
}

#[test]
fn a_file_that_was_emptied_lacks_what_no_copy_holds() {
    let mut records = vec![r#"{"kind":"start","follows":""}"#.to_owned()];
    records.extend((0..3).map(|n| format!(r#"{{"kind":"request","n":{n}}}"#)));
    records.push(r#"{"kind":"truncate"}"#.to_owned());
    records.extend((0..2).map(|n| format!(r#"{{"kind":"request","n":{n}}}"#)));
    let all = sealed("a", &records);
    let in_files = |files: &[&[String]]| {
        let mut verifier = Verifier::default();
        let mut found = Vec::new();
        for file in files {
            verifier.file();
            found.extend(file.iter().flat_map(|line| verifier.line("", line.as_bytes())));
        }
        found.extend(verifier.end());
        found.into_iter().map(|finding| finding.weight).collect::<Vec<_>>()
    };
    // A record may come between the emptying and its notice.
    for left in [3, 4] {
        assert_eq!(in_files(&[&all[left..]]), [Weight::Doubt], "{left}");
        assert_eq!(in_files(&[&all[..left], &all[left..]]), [], "the copy has it: {left}");
        assert_eq!(in_files(&[&all[..left - 1], &all[left..]]), [Weight::Fault], "{left}");
    }
}

/// A file in between that is not given is not passed over.
#[test]
fn a_later_file_that_begins_in_the_middle_of_somebody_else_is_a_fault() {
    let [a, b, c] = three();
    let mut verifier = Verifier::default();
    let mut found = Vec::new();
    for file in [&a[..], &b[2..], &c[..]] {
        verifier.file();
        found.extend(file.iter().flat_map(|line| verifier.line("", line.as_bytes())));
    }
    found.extend(verifier.end());
    assert!(matches!(&found[..], [Finding { weight: Weight::Fault, .. }]), "{found:?}");
    assert!(found[0].text.contains("b: begins with 3, behind records of others"), "{found:?}");
}
