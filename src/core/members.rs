//! The members of one object in a text, and the text without some of them.

use super::edits::Edits;
use super::json::Event;

/// The members of one object, gathered while its text is scanned.
#[derive(Debug, Default)]
pub struct Members {
    start: usize,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: String,
    /// True where the value is of the form that this name should have.
    fits: bool,
    /// Behind the value.
    end: usize,
}

impl Members {
    /// The members of an object whose bracket ends at `start`; none yet.
    #[must_use]
    pub fn begin(start: usize) -> Self {
        Self { start, members: Vec::new() }
    }

    /// Takes the next event of the scanner that is directly inside of the object: a member begins,
    /// or the object or array that is its value ends.
    pub fn see(&mut self, event: &Event<'_>, fits: bool) {
        match (&event.key, self.members.last_mut()) {
            (Some(name), _) => {
                let name = name.clone().into_owned();
                self.members.push(Member { name, fits, end: event.end });
            }
            (None, Some(last)) => last.end = event.end,
            (None, None) => {}
        }
    }

    /// Takes out every member whose value does not fit, or whose name is not among `names`. What
    /// stays, stays byte for byte, but for the comma in front of a member that is now the first.
    pub fn keep_only(&self, text: &str, names: &[&str], edits: &mut Edits) {
        self.keep(text, |name| names.contains(&name), edits);
    }

    /// The same, by a test of the names.
    pub fn keep(&self, text: &str, is_wanted: impl Fn(&str) -> bool, edits: &mut Edits) {
        let mut from = self.start;
        let (mut is_first, mut has_dropped) = (true, false);
        for member in &self.members {
            if !(member.fits && is_wanted(&member.name)) {
                edits.replace(from..member.end, "");
                has_dropped = true;
            } else if std::mem::take(&mut is_first) && has_dropped {
                let comma = text.get(from..member.end).and_then(|member| member.find(','));
                edits.replace(from..from + comma.map_or(0, |at| at + 1), "");
            }
            from = member.end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::json::Scanner;

    /// The object `text` without the members that are not wanted.
    fn only(text: &str, wanted: &[&str]) -> String {
        let mut scanner = Scanner::new(text, 8);
        let mut members = Members::default();
        while let Some(event) = scanner.next_event().unwrap() {
            match event.depth {
                0 if members.start == 0 => members = Members::begin(event.end),
                1 => members.see(&event, event.key.as_deref() != Some("bad")),
                _ => {}
            }
        }
        let mut edits = Edits::default();
        members.keep_only(text, wanted, &mut edits);
        edits.apply(text)
    }

    #[test]
    fn whatever_is_taken_out_the_rest_is_an_object_with_its_bytes() {
        let text = r#"{ "a" : [1,{"b":2}] , "b":"x,y","c":{},"bad":1 , "d": 1.50 }"#;
        let cases = [
            (&["a", "b", "c", "d"][..], r#"{ "a" : [1,{"b":2}] , "b":"x,y","c":{} , "d": 1.50 }"#),
            (&["a", "d"], r#"{ "a" : [1,{"b":2}] , "d": 1.50 }"#),
            (&["b"], r#"{ "b":"x,y" }"#),
            (&["c", "d"], r#"{"c":{} , "d": 1.50 }"#),
            (&["d", "bad"], r#"{ "d": 1.50 }"#),
            (&["bad"], "{ }"),
        ];
        for (wanted, expected) in cases {
            let passed = only(text, wanted);
            assert_eq!(passed, expected, "{wanted:?}");
            assert!(serde_json::from_str::<serde_json::Value>(&passed).is_ok(), "{passed}");
        }
        assert_eq!(only(r#"{"a":1}"#, &["a"]), r#"{"a":1}"#);
        assert_eq!(only("{}", &["a"]), "{}");
    }
}
