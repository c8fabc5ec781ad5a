//! What always holds of grants and denies of URIs, on URIs made of what readers differ in.

use proptest::prelude::*;

use super::tests::{allows, denies};
use super::*;

/// Pieces of URIs in which readers differ.
const PIECES: [&str; 52] = [
    "a",
    "b",
    "pub",
    "secret",
    "SECRET",
    "x",
    "/",
    "/",
    "/",
    "//",
    "..",
    ".",
    "...",
    "?",
    "#",
    "@",
    ":",
    ":80",
    ":080",
    "%2e",
    "%2E%2e",
    "%2F",
    "%5C",
    "\\",
    "%00",
    "%25",
    "%20",
    " ",
    "\t",
    ";",
    ";v=1",
    "=",
    "&",
    "%C0%AE",
    "%EF%BC%8E",
    "%C2%AD",
    "\u{ad}",
    "\u{ff0f}",
    "\u{ff0e}",
    "é",
    "~",
    "*",
    "[",
    "]",
    "{",
    "}",
    ",",
    "xn--",
    "+",
    "%",
    "127.1",
    "0x7f.1",
];

const STARTS: [&str; 12] = [
    "docs://",
    "docs://pub/",
    "docs:",
    "docs:/",
    "docs:///pub/",
    "DOCS://",
    "file:///pub/",
    "file:/",
    "file://localhost/",
    "http://pub/",
    "http:",
    "https://pub.",
];

fn uris() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(prop::sample::select(&PIECES[..]), 0..8);
    (prop::sample::select(&STARTS[..]), pieces)
        .prop_map(|(start, all)| start.to_owned() + &all.concat())
}

/// The path that a server walks who parses by WHATWG URL and then decodes.
fn walked(uri: &str) -> Option<(String, Vec<String>)> {
    let url = url::Url::parse(uri).ok()?;
    let mut at: Vec<String> = Vec::new();
    let path = String::from_utf8_lossy(&parts::decoded(url.path())).into_owned();
    for segment in path.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => drop(at.pop()),
            name => at.push(name.to_owned()),
        }
    }
    Some((url.host_str().unwrap_or_default().to_owned(), at))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The long run: PROPTEST_CASES=1000000 cargo test --lib resource::properties
    #[test]
    fn what_a_folder_gives_lies_inside_it_for_every_reader(uri in uris()) {
        for (text, host, folder) in [
            ("docs://pub/**", "pub", None),
            ("docs:///pub/**", "", Some("pub")),
            ("file:///pub/**", "", Some("pub")),
            ("http://pub/**", "pub", None),
        ] {
            if !allows(text, &uri) {
                continue;
            }
            let (found, path) = walked(&uri).expect("readers of WHATWG can read it");
            prop_assert_eq!(&found, host, "{} {}", text, &uri);
            if let Some(folder) = folder {
                prop_assert_eq!(path.first().map(String::as_str), Some(folder), "{} {}", text, &uri);
            }
            // Those who cut the query first, and those who do not parse at all.
            prop_assert!(!uri.contains(['?', '#', '\\']), "{}", &uri);
            prop_assert!(!path.iter().any(|name| is_dots(name)), "{}", &uri);
        }
    }

    #[test]
    fn what_a_server_reads_as_denied_is_denied(uri in uris()) {
        let Some((host, path)) = walked(&uri) else { return Ok(()) };
        let is_docs = uri.to_ascii_lowercase().starts_with("docs:");
        let first = path.first().map(|name| name.to_lowercase());
        if is_docs && host.eq_ignore_ascii_case("secret") {
            prop_assert!(denies("docs://secret/**", &uri), "{}", &uri);
        }
        if is_docs && host == "pub" && first.as_deref() == Some("secret") {
            prop_assert!(denies("docs://pub/secret/**", &uri), "{}", &uri);
        }
        if uri.starts_with("file:") && first.as_deref() == Some("secret") {
            prop_assert!(denies("file:///secret/**", &uri), "{}", &uri);
        }
        if uri.starts_with("http:") && host == "127.0.0.1" {
            prop_assert!(denies("http://127.0.0.1/**", &uri), "{}", &uri);
        }
    }

    #[test]
    fn no_uri_is_too_strange_to_be_read(uri in "\\PC{0,40}") {
        let resource = Resource::of_template(&uri);
        prop_assert!(!UriPattern::parse("docs://a/b").unwrap().allows(&resource));
        let _ = denies("**", &uri);
    }
}
