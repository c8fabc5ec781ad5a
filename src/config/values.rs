//! The forms of single values: durations, sizes, addresses, URLs, digests, dates.
//!
//! Each parser's error text completes the sentence "`key` …".

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::outside;
use crate::core::decimal::Decimal;
use crate::core::headers;
use crate::core::principal::Digest;
use crate::core::token::UnixSeconds;

/// The least and the most that a duration may be, as they are written.
#[derive(Clone, Copy)]
pub(super) struct Durations(pub(super) &'static str, pub(super) &'static str);

impl Durations {
    /// A duration with its unit, within the range.
    pub(super) fn read(self, text: &str) -> Result<Duration, String> {
        let Self(least, most) = self;
        let end = |text| humantime::parse_duration(text).unwrap_or_default();
        let outside = || format!("must be from \"{least}\" to \"{most}\"");
        match humantime::parse_duration(text) {
            Ok(duration) if (end(least)..=end(most)).contains(&duration) => Ok(duration),
            Ok(_) | Err(humantime::DurationError::NumberOverflow) => Err(outside()),
            Err(_) => Err(format!(
                "must be a duration with its unit, like \"500ms\", \"5s\", \"10m\" or \"24h\", from \"{least}\" to \"{most}\""
            )),
        }
    }
}

/// The least and the most that a size may be, as they are written.
#[derive(Clone, Copy)]
pub(super) struct Sizes(pub(super) &'static str, pub(super) &'static str);

impl Sizes {
    /// A size with its unit in bytes, within the range.
    pub(super) fn read(self, text: &str) -> Result<usize, String> {
        let Self(least, most) = self;
        let end = |text| bytes(text).flatten().unwrap_or_default();
        match bytes(text) {
            Some(Some(size)) if (end(least)..=end(most)).contains(&size) => Ok(size),
            Some(_) => Err(format!("must be from {least} to {most}")),
            None => Err(format!(
                "must be a size with its unit, like \"64KiB\" or \"4MiB\", from {least} to {most}"
            )),
        }
    }
}

/// A whole number with its unit; within, nothing where it is more than can be counted.
fn bytes(text: &str) -> Option<Option<usize>> {
    const UNITS: [(&str, usize); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let found = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)));
    let (number, unit) = found?;
    let number = number.trim_end();
    if number.is_empty() || !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some(number.parse::<usize>().ok().and_then(|number| number.checked_mul(*unit)))
}

/// A size for what has no reason for another range.
pub(super) fn size(text: &str) -> Result<usize, String> {
    Sizes("1KiB", "1GiB").read(text)
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an IP address and a port, like \"127.0.0.1:8080\"".to_owned())
}

pub(super) fn url(text: &str) -> Result<http::Uri, String> {
    let uri: http::Uri = text.parse().map_err(|e| format!("is not a URL: {e}"))?;
    let has_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().filter(|a| !a.as_str().contains('@') && !a.host().is_empty());
    if !has_scheme || authority.is_none() {
        return Err("must begin with http:// or https:// and a host, without user name".to_owned());
    }
    outside::split(authority.map_or("", http::uri::Authority::as_str))?;
    if uri.query().is_some() {
        return Err("must not have a query".to_owned());
    }
    // The parser drops it without a word.
    if text.contains('#') {
        return Err("must not have a fragment".to_owned());
    }
    Ok(uri)
}

/// The place that a URL names, the same for all its spellings: without the port that its scheme has
/// anyway, in lower case up to the path (RFC 3986 6.2.3).
pub(super) fn place(url: &http::Uri) -> String {
    let scheme = url.scheme_str().unwrap_or_default().to_ascii_lowercase();
    let authority = url.authority().map_or("", |authority| authority.as_str()).to_ascii_lowercase();
    let port = match scheme.as_str() {
        "https" => ":443",
        _ => ":80",
    };
    let authority = authority.strip_suffix(port).unwrap_or(&authority);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    format!("{scheme}://{authority}{path}")
}

pub(super) fn route_path(text: &str) -> Result<String, String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b);
    if !text.starts_with('/') || !text.bytes().all(legal) {
        return Err("must begin with \"/\" and hold only letters, digits and -_.~/".to_owned());
    }
    if text.contains("//") || text.split('/').any(|s| s == "." || s == "..") {
        return Err("must not hold \"//\", \".\" or \"..\"".to_owned());
    }
    if text.starts_with("/.well-known") {
        return Err("must not lie under /.well-known".to_owned());
    }
    Ok(text.to_owned())
}

/// The name of a header for something of ours. Servers that make variables of headers take `-` and
/// `_` for one (RFC 3875 4.1.18), so that no name may hold `_`.
pub(super) fn header_name(text: &str) -> Result<http::HeaderName, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let name = text.parse::<http::HeaderName>().ok().filter(|_| plain);
    let name = name.ok_or("must be a header name of letters, digits and \"-\"")?;
    if headers::has_meaning(name.as_str()) {
        return Err("is a header that has its own meaning between gateway and upstream; \
                    choose a name that is yours alone, as X-User-ID is"
            .to_owned());
    }
    Ok(name)
}

/// The name of a header that carries a credential.
pub(super) fn credential_header(text: &str) -> Result<http::HeaderName, String> {
    match text.parse() {
        Ok(http::header::AUTHORIZATION) => Ok(http::header::AUTHORIZATION),
        _ => header_name(text),
    }
}

