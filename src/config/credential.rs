//! What is likely to be wrong with a credential that upstreams get.

use http::HeaderName;

use super::code::Code;
use super::placeholders::is_placeholder;
use super::read::{At, Table};

/// Schemes of `Authorization` that are written before a token (RFC 9110 11.1).
const SCHEMES: [&str; 8] =
    ["apikey", "basic", "bearer", "digest", "dpop", "gnap", "negotiate", "token"];

/// Warns of a secret that brings along what is put before it, or around it. The secret is not
/// repeated.
pub(super) fn doubt(table: &Table<'_>, secret: &At<String>, header: &HeaderName, is_bearer: bool) {
    let text = secret.value.as_str();
    if is_placeholder(text) {
        let message = "the credential looks like a place for another text".to_owned();
        let help = "nothing is put in its place, and it is sent as it stands";
        table.report().warning(Code::Placeholder, secret.span.clone(), message, help);
    }
    let scheme = |text: &str| {
        let (first, rest) = text.split_once(' ')?;
        let known = SCHEMES.into_iter().find(|known| known.eq_ignore_ascii_case(first))?;
        Some((known, rest.trim_start().to_owned()))
    };
    let named = text.split_once(':').map(|(name, _)| name.trim_end());
    let is_named = named.is_some_and(|name| name.eq_ignore_ascii_case(header.as_str()));
    let is_quoted =
        ['"', '\''].iter().any(|quote| text.starts_with(*quote) && text.ends_with(*quote));
    let found = match scheme(text) {
        _ if is_named => Some(format!("begins with `{header}:`, the name of its header")),
        _ if is_quoted => Some("stands in quotes, which are sent as well".to_owned()),
        _ if text.starts_with('{') => Some("is JSON, and all of it is sent".to_owned()),
        Some((known, _)) if is_bearer => {
            Some(format!("begins with the scheme `{known}`, and `Bearer` is put before it"))
        }
        Some((first, rest)) if scheme(&rest).is_some_and(|(second, _)| second == first) => {
            Some(format!("begins with the scheme `{first}` twice"))
        }
        _ => None,
    };
    if let Some(found) = found {
        let message = format!("the credential {found}");
        let help = if is_bearer {
            "put the token there and nothing else"
        } else {
            "put there what is to stand behind the name of the header, and nothing else"
        };
        table.report().warning(Code::Doubled, secret.span.clone(), message, help);
    }
}
