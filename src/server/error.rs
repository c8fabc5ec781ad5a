//! Why the process could not start.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::task::JoinError;

/// Why the process could not start, or did not go on.
#[derive(Debug)]
pub enum StartError {
    /// The file for audit records cannot be opened.
    Audit(String, io::Error),
    /// An address cannot be listened on.
    Bind(SocketAddr, io::Error),
    /// The built-in upstream does not start.
    Builtin(io::Error),
    /// A certificate or key of this upstream or issuer has changed since the configuration was
    /// read.
    Files(String),
    /// A listener ended by itself.
    Listener(JoinError),
    /// The roots for the certificate of this upstream or issuer cannot be loaded.
    Roots(String),
    /// The operating system refuses threads or signals.
    System(io::Error),
    /// Certificate and key of the listener cannot be used.
    Tls(String),
    /// Something that cannot be built from a good configuration.
    Internal(String),
}

impl StartError {
    /// True where another machine may let the same configuration start.
    #[must_use]
    pub fn is_of_the_machine(&self) -> bool {
        match self {
            Self::Audit(..) | Self::Bind(..) | Self::Roots(_) | Self::System(_) => true,
            Self::Builtin(_)
            | Self::Files(_)
            | Self::Internal(_)
            | Self::Listener(_)
            | Self::Tls(_) => false,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audit(path, error) => {
                write!(
                    f,
                    "the audit file {path} cannot be opened: {error}; name another in [audit]"
                )
            }
            Self::Bind(address, error) if error.kind() == io::ErrorKind::AddrInUse => {
                let who = error.get_ref().map(ToString::to_string);
                let who = who.as_deref().unwrap_or("another process");
                write!(
                    f,
                    "{address} is in use by {who}; stop it, or choose another address in the configuration"
                )
            }
            Self::Bind(address, error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                write!(f, "cannot listen on {address}: it is no address of this machine")
            }
            Self::Bind(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Builtin(error) => write!(f, "the built-in ticket server does not start: {error}"),
            Self::Files(whose) => {
                write!(f, "the certificates of {whose} have just changed and cannot be used")
            }
            Self::Internal(what) => write!(f, "cannot start: {what}"),
            Self::Listener(error) => write!(f, "a listener has ended: {error}"),
            Self::Roots(whose) => write!(
                f,
                "the roots for the certificate of {whose} cannot be loaded; install \
                 ca-certificates, or name a ca_file"
            ),
            Self::System(error) => write!(f, "the system refuses to start the process: {error}"),
            Self::Tls(why) => write!(f, "the TLS certificate or key cannot be used: {why}"),
        }
    }
}

impl std::error::Error for StartError {}
