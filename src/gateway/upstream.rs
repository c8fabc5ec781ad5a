//! One upstream: where it is, how it is reached, and the head that it gets.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::header::{self, HeaderName, HeaderValue};
use pingora::ErrorType;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::TcpKeepalive;
use pingora::upstreams::peer::{HttpPeer, Peer as _};

use super::resolver::{Addresses, Name, Resolver, Unresolved};
use super::trouble::{Phase, Trouble};
use super::{Options, head};
use crate::core::decide::Permit;
use crate::core::headers;
use crate::core::method::Filter;
use crate::core::revision::{Era, Header, encode_sentinel};
use crate::telemetry::log;

/// The names of [`headers`], made once. A name more there does not compile here.
static PASSED: [HeaderName; headers::PASSED.len()] = [
    HeaderName::from_static(headers::PASSED[0]),
    HeaderName::from_static(headers::PASSED[1]),
    HeaderName::from_static(headers::PASSED[2]),
];
static PASSED_LEGACY: [HeaderName; headers::PASSED_LEGACY.len()] =
    [HeaderName::from_static(headers::PASSED_LEGACY[0])];
static PASSED_MODERN: [HeaderName; headers::PASSED_MODERN.len()] =
    [HeaderName::from_static(headers::PASSED_MODERN[0])];

/// Shorter than the 5 seconds after which uvicorn and Node close an idle connection, so that a
/// call is hardly ever written into a closing one.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// What an upstream is made of.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// Scheme, host and path.
    pub url: http::Uri,
    /// How its certificate is checked, and ours shown.
    pub tls: UpstreamTls,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long the answer to a message may take to begin.
    pub call_timeout: Duration,
    /// How long an answer may be silent.
    pub stream_idle: Duration,
    /// How long an answer may last.
    pub stream_max: Duration,
    /// How long an event stream may be silent before a comment is written into it.
    pub stream_keep_alive: Option<Duration>,
    /// The gateway's own credential: a header and its value.
    pub credential: Option<(HeaderName, HeaderValue)>,
    /// Most connections that are kept while they are idle. Those of before keep their bound where
    /// they go on.
    pub idle: usize,
}

/// TLS towards an upstream. Two are the same only where the contents of their files are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UpstreamTls {
    /// Roots for its certificate, as a PEM file; the system's where absent.
    pub ca_file: Option<String>,
    /// The gateway's own certificate and its key, as PEM files.
    pub client: Option<(String, String)>,
    /// Of the contents of all these files.
    pub digest: [u8; 32],
}

/// See [`UpstreamOptions`]. Its connections are its own; nothing is shared between upstreams.
pub struct Upstream {
    options: UpstreamOptions,
    host: String,
    port: u16,
    is_tls: bool,
    seat: Seat,
    pub(super) connector: Arc<Connector>,
}

/// Where its host is.
enum Seat {
    /// At the address that the configuration gives.
    Address(Arc<HttpPeer>),
    /// Where the name leads; with the last addresses that were used.
    Name(Arc<Name>, ArcSwapOption<(Addresses, Arc<HttpPeer>)>),
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("url", &self.options.url).finish_non_exhaustive()
    }
}

impl Upstream {
    /// An upstream; `None` where the roots for its certificate cannot be loaded. It goes on with
    /// the connections of `before`, where that is the same server with the same TLS.
    #[must_use]
    pub fn new(
        mut options: UpstreamOptions,
        before: Option<&Self>,
        resolver: &Arc<Resolver>,
    ) -> Option<Self> {
        if let Some((_, credential)) = &mut options.credential {
            credential.set_sensitive(true);
        }
        let is_tls = options.url.scheme_str() == Some("https");
        let host = options.url.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = options.url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let is_same = |before: &&Self| {
            (&before.options.url, &before.options.tls) == (&options.url, &options.tls)
        };
        let connector = match before.filter(is_same) {
            Some(before) => Arc::clone(&before.connector),
            None => Arc::new(connector(is_tls, &options)?),
        };
        let seat = match host.parse() {
            Ok(ip) => {
                let peer = peer_at(SocketAddr::new(ip, port), is_tls, &host, &options);
                Seat::Address(Arc::new(peer))
            }
            Err(_) => Seat::Name(resolver.name(&host), ArcSwapOption::empty()),
        };
        Some(Self { options, host, port, is_tls, seat, connector })
    }

    pub(super) fn options(&self) -> &UpstreamOptions {
        &self.options
    }

