//! Opens connections, to one server or to a Cluster, within a timeout.

use super::connection::Connection;
use super::dial::{Dialer, RESPONSE_TIMEOUT};
use super::failure::{RedisFailure, Server, address};
use crate::settings::{RedisAddress, RedisKind, RedisTls};
use crate::store::OpenError;
use bb8_redis::redis::cluster::{ClusterClient, ClusterClientBuilder};
use bb8_redis::redis::{
    ClientTlsConfig, ConnectionAddr, IntoConnectionInfo as _, RedisError, TlsCertificates,
};
use std::io;
use std::time::Duration;

/// Timeout of connecting to one server: from the DNS lookup to the end of the handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Timeout of a call to a Cluster with its redirections and retries, and of connecting to all of its nodes, of which
/// one may not respond.
const CLUSTER_TIMEOUT: Duration = Duration::from_millis(1500);

/// Opener of connections.
pub(super) enum Connector {
    One(Dialer),
    Cluster(Box<ClusterClient>, Server),
}

impl Connector {
    /// Connector for this address.
    ///
    /// # Errors
    /// TLS or the client cannot be set up.
    pub(super) fn new(redis: RedisAddress) -> Result<Self, OpenError> {
        Ok(match redis.kind {
            RedisKind::Standalone | RedisKind::Sentinel(_) => Self::One(Dialer::new(redis)?),
            RedisKind::Cluster => {
                let nodes: Vec<_> = redis.hosts.iter().map(address).collect();
                Self::Cluster(Box::new(cluster(&redis)?), Server::Cluster(nodes.join(", ").into()))
            }
        })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// The connection fails, or takes longer than its timeout.
    pub(super) async fn connect(&self) -> Result<Connection, RedisFailure> {
        let (limit, server) = match self {
            Self::One(dialer) => (CONNECT_TIMEOUT, dialer.server()),
            Self::Cluster(_, server) => (CLUSTER_TIMEOUT, server.clone()),
        };
        let opened = tokio::time::timeout(limit, self.open()).await;
        opened.unwrap_or_else(|_| Err(RedisFailure::at(&server, io::Error::from(io::ErrorKind::TimedOut))))
    }

    async fn open(&self) -> Result<Connection, RedisFailure> {
        match self {
            Self::One(dialer) => dialer.dial().await,
            Self::Cluster(client, server) => {
                let connected = client.get_async_connection().await;
                let connected = connected.map_err(|error| RedisFailure::at(server, error))?;
                Ok(Connection::cluster(connected, server.clone()))
            }
        }
    }
}

fn cluster(redis: &RedisAddress) -> Result<ClusterClient, RedisError> {
    let mut nodes = Vec::new();
    for (host, port) in redis.hosts.iter().cloned() {
        let node = if redis.tls.is_some() {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        nodes.push(node.into_connection_info()?);
    }
    let mut builder = ClusterClientBuilder::new(nodes)
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(RESPONSE_TIMEOUT)
        .overall_response_timeout(Some(CLUSTER_TIMEOUT))
        .retries(4)
        .min_retry_wait(20)
        .max_retry_wait(200);
    if let Some(tls) = &redis.tls {
        builder = builder.certs(certificates(tls));
    }
    if let Some(user) = &redis.user {
        builder = builder.username(user);
    }
    if let Some(password) = &redis.password {
        builder = builder.password(password.expose());
    }
    builder.build()
}

fn certificates(tls: &RedisTls) -> TlsCertificates {
    let client_tls = tls.client.as_ref().map(|client| ClientTlsConfig {
        client_cert: client.chain.clone().into(),
        client_key: client.key.expose().into(),
    });
    TlsCertificates { client_tls, root_cert: tls.authorities.clone().map(Into::into) }
}
