//! How clients write where they find us: hosts, origins and the public URL. What no client would
//! ever write is refused, since it would look right and match nothing.
//!
//! Each parser's error text completes the sentence "`key` …".

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::core::harmless::visible;

/// Longest name of a host, and longest label of it, in bytes (RFC 1035 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Schemes that no page has, so that they never stand in `Origin`.
const NO_ORIGINS: [&str; 7] = ["about", "blob", "data", "ftp", "javascript", "ws", "wss"];

/// A host, and its port where one is written, as they stand in `Host` and in URLs: in lower case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// This name on this port.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port: Some(port) }
    }

    /// An address of a listener.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self { host, port: Some(address.port()) }
    }

    /// `host` or `host:port`; IPv6 in brackets (RFC 3986 3.2). No wildcards.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (host, port) = split(text)?;
        let host = host.to_ascii_lowercase();
        let canonical = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().ok().map(|ip| format!("[{ip}]")),
            None if ends_in_number(&host) => host.parse::<Ipv4Addr>().ok().map(|ip| ip.to_string()),
            None => Some(host.clone()),
        };
        match canonical {
            Some(canonical) if canonical == host => Ok(Self { host, port }),
            Some(canonical) => Err(format!("holds {host}, which clients write as {canonical}")),
            None => Err(format!("holds {host}, which is no IP address as clients write them")),
        }
    }

    /// The values of `Host` that mean it, where clients leave out the ports `defaults` or may
    /// write them (RFC 9110 4.2.3).
    #[must_use]
    pub fn forms(&self, defaults: &[u16]) -> Vec<String> {
        let Self { host, port } = self;
        let mut forms: Vec<String> =
            port.map(|port| format!("{host}:{port}")).into_iter().collect();
        match port {
            None => forms.extend(defaults.iter().map(|port| format!("{host}:{port}"))),
            Some(port) if !defaults.contains(port) => return forms,
            Some(_) => {}
        }
        forms.push(host.clone());
        forms
    }

    /// The port, where one is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Its origin by `scheme`, as a browser writes it.
    #[must_use]
    pub fn origin(&self, scheme: &str) -> String {
        let port = self.port.filter(|port| Some(*port) != default_port(scheme));
        format!("{scheme}://{}", Self { host: self.host.clone(), port })
    }

    /// True where only this machine can mean it.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// True for an address of loopback, or a name that is kept for it (RFC 6761 6.3).
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
        || host == "localhost"
        || host.ends_with(".localhost")
}

/// The port that clients leave out.
#[must_use]
pub fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// A host that can be looked up, and a port from 1 to 65535 where there is a colon.
pub(super) fn split(text: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, rest)) => (text.get(..inner.len() + 2).unwrap_or(text), rest),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    check_host(host)?;
    if port.is_empty() {
        return Ok((host, None));
    }
    let digits = port.strip_prefix(':').filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok()).filter(|port| *port > 0);
    match number {
        Some(port) => Ok((host, Some(port))),
        None => Err(format!("ends in `{}`, and a port is from 1 to 65535", visible(port))),
    }
}

fn check_host(host: &str) -> Result<(), String> {
    if host.contains('*') {
        return Err("must not hold `*`: write out every name".to_owned());
    }
    if !host.is_ascii() {
        return Err("must be in ASCII; names beyond it are written as xn--…".to_owned());
    }
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return inner.map(|_| ()).ok_or_else(|| "must hold an IPv6 address in [ ]".to_owned());
    }
    let is_label = |label: &str| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(legal)
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() <= MAX_NAME && name.split('.').all(is_label) {
        return Ok(());
    }
    Err("must be a host, with its port where that is not the default, and nothing else".to_owned())
}

/// True for a host that every reader of URLs takes for an IPv4 address (WHATWG URL, "ends in a
/// number").
fn ends_in_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    last.bytes().all(|b| b.is_ascii_digit()) || hex.is_some()
}

/// Scheme in lower case, authority, and the rest of an absolute URL.
pub(super) fn parts(text: &str) -> Option<(String, &str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
    let scheme = scheme.to_ascii_lowercase();
    (is_scheme && scheme.bytes().all(legal)).then_some((scheme, authority, rest))
}

/// `http` or `https`, host, and port where that is not the default; without what clients leave
/// out.
pub(super) fn public_url(text: &str) -> Result<http::Uri, String> {
    let wanted = || "must begin with http:// or https:// and a host, without user name".to_owned();
    let (scheme, authority, rest) = parts(text).ok_or_else(wanted)?;
    default_port(&scheme).ok_or_else(wanted)?;
    if authority.is_empty() || authority.contains('@') {
        return Err(wanted());
    }
    let authority = Authority::parse(authority)?;
    match rest.as_bytes() {
        [] | b"/" => {}
        [b'#', ..] | [b'/', b'#', ..] => return Err("must not have a fragment".to_owned()),
        [b'?', ..] | [b'/', b'?', ..] => return Err("must not have a query".to_owned()),
        _ => return Err("must have no path".to_owned()),
    }
    authority.origin(&scheme).parse().map_err(|error| format!("is not a URL: {error}"))
}

/// An origin as a browser or a shell of one writes it (Fetch, "`Origin` header"): scheme, host,
/// and port where that is not the default, of any scheme; or `null`.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let wanted =
        || "must be scheme, host and port only, like \"https://app.example\", or null".to_owned();
    match text {
        "null" | "file://" => return Ok(text.to_owned()),
        "*" => return Err("must not hold `*`: write out every origin".to_owned()),
        _ => {}
    }
    let (scheme, authority, rest) = parts(text).ok_or_else(wanted)?;
    if !rest.is_empty() || authority.is_empty() || authority.contains('@') {
        return Err(wanted());
    }
    if NO_ORIGINS.contains(&scheme.as_str()) || scheme == "file" {
        return Err(format!("has the scheme {scheme}, and no page comes from there"));
    }
    if default_port(&scheme).is_none() {
        // The identifier of an extension or an application.
        let (host, port) = split(authority)?;
        let host = host.to_ascii_lowercase();
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        return Ok(format!("{scheme}://{host}{port}"));
    }
    Ok(Authority::parse(authority)?.origin(&scheme))
}

/// True for an origin, as [`origin`] has read it, of this machine.
pub(super) fn is_local_origin(text: &str) -> bool {
    match parts(text) {
        // Any page can come from `null`.
        None => false,
        Some((scheme, authority, _)) if default_port(&scheme).is_some() => {
            Authority::parse(authority).is_ok_and(|authority| authority.is_loopback())
        }
        Some(_) => true,
    }
}
