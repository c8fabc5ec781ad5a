//! The parts of a configuration that can be read although something else in it is wrong: for verbs
//! that are needed in trouble, and for tokens that are ended while it lasts.
//!
//! A file whose syntax is broken somewhere is read table by table, each as far as it is good. So a
//! key is never taken for one of another table than the one that it stands in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::audit::AuditTo;
use super::files::{self, Files};
use super::{folder, settings, values};
use crate::core::principal::Digest;
use crate::core::token::UnixSeconds;

/// How often a table is cut shorter before it is given up.
const MAX_CUTS: usize = 64;

/// What can be read of a configuration.
#[derive(Debug)]
pub struct Partial {
    /// Where the gateway answers: `admin.listen`, or its default.
    pub admin_listen: SocketAddr,
    /// False where `admin.listen` may stand in what cannot be read.
    pub admin_is_known: bool,
    /// Where records go, as far as the file says it.
    pub audit: Option<AuditTo>,
    /// Why nothing of the file can be read, where that is so.
    pub unreadable: Option<String>,
    /// Entries of the token table.
    pub entries: Vec<PartialEntry>,
}

/// What can be read of an entry of the token table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartialEntry {
    /// Its name.
    pub name: String,
    /// The file that holds it.
    pub file: PathBuf,
    /// The line in which it begins.
    pub line: usize,
    /// SHA-256 of the token, as far as it can be read.
    pub digest: Option<Digest>,
    /// Whom it identifies.
    pub user: Option<String>,
    /// The organization of the user.
    pub organization: Option<String>,
    /// The names of its roles, whether there are such roles or not.
    pub roles: Vec<String>,
    /// From this moment on it is no longer valid.
    pub expires: Option<UnixSeconds>,
    /// From this moment on it is revoked.
    pub revoked: Option<UnixSeconds>,
}

/// Reads what can be read of the configuration at `path`.
#[must_use]
pub fn partial(path: &Path) -> Partial {
    let files = Files::new(folder(path));
    let mut found = Partial {
        admin_listen: settings::DEFAULT_ADMIN,
        admin_is_known: false,
        audit: None,
        unreadable: None,
        entries: Vec::new(),
    };
    let text = match files.damaged_text(path) {
        Ok(text) => text,
        Err(why) => {
            found.unreadable = Some(why);
            return found;
        }
    };
    let main = pieces(&text);
    let is_whole = matches!(main.as_slice(), [piece] if piece.span == (0..text.len()));
    let listen = main.iter().find_map(|piece| piece.table("admin")?.get("listen"));
    let address = listen.and_then(Item::as_str).and_then(|text| values::address(text).ok());
    found.admin_is_known = address.is_some() || (is_whole && listen.is_none());
    found.admin_listen = address.unwrap_or(settings::DEFAULT_ADMIN);
    found.audit = audit(&main, &files);
    found.entries = entries(path, &text, &main, &files);
    let mut seen = BTreeSet::from([path.to_owned()]);
    for included in main.iter().flat_map(|piece| included(piece, &files)) {
        if let Some(text) = seen.insert(included.clone()).then(|| files.damaged_text(&included)) {
            let text = text.unwrap_or_default();
            found.entries.extend(entries(&included, &text, &pieces(&text), &files));
        }
    }
    found
}

impl Partial {
    /// The tokens that the file ends, by name, and from when on.
    #[must_use]
    pub fn revocations(&self) -> BTreeMap<String, UnixSeconds> {
        let mut all = BTreeMap::new();
        for entry in &self.entries {
            if let Some(at) = entry.revoked {
                let first = all.entry(entry.name.clone()).or_insert(at);
                *first = at.min(*first);
            }
        }
        all
    }
}

