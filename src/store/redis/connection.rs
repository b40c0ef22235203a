//! One connection to Redis: made within bounds, and known to be broken when it is.
//!
//! `bb8_redis` has a manager too, but its connections are never found broken, so that its pool stays dead after a
//! restart of Redis, or asks PING before every call. Ours watch the task that reads from the socket.

use super::dial::{ANSWER_WITHIN, Dialer};
use crate::settings::{RedisAddress, RedisKind};
use bb8::ManageConnection;
use bb8_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use bb8_redis::redis::cluster::{ClusterClient, ClusterClientBuilder};
use bb8_redis::redis::cluster_async::ClusterConnection;
use bb8_redis::redis::{
    Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, Pipeline, RedisError, RedisFuture,
    ServerErrorKind, Value,
};
use std::io;
use std::time::Duration;
use tokio::task::JoinHandle;

/// From the name look-up to the end of the greeting.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// A call to a Cluster, with the redirections and retries that it takes.
const CLUSTER_WITHIN: Duration = Duration::from_millis(1500);

/// A connection, and whether it must not be used again.
pub(super) struct Connection {
    redis: Redis,
    broken: bool,
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
        Self { redis: Redis::One { redis, reader }, broken: false }
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

/// Makes connections and judges them.
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

    async fn open(&self) -> Result<Connection, RedisError> {
        match self {
            Self::One(dialer) => dialer.dial().await,
            Self::Cluster(client) => {
                let redis = Redis::Cluster(client.get_async_connection().await?);
                Ok(Connection { redis, broken: false })
            }
        }
    }
}

fn cluster(address: &RedisAddress) -> Result<ClusterClient, RedisError> {
    let mut nodes = Vec::new();
    for (host, port) in address.hosts.iter().cloned() {
        let node = if address.tls {
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
    if let Some(user) = &address.user {
        builder = builder.username(user);
    }
    if let Some(password) = &address.password {
        builder = builder.password(password.expose());
    }
    builder.build()
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = RedisError;

    async fn connect(&self) -> Result<Connection, RedisError> {
        let opened = tokio::time::timeout(CONNECT_WITHIN, self.open()).await;
        opened.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    /// Costs nothing: a closed socket has ended its reader.
    async fn is_valid(&self, connection: &mut Connection) -> Result<(), RedisError> {
        if self.has_broken(connection) {
            Err(io::Error::from(io::ErrorKind::BrokenPipe).into())
        } else {
            Ok(())
        }
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        let closed = matches!(&connection.redis, Redis::One { reader, .. } if reader.is_finished());
        connection.broken || closed
    }
}
