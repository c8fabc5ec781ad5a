//! Restrictions and grants that are legal and void, and good ones that look a little like them.

use super::tests::{UPSTREAM, read, token};

/// Codes and messages for `text`, which has no roles and tokens of its own, with somebody who holds
/// role `r`.
fn told(text: &str) -> Vec<String> {
    let all = format!("{UPSTREAM}{text}\n{}", token("roles = ['r']\n"));
    let found = match read(&all) {
        Ok(config) => config.warnings,
        Err(found) => found,
    };
    let shown = |finding: &super::Finding| {
        format!("{} {}; {}", finding.code.as_str(), finding.message, finding.help)
    };
    // The token has no end, which is not the question here.
    found.findings().iter().map(shown).filter(|line| !line.starts_with("DW0106")).collect()
}

#[track_caller]
fn is_told(text: &str, code: &str, said: &str) {
    let found = told(text);
    let is_it = |line: &String| line.starts_with(code) && line.contains(said);
    assert!(found.iter().any(is_it), "{text}: no {code} {said} in {found:#?}");
}

#[track_caller]
fn is_silent(text: &str) {
    assert_eq!(told(text), [""; 0], "{text}");
}

fn role(rest: &str) -> String {
    format!("[roles.r]\ntools = ['t/echo', 't/get_*']\n{rest}")
}

/// The same beside approved tools: `echo` with this schema of its arguments, and `get_x`.
fn told_locked(schema: &str, pointer: &str, tests: &str) -> Vec<String> {
    use super::{Approved, lock_text};
    use crate::core::pin::Definition;
    let tool = |schema: &str| Definition::read(&format!("{{\"inputSchema\": {schema}}}")).unwrap();
    let tools = [("echo", schema), ("get_x", "{}")].map(|(name, s)| (name.to_owned(), tool(s)));
    let lock = lock_text(&Approved::from([("t".to_owned(), tools.into())]));
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("tools.lock"), lock).unwrap();
    let text = format!(
        "[lock]\nfile = 'tools.lock'\n{UPSTREAM}{}\n{}",
        argument(pointer, tests),
        token("roles = ['r']\n")
    );
    let found = match super::parse(&folder.path().join("gateway.toml"), &text) {
        Ok(config) => config.warnings,
        Err(found) => found,
    };
    let shown = |finding: &super::Finding| {
        format!("{} {}; {}", finding.code.as_str(), finding.message, finding.help)
    };
    found.findings().iter().map(shown).filter(|line| !line.starts_with("DW0106")).collect()
}

fn argument(pointer: &str, tests: &str) -> String {
    role(&format!("[tools.'t/echo']\narguments.\"{pointer}\" = {{ {tests} }}"))
}

#[test]
fn a_denial_of_what_no_grant_can_give_restricts_nothing() {
    for name in [
        "get_\u{435}vil",
        "get_evil\u{200b}",
        "get_é",
        "get_x y",
        "get_x ",
        "gеt_\u{445}",
        "get_\u{ff41}*",
        "get_é*",
        "{get_é,get_ü}",
        "put_*",
    ] {
        is_told(&role(&format!("deny = ['t/{name}']")), "DW0113", "restricts nothing");
    }
    for name in ["get_evil", "get_x*", "*", "{get_é,get_x}", "get_[a-z]*", "ech?", "*o"] {
        let found = told(&role(&format!("deny = ['t/{name}']")));
        let is_void = |line: &String| line.contains("restricts nothing");
        assert!(!found.iter().any(is_void), "{name}: {found:?}");
    }
    // What a literal gives, a denial takes.
    is_silent(
        "[roles.r]\ntools = ['t/größe', 't/x']\n[[roles.r.when]]\ntools = ['t/grö*']\narguments.'/a' = { in = ['b'] }",
    );
}

