//! The steps of a decision, numbered, as an operator reads them.

use super::table::columns;
use crate::core::permission::Permission;
use crate::core::trace::Step;

/// One line a step.
pub(super) fn numbered(before: &[[String; 3]], steps: &[Step]) -> String {
    let lines = before.iter().cloned().chain(steps.iter().map(line));
    let numbered: Vec<Vec<String>> = lines
        .zip(1..)
        .map(|([what, found, verdict], number)| vec![number.to_string(), what, found, verdict])
        .collect();
    columns(&numbered).lines().map(|line| format!("  {line}\n")).collect()
}

fn at(rule: Option<&crate::core::rule::Rule>) -> String {
    rule.map_or_else(|| "-".to_owned(), |rule| format!("{}, {}", rule.name(), rule.place()))
}

/// What was looked at, what was found, what follows.
fn line(step: &Step) -> [String; 3] {
    let tried = |is_enforced: bool, word: &str| match is_enforced {
        true => word.to_owned(),
        false => format!("{word} (only tried out)"),
    };
    match step {
        Step::Roles(roles) if roles.is_empty() => {
            ["roles".to_owned(), "none".to_owned(), String::new()]
        }
        Step::Roles(roles) => ["roles".to_owned(), roles.join(", "), String::new()],
        Step::Denied { is_denied: false, .. } => {
            ["deny".to_owned(), "no match".to_owned(), "ok".to_owned()]
        }
        Step::Denied { rule, is_enforced, .. } => {
            ["deny".to_owned(), at(rule.as_ref()), tried(*is_enforced, "DENIED")]
        }
        Step::Allowed { pattern, rule } => [
            "allow".to_owned(),
            format!("\"{pattern}\" in {}", at(rule.as_ref())),
            "match".to_owned(),
        ],
        Step::NotAllowed { tried_out: Some(rule) } => {
            ["allow".to_owned(), at(Some(rule)), "only tried out: everything passes".to_owned()]
        }
        Step::NotAllowed { tried_out: None } => {
            ["allow".to_owned(), "no match".to_owned(), "NOT ALLOWED".to_owned()]
        }
        Step::Pinned(refused) => {
            let found = match refused {
                None => "approved",
                Some(Permission::ToolChanged) => "not what was approved",
                Some(_) => "not approved",
            };
            let verdict = if refused.is_some() { "NOT THERE" } else { "ok" };
            ["lock".to_owned(), found.to_owned(), verdict.to_owned()]
        }
        Step::Condition { condition, got, holds, is_enforced, rule } => [
            "condition".to_owned(),
            format!("{condition}, {}: got {got}", rule.place()),
            if *holds { "ok".to_owned() } else { tried(*is_enforced, "FAILED") },
        ],
    }
}