/// The text of a file with the entry `name` revoked from `moment` on, a moment in RFC 3339, and all
/// else as it is written; `None` where the entry is not in what can be read.
#[must_use]
pub fn with_revoked(text: &str, name: &str, moment: &str) -> Option<String> {
    let moment: toml_edit::Datetime = moment.parse().ok()?;
    let mut edited = text.to_owned();
    let mut is_done = false;
    // From the end, so that what is before it stays where it is.
    for Piece { span, mut document } in pieces(text).into_iter().rev() {
        let tokens = document.get_mut("tokens");
        let entry = tokens.and_then(|tokens| tokens.get_mut(name));
        let Some(entry) = entry.and_then(Item::as_table_like_mut) else { continue };
        let mut value = Value::from(moment);
        if let Some(old) = entry.get("revoked").and_then(Item::as_value) {
            // The comment behind it.
            *value.decor_mut() = old.decor().clone();
        }
        entry.insert("revoked", Item::Value(value));
        edited.replace_range(span, &document.to_string());
        is_done = true;
    }
    is_done.then_some(edited)
}

/// A part of a file that is good TOML.
struct Piece {
    span: Range<usize>,
    document: DocumentMut,
}

impl Piece {
    fn table(&self, name: &str) -> Option<&dyn TableLike> {
        self.document.get(name).and_then(Item::as_table_like)
    }
}

/// The whole text where it is good, else the good beginning of each of its tables.
fn pieces(text: &str) -> Vec<Piece> {
    if let Ok(document) = text.parse::<DocumentMut>() {
        return vec![Piece { span: 0..text.len(), document }];
    }
    let mut starts = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if at > 0 && line.trim_start().starts_with('[') {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).filter_map(|(start, end)| beginning(text, *start..end)).collect()
}

/// What is good of this part of a text, line by line from its start.
fn beginning(text: &str, span: Range<usize>) -> Option<Piece> {
    let Range { start, mut end } = span;
    for _ in 0..MAX_CUTS {
        let part = text.get(start..end).filter(|part| !part.trim().is_empty())?;
        let error = match part.parse::<DocumentMut>() {
            Ok(document) => return Some(Piece { span: start..end, document }),
            Err(error) => error,
        };
        let lines = part.trim_end_matches('\n');
        let at = error.span().map_or(lines.len(), |span| span.start.min(lines.len()));
        end = start + lines.get(..at)?.rfind('\n').map_or(0, |line| line + 1);
    }
    None
}

fn entries(file: &Path, text: &str, pieces: &[Piece], files: &Files) -> Vec<PartialEntry> {
    let mut found = Vec::new();
    for piece in pieces {
        // Only what has not been edited knows where it stands.
        let written = text.get(piece.span.clone()).unwrap_or_default();
        let Ok(document) = toml_edit::Document::parse(written) else { continue };
        let Some(tokens) = document.get("tokens").and_then(Item::as_table_like) else { continue };
        for (name, item) in tokens.iter() {
            let Some(entry) = item.as_table_like() else { continue };
            let key = tokens.get_key_value(name).and_then(|(key, _)| key.span());
            let at = piece.span.start + key.map_or(0, |span| span.start);
            let string = |key: &str| entry.get(key).and_then(Item::as_str).map(str::to_owned);
            let roles = entry.get("roles").and_then(Item::as_array).into_iter().flatten();
            found.push(PartialEntry {
                name: name.to_owned(),
                file: file.to_owned(),
                line: text.get(..at).unwrap_or_default().matches('\n').count() + 1,
                digest: digest(entry, files),
                user: string("user"),
                organization: string("organization"),
                roles: roles.filter_map(Value::as_str).map(str::to_owned).collect(),
                expires: moment(entry, "expires"),
                revoked: moment(entry, "revoked"),
            });
        }
    }
    found
}

/// The digest itself, or what is in a file or a variable.
fn digest(entry: &dyn TableLike, files: &Files) -> Option<Digest> {
    let text = |key: &str| entry.get(key).and_then(Item::as_str);
    let from_file = || files.read_text(text("sha256_file")?).ok();
    let from_variable = || values::variable(text("sha256_env")?).ok();
    let written = text("sha256").map(str::to_owned).or_else(from_file).or_else(from_variable)?;
    values::sha256(written.trim()).ok()
}

fn moment(entry: &dyn TableLike, key: &str) -> Option<UnixSeconds> {
    let written = entry.get(key)?.as_datetime()?.to_string();
    values::moment(&written.parse().ok()?)
}