#[test]
fn a_character_that_misleads_is_named_wherever_it_stands() {
    for (text, said) in [
        (
            role("deny = ['t/get_\u{435}vil']"),
            "`deny` holds U+0435 (`\u{435}`), which looks like `e`",
        ),
        (role("deny = ['t/get_evil\u{200b}']"), "`deny` holds U+200B, which is not seen"),
        ("[roles.r]\ntools = ['t/ech\u{43e}']".to_owned(), "`tools` holds U+043E"),
        ("[roles.r]\ntools = [\"t/a\\nb\"]".to_owned(), "`tools` holds U+000A"),
        ("[roles.r]\ntools = ['t/get_\u{ff0a}']".to_owned(), "which looks like `*`"),
        (role("deny_prompts = ['t/\u{202e}x']"), "`deny_prompts` holds U+202E"),
        (role("resources = ['t/docs://\u{430}bc/**']"), "`resources` holds U+0430"),
        (argument("/us\u{435}r", "in = ['x']"), "U+0435"),
        (argument("/user", "in = ['adm\u{456}n']"), "`in` holds U+0456"),
        (role("[tools.'t/ech\u{43e}']\narguments.'/a' = { in = ['x'] }"), "U+043E"),
    ] {
        is_told(&text, "DW0126", said);
    }
    for text in [
        "[roles.r]\ntools = ['t/größe', 't/отчёт']\nprompts = ['t/Hello — world']".to_owned(),
        argument("/größe", "in = ['größe', 'отчёт', 'A – B', 'done ✔\u{fe0f}', 'Işık', '表']"),
    ] {
        is_silent(&text);
    }
}

#[test]
fn a_pointer_in_another_spelling_is_told_with_what_it_is_likely_to_mean() {
    for (pointer, meant) in [
        ("/arguments/a", "`/a`"),
        ("/params/arguments/a/b", "`/a/b`"),
        ("/params/a", "`/a`"),
        ("/$/a", "`/a`"),
        ("/items[0]", "`/items/0`"),
        ("/items[0]/id", "`/items/0/id`"),
        ("/a/items[0][1]", "`/a/items/0/1`"),
        ("/['a']", "`/a`"),
        ("/a%20b", "`/a b`"),
        ("/a%2Fb", "`/a~1b`"),
        ("/a.b", "`/a/b`"),
        ("/x/a.b.c", "`/x/a/b/c`"),
        ("/a\\\\b", "`/a/b`"),
        ("/a->b", "`/a/b`"),
        ("/a::b", "`/a/b`"),
        ("/items/01", "`/items/1`"),
        ("/items/00", "`/items/0`"),
        ("/ a", "`/a`"),
        ("/'a'", "`/a`"),
        ("/a/", "`/a`"),
        ("/items/*/id", "no wildcards"),
        ("/items[*]/id", "named by their place"),
        ("/items/-", "behind the last item"),
        ("//a", "it is empty"),
    ] {
        for tests in ["in = ['x'], optional = true", "in = ['x']", "absent = true"] {
            is_told(&argument(pointer, tests), "DW0120", meant);
        }
    }
    for pointer in [
        "/a",
        "/a/b",
        "/arguments",
        "/params",
        "/items/0",
        "/items/10/id",
        "/user_id",
        "/user-id",
        "/a~1b",
        "/v1.2",
        "/$filter",
        "/größe",
        "/a b",
        "/0",
        "/@type",
        "/x:y",
        "/discount%",
        "/a~0b",
    ] {
        is_silent(&argument(pointer, "in = ['x'], optional = true"));
    }
}

