//! Builds all that [`run`](super::run) builds, and serves nothing: whoever checks a configuration
//! learns what would keep it from starting here.

use std::net::SocketAddr;
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};

use super::build::Builder;
use super::tls::{ListenerTls, Prepared};
use super::{Descriptors, StartError, holder};
use crate::config::{AuditTo, Config};
use crate::telemetry::audit::Audit;
use crate::telemetry::metrics::Metrics;

/// Every reason for which a process with `config` would not start on this machine, but for
/// addresses that a doorward has: that may be the very gateway of this configuration.
#[must_use]
pub fn prove(config: Config) -> Vec<StartError> {
    let mut faults = Vec::new();
    let settings = &config.settings;
    for address in settings.listen.iter().chain([&settings.admin_listen]) {
        faults.extend(reserve(*address).err().map(|error| StartError::Bind(*address, error)));
    }
    if let AuditTo::File(path) = &settings.audit.to {
        let shown = || path.display().to_string();
        faults.extend(Audit::probe(path).err().map(|error| StartError::Audit(shown(), error)));
    }
    faults.extend(Descriptors::attainable().suffice().err().map(StartError::System));
    faults.extend(built(config).err());
    faults
}

/// Takes the address for a moment, without listening on it: nobody notices, and somebody who has
/// it keeps it.
fn reserve(address: SocketAddr) -> std::io::Result<()> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    match bind(&socket, &address) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::ADDRINUSE) => holder::complain(address).map_or(Ok(()), Err),
        Err(error) => Err(error.into()),
    }
}

/// What is built before anything is served.
fn built(config: Config) -> Result<(), StartError> {
    let prepared = config.settings.tls.as_ref().map(Prepared::new).transpose()?;
    prepared.as_ref().map(ListenerTls::new).transpose()?;
    let metrics = Metrics::new().map_err(|error| StartError::Internal(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(StartError::System)?.block_on(async {
        let mut builder = Builder::new(Vec::new(), Arc::new(metrics), Descriptors::attainable());
        builder.snapshot(config, "", None).await.map(|_| ())
    })
}
