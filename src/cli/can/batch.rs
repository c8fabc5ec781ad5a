//! Many questions at once: a target a line on standard input, its answer a line on standard output.

use std::io::{self, BufRead, BufReader, Read as _};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Answer, Can};
use crate::cli::EXIT_CONFIG;
use crate::cli::caller::Asked;
use crate::cli::talk::{Answers, Complaint, Done, arguments};
use crate::config::Config;
use crate::core::harmless::visible;

/// The longest line in bytes; one that is longer is not kept, and its answer says so.
const MAX_LINE: u64 = 1 << 20;

/// Bytes that are read and written at once.
const CHUNK: usize = 1 << 16;

impl Can {
    /// Answers each line in its turn; exit 0 where every line has a yes or a no, and 2 where one has
    /// an `error`, which begins its line in place of them.
    pub(super) fn batch(&self, config: &Config, asked: &[Asked]) -> Done {
        if self.why || self.args.as_deref() == Some("-") {
            return Err("with - for the targets there is no --why and no `--args -`"
                .to_owned()
                .into());
        }
        let arguments = self.args.as_deref().map(arguments).transpose()?;
        let mut lines = BufReader::with_capacity(CHUNK, io::stdin().lock());
        let mut out = Answers::with_capacity(CHUNK);
        let mut exit = ExitCode::SUCCESS;
        loop {
            // Who asks by hand, or through a pipe and waits for the answer, has it before more is read.
            if lines.buffer().is_empty() {
                out.flush()?;
            }
            let Some(line) = next_line(&mut lines)? else { break };
            let target = line.and_then(|line| target(&line));
            let answer = target
                .as_deref()
                .map_err(Clone::clone)
                .and_then(|target| self.best(config, asked, target, arguments.as_deref()));
            if answer.is_err() {
                exit = ExitCode::from(EXIT_CONFIG);
            }
            match self.json {
                true => out.say_json(&in_json(target.ok(), answer))?,
                false => out.say(&in_words(answer))?,
            }
        }
        out.flush()?;
        Ok(exit)
    }

    /// The answer of the first token that may, or of the first.
    fn best<'a>(
        &self,
        config: &'a Config,
        asked: &'a [Asked],
        target: &str,
        arguments: Option<&str>,
    ) -> Result<Answer<'a>, String> {
        let mut best = None;
        for asked in asked {
            let answer = self.answer(config, asked, target, arguments);
            let answer = answer.map_err(|complaint| complaint.0)?;
            if answer.may() {
                return Ok(answer);
            }
            best.get_or_insert(answer);
        }
        best.ok_or_else(|| "nobody is asked about".to_owned())
    }
}

impl Answer<'_> {
    /// Its first line, which begins with `yes` or `no`; conditions stand in the JSON.
    fn line(&self) -> String {
        let text = self.text(false, false);
        text.lines().next().unwrap_or_default().to_owned()
    }
}

/// The next line without its end; what is wrong with it is for its answer. `None` at the end.
fn next_line(lines: &mut impl BufRead) -> Result<Option<Result<String, String>>, Complaint> {
    let unread = |error| format!("standard input cannot be read: {error}");
    let mut line = Vec::new();
    lines.take(MAX_LINE + 1).read_until(b'\n', &mut line).map_err(unread)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if u64::try_from(line.len()).is_ok_and(|length| length > MAX_LINE) {
        lines.skip_until(b'\n').map_err(unread)?;
        return Ok(Some(Err(format!("the line is longer than {MAX_LINE} bytes"))));
    }
    Ok(Some(String::from_utf8(line).map_err(|_| "the line is not UTF-8".to_owned())))
}

/// The target that a line names: the line itself, or the JSON string that it is.
fn target(line: &str) -> Result<String, String> {
    if line.starts_with('"') {
        return serde_json::from_str(line)
            .map_err(|error| format!("the line is not one JSON string: {error}"));
    }
    Ok(line.to_owned())
}

/// One line, whatever the line was that it is about.
fn in_words(answer: Result<Answer<'_>, String>) -> String {
    match answer {
        Ok(answer) => answer.line(),
        Err(complaint) => format!("error  {}", visible(trimmed(&complaint))),
    }
}

/// Without what would lead over to a suggestion where there is none.
fn trimmed(complaint: &str) -> &str {
    complaint.trim_end_matches([' ', ';'])
}

fn in_json(target: Option<String>, answer: Result<Answer<'_>, String>) -> Value {
    let mut line = match answer {
        Ok(answer) => answer.json(),
        Err(complaint) => json!({"error": trimmed(&complaint)}),
    };
    if let Value::Object(members) = &mut line {
        members.insert("target".to_owned(), target.into());
    }
    line
}
