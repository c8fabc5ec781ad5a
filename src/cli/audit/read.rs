//! Records, line by line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::cli::talk::{Complaint, spelled, tell};
use crate::config;
use crate::core::harmless::visible;

/// How often a file that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// The longest line in bytes; a record is far shorter. What is longer is told and left out.
const MAX_LINE: usize = 256 << 10;

/// How many lines that are too long are told one by one.
const MAX_TOLD: usize = 10;

/// The lines of a file, and with `follow` those that will be written.
pub(in crate::cli) struct Lines {
    path: PathBuf,
    input: Box<dyn BufRead>,
    /// The file that is read, to notice when another one has its name.
    file: Option<File>,
    follow: bool,
    /// The beginning of a line whose end is not read yet.
    begun: Vec<u8>,
    /// Whether that line is too long, and what there is of it no longer kept.
    is_long: bool,
    /// How many lines were read.
    number: usize,
    /// How many of them were too long.
    skipped: usize,
    /// Whether there was anything in them, and whether there was a record.
    has_text: bool,
    is_ours: bool,
}

/// A line as it is.
pub(in crate::cli) struct Line {
    /// Its number in the file, from 1.
    pub(in crate::cli) number: usize,
    /// Without its end; `None` where it is too long.
    pub(in crate::cli) bytes: Option<Vec<u8>>,
}

impl Lines {
    pub(in crate::cli) fn open(path: &Path, follow: bool) -> Result<Self, Complaint> {
        let complain =
            |error: io::Error| Complaint(format!("{} cannot be read: {error}", spelled(path)));
        let (input, file): (Box<dyn BufRead>, _) = if path == Path::new("-") {
            (Box::new(BufReader::new(io::stdin())), None)
        } else {
            let file = config::open_file(path).map_err(complain)?;
            let same = file.try_clone().map_err(complain)?;
            (Box::new(BufReader::new(file)), Some(same))
        };
        let path = path.to_owned();
        let begun = Vec::new();
        Ok(Self {
            path,
            input,
            file,
            follow,
            begun,
            is_long: false,
            number: 0,
            skipped: 0,
            has_text: false,
            is_ours: false,
        })
    }

    /// The next line that is not too long, without its end; what is not UTF-8 is replaced.
    pub(in crate::cli) fn next(&mut self) -> Result<Option<String>, Complaint> {
        while let Some(Line { number, bytes }) = self.next_line()? {
            if let Some(bytes) = bytes {
                let line = String::from_utf8_lossy(&bytes).into_owned();
                self.has_text |= !line.trim().is_empty();
                self.is_ours = self.is_ours || Row::parse(&line).is_some_and(|row| row.has_form());
                return Ok(Some(line));
            }
            self.skipped += 1;
            if self.skipped <= MAX_TOLD {
                let place = spelled(&self.path);
                tell(&format!("{place}:{number}: longer than {MAX_LINE} bytes, left out"));
            }
        }
        if self.skipped > MAX_TOLD {
            let place = spelled(&self.path);
            tell(&format!("{place}: {} lines in all are too long, left out", self.skipped));
        }
        if !self.is_ours && (self.has_text || self.skipped > 0) {
            let place = spelled(&self.path);
            return Err(Complaint(format!(
                "{place} holds no record of doorward; name a file that [audit] wrote"
            )));
        }
        Ok(None)
    }

    /// The next line.
    pub(in crate::cli) fn next_line(&mut self) -> Result<Option<Line>, Complaint> {
        loop {
            let is_whole = self
                .read()
                .map_err(|error| format!("{} cannot be read: {error}", spelled(&self.path)))?;
            let has_some = self.is_long || !self.begun.is_empty();
            if is_whole || (!self.follow && has_some) {
                self.number += 1;
                let bytes = std::mem::take(&mut self.begun);
                let bytes = (!std::mem::take(&mut self.is_long)).then_some(bytes);
                return Ok(Some(Line { number: self.number, bytes }));
            }
            if !self.follow {
                return Ok(None);
            }
            self.reopen_where_moved();
            std::thread::park_timeout(LOOK);
        }
    }

    /// Reads up to the end of a line, or of what there is; says which.
    fn read(&mut self) -> io::Result<bool> {
        loop {
            let buffer = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            self.is_long |= self.begun.len() + part.len() > MAX_LINE;
            match self.is_long {
                true => self.begun = Vec::new(),
                false => self.begun.extend_from_slice(part),
            }
            let (read, is_over) = (part.len() + usize::from(end.is_some()), buffer.is_empty());
            self.input.consume(read);
            if end.is_some() || is_over {
                return Ok(end.is_some());
            }
        }
    }