#[test]
fn a_condition_that_everything_fulfils_is_told() {
    for tests in [
        "regex = '[\\s\\S]*'",
        "regex = 'foo|.*'",
        "regex = '.*'",
        "regex = '^.+$'",
        "regex = '(?s).*'",
        "regex = '(a|b|.)*'",
        "regex = '[^\\n]*'",
        "regex = '.{0,}'",
        "regex = '\\p{Any}+'",
        "glob = '*'",
        "glob = '**'",
        "glob = '**/*'",
        "glob = '{*,x}'",
        "glob = '?*'",
    ] {
        is_told(&argument("/a", tests), "DW0113", "every text fulfils this");
    }
    for tests in [
        "regex = '[a-z]+'",
        "regex = '.{1,200}'",
        "regex = '[^;]*'",
        "regex = '[^\\x00]*'",
        "regex = '\\S+'",
        "regex = '\\w.*'",
        "regex = '[\\x20-\\x7e]*'",
        "regex = 'foo|bar.*'",
        "glob = 'a*'",
        "glob = '*.md'",
        "glob = '[a-z]*'",
        "glob = '/pub/**'",
    ] {
        is_silent(&argument("/a", tests));
    }
}

#[test]
fn a_condition_that_nothing_fulfils_is_told() {
    let url = |host: &str| format!("url = {{ scheme = 'https', host = '{host}' }}");
    for (tests, said) in [
        (url("x.com:443"), "perhaps `https://x.com/**`"),
        (url("*.x.com:443"), "perhaps `https://*.x.com/**`"),
        (url("x.com."), "perhaps `https://x.com/**`"),
        (url("::1"), "no URL fulfils"),
        (url("0x7f.1"), "perhaps `https://127.0.0.1/**`"),
        (url("127.1"), "perhaps `https://127.0.0.1/**`"),
        (url("bücher.de"), "no URL fulfils"),
        (url("xn--bcher-kva.de"), "no URL fulfils"),
        (url("x.com:99999"), "no URL fulfils"),
        (url("x.com:0443"), "no URL fulfils"),
        (url("x..com"), "no URL fulfils"),
        (url("{a.com,b.com:443}"), "perhaps `https://b.com/**`"),
        ("url = { scheme = 'http', host = 'x.com:80' }".to_owned(), "perhaps `http://x.com/**`"),
        ("url = { host = ['ok.com', 'x.com:443'] }".to_owned(), "`https://x.com:443/**`"),
        ("url = { host = 'x.com', path = '/v1/../x' }".to_owned(), "perhaps `https://x.com/x`"),
        ("url = { host = 'x.com', path = '/v1//x' }".to_owned(), "perhaps `https://x.com/v1/x`"),
        (
            "url = { host = 'x.com', path = '/%c3%a9/*' }".to_owned(),
            "perhaps `https://x.com/%C3%A9/*`",
        ),
        ("glob = '../x/*'".to_owned(), "no text fulfils `../x/*`"),
        ("glob = '/pub//*'".to_owned(), "no text fulfils"),
        ("glob = './x'".to_owned(), "no text fulfils"),
        ("glob = '/a/../b/*'".to_owned(), "no text fulfils"),
        ("glob = '{/pub/*,/pub/./*}'".to_owned(), "no text fulfils `/pub/./*`"),
        ("glob = 'https://x.com:443/*'".to_owned(), "perhaps `https://x.com/*`"),
        ("glob = '/pub{,/**}'".to_owned(), "has an empty alternative"),
        ("glob = 'abcdef*', max_length = 3".to_owned(), "at least 6 characters"),
        ("glob = '{abcd,abcde}', max_length = 3".to_owned(), "at least 4 characters"),
    ] {
        is_told(&argument("/a", &tests), "DW0120", said);
    }
    for tests in ["glob = 'null'", "glob = '{x,null}'", "glob = '\\[*\\]'", "in = ['null']"] {
        is_told(&argument("/a", tests), "DW0116", "for something that is no text");
    }
    for tests in [
        url("x.com"),
        url("*.x.com"),
        url("*"),
        url("X.com"),
        url("a_b.c"),
        url("[::1]"),
        url("[::1]:8443"),
        url("127.0.0.1"),
        url("127.0.0.*"),
        url("10.*.*.*:8443"),
        url("x.com:8443"),
        url("x.com:*"),
        url("*.{a,b}.com"),
        url("web-[0-9].x.com"),
        "url = { scheme = ['http', 'https'], host = 'x.com', path = '/v1/**' }".to_owned(),
        "url = { host = 'x.com', path = '/' }".to_owned(),
        "url = { host = 'x.com', path = '/a*/{b,c}/[a-z]?' }".replace('?', ""),
        "url = { host = 'x.com', path = '/%C3%A9/*' }".to_owned(),
        "glob = '*.md'".to_owned(),
        "glob = '/pub/**', max_length = 100".to_owned(),
        "glob = '/pub/{a,b}/[!.]*'".to_owned(),
        "glob = '~/pub/*'".to_owned(),
        "glob = '-x*'".to_owned(),
        "glob = 'C:/pub/*'".to_owned(),
        "glob = 'a%20b'".to_owned(),
        "glob = 'nullable*'".to_owned(),
        "glob = '[Bug] *'".to_owned(),
        "glob = '<p>*</p>'".to_owned(),
        "glob = '??'".to_owned(),
        "glob = '{abcd,ab}', max_length = 3".to_owned(),
    ] {
        is_silent(&argument("/a", &tests));
    }
}

