//! Roles, grants and patterns: which tools, prompts and resources of which upstream a principal
//! may use.
//!
//! Nothing is allowed unless a pattern allows it, and a deny beats every allow. Patterns live in
//! the configuration only; what a caller sends is never taken for one.

use std::sync::Arc;

use super::pattern::{Half, Pattern, is_plain_name};
use super::resource;

/// Stands for the expressions of a URI template: only a wildcard matches it.
const EXPRESSION: &str = "\u{fffc}";

/// The kinds of things that are permitted one by one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TargetKind {
    /// A prompt, by its name.
    Prompt,
    /// A resource, by its URI.
    Resource,
    /// Resources of one form, by their URI template (RFC 6570).
    Template,
    /// A tool, by its name.
    Tool,
}

/// One thing of an upstream that a caller wants to see or use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Target<'t> {
    /// What it is.
    pub kind: TargetKind,
    /// Its name, URI or template.
    pub name: &'t str,
}

/// Patterns for each kind of thing.
#[derive(Debug, Default, PartialEq)]
pub struct Patterns {
    /// Of names of tools.
    pub tools: Vec<Pattern>,
    /// Of names of prompts.
    pub prompts: Vec<Pattern>,
    /// Of URIs of resources.
    pub resources: Vec<Pattern>,
}

impl Patterns {
    fn of(&self, kind: TargetKind) -> &[Pattern] {
        match kind {
            TargetKind::Prompt => &self.prompts,
            TargetKind::Resource | TargetKind::Template => &self.resources,
            TargetKind::Tool => &self.tools,
        }
    }

    fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.prompts.is_empty() && self.resources.is_empty()
    }
}

/// A named set of allowing and denying patterns.
#[derive(Debug, Default, PartialEq)]
pub struct Role {
    /// The role's name.
    pub name: String,
    /// What it allows.
    pub allow: Patterns,
    /// What it denies, whatever else allows it.
    pub deny: Patterns,
}

/// Everything a principal was granted. The default grants nothing.
#[derive(Debug, Default, PartialEq)]
pub struct Grants {
    /// The principal's roles.
    pub roles: Vec<Arc<Role>>,
    /// Patterns granted to the token itself.
    pub direct: Patterns,
}

/// The answer to "may this principal use this?", with the reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Permission {
    /// A pattern allows it and none denies it.
    Allowed,
    /// A role's `deny` covers it.
    DeniedByRule,
    /// The principal has neither roles nor direct grants.
    NoRole,
    /// No pattern covers it.
    NoMatch,
}

/// A target in the forms that patterns are compared with.
struct Compared<'t> {
    /// What an allowing pattern must match.
    name: &'t str,
    /// Whether a glob may do that.
    is_plain: bool,
    /// What no denying pattern may match.
    forms: &'t [&'t str],
}

impl Grants {
    /// Judges one target of one upstream.
    #[must_use]
    pub fn judge(&self, upstream: &str, target: Target<'_>) -> Permission {
        let name = target.name;
        let compare = |name, is_plain, forms: &[&str]| {
            self.compare(upstream, target.kind, &Compared { name, is_plain, forms })
        };
        match target.kind {
            TargetKind::Tool | TargetKind::Prompt => compare(name, is_plain_name(name), &[name]),
            TargetKind::Template if name.contains('{') => {
                let is_plain = resource::fill(name, "x").is_some_and(|t| resource::is_plain(&t));
                let filled = resource::fill(name, EXPRESSION).unwrap_or_default();
                compare(&filled, is_plain, &[&filled])
            }
            TargetKind::Resource | TargetKind::Template => {
                let forms = resource::forms(name);
                let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
                compare(name, resource::is_plain(name), &forms)
            }
        }
    }

