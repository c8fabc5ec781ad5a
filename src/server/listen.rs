//! Sockets, and the pingora services that accept on them.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use pingora::apps::ServerApp;
use pingora::listeners::tls::TlsSettings;
use pingora::server::Fds;
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::StartError;
use crate::config::Tls;

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
            let (bound, listener) = bind().map_err(|error| StartError::Bind(address, error))?;
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
        tls: Option<&Tls>,
        stopping: watch::Receiver<bool>,
        services: &mut JoinSet<()>,
    ) -> Result<(), StartError> {
        let mut service = Service::new(name.to_owned(), app);
        let mut fds = Fds::new();
        for (address, listener) in self.addresses.iter().zip(self.listeners) {
            let address = address.to_string();
            match tls {
                None => service.add_tcp(&address),
                Some(tls) => service.add_tls_with_settings(&address, None, tls_settings(tls)?),
            }
            fds.add(address, listener.into_raw_fd());
        }
        let fds = Some(Arc::new(parking_lot::Mutex::new(fds)));
        services.spawn(async move { service.start_service(fds, stopping, 1).await });
        Ok(())
    }
}

/// TLS 1.2 and 1.3 by rustls, HTTP/2 by ALPN.
fn tls_settings(tls: &Tls) -> Result<TlsSettings, StartError> {
    let make = || {
        let (cert, key) = (tls.cert_file.to_string_lossy(), tls.key_file.to_string_lossy());
        let mut settings = TlsSettings::intermediate(&cert, &key)?;
        settings.set_certificate_chain_file(&cert)?;
        settings.set_private_key_file(&key)?;
        settings.enable_h2();
        Ok(settings)
    };
    let why = |error: Box<pingora::Error>| StartError::Tls(error.to_string());
    // Pingora panics on a key that does not fit its certificate; better here than in the listener.
    let trial = make().map_err(why)?;
    std::panic::catch_unwind(AssertUnwindSafe(|| trial.build()))
        .map_err(|_| StartError::Tls("they do not belong together".to_owned()))?;
    make().map_err(why)
}