#[test]
fn a_grant_of_uris_that_reaches_none_is_told_with_the_normal_form() {
    for (uri, said) in [
        ("https://corp.example:443/**", "write `t/https://corp.example/**`"),
        ("http://corp.example:80/*", "write `t/http://corp.example/*`"),
        ("https://u@corp.example/**", "write `t/https://corp.example/**`"),
        ("https://u:p@corp.example/**", "write `t/https://corp.example/**`"),
        ("https://corp.example./**", "write `t/https://corp.example/**`"),
        ("https://0x7f.1/**", "write `t/https://127.0.0.1/**`"),
        ("https://bücher.de/**", "reaches no URI"),
        ("https://xn--bcher-kva.de/**", "reaches no URI"),
        ("file://pub/**", "write `t/file:///pub/**`"),
        ("file:/pub/**", "write `t/file:///pub/**`"),
        ("file://localhost/pub/**", "write `t/file:///pub/**`"),
        ("file:pub/**", "reaches no URI"),
        ("DOCS://a/**", "write `t/docs://a/**`"),
        ("docs://a/../**", "write `t/docs://a/**`"),
        ("docs://a/./x/*", "write `t/docs://a/x/*`"),
        ("docs://a//**", "write `t/docs://a/**`"),
        ("docs://a/%c3%a9*", "write `t/docs://a/%C3%A9*`"),
        ("docs://a/%41*", "write `t/docs://a/A*`"),
        ("docs://a/%2e%2e/*", "reaches no URI"),
        ("docs://a:99999/*", "reaches no URI"),
        ("docs://a/é/*", "write `t/docs://a/%C3%A9/*`"),
        ("docs:\\\\\\\\a\\\\**", "reaches no URI"),
        ("{docs://a/**,https://x.com:443/**}", "write `t/https://x.com/**`"),
    ] {
        is_told(&format!("[roles.r]\nresources = [\"t/{uri}\"]"), "DW0120", said);
        // A denial holds for every spelling.
        let denied = told(&format!(
            "[roles.r]\nresources = ['t/docs://a/**', 't/https://corp.example/**']\ndeny_resources = [\"t/{uri}\"]"
        ));
        assert!(!denied.iter().any(|line| line.contains("reaches no URI")), "{uri}: {denied:?}");
    }
    for uri in [
        "**",
        "docs://**",
        "docs://*",
        "docs://a/**",
        "docs://A/x*",
        "docs://a/*/",
        "docs://a/x?y=*",
        "docs://a/**#*",
        "docs://**/x",
        "docs://a/{x,y}/*",
        "docs://a/[a-z]*",
        "docs:*",
        "urn:isbn:*",
        "*://a/**",
        "https://Corp.example/**",
        "https://*.corp.example/**",
        "https://*",
        "https://corp.example:8443/**",
        "http://[::1]/**",
        "http://127.0.0.1:*/**",
        "http://10.0.0.[0-9]/**",
        "file:///**",
        "file:///pub/*.md",
        "ticket://{a,b}",
        "postgres://db/*/schema",
        "mem:/x/*",
        "docs://a/%C3%A9*",
        "docs://a/x%20y*",
    ] {
        is_silent(&format!("[roles.r]\nresources = ['t/{uri}']"));
    }
}

