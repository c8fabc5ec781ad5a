//! Text in columns that are as wide as they need to be.

use crate::core::harmless::visible;

/// Greatest width of a column, in characters.
const MAX_WIDTH: usize = 100;

/// Lines of cells, two blanks between columns. What a cell holds cannot move the cursor.
pub(super) fn columns(lines: &[Vec<String>]) -> String {
    let shown: Vec<Vec<String>> =
        lines.iter().map(|line| line.iter().map(|cell| visible(cell)).collect()).collect();
    let count = shown.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = shown.iter().filter_map(|line| line.get(column));
        // A longer cell stands out of its column, and makes no other line longer.
        cells.map(|cell| cell.chars().count().min(MAX_WIDTH)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for line in &shown {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  "));
        out += padded.collect::<String>().trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cell_holds_cannot_move_the_cursor() {
        let line = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let text = columns(&[line(["A", "B"]), line(["é\u{1b}[31m\n", "\u{9b}x\u{202e}"])]);
        assert_eq!(text, "A              B\né\\u{1b}[31m\\n  \\u{9b}x\\u{202e}\n");
    }
}
