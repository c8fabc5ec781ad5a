//! Templates of URIs (RFC 6570).

/// Stands for an expression of a template: only a wildcard matches it.
pub(super) const EXPRESSION: &str = "\u{fffc}";

/// `template` with `filler` for each expression, behind the mark that the expression writes
/// itself, like the `?` of `{?q}`. `None` where braces do not match.
pub(super) fn fill(template: &str, filler: &str) -> Option<String> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((literal, behind)) = rest.split_once('{') {
        let (expression, behind) = behind.split_once('}')?;
        if literal.contains('}') || expression.is_empty() || expression.contains('{') {
            return None;
        }
        out.push_str(literal);
        out.extend(expression.chars().next().filter(|c| "?&#/.;".contains(*c)));
        out.push_str(filler);
        rest = behind;
    }
    out.push_str(rest);
    (!rest.contains('}')).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_a_template_are_filled() {
        assert_eq!(fill("t://{id}/x{?q,r}", "-").as_deref(), Some("t://-/x?-"));
        assert_eq!(fill("t://a/{+path}{#f}", "-").as_deref(), Some("t://a/-#-"));
        assert_eq!(fill("t://a", "-").as_deref(), Some("t://a"));
        for broken in ["t://{", "t://}", "t://{}", "t://{{a}}", "t://{a", "t://a}{b}"] {
            assert_eq!(fill(broken, "-"), None, "{broken}");
        }
    }
}