    /// The address to connect to, or why there is none.
    pub(super) async fn peer(&self) -> Result<Arc<HttpPeer>, Unresolved> {
        let (name, last) = match &self.seat {
            Seat::Address(peer) => return Ok(Arc::clone(peer)),
            Seat::Name(name, last) => (name, last),
        };
        let addresses = name.addresses(self.options.connect_timeout).await?;
        if let Some(last) = last.load_full().filter(|last| Arc::ptr_eq(&last.0, &addresses)) {
            return Ok(Arc::clone(&last.1));
        }
        let mut address = *addresses.first().ok_or(Unresolved::Late)?;
        address.set_port(self.port);
        let peer = Arc::new(peer_at(address, self.is_tls, &self.host, &self.options));
        last.store(Some(Arc::new((addresses, Arc::clone(&peer)))));
        Ok(peer)
    }

    /// The address to connect to, or the trouble that there is none.
    pub(super) async fn locate(&self) -> Result<Arc<HttpPeer>, Trouble> {
        let (phase, time) = (Phase::Resolve, self.options.connect_timeout);
        self.peer().await.map_err(|why| match why {
            Unresolved::Late => Trouble::late(phase, self.place(None), "connect_timeout", time),
            Unresolved::Crowded | Unresolved::Failed(_) => {
                let words = format!("the name does not resolve: {why}");
                Trouble::new(phase, self.place(None), &words)
            }
        })
    }

    /// Says which other addresses the name has, where connecting to `peer` failed.
    pub(super) fn untried(&self, peer: &HttpPeer) -> Option<String> {
        let Seat::Name(_, last) = &self.seat else { return None };
        let with_port = |address: &SocketAddr| SocketAddr::new(address.ip(), self.port);
        let found: Vec<SocketAddr> = last.load_full()?.0.iter().map(with_port).collect();
        untried(&self.host, peer.address().as_inet().copied()?, &found)
    }