    fn compare(&self, upstream: &str, kind: TargetKind, target: &Compared<'_>) -> Permission {
        let here = |patterns: &Patterns, matches: &dyn Fn(&Half) -> bool| {
            let mut patterns = patterns.of(kind).iter();
            patterns.any(|p| p.upstream.matches(upstream) && matches(&p.name))
        };
        let denies = |half: &Half| target.forms.iter().any(|form| half.matches(form));
        let allows = |half: &Half| half.reaches(target.name, target.is_plain);
        if self.roles.iter().any(|role| here(&role.deny, &denies)) {
            Permission::DeniedByRule
        } else if here(&self.direct, &allows)
            || self.roles.iter().any(|role| here(&role.allow, &allows))
        {
            Permission::Allowed
        } else if self.roles.is_empty() && self.direct.is_empty() {
            Permission::NoRole
        } else {
            Permission::NoMatch
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Patterns {
        let tools = texts.iter().map(|t| Pattern::of_names(t).unwrap()).collect();
        Patterns { tools, ..Patterns::default() }
    }

    fn uris(texts: &[&str]) -> Patterns {
        let resources = texts.iter().map(|t| Pattern::of_uris(t).unwrap()).collect();
        Patterns { resources, ..Patterns::default() }
    }

    fn grants(allow: &[&str], deny: &[&str], direct: &[&str]) -> Grants {
        let role = Role { name: "r".into(), allow: names(allow), deny: names(deny) };
        Grants { roles: vec![Arc::new(role)], direct: names(direct) }
    }

    fn tool(grants: &Grants, name: &str) -> Permission {
        grants.judge("t", Target { kind: TargetKind::Tool, name })
    }

    fn resource(allow: &[&str], deny: &[&str], kind: TargetKind, name: &str) -> Permission {
        let role = Role { name: "r".into(), allow: uris(allow), deny: uris(deny) };
        let grants = Grants { roles: vec![Arc::new(role)], direct: Patterns::default() };
        grants.judge("t", Target { kind, name })
    }

    #[test]
    fn nothing_granted_allows_nothing() {
        assert_eq!(tool(&Grants::default(), "echo"), Permission::NoRole);
        assert_eq!(tool(&grants(&[], &[], &[]), "echo"), Permission::NoMatch);
    }

    #[test]
    fn deny_beats_every_allow() {
        let both = grants(&["t/*"], &["t/delete_*"], &["t/delete_all"]);
        assert_eq!(tool(&both, "delete_all"), Permission::DeniedByRule);
        assert_eq!(tool(&both, "echo"), Permission::Allowed);
    }

    #[test]
    fn patterns_match_each_half_exactly() {
        let cases = [
            ("t/echo", "t", "echo", true),
            ("t/echo", "u", "echo", false),
            ("t/echo", "t", "Echo", false),
            ("t/echo", "t", "echo2", false),
            ("*/echo", "t", "echo", true),
            ("t/get_*", "t", "get_ticket", true),
            ("t/get_*", "t", "forget_x", false),
            ("t/{a,b}", "t", "b", true),
            ("t/*", "t", "a.b-c_9", true),
            ("t/a/b", "t", "a/b", true),
            ("t/*", "t", "a/b", false),
            ("t/*", "t", "", false),
        ];
        for (pattern, upstream, tool, expected) in cases {
            let target = Target { kind: TargetKind::Tool, name: tool };
            let judged = grants(&[pattern], &[], &[]).judge(upstream, target);
            assert_eq!(judged == Permission::Allowed, expected, "{pattern} {tool}");
        }
    }

    #[test]
    fn a_glob_never_reaches_a_name_that_an_upstream_might_fold() {
        let all = grants(&["t/*"], &[], &[]);
        let long = "a".repeat(129);
        for name in [
            " delete_all",
            "delete_all\n",
            "echo\0delete_all",
            "echo/../x",
            "echo,x",
            "dеlete",
            "ｄelete",
            "e\u{301}",
            "a\u{200d}b",
            "*",
            "a b",
            long.as_str(),
        ] {
            assert_eq!(tool(&all, name), Permission::NoMatch, "{name:?}");
        }
        let literal = grants(&["t/list tickets"], &[], &[]);
        assert_eq!(tool(&literal, "list tickets"), Permission::Allowed);
    }

    #[test]
    fn what_the_caller_sends_is_never_a_pattern() {
        let one = grants(&["t/echo"], &[], &[]);
        for name in ["*", "ech?", "e.*", "{echo,x}", "[e]cho"] {
            assert_eq!(tool(&one, name), Permission::NoMatch, "{name}");
        }
    }

    #[test]
    fn a_deny_reaches_names_that_no_glob_may_allow() {
        let odd = grants(&["t/delete all"], &["t/*delete*"], &[]);
        assert_eq!(tool(&odd, "delete all"), Permission::DeniedByRule);
        let path = grants(&["t/a/b"], &["t/*"], &[]);
        assert_eq!(tool(&path, "a/b"), Permission::DeniedByRule);
    }

    #[test]
    fn one_kind_of_grant_is_not_another() {
        let tools = grants(&["t/*"], &[], &[]);
        for kind in [TargetKind::Prompt, TargetKind::Resource, TargetKind::Template] {
            let judged = tools.judge("t", Target { kind, name: "echo" });
            assert_eq!(judged, Permission::NoMatch, "{kind:?}");
        }
    }

    #[test]
    fn a_resource_is_allowed_by_its_uri() {
        let cases = [
            ("t/file:///docs/*", "file:///docs/a.md", true),
            ("t/file:///docs/*", "file:///docs/a/b.md", false),
            ("t/file:///docs/**", "file:///docs/a/b.md", true),
            ("t/file:///docs/**", "file:///docs/../etc/passwd", false),
            ("t/file:///docs/**", "file:///docs/%2e%2e/etc/passwd", false),
            ("t/file:///docs/**", "file:///docs/..%2Fetc", false),
            ("t/file:///docs/**", "FILE:///docs/a", false),
            ("t/file:///docs", "file:///docs/a", false),
            ("t/file:///docs*", "file:///docs-secret", true),
            ("t/file:///docs/*", "file:///docs-secret", false),
            ("t/**", "file:///anything", true),
            ("t/ticket://*", "ticket://TCK-1", true),
            ("t/ticket://list?status=*", "ticket://list?status=open", true),
            ("t/ticket://list?status=*", "ticket://listXstatus=open", false),
            ("t/ticket://{a,b}", "ticket://b", true),
            ("t/file:///a b", "file:///a b", true),
            ("t/file:///docs/#x", "file:///docs/#x", true),
        ];
        for (pattern, uri, expected) in cases {
            let judged = resource(&[pattern], &[], TargetKind::Resource, uri);
            assert_eq!(judged == Permission::Allowed, expected, "{pattern} {uri}");
        }
    }

    #[test]
    fn a_denied_resource_is_denied_in_every_spelling() {
        for uri in [
            "ticket://secret",
            "ticket://SECRET",
            "TICKET://secret",
            "ticket://%73ecret",
            "ticket://secret/",
            "ticket://secret?x=1",
            "ticket://secret#x",
        ] {
            let deny = &["t/ticket://secret"];
            let allow = format!("t/{uri}");
            for allow in [&[allow.as_str()], &["t/**"]] {
                let judged = resource(allow, deny, TargetKind::Resource, uri);
                assert_eq!(judged, Permission::DeniedByRule, "{allow:?} {uri}");
            }
        }
    }

    #[test]
    fn a_deny_that_ends_in_a_slash_holds_in_other_spellings_too() {
        for uri in ["docs://all/", "DOCS://all/", "docs://all/?x=1"] {
            let judged = resource(&["t/**"], &["t/docs://all/"], TargetKind::Resource, uri);
            assert_eq!(judged, Permission::DeniedByRule, "{uri}");
        }
    }

    #[test]
    fn a_template_is_allowed_where_a_wildcard_covers_its_expressions() {
        let cases = [
            ("t/ticket://*", "ticket://{id}", true),
            ("t/ticket://*", "ticket://{+path}/x", false),
            ("t/ticket://**", "ticket://{+path}/x", true),
            ("t/ticket://open", "ticket://{id}", false),
            ("t/ticket://open-*", "ticket://{id}", false),
            ("t/ticket://x*", "ticket://{id}", false),
            ("t/ticket://*", "ticket://{id", false),
            ("t/ticket://*", "ticket://../{id}", false),
            ("t/ticket://a", "ticket://a", true),
        ];
        for (pattern, template, expected) in cases {
            let judged = resource(&[pattern], &[], TargetKind::Template, template);
            assert_eq!(judged == Permission::Allowed, expected, "{pattern} {template}");
        }
    }
}
