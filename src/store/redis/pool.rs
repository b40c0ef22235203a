//! The connections: as many as are needed at once, within bounds, and none that is known to be dead.

use super::breaker::{Breaker, unavailable};
use super::connection::{Connection, Manager};
use crate::settings::{RedisAddress, RedisKind};
use crate::store::{OpenError, Unavailable};
use bb8::{ManageConnection, Pool, PooledConnection, RunError};
use bb8_redis::redis::{Cmd, FromRedisValue, RedisError, Value, from_redis_value, pipe};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

const MAX_CONNECTIONS: u32 = 16;
/// How long a call waits for a connection.
const CONNECTION_WITHIN: Duration = Duration::from_millis(500);
/// How many calls may wait for one; the others are told at once.
const MAX_WAITING: usize = 2048;
/// How long a replica may take to have what a call has changed.
const REPLICA_WITHIN_MILLIS: u64 = 500;

/// Connections to Redis.
pub(super) struct Connections {
    pool: Pool<Guarded>,
    breaker: Arc<Breaker>,
    waiting: Semaphore,
    kind: RedisKind,
}

impl Connections {
    pub(super) fn new(address: RedisAddress) -> Result<Self, OpenError> {
        let kind = address.kind.clone();
        let manager = Manager::new(address).map_err(|error| OpenError(format!("KVS_ADDR: {error}")))?;
        let breaker = Arc::new(Breaker::default());
        let pool = Pool::builder()
            .max_size(MAX_CONNECTIONS)
            .connection_timeout(CONNECTION_WITHIN)
            .retry_connection(false)
            // Without these two it needs no runtime to be made in.
            .max_lifetime(None)
            .idle_timeout(None)
            .build_unchecked(Guarded { manager, breaker: Arc::clone(&breaker) });
        Ok(Self { pool, breaker, waiting: Semaphore::new(MAX_WAITING), kind })
    }

    /// One command, one answer.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Unavailable> {
        let mut connection = self.connection().await?;
        let answer = command.query_async(&mut *connection).await;
        self.heard(&mut connection, answer)
    }

    /// One command whose effect survives a failover: where there are replicas, one of them has it too.
    pub(super) async fn ask_durably<T: FromRedisValue>(&self, command: Cmd) -> Result<T, Unavailable> {
        self.ask_after(Vec::new(), command).await
    }

    /// The same, and before it others in groups, each about one slot. In one go, but for a Cluster.
    pub(super) async fn ask_after<T: FromRedisValue>(
        &self,
        mut before: Vec<Vec<Cmd>>,
        command: Cmd,
    ) -> Result<T, Unavailable> {
        if self.kind == RedisKind::Cluster {
            self.ask_all::<Vec<Value>>(std::mem::take(&mut before)).await?;
        }
        let mut commands = pipe();
        for earlier in before.into_iter().flatten() {
            commands.add_command(earlier).ignore();
        }
        commands.add_command(command);
        if self.kind != RedisKind::One {
            commands.cmd("WAIT").arg(1).arg(REPLICA_WITHIN_MILLIS);
        }
        let mut connection = self.connection().await?;
        let answer: Result<Vec<Value>, _> = commands.query_async(&mut *connection).await;
        let answers = self.heard(&mut connection, answer)?;
        self.acknowledged(answers)
    }

    /// The command's answer, if a replica has what it changed.
    fn acknowledged<T: FromRedisValue>(&self, answers: Vec<Value>) -> Result<T, Unavailable> {
        let mut answers = answers.into_iter();
        let answer = answers.next().unwrap_or(Value::Nil);
        if self.kind != RedisKind::One && matches!(answers.next(), Some(Value::Int(0)) | None) {
            return Err(Unavailable("no replica of Redis answers".into()));
        }
        from_redis_value(answer).map_err(|error| Unavailable(format!("Redis: {error}")))
    }

    /// Commands in groups, each about one slot; their answers in a row. In one go, but for a Cluster.
    pub(super) async fn ask_all<T: FromRedisValue>(&self, groups: Vec<Vec<Cmd>>) -> Result<T, Unavailable> {
        let mut connection = self.connection().await?;
        let groups = if self.kind == RedisKind::Cluster { groups } else { vec![groups.concat()] };
        let mut answers: Vec<Value> = Vec::new();
        for group in groups.into_iter().filter(|group| !group.is_empty()) {
            let mut commands = pipe();
            for command in group {
                commands.add_command(command);
            }
            let answer: Result<Vec<Value>, _> = commands.query_async(&mut *connection).await;
            answers.extend(self.heard(&mut connection, answer)?);
        }
        from_redis_value(Value::Array(answers)).map_err(|error| Unavailable(format!("Redis: {error}")))
    }

    async fn connection(&self) -> Result<PooledConnection<'_, Guarded>, Unavailable> {
        self.breaker.let_through()?;
        let full = |_| Unavailable("too many calls wait for a connection to Redis".into());
        let _waiting = self.waiting.try_acquire().map_err(full)?;
        let gotten = tokio::select! {
            gotten = self.pool.get() => gotten,
            () = self.breaker.tripped.notified() => return Err(self.breaker.why()),
        };
        gotten.map_err(|error| match error {
            RunError::User(error) => unavailable(&error),
            RunError::TimedOut => Unavailable("no connection to Redis within half a second".into()),
        })
    }

    fn heard<T>(&self, connection: &mut Connection, answer: Result<T, RedisError>) -> Result<T, Unavailable> {
        match answer {
            Ok(answer) => {
                self.breaker.answered();
                Ok(answer)
            }
            Err(error) => {
                connection.judge(&error);
                if error.is_timeout() {
                    let epoch =
                        if connection.is_to_cluster() { self.breaker.epoch() } else { connection.epoch };
                    self.breaker.fell_silent(epoch, &error);
                }
                Err(unavailable(&error))
            }
        }
    }
}

/// A manager that tells the breaker.
struct Guarded {
    manager: Manager,
    breaker: Arc<Breaker>,
}

impl ManageConnection for Guarded {
    type Connection = Connection;
    type Error = RedisError;

    async fn connect(&self) -> Result<Connection, RedisError> {
        let epoch = self.breaker.epoch();
        let connected = self.manager.connect().await;
        let mut connection = connected.inspect_err(|error| self.breaker.not_connected(error))?;
        connection.epoch = epoch;
        Ok(connection)
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), RedisError> {
        if !self.has_broken(connection) {
            return Ok(());
        }
        if connection.is_broken() {
            self.breaker.was_closed();
        }
        Err(io::Error::from(io::ErrorKind::BrokenPipe).into())
    }

    /// One that was made before another fell silent is not asked again; those to a Cluster find another way.
    fn has_broken(&self, connection: &mut Connection) -> bool {
        let outlived = !connection.is_to_cluster() && connection.epoch != self.breaker.epoch();
        outlived || connection.is_broken()
    }
}
