//! Addresses of listeners that take each other's connections, so that not all of them can be had.

use std::net::{IpAddr, SocketAddr};

use super::code::Code;
use super::read::{At, Report, Table};
use super::upstreams::{Target, UpstreamSpec};

/// Reports every address that an earlier one has taken. `admin` is that of the admin listener,
/// where it is written.
pub(super) fn check(report: &Report, public: &[At<SocketAddr>], admin: &At<SocketAddr>) {
    let all: Vec<(&At<SocketAddr>, &str)> = public
        .iter()
        .map(|at| (at, "server.listen"))
        .chain(std::iter::once((admin, "admin.listen")))
        .collect();
    for (place, (at, _)) in all.iter().enumerate() {
        let before = all.iter().take(place);
        let Some((other, key)) = before.copied().find(|(other, _)| clash(other.value, at.value))
        else {
            continue;
        };
        let message = if other.value == at.value {
            format!("{} is in `{key}`, too", at.value)
        } else {
            format!("{} and {} of `{key}` take the same connections", at.value, other.value)
        };
        let help = match (other.value.ip(), at.value.ip()) {
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
                "[::] takes IPv4, too: write it alone, or give each another port"
            }
            _ => "give each another port",
        };
        report.error(Code::Conflict, at.span.clone(), message, help);
    }
}

/// Reports every upstream that is a listener of this very gateway: what comes in would go round.
pub(super) fn check_loops(
    file: &mut Table<'_>,
    public: &[At<SocketAddr>],
    admin: &At<SocketAddr>,
    upstreams: &[UpstreamSpec],
) {
    let report = file.report();
    for (name, value) in file.entries("upstreams") {
        let spec = upstreams.iter().find(|spec| spec.name == name.value);
        let Some(Target::Url(url)) = spec.map(|spec| &spec.target) else { continue };
        let own = public.iter().chain([admin]).find(|at| is_reached_by(at.value, url));
        let Some(own) = own else { continue };
        let at = file.within("upstreams", &name, value).value("url").map(toml::Spanned::span);
        let message = format!("`url` is this gateway itself, which listens on {}", own.value);
        let help = "name the address of the MCP server, or let the gateway listen elsewhere";
        report.error(Code::Conflict, at.unwrap_or(name.span), message, help);
    }
}

/// True where a URL that needs no look at DNS leads to a listener on this address.
fn is_reached_by(listener: SocketAddr, url: &http::Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let default = if url.scheme_str() == Some("https") { 443 } else { 80 };
    if listener.port() == 0 || url.port_u16().unwrap_or(default) != listener.port() {
        return false;
    }
    let (own, is_local) = (listener.ip().to_canonical(), |ip: IpAddr| ip.is_loopback());
    match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(ip) => ip == own || own.is_unspecified() && (is_local(ip) || ip.is_unspecified()),
        Err(_) if host.eq_ignore_ascii_case("localhost") => is_local(own) || own.is_unspecified(),
        Err(_) => false,
    }
}

/// True where a system does not give both. Port 0 is a free one each time.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    let is_any = |ip: IpAddr| ip.is_unspecified();
    // A socket on [::] takes connections by IPv4 as well.
    let covers = |wide: IpAddr, ip: IpAddr| is_any(wide) && (wide.is_ipv6() || ip.is_ipv4());
    one.port() == other.port() && one.port() != 0 && (a == b || covers(a, b) || covers(b, a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_clash_where_one_takes_the_connections_of_the_other() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (one, other, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "[::1]:80", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("0.0.0.0:80", "[::]:80", true),
            ("[::]:80", "[::1]:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            ("[::ffff:127.0.0.1]:80", "0.0.0.0:80", true),
        ] {
            assert_eq!(clash(address(one), address(other)), expected, "{one} {other}");
            assert_eq!(clash(address(other), address(one)), expected, "{other} {one}");
        }
    }

    #[test]
    fn an_upstream_that_is_the_gateway_itself_is_found() {
        for (listener, url, expected) in [
            ("127.0.0.1:80", "http://127.0.0.1/mcp", true),
            ("127.0.0.1:443", "https://127.0.0.1/mcp", true),
            ("127.0.0.1:80", "https://127.0.0.1/mcp", false),
            ("127.0.0.1:80", "http://127.0.0.1:81/mcp", false),
            ("127.0.0.1:80", "http://127.0.0.2/mcp", false),
            ("127.0.0.1:80", "http://LocalHost/mcp", true),
            ("127.0.0.1:80", "http://localhost.example/mcp", false),
            ("[::1]:80", "http://[::1]/mcp", true),
            ("[::1]:80", "http://localhost:80/mcp", true),
            ("127.0.0.1:80", "http://[::ffff:127.0.0.1]/mcp", true),
            ("0.0.0.0:8080", "http://127.0.0.9:8080/mcp", true),
            ("0.0.0.0:8080", "http://10.0.0.1:8080/mcp", false),
            ("[::]:8080", "http://localhost:8080/mcp", true),
            ("10.0.0.1:8080", "http://10.0.0.1:8080/mcp", true),
            ("10.0.0.1:8080", "http://localhost:8080/mcp", false),
            ("127.0.0.1:0", "http://127.0.0.1/mcp", false),
        ] {
            let (listener, url) = (listener.parse().unwrap(), url.parse().unwrap());
            assert_eq!(is_reached_by(listener, &url), expected, "{listener} {url}");
        }
    }

    /// What is said here is what the system does.
    #[test]
    fn addresses_that_clash_are_those_that_cannot_be_had_together() {
        use std::net::TcpListener;
        let hosts = ["127.0.0.1", "127.0.0.2", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]"];
        for one in hosts {
            for other in hosts {
                let Ok(first) = TcpListener::bind(format!("{one}:0")) else { continue };
                let port = first.local_addr().unwrap().port();
                let second: SocketAddr = format!("{other}:{port}").parse().unwrap();
                let one: SocketAddr = format!("{one}:{port}").parse().unwrap();
                let is_had = TcpListener::bind(second).is_ok();
                assert_eq!(!is_had, clash(one, second), "{one} {second}");
            }
        }
    }
}
