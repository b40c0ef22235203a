//! Errors of Redis, with the server that they come from.

use bb8_redis::redis::{ErrorKind, RedisError};
use std::fmt;
use std::sync::Arc;

/// Server that a connection is opened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    /// Redis or Valkey at this `host:port`.
    One(Arc<str>),
    /// Sentinel at this `host:port`.
    Sentinel(Arc<str>),
    /// Cluster with these seed nodes.
    Cluster(Arc<str>),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(address) => write!(f, "the server {address}"),
            Self::Sentinel(address) => write!(f, "the Sentinel {address}"),
            Self::Cluster(nodes) => write!(f, "the Cluster at {nodes}"),
        }
    }
}

/// Formats the host and port of a server.
pub(super) fn address((host, port): &(String, u16)) -> Arc<str> {
    if host.contains(':') { format!("[{host}]:{port}").into() } else { format!("{host}:{port}").into() }
}

/// Error of Redis. Its text names the server and, for a refusal, the code and the remedy.
#[derive(Debug, Clone)]
pub struct RedisFailure {
    server: Option<Server>,
    error: RedisError,
}

impl RedisFailure {
    pub(super) fn at(server: &Server, error: impl Into<RedisError>) -> Self {
        Self { server: Some(server.clone()), error: error.into() }
    }

    /// Returns `true` if the server rejected the user, the password or a command.
    pub(super) fn is_refusal(&self) -> bool {
        self.remedy().is_some()
    }

    /// Returns what an administrator can do about a refusal.
    fn remedy(&self) -> Option<&'static str> {
        let is_sentinel = matches!(self.server, Some(Server::Sentinel(_)));
        let code = self.error.code().unwrap_or_default();
        let is_authentication = || {
            // The client of a Cluster passes the text on, without the code.
            let text = self.error.detail().unwrap_or_default();
            matches!(code, "NOAUTH" | "WRONGPASS")
                || (code == "ERR" && text.contains("AUTH"))
                || self.error.kind() == ErrorKind::AuthenticationFailed
                || text.contains("authentication failed")
        };
        match code {
            "NOPERM" if is_sentinel => {
                Some("give KVS_SENTINEL_USER the right +sentinel|get-master-addr-by-name")
            }
            "NOPERM" => {
                Some("give the user in KVS_ADDR the rights that the documentation of operation lists")
            }
            _ if !is_authentication() => None,
            _ if is_sentinel => Some("check KVS_SENTINEL_USER and KVS_SENTINEL_PASSWORD"),
            _ => Some("check KVS_PASSWORD and the user in KVS_ADDR"),
        }
    }
}

impl From<RedisError> for RedisFailure {
    fn from(error: RedisError) -> Self {
        Self { server: None, error }
    }
}

impl fmt::Display for RedisFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(server) = &self.server {
            write!(f, "{server}: ")?;
        }
        match (self.error.code(), self.error.detail()) {
            (Some(code), Some(detail)) => write!(f, "{code} {detail}")?,
            _ => write!(f, "{}", self.error)?,
        }
        if let Some(remedy) = self.remedy() {
            write!(f, ": {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RedisFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