#[test]
fn a_name_that_means_itself_is_not_called_a_glob() {
    for name in ["search (beta)", "get (v2)", "a.b.*", "a.b.c.*", "com.example.notes.*", "echo me"]
    {
        is_silent(&format!("[roles.r]\ntools = ['t/{name}']"));
    }
    for name in [
        "notes.*",
        "get_.*",
        "^get",
        "get$",
        "get|list",
        "(get|list)_x",
        "get_x,get_y",
        "echo ",
        " echo",
        "get *",
        "get(x)",
        "(get)",
        "search (beta)*",
        "get{,_all}",
        "get{_all,}",
    ] {
        is_told(&format!("[roles.r]\ntools = ['t/{name}']"), "DW0120", "");
    }
}

#[test]
fn a_placeholder_is_told_wherever_it_stands() {
    for text in [
        role("[upstreams.u]\npath = '/u'\nurl = 'https://your-domain.example/mcp'"),
        role("[upstreams.u]\npath = '/u'\nurl = 'https://YOUR_DOMAIN/mcp'"),
        "[roles.r]\ntools = ['t/get_{name}']".to_owned(),
        "[roles.r]\ntools = ['t/@@TOOL@@']".to_owned(),
        "[roles.r]\ntools = ['t/__TOOL__']".to_owned(),
        "[roles.r]\ntools = ['t/%TOOL%']".to_owned(),
        argument("/a", "in = ['{name}']"),
        argument("/a", "equals = '$(whoami)'"),
        argument("/${FIELD}", "in = ['x']"),
        role(
            "[server]\npublic_url = 'https://m.example'\n[issuers.i]\nissuer = 'https://i.example/x'\n\
              jwks_url = 'https://i.example/k'\norganization = 'p'\nroles_claim = 'g'\n\
              roles_map = { '${GROUP}' = 'r' }",
        ),
        role(
            "[server]\npublic_url = 'https://m.example'\n[issuers.i]\nissuer = 'https://i.example/x'\n\
              jwks_url = 'https://i.example/k'\norganization = 'p'\nroles_claim = 'g'\n\
              roles_map = { 'your-group' = 'r' }",
        ),
    ] {
        is_told(&text, "DW0115", "");
    }
    let who = |user: &str| {
        format!(
            "[roles.r]\n[tokens.b]\nsha256 = '{}'\nuser = '{user}'\norganization = 'o'\nexpires = 2999-01-01",
            "12".repeat(31) + "34"
        )
    };
    for user in [
        "{name}",
        "#{x}",
        "%USER%",
        "%user%",
        "@@X@@",
        "@USER@",
        "__X__",
        "$(x)",
        "$env:X",
        "$user",
        "YOUR_USER",
        "your-user",
        "tbd",
        "TBD",
        "<%=user%>",
    ] {
        is_told(&who(user), "DW0115", "");
    }
    for user in
        ["alice", "a__b", "a.b@c.example", "svc-100%", "you", "tourist", "__init__", "todo-app"]
    {
        is_silent(&format!("{}\nroles = ['r']", who(user)));
    }
}

#[test]
fn a_text_that_means_itself_is_no_placeholder() {
    for text in [
        argument("/a", "glob = '<p>*</p>'"),
        argument("/status", "in = ['todo', 'doing', 'done']"),
        "[roles.r]\ntools = ['t/replace_with_text', 't/mcp__SLACK__post', 't/todo']".to_owned(),
        role("[[expect]]\ntoken = 'x'\nallow = ['t/echo']\narguments = { text = 'tbd, <b>x</b>' }"),
    ] {
        is_silent(&text);
    }
}

