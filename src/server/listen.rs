//! Sockets, and the pingora services that accept on them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd as _;
use std::sync::Arc;

use pingora::apps::ServerApp;
use pingora::server::Fds;
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{StartError, holder};

/// Bound sockets of one listener.
pub(super) struct Sockets {
    pub(super) addresses: Vec<SocketAddr>,
    listeners: Vec<TcpListener>,
}

impl Sockets {
    pub(super) fn bind(wanted: &[SocketAddr]) -> Result<Self, StartError> {
        let (mut addresses, mut listeners) = (Vec::new(), Vec::new());
        for &address in wanted {
            let bind = || {
                let listener = TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok((listener.local_addr()?, listener))
            };
            let (bound, listener) =
                bind().map_err(|error| StartError::Bind(address, told(address, error)))?;
            addresses.push(bound);
            listeners.push(listener);
        }
        Ok(Self { addresses, listeners })
    }

    /// Hands the sockets to a pingora service and starts it.
    pub(super) fn serve<A: ServerApp + Send + Sync + 'static>(
        self,
        name: &str,
        app: A,
        stopping: watch::Receiver<bool>,
        services: &mut JoinSet<()>,
    ) {
        let mut service = Service::new(name.to_owned(), app);
        let mut fds = Fds::new();
        for (address, listener) in self.addresses.iter().zip(self.listeners) {
            let address = address.to_string();
            service.add_tcp(&address);
            fds.add(address, listener.into_raw_fd());
        }
        let fds = Some(Arc::new(parking_lot::Mutex::new(fds)));
        services.spawn(async move { service.start_service(fds, stopping, 1).await });
    }
}

/// The same error with who has the address, where that can be told.
fn told(address: SocketAddr, error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => holder::complain(address).unwrap_or(error),
        _ => error,
    }
}
