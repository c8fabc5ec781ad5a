//! Who listens on an address that cannot be taken.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::core::harmless::visible;

/// The state of a socket that listens, in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// Most processes that are looked at.
const MAX_PROCESSES: usize = 100_000;

/// The error of an address that is taken, with who has it; `None` where that is a doorward, which
/// may be the one of this configuration, of before or after an edit, or where it cannot be told,
/// as for the process of another user.
pub(super) fn complain(address: SocketAddr) -> Option<io::Error> {
    let taken = |who: &str| Some(io::Error::new(io::ErrorKind::AddrInUse, visible(who)));
    let inodes = listening(address)?;
    if inodes.is_empty() {
        // A doorward would listen.
        return taken("a process that does not listen there");
    }
    let (pid, name) = holder(&inodes)?;
    match name.starts_with("doorward") {
        true => None,
        false => taken(&format!("process {pid} ({name})")),
    }
}

/// The inodes of the sockets that listen on this address, or on one that covers it; `None` where
/// that cannot be told.
fn listening(address: SocketAddr) -> Option<Vec<u64>> {
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let read: Vec<String> = tables.iter().filter_map(|p| std::fs::read_to_string(p).ok()).collect();
    if read.is_empty() {
        return None;
    }
    let lines = read.iter().flat_map(|table| table.lines().skip(1));
    let sockets = lines.filter_map(socket);
    let meets = |other: &SocketAddr| {
        other.port() == address.port()
            && (plain(other.ip()) == plain(address.ip())
                || other.ip().is_unspecified()
                || address.ip().is_unspecified())
    };
    Some(sockets.filter(|(other, _)| meets(other)).map(|(_, inode)| inode).collect())
}

/// An address of IPv4 within IPv6 is the same.
fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// The address and the inode of a line, where its socket listens.
fn socket(line: &str) -> Option<(SocketAddr, u64)> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    // One is behind, and six more before the inode.
    if fields.nth(1)? != LISTENS {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // Words of 32 bits as they lie in memory.
    let words = ip.as_bytes().chunks(8).map(|word| {
        let word = std::str::from_utf8(word).ok()?;
        Some(u32::from_str_radix(word, 16).ok()?.to_ne_bytes())
    });
    let bytes = words.collect::<Option<Vec<[u8; 4]>>>()?.concat();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    Some((SocketAddr::new(ip, port), inode))
}

/// The process that has one of these sockets open, and its name; a doorward before others.
fn holder(inodes: &[u64]) -> Option<(u32, String)> {
    let mut found = None;
    for entry in std::fs::read_dir("/proc").ok()?.flatten().take(MAX_PROCESSES) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if !has_open(&entry.path(), inodes) {
            continue;
        }
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let name = name.trim_end().to_owned();
        if name.starts_with("doorward") {
            return Some((pid, name));
        }
        found = Some((pid, name));
    }
    found
}

fn has_open(process: &Path, inodes: &[u64]) -> bool {
    let Ok(descriptors) = std::fs::read_dir(process.join("fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        let link = std::fs::read_link(descriptor.path()).unwrap_or_default();
        let link = link.to_string_lossy();
        let inode = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inode.and_then(|inode| inode.parse().ok()).is_some_and(|inode| inodes.contains(&inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn who_listens_is_found_by_every_address_that_meets_it() {
        for (held, asked) in
            [("127.0.0.1:0", "127.0.0.1"), ("127.0.0.1:0", "0.0.0.0"), ("0.0.0.0:0", "127.0.0.1")]
        {
            let listener = TcpListener::bind(held).unwrap();
            let port = listener.local_addr().unwrap().port();
            let inodes = listening(SocketAddr::new(asked.parse().unwrap(), port)).unwrap();
            let (pid, _) = holder(&inodes).expect("this very process");
            assert_eq!(pid, std::process::id(), "{held} {asked}");
            let other = SocketAddr::new("127.0.0.9".parse().unwrap(), port);
            if held.starts_with("127") {
                assert!(listening(other).unwrap().is_empty());
            }
        }
    }

    #[test]
    fn lines_of_the_kernel_are_read() {
        let four = "   0: 0100007F:ACA3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1423 1 0 100 0 0 10 0";
        if cfg!(target_endian = "little") {
            let expected = Some(("127.0.0.1:44195".parse().unwrap(), 1423));
            assert_eq!(socket(four), expected);
        }
        let six = four.replace("0100007F", "00000000000000000000000000000000");
        assert_eq!(socket(&six), Some(("[::]:44195".parse().unwrap(), 1423)));
        for other in [four.replace(" 0A ", " 01 "), String::new(), four.replace("ACA3", "x")] {
            assert_eq!(socket(&other), None, "{other}");
        }
    }
}