#[test]
fn a_credential_that_was_never_put_in_is_told_and_not_repeated() {
    let folder = tempfile::TempDir::new().unwrap();
    let with = |secret: &str, keys: &str| {
        std::fs::write(folder.path().join("secret"), secret).unwrap();
        let text = format!("{UPSTREAM}credential = {{ {keys} }}\n");
        let config = super::parse(&folder.path().join("gateway.toml"), &text).unwrap();
        config.warnings.render(false)
    };
    let header = "header = 'X-Api-Key', file = 'secret'";
    for secret in ["CHANGE_ME", "${TOKEN}", "<token>", "{{ token }}", "YOUR_API_KEY\n", "tbd"] {
        for keys in ["bearer_file = 'secret'", header] {
            let told = with(secret, keys);
            assert!(told.contains("warning[DW0115]"), "{secret}: {told}");
            assert!(!told.contains(secret.trim()), "{told}");
        }
    }
    assert!(with("Bearer <token>", header).contains("DW0115"));
    for secret in ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "x$ABCD1", "a{b}c<d>"] {
        assert!(!with(secret, header).contains("DW0115"), "{secret}");
    }
}

#[test]
fn a_digest_of_no_token_or_of_one_that_everybody_tries_is_told() {
    use sha2::{Digest as _, Sha256};
    let hex =
        |text: &str| Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let with = |digest: &str| {
        format!(
            "[roles.r]\n[tokens.b]\nsha256 = '{digest}'\nuser = 'b'\norganization = 'o'\nexpires = 2999-01-01\nroles = ['r']"
        )
    };
    for (digest, said) in [
        (hex(""), "digest of nothing"),
        (hex("\n"), "digest of nothing"),
        (hex("changeme"), "digest of `changeme`"),
        (hex("changeme\n"), "digest of `changeme`"),
        (hex("password"), "digest of `password`"),
        (hex("Bearer "), "without a token"),
        (hex("Bearer changeme"), "digest of `changeme`"),
        (hex("$TOKEN"), "digest of `$TOKEN`"),
        ("0".repeat(64), "no digest of anything"),
        ("f".repeat(64), "no digest of anything"),
        ("deadbeef".repeat(8), "no digest of anything"),
        ("0123456789abcdef".repeat(4), "no digest of anything"),
    ] {
        is_told(&with(&digest), "DW0115", said);
    }
    for digest in [
        hex("q9f8weofh2o3ihfo23hfoqe8dh"),
        hex("Bearer q9f8weofh2o3ihfo23"),
        "12".repeat(31) + "34",
    ] {
        is_silent(&with(&digest));
    }
}

const SCHEMA: &str = r##"{"type": "object", "additionalProperties": false,
    "patternProperties": {"^ext_": {"type": "string"}},
    "properties": {
        "count": {"type": "integer"},
        "title": {"type": "string"},
        "maybe": {"type": ["integer", "null"]},
        "state": {"enum": ["open", "closed"]},
        "level": {"type": "integer", "enum": [1, 2, 3]},
        "mode": {"const": "fast"},
        "size": {"anyOf": [{"enum": ["s", "m"]}, {"const": "l"}, {"type": "null"}]},
        "free": {"anyOf": [{"enum": ["s", "m"]}, {"type": "string"}]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "any": {},
        "both": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "filter": {"$ref": "#/$defs/F"},
        "a.b": {"type": "string"},
        "arguments": {"type": "object"}},
    "$defs": {"F": {"type": "object", "properties": {"org": {"type": "string"}}}}}"##;

