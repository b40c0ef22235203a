//! Connection pool: bounded, grows on demand, and discards broken connections.

use super::breaker::Breaker;
use super::connection::Connection;
use super::connector::Connector;
use super::failure::RedisFailure;
use crate::settings::{RedisAddress, RedisKind};
use crate::store::{OpenError, Unavailable};
use bb8::{ManageConnection, Pool, PooledConnection, RunError};
use bb8_redis::redis::{Cmd, FromRedisValue, Pipeline, RedisError, Value, from_redis_value, pipe};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

const MAX_CONNECTIONS: u32 = 16;
/// Time that a call waits for a connection from the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(500);
/// Calls that may wait for a connection; further ones fail at once.
const MAX_WAITING_CALLS: usize = 2048;
/// Time within which a replica must acknowledge a change.
const REPLICA_TIMEOUT_MILLIS: u64 = 500;

/// Connections to Redis, behind a circuit breaker.
pub(super) struct Connections {
    pool: Pool<ConnectionManager>,
    breaker: Arc<Breaker>,
    waiting: Semaphore,
    kind: RedisKind,
}

impl Connections {
    pub(super) fn new(address: RedisAddress) -> Result<Self, OpenError> {
        let kind = address.kind.clone();
        let connector = Connector::new(address)?;
        let breaker = Arc::new(Breaker::new());
        let pool = Pool::builder()
            .max_size(MAX_CONNECTIONS)
            .connection_timeout(ACQUIRE_TIMEOUT)
            .retry_connection(false)
            // Without these two the pool can be built outside a Tokio runtime.
            .max_lifetime(None)
            .idle_timeout(None)
            .build_unchecked(ConnectionManager { connector, breaker: Arc::clone(&breaker) });
        Ok(Self { pool, breaker, waiting: Semaphore::new(MAX_WAITING_CALLS), kind })
    }

    /// Returns whether the circuit breaker is open.
    pub(super) fn is_unavailable(&self) -> bool {
        self.breaker.is_open()
    }

