//! The address of a PostgreSQL database, with a password that cannot be printed.

use std::fmt;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// `postgres://user:password@host:port/database`, as libpq and its kin write it.
///
/// Connections are not encrypted: the database belongs on the inner network of its API. The
/// password is not printed.
#[derive(Clone)]
pub struct DatabaseUrl(Config);

impl DatabaseUrl {
    /// The same address with another password, for one that comes from a file.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.0.password(password);
        self
    }

    pub(super) fn into_config(self) -> Config {
        self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(InvalidDatabaseUrl(
                "must look like postgres://user:password@host:5432/database",
            ));
        }
        let config: Config = text
            .parse()
            .map_err(|_| InvalidDatabaseUrl("is not an address that PostgreSQL understands"))?;
        if config.get_hosts().is_empty() {
            return Err(InvalidDatabaseUrl("names no host"));
        }
        if config.get_ssl_mode() == SslMode::Require {
            return Err(InvalidDatabaseUrl("asks for TLS, which this service does not speak"));
        }
        Ok(Self(config))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(masked)")
    }
}

/// The text given as the address of the database cannot be one; does not repeat the text.
#[derive(Debug)]
pub struct InvalidDatabaseUrl(&'static str);

impl fmt::Display for InvalidDatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidDatabaseUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_postgresql_without_tls_is_taken() {
        for (text, part) in [
            ("", "must look like"),
            ("mysql://a@b/c", "must look like"),
            ("postgres://", "names no host"),
            ("postgres://a:secret@b:port/c", "is not an address"),
            ("postgres://a:secret@b/c?sslmode=require", "asks for TLS"),
        ] {
            let error = text.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("secret"), "{text:?}: {error}");
        }
        let url: DatabaseUrl = "postgresql://a:secret@b:5433/c".parse().unwrap();
        assert_eq!(format!("{url:?}"), "DatabaseUrl(masked)");
        assert_eq!(url.with_password("other").into_config().get_password(), Some(&b"other"[..]));
    }
}
