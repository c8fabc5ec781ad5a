//! `doorward audit --verify`: are the records as they were written, and all there?

use std::path::PathBuf;
use std::process::ExitCode;

use super::read::{Line, Lines};
use crate::cli::EXIT_NO;
use crate::cli::talk::{Complaint, Done, many, say, spelled};
use crate::core::chain::{Finding, Link, Verifier, Weight};
use crate::core::harmless::visible;

const BEHIND: &str = "what came behind the last line cannot be known";

pub(super) fn verify(files: &[PathBuf]) -> Done {
    let mut verifier = Verifier::default();
    let (mut count, mut faults, mut doubts) = (0, 0, 0);
    let mut told = |found: Vec<Finding>| -> Result<(), Complaint> {
        for Finding { place, text, weight } in found {
            faults += usize::from(weight == Weight::Fault);
            doubts += usize::from(weight == Weight::Doubt);
            say(&format!("{place}: {}\n", visible(&text)))?;
        }
        Ok(())
    };
    for file in files {
        let mut lines = Lines::open(file, false)?;
        let name = spelled(file);
        verifier.file();
        while let Some(Line { number, bytes }) = lines.next_line()? {
            count += 1;
            let place = format!("{name}:{number}");
            told(match bytes {
                Some(bytes) => verifier.line(&place, &bytes),
                None => verifier.unread(&place, "is longer than any record"),
            })?;
        }
    }
    told(verifier.end())?;
    for (name, link) in verifier.instances() {
        let (first, last) = (link.first, link.last);
        let beginning = if first > 1 { ", its beginning is not here" } else { "" };
        say(&format!("{}: {first} to {last}{beginning}, {}\n", visible(name), end(link)))?;
    }
    let verdict = match (faults, doubts) {
        (0, 0) if count == 0 => "nothing is known".to_owned(),
        (0, 0) => format!("no gap, nothing changed; {BEHIND}"),
        (0, _) => format!("no fault, but some are missing or may be, as said above; {BEHIND}"),
        (faults, _) => many(faults, "fault"),
    };
    say(&format!("{}, {verdict}\n", many(count, "record")))?;
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NO) })
}

fn end(link: &Link) -> &'static str {
    match (link.is_stopped, link.is_followed) {
        (true, _) => "stopped",
        (false, true) => "died, and the next start found its last record",
        (false, false) => "no end: it runs, or died, or the end is cut off",
    }
}
