//! `doorward health`

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::{EXIT_CONFIG, EXIT_NO, complain};
use crate::config;

/// For each step of the question; supervisors give up after a few seconds.
const PATIENCE: Duration = Duration::from_secs(2);

#[expect(clippy::print_stdout, reason = "the answer of the verb")]
pub(super) fn health(path: &Path) -> ExitCode {
    let admin = match config::load(path) {
        Ok(config) => config.settings.admin_listen,
        Err(findings) => {
            complain(&findings);
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if admin.port() == 0 {
        eprintln!("doorward: [admin] listen has port 0, so nobody knows where to ask");
        return ExitCode::from(EXIT_CONFIG);
    }
    match ask(reachable(admin)) {
        Ok(200) => {
            println!("ready");
            ExitCode::SUCCESS
        }
        Ok(status) => {
            eprintln!("doorward: not ready: {admin} answers {status}");
            ExitCode::from(EXIT_NO)
        }
        Err(error) => {
            eprintln!("doorward: not ready: {admin}: {error}");
            ExitCode::from(EXIT_NO)
        }
    }
}

/// A listener on every address is asked on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The status of `/readyz`.
fn ask(admin: SocketAddr) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&admin, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut head)?;
    std::str::from_utf8(&head)
        .ok()
        .and_then(|head| head.strip_prefix("HTTP/1.1 ")?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "does not answer as HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:9901", "127.0.0.1:9901"),
            ("[::]:9901", "[::1]:9901"),
            ("10.0.0.7:9901", "10.0.0.7:9901"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
