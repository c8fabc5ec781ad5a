//! Asks the gateway that runs with a configuration, over its admin listener.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::ConfigFile;
use super::talk::{Complaint, spelled, tell};
use crate::config;
use crate::core::harmless::visible;

/// For a question that nothing has to be worked out for; supervisors give up after a few seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How long an answer that has to be worked out may take.
const WORK: Duration = Duration::from_secs(30);

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// Most bytes that are read at once.
const PIECE: usize = 64 << 10;

/// Most characters of an answer that is an error.
const MAX_WORDS: usize = 200;

/// Where the gateway that runs with a configuration answers. Whatever else is wrong with the file:
/// the gateway runs with one that was good.
pub(super) fn admin(config: &ConfigFile) -> SocketAddr {
    let admin = config.admin.unwrap_or_else(|| match config::load(&config.config) {
        Ok(config) => config.settings.admin_listen,
        Err(_) => guessed(config),
    });
    reachable(admin)
}

/// Says that the file has errors, and what is asked all the same.
fn guessed(config: &ConfigFile) -> SocketAddr {
    let partial = config::partial(&config.config);
    let admin = partial.admin_listen;
    let why = match partial.admin_is_known {
        true => "as admin.listen says",
        false => "the default, as admin.listen cannot be read; --admin names another",
    };
    let path = spelled(&config.config);
    let fault = match &partial.unreadable {
        Some(reason) => format!("cannot be read: {}", visible(reason)),
        None => "has errors, see: doorward check".to_owned(),
    };
    tell(&format!("doorward: {path} {fault}; asking {admin}, {why}"));
    admin
}

/// The answer to a GET, which is JSON.
pub(super) fn get(config: &ConfigFile, path: &str) -> Result<Value, Complaint> {
    get_at(admin(config), path)
}

/// The answer to a GET of this address, which is JSON.
pub(super) fn get_at(admin: SocketAddr, path: &str) -> Result<Value, Complaint> {
    let failed = |error: io::Error| {
        Complaint(format!(
            "{admin} does not answer ({error}); is the gateway running? --admin names another"
        ))
    };
    let (status, body) = ask(admin, path, WORK).map_err(failed)?;
    if status != "200" {
        let words: String = body.trim().chars().take(MAX_WORDS).collect();
        let said = format!("{admin} answers {}: {}", visible(&status), visible(&words));
        return Err(said.into());
    }
    serde_json::from_str(&body).map_err(|_| format!("{admin} does not answer as doorward").into())
}

/// The answer to a GET that nothing has to be worked out for.
pub(super) fn ask_briefly(admin: SocketAddr, path: &str) -> io::Result<Value> {
    let (_, body) = ask(admin, path, PATIENCE)?;
    serde_json::from_str(&body).map_err(|_| io::Error::other("it is not doorward's"))
}

/// Status and body of the answer to a GET.
fn ask(admin: SocketAddr, path: &str, patience: Duration) -> io::Result<(String, String)> {
    let answer = read(admin, path, patience, MAX_ANSWER)?;
    let answer = String::from_utf8(answer).map_err(io::Error::other)?;
    let told = answer.split_once("\r\n\r\n").and_then(|(head, body)| {
        let status = head.strip_prefix("HTTP/1.1 ")?.split([' ', '\r']).next()?;
        Some((status.to_owned(), body.to_owned()))
    });
    told.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not HTTP"))
}

/// At most `most` bytes of the answer to a GET, its head included. `patience` is for all of it,
/// however it comes; to connect and to send takes at most [`PATIENCE`].
///
/// # Errors
/// Those of the connection, and where it takes longer.
pub(super) fn read(
    admin: SocketAddr,
    path: &str,
    patience: Duration,
    most: usize,
) -> io::Result<Vec<u8>> {
    let until = Instant::now() + patience;
    let mut stream = TcpStream::connect_timeout(&admin, patience.min(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let (mut answer, mut piece) = (Vec::new(), vec![0; PIECE]);
    while answer.len() < most {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(piece.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        }
    }
    answer.truncate(most);
    Ok(answer)
}

/// A listener on every address is asked on loopback.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_drips_has_a_deadline_for_all_of_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap();
        let (over, is_over) = std::sync::mpsc::channel::<()>();
        let dripping = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let pause = Duration::from_millis(5);
            while is_over.recv_timeout(pause) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let _ = stream.write_all(b"x");
            }
        });
        let patience = Duration::from_millis(200);
        let error = read(admin, "/status", patience, usize::MAX).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(over);
        dripping.join().unwrap();
    }

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
