//! Changes of a configuration file: checked whole, then put in its place at once.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use super::Complaint;
use crate::cli::complain;
use crate::config;

/// Replaces the text of `edited`, a file of the configuration at `main`, where the result is good.
/// The file keeps its mode; a link stays a link.
pub(super) fn replace(main: &Path, edited: &Path, text: &str) -> Result<(), Complaint> {
    config::check_edit(main, edited, text).map_err(|findings| {
        complain(&findings);
        Complaint(format!("{} would have errors, and stays as it is", edited.display()))
    })?;
    write(edited, text)
        .map_err(|error| format!("{} cannot be written: {error}", edited.display()).into())
}

/// Whoever reads it finds all of the old text or all of the new.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    let new = path.with_extension("toml.new");
    let mut file = File::options().write(true).create_new(true).open(&new)?;
    let written = (|| {
        file.set_permissions(fs::metadata(&path)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)
    })();
    if written.is_err() {
        // What remains is of no use to anybody.
        let _ = fs::remove_file(&new);
    }
    written
}
