//! Where in the configuration a rule stands, so that every decision can name its line.

use std::fmt;
use std::sync::Arc;

/// The name and place of one rule of the configuration.
///
/// All are equal: rules that say the same are the same, wherever they stand, so that a comment
/// above them changes nothing for those whom they concern.
#[derive(Clone)]
pub struct Rule(Arc<Spot>);

struct Spot {
    name: String,
    /// `file:line`, ready for records.
    place: String,
}

impl Rule {
    /// The rule `name`, a path of TOML keys like `roles.agent.tools`, in this line of this file.
    #[must_use]
    pub fn new(name: String, file: &str, line: usize) -> Self {
        Self(Arc::new(Spot { name, place: format!("{file}:{line}") }))
    }

    /// Its path of keys.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// `file:line`.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.0.place
    }
}

impl PartialEq for Rule {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Rule {}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.place())
    }
}