    /// Sends one command, and returns its response.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Unavailable> {
        let mut connection = self.connection().await?;
        let response = command.query_async(&mut *connection).await;
        self.record(&mut connection, response)
    }

    /// Sends one command whose effect survives a failover: where there are replicas, one of them has acknowledged it.
    pub(super) async fn query_durably<T: FromRedisValue>(&self, command: Cmd) -> Result<T, Unavailable> {
        self.query_after(Vec::new(), command).await
    }

    /// Sends a command durably after others, which come in groups of one slot each. One round trip, except in a
    /// Cluster.
    pub(super) async fn query_after<T: FromRedisValue>(
        &self,
        mut before: Vec<Vec<Cmd>>,
        command: Cmd,
    ) -> Result<T, Unavailable> {
        if self.kind == RedisKind::Cluster {
            self.query_all::<Vec<Value>>(std::mem::take(&mut before)).await?;
        }
        let mut commands = pipe();
        for earlier in before.into_iter().flatten() {
            commands.add_command(earlier).ignore();
        }
        let connection = self.connection().await?;
        self.send_durably(connection, commands, command).await
    }

    /// Sends one command durably. The outer error means that it was not sent.
    pub(super) async fn try_durably<T: FromRedisValue>(
        &self,
        command: Cmd,
    ) -> Result<Result<T, Unavailable>, Unavailable> {
        let connection = self.connection().await?;
        Ok(self.send_durably(connection, pipe(), command).await)
    }

    async fn send_durably<T: FromRedisValue>(
        &self,
        mut connection: PooledConnection<'_, ConnectionManager>,
        mut commands: Pipeline,
        command: Cmd,
    ) -> Result<T, Unavailable> {
        commands.add_command(command);
        if self.kind != RedisKind::Standalone {
            commands.cmd("WAIT").arg(1).arg(REPLICA_TIMEOUT_MILLIS);
        }
        let responses: Result<Vec<Value>, _> = commands.query_async(&mut *connection).await;
        let responses = self.record(&mut connection, responses)?;
        self.require_replica(responses)
    }

    /// Returns the command's response, if a replica has acknowledged its change.
    fn require_replica<T: FromRedisValue>(&self, responses: Vec<Value>) -> Result<T, Unavailable> {
        let mut responses = responses.into_iter();
        let response = responses.next().unwrap_or(Value::Nil);
        if self.kind != RedisKind::Standalone && matches!(responses.next(), Some(Value::Int(0)) | None) {
            return Err(Unavailable::NotReplicated);
        }
        from_redis_value(response).map_err(|error| RedisFailure::from(RedisError::from(error)).into())
    }

    /// Sends commands in groups of one slot each, and returns their responses in order. One round trip, except in a
    /// Cluster.
    pub(super) async fn query_all<T: FromRedisValue>(&self, groups: Vec<Vec<Cmd>>) -> Result<T, Unavailable> {
        let mut connection = self.connection().await?;
        let groups = if self.kind == RedisKind::Cluster { groups } else { vec![groups.concat()] };
        let mut responses: Vec<Value> = Vec::new();
        for group in groups.into_iter().filter(|group| !group.is_empty()) {
            let mut commands = pipe();
            for command in group {
                commands.add_command(command);
            }
            let response: Result<Vec<Value>, _> = commands.query_async(&mut *connection).await;
            responses.extend(self.record(&mut connection, response)?);
        }
        from_redis_value(Value::Array(responses))
            .map_err(|error| RedisFailure::from(RedisError::from(error)).into())
    }

    async fn connection(&self) -> Result<PooledConnection<'_, ConnectionManager>, Unavailable> {
        self.breaker.check()?;
        let full = |_| Unavailable::TooManyCalls;
        let _waiting = self.waiting.try_acquire().map_err(full)?;
        let connection = tokio::select! {
            connection = self.pool.get() => connection,
            () = self.breaker.opened.notified() => return Err(self.breaker.cause()),
        };
        connection.map_err(|error| match error {
            RunError::User(error) => error.into(),
            RunError::TimedOut => Unavailable::NoFreeConnection,
        })
    }

    /// Registers the outcome of a call with the circuit breaker and the connection.
    fn record<T>(
        &self,
        connection: &mut Connection,
        response: Result<T, RedisError>,
    ) -> Result<T, Unavailable> {
        match response {
            Ok(response) => {
                self.breaker.record_success();
                Ok(response)
            }
            Err(error) => {
                connection.record_error(&error);
                let is_timeout = error.is_timeout();
                let failure = connection.failure(error);
                if is_timeout {
                    let epoch = if connection.is_cluster() { self.breaker.epoch() } else { connection.epoch };
                    self.breaker.record_timeout(epoch, &failure);
                }
                Err(failure.into())
            }
        }
    }
}

/// Connection manager of the pool; reports to the circuit breaker.
struct ConnectionManager {
    connector: Connector,
    breaker: Arc<Breaker>,
}

impl ManageConnection for ConnectionManager {
    type Connection = Connection;
    type Error = RedisFailure;

    async fn connect(&self) -> Result<Connection, RedisFailure> {
        let epoch = self.breaker.epoch();
        let connected = self.connector.connect().await;
        let mut connection = connected.inspect_err(|error| self.breaker.record_connect_error(error))?;
        connection.epoch = epoch;
        Ok(connection)
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), RedisFailure> {
        if !self.has_broken(connection) {
            return Ok(());
        }
        if connection.is_broken() {
            self.breaker.record_disconnect();
        }
        Err(connection.failure(io::Error::from(io::ErrorKind::BrokenPipe).into()))
    }

    /// Returns whether the connection is broken, or older than the last timeout of another one. A Cluster connection
    /// replaces its own sockets.
    fn has_broken(&self, connection: &mut Connection) -> bool {
        let is_outdated = !connection.is_cluster() && connection.epoch != self.breaker.epoch();
        is_outdated || connection.is_broken()
    }
}