    /// A file that was moved away, or emptied, goes on under the old name.
    fn reopen_where_moved(&mut self) {
        let Some(file) = &mut self.file else { return };
        let (Ok(named), Ok(read)) = (std::fs::metadata(&self.path), file.metadata()) else {
            return;
        };
        let is_same = named.ino() == read.ino() && named.dev() == read.dev();
        let is_cut = file.stream_position().is_ok_and(|at| named.len() < at);
        if (!is_same || is_cut)
            && let Ok(new) = Self::open(&self.path, true)
        {
            *self = new;
        }
    }
}

/// One record.
pub(in crate::cli) struct Row(Map<String, Value>);

/// Length of a name as it is shown, in characters: who has invented a long one must not push what
/// came of it out of sight. All of it is in the record.
const MAX_NAME: usize = 40;

/// The same of what a request was about, whose upstream comes first.
const MAX_WHAT: usize = 64;

/// The same of why it was refused, or its arguments.
const MAX_WHY: usize = 100;

/// The same of a moment or an outcome, which have their own forms.
const MAX_WORD: usize = 20;

/// As much of a request id as tells it from those of the same millisecond.
const ID: usize = 18;

pub(in crate::cli) fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

impl Row {
    pub(in crate::cli) const HEAD: [&str; 9] =
        ["TIME", "ID", "USER", "TOKEN", "FROM", "OUTCOME", "MS", "WHAT", "WHY OR ARGUMENTS"];

    /// Whether it is one that doorward writes, by what all of them have.
    fn has_form(&self) -> bool {
        self.get("v").is_some_and(Value::is_u64)
            && self.text("time").is_some()
            && self.text("kind").is_some()
    }

    /// `None` where the line is no record.
    pub(in crate::cli) fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().map(Self)
    }

    pub(in crate::cli) fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    pub(in crate::cli) fn text(&self, field: &str) -> Option<&str> {
        self.get(field)?.as_str()
    }

    pub(in crate::cli) fn moment(&self) -> Option<Timestamp> {
        self.text("time")?.parse().ok()
    }

    pub(in crate::cli) fn is_denied(&self) -> bool {
        self.text("decision") == Some("deny")
    }

    /// A field for people.
    pub(in crate::cli) fn shown(&self, field: &str) -> String {
        match self.get(field) {
            None => "-".to_owned(),
            Some(Value::String(text)) => visible(text),
            Some(other) => visible(&other.to_string()),
        }
    }

    /// What it was about: `upstream/tool`, or the method.
    pub(in crate::cli) fn what(&self) -> String {
        let named = self.text("tool").or_else(|| self.text("target"));
        let what = match (self.text("upstream"), named, self.text("method")) {
            (Some(upstream), Some(name), _) => visible(&format!("{upstream}/{name}")),
            (Some(upstream), None, Some(method)) => visible(&format!("{upstream} {method}")),
            (_, _, method) => visible(method.unwrap_or("-")),
        };
        cut(what, MAX_WHAT)
    }

    /// How many requests it is about.
    pub(in crate::cli) fn count(&self) -> u64 {
        let count = self.get("count").filter(|_| self.is_sum()).and_then(Value::as_u64);
        count.unwrap_or(1)
    }

    /// Whether it tells of many requests.
    pub(in crate::cli) fn is_sum(&self) -> bool {
        self.text("kind") == Some("summed")
    }

    fn id(&self) -> String {
        match (self.is_sum(), self.text("request_id")) {
            (true, _) => format!("{} more", self.count()),
            (false, Some(id)) => visible(id).chars().take(ID).collect(),
            (false, None) => "-".to_owned(),
        }
    }

    /// Why it was refused, or the arguments.
    fn why(&self) -> String {
        if self.is_sum() {
            return format!("{}, since {}", self.shown("reason"), self.shown("first"));
        }
        if self.is_denied() {
            let enforced = self.get("enforced") != Some(&Value::Bool(false));
            let mark = if enforced { "" } else { " (only tried out)" };
            let detail =
                self.text("detail").map_or_else(String::new, |d| format!(" {}", visible(d)));
            return format!("{}{detail}{mark}", self.shown("reason"));
        }
        let keys = self.get("args").and_then(|args| args.get("keys")).and_then(Value::as_array);
        if let Some(keys) = keys {
            let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
            return visible(&keys.join(" "));
        }
        let values = self.get("args").and_then(|args| args.get("values"));
        values.map_or_else(String::new, |values| visible(&values.to_string()))
    }

    pub(in crate::cli) fn cells(&self) -> Vec<String> {
        let time = self.moment().map_or_else(|| self.shown("time"), |at| format!("{at:.0}"));
        let ms = self
            .get("duration_ms")
            .and_then(Value::as_f64)
            .map_or_else(String::new, |ms| format!("{ms:.1}"));
        let [user, token, from] =
            ["user", "token", "client_ip"].map(|field| cut(self.shown(field), MAX_NAME));
        let outcome = cut(self.shown("outcome"), MAX_WORD);
        let why = cut(self.why(), MAX_WHY);
        vec![cut(time, MAX_WORD), self.id(), user, token, from, outcome, ms, self.what(), why]
    }
}