/// A subject alternative name behind its kind (RFC 5280 4.2.1.6).
pub(super) fn alternative_name(text: &str) -> Result<String, String> {
    let parts = text
        .split_once(':')
        .filter(|(_, name)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()));
    match parts {
        Some(("dns", name)) => Ok(format!("dns:{}", name.to_ascii_lowercase())),
        Some(("uri" | "email", _)) => Ok(text.to_owned()),
        _ => Err("must be like \"dns:name\", \"uri:spiffe://…\" or \"email:a@b\"".to_owned()),
    }
}

/// The value of a variable of the environment.
pub(super) fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| match error {
        std::env::VarError::NotPresent => format!("names {name}, which is not set"),
        std::env::VarError::NotUnicode(_) => format!("names {name}, which is not UTF-8"),
    })
}

/// Bytes that cannot be printed.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Hidden(Vec<u8>);

impl Hidden {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

pub(super) fn sha256(text: &str) -> Result<Digest, String> {
    let wanted = || "must be 64 hexadecimal digits: printf %s TOKEN | sha256sum".to_owned();
    let bytes = text.as_bytes();
    if bytes.len() != 64 {
        return Err(wanted());
    }
    let mut digest = Digest::default();
    for (byte, pair) in digest.iter_mut().zip(bytes.chunks_exact(2)) {
        let digit = |at: usize| pair.get(at).and_then(|&d| char::from(d).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(wanted());
        };
        *byte = u8::try_from(high * 16 + low).map_err(|_| wanted())?;
    }
    Ok(digest)
}

/// The same where it was written by a tool: alone, or as `sha256sum`, `shasum`, BSD and OpenSSL say
/// it, with one name beside it.
pub(super) fn sha256_output(text: &str) -> Result<Digest, String> {
    let is_around = |c: char| c.is_whitespace() || c == '\0' || c == '\u{feff}';
    let line = text.trim_matches(is_around);
    if line.contains('\n') {
        return Err("holds more than one line, and it is not clear which is meant".to_owned());
    }
    // A name with a backslash or a line end in it is escaped, and a backslash stands before all.
    let line = line.strip_prefix('\\').unwrap_or(line);
    // digits, two blanks or a blank and a mark, name
    let first = sha256(line.split([' ', '\t']).next().unwrap_or_default());
    // SHA256 (name) = digits
    if first.is_err()
        && let Some((name, digits)) = line.rsplit_once('=')
        && let Some((algorithm, _)) = name.split_once('(')
        && name.trim_end().ends_with(')')
    {
        return match algorithm.trim().to_ascii_uppercase().as_str() {
            "SHA256" | "SHA2-256" => sha256(digits.trim()),
            _ => Err("is a digest of another kind: SHA-256 is wanted".to_owned()),
        };
    }
    first
}

/// A TOML date (its first second in UTC) or date-time with offset.
pub(super) fn moment(value: &toml::value::Datetime) -> Option<UnixSeconds> {
    let text = value.to_string();
    let text = match (value.time, value.offset) {
        (None, None) => format!("{text}T00:00:00Z"),
        _ => text,
    };
    let parsed = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    parsed.or_else(|| last_moment(value))
}

/// The same on the last days of the calendar, which are beyond what a timestamp of the library may
/// be wherever a clock can be.
fn last_moment(value: &toml::value::Datetime) -> Option<UnixSeconds> {
    let (date, time) = (value.date?, value.time);
    let part = |number: u8| i8::try_from(number).ok();
    let day =
        jiff::civil::Date::new(i16::try_from(date.year).ok()?, part(date.month)?, part(date.day)?);
    let offset = match (time, value.offset) {
        (None, None) | (Some(_), Some(toml::value::Offset::Z)) => 0,
        (Some(_), Some(toml::value::Offset::Custom { minutes })) => i64::from(minutes) * 60,
        _ => return None,
    };
    let time = time.map_or(Some((0, 0, 0)), |time| {
        Some((part(time.hour)?, part(time.minute)?, part(time.second.unwrap_or_default())?))
    });
    let (hour, minute, second) = time?;
    let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
    let moment = day.ok()?.to_datetime(time);
    Some(moment.duration_since(EPOCH).as_secs().saturating_sub(offset))
}

/// The first moment of Unix time.
const EPOCH: jiff::civil::DateTime = jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// A number of TOML, with its spelling in JSON.
pub(super) fn number(value: &toml::de::DeValue<'_>) -> Option<(Decimal, String)> {
    let text = match (value.as_integer(), value.as_float()) {
        (Some(integer), _) => {
            let digits = integer.as_str().replace('_', "");
            i64::from_str_radix(&digits, integer.radix()).ok()?.to_string()
        }
        (None, Some(float)) => float.as_str().replace('_', "").trim_start_matches('+').to_owned(),
        (None, None) => return None,
    };
    Some((Decimal::parse(&text)?, text))
}

/// A moment for people; a date where it is the beginning of a day in UTC.
pub(super) fn date(moment: UnixSeconds) -> String {
    let last = || EPOCH.checked_add(jiff::SignedDuration::from_secs(moment));
    let text = match jiff::Timestamp::from_second(moment) {
        Ok(moment) => moment.to_string(),
        Err(_) => last().map_or_else(|_| "the end".to_owned(), |moment| format!("{moment}Z")),
    };
    text.strip_suffix("T00:00:00Z").map(str::to_owned).unwrap_or(text)
}