#[test]
fn a_condition_that_the_approved_schema_leaves_nothing_for_is_told() {
    for (pointer, tests, code, said) in [
        ("/count", "glob = 'a*'", "DW0113", "values of another kind"),
        ("/count", "in = ['1']", "DW0113", "values of another kind"),
        ("/count", "max_length = 3", "DW0113", "values of another kind"),
        ("/count", "equals_user = true", "DW0113", "values of another kind"),
        ("/maybe", "regex = '[0-9]'", "DW0113", "values of another kind"),
        ("/title", "min = 0, max = 3", "DW0113", "values of another kind"),
        ("/title", "equals = true", "DW0113", "values of another kind"),
        ("/title", "max_items = 3", "DW0113", "values of another kind"),
        ("/tags", "in = ['a']", "DW0113", "values of another kind"),
        ("/filter", "in = ['a']", "DW0113", "values of another kind"),
        ("/tags/0", "min = 0, max = 2", "DW0113", "values of another kind"),
        ("/state", "in = ['opn']", "DW0113", "there are: \"open\", \"closed\""),
        ("/state", "in = ['open', 'Closed']", "DW0113", "\"Closed\" is none of the values"),
        ("/state", "equals = 'done'", "DW0113", "none of the values"),
        ("/state", "not_in = ['deleted']", "DW0113", "none of the values"),
        ("/level", "in = [1, 4]", "DW0113", "4 is none of the values"),
        ("/mode", "in = ['slow']", "DW0113", "none of the values"),
        ("/size", "in = ['xl']", "DW0113", "none of the values"),
        ("/title/x", "in = ['a'], optional = true", "DW0022", "no argument of the tool"),
        ("/title/0", "in = ['a'], optional = true", "DW0022", "no argument of the tool"),
        ("/count/x", "absent = true", "DW0022", "no argument of the tool"),
        ("/tags/x", "in = ['a'], optional = true", "DW0022", "no argument of the tool"),
        ("/filter/org/x", "in = ['a'], optional = true", "DW0022", "no argument of the tool"),
        ("/title/x", "in = ['a']", "DW0113", "calls without it are refused"),
        ("/etx_a", "in = ['a'], optional = true", "DW0022", "no argument of the tool"),
        ("/etx_a", "in = ['a']", "DW0113", "calls without it are refused"),
    ] {
        let found = told_locked(SCHEMA, pointer, tests);
        let is_it = |line: &String| line.starts_with(code) && line.contains(said);
        assert!(found.iter().any(is_it), "{pointer} {tests}: {found:#?}");
    }
    for (pointer, tests) in [
        ("/count", "min = 0, max = 3"),
        ("/count", "in = [1, 2]"),
        ("/maybe", "in = [1]"),
        ("/title", "glob = 'a*', optional = true"),
        ("/state", "in = ['open']"),
        ("/level", "in = [1, 3]"),
        ("/level", "min = 1, max = 2"),
        ("/mode", "equals = 'fast'"),
        ("/size", "in = ['s', 'l']"),
        ("/free", "in = ['xl']"),
        ("/tags", "max_items = 3"),
        ("/tags/0", "in = ['a'], optional = true"),
        ("/any/x", "in = ['a'], optional = true"),
        ("/both", "in = ['a']"),
        ("/both", "min = 0, max = 3"),
        ("/filter/org", "in = ['a'], optional = true"),
        ("/ext_a", "in = ['a'], optional = true"),
        // What is declared is spelled well.
        ("/a.b", "in = ['a'], optional = true"),
        ("/arguments/x", "in = ['a'], optional = true"),
        ("/count", "absent = true"),
    ] {
        let found = told_locked(SCHEMA, pointer, tests);
        assert_eq!(found, [""; 0], "{pointer} {tests}");
    }
    // An expression that we cannot read may match.
    let odd = SCHEMA.replace("^ext_", "^(?=e)ext_");
    assert_eq!(told_locked(&odd, "/etx_a", "in = ['a'], optional = true"), [""; 0]);
}
