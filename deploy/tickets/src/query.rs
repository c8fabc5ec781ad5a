//! Query strings, read strictly: a parameter that is unknown, doubled or out of range is refused
//! by name, because a filter that is silently ignored shows more than was asked for.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use crate::vocabulary::{CATEGORY, PRIORITY, STATUS};

/// The most characters in a search text; SQLite's own limit on a pattern is far above it.
const MAX_SEARCH: usize = 200;

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Page {
    /// From 1.
    pub(crate) number: u32,
    /// Tickets on a page, 1 to 100.
    pub(crate) size: u32,
}

impl Page {
    /// How many tickets lie before this page.
    pub(crate) fn offset(self) -> i64 {
        i64::from(self.number.saturating_sub(1)) * i64::from(self.size)
    }
}

/// The words that a list is narrowed to; none means any.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Filter {
    pub(crate) status: Option<&'static str>,
    pub(crate) category: Option<&'static str>,
    pub(crate) priority: Option<&'static str>,
}

/// Reads the query of the list.
pub(crate) fn list(raw: Option<&str>) -> Result<(Filter, Page), String> {
    let given = Parameters::read(raw, &["page", "page_size", "status", "category", "priority"])?;
    let filter = Filter {
        status: STATUS.filter(given.text(STATUS.parameter))?,
        category: CATEGORY.filter(given.text(CATEGORY.parameter))?,
        priority: PRIORITY.filter(given.text(PRIORITY.parameter))?,
    };
    Ok((filter, given.page()?))
}

/// Reads the query of the search.
pub(crate) fn search(raw: Option<&str>) -> Result<(String, Page), String> {
    let given = Parameters::read(raw, &["q", "page", "page_size"])?;
    let text = given.text("q").trim();
    if text.is_empty() || text.chars().nth(MAX_SEARCH).is_some() || text.contains('\0') {
        return Err(format!(
            "parameter q must have 1 to {MAX_SEARCH} characters, none of them NUL"
        ));
    }
    Ok((text.to_owned(), given.page()?))
}

/// Refuses whatever is given to a path that takes no parameters.
pub(crate) fn none(raw: Option<&str>) -> Result<(), String> {
    Parameters::read(raw, &[]).map(drop)
}

struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    fn read(raw: Option<&'a str>, known: &[&str]) -> Result<Self, String> {
        let mut pairs: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(format!("unknown parameter {name:?}; allowed: {known}"));
            }
            if pairs.iter().any(|(earlier, _)| *earlier == name) {
                return Err(format!("parameter {name} was given more than once"));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    fn page(&self) -> Result<Page, String> {
        Ok(Page {
            number: self.whole("page", 1..=u32::MAX, 1)?,
            size: self.whole("page_size", 1..=100, 10)?,
        })
    }

    fn whole(&self, name: &str, range: RangeInclusive<u32>, default: u32) -> Result<u32, String> {
        let Some((_, value)) = self.0.iter().find(|(given, _)| given == name) else {
            return Ok(default);
        };
        value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            format!(
                "parameter {name} must be a whole number from {} to {}",
                range.start(),
                range.end()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_given_means_the_first_ten_of_all() {
        let first = Page { number: 1, size: 10 };
        assert_eq!(list(None), Ok((Filter::default(), first)));
        assert_eq!(list(Some("status=&category=&priority=")), Ok((Filter::default(), first)));
    }

    #[test]
    fn the_last_page_has_an_offset() {
        let (_, page) = list(Some("page=4294967295&page_size=100")).unwrap();
        assert_eq!(page.offset(), 429_496_729_400);
    }

    #[test]
    fn bad_parameters_are_named() {
        for (raw, part) in [
            ("page=0", "parameter page must be a whole number from 1"),
            ("page=-1", "parameter page must"),
            ("page=", "parameter page must"),
            ("page=4294967296", "parameter page must"),
            ("page_size=0", "parameter page_size must be a whole number from 1 to 100"),
            ("page_size=101", "parameter page_size must"),
            ("status=done", "parameter status must be one of: open"),
            ("category=x", "parameter category must be one of: general"),
            ("priority=x", "parameter priority must be one of: low"),
            ("page=1&page=2", "parameter page was given more than once"),
            ("organization=acme", "unknown parameter \"organization\"; allowed: page"),
        ] {
            let error = list(Some(raw)).unwrap_err();
            assert!(error.contains(part), "{raw}: {error}");
        }
    }

    #[test]
    fn a_search_needs_a_text() {
        for raw in ["", "q=", "q=+", "q=%00", &format!("q={}", "a".repeat(MAX_SEARCH + 1))] {
            assert!(search(Some(raw)).unwrap_err().contains("parameter q must"), "{raw}");
        }
        assert_eq!(search(Some("q=caf%C3%A9+%25")).unwrap().0, "café %");
    }
}
