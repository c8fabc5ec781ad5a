//! Which requests mean us: values of `Host`, and origins of pages that may ask.

use std::collections::HashSet;
use std::net::SocketAddr;

use crate::config::{Authority, Settings, default_port};

/// Ports that clients leave out, by whichever scheme they come to a proxy in front.
const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// Values of `Host` and of `Origin`, in lower case.
pub(super) fn hosts_and_origins(
    settings: &Settings,
    listening: &[SocketAddr],
) -> (HashSet<String>, HashSet<String>) {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let mut hosts = HashSet::new();
    let mut origins: HashSet<String> = settings.allowed_origins.iter().cloned().collect();
    let mut add = |authority: &Authority, defaults: &[u16], scheme: &str| {
        hosts.extend(authority.forms(defaults));
        origins.insert(authority.origin(scheme));
    };
    for address in listening {
        let mut all = vec![Authority::of(*address)];
        if address.ip().is_loopback() {
            let names = ["127.0.0.1", "[::1]", "localhost"];
            all.extend(names.map(|name| Authority::new(name, address.port())));
        }
        all.iter().for_each(|authority| add(authority, default_port(scheme).as_slice(), scheme));
    }
    for authority in &settings.allowed_hosts {
        let scheme = match authority.port() {
            Some(80) => "http",
            Some(443) => "https",
            _ => scheme,
        };
        add(authority, &DEFAULT_PORTS, scheme);
    }
    let url = settings.public_url.as_ref();
    if let Some((url, host)) = url.and_then(|url| Some((url, url.host()?))) {
        let scheme = url.scheme_str().unwrap_or("http");
        let default = default_port(scheme);
        if let Some(port) = url.port_u16().or(default) {
            add(&Authority::new(host, port), default.as_slice(), scheme);
        }
    }
    (hosts, origins)
}
