//! What a ticket is, what a new one must look like, and how its id is written.

use serde::{Deserialize, Serialize};

use crate::vocabulary::{CATEGORY, PRIORITY};

/// The most characters in a title.
const MAX_TITLE: usize = 200;

/// The most characters in a description.
const MAX_DESCRIPTION: usize = 20_000;

/// A ticket as the API answers it.
#[derive(Debug, Serialize)]
pub(crate) struct Ticket {
    /// As written by [`id_text`].
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) category: String,
    pub(crate) priority: String,
    pub(crate) status: String,
    /// The user of the request that made it.
    pub(crate) created_by: String,
    pub(crate) organization_id: String,
    /// RFC 3339, UTC.
    pub(crate) created_at: String,
}

/// A ticket that passed every check and may be stored.
#[derive(Debug)]
pub(crate) struct NewTicket {
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) category: &'static str,
    pub(crate) priority: &'static str,
}

/// The body of a request for a new ticket, before any check.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    pub(crate) title: String,
    pub(crate) description: String,
    #[serde(default = "default_category")]
    pub(crate) category: String,
    #[serde(default = "default_priority")]
    pub(crate) priority: String,
}

pub(crate) fn default_category() -> String {
    "general".to_owned()
}

pub(crate) fn default_priority() -> String {
    "medium".to_owned()
}

impl Draft {
    /// The ticket, or the first thing that is wrong with it.
    pub(crate) fn check(self) -> Result<NewTicket, String> {
        let title = self.title.trim();
        // A control character could forge a line wherever titles are listed one a line.
        if title.is_empty() || longer(title, MAX_TITLE) || title.contains(char::is_control) {
            return Err(format!(
                "title must have 1 to {MAX_TITLE} characters, none of them a control character"
            ));
        }
        // SQLite's LIKE stops at a NUL, so the rest would be stored but never found.
        if longer(&self.description, MAX_DESCRIPTION) || self.description.contains('\0') {
            return Err(format!(
                "description must have at most {MAX_DESCRIPTION} characters, none of them NUL"
            ));
        }
        Ok(NewTicket {
            category: CATEGORY.word(&self.category)?,
            priority: PRIORITY.word(&self.priority)?,
            title: title.to_owned(),
            description: self.description,
        })
    }
}

fn longer(text: &str, limit: usize) -> bool {
    text.chars().nth(limit).is_some()
}

/// The form that people and models copy around: `T-12`.
pub(crate) fn id_text(number: i64) -> String {
    format!("T-{number}")
}

/// Reads an id back; people leave the prefix off or write it small.
pub(crate) fn id_number(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix("T-").or_else(|| text.strip_prefix("t-")).unwrap_or(text);
    Some(digits)
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .filter(|number| *number > 0)
        .ok_or_else(|| "parameter ticket_id must look like T-12".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft {
            title: "Printer".into(),
            description: String::new(),
            category: default_category(),
            priority: default_priority(),
        }
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        assert_eq!(id_number(&id_text(12)), Ok(12));
        assert_eq!(id_number("t-12"), Ok(12));
        assert_eq!(id_number("12"), Ok(12));
        for text in
            ["", "T-", "T-0", "T--1", "-1", "+1", "T-1/../2", "T-1?q", "99999999999999999999"]
        {
            assert!(id_number(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn limits_count_characters_and_hold_at_the_edge() {
        assert!(Draft { title: "ü".repeat(MAX_TITLE), ..draft() }.check().is_ok());
        assert!(Draft { title: "ü".repeat(MAX_TITLE + 1), ..draft() }.check().is_err());
        assert!(Draft { description: "ü".repeat(MAX_DESCRIPTION), ..draft() }.check().is_ok());
        assert!(Draft { description: "ü".repeat(MAX_DESCRIPTION + 1), ..draft() }.check().is_err());
    }

    #[test]
    fn titles_and_descriptions_that_would_mislead_are_refused() {
        for title in ["", "   ", "a\nb", "a\u{1b}[2J"] {
            assert!(Draft { title: title.into(), ..draft() }.check().is_err(), "{title:?}");
        }
        assert!(Draft { description: "a\0b".into(), ..draft() }.check().is_err());
        assert!(Draft { description: "a\nb".into(), ..draft() }.check().is_ok());
    }
}