fn audit(pieces: &[Piece], files: &Files) -> Option<AuditTo> {
    let table = pieces.iter().find_map(|piece| piece.table("audit"))?;
    let text = |key: &str| table.get(key).and_then(Item::as_str);
    match (text("to"), text("file")) {
        (Some("file"), Some(file)) => Some(AuditTo::File(files.path(file))),
        (Some("off"), _) => Some(AuditTo::Off),
        (Some("stdout"), _) => Some(AuditTo::Stdout),
        _ => None,
    }
}

fn included(piece: &Piece, files: &Files) -> Vec<PathBuf> {
    let patterns = piece.document.get("include").and_then(Item::as_array).into_iter().flatten();
    let found = patterns.filter_map(Value::as_str).filter_map(|text| files.expand(text).ok());
    found.flatten().filter(|path| files::shown(path) == path.to_string_lossy()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[admin]\nlisten = \"127.0.0.1:7\"\n[tokens.a]\nuser = \"a\"\n\
                        revoked = 2020-01-01T00:00:00Z\n[tokens.b]\nuser = \"b\"\n";

    fn read(text: &str) -> Partial {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("gateway.toml");
        std::fs::write(&path, text).unwrap();
        partial(&path)
    }

    /// Whatever is broken somewhere, nobody's word is taken for somebody else's.
    #[test]
    fn a_fault_anywhere_ends_nobody_who_is_not_ended() {
        for at in 0..=GOOD.len() {
            for fault in ["[", "]", "\"", "'''", "=", "\n[x\n", "#", "{", "\u{0}", "\n= =\n"] {
                let text = format!("{}{fault}{}", &GOOD[..at], &GOOD[at..]);
                let ended = read(&text).revocations();
                // Under another name it is another entry.
                assert!(!ended.contains_key("b"), "{text}: {ended:?}");
            }
        }
    }

    #[test]
    fn what_a_fault_does_not_touch_is_read_and_can_be_ended() {
        for fault in ["x = [\n", "[tokens.c\n", "[tokens.c]\nuser = \"\n", "[tokens.a]\n", "= 1\n"]
        {
            for text in [format!("{fault}{GOOD}"), format!("{GOOD}{fault}")] {
                let found = read(&text);
                assert_eq!(found.admin_listen.port(), 7, "{text}");
                assert!(found.admin_is_known, "{text}");
                assert_eq!(found.revocations().get("a"), Some(&1_577_836_800), "{text}");
                let ended = with_revoked(&text, "b", "2020-01-01T00:00:00Z").unwrap();
                assert_eq!(read(&ended).revocations().len(), 2, "{ended}");
            }
        }
    }

    #[test]
    fn a_byte_that_is_no_text_spoils_its_own_line_at_most() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("gateway.toml");
        for at in 0..=GOOD.len() {
            for bad in [&b"\xe4"[..], b"\xff\xfe", b"\xc3", b"\xed\xa0\x80"] {
                let comment = [b"# M", bad, b"nchen\n", GOOD.as_bytes()].concat();
                std::fs::write(&path, comment).unwrap();
                let found = partial(&path);
                assert!(found.unreadable.is_none() && found.admin_is_known, "{found:?}");
                assert_eq!(found.admin_listen.port(), 7);
                assert_eq!(found.revocations().len(), 1);
                let (before, behind) = GOOD.as_bytes().split_at(at);
                std::fs::write(&path, [before, bad, behind].concat()).unwrap();
                let ended = partial(&path).revocations();
                assert!(!ended.contains_key("b"), "{at}: {ended:?}");
            }
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_is_known_to_be_a_guess() {
        for (text, is_known) in [
            ("", true),
            ("[limits]\nx = 1\n", true),
            ("[limits\n", false),
            ("[admin]\nlisten = 7\n", false),
            ("[admin]\nlisten = \"here\"\n", false),
            ("[admin]\nlisten = \"127.0.0.1:1\"\n[x\n", true),
        ] {
            assert_eq!(read(text).admin_is_known, is_known, "{text}");
        }
    }
}
