//! A table of any length in bounded memory.

use super::read::Row;
use crate::cli::talk::{Answers, Complaint};

/// How many rows decide how wide the columns are; in those behind, what is wider stands out.
const HELD: usize = 1000;

/// Bytes that are written at once.
const CHUNK: usize = 1 << 16;

/// Records, a line each.
pub(super) struct Table {
    out: Answers,
    held: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
}

impl Table {
    pub(super) fn new() -> Self {
        let head = Row::HEAD.map(str::to_owned).to_vec();
        Self { out: Answers::with_capacity(CHUNK), held: vec![head], widths: None }
    }

    pub(super) fn push(&mut self, cells: Vec<String>) -> Result<(), Complaint> {
        match &self.widths {
            Some(widths) => return self.out.say(&line(&cells, widths)),
            None => self.held.push(cells),
        }
        if self.held.len() > HELD { self.decide() } else { Ok(()) }
    }

    fn decide(&mut self) -> Result<(), Complaint> {
        let held = std::mem::take(&mut self.held);
        let width = |column: usize| {
            let cells = held.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths = self.widths.insert((0..Row::HEAD.len()).map(width).collect());
        held.iter().try_for_each(|cells| self.out.say(&line(cells, widths)))
    }

    pub(super) fn end(mut self) -> Result<(), Complaint> {
        if self.widths.is_none() {
            self.decide()?;
        }
        self.out.flush()
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  "));
    padded.collect::<String>().trim_end().to_owned()
}
