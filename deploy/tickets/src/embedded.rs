//! Both services inside the process of the gateway, on loopback, with a database in memory.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::access::AccessKey;
use crate::api::serve_api_within;
use crate::backend::ApiUrl;
use crate::mcp::{McpOptions, serve_mcp_within};
use crate::serve::Bounds;
use crate::store::Store;
use crate::trust::Trust;

/// How to start [`start_embedded`].
#[derive(Clone, Debug, Default)]
pub struct EmbeddedOptions {
    /// What the gateway presents as `Authorization: Bearer <key>`. Without one, every local user
    /// can reach the services and name any identity.
    pub access_key: Option<AccessKey>,
}

/// The running services. Dropping it stops them.
#[derive(Debug)]
pub struct Embedded {
    api: SocketAddr,
    mcp: SocketAddr,
    // Never sent to: the services stop when it is dropped.
    running: watch::Sender<()>,
    tasks: [JoinHandle<()>; 2],
}

impl Embedded {
    /// The address of the ticket API.
    #[must_use]
    pub fn api_address(&self) -> SocketAddr {
        self.api
    }

    /// The address of the MCP server, which is also the `Host` that it expects.
    #[must_use]
    pub fn mcp_address(&self) -> SocketAddr {
        self.mcp
    }

    /// The MCP endpoint, `http://127.0.0.1:PORT/mcp`.
    #[must_use]
    pub fn mcp_url(&self) -> String {
        format!("http://{}/mcp", self.mcp)
    }

    /// Stops both services and waits, a few seconds at most, for requests in flight.
    pub async fn shutdown(self) {
        let Self { running, tasks, .. } = self;
        drop(running);
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "an embedded ticket service ended badly");
            }
        }
    }
}

/// Starts the API and the MCP server on free loopback ports, on the current tokio runtime.
///
/// # Errors
/// If no port can be bound or no database made.
pub async fn start_embedded(options: EmbeddedOptions) -> io::Result<Embedded> {
    let store = Store::in_memory().await.map_err(io::Error::other)?;
    let api_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mcp_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (api, mcp) = (api_listener.local_addr()?, mcp_listener.local_addr()?);
    let url: ApiUrl = format!("http://{api}").parse().map_err(io::Error::other)?;
    let trust = Trust { access_key: options.access_key, assertions: None };
    let mcp_options = McpOptions { api: url, trust: trust.clone(), allowed_hosts: Vec::new() };

    let (running, watch) = watch::channel(());
    let stop = || {
        let mut watch = watch.clone();
        async move { while watch.changed().await.is_ok() {} }
    };
    // The files are those of the gateway, which has raised their limit.
    let bounds = Bounds::part(16);
    let api_service = serve_api_within(bounds, api_listener, store, trust, stop());
    let mcp_service = serve_mcp_within(bounds, mcp_listener, mcp_options, stop());
    let tasks =
        [tokio::spawn(report("api", api_service)), tokio::spawn(report("mcp", mcp_service))];
    Ok(Embedded { api, mcp, running, tasks })
}

async fn report(service: &'static str, run: impl Future<Output = io::Result<()>> + Send) {
    if let Err(error) = run.await {
        tracing::error!(service, %error, "an embedded ticket service failed");
    }
}
