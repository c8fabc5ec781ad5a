//! What a server announces, less what this gateway refuses to everybody.
//!
//! A client that is told of a capability uses its methods (MCP 2026-07-28, "Discovery"; MCP
//! 2025-11-25, "Capability Negotiation"). So what is announced is what is in the table of methods.

use super::edits::Edits;
use super::json::{JsonError, Scanner, Token};
use super::members::Members;
use super::policy::Tasks;

/// Capabilities of servers whose methods are in the table of methods.
const SERVED: [&str; 7] =
    ["completions", "experimental", "extensions", "logging", "prompts", "resources", "tools"];

/// The tasks extension (SEP-2663).
const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// Extensions with methods of their own that are not in the table of methods: skills (SEP-2640).
/// One that is not known here may have none, and stays.
const REFUSED_EXTENSIONS: [&str; 1] = ["io.modelcontextprotocol/skills"];

/// The result of `initialize` or `server/discover` in `text` without capabilities that are not
/// served; `None` where all of them are.
///
/// # Errors
/// Where `text` is not one unambiguous JSON value.
pub fn strip(text: &str, max_depth: usize, tasks: Tasks) -> Result<Option<String>, JsonError> {
    let has_tasks = tasks == Tasks::Sealed;
    let mut stripped: Option<String> = None;
    let mut drop = |path: &[&str], keep: &dyn Fn(&str) -> bool| {
        let text = stripped.as_deref().unwrap_or(text);
        let mut edits = Edits::default();
        if let Some(members) = members(text, max_depth, path)? {
            members.keep(text, keep, &mut edits);
        }
        if !edits.is_empty() {
            stripped = Some(edits.apply(text));
        }
        Ok(())
    };
    drop(&["result", "capabilities", "extensions"], &|name| {
        (has_tasks || name != TASKS_EXTENSION) && !REFUSED_EXTENSIONS.contains(&name)
    })?;
    // Whose tasks a list would show, only the upstream could know.
    drop(&["result", "capabilities", "tasks"], &|name| name != "list")?;
    drop(&["result", "capabilities"], &|name| {
        SERVED.contains(&name) || (has_tasks && name == "tasks")
    })?;
    Ok(stripped)
}

/// The members of the object at `path`; `None` where there is none.
fn members(text: &str, max_depth: usize, path: &[&str]) -> Result<Option<Members>, JsonError> {
    let mut scanner = Scanner::new(text, max_depth);
    // How much of the path leads to the value that is being read.
    let mut matched = 0;
    let mut found: Option<Members> = None;
    let mut is_open = false;
    while let Some(event) = scanner.next_event()? {
        if is_open && event.depth == path.len() + 1 {
            if let Some(found) = &mut found {
                found.see(&event, true);
            }
        } else if event.depth == matched + 1
            && event.token == Token::ObjectStart
            && found.is_none()
            && event.key.as_deref() == path.get(matched).copied()
        {
            matched += 1;
            if matched == path.len() {
                is_open = true;
                found = Some(Members::begin(event.end));
            }
        } else if event.depth == matched && event.token == Token::End && matched > 0 {
            matched -= 1;
            is_open = false;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(capabilities: &str, tasks: Tasks) -> String {
        let text =
            |c: &str| format!(r#"{{"id":1,"result":{{"a":{{}},"capabilities":{c},"z":1}}}}"#);
        let sent = text(capabilities);
        let passed = strip(&sent, 64, tasks).unwrap().unwrap_or_else(|| sent.clone());
        let (head, tail) = (r#"{"id":1,"result":{"a":{},"capabilities":"#, r#","z":1}}"#);
        passed.strip_prefix(head).and_then(|p| p.strip_suffix(tail)).unwrap().to_owned()
    }

    #[test]
    fn what_is_refused_to_everybody_is_not_announced() {
        let cases = [
            ("{}", "{}"),
            (r#"{"tools":{"listChanged":true}}"#, r#"{"tools":{"listChanged":true}}"#),
            (r#"{"tools":{},"tasks":{"list":{},"cancel":{}}}"#, r#"{"tools":{}}"#),
            (
                r#"{ "tasks":{"a":[1]} , "tools":{},"new":3, "logging":{} }"#,
                r#"{ "tools":{}, "logging":{} }"#,
            ),
            (r#"{"tasks":{}}"#, "{}"),
            (
                r#"{"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/ui":{"x":1}}}"#,
                r#"{"extensions":{"io.modelcontextprotocol/ui":{"x":1}}}"#,
            ),
            (
                r#"{"extensions":{"io.modelcontextprotocol/tasks":{}},"new":1}"#,
                r#"{"extensions":{}}"#,
            ),
        ];
        for (sent, passed) in cases {
            assert_eq!(stripped(sent, Tasks::Off), passed, "{sent}");
        }
    }

    #[test]
    fn sealed_tasks_are_announced_without_their_list() {
        let sent = r#"{"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}}"#;
        let passed = r#"{"tasks":{"cancel":{},"requests":{"tools":{"call":{}}}}}"#;
        assert_eq!(stripped(sent, Tasks::Sealed), passed);
        let extension = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
        assert_eq!(stripped(extension, Tasks::Sealed), extension);
        let skills = r#"{"extensions":{"io.modelcontextprotocol/skills":{},"x/y":{}}}"#;
        assert_eq!(stripped(skills, Tasks::Sealed), r#"{"extensions":{"x/y":{}}}"#);
    }

    #[test]
    fn capabilities_elsewhere_stay() {
        let text = r#"{"result":{"tools":{"capabilities":{"tasks":{}}},"x":[{"tasks":1}]}}"#;
        assert_eq!(strip(text, 64, Tasks::Off), Ok(None));
        assert_eq!(strip(r#"{"capabilities":{"tasks":{}}}"#, 64, Tasks::Off), Ok(None));
        assert_eq!(strip(r#"{"result":{"capabilities":[]}}"#, 64, Tasks::Off), Ok(None));
    }
}
