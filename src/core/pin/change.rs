//! What can change in a tool, and what is done about it.

/// A difference of a tool from what was approved.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Change {
    /// Its annotations, or anything else that is neither text nor schema.
    Annotations,
    /// The whole list of its upstream does not have it.
    Missing,
    /// Its schemas accept less than before.
    Narrowed,
    /// Nobody has approved it.
    New,
    /// Texts that only models and people read: titles, descriptions, icons.
    Text,
    /// Its schemas accept more than before, or that cannot be ruled out.
    Widened,
}

impl Change {
    /// Every change.
    pub const ALL: [Self; 6] =
        [Self::Annotations, Self::Missing, Self::Narrowed, Self::New, Self::Text, Self::Widened];

    /// The word for it in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Annotations => "annotations",
            Self::Missing => "missing",
            Self::Narrowed => "narrowed",
            Self::New => "new",
            Self::Text => "text",
            Self::Widened => "widened",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A set of changes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Changes(pub(super) u8);

impl Changes {
    /// The same, and this one.
    #[must_use]
    pub fn with(self, change: Change) -> Self {
        Self(self.0 | change.bit())
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that the other does not have.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// True where nothing has changed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Change> {
        Change::ALL.into_iter().filter(move |change| self.0 & change.bit() != 0)
    }

    /// For people: `text, widened`.
    #[must_use]
    pub fn words(self) -> String {
        self.iter().map(Change::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// The treatment of a changed tool; each does what the one before it does.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Measure {
    /// It is logged and counted.
    #[default]
    Warn,
    /// Lists leave it out, so that no model reads what it says now. Who knows it calls it.
    Hide,
    /// It is not called.
    Refuse,
}

/// Treatments by what has changed; where several things have, the strictest counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Measures {
    /// For [`Change::Annotations`].
    pub annotations: Measure,
    /// For [`Change::Narrowed`].
    pub narrowed: Measure,
    /// For [`Change::Text`].
    pub text: Measure,
    /// For [`Change::Widened`].
    pub widened: Measure,
}

impl Measures {
    pub(super) fn of(&self, changes: Changes) -> Measure {
        let of = |change| match change {
            Change::Annotations => self.annotations,
            Change::Missing => Measure::Warn,
            Change::Narrowed => self.narrowed,
            Change::New => Measure::Refuse,
            Change::Text => self.text,
            Change::Widened => self.widened,
        };
        changes.iter().map(of).max().unwrap_or_default()
    }

    /// True where one of them does less than its counterpart.
    #[must_use]
    pub fn relaxes(&self, before: &Self) -> bool {
        self.annotations < before.annotations
            || self.narrowed < before.narrowed
            || self.text < before.text
            || self.widened < before.widened
    }
}
