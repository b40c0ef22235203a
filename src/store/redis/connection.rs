//! Connection to Redis that detects when it is broken.
//!
//! `bb8_redis` has a connection manager too, but it never finds a connection broken: its pool stays unusable after a
//! restart of Redis, or sends PING before every call. This one watches the task that reads from the socket.

use super::breaker::Epoch;
use super::failure::{RedisFailure, Server};
use bb8_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use bb8_redis::redis::cluster_async::ClusterConnection;
use bb8_redis::redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, ServerErrorKind, Value};
use tokio::task::JoinHandle;

/// Connection to one server or to a Cluster.
pub(super) struct Connection {
    redis: Redis,
    server: Server,
    broken: bool,
    /// Epoch of the circuit breaker in which it was opened.
    pub(super) epoch: Epoch,
}

enum Redis {
    One {
        redis: MultiplexedConnection,
        reader: JoinHandle<()>,
    },
    /// Connections to all nodes; the client library follows a failover by itself.
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
    /// Connection to one server; the task reads its responses.
    pub(super) fn single(redis: MultiplexedConnection, reader: JoinHandle<()>, server: Server) -> Self {
        Self { redis: Redis::One { redis, reader }, server, broken: false, epoch: Epoch::default() }
    }

    /// Connection to a Cluster.
    pub(super) fn cluster(redis: ClusterConnection, server: Server) -> Self {
        Self { redis: Redis::Cluster(redis), server, broken: false, epoch: Epoch::default() }
    }

    /// Returns whether it must not be used again. Needs no round trip: a closed socket has ended the reader task.
    pub(super) fn is_broken(&self) -> bool {
        let closed = matches!(&self.redis, Redis::One { reader, .. } if reader.is_finished());
        self.broken || closed
    }

    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.redis, Redis::Cluster(_))
    }

    /// Adds the server to an error of a command.
    pub(super) fn failure(&self, error: RedisError) -> RedisFailure {
        RedisFailure::at(&self.server, error)
    }

    /// Marks the connection as broken, unless the error is about the command alone: after a failover, other error
    /// responses mean that this is the wrong server.
    pub(super) fn record_error(&mut self, error: &RedisError) {
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
