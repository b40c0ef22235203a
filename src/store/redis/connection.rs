//! One connection to Redis: made within bounds, and known to be broken when it is.
//!
//! `bb8_redis` has a manager too, but its connections are never found broken, so that its pool stays dead after a
//! restart of Redis, or asks PING before every call. Ours watch the task that reads from the socket.

use super::breaker::Epoch;
use super::dial::{ANSWER_WITHIN, Dialer};
use crate::settings::{RedisAddress, RedisKind, RedisTls};
use bb8_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use bb8_redis::redis::cluster::{ClusterClient, ClusterClientBuilder};
use bb8_redis::redis::cluster_async::ClusterConnection;
use bb8_redis::redis::{
    ClientTlsConfig, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, Pipeline, RedisError,
    RedisFuture, ServerErrorKind, TlsCertificates, Value,
};
use std::io;
use std::time::Duration;
use tokio::task::JoinHandle;

/// From the name look-up to the end of the greeting, with one server.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// A call to a Cluster, with the redirections and retries that it takes; and connecting to all of its nodes, of which
/// one may be silent.
const CLUSTER_WITHIN: Duration = Duration::from_millis(1500);

/// A connection, and whether it must not be used again.
pub(super) struct Connection {
    redis: Redis,
    broken: bool,
    /// When it was made.
    pub(super) epoch: Epoch,
}

enum Redis {
    One {
        redis: MultiplexedConnection,
        reader: JoinHandle<()>,
    },
    /// To all nodes; it finds its way after a failover by itself.
    Cluster(ClusterConnection),
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Redis::One { reader, .. } = &self.redis {
            reader.abort();
        }
    }
}

impl Connection {
    /// To one server, whose answers this task reads.
    pub(super) fn to_one(redis: MultiplexedConnection, reader: JoinHandle<()>) -> Self {
        Self { redis: Redis::One { redis, reader }, broken: false, epoch: Epoch::default() }
    }

    /// Whether it must not be used again. Costs nothing: a closed socket has ended its reader.
    pub(super) fn is_broken(&self) -> bool {
        let closed = matches!(&self.redis, Redis::One { reader, .. } if reader.is_finished());
        self.broken || closed
    }

    pub(super) const fn is_to_cluster(&self) -> bool {
        matches!(self.redis, Redis::Cluster(_))
    }

    /// Learns from an error whether this connection can be used again. Only an answer that is about the command
    /// alone leaves it in use: after a failover even a well-formed error means that we talk to the wrong server.
    pub(super) fn judge(&mut self, error: &RedisError) {
        use ServerErrorKind::{NoPerm, ResponseError};
        let about_the_command =
            matches!(error.kind(), ErrorKind::Extension | ErrorKind::Server(ResponseError | NoPerm));
        self.broken |= !about_the_command;
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.redis {
            Redis::One { redis, .. } => redis.req_packed_command(command),
            Redis::Cluster(redis) => redis.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.redis {
            Redis::One { redis, .. } => redis.req_packed_commands(commands, offset, count),
            Redis::Cluster(redis) => redis.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.redis {
            Redis::One { redis, .. } => redis.get_db(),
            Redis::Cluster(redis) => redis.get_db(),
        }
    }
}

/// Makes connections.
pub(super) enum Manager {
    One(Dialer),
    Cluster(Box<ClusterClient>),
}

impl Manager {
    /// For what stands at this address.
    pub(super) fn new(address: RedisAddress) -> Result<Self, String> {
        match address.kind {
            RedisKind::One | RedisKind::Sentinel(_) => {
                Dialer::new(address).map(Self::One).map_err(|error| error.to_string())
            }
            RedisKind::Cluster => {
                let client = cluster(&address).map_err(|error| error.to_string())?;
                Ok(Self::Cluster(Box::new(client)))
            }
        }
    }

    /// Makes one, within bounds.
    pub(super) async fn connect(&self) -> Result<Connection, RedisError> {
        let within = match self {
            Self::One(_) => CONNECT_WITHIN,
            Self::Cluster(_) => CLUSTER_WITHIN,
        };
        let opened = tokio::time::timeout(within, self.open()).await;
        opened.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    async fn open(&self) -> Result<Connection, RedisError> {
        match self {
            Self::One(dialer) => dialer.dial().await,
            Self::Cluster(client) => {
                let redis = Redis::Cluster(client.get_async_connection().await?);
                Ok(Connection { redis, broken: false, epoch: Epoch::default() })
            }
        }
    }
}

fn cluster(address: &RedisAddress) -> Result<ClusterClient, RedisError> {
    let mut nodes = Vec::new();
    for (host, port) in address.hosts.iter().cloned() {
        let node = if address.tls.is_some() {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        nodes.push(node.into_connection_info()?);
    }
    let mut builder = ClusterClientBuilder::new(nodes)
        .connection_timeout(CONNECT_WITHIN)
        .response_timeout(ANSWER_WITHIN)
        .overall_response_timeout(Some(CLUSTER_WITHIN))
        .retries(4)
        .min_retry_wait(20)
        .max_retry_wait(200);
    if let Some(tls) = &address.tls {
        builder = builder.certs(certificates(tls));
    }
    if let Some(user) = &address.user {
        builder = builder.username(user);
    }
    if let Some(password) = &address.password {
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
