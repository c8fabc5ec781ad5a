//! Texts of a configuration that stand for too much: each is an error at its place, in no time.

use super::tests::{UPSTREAM, read};

/// Each key that takes a glob, with `@` in its place.
const GLOBS: [(&str, &str); 16] = [
    ("[roles.r]\ntools = ['t/@']", "DW0012"),
    ("[roles.r]\ntools = ['@/x']", "DW0012"),
    ("[roles.r]\ndeny = ['t/@']", "DW0012"),
    ("[roles.r]\nprompts = ['t/@']", "DW0012"),
    ("[roles.r]\ndeny_prompts = ['t/@']", "DW0012"),
    ("[roles.r]\nresources = ['t/docs://@']", "DW0012"),
    ("[roles.r]\nresources = ['@/docs://x']", "DW0012"),
    ("[roles.r]\ndeny_resources = ['t/docs://@']", "DW0012"),
    ("[roles.r]\n[[roles.r.when]]\ntools = ['t/@']\narguments.'/a' = { in = ['x'] }", "DW0012"),
    ("[tools.'t/@']\narguments.'/a' = { in = ['x'] }", "DW0012"),
    ("[tokens.x]\ntools = ['t/@']\nsha256_env = 'X'", "DW0012"),
    ("[issuers.i]\nscopes = { s = ['t/@'] }", "DW0012"),
    ("[issuers.i]\nscopes = { s = { resources = ['t/x:@'] } }", "DW0012"),
    ("[tools.'t/x']\narguments.'/a' = { glob = '@' }", "DW0006"),
    ("[tools.'t/x']\narguments.'/a' = { glob = 'https://@' }", "DW0006"),
    ("[tools.'t/x']\narguments.'/a' = { url = { host = 'x.com', path = '/@' } }", "DW0014"),
];

const PLACED: &str = "gateway.toml:";

fn errors(rest: &str) -> Vec<String> {
    let text = format!("{UPSTREAM}{rest}\n");
    match read(&text) {
        Ok(_) => Vec::new(),
        Err(found) => found
            .findings()
            .iter()
            .filter(|finding| finding.severity == super::Severity::Error)
            .map(|finding| {
                let (line, column) = found.position(finding);
                format!("{PLACED}{line}:{column}: {} {}", finding.code.as_str(), finding.message)
            })
            .collect(),
    }
}

#[test]
fn a_glob_that_stands_for_too_much_is_an_error_wherever_globs_are_taken() {
    let many = |count: usize| (0..count).map(|n| format!("x{n}*,")).collect::<String>();
    for (text, code) in GLOBS {
        for glob in [
            "{a,".repeat(125) + "x" + &"}".repeat(125),
            "{a,".repeat(100_000) + "x" + &"}".repeat(100_000),
            "{".repeat(3_000),
            format!("{{{}y}}", many(2_000)),
            format!("{{{}y}}", many(100_000)),
            "{a,b}".repeat(70),
        ] {
            let found = errors(&text.replace('@', &glob));
            let is_told = |line: &String| line.starts_with(PLACED) && line.contains(code);
            assert!(found.iter().any(is_told), "{text} {:.20}: {found:.200?}", glob);
        }
        // What somebody may write is not refused.
        let families = "{get,list}_{ticket,user{,s}}";
        let found = errors(&text.replace('@', families));
        let is_refused = |line: &String| line.contains(" glob");
        assert!(!found.iter().any(is_refused), "{text}: {found:?}");
    }
    for name in ["{a,".repeat(125) + "x" + &"}".repeat(125), format!("{{{}y}}", many(2_000))] {
        let found = read(&format!("include = ['{name}']\n{UPSTREAM}")).unwrap_err();
        assert_eq!(found.counts().0, 1, "{name:.20}");
    }
}

#[test]
fn a_pointer_deeper_than_any_request_is_an_error_wherever_pointers_are_taken() {
    let issuer = "[server]\npublic_url = 'https://m.example'\n[issuers.i]\nissuer = 'https://i.example'\n\
        jwks_url = 'https://i.example/keys'\n";
    let fixed = format!("{issuer}organization = 'o'\n");
    for text in [
        "[tools.'t/x']\narguments.'@' = { in = ['x'] }".to_owned(),
        "[roles.r]\ntools = ['t/x']\n[[roles.r.when]]\ntools = ['t/x']\narguments.'@' = { in = ['x'] }"
            .to_owned(),
        format!("{fixed}user_claim = '@'"),
        format!("{fixed}roles_claim = '@'"),
        format!("{issuer}organization_claim = '@'"),
    ] {
        for pointer in
            ["/a".repeat(129), "/a".repeat(2_000), "/a".repeat(1 << 20), "/é".repeat(1_000), format!("/{}", "a".repeat(5_000))]
        {
            let found = errors(&text.replace('@', &pointer));
            let is_told = |line: &String| line.contains("leads through more than 128 names");
            assert!(found.iter().any(is_told), "{text} {:.9}: {found:.200?}", pointer);
        }
        for pointer in ["/a".repeat(128), "/a".to_owned()] {
            assert!(errors(&text.replace('@', &pointer)).is_empty(), "{text}");
        }
    }
}
