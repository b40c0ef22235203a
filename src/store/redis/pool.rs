//! The connections, and a breaker in front of them: while Redis is away, only one call in a quarter of a second
//! finds that out, and all others are told at once.

use super::connection::{Connection, Manager};
use crate::settings::{RedisAddress, RedisKind};
use crate::store::{OpenError, Unavailable};
use bb8::{ManageConnection, Pool, PooledConnection, RunError};
use bb8_redis::redis::{Cmd, FromRedisValue, RedisError, Value, from_redis_value, pipe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

const MOST_CONNECTIONS: u32 = 16;
/// How long a call waits for a connection.
const CONNECTION_WITHIN: Duration = Duration::from_millis(500);
/// How long a replica may take to have what a call has changed.
const REPLICA_WITHIN_MILLIS: u64 = 500;
/// How long the breaker stays open.
const PAUSE: Duration = Duration::from_millis(250);

/// Connections to Redis.
pub(super) struct Connections {
    pool: Pool<Guarded>,
    breaker: Arc<Breaker>,
    kind: RedisKind,
}

impl Connections {
    pub(super) fn new(address: RedisAddress) -> Result<Self, OpenError> {
        let kind = address.kind.clone();
        let manager = Manager::new(address).map_err(|error| OpenError(format!("KVS_ADDR: {error}")))?;
        let breaker = Arc::new(Breaker::default());
        let pool = Pool::builder()
            .max_size(MOST_CONNECTIONS)
            .connection_timeout(CONNECTION_WITHIN)
            .retry_connection(false)
            // Without these two it needs no runtime to be made in.
            .max_lifetime(None)
            .idle_timeout(None)
            .build_unchecked(Guarded { manager, breaker: Arc::clone(&breaker) });
        Ok(Self { pool, breaker, kind })
    }

    /// One command, one answer.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Unavailable> {
        let mut connection = self.connection().await?;
        let answer = command.query_async(&mut *connection).await;
        self.heard(&mut connection, answer)
    }

    /// One command whose effect survives a failover: where there are replicas, one of them has it too.
    pub(super) async fn ask_durably<T: FromRedisValue>(&self, command: Cmd) -> Result<T, Unavailable> {
        if self.kind == RedisKind::One {
            return self.ask(&command).await;
        }
        let mut both = pipe();
        both.add_command(command).cmd("WAIT").arg(1).arg(REPLICA_WITHIN_MILLIS);
        let mut connection = self.connection().await?;
        let answer = both.query_async(&mut *connection).await;
        let (answer, replicas): (T, u64) = self.heard(&mut connection, answer)?;
        if replicas == 0 { Err(Unavailable("no replica of Redis answers".into())) } else { Ok(answer) }
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
                self.breaker.close();
                Ok(answer)
            }
            Err(error) => {
                connection.judge(&error);
                if error.is_timeout() {
                    self.breaker.trip(&error);
                }
                Err(unavailable(&error))
            }
        }
    }
}

/// Its causes never hold our password; Redis does not repeat it.
fn unavailable(error: &RedisError) -> Unavailable {
    Unavailable(format!("Redis: {error}"))
}

/// Lets calls through while Redis answers.
#[derive(Default)]
struct Breaker {
    open: Mutex<Option<Open>>,
    tripped: Notify,
}

struct Open {
    until: Instant,
    why: Unavailable,
}

impl Breaker {
    /// One call after each pause may try.
    fn let_through(&self) -> Result<(), Unavailable> {
        let now = Instant::now();
        match &mut *self.lock() {
            Some(open) if now < open.until => Err(open.why.clone()),
            Some(open) => {
                open.until = now + PAUSE;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn why(&self) -> Unavailable {
        let why = self.lock().as_ref().map(|open| open.why.clone());
        why.unwrap_or_else(|| Unavailable("Redis was away for a moment".into()))
    }

    fn trip(&self, error: &RedisError) {
        *self.lock() = Some(Open { until: Instant::now() + PAUSE, why: unavailable(error) });
        self.tripped.notify_waiters();
    }

    fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A manager whose failures trip the breaker.
struct Guarded {
    manager: Manager,
    breaker: Arc<Breaker>,
}

impl ManageConnection for Guarded {
    type Connection = Connection;
    type Error = RedisError;

    async fn connect(&self) -> Result<Connection, RedisError> {
        self.manager.connect().await.inspect_err(|error| self.breaker.trip(error))
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), RedisError> {
        self.manager.is_valid(connection).await
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        self.manager.has_broken(connection)
    }
}
