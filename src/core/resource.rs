//! URIs of resources as permissions see them (RFC 3986, RFC 8089, WHATWG URL; MCP, "Resources").
//!
//! Servers look a URI up in many ways: as it is, after `new URL(…)`, without its query, in any
//! case, decoded. So a pattern with wildcards allows only a URI that all of them leave as it is
//! (`plain`), and it is compared part by part: no wildcard leaves its part. A deny holds for
//! every spelling that one of them may take for what it covers (`reading`).

mod example;
mod parts;
mod pattern;
mod plain;
mod reading;
mod syntax;
mod template;

use std::cell::OnceCell;

pub use self::example::Vain;
pub(super) use self::example::{examples, vain};
pub use self::pattern::{BadUriPattern, UriPattern};
pub(super) use self::plain::is_dots;

use self::parts::Parts;
use self::reading::Reading;

/// Longest URI in bytes that a wildcard reaches, and that a pattern may have.
const MAX_URI: usize = 8 << 10;

/// A URI, or the template of URIs, that patterns are compared with. It is taken apart when a
/// pattern first needs it, and only once.
#[derive(Debug)]
pub(super) struct Resource {
    /// As it was sent; of a template, with a mark for each expression.
    text: String,
    is_plain: OnceCell<bool>,
    /// A URI of the template, which is plain where those of the template are.
    example: Option<String>,
    readings: OnceCell<Vec<Reading>>,
}

impl Resource {
    /// A resource with this URI.
    pub(super) fn new(uri: &str) -> Self {
        let (is_plain, readings) = (OnceCell::new(), OnceCell::new());
        Self { text: uri.to_owned(), is_plain, example: None, readings }
    }

    /// A URL whose query and fragment are free, where libraries of WHATWG URL leave the whole as it
    /// is.
    pub(super) fn of_url(url: &str) -> Self {
        let end = url.find(['?', '#']).unwrap_or(url.len());
        let front = url.get(..end).unwrap_or_default();
        let is_short = url.len() <= MAX_URI;
        let is_plain = is_short && plain::is_canonical(url) && plain::is_plain(front);
        Self { is_plain: OnceCell::from(is_plain), ..Self::new(front) }
    }

    /// The resources of a URI template (RFC 6570). One that cannot be read is reached by nothing.
    pub(super) fn of_template(template: &str) -> Self {
        let filled = template::fill(template, template::EXPRESSION).unwrap_or_default();
        Self { example: template::fill(template, "x"), ..Self::new(&filled) }
    }

    fn text(&self) -> &str {
        &self.text
    }

    /// The parts, where a wildcard may reach it.
    fn plain(&self) -> Option<Parts<'_>> {
        let spelled = self.example.as_deref().unwrap_or(&self.text);
        let is_plain = || spelled.len() <= MAX_URI && plain::is_plain(spelled);
        let is_plain = self.is_plain.get_or_init(is_plain);
        is_plain.then(|| Parts::split(&self.text)).flatten()
    }

    /// True for one that is longer than any pattern, and would cost too much to be taken apart.
    fn is_long(&self) -> bool {
        self.text.len() > MAX_URI
    }

    /// Everything that a server may take it for.
    fn readings(&self) -> &[Reading] {
        self.readings.get_or_init(|| reading::all(&self.text))
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