    /// Where it is, for operators: host and port of the configuration, and what they resolve to.
    pub(super) fn place(&self, peer: Option<&HttpPeer>) -> String {
        let name = match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        };
        match peer.map(|peer| peer.address().to_string()) {
            Some(address) if address != name => format!("{name} ({address})"),
            _ => name,
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// After a failure to connect: the name may have moved.
    pub(super) fn doubt_address(&self) {
        if let Seat::Name(name, _) = &self.seat {
            name.doubt();
        }
    }

    /// A new head, built from an allow-list: our path and host, the identity that the permit
    /// proves, our own credential, the exact length. Nothing else of the caller's head passes.
    pub(super) fn head(
        &self,
        permit: &Permit,
        sent: &RequestHeader,
        body: Option<&[u8]>,
        request_id: &str,
        options: &Options,
    ) -> pingora::Result<RequestHeader> {
        let path = self.options.url.path().as_bytes();
        let mut new = RequestHeader::build_no_case(sent.method.clone(), path, Some(16))?;
        let authority = self.options.url.authority().map_or("", http::uri::Authority::as_str);
        new.insert_header(header::HOST, authority)?;
        let principal = permit.principal();
        new.insert_header(options.user_header.clone(), principal.user().as_str())?;
        let organization = principal.organization().as_str();
        new.insert_header(options.organization_header.clone(), organization)?;
        new.insert_header("x-request-id", request_id)?;
        new.insert_header(header::ACCEPT_ENCODING, "identity")?;
        let accept = match head::only(&sent.headers, header::ACCEPT) {
            Header::One(accept) => accept,
            Header::Absent | Header::Unclear => "application/json, text/event-stream",
        };
        new.insert_header(header::ACCEPT, accept)?;
        if let Some((name, credential)) = &self.options.credential {
            new.insert_header(name.clone(), credential.clone())?;
        }
        if let Some((name, asserter)) = &options.assertion {
            let now = jiff::Timestamp::now().as_second();
            let assertion = asserter.assert(permit, body.unwrap_or_default(), request_id, now);
            // An upstream that wants one must not be asked to do without.
            let assertion =
                assertion.ok_or_else(|| pingora::Error::new(ErrorType::InternalError))?;
            new.insert_header(name.clone(), assertion)?;
        }
        if let Some(body) = body {
            new.insert_header(header::CONTENT_TYPE, "application/json")?;
            new.insert_header(header::CONTENT_LENGTH, body.len().to_string())?;
        }
        copy_protocol_headers(&mut new, sent, permit)?;
        Ok(new)
    }
}

/// Most addresses that are named.
const MAX_UNTRIED: usize = 4;

fn untried(name: &str, tried: SocketAddr, found: &[SocketAddr]) -> Option<String> {
    let mut others: Vec<String> = Vec::new();
    for other in found.iter().filter(|found| **found != tried).map(SocketAddr::to_string) {
        if !others.contains(&other) {
            others.push(other);
        }
    }
    let named = others.get(..MAX_UNTRIED).unwrap_or(&others).join(", ");
    let more = match others.len().saturating_sub(MAX_UNTRIED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let url = "an address in url would be";
    (!others.is_empty())
        .then(|| format!("{name} is {named}{more}, too, and only the first is tried; {url} sure"))
}

/// A server of `host` at this address.
fn peer_at(address: SocketAddr, is_tls: bool, host: &str, options: &UpstreamOptions) -> HttpPeer {
    let mut peer = HttpPeer::new(address, is_tls, host.to_owned());
    peer.options.connection_timeout = Some(options.connect_timeout);
    peer.options.total_connection_timeout = Some(options.connect_timeout);
    peer.options.idle_timeout = Some(IDLE_CONNECTION);
    peer.options.write_timeout = Some(options.call_timeout);
    peer.options.tcp_keepalive = Some(TcpKeepalive {
        idle: Duration::from_secs(60),
        interval: Duration::from_secs(10),
        count: 3,
        #[cfg(target_os = "linux")]
        user_timeout: Duration::from_secs(0),
    });
    peer
}

/// `None` where pingora cannot load a file, which makes it panic. Of a system without roots we know
/// before; the files of the configuration were tried when it was read, and have changed since.
fn connector(is_tls: bool, options: &UpstreamOptions) -> Option<Connector> {
    if is_tls && options.tls.ca_file.is_none() && rustls_native_certs::load_native_certs().is_err()
    {
        return None;
    }
    let mut settings = ConnectorOptions::new(options.idle);
    // Without TLS there is nothing to trust, and a system without roots is as good as any.
    settings.ca_file =
        if is_tls { options.tls.ca_file.clone() } else { Some("/dev/null".to_owned()) };
    settings.cert_key_file = options.tls.client.clone().filter(|_| is_tls);
    log::unwinding(|| Connector::new(Some(settings)))
}

/// The headers of MCP itself. In the legacy era `Mcp-Method` and its kin mean nothing and are
/// left behind, so that nothing further on can route by them; in the modern era only those pass
/// that were compared with the body. A session or task is named as the upstream knows it.
fn copy_protocol_headers(
    new: &mut RequestHeader,
    sent: &RequestHeader,
    permit: &Permit,
) -> pingora::Result<()> {
    let of_era: &[HeaderName] = match permit.era() {
        // What the answer to a list request shows is believed to be of now.
        Era::Legacy if matches!(permit.filter(), Filter::List(_)) => &[],
        Era::Legacy => &PASSED_LEGACY,
        Era::Modern => &PASSED_MODERN,
    };
    let has_name = permit.method().is_some_and(|m| m.target.is_some());
    let of_target = (permit.era() == Era::Modern && has_name).then_some(&head::MCP_NAME);
    for name in PASSED.iter().chain(of_era).chain(of_target) {
        if let Header::One(value) = head::only(&sent.headers, name) {
            new.insert_header(name, value)?;
        }
    }
    if let Some(session) = permit.session() {
        new.insert_header(&head::MCP_SESSION, session)?;
    }
    if permit.era() == Era::Modern {
        if let Some(task) = permit.task() {
            new.insert_header(&head::MCP_NAME, encode_sentinel(task).as_ref())?;
        }
        for name in sent.headers.keys() {
            if headers::is_parameter(name.as_str())
                && let Header::One(value) = head::only(&sent.headers, name)
            {
                new.insert_header(name.clone(), value)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_name_that_were_not_tried_are_named() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (four, six) = (at("127.0.0.1:3000"), at("[::1]:3000"));
        let many: Vec<SocketAddr> = (1..9).map(|n| at(&format!("10.0.0.{n}:1"))).collect();
        for (tried, found, said) in [
            (four, vec![four], None),
            (four, vec![four, four], None),
            (four, vec![four, six], Some("localhost is [::1]:3000, too, and only the first")),
            (six, vec![six, four, four], Some("localhost is 127.0.0.1:3000, too")),
            (many[0], many.clone(), Some("10.0.0.5:1 and 3 more, too")),
        ] {
            let told = untried("localhost", tried, &found);
            match said {
                None => assert_eq!(told, None, "{found:?}"),
                Some(said) => assert!(told.as_ref().is_some_and(|t| t.contains(said)), "{told:?}"),
            }
        }
    }
}
